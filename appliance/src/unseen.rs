//! The finished basket whose receipt nobody has seen yet
//!
//! There is one at most: a new basket waits until the last receipt was seen, or
//! until a person said what became of it. The file itself refuses a second one.

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::baskets::{Done, read_done};
use crate::payment_intents::{self, Intent};

/// A finished basket of whose receipt it is not known that a person saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unseen {
    /// The basket.
    pub basket: i64,
    /// Its receipt.
    pub done: Done,
    /// What became of it.
    pub verdict: Option<Verdict>,
    /// What a card terminal was asked for it.
    pub intents: Vec<Intent>,
}

/// What a person decided about a receipt that nobody saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It shall be reversed; by whom.
    Void(i64),
    /// It was reversed by the receipt of this number.
    Voided(String),
}

/// The finished basket whose receipt nobody has seen, as far as is known.
pub fn unseen(db: &Connection) -> rusqlite::Result<Option<Unseen>> {
    let found = db
        .prepare_cached(
            "SELECT receipt, number, total_minor, change_minor, signature, id, verdict, verdict_by,
                    void_number
             FROM basket WHERE state = 'done' AND shown = 0",
        )?
        .query_row([], |row| {
            let verdict = match row.get_ref(6)?.as_str_or_null()? {
                Some("void") => Some(Verdict::Void(row.get(7)?)),
                Some(_) => Some(Verdict::Voided(row.get(8)?)),
                None => None,
            };
            Ok(Unseen { basket: row.get(5)?, done: read_done(row)?, verdict, intents: Vec::new() })
        })
        .optional()?;
    let Some(mut unseen) = found else { return Ok(None) };
    unseen.intents = payment_intents::of_basket(db, unseen.basket)?;
    Ok(Some(unseen))
}

/// Marks the receipt of a finished basket as seen by a person.
pub fn is_seen(tx: &Transaction, basket: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket SET shown = 1 WHERE id = ?1 AND state = 'done'")?
        .execute([basket])
        .map(drop)
}

/// Writes down that a receipt which nobody saw shall be reversed, before anything else is done for it.
pub fn is_to_be_void(tx: &Transaction, basket: i64, by: i64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "UPDATE basket SET verdict = 'void', verdict_by = ?2
         WHERE id = ?1 AND state = 'done' AND shown = 0 AND verdict IS NULL",
    )?
    .execute((basket, by))
    .map(drop)
}

/// Takes that back: the person is asked again.
pub fn is_undecided(tx: &Transaction, basket: i64) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket SET verdict = NULL, verdict_by = NULL WHERE id = ?1")?
        .execute([basket])
        .map(drop)
}

/// Notes the receipt that reversed it.
pub fn is_void(tx: &Transaction, basket: i64, number: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("UPDATE basket SET verdict = 'voided', void_number = ?2 WHERE id = ?1")?
        .execute((basket, number))
        .map(drop)
}
