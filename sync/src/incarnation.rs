//! Opens the database of the newest incarnation of this device
//!
//! A database belongs to one origin for ever. When a device goes on under another one, its database says so, and the next
//! start opens a new one beside it. The old one stays: what nobody took of it is written anew from there.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use crate::{
    allow_list::Row,
    identity::{Identity, Settings},
    open::{self, OpenError},
    origin::Origin,
    origins,
    rebuild::{self, Salvage},
    replica::Replica,
    rot::mark_beside,
};

/// Page cache of a look into an old database.
const CACHE_KIB: u32 = 512;

/// Opens the newest database of this device: the one of the settings, or the one that it was passed on to. The rows of
/// whom the old one knew are known to the new one from its first minute. One that has rotted is built anew first; then
/// the answer says what it has given.
pub fn open(settings: impl Fn() -> Settings) -> Result<(Replica, Option<Salvage>), OpenError> {
    open_by(settings, |one| rebuild::open(one))
}

/// The same, where `open_one` opens a single database and builds it anew where it has rotted.
pub fn open_by(
    settings: impl Fn() -> Settings,
    mut open_one: impl FnMut(&dyn Fn() -> Settings) -> Result<(Replica, Option<Salvage>), OpenError>,
) -> Result<(Replica, Option<Salvage>), OpenError> {
    let first = settings();
    let mut newest = (first.path.clone(), first.identity.origin);
    let at = |(path, origin): &(PathBuf, Origin)| {
        let settings = settings();
        let identity = Identity { origin: *origin, ..settings.identity };
        Settings { path: path.clone(), identity, ..settings }
    };
    let mut rows = Vec::new();
    let mut predecessors = Vec::new();
    let mut mended = None;
    loop {
        let looked = match look(&at(&newest)) {
            Err(cause) if cause.is_rot() => {
                let (replica, salvage) = open_one(&|| at(&newest))?;
                drop(replica);
                mended = mended.or(salvage);
                look(&at(&newest))
            }
            looked => looked,
        };
        let Some((successor, known)) = looked? else { break };
        rows = known;
        predecessors.push(newest);
        newest = (beside(&first.path, successor), successor);
    }
    let (mut replica, salvage) = open_one(&|| at(&newest))?;
    replica.predecessors = predecessors;
    if !rows.is_empty() {
        let path = replica.path().to_owned();
        replica.admit(&rows).map_err(|cause| OpenError::Sqlite { path, cause })?;
    }
    Ok((replica, mended.or(salvage)))
}

/// Under which origin a database was passed on, and whom it knew; None while it is the newest.
fn look(settings: &Settings) -> Result<Option<(Origin, Vec<Row>)>, OpenError> {
    if mark_beside(&settings.path).exists() {
        return Err(OpenError::rot_in(settings.path.clone()));
    }
    if !exists(settings)? {
        return Ok(None);
    }
    let failed = |cause| OpenError::Sqlite { path: settings.path.clone(), cause };
    let db = open::writer(&settings.path, settings.vfs.as_deref(), CACHE_KIB)?;
    let Some(successor) = successor(&db).map_err(failed)? else { return Ok(None) };
    let known = origins::rows(&db, &settings.identity.authority).map_err(failed)?;
    Ok(Some((successor, known.into_values().collect())))
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
