//! Bits that flip on a disk, and whether they are served
//!
//! A flipped bit must be noticed: by whoever reads it, or by the scrub. In the log of a device that is off there is one
//! exception. A break in its last transaction looks like the torn end that a power cut leaves; then that transaction is
//! gone as a whole, and nothing else.

use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::engine_trials::{Ways, prepared_pos};
use crate::platter::Platter;
use crate::trials::DISK;
use rusqlite::{Connection, types::ValueRef};
use selvedge_sync::open;
use selvedge_sync::origin::Origin;
use selvedge_sync::page_check::{self, PageState};
use selvedge_sync::page_sum::PAGE_BYTES;
use std::fmt;

/// Bytes of a sector, which a disk loses at once.
const SECTOR_BYTES: usize = 512;

/// What was broken, and who noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Single bits that were flipped.
    pub flips: u64,
    /// Sectors of zeros and pages in the place of others.
    pub losses: u64,
    /// Breaks that a read was refused for.
    pub at_read: u64,
    /// Breaks that only the scrub has met.
    pub by_scrub: u64,
    /// Breaks in the last transaction of a log, taken for its torn end.
    pub torn_ends: u64,
    /// What was served and is not what was written, or what nobody noticed.
    pub missed: Vec<String>,
}

impl Noticed {
    /// Adds another count.
    pub fn add(&mut self, other: Noticed) {
        self.flips += other.flips;
        self.losses += other.losses;
        self.at_read += other.at_read;
        self.by_scrub += other.by_scrub;
        self.torn_ends += other.torn_ends;
        self.missed.extend(other.missed);
    }
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Noticed { flips, losses, at_read, by_scrub, torn_ends, missed } = self;
        let missed = missed.len();
        write!(
            f,
            "{flips} flips, {losses} sectors and pages lost: {at_read} noticed at a read, {by_scrub} by the scrub, {torn_ends} taken for a torn end, {missed} missed"
        )
    }
}

/// A database to break, and what it says when it is whole.
pub struct Victim {
    start: Platter,
    name: String,
    whole: [u8; 32],
    /// What it says without its last transaction, where that may be.
    without_last: Option<[u8; 32]>,
}

impl Victim {
    /// A database whose log is in the file.
    pub fn file() -> Victim {
        let (start, _) =
            prepared_pos(Ways { cache_kib: 1_024, checkpoint_pages: 1, hot: false }, 60);
        let whole = said(&start).unwrap_or_default();
        Victim { start, name: path(""), whole, without_last: None }
    }

    /// The log of a database that was not closed.
    pub fn log() -> Victim {
        let (start, before) =
            prepared_pos(Ways { cache_kib: 1_024, checkpoint_pages: 1_000, hot: true }, 8);
        let whole = said(&start).unwrap_or_default();
        Victim { name: path("-wal"), whole, without_last: said(&before).ok(), start }
    }

    fn bytes(&self) -> usize {
        self.start.find(&self.name).map_or(0, |file| self.start.length(file))
    }

    /// Flips this many bits, each on a whole copy.
    pub fn flip(&self, count: u64, dice: &mut Dice) -> Noticed {
        let mut noticed = Noticed::default();
        for _ in 0..count {
            let bit = dice.below(self.bytes() as u64 * 8) as usize;
            let mut broken = self.start.clone();
            assert!(broken.flip(&self.name, bit), "the bit is there");
            noticed.flips += 1;
            self.judge(broken, &format!("bit {bit} of {}", self.name), &mut noticed);
        }
        noticed
    }

    /// Loses this many sectors, and puts this many pages in the place of others.
    pub fn lose(&self, count: u64, dice: &mut Dice) -> Noticed {
        let mut noticed = Noticed::default();
        let read = |at: usize, bytes: usize| {
            let mut out = vec![0; bytes];
            let found = self.start.find(&self.name).map(|file| self.start.read(file, at, &mut out));
            assert!(matches!(found, Some(Ok(length)) if length == bytes), "the bytes are there");
            out
        };
        for _ in 0..count {
            let sector = dice.below((self.bytes() / SECTOR_BYTES) as u64) as usize * SECTOR_BYTES;
            if read(sector, SECTOR_BYTES).iter().any(|byte| *byte != 0) {
                let mut broken = self.start.clone();
                broken.overwrite(&self.name, sector, &[0; SECTOR_BYTES]);
                noticed.losses += 1;
                self.judge(broken, &format!("the sector at {sector}"), &mut noticed);
            }
            let pages = (self.bytes() / PAGE_BYTES) as u64;
            let (from, to) = (dice.below(pages) as usize, dice.below(pages) as usize);
            let page = read(from * PAGE_BYTES, PAGE_BYTES);
            if page != read(to * PAGE_BYTES, PAGE_BYTES) {
                let mut broken = self.start.clone();
                broken.overwrite(&self.name, to * PAGE_BYTES, &page);
                noticed.losses += 1;
                self.judge(broken, &format!("page {from} in the place of {to}"), &mut noticed);
            }
        }
        noticed
    }

    fn judge(&self, broken: Platter, what: &str, noticed: &mut Noticed) {
        match said(&broken) {
            Err(_) => noticed.at_read += 1,
            Ok(now) if now == self.whole && is_found_by_scrub(broken) => noticed.by_scrub += 1,
            Ok(now) if self.without_last == Some(now) => noticed.torn_ends += 1,
            Ok(now) if now == self.whole => noticed.missed.push(format!("{what}: nobody noticed")),
            Ok(_) => noticed.missed.push(format!("{what}: something else was served")),
        }
    }
}

fn path(ending: &str) -> String {
    format!("/{DISK}/replica.db{ending}")
}

fn open(platter: Platter) -> Result<Connection, String> {
    let drive = Drive::mount_copy(DISK, platter);
    let nobody = Origin::new(1).expect("1 is an origin");
    open::reader(&drive.path("replica.db"), Some(disk::VFS), nobody)
        .map_err(|cause| cause.to_string())
}

/// A hash of everything that can be asked of a database, or why it does not answer.
fn said(platter: &Platter) -> Result<[u8; 32], String> {
    let db = open(platter.clone())?;
    let mut all = blake3::Hasher::new();
    let text = |cause: rusqlite::Error| cause.to_string();
    let names: Vec<String> = db
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .and_then(|mut names| names.query_map([], |row| row.get(0))?.collect())
        .map_err(text)?;
    for name in names {
        let mut select = db.prepare(&format!("SELECT * FROM \"{name}\"")).map_err(text)?;
        let columns = select.column_count();
        let mut rows = select.query([]).map_err(text)?;
        while let Some(row) = rows.next().map_err(text)? {
            for column in 0..columns {
                match row.get_ref(column).map_err(text)? {
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => all.update(bytes),
                    ValueRef::Integer(number) => all.update(&number.to_be_bytes()),
                    _ => all.update(b"-"),
                };
            }
        }
    }
    let found: String =
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(text)?;
    if found == "ok" { Ok(*all.finalize().as_bytes()) } else { Err(found) }
}

fn is_found_by_scrub(platter: Platter) -> bool {
    let Ok(db) = open(platter) else { return true };
    if db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).is_err() {
        return true;
    }
    (1..)
        .map(|page| page_check::look(&db, page))
        .take_while(|page| *page != PageState::Absent)
        .any(|page| page == PageState::Rotten)
}
