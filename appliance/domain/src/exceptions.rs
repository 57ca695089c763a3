//! What a person should look at, beside a sale
//!
//! An exception is never a refusal: the goods are in the customer's hand. It is
//! a fact like the receipt it stands beside.

use crate::moment::Moment;
use crate::staff::{self, Rights};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

/// A sale took more than the balance knew of.
pub const OVERSOLD: &str = "oversold";

/// Power went in the middle of a sale, and a person said what became of it.
pub const IN_DOUBT: &str = "in doubt";

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

/// That somebody has looked at an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// When it was called done.
    pub at: Moment,
    /// By whom, by name or number.
    pub by: String,
    /// A remark.
    pub note: Option<String>,
}

/// Why an exception was not called done.
#[derive(Debug, thiserror::Error)]
pub enum DoneError {
    /// Nobody with that number, or without the right.
    #[error("employee {0} may not call this done: ask somebody with the right \"manage\"")]
    NoRight(i64),
    /// No such exception in this store.
    #[error("there is no such line in this store: load the page again")]
    Unknown,
    /// The remark is too long.
    #[error("the remark is longer than 200 characters")]
    Note,
    /// The database refused; nothing was written.
    #[error("it was not written")]
    Database(#[from] rusqlite::Error),
}

/// Calls an exception done. A second time changes nothing: the first one who looked stays named.
pub fn call_done(
    tx: &Transaction,
    store: i64,
    exception: i64,
    employee: i64,
    at: Moment,
    note: Option<&str>,
) -> Result<(), DoneError> {
    let rights = staff::rights(tx, store, employee)?;
    if !rights.is_some_and(|rights| rights.has(Rights::MANAGE)) {
        return Err(DoneError::NoRight(employee));
    }
    if note.is_some_and(|note| note.chars().count() > 200) {
        return Err(DoneError::Note);
    }
    if by_id(tx, store, exception)?.is_none() {
        return Err(DoneError::Unknown);
    }
    tx.prepare_cached(
        "INSERT INTO exception_done (exception, store, at, employee, note)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
    )?
    .execute((exception, store, at, employee, note))?;
    Ok(())
}

/// What [`read`] takes, from these tables.
macro_rules! exception_sql {
    ($from:literal) => {
        concat!(
            "SELECT e.id, e.store, e.at, e.kind, e.receipt, e.sku, e.amount, e.note FROM ",
            $from
        )
    };
}

/// One exception of a store.
pub fn by_id(db: &Connection, store: i64, id: i64) -> rusqlite::Result<Option<Exception>> {
    db.prepare_cached(exception_sql!("exception e WHERE id = ?1 AND store = ?2"))?
        .query_row((id, store), read)
        .optional()
}

/// The newest exceptions of a store that nobody has called done.
pub fn open(db: &Connection, store: i64, limit: u32) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(exception_sql!(
        "exception_open o JOIN exception e ON e.id = o.id
         WHERE o.store = ?1 ORDER BY o.at DESC, o.id DESC LIMIT ?2"
    ))?
    .query_map((store, limit), read)?
    .collect()
}

/// How many exceptions of a store nobody has called done.
pub fn open_count(db: &Connection, store: i64) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT count(*) FROM exception_open WHERE store = ?1")?
        .query_row([store], |row| row.get::<_, i64>(0))
        .map(i64::unsigned_abs)
}

/// Who called an exception done, if somebody did.
pub fn done_of(db: &Connection, exception: i64) -> rusqlite::Result<Option<Done>> {
    db.prepare_cached(
        "SELECT d.at, coalesce(e.name, 'employee ' || d.employee), d.note FROM exception_done d
         LEFT JOIN employee e ON e.store = d.store AND e.id = d.employee WHERE d.exception = ?1",
    )?
    .query_row([exception], |row| Ok(Done { at: row.get(0)?, by: row.get(1)?, note: row.get(2)? }))
    .optional()
}

/// The exceptions of a store that were called done last.
pub fn done(db: &Connection, store: i64, limit: u32) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(exception_sql!(
        "exception_done d JOIN exception e ON e.id = d.exception
         WHERE d.store = ?1 ORDER BY d.at DESC, d.exception DESC LIMIT ?2"
    ))?
    .query_map((store, limit), read)?
    .collect()
}

/// The newest exceptions of all stores.
pub fn latest(db: &Connection, limit: u32) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(exception_sql!("exception e ORDER BY at DESC, id DESC LIMIT ?1"))?
        .query_map([limit], read)?
        .collect()
}

/// The exceptions that stand beside one receipt.
pub fn of_receipt(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<Exception>> {
    db.prepare_cached(exception_sql!("exception e WHERE receipt = ?1 ORDER BY id"))?
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
