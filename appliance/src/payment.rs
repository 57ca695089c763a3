//! Takes money for a basket until it is paid, once
//!
//! What a card terminal is asked is written down before it is asked; the answer
//! comes later, on its own line.
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
use selvedge_domain::tenders::{TENDERS_MAX, TenderKind};

use crate::amounts;
use crate::basket_rows;
use crate::baskets::{self, Basket, Baskets, Paying};
use crate::card_line::{CardLine, Question};
use crate::database::Database;
use crate::paid_basket::{PayError, back_to_checkout, basket_hash, write_receipt};
use crate::payment_intents::{self, Intent, Progress};
use crate::ringing::{Ringing, rung_up, shortened, to_price};
use crate::standing;

/// Where what is due is shown.
pub const PAY: &str = "/checkout/pay";

/// Where the card terminal is waited for.
pub const CARD: &str = "/checkout/pay/card";

/// Everything that a payment needs.
#[derive(Debug)]
pub struct Payment<'a> {
    /// Who, where, when.
    pub ringing: Ringing<'a>,
    /// Where receipts are written.
    pub database: &'a Database,
    /// The card terminal.
    pub cards: &'a CardLine,
    /// What was drawn for the id of an intent.
    pub drawn: u32,
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
        self.check_can_sell()?;
        let mut asked = None;
        let place = self.once(baskets, |tx, basket| {
            self.shown.ok_or(PayError::NotShown)?;
            let due = self.due(basket)?;
            if let Some(place) = self.moved(&due) {
                return Ok(Some(place));
            }
            let (kind, amount) = self.weigh(&due, kind, amount)?;
            if basket.tenders.len() >= TENDERS_MAX {
                return Err(PayError::TooMany);
            }
            if kind == TenderKind::Card && self.cards.has_terminal() {
                let intent = self.intent(basket, &due, amount);
                payment_intents::begin(tx, &intent)?;
                asked = Some(intent);
                return Ok(Some(CARD.to_owned()));
            }
            basket_rows::add_tender(tx, basket.id, kind.number(), amount.0, self.request)?;
            if amount < due.left {
                return Ok(Some(PAY.to_owned()));
            }
            self.begin_receipt(tx, basket)
        })?;
        // Only now, and only by the request that wrote it down.
        if let Some(intent) = asked {
            baskets.paid_here = Some(intent.basket);
            self.cards.ask(Question::Charge, &intent);
        }
        Ok(place)
    }

    fn intent(&self, basket: &Basket, due: &Due, amount: Money) -> Intent {
        let (at, total) = (self.ringing.at.0, due.quote.total);
        Intent {
            id: payment_intents::id(at, self.drawn),
            basket: basket.id,
            amount: Amount(amount, due.quote.currency),
            total,
            basket_hash: basket_hash(basket, total),
            at,
            cashier: self.ringing.cashier.id,
            request: self.request.to_owned(),
            state: Progress::Asked,
            reference: None,
            said: None,
        }
    }

    /// Writes the receipt of a basket that is paid, or that costs nothing.
    pub fn finish(&self, baskets: &mut Baskets) -> Result<String, PayError> {
        self.check_can_sell()?;
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

    /// Gives a tender back before the receipt is written. What a terminal charged, it gives back itself.
    pub fn give_back(&self, baskets: &mut Baskets, tender: &str) -> Result<String, PayError> {
        let mut asked = None;
        let place = self.once(baskets, |tx, basket| {
            let no: i64 = tender.trim().parse().map_err(|_| PayError::NoTender)?;
            let taken = basket.tenders.iter().find(|taken| taken.no == no);
            if let Some(intent) = taken.ok_or(PayError::NoTender)?.intent {
                payment_intents::begin_to_give_back(tx, intent)?;
                asked = basket.intents.iter().find(|one| one.id == intent).cloned();
                return Ok(Some(CARD.to_owned()));
            }
            basket_rows::remove_tender(tx, basket.id, no)?;
            Ok(Some(PAY.to_owned()))
        })?;
        if let Some(intent) = asked {
            self.cards.ask(Question::GiveBack, &intent);
        }
        Ok(place)
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
            None => {
                baskets.paid_here = baskets.paying()?.map(|paying| paying.basket);
                write_receipt(baskets, self.database, self.shown)
            }
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
    fn check_can_sell(&self) -> Result<(), PayError> {
        let stopped = standing::stopped(self.database.status().writer);
        if !stopped.is_empty() {
            return Err(PayError::MayNotSell(stopped));
        }
        let Ok(disk) = statvfs(self.database.folder()) else { return Ok(()) };
        let free = disk.blocks_available() * disk.fragment_size();
        if free < self.space_min_bytes {
            return Err(PayError::NoSpace { free_mib: free >> 20 });
        }
        Ok(())
    }
}
