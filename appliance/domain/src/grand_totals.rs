//! What all receipts of a device come to, by its own word
//!
//! HQ adds up what it holds and compares. A receipt that was lost, doubled or
//! altered on its way cannot hide, because the device's own sum travels with it.

use crate::moment::Moment;
use crate::money::{Money, MoneyError};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// How many receipts there are between two statements. Small enough that the
/// sum since the last is read from one page.
pub const EVERY_RECEIPTS: i64 = 64;

/// How many row ids each device has: a device's ids are one range of this size.
const IDS_PER_DEVICE: i64 = 1 << 40;

/// Running sums of one device's receipts, from its first to `last_no`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// The number of the last receipt in it; numbers have no gap, so also how many.
    pub last_no: i64,
    /// What sales came to.
    pub sales: Money,
    /// What returns and voids came to, not above zero.
    pub returns: Money,
    /// The tax in both.
    pub tax: Money,
}

/// A statement as HQ holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Its row id.
    pub id: i64,
    /// The device: its ids shifted down by 40 bits.
    pub device: i64,
    /// The store.
    pub store: i64,
    /// When it was made.
    pub at: Moment,
    /// The sums.
    pub totals: Totals,
}

/// Why no statement was made.
#[derive(Debug, thiserror::Error)]
pub enum GrandTotalError {
    /// A sum left what can be counted.
    #[error("the running total of this device cannot be counted any more")]
    Money(#[from] MoneyError),
    /// The database refused; nothing was written.
    #[error("the running total was not written")]
    Database(#[from] rusqlite::Error),
}

/// States the running totals of this device, if a receipt came since the last
/// statement; returns the row id.
pub fn state(tx: &Transaction, store: i64, at: Moment) -> Result<Option<i64>, GrandTotalError> {
    let before = last_own(tx)?;
    let since = before.map_or(0, |statement| statement.id);
    let start = before.map(|statement| statement.totals).unwrap_or_default();
    let (last_no, sales, returns, tax) = tx
        .prepare_cached(
            "SELECT max(no), coalesce(sum(total_minor) FILTER (WHERE kind = 1), 0),
                    coalesce(sum(total_minor) FILTER (WHERE kind <> 1), 0), coalesce(sum(tax_minor), 0)
             FROM receipt
             WHERE id BETWEEN max(?1, own_ids()) + 1 AND own_ids() + 1099511627775",
        )?
        .query_row([since], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })?;
    let Some(last_no) = last_no else { return Ok(None) };
    assert!(last_no > start.last_no, "receipt numbers only rise");
    let sums = (start.sales.plus(sales)?, start.returns.plus(returns)?, start.tax.plus(tax)?);
    tx.prepare_cached(
        "INSERT INTO grand_total (id, store, at, last_no, sales_minor, returns_minor, tax_minor)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((store, at, last_no, sums.0, sums.1, sums.2))?;
    Ok(Some(tx.last_insert_rowid()))
}

fn last_own(db: &Connection) -> rusqlite::Result<Option<Statement>> {
    db.prepare_cached(
        "SELECT id, store, at, last_no, sales_minor, returns_minor, tax_minor FROM grand_total
         WHERE id BETWEEN own_ids() AND own_ids() + 1099511627775 ORDER BY id DESC LIMIT 1",
    )?
    .query_row([], read)
    .optional()
}

/// The newest statement of every device that ever made one.
pub fn latest(db: &Connection) -> rusqlite::Result<Vec<Statement>> {
    let mut below = db.prepare_cached(
        "SELECT id, store, at, last_no, sales_minor, returns_minor, tax_minor FROM grand_total
         WHERE id < ?1 ORDER BY id DESC LIMIT 1",
    )?;
    let mut found = Vec::new();
    let mut ceiling = i64::MAX;
    while let Some(statement) = below.query_row([ceiling], read).optional()? {
        // Jump below the whole range of this device.
        ceiling = statement.device * IDS_PER_DEVICE;
        found.push(statement);
    }
    found.reverse();
    Ok(found)
}

/// What is held here of one device's receipts up to a number, and how many they are.
pub fn held(db: &Connection, device: i64, last_no: i64) -> rusqlite::Result<(i64, Totals)> {
    let first_id = device * IDS_PER_DEVICE;
    db.prepare_cached(
        "SELECT count(*), coalesce(max(no), 0),
                coalesce(sum(total_minor) FILTER (WHERE kind = 1), 0),
                coalesce(sum(total_minor) FILTER (WHERE kind <> 1), 0), coalesce(sum(tax_minor), 0)
         FROM receipt WHERE id BETWEEN ?1 AND ?1 + 1099511627775 AND no <= ?2",
    )?
    .query_row((first_id, last_no), |row| {
        let totals = Totals {
            last_no: row.get(1)?,
            sales: row.get(2)?,
            returns: row.get(3)?,
            tax: row.get(4)?,
        };
        Ok((row.get(0)?, totals))
    })
}

fn read(row: &rusqlite::Row) -> rusqlite::Result<Statement> {
    let id: i64 = row.get(0)?;
    let totals =
        Totals { last_no: row.get(3)?, sales: row.get(4)?, returns: row.get(5)?, tax: row.get(6)? };
    Ok(Statement { id, device: id / IDS_PER_DEVICE, store: row.get(1)?, at: row.get(2)?, totals })
}
