//! Whether this device may write under its origin
//!
//! A device that finds that others know more of its origin than it does, or something else, was set back or copied. It
//! writes no more under that origin, for two different entries with one number are the one thing that cannot be merged.
//! It asks for another origin under a ticket that it draws once, and goes on under that one in a new database.

use rusqlite::{Connection, OptionalExtension};

use crate::origin::Origin;

/// Whether this device may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriterState {
    /// It may.
    #[default]
    Ready,
    /// It had another origin before, and what was written under that one is not all here yet.
    Returning,
    /// Others know more of its origin than is here: it was set back to an older state.
    Stale,
    /// Others know something else of its origin than is here: it was copied, or set back and written to.
    Forked,
    /// Its origin is closed or revoked.
    Over,
}

impl WriterState {
    /// The word that is kept.
    pub const fn as_str(self) -> &'static str {
        match self {
            WriterState::Ready => "ready",
            WriterState::Returning => "returning",
            WriterState::Stale => "stale",
            WriterState::Forked => "forked",
            WriterState::Over => "over",
        }
    }

    /// Whether another origin is needed before the next write.
    pub const fn needs_origin(self) -> bool {
        matches!(self, WriterState::Stale | WriterState::Forked | WriterState::Over)
    }

    /// What a person is told.
    pub const fn sentence(self) -> &'static str {
        match self {
            WriterState::Ready => "",
            WriterState::Returning => {
                "what this device wrote before is still on its way here: wait until it is complete"
            }
            WriterState::Stale => {
                "this device was set back to an older state: it takes no writes until it has a new origin from its parent or HQ"
            }
            WriterState::Forked => {
                "another copy of this device has written under its origin: it takes no writes until it has a new origin from its parent or HQ"
            }
            WriterState::Over => {
                "HQ has closed the origin of this device: it takes no writes until it has a new one from its parent or HQ"
            }
        }
    }
}

/// What is kept of it over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Writer {
    /// Whether this device may write.
    pub state: WriterState,
    /// What it asks with for a new origin; 0 until it asks.
    pub ticket: u64,
    /// The origin under which it goes on, in a database of its own.
    pub successor: Option<Origin>,
}

const STATE: &str = "writer";
const TICKET: &str = "ticket";
const SUCCESSOR: &str = "successor";

impl Writer {
    /// Reads it back.
    pub fn load(db: &Connection) -> rusqlite::Result<Writer> {
        let mut select = db.prepare("SELECT value FROM sync_meta WHERE name = ?1")?;
        let state: Option<String> = select.query_row([STATE], |row| row.get(0)).optional()?;
        let ticket: Option<i64> = select.query_row([TICKET], |row| row.get(0)).optional()?;
        let successor: Option<u32> = select.query_row([SUCCESSOR], |row| row.get(0)).optional()?;
        let all =
            [WriterState::Returning, WriterState::Stale, WriterState::Forked, WriterState::Over];
        let state = all.into_iter().find(|known| state.as_deref() == Some(known.as_str()));
        Ok(Writer {
            state: state.unwrap_or_default(),
            ticket: ticket.unwrap_or_default().cast_unsigned(),
            successor: successor.and_then(Origin::new),
        })
    }

    /// Keeps it.
    pub fn save(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut put =
            db.prepare("INSERT OR REPLACE INTO sync_meta (name, value) VALUES (?1, ?2)")?;
        put.execute((STATE, self.state.as_str()))?;
        put.execute((TICKET, self.ticket.cast_signed()))?;
        if let Some(successor) = self.successor {
            put.execute((SUCCESSOR, successor.get()))?;
        }
        Ok(())
    }
}
