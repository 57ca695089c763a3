//! Reads an entry row by row, without copying
//!
//! The reader takes exactly one byte form: shortest integers, definite lengths,
//! no trailing NULL, nothing after the end. Whatever else arrives is malformed,
//! however it was sealed.

use crate::{
    entry::{
        BYTES_MAX, COLUMNS_MAX, ENTRY_BYTES_MAX, EntryError, FORMAT, Header, Layout, Op, ROWS_MAX,
        RUNS_MAX, TEXT_BYTES_MAX, columns, near, within,
    },
    hlc::Stamp,
    origin::Origin,
    row_id,
    value::{Borrowed, Kind},
};
use minicbor::{Decoder, data::Type};

/// Reads an entry from its bytes, row by row, without copying.
pub struct Reader<'a> {
    input: Decoder<'a>,
    origin: Origin,
    header: Header,
    runs_left: u64,
    rows_left: u64,
    rows_seen: usize,
    run: Run,
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
            input: Decoder::new(bytes),
            origin,
            header: Header { epoch: 0, stamp: Stamp(0), base: 0 },
            runs_left: 0,
            rows_left: 0,
            rows_seen: 0,
            run: Run { table: 0, op: Op::Insert },
        };
        let fields = reader.array()?;
        let format = reader.uint()?;
        if format != FORMAT {
            return Err(EntryError::NewerFormat(format));
        }
        if fields != 5 {
            return Err(reader.malformed("an entry has five elements"));
        }
        let epoch = reader.uint()?;
        let epoch = u16::try_from(epoch).map_err(|_| reader.malformed("epoch"))?;
        let stamp = Stamp(reader.uint()?);
        let base = reader.uint()?;
        if base > row_id::COUNTER_MAX {
            return Err(reader.malformed("base"));
        }
        reader.header = Header { epoch, stamp, base };
        reader.runs_left = reader.array()?;
        within("runs", usize::try_from(reader.runs_left).unwrap_or(usize::MAX), RUNS_MAX)?;
        if reader.runs_left == 0 {
            return Err(reader.malformed("an entry carries at least one row"));
        }
        Ok(reader)
    }

    /// What all rows share.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The next run, or None at the proper end.
    pub fn next_run(&mut self) -> Result<Option<Run>, EntryError> {
        while self.rows_left > 0 {
            self.skip_row()?;
        }
        if self.runs_left == 0 {
            return if self.input.position() == self.input.input().len() {
                Ok(None)
            } else {
                Err(self.malformed("bytes after the end"))
            };
        }
        self.runs_left -= 1;
        let fields = self.array()?;
        let table = self.uint()?;
        let table = u32::try_from(table).map_err(|_| self.malformed("table number"))?;
        let op = match self.uint()? {
            0 => Op::Insert,
            1 => Op::Update,
            2 => Op::Delete,
            _ => return Err(self.malformed("operation")),
        };
        self.rows_left = fields
            .checked_sub(2)
            .filter(|rows| *rows > 0)
            .ok_or_else(|| self.malformed("empty run"))?;
        self.rows_seen += usize::try_from(self.rows_left).unwrap_or(ROWS_MAX);
        within("rows", self.rows_seen, ROWS_MAX)?;
        self.run = Run { table, op };
        Ok(Some(self.run))
    }

    /// Reads the next row of the run into `values` (as in `RowChange`), or says that the run is over.
    /// The answer holds the mask of an update, else 0.
    pub fn next_row(
        &mut self,
        layout: &Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<Option<u64>, EntryError> {
        if self.rows_left == 0 {
            return Ok(None);
        }
        self.rows_left -= 1;
        values.clear();
        let fields = usize::try_from(self.array()?).unwrap_or(usize::MAX);
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
        layout: &Layout,
        values: &mut Vec<Borrowed<'a>>,
    ) -> Result<(), EntryError> {
        if fields > layout.kinds.len() {
            let (table, known) = (self.run.table, layout.kinds.len());
            return Err(EntryError::UnknownColumn { table, found: fields, known });
        }
        for kind in &layout.kinds[..fields] {
            let value = self.value(*kind)?;
            values.push(value);
        }
        if fields > 0 && values[fields - 1] == Borrowed::Null {
            return Err(self.malformed("a row ends in NULL"));
        }
        values.resize(layout.kinds.len(), Borrowed::Null);
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
        if fields <= layout.key.len() {
            return Err(self.malformed("length of an update"));
        }
        self.key(layout.key.len(), layout, values)?;
        let mask = self.uint()?;
        let changed = mask.count_ones() as usize;
        if mask == 0 || mask >> COLUMNS_MAX != 0 || fields != layout.key.len() + 1 + changed {
            return Err(self.malformed("mask of an update"));
        }
        for column in columns(mask) {
            let Some(kind) = layout.kinds.get(column) else {
                let (table, known) = (self.run.table, layout.kinds.len());
                return Err(EntryError::UnknownColumn { table, found: column + 1, known });
            };
            let value = self.value(*kind)?;
            values.push(value);
        }
        Ok(mask)
    }

    /// Passes over a row of a table that is not known here.
    fn skip_row(&mut self) -> Result<(), EntryError> {
        self.rows_left -= 1;
        let fields = self.array()?;
        for _ in 0..fields {
            self.value(Kind::Int)?;
        }
        Ok(())
    }

    fn value(&mut self, kind: Kind) -> Result<Borrowed<'a>, EntryError> {
        let found = self.input.datatype().map_err(|_| self.malformed("it ends too soon"))?;
        match found {
            Type::Null => {
                self.input.null().map_err(|_| self.malformed("null"))?;
                Ok(Borrowed::Null)
            }
            Type::String => self.text().map(Borrowed::Text),
            Type::Bytes => self.bytes().map(Borrowed::Bytes),
            _ => {
                let number = self.int()?;
                self.number(kind, number)
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

    fn shortest(&self, start: usize, number: u64, payload: usize) -> Result<(), EntryError> {
        let used = self.input.position() - start - payload;
        let shortest = match number {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if used == shortest { Ok(()) } else { Err(self.malformed("not the shortest form")) }
    }

    fn array(&mut self) -> Result<u64, EntryError> {
        let start = self.input.position();
        let length = self.input.array().ok().flatten();
        let length = length.ok_or_else(|| self.malformed("an array was expected"))?;
        self.shortest(start, length, 0)?;
        Ok(length)
    }

    fn uint(&mut self) -> Result<u64, EntryError> {
        let start = self.input.position();
        let number = self.input.u64().map_err(|_| self.malformed("a whole number was expected"))?;
        self.shortest(start, number, 0)?;
        Ok(number)
    }

    fn int(&mut self) -> Result<i64, EntryError> {
        let start = self.input.position();
        let number = self.input.i64().map_err(|_| self.malformed("a whole number was expected"))?;
        let size = if number < 0 { -1 - number } else { number };
        self.shortest(start, size.cast_unsigned(), 0)?;
        Ok(number)
    }

    fn text(&mut self) -> Result<&'a str, EntryError> {
        let start = self.input.position();
        let text = self.input.str().map_err(|_| self.malformed("a text was expected"))?;
        self.shortest(start, text.len() as u64, text.len())?;
        within("bytes of text", text.len(), TEXT_BYTES_MAX)?;
        Ok(text)
    }

    fn bytes(&mut self) -> Result<&'a [u8], EntryError> {
        let start = self.input.position();
        let bytes = self.input.bytes().map_err(|_| self.malformed("bytes were expected"))?;
        self.shortest(start, bytes.len() as u64, bytes.len())?;
        within("bytes of a value", bytes.len(), BYTES_MAX)?;
        Ok(bytes)
    }
}
