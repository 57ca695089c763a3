//! A signed run of entries of one origin and stream
//!
//! Entries lie in the body behind their lengths, so a receiver proves chain and seal over the raw bytes before it looks
//! into any entry. What an entry then turns out to hold can park it, but can never stop or poison what came with it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use crate::canonical::{Malformed, Reader, Writer};
use crate::commitment::{commitment, committed};
use crate::device_keys::DeviceKeys;
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

/// What the blobs of a frame may come to. Between two kept seals lies no more, so a stretch of the log fits a frame.
pub const SIDE_BYTES_MAX: usize = 48 * 1024;

/// What a frame adds to its body at most: ten heads of up to 9 bytes, 8 of the past, 64 of the signature.
const ENVELOPE_BYTES_MAX: usize = 192;
const FIELDS: usize = 11;
/// The key under which blobs stand in the part that a frame may have behind its body.
const SIDE: u64 = 1;
/// The most pairs in that part, those of newer builds included.
const PAIRS_MAX: usize = 8;
/// What the head of a blob takes, at most.
pub const BLOB_HEAD_BYTES: usize = 5;
const RAW: u64 = 0;
const ZSTD: u64 = 1;

/// A blob behind the place of the entry that commits to it.
type Placed = (usize, Vec<u8>);

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
    /// Sealed personal data, each with the place of the entry that commits to it.
    side: Vec<Placed>,
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
        let prev8 = first8(previous);
        let (entries, side) = (ranges, Vec::new());
        let frame = Frame { origin, stream, first, prev8, seal, body, entries, side };
        assert_eq!(frame.seal.seq, frame.last(), "a frame ends at its seal");
        Ok(frame)
    }

    /// The same frame with the blobs that its entries commit to. The seal need not cover them: their hashes do.
    pub fn with_side(mut self, blobs: Vec<Vec<u8>>) -> Result<Frame, FrameError> {
        let side: usize = blobs.iter().map(|blob| blob.len() + BLOB_HEAD_BYTES).sum();
        if side > SIDE_BYTES_MAX || self.body.len() + side > BODY_BYTES_MAX {
            return Err(FrameError::SideTooLarge { bytes: side });
        }
        (self.side, _) = place_blobs(&self.body, &self.entries, blobs)?;
        Ok(self)
    }

    /// The blobs that the entry at this place commits to.
    pub fn blobs_of(&self, place: usize) -> impl Iterator<Item = &[u8]> {
        self.side.iter().filter(move |(at, _)| *at == place).map(|(_, blob)| &blob[..])
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

    /// How many bytes the entries have with their lengths, and the blobs beside them: what a queue of frames costs in
    /// memory.
    pub fn body_bytes(&self) -> usize {
        self.body.len() + self.side.iter().map(|(_, blob)| blob.len()).sum::<usize>()
    }

    /// The chain value after each entry, if the first follows `previous` and the seal at the last is by this public
    /// key, as these keys verify it.
    ///
    /// Looks into no entry. Whatever the entries hold, they are what the origin wrote, all of it and in its order.
    pub fn verify(
        &self,
        keys: &dyn DeviceKeys,
        previous: &[u8; 32],
        public: &[u8; 32],
    ) -> Result<Vec<[u8; 32]>, FrameError> {
        if first8(previous) != self.prev8 {
            let Frame { origin, stream, first, .. } = *self;
            return Err(FrameError::OtherPast { origin, stream, first });
        }
        let chains = self.chains(previous);
        let chain = chains.last().unwrap_or(previous);
        if seal::check(keys, public, self.origin, self.stream, chain, &self.seal) {
            Ok(chains)
        } else {
            Err(FrameError::Seal { origin: self.origin, stream: self.stream, seq: self.last() })
        }
    }

    /// The chain value after each entry when the first follows `previous`. Proves nothing.
    pub fn chains(&self, previous: &[u8; 32]) -> Vec<[u8; 32]> {
        let grow = |chain: &mut [u8; 32], (entry, seq)| {
            *chain = seal::next(chain, self.origin, self.stream, seq, entry);
            Some(*chain)
        };
        self.entries().zip(self.first..).scan(*previous, grow).collect()
    }

    /// The bytes for the line, never more than the limit.
    pub fn encode(&self) -> Vec<u8> {
        let packed = pack(&self.body);
        let (enc, body) = packed.as_deref().map_or((RAW, &self.body[..]), |packed| (ZSTD, packed));
        let mut frame = Writer::after(Vec::with_capacity(body.len() + ENVELOPE_BYTES_MAX));
        frame
            .list(FIELDS + usize::from(!self.side.is_empty()))
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
        if !self.side.is_empty() {
            frame.map(1).uint(SIDE).list(self.side.len());
            for (_, blob) in &self.side {
                frame.bytes(blob);
            }
        }
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
        if version != FRAME_VERSION || !(FIELDS..=FIELDS + 1).contains(&fields) {
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
        let blobs = if fields > FIELDS { read_behind(&mut reader)? } else { Vec::new() };
        reader.end()?;
        let body = match enc {
            RAW => body.to_vec(),
            ZSTD => unpack(body)?,
            found => return Err(FrameError::Encoding { found }),
        };
        let entries = entry_ranges(&body, count as usize)?;
        let (side, in_order) = place_blobs(&body, &entries, blobs)?;
        if !in_order {
            return Err(
                Malformed { at: 0, why: "blobs in another order than their entries" }.into()
            );
        }
        Ok(Frame { origin, stream, first, prev8, seal, body, entries, side })
    }
}

/// Shows what it is, not the trade in it.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame(origin {} {} {}..={})", self.origin, self.stream, self.first, self.last())
    }
}

/// Reads what stands behind the body: the blobs first, then whatever a newer build has added there. The blobs are never
/// left out, so that no damage passes for a part that is not known.
fn read_behind(reader: &mut Reader) -> Result<Vec<Vec<u8>>, FrameError> {
    let at = reader.position();
    let pairs = reader.map()?;
    if pairs == 0 || pairs > PAIRS_MAX || reader.uint()? != SIDE {
        return Err(Malformed { at, why: "no blobs behind the body" }.into());
    }
    let count = reader.list()?;
    if count == 0 && pairs == 1 {
        return Err(Malformed { at, why: "an empty list of blobs" }.into());
    }
    let mut blobs = Vec::new();
    for _ in 0..count {
        blobs.push(reader.bytes()?.to_vec());
    }
    let mut before = SIDE;
    for _ in 1..pairs {
        let at = reader.position();
        let key = reader.uint()?;
        if key <= before {
            return Err(Malformed { at, why: "keys that do not ascend" }.into());
        }
        before = key;
        reader.pass_over()?;
    }
    Ok(blobs)
}

/// Finds the entry that commits to each blob: it holds the blob's hash. Knows no table, so a relay of an older build
/// passes on what it cannot read. Says too whether the blobs came in the order of their entries.
fn place_blobs(
    body: &[u8],
    entries: &[Range<usize>],
    blobs: Vec<Vec<u8>>,
) -> Result<(Vec<Placed>, bool), FrameError> {
    if blobs.is_empty() {
        return Ok((Vec::new(), true));
    }
    let mut waiting: BTreeMap<[u8; 32], (usize, Vec<u8>)> = BTreeMap::new();
    let count = blobs.len();
    for (came, blob) in blobs.into_iter().enumerate() {
        waiting.insert(commitment(&blob), (came, blob));
    }
    if waiting.len() != count {
        return Err(FrameError::Side { blobs: count - waiting.len() });
    }
    let (mut side, mut in_order) = (Vec::new(), true);
    for (place, range) in entries.iter().enumerate() {
        for hash in committed(&body[range.clone()]) {
            let Some((came, blob)) = waiting.remove(&hash) else { continue };
            in_order &= came == side.len();
            side.push((place, blob));
        }
    }
    if waiting.is_empty() {
        Ok((side, in_order))
    } else {
        Err(FrameError::Side { blobs: waiting.len() })
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
    /// The blobs do not fit.
    #[error(
        "blobs of {bytes} bytes do not fit beside the entries: cut the frame at an earlier seal"
    )]
    SideTooLarge {
        /// Their size.
        bytes: usize,
    },
    /// A blob belongs to no entry, or was changed on the way.
    #[error(
        "{blobs} blobs of the frame belong to none of its entries: they were changed on the way"
    )]
    Side {
        /// How many.
        blobs: usize,
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
