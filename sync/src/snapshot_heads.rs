//! What a snapshot brings beside rows: heads, seals, parked

use crate::{
    apply::{self, ParkedKeys},
    changelog::{self, Appender, LogHead},
    floor::{self, LogFloor},
    hlc::Stamp,
    origin::{Origin, Stream},
    seal::{self, Seal},
    snapshot_maker::{AHEAD, ENTRIES, HEADS, PARKED},
    snapshot_rows::Run,
    tables::Tables,
    trim,
    value::Value,
};
use rusqlite::Connection;

/// A head of the maker, and where the log begins behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadRow {
    /// The stream.
    pub stream: Stream,
    /// Whose entries.
    pub origin: Origin,
    /// The head.
    pub head: LogHead,
    /// The entry after which entries follow, if any do.
    pub floor: LogFloor,
    /// The newest seal; of entry 0 when there is none.
    pub seal: Seal,
}

/// The lists of a snapshot.
#[derive(Debug, Default)]
pub struct Lists {
    /// Heads.
    pub heads: Vec<HeadRow>,
    entries: Vec<(Stream, Origin, u64, Vec<u8>)>,
    parked: Vec<Vec<Value>>,
    ahead: Vec<Vec<Value>>,
}

impl Lists {
    /// Takes the rows of one list.
    pub fn take(&mut self, run: &Run) -> Result<(), String> {
        for row in run.rows() {
            let odd = || "a list of it has another form".to_owned();
            match run.number {
                HEADS => self.heads.push(head_row(row).ok_or_else(odd)?),
                ENTRIES => self.entries.push(entry_row(row).ok_or_else(odd)?),
                PARKED if row.len() == 7 => self.parked.push(row.to_vec()),
                AHEAD if row.len() == 4 => self.ahead.push(row.to_vec()),
                _ => return Err(odd()),
            }
        }
        Ok(())
    }

    /// The newest stamp.
    pub fn newest(&self) -> Stamp {
        self.heads.iter().map(|row| row.head.stamp).max().unwrap_or(Stamp(0))
    }
}

fn key_of(row: &[Value]) -> Option<(Stream, Origin)> {
    let number = |value: &Value| match value {
        Value::Int(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    let stream = Stream::from_number(number(row.first()?)?)?;
    Some((stream, Origin::new(number(row.get(1)?)?)?))
}

fn uint(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => Some(number.cast_unsigned()),
        _ => None,
    }
}

fn bytes<const N: usize>(value: &Value) -> Option<[u8; N]> {
    match value {
        Value::Bytes(bytes) => bytes[..].try_into().ok(),
        _ => None,
    }
}

fn head_row(row: &[Value]) -> Option<HeadRow> {
    let (stream, origin) = key_of(row)?;
    let [_, _, seq, chain, stamp, at, at_chain, sealed, session, age, signature] = row else {
        return None;
    };
    let (seq, at, stamp) = (uint(seq)?, uint(at)?, Stamp(uint(stamp)?));
    if seq == 0 || seq >= 1 << 40 || at > seq {
        return None;
    }
    let head = LogHead { lane: 0, seq, chain: bytes(chain)?, stamp, bytes: 0 };
    let floor = LogFloor { seq: at, chain: bytes(at_chain)?, stamp };
    let seal = Seal {
        seq: uint(sealed)?,
        session: uint(session)?,
        age: u32::try_from(uint(age)?).ok()?,
        signature: bytes(signature)?,
    };
    Some(HeadRow { stream, origin, head, floor, seal })
}

fn entry_row(row: &[Value]) -> Option<(Stream, Origin, u64, Vec<u8>)> {
    let (stream, origin) = key_of(row)?;
    match row {
        [_, _, seq, Value::Bytes(entry)] => Some((stream, origin, uint(seq)?, entry.clone())),
        _ => None,
    }
}

/// Puts the head of an origin where the snapshot has it, with what belongs to it.
pub fn put(db: &Connection, row: &HeadRow, here: &LogHead, lists: &Lists) -> rusqlite::Result<()> {
    let (stream, origin) = (row.stream, row.origin);
    for list in ["sync_parked", "sync_ahead"] {
        let sql = format!("DELETE FROM {list} WHERE stream = ?1 AND origin = ?2");
        db.prepare_cached(&sql)?.execute((stream.number(), origin.get()))?;
    }
    trim::remove(db, stream, origin, here.seq)?;
    floor::set(db, stream, origin, &row.floor)?;
    let lane = changelog::lane(db, stream, origin)?;
    let mut log = Appender::new(db)?;
    let mut chain = row.floor.chain;
    let mut last = row.floor.seq;
    let ours = lists.entries.iter().filter(|entry| (entry.0, entry.1) == (stream, origin));
    let mut put = std::collections::BTreeSet::new();
    for (_, _, seq, entry) in ours {
        if *seq > last {
            if *seq != last + 1 || *seq > row.head.seq {
                return Err(odd("entries of a snapshot have a gap"));
            }
            (chain, last) = (seal::next(&chain, origin, stream, *seq, entry), *seq);
        }
        if put.insert(*seq) {
            let head = LogHead { lane, seq: *seq, chain, ..row.head };
            log.append(&head, entry, None)?;
        }
    }
    if (last, chain) != (row.head.seq, row.head.chain) {
        return Err(odd("the chain of a snapshot does not lead to its head"));
    }
    if row.seal.seq > 0 {
        changelog::put_seal(db, stream, origin, &row.seal, here.bytes)?;
    }
    let head = LogHead { lane, bytes: here.bytes, ..row.head };
    changelog::set_head(db, stream, origin, &head)?;
    list(db, (stream, origin), lists)
}

/// Of an origin of which no less is here than the snapshot holds: up to its mark the rows are the maker's now, so what is
/// parked or known in part only is what the maker says. What was parked here alone came with the rows, and what is
/// parked there alone went with those that were replaced.
pub fn take_lists(db: &Connection, row: &HeadRow, lists: &Lists) -> rusqlite::Result<()> {
    let key = (row.stream, row.origin);
    let to = (key.0.number(), key.1.get(), row.head.seq.cast_signed());
    for gone in ["sync_parked WHERE reason <> 'Ended' AND", "sync_ahead WHERE"] {
        let sql = format!("DELETE FROM {gone} stream = ?1 AND origin = ?2 AND seq <= ?3");
        db.prepare_cached(&sql)?.execute(to)?;
    }
    list(db, key, lists)?;
    let floor = floor::floor(db, key.0, key.1)?.seq;
    let lane = changelog::lane(db, key.0, key.1)?;
    let mut log = Appender::new(db)?;
    for (_, _, seq, entry) in lists.entries.iter().filter(|entry| (entry.0, entry.1) == key) {
        // Above the floor all are here. Below it only those that are still to be applied are kept.
        if *seq <= floor && changelog::read(db, key.0, key.1, *seq, 1, u64::MAX)?.is_empty() {
            log.append(&LogHead { lane, seq: *seq, ..row.head }, entry, None)?;
        }
    }
    trim::remove(db, key.0, key.1, floor)
}

/// Lists what the maker has parked of an origin, and what it knows in part only.
fn list(db: &Connection, key: (Stream, Origin), lists: &Lists) -> rusqlite::Result<()> {
    let mut park = db.prepare_cached(
        "INSERT OR IGNORE INTO sync_parked (stream, origin, seq, reason, table_id, detail, parked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for parked in lists.parked.iter().filter(|parked| key_of(parked) == Some(key)) {
        park.execute(rusqlite::params_from_iter(parked))?;
    }
    let sql = "INSERT INTO sync_ahead (stream, origin, seq, known) VALUES (?1, ?2, ?3, ?4)";
    let mut ahead = db.prepare_cached(sql)?;
    for listed in lists.ahead.iter().filter(|listed| key_of(listed) == Some(key)) {
        ahead.execute(rusqlite::params_from_iter(listed))?;
    }
    Ok(())
}

fn odd(what: &'static str) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(what.into())
}

/// Whether an entry is parked.
pub fn is_parked(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM sync_parked WHERE origin = ?1 AND stream = ?2 AND seq = ?3")?
        .exists((origin.get(), stream.number(), seq.cast_signed()))
}

/// The keys of all rows that parked entries of an origin still want to write.
pub fn wanted(db: &Connection, tables: &Tables, origin: Origin) -> rusqlite::Result<ParkedKeys> {
    let mut select = db.prepare_cached(
        "SELECT stream, seq FROM sync_parked WHERE origin = ?1 AND reason <> 'Ended'",
    )?;
    let mut parked = select.query([origin.get()])?;
    let mut keys = ParkedKeys::new();
    while let Some(row) = parked.next()? {
        let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
        let seq = row.get::<_, i64>(1)?.cast_unsigned();
        if let Some(entry) = changelog::read(db, stream, origin, seq, 1, u64::MAX)?.pop() {
            keys.extend(apply::wanted_keys(tables, origin, &entry));
        }
    }
    Ok(keys)
}
