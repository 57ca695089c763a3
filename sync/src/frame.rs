//! A signed run of entries of one origin and stream
//!
//! Entries lie in the body behind their lengths, so a receiver proves chain and seal over the raw bytes before it looks
//! into any entry. What an entry then turns out to hold can park it, but can never stop or poison what came with it.

use std::fmt;
use std::ops::Range;

use crate::canonical::{Malformed, Reader, Writer};
use crate::origin::{Origin, Stream};
use crate::packing::{PackingError, pack, unpack};
use crate::seal::{self, Seal};
use crate::version::{SEQ_MAX, first8};

/// The form of frame that this build writes, and the newest it reads.
pub const FRAME_VERSION: u64 = 1;
/// The largest frame on the line. With its envelope it stays below the 128 KiB that every broker takes.
pub const FRAME_BYTES_MAX: usize = 96 * 1024;
/// The most entries in a frame.
pub const FRAME_ENTRIES_MAX: usize = 1_000;
/// The largest entry, without its length.
pub const ENTRY_BYTES_MAX: usize = 64 * 1024;
/// The largest body that is put into a frame. Even where nothing can be compressed, the frame keeps its limit.
pub const BODY_BYTES_MAX: usize = FRAME_BYTES_MAX - ENVELOPE_BYTES_MAX;

/// What a frame adds to its body at most: ten heads of up to 9 bytes, 8 of the past, 64 of the signature.
const ENVELOPE_BYTES_MAX: usize = 192;
const FIELDS: usize = 11;
const RAW: u64 = 0;
const ZSTD: u64 = 1;

/// A run of entries, the chain before it and the seal behind it.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    origin: Origin,
    stream: Stream,
    first: u64,
    prev8: [u8; 8],
    seal: Seal,
    body: Vec<u8>,
    entries: Vec<Range<usize>>,
}

impl Frame {
    /// Puts the entries from number `first` on into a frame. `previous` is the chain value before them.
    pub fn new<E: AsRef<[u8]>>(
        origin: Origin,
        stream: Stream,
        first: u64,
        previous: &[u8; 32],
        seal: Seal,
        entries: impl IntoIterator<Item = E>,
    ) -> Result<Frame, FrameError> {
        assert!(first > 0 && first < SEQ_MAX - 1_000, "entries are numbered from 1");
        let mut body = Writer::after(Vec::new());
        let mut ranges = Vec::new();
        for entry in entries {
            let entry = entry.as_ref();
            check_entry_bytes(entry.len())?;
            body.uint(entry.len() as u64);
            let start = body.so_far().len();
            body.raw(entry);
            ranges.push(start..start + entry.len());
        }
        let body = body.finish();
        if body.len() > BODY_BYTES_MAX {
            return Err(FrameError::BodyTooLarge { bytes: body.len() });
        }
        if ranges.is_empty() || ranges.len() > FRAME_ENTRIES_MAX {
            return Err(FrameError::Count { entries: ranges.len() as u64 });
        }
        let frame =
            Frame { origin, stream, first, prev8: first8(previous), seal, body, entries: ranges };
        assert_eq!(frame.seal.seq, frame.last(), "a frame ends at its seal");
        Ok(frame)
    }

    /// Who wrote the entries. Not who sent the frame.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// For whom the entries are.
    pub fn stream(&self) -> Stream {
        self.stream
    }

    /// The number of the first entry.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number of the last entry.
    pub fn last(&self) -> u64 {
        self.first + self.entries.len() as u64 - 1
    }

    /// The first bytes of the chain value before the first entry.
    pub fn prev8(&self) -> [u8; 8] {
        self.prev8
    }

    /// The seal at the last entry.
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// How many entries there are. Never 0.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of each entry, in order.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> + DoubleEndedIterator {
        self.entries.iter().map(|range| &self.body[range.clone()])
    }

    /// How many bytes the entries have with their lengths: what a queue of frames costs in memory.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// The chain value after each entry, if the first follows `previous` and the seal at the last is by this key.
    ///
    /// Looks into no entry. Whatever the entries hold, they are what the origin wrote, all of it and in its order.
    pub fn verify(
        &self,
        previous: &[u8; 32],
        public: &[u8; 32],
    ) -> Result<Vec<[u8; 32]>, FrameError> {
        if first8(previous) != self.prev8 {
            let Frame { origin, stream, first, .. } = *self;
            return Err(FrameError::OtherPast { origin, stream, first });
        }
        let mut chain = *previous;
        let chains: Vec<[u8; 32]> = self
            .entries()
            .zip(self.first..)
            .map(|(entry, seq)| {
                chain = seal::next(&chain, self.origin, self.stream, seq, entry);
                chain
            })
            .collect();
        if seal::check(public, self.origin, self.stream, &chain, &self.seal) {
            Ok(chains)
        } else {
            Err(FrameError::Seal { origin: self.origin, stream: self.stream, seq: self.last() })
        }
    }

    /// The bytes for the line, never more than the limit.
    pub fn encode(&self) -> Vec<u8> {
        let packed = pack(&self.body);
        let (enc, body) = packed.as_deref().map_or((RAW, &self.body[..]), |packed| (ZSTD, packed));
        let mut frame = Writer::after(Vec::with_capacity(body.len() + ENVELOPE_BYTES_MAX));
        frame
            .list(FIELDS)
            .uint(FRAME_VERSION)
            .uint(self.origin.get())
            .uint(self.stream.number())
            .uint(self.first)
            .uint(self.entries.len() as u64)
            .bytes(&self.prev8)
            .uint(self.seal.session)
            .uint(self.seal.age)
            .bytes(&self.seal.signature)
            .uint(enc)
            .bytes(body);
        frame.finish()
    }

    /// Reads a frame. Checks shapes and sizes; who wrote it is for `verify` to say.
    pub fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameError::FrameTooLarge { bytes: bytes.len() });
        }
        let mut reader = Reader::new(bytes);
        let fields = reader.list()?;
        let version = reader.uint()?;
        if version > FRAME_VERSION {
            return Err(FrameError::NewerVersion { found: version });
        }
        if version != FRAME_VERSION || fields != FIELDS {
            return Err(Malformed { at: 0, why: "another number of fields or version" }.into());
        }
        let origin = reader.origin()?;
        let stream = reader.stream()?;
        let first = reader.uint()?;
        let count = reader.uint()?;
        if count == 0 || count > FRAME_ENTRIES_MAX as u64 {
            return Err(FrameError::Count { entries: count });
        }
        if first == 0 || first > SEQ_MAX - count {
            return Err(Malformed { at: 0, why: "entry numbers out of range" }.into());
        }
        let prev8 = reader.bytes_of()?;
        let (session, age) = (reader.uint()?, reader.uint32()?);
        let seal = Seal { seq: first + count - 1, session, age, signature: reader.bytes_of()? };
        let enc = reader.uint()?;
        let body = reader.bytes()?;
        reader.end()?;
        let body = match enc {
            RAW => body.to_vec(),
            ZSTD => unpack(body)?,
            found => return Err(FrameError::Encoding { found }),
        };
        let entries = entry_ranges(&body, count as usize)?;
        Ok(Frame { origin, stream, first, prev8, seal, body, entries })
    }
}

/// Shows what it is, not the trade in it.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame(origin {} {} {}..={})", self.origin, self.stream, self.first, self.last())
    }
}

/// Finds each entry in the body. The body must hold exactly as many as the frame says.
fn entry_ranges(body: &[u8], count: usize) -> Result<Vec<Range<usize>>, FrameError> {
    let mut reader = Reader::new(body);
    let mut ranges = Vec::with_capacity(count);
    for _ in 0..count {
        let bytes = reader.uint_up_to(body.len() as u64)? as usize;
        check_entry_bytes(bytes)?;
        let start = reader.position();
        reader.take(bytes)?;
        ranges.push(start..start + bytes);
    }
    reader.end()?;
    Ok(ranges)
}

fn check_entry_bytes(bytes: usize) -> Result<(), FrameError> {
    if bytes == 0 || bytes > ENTRY_BYTES_MAX {
        Err(FrameError::EntrySize { bytes })
    } else {
        Ok(())
    }
}

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The frame is larger than any replica sends.
    #[error("a frame of {bytes} bytes is refused: at most {FRAME_BYTES_MAX} are allowed")]
    FrameTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The entries do not fit a frame.
    #[error(
        "entries of {bytes} bytes do not fit a frame: cut it at an earlier seal, at most {BODY_BYTES_MAX} fit"
    )]
    BodyTooLarge {
        /// Their size, with their lengths.
        bytes: usize,
    },
    /// One entry is empty or too large.
    #[error("an entry of {bytes} bytes is refused: it must have 1 to {ENTRY_BYTES_MAX}")]
    EntrySize {
        /// Its size.
        bytes: usize,
    },
    /// No entry, or too many.
    #[error("a frame of {entries} entries is refused: it must have 1 to {FRAME_ENTRIES_MAX}")]
    Count {
        /// How many there are.
        entries: u64,
    },
    /// A build newer than this one made it.
    #[error(
        "the frame has version {found}, this build reads up to {FRAME_VERSION}: update this device"
    )]
    NewerVersion {
        /// The version of the frame.
        found: u64,
    },
    /// The body is packed in a way that this build does not know.
    #[error(
        "the body is packed in way {found}, which this build does not know: update this device"
    )]
    Encoding {
        /// The number of that way.
        found: u64,
    },
    /// The bytes are damaged, or come from something that is no replica.
    #[error("the frame cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// The compressed body is not taken.
    #[error("the compressed body is refused: {0}")]
    Packing(#[from] PackingError),
    /// The entries before these are not the ones known here.
    #[error(
        "origin {origin} has another past in {stream} before entry {first} than the one known here: it was cloned or restored, give it a new origin"
    )]
    OtherPast {
        /// Who wrote the entries.
        origin: Origin,
        /// For whom they are.
        stream: Stream,
        /// The first of them.
        first: u64,
    },
    /// Its writer has no business in this stream.
    #[error("origin {origin} may write nothing in {stream}: its entries there are not taken")]
    ForeignStream {
        /// Who wrote the entries.
        origin: Origin,
        /// For whom they are said to be.
        stream: Stream,
    },
    /// The seal is not by the key of the origin, or not over these entries.
    #[error(
        "the seal of origin {origin} in {stream} at entry {seq} does not hold: the entries were changed, or another key made it"
    )]
    Seal {
        /// Who is said to have written the entries.
        origin: Origin,
        /// For whom they are.
        stream: Stream,
        /// The entry with the seal.
        seq: u64,
    },
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use crate::canonical::Writer;
    use crate::device_keys::{DeviceKeys, SoftwareKeys};
    use crate::frame::{BODY_BYTES_MAX, ENTRY_BYTES_MAX, FRAME_BYTES_MAX, Frame, FrameError};
    use crate::origin::{Origin, Stream};
    use crate::seal;
    use crate::version::{Head, SEQ_MAX};

    const PREVIOUS: [u8; 32] = [5; 32];

    fn keys() -> SoftwareKeys {
        SoftwareKeys::from_seed([3; 32])
    }

    fn frame(first: u64, entries: &[Vec<u8>]) -> Result<Frame, FrameError> {
        let (origin, stream) = (Origin::new(7).unwrap(), Stream::store(12).unwrap());
        let chain = entries
            .iter()
            .zip(first..)
            .fold(PREVIOUS, |chain, (entry, seq)| seal::next(&chain, origin, stream, seq, entry));
        let head = Head { seq: first + entries.len().max(1) as u64 - 1, chain };
        let seal = seal::make(&keys(), origin, stream, &head, 0, 0);
        Frame::new(origin, stream, first, &PREVIOUS, seal, entries)
    }

    fn noise(bytes: usize) -> Vec<u8> {
        let mut noise = vec![0; bytes];
        blake3::Hasher::new().update(&bytes.to_be_bytes()).finalize_xof().fill(&mut noise);
        noise
    }

    #[test]
    fn a_lone_entry_goes_raw_and_its_proof_costs_less_than_100_bytes() {
        assert_eq!(frame(41, &[noise(90)]).unwrap().encode().len(), 90 + 89);
    }

    #[test]
    fn a_frame_reads_back_and_verifies_packed_or_raw() {
        for entries in [vec![noise(90)], vec![vec![1; 300], vec![2; 200]], vec![vec![9]; 1_000]] {
            let sent = frame(41, &entries).unwrap();
            let came = Frame::decode(&sent.encode()).unwrap();
            assert_eq!(came, sent);
            assert_eq!(came.entries().collect::<Vec<_>>(), entries);
            assert_eq!(came.last(), 40 + entries.len() as u64);
            let chains = came.verify(&PREVIOUS, &keys().public()).unwrap();
            assert_eq!(chains.len(), entries.len());
        }
    }

    #[test]
    fn the_largest_frame_of_noise_keeps_the_limit() {
        let half = (BODY_BYTES_MAX - 10) / 2;
        let encoded = frame(SEQ_MAX - 2_000, &[noise(half + 1), noise(half)]).unwrap().encode();
        assert!(encoded.len() <= FRAME_BYTES_MAX && encoded.len() > FRAME_BYTES_MAX - 300);
        Frame::decode(&encoded).unwrap();
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_to_do() {
        check(
            frame(1, &vec![vec![1]; 1_001]),
            expect!["a frame of 1001 entries is refused: it must have 1 to 1000"],
        );
        check(
            frame(1, &[vec![]]),
            expect!["an entry of 0 bytes is refused: it must have 1 to 65536"],
        );
        check(
            frame(1, &[noise(ENTRY_BYTES_MAX + 1)]),
            expect!["an entry of 65537 bytes is refused: it must have 1 to 65536"],
        );
        check(
            frame(1, &[noise(50_000), noise(50_000)]),
            expect![
                "entries of 100006 bytes do not fit a frame: cut it at an earlier seal, at most 98112 fit"
            ],
        );
    }

    #[test]
    fn a_newer_frame_says_that_this_device_wants_an_update() {
        let mut newer = Writer::after(Vec::new());
        newer.list(2).uint(2u32).text("unknown");
        check(
            Frame::decode(&newer.finish()),
            expect!["the frame has version 2, this build reads up to 1: update this device"],
        );
        check(
            Frame::decode(&by_hand(7, 1, 16, &[1, 7])),
            expect![
                "the body is packed in way 16, which this build does not know: update this device"
            ],
        );
    }

    #[test]
    fn an_origin_of_0_and_numbers_out_of_range_are_refused() {
        check(
            Frame::decode(&by_hand(0, 1, 0, &[1, 7])),
            expect!["the frame cannot be read: no origin at byte 2"],
        );
        check(
            Frame::decode(&by_hand(7, 0, 0, &[1, 7])),
            expect!["the frame cannot be read: entry numbers out of range at byte 0"],
        );
        check(
            Frame::decode(&by_hand(7, SEQ_MAX, 0, &[1, 7])),
            expect!["the frame cannot be read: entry numbers out of range at byte 0"],
        );
    }

    #[test]
    fn a_body_must_hold_its_entries_and_no_more() {
        check(Frame::decode(&by_hand(7, 1, 0, &[1, 7])), expect!["Frame(origin 7 chain 1..=1)"]);
        check(
            Frame::decode(&by_hand(7, 1, 0, &[1, 7, 0])),
            expect!["the frame cannot be read: bytes after the end at byte 2"],
        );
        check(
            Frame::decode(&by_hand(7, 1, 0, &[2, 7])),
            expect!["the frame cannot be read: the bytes end too early at byte 1"],
        );
        check(
            Frame::decode(&by_hand(7, 1, 0, &[0x18, 1, 7])),
            expect![
                "the frame cannot be read: a number that is not in its shortest form at byte 0"
            ],
        );
    }

    #[test]
    fn another_past_and_another_key_are_told_apart() {
        let frame = frame(41, &[vec![1], vec![2]]).unwrap();
        check(
            frame.verify(&[6; 32], &keys().public()).map(|_| frame.clone()),
            expect![
                "origin 7 has another past in store/12 before entry 41 than the one known here: it was cloned or restored, give it a new origin"
            ],
        );
        let other = SoftwareKeys::from_seed([4; 32]);
        check(
            frame.verify(&PREVIOUS, &other.public()).map(|_| frame.clone()),
            expect![
                "the seal of origin 7 in store/12 at entry 42 does not hold: the entries were changed, or another key made it"
            ],
        );
    }

    fn check(frame: Result<Frame, FrameError>, says: Expect) {
        says.assert_eq(&frame.map_or_else(|e| e.to_string(), |frame| format!("{frame:?}")));
    }

    fn by_hand(origin: u32, first: u64, enc: u64, body: &[u8]) -> Vec<u8> {
        let mut frame = Writer::after(Vec::new());
        frame.list(11).uint(1u32).uint(origin).uint(0u32).uint(first).uint(1u32);
        frame.bytes(&[0; 8]).uint(0u32).uint(0u32).bytes(&[0; 64]).uint(enc).bytes(body);
        frame.finish()
    }

    proptest! {
        #[test]
        fn every_frame_reads_back(
            first in 1..SEQ_MAX - 2_000,
            entries in proptest::collection::vec(proptest::collection::vec(0u8..4, 1..200), 1..40),
        ) {
            let sent = frame(first, &entries).unwrap();
            let came = Frame::decode(&sent.encode()).unwrap();
            prop_assert_eq!(&came, &sent);
            prop_assert!(came.verify(&PREVIOUS, &keys().public()).is_ok());
        }

        #[test]
        fn no_bytes_make_a_frame_panic(body: Vec<u8>, enc in 0u64..2, whole: Vec<u8>) {
            let _ = Frame::decode(&whole);
            let _ = Frame::decode(&by_hand(7, 1, enc, &body));
        }
    }
}
