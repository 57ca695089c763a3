//! Rows of a snapshot as bytes: runs of one table
//!
//! Rows and not pages: the receiver reads them as carefully as an entry, adds
//! its own effects by its own triggers, and needs neither the maker's page size
//! nor trust in a database file that a stranger has built. A whole number
//! stands as its difference from the one above it, which makes ids one byte.

use crate::{
    canonical::{Held, Malformed, Reader, Writer},
    value::{Borrowed, Value},
};

/// The most columns of a run.
pub const RUN_COLUMNS_MAX: usize = 64;

/// Rows of one table, or of one of the engine's own lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Number of the table; above 4,095 the engine's lists.
    pub number: u32,
    /// Values of each row.
    pub columns: usize,
    /// All values, row behind row.
    pub values: Vec<Value>,
}

impl Run {
    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = &[Value]> {
        self.values.chunks(self.columns)
    }
}

/// Writes rows behind one another.
#[derive(Default)]
pub struct RowWriter {
    body: Vec<u8>,
    run: Option<OpenRun>,
    rows: u64,
}

struct OpenRun {
    number: u32,
    columns: usize,
    values: usize,
    above: Vec<i64>,
    bytes: Writer,
}

impl RowWriter {
    /// Adds a row of a table. A row has at least one column.
    pub fn row<'v>(&mut self, number: u32, values: impl ExactSizeIterator<Item = Borrowed<'v>>) {
        let columns = values.len();
        assert!((1..=RUN_COLUMNS_MAX).contains(&columns), "a row has 1 to 64 columns");
        if self.run.as_ref().is_none_or(|run| (run.number, run.columns) != (number, columns)) {
            self.close();
        }
        let run = self.run.get_or_insert_with(|| OpenRun {
            number,
            columns,
            values: 0,
            above: vec![0; columns],
            bytes: Writer::after(Vec::new()),
        });
        for (value, above) in values.zip(&mut run.above) {
            match value {
                Borrowed::Null => run.bytes.null(),
                Borrowed::Int(number) => {
                    let step = number.wrapping_sub(std::mem::replace(above, number));
                    run.bytes.int(step)
                }
                Borrowed::Text(text) => run.bytes.text(text),
                Borrowed::Bytes(bytes) => run.bytes.bytes(bytes),
            };
        }
        run.values += columns;
        self.rows += 1;
    }

    fn close(&mut self) {
        let Some(run) = self.run.take() else { return };
        let mut whole = Writer::after(std::mem::take(&mut self.body));
        whole.list(3).uint(run.number).uint(run.columns as u64).list(run.values);
        whole.raw(run.bytes.so_far());
        self.body = whole.finish();
    }

    /// Bytes so far, about.
    pub fn size(&self) -> usize {
        self.body.len() + self.run.as_ref().map_or(0, |run| run.bytes.so_far().len())
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Hands over the bytes.
    pub fn finish(mut self) -> Vec<u8> {
        self.close();
        self.body
    }
}

/// Reads the runs back.
pub fn read(bytes: &[u8]) -> Result<Vec<Run>, Malformed> {
    let mut reader = Reader::new(bytes);
    let mut runs = Vec::new();
    while reader.left() > 0 {
        let at = reader.position();
        let wrong = |why| Malformed { at, why };
        if reader.list()? != 3 {
            return Err(wrong("no run of rows"));
        }
        let number = reader.uint32()?;
        let columns = reader.uint_up_to(RUN_COLUMNS_MAX as u64)? as usize;
        let count = reader.list()?;
        if columns == 0 || count == 0 || !count.is_multiple_of(columns) {
            return Err(wrong("rows cut in the middle"));
        }
        let mut above = vec![0_i64; columns];
        let mut values = Vec::with_capacity(count);
        for place in 0..count {
            let above = &mut above[place % columns];
            values.push(match reader.held()? {
                Held::Nothing => Value::Null,
                Held::Number(step) => {
                    *above = above.wrapping_add(step);
                    Value::Int(*above)
                }
                Held::Text(text) => Value::Text(text.to_owned()),
                Held::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            });
        }
        runs.push(Run { number, columns, values });
    }
    Ok(runs)
}

/// The same rows in two halves; None when there is only one row.
pub fn halve(bytes: &[u8]) -> Result<Option<[Vec<u8>; 2]>, Malformed> {
    let runs = read(bytes)?;
    let all: usize = runs.iter().map(|run| run.values.len() / run.columns).sum();
    let (mut first, mut second) = (RowWriter::default(), RowWriter::default());
    for (place, (run, row)) in
        runs.iter().flat_map(|run| run.rows().map(move |row| (run, row))).enumerate()
    {
        let half = if place < all / 2 { &mut first } else { &mut second };
        half.row(run.number, row.iter().map(Value::borrow));
    }
    Ok((all > 1).then(|| [first.finish(), second.finish()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            ".{0,9}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..9).prop_map(Value::Bytes),
        ]
    }

    fn written(rows: &[(u32, Vec<Value>)]) -> Vec<u8> {
        let mut writer = RowWriter::default();
        for (number, row) in rows {
            writer.row(*number, row.iter().map(Value::borrow));
        }
        writer.finish()
    }

    fn rows_of(bytes: &[u8]) -> Vec<(u32, Vec<Value>)> {
        let runs = read(bytes).unwrap();
        runs.iter().flat_map(|run| run.rows().map(|row| (run.number, row.to_vec()))).collect()
    }

    #[test]
    fn ids_in_a_row_cost_a_byte_each() {
        let rows: Vec<(u32, Vec<Value>)> =
            (0..100).map(|number| (1, vec![Value::Int((7 << 40) + number)])).collect();
        assert!(written(&rows).len() < 120);
    }

    proptest! {
        #[test]
        fn every_row_reads_back_whole_and_in_halves(
            rows in proptest::collection::vec((1u32..4, proptest::collection::vec(value(), 1..4)), 1..20)
        ) {
            let bytes = written(&rows);
            prop_assert_eq!(&rows_of(&bytes), &rows);
            if let Some([first, second]) = halve(&bytes).unwrap() {
                prop_assert_eq!([rows_of(&first), rows_of(&second)].concat(), rows);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
