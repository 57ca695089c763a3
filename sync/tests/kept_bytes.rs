//! What HQ says and keeps beside the messages keeps its bytes

use expect_test::{ExpectFile, expect_file};
use rusqlite::types::Value as Sql;
use selvedge_sync::canonical::Writer;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::entry::{self, Header, Layout, Op, RowChange};
use selvedge_sync::ext::Ext;
use selvedge_sync::frame::Frame;
use selvedge_sync::hlc::{Millis, Stamp};
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::Migration;
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::seal;
use selvedge_sync::second_copy;
use selvedge_sync::segment::{Proof, Segments};
use selvedge_sync::succession::{Succession, writer_of};
use selvedge_sync::value::{Kind, Value};
use selvedge_sync::version::Head;
use selvedge_sync::watermark::Watermark;
use std::path::Path;
use std::sync::Arc;

fn authority() -> SoftwareKeys {
    SoftwareKeys::from_seed([1; 32])
}

fn writer() -> SoftwareKeys {
    SoftwareKeys::from_seed([3; 32])
}

fn origin(number: u32) -> Origin {
    Origin::new(number).expect("a sample origin")
}

fn store() -> Stream {
    Stream::store(12).expect("a sample store")
}

/// Compares with a file of hex text, 32 bytes a line.
fn keeps(bytes: &[u8], golden: ExpectFile) {
    let lines: Vec<String> = bytes.chunks(32).map(hex::encode).collect();
    golden.assert_eq(&(lines.join("\n") + "\n"));
}

/// Tries every single flipped bit, every cut and a byte too many.
fn nothing_damaged_passes(whole: &[u8], passes: impl Fn(&[u8]) -> bool) {
    assert!(passes(whole), "undamaged");
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&damaged), "bit {bit} flipped");
    }
    for cut in 0..whole.len() {
        assert!(!passes(&whole[..cut]), "cut to {cut} bytes");
    }
    assert!(!passes(&[whole, &[0]].concat()), "a byte too many");
}

fn succession() -> Succession {
    let heads = [
        (Stream::CHAIN, Head { seq: 300, chain: [4; 32] }),
        (store(), Head { seq: 2, chain: [5; 32] }),
    ];
    let next = writer_of(1).expect("there is a second generation");
    Succession::sign(next, origin(1), &heads, &authority()).remove(0)
}

#[test]
fn a_statement_of_succession_keeps_its_bytes_and_none_damaged_passes() {
    let bytes = succession().to_bytes();
    keeps(&bytes, expect_file!["golden/succession.hex"]);
    let public = authority().public();
    assert_eq!(Succession::from_bytes(&bytes, &public), Ok(succession()));
    nothing_damaged_passes(&bytes, |bytes| Succession::from_bytes(bytes, &public).is_ok());
}

/// The columns of table `watermark`.
fn watermark_layout() -> Layout {
    let kinds = vec![Kind::Int, Kind::Int, Kind::Int, Kind::Bytes, Kind::Int, Kind::Bytes];
    Layout::new(kinds, vec![0, 1])
}

/// The frame of an entry that brings a watermark: this is how one travels.
fn watermark() -> (Watermark, Frame) {
    let row = Watermark::sign(store(), origin(7), 2, [6; 32], origin(1), &writer());
    let values = vec![
        Value::Int(12),
        Value::Int(7),
        Value::Int(2),
        Value::Bytes(row.chain.to_vec()),
        Value::Int(1),
        Value::Bytes(row.signature.to_vec()),
    ];
    let insert = RowChange {
        table: 4011,
        op: Op::Insert,
        mask: 0,
        values: values.into(),
        seen: None,
        named: None,
    };
    let header = Header { epoch: 1, stamp: Stamp(1_795_000_000_000 << 16), base: 0 };
    let layout = watermark_layout();
    let entry = entry::encode(origin(1), header, &Ext::NONE, &[insert], |_| &layout)
        .expect("a sample entry");
    let start = seal::genesis(origin(1), store());
    let head = Head { seq: 1, chain: seal::next(&start, origin(1), store(), 1, &entry) };
    let seal = seal::make(&writer(), origin(1), store(), &head, 0, 12);
    let frame = Frame::new(origin(1), store(), 1, &start, seal, [entry]).expect("a sample frame");
    (row, frame)
}

#[test]
fn a_frame_with_a_watermark_keeps_its_bytes_and_none_damaged_passes() {
    let (row, frame) = watermark();
    keeps(&frame.encode(), expect_file!["golden/watermark.hex"]);
    let (keys, public) = (writer(), writer().public());
    assert!(row.verify(&keys, &public));
    nothing_damaged_passes(&frame.encode(), |bytes| {
        let Ok(frame) = Frame::decode(bytes) else { return false };
        frame.verify(&keys, &seal::genesis(origin(1), store()), &public).is_ok()
    });
}

const TRADE: Migration = Migration {
    name: "0001_rates",
    sql: "CREATE TABLE rate (thing INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
    INSERT INTO replicated (table_id, name, rule) VALUES (3, 'rate', 'owner');",
};

/// HQ, under the number and the key of the golden writer.
fn headquarters(folder: &Path) -> Replica {
    let identity = Identity {
        device: DeviceId::new("hq-w1").expect("a sample device"),
        origin: origin(7),
        role: Role::Hq,
        store: 0,
        authority: authority().public(),
    };
    let path = folder.join("hq.db");
    let migrations = vec![TRADE];
    let keys = Arc::new(writer());
    Replica::open(Settings { path, vfs: None, identity, keys, migrations, cache_kib: 2_048 })
        .expect("a new database opens")
}

/// A segment of three entries, and its row in the file as a list.
fn segment() -> (Vec<Proof>, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut hq = headquarters(folder.path());
    for thing in 1..=3 {
        let at = Millis(1_795_000_000_000 + thing);
        let noise = *blake3::hash(&[thing as u8]).as_bytes();
        hq.write(at, |tx| tx.execute("INSERT INTO rate VALUES (?1, ?2)", (thing, noise)))
            .expect("HQ writes rates");
    }
    let segments = Segments::open(hq.path(), None).expect("a new file opens");
    let key = (Stream::CHAIN, origin(7));
    assert_eq!(segments.seal(&hq, key, 0, 3, 3), Ok(3));
    let proofs = (1..=3).map(|seq| segments.prove(key, seq).unwrap().unwrap()).collect();
    let db = rusqlite::Connection::open(hq.path().with_extension("segments")).unwrap();
    let row: Vec<Sql> = db
        .query_row("SELECT * FROM segment", [], |row| (0..10).map(|at| row.get(at)).collect())
        .unwrap();
    let mut list = Writer::after(Vec::new());
    list.list(row.len());
    for value in &row {
        match value {
            Sql::Integer(number) => list.int(*number),
            Sql::Blob(bytes) => list.bytes(bytes),
            other => panic!("a segment holds numbers and bytes only: {other:?}"),
        };
    }
    (proofs, list.finish())
}

#[test]
fn a_segment_keeps_its_bytes_and_each_entry_in_it_proves_itself() {
    let (proofs, row) = segment();
    keeps(&row, expect_file!["golden/segment.hex"]);
    let public = writer().public();
    for proof in &proofs {
        assert!(proof.holds(&public));
        for bit in 0..proof.entry.len() * 8 {
            let mut damaged = proof.clone();
            damaged.entry[bit / 8] ^= 1 << (bit % 8);
            assert!(!damaged.holds(&public), "bit {bit} flipped");
        }
        for cut in 0..proof.entry.len() {
            let damaged = Proof { entry: proof.entry[..cut].to_vec(), ..proof.clone() };
            assert!(!damaged.holds(&public), "cut to {cut} bytes");
        }
    }
}

/// Two frames as the second copy holds them.
fn copied() -> Vec<u8> {
    let mut bytes = Vec::new();
    second_copy::append(&mut bytes, &watermark().1.encode());
    second_copy::append(&mut bytes, &watermark().1.encode());
    bytes
}

#[test]
fn a_second_copy_keeps_its_bytes_and_no_damaged_record_is_read() {
    let whole = copied();
    let record = whole.len() / 2;
    keeps(&whole[..record], expect_file!["golden/second_copy.hex"]);
    let (frames, bytes) = second_copy::read(&whole);
    assert_eq!((frames.len(), bytes), (2, whole.len()));
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let expected = if bit / 8 < record { 0 } else { record };
        assert_eq!(second_copy::read(&damaged).1, expected, "bit {bit} flipped");
    }
    for cut in 0..whole.len() {
        assert_eq!(second_copy::read(&whole[..cut]).1, cut / record * record, "cut to {cut}");
    }
}
