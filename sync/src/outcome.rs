//! How a write ended, as far as this device can know

use crate::{
    capture::CaptureError, entry::EntryError, escrow::EscrowError, hlc::Stamp, origin::Stream,
    private::PrivateError, writer::WriterState,
};
use rusqlite::ErrorCode;

/// Which entry a write became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryMark {
    /// Its stream.
    pub stream: Stream,
    /// Its number.
    pub seq: u64,
    /// When it was written.
    pub stamp: Stamp,
    /// The chain value up to it.
    pub hash: [u8; 32],
}

/// A write that is durable.
#[derive(Debug, Clone)]
pub struct Committed<T> {
    /// What the deed returned.
    pub value: T,
    /// Its entry; None when no replicated row differs from before.
    pub entry: Option<EntryMark>,
}

/// Why a write was not kept, or why that is not known.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The deed itself refused.
    #[error("{0}")]
    Refused(E),
    /// A programming fault was met; nothing was written.
    #[error("not saved, fault in this program: {0}")]
    Capture(#[from] CaptureError),
    /// The rows belong to two streams.
    #[error("one write may touch one stream, this one touches {0} and {1}: split it")]
    TwoStreams(Stream, Stream),
    /// A row names no stream.
    #[error("a row of {0} names no stream of this device")]
    NoStream(String),
    /// This role does not write that table.
    #[error("{role} may not write {table}")]
    NotAllowed {
        /// The table.
        table: String,
        /// Our role.
        role: &'static str,
    },
    /// Rights were moved that this device has not; nothing was written.
    #[error(transparent)]
    Rights(#[from] EscrowError),
    /// Something personal would have stood in the log; nothing was written.
    #[error(transparent)]
    Private(#[from] PrivateError),
    /// Too much for one entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The disk is full; nothing was written.
    #[error("the disk is full: nothing was written, make room first")]
    Full,
    /// SQLite refused; nothing was written.
    #[error("the database refused, nothing was written: {0}")]
    NotCommitted(rusqlite::Error),
    /// The commit failed half-way: only a fresh start can tell.
    #[error(
        "it is not known whether this was written: start again and look before repeating it ({0})"
    )]
    InDoubt(rusqlite::Error),
    /// This device may not write under its origin (now).
    #[error("nothing was written: {}", .0.sentence())]
    MayNotWrite(WriterState),
    /// Others know more of this device, or another has taken its place.
    #[error("nothing is written here for now: {0}")]
    Stale(String),
    /// An earlier commit is in doubt.
    #[error("this database must be opened again before it takes a write: {0}")]
    Halted(String),
}

/// Nothing was written, and why.
pub(crate) fn not_committed<E>(cause: rusqlite::Error) -> WriteError<E> {
    if cause.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        WriteError::Full
    } else {
        WriteError::NotCommitted(cause)
    }
}

/// A full disk never reaches the commit frame, and a busy or refused commit never starts; after
/// any other failure of COMMIT the log on disk decides at the next start.
pub(crate) fn in_doubt<E>(cause: rusqlite::Error) -> WriteError<E> {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => WriteError::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation) => {
            WriteError::NotCommitted(cause)
        }
        _ => WriteError::InDoubt(cause),
    }
}
