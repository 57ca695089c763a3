//! Takes a whole snapshot in, in one transaction
//!
//! It is merged, not put in the place of what is here: facts are added, what an
//! owner has removed meanwhile goes, and entries of ours that the maker did not
//! have are applied on top. So a device that was away for months and a new one
//! take the same way, triggers and search see only what changes, and a power
//! cut leaves all of it or nothing.

use crate::{
    allow_list::Row,
    apply::{self, Prepared, Scope},
    capture::{Mode, hold},
    changelog::{self, LogHead},
    device_keys::DeviceKeys,
    hlc::{Millis, Stamp},
    lacking, merkle,
    origin::{Origin, Stream},
    origins::{self, Origins},
    parking::Parked,
    planted::{self, Fault},
    private, project,
    replica::Replica,
    seal::{self, Seal},
    snapshot::{Manifest, unpacked},
    snapshot_heads::{self, HeadRow, Lists},
    snapshot_maker::{AHEAD, ENTRIES, HEADS, LISTS, PARKED},
    snapshot_rack::Rack,
    snapshot_rows::{self, Run},
    tables::{Table, Tables},
    take_in::{careful, park},
    value::Value,
};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::collections::{BTreeMap, HashSet};

/// Why a snapshot was not taken in. Nothing of it is kept then.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// A chunk on the rack is not what came.
    #[error("the snapshot is damaged: it is asked for again")]
    Damaged,
    /// It holds something that this build cannot read.
    #[error("the snapshot cannot be read ({0}): update this device")]
    Unreadable(String),
    /// The maker knows more of this very device than the device itself.
    #[error("the snapshot knows more of this device than it does itself: it needs a new origin")]
    OwnPast,
    /// We have trimmed entries that the maker never had.
    #[error(
        "the snapshot is older than what origin {origin} wrote in {stream} and is here: a newer one is waited for"
    )]
    Older {
        /// Whose entries.
        origin: Origin,
        /// In which stream.
        stream: Stream,
    },
    /// A head is not sealed by its origin.
    #[error("the snapshot holds entries of origin {0} that it never sealed: it is refused")]
    Forged(Origin),
    /// The schema refused a row.
    #[error("the database refused a row of the snapshot: {0}")]
    Refused(rusqlite::Error),
    /// SQLite refused.
    #[error("the snapshot was not kept: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// What a snapshot has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installed {
    /// Entries that need not come one by one.
    pub entries: u64,
}

impl Replica {
    /// True when a snapshot knows more than this replica in any stream.
    pub fn lacks(&self, manifest: &Manifest) -> bool {
        manifest.marks.iter().any(|(stream, origin, seq)| self.head(*stream, *origin).seq < *seq)
    }

    /// True when a snapshot knows more of what this very device has written than the device itself: it was set back.
    pub(crate) fn is_behind_itself(&self, manifest: &Manifest) -> bool {
        let own = self.identity.origin;
        let mut marks = manifest.marks.iter().filter(|mark| mark.1 == own);
        marks.any(|(stream, origin, seq)| self.head(*stream, *origin).seq < *seq)
    }

    /// Takes in the snapshot that has come to the rack, all of it or nothing.
    pub fn install(
        &mut self,
        now: Millis,
        rack: &Rack,
        manifest: &Manifest,
    ) -> Result<Installed, InstallError> {
        if manifest.epoch > self.tables.epoch() {
            return Err(InstallError::Unreadable(format!("its epoch is {}", manifest.epoch)));
        }
        hold(&self.capture).enter(Mode::Engine);
        let done = self.install_whole(now, rack, manifest);
        hold(&self.capture).enter(Mode::Outside);
        let (installed, newest) = done?;
        let heads = changelog::heads(&self.db)?;
        self.heads = heads.into_iter().map(|(key, head, _)| (key, head)).collect();
        self.floors = crate::floor::all(&self.db)?;
        self.last_cuts.borrow_mut().clear();
        self.clock.observe(now, newest);
        self.learn_who_counts()?;
        self.retry_parked()?;
        self.project_ahead()?;
        Ok(installed)
    }

    fn install_whole(
        &mut self,
        now: Millis,
        rack: &Rack,
        manifest: &Manifest,
    ) -> Result<(Installed, Stamp), InstallError> {
        let deaf = self.hook.deaf();
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch("PRAGMA defer_foreign_keys=ON")?;
        let mut work = Work {
            db: &tx,
            replica: Known {
                tables: self.tables.all(),
                heads: &self.heads,
                floors: &self.floors,
                authority: self.identity.authority,
                own: self.identity.origin,
                keys: self.keys.as_ref(),
            },
            manifest,
            seen: BTreeMap::new(),
            lists: Lists::default(),
        };
        work.refuse_older()?;
        work.take_chunks(rack)?;
        work.remove_what_is_gone()?;
        // The allow-list that has just come says whose seals hold.
        let mut rows = origins::rows(&tx, &work.replica.authority)?;
        let writers = Origins::read(&tx, &work.replica.authority)?.known;
        rows.extend(writers.iter().map(|(origin, row)| (*origin, row.clone())));
        let keys: BTreeMap<Origin, [u8; 32]> =
            rows.iter().map(|(origin, row)| (*origin, row.key)).collect();
        let installed = work.move_heads(&keys)?;
        let newest = work.lists.newest();
        let ahead = work.ahead();
        // First what the maker knew in part only: entries above the marks may have changed the same columns since.
        project::project_all(&tx, &self.tables, &writers)?;
        apply_on_top(&tx, (&self.tables, &work.replica.authority), now, writers, ahead)?;
        private::drop_erased(&tx)?;
        lacking::settle(&tx)?;
        let committed = tx.commit();
        drop(deaf);
        if let Err(cause) = committed {
            match cause.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => return Err(InstallError::Refused(cause)),
                Some(ErrorCode::DiskFull) => {}
                _ => self.halt(format!("a snapshot is in doubt: {cause}")),
            }
            return Err(cause.into());
        }
        Ok((installed, newest))
    }
}

/// Entries of one origin and stream: the first and the last.
type Range = (Stream, Origin, u64, u64);

/// Applies entries of ours on top of a snapshot that did not have them. Its allow-list may be older than they are: whom
/// it does not name, some of them may.
fn apply_on_top(
    db: &Connection,
    (tables, authority): (&Tables, &[u8; 32]),
    now: Millis,
    mut writers: BTreeMap<Origin, Row>,
    mut ranges: Vec<Range>,
) -> rusqlite::Result<()> {
    loop {
        let (known, unknown): (Vec<Range>, Vec<Range>) =
            ranges.into_iter().partition(|range| writers.contains_key(&range.1));
        let mut names_others = false;
        for range in &known {
            names_others |= apply_again(db, tables, now, &writers, *range)?;
        }
        ranges = unknown;
        if ranges.is_empty() || !names_others {
            break;
        }
        writers = Origins::read(db, authority)?.known;
    }
    for (stream, origin, from, to) in ranges {
        for seq in from..=to {
            if !snapshot_heads::is_parked(db, stream, origin, seq)? {
                park(db, (origin, stream, seq), &Parked::unknown_writer(), now)?;
            }
        }
    }
    Ok(())
}

/// Those that touch what a parked entry of the same origin still wants to write wait behind it, as they would have done
/// had they come after it. True when the allow-list has changed.
fn apply_again(
    db: &Connection,
    tables: &Tables,
    now: Millis,
    writers: &BTreeMap<Origin, Row>,
    (stream, origin, from, to): Range,
) -> rusqlite::Result<bool> {
    let mut changed = false;
    let Some(writer) = writers.get(&origin) else { return Ok(false) };
    let mut wanted = snapshot_heads::wanted(db, tables, origin)?;
    let mut prepared = Prepared::new(db);
    for seq in from..=to {
        let entry = changelog::read(db, stream, origin, seq, 1, u64::MAX)?.pop();
        let Some(entry) = entry else { continue };
        let behind = [&wanted];
        let scope = Scope { db, tables, parked: &behind, now };
        if snapshot_heads::is_parked(db, stream, origin, seq)? {
            continue;
        }
        match careful(&scope, &mut prepared, writer, stream, &entry)? {
            Ok(done) => changed |= done.allow_changed,
            Err(why) => {
                park(db, (origin, stream, seq), &why, now)?;
                wanted.extend(apply::wanted_keys(tables, origin, &entry));
            }
        }
    }
    Ok(changed)
}

/// What is known here before.
struct Known<'r> {
    tables: &'r [Table],
    heads: &'r BTreeMap<(Stream, Origin), LogHead>,
    floors: &'r BTreeMap<(Stream, Origin), u64>,
    authority: [u8; 32],
    own: Origin,
    keys: &'r dyn DeviceKeys,
}

struct Work<'r> {
    db: &'r Connection,
    replica: Known<'r>,
    manifest: &'r Manifest,
    /// Of the tables that held rows before and whose rows can go: the keys that came.
    seen: BTreeMap<u32, HashSet<Vec<Value>>>,
    lists: Lists,
}

impl Work<'_> {
    /// Entries of ours above the snapshot are applied on top, so they must be here.
    fn refuse_older(&self) -> Result<(), InstallError> {
        for (stream, origin, seq) in &self.manifest.marks {
            let here = self.replica.heads.get(&(*stream, *origin)).map_or(0, |head| head.seq);
            if *origin == self.replica.own && here < *seq {
                return Err(InstallError::OwnPast);
            }
        }
        for ((stream, origin), floor) in self.replica.floors {
            if *floor > self.manifest.mark(*stream, *origin) {
                return Err(InstallError::Older { origin: *origin, stream: *stream });
            }
        }
        Ok(())
    }

    fn take_chunks(&mut self, rack: &Rack) -> Result<(), InstallError> {
        for table in self.replica.tables.iter().filter(|table| !table.rule.only_adds()) {
            let sql = format!("SELECT 1 FROM \"{}\" LIMIT 1", table.name);
            if self.db.prepare(&sql)?.exists([])? {
                self.seen.insert(table.id, HashSet::new());
            }
        }
        self.db.execute_batch("DELETE FROM sync_lost; DELETE FROM sync_overwritten")?;
        let mut leaves = Vec::new();
        for number in 1..=self.manifest.chunks {
            let body = rack.come(number)?.ok_or(InstallError::Damaged)?;
            leaves.push(merkle::leaf(number, &body));
            let rows = unpacked(&body).map_err(InstallError::Unreadable)?;
            let runs = snapshot_rows::read(&rows)
                .map_err(|cause| InstallError::Unreadable(cause.to_string()))?;
            for run in runs {
                self.take_run(&run)?;
            }
        }
        if merkle::root(&leaves) != self.manifest.root && !planted::is(Fault::SnapshotNotVerified) {
            return Err(InstallError::Damaged);
        }
        Ok(())
    }

    fn take_run(&mut self, run: &Run) -> Result<(), InstallError> {
        match run.number {
            HEADS | ENTRIES | PARKED | AHEAD => {
                return self.lists.take(run).map_err(InstallError::Unreadable);
            }
            _ => {}
        }
        if let Some((_, list, columns)) = LISTS.iter().find(|list| list.0 == run.number) {
            return self.take_list(list, columns, run);
        }
        let table = self.replica.tables.iter().find(|table| table.id == run.number);
        let unknown = |what: &str| InstallError::Unreadable(what.to_owned());
        let table = table.ok_or_else(|| unknown("it holds a table that is not known here"))?;
        if run.columns > table.columns.len() || run.columns < table.layout.key.len() {
            return Err(unknown("a table of it has other columns"));
        }
        let adds = table.rule.only_adds();
        let mut insert = self.db.prepare_cached(&insert_sql(table, run.columns))?;
        let mut select = self.db.prepare_cached(&table.select)?;
        for row in run.rows() {
            if !adds && let Some(seen) = self.seen.get_mut(&table.id) {
                let key: Vec<Value> =
                    table.layout.key.iter().map(|column| row[*column].clone()).collect();
                // What an older maker does not know was written here under other marks: it begins anew.
                let whole = run.columns == table.columns.len();
                let same = whole && same_row(&mut select, &key, row)?;
                seen.insert(key);
                if same {
                    continue;
                }
            }
            for (at, value) in row.iter().enumerate().filter(|(at, _)| table.places[*at].is_some())
            {
                insert.raw_bind_parameter(at + 1, value)?;
            }
            insert.raw_execute().map_err(refused)?;
        }
        Ok(())
    }

    /// A list that is taken as it is. Losers here are those of the snapshot, and what is applied on top.
    fn take_list(&mut self, list: &str, columns: &str, run: &Run) -> Result<(), InstallError> {
        let width = columns.split(',').count();
        if run.columns != width {
            return Err(InstallError::Unreadable("a list of it has other columns".to_owned()));
        }
        let marks: Vec<String> = (1..=width).map(|at| format!("?{at}")).collect();
        let marks = marks.join(",");
        let sql = format!("INSERT OR IGNORE INTO {list} ({columns}) VALUES ({marks})");
        let mut insert = self.db.prepare_cached(&sql)?;
        for row in run.rows() {
            insert.execute(rusqlite::params_from_iter(row)).map_err(refused)?;
        }
        Ok(())
    }

    /// What an owner has removed while we were away.
    fn remove_what_is_gone(&self) -> Result<(), InstallError> {
        for (number, seen) in &self.seen {
            let table = self.replica.tables.iter().find(|table| table.id == *number);
            let table = table.expect("only known tables are noted");
            let columns: Vec<String> = table
                .layout
                .key
                .iter()
                .map(|column| format!("\"{}\"", table.columns[*column]))
                .collect();
            let sql = format!("SELECT {} FROM \"{}\"", columns.join(","), table.name);
            let mut select = self.db.prepare(&sql)?;
            let mut rows = select.query([])?;
            let mut gone = Vec::new();
            while let Some(row) = rows.next()? {
                let key: Option<Vec<Value>> = (0..columns.len())
                    .map(|column| row.get_ref(column).map(Value::read))
                    .collect::<rusqlite::Result<_>>()?;
                gone.extend(key.filter(|key| !seen.contains(key)));
            }
            let mut delete = self.db.prepare_cached(&table.delete)?;
            for key in gone {
                delete.execute(rusqlite::params_from_iter(key))?;
            }
        }
        Ok(())
    }

    /// Moves each head that the snapshot knows better, and throws the entries before it away.
    fn move_heads(&self, keys: &BTreeMap<Origin, [u8; 32]>) -> Result<Installed, InstallError> {
        let mut entries = 0;
        for row in &self.lists.heads {
            let key = (row.stream, row.origin);
            if self.manifest.mark(key.0, key.1) != row.head.seq {
                return Err(InstallError::Unreadable(
                    "its heads are not those it names".to_owned(),
                ));
            }
            let none = LogHead::none(row.origin, row.stream);
            let here = self.replica.heads.get(&key).copied().unwrap_or(none);
            if here.seq >= row.head.seq {
                snapshot_heads::take_lists(self.db, row, &self.lists)?;
                continue;
            }
            if !planted::is(Fault::SnapshotNotVerified) {
                check_seal(row, keys, self.replica.keys)?;
            }
            snapshot_heads::put(self.db, row, &here, &self.lists)?;
            entries += row.head.seq - here.seq;
        }
        if self.lists.heads.len() != self.manifest.marks.len() {
            return Err(InstallError::Unreadable("a head is missing".to_owned()));
        }
        Ok(Installed { entries })
    }

    /// Ranges of entries here that the maker did not have.
    fn ahead(&self) -> Vec<Range> {
        let heads = self.replica.heads.iter();
        heads
            .filter_map(|((stream, origin), head)| {
                let mark = self.manifest.mark(*stream, *origin);
                (head.seq > mark).then_some((*stream, *origin, mark + 1, head.seq))
            })
            .collect()
    }
}

fn check_seal(
    row: &HeadRow,
    keys: &BTreeMap<Origin, [u8; 32]>,
    ours: &dyn DeviceKeys,
) -> Result<(), InstallError> {
    let forged = InstallError::Forged(row.origin);
    let Some(key) = keys.get(&row.origin) else { return Err(forged) };
    let Seal { seq, .. } = row.seal;
    // Without a seal at its floor an origin is half-way through a frame, and the maker alone vouches. Where nothing was
    // sealed yet it is the very first one.
    let proven = seq == 0
        || seq != row.floor.seq
        || seal::check(ours, key, row.origin, row.stream, &row.floor.chain, &row.seal);
    if proven { Ok(()) } else { Err(forged) }
}

/// Adds a row of a table, or replaces what its key holds where its rule allows that. A maker of an older schema has
/// fewer columns: the others take their defaults, whatever stood there, and what entries said of them comes after.
fn insert_sql(table: &Table, columns: usize) -> String {
    let is_live = |at: &usize| table.places[*at].is_some();
    let live: Vec<usize> = (0..columns).filter(is_live).collect();
    let names = |of: &dyn Fn(usize) -> String, which: &[usize]| {
        which.iter().map(|at| of(*at)).collect::<Vec<String>>().join(",")
    };
    let quoted = |at: usize| format!("\"{}\"", table.columns[at]);
    let is_plain = |at: &usize| is_live(at) && !table.layout.key.contains(at);
    let rest: Vec<usize> = (0..table.columns.len()).filter(is_plain).collect();
    let change = if table.rule.only_adds() || rest.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", names(&|at| format!("{0}=excluded.{0}", quoted(at)), &rest))
    };
    format!(
        "INSERT INTO \"{}\" ({}) VALUES ({}) ON CONFLICT ({}) DO {change}",
        table.name,
        names(&quoted, &live),
        names(&|at| format!("?{}", at + 1), &live),
        names(&quoted, &table.layout.key),
    )
}

fn refused(cause: rusqlite::Error) -> InstallError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            InstallError::Refused(cause)
        }
        _ => InstallError::Sqlite(cause),
    }
}

fn same_row(
    select: &mut rusqlite::CachedStatement<'_>,
    key: &[Value],
    row: &[Value],
) -> rusqlite::Result<bool> {
    for (value, at) in key.iter().zip(1..) {
        select.raw_bind_parameter(at, value)?;
    }
    let mut rows = select.raw_query();
    let Some(found) = rows.next()? else { return Ok(false) };
    for (column, value) in row.iter().enumerate() {
        if Value::read(found.get_ref(column)?).as_ref() != Some(value) {
            return Ok(false);
        }
    }
    Ok(true)
}
