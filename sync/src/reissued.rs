//! What was written anew under another origin

use crate::origin::{Origin, Stream};
use crate::row_id::{self, COUNTER_BITS};
use rusqlite::Connection;

/// The table, and that it replicates: one row beside the rows of each entry that was written anew. Its key is the old
/// entry, of whichever branch.
pub const SCHEMA: &str = "
CREATE TABLE reissued (
    of_origin INTEGER NOT NULL,
    of_stream INTEGER NOT NULL,
    of_seq    INTEGER NOT NULL,
    of_chain  BLOB    NOT NULL,
    store     INTEGER NOT NULL,
    PRIMARY KEY (of_origin, of_stream, of_seq, of_chain)
) STRICT, WITHOUT ROWID;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4003, 'reissued', 'fact', 'by:store');
";

const TAG: &[u8] = b"selvedge/anew/1";

/// Drawn anew, a counter has its highest bit set: no device ever counts that far.
const ANEW: u64 = 1 << (COUNTER_BITS - 1);

/// The id that a row has when the entry that drew its id is written anew: the same on every box that has that entry, and
/// another one for every other entry. `chain` is the chain value up to the entry that drew the id.
pub fn redrawn(id: i64, chain: &[u8; 32]) -> i64 {
    let (writer, counter) = row_id::unpack(id);
    let mut hash = blake3::Hasher::new();
    hash.update(TAG).update(chain).update(&counter.to_be_bytes());
    let mut bits = [0; 8];
    hash.finalize_xof().fill(&mut bits);
    let counter = ANEW | u64::from_be_bytes(bits) & (ANEW - 1);
    let writer = u32::try_from(writer).ok().and_then(Origin::new);
    row_id::pack(writer.expect("only an id of an origin is drawn anew"), counter)
}

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
}

/// All of one origin, by stream and number.
pub fn of(db: &Connection, of_origin: Origin) -> rusqlite::Result<Vec<Reissued>> {
    let mut select = db.prepare_cached(
        "SELECT of_stream, of_seq, of_chain, store FROM reissued WHERE of_origin = ?1 ORDER BY 1, 2",
    )?;
    let rows = select.query_map([of_origin.get()], |row| {
        Ok(Reissued {
            of_origin,
            of_stream: Stream::from_number(row.get(0)?).expect("only streams are kept"),
            of_seq: row.get::<_, i64>(1)?.cast_unsigned(),
            of_chain: row.get(2)?,
            store: row.get(3)?,
        })
    })?;
    rows.collect()
}
