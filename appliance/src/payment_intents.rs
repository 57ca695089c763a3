//! What a card terminal is asked, kept before it is asked
//!
//! An intent is one wish to be paid one amount for one basket. It is written
//! before the terminal hears of it and never asked for twice, so that no crash
//! can charge a card twice or forget that it was charged.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use selvedge_domain::money::{Amount, Currency, Money};
use selvedge_domain::tenders::TenderKind;

use crate::card_terminal::{Heard, kept_reference};

/// Bits of an intent's id that are drawn; those above are milliseconds, so that ids rise with time.
const DRAWN_BITS: u32 = 22;

/// How far a payment by card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The terminal was asked, or is about to be.
    Asked,
    /// No terminal knows; a person says what became of it.
    InDoubt,
    /// The card was charged.
    Captured,
    /// The card was not charged.
    Refused,
    /// The money is going back to the card.
    Returning,
    /// The money went back.
    Returned,
}

impl Progress {
    const ALL: [Progress; 6] = [
        Progress::Asked,
        Progress::InDoubt,
        Progress::Captured,
        Progress::Refused,
        Progress::Returning,
        Progress::Returned,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Progress::Asked => "asked",
            Progress::InDoubt => "in_doubt",
            Progress::Captured => "captured",
            Progress::Refused => "refused",
            Progress::Returning => "returning",
            Progress::Returned => "returned",
        }
    }

    /// Whether somebody, terminal or person, still has to say something.
    pub fn is_open(self) -> bool {
        matches!(self, Progress::Asked | Progress::InDoubt | Progress::Returning)
    }
}

/// One intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Its id, unlike any other of this device.
    pub id: i64,
    /// The basket that it pays, or a part of it.
    pub basket: i64,
    /// What the card is charged.
    pub amount: Amount,
    /// The basket's total as the customer was shown it.
    pub total: Money,
    /// What was in the basket then.
    pub basket_hash: [u8; 32],
    /// When, which is also the moment of its receipt.
    pub at: i64,
    /// Who takes the money.
    pub cashier: i64,
    /// The form that asked for it.
    pub request: String,
    /// How far it is.
    pub state: Progress,
    /// The terminal's own reference, once it approved.
    pub reference: Option<String>,
    /// Why the last question has no good answer.
    pub said: Option<String>,
}

impl Intent {
    /// As the terminal knows it.
    pub fn key(&self) -> String {
        format!("{:016x}", self.id)
    }
}

/// An id for an intent of this moment, with what was drawn for it.
pub fn id(now_ms: i64, drawn: u32) -> i64 {
    let ms = now_ms.max(0) & (i64::MAX >> DRAWN_BITS);
    (ms << DRAWN_BITS | i64::from(drawn >> (u32::BITS - DRAWN_BITS))).max(1)
}

/// Writes an intent down, before anybody is asked.
pub fn begin(tx: &Transaction, intent: &Intent) -> rusqlite::Result<()> {
    assert_eq!(intent.state, Progress::Asked, "an intent begins as a question");
    tx.prepare_cached(
        "INSERT INTO payment_intent
             (id, basket, amount_minor, currency, total_minor, basket_hash, at, cashier, request)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute((
        intent.id,
        intent.basket,
        intent.amount.0,
        intent.amount.1.code(),
        intent.total,
        intent.basket_hash,
        intent.at,
        intent.cashier,
        &intent.request,
    ))
    .map(drop)
}

/// The one intent of which somebody still has to say something.
pub fn open(db: &Connection) -> rusqlite::Result<Option<Intent>> {
    db.prepare_cached(
        "SELECT id, basket, amount_minor, currency, total_minor, basket_hash, at, cashier, request,
                state, reference, said
         FROM payment_intent WHERE state IN ('asked', 'in_doubt', 'returning')",
    )?
    .query_row([], read)
    .optional()
}

/// The intents of a basket, the oldest first.
pub fn of_basket(db: &Connection, basket: i64) -> rusqlite::Result<Vec<Intent>> {
    db.prepare_cached(
        "SELECT id, basket, amount_minor, currency, total_minor, basket_hash, at, cashier, request,
                state, reference, said
         FROM payment_intent WHERE basket = ?1 ORDER BY id",
    )?
    .query_map([basket], read)?
    .collect()
}

fn read(row: &Row) -> rusqlite::Result<Intent> {
    let state = row.get_ref(9)?.as_str()?;
    let state = Progress::ALL.into_iter().find(|one| one.as_str() == state);
    Ok(Intent {
        id: row.get(0)?,
        basket: row.get(1)?,
        amount: Amount(row.get(2)?, row.get::<_, Currency>(3)?),
        total: row.get(4)?,
        basket_hash: row.get(5)?,
        at: row.get(6)?,
        cashier: row.get(7)?,
        request: row.get(8)?,
        state: state.ok_or(rusqlite::Error::InvalidQuery)?,
        reference: row.get(10)?,
        said: row.get(11)?,
    })
}

/// What is known about an intent from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// The card was charged.
    Paid(Option<String>),
    /// The card was not charged.
    NotPaid,
    /// The money went back.
    GivenBack,
    /// The money did not go back and stays taken.
    Kept,
    /// Nothing new, for this reason.
    Nothing(String),
}

/// What a terminal's answer means for an intent in this state.
pub fn meaning(state: Progress, heard: Heard) -> Known {
    match (state, heard) {
        (Progress::Returning, Heard::Approved(_)) => Known::GivenBack,
        (Progress::Returning, Heard::Declined) => {
            Known::Nothing("the terminal gives nothing back".to_owned())
        }
        (_, Heard::Approved(reference)) => Known::Paid(Some(kept_reference(&reference))),
        (_, Heard::Declined) => Known::NotPaid,
        (_, Heard::NotKnown) => Known::Nothing("the terminal knows nothing of it".to_owned()),
        (_, Heard::NoAnswer(reason)) => Known::Nothing(reason),
    }
}

/// Keeps what is known, with what follows for the basket. What comes too late changes nothing.
pub fn keep(tx: &Transaction, id: i64, known: &Known) -> rusqlite::Result<()> {
    let Some(intent) = open(tx)?.filter(|intent| intent.id == id) else { return Ok(()) };
    let is_back = intent.state == Progress::Returning;
    let next = match known {
        Known::Paid(_) if !is_back => Progress::Captured,
        Known::NotPaid if !is_back => Progress::Refused,
        Known::GivenBack if is_back => Progress::Returned,
        Known::Kept if is_back => Progress::Captured,
        Known::Nothing(_) if is_back => Progress::Returning,
        Known::Nothing(_) => Progress::InDoubt,
        _ => return Ok(()),
    };
    let (reference, said) = match known {
        Known::Paid(reference) => (reference.as_deref(), None),
        Known::Nothing(reason) => (None, Some(reason.as_str())),
        _ => (None, None),
    };
    tx.prepare_cached(
        "UPDATE payment_intent SET state = ?2, reference = coalesce(?3, reference), said = ?4
         WHERE id = ?1",
    )?
    .execute((id, next.as_str(), reference, said))?;
    match (is_back, next) {
        (false, Progress::Captured) => tx
            .prepare_cached(
                "INSERT INTO basket_tender (basket, no, kind, amount_minor, request, intent)
                 SELECT ?1, coalesce(max(no), 0) + 1, ?2, ?3, ?4, ?5
                 FROM basket_tender WHERE basket = ?1",
            )?
            .execute((
                intent.basket,
                TenderKind::Card.number(),
                intent.amount.0,
                &intent.request,
                id,
            )),
        // A finished basket keeps its tenders: its receipt has them, and a void reverses them.
        (true, Progress::Returned) => tx
            .prepare_cached(
                "DELETE FROM basket_tender WHERE intent = ?1 AND EXISTS
                     (SELECT 1 FROM basket WHERE id = ?2 AND state <> 'done')",
            )?
            .execute((id, intent.basket)),
        _ => Ok(0),
    }
    .map(drop)
}

/// Begins to give a captured amount back, before the terminal is asked to.
pub fn begin_to_give_back(tx: &Transaction, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE payment_intent SET state = 'returning', said = NULL
         WHERE id = ?1 AND state = 'captured'",
    )?
    .execute([id])
    .map(drop)
}

/// Forgets why the last question had no answer, before it is asked again.
pub fn ask_again(tx: &Transaction, id: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE payment_intent SET said = NULL, state = iif(state = 'in_doubt', 'asked', state)
         WHERE id = ?1",
    )?
    .execute([id])
    .map(drop)
}
