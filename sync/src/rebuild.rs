//! Builds a database anew from what a rotten one still gives
//!
//! No page that fails its sum is served, here either. What does read is enough for most: the log holds every entry, so
//! the tables are made from it again, and what belongs to this device alone is copied row by row. An entry that does not
//! read is missing in the new database too; peers give it back, or it is named as lost.

use crate::{
    ahead,
    allow_list::{self, Row},
    apply::{self, ParkedKeys, Prepared, Scope},
    capture::{Mode, hold},
    changelog::{self, Appender},
    entry_reader::Reader,
    floor,
    hlc::Millis,
    identity::Settings,
    lacking,
    open::{self, OpenError},
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    replica::Replica,
    rot::{beside, mark_beside},
    salvage::{BLOBS, Copied, legible},
    seal::Seal,
    take_in::{careful, park},
    version::first8,
    writer::WriterState,
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Entries of one transaction.
const ENTRIES_AT_ONCE: u64 = 500;

/// What a rotten database has given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Salvage {
    /// Entries that are in the new database.
    pub entries: u64,
    /// Rows of tables that are not replicated.
    pub rows: u64,
    /// Where the log did not read on.
    pub missing: Vec<Missing>,
    /// Tables of which some rows did not read.
    pub torn_tables: Vec<String>,
    /// Whether not even the list of lanes did read.
    pub is_blind: bool,
    /// Whether rows of the trade are missing that the log here does not give back: the device goes on under another
    /// origin, with a snapshot.
    pub is_torn: bool,
}

/// Entries that did not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Whose.
    pub origin: Origin,
    /// Of which stream.
    pub stream: Stream,
    /// The first of them; all behind it are missing too.
    pub from: u64,
}

impl Salvage {
    fn add(&mut self, copied: Copied) {
        self.rows += copied.rows;
        self.torn_tables.extend(copied.torn);
    }

    /// Whether all entries that this origin has written are there.
    pub fn has_all_of(&self, origin: Origin) -> bool {
        !self.is_blind && self.missing.iter().all(|missing| missing.origin != origin)
    }
}

/// Opens the database of a device; if it has rotted, it is built anew first, and the rotten one lies beside it.
pub fn open(settings: impl Fn() -> Settings) -> Result<(Replica, Option<Salvage>), OpenError> {
    let path = settings().path;
    let failed = |cause: io::Error| OpenError::Lock { path: path.clone(), cause };
    let alone = || settings().vfs.is_none().then(|| open::lock(&path)).transpose();
    let held = alone()?;
    take_place(&path).map_err(failed)?;
    drop(held);
    if !mark_beside(&path).exists() {
        match Replica::open(settings()) {
            Err(cause) if cause.is_rot() => {}
            opened => return opened.map(|replica| (replica, None)),
        }
    }
    // Two processes that build at once would take each other's files away.
    let held = alone()?;
    let new = beside(&path, ".new");
    clear(&new).map_err(failed)?;
    let to_new = || Settings { path: new.clone(), ..settings() };
    let salvage = match build_from(&path, to_new(), Torn::Refused) {
        // HQ has no parent that could give it a snapshot.
        Err(OpenError::NeedsSnapshot { .. }) if settings().identity.role != Role::Hq => {
            clear(&new).map_err(failed)?;
            build_from(&path, to_new(), Torn::Left)?
        }
        built => built?,
    };
    sync_folder(&path).map_err(failed)?;
    fs::rename(&new, beside(&path, ".ready")).map_err(failed)?;
    take_place(&path).map_err(failed)?;
    drop(held);
    Ok((Replica::open(settings())?, Some(salvage)))
}

/// The origin that a database belongs to, as far as it reads. One that has rotted can be asked too.
pub fn origin_of(path: &Path, vfs: Option<&str>) -> Option<Origin> {
    let db = open::salvage(path, vfs).ok()?;
    let sql = "SELECT value FROM sync_meta WHERE name = 'origin'";
    db.query_row(sql, [], |row| row.get(0)).ok().and_then(Origin::new)
}

/// Puts a database that is ready into the place of the rotten one. Begun again after a power cut, it ends the same.
fn take_place(path: &Path) -> io::Result<()> {
    let ready = beside(path, ".ready");
    if !ready.exists() {
        return Ok(());
    }
    for ending in ["", "-wal"] {
        let (rotten, aside) = (beside(path, ending), beside(path, &format!(".aside{ending}")));
        if rotten.exists() {
            fs::rename(rotten, aside)?;
        }
    }
    remove(&beside(path, "-shm"))?;
    remove(&mark_beside(path))?;
    sync_folder(path)?;
    fs::rename(ready, path)?;
    sync_folder(path)
}

fn remove(path: &PathBuf) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Removes a database that was begun.
fn clear(new: &Path) -> io::Result<()> {
    ["", "-wal", "-shm"].into_iter().try_for_each(|ending| remove(&beside(new, ending)))
}

/// Names are durable once their folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// What is done where the log does not reach back to what a torn table held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Torn {
    /// Nothing is built.
    Refused,
    /// What reads is kept as that of a device that was set back: it gets another origin, and under that one a snapshot
    /// from its parent. What nobody had of its own entries is written anew then.
    Left,
}

/// Builds a new database at the path of the settings from a rotten one, and closes it.
pub fn build(rotten: &Path, settings: Settings) -> Result<Salvage, OpenError> {
    build_from(rotten, settings, Torn::Refused)
}

fn build_from(rotten: &Path, settings: Settings, torn: Torn) -> Result<Salvage, OpenError> {
    let path = settings.path.clone();
    let failed = |cause| OpenError::Sqlite { path: path.clone(), cause };
    let old = open::salvage(rotten, settings.vfs.as_deref())?;
    let mut new = Replica::open(settings)?;
    let mut salvage = Salvage::default();
    new.salvage_admission(&old).map_err(failed)?;
    let (lanes, is_whole) = lanes(&old).map_err(failed)?;
    salvage.is_blind = !is_whole;
    let is_trimmed = is_trimmed(&old, &lanes).map_err(failed)?;
    if !is_trimmed {
        // First what lies beside the log: so it shows what no entry finds any more.
        salvage.add(new.salvage_blobs(&old).map_err(failed)?);
        new.salvage_lanes(&old, lanes, &mut salvage).map_err(failed)?;
        new.retry_parked().map_err(failed)?;
    }
    salvage.add(new.salvage_tables(&old, is_trimmed).map_err(failed)?);
    if is_trimmed && !salvage.torn_tables.is_empty() {
        salvage.is_torn = salvage.torn_tables != [BLOBS];
        let log_is_torn = salvage.torn_tables.iter().any(|table| table.starts_with("sync_"));
        if salvage.is_torn && (torn == Torn::Refused || log_is_torn) {
            return Err(OpenError::NeedsSnapshot { path: rotten.to_owned() });
        }
        new.list_lacking().map_err(failed)?;
    }
    let own = new.identity().origin;
    if salvage.is_torn {
        new.mark_torn().map_err(failed)?;
    }
    if salvage.is_torn || !salvage.has_all_of(own) {
        // Whoever has heard of what is missing here would see other entries under the same numbers.
        let heads = changelog::heads(&new.db).map_err(failed)?;
        let newest = heads.iter().filter(|((_, origin), ..)| *origin == own);
        let ticket =
            newest.fold(1, |ticket, (_, head, _)| ticket ^ u64::from_be_bytes(first8(&head.chain)));
        new.stop_writing(WriterState::Stale, ticket).map_err(failed)?;
    }
    let emptied = new.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    match emptied.map_err(failed)? {
        0 => Ok(salvage),
        busy => {
            assert_eq!(busy, 1, "a log is in the file or it is not");
            Err(OpenError::InUse { path })
        }
    }
}

/// All lanes of a log, the chain first, as it names who counts; and whether the list has read to its end.
fn lanes(old: &Connection) -> rusqlite::Result<(Vec<(Origin, Stream)>, bool)> {
    let sql = "SELECT origin, stream FROM sync_lane ORDER BY stream, origin";
    let mut lanes = Vec::new();
    let Some(mut select) = legible(old.prepare(sql))? else { return Ok((lanes, false)) };
    let mut rows = select.query([])?;
    loop {
        let Some(row) = legible(rows.next())? else { return Ok((lanes, false)) };
        let Some(row) = row else { return Ok((lanes, true)) };
        if let (Some(origin), Some(stream)) =
            (Origin::new(row.get(0)?), Stream::from_number(row.get(1)?))
        {
            lanes.push((origin, stream));
        }
    }
}

/// Whether the beginning of a lane is gone because everybody has it: the tables cannot be made from the log alone.
fn is_trimmed(old: &Connection, lanes: &[(Origin, Stream)]) -> rusqlite::Result<bool> {
    for (origin, stream) in lanes {
        let is_trimmed = match legible(floor::floor(old, *stream, *origin))? {
            Some(floor) => floor.seq > 0,
            None => legible(kept(old, *origin, *stream, 1))?.flatten().is_none(),
        };
        if is_trimmed {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An entry of a log that may not read.
struct Kept {
    entry: Vec<u8>,
    next_counter: Option<u64>,
}

/// The entry with this seq; an error where it cannot be known whether there is one.
fn kept(
    old: &Connection,
    origin: Origin,
    stream: Stream,
    seq: u64,
) -> rusqlite::Result<Option<Kept>> {
    old.prepare_cached(
        "SELECT entry, next_counter FROM sync_log WHERE id =
         (SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2) << 40 | ?3",
    )?
    .query_row((origin.get(), stream.number(), seq.cast_signed()), |row| {
        let next_counter = row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned);
        Ok(Kept { entry: row.get(0)?, next_counter })
    })
    .optional()
}

impl Replica {
    fn salvage_admission(&mut self, old: &Connection) -> rusqlite::Result<()> {
        let mut rows: Vec<Vec<u8>> = Vec::new();
        if let Some(mut select) = legible(old.prepare("SELECT row FROM sync_admitted"))? {
            let mut found = select.query([])?;
            while let Some(Some(row)) = legible(found.next())? {
                rows.push(row.get(0)?);
            }
        }
        let mut rows: Vec<_> = rows.iter().filter_map(|row| Row::from_bytes(row).ok()).collect();
        // HQ admits itself by its own first entry.
        let listed = allow_list::all(old, &self.identity().authority).unwrap_or_default();
        rows.extend(listed.into_iter().filter(|row| row.role == Role::Hq));
        self.admit(&rows).map(drop)
    }

    /// Applies the entries of all lanes again. Those of some name who counts, and so which others can be applied.
    fn salvage_lanes(
        &mut self,
        old: &Connection,
        mut lanes: Vec<(Origin, Stream)>,
        salvage: &mut Salvage,
    ) -> rusqlite::Result<()> {
        while let Some(next) =
            lanes.iter().position(|(origin, _)| self.origins.known.contains_key(origin))
        {
            let (origin, stream) = lanes.remove(next);
            self.salvage_lane(old, origin, stream, salvage)?;
            self.learn_who_counts()?;
        }
        let left = lanes.into_iter();
        salvage.missing.extend(left.map(|(origin, stream)| Missing { origin, stream, from: 1 }));
        Ok(())
    }

    /// Applies the entries of a lane again, as far as they read.
    fn salvage_lane(
        &mut self,
        old: &Connection,
        origin: Origin,
        stream: Stream,
        salvage: &mut Salvage,
    ) -> rusqlite::Result<()> {
        let own = origin == self.identity().origin;
        if own && planted::is(Fault::RebuildForgetsOwn) {
            return Ok(());
        }
        loop {
            hold(&self.capture).enter(Mode::Engine);
            let done = self.salvage_run(old, origin, stream);
            hold(&self.capture).enter(Mode::Outside);
            let (taken, is_end) = done?;
            salvage.entries += taken;
            if let Some(whole) = is_end {
                if !whole {
                    let from = self.head(stream, origin).seq + 1;
                    salvage.missing.push(Missing { origin, stream, from });
                }
                break;
            }
        }
        self.salvage_seals(old, origin, stream)
    }

    /// One transaction of it: how many entries, and at the end of the lane whether all of it has read.
    fn salvage_run(
        &mut self,
        old: &Connection,
        origin: Origin,
        stream: Stream,
    ) -> rusqlite::Result<(u64, Option<bool>)> {
        let own = origin == self.identity().origin;
        let Some(writer) = self.known(origin).cloned() else { return Ok((0, Some(false))) };
        let mut head = self.head(stream, origin);
        let first = head.seq;
        let mut parked = ParkedKeys::new();
        let deaf = self.hook.deaf();
        let tx = self.db.transaction()?;
        let mut end = None;
        let mut log = Appender::new(&tx)?;
        let mut prepared = Prepared::new(&tx);
        while end.is_none() && head.seq - first < ENTRIES_AT_ONCE {
            let next = match legible(kept(old, origin, stream, head.seq + 1))? {
                Some(Some(next)) => next,
                Some(None) => {
                    end = Some(!goes_on(old, origin, stream, head.seq)?);
                    break;
                }
                None => {
                    end = Some(false);
                    break;
                }
            };
            if head.lane == 0 {
                head.lane = changelog::lane(&tx, stream, origin)?;
            }
            let behind = [&self.parked, &parked];
            let scope = Scope { db: &tx, tables: &self.tables, parked: &behind, now: Millis(0) };
            let done = careful(&scope, &mut prepared, &writer, stream, &next.entry)?;
            let stamp =
                Reader::open(&next.entry, origin).map_or(head.stamp, |entry| entry.header().stamp);
            head = head.then(origin, stream, &next.entry, stamp);
            log.append(&head, &next.entry, next.next_counter.filter(|_| own))?;
            lacking::note(&tx, &self.tables, (origin, stream, head.seq), &next.entry)?;
            match done {
                Ok(done) if done.ahead => {
                    ahead::list(&tx, stream, origin, head.seq, self.tables.epoch())?;
                }
                Ok(_) => {}
                Err(why) => {
                    parked.extend(apply::wanted_keys(&self.tables, origin, &next.entry));
                    park(&tx, (origin, stream, head.seq), &why, Millis(0))?;
                }
            }
        }
        if !own && head.seq > first {
            changelog::set_head(&tx, stream, origin, &head)?;
        }
        drop((log, prepared));
        tx.commit()?;
        drop(deaf);
        if head.seq > 0 {
            self.heads.insert((stream, origin), head);
        }
        self.parked.extend(parked);
        Ok((head.seq - first, end))
    }

    /// Keeps the seals under which these entries are passed on.
    fn salvage_seals(
        &mut self,
        old: &Connection,
        origin: Origin,
        stream: Stream,
    ) -> rusqlite::Result<()> {
        let head = self.head(stream, origin);
        let mut seals: Vec<(Seal, u64)> = Vec::new();
        let sql = "SELECT seq, session, age, signature, bytes FROM sync_seal
                   WHERE origin = ?1 AND stream = ?2 AND seq <= ?3 ORDER BY seq";
        let Some(mut select) = legible(old.prepare(sql))? else { return Ok(()) };
        let mut rows = select.query((origin.get(), stream.number(), head.seq.cast_signed()))?;
        while let Some(Some(row)) = legible(rows.next())? {
            let seal = Seal {
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                session: row.get::<_, i64>(1)?.cast_unsigned(),
                age: row.get(2)?,
                signature: row.get(3)?,
            };
            seals.push((seal, row.get::<_, i64>(4)?.cast_unsigned()));
        }
        self.keep_house(|db| {
            seals.iter().try_for_each(|(seal, bytes)| {
                changelog::keep_seal(db, stream, origin, seal, *bytes)
            })
        })
    }
}

/// Whether a lane has entries behind a place, or that cannot be known.
fn goes_on(old: &Connection, origin: Origin, stream: Stream, seq: u64) -> rusqlite::Result<bool> {
    let found = old
        .prepare_cached(
            "SELECT 1 FROM sync_log, (SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2)
             WHERE id > (lane << 40 | ?3) AND id < (lane + 1) << 40 LIMIT 1",
        )
        .and_then(|mut select| {
            select
                .query_row((origin.get(), stream.number(), seq.cast_signed()), |_| Ok(()))
                .optional()
        });
    Ok(legible(found)?.is_none_or(|behind| behind.is_some()))
}
