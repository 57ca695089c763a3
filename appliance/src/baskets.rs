//! The basket being rung up, in a database file of its own
//!
//! Every tap is committed here before the screen shows it, and with it the
//! request that asked for it: the same request again finds its first answer.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};
use selvedge_sync::open::{self, Migration, OpenError};

use crate::payment_intents::{self, Intent};

/// Name of the file in the data folder.
pub const FILE_NAME: &str = "baskets.sqlite";

const SCHEMA: &[Migration] = &[
    Migration { name: "0001_baskets", sql: include_str!("baskets.sql") },
    Migration { name: "0002_discounts", sql: include_str!("baskets_discounts.sql") },
    Migration { name: "0003_payment", sql: include_str!("baskets_payment.sql") },
];

/// How many requests are remembered; a form older than that has long been replaced.
const REQUESTS_KEPT: i64 = 20_000;

/// The baskets of this device.
#[derive(Debug)]
pub struct Baskets {
    db: Connection,
    /// The basket whose payment began since this program started: whoever paid is still there.
    pub paid_here: Option<i64>,
    /// The basket whose receipt was sent to a page since then; not known yet to have arrived.
    pub sent: Option<i64>,
}

/// How far a basket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Lines may come and go.
    Open,
    /// Its receipt is being written, or was when the power went.
    Paying,
}

/// A basket that is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basket {
    /// Its number on this device.
    pub id: i64,
    /// How far it is.
    pub stage: Stage,
    /// Moves with each change.
    pub revision: i64,
    /// Live lines, the newest touched last.
    pub lines: Vec<Line>,
    /// What was taken for it so far.
    pub tenders: Vec<Taken>,
    /// The customer's number, when a card was scanned.
    pub customer: Option<i64>,
    /// Hundredths of a percent that the cashier takes off the whole.
    pub discount_points: i64,
    /// What the cashier takes off the whole as an amount.
    pub discount_minor: i64,
    /// What a card terminal was asked for it, the oldest first.
    pub intents: Vec<Intent>,
}

impl Basket {
    /// What a card terminal or a person still has to answer.
    pub fn waits_for(&self) -> Option<&Intent> {
        self.intents.iter().find(|intent| intent.state.is_open())
    }
}

/// One live line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number in the basket.
    pub no: i64,
    /// What it is.
    pub sku: i64,
    /// What was scanned, when it was.
    pub gtin: Option<String>,
    /// How many.
    pub quantity: i64,
    /// Hundredths of a percent taken off.
    pub discount_points: i64,
    /// A price other than the catalogue's.
    pub open_price_minor: Option<i64>,
}

/// A tender taken for the basket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Its number in the basket.
    pub no: i64,
    /// As the domain numbers the kinds.
    pub kind: i64,
    /// What was handed over or charged.
    pub amount_minor: i64,
    /// The intent that a card terminal approved.
    pub intent: Option<i64>,
}

/// A basket whose receipt is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paying {
    /// The basket.
    pub basket: i64,
    /// The number its receipt gets.
    pub receipt_no: i64,
    /// The moment its receipt bears.
    pub at: i64,
    /// Who takes the money.
    pub cashier: i64,
    /// The request that completed the payment.
    pub request: String,
}

/// The receipt that finished a basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Row id of the receipt.
    pub receipt: i64,
    /// Its number as people read it.
    pub number: String,
    /// What it came to.
    pub total_minor: i64,
    /// What was given back.
    pub change_minor: i64,
    /// First digits of the entry's hash, or nothing when it was found after a crash.
    pub signature: String,
}

/// A sign-on as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSignOn {
    /// What each form of this sign-on carries.
    pub csrf: String,
    /// Who it is.
    pub employee: i64,
}

impl Baskets {
    /// Opens the file, and makes it when there is none.
    pub fn open(path: &Path) -> Result<Baskets, OpenError> {
        Ok(Baskets { db: open::local(path, None, SCHEMA)?, paid_here: None, sent: None })
    }

    /// Makes a change that no request asked for.
    pub fn change<T, E: From<rusqlite::Error>>(
        &mut self,
        act: impl FnOnce(&Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = act(&tx)?;
        tx.commit()?;
        Ok(done)
    }

    /// Where a request led, if it was answered.
    pub fn answered(&self, request: &str) -> rusqlite::Result<Option<String>> {
        self.db
            .prepare_cached("SELECT answer FROM request WHERE id = ?1 AND answer IS NOT NULL")?
            .query_row([request], |row| row.get(0))
            .optional()
    }

    /// Runs one act of a request, once: a request that was answered is answered the same.
    ///
    /// The act, its row in `request` and the basket's new revision are one
    /// transaction. `Ok(None)` leaves the request open until `answer`.
    pub fn once<E: From<rusqlite::Error>>(
        &mut self,
        request: &str,
        act: impl FnOnce(&Transaction) -> Result<Option<String>, E>,
    ) -> Result<Option<String>, E> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known: Option<Option<String>> = tx
            .prepare_cached("SELECT answer FROM request WHERE id = ?1")?
            .query_row([request], |row| row.get(0))
            .optional()?;
        if let Some(answer) = known {
            return Ok(answer);
        }
        let answer = act(&tx)?;
        tx.prepare_cached(
            "INSERT INTO request (id, serial, answer)
             VALUES (?1, (SELECT coalesce(max(serial), 0) + 1 FROM request), ?2)",
        )?
        .execute((request, &answer))?;
        tx.prepare_cached(
            "DELETE FROM request WHERE serial <= (SELECT max(serial) FROM request) - ?1",
        )?
        .execute([REQUESTS_KEPT])?;
        tx.prepare_cached("UPDATE basket SET revision = revision + 1 WHERE state <> 'done'")?
            .execute([])?;
        tx.commit()?;
        Ok(answer)
    }

    /// The basket that is open or being paid.
    pub fn current(&self) -> rusqlite::Result<Option<Basket>> {
        current(&self.db)
    }

    /// The receipt of the newest finished basket.
    pub fn last_done(&self) -> rusqlite::Result<Option<Done>> {
        self.db
            .prepare_cached(
                "SELECT receipt, number, total_minor, change_minor, signature FROM basket
                 WHERE state = 'done' AND number IS NOT NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row([], read_done)
            .optional()
    }

    /// Asks the file.
    pub fn ask<T>(&self, question: impl FnOnce(&Connection) -> T) -> T {
        question(&self.db)
    }

    /// The basket that was being paid when it was last heard of.
    pub fn paying(&self) -> rusqlite::Result<Option<Paying>> {
        self.db
            .prepare_cached(
                "SELECT id, receipt_no, paying_at, cashier, paying_request FROM basket
                 WHERE state = 'paying'",
            )?
            .query_row([], |row| {
                Ok(Paying {
                    basket: row.get(0)?,
                    receipt_no: row.get(1)?,
                    at: row.get(2)?,
                    cashier: row.get(3)?,
                    request: row.get(4)?,
                })
            })
            .optional()
    }

    /// Marks the basket as done by its receipt, and answers the request that paid it.
    pub fn finish(&mut self, paying: &Paying, done: &Done, answer: &str) -> rusqlite::Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached(
            "UPDATE basket SET state = 'done', receipt = ?2, number = ?3, total_minor = ?4,
             change_minor = ?5, signature = ?6 WHERE id = ?1",
        )?
        .execute((
            paying.basket,
            done.receipt,
            &done.number,
            done.total_minor,
            done.change_minor,
            &done.signature,
        ))?;
        tx.prepare_cached("UPDATE request SET answer = ?2 WHERE id = ?1")?
            .execute((&paying.request, answer))?;
        forget_old(&tx, paying.basket)?;
        tx.commit()
    }

    /// Opens the basket again as if the request that should have paid it had never come.
    pub fn reopen(&mut self, paying: &Paying) -> rusqlite::Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.prepare_cached(
            "UPDATE basket SET state = 'open', revision = revision + 1, receipt_no = NULL,
             paying_at = NULL, paying_request = NULL WHERE id = ?1",
        )?
        .execute([paying.basket])?;
        // What a terminal has charged stays charged.
        tx.prepare_cached(
            "DELETE FROM basket_tender WHERE basket = ?1 AND request = ?2 AND intent IS NULL",
        )?
        .execute((paying.basket, &paying.request))?;
        tx.prepare_cached("DELETE FROM request WHERE id = ?1")?.execute([&paying.request])?;
        tx.commit()
    }

    /// Keeps a sign-on, and only it: one person stands before a screen.
    pub fn keep_sign_on(
        &mut self,
        cookie: &[u8],
        kept: &KeptSignOn,
        at: i64,
    ) -> rusqlite::Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute("DELETE FROM sign_on", [])?;
        tx.execute(
            "INSERT INTO sign_on (cookie, csrf, employee, at) VALUES (?1, ?2, ?3, ?4)",
            (cookie, &kept.csrf, kept.employee, at),
        )?;
        tx.commit()
    }

    /// The sign-on of a cookie's hash.
    pub fn sign_on(&self, cookie: &[u8]) -> rusqlite::Result<Option<KeptSignOn>> {
        self.db
            .prepare_cached("SELECT csrf, employee FROM sign_on WHERE cookie = ?1")?
            .query_row([cookie], |row| Ok(KeptSignOn { csrf: row.get(0)?, employee: row.get(1)? }))
            .optional()
    }

    /// Ends every sign-on of this device.
    pub fn sign_off(&mut self) -> rusqlite::Result<()> {
        self.db.execute("DELETE FROM sign_on", []).map(drop)
    }
}

/// The basket that is open or being paid.
pub fn current(db: &Connection) -> rusqlite::Result<Option<Basket>> {
    let found: Option<Basket> = db
        .prepare_cached(
            "SELECT id, state = 'paying', revision, customer, discount_points, discount_minor
             FROM basket WHERE state <> 'done'",
        )?
        .query_row([], |row| {
            Ok(Basket {
                id: row.get(0)?,
                stage: if row.get(1)? { Stage::Paying } else { Stage::Open },
                revision: row.get(2)?,
                lines: Vec::new(),
                tenders: Vec::new(),
                customer: row.get(3)?,
                discount_points: row.get(4)?,
                discount_minor: row.get(5)?,
                intents: Vec::new(),
            })
        })
        .optional()?;
    let Some(mut basket) = found else { return Ok(None) };
    basket.lines = lines(db, basket.id)?;
    basket.tenders = tenders(db, basket.id)?;
    basket.intents = payment_intents::of_basket(db, basket.id)?;
    Ok(Some(basket))
}

fn lines(db: &Connection, basket: i64) -> rusqlite::Result<Vec<Line>> {
    db.prepare_cached(
        "SELECT no, sku, gtin, quantity, discount_points, open_price_minor FROM basket_line
         WHERE basket = ?1 AND state = 'live' ORDER BY touched, no",
    )?
    .query_map([basket], |row| {
        Ok(Line {
            no: row.get(0)?,
            sku: row.get(1)?,
            gtin: row.get(2)?,
            quantity: row.get(3)?,
            discount_points: row.get(4)?,
            open_price_minor: row.get(5)?,
        })
    })?
    .collect()
}

fn tenders(db: &Connection, basket: i64) -> rusqlite::Result<Vec<Taken>> {
    db.prepare_cached(
        "SELECT no, kind, amount_minor, intent FROM basket_tender WHERE basket = ?1 ORDER BY no",
    )?
    .query_map([basket], |row| {
        Ok(Taken {
            no: row.get(0)?,
            kind: row.get(1)?,
            amount_minor: row.get(2)?,
            intent: row.get(3)?,
        })
    })?
    .collect()
}

/// A receipt from the first five columns of a row.
pub fn read_done(row: &Row) -> rusqlite::Result<Done> {
    Ok(Done {
        receipt: row.get(0)?,
        number: row.get(1)?,
        total_minor: row.get(2)?,
        change_minor: row.get(3)?,
        signature: row.get(4)?,
    })
}

/// Old baskets are receipts by now; the newest finished one stays for the screen.
fn forget_old(tx: &Transaction, newest: i64) -> rusqlite::Result<()> {
    for sql in [
        "DELETE FROM basket_line WHERE basket < ?1",
        "DELETE FROM payment_intent WHERE basket < ?1",
        "DELETE FROM basket_tender WHERE basket < ?1",
        "DELETE FROM basket WHERE id < ?1 AND state = 'done'",
    ] {
        tx.prepare_cached(sql)?.execute([newest])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::basket_rows::{add_line, add_tender, begin_paying, open_or_new};

    fn baskets(folder: &tempfile::TempDir) -> Baskets {
        Baskets::open(&folder.path().join(FILE_NAME)).unwrap()
    }

    fn ring(baskets: &mut Baskets, request: &str) -> Option<String> {
        baskets
            .once(request, |tx| {
                let basket = open_or_new(tx, 1)?;
                add_line(tx, basket, 7, None, 1)?;
                Ok::<_, rusqlite::Error>(Some("/checkout".to_owned()))
            })
            .unwrap()
    }

    fn pay(baskets: &mut Baskets, request: &str) -> Paying {
        let basket = baskets.current().unwrap().unwrap().id;
        let paying =
            Paying { basket, receipt_no: 1, at: 5, cashier: 3, request: request.to_owned() };
        baskets
            .once(request, |tx| {
                add_tender(tx, basket, 1, 500, request)?;
                begin_paying(tx, &paying)?;
                Ok::<_, rusqlite::Error>(None)
            })
            .unwrap();
        paying
    }

    #[test]
    fn the_same_request_counts_once_even_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = baskets(&folder);
        assert_eq!(ring(&mut first, "a").as_deref(), Some("/checkout"));
        assert_eq!(ring(&mut first, "a").as_deref(), Some("/checkout"));
        drop(first);
        let mut again = baskets(&folder);
        ring(&mut again, "a");
        ring(&mut again, "b");
        let basket = again.current().unwrap().unwrap();
        assert_eq!(basket.lines.len(), 2);
        assert_eq!(basket.revision, 2);
    }

    #[test]
    fn a_basket_of_an_older_build_is_still_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let old = open::local(&path, None, &SCHEMA[..1]).unwrap();
        old.execute_batch(
            "INSERT INTO basket (id, state, opened_at) VALUES (4, 'open', 1);
             INSERT INTO basket_line (basket, no, sku, quantity, touched) VALUES (4, 1, 7, 2, 1)",
        )
        .unwrap();
        drop(old);
        let basket = baskets(&folder).current().unwrap().unwrap();
        assert_eq!((basket.id, basket.lines.len(), basket.lines[0].quantity), (4, 1, 2));
        assert_eq!((basket.customer, basket.discount_points, basket.discount_minor), (None, 0, 0));
    }

    #[test]
    fn a_reopened_basket_is_as_before_the_request_that_should_have_paid_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut baskets = baskets(&folder);
        ring(&mut baskets, "a");
        let paying = pay(&mut baskets, "p");
        assert_eq!(baskets.paying().unwrap(), Some(paying.clone()));
        baskets.reopen(&paying).unwrap();
        let basket = baskets.current().unwrap().unwrap();
        assert_eq!((basket.stage, basket.tenders.len()), (Stage::Open, 0));
        assert_eq!(pay(&mut baskets, "p"), paying, "the same request may now pay it");
    }

    #[test]
    fn a_finished_basket_answers_its_request_and_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut baskets = baskets(&folder);
        ring(&mut baskets, "a");
        let paying = pay(&mut baskets, "p");
        let done = Done {
            receipt: 9,
            number: "T1-000001".to_owned(),
            total_minor: 400,
            change_minor: 100,
            signature: "9f3ac21e".to_owned(),
        };
        baskets.finish(&paying, &done, "/checkout/done").unwrap();
        assert_eq!(ring(&mut baskets, "p").as_deref(), Some("/checkout/done"));
        assert_eq!(baskets.current().unwrap(), None);
        assert_eq!(baskets.last_done().unwrap(), Some(done));
    }
}
