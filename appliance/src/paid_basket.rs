//! Turns a paid basket into a receipt
//!
//! The basket is written down as `paying`, with the number that its receipt
//! will get, before the receipt is. So a crash in between can be told from a
//! crash after: the number is looked up, and the basket is finished or opened
//! again. A card that was charged pays the basket that it was charged for, also
//! when the program died between the two.

use axum::http::StatusCode;
use rusqlite::Connection;
use selvedge_domain::basket::{self, BasketError};
use selvedge_domain::in_doubt::DoubtError;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Amount, Money};
use selvedge_domain::receipts::{self, Charge};
use selvedge_domain::sales::{self, Sale, SaleError};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_sync::outcome::WriteError;
use selvedge_transport::engine::EngineError;
use sha2::{Digest, Sha256};

use crate::basket_rows;
use crate::baskets::{Basket, Baskets, Done, Paying, Stage};
use crate::database::Database;
use crate::ringing::{CHECKOUT, off, rung_up, to_price};

/// Where the change is shown.
pub const DONE: &str = "/checkout/done";

/// Why no money was taken, or no receipt written.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// Nothing to pay.
    #[error("the basket is empty: scan something first")]
    EmptyBasket,
    /// The form names no total.
    #[error("this form says no total: load the page again")]
    NotShown,
    /// The form names no means of payment.
    #[error("say how it is paid: cash or card")]
    Kind,
    /// A text that is no amount.
    #[error("\"{0}\" is no amount of money: type one such as 50.00")]
    Amount(String),
    /// A card is charged what is due, not more.
    #[error("a card cannot be charged {asked} when {due} is due: only cash gives change")]
    CardOver {
        /// What was typed.
        asked: Amount,
        /// What is due.
        due: Amount,
    },
    /// The sum left to pay is not nought.
    #[error("{0} is still due: take it first")]
    StillDue(Amount),
    /// More means of payment than a receipt holds.
    #[error("one receipt holds 20 tenders: take some off, or split the basket")]
    TooMany,
    /// No such tender.
    #[error("that tender is no longer there")]
    NoTender,
    /// The disk is nearly full; asked before money is taken.
    #[error(
        "the disk of this device has only {free_mib} MiB left, so no money is taken. The basket is kept; call someone to make room"
    )]
    NoSpace {
        /// What is left.
        free_mib: u64,
    },
    /// This device may not write receipts for now; asked before money is taken.
    #[error("no money is taken. {0} The basket is kept")]
    MayNotSell(&'static str),
    /// The basket has no total.
    #[error(transparent)]
    Basket(#[from] BasketError),
    /// The sale was refused.
    #[error(transparent)]
    Sale(SaleError),
    /// The receipt was not written; the money is not taken.
    #[error("nothing was sold: {0}. Tap again; it counts once")]
    NotWritten(String),
    /// It is not known whether the receipt was written.
    #[error(
        "it is not known yet whether the receipt was written: {0}. Start this device again before the next sale; it will say"
    )]
    InDoubt(String),
    /// The answer to what was in doubt was refused.
    #[error(transparent)]
    Doubt(#[from] DoubtError),
    /// The file of the baskets refused.
    #[error("the basket could not be written: see that the disk has room, then tap again")]
    Database(#[from] rusqlite::Error),
}

impl PayError {
    /// What a page says with it: whether the same request may succeed a little later.
    pub fn status(&self) -> StatusCode {
        match self {
            PayError::NotWritten(_) | PayError::InDoubt(_) | PayError::Database(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

/// Writes the receipt of the basket that is being paid, and says where that leads.
pub fn write_receipt(
    baskets: &mut Baskets,
    database: &Database,
    shown: Option<Money>,
) -> Result<String, PayError> {
    let (Some(paying), Some(basket)) = (baskets.paying()?, baskets.current()?) else {
        return Ok(DONE.to_owned());
    };
    assert_eq!(basket.stage, Stage::Paying, "the basket is written down before its receipt");
    let sale = Sale {
        store: database.store(),
        cashier: paying.cashier,
        at: Moment(paying.at),
        lines: to_price(&basket),
        tenders: tenders(&basket),
        customer: basket.customer,
        discount: off(&basket),
        shown,
    };
    let (number, charges) = (paying.receipt_no, charges(&basket));
    let written = database.write(move |tx| {
        if receipts::next_no(tx)? != number {
            return Err(SaleError::Database(rusqlite::Error::QueryReturnedNoRows));
        }
        sales::record_charged(tx, &sale, &charges)
    });
    match written {
        Ok(committed) => {
            let sold = committed.value;
            let hash = committed.entry.map(|entry| hex::encode(entry.hash)).unwrap_or_default();
            let done = Done {
                receipt: sold.id,
                number: receipts::number(database.label(), sold.no),
                total_minor: sold.quote.total.0,
                change_minor: sold.change.0,
                signature: hash.chars().take(8).collect(),
            };
            baskets.finish(&paying, &done, DONE)?;
            Ok(DONE.to_owned())
        }
        Err(EngineError::Write(WriteError::Refused(refused))) => {
            baskets.reopen(&paying)?;
            match (refused, shown) {
                (SaleError::TotalMoved { .. }, Some(shown)) => Ok(back_to_checkout(shown)),
                (refused, _) => Err(PayError::Sale(refused)),
            }
        }
        Err(EngineError::Write(WriteError::InDoubt(reason))) => {
            Err(PayError::InDoubt(reason.to_string()))
        }
        Err(EngineError::Gone(reason)) => Err(PayError::InDoubt(reason)),
        Err(reason) => {
            baskets.reopen(&paying)?;
            Err(PayError::NotWritten(reason.to_string()))
        }
    }
}

/// Where the checkout says that the total is no longer the one that was shown.
pub fn back_to_checkout(shown: Money) -> String {
    format!("{CHECKOUT}?was={}", shown.0)
}

/// The tenders that the domain knows, each with the intent that a terminal approved.
fn known_tenders(basket: &Basket) -> impl Iterator<Item = (Tender, Option<i64>)> {
    basket.tenders.iter().filter_map(|taken| {
        let kind = TenderKind::from_number(taken.kind)?;
        Some((Tender { kind, given: Money(taken.amount_minor) }, taken.intent))
    })
}

fn tenders(basket: &Basket) -> Vec<Tender> {
    known_tenders(basket).map(|known| known.0).collect()
}

fn charges(basket: &Basket) -> Vec<(usize, Charge)> {
    let charge = |(place, (_, intent)): (usize, (Tender, Option<i64>))| {
        let intent = intent?;
        let asked = basket.intents.iter().find(|asked| asked.id == intent);
        let reference = asked.and_then(|asked| asked.reference.clone());
        Some((place, Charge { intent, reference }))
    };
    known_tenders(basket).enumerate().filter_map(charge).collect()
}

/// A hash of what is in a basket and what it was said to come to; what was taken for it does not count.
pub fn basket_hash(basket: &Basket, total: Money) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(b"selvedge basket 1\0");
    let mut number = |value: i64| hash.update(value.to_be_bytes());
    number(basket.id);
    number(total.0);
    for line in &basket.lines {
        number(line.no);
        number(line.sku);
        number(line.quantity);
        number(line.discount_points);
        number(line.open_price_minor.unwrap_or(-1));
    }
    number(basket.customer.unwrap_or(-1));
    number(basket.discount_points);
    number(basket.discount_minor);
    hash.finalize().into()
}

/// Writes the receipt of an open basket whose last tender a card terminal has approved, when
/// that pays all. The receipt bears the moment and the total of the intent. A basket that comes
/// to something else by now stays open: the screen says what is due.
pub fn settle(baskets: &mut Baskets, database: &Database, db: &Connection) -> Result<(), PayError> {
    let Some(basket) = baskets.current()?.filter(|basket| basket.stage == Stage::Open) else {
        return Ok(());
    };
    let last = basket.tenders.last().and_then(|taken| taken.intent);
    let Some(intent) = basket.intents.iter().find(|intent| Some(intent.id) == last) else {
        return Ok(());
    };
    let paying = Paying {
        basket: basket.id,
        receipt_no: receipts::next_no(db)?,
        at: intent.at,
        cashier: intent.cashier,
        request: intent.request.clone(),
    };
    if let Some(receipt) = receipts::of_intent(db, intent.id)? {
        return finish_by(baskets, database, db, &paying, receipt);
    }
    let lines = to_price(&basket);
    let quote = basket::quote(db, database.store(), rung_up(&basket, &lines), Moment(intent.at))?;
    let taken = Money::total(tenders(&basket).iter().map(|tender| tender.given));
    let is_paid = taken.is_ok_and(|taken| taken >= quote.total);
    let is_same =
        quote.total == intent.total && basket_hash(&basket, intent.total) == intent.basket_hash;
    if !is_paid || !is_same {
        return Ok(());
    }
    baskets.change(|tx| basket_rows::begin_paying(tx, &paying))?;
    write_receipt(baskets, database, Some(intent.total)).map(drop)
}

/// Finishes a basket by a receipt that is there.
fn finish_by(
    baskets: &mut Baskets,
    database: &Database,
    db: &Connection,
    paying: &Paying,
    receipt: i64,
) -> Result<(), PayError> {
    let Some(whole) = receipts::whole(db, receipt)? else { return Ok(()) };
    let done = Done {
        receipt,
        number: database.numbers(db, std::slice::from_ref(&whole.receipt)).concat(),
        total_minor: whole.receipt.total.0,
        change_minor: whole.change().0,
        signature: database.signature(db, receipt),
    };
    baskets.finish(paying, &done, DONE)?;
    Ok(())
}

/// Finds out what became of a basket that was being paid when the power went.
///
/// Its receipt bears the number and the moment that were written down. When it
/// is there the basket is finished, else it is as before the last tender; what a
/// card terminal approved stays.
pub fn recover(
    baskets: &mut Baskets,
    database: &Database,
    db: &Connection,
) -> Result<(), PayError> {
    let Some(paying) = baskets.paying()? else { return Ok(()) };
    if let Some(reason) = database.in_doubt() {
        return Err(PayError::InDoubt(reason));
    }
    let newest = receipts::latest_own(db, 16)?;
    let its = |receipt: &&receipts::Receipt| {
        receipt.no == paying.receipt_no && receipt.at == Moment(paying.at)
    };
    match newest.iter().find(its) {
        Some(receipt) => finish_by(baskets, database, db, &paying, receipt.id),
        None => Ok(baskets.reopen(&paying)?),
    }
}
