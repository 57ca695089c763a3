//! What each device sold, kept as its receipts come in

use std::collections::HashMap;

use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The day that stands for all days.
const EVER: i64 = -1;

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
    of_day(db, at.0.div_euclid(DAY_MS))
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
