//! How a total is paid, and the change
//!
//! Only cash gives change: what a card or a voucher gives too much would have
//! to be given back in notes, and that is how money leaves a till unseen.

use crate::money::{Amount, Currency, Money, MoneyError};
use crate::receipts::ReceiptTender;

/// The most tenders of one receipt.
pub const TENDERS_MAX: usize = 20;

/// A means of payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenderKind {
    /// Coins and notes.
    Cash,
    /// A card.
    Card,
    /// A voucher.
    Voucher,
}

impl TenderKind {
    /// Every kind.
    pub const ALL: [TenderKind; 3] = [TenderKind::Cash, TenderKind::Card, TenderKind::Voucher];

    /// As the table keeps it.
    pub const fn number(self) -> i64 {
        match self {
            TenderKind::Cash => 1,
            TenderKind::Card => 2,
            TenderKind::Voucher => 3,
        }
    }

    /// The kind of a number from the table.
    pub fn from_number(number: i64) -> Option<TenderKind> {
        TenderKind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// As forms and screens name it.
    pub fn as_str(self) -> &'static str {
        match self {
            TenderKind::Cash => "cash",
            TenderKind::Card => "card",
            TenderKind::Voucher => "voucher",
        }
    }

    /// The kind of a name.
    pub fn parse(name: &str) -> Option<TenderKind> {
        TenderKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Money handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tender {
    /// How.
    pub kind: TenderKind,
    /// How much.
    pub given: Money,
}

/// Why tenders do not pay a total.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenderError {
    /// The tenders do not reach the total.
    #[error("tendered {tendered}, but {due} is due")]
    Short {
        /// What is to be paid.
        due: Amount,
        /// What was given.
        tendered: Amount,
    },
    /// Card and voucher alone are more than the total.
    #[error("{tendered} by card and voucher is more than the {due} due: only cash gives change")]
    OverWithoutCash {
        /// What is to be paid.
        due: Amount,
        /// What was given without cash.
        tendered: Amount,
    },
    /// A tender of nothing, or of less.
    #[error("a tender of {0} pays nothing: take it off")]
    NotPositive(Amount),
    /// A refund that is not what is due back.
    #[error("{given} is given back, but {due} is due back")]
    Refund {
        /// What is due back.
        due: Amount,
        /// What was to be given.
        given: Amount,
    },
    /// More tenders than one receipt holds.
    #[error("{0} tenders are more than the 20 of one receipt")]
    TooMany(usize),
    /// A sum left what can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// How a total was paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// What each tender pays, as the receipt keeps it.
    pub tenders: Vec<ReceiptTender>,
    /// What goes back to the customer.
    pub change: Money,
}

/// Pays a total. Card and voucher count first, cash pays the rest and gives change.
pub fn settle(
    due: Money,
    tenders: &[Tender],
    currency: Currency,
) -> Result<Settlement, TenderError> {
    let tendered = add_up(tenders, currency)?;
    let without_cash = tenders.iter().filter(|tender| tender.kind != TenderKind::Cash);
    let without_cash = Money::total(without_cash.map(|tender| tender.given))?;
    if without_cash > due {
        let (due, tendered) = (Amount(due, currency), Amount(without_cash, currency));
        return Err(TenderError::OverWithoutCash { due, tendered });
    }
    if tendered < due {
        let (due, tendered) = (Amount(due, currency), Amount(tendered, currency));
        return Err(TenderError::Short { due, tendered });
    }
    let mut rest = due.minus(without_cash)?;
    let mut paid = Vec::with_capacity(tenders.len());
    for (tender, no) in tenders.iter().zip(1..) {
        let (kind, given) = (tender.kind.number(), tender.given);
        let amount = if tender.kind == TenderKind::Cash { given.min(rest) } else { given };
        if tender.kind == TenderKind::Cash {
            rest = rest.minus(amount)?;
        }
        paid.push(ReceiptTender { no, kind, amount, given, charge: None });
    }
    assert_eq!(rest, Money::ZERO, "what was tendered covers what is due");
    let change = tendered.minus(due)?;
    assert!(change >= Money::ZERO, "change is given, never asked for");
    Ok(Settlement { tenders: paid, change })
}

/// Gives money back: exactly what is due, by the means named.
pub fn refund(
    due: Money,
    refunds: &[Tender],
    currency: Currency,
) -> Result<Settlement, TenderError> {
    let given = add_up(refunds, currency)?;
    if given != due {
        let (due, given) = (Amount(due, currency), Amount(given, currency));
        return Err(TenderError::Refund { due, given });
    }
    let back = refunds.iter().zip(1..).map(|(tender, no)| {
        let amount = Money(-tender.given.0);
        ReceiptTender { no, kind: tender.kind.number(), amount, given: amount, charge: None }
    });
    Ok(Settlement { tenders: back.collect(), change: Money::ZERO })
}

fn add_up(tenders: &[Tender], currency: Currency) -> Result<Money, TenderError> {
    if tenders.len() > TENDERS_MAX {
        return Err(TenderError::TooMany(tenders.len()));
    }
    if let Some(tender) = tenders.iter().find(|tender| tender.given <= Money::ZERO) {
        return Err(TenderError::NotPositive(Amount(tender.given, currency)));
    }
    Ok(Money::total(tenders.iter().map(|tender| tender.given))?)
}
