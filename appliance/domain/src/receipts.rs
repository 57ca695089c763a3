//! Finished sales and returns: the facts and their numbers
//!
//! A receipt's number runs 1, 2, 3 ... per device without a gap. No counter is
//! kept: the highest number of the device's own receipts is read and the next
//! one written in one transaction, so a number is taken exactly when its
//! receipt is.

use crate::moment::Moment;
use crate::money::{Currency, Money};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

/// What a receipt is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goods went out.
    Sale,
    /// Goods came back.
    Return,
    /// A sale that never was: it reverses another receipt whole.
    Void,
}

impl Kind {
    /// As the table keeps it.
    pub fn number(self) -> i64 {
        match self {
            Kind::Sale => 1,
            Kind::Return => 2,
            Kind::Void => 3,
        }
    }

    /// The kind of a number from the table.
    pub fn from_number(number: i64) -> Kind {
        match number {
            1 => Kind::Sale,
            2 => Kind::Return,
            _ => Kind::Void,
        }
    }

    /// As reports and screens name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Sale => "sale",
            Kind::Return => "return",
            Kind::Void => "void",
        }
    }
}

/// A receipt as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its row id.
    pub id: i64,
    /// Its number on the device that wrote it.
    pub no: i64,
    /// Sale, return or void.
    pub kind: Kind,
    /// Who rang it up.
    pub cashier: i64,
    /// When.
    pub at: Moment,
    /// Where.
    pub store: i64,
    /// What was paid; negative for what was given back.
    pub total: Money,
    /// The tax in it.
    pub tax: Money,
    /// The customer, where known.
    pub customer: Option<i64>,
    /// The receipt that this one takes back or reverses.
    pub of: Option<i64>,
    /// What it was paid in.
    pub currency: Currency,
}

/// One position of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptLine {
    /// Its place.
    pub no: i64,
    /// What.
    pub sku: i64,
    /// How many; negative for goods that came back.
    pub quantity: i64,
    /// What one cost.
    pub unit: Money,
    /// How it is taxed.
    pub tax_class: i64,
    /// What was taken off; negative where a return takes it back.
    pub discount: Money,
    /// Who gave it: "store", "line", "customer", "basket", with "+" between.
    pub reason: Option<String>,
}

impl ReceiptLine {
    /// What the line came to. Our own lines were counted without overflow when
    /// they were written; an absurd one of somebody else shows the largest amount.
    pub fn amount(&self) -> Money {
        Money(self.unit.0.saturating_mul(self.quantity).saturating_sub(self.discount.0))
    }
}

/// One tender of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptTender {
    /// Its place.
    pub no: i64,
    /// 1 cash, 2 card, 3 voucher.
    pub kind: i64,
    /// What it pays of the total; negative for money given back.
    pub amount: Money,
    /// What was handed over; more than the amount where change was given.
    pub given: Money,
    /// What a card terminal approved it by, if one did.
    pub charge: Option<Charge>,
}

/// What a card terminal approved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The payment intent that the terminal was asked with. One intent, at most one receipt.
    pub intent: i64,
    /// The terminal's own reference; `None` where a person said that it was paid.
    pub reference: Option<String>,
}

/// A receipt with all that stands on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// Its lines by place.
    pub lines: Vec<ReceiptLine>,
    /// Its tenders by place.
    pub tenders: Vec<ReceiptTender>,
}

impl WholeReceipt {
    /// What was given back in coins and notes.
    pub fn change(&self) -> Money {
        let back = self.tenders.iter().map(|tender| tender.given.0.saturating_sub(tender.amount.0));
        Money(back.fold(0, i64::saturating_add))
    }
}

/// A printed receipt number: the device's label and six digits, "T2b-000001".
pub fn number(label: &str, no: i64) -> String {
    format!("{label}-{no:06}")
}

/// The number that the device's next receipt will have.
pub fn next_no(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT no FROM receipt WHERE id BETWEEN own_ids() AND own_ids() + 1099511627775
         ORDER BY id DESC LIMIT 1",
    )?
    .query_row([], |row| row.get::<_, i64>(0))
    .optional()
    .map(|last| last.unwrap_or(0) + 1)
}

/// What is written of a receipt; id and number come with the writing.
#[derive(Debug, Clone)]
pub struct NewReceipt {
    /// Sale, return or void.
    pub kind: Kind,
    /// Who rings it up.
    pub cashier: i64,
    /// When.
    pub at: Moment,
    /// Where.
    pub store: i64,
    /// What is paid.
    pub total: Money,
    /// The tax in it.
    pub tax: Money,
    /// The customer, where known.
    pub customer: Option<i64>,
    /// The receipt taken back or reversed.
    pub of: Option<i64>,
}

/// Writes receipt, lines and tenders; returns the row id and the number.
pub fn write(
    tx: &Transaction,
    new: &NewReceipt,
    lines: &[ReceiptLine],
    tenders: &[ReceiptTender],
) -> rusqlite::Result<(i64, i64)> {
    assert!(!lines.is_empty(), "a receipt has a line");
    assert!(adds_up(new, lines), "lines less discounts, with the tax, are the total");
    let paid = Money::total(tenders.iter().map(|tender| tender.amount));
    assert_eq!(paid, Ok(new.total), "tenders less change are the total");
    let no = next_no(tx)?;
    assert!(no > 0, "numbers begin at 1");
    tx.prepare_cached(
        "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor, customer, of)
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        no,
        new.kind.number(),
        new.cashier,
        new.at,
        new.store,
        new.total,
        new.tax,
        new.customer,
        new.of,
    ))?;
    let id = tx.last_insert_rowid();
    let mut insert = tx.prepare_cached(
        "INSERT INTO receipt_line
             (receipt, no, sku, quantity, unit_minor, tax_class, discount_minor, reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for line in lines {
        let discount = (line.discount != Money::ZERO).then_some(line.discount);
        insert.execute((
            id,
            line.no,
            line.sku,
            line.quantity,
            line.unit,
            line.tax_class,
            discount,
            &line.reason,
        ))?;
    }
    let mut insert = tx.prepare_cached(
        "INSERT INTO tender (receipt, no, kind, amount_minor, given_minor, intent, reference)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for tender in tenders {
        let given = (tender.given != tender.amount).then_some(tender.given);
        let charge = tender.charge.as_ref();
        let intent = charge.map(|charge| charge.intent);
        let reference = charge.and_then(|charge| charge.reference.as_deref());
        insert.execute((id, tender.no, tender.kind, tender.amount, given, intent, reference))?;
    }
    Ok((id, no))
}

/// Tax is a part of the lines or comes on top of them.
fn adds_up(new: &NewReceipt, lines: &[ReceiptLine]) -> bool {
    let lines = Money::total(lines.iter().map(ReceiptLine::amount));
    lines == Ok(new.total) || lines == new.total.minus(new.tax)
}

/// One receipt.
pub fn by_id(db: &Connection, id: i64) -> rusqlite::Result<Option<Receipt>> {
    db.prepare_cached(
        "SELECT r.id, no, kind, cashier, at, r.store, total_minor, tax_minor, customer, of,
                coalesce(r.currency, s.currency, 'EUR')
         FROM receipt r LEFT JOIN store s ON s.id = r.store WHERE r.id = ?1",
    )?
    .query_row([id], read)
    .optional()
}

/// One receipt with its lines and tenders.
pub fn whole(db: &Connection, id: i64) -> rusqlite::Result<Option<WholeReceipt>> {
    let Some(receipt) = by_id(db, id)? else { return Ok(None) };
    Ok(Some(WholeReceipt { receipt, lines: lines(db, id)?, tenders: tenders(db, id)? }))
}

/// The newest receipts of this device.
pub fn latest_own(db: &Connection, limit: u32) -> rusqlite::Result<Vec<Receipt>> {
    db.prepare_cached(
        "SELECT r.id, no, kind, cashier, at, r.store, total_minor, tax_minor, customer, of,
                coalesce(r.currency, s.currency, 'EUR')
         FROM receipt r LEFT JOIN store s ON s.id = r.store
         WHERE r.id BETWEEN own_ids() AND own_ids() + 1099511627775
         ORDER BY r.id DESC LIMIT ?1",
    )?
    .query_map([limit], read)?
    .collect()
}

/// The receipt that a payment intent led to, of whichever device.
pub fn of_intent(db: &Connection, intent: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT receipt FROM receipt_of_intent WHERE intent = ?1 LIMIT 1")?
        .query_row([intent], |row| row.get(0))
        .optional()
}

/// The receipts that name a customer, as far as they are here, newest first.
pub fn of_customer(db: &Connection, customer: i64, limit: u32) -> rusqlite::Result<Vec<Receipt>> {
    db.prepare_cached(
        "SELECT r.id, no, kind, cashier, at, r.store, total_minor, tax_minor, customer, of,
                coalesce(r.currency, s.currency, 'EUR')
         FROM receipt r LEFT JOIN store s ON s.id = r.store
         WHERE r.customer = ?1 ORDER BY r.at DESC, r.id DESC LIMIT ?2",
    )?
    .query_map((customer, limit), read)?
    .collect()
}

/// The lines of a receipt by place.
pub fn lines(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<ReceiptLine>> {
    db.prepare_cached(
        "SELECT no, sku, quantity, unit_minor, tax_class, coalesce(discount_minor, 0), reason
         FROM receipt_line WHERE receipt = ?1 ORDER BY no",
    )?
    .query_map([receipt], |row| {
        Ok(ReceiptLine {
            no: row.get(0)?,
            sku: row.get(1)?,
            quantity: row.get(2)?,
            unit: row.get(3)?,
            tax_class: row.get(4)?,
            discount: row.get(5)?,
            reason: row.get(6)?,
        })
    })?
    .collect()
}

/// The tenders of a receipt by place.
pub fn tenders(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<ReceiptTender>> {
    db.prepare_cached(
        "SELECT no, kind, amount_minor, coalesce(given_minor, amount_minor), intent, reference
         FROM tender WHERE receipt = ?1 ORDER BY no",
    )?
    .query_map([receipt], |row| {
        Ok(ReceiptTender {
            no: row.get(0)?,
            kind: row.get(1)?,
            amount: row.get(2)?,
            given: row.get(3)?,
            charge: match row.get(4)? {
                Some(intent) => Some(Charge { intent, reference: row.get(5)? }),
                None => None,
            },
        })
    })?
    .collect()
}

fn read(row: &Row) -> rusqlite::Result<Receipt> {
    Ok(Receipt {
        id: row.get(0)?,
        no: row.get(1)?,
        kind: Kind::from_number(row.get(2)?),
        cashier: row.get(3)?,
        at: row.get(4)?,
        store: row.get(5)?,
        total: row.get(6)?,
        tax: row.get(7)?,
        customer: row.get(8)?,
        of: row.get(9)?,
        currency: row.get(10)?,
    })
}
