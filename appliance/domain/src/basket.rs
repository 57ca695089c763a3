//! What a basket comes to: prices, discounts and taxes
//!
//! Whoever rings up says what and how many. Prices and tax rates come from the
//! catalogue, and a total is always computed here: one that comes from
//! outside would be a wish. Tax is computed once per class, on the sum of its lines
//! after discounts; rounding each line would drift by a minor unit per line.

use crate::catalogue::{self, PRICE_MAX, ShelfPrices, Store, TERMS_SQL};
use crate::moment::Moment;
use crate::money::{Amount, Currency, Money, MoneyError};
use crate::receipts::ReceiptLine;
use crate::stock::QUANTITY_MAX;
use rusqlite::{Connection, OptionalExtension};

/// The most lines a basket may have.
pub const LINES_MAX: usize = 2_000;

/// The whole, in basis points.
const WHOLE_BASIS_POINTS: i64 = 10_000;

/// The whole, in parts per million.
const WHOLE_PPM: i64 = 1_000_000;

/// What is taken off one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discount {
    /// Nothing.
    #[default]
    None,
    /// A part of the line.
    Percent {
        /// Hundredths of a percent: 1000 is 10 %.
        basis_points: u32,
    },
    /// An amount off the line.
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
    /// What is taken off the line.
    pub discount: Discount,
    /// A price other than the catalogue's; needs the right "open price".
    pub open_price: Option<Money>,
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
    /// What is taken off the line.
    pub discount: Money,
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
    basket: &[BasketLine],
    at: Moment,
) -> Result<Quote, BasketError> {
    if basket.len() > LINES_MAX {
        return Err(BasketError::TooManyLines(basket.len()));
    }
    let place = catalogue::store(db, store)?.ok_or(BasketError::UnknownStore(store))?;
    let mut terms = db.prepare_cached(TERMS_SQL)?;
    let mut lines = Vec::with_capacity(basket.len());
    for line in basket {
        let found = terms
            .query_row((line.sku, place.currency, store, at), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (tax_class, price) = found.ok_or(BasketError::UnknownSku(line.sku))?;
        lines.push(price_line(line, tax_class, price, place.currency)?);
    }
    add_up(db, &place, lines, at)
}

fn price_line(
    line: &BasketLine,
    tax_class: i64,
    price: Option<Money>,
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
    let unit = line.open_price.or(price).ok_or(BasketError::NoPrice(sku))?;
    let whole = unit.times(quantity)?;
    let discount = match line.discount {
        Discount::None => Money::ZERO,
        Discount::Percent { basis_points } if i64::from(basis_points) > WHOLE_BASIS_POINTS => {
            return Err(BasketError::DiscountOverWhole(sku));
        }
        Discount::Percent { basis_points } => {
            whole.share(basis_points.into(), WHOLE_BASIS_POINTS)?
        }
        Discount::Amount(amount) => amount,
    };
    if !(Money::ZERO..=whole).contains(&discount) {
        let (discount, line) = (Amount(discount, currency), Amount(whole, currency));
        return Err(BasketError::Discount { sku, discount, line });
    }
    Ok(QuotedLine { sku, quantity, unit, discount, amount: whole.minus(discount)?, tax_class })
}

fn add_up(
    db: &Connection,
    place: &Store,
    lines: Vec<QuotedLine>,
    at: Moment,
) -> Result<Quote, BasketError> {
    let mut tax_by_class: Vec<ClassTax> = Vec::new();
    let (mut amount, mut discount) = (Money::ZERO, Money::ZERO);
    for line in &lines {
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
    assert!(discount <= subtotal, "no line gives more off than it has");
    assert!(tax >= Money::ZERO, "what is sold is taxed, not subsidised");
    assert_eq!(subtotal.minus(discount)?, amount, "discounts are taken off once");
    Ok(Quote { currency, shelf_prices, lines, subtotal, discount, tax_by_class, tax, total })
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
