//! What HQ derives of receipts, behind their commits
//!
//! A receipt that comes in is only put behind the others, in the order of arrival. What pages and /v1 show of it is derived
//! later and for many at once: sums of its device, balances of its store, its places in lists. How far that has come moves
//! in the same transaction, so each receipt counts once, whenever the power goes. Whoever asks lets HQ catch up first.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use selvedge_domain::moment::Moment;
use selvedge_sync::row_id;

use crate::sums::{self, Sum};

/// Receipts that are derived in one transaction at most.
pub const BATCH: usize = 20_000;

/// Receipts of one device whose numbers lie farther apart are read by themselves.
const FAR: i64 = 4_096;

/// A receipt that came.
struct Came {
    receipt: i64,
    arrival: i64,
    store: i64,
}

/// What a batch comes to.
#[derive(Default)]
struct Batch {
    sums: BTreeMap<(i64, i64), Sum>,
    /// By store and SKU: what is on hand more, and the newest moment in it.
    stock: HashMap<(i64, i64), (i64, i64)>,
}

/// Up to which arrival all is derived.
pub fn upto(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT min(upto) FROM hq_derived")?.query_row([], |row| row.get(0))
}

/// When the first receipt came that is not derived yet; `None` when all are.
pub fn waits_since(db: &Connection) -> rusqlite::Result<Option<Moment>> {
    db.prepare_cached(
        "SELECT at FROM hq_receipt_arrival WHERE arrival > (SELECT min(upto) FROM hq_derived)
         ORDER BY arrival LIMIT 1",
    )?
    .query_row([], |row| row.get(0))
    .optional()
}

/// How many receipts are not derived yet.
pub fn waiting(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT count(*) FROM hq_receipt_arrival WHERE arrival > (SELECT min(upto) FROM hq_derived)",
    )?
    .query_row([], |row| row.get(0))
}

/// Derives the next batch in a transaction of its own; says whether more is waiting.
pub fn catch_up(db: &Connection) -> rusqlite::Result<bool> {
    if waits_since(db)?.is_none() {
        return Ok(false);
    }
    let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let mut came = next(&tx)?;
    let Some(last) = came.last().map(|came| came.arrival) else { return Ok(false) };
    let more = came.len() == BATCH;
    came.sort_unstable_by_key(|came| came.receipt);
    let mut batch = Batch::default();
    for run in came.chunk_by(|one, next| next.receipt - one.receipt <= FAR) {
        batch.read(&tx, run)?;
    }
    batch.write(&tx)?;
    write_places(&tx, &mut came)?;
    tx.prepare_cached("UPDATE hq_derived SET upto = ?1")?.execute([last])?;
    tx.commit()?;
    Ok(more)
}

/// The next receipts in the order in which they came. HQ's clock may have gone back; the moments of arrival do not.
fn next(tx: &Transaction<'_>) -> rusqlite::Result<Vec<Came>> {
    let upto = upto(tx)?;
    let mut newest: i64 = tx
        .prepare_cached(
            "SELECT at FROM hq_receipt_arrival WHERE arrival <= ?1 ORDER BY arrival DESC LIMIT 1",
        )?
        .query_row([upto], |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let mut rise = tx.prepare_cached("UPDATE hq_receipt_arrival SET at = ?2 WHERE arrival = ?1")?;
    let mut select = tx.prepare_cached(
        "SELECT arrival, receipt, store, at FROM hq_receipt_arrival WHERE arrival > ?1
         ORDER BY arrival LIMIT ?2",
    )?;
    let mut rows = select.query((upto, BATCH as i64))?;
    let (mut came, mut late) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (arrival, at): (i64, i64) = (row.get(0)?, row.get(3)?);
        if at < newest {
            late.push((arrival, newest));
        }
        newest = newest.max(at);
        came.push(Came { receipt: row.get(1)?, arrival, store: row.get(2)? });
    }
    for (arrival, at) in late {
        rise.execute([arrival, at])?;
    }
    Ok(came)
}

impl Batch {
    /// Reads receipts of one device, ascending, with one question for all of them and one for their lines.
    fn read(&mut self, tx: &Transaction<'_>, run: &[Came]) -> rusqlite::Result<()> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let between = (first.receipt, last.receipt);
        let mut select = tx.prepare_cached(
            "SELECT id, store, at, kind, total_minor, tax_minor FROM receipt
             WHERE id BETWEEN ?1 AND ?2 ORDER BY id",
        )?;
        let mut rows = select.query([between.0, between.1])?;
        let mut wanted = run.iter().map(|came| came.receipt).peekable();
        let mut found: Vec<(i64, i64, i64)> = Vec::with_capacity(run.len());
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            while wanted.next_if(|wanted| *wanted < id).is_some() {}
            if wanted.next_if_eq(&id).is_none() {
                continue;
            }
            let at: i64 = row.get(2)?;
            found.push((id, row.get(1)?, at));
            let sum = Sum::of_receipt(id, row.get(3)?, row.get(4)?, row.get(5)?);
            for day in [sums::EVER, sums::day_of(Moment(at.max(0)))] {
                let of_day = self.sums.entry((day, row_id::unpack(id).0)).or_default();
                *of_day = of_day.and(sum);
            }
        }
        self.read_lines(tx, between, &found)
    }

    /// Reads the lines of receipts: id, store and moment of each, ascending.
    fn read_lines(
        &mut self,
        tx: &Transaction<'_>,
        between: (i64, i64),
        receipts: &[(i64, i64, i64)],
    ) -> rusqlite::Result<()> {
        let mut select = tx.prepare_cached(
            "SELECT receipt, sku, quantity FROM receipt_line WHERE receipt BETWEEN ?1 AND ?2
             ORDER BY receipt",
        )?;
        let mut rows = select.query([between.0, between.1])?;
        let mut left = receipts.iter().peekable();
        while let Some(row) = rows.next()? {
            let receipt: i64 = row.get(0)?;
            while left.next_if(|(id, ..)| *id < receipt).is_some() {}
            if let Some((_, store, at)) = left.peek().filter(|(id, ..)| *id == receipt) {
                let quantity: i64 = row.get(2)?;
                self.moves(*store, row.get(1)?, quantity.saturating_neg(), *at);
            }
        }
        Ok(())
    }

    /// A balance changes. One that cannot be counted any more stays at its end.
    fn moves(&mut self, store: i64, sku: i64, quantity: i64, at: i64) {
        let balance = self.stock.entry((store, sku)).or_insert((0, i64::MIN));
        *balance = (balance.0.saturating_add(quantity), balance.1.max(at));
    }

    /// Adds it to what was derived before, in the order of the keys.
    fn write(self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        for ((day, device), sum) in &self.sums {
            sums::add(tx, *day, *device, sum)?;
        }
        let mut stock: Vec<_> = self.stock.into_iter().collect();
        stock.sort_unstable();
        let mut add = tx.prepare_cached(
            "INSERT INTO stock_balance (store, sku, on_hand, changed_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (store, sku) DO UPDATE
             SET on_hand = CAST(on_hand + excluded.on_hand AS INTEGER),
                 changed_at = max(changed_at, excluded.changed_at)",
        )?;
        let mut place = tx.prepare_cached(
            "INSERT INTO hq_stock_change (store, sku, change) VALUES (?1, ?2, ?3)
             ON CONFLICT (store, sku) DO UPDATE SET change = excluded.change",
        )?;
        let first = newest_change(tx)? + 1;
        for (((store, sku), (on_hand, at)), change) in stock.into_iter().zip(first..) {
            add.execute((store, sku, on_hand, at))?;
            place.execute((store, sku, change))?;
        }
        Ok(())
    }
}

/// Where each receipt stands, by itself and in its store.
fn write_places(tx: &Transaction<'_>, came: &mut [Came]) -> rusqlite::Result<()> {
    let mut of_receipt = tx.prepare_cached(
        "INSERT OR IGNORE INTO hq_arrival_of_receipt (receipt, arrival) VALUES (?1, ?2)",
    )?;
    for came in &*came {
        of_receipt.execute((came.receipt, came.arrival))?;
    }
    came.sort_unstable_by_key(|came| (came.store, came.arrival));
    let mut of_store =
        tx.prepare_cached("INSERT INTO hq_arrival_of_store (store, arrival) VALUES (?1, ?2)")?;
    for came in &*came {
        of_store.execute((came.store, came.arrival))?;
    }
    Ok(())
}

fn newest_change(tx: &Transaction<'_>) -> rusqlite::Result<i64> {
    tx.prepare_cached("SELECT coalesce(max(change), 0) FROM hq_stock_change")?
        .query_row([], |row| row.get(0))
}

/// Whether what is derived belongs to the facts of this database.
pub fn is_sound(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) = 1 FROM hq_derived", [], |row| row.get(0))
}

/// Forgets all that was derived, so that the next batches derive it anew; after the database was made anew from another.
/// Whoever follows the stock hears of every balance again.
pub fn forget(db: &Connection) -> rusqlite::Result<()> {
    let tx = Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    let changes = newest_change(&tx)?;
    tx.execute_batch(
        "DELETE FROM hq_receipt_arrival WHERE receipt NOT IN (SELECT id FROM receipt)
             OR arrival NOT IN (SELECT min(arrival) FROM hq_receipt_arrival GROUP BY receipt);
         INSERT INTO hq_receipt_arrival (receipt, store, at)
         SELECT id, store, CAST(unixepoch('subsec') * 1000 AS INTEGER) FROM receipt
         WHERE id NOT IN (SELECT receipt FROM hq_receipt_arrival) ORDER BY id;
         DELETE FROM hq_receipt_sum;
         DELETE FROM hq_arrival_of_receipt;
         DELETE FROM hq_arrival_of_store;
         DELETE FROM hq_stock_change;
         DELETE FROM stock_balance;
         DELETE FROM hq_derived;
         INSERT INTO hq_derived VALUES (randomblob(16), 0);",
    )?;
    // The next change gets a number that nobody has read past.
    tx.execute("INSERT INTO hq_stock_change (store, sku, change) VALUES (0, 0, ?1)", [changes])?;
    let mut moved = Batch::default();
    let mut select = tx.prepare("SELECT store, sku, quantity, at FROM stock_movement")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        moved.moves(row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    }
    drop(rows);
    drop(select);
    moved.write(&tx)?;
    tx.commit()
}
