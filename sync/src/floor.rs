//! Where the log of an origin begins

use crate::{
    hlc::Stamp,
    origin::{Origin, Stream},
    seal,
};
use rusqlite::{Connection, OptionalExtension};
use std::collections::BTreeMap;

/// Up to where each log was trimmed.
pub const SCHEMA: &str = "
CREATE TABLE sync_floor (
    stream INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    chain  BLOB NOT NULL,
    stamp  INTEGER NOT NULL,
    PRIMARY KEY (stream, origin)
) STRICT, WITHOUT ROWID;
";

/// Floors by stream and origin; a log that is whole has none.
pub type Floors = BTreeMap<(Stream, Origin), u64>;

/// All floors.
pub fn all(db: &Connection) -> rusqlite::Result<Floors> {
    db.prepare("SELECT stream, origin, seq FROM sync_floor")?
        .query_map([], |row| {
            let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
            let origin = Origin::new(row.get(1)?).expect("only origins are kept");
            Ok(((stream, origin), row.get::<_, i64>(2)?.cast_unsigned()))
        })?
        .collect()
}

/// Puts the floor of a log to this entry, which is the chain's value and stamp there.
pub fn set(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    floor: &LogFloor,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO sync_floor (stream, origin, seq, chain, stamp)
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute((
        stream.number(),
        origin.get(),
        floor.seq.cast_signed(),
        floor.chain,
        floor.stamp.0.cast_signed(),
    ))?;
    Ok(())
}

/// Up to where the log of an origin and stream was trimmed, and what is still known of that entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogFloor {
    /// The last entry that is not in the log any more. 0 when the log is whole.
    pub seq: u64,
    /// The chain value up to it.
    pub chain: [u8; 32],
    /// Its stamp.
    pub stamp: Stamp,
}

/// The floor of a log.
pub fn floor(db: &Connection, stream: Stream, origin: Origin) -> rusqlite::Result<LogFloor> {
    let found = db
        .prepare_cached(
            "SELECT seq, chain, stamp FROM sync_floor WHERE stream = ?1 AND origin = ?2",
        )?
        .query_row((stream.number(), origin.get()), |row| {
            Ok(LogFloor {
                seq: row.get::<_, i64>(0)?.cast_unsigned(),
                chain: row.get(1)?,
                stamp: Stamp(row.get::<_, i64>(2)?.cast_unsigned()),
            })
        })
        .optional()?;
    let whole = LogFloor { seq: 0, chain: seal::genesis(origin, stream), stamp: Stamp(0) };
    Ok(found.unwrap_or(whole))
}
