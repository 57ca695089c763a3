//! Merges one entry of another origin into the tables
//!
//! An entry is applied whole or parked whole. Parking keeps the entry and its
//! reason and lets the stream go on: one bad row must not stop a store.

use crate::{
    allow_list::Row,
    entry::{Op, columns},
    entry_reader::{Reader, Run},
    epochs, escrow,
    hlc::{Millis, Stamp},
    merge::{self, Merged, Site, Written},
    origin::{Origin, Role, Stream},
    parking::{NotApplied, Reason, not_merged, park, refused},
    planted::{self, Fault},
    register::{Mark, Marks},
    rule::{Rule, StreamRule},
    tables::{self, Table, Tables},
    value::{Borrowed, Value},
};
use rusqlite::{CachedStatement, Connection};
use std::collections::HashSet;

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
    /// The wall clock, for people who look at what was lost or parked.
    pub now: Millis,
}

impl<'a> Scope<'a> {
    pub(crate) fn site<'s>(&'s self, table: &'s Table, source: Source<'_>) -> Site<'s> {
        let Source { origin, stream, .. } = source;
        Site { db: self.db, table, stream, origin, now: self.now }
    }

    /// Whether a parked entry of anybody waits for this row.
    fn is_awaited(&self, table: u32, key: &[Value]) -> bool {
        let waits = |wanted: &ParkedKey| wanted.1 == table && wanted.2 == key;
        self.parked.iter().any(|parked| parked.iter().any(waits))
    }
}

/// Whose entry is applied, and in which stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) writer: &'a Row,
    pub(crate) origin: Origin,
    pub(crate) stream: Stream,
    pub(crate) stamp: Stamp,
}

/// What an applied entry did.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    /// Rows that it held.
    pub rows: usize,
    /// Whether the allow-list has changed.
    pub allow_changed: bool,
    /// A newer schema wrote it: only what is known here was applied.
    pub ahead: bool,
    /// It has added a row for which parked entries wait.
    pub unlocks: bool,
    /// When it was written.
    pub stamp: Stamp,
}

/// Statements that add rows, kept from entry to entry.
pub struct Prepared<'d> {
    db: &'d Connection,
    adding: Vec<(u32, CachedStatement<'d>)>,
    changing: Vec<(u32, u64, CachedStatement<'d>)>,
}

impl<'d> Prepared<'d> {
    /// None yet; they are prepared as their tables come.
    pub fn new(db: &'d Connection) -> Prepared<'d> {
        Prepared { db, adding: Vec::new(), changing: Vec::new() }
    }

    fn adding(&mut self, table: &Table) -> rusqlite::Result<&mut CachedStatement<'d>> {
        let place = match self.adding.iter().position(|(id, _)| *id == table.id) {
            Some(place) => place,
            None => {
                let replaces = table.rule == Rule::Owner;
                let sql = if replaces { &table.upsert } else { &table.insert };
                self.adding.push((table.id, self.db.prepare_cached(sql)?));
                self.adding.len() - 1
            }
        };
        Ok(&mut self.adding[place].1)
    }

    /// The statement that changes these columns of a register row, when they are as their writer saw them.
    fn changing(&mut self, table: &Table, mask: u64) -> rusqlite::Result<&mut CachedStatement<'d>> {
        let known = self.changing.iter().position(|(id, of, _)| (*id, *of) == (table.id, mask));
        let place = match known {
            Some(place) => place,
            None => {
                let statement = self.db.prepare_cached(&merge::fast_change(table, mask))?;
                self.changing.push((table.id, mask, statement));
                self.changing.len() - 1
            }
        };
        Ok(&mut self.changing[place].2)
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
    let ahead = understands(scope.tables, &mut reader)?;
    let (mut rows, mut unlocks, mut allow_changed) = (0, false, false);
    let mut values = Vec::new();
    while let Some(run) = reader.next_run()? {
        let Some(table) = scope.tables.numbered(run.table) else {
            if ahead || scope.tables.has_ended(run.table) {
                continue;
            }
            return Err(park(Reason::UnknownTable, run.table, "no such table here"));
        };
        may_write(writer, table, stream, run.op)?;
        allow_changed |= tables::says_who_counts(run.table);
        let stamp = reader.header().stamp;
        let source = Source { writer, origin: writer.origin, stream, stamp };
        let run = apply_run(scope, prepared, table, run, source, &mut reader, &mut values)?;
        rows += run.0;
        unlocks |= run.1;
        if planted::is(Fault::HalfApplied) {
            break;
        }
    }
    Ok(Done { rows, allow_changed, ahead, unlocks, stamp: reader.header().stamp })
}

/// Whether an entry was written by a newer schema, of which we understand what we know. One that is newer still is
/// parked, and one of our own time or older holds nothing that is not known here.
pub(crate) fn understands(tables: &Tables, reader: &mut Reader<'_>) -> Result<bool, NotApplied> {
    let (own, wrote) = (tables.epoch(), reader.header().epoch);
    if wrote > epochs::understood(own).1 {
        let detail = format!("schema epoch {wrote} wrote it, this device has {own}: update it");
        return Err(park(Reason::Epoch, 0, detail));
    }
    if wrote <= own {
        reader.refuse_unknown_columns();
    }
    Ok(wrote > own)
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
        || planted::is(Fault::ForeignStreamBelieved)
        || Stream::store(writer.store) == Some(stream)
        || stream == Stream::CHAIN && tables.all().iter().any(in_chain)
}

/// Whether this writer may do this to this table in this stream.
pub(crate) fn may_write(
    writer: &Row,
    table: &Table,
    stream: Stream,
    op: Op,
) -> Result<(), NotApplied> {
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
    if table.rule == Rule::Register && op == Op::Delete {
        return refuse("rows of a register are not removed");
    }
    let own = writer.role == Role::Hq || Stream::store(writer.store) == Some(stream);
    let fits = match table.stream {
        StreamRule::Chain => stream == Stream::CHAIN,
        StreamRule::Store => stream != Stream::CHAIN && own,
        StreamRule::By(_) => own || (stream == Stream::CHAIN && writer.role == Role::Hq),
    };
    if fits { Ok(()) } else { refuse(&format!("it does not belong in the stream {stream}")) }
}

/// Applies the rows of a run; how many they were, and whether parked entries wait for one that is new.
pub(crate) fn apply_run<'a>(
    scope: &Scope<'_>,
    prepared: &mut Prepared<'_>,
    table: &'a Table,
    run: Run,
    source: Source<'_>,
    reader: &mut Reader<'a>,
    values: &mut Vec<Borrowed<'a>>,
) -> Result<(usize, bool), NotApplied> {
    let (mut rows, mut unlocks) = (0, false);
    while let Some(mask) = reader.next_row(&table.layout, values)? {
        check_row(scope, table, run.op, mask, source, values)?;
        rows += 1;
        let gone = if run.op == Op::Update { reader.gone() } else { 0 };
        let marked = if table.rule == Rule::Register { mask | gone } else { mask };
        if run.op == Op::Update && marked == 0 {
            // What it changed is known only after an update of this device, and then the row must be here.
            if table.rule == Rule::Register && !is_here(scope.db, table, run.op, values)? {
                return Err(not_merged(table, Merged::NoRow));
            }
            continue;
        }
        if table.rule == Rule::Register {
            let change = Change { op: run.op, mask, gone, seen: reader.seen() };
            unlocks |= merge_row(scope, prepared, table, source, change, values)?;
            continue;
        }
        let done = match run.op {
            Op::Insert => execute(prepared.adding(table)?, values),
            Op::Delete if planted::is(Fault::DeletesNotApplied) => Ok(1),
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
    }
    Ok((rows, unlocks))
}

/// Whether there is a row with this key.
fn is_here(
    db: &Connection,
    table: &Table,
    op: Op,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<bool> {
    db.prepare_cached(&table.select)?.exists(rusqlite::params_from_iter(key_of(table, op, values)))
}

/// What was done to a row of a register.
struct Change {
    op: Op,
    mask: u64,
    /// Columns that it changed and that are not in the table any more.
    gone: u64,
    seen: Option<Mark>,
}

/// Merges a row of a register; true when it is new and parked entries wait for it.
fn merge_row(
    scope: &Scope<'_>,
    prepared: &mut Prepared<'_>,
    table: &Table,
    source: Source<'_>,
    Change { op, mask, gone, seen }: Change,
    values: &mut [Borrowed<'_>],
) -> Result<bool, NotApplied> {
    let column = table.layout.marks.expect("a register has marks");
    let carried =
        if op == Op::Insert { values[column] != Borrowed::Null } else { mask >> column & 1 == 1 };
    if carried {
        let what = format!("{}: the marks of a row are never carried", table.name);
        return Err(park(Reason::Constraint, table.id, what));
    }
    let keys = table.layout.key.len();
    let (seen, new) = match op {
        Op::Insert => {
            let marks = Marks::of_row(Mark::first(source.origin)).to_bytes();
            let mut row = values.to_vec();
            row[column] = Borrowed::Bytes(&marks);
            let added =
                execute(prepared.adding(table)?, &row).map_err(|cause| refused(table, cause))?;
            if added == 1 {
                return Ok(scope.is_awaited(table.id, &key_of(table, op, values)));
            }
            let live = |at: &usize| {
                !table.layout.key.contains(at) && *at != column && table.places[*at].is_some()
            };
            (None, (0..values.len()).filter(live).map(|at| (at, values[at])).collect())
        }
        Op::Update | Op::Delete => {
            let seen = seen.expect("an update of a register row says what it saw");
            let (key, new) = values.split_at(keys);
            if let Some(mark) = Mark::after(seen, source.origin)
                && gone == 0
            {
                let changing = prepared.changing(table, mask)?;
                let done = merge::change_fast(changing, mask, seen, mark, key, new);
                if done.map_err(|cause| refused(table, cause))? {
                    return Ok(false);
                }
            }
            (Some(seen), columns(mask).zip(new.iter().copied()).collect())
        }
    };
    let key = key_of(table, op, values);
    let written = Written { key, seen, columns: new, gone, again: false };
    let merged = merge::merge(&scope.site(table, source), &written);
    match merged.map_err(|cause| refused(table, cause))? {
        // The row may have been added here meanwhile, and the one that somebody waits for comes only now.
        Merged::Done => Ok(op == Op::Insert && scope.is_awaited(table.id, &written.key)),
        other => Err(not_merged(table, other)),
    }
}

fn execute(
    statement: &mut CachedStatement<'_>,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<usize> {
    // The last columns of a row may be gone from the table: then the statement has no place for them.
    for (value, at) in values.iter().zip(1..=statement.parameter_count()) {
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
        if table.places[column].is_none() {
            continue;
        }
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
