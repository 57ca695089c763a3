//! Ties entries into a chain by hash, and signs its head
//!
//! A signature on every entry would cost two thirds of the speed of applying them. Each chain value takes in the one
//! before, so one signature over the newest vouches for all. Origin, stream and number are in the hash: an entry cannot
//! be moved, and a relay can cut frames anew at any seal without being able to change or invent one.

use crate::device_keys::DeviceKeys;
use crate::origin::{Origin, Stream};
use crate::version::Head;

/// The session number of the enrolled key itself, where no session key was delegated.
pub const SESSION_OF_ENROLLED_KEY: u64 = 0;

const GENESIS_TAG: &[u8; 16] = b"selvedge/chain/1";
const SEAL_TAG: &[u8; 15] = b"selvedge/seal/1";
const SEAL_MESSAGE_BYTES: usize = SEAL_TAG.len() + 4 + 4 + 8 + 8 + 4 + 32;

/// A signature over a head, by the key of the origin that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// The entry up to which it vouches.
    pub seq: u64,
    /// The number of the key that made it. 0 is the enrolled key itself.
    pub session: u64,
    /// Running seconds since that key was delegated.
    pub age: u32,
    /// The signature.
    pub signature: [u8; 64],
}

/// The chain value before the first entry of an origin and stream.
pub fn genesis(origin: Origin, stream: Stream) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(GENESIS_TAG)
        .update(&origin.get().to_be_bytes())
        .update(&stream.number().to_be_bytes());
    hasher.finalize().into()
}

/// The chain value after entry number `seq` with these bytes.
pub fn next(
    previous: &[u8; 32],
    origin: Origin,
    stream: Stream,
    seq: u64,
    entry: &[u8],
) -> [u8; 32] {
    let mut fixed = [0; 48];
    fixed[..32].copy_from_slice(previous);
    fixed[32..36].copy_from_slice(&origin.get().to_be_bytes());
    fixed[36..40].copy_from_slice(&stream.number().to_be_bytes());
    fixed[40..].copy_from_slice(&seq.to_be_bytes());
    blake3::Hasher::new().update(&fixed).update(entry).finalize().into()
}

/// Seals a head.
pub fn make(
    keys: &dyn DeviceKeys,
    origin: Origin,
    stream: Stream,
    head: &Head,
    session: u64,
    age: u32,
) -> Seal {
    assert!(head.seq > 0, "only a chain with an entry is sealed");
    let unsigned = Seal { seq: head.seq, session, age, signature: [0; 64] };
    let signature = keys.sign(&signed_message(origin, stream, &head.chain, &unsigned));
    Seal { signature, ..unsigned }
}

/// Whether a seal is by this public key and for this chain value, as these keys verify it.
pub fn check(
    keys: &dyn DeviceKeys,
    public: &[u8; 32],
    origin: Origin,
    stream: Stream,
    chain: &[u8; 32],
    seal: &Seal,
) -> bool {
    keys.verify(public, &signed_message(origin, stream, chain, seal), &seal.signature)
}

fn signed_message(
    origin: Origin,
    stream: Stream,
    chain: &[u8; 32],
    seal: &Seal,
) -> [u8; SEAL_MESSAGE_BYTES] {
    let mut message = [0; SEAL_MESSAGE_BYTES];
    let parts: [&[u8]; 7] = [
        SEAL_TAG,
        &origin.get().to_be_bytes(),
        &stream.number().to_be_bytes(),
        &seal.seq.to_be_bytes(),
        &seal.session.to_be_bytes(),
        &seal.age.to_be_bytes(),
        chain,
    ];
    let mut at = 0;
    for part in parts {
        message[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    assert_eq!(at, SEAL_MESSAGE_BYTES, "the parts fill the message");
    message
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::device_keys::{DeviceKeys, SoftwareKeys};
    use crate::origin::{Origin, Stream};
    use crate::seal::{Seal, check, genesis, make, next};
    use crate::version::Head;

    fn origin(number: u32) -> Origin {
        Origin::new(number).unwrap()
    }

    fn sample() -> (SoftwareKeys, Head, Seal) {
        let keys = SoftwareKeys::from_seed([3; 32]);
        let chain = next(&genesis(origin(7), Stream::CHAIN), origin(7), Stream::CHAIN, 1, b"entry");
        let head = Head { seq: 1, chain };
        let seal = make(&keys, origin(7), Stream::CHAIN, &head, 0, 12);
        (keys, head, seal)
    }

    // The text of the rule, written down once more by hand.
    #[test]
    fn the_chain_is_the_hash_that_the_design_names() {
        let mut first = b"selvedge/chain/1".to_vec();
        first.extend([0, 0, 0, 7, 0, 0, 0, 12]);
        let store = Stream::store(12).unwrap();
        let start = genesis(origin(7), store);
        assert_eq!(start, *blake3::hash(&first).as_bytes());
        let mut second = start.to_vec();
        second.extend([0, 0, 0, 7, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 1]);
        second.extend(b"entry");
        assert_eq!(next(&start, origin(7), store, 1, b"entry"), *blake3::hash(&second).as_bytes());
    }

    #[test]
    fn a_seal_holds_for_its_head_and_key() {
        let (keys, head, seal) = sample();
        assert!(check(&keys, &keys.public(), origin(7), Stream::CHAIN, &head.chain, &seal));
        let other = SoftwareKeys::from_seed([4; 32]);
        assert!(!check(&keys, &other.public(), origin(7), Stream::CHAIN, &head.chain, &seal));
    }

    #[test]
    fn a_seal_holds_for_no_other_origin_stream_number_session_or_age() {
        let (keys, head, seal) = sample();
        let holds = |o, s, seal: Seal| check(&keys, &keys.public(), o, s, &head.chain, &seal);
        assert!(!holds(origin(8), Stream::CHAIN, seal));
        assert!(!holds(origin(7), Stream::store(1).unwrap(), seal));
        assert!(!holds(origin(7), Stream::CHAIN, Seal { seq: 2, ..seal }));
        assert!(!holds(origin(7), Stream::CHAIN, Seal { session: 1, ..seal }));
        assert!(!holds(origin(7), Stream::CHAIN, Seal { age: 13, ..seal }));
        assert!(holds(origin(7), Stream::CHAIN, seal));
    }

    proptest! {
        #[test]
        fn an_entry_moved_changed_or_left_out_gives_another_chain(
            entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 2..8),
            at: proptest::sample::Index,
        ) {
            let chain = |entries: &[Vec<u8>]| {
                let start = genesis(origin(7), Stream::CHAIN);
                entries.iter().zip(1..).fold(start, |before, (entry, seq)| {
                    next(&before, origin(7), Stream::CHAIN, seq, entry)
                })
            };
            let honest = chain(&entries);
            let at = at.index(entries.len());
            let mut changed = entries.clone();
            changed[at][0] ^= 1;
            prop_assert_ne!(honest, chain(&changed));
            let mut short = entries.clone();
            short.remove(at);
            prop_assert_ne!(honest, chain(&short));
            let mut moved = entries.clone();
            let to = (at + 1) % entries.len();
            moved.swap(at, to);
            if moved != entries {
                prop_assert_ne!(honest, chain(&moved));
            }
        }
    }
}
