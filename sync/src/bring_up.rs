//! Brings a database to the schema of this build

use std::path::Path;

use rusqlite::Connection;

use crate::open::{self, Migration, OpenError};
use crate::origin::Origin;
use crate::row_id::{self, Counter};
use crate::{engine_schema, epochs, register};

/// Page cache in KiB while a database is made that nobody works with yet.
const CACHE_KIB: u32 = 2_048;

/// Gives a database the functions of this build, and runs the migrations that it lacks: the engine's, then these.
pub(crate) fn bring_up(
    db: &mut Connection,
    path: &Path,
    origin: Origin,
    counter: &Counter,
    migrations: Vec<Migration>,
) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Sqlite { path: path.to_owned(), cause };
    row_id::register(db, origin, counter).map_err(failed)?;
    register::register(db).map_err(failed)?;
    db.execute_batch(open::MIGRATIONS).map_err(failed)?;
    let all: Vec<Migration> = engine_schema::migrations().into_iter().chain(migrations).collect();
    counter.set(1);
    open::migrate(db, &all, epochs::pin)
}

/// Makes a database with this schema that belongs to nobody yet: the first replica that opens it claims it.
pub fn blank(path: &Path, vfs: Option<&str>, migrations: Vec<Migration>) -> Result<(), OpenError> {
    let mut db = open::writer(path, vfs, CACHE_KIB)?;
    let nobody = Origin::new(1).expect("1 is an origin");
    bring_up(&mut db, path, nobody, &Counter::default(), migrations)?;
    db.close().map_err(|(_, cause)| OpenError::Sqlite { path: path.to_owned(), cause })
}
