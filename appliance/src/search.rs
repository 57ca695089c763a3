//! Finds products by the beginnings of their words
//!
//! What is asked for most stands first: the keys of the checkout, then what
//! sold well of late. One thread keeps the index current in small steps; a
//! search never waits for it and finds what was there before the step.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use rusqlite::Connection;
use selvedge_domain::listing;
use selvedge_domain::moment::Moment;
use selvedge_sync::open::{self, OpenError};
use selvedge_sync::origin::Origin;

use crate::search_index::{self, Index, IndexError, News};
use crate::search_words;

/// Name of the index's file in the data folder.
pub const FILE_NAME: &str = "search.db";

/// The most products that one search gives.
pub const FOUND_MAX: u32 = 24;

/// Products that one step takes in: some ten milliseconds of work.
const PRODUCTS_PER_STEP: u32 = 250;

/// The same while so much is missing that a store's first list is coming in.
const PRODUCTS_PER_LONG_STEP: u32 = 2_000;

/// So many changes behind, steps are long.
const LONG_BEHIND: i64 = 50_000;

/// So many changes behind, a person is told that some things cannot be found yet.
const BEHIND_SAID: i64 = 2_000;

/// Receipts that one step follows.
const RECEIPTS_PER_STEP: u32 = 200;

/// Receipts of each device that a new index begins with.
const RECEIPTS_AT_FIRST: u32 = 5_000;

/// A product that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The product.
    pub product: i64,
}

/// How far the index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// What was here a moment ago can be found.
    Current,
    /// It is being made: this share of a hundred is in it.
    Growing(u8),
}

/// What a step left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Nothing.
    Nothing,
    /// More is new.
    More,
    /// Nothing is new, but what was written in pieces may be merged.
    Tidying,
}

/// Why a step was not made.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The index cannot be made.
    #[error("the index of the catalogue cannot be made: {0}")]
    Index(#[from] IndexError),
    /// It cannot be opened for reading.
    #[error("the index of the catalogue cannot be opened: {0}")]
    Open(#[from] OpenError),
    /// A database cannot be read or written.
    #[error("the index of the catalogue stands still: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The search of one device.
#[derive(Debug)]
pub struct Search {
    path: PathBuf,
    replica: String,
    origin: Origin,
    index: Mutex<Option<Index>>,
    reader: Mutex<Option<Connection>>,
    torn: AtomicBool,
    newest: AtomicI64,
    reached: AtomicI64,
}

impl Search {
    /// The search beside the replica that lies at `replica`. Opens nothing yet.
    pub fn beside(replica: &Path, origin: Origin) -> Search {
        Search {
            path: replica.with_file_name(FILE_NAME),
            replica: name_of(replica, origin),
            origin,
            index: Mutex::new(None),
            reader: Mutex::new(None),
            torn: AtomicBool::new(false),
            newest: AtomicI64::new(0),
            reached: AtomicI64::new(0),
        }
    }

    /// The products whose words begin with those of the text, the best first.
    ///
    /// Any text is good: what holds neither letter nor digit finds nothing.
    /// Blocks for a few milliseconds: call it on a blocking thread.
    pub fn find(&self, text: &str, limit: u32) -> Vec<Found> {
        let Some(question) = search_words::question(text) else { return Vec::new() };
        let limit = limit.min(FOUND_MAX);
        match self.asked(&question, limit) {
            Ok(products) => products.into_iter().map(|product| Found { product }).collect(),
            Err(error) => {
                tracing::warn!(%error, "the index of the catalogue did not answer");
                Vec::new()
            }
        }
    }

    fn asked(&self, question: &str, limit: u32) -> Result<Vec<i64>, SearchError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.is_none() && self.path.is_file() {
            *reader = Some(open::reader(&self.path, None, self.origin)?);
        }
        let Some(db) = reader.as_ref() else { return Ok(Vec::new()) };
        let answer = search_index::ask(db, question, limit);
        if let Err(error) = &answer {
            self.torn.fetch_or(is_torn(error), Ordering::Relaxed);
            *reader = None;
        }
        Ok(answer?)
    }

    /// Whether everything can be found.
    pub fn standing(&self) -> Standing {
        let newest = self.newest.load(Ordering::Relaxed);
        let reached = self.reached.load(Ordering::Relaxed);
        if newest - reached <= BEHIND_SAID {
            return Standing::Current;
        }
        Standing::Growing((reached * 100 / newest.max(1)).clamp(0, 99) as u8)
    }

    /// Takes in some of what is new in the replica. An index that cannot be
    /// read is thrown away, and this step is the first of a new one.
    pub fn step(&self, replica: &Connection, now: Moment) -> Result<Left, SearchError> {
        let mut kept = self.index();
        if self.torn.swap(false, Ordering::Relaxed) {
            self.throw_away(&mut kept);
        }
        let stepped = self.stepped(&mut kept, replica, now);
        if let Err(SearchError::Database(error)) = &stepped
            && is_torn(error)
        {
            self.throw_away(&mut kept);
        }
        stepped
    }

    fn throw_away(&self, kept: &mut Option<Index>) {
        *kept = None;
        self.close_reader();
        // Where the file cannot be removed, the next opening says why.
        let _ = Index::remove(&self.path);
    }

    fn close_reader(&self) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn index(&self) -> MutexGuard<'_, Option<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stepped(
        &self,
        kept: &mut Option<Index>,
        replica: &Connection,
        now: Moment,
    ) -> Result<Left, SearchError> {
        let newest = listing::newest_change(replica)?;
        let index = match kept {
            Some(index) => index,
            None => {
                self.close_reader();
                kept.insert(Index::open(&self.path, &self.replica, newest)?)
            }
        };
        let before = index.reached()?;
        let news = news(index, replica, before, newest)?;
        let reached = news.reached;
        let is_new = reached != before || news.runs.iter().any(|run| run.1.last.is_some());
        if is_new {
            index.take(&news, now, |product| listing::listed(replica, product))?;
        }
        self.newest.store(newest, Ordering::Relaxed);
        self.reached.store(reached, Ordering::Relaxed);
        if is_new {
            return Ok(Left::More);
        }
        Ok(if index.tidy()? { Left::Tidying } else { Left::Nothing })
    }
}

/// What the replica has that the index has not, at most one step of it.
fn news(index: &Index, replica: &Connection, before: i64, newest: i64) -> rusqlite::Result<News> {
    let is_long = newest - before > LONG_BEHIND;
    let limit = if is_long { PRODUCTS_PER_LONG_STEP } else { PRODUCTS_PER_STEP };
    let changes = listing::changes_after(replica, before, limit)?;
    let reached = changes.last().map_or(before, |last| last.number);
    let mut news = News { reached, ..News::default() };
    for change in &changes {
        news.products.push((change.product, listing::listed(replica, change.product)?));
    }
    if changes.len() == limit as usize {
        // Products first: a sale lifts only what is listed.
        return Ok(news);
    }
    for device in listing::devices_that_sold(replica)? {
        let after = match index.followed(device)? {
            Some(last) => last,
            None => listing::before_newest(replica, device, RECEIPTS_AT_FIRST)?,
        };
        news.runs.push((device, listing::sold_after(replica, after, RECEIPTS_PER_STEP)?));
    }
    Ok(news)
}

/// A name that another replica's file does not have: of a file that was made
/// anew the order of changes is another one too.
fn name_of(replica: &Path, origin: Origin) -> String {
    let made = std::fs::metadata(replica).map(|file| {
        let born = file.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        format!("{}.{}", file.ino(), born.map_or(0, |at| at.as_nanos()))
    });
    format!("{}.{}", origin.get(), made.unwrap_or_default())
}

fn is_torn(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}
