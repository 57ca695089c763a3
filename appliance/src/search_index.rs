//! The catalogue's index, a file that may be thrown away
//!
//! It lies beside the replica and not in it: one virtual table there would end
//! the plain way by which every write of the engine goes
//! (docs/decisions/0010-search-beside-the-replica.md).

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use selvedge_domain::listing::{Listed, Run, Sold};
use selvedge_domain::moment::Moment;
use selvedge_sync::open::{self, Migration, OpenError};

/// A file that knows another name than this one is of another version.
const SCHEMA: &[Migration] = &[Migration { name: "0001_search", sql: include_str!("search.sql") }];

/// Entries have the lower bits of a row id, their rank the upper ones.
const ENTRY_BITS: u32 = 40;

/// Keys of the checkout that stand before all that is sold.
const FAVOURITES_MAX: i64 = 9_999;

/// The rank of what nobody has bought.
const RANK_UNSOLD: i64 = 4_000_000;

/// The rank from which that of sold products counts down.
const RANK_SOLD: f64 = 3_999_999.0;

/// Ranks between a product and one that sold twice as well.
const STEPS: f64 = 4.0;

/// After this time a piece counts half of one that is sold then.
const HALF_LIFE_MS: f64 = 14.0 * 86_400_000.0;

/// Pages that one step of tidying may write.
const TIDY_PAGES: i64 = 250;

/// The index and its one writer.
#[derive(Debug)]
pub struct Index {
    db: Connection,
}

/// What one write brings into the index.
#[derive(Debug, Default)]
pub struct News {
    /// Products with what they are found by; `None`: no longer sold.
    pub products: Vec<(i64, Option<Listed>)>,
    /// Receipts of a device, by its number.
    pub runs: Vec<(i64, Run)>,
    /// Number of the last change among them.
    pub reached: i64,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be opened or made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read or written.
    #[error("{0}")]
    Database(#[from] rusqlite::Error),
    /// An unusable one cannot be taken away.
    #[error("{} cannot be removed ({cause}): remove it by hand, it is made anew", file.display())]
    Remove {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// The files of an index: SQLite keeps two beside the first.
fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    })
}

impl Index {
    /// Opens the index of a replica, and makes a new one where there is none,
    /// where it is of another version or replica, or where it does not open.
    pub fn open(path: &Path, replica: &str, newest: i64) -> Result<Index, IndexError> {
        match Index::kept(path, replica, newest) {
            Ok(Some(index)) => return Ok(index),
            Ok(None) => {}
            Err(error) => tracing::info!(%error, "the index of the catalogue is made anew"),
        }
        Index::remove(path)?;
        let index = Index { db: open::local(path, None, SCHEMA)? };
        let begun = index
            .db
            .execute("INSERT INTO standing (one, replica, change) VALUES (1, ?1, 0)", [replica]);
        begun?;
        Ok(index)
    }

    fn kept(path: &Path, replica: &str, newest: i64) -> Result<Option<Index>, IndexError> {
        if !path.is_file() {
            return Ok(None);
        }
        let index = Index { db: open::local(path, None, SCHEMA)? };
        let standing: Option<(String, i64)> = index
            .db
            .query_row("SELECT replica, change FROM standing", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        // A replica that was put back to an older copy has fewer changes than were followed.
        let fits = standing.is_some_and(|(of, change)| of == replica && change <= newest);
        Ok(fits.then_some(index))
    }

    /// Removes the files of an index; none there is as good.
    pub fn remove(path: &Path) -> Result<(), IndexError> {
        for file in files(path) {
            match std::fs::remove_file(&file) {
                Err(cause) if cause.kind() != ErrorKind::NotFound => {
                    return Err(IndexError::Remove { file, cause });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Number of the last change of the replica that is in it.
    pub fn reached(&self) -> rusqlite::Result<i64> {
        self.db.prepare_cached("SELECT change FROM standing")?.query_row([], |row| row.get(0))
    }

    /// Up to which receipt a device was followed; `None` for one that was never heard of.
    pub fn followed(&self, device: i64) -> rusqlite::Result<Option<i64>> {
        self.db
            .prepare_cached("SELECT receipt FROM followed WHERE device = ?1")?
            .query_row([device], |row| row.get(0))
            .optional()
    }

    /// Writes what is new, in one transaction. `listed` says what a product is
    /// found by; nothing sold counts as later than `now`.
    pub fn take(
        &mut self,
        news: &News,
        now: Moment,
        listed: impl Fn(i64) -> rusqlite::Result<Option<Listed>>,
    ) -> rusqlite::Result<()> {
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (product, words) in &news.products {
            put(&tx, *product, words.as_ref())?;
        }
        for (device, run) in &news.runs {
            for sold in &run.sold {
                if sell(&tx, sold, now)? {
                    put(&tx, sold.product, listed(sold.product)?.as_ref())?;
                }
            }
            if let Some(last) = run.last {
                tx.prepare_cached(
                    "INSERT INTO followed (device, receipt) VALUES (?1, ?2)
                     ON CONFLICT (device) DO UPDATE SET receipt = excluded.receipt",
                )?
                .execute((device, last))?;
            }
        }
        tx.prepare_cached("UPDATE standing SET change = ?1")?.execute([news.reached])?;
        tx.commit()
    }

    /// Merges some of what was written in pieces. Says whether there may be more.
    pub fn tidy(&self) -> rusqlite::Result<bool> {
        let before = self.db.total_changes();
        self.db
            .prepare_cached("INSERT INTO word (word, rank) VALUES ('merge', ?1)")?
            .execute([TIDY_PAGES])?;
        // One change is the insert of the order itself.
        Ok(self.db.total_changes() > before + 1)
    }
}

/// Puts a product at its place, found by these words; without words it goes.
fn put(tx: &Transaction, product: i64, words: Option<&Listed>) -> rusqlite::Result<()> {
    let kept: Option<(i64, i64)> = tx
        .prepare_cached("SELECT id, rank FROM entry WHERE product = ?1")?
        .query_row([product], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((entry, rank)) = kept {
        tx.prepare_cached("DELETE FROM word WHERE rowid = ?1")?.execute([row_of(entry, rank)])?;
    }
    let Some(words) = words else {
        tx.prepare_cached("DELETE FROM entry WHERE product = ?1")?.execute([product])?;
        return Ok(());
    };
    let rank = match words.favourite {
        Some(place) => place.clamp(0, FAVOURITES_MAX),
        None => rank_of(weight(tx, product)?),
    };
    let entry = match kept {
        Some((entry, _)) => {
            tx.prepare_cached("UPDATE entry SET rank = ?2 WHERE id = ?1")?
                .execute((entry, rank))?;
            entry
        }
        None => {
            tx.prepare_cached("INSERT INTO entry (product, rank) VALUES (?1, ?2)")?
                .execute((product, rank))?;
            tx.last_insert_rowid()
        }
    };
    tx.prepare_cached("INSERT INTO word (rowid, words) VALUES (?1, ?2)")?
        .execute((row_of(entry, rank), &words.words))?;
    Ok(())
}

/// Counts pieces. Says whether the product must be put at another place.
fn sell(tx: &Transaction, sold: &Sold, now: Moment) -> rusqlite::Result<bool> {
    let before = weight(tx, sold.product)?;
    let at = sold.at.0.min(now.0).max(0);
    let pieces = (sold.pieces.max(1) as f64).log2() + at as f64 / HALF_LIFE_MS;
    let after = before.map_or(pieces, |before| {
        let (low, high) = if before < pieces { (before, pieces) } else { (pieces, before) };
        high + (1.0 + (low - high).exp2()).log2()
    });
    tx.prepare_cached(
        "INSERT INTO sold (product, weight) VALUES (?1, ?2)
         ON CONFLICT (product) DO UPDATE SET weight = excluded.weight",
    )?
    .execute((sold.product, after))?;
    if rank_of(before) == rank_of(Some(after)) {
        return Ok(false);
    }
    // A favourite stays where it is, and what is not listed yet comes with its change.
    tx.prepare_cached("SELECT 1 FROM entry WHERE product = ?1 AND rank > ?2")?
        .exists((sold.product, FAVOURITES_MAX))
}

fn weight(tx: &Transaction, product: i64) -> rusqlite::Result<Option<f64>> {
    tx.prepare_cached("SELECT weight FROM sold WHERE product = ?1")?
        .query_row([product], |row| row.get(0))
        .optional()
}

/// Small for what sold well of late.
fn rank_of(weight: Option<f64>) -> i64 {
    let Some(weight) = weight else { return RANK_UNSOLD };
    let rank = (RANK_SOLD - (weight * STEPS).floor()) as i64;
    rank.clamp(FAVOURITES_MAX + 1, RANK_UNSOLD - 1)
}

fn row_of(entry: i64, rank: i64) -> i64 {
    assert!((1..1 << ENTRY_BITS).contains(&entry), "an entry fits its half of a row id");
    assert!((0..=RANK_UNSOLD).contains(&rank), "a rank fits its half of a row id");
    rank << ENTRY_BITS | entry
}

/// The products that answer a question, the best first.
pub fn ask(db: &Connection, question: &str, limit: u32) -> rusqlite::Result<Vec<i64>> {
    // The row id of a word is its rank and its entry: its order is the answer's,
    // so the index is read no further than to the last product that is shown.
    db.prepare_cached(
        "SELECT entry.product FROM word JOIN entry ON entry.id = word.rowid & ((1 << 40) - 1)
         WHERE word MATCH ?1 ORDER BY word.rowid LIMIT ?2",
    )?
    .query_map((question, limit), |row| row.get(0))?
    .collect()
}
