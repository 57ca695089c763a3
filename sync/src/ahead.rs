//! Entries of a newer schema, applied as far as known here
//!
//! Their bytes are kept and passed on like all others. They are listed here, so that after an update of this device the
//! rest is applied before its first write. Until then nobody may trim them from the log.

use crate::{
    origin::{Origin, Stream},
    planted::{self, Fault},
};
use rusqlite::Connection;

/// Which entries they are, and the schema epoch with which each was applied.
pub const SCHEMA: &str = "
CREATE TABLE sync_ahead (
    origin INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    known  INTEGER NOT NULL,
    detail TEXT,
    PRIMARY KEY (origin, stream, seq)
) STRICT, WITHOUT ROWID;
";

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ahead {
    /// Who wrote it.
    pub origin: Origin,
    /// For whom.
    pub stream: Stream,
    /// Its number.
    pub seq: u64,
    /// What belongs to this schema epoch and older ones was applied.
    pub known: u16,
}

/// Lists an entry, of which the part up to this schema epoch was applied.
pub(crate) fn list(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
    known: u16,
) -> rusqlite::Result<()> {
    if planted::is(Fault::AheadForgotten) {
        return Ok(());
    }
    let sql =
        "INSERT OR REPLACE INTO sync_ahead (origin, stream, seq, known) VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute((origin.get(), stream.number(), seq.cast_signed(), known))?;
    Ok(())
}

/// All of them, each origin's in its order.
pub fn all(db: &Connection) -> rusqlite::Result<Vec<Ahead>> {
    db.prepare_cached(
        "SELECT origin, stream, seq, known FROM sync_ahead ORDER BY origin, stream, seq",
    )?
    .query_map([], |row| {
        Ok(Ahead {
            origin: Origin::new(row.get(0)?).expect("only origins are kept"),
            stream: Stream::from_number(row.get(1)?).expect("only streams are kept"),
            seq: row.get::<_, i64>(2)?.cast_unsigned(),
            known: row.get(3)?,
        })
    })?
    .collect()
}
