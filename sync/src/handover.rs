//! A restored HQ hands its history over to its next generation
//!
//! A copy is as old as it is, and others know more of what HQ wrote since. So a restored HQ begins stale under a new
//! origin: it takes its own entries back from its stores, then says whom it follows and up to which entry, and only
//! then writes.

use crate::{
    allow_list::{self, Row, RowError},
    changelog::{self, LogHead},
    hlc::Millis,
    origin::{Origin, Role, Stream},
    outcome::{WriteError, in_doubt},
    planted::{self, Fault},
    replica::Replica,
    seal::{self, SESSION_OF_ENROLLED_KEY},
    succession::{self, Kept, Succession, is_successor},
    version::Head,
    writer::WriterState,
};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// Entries that are read from the log in one go.
const STEP: u64 = 1_000;

/// Why no write is taken until then.
const RECALLS: &str = "HQ was restored and first takes its own entries back from its stores";

/// Why a replica cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// Only HQ has generations.
    #[error("only HQ has generations; a store's device is admitted anew")]
    NotHq,
    /// The row is of no later generation, or not of this HQ.
    #[error(
        "origin {origin} is no later generation of this HQ: take the first origin of a later block"
    )]
    NoSuccessor {
        /// Whose row it is.
        origin: Origin,
    },
    /// The row does not count.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The database refused; nothing was changed.
    #[error("the database refused, nothing was handed over: {0}")]
    Database(#[from] rusqlite::Error),
}

impl Replica {
    /// Makes the database one of the next generation, whose signed row this is. Open it as that one afterwards: it is
    /// stale until `succeed`.
    pub fn hand_over(mut self, row: &Row) -> Result<(), HandoverError> {
        let own = self.identity().origin;
        if self.identity().role != Role::Hq {
            return Err(HandoverError::NotHq);
        }
        if !is_successor(row.origin) || row.origin <= own || row.device != self.identity().device {
            return Err(HandoverError::NoSuccessor { origin: row.origin });
        }
        row.verify(&self.identity().authority)?;
        self.admit(std::slice::from_ref(row))?;
        let lanes: Vec<(Stream, LogHead)> = self
            .heads
            .iter()
            .filter(|(key, _)| key.1 == own)
            .map(|(key, head)| (key.0, *head))
            .collect();
        // From now on these entries are those of another origin: their heads are kept, and they are passed on under
        // seals that are kept.
        let keys = std::sync::Arc::clone(self.keys());
        self.keep_house(|tx| {
            for (stream, head) in &lanes {
                let bytes = seal_lane(tx, keys.as_ref(), *stream, own, head)?;
                changelog::set_head(tx, *stream, own, &LogHead { bytes, ..*head })?;
            }
            tx.execute(
                "INSERT OR REPLACE INTO sync_meta (name, value) VALUES ('origin', ?1), ('recalls', ?2)",
                (row.origin.get(), own.get()),
            )?;
            // Whatever stood in the way of the old writer does not stand in the way of the new one.
            tx.execute("DELETE FROM sync_meta WHERE name IN ('ticket', 'successor')", [])?;
            tx.execute(
                "INSERT OR REPLACE INTO sync_meta (name, value) VALUES ('writer', ?1)",
                [WriterState::Ready.as_str()],
            )?;
            Ok(())
        })?;
        Ok(())
    }

    /// Why no write is taken for now, though the database is well.
    pub fn stale(&self) -> Option<&str> {
        self.lineage.stale.as_deref()
    }

    /// Whose entries a restored HQ is taking back, while it does.
    pub fn recalls(&self) -> Option<Origin> {
        self.lineage.recalls
    }

    /// What older generations of HQ wrote past their end, as far as it is here: stream, origin, end and newest entry.
    pub fn past_ends(&self) -> Vec<(Stream, Origin, u64, u64)> {
        let past = self.heads.iter().filter_map(|((stream, origin), head)| {
            let end = self.lineage.generations.end(*stream, *origin);
            end.is_before(head.seq).then(|| (*stream, *origin, end.seq(), head.seq))
        });
        past.collect()
    }

    /// Reads whether this is a restored HQ that has not succeeded yet.
    pub(crate) fn look_for_recall(&mut self) -> rusqlite::Result<()> {
        let recalls: Option<u32> = self
            .db
            .query_row("SELECT value FROM sync_meta WHERE name = 'recalls'", [], |row| row.get(0))
            .optional()?;
        self.lineage.recalls = recalls.and_then(Origin::new);
        if self.lineage.recalls.is_some() && !planted::is(Fault::RestoredWritesAtOnce) {
            self.lineage.stale = Some(RECALLS.to_owned());
        }
        Ok(())
    }

    /// Ends the recall: says, signed by HQ's authority, up to which entry the predecessor counts, and begins to write.
    /// What it wrote besides, and shows itself later, is kept as evidence and taken over.
    pub fn succeed(
        &mut self,
        now: Millis,
        authority: &dyn crate::device_keys::DeviceKeys,
    ) -> Result<(), WriteError<RowError>> {
        let Some(predecessor) = self.lineage.recalls else { return Ok(()) };
        let own = self.identity().origin;
        if self.lineage.generations.is_over(own) {
            return Err(WriteError::Stale(self.lineage.stale.clone().unwrap_or_default()));
        }
        let mut statements: Vec<Succession> =
            self.lineage.generations.all_of(own).cloned().collect();
        if statements.is_empty() {
            let heads = self.heads.iter().filter(|(key, _)| key.1 == predecessor);
            let heads: Vec<(Stream, Head)> = heads
                .map(|(key, head)| (key.0, Head { seq: head.seq, chain: head.chain }))
                .collect();
            statements = Succession::sign(own, predecessor, &heads, authority);
            // First all of them, durable: a succession that a power cut breaks off goes on with the same words.
            self.keep_house(|tx| {
                statements.iter().try_for_each(|one| succession::insert(tx, one, Kept::Here))
            })
            .map_err(in_doubt)?;
            self.learn_who_counts().map_err(in_doubt)?;
        }
        let Some(row) = self.origins.known.get(&own).cloned() else {
            return Err(WriteError::Refused(RowError::OriginTaken { origin: own }));
        };
        let stale = self.lineage.stale.take();
        let written = self.write_succession(now, &row, &statements);
        if written.is_err() {
            self.lineage.stale = stale;
        }
        written
    }

    fn write_succession(
        &mut self,
        now: Millis,
        row: &Row,
        statements: &[Succession],
    ) -> Result<(), WriteError<RowError>> {
        for (at, statement) in statements.iter().enumerate() {
            self.write(now, |tx| {
                if at == 0 {
                    allow_list::insert(tx, row)?;
                }
                if is_written(tx, statement)? {
                    return Ok(());
                }
                succession::insert(tx, statement, Kept::Replicated).map_err(RowError::Database)
            })?;
        }
        self.keep_house(|tx| tx.execute("DELETE FROM sync_meta WHERE name = 'recalls'", []))
            .map_err(in_doubt)?;
        self.lineage.recalls = None;
        Ok(())
    }
}

fn is_written(tx: &Transaction<'_>, statement: &Succession) -> rusqlite::Result<bool> {
    tx.query_row(
        "SELECT count(*) FROM succession WHERE origin = ?1 AND first = ?2",
        (statement.origin.get(), statement.first.number()),
        |row| row.get(0),
    )
}

/// Seals one of our own streams so often that every stretch of it can be sent in frames; the answer counts its bytes.
fn seal_lane(
    db: &Connection,
    keys: &dyn crate::device_keys::DeviceKeys,
    stream: Stream,
    own: Origin,
    head: &LogHead,
) -> rusqlite::Result<u64> {
    let mut keep = db.prepare_cached(
        "INSERT OR REPLACE INTO sync_seal (origin, stream, seq, session, age, signature, bytes)
         VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6)",
    )?;
    let mut keep_at = |seq: u64, chain: [u8; 32], bytes: u64| {
        let seal = seal::make(keys, own, stream, &Head { seq, chain }, SESSION_OF_ENROLLED_KEY, 0);
        keep.execute((
            own.get(),
            stream.number(),
            seq.cast_signed(),
            SESSION_OF_ENROLLED_KEY.cast_signed(),
            seal.signature,
            bytes.cast_signed(),
        ))
    };
    let (mut seq, mut chain, mut bytes) = (0, seal::genesis(own, stream), 0);
    let mut sealed = (0, 0);
    while seq < head.seq {
        for entry in changelog::read(db, stream, own, seq + 1, STEP, u64::MAX)? {
            let size = entry.len() as u64;
            let full = bytes + size - sealed.1 > changelog::SEAL_SPAN_BYTES
                || seq - sealed.0 >= changelog::SEAL_SPAN_ENTRIES;
            if full && seq > sealed.0 {
                keep_at(seq, chain, bytes)?;
                sealed = (seq, bytes);
            }
            seq += 1;
            chain = seal::next(&chain, own, stream, seq, &entry);
            bytes += size;
        }
    }
    assert_eq!(chain, head.chain, "the chain leads to its head");
    keep_at(seq, chain, bytes)?;
    Ok(bytes)
}
