//! What a person answers when power cut into a sale
//!
//! A receipt that nobody saw is confirmed, or voided by a second receipt that
//! reverses it whole. A payment of which no card terminal knows anything is
//! called paid or not. Each answer is a fact with the person who gave it, beside
//! an exception for the manager; and each is given once, however often it comes.

use crate::exceptions::{self, IN_DOUBT, NewException};
use crate::grand_totals::{self, EVERY_RECEIPTS, GrandTotalError};
use crate::moment::Moment;
use crate::money::{Money, MoneyError};
use crate::receipts::{self, Kind, NewReceipt, ReceiptLine, ReceiptTender, WholeReceipt};
use crate::sales::{self, SaleError};
use crate::staff::Rights;
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

/// Who answers, where and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The store.
    pub store: i64,
    /// The person before the screen.
    pub cashier: i64,
    /// When.
    pub at: Moment,
}

/// What was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The receipt stands, and was printed.
    Printed,
    /// The receipt is reversed by another.
    Void,
    /// The card was charged.
    Paid,
    /// The card was not charged.
    NotPaid,
    /// The money went back to the card.
    GivenBack,
}

impl Answer {
    const ALL: [Answer; 5] =
        [Answer::Printed, Answer::Void, Answer::Paid, Answer::NotPaid, Answer::GivenBack];

    fn number(self) -> i64 {
        match self {
            Answer::Printed => 1,
            Answer::Void => 2,
            Answer::Paid => 3,
            Answer::NotPaid => 4,
            Answer::GivenBack => 5,
        }
    }

    /// As reports and screens say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Printed => "printed",
            Answer::Void => "void",
            Answer::Paid => "card was charged",
            Answer::NotPaid => "card was not charged",
            Answer::GivenBack => "given back to the card",
        }
    }
}

/// An answer as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The exception that it stands beside.
    pub exception: i64,
    /// What was answered.
    pub answer: Answer,
    /// By whom: the name, or the number where the name is not known here.
    pub by: String,
    /// The receipt that was in doubt.
    pub receipt: Option<i64>,
    /// The receipt that reverses it.
    pub void: Option<i64>,
    /// The payment that was in doubt.
    pub intent: Option<i64>,
}

/// Why an answer was not taken. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum DoubtError {
    /// The receipt is not here.
    #[error("this receipt is not known here: load the page again")]
    UnknownReceipt(i64),
    /// Only a sale is ever in doubt.
    #[error("only a sale can be voided: take goods back with a return")]
    NotASale(i64),
    /// Goods of it came back already.
    #[error("goods of this receipt came back already, so it cannot be voided: take back the rest")]
    TakenBack(i64),
    /// The same receipt was answered otherwise.
    #[error("this was answered before, as: {}", .0.as_str())]
    Answered(Answer),
    /// As for a sale.
    #[error(transparent)]
    Sale(#[from] SaleError),
    /// The running total cannot be counted.
    #[error(transparent)]
    GrandTotal(#[from] GrandTotalError),
    /// A sum left what can be counted.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// The database refused; nothing was written.
    #[error("the answer was not written")]
    Database(#[from] rusqlite::Error),
}

/// Says that a receipt stands. Again, it changes nothing.
pub fn confirm(tx: &Transaction, asked: Asked, receipt: i64) -> Result<(), DoubtError> {
    if let Some(before) = of_receipt(tx, receipt)? {
        return match before.answer {
            Answer::Printed => Ok(()),
            other => Err(DoubtError::Answered(other)),
        };
    }
    let whole = doubtful(tx, asked, receipt)?;
    let about = About { receipt: Some(receipt), ..About::default() };
    write(tx, asked, Answer::Printed, &about, whole.receipt.total)
}

/// Reverses a receipt by another one, whole, and says its row id. Again, it says the same.
pub fn void(tx: &Transaction, asked: Asked, receipt: i64) -> Result<i64, DoubtError> {
    if let Some(before) = of_receipt(tx, receipt)? {
        return before.void.ok_or(DoubtError::Answered(before.answer));
    }
    let whole = doubtful(tx, asked, receipt)?;
    let back: Option<i64> = tx
        .prepare_cached("SELECT id FROM receipt WHERE of = ?1 LIMIT 1")?
        .query_row([receipt], |row| row.get(0))
        .optional()?;
    if back.is_some() {
        return Err(DoubtError::TakenBack(receipt));
    }
    let first = &whole.receipt;
    let reverse = NewReceipt {
        kind: Kind::Void,
        cashier: asked.cashier,
        at: asked.at,
        store: asked.store,
        total: Money::ZERO.minus(first.total)?,
        tax: Money::ZERO.minus(first.tax)?,
        customer: first.customer,
        of: Some(receipt),
    };
    let (lines, tenders) = (turned_lines(&whole)?, turned_tenders(&whole)?);
    let (id, no) = receipts::write(tx, &reverse, &lines, &tenders)?;
    let about = About { receipt: Some(receipt), void: Some(id), ..About::default() };
    write(tx, asked, Answer::Void, &about, first.total)?;
    if no % EVERY_RECEIPTS == 0 {
        grand_totals::state(tx, asked.store, asked.at)?;
    }
    Ok(id)
}

/// Says what became of a payment of which no terminal knows. Again, it changes nothing.
pub fn decide(
    tx: &Transaction,
    asked: Asked,
    intent: i64,
    answer: Answer,
    amount: Money,
) -> Result<(), DoubtError> {
    let known = [Answer::Paid, Answer::NotPaid, Answer::GivenBack];
    assert!(known.contains(&answer), "a payment is called paid, not paid or given back");
    let is_back = |answer| answer == Answer::GivenBack;
    let before = of_intent(tx, intent)?;
    let before = before.iter().find(|one| is_back(one.answer) == is_back(answer));
    match before {
        Some(before) if before.answer == answer => return Ok(()),
        Some(before) => return Err(DoubtError::Answered(before.answer)),
        None => {}
    }
    sales::require(tx, asked.store, asked.cashier, &[Rights::SELL])?;
    let beside = receipts::of_intent(tx, intent)?;
    write(tx, asked, answer, &About { intent: Some(intent), beside, ..About::default() }, amount)
}

/// What was answered about a receipt, if it was asked about.
pub fn of_receipt(db: &Connection, receipt: i64) -> rusqlite::Result<Option<Answered>> {
    let exception: Option<i64> = db
        .prepare_cached("SELECT exception FROM doubt_answer WHERE receipt = ?1 LIMIT 1")?
        .query_row([receipt], |row| row.get(0))
        .optional()?;
    exception.map_or(Ok(None), |exception| of_exception(db, exception))
}

/// What was answered about a payment: whether it was paid, and whether it was given back.
pub fn of_intent(db: &Connection, intent: i64) -> rusqlite::Result<Vec<Answered>> {
    let exceptions: Vec<i64> = db
        .prepare_cached("SELECT exception FROM doubt_answer WHERE intent = ?1 ORDER BY exception")?
        .query_map([intent], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    exceptions.into_iter().filter_map(|one| of_exception(db, one).transpose()).collect()
}

/// The answer that an exception stands for, if it is of that kind.
pub fn of_exception(db: &Connection, exception: i64) -> rusqlite::Result<Option<Answered>> {
    db.prepare_cached(
        "SELECT a.exception, a.answer, coalesce(p.name, 'employee ' || a.cashier), a.receipt,
                a.void, a.intent
         FROM doubt_answer a LEFT JOIN exception e ON e.id = a.exception
         LEFT JOIN employee p ON p.store = e.store AND p.id = a.cashier
         WHERE a.exception = ?1",
    )?
    .query_row([exception], read)
    .optional()
}

fn read(row: &Row) -> rusqlite::Result<Answered> {
    let number: i64 = row.get(1)?;
    let answer = Answer::ALL.into_iter().find(|answer| answer.number() == number);
    Ok(Answered {
        exception: row.get(0)?,
        answer: answer.ok_or(rusqlite::Error::IntegralValueOutOfRange(1, number))?,
        by: row.get(2)?,
        receipt: row.get(3)?,
        void: row.get(4)?,
        intent: row.get(5)?,
    })
}

/// The receipt that is asked about, for somebody who may answer.
fn doubtful(tx: &Transaction, asked: Asked, receipt: i64) -> Result<WholeReceipt, DoubtError> {
    sales::require(tx, asked.store, asked.cashier, &[Rights::SELL])?;
    let whole = receipts::whole(tx, receipt)?.filter(|whole| whole.receipt.store == asked.store);
    let whole = whole.ok_or(DoubtError::UnknownReceipt(receipt))?;
    if whole.receipt.kind != Kind::Sale {
        return Err(DoubtError::NotASale(receipt));
    }
    Ok(whole)
}

fn turned_lines(whole: &WholeReceipt) -> Result<Vec<ReceiptLine>, MoneyError> {
    let turn = |line: &ReceiptLine| {
        let discount = Money::ZERO.minus(line.discount)?;
        Ok(ReceiptLine { quantity: -line.quantity, discount, ..line.clone() })
    };
    whole.lines.iter().map(turn).collect()
}

/// The money goes back the way it came. The intent stays with the first receipt.
fn turned_tenders(whole: &WholeReceipt) -> Result<Vec<ReceiptTender>, MoneyError> {
    let turn = |tender: &ReceiptTender| {
        let amount = Money::ZERO.minus(tender.amount)?;
        Ok(ReceiptTender { amount, given: amount, charge: None, ..tender.clone() })
    };
    whole.tenders.iter().map(turn).collect()
}

/// What an answer is about.
#[derive(Default)]
struct About {
    receipt: Option<i64>,
    void: Option<i64>,
    intent: Option<i64>,
    /// The receipt that the exception names, though the answer is not about it.
    beside: Option<i64>,
}

fn write(
    tx: &Transaction,
    asked: Asked,
    answer: Answer,
    about: &About,
    amount: Money,
) -> Result<(), DoubtError> {
    let exception = NewException {
        store: asked.store,
        at: asked.at,
        kind: IN_DOUBT,
        receipt: about.receipt.or(about.beside),
        sku: None,
        amount: Some(amount.0),
        note: Some(answer.as_str()),
    };
    exceptions::write(tx, &exception)?;
    let exception = tx.last_insert_rowid();
    let (receipt, void, intent) = (about.receipt, about.void, about.intent);
    tx.prepare_cached(
        "INSERT INTO doubt_answer (exception, answer, cashier, receipt, void, intent)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((exception, answer.number(), asked.cashier, receipt, void, intent))?;
    Ok(())
}
