//! A first start on a disk that fails once

use selvedge_simulator::dice::Dice;
use selvedge_simulator::disk;
use selvedge_simulator::drive::Drive;
use selvedge_simulator::platter::{Failure, Loss, Refusal};
use selvedge_simulator::workload::{self, Deed};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::OpenError;
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::planted::{self, Fault};
use selvedge_sync::replica::Replica;
use std::sync::Arc;

fn open(drive: &Drive) -> Result<Replica, OpenError> {
    let keys = Arc::new(SoftwareKeys::from_seed([3; 32]));
    let identity = Identity {
        device: DeviceId::new("s0001-p01").expect("a good name"),
        origin: Origin::new(3).expect("small numbers are origins"),
        role: Role::Pos,
        store: 1,
        authority: keys.public(),
    };
    Replica::open(Settings {
        path: drive.path("replica.db"),
        vfs: Some(disk::VFS.to_owned()),
        identity,
        keys,
        migrations: vec![workload::SCHEMA],
        cache_kib: 64,
    })
}

/// A disk operation of a first start fails, the device is started until it runs, sells something, and loses its power
/// with all that was not synced. Says how many of its sales are there after all; None where nothing has failed.
fn sales_kept(failing: u64, sales: u64) -> Option<u64> {
    disk::seed(Dice::new(1));
    let mut drive = Drive::mount("box");
    drive.plan(Some(Failure { at: failing, refusal: Refusal::Io, lasting: false }));
    let mut replica = open(&drive).or_else(|_| open(&drive)).expect("the disk failed only once");
    let done = drive.counts().operations;
    drive.plan(None);
    for no in 0..sales {
        let sale = Deed::Sell(vec![(no as i64, 1)]);
        replica.write(Millis(no as i64), |tx| sale.run(tx, 1)).expect("the disk works");
    }
    drive.cut(Loss::Everything, &mut Dice::new(1));
    drop(replica);
    let replica = open(&drive).expect("the disk works");
    let store = Stream::store(1).expect("1 is a store");
    (failing <= done).then(|| replica.head(store, replica.identity().origin).seq)
}

#[test]
fn a_sale_is_kept_whatever_failed_when_the_device_first_started() {
    // Each operation on the way to the log, and every ninth of the migrations behind it.
    let mut failing = 1;
    while let Some(kept) = sales_kept(failing, 3) {
        assert_eq!(kept, 3, "operation {failing} had failed");
        failing += if failing < 40 { 1 } else { 9 };
    }
    assert!(failing > 100, "a first start has more than {failing} operations");
}

#[test]
fn whoever_believes_the_first_answer_has_no_log_and_loses_a_sale() {
    planted::set(Some(Fault::LogNotLookedFor));
    let lost = (1..40).find(|failing| sales_kept(*failing, 3) == Some(2));
    planted::set(None);
    assert!(lost.is_some(), "the log was there although the way to it had failed");
}
