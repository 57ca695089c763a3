//! Customers as a store may know them: number, card, discount
//!
//! A card is kept as a hash, so that a store's file is no list of cards to copy. The
//! hash names no store: a card is good in the whole chain. Card numbers are
//! short, and who tries them all finds them; what protects a customer is that
//! name and address never leave HQ.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};
use sha2::{Digest, Sha256};

/// What a hash of a card is a hash of, so that no other hash can stand for it.
const CARD_TAG: &[u8] = b"selvedge card 1\0";

/// The longest number of a card, without blanks and dashes.
const CARD_CHARS_MAX: usize = 64;

/// The highest discount, in hundredths of a percent: the whole.
const POINTS_MAX: i64 = 10_000;

/// A customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Customer {
    /// The customer's number.
    pub id: i64,
    /// Hundredths of a percent that are taken off what the customer buys.
    pub discount_points: i64,
}

/// A customer as HQ enters one.
#[derive(Debug, Clone, Copy)]
pub struct NewCustomer<'a> {
    /// The customer's number.
    pub id: i64,
    /// The number on the card, as scanned or typed; only its hash is kept.
    pub card: &'a str,
    /// Hundredths of a percent: 500 is 5 %.
    pub discount_points: i64,
}

/// Why a customer was not taken into the list.
#[derive(Debug, thiserror::Error)]
pub enum CustomerError {
    /// The number is not usable.
    #[error("a customer's number is 1 or more, not {0}")]
    Number(i64),
    /// The card is empty, too long or unreadable.
    #[error("the card of customer {0} is empty, longer than 64 characters, or not plain text")]
    Card(i64),
    /// Somebody else has this card.
    #[error("customer {other} already has the card of customer {id}: give each a card of its own")]
    CardTaken {
        /// Who was to have it.
        id: i64,
        /// Who has it.
        other: i64,
    },
    /// The discount is not between nothing and the whole.
    #[error("the discount of customer {id} is {points} hundredths of a percent: 0 to 10,000 fit")]
    Discount {
        /// Whose.
        id: i64,
        /// How much.
        points: i64,
    },
    /// The database refused; nothing was written.
    #[error("the customer was not written")]
    Database(#[from] rusqlite::Error),
}

/// Hashes a card as the database keeps it. Blanks, dashes and the case of
/// letters do not count: a hand types them as it likes.
pub fn card_hash(number: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(CARD_TAG);
    hash.update(plain(number).as_bytes());
    hash.finalize().into()
}

fn plain(number: &str) -> String {
    let kept = number.chars().filter(|letter| !letter.is_whitespace() && *letter != '-');
    kept.map(|letter| letter.to_ascii_uppercase()).collect()
}

/// Whose card this is, if anybody's.
pub fn by_card(db: &Connection, number: &str) -> rusqlite::Result<Option<Customer>> {
    db.prepare_cached(
        "SELECT id, discount_points FROM customer WHERE card = ?1 ORDER BY id LIMIT 1",
    )?
    .query_row([card_hash(number)], read)
    .optional()
}

/// One customer, with the discount of this moment.
pub fn by_id(db: &Connection, id: i64) -> rusqlite::Result<Option<Customer>> {
    db.prepare_cached("SELECT id, discount_points FROM customer WHERE id = ?1")?
        .query_row([id], read)
        .optional()
}

fn read(row: &Row) -> rusqlite::Result<Customer> {
    Ok(Customer { id: row.get(0)?, discount_points: row.get(1)? })
}

/// Writes a customer; `true` if that changed anything. A lost card is replaced
/// by writing the same customer with a new one.
pub fn upsert(tx: &Transaction, new: &NewCustomer) -> Result<bool, CustomerError> {
    let (id, points) = (new.id, new.discount_points);
    if id < 1 {
        return Err(CustomerError::Number(id));
    }
    let card = plain(new.card);
    if !(1..=CARD_CHARS_MAX).contains(&card.len())
        || !card.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(CustomerError::Card(id));
    }
    if !(0..=POINTS_MAX).contains(&points) {
        return Err(CustomerError::Discount { id, points });
    }
    let hash = card_hash(&card);
    let other = by_card(tx, &card)?.filter(|customer| customer.id != id);
    if let Some(Customer { id: other, .. }) = other {
        return Err(CustomerError::CardTaken { id, other });
    }
    let rows = tx
        .prepare_cached(
            "INSERT INTO customer (id, card, discount_points) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE
             SET card = excluded.card, discount_points = excluded.discount_points
             WHERE (card, discount_points) IS NOT (excluded.card, excluded.discount_points)",
        )?
        .execute((id, hash, points))?;
    Ok(rows > 0)
}
