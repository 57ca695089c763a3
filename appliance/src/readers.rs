//! Connections that can only read, and nothing beside them
//!
//! Whoever holds these has no way to a write: each connection is opened
//! read-only by the one opener, and the engine is not behind it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use selvedge_sync::open::{self, OpenError};
use selvedge_sync::origin::Origin;

/// Connections that are kept open between two requests.
const KEPT: usize = 2;

/// Read connections to one replica.
#[derive(Debug)]
pub struct Readers {
    path: PathBuf,
    origin: Origin,
    kept: Mutex<Vec<Connection>>,
}

impl Readers {
    /// Readers of the replica in a file; it must have been opened by its engine before.
    pub fn new(path: PathBuf, origin: Origin) -> Readers {
        Readers { path, origin, kept: Mutex::new(Vec::new()) }
    }

    /// Asks a reader. Blocks: call it on a blocking thread.
    pub fn read<T>(&self, ask: impl FnOnce(&Connection) -> T) -> Result<T, OpenError> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reader = match kept {
            Some(reader) => reader,
            None => open::reader(&self.path, None, self.origin)?,
        };
        let answer = ask(&reader);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(reader);
        }
        Ok(answer)
    }
}
