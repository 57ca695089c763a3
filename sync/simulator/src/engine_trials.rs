//! The engine's own transactions as trials
//!
//! Each is tried on several prepared disks: with a log that is empty or full, with a cache that spills in the middle of a
//! transaction or holds it, with checkpoints that fall among the steps or behind them.

use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::platter::{Loss, Platter};
use crate::promise::{Promise, kept};
use crate::trials::{DISK, Tell, Trial};
use crate::verdict;
use crate::workload::{self, Deed};
use selvedge_sync::allow_list::{self, Row, State};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::open::{Migration, OpenError};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::outcome::EntryMark;
use selvedge_sync::rebuild;
use selvedge_sync::replica::Replica;
use selvedge_sync::scrub::Scrub;
use std::collections::VecDeque;
use std::sync::Arc;

/// Times that a deed is done in a trial, each in a transaction of its own.
pub const STEPS: i64 = 5;

/// The database of every trial.
const FILE: &str = "replica.db";

/// What a rotten one is called while it is built anew.
const ROTTEN: &str = "rotten.db";

/// How a disk and a database are set up.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// The page cache; a small one spills.
    pub cache_kib: u32,
    /// Pages in the log before a commit checkpoints them.
    pub checkpoint_pages: u32,
    /// Whether the log still holds what was done before.
    pub hot: bool,
}

/// The set-ups that every transaction is tried in.
pub const WAYS: [Ways; 5] = [
    Ways { cache_kib: 16, checkpoint_pages: 1_000, hot: false },
    Ways { cache_kib: 16, checkpoint_pages: 6, hot: true },
    Ways { cache_kib: 16, checkpoint_pages: 40, hot: false },
    Ways { cache_kib: 1_024, checkpoint_pages: 1_000, hot: true },
    Ways { cache_kib: 1_024, checkpoint_pages: 3, hot: false },
];

/// A later schema: a table that is filled from what is there, and an index.
const NEWER: Migration = Migration {
    name: "0002_newer",
    sql: "CREATE TABLE total (sale INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
          INSERT INTO total SELECT sale, sum(amount) FROM sale_line GROUP BY sale;
          CREATE INDEX sale_line_by_ware ON sale_line (ware, sale)",
};

/// The keys of an origin; those of number 1 are the authority's too.
pub fn keys(number: u32) -> Arc<SoftwareKeys> {
    let mut seed = [9; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    Arc::new(SoftwareKeys::from_seed(seed))
}

/// The row of a device.
pub fn row(number: u32, name: &str, role: Role) -> Row {
    let origin = Origin::new(number).expect("small numbers are origins");
    let device = DeviceId::new(name).expect("a good name");
    let store = if role == Role::Hq { 0 } else { 1 };
    Row::sign(origin, &device, store, role, "T1", keys(number).public(), keys(1).as_ref())
}

/// HQ.
pub fn hq() -> Row {
    row(1, "hq-w1", Role::Hq)
}

/// The back office of the one store.
pub fn back_office() -> Row {
    row(2, "s0001-b01", Role::BackOffice)
}

/// Its pos.
pub fn pos() -> Row {
    row(3, "s0001-p01", Role::Pos)
}

/// One device under trial.
#[derive(Clone)]
pub struct Subject {
    /// Which.
    pub row: Row,
    /// How its disk is set up.
    pub ways: Ways,
    /// A migration behind those that all have.
    pub newer: Option<Migration>,
}

impl Subject {
    /// A device with the schema that all have.
    pub fn new(row: Row, ways: Ways) -> Subject {
        Subject { row, ways, newer: None }
    }

    fn settings(&self, drive: &Drive) -> Settings {
        Settings {
            path: drive.path(FILE),
            vfs: Some(disk::VFS.to_owned()),
            identity: Identity {
                device: self.row.device.clone(),
                origin: self.row.origin,
                role: self.row.role,
                store: self.row.store,
                authority: keys(1).public(),
            },
            keys: keys(self.row.origin.get()),
            migrations: std::iter::once(workload::SCHEMA).chain(self.newer).collect(),
            cache_kib: self.ways.cache_kib,
        }
    }

    /// Starts on a disk.
    pub fn open(&self, drive: &Drive) -> Result<Replica, OpenError> {
        let replica = Replica::open(self.settings(drive))?;
        let pages = i64::from(self.ways.checkpoint_pages);
        // A disk without power fails here; the deed will say so.
        let _ = replica.db().pragma_update(None, "wal_autocheckpoint", pages);
        Ok(replica)
    }

    /// A disk on which this device has started, and has done some business.
    pub fn prepared(&self) -> Platter {
        disk::seed(Dice::new(1));
        let drive = Drive::mount(DISK);
        let mut replica = self.open(&drive).expect("the disk has power");
        replica.admit(&[hq(), back_office(), pos()]).expect("the disk has power");
        let before: i64 = if self.ways.hot { 9 } else { 2 };
        for no in 0..before {
            let deed = match self.row.role {
                Role::Hq => Deed::Price(vec![(no, Some(100 + no))]),
                Role::BackOffice => Deed::Move { store: 1, ware: no, quantity: 5 },
                Role::Pos => sale(no),
            };
            let done = replica.write(Millis(no), |tx| deed.run(tx, 1));
            assert!(done.is_ok(), "the disk has power");
        }
        if self.ways.hot {
            return drive.copy().survivors(Loss::Nothing, &mut Dice::new(1));
        }
        drop(replica);
        drive.copy()
    }

    /// What every disk must hold, and these promises.
    pub fn look(&self, drive: &Drive, promises: &[Promise]) -> Result<(), String> {
        let replica = self.open(drive).map_err(|cause| format!("it does not open: {cause}"))?;
        let db = replica.db();
        for check in [verdict::check_i02, verdict::check_i05, verdict::check_i07] {
            check(db)?;
        }
        let found: String = db
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(|cause| cause.to_string())?;
        if found != "ok" {
            return Err(found);
        }
        promises.iter().try_for_each(|promise| kept(&replica, promise))?;
        self.in_doubt(&replica, promises)
    }

    /// At most one entry may be there that nobody was told of.
    fn in_doubt(&self, replica: &Replica, promises: &[Promise]) -> Result<(), String> {
        let own = |promise: &Promise| match promise {
            Promise::Entry { origin, stream, seq, .. } if *origin == self.row.origin => {
                Some((*stream, *seq))
            }
            _ => None,
        };
        match promises.iter().filter_map(own).next_back() {
            Some((stream, seq)) if replica.head(stream, self.row.origin).seq > seq + 1 => {
                Err(format!("more than one entry behind {seq} was never promised"))
            }
            _ => Ok(()),
        }
    }
}

/// A sale of four lines.
pub fn sale(no: i64) -> Deed {
    Deed::Sell((1..=4).map(|line| (line, no % 3 + 1)).collect())
}

/// The promise of an entry that was written.
pub fn told(mark: EntryMark, origin: Origin) -> Promise {
    Promise::Entry { stream: mark.stream, origin, seq: mark.seq, chain: mark.hash }
}

/// Does these deeds one after another until one fails.
fn deeds(this: &Subject, drive: &Drive, tell: &mut Tell<'_, Promise>, deed: &dyn Fn(i64) -> Deed) {
    let Ok(mut replica) = this.open(drive) else { return };
    for no in 0..STEPS {
        match replica.write(Millis(50 + no), |tx| deed(no).run(tx, 1)).map(|done| done.entry) {
            Ok(Some(mark)) => tell(told(mark, this.row.origin)),
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// The disk of a pos after this many sales, and as it was before the last of them.
pub fn prepared_pos(ways: Ways, sales: i64) -> (Platter, Platter) {
    let this = Subject::new(pos(), ways);
    let drive = Drive::mount_copy(DISK, this.prepared());
    let mut replica = this.open(&drive).expect("the disk has power");
    let mut before = drive.copy();
    for no in 0..sales {
        before = drive.copy();
        assert!(replica.write(Millis(no), |tx| sale(no).run(tx, 1)).is_ok(), "the disk has power");
    }
    if !ways.hot {
        drop(replica);
    }
    let whole = |platter: Platter| platter.survivors(Loss::Nothing, &mut Dice::new(1));
    (whole(drive.copy()), whole(before))
}

/// An act on a prepared disk, and the look at what every disk must hold.
pub fn trial(
    name: &str,
    this: &Subject,
    start: Platter,
    act: impl Fn(&Drive, &mut Tell<'_, Promise>) + 'static,
) -> Trial<Promise> {
    let looks = this.clone();
    Trial {
        name: format!("{name} ({:?})", this.ways),
        start,
        act: Box::new(act),
        look: Box::new(move |drive, promises| looks.look(drive, promises)),
    }
}

/// All transactions of the engine, each in all ways.
pub fn all() -> Vec<Trial<Promise>> {
    WAYS.into_iter().flat_map(in_this_way).collect()
}

/// All transactions of the engine in one way.
pub fn in_this_way(ways: Ways) -> Vec<Trial<Promise>> {
    let own: Vec<Trial<Promise>> = vec![
        written("sale", Subject::new(pos(), ways), sale),
        written("sale with second thoughts", Subject::new(pos(), ways), |no| {
            Deed::SellWithSecondThoughts(vec![(no % 3 + 1, 2), (5, 1)])
        }),
        written("goods moved", Subject::new(back_office(), ways), |no| Deed::Move {
            store: 1,
            ware: no % 4 + 1,
            quantity: 7 - no,
        }),
        written("prices", Subject::new(hq(), ways), |no| {
            Deed::Price((1..=6).map(|ware| (ware, Some(100 * no + ware))).collect())
        }),
        written("a clerk of a store", Subject::new(hq(), ways), |no| Deed::Hire {
            store: 1,
            no: 101 + no % 2,
            name: no,
        }),
    ];
    let others = [first_start, newer_schema, admission, enrolment, revocation, large, emptied];
    let later = [frames, scrubbed, built_anew];
    own.into_iter()
        .chain(others.map(|make| make(ways)))
        .chain(later.map(|make| make(ways)))
        .collect()
}

fn written(name: &str, this: Subject, deed: impl Fn(i64) -> Deed + 'static) -> Trial<Promise> {
    let (start, acts) = (this.prepared(), this.clone());
    trial(name, &this, start, move |drive, tell| deeds(&acts, drive, tell, &deed))
}

fn first_start(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), ways);
    let acts = this.clone();
    trial("first start", &this, Platter::default(), move |drive, tell| {
        if let Ok(mut replica) = acts.open(drive)
            && replica.admit(&[hq(), pos()]).is_ok()
        {
            tell(Promise::Rows("SELECT count(*) FROM sync_admitted", 2));
        }
    })
}

fn newer_schema(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), ways);
    let start = this.prepared();
    let this = Subject { newer: Some(NEWER), ..this };
    let acts = this.clone();
    trial("newer schema", &this, start, move |drive, tell| {
        if acts.open(drive).is_ok() {
            tell(Promise::Rows("SELECT count(*) FROM total", 2));
        }
    })
}

fn admission(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(back_office(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial("admission", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        for no in 0..STEPS {
            let new = row(20 + no as u32, &format!("s0001-p{}", 20 + no), Role::Pos);
            if replica.admit(&[new]).is_err() {
                return;
            }
            tell(Promise::Rows("SELECT count(*) FROM sync_admitted", 4 + no));
        }
    })
}

/// Rows of the allow-list, written by HQ.
fn listed(name: &str, ways: Ways, make: fn(u32) -> Row) -> Trial<Promise> {
    let this = Subject::new(hq(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial(name, &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        for no in 0..STEPS as u32 {
            let row = make(no);
            match replica.write(Millis(60), |tx| allow_list::insert(tx, &row)) {
                Ok(done) => done.entry.into_iter().for_each(|mark| tell(told(mark, hq().origin))),
                Err(_) => return,
            }
        }
    })
}

fn enrolment(ways: Ways) -> Trial<Promise> {
    listed("enrolment", ways, |no| row(20 + no, &format!("s0001-p{}", 20 + no), Role::Pos))
}

fn revocation(ways: Ways) -> Trial<Promise> {
    listed("revocation", ways, |no| {
        let new = row(20 + no / 2, &format!("s0001-p{}", 20 + no / 2), Role::Pos);
        if no % 2 == 0 { new } else { new.in_state(State::Revoked, keys(1).as_ref()) }
    })
}

/// More than the cache holds, and the same pages again and again: frames are written over before the commit.
fn large(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(hq(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial("large write", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        let done = replica.write(Millis(60), |tx| {
            for round in 0..3 {
                for ware in 1..=150 {
                    tx.prepare_cached(
                        "INSERT INTO price VALUES (?1, ?2, printf('%180d', ?2)) ON CONFLICT (ware)
                         DO UPDATE SET amount = excluded.amount, label = excluded.label",
                    )?
                    .execute((ware * 7 % 151, 100 * round + ware))?;
                }
            }
            Ok::<(), rusqlite::Error>(())
        });
        if let Ok(mark) = done.map(|done| done.entry) {
            mark.into_iter().for_each(|mark| tell(told(mark, hq().origin)));
        }
    })
}

/// The log is emptied into the file.
fn emptied(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), Ways { checkpoint_pages: 0, ..ways });
    let (start, acts) = (this.prepared(), this.clone());
    trial("log emptied", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        for no in 0..STEPS {
            let done = replica.write(Millis(60), |tx| sale(no).run(tx, 1));
            let Ok(Some(mark)) = done.map(|done| done.entry) else { return };
            tell(told(mark, acts.row.origin));
            let mode = if no % 2 == 0 { "TRUNCATE" } else { "RESTART" };
            let emptied = format!("PRAGMA wal_checkpoint({mode})");
            if replica.db().query_row(&emptied, [], |_| Ok(())).is_err() {
                return;
            }
        }
    })
}

/// Frames of a pos and of HQ reach a back office, in slices.
fn frames(ways: Ways) -> Trial<Promise> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    for writer in [Subject::new(hq(), ways), Subject::new(pos(), ways)] {
        Drive::mount_copy(DISK, writer.prepared());
        let drive = Drive::mount_copy(DISK, writer.prepared());
        let replica = writer.open(&drive).expect("the disk has power");
        for stream in [Stream::CHAIN, Stream::store(1).expect("1 is a store")] {
            let head = replica.head(stream, writer.row.origin).seq;
            let frame = replica.cut(stream, writer.row.origin, 1).expect("the disk has power");
            assert!(head == 0 || frame.is_some(), "what is there can be sent");
            all.extend(frame.map(|frame| frame.encode()));
        }
    }
    let this = Subject::new(back_office(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial("frames applied", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        let mut queue: VecDeque<Incoming<()>> = all
            .iter()
            .map(|bytes| Incoming::new((), Frame::decode(bytes).expect("an honest frame")))
            .collect();
        while let Some((stream, origin)) =
            queue.front().map(|next| (next.frame.stream(), next.frame.origin()))
        {
            if replica.receive(Millis(70), &mut queue, Slice { rows: 7 }).is_err() {
                return;
            }
            let head = replica.head(stream, origin);
            tell(Promise::Entry { stream, origin, seq: head.seq, chain: head.chain });
        }
    })
}

/// Deeds with a scrub after each.
fn scrubbed(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), ways);
    let (start, acts) = (this.prepared(), this.clone());
    trial("scrub between sales", &this, start, move |drive, tell| {
        let Ok(mut replica) = acts.open(drive) else { return };
        let mut scrub = Scrub::new(1);
        for no in 0..STEPS {
            let done = replica.write(Millis(60), |tx| sale(no).run(tx, 1));
            let Ok(Some(mark)) = done.map(|done| done.entry) else { return };
            tell(told(mark, acts.row.origin));
            for step in 0..9 {
                match replica.scrub(&mut scrub, Millis(no * 9 + step)) {
                    Ok(found) => assert!(!found, "nothing has rotted here"),
                    Err(_) => return,
                }
            }
        }
    })
}

/// A rotten database is built anew. What was promised before holds, whether or not that came to its end.
fn built_anew(ways: Ways) -> Trial<Promise> {
    let this = Subject::new(pos(), ways);
    let mut start = this.prepared();
    let (old, new) = (format!("/{DISK}/{FILE}"), format!("/{DISK}/{ROTTEN}"));
    start.move_name(&old, &new);
    start.move_name(&format!("{old}-wal"), &format!("{new}-wal"));
    let build = move |this: &Subject, drive: &Drive| {
        rebuild::build(&drive.path(ROTTEN), this.settings(drive)).map(drop)
    };
    let (acts, looks) = (this.clone(), this.clone());
    let before: i64 = if ways.hot { 9 } else { 2 };
    let act = move |drive: &Drive, tell: &mut Tell<'_, Promise>| {
        if build(&acts, drive).is_ok() {
            tell(Promise::Built);
        }
    };
    let look = move |drive: &Drive, promises: &[Promise]| {
        if promises.is_empty() {
            for name in [old.clone(), format!("{old}-wal")] {
                let _ = drive.touch(|platter| platter.delete(&name));
            }
            build(&looks, drive).map_err(|cause| format!("it is not built anew: {cause}"))?;
        }
        looks.look(drive, &[Promise::Rows("SELECT count(*) FROM sale", before)])
    };
    Trial { look: Box::new(look), ..trial("built anew", &this, start, act) }
}
