//! Frames that do not count, kept as proof
//!
//! What an origin has sealed twice, and what comes of an origin beyond its cut, is never applied and never thrown away.
//! Each piece holds the chain value before it, so whoever has the writer's key can check it alone: two pieces, or a piece
//! and the log, with different chain values for one number prove a fork to anybody.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension};

use crate::changelog;
use crate::frame::Frame;
use crate::hlc::Millis;
use crate::origin::{Origin, Stream};
use crate::version::first8;

/// The table; it is not replicated. Pieces travel as the frames that they are.
pub const SCHEMA: &str = "
CREATE TABLE sync_evidence (
    id       INTEGER PRIMARY KEY,
    origin   INTEGER NOT NULL,
    stream   INTEGER NOT NULL,
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    reason   TEXT NOT NULL,
    previous BLOB NOT NULL,
    chain    BLOB NOT NULL,
    frame    BLOB NOT NULL,
    kept_at  INTEGER NOT NULL,
    UNIQUE (origin, stream, first, chain)
) STRICT;
";

/// So many pieces are kept of one origin. Whoever seals more than that is not worth more of the disk.
pub const PIECES_MAX: u64 = 1_024;

/// Why a piece does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The origin has sealed something else under the same numbers.
    Fork,
    /// It lies beyond the cut of an origin that is over.
    Cut,
}

impl Why {
    /// The word that stands in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Why::Fork => "fork",
            Why::Cut => "cut",
        }
    }
}

/// One frame that does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its number here.
    pub id: i64,
    /// Who sealed it.
    pub origin: Origin,
    /// In which stream.
    pub stream: Stream,
    /// Number of its first entry.
    pub first: u64,
    /// Number of its last.
    pub last: u64,
    /// `fork` or `cut`.
    pub why: String,
    /// The chain value before its first entry.
    pub previous: [u8; 32],
    /// The chain value after its last.
    pub chain: [u8; 32],
    /// The frame as it travels.
    pub frame: Vec<u8>,
    /// When it came, by the clock of this device.
    pub kept_at: Millis,
}

/// How far what came beyond a cut is kept here, by stream and origin.
pub type Ends = BTreeMap<(Stream, Origin), u64>;

/// Reads how far what came beyond each cut is kept.
pub fn ends(db: &Connection) -> rusqlite::Result<Ends> {
    let mut select = db.prepare_cached(
        "SELECT stream, origin, max(last) FROM sync_evidence WHERE reason = 'cut' GROUP BY 1, 2",
    )?;
    let mut rows = select.query([])?;
    let mut ends = Ends::new();
    while let Some(row) = rows.next()? {
        if let (Some(stream), Some(origin)) =
            (Stream::from_number(row.get(0)?), Origin::new(row.get(1)?))
        {
            ends.insert((stream, origin), row.get::<_, i64>(2)?.cast_unsigned());
        }
    }
    Ok(ends)
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is new.
    New,
    /// It was here.
    Before,
    /// There are too many of this origin.
    Not,
}

/// Keeps a frame that was verified and does not count.
pub fn keep(
    db: &Connection,
    now: Millis,
    why: Why,
    frame: &Frame,
    previous: &[u8; 32],
    chain: &[u8; 32],
) -> rusqlite::Result<Kept> {
    let origin = frame.origin().get();
    let there = db
        .prepare_cached(
            "SELECT 1 FROM sync_evidence WHERE (origin, stream, first, chain) = (?1, ?2, ?3, ?4)",
        )?
        .exists((origin, frame.stream().number(), frame.first().cast_signed(), chain))?;
    if there {
        return Ok(Kept::Before);
    }
    let count: i64 = db
        .prepare_cached("SELECT count(*) FROM sync_evidence WHERE origin = ?1")?
        .query_row([origin], |row| row.get(0))?;
    if count.cast_unsigned() >= PIECES_MAX {
        return Ok(Kept::Not);
    }
    db.prepare_cached(
        "INSERT INTO sync_evidence (origin, stream, first, last, reason, previous, chain, frame, kept_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        origin,
        frame.stream().number(),
        frame.first().cast_signed(),
        frame.last().cast_signed(),
        why.as_str(),
        previous,
        chain,
        frame.encode(),
        now.0,
    ))?;
    Ok(Kept::New)
}

/// The piece that ends where another begins: its chain value there and why it is kept. Of several branches the one whose
/// chain value begins so.
pub fn piece_before(db: &Connection, frame: &Frame) -> rusqlite::Result<Option<([u8; 32], Why)>> {
    let mut select = db.prepare_cached(
        "SELECT chain, reason FROM sync_evidence WHERE (origin, stream, last) = (?1, ?2, ?3)",
    )?;
    let key = (frame.origin().get(), frame.stream().number(), (frame.first() - 1).cast_signed());
    let mut rows = select.query(key)?;
    while let Some(row) = rows.next()? {
        let chain: [u8; 32] = row.get(0)?;
        if first8(&chain) == frame.prev8() {
            let why = if row.get_ref(1)?.as_str()? == "cut" { Why::Cut } else { Why::Fork };
            return Ok(Some((chain, why)));
        }
    }
    Ok(None)
}

/// All pieces in the order in which they came, or those of one origin.
pub fn pieces(db: &Connection, of: Option<Origin>) -> rusqlite::Result<Vec<Piece>> {
    let mut select = db.prepare_cached(
        "SELECT id, origin, stream, first, last, reason, previous, chain, frame, kept_at
         FROM sync_evidence WHERE ?1 IS NULL OR origin = ?1 ORDER BY id",
    )?;
    let rows = select.query_map([of.map(Origin::get)], |row| {
        Ok(Piece {
            id: row.get(0)?,
            origin: Origin::new(row.get(1)?).expect("only origins are kept"),
            stream: Stream::from_number(row.get(2)?).expect("only streams are kept"),
            first: row.get::<_, i64>(3)?.cast_unsigned(),
            last: row.get::<_, i64>(4)?.cast_unsigned(),
            why: row.get(5)?,
            previous: row.get(6)?,
            chain: row.get(7)?,
            frame: row.get(8)?,
            kept_at: Millis(row.get(9)?),
        })
    })?;
    rows.collect()
}

/// The chain value here after an entry; None where the log does not reach.
pub(crate) fn chain_here(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
) -> rusqlite::Result<Option<[u8; 32]>> {
    changelog::chain_at(db, stream, origin, seq).optional()
}
