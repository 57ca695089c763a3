//! Trims old entries from the log, and keeps what they lead to
//!
//! Rows stay; what goes is the proof that everybody has and that HQ has twice.
//! The chain value at the floor stays, so the rest of the chain still proves
//! itself, and so does every entry that is parked: it is still to be applied.

use crate::{
    changelog::{self, LogHead},
    floor::{self, LogFloor},
    origin::{Origin, Stream},
    planted::{self, Fault},
};
use rusqlite::Connection;

/// Removes the entries up to `to` from the log of an origin, at most so many, and says where its floor is
/// then. The newest entry stays: it knows the next counter.
pub fn trim(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    head: &LogHead,
    to: u64,
    most: u64,
) -> rusqlite::Result<u64> {
    let before = floor::floor(db, stream, origin)?;
    let newest = if planted::is(Fault::TrimmedTooFar) { u64::MAX } else { to };
    let to = newest.min(head.seq.saturating_sub(1)).min(before.seq.saturating_add(most));
    if to <= before.seq {
        return Ok(before.seq);
    }
    let chain = changelog::chain_at(db, stream, origin, to)?;
    let stamp = before.stamp.max(changelog::stamp_at(db, stream, origin, to)?);
    let removed = to + u64::from(planted::is(Fault::FloorOffByOne));
    remove(db, stream, origin, removed)?;
    floor::set(db, stream, origin, &LogFloor { seq: to, chain, stamp })?;
    Ok(to)
}

/// Removes entries up to `to` that are neither parked nor known in part only.
pub fn remove(db: &Connection, stream: Stream, origin: Origin, to: u64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "DELETE FROM sync_log WHERE id IN (
             SELECT id FROM sync_lane l JOIN sync_log ON id BETWEEN (lane << 40) AND (lane << 40) + ?3
             WHERE l.origin = ?1 AND l.stream = ?2 AND NOT EXISTS (
                 SELECT 1 FROM sync_parked p
                 WHERE p.origin = ?1 AND p.stream = ?2 AND p.seq = id & 0xffffffffff)
             AND NOT EXISTS (
                 SELECT 1 FROM sync_ahead a
                 WHERE a.origin = ?1 AND a.stream = ?2 AND a.seq = id & 0xffffffffff))",
    )?
    .execute((origin.get(), stream.number(), to.cast_signed()))?;
    Ok(())
}
