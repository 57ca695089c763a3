//! What the devices do for a living, as the world sees it
//!
//! The world knows nothing of sales. A trade brings its tables and deeds, says which rows a deed leaves, and knows what
//! must hold. The toy trade of this package is one; the real one of the shop is another, in the lab.

use crate::dice::Dice;
use crate::shadow::{Effect, Sums};
use rusqlite::{Connection, Transaction};
use selvedge_sync::hlc::Millis;
use selvedge_sync::identity::Identity;
use selvedge_sync::open::Migration;
use selvedge_sync::origin::Origin;
use std::fmt;

/// How a deed ended without writing.
#[derive(Debug, thiserror::Error)]
pub enum DeedError {
    /// Somebody changed their mind, or a rule of the trade is in the way.
    #[error("given up")]
    GivenUp,
    /// SQLite refused.
    #[error("the deed was not written: {0}")]
    Database(#[from] rusqlite::Error),
}

/// One business act, rolled before it runs: what it does must not depend on how often it is tried.
pub trait Act: fmt::Debug {
    /// Writes it as this device, and says which rows it left. The time is what the device's clock shows.
    fn run(&self, tx: &Transaction<'_>, who: &Identity, now: Millis) -> Result<Effect, DeedError>;

    /// Whether its device must be refused.
    fn is_forbidden(&self) -> bool {
        false
    }

    /// How many checkouts it is.
    fn checkouts(&self) -> u64 {
        0
    }
}

/// What a liar wants everybody to believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untruth {
    /// Something that only HQ may say, in the stream of the chain.
    OfHq,
    /// Something that only a device of this store may say, in its stream.
    OfStore(u32),
}

/// A broken invariant, and what was found.
pub type Broken = (&'static str, String);

/// A trade.
pub trait Trade {
    /// What runs it on a command line.
    fn program(&self) -> &'static str;

    /// Its tables.
    fn migrations(&self) -> Vec<Migration>;

    /// How many of the migrations each version of the schema has, oldest first. Where trouble is to meet several
    /// versions, devices begin with the first and are brought up one by one.
    fn steps(&self) -> Vec<usize> {
        vec![self.migrations().len()]
    }

    /// Whether devices also do what is done beside every trade: rights, members, views. It needs tables of its own.
    fn has_sidelines(&self) -> bool {
        false
    }

    /// What HQ writes before the doors open, each in a transaction of its own.
    fn openings(&self, stores: u32) -> Vec<Box<dyn Act>>;

    /// What a device does next.
    fn next(&self, who: &Identity, stores: u32, dice: &mut Dice) -> Box<dyn Act>;

    /// A statement that writes one row of an untruth. All rows of untruths can be told by a negative amount.
    fn untruth(&self, what: Untruth, amount: i64) -> String;

    /// Tables whose rows the deeds report.
    fn followed(&self) -> &'static [&'static str];

    /// What a device of a store and HQ must agree on.
    fn sums(&self, db: &Connection, store: u32) -> rusqlite::Result<Sums>;

    /// What must hold on every replica at every moment.
    fn check(&self, db: &Connection, hq: Origin) -> Result<(), Broken>;

    /// What a device of a store and HQ must agree on besides, once all run one version.
    fn check_agreed(
        &self,
        _device: &Connection,
        _hq: &Connection,
        _store: u32,
    ) -> Result<(), Broken> {
        Ok(())
    }
}
