//! States what was taken before a cut was heard of

use crate::changelog;
use crate::hlc::Millis;
use crate::origin::{Origin, Stream};
use crate::origins::Origins;
use crate::outcome::WriteError;
use crate::replica::Replica;
use crate::version::first8;

/// What a replica has of an origin beyond its limit.
struct Beyond {
    origin: Origin,
    stream: Stream,
    seq: u64,
    chain8: [u8; 8],
}

impl Replica {
    /// Which origins count, and how far.
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// The last entry of an origin that counts in a stream; None while it is not over.
    pub fn limit(&self, stream: Stream, origin: Origin) -> Option<u64> {
        self.origins.limit(stream, origin)
    }

    /// Says by facts what was taken here of origins that are over, beyond what is known to count. True when it wrote.
    pub(crate) fn state_beyond(
        &mut self,
        now: Millis,
    ) -> Result<bool, WriteError<rusqlite::Error>> {
        let (mut found, mut unsealed) = (Vec::new(), false);
        let own = self.identity().clone();
        for row in self.origins.over().filter(|row| row.device != own.device) {
            let store = Stream::store(row.store);
            for stream in [Some(Stream::CHAIN), store].into_iter().flatten() {
                let (head, limit) = (self.head(stream, row.origin), self.limit(stream, row.origin));
                if limit.is_none_or(|limit| head.seq <= limit) {
                    continue;
                }
                let seal = changelog::seal_for(self.db(), stream, row.origin, head.seq, head.seq)
                    .map_err(WriteError::NotCommitted)?;
                if seal.is_some_and(|seal| seal.seq == head.seq) {
                    let chain8 = first8(&head.chain);
                    let (origin, seq) = (row.origin, head.seq);
                    found.push((row.store, Beyond { origin, stream, seq, chain8 }));
                } else {
                    // A frame is half in. It is taken whole, and then stated.
                    unsealed = true;
                }
            }
        }
        self.beyond_is_stated = !unsealed;
        for (store, beyond) in &found {
            self.write(now, |tx| {
                let Beyond { origin, stream, seq, chain8 } = beyond;
                tx.execute(
                    "INSERT INTO beyond_cut (id, store, origin, of_stream, seq, chain8)
                     VALUES (row_id(), ?1, ?2, ?3, ?4, ?5)",
                    (store, origin.get(), stream.number(), seq.cast_signed(), chain8),
                )
            })?;
        }
        Ok(!found.is_empty())
    }
}
