//! Every parser of the engine, and what it must keep to
//!
//! Whatever a parser accepts, it writes again: as the same bytes where the form is unique, else as bytes that read as the
//! same thing. It never panics, and it asks for no memory because a head says so.

use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::Row;
use selvedge_sync::canonical::{Held, Reader, Writer};
use selvedge_sync::device_keys::{DeviceKeys, KeyClass};
use selvedge_sync::entry::{self, Header, Layout, Op, RowChange};
use selvedge_sync::entry_reader;
use selvedge_sync::ext::Ext;
use selvedge_sync::frame::Frame;
use selvedge_sync::origin::Origin;
use selvedge_sync::packing;
use selvedge_sync::register;
use selvedge_sync::second_copy;
use selvedge_sync::snapshot::{self, Manifest, Snap};
use selvedge_sync::snapshot_rows::{self, RowWriter};
use selvedge_sync::succession::Succession;
use selvedge_sync::topics;
use selvedge_sync::value::{Kind, Value};
use selvedge_sync::view::ViewHead;
use selvedge_sync::view_wire::{ViewAsk, ViewPart};
use selvedge_sync::wire::{Ack, Need};
use std::sync::LazyLock;

/// What a parser made of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// It refused them.
    Refused,
    /// It took them, and wrote the very same bytes.
    Same,
    /// It took them; what it wrote reads as the same thing.
    Alike,
}

/// A parser: its name, the golden files that it reads, and itself. It panics where it does not keep to its word.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// What it is called.
    pub name: &'static str,
    /// Hex texts of bytes that it reads, to begin with.
    pub golden: &'static [&'static str],
    /// Reads bytes, and looks at what came of them.
    pub read: fn(&[u8]) -> Read,
}

macro_rules! golden {
    ($($file:literal),*) => {
        &[$(include_str!(concat!("../../tests/golden/", $file, ".hex"))),*]
    };
}

/// Every parser of bytes that come from outside.
pub const ALL: [Parser; 19] = [
    Parser { name: "canonical CBOR", golden: golden!("ack", "need", "manifest"), read: cbor },
    Parser {
        name: "frame",
        golden: golden!("frame_raw", "frame_packed", "frame_side", "watermark"),
        read: frame,
    },
    Parser { name: "entry", golden: golden!("entry", "entry_ext", "entry_register"), read: entry },
    Parser { name: "ack", golden: golden!("ack", "beat"), read: ack },
    Parser { name: "need", golden: golden!("need"), read: need },
    Parser { name: "view ask", golden: golden!("view_ask"), read: view_ask },
    Parser { name: "view part", golden: golden!("view_part"), read: view_part },
    Parser { name: "view head", golden: &[], read: view_head },
    Parser { name: "snapshot", golden: golden!("manifest", "chunk", "wish"), read: snap },
    Parser { name: "manifest", golden: golden!("manifest"), read: manifest },
    Parser { name: "snapshot rows", golden: &[], read: rows },
    Parser {
        name: "allow-list row",
        golden: golden!("allow_row", "allow_row_ended", "allow_row_spare"),
        read: allow_row,
    },
    Parser { name: "succession", golden: golden!("succession"), read: succession },
    Parser { name: "marks of a row", golden: &[], read: marks },
    Parser { name: "mark", golden: &[], read: mark },
    Parser { name: "packed body", golden: &[], read: packed },
    Parser { name: "second copy", golden: golden!("second_copy"), read: copied },
    Parser { name: "admission", golden: &[], read: admission },
    Parser { name: "topic", golden: &[], read: topic },
];

fn told(bytes: &[u8], again: &[u8]) -> Read {
    if bytes == again { Read::Same } else { Read::Alike }
}

/// Believes everybody, so that what lies behind a signature is reached.
struct Gullible;

impl DeviceKeys for Gullible {
    fn public(&self) -> [u8; 32] {
        [0; 32]
    }

    fn sign(&self, _message: &[u8]) -> [u8; 64] {
        [0; 64]
    }

    fn class(&self) -> KeyClass {
        KeyClass::SoftwareInsecure
    }

    fn verify(&self, _public: &[u8; 32], _message: &[u8], _signature: &[u8; 64]) -> bool {
        true
    }
}

/// Bytes of a signature with its head.
const SIGNATURE: usize = 66;

/// How many parts the list has with which these bytes begin.
fn parts(bytes: &[u8]) -> usize {
    Reader::new(bytes).list().unwrap_or(0)
}

/// What was signed is written again as it was, but for parts of newer builds and for what is packed in another way.
fn signed_part(bytes: &[u8], again: &[u8], packs: bool) -> Read {
    let without = |bytes: &[u8]| bytes[..bytes.len() - SIGNATURE].to_vec();
    let same = without(bytes) == without(again);
    assert!(same || packs || parts(bytes) > parts(again), "it has a second form");
    if same { Read::Same } else { Read::Alike }
}

fn cbor(bytes: &[u8]) -> Read {
    let mut reader = Reader::new(bytes);
    if reader.pass_over().and_then(|()| reader.end()).is_err() {
        return Read::Refused;
    }
    let (mut reader, mut again) = (Reader::new(bytes), Writer::after(Vec::new()));
    if !copy(bytes, &mut reader, &mut again) {
        // A negative number of 65 bits: passed over by all, written by none.
        return Read::Alike;
    }
    assert_eq!(again.finish(), bytes, "one form");
    Read::Same
}

fn copy(bytes: &[u8], reader: &mut Reader<'_>, out: &mut Writer) -> bool {
    match bytes[reader.position()] >> 5 {
        0 => {
            out.uint(reader.uint().expect("it was read"));
        }
        4 => {
            let parts = reader.list().expect("it was read");
            out.list(parts);
            return (0..parts).all(|_| copy(bytes, reader, out));
        }
        7 if bytes[reader.position()] != 0xf6 => {
            out.truth(reader.truth().expect("it was read"));
        }
        _ => match reader.held() {
            Ok(Held::Nothing) => _ = out.null(),
            Ok(Held::Number(number)) => _ = out.int(number),
            Ok(Held::Text(text)) => _ = out.text(text),
            Ok(Held::Bytes(bytes)) => _ = out.bytes(bytes),
            Err(_) => return false,
        },
    }
    true
}

fn frame(bytes: &[u8]) -> Read {
    let Ok(frame) = Frame::decode(bytes) else { return Read::Refused };
    let again = frame.encode();
    assert_eq!(Frame::decode(&again).ok().as_ref(), Some(&frame), "it reads as another frame");
    assert_eq!(frame.entries().len(), frame.count());
    assert!(frame.body_bytes() <= packing::UNPACKED_BYTES_MAX + bytes.len(), "it has grown");
    let _ = frame.chains(&[0; 32]);
    let (form, own) = (frame_form(bytes), frame_form(&again));
    let may_differ = form.0 == 1 || own.0 == 1 || form.1 > own.1;
    assert!(again == bytes || may_differ, "it has a second form");
    told(bytes, &again)
}

/// How a frame that was read packs its body, and how many pairs are behind that.
fn frame_form(bytes: &[u8]) -> (u64, usize) {
    let mut reader = Reader::new(bytes);
    let fields = reader.list().expect("it was read");
    (0..9).try_for_each(|_| reader.pass_over()).expect("it was read");
    let enc = reader.uint().expect("it was read");
    reader.pass_over().expect("it was read");
    (enc, if fields > 11 { reader.map().expect("it was read") } else { 0 })
}

static FACT: LazyLock<Layout> = LazyLock::new(|| {
    Layout::new(vec![Kind::Id, Kind::Time, Kind::Int, Kind::Text, Kind::Bytes], vec![0])
});

static REGISTER: LazyLock<Layout> = LazyLock::new(|| {
    let kinds = vec![Kind::Int, Kind::Text, Kind::Bytes, Kind::Int];
    Layout { marks: Some(2), ..Layout::new(kinds, vec![0]) }
});

/// Tables of the golden entries: an odd number is a fact, an even one a register.
fn layout(table: u32) -> &'static Layout {
    if table % 2 == 1 { &FACT } else { &REGISTER }
}

const WRITER: Origin = Origin::new(7).expect("7 is an origin");

/// What an entry holds: its rows, and what it says about itself.
type Opened = (Header, Vec<RowChange<'static>>, Ext);

fn opened(bytes: &[u8]) -> Option<Opened> {
    let mut reader = entry_reader::Reader::open(bytes, WRITER).ok()?;
    reader.refuse_unknown_columns();
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    while let Some(run) = reader.next_run().ok()? {
        while let Some(mask) = reader.next_row(layout(run.table), &mut values).ok()? {
            let seen = reader.seen().filter(|_| run.op == Op::Update && run.table % 2 == 0);
            let values = values.iter().map(|value| value.to_value()).collect();
            let (table, op) = (run.table, run.op);
            rows.push(RowChange { table, op, mask, values, seen, named: None });
        }
    }
    Some((reader.header(), rows, reader.ext()))
}

fn entry(bytes: &[u8]) -> Read {
    let Some(read) = opened(bytes) else { return Read::Refused };
    let Ok(again) = entry::encode(WRITER, read.0, &read.2, &read.1, layout) else {
        return Read::Alike;
    };
    assert_eq!(opened(&again).as_ref(), Some(&read), "it reads as another entry");
    told(bytes, &again)
}

fn ack(bytes: &[u8]) -> Read {
    let Ok(read) = Ack::decode(bytes) else { return Read::Refused };
    let again = read.message().encode(&Gullible);
    let heard = Ack::decode(&again).expect("it reads again");
    assert_eq!(heard.message(), read.message());
    signed_part(bytes, &again, false)
}

fn need(bytes: &[u8]) -> Read {
    let Ok(read) = Need::decode(bytes) else { return Read::Refused };
    let again = read.message().encode(&Gullible);
    let heard = Need::decode(&again).expect("it reads again");
    assert_eq!(heard.message(), read.message());
    signed_part(bytes, &again, false)
}

fn view_ask(bytes: &[u8]) -> Read {
    let Ok(read) = ViewAsk::decode(bytes) else { return Read::Refused };
    let again = read.message().encode(&Gullible);
    let heard = ViewAsk::decode(&again).expect("it reads again");
    assert_eq!(heard.message(), read.message());
    signed_part(bytes, &again, false)
}

fn view_part(bytes: &[u8]) -> Read {
    let Ok(read) = ViewPart::decode(bytes) else { return Read::Refused };
    let again = read.message().encode(&Gullible);
    let heard = ViewPart::decode(&again).expect("it reads again");
    assert_eq!(heard.message(), read.message());
    signed_part(bytes, &again, true)
}

fn view_head(bytes: &[u8]) -> Read {
    let Ok(head) = ViewHead::from_bytes(bytes) else { return Read::Refused };
    assert_eq!(head.to_bytes(), bytes, "one form");
    Read::Same
}

fn snap(bytes: &[u8]) -> Read {
    match snapshot::decode(bytes) {
        Err(_) => Read::Refused,
        Ok(Snap::Manifest) => Read::Alike,
        Ok(Snap::Chunk(chunk)) => {
            let again = chunk.encode();
            assert!(again == bytes || parts(bytes) > parts(&again), "it has a second form");
            if let Ok(rows) = snapshot::unpacked(&chunk.body) {
                assert!(rows.len() <= packing::UNPACKED_BYTES_MAX, "it has grown");
                let _ = self::rows(&rows);
            }
            told(bytes, &again)
        }
        Ok(Snap::Wish(wish)) => {
            let again = wish.message().encode(&Gullible);
            let cut = wish.message().chunks.len() == snapshot::ASKED_MAX;
            signed_part(bytes, &again, cut)
        }
    }
}

/// With keys that believe everything. The maker's row must still be HQ's own.
fn manifest(bytes: &[u8]) -> Read {
    let authority = selvedge_sync::device_keys::SoftwareKeys::from_seed([3; 32]).public();
    let Ok((read, _)) = Manifest::prove(bytes, &authority, &Gullible) else {
        return Read::Refused;
    };
    let again = read.encode(&Gullible);
    let (heard, _) = Manifest::prove(&again, &authority, &Gullible).expect("it reads again");
    assert_eq!(heard, read);
    signed_part(bytes, &again, false)
}

fn flat(runs: &[snapshot_rows::Run]) -> Vec<(u32, &[Value])> {
    runs.iter().flat_map(|run| run.rows().map(move |row| (run.number, row))).collect()
}

fn rows(bytes: &[u8]) -> Read {
    let Ok(runs) = snapshot_rows::read(bytes) else { return Read::Refused };
    let mut writer = RowWriter::default();
    for (number, row) in flat(&runs) {
        writer.row(number, row.iter().map(Value::borrow));
    }
    let again = writer.finish();
    let heard = snapshot_rows::read(&again).expect("it reads again");
    assert_eq!(flat(&heard), flat(&runs));
    if let Some([first, second]) = snapshot_rows::halve(bytes).expect("it was read") {
        let (first, second) = (snapshot_rows::read(&first), snapshot_rows::read(&second));
        let both = [first.expect("a half reads"), second.expect("a half reads")].concat();
        assert_eq!(flat(&both), flat(&runs));
    }
    told(bytes, &again)
}

fn allow_row(bytes: &[u8]) -> Read {
    let Ok(row) = Row::from_bytes(bytes) else { return Read::Refused };
    assert_eq!(row.to_bytes(), bytes, "one form");
    let _ = row.verify(&[1; 32]);
    Read::Same
}

fn succession(bytes: &[u8]) -> Read {
    let authority = selvedge_sync::device_keys::SoftwareKeys::from_seed([1; 32]).public();
    let Ok(said) = Succession::from_bytes(bytes, &authority) else { return Read::Refused };
    assert_eq!(said.to_bytes(), bytes, "one form");
    Read::Same
}

fn marks(bytes: &[u8]) -> Read {
    let Some(marks) = register::Marks::parse(bytes) else { return Read::Refused };
    assert_eq!(marks.to_bytes(), bytes, "one form");
    Read::Same
}

fn mark(bytes: &[u8]) -> Read {
    let Some(mark) = register::Mark::from_bytes(bytes) else { return Read::Refused };
    assert_eq!(mark.to_bytes(), bytes, "one form");
    assert_eq!(register::Mark::from_number(mark.to_number()), Some(mark));
    Read::Same
}

fn packed(bytes: &[u8]) -> Read {
    let Ok(body) = packing::unpack(bytes) else { return Read::Refused };
    assert!((1..=packing::UNPACKED_BYTES_MAX).contains(&body.len()), "it has grown");
    if let Some(again) = packing::pack(&body) {
        assert_eq!(packing::unpack(&again).ok(), Some(body));
    }
    Read::Alike
}

fn copied(bytes: &[u8]) -> Read {
    let (frames, whole) = second_copy::read(bytes);
    assert!(whole <= bytes.len() && (whole == 0) == frames.is_empty());
    let mut again = Vec::new();
    for frame in &frames {
        second_copy::append(&mut again, &frame.encode());
    }
    assert_eq!(second_copy::read(&again).0, frames);
    if frames.is_empty() { Read::Refused } else { told(bytes, &again) }
}

fn admission(bytes: &[u8]) -> Read {
    let text = String::from_utf8_lossy(bytes);
    let Ok(admission) = Admission::parse(&text) else { return Read::Refused };
    let again = admission.to_text();
    assert_eq!(Admission::parse(&again).expect("it reads again"), admission);
    told(bytes, again.as_bytes())
}

fn topic(bytes: &[u8]) -> Read {
    let Some((direction, device, kind)) = topics::parse(bytes) else { return Read::Refused };
    let again = match direction {
        topics::Direction::Up => topics::up(&device, kind),
        topics::Direction::Down => topics::down(&device, kind),
    };
    assert_eq!(again.as_bytes(), bytes, "one form");
    Read::Same
}
