//! What a basket comes to: prices, discounts and taxes
//!
//! Whoever rings up says what and how many. Prices and tax rates come from the
//! catalogue, and a total is always computed here: one that comes from
//! outside would be a wish. Tax is computed once per class, on the sum of its lines
//! after discounts; rounding each line would drift by a minor unit per line.
//!
//! Four discounts are taken off in this order, each from what the one before left:
//!
//! 1. *store*: the best that the store itself gives on the product at the moment.
//!    It needs no right. A line with a typed price gets none: that price is final.
//! 2. *line*: what the cashier takes off the line.
//! 3. *customer*: the customer's percentage of the sum of the lines.
//! 4. *basket*: what the cashier takes off the whole, a percentage or an amount.
//!
//! The last two are rounded once, on the sum, and spread over the lines. So the
//! lines of a receipt carry every discount, and add up to its total.

use crate::catalogue::{self, PRICE_MAX, ShelfPrices, Store, TERMS_SQL, WHOLE_BASIS_POINTS};
use crate::customers;
use crate::moment::Moment;
use crate::money::{Amount, Currency, Money, MoneyError};
use crate::receipts::ReceiptLine;
use crate::spread::{self, Share};
use crate::stock::QUANTITY_MAX;
use rusqlite::{Connection, OptionalExtension};

/// The most lines a basket may have.
pub const LINES_MAX: usize = 2_000;

/// The whole, in parts per million.
const WHOLE_PPM: i64 = 1_000_000;

/// What is taken off a line, or off the whole basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discount {
    /// Nothing.
    #[default]
    None,
    /// A part of it.
    Percent {
        /// Hundredths of a percent: 1000 is 10 %.
        basis_points: u32,
    },
    /// An amount.
    Amount(Money),
}

impl Discount {
    /// Whether nothing is taken off, however it is written.
    pub fn is_none(self) -> bool {
        matches!(
            self,
            Discount::None | Discount::Percent { basis_points: 0 } | Discount::Amount(Money::ZERO)
        )
    }
}

/// One line of a basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasketLine {
    /// What.
    pub sku: i64,
    /// How many, 1 or more.
    pub quantity: i64,
    /// What the cashier takes off the line; needs the right "discount".
    pub discount: Discount,
    /// A price other than the catalogue's; needs the right "open price".
    pub open_price: Option<Money>,
}

/// A basket as it was rung up.
#[derive(Debug, Clone, Copy, Default)]
pub struct RungUp<'a> {
    /// Its lines.
    pub lines: &'a [BasketLine],
    /// The customer, where known. One of whom nothing is known here has no discount.
    pub customer: Option<i64>,
    /// What the cashier takes off the whole; needs the right "discount".
    pub discount: Discount,
}

/// What is taken off a line, by who gives it. Below zero where goods come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TakenOff {
    /// By the store itself.
    pub store: Money,
    /// By the cashier, off this line.
    pub line: Money,
    /// For the customer, off all lines.
    pub customer: Money,
    /// By the cashier, off all lines.
    pub basket: Money,
}

impl TakenOff {
    /// All of it.
    pub fn sum(self) -> Result<Money, MoneyError> {
        Money::total([self.store, self.line, self.customer, self.basket])
    }

    /// Which of the four it holds, as a receipt line keeps it: "store+customer".
    pub fn words(self) -> Option<String> {
        let named = [
            ("store", self.store),
            ("line", self.line),
            ("customer", self.customer),
            ("basket", self.basket),
        ];
        let held = named.iter().filter(|kind| kind.1 != Money::ZERO).map(|kind| kind.0);
        let words = held.collect::<Vec<_>>().join("+");
        (!words.is_empty()).then_some(words)
    }
}

/// One line with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotedLine {
    /// What.
    pub sku: i64,
    /// How many.
    pub quantity: i64,
    /// What one costs.
    pub unit: Money,
    /// Hundredths of a percent that the store itself takes off.
    pub store_points: i64,
    /// What is taken off the line in all.
    pub discount: Money,
    /// The same by who gives it; nothing where goods come back with their receipt.
    pub off: TakenOff,
    /// What the line comes to.
    pub amount: Money,
    /// How it is taxed.
    pub tax_class: i64,
}

impl QuotedLine {
    /// The line as its receipt keeps it.
    pub fn on_receipt(&self, no: i64) -> ReceiptLine {
        ReceiptLine {
            no,
            sku: self.sku,
            quantity: self.quantity,
            unit: self.unit,
            tax_class: self.tax_class,
            discount: self.discount,
            reason: self.off.words(),
        }
    }
}

/// The tax of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassTax {
    /// The class.
    pub class: i64,
    /// Its rate in parts per million.
    pub rate_ppm: i64,
    /// What its lines come to after discounts.
    pub amount: Money,
    /// The tax in it, or on top of it.
    pub tax: Money,
}

/// What a basket comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The currency of all its amounts.
    pub currency: Currency,
    /// Whether the lines contain the tax.
    pub shelf_prices: ShelfPrices,
    /// The lines in the order of the basket.
    pub lines: Vec<QuotedLine>,
    /// The sum of the lines before discounts.
    pub subtotal: Money,
    /// The sum of the discounts.
    pub discount: Money,
    /// Of these, what was taken off all lines for the customer.
    pub customer_off: Money,
    /// Of these, what the cashier took off all lines.
    pub basket_off: Money,
    /// The taxes by class.
    pub tax_by_class: Vec<ClassTax>,
    /// The sum of the taxes.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
}

/// Why a basket has no total.
#[derive(Debug, thiserror::Error)]
pub enum BasketError {
    /// The store is not known.
    #[error("there is no store {0}: its master data has not arrived yet")]
    UnknownStore(i64),
    /// Nothing in the catalogue has this key.
    #[error("there is no SKU {0} in the catalogue")]
    UnknownSku(i64),
    /// More lines than one receipt holds.
    #[error("{0} lines are more than the 2,000 of one receipt: split the basket")]
    TooManyLines(usize),
    /// Nothing is sold, less than nothing, or absurdly much.
    #[error("SKU {sku}: quantity {quantity} cannot be sold, only 1 to 1,000,000,000")]
    Quantity {
        /// What.
        sku: i64,
        /// How many.
        quantity: i64,
    },
    /// The catalogue has no price that has begun, and none was typed.
    #[error("SKU {0} has no price in this store: type one, with the right \"open price\"")]
    NoPrice(i64),
    /// The typed price is negative or absurd.
    #[error("SKU {sku}: {price} cannot be a price")]
    OpenPrice {
        /// What.
        sku: i64,
        /// What was typed.
        price: Amount,
    },
    /// More is taken off than there is, or less than nothing.
    #[error("SKU {sku}: a discount of {discount} does not fit a line of {line}")]
    Discount {
        /// What.
        sku: i64,
        /// What was to be taken off.
        discount: Amount,
        /// What the line comes to without it.
        line: Amount,
    },
    /// More than the whole is taken off.
    #[error("SKU {0}: a discount of more than 100 % cannot be given")]
    DiscountOverWhole(i64),
    /// More is taken off the basket than it comes to, or less than nothing.
    #[error("a discount of {discount} does not fit a basket of {sum}: make it smaller")]
    BasketDiscount {
        /// What was to be taken off.
        discount: Amount,
        /// What the lines come to without it.
        sum: Amount,
    },
    /// More than the whole basket is taken off.
    #[error("a discount of more than 100 % cannot be given on a basket")]
    BasketDiscountOverWhole,
    /// The store has no rate for the class.
    #[error("store {store} has no rate for tax class {class}: import its taxes")]
    NoTaxRate {
        /// The store.
        store: i64,
        /// The class.
        class: i64,
    },
    /// A sum left what can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database could not be read.
    #[error("the catalogue could not be read")]
    Database(#[from] rusqlite::Error),
}

/// What a basket comes to in a store at a moment. An empty one comes to nothing.
pub fn quote(
    db: &Connection,
    store: i64,
    basket: RungUp,
    at: Moment,
) -> Result<Quote, BasketError> {
    if basket.lines.len() > LINES_MAX {
        return Err(BasketError::TooManyLines(basket.lines.len()));
    }
    let place = catalogue::store(db, store)?.ok_or(BasketError::UnknownStore(store))?;
    let mut terms = db.prepare_cached(TERMS_SQL)?;
    let mut lines = Vec::with_capacity(basket.lines.len());
    for line in basket.lines {
        let found = terms
            .query_row((line.sku, place.currency, store, at), |row| {
                Ok(Terms { tax_class: row.get(0)?, price: row.get(1)?, store_points: row.get(2)? })
            })
            .optional()?;
        let found = found.ok_or(BasketError::UnknownSku(line.sku))?;
        lines.push(price_line(line, &found, place.currency)?);
    }
    let reduced = reduce(db, basket, &mut lines, place.currency)?;
    add_up(db, &place, lines, reduced, at)
}

/// What the catalogue says of a line.
struct Terms {
    tax_class: i64,
    price: Option<Money>,
    store_points: i64,
}

/// A line with its own discounts: first the store's, then the cashier's.
fn price_line(
    line: &BasketLine,
    terms: &Terms,
    currency: Currency,
) -> Result<QuotedLine, BasketError> {
    let (sku, quantity) = (line.sku, line.quantity);
    if !(1..=QUANTITY_MAX).contains(&quantity) {
        return Err(BasketError::Quantity { sku, quantity });
    }
    if let Some(typed) = line.open_price
        && !(Money::ZERO..=PRICE_MAX).contains(&typed)
    {
        return Err(BasketError::OpenPrice { sku, price: Amount(typed, currency) });
    }
    let unit = line.open_price.or(terms.price).ok_or(BasketError::NoPrice(sku))?;
    let whole = unit.times(quantity)?;
    let store_points = if line.open_price.is_none() { terms.store_points } else { 0 };
    let store = whole.share(store_points, WHOLE_BASIS_POINTS)?;
    let rest = whole.minus(store)?;
    let wished = wish(line.discount, rest)?.ok_or(BasketError::DiscountOverWhole(sku))?;
    if !(Money::ZERO..=rest).contains(&wished) {
        let (discount, line) = (Amount(wished, currency), Amount(rest, currency));
        return Err(BasketError::Discount { sku, discount, line });
    }
    let off = TakenOff { store, line: wished, ..TakenOff::default() };
    let (discount, amount) = (off.sum()?, rest.minus(wished)?);
    let tax_class = terms.tax_class;
    Ok(QuotedLine { sku, quantity, unit, store_points, discount, off, amount, tax_class })
}

/// What a discount takes off an amount; `None` for more than 100 %.
fn wish(discount: Discount, whole: Money) -> Result<Option<Money>, MoneyError> {
    match discount {
        Discount::None => Ok(Some(Money::ZERO)),
        Discount::Percent { basis_points } if i64::from(basis_points) > WHOLE_BASIS_POINTS => {
            Ok(None)
        }
        Discount::Percent { basis_points } => {
            whole.share(basis_points.into(), WHOLE_BASIS_POINTS).map(Some)
        }
        Discount::Amount(amount) => Ok(Some(amount)),
    }
}

/// What was taken off all lines.
struct Reduced {
    customer_off: Money,
    basket_off: Money,
}

/// Takes off all lines what the customer has, then what the cashier gives.
fn reduce(
    db: &Connection,
    basket: RungUp,
    lines: &mut [QuotedLine],
    currency: Currency,
) -> Result<Reduced, BasketError> {
    let customer = match basket.customer {
        Some(id) => customers::by_id(db, id)?,
        None => None,
    };
    let customer_points = customer.map_or(0, |customer| customer.discount_points);
    let sum = Money::total(lines.iter().map(|line| line.amount))?;
    let customer_off = sum.share(customer_points, WHOLE_BASIS_POINTS)?;
    take_off_all(lines, customer_off, |off| &mut off.customer)?;
    let sum = sum.minus(customer_off)?;
    let wished = wish(basket.discount, sum)?.ok_or(BasketError::BasketDiscountOverWhole)?;
    if !(Money::ZERO..=sum).contains(&wished) {
        let (discount, sum) = (Amount(wished, currency), Amount(sum, currency));
        return Err(BasketError::BasketDiscount { discount, sum });
    }
    take_off_all(lines, wished, |off| &mut off.basket)?;
    Ok(Reduced { customer_off, basket_off: wished })
}

fn take_off_all(
    lines: &mut [QuotedLine],
    off: Money,
    kind: fn(&mut TakenOff) -> &mut Money,
) -> Result<(), MoneyError> {
    if off == Money::ZERO {
        return Ok(());
    }
    let shares: Vec<Share> =
        lines.iter().map(|line| Share { amount: line.amount, tax_class: line.tax_class }).collect();
    for (line, part) in lines.iter_mut().zip(spread::spread(off, &shares)) {
        *kind(&mut line.off) = part;
        line.discount = line.discount.plus(part)?;
        line.amount = line.amount.minus(part)?;
    }
    Ok(())
}

fn add_up(
    db: &Connection,
    place: &Store,
    lines: Vec<QuotedLine>,
    reduced: Reduced,
    at: Moment,
) -> Result<Quote, BasketError> {
    let mut tax_by_class: Vec<ClassTax> = Vec::new();
    let (mut amount, mut discount) = (Money::ZERO, Money::ZERO);
    for line in &lines {
        assert!(line.amount >= Money::ZERO, "no line gives more off than it has");
        assert_eq!(line.off.sum(), Ok(line.discount), "each discount has its giver");
        amount = amount.plus(line.amount)?;
        discount = discount.plus(line.discount)?;
        match tax_by_class.iter_mut().find(|class| class.class == line.tax_class) {
            Some(class) => class.amount = class.amount.plus(line.amount)?,
            None => tax_by_class.push(ClassTax {
                class: line.tax_class,
                rate_ppm: rate(db, place.id, line.tax_class, at)?,
                amount: line.amount,
                tax: Money::ZERO,
            }),
        }
    }
    tax_by_class.sort_by_key(|class| class.class);
    let mut tax = Money::ZERO;
    for class in &mut tax_by_class {
        class.tax = tax_of(class.amount, class.rate_ppm, place.shelf_prices)?;
        tax = tax.plus(class.tax)?;
    }
    let total = match place.shelf_prices {
        ShelfPrices::TaxIncluded => amount,
        ShelfPrices::TaxExcluded => amount.plus(tax)?,
    };
    let (currency, shelf_prices) = (place.currency, place.shelf_prices);
    let subtotal = amount.plus(discount)?;
    assert!(tax >= Money::ZERO, "what is sold is taxed, not subsidised");
    assert_eq!(subtotal.minus(discount)?, amount, "discounts are taken off once");
    let Reduced { customer_off, basket_off } = reduced;
    Ok(Quote {
        currency,
        shelf_prices,
        lines,
        subtotal,
        discount,
        customer_off,
        basket_off,
        tax_by_class,
        tax,
        total,
    })
}

/// The rate of a class, or a sentence that says which one is missing.
pub fn rate(db: &Connection, store: i64, class: i64, at: Moment) -> Result<i64, BasketError> {
    let rate = catalogue::tax_rate_at(db, store, class, at)?;
    rate.ok_or(BasketError::NoTaxRate { store, class })
}

/// The tax in an amount that contains it, or on one that does not.
pub fn tax_of(
    amount: Money,
    rate_ppm: i64,
    shelf_prices: ShelfPrices,
) -> Result<Money, MoneyError> {
    match shelf_prices {
        ShelfPrices::TaxIncluded => amount.share(rate_ppm, WHOLE_PPM + rate_ppm),
        ShelfPrices::TaxExcluded => amount.share(rate_ppm, WHOLE_PPM),
    }
}
