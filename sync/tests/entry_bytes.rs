//! Entries keep their bytes: every op, register and ext

use expect_test::{ExpectFile, expect_file};
use selvedge_sync::entry::{self, Header, Layout, Op, RowChange};
use selvedge_sync::entry_reader::Reader;
use selvedge_sync::ext::Ext;
use selvedge_sync::hlc::Stamp;
use selvedge_sync::origin::Origin;
use selvedge_sync::register::Mark;
use selvedge_sync::row_id;
use selvedge_sync::value::{Kind, Value};

fn origin(number: u32) -> Origin {
    Origin::new(number).expect("a sample origin")
}

/// Id, time, whole number, text, bytes.
fn fact() -> Layout {
    Layout::new(vec![Kind::Id, Kind::Time, Kind::Int, Kind::Text, Kind::Bytes], vec![0])
}

/// Key, text, marks, whole number: the marks of a row are never carried.
fn register() -> Layout {
    let kinds = vec![Kind::Int, Kind::Text, Kind::Bytes, Kind::Int];
    Layout { marks: Some(2), ..Layout::new(kinds, vec![0]) }
}

fn encode(ext: &Ext, rows: &[RowChange<'_>]) -> Vec<u8> {
    let header = Header { epoch: 3, stamp: Stamp(1_795_000_000_000 << 16 | 3), base: 100 };
    let (fact, register) = (fact(), register());
    let layout = |table| if table == 20 { &register } else { &fact };
    entry::encode(origin(7), header, ext, rows, layout).expect("a sample entry")
}

fn row(
    table: u32,
    op: Op,
    mask: u64,
    seen: Option<Mark>,
    values: Vec<Value>,
) -> RowChange<'static> {
    RowChange { table, op, mask, values: values.into(), seen, named: None }
}

fn facts() -> Vec<RowChange<'static>> {
    let id = row_id::pack(origin(7), 100);
    let foreign = row_id::pack(origin(9), 4);
    vec![
        row(
            3,
            Op::Insert,
            0,
            None,
            vec![
                Value::Int(id),
                Value::Int(1_795_000_000_005),
                Value::Int(-1),
                Value::Text("é".into()),
                Value::Null,
            ],
        ),
        row(
            3,
            Op::Update,
            0b1_0100,
            None,
            vec![Value::Int(foreign), Value::Int(70_000), Value::Bytes(vec![1])],
        ),
        row(3, Op::Delete, 0, None, vec![Value::Int(id - 1)]),
    ]
}

fn registers() -> Vec<RowChange<'static>> {
    let seen = Mark { version: 4, origin: origin(300) };
    vec![
        row(
            20,
            Op::Insert,
            0,
            None,
            vec![Value::Int(1), Value::Text("red".into()), Value::Null, Value::Int(8)],
        ),
        row(20, Op::Update, 0b1010, Some(seen), vec![Value::Int(2), Value::Null, Value::Int(9)]),
    ]
}

#[test]
fn an_entry_of_every_op_keeps_its_bytes() {
    keeps(&encode(&Ext::NONE, &facts()), expect_file!["golden/entry.hex"]);
}

#[test]
fn an_entry_of_a_register_keeps_its_bytes() {
    keeps(&encode(&Ext::NONE, &registers()), expect_file!["golden/entry_register.hex"]);
}

#[test]
fn an_entry_that_says_more_keeps_its_bytes() {
    let ext = Ext { xid: Some([1; 16]), trace: Some([2; 8]) };
    keeps(&encode(&ext, &facts()[2..]), expect_file!["golden/entry_ext.hex"]);
}

fn read(bytes: &[u8]) -> Option<Vec<RowChange<'static>>> {
    let (fact, register) = (fact(), register());
    let mut reader = Reader::open(bytes, origin(7)).ok()?;
    let (mut rows, mut values) = (Vec::new(), Vec::new());
    while let Some(run) = reader.next_run().ok()? {
        let layout = if run.table == 20 { &register } else { &fact };
        while let Some(mask) = reader.next_row(layout, &mut values).ok()? {
            let seen = if run.op == Op::Update { reader.seen() } else { None };
            let values = values.iter().map(|value| value.to_value()).collect();
            rows.push(row(run.table, run.op, mask, seen, values));
        }
    }
    Some(rows)
}

#[test]
fn what_is_written_is_read_and_no_cut_entry_is() {
    for rows in [facts(), registers()] {
        let bytes = encode(&Ext::NONE, &rows);
        assert_eq!(read(&bytes), Some(rows));
        for end in 0..bytes.len() {
            assert_eq!(read(&bytes[..end]), None, "cut after {end} bytes");
        }
    }
}

/// A changed bit fails the chain; here it must only never be read as the entry that was written.
#[test]
fn a_flipped_bit_never_reads_as_the_same_entry() {
    let rows = registers();
    let bytes = encode(&Ext::NONE, &rows);
    // Behind the head: format, epoch, stamp and base are no part of the rows.
    let runs = bytes.windows(2).position(|pair| pair == [0x82, 0x83]).expect("two runs");
    for bit in runs * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(read(&flipped), Some(rows.clone()), "bit {bit}");
    }
}

/// Compares with a file of hex text, 32 bytes a line.
fn keeps(bytes: &[u8], golden: ExpectFile) {
    let lines: Vec<String> = bytes.chunks(32).map(hex::encode).collect();
    golden.assert_eq(&(lines.join("\n") + "\n"));
}
