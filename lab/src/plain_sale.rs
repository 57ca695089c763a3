//! The rows of one checkout as plain statements

use crate::bench_desk::{Fault, LINES, STORE, price_minor, trade_migrations, zipf};
use rand_chacha::ChaCha8Rng;
use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Transaction};
use selvedge_sync::open::{self, Migration};
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

/// What a schema without replication needs to take the trade's migrations.
const NO_REPLICATION: Migration = Migration {
    name: "0000_bare",
    sql: "CREATE TABLE replicated (table_id, name, rule, stream, writers);
          CREATE TABLE replicated_column (table_id, name, kind);",
};

/// The trade's schema without any replication, in a file of its own.
pub fn bare(path: &Path) -> Result<Connection, Fault> {
    let schema: Vec<Migration> =
        std::iter::once(NO_REPLICATION).chain(trade_migrations()).collect();
    let db = open::local(path, None, &schema)?;
    let next = AtomicI64::new(2 << 40);
    db.create_scalar_function("row_id", 0, FunctionFlags::SQLITE_UTF8, move |_| {
        Ok(next.fetch_add(1, Ordering::Relaxed) + 1)
    })?;
    Ok(db)
}

/// Lets a bench see its own cost instead of the disk's.
pub fn without_waiting_for_the_disk(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch("PRAGMA synchronous=NORMAL")
}

/// Writes a receipt with its lines and its tender.
pub fn write(
    tx: &Transaction,
    no: i64,
    at_ms: i64,
    skus: i64,
    dice: &mut ChaCha8Rng,
) -> rusqlite::Result<()> {
    let skus: Vec<i64> = (0..LINES).map(|_| zipf(dice, skus)).collect();
    let total: i64 = skus.iter().map(|sku| price_minor(*sku)).sum();
    tx.prepare_cached(
        "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
         VALUES (row_id(), ?1, 1, 1, ?2, ?3, ?4, ?5)",
    )?
    .execute((no, at_ms, STORE, total, total / 6))?;
    let receipt = tx.last_insert_rowid();
    for (sku, line) in skus.iter().zip(1_i64..) {
        tx.prepare_cached(
            "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class) VALUES (?1, ?2, ?3, 1, ?4, 1)",
        )?
        .execute((receipt, line, sku, price_minor(*sku)))?;
    }
    tx.prepare_cached(
        "INSERT INTO tender (receipt, no, kind, amount_minor) VALUES (?1, 1, 2, ?2)",
    )?
    .execute((receipt, total))?;
    Ok(())
}
