//! A mounted disk, with its locks and shared memory
//!
//! A power cut does not touch open connections: they keep the dead disk, on which everything fails, and a new disk
//! with the survivors is mounted under the same name. So no connection ever sees memory go away.

use crate::dice::Dice;
use crate::platter::{Counts, Failure, FileId, Loss, Platter};
use rusqlite::ffi;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::PathBuf;
use std::rc::Rc;

/// SQLite uses this many locks on the shared memory of a WAL.
pub const SHARED_LOCKS: usize = ffi::SQLITE_SHM_NLOCK as usize;

/// One mounted disk, as the simulation holds it.
#[derive(Debug, Clone)]
pub struct Drive {
    name: String,
    spindle: Rc<RefCell<Spindle>>,
}

/// A platter, and what only lives as long as the power does.
#[derive(Debug, Default)]
pub struct Spindle {
    /// What the disk holds.
    pub platter: Platter,
    /// Locks of each file.
    pub locks: BTreeMap<FileId, FileLocks>,
    /// Shared memory beside each file.
    pub shared: BTreeMap<FileId, Shared>,
    opened: u64,
}

thread_local! {
    static DRIVES: RefCell<BTreeMap<String, Drive>> = const { RefCell::new(BTreeMap::new()) };
}

/// The disk that a path `/disk/file` lies on, of those that this thread has mounted.
pub fn of(path: &str) -> Option<Rc<RefCell<Spindle>>> {
    let disk = path.trim_start_matches('/').split('/').next()?;
    DRIVES.with_borrow(|drives| drives.get(disk).map(|drive| drive.spindle.clone()))
}

/// Takes all disks of this thread away.
pub fn unmount_all() {
    DRIVES.with_borrow_mut(BTreeMap::clear);
}

impl Drive {
    /// Mounts an empty disk, in place of any of that name.
    pub fn mount(name: &str) -> Drive {
        Drive::mount_copy(name, Platter::default())
    }

    /// Mounts a disk with this content.
    pub fn mount_copy(name: &str, platter: Platter) -> Drive {
        let spindle = Rc::new(RefCell::new(Spindle { platter, ..Spindle::default() }));
        let drive = Drive { name: name.to_owned(), spindle };
        DRIVES.with_borrow_mut(|drives| drives.insert(drive.name.clone(), drive.clone()));
        drive
    }

    /// Path of a file on this disk.
    pub fn path(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/{}/{file}", self.name))
    }

    /// A copy of all that the disk holds, unsynced writes included.
    pub fn copy(&self) -> Platter {
        self.spindle.borrow().platter.clone()
    }

    /// Does something to what the disk holds, past all connections.
    pub fn touch<T>(&self, deed: impl FnOnce(&mut Platter) -> T) -> T {
        deed(&mut self.spindle.borrow_mut().platter)
    }

    /// The power goes after this many further operations.
    pub fn cut_after(&self, operations: u64) {
        self.spindle.borrow_mut().platter.cut_after(operations);
    }

    /// Takes back a planned cut that has not come yet.
    pub fn spare(&self) {
        self.spindle.borrow_mut().platter.spare();
    }

    /// Whether the power is gone.
    pub fn is_dark(&self) -> bool {
        self.spindle.borrow().platter.is_dark()
    }

    /// Plans a fault, or takes it back.
    pub fn plan(&self, failure: Option<Failure>) {
        self.spindle.borrow_mut().platter.plan(failure);
    }

    /// Gives the disk an end.
    pub fn limit(&self, capacity_bytes: Option<usize>) {
        self.spindle.borrow_mut().platter.limit(capacity_bytes);
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.spindle.borrow().platter.counts()
    }

    /// Bytes in use.
    pub fn used_bytes(&self) -> usize {
        self.spindle.borrow().platter.used_bytes()
    }

    /// Cuts the power now and puts what survives in the place of this disk. Connections to the old one only fail.
    pub fn cut(&mut self, loss: Loss, dice: &mut Dice) {
        let survivors = {
            let mut spindle = self.spindle.borrow_mut();
            spindle.platter.cut_now();
            spindle.platter.survivors(loss, dice)
        };
        *self = Drive::mount_copy(&self.name, survivors);
    }
}

impl Spindle {
    /// A number for a file that was just opened: locks are held by it.
    pub fn next_opened(&mut self) -> u64 {
        self.opened += 1;
        self.opened
    }
}

/// The five levels of SQLite's lock on a database file.
#[derive(Debug, Default)]
pub struct FileLocks {
    levels: BTreeMap<u64, c_int>,
}

impl FileLocks {
    /// Raises the level of one opened file, if no other is in the way.
    pub fn raise(&mut self, opened: u64, wanted: c_int) -> bool {
        let others = self.levels.iter().filter(|(other, _)| **other != opened);
        let others = others.map(|(_, level)| *level).max().unwrap_or(ffi::SQLITE_LOCK_NONE);
        let granted = match wanted {
            ffi::SQLITE_LOCK_SHARED if others >= ffi::SQLITE_LOCK_PENDING => return false,
            ffi::SQLITE_LOCK_RESERVED | ffi::SQLITE_LOCK_EXCLUSIVE
                if others >= ffi::SQLITE_LOCK_RESERVED =>
            {
                return false;
            }
            // Whoever waits for readers to leave lets no new ones in.
            ffi::SQLITE_LOCK_EXCLUSIVE if others >= ffi::SQLITE_LOCK_SHARED => {
                ffi::SQLITE_LOCK_PENDING
            }
            level => level,
        };
        let mine = self.levels.entry(opened).or_default();
        *mine = granted.max(*mine);
        granted == wanted
    }

    /// Lowers the level of one opened file.
    pub fn lower(&mut self, opened: u64, level: c_int) {
        self.levels.insert(opened, level);
    }

    /// Forgets a file that is closed.
    pub fn forget(&mut self, opened: u64) {
        self.levels.remove(&opened);
    }

    /// Whether anybody means to write.
    pub fn is_reserved(&self) -> bool {
        self.levels.values().any(|level| *level >= ffi::SQLITE_LOCK_RESERVED)
    }
}

/// What one opened file holds of the locks on shared memory: -1 alone, 1 with others, 0 not.
pub type Held = [i32; SHARED_LOCKS];

/// The memory that several connections share beside a WAL.
#[derive(Debug, Default)]
pub struct Shared {
    /// Boxed, so that a region stays where it is when more are added.
    regions: Vec<Box<[u64]>>,
    /// -1 is held alone, n is shared by n.
    locks: Held,
}

impl Shared {
    /// A region of this many bytes; none if it is not there and shall not be made.
    pub fn region(&mut self, number: usize, bytes: usize, make: bool) -> Option<&mut [u64]> {
        while make && self.regions.len() <= number {
            self.regions.push(vec![0; bytes / 8].into_boxed_slice());
        }
        self.regions.get_mut(number).map(|region| &mut **region)
    }

    /// Takes locks alone or with others, all or none.
    pub fn take(&mut self, held: &mut Held, slots: std::ops::Range<usize>, alone: bool) -> bool {
        // A lock of our own is never in our way: SQLite asks again only for what it means to keep.
        let is_in_the_way = |slot: usize| {
            let others = self.locks[slot] - held[slot];
            if alone { others != 0 } else { others < 0 }
        };
        if slots.clone().any(is_in_the_way) {
            return false;
        }
        self.release(held, slots.clone());
        for slot in slots {
            held[slot] = if alone { -1 } else { 1 };
            self.locks[slot] += held[slot];
        }
        true
    }

    /// Gives locks back.
    pub fn release(&mut self, held: &mut Held, slots: std::ops::Range<usize>) {
        for slot in slots {
            self.locks[slot] -= std::mem::take(&mut held[slot]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_waits_for_readers_and_lets_no_new_ones_in() {
        let mut locks = FileLocks::default();
        assert!(locks.raise(1, ffi::SQLITE_LOCK_SHARED) && locks.raise(2, ffi::SQLITE_LOCK_SHARED));
        assert!(locks.raise(1, ffi::SQLITE_LOCK_RESERVED));
        assert!(!locks.raise(2, ffi::SQLITE_LOCK_RESERVED));
        assert!(!locks.raise(1, ffi::SQLITE_LOCK_EXCLUSIVE));
        assert!(!locks.raise(3, ffi::SQLITE_LOCK_SHARED));
        locks.lower(2, ffi::SQLITE_LOCK_NONE);
        assert!(locks.raise(1, ffi::SQLITE_LOCK_EXCLUSIVE));
        locks.forget(1);
        assert!(!locks.is_reserved());
    }

    #[test]
    fn shared_memory_is_locked_alone_or_with_others() {
        let (mut shared, mut one, mut other) =
            (Shared::default(), Held::default(), Held::default());
        assert!(shared.take(&mut one, 3..4, false) && shared.take(&mut other, 3..4, false));
        assert!(!shared.take(&mut one, 3..4, true));
        shared.release(&mut other, 0..SHARED_LOCKS);
        assert!(shared.take(&mut one, 3..4, true));
        assert!(!shared.take(&mut other, 3..4, false));
        shared.release(&mut one, 0..SHARED_LOCKS);
        assert_eq!(shared.locks, Held::default());
    }
}
