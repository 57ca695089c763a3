//! Fills an HQ with receipts by a short way
//!
//! Ten million receipts by the ordinary way take hours. Here the rows of each device are written in the order of their
//! keys, with the triggers set aside, and what these would have added up is written at the end. The entries are the same
//! ones, chained, sealed and kept as HQ keeps them. A test compares every table with what the ordinary way leaves; only
//! the order in which receipts arrived and balances changed is another: device by device, as if one after the other had
//! come back from a year alone.

use crate::bench_desk::{Fault, SKUS, price_minor};
use crate::bench_devices::{Checkout, Device};
use rusqlite::{Connection, Transaction};
use selvedge_sync::changelog::{self, Appender, LogHead};
use selvedge_sync::hlc::{Millis, Stamp};
use selvedge_sync::open::{self, Migration};
use selvedge_sync::tables::Tables;
use std::collections::BTreeMap;
use std::path::Path;

/// Entries of one seal, as full frames have them.
const SEALED: u64 = 1_000;
const DAY_MS: i64 = 86_400_000;

/// Sums of one day and device: receipts, sales, tax, newest receipt.
type Sums = BTreeMap<(i64, i64), [i64; 4]>;

/// The migrations that a database has run, so that it can be opened once more without its replica.
pub fn migrations_of(db: &Connection) -> rusqlite::Result<Vec<Migration>> {
    db.prepare("SELECT name FROM sync_migration")?
        .query_map([], |row| Ok(Migration { name: row.get::<_, String>(0)?.leak(), sql: "" }))?
        .collect()
}

/// Writes so many checkouts of each device into the closed database of an HQ that knows them and has none yet.
pub fn fill(
    path: &Path,
    ran: &[Migration],
    tables: &Tables,
    devices: &mut [Device],
    each: u64,
    now: Millis,
) -> Result<(), Fault> {
    let db = open::local(path, None, ran)?;
    db.execute_batch("PRAGMA synchronous=OFF; PRAGMA foreign_keys=OFF; PRAGMA cache_size=-65536")?;
    let triggers = set_aside(&db)?;
    let (mut sums, mut changes) = (Sums::new(), 0);
    let mut balances = BTreeMap::new();
    for at in 0..devices.len() {
        let tx = db.unchecked_transaction()?;
        let store = devices[at].store;
        write(&tx, tables, &mut devices[at], each, now, &mut sums, &mut balances)?;
        if devices.get(at + 1).is_none_or(|next| next.store != store) {
            write_balances(&tx, store, &balances, &mut changes)?;
            balances.clear();
        }
        tx.commit()?;
        if (at + 1) % 100 == 0 {
            eprintln!("{} of {} devices have {each} receipts at HQ", at + 1, devices.len());
        }
    }
    write_sums(&db, &sums)?;
    for trigger in triggers {
        db.execute_batch(&trigger)?;
    }
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Drops the triggers of the trade, and gives the statements that make them again.
fn set_aside(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let found: Vec<(String, String)> = db
        .prepare(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'
             AND tbl_name IN ('receipt', 'receipt_line', 'tender', 'stock_balance') ORDER BY rowid",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (name, _) in &found {
        db.execute_batch(&format!("DROP TRIGGER \"{name}\""))?;
    }
    Ok(found.into_iter().map(|(_, sql)| sql).collect())
}

/// The checkouts of one device: log, seals, head and rows.
fn write(
    tx: &Transaction,
    tables: &Tables,
    device: &mut Device,
    each: u64,
    now: Millis,
    sums: &mut Sums,
    balances: &mut BTreeMap<i64, (i64, i64)>,
) -> Result<(), Fault> {
    let (origin, stream) = (device.origin, device.stream);
    let lane = changelog::lane(tx, stream, origin)?;
    let mut head = LogHead { lane, ..LogHead::none(origin, stream) };
    let mut log = Appender::new(tx)?;
    for _ in 0..each {
        let checkout = device.checkout();
        let entry = device.entry(tables, &checkout)?;
        device.append(&entry);
        head = LogHead {
            lane,
            seq: device.head.seq,
            chain: device.head.chain,
            stamp: Stamp::at(Millis(checkout.at_ms)),
            bytes: head.bytes + entry.len() as u64,
        };
        log.append(&head, &entry, None)?;
        if head.seq.is_multiple_of(SEALED) || head.seq == each {
            changelog::keep_seal(tx, stream, origin, &device.seal(), head.bytes)?;
        }
        write_rows(tx, device.store, &checkout, now)?;
        for day in [-1, checkout.at_ms / DAY_MS] {
            let sum = sums.entry((day, origin.get().into())).or_default();
            let [receipts, sales, tax, newest] = *sum;
            let (total, id) = (checkout.total, checkout.receipt);
            *sum = [receipts + 1, sales + total, tax + total / 6, newest.max(id)];
        }
        for sku in &checkout.skus {
            let balance = balances.entry(*sku).or_insert((0, i64::MIN));
            *balance = (balance.0 - 1, balance.1.max(checkout.at_ms));
        }
    }
    changelog::set_head(tx, stream, origin, &head)?;
    Ok(())
}

fn write_rows(
    tx: &Transaction,
    store: u32,
    checkout: &Checkout,
    now: Millis,
) -> rusqlite::Result<()> {
    let Checkout { receipt, no, at_ms, ref skus, total, .. } = *checkout;
    tx.prepare_cached(
        "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
         VALUES (?1, ?2, 1, 1, ?3, ?4, ?5, ?6)",
    )?
    .execute((receipt, no, at_ms, store, total, total / 6))?;
    for (sku, line) in skus.iter().zip(1_i64..) {
        tx.prepare_cached(
            "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
             VALUES (?1, ?2, ?3, 1, ?4, 1)",
        )?
        .execute((receipt, line, sku, price_minor(*sku)))?;
    }
    tx.prepare_cached(
        "INSERT INTO tender (receipt, no, kind, amount_minor) VALUES (?1, 1, 2, ?2)",
    )?
    .execute((receipt, total))?;
    tx.prepare_cached("INSERT INTO hq_receipt_arrival (receipt, store, at) VALUES (?1, ?2, ?3)")?
        .execute((receipt, store, now.0))?;
    let arrival = tx.last_insert_rowid();
    tx.prepare_cached("INSERT INTO hq_arrival_of_receipt (receipt, arrival) VALUES (?1, ?2)")?
        .execute((receipt, arrival))?;
    tx.prepare_cached("INSERT INTO hq_arrival_of_store (store, arrival) VALUES (?1, ?2)")?
        .execute((store, arrival))?;
    Ok(())
}

/// What the lines of a store take from its stock, and that it has changed.
fn write_balances(
    tx: &Transaction,
    store: u32,
    balances: &BTreeMap<i64, (i64, i64)>,
    changes: &mut i64,
) -> rusqlite::Result<()> {
    assert!(balances.len() as i64 <= SKUS, "a balance for each SKU at most");
    for (sku, (on_hand, changed_at)) in balances {
        tx.prepare_cached(
            "INSERT INTO stock_balance (store, sku, on_hand, changed_at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((store, sku, on_hand, changed_at))?;
        *changes += 1;
        tx.prepare_cached("INSERT INTO hq_stock_change (store, sku, change) VALUES (?1, ?2, ?3)")?
            .execute((store, sku, *changes))?;
    }
    Ok(())
}

fn write_sums(db: &Connection, sums: &Sums) -> rusqlite::Result<()> {
    let tx = db.unchecked_transaction()?;
    for ((day, device), [receipts, sales, tax, newest]) in sums {
        tx.prepare_cached(
            "INSERT INTO hq_receipt_sum
             (day, device, receipts, sales_minor, returns_minor, tax_minor, newest_receipt)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
        )?
        .execute((day, device, receipts, sales, tax, newest))?;
    }
    tx.execute("UPDATE hq_derived SET upto = (SELECT max(arrival) FROM hq_receipt_arrival)", [])?;
    tx.commit()
}
