//! Cuts frames from the log, each ending at a seal
//!
//! Our own head can be sealed anywhere. Entries of another origin are passed on
//! under the seals that came with them: a relay can carry, not forge.

use crate::{
    changelog,
    frame::{BODY_BYTES_MAX, FRAME_ENTRIES_MAX, Frame},
    origin::{Origin, Stream},
    planted::{self, Fault},
    replica::Replica,
    seal::{self, SESSION_OF_ENROLLED_KEY, Seal},
    version::Head,
};

/// Bytes that an entry's length takes in a body, at most.
const LENGTH_BYTES: u64 = 5;

/// What a frame carries before it is packed, at most.
pub const RAW_BYTES_MAX: u64 = BODY_BYTES_MAX as u64 - LENGTH_BYTES * FRAME_ENTRIES_MAX as u64;

impl Replica {
    /// A frame of entries from `first` on, as long as frames may be; None when there is none to send.
    pub fn cut(
        &self,
        stream: Stream,
        origin: Origin,
        first: u64,
    ) -> rusqlite::Result<Option<Frame>> {
        assert!(first >= 1, "entries are numbered from 1");
        let head = self.head(stream, origin);
        if head.seq < first {
            return Ok(None);
        }
        let own = origin == self.identity().origin;
        let most = FRAME_ENTRIES_MAX as u64;
        let mut entries = changelog::read(&self.db, stream, origin, first, most, RAW_BYTES_MAX)?;
        let mut last = first + entries.len() as u64 - 1;
        let mut kept = None;
        if !own {
            let Some(seal) = changelog::seal_for(&self.db, stream, origin, first, last)? else {
                return Ok(None);
            };
            if seal.seq > last {
                entries = changelog::read(
                    &self.db,
                    stream,
                    origin,
                    first,
                    seal.seq + 1 - first,
                    u64::MAX,
                )?;
            } else {
                entries.truncate(usize::try_from(seal.seq + 1 - first).expect("at most 1,000"));
            }
            if planted::is(Fault::RecutWithoutSeal) && entries.len() > 1 {
                entries.pop();
            }
            last = first + entries.len() as u64 - 1;
            kept = Some(Seal { seq: last, ..seal });
        }
        let previous = changelog::chain_at(&self.db, stream, origin, first - 1)?;
        let seal = kept.unwrap_or_else(|| {
            let mut chain = previous;
            for (entry, seq) in entries.iter().zip(first..) {
                chain = seal::next(&chain, origin, stream, seq, entry);
            }
            assert!(last != head.seq || chain == head.chain, "the chain leads to its head");
            let sealed = Head { seq: last, chain };
            seal::make(self.keys().as_ref(), origin, stream, &sealed, SESSION_OF_ENROLLED_KEY, 0)
        });
        let frame = Frame::new(origin, stream, first, &previous, seal, &entries);
        Ok(Some(frame.expect("entries between two kept seals fit into a frame")))
    }
}
