//! Databases that belong to nobody yet, made once and copied
//!
//! Making the tables of a new device takes longer than all that a small run then does with them, and it is the same on
//! every device. So it is done once for each schema, and laid on the disk of a device before its first start. One seed in
//! eight does without: there each device makes its own, with all that may go wrong meanwhile.

use crate::dice::Dice;
use crate::disk;
use crate::drive::{self, Drive};
use crate::platter::Platter;
use selvedge_sync::bring_up;
use selvedge_sync::open::Migration;
use std::cell::RefCell;
use std::collections::HashMap;

/// The disk on which they are made.
const DISK: &str = "blank";

const FILE: &str = "blank.db";

thread_local! {
    /// By the names of the migrations.
    static MADE: RefCell<HashMap<Vec<&'static str>, Platter>> = RefCell::new(HashMap::new());
}

/// Makes the databases of these schemas, where that was not done yet. Draws from SQLite's random numbers, so it comes
/// before a run.
pub fn prepare(migrations: &[Migration], steps: &[usize]) {
    for step in steps {
        let schema = &migrations[..*step];
        let key = key(schema);
        if MADE.with_borrow(|made| made.contains_key(&key)) {
            continue;
        }
        disk::seed(Dice::new(0));
        let drive = Drive::mount(DISK);
        bring_up::blank(&drive.path(FILE), Some(disk::VFS), schema.to_vec())
            .expect("nothing goes wrong on a disk without faults");
        MADE.with_borrow_mut(|made| made.insert(key, drive.copy()));
        drive::unmount_all();
    }
}

/// Lays a database of this schema on a disk, durable and under this name.
pub fn lay(drive: &Drive, name: &str, schema: &[Migration]) {
    MADE.with_borrow(|made| {
        let blank = made.get(&key(schema)).expect("the schemas of a run are prepared before it");
        let from = format!("/{DISK}/{FILE}");
        drive.touch(|platter| platter.take_from(blank, &from, name));
    });
}

fn key(schema: &[Migration]) -> Vec<&'static str> {
    schema.iter().map(|step| step.name).collect()
}
