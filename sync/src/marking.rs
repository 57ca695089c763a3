//! What a local write did to a register row, and its new marks
//!
//! The deed writes plain columns and never the marks: the engine sets them before the commit, in the same transaction.
//! An update row of an entry names columns that its writer saw under one mark. Columns that bear different marks make
//! a row each, so that a receiver knows of every column whether the writer had seen what it overwrites.

use crate::{
    entry::{Op, RowChange},
    origin::Origin,
    planted::{self, Fault},
    register::{self, Mark, Marks},
    tables::{Table, Tables},
    value::Value,
};
use rusqlite::Connection;
use std::{borrow::Cow, collections::BTreeMap};

/// A deed did to a register row what cannot be carried; the write is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkingError {
    /// A row was removed.
    #[error("a row of the register {0} was removed: give it a column that says that it is gone")]
    Removed(String),
    /// The deed wrote the marks.
    #[error("the marks of a row of {0} were written: leave the column sv out of the statement")]
    Written(String),
    /// The marks are not in their form.
    #[error("the marks of a row of {0} are damaged: have this database rebuilt")]
    Damaged(String),
    /// There is no version after the one that is here.
    #[error("a row of {0} was written too often: add a new row instead")]
    UsedUp(String),
}

/// The marks that a row bears from now on.
#[derive(Debug)]
pub struct NewMarks {
    /// Number of the table.
    table: u32,
    key: Vec<Value>,
    marks: Vec<u8>,
}

/// A row before and after a write.
pub struct Touched<'r> {
    /// Its key.
    pub key: Vec<Value>,
    /// All its columns before, if it was there.
    pub before: Option<&'r [Value]>,
    /// All its columns now, if it is there.
    pub now: Option<Vec<Value>>,
    /// The number of the stream that it names, where it names one.
    pub named: Option<i64>,
}

/// The changes of a row, and its new marks when it needs any.
pub fn compare(
    table: &Table,
    origin: Origin,
    row: Touched<'_>,
) -> Result<(Vec<RowChange<'static>>, Option<NewMarks>), MarkingError> {
    let column = table.layout.marks.expect("a register has marks");
    let name = || table.name.clone();
    let Touched { key, before, now, named } = row;
    let Some(mut now) = now else {
        let nothing = before.is_none();
        return if nothing { Ok((Vec::new(), None)) } else { Err(MarkingError::Removed(name())) };
    };
    let written = std::mem::replace(&mut now[column], Value::Null);
    let untouched = written == Value::Bytes(Vec::new());
    let Some(before) = before else {
        if !untouched {
            return Err(MarkingError::Written(name()));
        }
        let marks = Marks::of_row(Mark::first(origin)).to_bytes();
        let added = RowChange {
            table: table.id,
            op: Op::Insert,
            mask: 0,
            values: Cow::Owned(now),
            seen: None,
            named,
        };
        return Ok((vec![added], Some(NewMarks { table: table.id, key, marks })));
    };
    let kept = before[column] == written;
    if !kept && !untouched {
        return Err(MarkingError::Written(name()));
    }
    let Value::Bytes(bytes) = &before[column] else { return Err(MarkingError::Damaged(name())) };
    let mut marks = Marks::parse(bytes).ok_or_else(|| MarkingError::Damaged(name()))?;
    let mut groups: BTreeMap<Mark, u64> = BTreeMap::new();
    for at in (0..now.len()).filter(|at| *at != column && before[*at] != now[*at]) {
        *groups.entry(marks.of(at)).or_default() |= 1 << at;
    }
    let mut changes = Vec::with_capacity(groups.len());
    for (seen, mask) in groups {
        let mark = Mark::after(seen, origin).ok_or_else(|| MarkingError::UsedUp(name()))?;
        let mark =
            if planted::is(Fault::VersionNotRaised) { Mark { version: 2, origin } } else { mark };
        let mut values = key.clone();
        for at in crate::entry::columns(mask) {
            values.push(now[at].clone());
            marks.write(at, mark);
        }
        changes.push(RowChange {
            table: table.id,
            op: Op::Update,
            mask,
            values: Cow::Owned(values),
            seen: Some(seen),
            named,
        });
    }
    let changed = !kept || !changes.is_empty();
    let marks = changed.then(|| NewMarks { table: table.id, key, marks: marks.to_bytes() });
    Ok((changes, marks))
}

/// Writes the marks into their rows.
pub fn write(db: &Connection, tables: &Tables, all: &[NewMarks]) -> rusqlite::Result<()> {
    for NewMarks { table, key, marks } in all {
        let table = tables.numbered(*table).expect("captured tables are declared");
        let (name, at_key) = (&table.name, table.at_key(1));
        let sql = format!("UPDATE \"{name}\" SET {}=?1 WHERE {at_key}", register::COLUMN);
        let mut statement = db.prepare_cached(&sql)?;
        statement.raw_bind_parameter(1, marks)?;
        for (value, at) in key.iter().zip(2..) {
            statement.raw_bind_parameter(at, value)?;
        }
        let written = statement.raw_execute()?;
        assert_eq!(written, 1, "a row that was just read back is there");
    }
    Ok(())
}
