//! What was written anew under another origin

use crate::origin::{Origin, Stream};
use rusqlite::Connection;

/// The table, and that it replicates: one row beside the rows of each entry that was written anew. Its key is the old
/// entry, so what two boxes with one image both hold is written anew once; the second is parked whole. And columns that
/// count 1, 2, 3 ... for each origin: they are counted anew.
pub const SCHEMA: &str = "
CREATE TABLE reissued (
    of_origin INTEGER NOT NULL,
    of_stream INTEGER NOT NULL,
    of_seq    INTEGER NOT NULL,
    of_chain  BLOB    NOT NULL,
    store     INTEGER NOT NULL,
    origin    INTEGER NOT NULL,
    PRIMARY KEY (of_origin, of_stream, of_seq, of_chain)
) STRICT, WITHOUT ROWID;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4003, 'reissued', 'fact', 'by:store');
CREATE TABLE running_number (
    table_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    PRIMARY KEY (table_id, name)
) STRICT, WITHOUT ROWID;
";

/// An entry that was written anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reissued {
    /// Who wrote it first.
    pub of_origin: Origin,
    /// In which stream.
    pub of_stream: Stream,
    /// Its number there.
    pub of_seq: u64,
    /// The chain value up to it: of two branches it says which one.
    pub of_chain: [u8; 32],
    /// The store.
    pub store: u32,
    /// Under which origin it was written anew.
    pub origin: Origin,
}

/// All of one origin, by stream and number.
pub fn of(db: &Connection, of_origin: Origin) -> rusqlite::Result<Vec<Reissued>> {
    let mut select = db.prepare_cached(
        "SELECT of_stream, of_seq, of_chain, store, origin FROM reissued WHERE of_origin = ?1 ORDER BY 1, 2",
    )?;
    let rows = select.query_map([of_origin.get()], |row| {
        Ok(Reissued {
            of_origin,
            of_stream: Stream::from_number(row.get(0)?).expect("only streams are kept"),
            of_seq: row.get::<_, i64>(1)?.cast_unsigned(),
            of_chain: row.get(2)?,
            store: row.get(3)?,
            origin: Origin::new(row.get(4)?).expect("only origins are kept"),
        })
    })?;
    rows.collect()
}
