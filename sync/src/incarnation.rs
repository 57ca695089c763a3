//! Opens the database of the newest incarnation of this device
//!
//! A database belongs to one origin for ever. When a device goes on under another one, its database says so, and the next
//! start opens a new one beside it. The old one stays: what nobody took of it is written anew from there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use crate::{
    identity::Settings,
    open::{self, OpenError},
    origin::Origin,
    origins,
    replica::Replica,
};

/// Page cache of a look into an old database.
const CACHE_KIB: u32 = 512;

/// Opens the newest database of this device: the one of the settings, or the one that it was passed on to. The rows of
/// whom the old one knew are known to the new one from its first minute.
pub fn open(mut settings: Settings) -> Result<Replica, OpenError> {
    let first = settings.path.clone();
    let mut rows = Vec::new();
    let mut predecessors: Vec<(PathBuf, Origin)> = Vec::new();
    loop {
        if !exists(&settings)? {
            break;
        }
        let failed = |cause| OpenError::Sqlite { path: settings.path.clone(), cause };
        let db = open::writer(&settings.path, settings.vfs.as_deref(), CACHE_KIB)?;
        let Some(successor) = successor(&db).map_err(failed)? else { break };
        let known = origins::rows(&db, &settings.identity.authority).map_err(failed)?;
        rows = known.into_values().collect();
        predecessors.push((settings.path.clone(), settings.identity.origin));
        settings.path = beside(&first, successor);
        settings.identity.origin = successor;
    }
    let mut replica = Replica::open(settings)?;
    replica.predecessors = predecessors;
    if !rows.is_empty() {
        let path = replica.path().to_owned();
        replica.admit(&rows).map_err(|cause| OpenError::Sqlite { path, cause })?;
    }
    Ok(replica)
}

/// A look must not make a file: one that is there and empty would be taken for a database.
fn exists(settings: &Settings) -> Result<bool, OpenError> {
    match open::reader(&settings.path, settings.vfs.as_deref(), settings.identity.origin) {
        Ok(_) => Ok(true),
        Err(OpenError::Sqlite { cause, .. })
            if cause.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen) =>
        {
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

fn successor(db: &Connection) -> rusqlite::Result<Option<Origin>> {
    let has_meta = db.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'sync_meta'")?.exists([])?;
    if !has_meta {
        return Ok(None);
    }
    let found: Option<u32> = db
        .query_row("SELECT value FROM sync_meta WHERE name = 'successor'", [], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(Origin::new))
}

/// Where the database of an origin lies, beside the first one of its device.
fn beside(first: &Path, origin: Origin) -> PathBuf {
    let stem = first.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let ending = first.extension().map(|end| format!(".{}", end.to_string_lossy()));
    first.with_file_name(format!("{stem}-{origin}{}", ending.unwrap_or_default()))
}
