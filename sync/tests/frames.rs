//! Frames, whole and damaged

use expect_test::{Expect, expect};
use proptest::prelude::*;

use selvedge_sync::canonical::Writer;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::{BODY_BYTES_MAX, ENTRY_BYTES_MAX, FRAME_BYTES_MAX, Frame, FrameError};
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::seal;
use selvedge_sync::version::{Head, SEQ_MAX};

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
        let chains = came.verify(&keys(), &PREVIOUS, &keys().public()).unwrap();
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
    check(frame(1, &[vec![]]), expect!["an entry of 0 bytes is refused: it must have 1 to 65536"]);
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
        expect!["the body is packed in way 16, which this build does not know: update this device"],
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
        expect!["the frame cannot be read: a number that is not in its shortest form at byte 0"],
    );
}

#[test]
fn another_past_and_another_key_are_told_apart() {
    let frame = frame(41, &[vec![1], vec![2]]).unwrap();
    check(
        frame.verify(&keys(), &[6; 32], &keys().public()).map(|_| frame.clone()),
        expect![
            "origin 7 has another past in store/12 before entry 41 than the one known here: it was cloned or restored, give it a new origin"
        ],
    );
    let other = SoftwareKeys::from_seed([4; 32]);
    check(
        frame.verify(&keys(), &PREVIOUS, &other.public()).map(|_| frame.clone()),
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
        prop_assert!(came.verify(&keys(), &PREVIOUS, &keys().public()).is_ok());
    }

    #[test]
    fn no_bytes_make_a_frame_panic(body: Vec<u8>, enc in 0u64..2, whole: Vec<u8>) {
        let _ = Frame::decode(&whole);
        let _ = Frame::decode(&by_hand(7, 1, enc, &body));
    }
}
