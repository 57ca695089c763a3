//! What a person should look at, beside a sale
//!
//! An exception is never a refusal: the goods are in the customer's hand. It is
//! a fact like the receipt it stands beside.

use crate::moment::Moment;
use rusqlite::{Connection, Row, Transaction};

/// A sale took more than the balance knew of.
pub const OVERSOLD: &str = "oversold";

/// HQ's sum of a device's receipts differs from what the device signed.
pub const TOTALS_DIFFER: &str = "totals differ";

/// An exception to be written.
#[derive(Debug, Clone, Default)]
pub struct NewException<'a> {
    /// The store.
    pub store: i64,
    /// When it was noticed.
    pub at: Moment,
    /// Which kind: one of the constants of this file.
    pub kind: &'a str,
    /// The receipt it is about.
    pub receipt: Option<i64>,
    /// The SKU it is about.
    pub sku: Option<i64>,
    /// A quantity or an amount in minor units, by kind.
    pub amount: Option<i64>,
    /// A remark.
    pub note: Option<&'a str>,
}

/// An exception as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exception {
    /// Its row id.
    pub id: i64,
    /// The store.
    pub store: i64,
    /// When it was noticed.
    pub at: Moment,
    /// Which kind.
    pub kind: String,
    /// The receipt it is about.
    pub receipt: Option<i64>,
    /// The SKU it is about. Of an oversold receipt: the one most below zero.
    pub sku: Option<i64>,
    /// Of an oversold receipt: what was on hand after it.
    pub amount: Option<i64>,
    /// A remark.
    pub note: Option<String>,
}

/// Writes an exception.
pub fn write(tx: &Transaction, new: &NewException) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO exception (id, store, at, kind, receipt, sku, amount, note)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((new.store, new.at, new.kind, new.receipt, new.sku, new.amount, new.note))?;
    Ok(())
}

/// The newest exceptions of all stores.
pub fn latest(db: &Connection, limit: u32) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(
        "SELECT id, store, at, kind, receipt, sku, amount, note FROM exception
         ORDER BY at DESC, id DESC LIMIT ?1",
    )?
    .query_map([limit], read)?
    .collect()
}

/// The exceptions that stand beside one receipt.
pub fn of_receipt(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(
        "SELECT id, store, at, kind, receipt, sku, amount, note FROM exception
         WHERE receipt = ?1 ORDER BY id",
    )?
    .query_map([receipt], read)?
    .collect()
}

fn read(row: &Row) -> rusqlite::Result<Exception> {
    Ok(Exception {
        id: row.get(0)?,
        store: row.get(1)?,
        at: row.get(2)?,
        kind: row.get(3)?,
        receipt: row.get(4)?,
        sku: row.get(5)?,
        amount: row.get(6)?,
        note: row.get(7)?,
    })
}
