//! A person is erased: the key is destroyed, the blobs go
//!
//! HQ writes one fact. Every replica that hears of it destroys the person's key and the sealed blobs, and says so with a
//! fact of its own. Nothing in the log changes, so chains and seals hold; what the log commits to just never opens again.

use crate::{
    hlc::Millis,
    open::OpenError,
    person_keys::PersonKeys,
    planted::{self, Fault},
    private::{self, Field, Shown},
    replica::Replica,
};
use rusqlite::{Connection, Transaction};

/// Why a person's key was not reached.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The person was erased.
    #[error("person {subject} was erased: no key is made for them any more")]
    Erased {
        /// Whom.
        subject: i64,
    },
    /// The file failed.
    #[error("the file of keys failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// Erases a person, at HQ. It can be told twice and happens once.
pub fn erase(tx: &Transaction<'_>, subject: i64, now: Millis) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT INTO erased (subject, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((subject, now.0))?;
    Ok(())
}

/// Persons that were destroyed here and of whom that was not said yet.
pub fn to_confirm(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached("SELECT subject FROM sync_to_erase WHERE destroyed = 1 ORDER BY subject")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Says that a person was destroyed here.
pub fn confirm(
    tx: &Transaction<'_>,
    store: u32,
    subject: i64,
    now: Millis,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO erasure_done (id, store, subject, at) VALUES (row_id(), ?1, ?2, ?3)",
    )?
    .execute((store, subject, now.0))?;
    tx.prepare_cached("DELETE FROM sync_to_erase WHERE subject = ?1")?.execute([subject])?;
    Ok(())
}

impl Replica {
    /// The keys of persons on this device; the file is made when it is first asked for.
    pub fn person_keys(&mut self) -> Result<&mut PersonKeys, OpenError> {
        if self.person_keys.is_none() {
            let path = PersonKeys::path_beside(self.path());
            self.person_keys = Some(PersonKeys::open(&path, self.vfs.as_deref())?);
        }
        Ok(self.person_keys.as_mut().expect("it was just opened"))
    }

    /// The key to write of a person with; a fresh one, from random bytes, where there is none. Nobody who was erased
    /// gets one again.
    pub fn key_of(&mut self, subject: i64, fresh: [u8; 32]) -> Result<[u8; 32], KeyError> {
        if private::is_erased(&self.db, subject)? {
            return Err(KeyError::Erased { subject });
        }
        Ok(self.person_keys()?.get_or_keep(subject, fresh)?)
    }

    /// What a private field shows here.
    pub fn show(&mut self, field: &Field, hash: &[u8; 32]) -> Result<Shown, KeyError> {
        let key = self.person_keys()?.get(field.subject)?;
        Ok(private::show(&self.db, key.as_ref(), field, hash)?)
    }

    /// Destroys the keys and blobs of all who were erased. The keys go first: whatever happens between, nothing opens.
    ///
    /// A replica does this by itself when it opens, when it has written an erasure, and when it has received one.
    pub(crate) fn obey_erasures(&mut self) -> Result<(), KeyError> {
        let waiting: Vec<i64> = self
            .db
            .prepare_cached("SELECT subject FROM sync_to_erase WHERE destroyed = 0")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        if waiting.is_empty() {
            return Ok(());
        }
        if !planted::is(Fault::ErasedKeyKept) {
            self.person_keys()?.destroy(&waiting)?;
        }
        self.keep_house(|tx| {
            for subject in &waiting {
                tx.execute("DELETE FROM private_blob WHERE subject = ?1", [subject])?;
                tx.execute("UPDATE sync_to_erase SET destroyed = 1 WHERE subject = ?1", [subject])?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// What a replica does when it opens. A file of keys from an older image may also have brought back somebody whom
    /// the replica knows to be erased: they go again.
    pub(crate) fn forget_the_erased(&mut self) -> Result<(), KeyError> {
        if self.tables.has_private() && !planted::is(Fault::ErasedKeyKept) {
            let mut erased = Vec::new();
            for subject in self.person_keys()?.subjects()? {
                if private::is_erased(&self.db, subject)? {
                    erased.push(subject);
                }
            }
            if !erased.is_empty() {
                self.person_keys()?.destroy(&erased)?;
            }
        }
        self.obey_erasures()
    }
}
