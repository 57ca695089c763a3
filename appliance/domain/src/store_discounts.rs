//! What a store takes off a product by itself, for a while
//!
//! The store's back office owns the rows, and every pos of the store hears
//! them. A discount holds from its first moment to before its last one, by the
//! clock of the device that sells, with the line up or down. None is ever
//! removed: to end one early, its end moves.

use crate::moment::Moment;
use crate::staff::{self, Rights};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

/// The most that can be taken off, in hundredths of a percent: all of it.
pub const POINTS_MAX: i64 = 10_000;

/// The longest that a discount may run: longer is a slip of the year.
pub const WINDOW_MS_MAX: i64 = 366 * 24 * 60 * 60 * 1_000;

/// A discount to be entered.
#[derive(Debug, Clone)]
pub struct NewStoreDiscount {
    /// The store.
    pub store: i64,
    /// On which product, all its sizes and colours.
    pub product: i64,
    /// Hundredths of a percent taken off.
    pub discount_points: i64,
    /// Its first moment.
    pub valid_from: Moment,
    /// The first moment at which it no longer holds.
    pub valid_to: Moment,
    /// Who enters it; needs the right "manage".
    pub employee: i64,
    /// When it is entered.
    pub at: Moment,
}

/// A discount as it was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDiscount {
    /// Its row id.
    pub id: i64,
    /// On which product.
    pub product: i64,
    /// The product's name; its number where the catalogue no longer has it.
    pub name: String,
    /// Hundredths of a percent taken off.
    pub discount_points: i64,
    /// Its first moment.
    pub valid_from: Moment,
    /// The first moment at which it no longer holds.
    pub valid_to: Moment,
    /// Who entered it, by name or number.
    pub entered_by: String,
}

/// Why a discount was not entered or ended.
#[derive(Debug, thiserror::Error)]
pub enum StoreDiscountError {
    /// Nobody with that number, or without the right.
    #[error("employee {0} may not change store discounts: ask somebody with the right \"manage\"")]
    NoRight(i64),
    /// No such product.
    #[error("there is no product {0} in the catalogue")]
    UnknownProduct(i64),
    /// Nothing or more than all is taken off.
    #[error("a discount takes off between 0.01 and 100 percent")]
    Percent,
    /// It ends before it begins.
    #[error("the discount ends before it begins: choose a later end")]
    Backwards,
    /// It would never hold.
    #[error("the end of the discount has passed already: choose a later end")]
    Over,
    /// It runs for more than a year.
    #[error(
        "the discount would run for more than a year: check the end, or enter it anew next year"
    )]
    TooLong,
    /// No such discount in this store.
    #[error("that discount is not one of this store")]
    Unknown,
    /// It has ended by itself or was ended.
    #[error("that discount has already ended")]
    Ended,
    /// The database refused; nothing was written.
    #[error("the discount was not written")]
    Database(#[from] rusqlite::Error),
}

/// Enters a discount and says its row id.
pub fn enter(tx: &Transaction, new: &NewStoreDiscount) -> Result<i64, StoreDiscountError> {
    check_right(tx, new.store, new.employee)?;
    if !(1..=POINTS_MAX).contains(&new.discount_points) {
        return Err(StoreDiscountError::Percent);
    }
    if new.valid_to <= new.at {
        return Err(StoreDiscountError::Over);
    }
    if new.valid_to <= new.valid_from {
        return Err(StoreDiscountError::Backwards);
    }
    if new.valid_to.0.saturating_sub(new.valid_from.0) > WINDOW_MS_MAX {
        return Err(StoreDiscountError::TooLong);
    }
    if !tx.prepare_cached("SELECT 1 FROM product WHERE id = ?1")?.exists([new.product])? {
        return Err(StoreDiscountError::UnknownProduct(new.product));
    }
    tx.prepare_cached(
        "INSERT INTO store_discount
             (id, store, product, discount_points, valid_from, valid_to, employee)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        new.store,
        new.product,
        new.discount_points,
        new.valid_from,
        new.valid_to,
        new.employee,
    ))?;
    Ok(tx.last_insert_rowid())
}

/// Ends a discount now; one that has not begun never will.
pub fn end(
    tx: &Transaction,
    store: i64,
    id: i64,
    employee: i64,
    at: Moment,
) -> Result<(), StoreDiscountError> {
    check_right(tx, store, employee)?;
    let window: Option<(Moment, Moment)> = tx
        .prepare_cached(
            "SELECT valid_from, valid_to FROM store_discount WHERE id = ?1 AND store = ?2",
        )?
        .query_row((id, store), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (from, to) = window.ok_or(StoreDiscountError::Unknown)?;
    if to <= at || to == from {
        return Err(StoreDiscountError::Ended);
    }
    tx.prepare_cached("UPDATE store_discount SET valid_to = ?2 WHERE id = ?1")?
        .execute((id, at.max(from)))?;
    Ok(())
}

fn check_right(tx: &Transaction, store: i64, employee: i64) -> Result<(), StoreDiscountError> {
    let rights = staff::rights(tx, store, employee)?;
    match rights.filter(|rights| rights.has(Rights::MANAGE)) {
        Some(_) => Ok(()),
        None => Err(StoreDiscountError::NoRight(employee)),
    }
}

/// What a store takes off a product at a moment, in hundredths of a percent; 0 for nothing.
/// Where several hold at once, the customer gets the best one, not their sum.
pub fn points_at(db: &Connection, store: i64, product: i64, at: Moment) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT coalesce(max(discount_points), 0) FROM store_discount
         WHERE store = ?1 AND product = ?2 AND valid_from <= ?3 AND valid_to > ?3",
    )?
    .query_row((store, product, at), |row| row.get(0))
}

/// What a list shows of a discount.
macro_rules! discount_sql {
    ($rest:literal) => {
        concat!(
            "SELECT d.id, d.product, coalesce(p.name, 'product ' || d.product), d.discount_points,
                    d.valid_from, d.valid_to, coalesce(e.name, 'employee ' || d.employee)
             FROM store_discount d
             LEFT JOIN product p ON p.id = d.product
             LEFT JOIN employee e ON e.store = d.store AND e.id = d.employee ",
            $rest
        )
    };
}

/// The discounts of a store that hold at a moment or later, the next to end first.
pub fn current(db: &Connection, store: i64, at: Moment) -> rusqlite::Result<Vec<StoreDiscount>> {
    db.prepare_cached(discount_sql!(
        "WHERE d.store = ?1 AND d.valid_to > ?2 AND d.valid_to > d.valid_from
         ORDER BY d.valid_to, d.id"
    ))?
    .query_map((store, at), read)?
    .collect()
}

/// The discounts of a store that hold no more, the newest end first.
pub fn ended(
    db: &Connection,
    store: i64,
    at: Moment,
    limit: u32,
) -> rusqlite::Result<Vec<StoreDiscount>> {
    db.prepare_cached(discount_sql!(
        "WHERE d.store = ?1 AND (d.valid_to <= ?2 OR d.valid_to = d.valid_from)
         ORDER BY d.valid_to DESC, d.id DESC LIMIT ?3"
    ))?
    .query_map((store, at, limit), read)?
    .collect()
}

fn read(row: &Row) -> rusqlite::Result<StoreDiscount> {
    Ok(StoreDiscount {
        id: row.get(0)?,
        product: row.get(1)?,
        name: row.get(2)?,
        discount_points: row.get(3)?,
        valid_from: row.get(4)?,
        valid_to: row.get(5)?,
        entered_by: row.get(6)?,
    })
}
