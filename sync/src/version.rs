//! Who has how much of whose entries
//!
//! Entries of one origin and stream are numbered without a hole, so one number says all that a replica has of them, and
//! two replicas find out exactly what the other lacks by comparing numbers.

use std::collections::BTreeMap;

use crate::origin::{ORIGIN_MAX, Origin, Stream};

/// The largest number of an entry: what a column of SQLite holds.
pub const SEQ_MAX: u64 = i64::MAX as u64;

/// The newest entry of one origin and stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number. 0 where there is none yet.
    pub seq: u64,
    /// The chain value up to and with it.
    pub chain: [u8; 32],
}

impl Head {
    /// The first bytes of the chain value: enough to tell a fork from damage.
    pub fn chain8(&self) -> [u8; 8] {
        first8(&self.chain)
    }
}

/// The heads of every origin and stream that a replica has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionVector {
    heads: BTreeMap<(Stream, Origin), Head>,
}

impl VersionVector {
    /// The head of one origin in one stream, if there is any entry.
    pub fn get(&self, stream: Stream, origin: Origin) -> Option<&Head> {
        self.heads.get(&(stream, origin))
    }

    /// The newest number of one origin in one stream, 0 if there is none.
    pub fn seq(&self, stream: Stream, origin: Origin) -> u64 {
        self.get(stream, origin).map_or(0, |head| head.seq)
    }

    /// Moves a head on.
    pub fn advance(&mut self, stream: Stream, origin: Origin, head: Head) {
        let had = self.seq(stream, origin);
        assert!(head.seq >= had, "a version vector never falls: {had} to {}", head.seq);
        self.heads.insert((stream, origin), head);
    }

    /// The heads of one stream, by ascending origin.
    pub fn of_stream(&self, stream: Stream) -> impl Iterator<Item = (Origin, &Head)> {
        let last = Origin::new(ORIGIN_MAX).expect("the largest origin is one");
        let first = Origin::new(1).expect("the smallest origin is one");
        self.heads
            .range((stream, first)..=(stream, last))
            .map(|((_, origin), head)| (*origin, head))
    }

    /// Every head, by ascending stream and origin.
    pub fn iter(&self) -> impl Iterator<Item = (Stream, Origin, &Head)> {
        self.heads.iter().map(|((stream, origin), head)| (*stream, *origin, head))
    }

    /// Eight bytes that are equal on two replicas when their heads of this stream are.
    pub fn digest8(&self, stream: Stream) -> [u8; 8] {
        digest8(stream, self.of_stream(stream).map(|(origin, head)| (origin, head.seq)))
    }
}

/// Eight bytes that stand for a list of heads of one stream, which must come by ascending origin.
pub fn digest8(stream: Stream, heads: impl IntoIterator<Item = (Origin, u64)>) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"selvedge/vector/1").update(&stream.number().to_be_bytes());
    let mut before = 0;
    for (origin, seq) in heads {
        assert!(origin.get() > before, "heads come by ascending origin");
        before = origin.get();
        hasher.update(&origin.get().to_be_bytes()).update(&seq.to_be_bytes());
    }
    first8(hasher.finalize().as_bytes())
}

/// The first eight bytes of a hash.
pub fn first8(hash: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    first
}

#[cfg(test)]
mod tests {
    use crate::origin::{Origin, Stream};
    use crate::version::{Head, VersionVector};

    fn origin(number: u32) -> Origin {
        Origin::new(number).unwrap()
    }

    fn store(number: u32) -> Stream {
        Stream::store(number).unwrap()
    }

    fn vector(heads: &[(u32, u32, u64)]) -> VersionVector {
        let mut vector = VersionVector::default();
        for (stream, writer, seq) in heads {
            let stream = Stream::from_number(*stream).unwrap();
            vector.advance(stream, origin(*writer), Head { seq: *seq, chain: [9; 32] });
        }
        vector
    }

    #[test]
    fn of_an_unknown_origin_nothing_is_had() {
        assert_eq!(vector(&[(0, 1, 5)]).seq(Stream::CHAIN, origin(2)), 0);
        assert_eq!(vector(&[(0, 1, 5)]).get(store(1), origin(1)), None);
    }

    #[test]
    #[should_panic(expected = "never falls")]
    fn a_vector_never_falls() {
        vector(&[(0, 1, 5), (0, 1, 4)]);
    }

    #[test]
    fn a_digest_does_not_depend_on_the_order_of_arrival() {
        let one = vector(&[(4, 1, 5), (4, 2, 7), (4, 1, 6)]);
        let other = vector(&[(4, 2, 7), (4, 1, 6)]);
        assert_eq!(one.digest8(store(4)), other.digest8(store(4)));
    }

    #[test]
    fn a_digest_changes_with_each_head_of_its_stream_and_with_no_other() {
        let before = vector(&[(4, 1, 5), (5, 1, 5)]);
        let other_stream = vector(&[(4, 1, 5), (5, 1, 6), (0, 3, 1)]);
        assert_eq!(before.digest8(store(4)), other_stream.digest8(store(4)));
        for changed in [&[(4, 1, 6)][..], &[(4, 2, 5)], &[(4, 1, 5), (4, 2, 1)], &[]] {
            assert_ne!(before.digest8(store(4)), vector(changed).digest8(store(4)));
        }
        assert_ne!(before.digest8(store(4)), before.digest8(store(5)), "a digest names its stream");
    }

    #[test]
    fn the_heads_of_a_stream_come_by_origin() {
        let vector = vector(&[(5, 1, 1), (4, 8_388_607, 2), (4, 1, 3), (3, 9, 9)]);
        let heads: Vec<_> = vector.of_stream(store(4)).map(|(o, h)| (o.get(), h.seq)).collect();
        assert_eq!(heads, [(1, 3), (8_388_607, 2)]);
        assert_eq!(vector.iter().count(), 4);
    }
}
