//! Reads an entry row by row, without copying
//!
//! The reader takes exactly one byte form: shortest integers, definite lengths,
//! no trailing NULL, nothing after the end. Whatever else arrives is malformed,
//! however it was sealed.

use crate::{
    canonical::{Held, Reader as Canonical},
    entry::{
        BYTES_MAX, COLUMNS_MAX, EntryError, FORMAT, Header, Layout, Op, ROWS_MAX, RUNS_MAX,
        TEXT_BYTES_MAX, columns, near, within,
    },
    ext::Ext,
    frame::ENTRY_BYTES_MAX,
    hlc::Stamp,
    origin::Origin,
    planted::{self, Fault},
    register::Mark,
    row_id,
    value::{Borrowed, Kind},
};

/// Reads an entry from its bytes, row by row, without copying.
pub struct Reader<'a> {
    input: Canonical<'a>,
    origin: Origin,
    header: Header,
    runs_left: usize,
    rows_left: usize,
    rows_seen: usize,
    run: Run,
    /// Columns that are not known here are refused.
    strict: bool,
    /// A map follows the runs.
    says_more: bool,
    ext: Ext,
    seen: Option<Mark>,
    gone: u64,
}

/// The head of a run: rows of one table that had the same done to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of the table.
    pub table: u32,
    /// What happened to its rows.
    pub op: Op,
}

impl<'a> Reader<'a> {
    /// Reads the head of an entry.
    pub fn open(bytes: &'a [u8], origin: Origin) -> Result<Reader<'a>, EntryError> {
        within("bytes", bytes.len(), ENTRY_BYTES_MAX)?;
        let mut reader = Reader {
            input: Canonical::new(bytes),
            origin,
            header: Header { epoch: 0, stamp: Stamp(0), base: 0 },
            runs_left: 0,
            rows_left: 0,
            rows_seen: 0,
            run: Run { table: 0, op: Op::Insert },
            strict: false,
            says_more: false,
            ext: Ext::NONE,
            seen: None,
            gone: 0,
        };
        let fields = reader.input.list()?;
        let format = reader.input.uint()?;
        if format != FORMAT {
            return Err(EntryError::NewerFormat(format));
        }
        if fields != 5 && fields != 6 {
            return Err(reader.malformed("an entry has five or six elements"));
        }
        reader.says_more = fields == 6;
        let epoch = reader.input.uint_up_to(u64::from(u16::MAX))? as u16;
        let stamp = Stamp(reader.input.uint()?);
        let base = reader.input.uint_up_to(row_id::COUNTER_MAX)?;
        reader.header = Header { epoch, stamp, base };
        reader.runs_left = reader.input.list()?;
        within("runs", reader.runs_left, RUNS_MAX)?;
        if reader.runs_left == 0 {
            return Err(reader.malformed("an entry carries at least one row"));
        }
        Ok(reader)
    }

    /// What all rows share.
    pub fn header(&self) -> Header {
        self.header
    }

    /// From now on a column that is not known here is refused. Otherwise it is passed over.
    pub fn refuse_unknown_columns(&mut self) {
        self.strict = true;
    }

    /// What the entry says about itself, once the last run was read.
    pub fn ext(&self) -> Ext {
        self.ext
    }

    /// The columns that the update just read changed and that are not in the table any more, as a mask.
    pub fn gone(&self) -> u64 {
        self.gone
    }

    /// The mark that the writer of the row just read saw in its columns (update of a register row only).
    pub fn seen(&self) -> Option<Mark> {
        self.seen
    }

    /// The next run, or None at the proper end.
    pub fn next_run(&mut self) -> Result<Option<Run>, EntryError> {
        while self.rows_left > 0 {
            self.skip_row()?;
        }
        if self.runs_left == 0 {
            if std::mem::take(&mut self.says_more) {
                self.ext = Ext::read(&mut self.input)?;
            }
            self.input.end()?;
            return Ok(None);
        }
        self.runs_left -= 1;
        let fields = self.input.list()?;
        let table = self.input.uint32()?;
        let op = match self.input.uint()? {
            0 => Op::Insert,
            1 => Op::Update,
            2 => Op::Delete,
            _ => return Err(self.malformed("operation")),
        };
        self.rows_left = fields
            .checked_sub(2)
            .filter(|rows| *rows > 0)
            .ok_or_else(|| self.malformed("empty run"))?;
        self.rows_seen += self.rows_left;
        within("rows", self.rows_seen, ROWS_MAX)?;
        self.run = Run { table, op };
        Ok(Some(self.run))
    }

    /// Reads the next row of the run into `values` (as in `RowChange`), or says that the run is over.
    /// The answer holds the mask of an update, else 0. Columns that are not here are in neither: an update of nothing
    /// else has the mask 0.
    pub fn next_row(
        &mut self,
        layout: &'a Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<Option<u64>, EntryError> {
        if self.rows_left == 0 {
            return Ok(None);
        }
        self.rows_left -= 1;
        values.clear();
        let fields = self.input.list()?;
        match self.run.op {
            Op::Insert => self.insert_row(fields, layout, values).map(|()| Some(0)),
            Op::Update => self.update_row(fields, layout, values).map(Some),
            Op::Delete => {
                self.key(fields, layout, values)?;
                Ok(Some(0))
            }
        }
    }

    fn insert_row(
        &mut self,
        fields: usize,
        layout: &'a Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<(), EntryError> {
        let known = layout.kinds.len();
        if fields > COLUMNS_MAX || fields > known && self.strict {
            let table = self.run.table;
            return Err(EntryError::UnknownColumn { table, found: fields, known });
        }
        for kind in &layout.kinds[..fields.min(known)] {
            let value = self.value(*kind)?;
            values.push(value);
        }
        let mut last = values.last().copied();
        for _ in known..fields {
            last = Some(self.value(Kind::Int)?);
        }
        if last == Some(Borrowed::Null) {
            return Err(self.malformed("a row ends in NULL"));
        }
        values.resize(known, Borrowed::Null);
        for (column, value) in values.iter_mut().enumerate().take(layout.ages.len()) {
            if *value == Borrowed::Null
                && let Some(absent) = layout.absent(column, self.header.epoch)
                && !planted::is(Fault::DefaultForgotten)
            {
                *value = absent.borrow();
            }
        }
        Ok(())
    }

    fn key(
        &mut self,
        fields: usize,
        layout: &Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<(), EntryError> {
        if fields != layout.key.len() {
            return Err(self.malformed("length of the key"));
        }
        for column in &layout.key {
            let value = self.value(layout.kinds[*column])?;
            values.push(value);
        }
        Ok(())
    }

    fn update_row(
        &mut self,
        fields: usize,
        layout: &Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<u64, EntryError> {
        let before = layout.key.len() + 1 + usize::from(layout.marks.is_some());
        if fields <= before {
            return Err(self.malformed("length of an update"));
        }
        self.key(layout.key.len(), layout, values)?;
        let mask = self.input.uint()?;
        let changed = mask.count_ones() as usize;
        if mask == 0 || mask >> COLUMNS_MAX != 0 || fields != before + changed {
            return Err(self.malformed("mask of an update"));
        }
        self.seen = None;
        if layout.marks.is_some() {
            let seen = Mark::from_bytes(self.input.bytes()?);
            self.seen = Some(seen.ok_or_else(|| self.malformed("a mark that was seen"))?);
        }
        let mut here = mask;
        self.gone = mask & layout.gone;
        for column in columns(mask) {
            let kind = layout.kinds.get(column).copied();
            if kind.is_none() && self.strict {
                let (table, known) = (self.run.table, layout.kinds.len());
                return Err(EntryError::UnknownColumn { table, found: column + 1, known });
            }
            let value = self.value(kind.unwrap_or(Kind::Int))?;
            if kind.is_some() && layout.gone & (1 << column) == 0 {
                values.push(value);
            } else {
                here &= !(1 << column);
            }
        }
        Ok(here)
    }

    /// Passes over a row of a table that is not known here.
    fn skip_row(&mut self) -> Result<(), EntryError> {
        self.rows_left -= 1;
        let fields = self.input.list()?;
        for _ in 0..fields {
            self.value(Kind::Int)?;
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind) -> Result<Borrowed<'a>, EntryError> {
        match self.input.held()? {
            Held::Nothing => Ok(Borrowed::Null),
            Held::Number(number) => self.number(kind, number),
            Held::Text(text) => {
                within("bytes of text", text.len(), TEXT_BYTES_MAX)?;
                Ok(Borrowed::Text(text))
            }
            Held::Bytes(bytes) => {
                within("bytes of a value", bytes.len(), BYTES_MAX)?;
                if kind == Kind::Private && bytes.len() != 32 {
                    return Err(self.malformed("a commitment of another length"));
                }
                Ok(Borrowed::Bytes(bytes))
            }
        }
    }

    fn number(&self, kind: Kind, number: i64) -> Result<Borrowed<'a>, EntryError> {
        let value = match kind {
            Kind::Id if number >= 0 => {
                let step = number.cast_unsigned();
                let counter = self.header.base + step;
                if step >= 1 << 32 || counter > row_id::COUNTER_MAX {
                    return Err(self.malformed("a near id is too far"));
                }
                row_id::pack(self.origin, counter)
            }
            Kind::Id => {
                let id = -1 - number;
                if near(self.origin, self.header.base, id).is_some() {
                    return Err(self.malformed("a near id in its long form"));
                }
                id
            }
            Kind::Time => number.wrapping_add(self.header.stamp.ms()),
            _ => number,
        };
        Ok(Borrowed::Int(value))
    }

    fn malformed(&self, what: &'static str) -> EntryError {
        EntryError::Malformed { at: self.input.position(), what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entry::{RowChange, encode},
        value::Value,
    };
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn layout() -> Layout {
        Layout::new(vec![Kind::Id, Kind::Time, Kind::Int, Kind::Text, Kind::Bytes], vec![0])
    }

    fn origin() -> Origin {
        Origin::new(7).unwrap()
    }

    fn header() -> Header {
        Header { epoch: 1, stamp: Stamp(1_700_000_000_000 << 16), base: 100 }
    }

    fn write(rows: &[RowChange<'_>]) -> Vec<u8> {
        let layout = layout();
        encode(origin(), header(), &Ext::NONE, rows, |_| &layout).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<Vec<RowChange<'static>>, EntryError> {
        let (layout, mut rows) = (layout(), Vec::new());
        let mut values = Vec::new();
        let mut reader = Reader::open(bytes, origin())?;
        reader.refuse_unknown_columns();
        while let Some(run) = reader.next_run()? {
            while let Some(mask) = reader.next_row(&layout, &mut values)? {
                let values = values.iter().map(|value| value.to_value()).collect();
                rows.push(RowChange {
                    table: run.table,
                    op: run.op,
                    mask,
                    values,
                    seen: None,
                    named: None,
                });
            }
        }
        Ok(rows)
    }

    fn check(bytes: &str, expected: Expect) {
        let found = read(&hex::decode(bytes).unwrap());
        expected
            .assert_eq(&found.map_or_else(|error| error.to_string(), |rows| format!("{rows:?}")));
    }

    #[test]
    fn an_entry_keeps_its_bytes() {
        let id = row_id::pack(origin(), 100);
        let foreign = row_id::pack(Origin::new(9).unwrap(), 4);
        let insert = [
            Value::Int(id),
            Value::Int(1_700_000_000_005),
            Value::Int(-1),
            Value::Null,
            Value::Null,
        ];
        let rows = [
            RowChange {
                table: 3,
                op: Op::Insert,
                mask: 0,
                values: insert.to_vec().into(),
                seen: None,
                named: None,
            },
            RowChange {
                table: 3,
                op: Op::Update,
                mask: 0b1_1000,
                values: vec![Value::Int(foreign), Value::Text("é".into()), Value::Bytes(vec![1])]
                    .into(),
                seen: None,
                named: None,
            },
            RowChange {
                table: 3,
                op: Op::Delete,
                mask: 0,
                values: vec![Value::Int(id - 1)].into(),
                seen: None,
                named: None,
            },
        ];
        let bytes = write(&rows);
        expect!["8501011b018bcfe56800000018648383030083000520830301843b0000090000000004181862c3a94101830302813b0000070000000063"]
            .assert_eq(&hex::encode(&bytes));
        assert_eq!(read(&bytes).unwrap(), rows);
    }

    #[test]
    fn only_the_one_form_is_taken() {
        check(
            "8502010100818301008101",
            expect!["the entry has format 2, this build reads 1: update this device"],
        );
        check(
            "85010101008183010081",
            expect!["the entry is malformed at byte 9: a list longer than the message"],
        );
        check(
            "850101010081830100811801",
            expect!["the entry is malformed at byte 10: a number that is not in its shortest form"],
        );
        check(
            "8501010100818301008201f6",
            expect!["the entry is malformed at byte 12: a row ends in NULL"],
        );
        check(
            "85010101008183010081f97e00",
            expect!["the entry is malformed at byte 10: no whole number"],
        );
        check(
            "850101010081830100810100",
            expect!["the entry is malformed at byte 11: bytes after the end"],
        );
        check(
            "85010101008183010086010101010101",
            expect!["a row of table 1 has 6 columns, 5 are known here: update this device"],
        );
        check(
            "850101010080",
            expect!["the entry is malformed at byte 6: an entry carries at least one row"],
        );
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_again(
            ids in proptest::collection::vec((1_u32..9, 0_u64..200, any::<i64>(), ".{0,9}"), 1..20),
        ) {
            let rows: Vec<RowChange<'_>> = ids.into_iter().map(|(writer, counter, number, text)| {
                let id = row_id::pack(Origin::new(writer).unwrap(), counter);
                let values = vec![
                    Value::Int(id), Value::Int(number), Value::Int(number), Value::Text(text), Value::Bytes(vec![0; 3]),
                ].into();
                RowChange { table: writer, op: Op::Insert, mask: 0, values, seen: None, named: None }
            }).collect();
            prop_assert_eq!(read(&write(&rows)).unwrap(), rows);
        }

        #[test]
        fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _found = read(&bytes);
        }
    }
}
