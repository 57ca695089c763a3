//! Takes money for a basket and turns it into a receipt, once
//!
//! The basket is written down as `paying`, with the number that its receipt
//! will get, before the receipt is. So a crash in between can be told from a
//! crash after: the number is looked up, and the basket is finished or opened
//! again. It is never sold twice.
//!
//! Each form names the total that its page showed. When a price or a discount
//! began or ended meanwhile, the total is another one: then no money is taken,
//! and the checkout says so. The deed compares once more, in the receipt's own
//! transaction.

use nix::sys::statvfs::statvfs;
use rusqlite::{Connection, Transaction};
use selvedge_domain::basket::{self, BasketError, Quote};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Amount, Money};
use selvedge_domain::receipts;
use selvedge_domain::sales::{self, Sale, SaleError};
use selvedge_domain::tenders::{TENDERS_MAX, Tender, TenderKind};
use selvedge_sync::outcome::WriteError;
use selvedge_transport::engine::EngineError;

use crate::amounts;
use crate::basket_rows;
use crate::baskets::{self, Basket, Baskets, Done, Paying, Stage};
use crate::database::Database;
use crate::ringing::{CHECKOUT, Ringing, off, rung_up, shortened, to_price};

/// Where what is due is shown.
pub const PAY: &str = "/checkout/pay";

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
    /// The file of the baskets refused.
    #[error("the basket could not be written: see that the disk has room, then tap again")]
    Database(#[from] rusqlite::Error),
}

impl PayError {
    /// Whether the same request may succeed a little later.
    pub fn may_pass(&self) -> bool {
        matches!(self, PayError::NotWritten(_) | PayError::InDoubt(_) | PayError::Database(_))
    }
}

/// Everything that a payment needs.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Who, where, when.
    pub ringing: Ringing<'a>,
    /// Where receipts are written.
    pub database: &'a Database,
    /// The id of the posted form.
    pub request: &'a str,
    /// The total that the page of the form showed.
    pub shown: Option<Money>,
    /// Free bytes below which no money is taken.
    pub space_min_bytes: u64,
}

/// What a basket comes to and what is left to pay.
#[derive(Debug, Clone)]
pub struct Due {
    /// The priced basket.
    pub quote: Quote,
    /// The sum of what was taken so far.
    pub taken: Money,
    /// What is left; nought or less when all is paid.
    pub left: Money,
}

/// What is left to pay for a basket.
pub fn due(db: &Connection, store: i64, basket: &Basket, at: Moment) -> Result<Due, BasketError> {
    let quote = basket::quote(db, store, rung_up(basket, &to_price(basket)), at)?;
    let taken = Money::total(basket.tenders.iter().map(|tender| Money(tender.amount_minor)))?;
    let left = quote.total.minus(taken)?;
    Ok(Due { quote, taken, left })
}

impl Payment<'_> {
    /// Begins to take payment: nothing is due for an empty basket.
    pub fn begin(&self, baskets: &mut Baskets) -> Result<String, PayError> {
        self.once(baskets, |_, basket| {
            let due = self.due(basket)?;
            Ok(Some(self.moved(&due).unwrap_or_else(|| PAY.to_owned())))
        })
    }

    fn due(&self, basket: &Basket) -> Result<Due, BasketError> {
        due(self.ringing.catalogue, self.ringing.store, basket, self.ringing.at)
    }

    /// Where the checkout says that the total is no longer the one that was shown.
    fn moved(&self, due: &Due) -> Option<String> {
        let shown = self.shown.filter(|shown| *shown != due.quote.total)?;
        Some(back_to_checkout(shown))
    }

    /// Takes a tender; when it pays the rest, the receipt is written.
    pub fn take(
        &self,
        baskets: &mut Baskets,
        kind: &str,
        amount: &str,
    ) -> Result<String, PayError> {
        self.check_space()?;
        self.once(baskets, |tx, basket| {
            self.shown.ok_or(PayError::NotShown)?;
            let due = self.due(basket)?;
            if let Some(place) = self.moved(&due) {
                return Ok(Some(place));
            }
            let (kind, amount) = self.weigh(&due, kind, amount)?;
            if basket.tenders.len() >= TENDERS_MAX {
                return Err(PayError::TooMany);
            }
            basket_rows::add_tender(tx, basket.id, kind.number(), amount.0, self.request)?;
            if amount < due.left {
                return Ok(Some(PAY.to_owned()));
            }
            self.begin_receipt(tx, basket)
        })
    }

    /// Writes the receipt of a basket that is paid, or that costs nothing.
    pub fn finish(&self, baskets: &mut Baskets) -> Result<String, PayError> {
        self.check_space()?;
        self.once(baskets, |tx, basket| {
            self.shown.ok_or(PayError::NotShown)?;
            let due = self.due(basket)?;
            if let Some(place) = self.moved(&due) {
                return Ok(Some(place));
            }
            if due.left > Money::ZERO {
                return Err(PayError::StillDue(Amount(due.left, due.quote.currency)));
            }
            self.begin_receipt(tx, basket)
        })
    }

    /// Gives a tender back before the receipt is written.
    pub fn give_back(&self, baskets: &mut Baskets, tender: &str) -> Result<String, PayError> {
        self.once(baskets, |tx, basket| {
            let no: i64 = tender.trim().parse().map_err(|_| PayError::NoTender)?;
            if !basket.tenders.iter().any(|tender| tender.no == no) {
                return Err(PayError::NoTender);
            }
            basket_rows::remove_tender(tx, basket.id, no)?;
            Ok(Some(PAY.to_owned()))
        })
    }

    /// Runs an act of this request once; when it left the basket as `paying`, writes the receipt.
    fn once(
        &self,
        baskets: &mut Baskets,
        act: impl FnOnce(&Transaction, &Basket) -> Result<Option<String>, PayError>,
    ) -> Result<String, PayError> {
        let answer = baskets.once(self.request, |tx| {
            let basket = baskets::current(tx)?.filter(|basket| !basket.lines.is_empty());
            act(tx, &basket.ok_or(PayError::EmptyBasket)?)
        })?;
        match answer {
            Some(place) => Ok(place),
            None => self.write_receipt(baskets),
        }
    }

    fn begin_receipt(&self, tx: &Transaction, basket: &Basket) -> Result<Option<String>, PayError> {
        let paying = Paying {
            basket: basket.id,
            receipt_no: receipts::next_no(self.ringing.catalogue)?,
            at: self.ringing.at.0,
            cashier: self.ringing.cashier.id,
            request: self.request.to_owned(),
        };
        basket_rows::begin_paying(tx, &paying)?;
        Ok(None)
    }

    fn write_receipt(&self, baskets: &mut Baskets) -> Result<String, PayError> {
        let (Some(paying), Some(basket)) = (baskets.paying()?, baskets.current()?) else {
            return Ok(DONE.to_owned());
        };
        assert_eq!(basket.stage, Stage::Paying, "the basket is written down before its receipt");
        let sale = Sale {
            store: self.ringing.store,
            cashier: paying.cashier,
            at: Moment(paying.at),
            lines: to_price(&basket),
            tenders: tenders(&basket),
            customer: basket.customer,
            discount: off(&basket),
            shown: self.shown,
        };
        let number = paying.receipt_no;
        let written = self.database.write(move |tx| {
            if receipts::next_no(tx)? != number {
                return Err(SaleError::Database(rusqlite::Error::QueryReturnedNoRows));
            }
            sales::record(tx, &sale)
        });
        match written {
            Ok(committed) => {
                let sold = committed.value;
                let hash = committed.entry.map(|entry| hex::encode(entry.hash)).unwrap_or_default();
                let done = Done {
                    receipt: sold.id,
                    number: receipts::number(self.database.label(), sold.no),
                    total_minor: sold.quote.total.0,
                    change_minor: sold.change.0,
                    signature: hash.chars().take(8).collect(),
                };
                baskets.finish(&paying, &done, DONE)?;
                Ok(DONE.to_owned())
            }
            Err(EngineError::Write(WriteError::Refused(refused))) => {
                baskets.reopen(&paying)?;
                match (refused, self.shown) {
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

    fn weigh(&self, due: &Due, kind: &str, amount: &str) -> Result<(TenderKind, Money), PayError> {
        let currency = due.quote.currency;
        let kind = match TenderKind::parse(kind) {
            Some(kind @ (TenderKind::Cash | TenderKind::Card)) => kind,
            _ => return Err(PayError::Kind),
        };
        let typed = amount.trim();
        let amount = if typed.is_empty() && kind == TenderKind::Card {
            due.left
        } else {
            currency.parse_amount(typed).map_err(|_| PayError::Amount(shortened(typed)))?
        };
        if amount <= Money::ZERO {
            return Err(PayError::Amount(shortened(typed)));
        }
        if kind == TenderKind::Card && amount > due.left {
            let (asked, due) = (Amount(amount, currency), Amount(due.left, currency));
            return Err(PayError::CardOver { asked, due });
        }
        if amount.0 > amounts::TENDER_MINOR_MAX {
            return Err(PayError::Amount(shortened(typed)));
        }
        Ok((kind, amount))
    }

    /// A sale that cannot be written down is refused before money is taken.
    fn check_space(&self) -> Result<(), PayError> {
        let Ok(disk) = statvfs(self.database.folder()) else { return Ok(()) };
        let free = disk.blocks_available() * disk.fragment_size();
        if free < self.space_min_bytes {
            return Err(PayError::NoSpace { free_mib: free >> 20 });
        }
        Ok(())
    }
}

fn back_to_checkout(shown: Money) -> String {
    format!("{CHECKOUT}?was={}", shown.0)
}

fn tenders(basket: &Basket) -> Vec<Tender> {
    let known = basket.tenders.iter().filter_map(|taken| {
        let kind = TenderKind::from_number(taken.kind)?;
        Some(Tender { kind, given: Money(taken.amount_minor) })
    });
    known.collect()
}

/// Finds out what became of a basket that was being paid when the power went.
///
/// Its receipt bears the number and the moment that were written down. When it
/// is there the basket is finished, else it is as before the last tender.
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
    let Some(receipt) = newest.iter().find(its) else {
        baskets.reopen(&paying)?;
        return Ok(());
    };
    let change = receipts::whole(db, receipt.id)?.map_or(Money::ZERO, |whole| whole.change());
    let done = Done {
        receipt: receipt.id,
        number: receipts::number(database.label(), receipt.no),
        total_minor: receipt.total.0,
        change_minor: change.0,
        signature: database.signature(db, receipt.id),
    };
    baskets.finish(&paying, &done, DONE)?;
    Ok(())
}
