//! What each device sold, added up behind its receipts

use std::collections::HashMap;

use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The day that stands for all days.
pub const EVER: i64 = -1;

/// The receipts of one device in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// How many.
    pub receipts: i64,
    /// What sales came to.
    pub sales: Money,
    /// What returns came to, not above zero.
    pub returns: Money,
    /// The tax in both.
    pub tax: Money,
    /// Row id of the newest one; 0 without any.
    pub newest: i64,
}

impl Sum {
    /// What one receipt comes to: its row id, kind (1 is a sale), total and tax.
    pub fn of_receipt(id: i64, kind: i64, total: Money, tax: Money) -> Sum {
        let (sales, returns) = if kind == 1 { (total, Money::ZERO) } else { (Money::ZERO, total) };
        Sum { receipts: 1, sales, returns, tax, newest: id }
    }

    /// Sales less returns.
    pub fn gross(&self) -> Money {
        Money(self.sales.0.saturating_add(self.returns.0))
    }

    /// Both together.
    pub fn and(self, other: Sum) -> Sum {
        let add = |one: Money, two: Money| Money(one.0.saturating_add(two.0));
        Sum {
            receipts: self.receipts + other.receipts,
            sales: add(self.sales, other.sales),
            returns: add(self.returns, other.returns),
            tax: add(self.tax, other.tax),
            newest: self.newest.max(other.newest),
        }
    }
}

/// Of every device that ever sold, all its receipts.
pub fn ever(db: &Connection) -> rusqlite::Result<HashMap<u32, Sum>> {
    of_day(db, EVER)
}

/// Of every device that sold on the day of this moment, by UTC, the receipts of that day.
pub fn on_day(db: &Connection, at: Moment) -> rusqlite::Result<HashMap<u32, Sum>> {
    of_day(db, day_of(at))
}

/// The day of a moment, by UTC.
pub fn day_of(at: Moment) -> i64 {
    at.0.div_euclid(DAY_MS)
}

/// Adds to the sum of a device. One that cannot be counted any more stays at the largest number.
pub fn add(db: &Connection, day: i64, device: i64, sum: &Sum) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO hq_receipt_sum
         (day, device, receipts, sales_minor, returns_minor, tax_minor, newest_receipt)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (day, device) DO UPDATE
         SET receipts = receipts + excluded.receipts,
             sales_minor = CAST(sales_minor + excluded.sales_minor AS INTEGER),
             returns_minor = CAST(returns_minor + excluded.returns_minor AS INTEGER),
             tax_minor = CAST(tax_minor + excluded.tax_minor AS INTEGER),
             newest_receipt = max(newest_receipt, excluded.newest_receipt)",
    )?
    .execute((day, device, sum.receipts, sum.sales, sum.returns, sum.tax, sum.newest))?;
    Ok(())
}

fn of_day(db: &Connection, day: i64) -> rusqlite::Result<HashMap<u32, Sum>> {
    db.prepare_cached(
        "SELECT device, receipts, sales_minor, returns_minor, tax_minor, newest_receipt
         FROM hq_receipt_sum WHERE day = ?1",
    )?
    .query_map([day], |row| {
        let sum = Sum {
            receipts: row.get(1)?,
            sales: row.get(2)?,
            returns: row.get(3)?,
            tax: row.get(4)?,
            newest: row.get(5)?,
        };
        Ok((row.get(0)?, sum))
    })?
    .collect()
}
