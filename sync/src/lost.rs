//! Values that lost against another, kept and queryable
//!
//! A write of a register column is lost when another has won and nobody who wrote has seen it. That is a property of
//! the writes alone, so every replica with the same entries keeps the same losers, in whatever order they arrived. A
//! mark that somebody has seen and that has not arrived is remembered, so that it is no loss when it comes.

use crate::{
    canonical::{Held, Malformed, Reader, Writer},
    hlc::Millis,
    origin::{Origin, Stream},
    register::{Mark, Marks},
    tables::{Table, Tables},
    value::Value,
};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

/// Where losers are kept, and marks that were overwritten before they arrived.
pub const SCHEMA: &str = "
CREATE TABLE sync_lost (
    table_id INTEGER NOT NULL,
    key      BLOB NOT NULL,
    col      INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    origin   INTEGER NOT NULL,
    stream   INTEGER NOT NULL,
    value    ANY,
    lost_at  INTEGER NOT NULL,
    PRIMARY KEY (table_id, key, col, version, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_overwritten (
    table_id INTEGER NOT NULL,
    key      BLOB NOT NULL,
    col      INTEGER NOT NULL,
    version  INTEGER NOT NULL,
    origin   INTEGER NOT NULL,
    stream   INTEGER NOT NULL,
    PRIMARY KEY (table_id, key, col, version, origin)
) STRICT, WITHOUT ROWID;
";

/// A value that lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostValue {
    /// The stream in which it was written.
    pub stream: Stream,
    /// The table.
    pub table: String,
    /// The key of the row.
    pub key: Vec<Value>,
    /// The column.
    pub column: String,
    /// What was written and is not there.
    pub value: Value,
    /// Who wrote it, and how often the column had been written then.
    pub lost: Mark,
    /// What is there instead.
    pub winner: Value,
    /// Who wrote that.
    pub won: Mark,
    /// When this replica learned of it, by its wall clock.
    pub lost_at: Millis,
}

/// One column of one row, as the tables here name it.
pub(crate) struct Cell<'k> {
    table: u32,
    key: &'k [u8],
    column: u8,
}

impl<'k> Cell<'k> {
    pub(crate) fn new(table: &Table, key: &'k [u8], column: usize) -> Cell<'k> {
        let column = u8::try_from(column).expect("a table has at most 62 columns");
        Cell { table: table.id, key, column }
    }

    /// Keeps a value that lost.
    pub(crate) fn keep(
        &self,
        db: &Connection,
        stream: Stream,
        mark: Mark,
        value: impl ToSql,
        now: Millis,
    ) -> rusqlite::Result<()> {
        db.prepare_cached(
            "INSERT OR IGNORE INTO sync_lost (table_id, key, col, version, origin, stream, value, lost_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            self.table,
            self.key,
            self.column,
            mark.version,
            mark.origin.get(),
            stream.number(),
            value,
            now.0,
        ))?;
        Ok(())
    }

    /// A writer has seen this mark. When it is kept as a loser it is none any more; else it has not come yet.
    pub(crate) fn saw(&self, db: &Connection, stream: Stream, seen: Mark) -> rusqlite::Result<()> {
        if self.forget(db, "sync_lost", seen)? {
            return Ok(());
        }
        db.prepare_cached(
            "INSERT OR IGNORE INTO sync_overwritten (table_id, key, col, version, origin, stream)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute((
            self.table,
            self.key,
            self.column,
            seen.version,
            seen.origin.get(),
            stream.number(),
        ))?;
        Ok(())
    }

    /// Whether somebody had seen this mark before it came here.
    pub(crate) fn was_seen(&self, db: &Connection, mark: Mark) -> rusqlite::Result<bool> {
        self.forget(db, "sync_overwritten", mark)
    }

    fn forget(&self, db: &Connection, from: &str, mark: Mark) -> rusqlite::Result<bool> {
        let sql = format!(
            "DELETE FROM {from} WHERE table_id = ?1 AND key = ?2 AND col = ?3 AND version = ?4 AND origin = ?5"
        );
        let gone = db.prepare_cached(&sql)?.execute((
            self.table,
            self.key,
            self.column,
            mark.version,
            mark.origin.get(),
        ))?;
        Ok(gone == 1)
    }
}

/// A key as it is kept here.
pub(crate) fn key_bytes(key: &[Value]) -> Vec<u8> {
    let mut out = Writer::after(Vec::with_capacity(16));
    out.list(key.len());
    for value in key {
        match value {
            Value::Null => out.null(),
            Value::Int(number) => out.int(*number),
            Value::Text(text) => out.text(text),
            Value::Bytes(bytes) => out.bytes(bytes),
        };
    }
    out.finish()
}

fn read_key(bytes: &[u8]) -> Result<Vec<Value>, Malformed> {
    let mut input = Reader::new(bytes);
    let values = (0..input.list()?).map(|_| {
        Ok(match input.held()? {
            Held::Nothing => Value::Null,
            Held::Number(number) => Value::Int(number),
            Held::Text(text) => Value::Text(text.to_owned()),
            Held::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        })
    });
    values.collect()
}

/// Every value that lost, by table, key, column and mark; of one table only when it is named.
pub fn all(
    db: &Connection,
    tables: &Tables,
    table: Option<&str>,
) -> rusqlite::Result<Vec<LostValue>> {
    let mut found = Vec::new();
    for known in tables.all() {
        if known.layout.marks.is_none() || table.is_some_and(|name| name != known.name) {
            continue;
        }
        let mut select = db.prepare_cached(
            "SELECT key, col, version, origin, stream, value, lost_at FROM sync_lost
             WHERE table_id = ?1 ORDER BY key, col, version, origin",
        )?;
        let mut rows = select.query([known.id])?;
        while let Some(row) = rows.next()? {
            found.extend(lost_value(db, known, row)?);
        }
    }
    Ok(found)
}

/// None for a row of the table that cannot be read, as in a database that somebody has changed by hand.
fn lost_value(db: &Connection, table: &Table, row: &Row) -> rusqlite::Result<Option<LostValue>> {
    let (column, version): (u8, u32) = (row.get(1)?, row.get(2)?);
    let column = usize::from(column);
    if table.places.get(column).copied().flatten().is_none() {
        return Ok(None);
    }
    let Ok(key) = read_key(row.get_ref(0)?.as_blob()?) else { return Ok(None) };
    let (Some(origin), Some(stream), Some(value)) =
        (Origin::new(row.get(3)?), Stream::from_number(row.get(4)?), Value::read(row.get_ref(5)?))
    else {
        return Ok(None);
    };
    let Some((winner, won)) = winner(db, table, &key, column)? else { return Ok(None) };
    Ok(Some(LostValue {
        stream,
        table: table.name.clone(),
        key,
        column: table.columns.get(column).cloned().unwrap_or_default(),
        value,
        lost: Mark { version, origin },
        winner,
        won,
        lost_at: Millis(row.get(6)?),
    }))
}

fn winner(
    db: &Connection,
    table: &Table,
    key: &[Value],
    column: usize,
) -> rusqlite::Result<Option<(Value, Mark)>> {
    let mut select = db.prepare_cached(&table.select)?;
    let found = select.query_row(rusqlite::params_from_iter(key), |row| {
        let marks = table.layout.marks.and_then(|at| row.get_ref(at).ok()?.as_blob().ok());
        let marks = marks.and_then(Marks::parse);
        let value = row.get_ref(column).ok().and_then(Value::read);
        Ok(value.zip(marks.map(|marks| marks.of(column))))
    });
    Ok(found.optional()?.flatten())
}
