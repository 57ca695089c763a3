//! The keys of persons, in a file of their own
//!
//! What locks personal data must be able to vanish. So the keys lie beside the replica in a file that is never copied
//! with it: no snapshot, no stick and no backup of the database has them. What is deleted there is overwritten.

use crate::open::{self, Migration, OpenError};
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};

const SCHEMA: &[Migration] = &[Migration {
    name: "0001_person_key",
    sql: "CREATE TABLE person_key (
              subject INTEGER PRIMARY KEY,
              key     BLOB NOT NULL CHECK (length(key) = 32)
          ) STRICT;",
}];

/// The keys of persons on this device.
pub struct PersonKeys {
    db: Connection,
}

impl PersonKeys {
    /// Where the keys of a replica lie: beside it, under a name of their own.
    pub fn path_beside(replica: &Path) -> PathBuf {
        replica.with_extension("keys.db")
    }

    /// Opens or makes the file. Only the user of this process may read it.
    pub fn open(path: &Path, vfs: Option<&str>) -> Result<PersonKeys, OpenError> {
        let db = open::local(path, vfs, SCHEMA)?;
        let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
        db.execute_batch("PRAGMA secure_delete=ON").map_err(failed)?;
        if vfs.is_none() {
            keep_to_ourselves(path)
                .map_err(|cause| OpenError::Lock { path: path.to_owned(), cause })?;
        }
        Ok(PersonKeys { db })
    }

    /// The key of a person, where it is here.
    pub fn get(&self, subject: i64) -> rusqlite::Result<Option<[u8; 32]>> {
        self.db
            .prepare_cached("SELECT key FROM person_key WHERE subject = ?1")?
            .query_row([subject], |row| row.get(0))
            .optional()
    }

    /// The key of a person; a fresh one, from random bytes, where there was none. Durable when it returns.
    pub fn get_or_keep(&mut self, subject: i64, fresh: [u8; 32]) -> rusqlite::Result<[u8; 32]> {
        self.db
            .prepare_cached("INSERT OR IGNORE INTO person_key (subject, key) VALUES (?1, ?2)")?
            .execute((subject, fresh))?;
        self.get(subject).map(|key| key.expect("it was just kept"))
    }

    /// Everybody whose key is here.
    pub fn subjects(&self) -> rusqlite::Result<Vec<i64>> {
        self.db
            .prepare_cached("SELECT subject FROM person_key ORDER BY subject")?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// Destroys keys. The file holds no trace of them when it returns: what they lay in is overwritten, and so is the
    /// log of the file.
    pub fn destroy(&mut self, subjects: &[i64]) -> rusqlite::Result<()> {
        let tx = self.db.transaction()?;
        for subject in subjects {
            tx.prepare_cached("DELETE FROM person_key WHERE subject = ?1")?.execute([subject])?;
        }
        tx.commit()?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }
}

#[cfg(unix)]
fn keep_to_ourselves(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn keep_to_ourselves(_: &Path) -> std::io::Result<()> {
    Ok(())
}
