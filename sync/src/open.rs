//! Opens SQLite files, always with the same settings
//!
//! WAL with `synchronous=FULL` lost nothing over every crash point that was
//! tried, `NORMAL` did (docs/decisions/0006-wal-full.md). So the settings are
//! read back, and a file that does not take them is refused.

use crate::{
    origin::Origin,
    planted::{self, Fault},
    row_id,
};
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

/// Cached statements per connection: the trade's questions and the engine's own.
const STATEMENTS_CACHED: usize = 256;

/// How long a reader waits for a lock before it is an error.
const READER_WAIT_MS: u32 = 5_000;

/// One change of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its file name without ending, in order of age: `0001_first`.
    pub name: &'static str,
    /// Plain SQL.
    pub sql: &'static str,
}

/// Why a database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error("the database {path} did not open: {cause}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// A setting was not taken.
    #[error(
        "the database {path} does not take {setting}: it cannot keep what is written safe there"
    )]
    Setting {
        /// The file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
    },
    /// Another process has it.
    #[error("the database {path} is in use by another process: stop that one first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The lock file could not be made.
    #[error("the lock beside the database {path} could not be taken: {cause}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// A newer build has written it.
    #[error("the database holds the migration {0}, which this build does not know: update it")]
    NewerSchema(String),
    /// A migration does not run.
    #[error("the migration {name} was undone: {cause}")]
    Migration {
        /// Its name.
        name: String,
        /// What SQLite says.
        cause: rusqlite::Error,
    },
    /// A replicated table is not declared as it must be.
    #[error(transparent)]
    Tables(#[from] crate::tables::TableError),
    /// The database belongs to another device.
    #[error(
        "the database belongs to origin {found}, the admission names {wanted}: use the right file"
    )]
    OtherOrigin {
        /// Whose it is.
        found: u32,
        /// Whose it should be.
        wanted: u32,
    },
}

/// Opens the one writing connection.
pub(crate) fn writer(
    path: &Path,
    vfs: Option<&str>,
    cache_kib: u32,
) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = connect(path, vfs, flags)?;
    set_up(&db, path, cache_kib)?;
    Ok(db)
}

/// Opens a connection that only reads.
pub fn reader(path: &Path, vfs: Option<&str>, origin: Origin) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = connect(path, vfs, flags)?;
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    db.busy_timeout(std::time::Duration::from_millis(READER_WAIT_MS.into())).map_err(failed)?;
    db.execute_batch("PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA query_only=ON")
        .map_err(failed)?;
    row_id::register_floor(&db, origin).map_err(failed)?;
    Ok(db)
}

/// Opens a database that is not replicated, such as the unfinished work of one device.
pub fn local(
    path: &Path,
    vfs: Option<&str>,
    schema: &[Migration],
) -> Result<Connection, OpenError> {
    let mut db = writer(path, vfs, 2_048)?;
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    db.execute_batch(MIGRATIONS).map_err(failed)?;
    migrate(&mut db, schema)?;
    Ok(db)
}

/// The list of migrations that ran.
pub(crate) const MIGRATIONS: &str =
    "CREATE TABLE IF NOT EXISTS sync_migration (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID";

/// Runs what has not run yet, each migration in a transaction of its own.
pub(crate) fn migrate(db: &mut Connection, schema: &[Migration]) -> Result<(), OpenError> {
    let ran: Vec<String> = db
        .prepare("SELECT name FROM sync_migration ORDER BY name")
        .and_then(|mut all| all.query_map([], |row| row.get(0))?.collect())
        .map_err(|cause| OpenError::Migration { name: "list".to_owned(), cause })?;
    let known = |name: &String| schema.iter().any(|step| step.name == name);
    if let Some(newer) = ran.iter().find(|name| !known(name)) {
        return Err(OpenError::NewerSchema(newer.clone()));
    }
    for step in schema.iter().filter(|step| !ran.iter().any(|name| name == step.name)) {
        let failed = |cause| OpenError::Migration { name: step.name.to_owned(), cause };
        let tx = db.transaction().map_err(failed)?;
        tx.execute_batch(step.sql).map_err(failed)?;
        tx.execute("INSERT INTO sync_migration (name) VALUES (?1)", [step.name]).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

fn connect(path: &Path, vfs: Option<&str>, flags: OpenFlags) -> Result<Connection, OpenError> {
    let opened = match vfs {
        Some(name) => Connection::open_with_flags_and_vfs(path, flags, name),
        None => Connection::open_with_flags(path, flags),
    };
    let db = opened.map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(db)
}

fn set_up(db: &Connection, path: &Path, cache_kib: u32) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    db.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
    db.execute_batch(&format!(
        "PRAGMA journal_mode=WAL;
         PRAGMA synchronous=FULL;
         PRAGMA foreign_keys=ON;
         PRAGMA recursive_triggers=OFF;
         PRAGMA trusted_schema=OFF;
         PRAGMA cell_size_check=ON;
         PRAGMA temp_store=MEMORY;
         PRAGMA mmap_size=0;
         PRAGMA cache_size=-{cache_kib}"
    ))
    .map_err(failed)?;
    let journal: String =
        db.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)?;
    if journal != "wal" {
        return Err(OpenError::Setting { path: path.to_owned(), setting: "journal_mode=WAL" });
    }
    let level: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(failed)?;
    if level != 2 {
        return Err(OpenError::Setting { path: path.to_owned(), setting: "synchronous=FULL" });
    }
    if planted::is(Fault::SynchronousNormal) {
        db.execute_batch("PRAGMA synchronous=NORMAL").map_err(failed)?;
    }
    Ok(())
}
