//! Changes the rows of one basket inside a transaction

use rusqlite::Transaction;

use crate::baskets::{self, Paying};

/// A write to the baskets that is not committed yet.
pub type BasketWrite<'a> = Transaction<'a>;

/// The open basket's number; a new basket when there is none.
pub fn open_or_new(tx: &Transaction, now: i64) -> rusqlite::Result<i64> {
    if let Some(basket) = baskets::current(tx)? {
        return Ok(basket.id);
    }
    tx.prepare_cached("INSERT INTO basket (state, opened_at) VALUES ('open', ?1)")?
        .execute([now])?;
    Ok(tx.last_insert_rowid())
}

/// Adds a line and says its number.
pub fn add_line(
    tx: &Transaction,
    basket: i64,
    sku: i64,
    gtin: Option<&str>,
    quantity: i64,
) -> rusqlite::Result<i64> {
    tx.prepare_cached(
        "INSERT INTO basket_line (basket, no, sku, gtin, quantity, touched)
         SELECT ?1, coalesce(max(no), 0) + 1, ?2, ?3, ?4, coalesce(max(touched), 0) + 1
         FROM basket_line WHERE basket = ?1 RETURNING no",
    )?
    .query_row((basket, sku, gtin, quantity), |row| row.get(0))
}

/// Sets a line's quantity; with `Touch::Scan` it also becomes the last scanned.
pub fn set_quantity(
    tx: &Transaction,
    basket: i64,
    no: i64,
    quantity: i64,
    touch: Touch,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket_line SET quantity = ?3 WHERE basket = ?1 AND no = ?2")?
        .execute((basket, no, quantity))?;
    if touch == Touch::Scan {
        tx.prepare_cached(
            "UPDATE basket_line SET touched = (SELECT max(touched) + 1 FROM basket_line WHERE basket = ?1)
             WHERE basket = ?1 AND no = ?2",
        )?
        .execute((basket, no))?;
    }
    Ok(())
}

/// What moved a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// The scanner.
    Scan,
    /// The stepper.
    Step,
}

/// Takes a line off; its row stays. With the last line go customer and discount:
/// the next thing that is scanned may be somebody else's.
pub fn take_off(tx: &Transaction, basket: i64, no: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket_line SET state = 'void' WHERE basket = ?1 AND no = ?2")?
        .execute((basket, no))?;
    tx.prepare_cached(
        "UPDATE basket SET customer = NULL, discount_points = 0, discount_minor = 0
         WHERE id = ?1 AND NOT EXISTS
             (SELECT 1 FROM basket_line WHERE basket = ?1 AND state = 'live')",
    )?
    .execute([basket])
    .map(drop)
}

/// Says whose basket it is, or that it is nobody's.
pub fn set_customer(tx: &Transaction, basket: i64, customer: Option<i64>) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket SET customer = ?2 WHERE id = ?1")?
        .execute((basket, customer))
        .map(drop)
}

/// What the cashier takes off the whole basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Off {
    /// Hundredths of a percent.
    Points(i64),
    /// An amount in minor units.
    Minor(i64),
}

/// Sets what is taken off the whole basket; the new one replaces the old one.
pub fn set_basket_discount(tx: &Transaction, basket: i64, off: Off) -> rusqlite::Result<()> {
    let (points, minor) = match off {
        Off::Points(points) => (points, 0),
        Off::Minor(minor) => (0, minor),
    };
    tx.prepare_cached("UPDATE basket SET discount_points = ?2, discount_minor = ?3 WHERE id = ?1")?
        .execute((basket, points, minor))
        .map(drop)
}

/// Sets what is taken off a line, in hundredths of a percent.
pub fn set_discount(tx: &Transaction, basket: i64, no: i64, points: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket_line SET discount_points = ?3 WHERE basket = ?1 AND no = ?2")?
        .execute((basket, no, points))
        .map(drop)
}

/// Gives a line a price of its own, or the catalogue's again.
pub fn set_open_price(
    tx: &Transaction,
    basket: i64,
    no: i64,
    price_minor: Option<i64>,
) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket_line SET open_price_minor = ?3 WHERE basket = ?1 AND no = ?2")?
        .execute((basket, no, price_minor))
        .map(drop)
}

/// Takes a tender for the basket.
pub fn add_tender(
    tx: &Transaction,
    basket: i64,
    kind: i64,
    amount_minor: i64,
    request: &str,
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO basket_tender (basket, no, kind, amount_minor, request)
         SELECT ?1, coalesce(max(no), 0) + 1, ?2, ?3, ?4 FROM basket_tender WHERE basket = ?1",
    )?
    .execute((basket, kind, amount_minor, request))
    .map(drop)
}

/// Gives a tender back.
pub fn remove_tender(tx: &Transaction, basket: i64, no: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM basket_tender WHERE basket = ?1 AND no = ?2")?
        .execute((basket, no))
        .map(drop)
}

/// Marks the basket as being paid, before its receipt is written.
pub fn begin_paying(tx: &Transaction, paying: &Paying) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE basket SET state = 'paying', receipt_no = ?2, paying_at = ?3, cashier = ?4,
         paying_request = ?5 WHERE id = ?1 AND state = 'open'",
    )?
    .execute((paying.basket, paying.receipt_no, paying.at, paying.cashier, &paying.request))
    .map(drop)
}
