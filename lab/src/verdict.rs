//! What must hold of receipts and replicas after any trouble
//!
//! Everything is read from the databases themselves, never from what a process says of them.

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::{BTreeMap, BTreeSet};

/// Whether something holds, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What must hold.
    pub rule: String,
    /// Whether it does.
    pub holds: bool,
    /// The figures.
    pub figures: String,
}

impl Verdict {
    /// The verdict as a line of the story.
    pub fn line(&self) -> String {
        format!("[{}] {}: {}", if self.holds { "holds" } else { "FAILS" }, self.rule, self.figures)
    }
}

/// The receipts that one device wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipts {
    /// The running numbers in order, one for each row.
    pub numbers: Vec<i64>,
    /// What they come to.
    pub total_minor: i64,
}

impl Receipts {
    /// Whether the numbers are 1 to n, each once.
    pub fn are_gap_free(&self) -> bool {
        self.numbers.iter().zip(1..).all(|(number, expected)| *number == expected)
    }
}

/// All receipts of a replica by the origin that wrote them.
pub fn receipts(db: &Connection) -> rusqlite::Result<BTreeMap<u32, Receipts>> {
    let mut found: BTreeMap<u32, Receipts> = BTreeMap::new();
    let mut select =
        db.prepare("SELECT id >> 40, no, total_minor FROM receipt ORDER BY id >> 40, no")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let of_device = found.entry(row.get(0)?).or_default();
        of_device.numbers.push(row.get(1)?);
        of_device.total_minor += row.get::<_, i64>(2)?;
    }
    Ok(found)
}

/// A device of the chain, as HQ's allow-list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub device: String,
    /// The number that its rows bear.
    pub origin: u32,
    /// What its receipt numbers begin with.
    pub label: String,
    /// Its store.
    pub store: u32,
}

/// The devices that a replica knows.
pub fn devices(db: &Connection) -> rusqlite::Result<Vec<Device>> {
    let mut select =
        db.prepare("SELECT device, origin, label, store FROM allow_list ORDER BY origin")?;
    let found = select.query_map([], |row| {
        Ok(Device {
            device: row.get(0)?,
            origin: row.get(1)?,
            label: row.get(2)?,
            store: row.get(3)?,
        })
    })?;
    found.collect()
}

/// The running number in a receipt number such as "T1-000017".
pub fn running_number(receipt_number: &str) -> Option<i64> {
    receipt_number.rsplit_once('-')?.1.parse().ok()
}

/// Receipts are numbered 1 to n at a device, without a gap and without a double.
pub fn gap_free(device: &str, at_hq: &Receipts) -> Verdict {
    Verdict {
        rule: format!("receipts of {device} are gap-free at head office"),
        holds: at_hq.are_gap_free(),
        figures: format!(
            "{} receipts, last number {}",
            at_hq.numbers.len(),
            at_hq.numbers.last().unwrap_or(&0)
        ),
    }
}

/// What the done screen promised is there, once, and there is nothing beside it but what was left in doubt.
pub fn none_lost_or_doubled(
    device: &str,
    promised: &BTreeSet<String>,
    in_doubt: u64,
    own: &Receipts,
    at_hq: &Receipts,
) -> Verdict {
    let held: BTreeSet<i64> = at_hq.numbers.iter().copied().collect();
    let wanted: BTreeSet<i64> =
        promised.iter().filter_map(|number| running_number(number)).collect();
    let lost: Vec<&i64> = wanted.difference(&held).collect();
    let beside = held.difference(&wanted).count() as u64;
    let doubled = at_hq.numbers.len() - held.len();
    let readable = wanted.len() == promised.len();
    Verdict {
        rule: format!("no receipt of {device} is lost or doubled"),
        holds: readable && lost.is_empty() && doubled == 0 && beside <= in_doubt && own == at_hq,
        figures: format!(
            "{} promised, {} held here, {} at head office, {} lost, {doubled} doubled, {beside} of {in_doubt} in doubt were written",
            wanted.len(),
            own.numbers.len(),
            at_hq.numbers.len(),
            lost.len()
        ),
    }
}

/// Digests of the replicated tables, by table.
pub type Digests = BTreeMap<String, String>;

/// Digests of what every replica of a store shares: the chain's tables, and the store's rows of the others.
pub fn digests(db: &Connection, store: u32) -> rusqlite::Result<Digests> {
    let mut select = db.prepare("SELECT name, stream, rule FROM replicated ORDER BY table_id")?;
    let tables: Vec<(String, Option<String>, String)> = select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut found = Digests::new();
    for (table, stream, rule) in tables {
        let is_chain = match stream.as_deref() {
            Some(stream) => stream == "chain",
            None => rule == "owner",
        };
        let scope = if is_chain { String::new() } else { scope_of(db, &table, store)? };
        found.insert(table.clone(), digest(db, &table, &scope)?);
    }
    // Derived, and yet the same everywhere, because the facts are.
    found.insert(
        "stock_balance".to_owned(),
        digest(db, "stock_balance", &format!("WHERE store = {store}"))?,
    );
    Ok(found)
}

/// Every replica has the same rows.
pub fn replicas_agree(store: u32, replicas: &[(String, Digests)]) -> Verdict {
    let Some((first, expected)) = replicas.first() else {
        return Verdict {
            rule: format!("replicas of store {store} agree"),
            holds: false,
            figures: "there are none".to_owned(),
        };
    };
    let mut differences = Vec::new();
    for (name, digests) in &replicas[1..] {
        let differing =
            expected.iter().filter(|(table, digest)| digests.get(*table) != Some(digest));
        differences
            .extend(differing.map(|(table, _)| format!("{table} of {name} differs from {first}")));
    }
    let all: String = expected.values().map(|digest| &digest[..]).collect();
    let figures = match differences.is_empty() {
        true => format!(
            "{} replicas, {} tables, digest {}",
            replicas.len(),
            expected.len(),
            short_hash(&all)
        ),
        false => differences.join(", "),
    };
    Verdict {
        rule: format!("replicas of store {store} agree"),
        holds: differences.is_empty(),
        figures,
    }
}

fn scope_of(db: &Connection, table: &str, store: u32) -> rusqlite::Result<String> {
    let columns = columns(db, table)?;
    let has = |wanted: &str| columns.iter().any(|(name, _)| name == wanted);
    Ok(if has("store") {
        format!("WHERE store = {store}")
    } else if has("stream") {
        // The stream of a store bears its number.
        format!("WHERE stream = {store}")
    } else if has("exception") {
        format!("WHERE exception IN (SELECT id FROM exception WHERE store = {store})")
    } else {
        format!("WHERE receipt IN (SELECT id FROM receipt WHERE store = {store})")
    })
}

fn columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<(String, i64)>> {
    let mut select = db.prepare("SELECT name, pk FROM pragma_table_info(?1)")?;
    select.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn digest(db: &Connection, table: &str, scope: &str) -> rusqlite::Result<String> {
    let mut key: Vec<(i64, String)> = columns(db, table)?
        .into_iter()
        .filter(|(_, pk)| *pk > 0)
        .map(|(name, pk)| (pk, name))
        .collect();
    key.sort();
    let order: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
    let mut select =
        db.prepare(&format!("SELECT * FROM {table} {scope} ORDER BY {}", order.join(", ")))?;
    let columns = select.column_count();
    let mut rows = select.query([])?;
    let mut hasher = blake3::Hasher::new();
    let mut count = 0_u64;
    while let Some(row) = rows.next()? {
        count += 1;
        for place in 0..columns {
            add_value(&mut hasher, row.get_ref(place)?);
        }
    }
    Ok(format!("{count} rows {}", hasher.finalize().to_hex()))
}

/// Each value with its kind and length before it, so that no two rows can look alike.
fn add_value(hasher: &mut blake3::Hasher, value: ValueRef<'_>) {
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => (0, &[]),
        ValueRef::Integer(number) => {
            hasher.update(&[1]).update(&number.to_be_bytes());
            return;
        }
        ValueRef::Real(number) => {
            hasher.update(&[2]).update(&number.to_be_bytes());
            return;
        }
        ValueRef::Text(bytes) => (3, bytes),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hasher.update(&[kind]).update(&(bytes.len() as u64).to_be_bytes()).update(bytes);
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipts_of(numbers: &[i64]) -> Receipts {
        Receipts { numbers: numbers.to_vec(), total_minor: 0 }
    }

    fn promised(numbers: &[i64]) -> BTreeSet<String> {
        numbers.iter().map(|number| format!("T1-{number:06}")).collect()
    }

    #[test]
    fn a_gap_and_a_double_are_both_seen() {
        assert!(receipts_of(&[1, 2, 3]).are_gap_free());
        assert!(!receipts_of(&[1, 3]).are_gap_free());
        assert!(!receipts_of(&[1, 2, 2]).are_gap_free());
        assert!(!receipts_of(&[2, 3]).are_gap_free());
    }

    #[test]
    fn a_promised_receipt_that_is_not_there_fails() {
        let held = receipts_of(&[1, 2]);
        assert!(none_lost_or_doubled("p", &promised(&[1, 2]), 0, &held, &held).holds);
        assert!(!none_lost_or_doubled("p", &promised(&[1, 2, 3]), 0, &held, &held).holds);
    }

    #[test]
    fn a_receipt_that_nobody_promised_must_have_been_left_in_doubt() {
        let held = receipts_of(&[1, 2]);
        assert!(!none_lost_or_doubled("p", &promised(&[1]), 0, &held, &held).holds);
        assert!(none_lost_or_doubled("p", &promised(&[1]), 1, &held, &held).holds);
    }

    #[test]
    fn one_changed_value_changes_the_digest_of_its_table() {
        let replica = |name: &str| {
            let db = empty();
            db.execute("INSERT INTO store VALUES (1, ?1)", [name]).unwrap();
            (name.to_owned(), digests(&db, 1).unwrap())
        };
        assert!(replicas_agree(1, &[replica("a"), replica("a")]).holds);
        let verdict = replicas_agree(1, &[replica("a"), replica("b")]);
        assert_eq!(verdict.figures, "store of b differs from a");
    }

    fn empty() -> Connection {
        let schema = "CREATE TABLE replicated (table_id, name, rule, stream);
            CREATE TABLE store (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE stock_balance (store, sku, on_hand, PRIMARY KEY (store, sku));
            INSERT INTO replicated VALUES (1, 'store', 'owner', 'chain');";
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(schema).unwrap();
        db
    }
}
