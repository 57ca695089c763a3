//! What somebody was told, and whether it is kept

use selvedge_sync::changelog;
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::replica::Replica;

/// What somebody was told, and what must be there for it.
#[derive(Debug, Clone)]
pub enum Promise {
    /// An entry was written, or taken from another device, up to this place of the chain.
    Entry {
        /// Of which stream.
        stream: Stream,
        /// Whose.
        origin: Origin,
        /// Its number.
        seq: u64,
        /// The chain value up to it.
        chain: [u8; 32],
    },
    /// A question has at least this answer.
    Rows(&'static str, i64),
    /// The database was built anew.
    Built,
}

/// Whether a promise is kept.
pub fn kept(replica: &Replica, promise: &Promise) -> Result<(), String> {
    match promise {
        Promise::Entry { stream, origin, seq, chain } => {
            let found = replica.head(*stream, *origin).seq;
            if found < *seq {
                return Err(format!(
                    "entry {seq} of origin {origin} was promised, {found} are there"
                ));
            }
            let there = changelog::chain_at(replica.db(), *stream, *origin, *seq);
            if there.as_ref() != Ok(chain) {
                return Err(format!("another entry {seq} stands there"));
            }
        }
        Promise::Rows(question, least) => {
            let found: i64 = replica
                .db()
                .query_row(question, [], |row| row.get(0))
                .map_err(|cause| cause.to_string())?;
            if found < *least {
                return Err(format!("{question}: {found} instead of {least}"));
            }
        }
        Promise::Built => {}
    }
    Ok(())
}
