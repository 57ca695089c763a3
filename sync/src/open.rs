//! Opens SQLite files, always with the same settings
//!
//! WAL with `synchronous=FULL` lost nothing over every crash point that was
//! tried, `NORMAL` did (docs/decisions/0006-wal-full.md). So the settings are
//! read back, and a file that does not take them is refused. Every file lies on
//! the layer that checks its pages (docs/decisions/0013-page-sums.md).

use crate::{
    add_column,
    declared::TableError,
    origin::Origin,
    page_check, page_sum,
    planted::{self, Fault},
    row_id,
};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// Cached statements per connection: the trade's questions and the engine's own.
const STATEMENTS_CACHED: usize = 256;

/// How long a reader waits for a lock before it is an error.
const READER_WAIT_MS: u32 = 5_000;

const READS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

const WRITES: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE
    .union(OpenFlags::SQLITE_OPEN_CREATE)
    .union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

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
    /// It was written before pages had sums, or by a program that makes none.
    #[error(
        "the database {path} has pages without sums, so nobody can tell whether they have rotted: move it aside, and start this device as one that was wiped"
    )]
    WithoutSums {
        /// The file.
        path: PathBuf,
    },
    /// It has rotted where only others can help.
    #[error(
        "the database {path} has rotted, and the beginning of its log is trimmed: move it aside and start this device as one that was wiped, its parent gives it a snapshot"
    )]
    NeedsSnapshot {
        /// The file.
        path: PathBuf,
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
    Tables(#[from] TableError),
    /// Somebody who was erased may still be readable here.
    #[error("{path}: those who were erased could not be forgotten: {cause}")]
    Erasure {
        /// The file of keys.
        path: PathBuf,
        /// Why.
        cause: String,
    },
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

impl OpenError {
    /// A read of this file was refused because of rot.
    pub(crate) fn rot_in(path: PathBuf) -> OpenError {
        let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_DATA);
        OpenError::Sqlite { path, cause: rusqlite::Error::SqliteFailure(failure, None) }
    }

    /// Whether a page or a frame of the log is not what was written.
    pub fn is_rot(&self) -> bool {
        match self {
            OpenError::Sqlite { cause, .. } | OpenError::Migration { cause, .. } => {
                page_check::is_rot(cause)
            }
            OpenError::Tables(TableError::Sqlite(cause)) => page_check::is_rot(cause),
            _ => false,
        }
    }
}

/// Opens the one writing connection.
pub(crate) fn writer(
    path: &Path,
    vfs: Option<&str>,
    cache_kib: u32,
) -> Result<Connection, OpenError> {
    let open = || {
        let db = connect(path, vfs, WRITES)?;
        set_up(&db, path, cache_kib)?;
        Ok::<_, OpenError>(db)
    };
    match open() {
        Err(cause) if cause.is_rot() && vfs.is_none() && has_no_sums(path) => {
            convert(path)?;
            open()
        }
        opened => opened,
    }
}

/// Whether a file is whole but was written before pages had sums.
fn has_no_sums(path: &Path) -> bool {
    let mut first = [0; page_sum::PAGE_BYTES];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && page_sum::is_older(&first)
}

/// Gives an older file its sums. The old file is whole until the new one takes its place in one step.
fn convert(path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    let refused = || OpenError::WithoutSums { path: path.to_owned() };
    let beside = path.with_extension("sums");
    let target = beside.to_str().ok_or_else(refused)?;
    let target = target.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let layer = page_check::over(None).ok_or_else(refused)?;
    match std::fs::remove_file(&beside) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(refused()),
        _ => {}
    }
    let old = Connection::open_with_flags(path, WRITES).map_err(failed)?;
    let found: String =
        old.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if found != "ok" || !page_check::reserve(&old) {
        return Err(refused());
    }
    old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(failed)?;
    old.execute("VACUUM INTO ?1", [format!("file:{target}?vfs={layer}")]).map_err(failed)?;
    old.close().map_err(|(_, cause)| failed(cause))?;
    let left = path.with_file_name(match path.file_name().and_then(|name| name.to_str()) {
        Some(name) => format!("{name}-wal"),
        None => return Err(refused()),
    });
    let log_is_empty = std::fs::metadata(left).map_or(true, |log| log.len() == 0);
    let moved = log_is_empty && std::fs::rename(&beside, path).is_ok();
    if moved { Ok(()) } else { Err(refused()) }
}

/// Opens a connection that only reads.
pub fn reader(path: &Path, vfs: Option<&str>, origin: Origin) -> Result<Connection, OpenError> {
    let db = connect(path, vfs, READS)?;
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
    migrate(&mut db, schema, |_| Ok(()))?;
    Ok(db)
}

/// The list of migrations that ran.
pub(crate) const MIGRATIONS: &str =
    "CREATE TABLE IF NOT EXISTS sync_migration (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID";

/// Runs what has not run yet, each migration in a transaction of its own, and `after` in it behind each.
pub(crate) fn migrate(
    db: &mut Connection,
    schema: &[Migration],
    after: impl Fn(&Connection) -> Result<(), TableError>,
) -> Result<(), OpenError> {
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
        let scratch = Connection::open_in_memory;
        add_column::execute_batch(&tx, step.sql, scratch).map_err(failed)?;
        after(&tx)?;
        tx.execute("INSERT INTO sync_migration (name) VALUES (?1)", [step.name]).map_err(failed)?;
        tx.commit().map_err(failed)?;
    }
    Ok(())
}

fn connect(path: &Path, vfs: Option<&str>, flags: OpenFlags) -> Result<Connection, OpenError> {
    let setting = "the layer that checks its pages";
    let layer = page_check::over(vfs)
        .ok_or_else(|| OpenError::Setting { path: path.to_owned(), setting })?;
    let opened = Connection::open_with_flags_and_vfs(path, flags, layer.as_str());
    let db = opened.map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_WRITE) && !page_check::reserve(&db) {
        return Err(OpenError::Setting { path: path.to_owned(), setting });
    }
    Ok(db)
}

/// Opens a file that has rotted, for reading what still reads.
pub(crate) fn salvage(path: &Path, vfs: Option<&str>) -> Result<Connection, OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    let layer = page_check::lenient_over(vfs).ok_or_else(|| OpenError::Setting {
        path: path.to_owned(),
        setting: "the layer that checks its pages",
    })?;
    Connection::open_with_flags_and_vfs(path, READS, layer.as_str()).map_err(failed)
}

/// Opens a file for the hands of a tool or a test: pages are checked, and no setting is read back.
pub fn by_hand(path: &Path) -> Result<Connection, OpenError> {
    let db = connect(path, None, WRITES)?;
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    db.execute_batch("PRAGMA secure_delete=ON").map_err(failed)?;
    Ok(db)
}

/// With `secure_delete` SQLite also writes the pages that it frees. Else a page that is taken and given back within one
/// transaction would never be written: zeros without a sum, which look like rot.
fn set_up(db: &Connection, path: &Path, cache_kib: u32) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    db.busy_timeout(std::time::Duration::ZERO).map_err(failed)?;
    // Otherwise a statement is prepared anew for every other value that is bound to it: SQLite might find a better plan
    // for just that value. Each question of the engine has one plan.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(failed)?;
    db.execute_batch("PRAGMA page_size=4096").map_err(failed)?;
    keep_log(db, path)?;
    db.execute_batch(&format!(
        "PRAGMA synchronous=FULL;
         PRAGMA foreign_keys=ON;
         PRAGMA recursive_triggers=OFF;
         PRAGMA trusted_schema=OFF;
         PRAGMA cell_size_check=ON;
         PRAGMA temp_store=MEMORY;
         PRAGMA mmap_size=0;
         PRAGMA secure_delete=ON;
         PRAGMA cache_size=-{cache_kib}"
    ))
    .map_err(failed)?;
    let level: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).map_err(failed)?;
    if level != 2 {
        return Err(OpenError::Setting { path: path.to_owned(), setting: "synchronous=FULL" });
    }
    if planted::is(Fault::SynchronousNormal) {
        db.execute_batch("PRAGMA synchronous=NORMAL").map_err(failed)?;
    }
    if planted::is(Fault::SynchronousOff) {
        db.execute_batch("PRAGMA synchronous=OFF").map_err(failed)?;
    }
    Ok(())
}

/// Turns the write-ahead log on. The change is a transaction of its own that ends behind the answer: the answer is `wal`
/// although the transaction then fails, and from there on the connection would say so too, while its commits last only
/// until the power goes. So the statement runs to its end, and the log itself must be there.
fn keep_log(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    if planted::is(Fault::LogNotLookedFor) {
        return db.execute_batch("PRAGMA journal_mode=WAL").map_err(failed);
    }
    let mut turn_on = db.prepare("PRAGMA journal_mode=WAL").map_err(failed)?;
    let mut answers = turn_on.query([]).map_err(failed)?;
    while answers.next().map_err(failed)?.is_some() {}
    // The log is opened by the first read.
    db.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(failed)?;
    if page_check::keeps_log(db) {
        Ok(())
    } else {
        Err(OpenError::Setting { path: path.to_owned(), setting: "journal_mode=WAL" })
    }
}

/// Keeps a second process away from a database, for as long as the file lives.
pub(crate) fn lock(path: &Path) -> Result<File, OpenError> {
    let beside = path.with_extension("lock");
    let failed = |cause| OpenError::Lock { path: path.to_owned(), cause };
    let file =
        File::options().create(true).truncate(false).write(true).open(beside).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(std::fs::TryLockError::Error(cause)) => Err(failed(cause)),
    }
}

/// A database belongs to one incarnation for ever.
pub(crate) fn claim(db: &Connection, path: &Path, origin: Origin) -> Result<(), OpenError> {
    let found = db
        .execute(
            "INSERT OR IGNORE INTO sync_meta (name, value) VALUES ('origin', ?1)",
            [origin.get()],
        )
        .and_then(|_| {
            db.query_row("SELECT value FROM sync_meta WHERE name = 'origin'", [], |row| {
                row.get::<_, u32>(0)
            })
        })
        .map_err(|cause| OpenError::Sqlite { path: path.to_owned(), cause })?;
    if found == origin.get() {
        Ok(())
    } else {
        Err(OpenError::OtherOrigin { found, wanted: origin.get() })
    }
}
