//! What must hold: one function per invariant of the engine
//!
//! The numbers are those of the list of invariants in docs/reliability.md. Each function says in a sentence what it
//! found wrong, or nothing.

use crate::ledger::{Ledger, Vector};
use crate::shadow::Seen;
use crate::trade::Trade;
use crate::vault::is_hq;
use rusqlite::Connection;
use selvedge_sync::changelog;
use selvedge_sync::entry_reader::Reader;
use selvedge_sync::floor;
use selvedge_sync::hlc::Stamp;
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::seal;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a check found: nothing, or a sentence.
pub type Finding = Result<(), String>;

/// A broken invariant, with all that is needed to see it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Its number in the list.
    pub invariant: &'static str,
    /// The seed of the run.
    pub seed: u64,
    /// Virtual time.
    pub at_ms: i64,
    /// Which device.
    pub device: String,
    /// What was found.
    pub what: String,
    /// The program that replays it.
    pub program: &'static str,
    /// The options that order this run of it.
    pub options: String,
}

impl Violation {
    /// Its line in a file of seeds: how to run it again, then what it was.
    pub fn seed_line(&self) -> String {
        let Violation { invariant, seed, device, what, options, .. } = self;
        format!("{seed}{options} : {invariant} at {device}, {}", what.replace('\n', " "))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Violation { invariant, seed, at_ms, device, what, program, options } = self;
        let seconds = at_ms / 1_000;
        writeln!(
            f,
            "{invariant} is broken, seed {seed}, after {seconds} virtual seconds, at {device}: {what}"
        )?;
        write!(f, "replay: {program} --seed {seed}{options}")
    }
}

fn sqlite<T>(found: rusqlite::Result<T>) -> Result<T, String> {
    found.map_err(|cause| format!("the database does not answer: {cause}"))
}

/// A kept head: stream, origin, seq and chain value.
type KeptHead = (Stream, Origin, u64, [u8; 32]);

fn heads(db: &Connection) -> Result<Vec<KeptHead>, String> {
    let heads = sqlite(changelog::heads(db))?;
    Ok(heads
        .into_iter()
        .map(|((stream, origin), head, _)| (stream, origin, head.seq, head.chain))
        .collect())
}

/// The version vector as it is kept in the database.
pub fn vector(db: &Connection) -> Result<Vector, String> {
    Ok(heads(db)?.into_iter().map(|(stream, origin, seq, _)| ((stream, origin), seq)).collect())
}

/// I1: what was acknowledged is at its origin, after any power cut. At most the one entry in doubt is there besides,
/// and it then counts as acknowledged.
pub fn check_i01(replica: &Replica, streams: &[Stream], ledger: &mut Ledger) -> Finding {
    let origin = replica.identity().origin;
    let mut besides = 0;
    for stream in streams.iter().copied() {
        let (found, told) = (replica.head(stream, origin).seq, ledger.acknowledged(stream, origin));
        if found < told {
            return Err(format!("{told} entries were acknowledged in {stream}, {found} are there"));
        }
        if let Some(hash) = ledger.hash(stream, origin, told)
            && sqlite(changelog::chain_at(replica.db(), stream, origin, told))? != hash
        {
            return Err(format!("entry {told} in {stream} is not the one that was acknowledged"));
        }
        besides += found - told;
        for seq in told + 1..=found {
            let hash = sqlite(changelog::chain_at(replica.db(), stream, origin, seq))?;
            ledger.find(stream, origin, hash);
        }
    }
    let doubted = ledger.doubted(origin);
    ledger.resolve(origin);
    if besides > doubted {
        return Err(format!(
            "{besides} entries are there that nobody was told of, {doubted} may be in doubt"
        ));
    }
    Ok(())
}

/// I2: seq is gapless for each origin and stream, on every replica.
pub fn check_i02(db: &Connection) -> Finding {
    for (stream, origin, seq, _) in heads(db)? {
        let select = db.prepare_cached("SELECT count(*), ifnull(min(seq), ?3 + 1), ifnull(max(seq), ?3) FROM sync_entry WHERE origin = ?1 AND stream = ?2 AND seq > ?3");
        let floor = sqlite(floor::floor(db, stream, origin))?.seq.cast_signed();
        let (count, first, last): (i64, i64, i64) = sqlite(
            sqlite(select)?.query_row((origin.get(), stream.number(), floor), |row| row.try_into()),
        )?;
        if (count, first, last) != (seq.cast_signed() - floor, floor + 1, seq.cast_signed()) {
            return Err(format!(
                "origin {origin} in {stream}: {count} entries from {first} to {last}, the head says {seq}"
            ));
        }
    }
    Ok(())
}

/// I2, the other half: so is the running number of each device.
pub fn check_i02_numbers(db: &Connection) -> Finding {
    let select = db.prepare_cached(
        "SELECT id >> 40, count(*), max(no), count(DISTINCT no) FROM sale GROUP BY 1",
    );
    let mut select = sqlite(select)?;
    let rows = sqlite(select.query_map([], |row| <(i64, i64, i64, i64)>::try_from(row)))?;
    for row in rows {
        let (origin, count, last, different) = sqlite(row)?;
        if count != last || count != different {
            return Err(format!(
                "origin {origin}: {count} sales, the last has number {last}, {different} differ"
            ));
        }
    }
    Ok(())
}

/// I5: the chain, computed again from its beginning or from its floor, leads to every head.
pub fn check_i05(db: &Connection) -> Finding {
    for (stream, origin, seq, head) in heads(db)? {
        let select = db.prepare_cached(
            "SELECT seq, entry FROM sync_entry
             WHERE origin = ?1 AND stream = ?2 AND seq > ?3 ORDER BY seq",
        );
        let mut select = sqlite(select)?;
        let floor = sqlite(floor::floor(db, stream, origin))?;
        let place = (origin.get(), stream.number(), floor.seq.cast_signed());
        let mut rows = sqlite(select.query(place))?;
        let mut chain = floor.chain;
        while let Some(row) = sqlite(rows.next())? {
            let entry = sqlite(row.get_ref(1))?.as_blob().map_err(|_| "an entry is no blob")?;
            let no: i64 = sqlite(row.get(0))?;
            chain = seal::next(&chain, origin, stream, no.cast_unsigned(), entry);
        }
        if chain != head {
            return Err(format!(
                "the chain of origin {origin} in {stream} does not lead to its head at {seq}"
            ));
        }
    }
    Ok(())
}

/// I14: what a clock shows decides nothing. Along the entries of one origin and stream stamps only grow, whatever the
/// wall clock did meanwhile.
pub fn check_i14(db: &Connection) -> Finding {
    let ask = "SELECT origin, stream, seq, entry FROM sync_entry ORDER BY origin, stream, seq";
    let mut select = sqlite(db.prepare_cached(ask))?;
    let mut rows = sqlite(select.query([]))?;
    let mut before = (0, 0, Stamp(0));
    while let Some(row) = sqlite(rows.next())? {
        let (origin, stream, seq): (u32, u32, i64) =
            sqlite(row.get(0).and_then(|origin| Ok((origin, row.get(1)?, row.get(2)?))))?;
        let writer = Origin::new(origin).ok_or("an entry of no origin")?;
        let entry = sqlite(row.get_ref(3))?.as_blob().map_err(|_| "an entry is no blob")?;
        let Ok(reader) = Reader::open(entry, writer) else { continue };
        let stamp = reader.header().stamp;
        if (before.0, before.1) == (origin, stream) && stamp <= before.2 {
            return Err(format!(
                "origin {origin}: the stamp of entry {seq} is not after the one before"
            ));
        }
        before = (origin, stream, stamp);
    }
    Ok(())
}

/// I7: on hand is the sum of its facts, and a total the sum of its lines.
pub fn check_i07(db: &Connection) -> Finding {
    const BALANCE: &str = "
        SELECT count(*) FROM (
            SELECT store, ware, sum(quantity) AS quantity FROM (
                SELECT store, ware, quantity FROM movement
                UNION ALL
                SELECT s.store, l.ware, -l.quantity FROM sale_line l JOIN sale s ON s.id = l.sale
            ) GROUP BY store, ware
            EXCEPT SELECT store, ware, quantity FROM on_hand
        )";
    const TOTAL: &str = "
        SELECT count(*) FROM sale s
        WHERE total <> (SELECT ifnull(sum(amount), -1) FROM sale_line WHERE sale = s.id)";
    let count = |sql| {
        sqlite(
            db.prepare_cached(sql)
                .and_then(|mut ask| ask.query_row([], |row| row.get::<_, i64>(0))),
        )
    };
    match (count(BALANCE)?, count(TOTAL)?) {
        (0, 0) => Ok(()),
        (0, sales) => {
            Err(format!("{sales} sales are not the sum of their lines: they were applied in part"))
        }
        (wares, _) => Err(format!("{wares} balances are not the sum of their facts")),
    }
}

/// I10: nothing is applied without right. Only lies write negative amounts.
pub fn check_i10(db: &Connection) -> Finding {
    const LIES: &str = "
        SELECT (SELECT count(*) FROM price WHERE amount < 0) + (SELECT count(*) FROM sale WHERE total < 0)
             + (SELECT count(*) FROM movement WHERE quantity < -1000)";
    match sqlite(
        db.prepare_cached(LIES).and_then(|mut ask| ask.query_row([], |row| row.get::<_, i64>(0))),
    )? {
        0 => Ok(()),
        lies => Err(format!("{lies} rows were applied that their writer had no right to write")),
    }
}

/// I11: once all is well for a minute, a device of a store and HQ agree, and HQ has what was acknowledged.
pub fn check_i11(trade: &dyn Trade, device: &Replica, hq: &Replica) -> Finding {
    let store = device.identity().store;
    for stream in [Some(Stream::CHAIN), Stream::store(store)].into_iter().flatten() {
        let mut origins: Vec<Origin> = hq.heads_of(stream).map(|head| head.0).collect();
        origins.extend(device.heads_of(stream).map(|head| head.0));
        for origin in origins {
            let (here, there) = (device.head(stream, origin).seq, hq.head(stream, origin).seq);
            if here != there {
                return Err(format!(
                    "origin {origin} in {stream}: {here} entries here, {there} at HQ"
                ));
            }
        }
    }
    let here = sqlite(trade.sums(device.db(), store))?;
    let there = sqlite(trade.sums(hq.db(), store))?;
    match here.iter().zip(&there).find(|(here, there)| here != there) {
        Some(((table, _), _)) => Err(format!("the vectors are equal, the table {table} is not")),
        None => Ok(()),
    }
}

/// I12: a reader sees what its version vector says and nothing else: every row, whole, once, and none too early.
pub fn check_i12_reads(trade: &dyn Trade, db: &Connection, store: u32, ledger: &Ledger) -> Finding {
    let vector = vector(db)?;
    let parked = sqlite(parked(db))?;
    let seen = Seen { vector: &vector, parked: &parked };
    let tables = trade.followed();
    let Some(expected) = ledger.shadow.expected(tables, store, &seen) else { return Ok(()) };
    let shown = sqlite(trade.sums(db, store))?;
    match expected.iter().find(|(table, sum)| shown.get(*table) != Some(sum)) {
        Some((table, _)) => {
            Err(format!("the table {table} of store {store} is not what its entries say"))
        }
        None => Ok(()),
    }
}

fn parked(db: &Connection) -> rusqlite::Result<BTreeSet<(Stream, Origin, u64)>> {
    let mut select = db.prepare_cached("SELECT stream, origin, seq FROM sync_parked")?;
    let rows = select.query_map([], |row| <(u32, u32, i64)>::try_from(row))?;
    let mut parked = BTreeSet::new();
    for row in rows {
        let (stream, origin, seq) = row?;
        let stream = Stream::store(stream).unwrap_or(Stream::CHAIN);
        parked.extend(Origin::new(origin).map(|origin| (stream, origin, seq.cast_unsigned())));
    }
    Ok(parked)
}

/// I11, the other half: HQ has every acknowledged entry, and the same one.
pub fn check_i11_at_hq(hq: &Replica, ledger: &Ledger) -> Finding {
    for (stream, origin, told, hash) in ledger.heads() {
        let found = hq.head(stream, origin).seq;
        if found < told && !ledger.is_retired(origin) {
            return Err(format!(
                "origin {origin} in {stream}: {told} entries acknowledged, {found} arrived"
            ));
        }
        let hash = if found < told { ledger.hash(stream, origin, found) } else { Some(hash) };
        let (told, Some(hash)) = (told.min(found), hash) else { continue };
        if sqlite(changelog::chain_at(hq.db(), stream, origin, told))? != hash {
            return Err(format!(
                "origin {origin} in {stream}: entry {told} is not the one acknowledged"
            ));
        }
    }
    Ok(())
}

/// I17, of HQ: whatever a generation wrote past its end is kept as evidence, all of it.
pub fn check_i17(replica: &Replica) -> Finding {
    const EVIDENCE: &str = "SELECT count(*) FROM sync_parked
        WHERE reason = 'Ended' AND origin = ?1 AND stream = ?2 AND seq > ?3";
    for (stream, origin, end, head) in replica.past_ends() {
        let kept: i64 = sqlite(replica.db().query_row(
            EVIDENCE,
            (origin.get(), stream.number(), end.cast_signed()),
            |row| row.get(0),
        ))?;
        if kept.unsigned_abs() != head - end {
            return Err(format!(
                "origin {origin} in {stream} ended with {end}, {} entries came later, {kept} are kept as evidence",
                head - end
            ));
        }
    }
    Ok(())
}

/// I12: a version vector never falls, also over a restart.
pub fn check_i12(before: &Vector, now: &Vector) -> Finding {
    for ((stream, origin), seq) in before {
        let found = now.get(&(*stream, *origin)).copied().unwrap_or(0);
        if found < *seq {
            return Err(format!("origin {origin} in {stream} fell from {seq} to {found}"));
        }
    }
    Ok(())
}

/// I13: an entry counts once. Each entry of a store's device that holds a sale or a movement is one, unless it is parked.
pub fn check_i13(db: &Connection, hq: Origin) -> Finding {
    const ENTRIES: &str = "
        SELECT e.origin, e.entry FROM sync_entry e LEFT JOIN sync_parked p USING (origin, stream, seq)
        WHERE p.seq IS NULL AND e.origin <> ?1";
    const FACTS: &str = "
        SELECT (SELECT count(*) FROM sale WHERE id >> 40 = ?1)
             + (SELECT count(*) FROM movement WHERE id >> 40 = ?1)";
    let mut entries: BTreeMap<Origin, i64> = BTreeMap::new();
    let mut select = sqlite(db.prepare_cached(ENTRIES))?;
    let mut rows = sqlite(select.query([hq.get()]))?;
    while let Some(row) = sqlite(rows.next())? {
        let origin = Origin::new(sqlite(row.get(0))?).ok_or("an entry of no origin")?;
        let entry = sqlite(row.get_ref(1))?.as_blob().map_err(|_| "an entry is no blob")?;
        if is_hq(origin) {
            continue;
        }
        let Ok(mut reader) = Reader::open(entry, origin) else { continue };
        let mut counts = false;
        while let Ok(Some(run)) = reader.next_run() {
            counts |= matches!(run.table, 1 | 4);
        }
        *entries.entry(origin).or_default() += i64::from(counts);
    }
    // Of what was trimmed each entry may have been a fact.
    const TRIMMED: &str = "SELECT coalesce(sum(seq), 0) FROM sync_floor WHERE origin = ?1";
    let mut select = sqlite(db.prepare_cached(FACTS))?;
    let mut below = sqlite(db.prepare_cached(TRIMMED))?;
    for (origin, entries) in entries {
        let facts: i64 = sqlite(select.query_row([origin.get()], |row| row.get(0)))?;
        let trimmed: i64 = sqlite(below.query_row([origin.get()], |row| row.get(0)))?;
        if !(entries..=entries + trimmed).contains(&facts) {
            return Err(format!("origin {origin}: {facts} facts out of {entries} entries"));
        }
    }
    Ok(())
}

/// An ack is a promise: whoever says that it has an entry, has it (I1, one hop on).
pub fn check_i01_at_parent(
    child: Origin,
    stream: Stream,
    claimed: u64,
    parent: &Replica,
) -> Finding {
    let found = parent.head(stream, child).seq;
    if found < claimed {
        return Err(format!(
            "{claimed} entries of origin {child} in {stream} were acked, {found} are there"
        ));
    }
    Ok(())
}
