//! Takes goods back, with their receipt or without
//!
//! A return is a receipt of its own with the signs turned; the first receipt is
//! never changed. Part by part, a return gives back exactly what was paid: each
//! part is the difference of two running sums, so the rounding of many parts
//! adds up to the rounding of the whole.

use crate::basket::{self, BasketError, BasketLine, ClassTax, Quote, QuotedLine, RungUp, TakenOff};
use crate::catalogue::ShelfPrices;
use crate::grand_totals::{self, EVERY_RECEIPTS, GrandTotalError};
use crate::moment::Moment;
use crate::money::{Money, MoneyError};
use crate::receipts::{self, Kind, NewReceipt, Receipt, ReceiptLine};
use crate::sales::{self, Recorded, SaleError};
use crate::staff::Rights;
use crate::tenders::{self, Tender, TenderError};
use rusqlite::{Connection, Transaction};

/// A part of one receipt line that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineBack {
    /// The place of the line on its receipt.
    pub no: i64,
    /// How many come back, 1 or more.
    pub quantity: i64,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goods {
    /// With the receipt, for what was paid.
    OfReceipt {
        /// The row id of the receipt.
        receipt: i64,
        /// Which lines, and how many of each.
        lines: Vec<LineBack>,
    },
    /// Without, for today's price or a typed one. What the store takes off today
    /// counts; what a customer once had does not.
    WithoutReceipt(Vec<BasketLine>),
}

/// Goods that come back, with the money for them.
#[derive(Debug, Clone)]
pub struct Return {
    /// Where.
    pub store: i64,
    /// Who takes them back.
    pub cashier: i64,
    /// When.
    pub at: Moment,
    /// What.
    pub goods: Goods,
    /// How the money is given back: exactly what is due, in amounts above zero.
    pub refunds: Vec<Tender>,
    /// The customer, where known.
    pub customer: Option<i64>,
}

/// Why goods were not taken back. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum ReturnError {
    /// The receipt is not here.
    #[error("this receipt is not known here: look at its number, or take back without a receipt")]
    UnknownReceipt(i64),
    /// The receipt is itself a return.
    #[error("this receipt is a return: only a sale can be taken back")]
    NotASale(i64),
    /// The goods were sold in another store.
    #[error("this was sold in store {0}: it is taken back there, or here without a receipt")]
    OtherStore(i64),
    /// The receipt has no such line.
    #[error("the receipt has no line {0}")]
    UnknownLine(i64),
    /// A line is named twice.
    #[error("line {0} is named twice: add the quantities up")]
    LineTwice(i64),
    /// More comes back than is still out.
    #[error("line {no}: {quantity} cannot come back, only {left} of it are still out")]
    Quantity {
        /// The line.
        no: i64,
        /// How many were to come back.
        quantity: i64,
        /// How many can.
        left: i64,
    },
    /// As for a sale.
    #[error(transparent)]
    Sale(#[from] SaleError),
    /// The goods have no price.
    #[error(transparent)]
    Basket(#[from] BasketError),
    /// The refund is not what is due.
    #[error(transparent)]
    Tender(#[from] TenderError),
    /// The running total cannot be counted.
    #[error(transparent)]
    GrandTotal(#[from] GrandTotalError),
    /// A sum left what can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database refused; nothing was written.
    #[error("the return was not written")]
    Database(#[from] rusqlite::Error),
}

/// Takes goods back and gives the money for them.
pub fn take_back(tx: &Transaction, back: &Return) -> Result<Recorded, ReturnError> {
    let mut needed = vec![Rights::RETURN];
    if let Goods::WithoutReceipt(lines) = &back.goods {
        if lines.iter().any(|line| !line.discount.is_none()) {
            needed.push(Rights::DISCOUNT);
        }
        if lines.iter().any(|line| line.open_price.is_some()) {
            needed.push(Rights::OPEN_PRICE);
        }
    }
    sales::require(tx, back.store, back.cashier, &needed)?;
    let (places, quote) = price(tx, back.store, &back.goods, back.at)?;
    assert_eq!(places.len(), quote.lines.len(), "each line that comes back has its place");
    assert!(quote.total <= Money::ZERO, "a return takes no money");
    let paid = tenders::refund(Money::ZERO.minus(quote.total)?, &back.refunds, quote.currency)?;
    let of = match back.goods {
        Goods::OfReceipt { receipt, .. } => Some(receipt),
        Goods::WithoutReceipt(_) => None,
    };
    let receipt = NewReceipt {
        kind: Kind::Return,
        cashier: back.cashier,
        at: back.at,
        store: back.store,
        total: quote.total,
        tax: quote.tax,
        customer: back.customer,
        of,
    };
    let lines: Vec<ReceiptLine> =
        quote.lines.iter().zip(places).map(|(line, no)| line.on_receipt(no)).collect();
    let (id, no) = receipts::write(tx, &receipt, &lines, &paid.tenders)?;
    if no % EVERY_RECEIPTS == 0 {
        grand_totals::state(tx, back.store, back.at)?;
    }
    Ok(Recorded { id, no, quote, change: Money::ZERO, oversold: Vec::new() })
}

/// What goods come to when they come back: a quote whose quantities and amounts
/// are all below zero. What is due to the customer is its total, turned round.
pub fn quote(db: &Connection, store: i64, goods: &Goods, at: Moment) -> Result<Quote, ReturnError> {
    price(db, store, goods, at).map(|(_, quote)| quote)
}

/// What of a receipt is still out, line by line.
pub fn still_out(db: &Connection, receipt: i64) -> Result<Vec<LineBack>, ReturnError> {
    let out = lines_out(db, receipt)?;
    let left = out.iter().map(|line| LineBack { no: line.sold.no, quantity: line.left() });
    Ok(left.filter(|line| line.quantity > 0).collect())
}

fn price(
    db: &Connection,
    store: i64,
    goods: &Goods,
    at: Moment,
) -> Result<(Vec<i64>, Quote), ReturnError> {
    match goods {
        Goods::OfReceipt { lines, .. } if lines.is_empty() => Err(SaleError::EmptyBasket.into()),
        Goods::WithoutReceipt(lines) if lines.is_empty() => Err(SaleError::EmptyBasket.into()),
        Goods::OfReceipt { receipt, lines } => price_of_receipt(db, store, *receipt, lines),
        Goods::WithoutReceipt(lines) => {
            let sold = basket::quote(db, store, RungUp { lines, ..RungUp::default() }, at)?;
            Ok(((1..).take(lines.len()).collect(), turned(sold)))
        }
    }
}

/// The same quote with all signs turned. Rounding is the same on both sides of
/// zero, so nothing needs to be computed again.
fn turned(mut quote: Quote) -> Quote {
    let turn = |money: &mut Money| money.0 = -money.0;
    for line in &mut quote.lines {
        line.quantity = -line.quantity;
        turn(&mut line.discount);
        turn(&mut line.off.store);
        turn(&mut line.off.line);
        turn(&mut line.amount);
    }
    for class in &mut quote.tax_by_class {
        turn(&mut class.amount);
        turn(&mut class.tax);
    }
    turn(&mut quote.subtotal);
    turn(&mut quote.discount);
    turn(&mut quote.tax);
    turn(&mut quote.total);
    quote
}

/// A line of the first receipt, and how many of it came back so far.
struct LineOut {
    sold: ReceiptLine,
    back: i64,
}

impl LineOut {
    fn left(&self) -> i64 {
        self.sold.quantity - self.back
    }

    /// What the first `count` of the line were given off.
    fn discount_of(&self, count: i64) -> Result<Money, MoneyError> {
        self.sold.discount.share(count, self.sold.quantity)
    }

    /// What the first `count` of the line came to.
    fn amount_of(&self, count: i64) -> Result<Money, MoneyError> {
        self.sold.unit.times(count)?.minus(self.discount_of(count)?)
    }
}

fn lines_out(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<LineOut>> {
    let mut back = db.prepare_cached(
        "SELECT coalesce(sum(-l.quantity), 0) FROM receipt r JOIN receipt_line l ON l.receipt = r.id
         WHERE r.of = ?1 AND l.no = ?2",
    )?;
    let sold = receipts::lines(db, receipt)?.into_iter().filter(|line| line.quantity > 0);
    sold.map(|sold| {
        let back: i64 = back.query_row((receipt, sold.no), |row| row.get(0))?;
        // Two devices that were apart may both have taken it back.
        Ok(LineOut { back: back.clamp(0, sold.quantity), sold })
    })
    .collect()
}

fn price_of_receipt(
    db: &Connection,
    store: i64,
    receipt: i64,
    wanted: &[LineBack],
) -> Result<(Vec<i64>, Quote), ReturnError> {
    let first = receipts::by_id(db, receipt)?.ok_or(ReturnError::UnknownReceipt(receipt))?;
    if first.kind != Kind::Sale {
        return Err(ReturnError::NotASale(receipt));
    }
    if first.store != store {
        return Err(ReturnError::OtherStore(first.store));
    }
    let out = lines_out(db, receipt)?;
    let mut lines = Vec::with_capacity(wanted.len());
    for (place, back) in wanted.iter().enumerate() {
        if wanted[..place].iter().any(|other| other.no == back.no) {
            return Err(ReturnError::LineTwice(back.no));
        }
        let line = out.iter().find(|line| line.sold.no == back.no);
        let line = line.ok_or(ReturnError::UnknownLine(back.no))?;
        if !(1..=line.left()).contains(&back.quantity) {
            let (no, quantity, left) = (back.no, back.quantity, line.left());
            return Err(ReturnError::Quantity { no, quantity, left });
        }
        lines.push(turned_line(line, back.quantity)?);
    }
    let quote = add_up(db, &first, &out, wanted, lines)?;
    Ok((wanted.iter().map(|line| line.no).collect(), quote))
}

fn turned_line(line: &LineOut, quantity: i64) -> Result<QuotedLine, MoneyError> {
    let (before, after) = (line.back, line.back + quantity);
    Ok(QuotedLine {
        sku: line.sold.sku,
        quantity: -quantity,
        unit: line.sold.unit,
        store_points: 0,
        off: TakenOff::default(),
        discount: line.discount_of(before)?.minus(line.discount_of(after)?)?,
        amount: line.amount_of(before)?.minus(line.amount_of(after)?)?,
        tax_class: line.sold.tax_class,
    })
}

fn add_up(
    db: &Connection,
    first: &Receipt,
    out: &[LineOut],
    wanted: &[LineBack],
    lines: Vec<QuotedLine>,
) -> Result<Quote, ReturnError> {
    // The store may have changed how it shows prices; the receipt has not.
    let shown = Money::total(out.iter().map(|line| line.sold.amount()))?;
    let shelf_prices = match shown == first.total {
        true => ShelfPrices::TaxIncluded,
        false => ShelfPrices::TaxExcluded,
    };
    let mut classes: Vec<i64> = lines.iter().map(|line| line.tax_class).collect();
    classes.sort_unstable();
    classes.dedup();
    let (mut tax_by_class, mut tax) = (Vec::new(), Money::ZERO);
    for class in classes {
        let rate_ppm = basket::rate(db, first.store, class, first.at)?;
        let (mut before, mut after) = (Money::ZERO, Money::ZERO);
        for line in out.iter().filter(|line| line.sold.tax_class == class) {
            let now = wanted.iter().find(|back| back.no == line.sold.no);
            let now = now.map_or(0, |back| back.quantity);
            before = before.plus(line.amount_of(line.back)?)?;
            after = after.plus(line.amount_of(line.back + now)?)?;
        }
        let tax_before = basket::tax_of(before, rate_ppm, shelf_prices)?;
        let tax_after = basket::tax_of(after, rate_ppm, shelf_prices)?;
        let part = tax_before.minus(tax_after)?;
        tax = tax.plus(part)?;
        tax_by_class.push(ClassTax { class, rate_ppm, amount: before.minus(after)?, tax: part });
    }
    let amount = Money::total(lines.iter().map(|line| line.amount))?;
    let discount = Money::total(lines.iter().map(|line| line.discount))?;
    let total = match shelf_prices {
        ShelfPrices::TaxIncluded => amount,
        ShelfPrices::TaxExcluded => amount.plus(tax)?,
    };
    Ok(Quote {
        currency: first.currency,
        shelf_prices,
        lines,
        subtotal: amount.plus(discount)?,
        discount,
        customer_off: Money::ZERO,
        basket_off: Money::ZERO,
        tax_by_class,
        tax,
        total,
    })
}
