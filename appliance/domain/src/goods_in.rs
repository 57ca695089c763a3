//! Goods in, line by line, and corrections of what was counted
//!
//! A delivery is kept while it is scanned, so a page that goes away loses
//! nothing. Booked, it is one transaction of movements: all of them or none.

use crate::moment::Moment;
use crate::stock::{self, Balance, Movement, QUANTITY_MAX, Reason, StockError};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// The most lines that one delivery holds.
pub const LINES_MAX: i64 = 500;

/// One line of the delivery that is being scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliveryLine {
    /// What came.
    pub sku: i64,
    /// How many.
    pub quantity: i64,
}

/// Who books what where, and the paper it came with.
#[derive(Debug, Clone, Copy)]
pub struct Booking<'a> {
    /// The store.
    pub store: i64,
    /// Who books it; needs the right "stock".
    pub employee: i64,
    /// When.
    pub at: Moment,
    /// Number of the delivery note or a remark; may be empty.
    pub note: &'a str,
}

/// One line that cannot be booked, and why.
#[derive(Debug)]
pub struct RefusedLine {
    /// Which.
    pub sku: i64,
    /// Why.
    pub reason: StockError,
}

/// Why a delivery was not taken or not booked.
#[derive(Debug, thiserror::Error)]
pub enum GoodsInError {
    /// A line could not be taken.
    #[error(transparent)]
    Line(#[from] StockError),
    /// Nothing was scanned.
    #[error("this delivery has no line yet: scan what came first")]
    Empty,
    /// More lines than one delivery holds.
    #[error("one delivery holds 500 lines: book these first, then go on")]
    TooMany,
    /// Nothing was booked because of these lines.
    #[error("nothing was booked: {} of this delivery cannot be", lines(.0.len()))]
    Lines(Vec<RefusedLine>),
    /// The count is what the balance says.
    #[error("nothing to correct: the balance is {0} already")]
    NothingToCorrect(i64),
    /// The database refused; nothing was written.
    #[error("nothing was written")]
    Database(#[from] rusqlite::Error),
}

fn lines(count: usize) -> String {
    if count == 1 { "one line".to_owned() } else { format!("{count} lines") }
}

/// The lines scanned so far, the newest touched first.
pub fn lines_so_far(db: &Connection) -> rusqlite::Result<Vec<DeliveryLine>> {
    db.prepare_cached("SELECT sku, quantity FROM delivery_line ORDER BY touched DESC, sku")?
        .query_map([], |row| Ok(DeliveryLine { sku: row.get(0)?, quantity: row.get(1)? }))?
        .collect()
}

/// Adds pieces of a SKU to the delivery.
pub fn add(tx: &Transaction, sku: i64, quantity: i64) -> Result<(), GoodsInError> {
    let so_far = scanned(tx, sku)?;
    let count: i64 =
        tx.prepare_cached("SELECT count(*) FROM delivery_line")?.query_row([], |row| row.get(0))?;
    if so_far.is_none() && count >= LINES_MAX {
        return Err(GoodsInError::TooMany);
    }
    if quantity < 1 {
        return Err(StockError::Quantity(quantity).into());
    }
    set_quantity(tx, sku, so_far.unwrap_or(0).saturating_add(quantity))
}

/// Says how many of a SKU came; 0 takes the line off.
pub fn set_quantity(tx: &Transaction, sku: i64, quantity: i64) -> Result<(), GoodsInError> {
    if !(0..=QUANTITY_MAX).contains(&quantity) {
        return Err(StockError::Quantity(quantity).into());
    }
    if quantity == 0 {
        tx.prepare_cached("DELETE FROM delivery_line WHERE sku = ?1")?.execute([sku])?;
        return Ok(());
    }
    if !tx.prepare_cached("SELECT 1 FROM variant WHERE sku = ?1")?.exists([sku])? {
        return Err(StockError::UnknownSku(sku).into());
    }
    tx.prepare_cached(
        "INSERT INTO delivery_line (sku, quantity, touched)
         VALUES (?1, ?2, (SELECT coalesce(max(touched), 0) + 1 FROM delivery_line))
         ON CONFLICT (sku) DO UPDATE SET quantity = excluded.quantity, touched = excluded.touched",
    )?
    .execute((sku, quantity))?;
    Ok(())
}

fn scanned(tx: &Transaction, sku: i64) -> rusqlite::Result<Option<i64>> {
    tx.prepare_cached("SELECT quantity FROM delivery_line WHERE sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()
}

/// Books the delivery: a movement for each line, or none and each refused line with its reason.
/// Returns how many lines and how many pieces came.
pub fn book(tx: &Transaction, booking: &Booking) -> Result<(usize, i64), GoodsInError> {
    let lines = lines_so_far(tx)?;
    if lines.is_empty() {
        return Err(GoodsInError::Empty);
    }
    let mut refused = Vec::new();
    for line in lines.iter().rev() {
        match stock::move_stock(tx, &movement(booking, line.sku, line.quantity, Reason::Delivery)) {
            Ok(_) => {}
            Err(StockError::Database(error)) => return Err(error.into()),
            Err(reason) => refused.push(RefusedLine { sku: line.sku, reason }),
        }
    }
    if !refused.is_empty() {
        return Err(GoodsInError::Lines(refused));
    }
    tx.prepare_cached("DELETE FROM delivery_line")?.execute([])?;
    let pieces = lines.iter().fold(0, |sum: i64, line| sum.saturating_add(line.quantity));
    Ok((lines.len(), pieces))
}

fn movement<'a>(booking: &Booking<'a>, sku: i64, quantity: i64, reason: Reason) -> Movement<'a> {
    let note = Some(booking.note.trim()).filter(|note| !note.is_empty());
    let (store, at, employee) = (booking.store, booking.at, Some(booking.employee));
    Movement { store, sku, quantity, reason, at, employee, note }
}

/// What a correction says about a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// So many are there.
    Counted(i64),
    /// So many more, or fewer, than the balance says.
    Difference(i64),
}

/// Corrects the balance of a SKU; returns it before and after.
pub fn correct(
    tx: &Transaction,
    booking: &Booking,
    sku: i64,
    found: Found,
) -> Result<(Balance, i64), GoodsInError> {
    let before = stock::balance(tx, booking.store, sku)?;
    let difference = match found {
        Found::Counted(counted) if !(0..=QUANTITY_MAX).contains(&counted) => {
            return Err(StockError::Quantity(counted).into());
        }
        Found::Counted(counted) if counted == before.on_hand => {
            return Err(GoodsInError::NothingToCorrect(counted));
        }
        Found::Counted(counted) => counted.saturating_sub(before.on_hand),
        Found::Difference(difference) => difference,
    };
    let after = stock::move_stock(tx, &movement(booking, sku, difference, Reason::Correction))?;
    Ok((before, after))
}
