//! Whether a device writes as it should, as far as HQ knows

use std::collections::HashSet;

use rusqlite::Connection;
use selvedge_sync::allow_list::Row;

use crate::forks;

/// Which devices need a person.
#[derive(Debug, Clone, Default)]
pub struct Troubles {
    forked: HashSet<u32>,
    unconfirmed: HashSet<u32>,
}

/// How a device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing is known against it.
    None,
    /// Two machines have written under its origin, or an old copy was put back.
    Forked,
    /// It goes on under a spare origin that HQ has not confirmed.
    Unconfirmed,
    /// HQ has closed or revoked its origin.
    Ended,
}

impl Troubles {
    /// Reads who does.
    pub fn read(db: &Connection) -> rusqlite::Result<Troubles> {
        let unconfirmed = db
            .prepare_cached(
                "SELECT origin FROM allow_list
                 WHERE state = 'spare' AND origin IN (SELECT origin FROM spare_claim)",
            )?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        Ok(Troubles { forked: forks::forked(db)?.into_iter().collect(), unconfirmed })
    }

    /// How the device of a row stands.
    pub fn of(&self, row: &Row) -> Trouble {
        let origin = row.origin.get();
        if row.state.is_over() {
            Trouble::Ended
        } else if self.forked.contains(&origin) {
            Trouble::Forked
        } else if self.unconfirmed.contains(&origin) {
            Trouble::Unconfirmed
        } else {
            Trouble::None
        }
    }
}

impl Trouble {
    /// The word of the reporting interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Trouble::None => "ok",
            Trouble::Forked => "forked",
            Trouble::Unconfirmed => "unconfirmed",
            Trouble::Ended => "ended",
        }
    }

    /// What a person reads beside the device; empty when there is nothing to say.
    pub const fn words(self) -> &'static str {
        match self {
            Trouble::None => "",
            Trouble::Forked => "used on two machines",
            Trouble::Unconfirmed => "new number, not confirmed",
            Trouble::Ended => "ended by head office",
        }
    }
}
