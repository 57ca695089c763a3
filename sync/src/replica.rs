//! A database that replicates: open, write, read
//!
//! There is one door for writes. The caller runs plain SQL inside
//! [`Replica::write`]; the hook has heard which rows were touched, and the
//! entry is written in the same transaction. Nobody can forget to log.

use crate::{
    allow_list::Row,
    apply::ParkedKeys,
    bring_up::bring_up,
    capture::{self, Capture, Difference, DifferenceError, Mode, TouchedRows, hold, watch},
    changelog::{self, Appender, LogHead},
    device_keys::DeviceKeys,
    entry::{self, Header, RowChange},
    escrow,
    evidence::{self, Ends},
    ext::Ext,
    floor::{self, Floors},
    generations::Lineage,
    hlc::{Clock, Millis, Stamp},
    identity::{Identity, Settings},
    lost::{self, LostValue},
    marking,
    open::{self, OpenError},
    origin::{Origin, Stream},
    origins::Origins,
    outcome::{Committed, EntryMark, WriteError, in_doubt, not_committed},
    page_check,
    permit::{check_ids, one_stream},
    person_keys::PersonKeys,
    planted::{self, Fault},
    preupdate::Hook,
    private, right_moves,
    row_id::{self, Counter},
    tables::{self, Tables},
    value::Value,
    version::Head,
    writer::{Writer, WriterState},
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

/// A database that replicates.
pub struct Replica {
    // Dropped before the connection: the hook uses its handle.
    pub(crate) hook: Hook,
    pub(crate) db: Connection,
    pub(crate) capture: Arc<Mutex<Capture>>,
    pub(crate) tables: Tables,
    pub(crate) identity: Identity,
    pub(crate) keys: Arc<dyn DeviceKeys>,
    pub(crate) counter: Counter,
    pub(crate) clock: Clock,
    pub(crate) heads: BTreeMap<(Stream, Origin), LogHead>,
    pub(crate) origins: Origins,
    /// How often the origins were read: whoever looks at them sees that they may have changed.
    pub(crate) origins_read: u64,
    pub(crate) limits_changed: u64,
    pub(crate) beyond_is_stated: bool,
    pub(crate) evidence_ends: Ends,
    pub(crate) writer: Writer,
    pub(crate) writes_anew: bool,
    /// The databases of the origins that this one goes on from, oldest first.
    pub(crate) predecessors: Vec<(PathBuf, Origin)>,
    pub(crate) floors: Floors,
    /// Where the last frame of each log ended. A log only grows while it is open, unless a snapshot takes its place.
    pub(crate) last_cuts: RefCell<BTreeMap<(Stream, Origin), Head>>,
    pub(crate) lineage: Lineage,
    pub(crate) parked: ParkedKeys,
    halted: Option<String>,
    pub(crate) rotten: Option<(PathBuf, Origin)>,
    path: PathBuf,
    pub(crate) vfs: Option<String>,
    pub(crate) person_keys: Option<PersonKeys>,
    _lock: Option<File>,
}

impl Replica {
    /// Opens or creates the database of this device, and locks it against a second process.
    pub fn open(settings: Settings) -> Result<Replica, OpenError> {
        let Settings { path, vfs, identity, keys, migrations, cache_kib } = settings;
        let lock = if vfs.is_none() { Some(open::lock(&path)?) } else { None };
        let failed = |cause| OpenError::Sqlite { path: path.clone(), cause };
        let mut db = open::writer(&path, vfs.as_deref(), cache_kib)?;
        let counter = Counter::default();
        bring_up(&mut db, &path, identity.origin, &counter, migrations)?;
        open::claim(&db, &path, identity.origin)?;
        let tables = Tables::load(&db)?;
        let virtual_tables = tables::has_virtual(&db).map_err(failed)?;
        // A statement that was prepared before the hook would escape it.
        db.flush_prepared_statement_cache();
        let capture = Arc::new(Mutex::new(Capture::new(tables.clone(), virtual_tables)));
        let hook = watch(&mut db, &capture).map_err(failed)?;
        let heads = changelog::heads(&db).map_err(failed)?;
        let next = heads.iter().filter_map(|head| head.2).max().unwrap_or(1);
        counter.set(if planted::is(Fault::RowIdsDrawnAgain) { 1 } else { next });
        let floors = floor::all(&db).map_err(failed)?;
        let newest = heads.iter().map(|head| head.1.stamp).max().unwrap_or(Stamp(0));
        let newest = if planted::is(Fault::StampForgotten) { Stamp(0) } else { newest };
        let evidence_ends = evidence::ends(&db).map_err(failed)?;
        let writer = Writer::load(&db).map_err(failed)?;
        let mut replica = Replica {
            hook,
            db,
            capture,
            tables,
            identity,
            keys,
            counter,
            clock: Clock::starting_at(newest),
            heads: heads.into_iter().map(|(key, head, _)| (key, head)).collect(),
            origins: Origins::default(),
            origins_read: 0,
            limits_changed: 0,
            beyond_is_stated: false,
            evidence_ends,
            writer,
            writes_anew: false,
            predecessors: Vec::new(),
            floors,
            last_cuts: RefCell::default(),
            lineage: Lineage::default(),
            parked: ParkedKeys::new(),
            halted: None,
            rotten: None,
            path,
            vfs,
            person_keys: None,
            _lock: lock,
        };
        replica.get_ready()?;
        Ok(replica)
    }

    /// Takes up what the last stop, another build or another allow-list has left.
    fn get_ready(&mut self) -> Result<(), OpenError> {
        let ready = self
            .look_for_recall()
            .and_then(|()| self.learn_who_counts())
            .and_then(|()| self.project_ahead())
            .and_then(|()| self.retry_parked());
        ready.map_err(|cause| OpenError::Sqlite { path: self.path.clone(), cause })?;
        let Err(cause) = self.forget_the_erased() else { return Ok(()) };
        if page_check::has_met_rot(&self.db) {
            return Err(OpenError::rot_in(self.path.clone()));
        }
        let path = PersonKeys::path_beside(&self.path);
        Err(OpenError::Erasure { path, cause: cause.to_string() })
    }

    /// Keeps the rows of an admission, so that what HQ and this store send can be checked from the
    /// first frame on. A row that HQ has not signed is passed over; the answer counts the rows kept.
    pub fn admit(&mut self, rows: &[Row]) -> rusqlite::Result<usize> {
        let authority = self.identity.authority;
        let kept: Vec<&Row> = rows.iter().filter(|row| row.verify(&authority).is_ok()).collect();
        self.keep_house(|db| {
            for row in &kept {
                let origin = row.origin.get();
                let before: Option<Vec<u8>> = db
                    .query_row(
                        "SELECT row FROM sync_admitted WHERE origin = ?1",
                        [origin],
                        |found| found.get(0),
                    )
                    .optional()?;
                let before = before.and_then(|bytes| Row::from_bytes(&bytes).ok());
                if before.is_none_or(|before| before.version <= row.version) {
                    db.execute(
                        "INSERT OR REPLACE INTO sync_admitted (origin, row) VALUES (?1, ?2)",
                        (origin, row.to_bytes()),
                    )?;
                }
            }
            Ok(())
        })?;
        self.learn_who_counts()?;
        Ok(kept.len())
    }

    /// Runs a deed in one transaction and writes its entry in the same one. Durable when it returns
    /// `Ok`; `now` is the wall clock.
    pub fn write<T, E>(
        &mut self,
        now: Millis,
        deed: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<Committed<T>, WriteError<E>> {
        self.write_with(now, Ext::NONE, deed)
    }

    /// The same, and the entry says more about itself: of which act in two streams it is a part, or what led to it.
    pub fn write_with<T, E>(
        &mut self,
        now: Millis,
        ext: Ext,
        deed: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<Committed<T>, WriteError<E>> {
        match self.writer_state() {
            WriterState::Ready => self.write_anyhow(now, ext, deed),
            _ if self.halted.is_some() => self.write_anyhow(now, ext, deed),
            state => Err(WriteError::MayNotWrite(state)),
        }
    }

    /// Writes whether or not the trade may: for what the engine itself writes anew.
    pub(crate) fn write_anyhow<T, E>(
        &mut self,
        now: Millis,
        ext: Ext,
        deed: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<Committed<T>, WriteError<E>> {
        if let Some(reason) = &self.halted {
            return Err(WriteError::Halted(reason.clone()));
        }
        if let Some(reason) = &self.lineage.stale {
            return Err(WriteError::Stale(reason.clone()));
        }
        let base = self.counter.next();
        hold(&self.capture).enter(Mode::Local);
        let done = self.attempt(now, base, ext, deed);
        hold(&self.capture).enter(Mode::Outside);
        match &done {
            Ok(_) => {}
            Err(WriteError::InDoubt(cause)) => self.halted = Some(cause.to_string()),
            Err(_) => self.counter.set(base),
        }
        if done.is_err() {
            self.notice_rot();
        }
        done
    }

    fn attempt<T, E>(
        &mut self,
        now: Millis,
        base: u64,
        ext: Ext,
        deed: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<Committed<T>, WriteError<E>> {
        let tx = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(not_committed)?;
        let changes_before = tx.total_changes();
        let value = deed(&tx).map_err(WriteError::Refused)?;
        let changed = tx.total_changes() - changes_before;
        let touched = hold(&self.capture).take_touched(changed)?;
        let origin = self.identity.origin;
        let rows = changes(&tx, &self.tables, origin, &self.capture, &touched)?;
        if rows.is_empty() {
            tx.commit().map_err(in_doubt)?;
            return Ok(Committed { value, entry: None });
        }
        let drawn = base..self.counter.next();
        if !self.writes_anew {
            check_ids(&self.tables, self.identity.origin, &drawn, &rows)?;
            // What was once committed is not refused when it is written anew, also when the person was erased since.
            private::check_write(&tx, &self.tables, &rows)?;
        }
        let stream = one_stream(&self.tables, &self.identity, &rows)?;
        let key = (stream, origin);
        let head = newest(&self.heads, &tx, key).map_err(not_committed)?;
        let skipped = u64::from(planted::is(Fault::SeqGap) && head.seq % 16 == 15);
        let head = LogHead { seq: head.seq + skipped, ..head };
        let mut clock = self.clock.clone();
        let mut stamp = clock.tick(now);
        if planted::is(Fault::WallClock) {
            stamp = Stamp::at(now);
        }
        check_rights(&tx, &self.identity, stamp, &rows)?;
        let header = Header { epoch: self.tables.epoch(), stamp, base };
        let left_out = usize::from(planted::is(Fault::RowLeftOut) && rows.len() > 3);
        let logged = &rows[..rows.len() - left_out];
        let bytes = entry::encode(origin, header, &ext, logged, |table| {
            &self.tables.numbered(table).expect("captured tables are declared").layout
        })?;
        let next = head.then(origin, stream, &bytes, stamp);
        if self.tables.has_private() {
            private::bind(&tx, stream, origin, next.seq, &bytes)?;
        }
        let logged = Appender::new(&tx)
            .and_then(|mut log| log.append(&next, &bytes, Some(self.counter.next())));
        logged.map_err(not_committed)?;
        let committed = commit(tx);
        if !planted::is(Fault::WriteAckedUncommitted) {
            committed.map_err(in_doubt)?;
        }
        assert_eq!(next.seq, head.seq + 1, "seq has no gaps");
        self.heads.insert(key, next);
        self.clock = clock;
        if rows.iter().any(|row| tables::says_who_counts(row.table)) {
            self.learn_who_counts().map_err(WriteError::InDoubt)?;
        }
        drop(rows);
        hold(&self.capture).reuse(touched);
        let entry = EntryMark { stream, seq: next.seq, stamp, hash: next.chain };
        Ok(Committed { value, entry: Some(entry) })
    }

    /// The id that the first `row_id()` of the next write will give: a person's key must be kept before what it locks.
    pub fn next_row_id(&self) -> i64 {
        row_id::pack(self.identity.origin, self.counter.next())
    }

    /// The time that leases are measured by: a wall clock that was set back does not make one longer.
    pub fn lease_time(&self, now: Millis) -> i64 {
        now.0.max(self.clock.last().ms())
    }

    /// Changes the engine's own tables; replicated ones are not captured here.
    pub(crate) fn keep_house<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        hold(&self.capture).enter(Mode::Engine);
        let done = (|| {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })();
        hold(&self.capture).enter(Mode::Outside);
        if done.is_err() {
            self.notice_rot();
        }
        done
    }

    /// Reads again which origins count, and how far.
    pub(crate) fn learn_who_counts(&mut self) -> rusqlite::Result<()> {
        let origins = Origins::read(&self.db, &self.identity.authority)?;
        let before = std::mem::replace(&mut self.origins, origins);
        self.origins_read += 1;
        self.limits_changed += u64::from(!self.origins.has_limits_of(&before));
        self.beyond_is_stated = false;
        self.learn_generations()?;
        self.look_back()
    }

    /// Says that no write may follow before the database is opened again.
    pub(crate) fn halt(&mut self, reason: String) {
        self.halted = Some(reason);
    }

    /// Why no write is taken, if so.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }

    /// A connection for another thread that only reads.
    pub fn reader(&self) -> Result<Connection, OpenError> {
        open::reader(&self.path, self.vfs.as_deref(), self.identity.origin)
    }

    /// The writing connection, for reading.
    pub fn db(&self) -> &Connection {
        &self.db
    }

    /// Who this replica is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What signs for it.
    pub fn keys(&self) -> &Arc<dyn DeviceKeys> {
        &self.keys
    }

    /// Whether it lies on files of the system, not on a disk of the simulator.
    pub(crate) fn lies_on_files(&self) -> bool {
        self.vfs.is_none()
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file layer; None is SQLite's own.
    pub fn vfs(&self) -> Option<&str> {
        self.vfs.as_deref()
    }

    /// The declarations.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Values of registers that lost against another, of one table only when it is named.
    pub fn lost(&self, table: Option<&str>) -> rusqlite::Result<Vec<LostValue>> {
        lost::all(&self.db, &self.tables, table)
    }

    /// The newest entry of an origin in a stream.
    pub fn head(&self, stream: Stream, origin: Origin) -> LogHead {
        self.heads.get(&(stream, origin)).copied().unwrap_or_else(|| LogHead::none(origin, stream))
    }

    /// Up to where the log of an origin was trimmed; 0 when it is whole. Nobody can be sent an entry below.
    pub fn floor(&self, stream: Stream, origin: Origin) -> u64 {
        self.floors.get(&(stream, origin)).copied().unwrap_or(0)
    }

    /// All heads of a stream, by origin.
    pub fn heads_of(&self, stream: Stream) -> impl Iterator<Item = (Origin, LogHead)> + '_ {
        let first = Origin::new(1).expect("1 is an origin");
        self.heads
            .range((stream, first)..)
            .take_while(move |((of, _), _)| *of == stream)
            .map(|((_, origin), head)| (*origin, *head))
    }

    /// The signed row of an origin, when its entries count at least up to a cut.
    pub fn known(&self, origin: Origin) -> Option<&Row> {
        self.origins.known.get(&origin)
    }

    /// The rows of all such origins.
    pub fn all_known(&self) -> impl Iterator<Item = &Row> {
        self.origins.known.values()
    }
}

/// The floor of a holder of rights: looked at where a write moves rights, and nowhere else.
fn check_rights<E>(
    tx: &Transaction<'_>,
    identity: &Identity,
    stamp: Stamp,
    rows: &[RowChange<'_>],
) -> Result<(), WriteError<E>> {
    let moves = rows.iter().filter(|row| row.table == right_moves::RIGHT_MOVE);
    let ids = moves.filter_map(|row| match row.values.first() {
        Some(Value::Int(id)) => Some(*id),
        _ => None,
    });
    Ok(escrow::check_write(tx, &identity.holder(), identity.role, stamp, ids)?)
}

/// The head that an entry is to follow, with its place in the log.
fn newest(
    heads: &BTreeMap<(Stream, Origin), LogHead>,
    tx: &Transaction<'_>,
    (stream, origin): (Stream, Origin),
) -> rusqlite::Result<LogHead> {
    let known = heads.get(&(stream, origin)).copied();
    let mut head = known.unwrap_or_else(|| LogHead::none(origin, stream));
    if head.lane == 0 {
        head.lane = changelog::lane(tx, stream, origin)?;
    }
    Ok(head)
}

/// What a deed has changed; the new marks of register rows are written too.
fn changes<'t, E>(
    tx: &Transaction<'_>,
    tables: &Tables,
    origin: Origin,
    capture: &Mutex<Capture>,
    touched: &'t TouchedRows,
) -> Result<Vec<RowChange<'t>>, WriteError<E>> {
    let found = capture::difference(tx, tables, origin, touched);
    let Difference { rows, marks } = found.map_err(|cause| match cause {
        DifferenceError::Capture(fault) => WriteError::Capture(fault),
        DifferenceError::Sqlite(cause) => not_committed(cause),
    })?;
    if !marks.is_empty() {
        hold(capture).enter(Mode::Engine);
        marking::write(tx, tables, &marks).map_err(not_committed)?;
    }
    Ok(rows)
}

/// COMMIT from the statement cache: SQLite need not parse it for every write. What it refuses is rolled back.
fn commit(tx: Transaction<'_>) -> rusqlite::Result<()> {
    tx.prepare_cached("COMMIT")?.execute([]).map(drop)
}
