//! Hears each row change and takes the difference at commit
//!
//! The hook reports rows of a statement that later fails, and rows that a
//! savepoint takes back. So what a row holds is read again before the commit,
//! unless the write was plain: SQLite then counts as many changed rows as the
//! hook has heard, no savepoint was ever prepared, and no fact was touched twice.

use crate::{
    entry::{Op, RowChange},
    marking::{self, MarkingError, NewMarks},
    origin::Origin,
    planted::{self, Fault},
    preupdate::{self, Action, Hook, Touch},
    rule::StreamRule,
    tables::{Table, Tables},
    value::Value,
};
use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

/// Room for so many touched rows is kept from one write to the next, for a small write and not for an import.
const ROWS_KEPT: usize = 256;
/// Room for so many values of them is kept.
const VALUES_KEPT: usize = 4_096;

/// Why the writes are made, and so whether they are captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nobody asked the engine: a write to a replicated table is rolled back.
    Outside,
    /// A replicated write: captured.
    Local,
    /// An entry of another origin, or the engine's own housekeeping: not captured.
    Engine,
}

/// A programming fault that was met during a write; the write is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// The hook failed.
    #[error("the change of a row could not be heard")]
    Poisoned,
    /// A trigger wrote a replicated table.
    #[error("a trigger wrote the replicated table {0}: effects stay home")]
    TriggerWrote(String),
    /// Another number of columns than at the start.
    #[error("the table {0} has other columns than at the start: restart this program")]
    ColumnsChanged(String),
    /// The key of a row was changed.
    #[error("the key of a row of {0} was changed: add a new row instead")]
    KeyChanged(String),
    /// A row was moved to another stream: those who had it would keep it for ever.
    #[error("a row of {0} was moved to another store: remove it there and add it here")]
    StreamChanged(String),
    /// A fact was changed or removed.
    #[error("a row of {0} was changed or removed, but it holds facts: add another fact instead")]
    FactChanged(String),
    /// A row id that `row_id()` did not draw in this write.
    #[error(
        "a row of {0} has an id that row_id() did not draw: SQLite made one up, name it in the INSERT"
    )]
    IdNotDrawn(String),
    /// A value that is not carried.
    #[error("a row of {0} holds a value that is not carried")]
    OddValue(String),
    /// A register row was not written as one.
    #[error(transparent)]
    Marking(#[from] MarkingError),
}

/// A row that was touched in this write.
#[derive(Debug)]
struct Touched {
    place: usize,
    held: Held,
}

/// What the hook has read of a touched row.
#[derive(Debug)]
enum Held {
    /// A fact was added; its values begin at this place among the values of all such rows.
    Added(usize),
    /// Any other touch: the key, and the row as it was before, if there was one.
    Before(Vec<Value>, Option<Vec<Value>>),
}

/// The rows that were touched in a write.
#[derive(Debug, Default)]
pub struct TouchedRows {
    rows: Vec<Touched>,
    /// All columns of the facts that were added, row behind row: one list, because most writes are a few
    /// small rows.
    values: Vec<Value>,
    /// The facts that were added are as the hook has read them.
    plain: bool,
}

/// What the hook has heard since the write began.
#[derive(Debug)]
pub struct Capture {
    tables: Tables,
    mode: Mode,
    touched: TouchedRows,
    places: HashSet<(usize, Vec<Value>)>,
    fault: Option<CaptureError>,
    stray: bool,
    /// Calls of the hook since the write began, for any table.
    heard: u64,
    /// A fact was touched again after it was added.
    twice: bool,
    /// Somebody has prepared a savepoint on this connection; it may run at any time.
    savepoints: bool,
    /// The schema has virtual tables, whose rows SQLite counts and the hook does not hear.
    virtual_tables: bool,
}

impl Capture {
    /// Hears nothing until the first write begins.
    pub fn new(tables: Tables, virtual_tables: bool) -> Capture {
        Capture {
            tables,
            mode: Mode::Outside,
            touched: TouchedRows::default(),
            places: HashSet::new(),
            fault: None,
            stray: false,
            heard: 0,
            twice: false,
            savepoints: false,
            virtual_tables,
        }
    }

    /// Begins a write, or ends it with `Outside`; whatever was heard is forgotten.
    pub fn enter(&mut self, mode: Mode) {
        self.mode = mode;
        self.touched.rows.clear();
        self.touched.rows.shrink_to(ROWS_KEPT);
        self.touched.values.clear();
        self.touched.values.shrink_to(VALUES_KEPT);
        self.places.clear();
        self.fault = None;
        self.stray = false;
        self.heard = 0;
        self.twice = false;
    }

    /// A statement about a savepoint was prepared. The engine's own are never run inside a deed.
    pub fn see_savepoint(&mut self) {
        self.savepoints |= self.mode != Mode::Engine && !planted::is(Fault::SavepointNotHeard);
    }

    /// True when this commit must become a rollback: rows without an entry.
    pub fn refuses_commit(&self) -> bool {
        match self.mode {
            Mode::Outside => self.stray,
            Mode::Local => self.fault.is_some() || !self.touched.rows.is_empty(),
            Mode::Engine => false,
        }
    }

    /// A rollback took a stray write back.
    pub fn forget_stray(&mut self) {
        self.stray = false;
    }

    /// Called before each change of a row.
    pub fn hear(&mut self, touch: &Touch<'_>) {
        if self.mode == Mode::Engine {
            return;
        }
        self.heard += 1;
        let Some(place) = self.tables.place(touch.table) else { return };
        if self.mode == Mode::Outside {
            self.stray = true;
            return;
        }
        if self.fault.is_some() {
            return;
        }
        // Set first and taken back at the end: a panic in between leaves the write poisoned.
        self.fault = Some(CaptureError::Poisoned);
        self.fault = self.note(place, touch).err();
    }

    fn note(&mut self, place: usize, touch: &Touch<'_>) -> Result<(), CaptureError> {
        let table = self.tables.at(place);
        let name = || table.name.clone();
        if touch.depth() > 0 {
            return Err(CaptureError::TriggerWrote(name()));
        }
        if touch.columns() != table.width {
            return Err(CaptureError::ColumnsChanged(name()));
        }
        // A column that is gone has a number and no place: it counts as NULL.
        let at = |column: usize| table.places[column];
        if touch.action == Action::Insert && table.rule.only_adds() {
            let begin = self.touched.values.len();
            for place in &table.places {
                let value = place.map_or(Some(Value::Null), |place| touch.after(place));
                self.touched.values.push(value.ok_or_else(|| CaptureError::OddValue(name()))?);
            }
            self.touched.rows.push(Touched { place, held: Held::Added(begin) });
            return Ok(());
        }
        self.twice |= table.rule.only_adds();
        let read = |column: usize| match (touch.action, at(column)) {
            (_, None) => Some(Value::Null),
            (Action::Insert, Some(place)) => touch.after(place),
            (Action::Update | Action::Delete, Some(place)) => touch.before(place),
        };
        let key: Option<Vec<Value>> = table.layout.key.iter().map(|column| read(*column)).collect();
        let key = key.ok_or_else(|| CaptureError::OddValue(name()))?;
        if touch.action == Action::Update
            && table.layout.key.iter().zip(&key).any(|(column, old)| {
                at(*column).and_then(|at| touch.after(at)).as_ref() != Some(old)
            })
        {
            return Err(CaptureError::KeyChanged(name()));
        }
        if self.places.contains(&(place, key.clone())) {
            return Ok(());
        }
        let before = match touch.action {
            Action::Insert => None,
            Action::Update | Action::Delete => {
                let row: Option<Vec<Value>> = (0..table.places.len()).map(read).collect();
                Some(row.ok_or_else(|| CaptureError::OddValue(name()))?)
            }
        };
        self.places.insert((place, key.clone()));
        self.touched.rows.push(Touched { place, held: Held::Before(key, before) });
        Ok(())
    }

    /// The rows that were touched, given how many rows SQLite says were changed. The commit is allowed
    /// from now on, so the caller writes the entry before it commits.
    pub fn take_touched(&mut self, changed: u64) -> Result<TouchedRows, CaptureError> {
        self.places.clear();
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        let told_of_all = self.heard == changed && !self.virtual_tables;
        self.touched.plain = told_of_all && !self.savepoints && !self.twice;
        Ok(std::mem::take(&mut self.touched))
    }

    /// Takes the lists back, so that the next write need not make them again. `enter` empties them.
    pub fn reuse(&mut self, touched: TouchedRows) {
        self.touched = touched;
    }
}

/// The capture; a panic while it was held has poisoned the write, which is rolled back anyway.
pub(crate) fn hold(capture: &Mutex<Capture>) -> MutexGuard<'_, Capture> {
    capture.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn watch(db: &mut Connection, capture: &Arc<Mutex<Capture>>) -> rusqlite::Result<Hook> {
    let refuses = Arc::clone(capture);
    db.commit_hook(Some(move || hold(&refuses).refuses_commit()))?;
    let forgets = Arc::clone(capture);
    db.rollback_hook(Some(move || hold(&forgets).forget_stray()))?;
    let sees = Arc::clone(capture);
    db.authorizer(Some(move |asked: AuthContext<'_>| {
        if matches!(asked.action, AuthAction::Savepoint { .. }) {
            hold(&sees).see_savepoint();
        }
        Authorization::Allow
    }))?;
    let heard = Arc::clone(capture);
    Ok(preupdate::listen(db, move |touch| hold(&heard).hear(touch)))
}

/// What a write has changed.
#[derive(Debug)]
pub struct Difference<'t> {
    /// The rows that differ from what they were, in the order of their first touch.
    pub rows: Vec<RowChange<'t>>,
    /// Marks that are to be written into register rows before the commit.
    pub marks: Vec<NewMarks>,
}

/// What this origin has changed.
///
/// Nobody may hold the capture meanwhile: a read that fails makes SQLite roll back, and the rollback
/// hook wants it too.
pub fn difference<'t>(
    db: &Connection,
    tables: &Tables,
    origin: Origin,
    touched: &'t TouchedRows,
) -> Result<Difference<'t>, DifferenceError> {
    let (mut changes, mut marks) = (Vec::with_capacity(touched.rows.len()), Vec::new());
    let mut seen = HashSet::new();
    for row in &touched.rows {
        let table = tables.at(row.place);
        let (key, before) = match &row.held {
            Held::Added(at) => {
                let after = &touched.values[*at..*at + table.columns.len()];
                if touched.plain {
                    changes.push(added(table, Cow::Borrowed(after)));
                    continue;
                }
                (table.layout.key.iter().map(|column| after[*column].clone()).collect(), None)
            }
            Held::Before(key, before) => (key.clone(), before.as_deref()),
        };
        // Of a row that was touched twice the first touch counts: it knows what was before.
        if !seen.insert((row.place, key.clone())) {
            continue;
        }
        let now = read_row(db, table, &key)?;
        if table.layout.marks.is_none() {
            changes.extend(compare(table, key, before, now)?);
            continue;
        }
        stays_in_stream(table, before, now.as_deref())?;
        let named = before.or(now.as_deref()).and_then(|row| named(table, row));
        let row = marking::Touched { key, before, now, named };
        let (rows, new) = marking::compare(table, origin, row).map_err(CaptureError::from)?;
        changes.extend(rows);
        marks.extend(new);
    }
    group(&mut changes);
    Ok(Difference { rows: changes, marks })
}

/// Puts the rows of one table together, in the order in which the tables were first touched: neighbours
/// of one table and op share a run of the entry, so an import that goes through three tables row by
/// row is three runs. A parent is touched before its children and stays before them.
fn group(changes: &mut [RowChange]) {
    let mut tables: Vec<u32> = Vec::new();
    for change in changes.iter() {
        if !tables.contains(&change.table) {
            tables.push(change.table);
        }
    }
    let place = |table: u32| tables.iter().position(|known| *known == table);
    let turn = |op: Op| match op {
        Op::Delete => 0,
        Op::Update => 1,
        Op::Insert => 2,
    };
    changes.sort_by_key(|change| (place(change.table), turn(change.op)));
}

/// Why there is no difference to write.
#[derive(Debug, thiserror::Error)]
pub enum DifferenceError {
    /// A programming fault.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// SQLite refused to read a row back.
    #[error("a written row could not be read back: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

/// Reads all columns of a row by its key.
pub(crate) fn read_row(
    db: &Connection,
    table: &Table,
    key: &[Value],
) -> Result<Option<Vec<Value>>, DifferenceError> {
    let mut select = db.prepare_cached(&table.select)?;
    let mut rows = select.query(rusqlite::params_from_iter(key))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let mut values = Vec::with_capacity(table.columns.len());
    for column in 0..table.columns.len() {
        let value = Value::read(row.get_ref(column)?);
        values.push(value.ok_or_else(|| CaptureError::OddValue(table.name.clone()))?);
    }
    Ok(Some(values))
}

/// What the column that names a row's stream holds, where the table has one.
fn named(table: &Table, row: &[Value]) -> Option<i64> {
    match table.stream {
        StreamRule::By(column) => match row[column] {
            Value::Int(number) => Some(number),
            _ => None,
        },
        StreamRule::Chain | StreamRule::Store => None,
    }
}

fn added<'t>(table: &Table, row: Cow<'t, [Value]>) -> RowChange<'t> {
    let named = named(table, &row);
    RowChange { table: table.id, op: Op::Insert, mask: 0, values: row, seen: None, named }
}

fn stays_in_stream(
    table: &Table,
    before: Option<&[Value]>,
    now: Option<&[Value]>,
) -> Result<(), CaptureError> {
    match (table.stream, before, now) {
        (StreamRule::By(column), Some(before), Some(now)) if before[column] != now[column] => {
            Err(CaptureError::StreamChanged(table.name.clone()))
        }
        _ => Ok(()),
    }
}

fn compare(
    table: &Table,
    key: Vec<Value>,
    before: Option<&[Value]>,
    now: Option<Vec<Value>>,
) -> Result<Option<RowChange<'static>>, CaptureError> {
    let (op, mask, named, values) = match (before, now) {
        (None, None) => return Ok(None),
        (None, Some(values)) => return Ok(Some(added(table, Cow::Owned(values)))),
        (Some(before), Some(now)) => {
            stays_in_stream(table, Some(before), Some(&now))?;
            let differ = |column: &usize| before[*column] != now[*column];
            let columns: Vec<usize> = (0..now.len()).filter(differ).collect();
            if columns.is_empty() {
                return Ok(None);
            }
            let mask = columns.iter().fold(0, |mask, column| mask | 1 << column);
            let mut values = key;
            values.extend(columns.into_iter().map(|column| now[column].clone()));
            (Op::Update, mask, named(table, before), values)
        }
        (Some(before), None) => (Op::Delete, 0, named(table, before), key),
    };
    if table.rule.only_adds() {
        Err(CaptureError::FactChanged(table.name.clone()))
    } else {
        let values = Cow::Owned(values);
        Ok(Some(RowChange { table: table.id, op, mask, values, seen: None, named }))
    }
}
