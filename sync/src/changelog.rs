//! The changelog in SQLite: append, read, heads and seals
//!
//! The log is the only queue there is. A broker may forget whatever it holds:
//! what was committed here is sent again from here.

use crate::{
    entry_reader::Reader,
    floor::floor,
    hlc::Stamp,
    origin::{Origin, Stream},
    seal::{self, Seal},
    tables::Tables,
    value::Borrowed,
};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

/// The engine's own tables; none of them is replicated.
pub const SCHEMA: &str = "
CREATE TABLE sync_meta (
    name  TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_lane (
    lane   INTEGER PRIMARY KEY,
    origin INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    UNIQUE (origin, stream)
) STRICT;
CREATE TABLE sync_log (
    id    INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    chain BLOB,
    next_counter INTEGER
) STRICT;
CREATE VIEW sync_entry (origin, stream, seq, entry) AS
    SELECT origin, stream, id & 0xffffffffff, entry FROM sync_lane
    JOIN sync_log ON id BETWEEN lane << 40 AND (lane << 40) + 0xffffffffff;
CREATE TABLE sync_head (
    stream       INTEGER NOT NULL,
    origin       INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    chain        BLOB NOT NULL,
    stamp        INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    PRIMARY KEY (stream, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_seal (
    origin    INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    session   INTEGER NOT NULL,
    age       INTEGER NOT NULL,
    signature BLOB NOT NULL,
    bytes     INTEGER NOT NULL,
    PRIMARY KEY (origin, stream, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_parked (
    origin    INTEGER NOT NULL,
    stream    INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    table_id  INTEGER NOT NULL,
    detail    TEXT NOT NULL,
    parked_at INTEGER NOT NULL,
    PRIMARY KEY (origin, stream, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_mark (
    mark   TEXT NOT NULL,
    stream INTEGER NOT NULL,
    origin INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (mark, stream, origin)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_admitted (
    origin INTEGER PRIMARY KEY,
    row    BLOB NOT NULL
) STRICT;
";

/// The log keeps the chain value of every 64th entry; the others are computed from there.
pub const CHAIN_KEPT_EVERY: u64 = 64;

/// Between two kept seals lie at most this many bytes of entries, so every stretch can be sent in frames.
pub const SEAL_SPAN_BYTES: u64 = 48 * 1024;

/// Between two kept seals lie at most this many entries.
pub const SEAL_SPAN_ENTRIES: u64 = 1_000;

/// Bits of a seq in the key of a log row.
const SEQ_BITS: u32 = 40;

/// The newest entry of an origin and stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogHead {
    /// Where its entries lie in the log: rows are numbered `lane << 40 | seq`, so that an origin's
    /// entries of a stream are neighbours and each is appended behind the last. 0 before the first.
    pub lane: i64,
    /// Its seq.
    pub seq: u64,
    /// The chain value up to it.
    pub chain: [u8; 32],
    /// Its stamp.
    pub stamp: Stamp,
    /// Bytes of all entries up to it.
    pub bytes: u64,
}

impl LogHead {
    /// Before the first entry.
    pub fn none(origin: Origin, stream: Stream) -> LogHead {
        LogHead { lane: 0, seq: 0, chain: seal::genesis(origin, stream), stamp: Stamp(0), bytes: 0 }
    }

    /// The head after one more entry.
    pub fn then(&self, origin: Origin, stream: Stream, entry: &[u8], stamp: Stamp) -> LogHead {
        let seq = self.seq + 1;
        LogHead {
            lane: self.lane,
            seq,
            chain: seal::next(&self.chain, origin, stream, seq, entry),
            stamp,
            bytes: self.bytes + entry.len() as u64,
        }
    }
}

/// A head as it is kept: whose, which, and the next counter when it is our own.
pub type KeptHead = ((Stream, Origin), LogHead, Option<u64>);

/// All heads. Together they are the version vector.
///
/// Our own are not kept in `sync_head`: the log knows them, and a write saves a page without them.
pub fn heads(db: &Connection) -> rusqlite::Result<Vec<KeptHead>> {
    let mut heads: Vec<KeptHead> = db
        .prepare(
            "SELECT h.stream, h.origin, seq, chain, stamp, bytes, lane FROM sync_head h
             JOIN sync_lane l ON l.origin = h.origin AND l.stream = h.stream",
        )?
        .query_map([], |row| {
            let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
            let origin = Origin::new(row.get(1)?).expect("only origins are kept");
            let head = LogHead {
                lane: row.get(6)?,
                seq: row.get::<_, i64>(2)?.cast_unsigned(),
                chain: row.get(3)?,
                stamp: Stamp(row.get::<_, i64>(4)?.cast_unsigned()),
                bytes: row.get::<_, i64>(5)?.cast_unsigned(),
            };
            Ok(((stream, origin), head, None))
        })?
        .collect::<Result<_, _>>()?;
    let own = db
        .query_row("SELECT value FROM sync_meta WHERE name = 'origin'", [], |row| row.get(0))
        .optional()?
        .and_then(Origin::new);
    if let Some(own) = own {
        heads.extend(own_heads(db, own)?);
        heads.sort_by_key(|(key, _, _)| *key);
    }
    Ok(heads)
}

/// The heads of our own streams, read from the ends of the log.
fn own_heads(db: &Connection, own: Origin) -> rusqlite::Result<Vec<KeptHead>> {
    let lanes: Vec<(i64, u32)> = db
        .prepare("SELECT lane, stream FROM sync_lane WHERE origin = ?1 ORDER BY stream")?
        .query_map([own.get()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut newest = db.prepare(
        "SELECT id, entry, next_counter FROM sync_log WHERE id BETWEEN ?1 AND ?2
         ORDER BY id DESC LIMIT 1",
    )?;
    let mut heads = Vec::new();
    for (lane, stream) in lanes {
        let stream = Stream::from_number(stream).expect("only streams are kept");
        let found = newest.query_row((row(lane, 0), row(lane, SEQ_MAX)), |found| {
            let entry = Reader::open(found.get_ref(1)?.as_blob()?, own);
            let stamp = entry.map_or(Stamp(0), |entry| entry.header().stamp);
            Ok((seq_of(found.get(0)?), stamp, found.get::<_, Option<i64>>(2)?))
        });
        let (seq, stamp, next) = found.optional()?.unwrap_or((0, Stamp(0), None));
        let floor = floor(db, stream, own)?;
        // A snapshot may know more of us than we do: then the log ends where that snapshot ends.
        let (seq, stamp) = (seq.max(floor.seq), stamp.max(floor.stamp));
        let chain = chain_at(db, stream, own, seq)?;
        let head = LogHead { lane, seq, chain, stamp, bytes: 0 };
        heads.push(((stream, own), head, next.map(i64::cast_unsigned)));
    }
    Ok(heads)
}

/// Moves the head of another origin.
pub fn set_head(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    head: &LogHead,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO sync_head (stream, origin, seq, chain, stamp, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (stream, origin) DO UPDATE SET seq = excluded.seq, chain = excluded.chain,
         stamp = excluded.stamp, bytes = excluded.bytes",
    )?
    .execute((
        stream.number(),
        origin.get(),
        head.seq.cast_signed(),
        head.chain,
        head.stamp.0.cast_signed(),
        head.bytes.cast_signed(),
    ))?;
    Ok(())
}

/// The key of a log row.
fn row(lane: i64, seq: u64) -> i64 {
    assert!(seq <= SEQ_MAX, "a stream has at most 2^40 entries of an origin");
    lane << SEQ_BITS | seq.cast_signed()
}

fn seq_of(row: i64) -> u64 {
    row.cast_unsigned() & SEQ_MAX
}

/// The highest seq that a row of the log can have.
const SEQ_MAX: u64 = (1 << SEQ_BITS) - 1;

/// The lane of an origin and stream; makes it before the first entry.
pub fn lane(db: &Connection, stream: Stream, origin: Origin) -> rusqlite::Result<i64> {
    db.prepare_cached("INSERT OR IGNORE INTO sync_lane (origin, stream) VALUES (?1, ?2)")?
        .execute((origin.get(), stream.number()))?;
    db.prepare_cached("SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2")?
        .query_row((origin.get(), stream.number()), |row| row.get(0))
}

/// Appends entries to one lane of the log.
pub struct Appender<'a>(CachedStatement<'a>);

impl<'a> Appender<'a> {
    /// Ready to append in this transaction.
    pub fn new(db: &'a Connection) -> rusqlite::Result<Appender<'a>> {
        let sql = "INSERT INTO sync_log (id, entry, chain, next_counter) VALUES (?1, ?2, ?3, ?4)";
        db.prepare_cached(sql).map(Appender)
    }

    /// Appends an entry under a head that `LogHead::then` has given; the next counter is ours alone.
    pub fn append(
        &mut self,
        head: &LogHead,
        entry: &[u8],
        next_counter: Option<u64>,
    ) -> rusqlite::Result<()> {
        assert!(!entry.is_empty(), "an entry carries at least one row");
        assert!(head.lane > 0, "entries are appended to a lane");
        let kept = head.seq.is_multiple_of(CHAIN_KEPT_EVERY).then_some(head.chain);
        let next_counter = next_counter.map(u64::cast_signed);
        self.0.execute((row(head.lane, head.seq), entry, kept, next_counter))?;
        Ok(())
    }
}

/// Entries from `first` on, oldest first: at most `count`, and no more once `bytes` are reached.
pub fn read(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    first: u64,
    count: u64,
    bytes: u64,
) -> rusqlite::Result<Vec<Vec<u8>>> {
    let mut select = db.prepare_cached(
        "SELECT id, entry FROM sync_log, (SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2)
         WHERE id BETWEEN (lane << 40) + ?3 AND (lane << 40) + ?4 ORDER BY id",
    )?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = first.saturating_add(count - 1).min(SEQ_MAX);
    let mut rows =
        select.query((origin.get(), stream.number(), first.cast_signed(), last.cast_signed()))?;
    let (mut entries, mut size) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let entry: Vec<u8> = row.get(1)?;
        size += entry.len() as u64;
        if size > bytes && !entries.is_empty() {
            break;
        }
        let expected = first + entries.len() as u64;
        if seq_of(row.get(0)?) != expected {
            // Below the floor single entries are left, those that are parked. Above it none is missing.
            assert!(floor(db, stream, origin)?.seq >= expected, "seq has no gaps");
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// The stamp of an entry, 0 when it is not here or does not read.
pub fn stamp_at(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
) -> rusqlite::Result<Stamp> {
    let entry = read(db, stream, origin, seq, 1, u64::MAX)?.pop();
    let reader = entry.as_deref().map(|entry| Reader::open(entry, origin));
    Ok(reader.and_then(Result::ok).map_or(Stamp(0), |reader| reader.header().stamp))
}

/// The chain value after entry `seq`; 0 gives the chain's beginning. Of an entry below the floor it is
/// not known any more, which is said as `QueryReturnedNoRows`.
pub fn chain_at(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
) -> rusqlite::Result<[u8; 32]> {
    let floor = floor(db, stream, origin)?;
    if seq < floor.seq {
        return Err(rusqlite::Error::QueryReturnedNoRows);
    }
    let kept = db
        .prepare_cached(
            "SELECT id, chain FROM sync_log, (SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2)
             WHERE id = (lane << 40) + ?3 AND chain IS NOT NULL",
        )?
        .query_row(
            (origin.get(), stream.number(), (seq - seq % CHAIN_KEPT_EVERY).cast_signed()),
            |row| Ok((seq_of(row.get(0)?), row.get::<_, [u8; 32]>(1)?)),
        )
        .optional()?;
    let kept = kept.filter(|(at, _)| *at > floor.seq);
    let (from, mut value) = kept.unwrap_or((floor.seq, floor.chain));
    if from == seq {
        return Ok(value);
    }
    for (entry, at) in
        read(db, stream, origin, from + 1, seq - from, u64::MAX)?.iter().zip(from + 1..)
    {
        value = seal::next(&value, origin, stream, at, entry);
    }
    Ok(value)
}

/// Keeps a seal, and lets the one before it go when the two after and before it are near enough.
pub fn keep_seal(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seal: &Seal,
    bytes: u64,
) -> rusqlite::Result<()> {
    let before: Vec<(u64, u64)> = db
        .prepare_cached(
            "SELECT seq, bytes FROM sync_seal WHERE origin = ?1 AND stream = ?2 ORDER BY seq DESC LIMIT 2",
        )?
        .query_map((origin.get(), stream.number()), |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        })?
        .collect::<Result<_, _>>()?;
    let anchor = before.get(1).copied().unwrap_or((0, 0));
    if let Some((newest, _)) = before.first()
        && bytes - anchor.1 <= SEAL_SPAN_BYTES
        && seal.seq - anchor.0 <= SEAL_SPAN_ENTRIES
    {
        db.prepare_cached("DELETE FROM sync_seal WHERE origin = ?1 AND stream = ?2 AND seq = ?3")?
            .execute((origin.get(), stream.number(), newest.cast_signed()))?;
    }
    put_seal(db, stream, origin, seal, bytes)
}

/// Keeps a seal.
pub fn put_seal(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seal: &Seal,
    bytes: u64,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO sync_seal (origin, stream, seq, session, age, signature, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        origin.get(),
        stream.number(),
        seal.seq.cast_signed(),
        seal.session.cast_signed(),
        seal.age,
        seal.signature,
        bytes.cast_signed(),
    ))?;
    Ok(())
}

/// The newest kept seal up to an entry.
pub fn newest_seal(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    last: u64,
) -> rusqlite::Result<Option<Seal>> {
    let seal = seal_for(db, stream, origin, 1, last)?;
    Ok(seal.filter(|seal| seal.seq <= last))
}

/// The farthest kept seal up to `last`, or else the nearest one after it; from `first` on.
pub fn seal_for(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    first: u64,
    last: u64,
) -> rusqlite::Result<Option<Seal>> {
    let one = |sql: &str, from: u64, to: u64| {
        db.prepare_cached(sql)?
            .query_row(
                (origin.get(), stream.number(), from.cast_signed(), to.cast_signed()),
                |row| {
                    Ok(Seal {
                        seq: row.get::<_, i64>(0)?.cast_unsigned(),
                        session: row.get::<_, i64>(1)?.cast_unsigned(),
                        age: row.get(2)?,
                        signature: row.get(3)?,
                    })
                },
            )
            .optional()
    };
    let within = one(
        "SELECT seq, session, age, signature FROM sync_seal
         WHERE origin = ?1 AND stream = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq DESC LIMIT 1",
        first,
        last,
    )?;
    if within.is_some() {
        return Ok(within);
    }
    one(
        "SELECT seq, session, age, signature FROM sync_seal
         WHERE origin = ?1 AND stream = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq LIMIT 1",
        last + 1,
        i64::MAX.cast_unsigned(),
    )
}

/// Seqs and first key values of the newest rows that this origin added to a table, newest first.
///
/// Looks at no more than `limit` entries, so the answer may be shorter than `limit`.
pub fn acts(
    db: &Connection,
    tables: &Tables,
    stream: Stream,
    origin: Origin,
    table: u32,
    limit: u32,
) -> rusqlite::Result<Vec<(u64, i64)>> {
    let Some(layout) = tables.numbered(table).map(|table| &table.layout) else {
        return Ok(Vec::new());
    };
    let mut select = db.prepare_cached(
        "SELECT id, entry FROM sync_log, (SELECT lane FROM sync_lane WHERE origin = ?1 AND stream = ?2)
         WHERE id BETWEEN lane << 40 AND (lane << 40) + 0xffffffffff ORDER BY id DESC LIMIT ?3",
    )?;
    let mut rows = select.query((origin.get(), stream.number(), limit))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let seq = seq_of(row.get(0)?);
        let entry = row.get_ref(1)?.as_blob()?;
        let Ok(mut reader) = Reader::open(entry, origin) else { continue };
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            if run.table == table
                && let Ok(Some(_)) = reader.next_row(layout, &mut values)
                && let Some(Borrowed::Int(id)) = values.first()
            {
                found.push((seq, *id));
            }
        }
    }
    Ok(found)
}
