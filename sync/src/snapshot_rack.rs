//! Where snapshots lie: those made here, the one that comes
//!
//! A file of its own beside the replica. Each chunk that came is durable before
//! the next is asked for, so a power cut costs one chunk and not the snapshot;
//! and what is made for a child neither grows nor slows the replica.

use crate::{
    merkle::{self, Hash},
    open::{self, Migration, OpenError},
    snapshot::{Chunk, SnapshotId},
};
use rusqlite::{Connection, OptionalExtension};
use std::path::{Path, PathBuf};

/// Ending of the file's name, in place of the replica's.
const ENDING: &str = "snapshots";

/// Snapshots for so many stores are kept; HQ may have many.
const LOTS_MAX: i64 = 8;

const SCHEMA: Migration = Migration {
    name: "0001_snapshots",
    sql: "
CREATE TABLE made (
    lot      INTEGER PRIMARY KEY,
    store    INTEGER NOT NULL,
    id       BLOB,
    manifest BLOB
) STRICT;
CREATE TABLE made_chunk (
    lot    INTEGER NOT NULL,
    number INTEGER NOT NULL,
    leaf   BLOB NOT NULL,
    body   BLOB NOT NULL,
    PRIMARY KEY (lot, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE coming (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    manifest BLOB NOT NULL
) STRICT;
CREATE TABLE come (
    number INTEGER PRIMARY KEY,
    body   BLOB NOT NULL
) STRICT;
",
};

/// The file of the snapshots.
pub struct Rack {
    db: Connection,
}

/// A whole snapshot that was made here.
#[derive(Debug, Clone)]
pub struct Made {
    lot: i64,
    /// Its name.
    pub id: SnapshotId,
    /// Its manifest, as it goes over the line.
    pub manifest: Vec<u8>,
    leaves: Vec<Hash>,
}

/// The path of the rack beside a replica.
pub fn beside(replica: &Path) -> PathBuf {
    replica.with_extension(ENDING)
}

impl Rack {
    /// Opens the rack beside a replica, made when there is none. What was not finished is thrown away.
    pub fn open(replica: &Path, vfs: Option<&str>) -> Result<Rack, OpenError> {
        let path = beside(replica);
        let db = open::local(&path, vfs, &[SCHEMA])?;
        let rack = Rack { db };
        let failed = |cause| OpenError::Sqlite { path, cause };
        rack.drop_lots("manifest IS NULL", 0).map_err(failed)?;
        Ok(rack)
    }

    fn drop_lots(&self, which: &str, store: u32) -> rusqlite::Result<()> {
        let tx = self.db.unchecked_transaction()?;
        tx.execute(
            &format!(
                "DELETE FROM made_chunk WHERE lot IN (SELECT lot FROM made WHERE {which} AND ?1 >= 0)"
            ),
            [store],
        )?;
        tx.execute(&format!("DELETE FROM made WHERE {which} AND ?1 >= 0"), [store])?;
        tx.commit()
    }

    /// Begins a snapshot for a store. Its chunks follow, and it counts once it is whole.
    pub fn begin(&self, store: u32) -> rusqlite::Result<i64> {
        self.drop_lots("manifest IS NULL", 0)?;
        self.db.execute("INSERT INTO made (store) VALUES (?1)", [store])?;
        Ok(self.db.last_insert_rowid())
    }

    /// Adds a chunk, numbered from 1 on.
    pub fn add(&self, lot: i64, number: u64, body: &[u8]) -> rusqlite::Result<()> {
        let (number, leaf) = (number.cast_signed(), merkle::leaf(number, body));
        self.db
            .prepare_cached(
                "INSERT INTO made_chunk (lot, number, leaf, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((lot, number, leaf, body))?;
        Ok(())
    }

    /// Hashes of the chunks of a lot, in their order.
    pub fn leaves(&self, lot: i64) -> rusqlite::Result<Vec<Hash>> {
        self.db
            .prepare_cached("SELECT leaf FROM made_chunk WHERE lot = ?1 ORDER BY number")?
            .query_map([lot], |row| row.get(0))?
            .collect()
    }

    /// The snapshot is whole: it takes the place of older ones for this store.
    pub fn finish(
        &self,
        lot: i64,
        store: u32,
        id: SnapshotId,
        manifest: &[u8],
    ) -> rusqlite::Result<()> {
        self.db.execute(
            "UPDATE made SET id = ?2, manifest = ?3 WHERE lot = ?1",
            (lot, id, manifest),
        )?;
        let older = format!("store = ?1 AND lot < {lot} OR lot <= {lot} - {LOTS_MAX}");
        self.drop_lots(&older, store)
    }

    /// The snapshot for a store, if one is whole.
    pub fn made(&self, store: u32) -> rusqlite::Result<Option<Made>> {
        let found = self
            .db
            .prepare_cached(
                "SELECT lot, id, manifest FROM made WHERE store = ?1 AND manifest IS NOT NULL
                 ORDER BY lot DESC LIMIT 1",
            )?
            .query_row([store], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((lot, id, manifest)) = found else { return Ok(None) };
        Ok(Some(Made { lot, id, manifest, leaves: self.leaves(lot)? }))
    }

    /// A chunk of a snapshot that was made here, with its path.
    pub fn chunk(&self, made: &Made, number: u64) -> rusqlite::Result<Option<Chunk>> {
        let Some(place) = number.checked_sub(1).and_then(|place| usize::try_from(place).ok())
        else {
            return Ok(None);
        };
        let body: Option<Vec<u8>> = self
            .db
            .prepare_cached("SELECT body FROM made_chunk WHERE lot = ?1 AND number = ?2")?
            .query_row((made.lot, number.cast_signed()), |row| row.get(0))
            .optional()?;
        Ok(body.filter(|_| place < made.leaves.len()).map(|body| {
            let path = merkle::path(&made.leaves, place);
            Chunk { id: made.id, number, body, path }
        }))
    }

    /// The manifest of the snapshot that comes, if one does.
    pub fn coming(&self) -> rusqlite::Result<Option<Vec<u8>>> {
        let found = self.db.query_row("SELECT manifest FROM coming", [], |row| row.get(0));
        found.optional()
    }

    /// From now on this snapshot comes; what came of another is thrown away.
    pub fn expect(&self, manifest: &[u8]) -> rusqlite::Result<()> {
        let tx = self.db.unchecked_transaction()?;
        tx.execute("DELETE FROM come", [])?;
        tx.execute("INSERT OR REPLACE INTO coming (one, manifest) VALUES (1, ?1)", [manifest])?;
        tx.commit()
    }

    /// No snapshot comes any more.
    pub fn expect_none(&self) -> rusqlite::Result<()> {
        let tx = self.db.unchecked_transaction()?;
        tx.execute("DELETE FROM come", [])?;
        tx.execute("DELETE FROM coming", [])?;
        tx.commit()
    }

    /// Keeps a chunk that came.
    pub fn keep(&self, number: u64, body: &[u8]) -> rusqlite::Result<()> {
        self.db
            .prepare_cached("INSERT OR REPLACE INTO come (number, body) VALUES (?1, ?2)")?
            .execute((number.cast_signed(), body))?;
        Ok(())
    }

    /// Numbers of the chunks that are here, ascending.
    pub fn here(&self) -> rusqlite::Result<Vec<u64>> {
        self.db
            .prepare_cached("SELECT number FROM come ORDER BY number")?
            .query_map([], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?
            .collect()
    }

    /// A chunk that came.
    pub fn come(&self, number: u64) -> rusqlite::Result<Option<Vec<u8>>> {
        self.db
            .prepare_cached("SELECT body FROM come WHERE number = ?1")?
            .query_row([number.cast_signed()], |row| row.get(0))
            .optional()
    }
}
