//! Schema epochs, and the numbers of columns that never change
//!
//! On the wire a column is a number. So each gets one when it first appears, keeps it for ever, and a dropped column
//! keeps it too. An epoch is the version of what is declared: a migration that adds or ends something that replicates
//! begins the next one. What came and ended with which epoch stands beside the numbers, and tells how to read what older
//! and newer devices write.

use crate::declared::{Column, TableError, column_kinds, read_columns};
use rusqlite::{Connection, OptionalExtension};

/// What migrations say about epochs, and the numbers that were given.
pub const SCHEMA: &str = "
CREATE TABLE replicated_epoch (
    epoch INTEGER PRIMARY KEY CHECK (epoch BETWEEN 2 AND 65535)
) STRICT;
CREATE TABLE replicated_ended (
    table_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (table_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE replicated_renamed (
    table_id INTEGER NOT NULL,
    was      TEXT NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (table_id, was, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_table (
    table_id INTEGER PRIMARY KEY,
    name     TEXT NOT NULL,
    since    INTEGER NOT NULL,
    until    INTEGER
) STRICT;
CREATE TABLE sync_column (
    table_id  INTEGER NOT NULL,
    column_id INTEGER NOT NULL,
    name      TEXT NOT NULL,
    kind      TEXT NOT NULL,
    since     INTEGER NOT NULL,
    until     INTEGER,
    gone      INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (table_id, column_id)
) STRICT, WITHOUT ROWID;
";

/// The first epoch.
pub const FIRST: u16 = 1;

/// Entries of so many epochs before ours must be understood: so long a column stays after its end.
pub const BEHIND: u16 = 2;

/// Entries of so many epochs after ours are understood as far as we know the schema.
pub const AHEAD: u16 = 1;

/// A column's number, and when it came and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name, or the last one that it had.
    pub name: String,
    /// Its kind, in a word.
    pub kind: String,
    /// The first epoch that has it.
    pub since: u16,
    /// The first epoch that does not use it any more.
    pub until: Option<u16>,
    /// It is not in the table any more.
    pub gone: bool,
}

/// A table that does not replicate any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub table: u32,
    /// The first epoch without it.
    pub until: u16,
}

/// The epoch of what is declared.
pub fn current(db: &Connection) -> rusqlite::Result<u16> {
    db.query_row("SELECT ifnull(max(epoch), ?1) FROM replicated_epoch", [FIRST], |row| row.get(0))
}

/// The epochs whose entries are understood: oldest and newest.
pub fn understood(epoch: u16) -> (u16, u16) {
    (epoch.saturating_sub(BEHIND).max(FIRST), epoch.saturating_add(AHEAD))
}

/// The columns of a table by their numbers.
pub fn pins(db: &Connection, table: u32) -> rusqlite::Result<Vec<Pin>> {
    db.prepare_cached(
        "SELECT name, kind, since, until, gone FROM sync_column WHERE table_id = ?1 ORDER BY column_id",
    )?
    .query_map([table], |row| {
        Ok(Pin {
            name: row.get(0)?,
            kind: row.get(1)?,
            since: row.get(2)?,
            until: row.get(3)?,
            gone: row.get(4)?,
        })
    })?
    .collect()
}

/// The first epoch that has a table.
pub fn table_since(db: &Connection, table: u32) -> rusqlite::Result<u16> {
    let since = "SELECT since FROM sync_table WHERE table_id = ?1";
    let mut ask = db.prepare_cached(since)?;
    ask.query_row([table], |row| row.get(0)).optional().map(|since| since.unwrap_or(FIRST))
}

/// The tables that do not replicate any more.
pub fn ended(db: &Connection) -> rusqlite::Result<Vec<Ended>> {
    db.prepare_cached(
        "SELECT table_id, until FROM sync_table WHERE until IS NOT NULL ORDER BY table_id",
    )?
    .query_map([], |row| Ok(Ended { table: row.get(0)?, until: row.get(1)? }))?
    .collect()
}

/// Gives numbers to what a migration has declared or added, and notes what it has ended. Runs in the migration's own
/// transaction, so that a number is there as soon as its column is.
pub fn pin(db: &Connection) -> Result<(), TableError> {
    let there = "SELECT count(*) FROM sqlite_schema WHERE name = 'sync_column'";
    if db.prepare_cached(there)?.query_row([], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(());
    }
    let epoch = current(db)?;
    let declared: Vec<(u32, String)> = db
        .prepare_cached("SELECT table_id, name FROM replicated ORDER BY table_id")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    db.prepare_cached(
        "UPDATE sync_table SET until = ?1 WHERE until IS NULL
         AND table_id NOT IN (SELECT table_id FROM replicated)",
    )?
    .execute([epoch])?;
    for (table, name) in declared {
        let columns = read_columns(db, &name)?;
        // A declaration without its table is refused when all are read.
        if !columns.is_empty() && !is_pinned(db, table, &name, &columns)? {
            pin_table(db, epoch, table, &name, &columns)?;
        }
    }
    Ok(())
}

/// Whether nothing has changed about a table since it was last looked at: most migrations touch one of many.
fn is_pinned(
    db: &Connection,
    table: u32,
    name: &str,
    columns: &[Column],
) -> rusqlite::Result<bool> {
    let mut said = db.prepare_cached(
        "SELECT EXISTS (SELECT 1 FROM sync_table WHERE table_id = ?1 AND name = ?2 AND until IS NULL)
         AND NOT EXISTS (SELECT 1 FROM replicated_ended WHERE table_id = ?1)
         AND NOT EXISTS (SELECT 1 FROM replicated_renamed WHERE table_id = ?1)",
    )?;
    if !said.query_row((table, name), |row| row.get(0))? {
        return Ok(false);
    }
    let pins = pins(db, table)?;
    let live = pins.iter().filter(|pin| !pin.gone).map(|pin| &pin.name);
    Ok(live.eq(columns.iter().map(|column| &column.name)))
}

fn pin_table(
    db: &Connection,
    epoch: u16,
    table: u32,
    name: &str,
    columns: &[Column],
) -> Result<(), TableError> {
    let refuse = |reason: String| TableError::Refused { table: name.to_owned(), reason };
    let ended = "SELECT name FROM sync_table WHERE table_id = ?1 AND until IS NOT NULL";
    let mut ended = db.prepare_cached(ended)?;
    let before: Option<String> = ended.query_row([table], |row| row.get(0)).optional()?;
    if let Some(before) = before {
        return Err(refuse(format!(
            "its number {table} belonged to {before}: take the next free one"
        )));
    }
    db.prepare_cached(
        "INSERT INTO sync_table (table_id, name, since) VALUES (?1, ?2, ?3)
         ON CONFLICT (table_id) DO UPDATE SET name = excluded.name",
    )?
    .execute((table, name, epoch))?;
    db.prepare_cached(
        "UPDATE sync_column SET name = (SELECT r.name FROM replicated_renamed r
             WHERE r.table_id = sync_column.table_id AND r.was = sync_column.name)
         WHERE table_id = ?1 AND gone = 0 AND EXISTS (SELECT 1 FROM replicated_renamed r
             JOIN pragma_table_xinfo(?2) c ON c.name = r.name
             WHERE r.table_id = ?1 AND r.was = sync_column.name
             AND NOT EXISTS (SELECT 1 FROM pragma_table_xinfo(?2) o WHERE o.name = r.was))",
    )?
    .execute((table, name))?;
    db.prepare_cached(
        "UPDATE sync_column SET until = ?2 WHERE table_id = ?1 AND until IS NULL AND gone = 0
         AND name IN (SELECT name FROM replicated_ended WHERE table_id = ?1)",
    )?
    .execute((table, epoch))?;
    // Said once: a column that comes later may take an old name, and never an old number.
    db.prepare_cached("DELETE FROM replicated_ended WHERE table_id = ?1")?.execute([table])?;
    db.prepare_cached("DELETE FROM replicated_renamed WHERE table_id = ?1")?.execute([table])?;
    drop_pins(db, epoch, table, columns).map_err(|found| match found {
        Ok(name) => refuse(format!(
            "column {name} is gone: end it in replicated_ended {BEHIND} epochs before, or name it in replicated_renamed"
        )),
        Err(cause) => TableError::Sqlite(cause),
    })?;
    let kinds = column_kinds(db, table, columns)?.map_err(refuse)?;
    for (column, kind) in columns.iter().zip(kinds) {
        db.execute(
            "INSERT INTO sync_column (table_id, column_id, name, kind, since)
             SELECT ?1, (SELECT ifnull(max(column_id) + 1, 0) FROM sync_column WHERE table_id = ?1), ?2, ?3, ?4
             WHERE NOT EXISTS (SELECT 1 FROM sync_column WHERE table_id = ?1 AND name = ?2 AND gone = 0)",
            (table, &column.name, kind.word(), epoch),
        )?;
    }
    Ok(())
}

/// Notes columns that left the table; the name of one that left too early.
fn drop_pins(
    db: &Connection,
    epoch: u16,
    table: u32,
    columns: &[Column],
) -> Result<(), Result<String, rusqlite::Error>> {
    for pin in pins(db, table).map_err(Err)? {
        if pin.gone || columns.iter().any(|column| column.name == pin.name) {
            continue;
        }
        if pin.until.is_none_or(|until| epoch < until.saturating_add(BEHIND)) {
            return Err(Ok(pin.name));
        }
        let sql = "UPDATE sync_column SET gone = 1 WHERE table_id = ?1 AND name = ?2";
        db.execute(sql, (table, &pin.name)).map_err(Err)?;
    }
    Ok(())
}
