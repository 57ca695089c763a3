//! Why an entry is kept but not applied
//!
//! One bad row must not stop a store: the entry is kept with its reason, its seq counts, and the stream goes on.

use crate::{entry::EntryError, merge::Merged, tables::Table};
use rusqlite::ErrorCode;

/// Why an entry was kept but not applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The kind of reason.
    pub reason: Reason,
    /// Number of the table, 0 when no table was reached.
    pub table: u32,
    /// What exactly.
    pub detail: String,
}

impl Parked {
    /// An entry whose writer does not count for now. It is tried again when the allow-list changes.
    pub fn unknown_writer() -> Parked {
        let detail = "its writer is not on the allow-list".to_owned();
        Parked { reason: Reason::NotAllowed, table: 0, detail }
    }

    /// An entry of HQ past the end of its generation.
    pub fn ended() -> Parked {
        let detail = "another generation of HQ had taken over".to_owned();
        Parked { reason: Reason::Ended, table: 0, detail }
    }
}

/// The kinds of reasons to park an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It does not decode; a newer build may read it.
    Epoch,
    /// Its table is not known here.
    UnknownTable,
    /// Its writer may not write that table or stream.
    NotAllowed,
    /// The schema refused a row.
    Constraint,
    /// Another row has the key already.
    KeyConflict,
    /// It touches a row that an entry before it could not write.
    Behind,
    /// It changes a register row that another origin has added, and that has not come yet.
    Early,
    /// Another generation of HQ has taken over from its writer: it is kept as evidence.
    Ended,
}

impl Reason {
    /// As it is kept.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Epoch => "Epoch",
            Reason::UnknownTable => "UnknownTable",
            Reason::NotAllowed => "NotAllowed",
            Reason::Constraint => "Constraint",
            Reason::KeyConflict => "KeyConflict",
            Reason::Behind => "Behind",
            Reason::Early => "Early",
            Reason::Ended => "Ended",
        }
    }
}

/// Why an entry was not applied.
#[derive(Debug)]
pub enum NotApplied {
    /// It is kept with a reason.
    Park(Parked),
    /// SQLite failed: nothing of the slice is kept.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for NotApplied {
    fn from(cause: rusqlite::Error) -> NotApplied {
        NotApplied::Sqlite(cause)
    }
}

impl From<EntryError> for NotApplied {
    fn from(cause: EntryError) -> NotApplied {
        NotApplied::Park(Parked { reason: Reason::Epoch, table: 0, detail: cause.to_string() })
    }
}

/// An entry that is kept for this reason.
pub(crate) fn park(reason: Reason, table: u32, detail: impl Into<String>) -> NotApplied {
    NotApplied::Park(Parked { reason, table, detail: detail.into() })
}

/// What SQLite says of a row is the row's fault only when a constraint or a type was broken.
pub(crate) fn refused(table: &Table, cause: rusqlite::Error) -> NotApplied {
    match cause.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch) => {
            park(Reason::Constraint, table.id, format!("{}: {cause}", table.name))
        }
        _ => NotApplied::Sqlite(cause),
    }
}

/// Why a write of a register row was not merged.
pub(crate) fn not_merged(table: &Table, merged: Merged) -> NotApplied {
    let name = &table.name;
    let (reason, detail) = match merged {
        Merged::NoRow => (Reason::Early, format!("{name}: the row has not come yet")),
        Merged::UsedUp => (Reason::Constraint, format!("{name}: there is no version after this")),
        Merged::Damaged | Merged::Done => {
            (Reason::Constraint, format!("{name}: the marks of the row here are damaged"))
        }
    };
    park(reason, table.id, detail)
}
