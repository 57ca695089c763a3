//! Entries and seals once more, outside of the database
//!
//! A restored database is as old as its last backup. So HQ hands every entry that it has committed, frame by frame and
//! under its writer's seal, to a second place, and only what is durable there counts as kept twice. A record is a
//! frame behind its length and a check sum; what a power cut leaves at the end of a file is passed over.

use crate::{
    frame::{FRAME_BYTES_MAX, Frame},
    origin::{Origin, Stream},
    replica::Replica,
    signed::Mark,
};
use std::collections::BTreeSet;

/// One batch holds so many bytes, and one frame more.
pub const BATCH_BYTES: usize = 1024 * 1024;

/// Length of the frame and check sum, before the frame.
const HEAD_BYTES: usize = 4 + CHECK_BYTES;
const CHECK_BYTES: usize = 8;

/// Records to be made durable in one go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// Records, one after the other.
    pub bytes: Vec<u8>,
    /// What is kept twice once they are durable.
    pub marks: Vec<Mark>,
    /// Whether more waits behind it.
    pub more: bool,
}

/// Appends a frame as a record.
pub fn append(bytes: &mut Vec<u8>, frame: &[u8]) {
    let length = u32::try_from(frame.len()).expect("a frame has at most 96 KiB");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&check_sum(frame));
    bytes.extend_from_slice(frame);
}

/// The frames of a file, and how many of its bytes are whole records. Ends before the first that is not.
pub fn read(bytes: &[u8]) -> (Vec<Frame>, usize) {
    let (mut frames, mut whole) = (Vec::new(), 0);
    while let Some((frame, bytes)) = first_record(&bytes[whole..]) {
        frames.push(frame);
        whole += bytes;
    }
    (frames, whole)
}

fn first_record(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (length, check) = head.split_at(4);
    let length = u32::from_be_bytes(length.try_into().ok()?) as usize;
    if length > FRAME_BYTES_MAX {
        return None;
    }
    let frame = rest.get(..length)?;
    (check == check_sum(frame)).then_some(())?;
    Some((Frame::decode(frame).ok()?, HEAD_BYTES + length))
}

fn check_sum(frame: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(frame);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash.as_bytes()[..CHECK_BYTES]);
    check
}

/// After a batch was not made durable, the next try waits this long.
pub const AGAIN_MS: i64 = 10_000;

/// What waits to be kept twice.
#[derive(Debug, Default)]
pub(crate) struct Copying {
    pub(crate) waiting: BTreeSet<(Stream, Origin)>,
    pub(crate) under_way: bool,
    pub(crate) again_at: Option<i64>,
}

impl Copying {
    /// Everything that is not known to be kept twice.
    pub(crate) fn new(replica: &Replica) -> Copying {
        let waiting = replica.heads.keys().copied().collect();
        Copying { waiting, under_way: false, again_at: None }
    }

    /// Something new was committed.
    pub(crate) fn add(&mut self, key: (Stream, Origin)) {
        self.waiting.insert(key);
    }
}

impl Replica {
    /// The next entries of these origins and streams behind what is kept twice already.
    pub fn batch(
        &self,
        behind: impl Iterator<Item = ((Stream, Origin), u64)>,
    ) -> rusqlite::Result<Batch> {
        let mut batch = Batch::default();
        for ((stream, origin), kept) in behind {
            let mut kept = kept;
            while let Some(frame) = self.cut(stream, origin, kept + 1)? {
                if batch.bytes.len() >= BATCH_BYTES {
                    batch.more = true;
                    return Ok(batch);
                }
                kept = frame.last();
                append(&mut batch.bytes, &frame.encode());
                batch.marks.push((stream, origin, kept));
            }
        }
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_keys::SoftwareKeys;
    use crate::seal;
    use crate::version::Head;

    fn frame(entry: &[u8]) -> Vec<u8> {
        let (origin, stream) = (Origin::new(7).unwrap(), Stream::store(1).unwrap());
        let start = seal::genesis(origin, stream);
        let head = Head { seq: 1, chain: seal::next(&start, origin, stream, 1, entry) };
        let seal = seal::make(&SoftwareKeys::from_seed([1; 32]), origin, stream, &head, 0, 0);
        Frame::new(origin, stream, 1, &start, seal, [entry]).unwrap().encode()
    }

    #[test]
    fn a_torn_or_damaged_end_is_passed_over_and_all_before_it_read() {
        let (one, two) = (frame(b"one"), frame(b"the second"));
        let mut bytes = Vec::new();
        append(&mut bytes, &one);
        let first = bytes.len();
        append(&mut bytes, &two);
        assert_eq!(read(&bytes).0.len(), 2);
        for cut in first..bytes.len() {
            assert_eq!(read(&bytes[..cut]).1, first, "cut to {cut}");
        }
        for at in first..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged).1, first, "byte {at}");
        }
    }
}
