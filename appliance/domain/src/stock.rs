//! Stock movements, and the balance they add up to
//!
//! The balance is never sent. Two devices that each sell the last shirt while
//! apart both write a fact; merged, the balance is -1 and true. Sending the
//! balance would have kept one of the two sales.

use crate::moment::Moment;
use crate::staff::{self, Rights};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// The most that one movement or one line may carry. Far above any pallet, far
/// below what could make a balance overflow.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// Why stock moved without a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Goods in.
    Delivery,
    /// What was counted differs from the balance, or goods were lost or broken.
    Correction,
    /// What the store had when Selvedge began.
    Opening,
}

impl Reason {
    /// As the table keeps it.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Delivery => "delivery",
            Reason::Correction => "correction",
            Reason::Opening => "opening",
        }
    }
}

/// A movement to be written.
#[derive(Debug, Clone)]
pub struct Movement<'a> {
    /// Whose stock moves.
    pub store: i64,
    /// What moves.
    pub sku: i64,
    /// How many come in; negative for those that go out.
    pub quantity: i64,
    /// Why.
    pub reason: Reason,
    /// When.
    pub at: Moment,
    /// Who books it; needs the right "stock". `None` is HQ's import.
    pub employee: Option<i64>,
    /// A remark.
    pub note: Option<&'a str>,
}

/// Why a movement was refused.
#[derive(Debug, thiserror::Error)]
pub enum StockError {
    /// Nothing moves, or absurdly much.
    #[error("{0} cannot be booked: a movement is at least 1 and at most 1,000,000,000 in or out")]
    Quantity(i64),
    /// No such SKU.
    #[error("there is no SKU {0} in the catalogue")]
    UnknownSku(i64),
    /// No such store.
    #[error("there is no store {0}")]
    UnknownStore(i64),
    /// Nobody with that number, or without the right.
    #[error("employee {0} may not book stock: ask somebody with the right \"stock\"")]
    NoRight(i64),
    /// The stock that a store begins with is counted once.
    #[error("SKU {sku} already has an opening stock in store {store}: book a correction instead")]
    OpeningTwice {
        /// The store.
        store: i64,
        /// What.
        sku: i64,
    },
    /// The remark is too long.
    #[error("the remark is longer than 200 characters")]
    Note,
    /// The database refused; nothing was written.
    #[error("the movement was not written")]
    Database(#[from] rusqlite::Error),
}

/// What one store has of one SKU: deliveries plus, sales minus.
pub fn on_hand(db: &Connection, store: i64, sku: i64) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT on_hand FROM stock_balance WHERE store = ?1 AND sku = ?2")?
        .query_row((store, sku), |row| row.get(0))
        .optional()
        .map(|found| found.unwrap_or(0))
}

/// What one store has of one SKU, and how old that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Deliveries plus, sales minus.
    pub on_hand: i64,
    /// The newest moment among what it adds up; `None` while nothing has moved.
    pub changed_at: Option<Moment>,
}

/// What one store has of one SKU, and since when.
pub fn balance(db: &Connection, store: i64, sku: i64) -> rusqlite::Result<Balance> {
    let found = db
        .prepare_cached(
            "SELECT on_hand, changed_at FROM stock_balance WHERE store = ?1 AND sku = ?2",
        )?
        .query_row((store, sku), |row| {
            Ok(Balance { on_hand: row.get(0)?, changed_at: Some(row.get(1)?) })
        })
        .optional()?;
    Ok(found.unwrap_or(Balance { on_hand: 0, changed_at: None }))
}

/// Whether a store's opening stock of a SKU was booked already.
pub fn has_opening(db: &Connection, store: i64, sku: i64) -> rusqlite::Result<bool> {
    db.prepare_cached(
        "SELECT 1 FROM stock_movement WHERE store = ?1 AND sku = ?2 AND reason = 'opening'",
    )?
    .exists((store, sku))
}

/// Writes one movement and says what is on hand after it.
pub fn move_stock(tx: &Transaction, movement: &Movement) -> Result<i64, StockError> {
    if movement.quantity == 0 || movement.quantity.unsigned_abs() > QUANTITY_MAX as u64 {
        return Err(StockError::Quantity(movement.quantity));
    }
    if movement.note.is_some_and(|note| note.chars().count() > 200) {
        return Err(StockError::Note);
    }
    if !tx.prepare_cached("SELECT 1 FROM store WHERE id = ?1")?.exists([movement.store])? {
        return Err(StockError::UnknownStore(movement.store));
    }
    if !tx.prepare_cached("SELECT 1 FROM variant WHERE sku = ?1")?.exists([movement.sku])? {
        return Err(StockError::UnknownSku(movement.sku));
    }
    if movement.reason == Reason::Opening && has_opening(tx, movement.store, movement.sku)? {
        return Err(StockError::OpeningTwice { store: movement.store, sku: movement.sku });
    }
    if let Some(employee) = movement.employee {
        let rights = staff::rights(tx, movement.store, employee)?;
        if !rights.is_some_and(|rights| rights.has(Rights::STOCK)) {
            return Err(StockError::NoRight(employee));
        }
    }
    tx.prepare_cached(
        "INSERT INTO stock_movement (id, store, sku, quantity, reason, at, employee, note)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        movement.store,
        movement.sku,
        movement.quantity,
        movement.reason.as_str(),
        movement.at,
        movement.employee,
        movement.note,
    ))?;
    Ok(on_hand(tx, movement.store, movement.sku)?)
}
