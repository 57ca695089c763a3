//! Power goes at every disk operation of a write and an apply

use selvedge_simulator::dice::Dice;
use selvedge_simulator::disk;
use selvedge_simulator::drive::Drive;
use selvedge_simulator::platter::{Loss, Platter};
use selvedge_simulator::verdict;
use selvedge_simulator::workload::{self, Deed};
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;

const LOSSES: [Loss; 4] = [Loss::Nothing, Loss::Everything, Loss::Torn, Loss::Torn];

/// Writes or frames of one run. Enough that a checkpoint falls among them would take minutes: the cache is small
/// instead, so that pages go to the disk before the commit.
const STEPS: usize = 6;

fn store() -> Stream {
    Stream::store(1).expect("1 is a store")
}

fn keys(number: u8) -> Arc<SoftwareKeys> {
    Arc::new(SoftwareKeys::from_seed([number; 32]))
}

fn row(number: u8, name: &str, role: Role) -> Row {
    let origin = Origin::new(number.into()).expect("small numbers are origins");
    let device = DeviceId::new(name).expect("a good name");
    let store = if role == Role::Hq { 0 } else { 1 };
    Row::sign(origin, &device, store, role, "T1", keys(number).public(), keys(1).as_ref())
}

fn pos() -> Row {
    row(3, "s0001-p01", Role::Pos)
}

fn back_office() -> Row {
    row(2, "s0001-b01", Role::BackOffice)
}

fn open(drive: &Drive, row: &Row) -> Option<Replica> {
    let identity = Identity {
        device: row.device.clone(),
        origin: row.origin,
        role: row.role,
        store: row.store,
        authority: keys(1).public(),
    };
    let settings = Settings {
        path: drive.path("replica.db"),
        vfs: Some(disk::VFS.to_owned()),
        identity,
        keys: keys(row.origin.get() as u8),
        migrations: vec![workload::SCHEMA],
        cache_kib: 16,
    };
    Replica::open(settings).ok()
}

fn prepared(row: &Row, knows: &Row) -> Platter {
    disk::seed(Dice::new(1));
    let drive = Drive::mount("box");
    let mut replica = open(&drive, row).expect("the disk has power");
    replica.admit(std::slice::from_ref(knows)).expect("the disk has power");
    drop(replica);
    drive.copy()
}

fn sale(no: usize) -> Deed {
    Deed::Sell((1..=4).map(|line| (line, no as i64 % 3 + 1)).collect())
}

/// The chain values of all entries that were acknowledged before the power went.
fn sell(drive: &Drive) -> Vec<[u8; 32]> {
    let Some(mut replica) = open(drive, &pos()) else { return Vec::new() };
    let mut told = Vec::new();
    for no in 0..STEPS {
        let done = replica.write(Millis(no as i64), |tx| sale(no).run(tx, 1));
        match done.map(|done| done.entry) {
            Ok(entry) => told.push(entry.expect("a sale is an entry").hash),
            Err(_) => break,
        }
    }
    told
}

/// The seqs that were reported as applied before the power went.
fn receive(drive: &Drive, frames: &[Vec<u8>]) -> Vec<u64> {
    let Some(mut replica) = open(drive, &back_office()) else { return Vec::new() };
    let mut told = Vec::new();
    for bytes in frames {
        let frame = Frame::decode(bytes).expect("an honest frame");
        let mut queue = VecDeque::from([Incoming::new((), frame)]);
        // Seven rows are a sale and a part of the next: each frame takes several transactions.
        while !queue.is_empty() {
            if replica.receive(Millis(5), &mut queue, Slice { rows: 7 }).is_err() {
                return told;
            }
            told.push(replica.head(store(), pos().origin).seq);
        }
    }
    told
}

/// Cuts at each operation in turn, under each policy, and hands what is left to `look`. Says how many cuts there were.
fn cut_everywhere<T>(
    start: &Platter,
    row: &Row,
    act: impl Fn(&Drive) -> T,
    look: impl Fn(&Replica, &T, &str),
) -> u64 {
    let (mut dice, mut cuts) = (Dice::new(7), 0);
    for operation in 0.. {
        let mut finished = false;
        for loss in LOSSES {
            let mut drive = Drive::mount_copy("box", start.clone());
            drive.cut_after(operation);
            let told = act(&drive);
            finished = !drive.is_dark();
            drive.cut(loss, &mut dice);
            let place = format!("cut at operation {operation}, {loss:?} was lost");
            let replica = open(&drive, row).unwrap_or_else(|| panic!("{place}: it does not open"));
            for check in [verdict::check_i02, verdict::check_i05, verdict::check_i07] {
                assert_eq!(check(replica.db()), Ok(()), "{place}");
            }
            look(&replica, &told, &place);
            cuts += 1;
        }
        if finished {
            return cuts;
        }
    }
    cuts
}

// Proves TS-25, IM-04: what was acknowledged is there after a power cut, whole, and numbered without a gap.
#[test]
fn a_cut_at_any_operation_of_a_write_loses_nothing_that_was_acknowledged() {
    let cuts =
        cut_everywhere(&prepared(&pos(), &back_office()), &pos(), sell, |replica, told, place| {
            let found = replica.head(store(), pos().origin).seq as usize;
            assert!(found >= told.len(), "{place}: {} acknowledged, {found} found", told.len());
            assert!(found <= told.len() + 1, "{place}: at most one is in doubt");
            if let Some(last) = told.last() {
                let seq = told.len() as u64;
                let chain =
                    selvedge_sync::changelog::chain_at(replica.db(), store(), pos().origin, seq);
                assert_eq!(chain.as_ref(), Ok(last), "{place}: another entry stands there");
            }
        });
    println!("{cuts} cuts");
    assert!(cuts > 200, "{cuts} cuts");
}

#[test]
fn a_cut_at_any_operation_of_an_apply_loses_nothing_that_was_acknowledged() {
    disk::seed(Dice::new(1));
    let drive = Drive::mount("writer");
    let mut writer = open(&drive, &pos()).expect("the disk has power");
    let mut frames = Vec::new();
    for no in 0..STEPS {
        writer.write(Millis(no as i64), |tx| sale(no).run(tx, 1)).expect("the disk has power");
        if no % 3 == 2 {
            let frame = writer.cut(store(), pos().origin, no as u64 - 1).expect("it reads");
            frames.push(frame.expect("three entries").encode());
        }
    }
    let start = prepared(&back_office(), &pos());
    let act = |drive: &Drive| receive(drive, &frames);
    let cuts = cut_everywhere(&start, &back_office(), act, |replica, told, place| {
        let found = replica.head(store(), pos().origin).seq;
        let acked = told.last().copied().unwrap_or(0);
        assert!(found >= acked, "{place}: {acked} acknowledged, {found} found");
        assert_eq!(
            verdict::check_i13(replica.db(), row(1, "hq-w1", Role::Hq).origin),
            Ok(()),
            "{place}"
        );
    });
    println!("{cuts} cuts");
    assert!(cuts > 200, "{cuts} cuts");
}

/// The engine reads changed rows again before it commits. When that fails, SQLite rolls back at once and calls the
/// engine's own hook: nobody may hold what the hook wants.
#[test]
fn a_read_that_fails_within_a_write_ends_the_write() {
    let (told, hears) = mpsc::channel();
    std::thread::spawn(move || {
        disk::seed(Dice::new(1));
        let mut drive = Drive::mount("box");
        let mut hq = open(&drive, &row(1, "hq-w1", Role::Hq)).expect("the disk has power");
        let done = hq.write(Millis(1), |tx| {
            tx.execute("INSERT INTO price VALUES (1, 100, NULL)", [])?;
            // More than the cache holds: the row of above is no longer in memory.
            tx.execute("INSERT INTO scribble VALUES (1, printf('%100000d', 1))", [])?;
            drive.cut(Loss::Nothing, &mut Dice::new(2));
            Ok::<(), rusqlite::Error>(())
        });
        told.send(done.map_err(|cause| cause.to_string()).map(|_| ())).expect("it is awaited");
    });
    let done = hears.recv_timeout(Duration::from_secs(60)).expect("the write ends");
    let said = "the database refused, nothing was written: disk I/O error";
    assert_eq!(done, Err(said.to_owned()));
}
