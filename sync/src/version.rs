//! Who has how much of whose entries
//!
//! Entries of one origin and stream are numbered without a hole, so one number says all that a replica has of them, and
//! two replicas find out exactly what the other lacks by comparing numbers.

use crate::origin::{Origin, Stream};

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
    use crate::version::digest8;

    fn digest(store: u32, heads: &[(u32, u64)]) -> [u8; 8] {
        let heads = heads.iter().map(|(writer, seq)| (Origin::new(*writer).unwrap(), *seq));
        digest8(Stream::store(store).unwrap(), heads)
    }

    #[test]
    fn a_digest_changes_with_each_head_and_names_its_stream() {
        let before = digest(4, &[(1, 5)]);
        for changed in [&[(1, 6)][..], &[(2, 5)], &[(1, 5), (2, 1)], &[]] {
            assert_ne!(before, digest(4, changed));
        }
        assert_ne!(before, digest(5, &[(1, 5)]));
    }

    #[test]
    #[should_panic(expected = "ascending")]
    fn heads_in_another_order_would_make_another_digest() {
        digest(4, &[(2, 7), (1, 6)]);
    }
}
