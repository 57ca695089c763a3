//! Merges the writes of register rows, column by column
//!
//! Nearly always the writer saw what stands here. Then one statement does it all: it finds the row, asks whether its
//! marks are those that were seen, and writes values and marks. Only when they are not is the row read, and each column
//! weighed by itself.

use crate::{
    entry::columns,
    hlc::Millis,
    lost::{Cell, key_bytes},
    origin::{Origin, Stream},
    planted::{self, Fault},
    register::{self, Mark, Marks},
    tables::Table,
    value::{Borrowed, Value},
};
use rusqlite::{CachedStatement, Connection};

/// Where a write of a register row is merged.
#[derive(Clone, Copy)]
pub(crate) struct Site<'s> {
    pub(crate) db: &'s Connection,
    pub(crate) table: &'s Table,
    pub(crate) stream: Stream,
    pub(crate) origin: Origin,
    pub(crate) now: Millis,
}

/// A write of columns of one row.
pub(crate) struct Written<'v> {
    pub(crate) key: Vec<Value>,
    /// The mark that its writer saw in these columns; None when it added the row.
    pub(crate) seen: Option<Mark>,
    /// Column numbers and what was written.
    pub(crate) columns: Vec<(usize, Borrowed<'v>)>,
    /// Columns that were written and that are not in the table any more, as a mask: their marks live on.
    pub(crate) gone: u64,
    /// The row was merged before, without these columns.
    pub(crate) again: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merged {
    /// Its winners stand in the row, its losers are kept.
    Done,
    /// There is no such row here yet.
    NoRow,
    /// The marks of the row here are not in their form.
    Damaged,
    /// It says that it saw the last version there can be.
    UsedUp,
}

/// The statement that changes the columns of a mask when all of them bear the mark that was seen. It takes the new
/// values, the mask, the mark that was seen, the new mark, and the key.
pub(crate) fn fast_change(table: &Table, mask: u64) -> String {
    let mut set: Vec<String> =
        columns(mask).zip(1..).map(|(at, no)| format!("\"{}\"=?{no}", table.columns[at])).collect();
    let (sv, here) = (register::COLUMN, set.len());
    let [mask, seen, mark] = [here + 1, here + 2, here + 3];
    set.push(format!("{sv}=sync_wrote({sv},?{mask},?{mark})"));
    let (name, set, at_key) = (&table.name, set.join(","), table.at_key(here + 3));
    format!("UPDATE \"{name}\" SET {set} WHERE {at_key} AND sync_saw({sv},?{mask},?{seen})")
}

/// Runs that statement; false when the row must be looked at.
pub(crate) fn change_fast(
    statement: &mut CachedStatement<'_>,
    mask: u64,
    seen: Mark,
    mark: Mark,
    key: &[Borrowed<'_>],
    new: &[Borrowed<'_>],
) -> rusqlite::Result<bool> {
    for (value, at) in new.iter().zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    let here = new.len();
    statement.raw_bind_parameter(here + 1, mask.cast_signed())?;
    statement.raw_bind_parameter(here + 2, seen.to_number())?;
    statement.raw_bind_parameter(here + 3, mark.to_number())?;
    for (value, at) in key.iter().zip(here + 4..) {
        statement.raw_bind_parameter(at, value)?;
    }
    Ok(statement.raw_execute()? == 1)
}

/// Weighs each column of a write against what stands here.
pub(crate) fn merge(site: &Site<'_>, written: &Written<'_>) -> rusqlite::Result<Merged> {
    let column_of_marks = site.table.layout.marks.expect("a register has marks");
    let Some(row) = read_row(site, &written.key)? else { return Ok(Merged::NoRow) };
    let before = match &row[column_of_marks] {
        Value::Bytes(bytes) => Marks::parse(bytes),
        _ => None,
    };
    let Some(before) = before else { return Ok(Merged::Damaged) };
    let mark = match written.seen {
        None => Some(Mark::first(site.origin)),
        Some(seen) => Mark::after(seen, site.origin),
    };
    let Some(mark) = mark else { return Ok(Merged::UsedUp) };
    let (key, mut marks, mut won) = (key_bytes(&written.key), before.clone(), Vec::new());
    for (column, value) in &written.columns {
        let cell = Cell::new(site.table, &key, *column);
        let meeting = Meeting {
            column: *column,
            stored: before.of(*column),
            mark,
            seen: written.seen,
            again: written.again,
        };
        if meeting.takes(site, &cell, &row[*column], *value)? {
            won.push((*column, *value));
            if written.seen.is_some() {
                marks.write(*column, mark);
            }
        }
    }
    if written.seen.is_none() {
        marks.add_row(mark);
    }
    for column in columns(written.gone) {
        marks.write(column, before.of(column).max(mark));
    }
    if !won.is_empty() || marks != before {
        write_row(site, &written.key, won, &marks.to_bytes(), column_of_marks)?;
    }
    Ok(Merged::Done)
}

/// Two writes of one column.
struct Meeting {
    column: usize,
    stored: Mark,
    mark: Mark,
    seen: Option<Mark>,
    again: bool,
}

impl Meeting {
    /// Whether the write that comes wins. Whichever loses is kept, unless somebody had seen it.
    fn takes(
        &self,
        site: &Site<'_>,
        cell: &Cell<'_>,
        old: &Value,
        new: Borrowed<'_>,
    ) -> rusqlite::Result<bool> {
        let Meeting { column, stored, mark, seen, again } = *self;
        if mark == stored {
            return Ok(again);
        }
        let wins = mark > stored || planted::is(Fault::LastArrivalWins);
        if wins {
            if seen != Some(stored) && !says_nothing(site, column, stored, old.borrow()) {
                self.lose(site, cell, stored, old.borrow())?;
            }
        } else if !cell.was_seen(site.db, mark)? && !says_nothing(site, column, mark, new) {
            self.lose(site, cell, mark, new)?;
        }
        if let Some(seen) = seen.filter(|seen| *seen != stored) {
            cell.saw(site.db, site.stream, seen)?;
        }
        Ok(wins)
    }

    fn lose(
        &self,
        site: &Site<'_>,
        cell: &Cell<'_>,
        mark: Mark,
        value: Borrowed<'_>,
    ) -> rusqlite::Result<()> {
        if planted::is(Fault::LoserThrownAway) {
            return Ok(());
        }
        cell.keep(site.db, site.stream, mark, value, site.now)
    }
}

/// A NULL that came with a new row is no value that anybody gave, and neither is the default of a column that came later:
/// whoever added the row may not have had it.
fn says_nothing(site: &Site<'_>, column: usize, mark: Mark, value: Borrowed<'_>) -> bool {
    let age = site.table.layout.ages.get(column);
    let late = age.filter(|age| age.since > site.table.since);
    let default = late.is_some_and(|age| age.absent.borrow() == value);
    mark.is_first() && (value == Borrowed::Null || default)
}

/// All columns of a row by their numbers.
fn read_row(site: &Site<'_>, key: &[Value]) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut select = site.db.prepare_cached(&site.table.select)?;
    let mut rows = select.query(rusqlite::params_from_iter(key))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let read = |at| Ok(Value::read(row.get_ref(at)?).unwrap_or(Value::Null));
    (0..site.table.columns.len()).map(read).collect::<rusqlite::Result<_>>().map(Some)
}

fn write_row<'v>(
    site: &Site<'_>,
    key: &[Value],
    mut won: Vec<(usize, Borrowed<'v>)>,
    marks: &'v [u8],
    column_of_marks: usize,
) -> rusqlite::Result<()> {
    won.push((column_of_marks, Borrowed::Bytes(marks)));
    won.sort_by_key(|(column, _)| *column);
    let mask = won.iter().fold(0, |mask, (column, _)| mask | 1 << column);
    let mut statement = site.db.prepare_cached(&site.table.update(mask))?;
    let values = won.iter().map(|(_, value)| *value).chain(key.iter().map(Value::borrow));
    for (value, at) in values.zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    let changed = statement.raw_execute()?;
    assert_eq!(changed, 1, "a row that was just read is there");
    Ok(())
}
