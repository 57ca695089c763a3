//! Messages keep their bytes, and no damaged one passes
//!
//! The golden files show each change of the wire as a change of a file. They bind from the day on which forks,
//! succession and snapshots have their form; until then a changed file is a question to be answered, not a fault.

use expect_test::{ExpectFile, expect_file};

use selvedge_sync::allow_list::Row;
use selvedge_sync::commitment::commitment;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::{Millis, Stamp};
use selvedge_sync::merkle;
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::seal;
use selvedge_sync::snapshot::{self, Chunk, Manifest, Snap, Wish, packed};
use selvedge_sync::snapshot_rows::RowWriter;
use selvedge_sync::value::Borrowed;
use selvedge_sync::version::{Head, digest8};
use selvedge_sync::view::{self, Stretch, ViewHead};
use selvedge_sync::view_wire::{HasView, ViewAsk, ViewPart};
use selvedge_sync::wire::{AboutBlobs, Ack, Given, Need, PAPER_ROW, PAPER_SUCCESSION, StreamHeads};

fn writer_keys() -> SoftwareKeys {
    SoftwareKeys::from_seed([3; 32])
}

fn origin(number: u32) -> Origin {
    Origin::new(number).expect("a sample origin")
}

fn store() -> Stream {
    Stream::store(12).expect("a sample store")
}

/// The start of the chain of the sample's origin.
fn start() -> [u8; 32] {
    seal::genesis(origin(7), store())
}

fn frame(entries: &[&[u8]]) -> Frame {
    let chain = entries
        .iter()
        .zip(1..)
        .fold(start(), |chain, (entry, seq)| seal::next(&chain, origin(7), store(), seq, entry));
    let head = Head { seq: entries.len() as u64, chain };
    let seal = seal::make(&writer_keys(), origin(7), store(), &head, 0, 12);
    Frame::new(origin(7), store(), 1, &start(), seal, entries).expect("a sample frame")
}

fn raw_frame() -> Frame {
    frame(&[b"an entry", b"and one more"])
}

fn packed_frame() -> Frame {
    frame(&[&b"row of a table ".repeat(9), &b"row of a table ".repeat(8), b"last row"])
}

/// A frame with two blobs, each committed to by one entry.
fn side_frame() -> Frame {
    let blobs = [b"a sealed blob".to_vec(), b"and another".to_vec()];
    let entry = |blob: &[u8]| [&b"row \x58\x20"[..], &commitment(blob), b" end"].concat();
    let entries = [entry(&blobs[0]), b"none".to_vec(), entry(&blobs[1])];
    frame(&entries.each_ref().map(|entry| &entry[..])).with_side(blobs.to_vec()).unwrap()
}

fn ack() -> Ack {
    Ack {
        nonce: 0x0102_0304_0506_0708,
        stamp: Stamp(1_795_000_000_000 << 16 | 3),
        heads: vec![(Stream::CHAIN, origin(1), 300), (store(), origin(7), 2)],
        credit_live: 262_144,
        credit_bulk: 1_048_576,
        parked: 1,
        committed: vec![(store(), origin(7), 2)],
        kept_twice: vec![(store(), origin(7), 1)],
        generation: Some(origin(1)),
        ages: vec![(origin(8), 4), (origin(9), 600)],
        digests: vec![],
        blobs: AboutBlobs {
            lacks: vec![commitment(b"a sealed blob")],
            given: Some(Given { through: [6; 32], blobs: vec![b"and another".to_vec()] }),
        },
        signer: origin(7),
    }
}

fn beat() -> Ack {
    Ack {
        heads: vec![],
        parked: 0,
        committed: vec![],
        kept_twice: vec![],
        generation: None,
        ages: vec![],
        digests: vec![
            (Stream::CHAIN, digest8(Stream::CHAIN, [])),
            (store(), digest8(store(), [(origin(7), 2)])),
        ],
        blobs: AboutBlobs::default(),
        ..ack()
    }
}

fn need() -> Need {
    let heads = vec![(origin(7), 2, [1; 8]), (origin(8), 70_000, [2; 8])];
    Need {
        nonce: 0x0102_0304_0506_0708,
        origin: origin(7),
        build: "0.1.0".into(),
        epoch_lowest: 1,
        epoch_highest: 2,
        vectors: vec![
            StreamHeads { stream: Stream::CHAIN, heads: vec![] },
            StreamHeads { stream: store(), heads },
        ],
        want_snapshot: true,
        reply: false,
        credit_live: 262_144,
        credit_bulk: 262_144,
        ticket: 0,
        papers: vec![(PAPER_ROW, vec![3; 4]), (PAPER_SUCCESSION, vec![4; 5])],
    }
}

#[test]
fn a_frame_keeps_its_bytes() {
    keeps(&raw_frame().encode(), expect_file!["golden/frame_raw.hex"]);
    keeps(&packed_frame().encode(), expect_file!["golden/frame_packed.hex"]);
    keeps(&side_frame().encode(), expect_file!["golden/frame_side.hex"]);
}

#[test]
fn an_ack_keeps_its_bytes() {
    keeps(&ack().encode(&writer_keys()), expect_file!["golden/ack.hex"]);
    keeps(&beat().encode(&writer_keys()), expect_file!["golden/beat.hex"]);
}

#[test]
fn a_need_keeps_its_bytes() {
    keeps(&need().encode(&writer_keys()), expect_file!["golden/need.hex"]);
}

/// Compares with a file of hex text, 32 bytes a line.
fn keeps(bytes: &[u8], golden: ExpectFile) {
    let lines: Vec<String> = bytes.chunks(32).map(hex::encode).collect();
    golden.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn no_flipped_bit_and_no_cut_passes_for_a_raw_frame() {
    nothing_damaged_passes(&raw_frame().encode(), |bytes| {
        let frame = Frame::decode(bytes).ok()?;
        frame.verify(&writer_keys(), &start(), &writer_keys().public()).ok().map(drop)
    });
}

// The seal does not cover what lies beside the entries. What they commit to does.
#[test]
fn no_flipped_bit_and_no_cut_passes_for_a_frame_with_blobs() {
    nothing_damaged_passes(&side_frame().encode(), |bytes| {
        let frame = Frame::decode(bytes).ok()?;
        frame.verify(&writer_keys(), &start(), &writer_keys().public()).ok().map(drop)
    });
}

#[test]
fn a_blob_that_no_entry_commits_to_makes_no_frame() {
    let stray = raw_frame().with_side(vec![b"stray".to_vec()]).unwrap_err();
    assert_eq!(
        stray.to_string(),
        "1 blobs of the frame belong to none of its entries: they were changed on the way"
    );
    let blob = b"a sealed blob".to_vec();
    let entry = [&b"\x58\x20"[..], &commitment(&blob)].concat();
    assert!(frame(&[&entry]).with_side(vec![blob.clone(), blob]).is_err(), "one twice");
}

#[test]
fn blobs_in_another_order_than_their_entries_make_no_frame() {
    let whole = side_frame().encode();
    let (one, other) = (b"\x4da sealed blob", b"\x4band another");
    let at = whole.len() - one.len() - other.len();
    assert_eq!(&whole[at..], [&one[..], other].concat());
    let turned = [&whole[..at], other, one].concat();
    assert!(Frame::decode(&turned).is_err(), "one frame has one form");
}

// A compressed body can say the same in two ways, so here a flipped bit may pass. What passes is what was sealed.
#[test]
fn what_passes_of_a_damaged_packed_frame_is_what_was_sealed() {
    let sealed = packed_frame();
    assert!(sealed.encode().len() < sealed.body_bytes(), "this one is packed");
    nothing_damaged_passes(&sealed.encode(), |bytes| {
        let frame = Frame::decode(bytes).ok()?;
        frame.verify(&writer_keys(), &start(), &writer_keys().public()).ok()?;
        (frame != sealed).then_some(())
    });
}

#[test]
fn no_flipped_bit_and_no_cut_passes_for_an_ack_or_a_need() {
    let public = writer_keys().public();
    for sent in [ack(), beat()] {
        nothing_damaged_passes(&sent.encode(&writer_keys()), |bytes| {
            Ack::decode(bytes).ok()?.proven_by(&public).ok().map(drop)
        });
    }
    nothing_damaged_passes(&need().encode(&writer_keys()), |bytes| {
        Need::decode(bytes).ok()?.proven_by(&public).ok().map(drop)
    });
}

/// Tries every single flipped bit, every cut and a byte too many.
fn nothing_damaged_passes(whole: &[u8], passes: impl Fn(&[u8]) -> Option<()>) {
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(passes(&damaged), None, "bit {bit} flipped");
    }
    for cut in 0..whole.len() {
        assert_eq!(passes(&whole[..cut]), None, "cut to {cut} bytes");
    }
    assert_eq!(passes(&[whole, &[0]].concat()), None, "a byte too many");
}

#[test]
fn what_is_tried_here_passes_undamaged() {
    let public = writer_keys().public();
    for sent in [raw_frame(), packed_frame(), side_frame()] {
        let came = Frame::decode(&sent.encode()).unwrap();
        came.verify(&writer_keys(), &start(), &public).unwrap();
        assert_eq!(came, sent);
    }
    assert_eq!(Ack::decode(&ack().encode(&writer_keys())).unwrap().proven_by(&public), Ok(ack()));
    assert_eq!(
        Need::decode(&need().encode(&writer_keys())).unwrap().proven_by(&public),
        Ok(need())
    );
}

fn view_ask() -> ViewAsk {
    let one = |view: &str, has, fetches, after: &[u8]| HasView {
        view: view.into(),
        has,
        fetches,
        after: after.to_vec(),
    };
    let views = vec![one("rates", (1, 7), (0, 0), b""), one("stock", (1, 300), (1, 302), b"\x05")];
    ViewAsk { nonce: 0x0102_0304_0506_0708, views, signer: origin(7) }
}

fn view_part() -> ViewPart {
    let all = [(b"\x06".as_slice(), b"six".as_slice()), (b"\x09", b"nine")];
    let head = ViewHead {
        view: "stock".into(),
        stream: Stream::CHAIN,
        origin: origin(1),
        version: 302,
        as_of: Millis(1_795_000_000_000),
        digest: view::digest(all.into_iter()),
        signature: [0; 64],
    };
    let rows = vec![(b"\x06".to_vec(), Some(b"six".to_vec())), (b"\x07".to_vec(), None)];
    let head = head.signed_by(&writer_keys());
    let stretch = Stretch { head, base: 300, after: b"\x05".to_vec(), rows, last: true };
    ViewPart { nonce: 0x0102_0304_0506_0708, stretch, signer: origin(7) }
}

#[test]
fn messages_about_views_keep_their_bytes() {
    keeps(&view_ask().encode(&writer_keys()), expect_file!["golden/view_ask.hex"]);
    keeps(&view_part().encode(&writer_keys()), expect_file!["golden/view_part.hex"]);
    let public = writer_keys().public();
    let sent = view_ask().encode(&writer_keys());
    assert_eq!(ViewAsk::decode(&sent).unwrap().proven_by(&public), Ok(view_ask()));
    let sent = view_part().encode(&writer_keys());
    assert_eq!(ViewPart::decode(&sent).unwrap().proven_by(&public), Ok(view_part()));
    assert!(view_part().stretch.head.verify(&writer_keys(), &public));
}

#[test]
fn no_flipped_bit_and_no_cut_passes_for_a_message_about_views() {
    let public = writer_keys().public();
    nothing_damaged_passes(&view_ask().encode(&writer_keys()), |bytes| {
        ViewAsk::decode(bytes).ok()?.proven_by(&public).ok().map(drop)
    });
    nothing_damaged_passes(&view_part().encode(&writer_keys()), |bytes| {
        ViewPart::decode(bytes).ok()?.proven_by(&public).ok().map(drop)
    });
    let head = view_part().stretch.head.to_bytes();
    nothing_damaged_passes(&head, |bytes| {
        ViewHead::from_bytes(bytes).ok()?.verify(&writer_keys(), &public).then_some(())
    });
}

/// A chunk of two rows, the first of two chunks, and the manifest that names it.
fn snapshot() -> (Manifest, Chunk) {
    let mut rows = RowWriter::default();
    for id in [7_i64 << 40, (7 << 40) + 1] {
        let row = [Borrowed::Int(id), Borrowed::Text("shirt"), Borrowed::Null];
        rows.row(2, row.into_iter());
    }
    let body = packed(&rows.finish());
    let leaves = [merkle::leaf(1, &body), merkle::leaf(2, b"\0")];
    let root = merkle::root(&leaves);
    let mut id = [0; 16];
    id.copy_from_slice(&root[..16]);
    let keys = writer_keys();
    let device = DeviceId::new("s0012-b01").expect("a sample device");
    let key = keys.public();
    let maker = Row::sign(origin(7), &device, 12, Role::BackOffice, "B1", key, &keys).to_bytes();
    let manifest = Manifest {
        id,
        store: 12,
        epoch: 1,
        stamp: Stamp(1_795_000_000_000 << 16),
        chunks: 2,
        root,
        marks: vec![(Stream::CHAIN, origin(1), 300), (store(), origin(7), 2)],
        maker,
        signer: origin(7),
    };
    (manifest, Chunk { id, number: 1, body, path: merkle::path(&leaves, 0) })
}

#[test]
fn the_messages_of_a_snapshot_keep_their_bytes() {
    let (manifest, chunk) = snapshot();
    keeps(&manifest.encode(&writer_keys()), expect_file!["golden/manifest.hex"]);
    keeps(&chunk.encode(), expect_file!["golden/chunk.hex"]);
    let wish = Wish { id: manifest.id, chunks: vec![1, 2], signer: origin(8) };
    keeps(&wish.encode(&writer_keys()), expect_file!["golden/wish.hex"]);
}

#[test]
fn no_flipped_bit_and_no_cut_passes_for_the_messages_of_a_snapshot() {
    let (manifest, chunk) = snapshot();
    let keys = writer_keys();
    let prove = |bytes: &[u8]| Manifest::prove(bytes, &keys.public(), &keys).ok();
    let (proven, maker) = prove(&manifest.encode(&keys)).expect("undamaged");
    assert_eq!((&proven, maker.origin), (&manifest, origin(7)));
    nothing_damaged_passes(&manifest.encode(&keys), |bytes| prove(bytes).map(drop));
    let belongs = |bytes: &[u8]| match snapshot::decode(bytes).ok()? {
        Snap::Chunk(chunk) => chunk.belongs_to(&manifest).then_some(()),
        _ => None,
    };
    assert_eq!(belongs(&chunk.encode()), Some(()));
    nothing_damaged_passes(&chunk.encode(), belongs);
    let wish = Wish { id: manifest.id, chunks: vec![1, 2], signer: origin(8) };
    let heard = |bytes: &[u8]| match snapshot::decode(bytes).ok()? {
        Snap::Wish(wish) => wish.proven_by(&keys.public()).ok(),
        _ => None,
    };
    assert_eq!(heard(&wish.encode(&keys)), Some(wish.clone()));
    nothing_damaged_passes(&wish.encode(&keys), |bytes| heard(bytes).map(drop));
}

#[test]
fn every_golden_message_is_one_item_and_nothing_behind_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut read = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        // A file of records, and no message.
        if path.file_stem().is_some_and(|name| name == "second_copy") {
            continue;
        }
        let digits: Vec<u8> =
            std::fs::read(&path).unwrap().into_iter().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| byte(pair).unwrap()).collect();
        let mut reader = minicbor::Decoder::new(&bytes);
        reader.skip().unwrap();
        assert_eq!(reader.position(), bytes.len(), "{} is more than one item", path.display());
        read += 1;
    }
    assert!(read > 10, "{read} golden messages were read");
}
