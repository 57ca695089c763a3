//! Turns a paid basket into a receipt
//!
//! Everything that can be refused is refused before the first row is written.
//! Book stock is not among it: the goods are in the customer's hand, so a sale
//! below zero goes through and leaves an exception beside it.

use crate::basket::{self, BasketError, BasketLine, Discount, Quote, RungUp};
use crate::exceptions::{self, NewException, OVERSOLD};
use crate::grand_totals::{self, EVERY_RECEIPTS, GrandTotalError};
use crate::moment::Moment;
use crate::money::{Amount, Money};
use crate::receipts::{self, Charge, Kind, NewReceipt, ReceiptLine};
use crate::staff::{self, Rights};
use crate::tenders::{self, Tender, TenderError};
use rusqlite::{Transaction, params};

/// A basket with its payment.
#[derive(Debug, Clone, Default)]
pub struct Sale {
    /// Where.
    pub store: i64,
    /// Who rings it up.
    pub cashier: i64,
    /// When.
    pub at: Moment,
    /// What.
    pub lines: Vec<BasketLine>,
    /// How it is paid.
    pub tenders: Vec<Tender>,
    /// The customer, where known.
    pub customer: Option<i64>,
    /// What is taken off the whole basket.
    pub discount: Discount,
    /// The total that the customer was shown, if one was.
    pub shown: Option<Money>,
}

/// What the done screen says, and the paper after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The receipt's row id.
    pub id: i64,
    /// Its number on this device.
    pub no: i64,
    /// What was sold or taken back, with its prices and taxes.
    pub quote: Quote,
    /// What goes back to the customer.
    pub change: Money,
    /// SKUs of which the book now says less than none.
    pub oversold: Vec<i64>,
}

/// Why a sale or a return was refused. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum SaleError {
    /// Nothing was rung up.
    #[error("the basket is empty")]
    EmptyBasket,
    /// Nobody in the store has this number.
    #[error("store {store} has no employee {employee}: sign on again")]
    UnknownEmployee {
        /// The store.
        store: i64,
        /// The number.
        employee: i64,
    },
    /// The employee may not do it.
    #[error("employee {employee} has no right \"{right}\": ask somebody who has")]
    NoRight {
        /// Who.
        employee: i64,
        /// What it needs.
        right: Rights,
    },
    /// The customer was shown another total.
    #[error(
        "the total was {shown} and is {now}: a price or a discount began or ended. Say so, then take payment"
    )]
    TotalMoved {
        /// What was shown.
        shown: Amount,
        /// What it is at the moment of the sale.
        now: Amount,
    },
    /// The basket has no total.
    #[error(transparent)]
    Basket(#[from] BasketError),
    /// The tenders do not pay it.
    #[error(transparent)]
    Tender(#[from] TenderError),
    /// A card payment that has its receipt already.
    #[error("this card payment has its receipt already: start this device again, it will show it")]
    PaidBefore {
        /// The payment intent.
        intent: i64,
        /// Its receipt.
        receipt: i64,
    },
    /// The running total cannot be counted.
    #[error(transparent)]
    GrandTotal(#[from] GrandTotalError),
    /// The database refused; nothing was written.
    #[error("the sale was not written")]
    Database(#[from] rusqlite::Error),
}

/// Records a paid basket.
pub fn record(tx: &Transaction, sale: &Sale) -> Result<Recorded, SaleError> {
    record_charged(tx, sale, &[])
}

/// Records a paid basket of which a card terminal approved some tenders: each charge with the
/// place of its tender. A charge that stands on a receipt already is refused.
pub fn record_charged(
    tx: &Transaction,
    sale: &Sale,
    charges: &[(usize, Charge)],
) -> Result<Recorded, SaleError> {
    if sale.lines.is_empty() {
        return Err(SaleError::EmptyBasket);
    }
    let mut needed = vec![Rights::SELL];
    if !sale.discount.is_none() || sale.lines.iter().any(|line| !line.discount.is_none()) {
        needed.push(Rights::DISCOUNT);
    }
    if sale.lines.iter().any(|line| line.open_price.is_some()) {
        needed.push(Rights::OPEN_PRICE);
    }
    require(tx, sale.store, sale.cashier, &needed)?;
    let rung_up = RungUp { lines: &sale.lines, customer: sale.customer, discount: sale.discount };
    let quote = basket::quote(tx, sale.store, rung_up, sale.at)?;
    if let Some(shown) = sale.shown
        && shown != quote.total
    {
        let (shown, now) = (Amount(shown, quote.currency), Amount(quote.total, quote.currency));
        return Err(SaleError::TotalMoved { shown, now });
    }
    let mut paid = tenders::settle(quote.total, &sale.tenders, quote.currency)?;
    for (place, charge) in charges {
        let intent = charge.intent;
        if let Some(receipt) = receipts::of_intent(tx, intent)? {
            return Err(SaleError::PaidBefore { intent, receipt });
        }
        let tender = paid.tenders.get_mut(*place).filter(|tender| tender.charge.is_none());
        tender.expect("a charge belongs to one tender").charge = Some(charge.clone());
    }
    let receipt = NewReceipt {
        kind: Kind::Sale,
        cashier: sale.cashier,
        at: sale.at,
        store: sale.store,
        total: quote.total,
        tax: quote.tax,
        customer: sale.customer,
        of: None,
    };
    let lines: Vec<ReceiptLine> =
        quote.lines.iter().zip(1..).map(|(line, no)| line.on_receipt(no)).collect();
    let (id, no) = receipts::write(tx, &receipt, &lines, &paid.tenders)?;
    let oversold = note_oversold(tx, sale, id)?;
    if no % EVERY_RECEIPTS == 0 {
        grand_totals::state(tx, sale.store, sale.at)?;
    }
    Ok(Recorded { id, no, quote, change: paid.change, oversold })
}

/// Refuses unless the employee works in the store and has all of the rights.
pub fn require(
    tx: &Transaction,
    store: i64,
    employee: i64,
    needed: &[Rights],
) -> Result<(), SaleError> {
    let held = staff::rights(tx, store, employee)?;
    let held = held.ok_or(SaleError::UnknownEmployee { store, employee })?;
    match needed.iter().find(|right| !held.has(**right)) {
        Some(right) => Err(SaleError::NoRight { employee, right: *right }),
        None => Ok(()),
    }
}

/// One exception for the receipt, naming the SKU that is most below zero.
fn note_oversold(tx: &Transaction, sale: &Sale, receipt: i64) -> rusqlite::Result<Vec<i64>> {
    let below: Vec<(i64, i64)> = tx
        .prepare_cached(
            "SELECT DISTINCT b.sku, b.on_hand
             FROM receipt_line l JOIN stock_balance b ON b.store = ?2 AND b.sku = l.sku
             WHERE l.receipt = ?1 AND b.on_hand < 0 ORDER BY b.on_hand, b.sku",
        )?
        .query_map(params![receipt, sale.store], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    if let Some((sku, on_hand)) = below.first() {
        let exception = NewException {
            store: sale.store,
            at: sale.at,
            kind: OVERSOLD,
            receipt: Some(receipt),
            sku: Some(*sku),
            amount: Some(*on_hand),
            note: None,
        };
        exceptions::write(tx, &exception)?;
    }
    Ok(below.into_iter().map(|(sku, _)| sku).collect())
}
