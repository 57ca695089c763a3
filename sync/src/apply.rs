//! Merges one entry of another origin into the tables
//!
//! An entry is applied whole or parked whole. Parking keeps the entry and its
//! reason and lets the stream go on: one bad row must not stop a store.

use crate::{
    allow_list::Row,
    entry::{EntryError, Op},
    entry_reader::{Reader, Run},
    escrow,
    hlc::Stamp,
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    rule::{Rule, StreamRule},
    tables::{self, Table, Tables},
    value::{Borrowed, Value},
};
use rusqlite::{CachedStatement, Connection, ErrorCode};
use std::collections::HashSet;

/// Why an entry was kept but not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The kind of reason.
    pub reason: Reason,
    /// Number of the table, 0 when no table was reached.
    pub table: u32,
    /// What exactly.
    pub detail: String,
}

/// The kinds of reasons to park an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It does not decode; a newer build may read it.
    Epoch,
    /// Its table is not known here.
    UnknownTable,
    /// Its writer may not write that table or stream.
    NotAllowed,
    /// The schema refused a row.
    Constraint,
    /// Another row has the key already.
    KeyConflict,
    /// It touches a row that an entry before it could not write.
    Behind,
}

impl Reason {
    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Epoch => "Epoch",
            Reason::UnknownTable => "UnknownTable",
            Reason::NotAllowed => "NotAllowed",
            Reason::Constraint => "Constraint",
            Reason::KeyConflict => "KeyConflict",
            Reason::Behind => "Behind",
        }
    }
}

/// Why an entry was not applied.
#[derive(Debug)]
pub enum NotApplied {
    /// It is kept with a reason.
    Park(Parked),
    /// SQLite failed: nothing of the slice is kept.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotApplied {
    fn from(cause: rusqlite::Error) -> NotApplied {
        NotApplied::Sqlite(cause)
    }
}

impl From<EntryError> for NotApplied {
    fn from(cause: EntryError) -> NotApplied {
        NotApplied::Park(Parked { reason: Reason::Epoch, table: 0, detail: cause.to_string() })
    }
}

/// Keys of rows that parked entries wanted to write: their origin, table number and key.
///
/// Only entries of the same origin wait behind a parked one: there is no order between origins, and
/// whoever may not write a row must not hold up those who may.
pub type ParkedKeys = HashSet<ParkedKey>;

/// One of them.
pub type ParkedKey = (Origin, u32, Vec<Value>);

/// What applying works with.
pub struct Scope<'a> {
    /// The open transaction.
    pub db: &'a Connection,
    /// The declarations.
    pub tables: &'a Tables,
    /// What to leave alone.
    pub parked: &'a [&'a ParkedKeys],
}

/// Whose entry is applied, and in which stream.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    writer: &'a Row,
    origin: Origin,
    stream: Stream,
    stamp: Stamp,
}

/// What an applied entry did.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Rows that it held.
    pub rows: usize,
    /// Whether the allow-list has changed.
    pub allow_changed: bool,
    /// When it was written.
    pub stamp: Stamp,
}

/// Statements that add rows, kept from entry to entry.
pub struct Prepared<'d> {
    db: &'d Connection,
    adding: Vec<(u32, CachedStatement<'d>)>,
}

impl<'d> Prepared<'d> {
    /// None yet; they are prepared as their tables come.
    pub fn new(db: &'d Connection) -> Prepared<'d> {
        Prepared { db, adding: Vec::new() }
    }

    fn adding(&mut self, table: &Table) -> rusqlite::Result<&mut CachedStatement<'d>> {
        let place = match self.adding.iter().position(|(id, _)| *id == table.id) {
            Some(place) => place,
            None => {
                let sql = if table.rule.only_adds() { &table.insert } else { &table.upsert };
                self.adding.push((table.id, self.db.prepare_cached(sql)?));
                self.adding.len() - 1
            }
        };
        Ok(&mut self.adding[place].1)
    }
}

/// Applies one entry.
pub fn apply(
    scope: &Scope<'_>,
    prepared: &mut Prepared<'_>,
    writer: &Row,
    stream: Stream,
    bytes: &[u8],
) -> Result<Done, NotApplied> {
    let mut reader = Reader::open(bytes, writer.origin)?;
    let (mut rows, mut allow_changed) = (0, false);
    let mut values = Vec::new();
    while let Some(run) = reader.next_run()? {
        let Some(table) = scope.tables.numbered(run.table) else {
            return Err(park(Reason::UnknownTable, run.table, "no such table here"));
        };
        may_write(writer, table, stream, run.op)?;
        allow_changed |= run.table == tables::ALLOW_LIST;
        let stamp = reader.header().stamp;
        let source = Source { writer, origin: writer.origin, stream, stamp };
        rows += apply_run(scope, prepared, table, run, source, &mut reader, &mut values)?;
        if planted::is(Fault::HalfApplied) {
            break;
        }
    }
    Ok(Done { rows, allow_changed, stamp: reader.header().stamp })
}

fn park(reason: Reason, table: u32, detail: impl Into<String>) -> NotApplied {
    NotApplied::Park(Parked { reason, table, detail: detail.into() })
}

/// Whether this writer may write anything at all in this stream.
///
/// What is parked is also passed on, and other stores could not verify it: they do not hear of the
/// devices of this one. So entries in a foreign stream are not taken in the first place.
pub fn may_speak(tables: &Tables, writer: &Row, stream: Stream) -> bool {
    let in_chain =
        |table: &Table| table.stream == StreamRule::Chain && table.writers.allow(writer.role);
    writer.role == Role::Hq
        || planted::is(Fault::RoleNotCheckedAtApply)
        || Stream::store(writer.store) == Some(stream)
        || stream == Stream::CHAIN && tables.all().iter().any(in_chain)
}

/// Whether this writer may do this to this table in this stream.
fn may_write(writer: &Row, table: &Table, stream: Stream, op: Op) -> Result<(), NotApplied> {
    let refuse =
        |what: &str| Err(park(Reason::NotAllowed, table.id, format!("{}: {what}", table.name)));
    if planted::is(Fault::RoleNotCheckedAtApply) {
        return Ok(());
    }
    if !table.writers.allow(writer.role) {
        return refuse(&format!("{} may not write it", writer.role.as_str()));
    }
    if table.rule.only_adds() && op != Op::Insert {
        return refuse("facts are only added");
    }
    let own = writer.role == Role::Hq || Stream::store(writer.store) == Some(stream);
    let fits = match table.stream {
        StreamRule::Chain => stream == Stream::CHAIN,
        StreamRule::Store => stream != Stream::CHAIN && own,
        StreamRule::By(_) => own || (stream == Stream::CHAIN && writer.role == Role::Hq),
    };
    if fits { Ok(()) } else { refuse(&format!("it does not belong in the stream {stream}")) }
}

fn apply_run<'a>(
    scope: &Scope<'_>,
    prepared: &mut Prepared<'_>,
    table: &Table,
    run: Run,
    source: Source<'_>,
    reader: &mut Reader<'a>,
    values: &mut Vec<Borrowed<'a>>,
) -> Result<usize, NotApplied> {
    let mut rows = 0;
    while let Some(mask) = reader.next_row(&table.layout, values)? {
        check_row(scope, table, run.op, mask, source, values)?;
        let done = match run.op {
            Op::Insert => execute(prepared.adding(table)?, values),
            Op::Delete => execute(&mut scope.db.prepare_cached(&table.delete)?, values),
            Op::Update => update(scope.db, table, mask, values),
        };
        let changed = done.map_err(|cause| refused(table, cause))?;
        match run.op {
            Op::Insert if changed == 0 => same_row(scope, table, values)?,
            Op::Update if changed == 0 => {
                return Err(park(Reason::Constraint, table.id, "the row to change is not here"));
            }
            _ => {}
        }
        rows += 1;
    }
    Ok(rows)
}

fn execute(
    statement: &mut CachedStatement<'_>,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<usize> {
    for (value, at) in values.iter().zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute()
}

/// New values stand first in the statement, the key first in the entry.
fn update(
    db: &Connection,
    table: &Table,
    mask: u64,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<usize> {
    let mut statement = db.prepare_cached(&table.update(mask))?;
    let (key, new) = values.split_at(table.layout.key.len());
    for (value, at) in new.iter().chain(key).zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute()
}

/// What SQLite says of a row is the row's fault only when a constraint or a type was broken.
fn refused(table: &Table, cause: rusqlite::Error) -> NotApplied {
    match cause.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            park(Reason::Constraint, table.id, format!("{}: {cause}", table.name))
        }
        _ => NotApplied::Sqlite(cause),
    }
}

fn check_row(
    scope: &Scope<'_>,
    table: &Table,
    op: Op,
    mask: u64,
    source: Source<'_>,
    values: &[Borrowed<'_>],
) -> Result<(), NotApplied> {
    if let StreamRule::By(column) = table.stream {
        let stream = source.stream;
        let own = Borrowed::Int(stream.number().into());
        let named = column_of(table, op, mask, column, values);
        if named.is_some_and(|named| named != own)
            || !held_in(scope, table, op, column, own, values)?
        {
            let what = format!("{}: a row for another stream than {stream}", table.name);
            return Err(park(Reason::NotAllowed, table.id, what));
        }
    }
    if table.rule == Rule::Escrow
        && let Err(what) = escrow::check_remote(source.writer, source.stamp, values)
    {
        return Err(park(Reason::NotAllowed, table.id, format!("{}: {what}", table.name)));
    }
    if scope.parked.iter().any(|parked| !parked.is_empty()) {
        let key = (source.origin, table.id, key_of(table, op, values));
        if scope.parked.iter().any(|parked| parked.contains(&key)) {
            return Err(park(
                Reason::Behind,
                table.id,
                format!("{}: behind a parked row", table.name),
            ));
        }
    }
    Ok(())
}

/// Whether a row that is to be changed or removed belongs to the stream now. One that is not here does.
fn held_in(
    scope: &Scope<'_>,
    table: &Table,
    op: Op,
    column: usize,
    own: Borrowed<'_>,
    values: &[Borrowed<'_>],
) -> Result<bool, NotApplied> {
    if op == Op::Insert && table.rule.only_adds() {
        return Ok(true);
    }
    let mut select = scope.db.prepare_cached(&table.select)?;
    for (value, at) in key_of(table, op, values).iter().zip(1..) {
        select.raw_bind_parameter(at, value.borrow())?;
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else { return Ok(true) };
    Ok(Value::read(row.get_ref(column)?).as_ref().map(Value::borrow) == Some(own))
}

fn column_of<'a>(
    table: &Table,
    op: Op,
    mask: u64,
    column: usize,
    values: &[Borrowed<'a>],
) -> Option<Borrowed<'a>> {
    if op == Op::Insert {
        return values.get(column).copied();
    }
    if let Some(place) = table.layout.key.iter().position(|key| *key == column) {
        return values.get(place).copied();
    }
    let place = crate::entry::columns(mask).position(|changed| changed == column)?;
    values.get(table.layout.key.len() + place).copied()
}

/// The key of a row as an entry carries it.
pub fn key_of(table: &Table, op: Op, values: &[Borrowed<'_>]) -> Vec<Value> {
    match op {
        Op::Insert => table.layout.key.iter().map(|column| values[*column].to_value()).collect(),
        Op::Update | Op::Delete => {
            values[..table.layout.key.len()].iter().map(|value| value.to_value()).collect()
        }
    }
}

/// A taken key is harmless when the row is the same one.
fn same_row(scope: &Scope<'_>, table: &Table, values: &[Borrowed<'_>]) -> Result<(), NotApplied> {
    let mut select = scope.db.prepare_cached(&table.select)?;
    for (column, at) in table.layout.key.iter().zip(1..) {
        select.raw_bind_parameter(at, values[*column])?;
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else { return Ok(()) };
    for (column, value) in values.iter().enumerate() {
        if Value::read(row.get_ref(column)?).as_ref().map(Value::borrow) != Some(*value) {
            let what = format!("{}: its key holds another row", table.name);
            return Err(park(Reason::KeyConflict, table.id, what));
        }
    }
    Ok(())
}

/// Keys that an entry wanted to write, as far as it can be read.
pub fn wanted_keys(tables: &Tables, origin: Origin, bytes: &[u8]) -> Vec<ParkedKey> {
    let mut keys = Vec::new();
    let Ok(mut reader) = Reader::open(bytes, origin) else { return keys };
    let mut values = Vec::new();
    while let Ok(Some(run)) = reader.next_run() {
        let Some(table) = tables.numbered(run.table) else { continue };
        while let Ok(Some(_)) = reader.next_row(&table.layout, &mut values) {
            keys.push((origin, table.id, key_of(table, run.op, &values)));
        }
    }
    keys
}
