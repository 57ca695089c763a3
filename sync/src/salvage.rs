//! Copies rows out of a rotten database, as far as they read
//!
//! What no log brings back is copied table by table. A table is read from its beginning, and where a page of it does not
//! read, from its end too: so what lies on that page is lost, and not all that lies behind it.

use crate::{changelog, floor, lacking, page_check, replica::Replica};
use rusqlite::{Connection, ErrorCode, config::DbConfig, types::Value};
use std::collections::BTreeSet;

/// Tables that are made again with the log, or by opening.
const MADE_AGAIN: [&str; 16] = [
    "sync_log",
    "sync_lane",
    "sync_head",
    "sync_seal",
    "sync_parked",
    "sync_migration",
    "replicated",
    "replicated_column",
    "replicated_epoch",
    "replicated_ended",
    "replicated_renamed",
    "sync_table",
    "sync_column",
    "sync_ahead",
    "sync_lost",
    "sync_overwritten",
];

/// Where sealed blobs lie.
pub(crate) const BLOBS: &str = "private_blob";

/// Under this name a database says that rows of it are missing.
const TORN: &str = "torn";

/// What tables have given.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    /// Rows that were copied.
    pub(crate) rows: u64,
    /// Tables of which some rows did not read.
    pub(crate) torn: Vec<String>,
}

/// What was read, or nothing where the page has rotted. Any other failure is one: trying again may read more.
pub(crate) fn legible<T>(read: rusqlite::Result<T>) -> rusqlite::Result<Option<T>> {
    match read {
        Err(cause) if page_check::is_illegible(&cause) => Ok(None),
        read => read.map(Some),
    }
}

impl Replica {
    /// Copies sealed blobs, which lie beside the log.
    pub(crate) fn salvage_blobs(&mut self, old: &Connection) -> rusqlite::Result<Copied> {
        self.salvage_each(old, vec![BLOBS.to_owned()])
    }

    /// Lists which blobs did not read, where the log does not reach back to all entries.
    pub(crate) fn list_lacking(&mut self) -> rusqlite::Result<()> {
        let (tables, own) = (self.tables.clone(), (self.identity.origin, self.identity.store));
        self.keep_house(|db| {
            for ((stream, origin), head, _) in changelog::heads(db)? {
                for seq in floor::floor(db, stream, origin)?.seq + 1..=head.seq {
                    let entry = changelog::read(db, stream, origin, seq, 1, u64::MAX)?.pop();
                    if let Some(entry) = entry {
                        lacking::note(db, &tables, (origin, stream, seq), &entry)?;
                    }
                }
            }
            lacking::note_rows(db, &tables, own)
        })
    }

    /// From now on nobody is given a snapshot from here: rows of it are missing.
    pub(crate) fn mark_torn(&mut self) -> rusqlite::Result<()> {
        let sql = "INSERT OR REPLACE INTO sync_meta (name, value) VALUES (?1, 1)";
        self.keep_house(|db| db.execute(sql, [TORN]).map(drop))
    }

    /// Whether rows are missing here, with their log.
    pub(crate) fn is_torn(&self) -> rusqlite::Result<bool> {
        self.db.prepare_cached("SELECT 1 FROM sync_meta WHERE name = ?1")?.exists([TORN])
    }

    /// Copies what is not replicated and did not come back with the log; all that there is where that is trimmed.
    pub(crate) fn salvage_tables(
        &mut self,
        old: &Connection,
        all: bool,
    ) -> rusqlite::Result<Copied> {
        let mut made: BTreeSet<String> =
            self.tables.all().iter().map(|table| table.name.clone()).collect();
        made.extend(MADE_AGAIN.map(str::to_owned));
        made.insert(BLOBS.to_owned());
        let mut names: Vec<String> = self
            .db
            .prepare(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        names.retain(|name| all || !made.contains(name));
        self.salvage_each(old, names)
    }

    fn salvage_each(&mut self, old: &Connection, names: Vec<String>) -> rusqlite::Result<Copied> {
        self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        self.db.execute_batch("PRAGMA foreign_keys=OFF")?;
        let mut copied = Copied::default();
        for name in names {
            let (rows, whole) = self.keep_house(|db| copy(old, db, &name))?;
            copied.rows += rows;
            if !whole {
                copied.torn.push(name);
            }
        }
        self.db.execute_batch("PRAGMA foreign_keys=ON")?;
        self.db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        Ok(copied)
    }
}

/// Copies the rows of a table that are not there yet: how many, and whether all of them have read.
fn copy(old: &Connection, new: &Connection, table: &str) -> rusqlite::Result<(u64, bool)> {
    let (rows, is_whole) = copy_from(old, new, table, "")?;
    if is_whole {
        return Ok((rows, true));
    }
    let (behind, _) = copy_from(old, new, table, &backwards(new, table)?)?;
    Ok((rows + behind, false))
}

/// The order that begins at the end of a table.
fn backwards(new: &Connection, table: &str) -> rusqlite::Result<String> {
    let without_rowid = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
    let keys = if new.query_row(without_rowid, [table], |row| row.get(0))? {
        new.prepare("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?
            .query_map([table], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<String>, _>>()?
    } else {
        vec!["rowid".to_owned()]
    };
    let keys: Vec<String> =
        keys.iter().map(|key| format!("\"{}\" DESC", key.replace('"', "\"\""))).collect();
    Ok(format!(" ORDER BY {}", keys.join(", ")))
}

/// Copies the rows of a table in an order as far as they read.
fn copy_from(
    old: &Connection,
    new: &Connection,
    table: &str,
    order: &str,
) -> rusqlite::Result<(u64, bool)> {
    let quoted = table.replace('"', "\"\"");
    let mut select = match old.prepare(&format!("SELECT * FROM \"{quoted}\"{order}")) {
        // A newer build has made it.
        Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::Unknown) => {
            return Ok((0, true));
        }
        select => match legible(select)? {
            Some(select) => select,
            None => return Ok((0, false)),
        },
    };
    // A newer build has lost columns, and gained some: these take their defaults.
    let kept = new.prepare(&format!("SELECT * FROM \"{quoted}\""))?;
    let kept: BTreeSet<&str> = kept.column_names().collect();
    let (at, columns): (Vec<usize>, Vec<String>) = (select.column_names().enumerate())
        .filter(|(_, name)| kept.contains(name))
        .map(|(at, name)| (at, name.replace('"', "\"\"")))
        .unzip();
    let places = vec!["?"; columns.len()].join(", ");
    let mut insert = new.prepare(&format!(
        "INSERT OR IGNORE INTO \"{quoted}\" (\"{}\") VALUES ({places})",
        columns.join("\", \"")
    ))?;
    let (mut rows, mut copied) = (select.query([])?, 0);
    loop {
        match legible(rows.next())? {
            Some(Some(row)) => {
                let values = at.iter().map(|at| row.get(*at)).collect::<Result<Vec<Value>, _>>()?;
                copied += insert.execute(rusqlite::params_from_iter(values))? as u64;
            }
            Some(None) => return Ok((copied, true)),
            None => return Ok((copied, false)),
        }
    }
}
