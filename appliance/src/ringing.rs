//! Rings up lines: what may be added, changed and taken off
//!
//! Each deed changes the basket in the transaction it is given and says where
//! the screen goes next. Prices and totals are never kept here, nor taken from
//! a form: the domain computes them each time from the catalogue.

use rusqlite::{Connection, Transaction};
use selvedge_domain::basket::{self, BasketError, BasketLine, Discount, RungUp};
use selvedge_domain::catalogue::{self, PRICE_MAX, ScanError};
use selvedge_domain::customers;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::staff::{Employee, Rights};
use selvedge_domain::stock::QUANTITY_MAX;

use crate::amounts;
use crate::basket_rows::{self, Off, Touch};
use crate::baskets::{self, Basket, Line, Stage};

/// Where the basket is shown.
pub const CHECKOUT: &str = "/checkout";

/// Where it is shown with the sheet of its customer.
pub const CUSTOMER: &str = "/checkout?sheet=customer";

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// The code is of nothing we sell.
    #[error("{0}. Check the digits, or call someone")]
    Unknown(#[from] ScanError),
    /// The card is of nobody.
    #[error(
        "card \"{0}\" is not known here: check its number, or sell without it. A new card is known once head office has been heard"
    )]
    UnknownCard(String),
    /// A text that is no amount.
    #[error("\"{0}\" is no amount to take off: type one such as 5.00")]
    Off(String),
    /// Nothing to take anything off.
    #[error("the basket is empty: scan something before you give a discount on it")]
    EmptyBasket,
    /// The discount is more than the basket.
    #[error(transparent)]
    TooMuch(BasketError),
    /// A number that is no quantity.
    #[error("\"{0}\" is no quantity: type a whole number from 1 on, or take the line off")]
    Quantity(String),
    /// No such line in the basket.
    #[error("that line is no longer in the basket")]
    NoLine,
    /// A text that is no percentage.
    #[error("\"{0}\" is no percentage: type a number from 0 to 100, such as 12.5")]
    Percent(String),
    /// A text that is no price.
    #[error("\"{0}\" is no price: type an amount such as 12.50")]
    Price(String),
    /// The person may not do that.
    #[error("{who} has no right \"{right}\": ask somebody who has")]
    NoRight {
        /// Who asks.
        who: String,
        /// What it needs.
        right: Rights,
    },
    /// It has no price here and the person may not give it one.
    #[error("{0} has no price in this store: ask somebody with the right \"open price\"")]
    NoPrice(String),
    /// Money was taken for what is in the basket now.
    #[error("payment has begun: take the tenders off before the basket changes")]
    PaymentBegun,
    /// The file of the baskets refused.
    #[error("the basket could not be written: see that the disk has room, then tap again")]
    Database(#[from] rusqlite::Error),
}

/// Who rings up, where and when, and from which catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Ringing<'a> {
    /// Master data to read.
    pub catalogue: &'a Connection,
    /// The store.
    pub store: i64,
    /// The moment, for prices.
    pub at: Moment,
    /// The person.
    pub cashier: &'a Employee,
}

impl Ringing<'_> {
    /// Adds what was scanned or typed; the same again counts up its line. What is
    /// nothing that we sell may be the card of a customer.
    pub fn add(&self, tx: &Transaction, code: &str, quantity: &str) -> Result<String, RingError> {
        let quantity = whole_quantity(quantity)?;
        let tag = match catalogue::scan(self.catalogue, self.store, code, self.at) {
            Ok(tag) => tag,
            Err(unknown) => {
                return match self.set_customer(tx, code) {
                    Err(RingError::UnknownCard(_)) => Err(unknown.into()),
                    Err(other) => Err(other),
                    Ok(_) => Ok(CHECKOUT.to_owned()),
                };
            }
        };
        if tag.price.is_none() && !self.cashier.rights.has(Rights::OPEN_PRICE) {
            return Err(RingError::NoPrice(tag.label()));
        }
        let basket = basket_rows::open_or_new(tx, self.at.0)?;
        let (lines, _) = changeable(tx)?;
        let code = code.trim();
        let gtin = (code.len() > 7).then_some(code);
        let same = lines.iter().find(|line| {
            line.sku == tag.sku && line.discount_points == 0 && line.open_price_minor.is_none()
        });
        let no = match same {
            Some(line) => {
                let sum = whole_quantity(&(line.quantity + quantity).to_string())?;
                basket_rows::set_quantity(tx, basket, line.no, sum, Touch::Scan)?;
                line.no
            }
            None => basket_rows::add_line(tx, basket, tag.sku, gtin, quantity)?,
        };
        Ok(if tag.price.is_none() { chosen(no) } else { CHECKOUT.to_owned() })
    }

    /// Says by a card whose basket it is.
    pub fn set_customer(&self, tx: &Transaction, card: &str) -> Result<String, RingError> {
        let customer = customers::by_card(self.catalogue, card)?;
        let customer = customer.ok_or_else(|| RingError::UnknownCard(shortened(card)))?;
        let basket = basket_rows::open_or_new(tx, self.at.0)?;
        changeable(tx)?;
        basket_rows::set_customer(tx, basket, Some(customer.id))?;
        Ok(CUSTOMER.to_owned())
    }

    /// Makes it nobody's basket again.
    pub fn remove_customer(&self, tx: &Transaction) -> Result<String, RingError> {
        if baskets::current(tx)?.is_some() {
            let (_, basket) = changeable(tx)?;
            basket_rows::set_customer(tx, basket, None)?;
        }
        Ok(CHECKOUT.to_owned())
    }

    /// Takes a percentage or an amount off the whole basket; nought takes it back.
    pub fn basket_discount(
        &self,
        tx: &Transaction,
        percent: &str,
        amount: &str,
        currency: Currency,
    ) -> Result<String, RingError> {
        self.require(Rights::DISCOUNT)?;
        let off = match amount.trim() {
            "" => amounts::typed_percent(percent)
                .map(Off::Points)
                .ok_or_else(|| RingError::Percent(shortened(percent)))?,
            typed => match currency.parse_amount(typed) {
                Ok(off) if (Money::ZERO..=PRICE_MAX).contains(&off) => Off::Minor(off.0),
                _ => return Err(RingError::Off(shortened(typed))),
            },
        };
        let basket = baskets::current(tx)?.filter(|basket| !basket.lines.is_empty());
        let basket = basket.ok_or(RingError::EmptyBasket)?;
        changeable(tx)?;
        basket_rows::set_basket_discount(tx, basket.id, off)?;
        let wished = baskets::current(tx)?.ok_or(RingError::EmptyBasket)?;
        let (lines, db) = (to_price(&wished), self.catalogue);
        // What else is wrong with the basket, such as a missing price, is said elsewhere.
        match basket::quote(db, self.store, rung_up(&wished, &lines), self.at) {
            Err(error @ BasketError::BasketDiscount { .. }) => Err(RingError::TooMuch(error)),
            _ => Ok(CHECKOUT.to_owned()),
        }
    }

    /// Sets the quantity of a line.
    pub fn set_quantity(
        &self,
        tx: &Transaction,
        line: &str,
        quantity: &str,
    ) -> Result<String, RingError> {
        let quantity = whole_quantity(quantity)?;
        let (basket, line) = one(tx, line)?;
        basket_rows::set_quantity(tx, basket, line.no, quantity, Touch::Step)?;
        Ok(chosen(line.no))
    }

    /// Takes a line off.
    pub fn take_off(&self, tx: &Transaction, line: &str) -> Result<String, RingError> {
        let (basket, line) = one(tx, line)?;
        basket_rows::take_off(tx, basket, line.no)?;
        Ok(CHECKOUT.to_owned())
    }

    /// Takes a percentage off a line; nought gives the whole price back.
    pub fn discount(
        &self,
        tx: &Transaction,
        line: &str,
        percent: &str,
    ) -> Result<String, RingError> {
        self.require(Rights::DISCOUNT)?;
        let points = amounts::typed_percent(percent)
            .ok_or_else(|| RingError::Percent(shortened(percent)))?;
        let (basket, line) = one(tx, line)?;
        basket_rows::set_discount(tx, basket, line.no, points)?;
        Ok(chosen(line.no))
    }

    /// Gives a line a price other than the catalogue's; an empty text gives that one back.
    pub fn open_price(
        &self,
        tx: &Transaction,
        line: &str,
        price: &str,
        currency: Currency,
    ) -> Result<String, RingError> {
        self.require(Rights::OPEN_PRICE)?;
        let price = match price.trim() {
            "" => None,
            typed => match currency.parse_amount(typed) {
                Ok(price) if (Money::ZERO..=PRICE_MAX).contains(&price) => Some(price.0),
                _ => return Err(RingError::Price(shortened(typed))),
            },
        };
        let (basket, line) = one(tx, line)?;
        basket_rows::set_open_price(tx, basket, line.no, price)?;
        Ok(chosen(line.no))
    }

    fn require(&self, right: Rights) -> Result<(), RingError> {
        if self.cashier.rights.has(right) {
            return Ok(());
        }
        Err(RingError::NoRight { who: self.cashier.name.clone(), right })
    }
}

/// The lines of a basket as the domain prices them.
pub fn to_price(basket: &Basket) -> Vec<BasketLine> {
    basket.lines.iter().map(line_to_price).collect()
}

/// The whole basket as the domain prices it, with its lines.
pub fn rung_up<'a>(basket: &Basket, lines: &'a [BasketLine]) -> RungUp<'a> {
    RungUp { lines, customer: basket.customer, discount: off(basket) }
}

/// What the cashier takes off the whole basket.
pub fn off(basket: &Basket) -> Discount {
    match u32::try_from(basket.discount_points) {
        Ok(basis_points @ 1..) => Discount::Percent { basis_points },
        _ if basket.discount_minor > 0 => Discount::Amount(Money(basket.discount_minor)),
        _ => Discount::None,
    }
}

/// One line as the domain prices it.
pub fn line_to_price(line: &Line) -> BasketLine {
    let basis_points = u32::try_from(line.discount_points).unwrap_or(0);
    BasketLine {
        sku: line.sku,
        quantity: line.quantity,
        discount: if basis_points == 0 {
            Discount::None
        } else {
            Discount::Percent { basis_points }
        },
        open_price: line.open_price_minor.map(Money),
    }
}

fn chosen(line: i64) -> String {
    format!("{CHECKOUT}?line={line}")
}

fn changeable(tx: &Transaction) -> Result<(Vec<Line>, i64), RingError> {
    let basket = baskets::current(tx)?.ok_or(RingError::NoLine)?;
    let is_begun = basket.stage == Stage::Paying || basket.waits_for().is_some();
    if is_begun || !basket.tenders.is_empty() {
        return Err(RingError::PaymentBegun);
    }
    Ok((basket.lines, basket.id))
}

fn one(tx: &Transaction, no: &str) -> Result<(i64, Line), RingError> {
    let no: i64 = no.trim().parse().map_err(|_| RingError::NoLine)?;
    let (lines, basket) = changeable(tx)?;
    let line = lines.into_iter().find(|line| line.no == no).ok_or(RingError::NoLine)?;
    Ok((basket, line))
}

fn whole_quantity(text: &str) -> Result<i64, RingError> {
    match text.trim().parse() {
        Ok(quantity) if (1..=QUANTITY_MAX).contains(&quantity) => Ok(quantity),
        _ => Err(RingError::Quantity(shortened(text))),
    }
}

/// At most 20 letters of what was typed, for a sentence.
pub fn shortened(text: &str) -> String {
    text.trim().chars().take(20).collect()
}
