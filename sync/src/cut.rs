//! Cuts frames from the log, each ending at a seal
//!
//! Our own head can be sealed anywhere. Entries of another origin are passed on
//! under the seals that came with them: a relay can carry, not forge.

use crate::{
    changelog::{self, CHAIN_KEPT_EVERY},
    frame::{BLOB_HEAD_BYTES, BODY_BYTES_MAX, FRAME_ENTRIES_MAX, Frame, SIDE_BYTES_MAX},
    origin::{Origin, Stream},
    planted::{self, Fault},
    private,
    replica::Replica,
    seal::{self, SESSION_OF_ENROLLED_KEY, Seal},
    version::Head,
};

/// Bytes that an entry's length takes in a body, at most.
const LENGTH_BYTES: u64 = 5;

/// What a frame carries before it is packed, at most.
pub const RAW_BYTES_MAX: u64 = BODY_BYTES_MAX as u64 - LENGTH_BYTES * FRAME_ENTRIES_MAX as u64;

/// A blob and the number of the entry that commits to it.
type Beside = (u64, Vec<u8>);

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
        if head.seq < first || first <= self.floor(stream, origin) {
            return Ok(None);
        }
        let own = origin == self.identity().origin;
        let most = FRAME_ENTRIES_MAX as u64;
        let mut entries = changelog::read(&self.db, stream, origin, first, most, RAW_BYTES_MAX)?;
        let (room, mut side) = self.room_beside(stream, origin, first, &entries)?;
        if own {
            entries.truncate(room);
        }
        let mut last = first + room as u64 - 1;
        let mut kept = None;
        if !own {
            let Some(seal) = changelog::seal_for(&self.db, stream, origin, first, last)? else {
                return Ok(None);
            };
            if seal.seq > last {
                side = self.blobs_beside(stream, origin, first, seal.seq)?;
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
        let previous = self.chain_before(stream, origin, first)?;
        // What is asked for next is mostly what follows. Behind a long frame reading the chain again costs no more.
        let sealed = if kept.is_none() || entries.len() as u64 <= CHAIN_KEPT_EVERY {
            let chain = entries.iter().zip(first..).fold(previous, |chain, (entry, seq)| {
                seal::next(&chain, origin, stream, seq, entry)
            });
            assert!(last != head.seq || chain == head.chain, "the chain leads to its head");
            let sealed = Head { seq: last, chain };
            self.last_cuts.borrow_mut().insert((stream, origin), sealed);
            Some(sealed)
        } else {
            None
        };
        let seal = kept.unwrap_or_else(|| {
            let sealed = sealed.expect("what bears no seal was chained");
            seal::make(self.keys().as_ref(), origin, stream, &sealed, SESSION_OF_ENROLLED_KEY, 0)
        });
        let blobs = side.into_iter().filter(|(seq, _)| *seq <= last).map(|(_, blob)| blob);
        let frame =
            Frame::new(origin, stream, first, &previous, seal, &entries).and_then(|frame| {
                let body = frame.body_bytes();
                frame.with_side(fitting(blobs, body))
            });
        Ok(Some(frame.expect("what lies between two kept seals fits into a frame")))
    }

    /// The chain value before an entry, from the last cut where that ended there.
    fn chain_before(
        &self,
        stream: Stream,
        origin: Origin,
        first: u64,
    ) -> rusqlite::Result<[u8; 32]> {
        match self.last_cuts.borrow().get(&(stream, origin)) {
            Some(end) if end.seq + 1 == first => Ok(end.chain),
            _ => changelog::chain_at(&self.db, stream, origin, first - 1),
        }
    }

    /// How many of these entries fit into a frame with all that lies beside them, and what that is.
    fn room_beside(
        &self,
        stream: Stream,
        origin: Origin,
        first: u64,
        entries: &[Vec<u8>],
    ) -> rusqlite::Result<(usize, Vec<Beside>)> {
        let side = self.blobs_beside(stream, origin, first, first + entries.len() as u64 - 1)?;
        let (mut bytes, mut beside, mut room) = (0, 0, 0);
        for (entry, seq) in entries.iter().zip(first..) {
            let blobs = side.iter().filter(|(of, _)| *of == seq);
            beside += blobs.map(|(_, blob)| blob.len() + BLOB_HEAD_BYTES).sum::<usize>();
            bytes += entry.len();
            let fits = beside <= SIDE_BYTES_MAX && (bytes + beside) as u64 <= RAW_BYTES_MAX;
            if !fits && room > 0 {
                break;
            }
            room += 1;
        }
        Ok((room, side))
    }

    fn blobs_beside(
        &self,
        stream: Stream,
        origin: Origin,
        first: u64,
        last: u64,
    ) -> rusqlite::Result<Vec<Beside>> {
        if planted::is(Fault::SideNotPassedOn) && origin != self.identity().origin {
            return Ok(Vec::new());
        }
        private::blobs(&self.db, stream, origin, first, last)
    }
}

/// The blobs that fit beside a body. Those that came later than their entries may be too many for what lies between two
/// kept seals: the receiver asks for the others by themselves.
fn fitting(blobs: impl Iterator<Item = Vec<u8>>, body: usize) -> Vec<Vec<u8>> {
    let mut side = 0;
    let fits = |blob: &Vec<u8>| {
        side += blob.len() + BLOB_HEAD_BYTES;
        side <= SIDE_BYTES_MAX && body + side <= BODY_BYTES_MAX
    };
    blobs.take_while(fits).collect()
}
