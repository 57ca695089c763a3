//! One committed transaction as positional, deterministic CBOR
//!
//! `[v, epoch, stamp, base, runs]` with `run = [table, op, row, row, ...]`, and
//! a map of what is said about the whole entry where there is anything to say.
//! Origin, stream and seq are not carried: they are input of the chain, so an
//! entry cannot be moved. Every byte form is unique, so a copy that differs in
//! one bit is another entry and fails the chain.

use crate::{
    canonical::{Malformed, Writer},
    ext::Ext,
    frame::ENTRY_BYTES_MAX,
    hlc::Stamp,
    origin::Origin,
    register::Mark,
    row_id,
    value::{Kind, Value},
};
use std::borrow::Cow;

/// Format of an entry that this build writes.
pub const FORMAT: u64 = 1;
/// Rows in one entry.
pub const ROWS_MAX: usize = 4_096;
/// Runs in one entry.
pub const RUNS_MAX: usize = 64;
/// Columns of a replicated table: the mask of an update is one number.
pub const COLUMNS_MAX: usize = 62;
/// A text value in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// A bytes value.
pub const BYTES_MAX: usize = 32 * 1024;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A new row.
    Insert,
    /// Some columns of a row.
    Update,
    /// A row is gone (rule owner only).
    Delete,
}

/// How the rows of one table are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Kind per column id, also of columns that are gone.
    pub kinds: Vec<Kind>,
    /// Column ids of the primary key, in key order.
    pub key: Vec<usize>,
    /// Since and until when each column is there; empty when all are as old as their table and none has ended.
    pub ages: Vec<Age>,
    /// The column with the marks of a register row. It is never carried.
    pub marks: Option<usize>,
    /// Bit i is set when column i is not in the table any more.
    pub gone: u64,
}

/// When a column came and ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// The first schema epoch that has it.
    pub since: u16,
    /// The first schema epoch that does not use it any more.
    pub until: Option<u16>,
    /// What a row holds here when its writer did not have the column.
    pub absent: Value,
}

impl Layout {
    /// A layout of columns that are all as old as their table.
    pub fn new(kinds: Vec<Kind>, key: Vec<usize>) -> Layout {
        Layout { kinds, key, ages: Vec::new(), marks: None, gone: 0 }
    }

    /// What a row of a writer with this schema epoch holds in a column that it says nothing of, when that is not NULL.
    pub fn absent(&self, column: usize, epoch: u16) -> Option<&Value> {
        let age = self.ages.get(column)?;
        let lacks = epoch < age.since || age.until.is_some_and(|until| epoch >= until);
        lacks.then_some(&age.absent)
    }

    /// The columns that this schema epoch did not have yet, as a mask.
    pub fn newer_than(&self, epoch: u16) -> u64 {
        let newer = self.ages.iter().enumerate().filter(|(_, age)| age.since > epoch);
        newer.fold(0, |mask, (column, _)| mask | 1 << column)
    }
}

/// One changed row, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange<'v> {
    /// Number of the table.
    pub table: u32,
    /// What happened.
    pub op: Op,
    /// Bit i is set when column i changed (update only, else 0).
    pub mask: u64,
    /// Insert: all columns. Update: key, then changed columns. Delete: key.
    pub values: Cow<'v, [Value]>,
    /// Update of a register row: the mark that its writer saw in each of these columns.
    pub seen: Option<Mark>,
    /// The number in the column that names the row's stream, where the table has one. Not carried:
    /// an update or a delete need not touch that column.
    pub named: Option<i64>,
}

/// What all rows of an entry share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Schema epoch of the writer.
    pub epoch: u16,
    /// When it was written.
    pub stamp: Stamp,
    /// The origin's next counter when the write began.
    pub base: u64,
}

/// Why bytes are no entry, or rows make none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The bytes are not in the one allowed form.
    #[error("the entry is malformed at byte {at}: {what}")]
    Malformed {
        /// Position in the entry.
        at: usize,
        /// What was met there.
        what: &'static str,
    },
    /// A newer build wrote it.
    #[error("the entry has format {0}, this build reads {FORMAT}: update this device")]
    NewerFormat(u64),
    /// A newer schema wrote it.
    #[error(
        "a row of table {table} has {found} columns, {known} are known here: update this device"
    )]
    UnknownColumn {
        /// Number of the table.
        table: u32,
        /// Columns in the row.
        found: usize,
        /// Columns known here.
        known: usize,
    },
    /// Over a limit.
    #[error("one write may hold {limit} {what}, this one has {found}: split it")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much was found.
        found: usize,
        /// How much is allowed.
        limit: usize,
    },
}

impl From<Malformed> for EntryError {
    fn from(found: Malformed) -> EntryError {
        EntryError::Malformed { at: found.at, what: found.why }
    }
}

/// Writes an entry; the layouts are asked for by table number.
pub fn encode<'l>(
    origin: Origin,
    header: Header,
    ext: &Ext,
    rows: &[RowChange<'_>],
    layout: impl Fn(u32) -> &'l Layout,
) -> Result<Vec<u8>, EntryError> {
    assert!(!rows.is_empty(), "an entry carries at least one row");
    within("rows", rows.len(), ROWS_MAX)?;
    let runs = rows.chunk_by(|one, next| one.table == next.table && one.op == next.op);
    let count = runs.clone().count();
    within("runs", count, RUNS_MAX)?;
    let mut out = Writer::after(Vec::with_capacity(64 + rows.len() * 24));
    let fields = if ext.is_empty() { 5 } else { 6 };
    out.list(fields).uint(FORMAT).uint(header.epoch).uint(header.stamp.0).uint(header.base);
    out.list(count);
    for run in runs {
        out.list(2 + run.len()).uint(run[0].table).uint(number(run[0].op));
        let layout = layout(run[0].table);
        for row in run {
            write_row(&mut out, origin, &header, row, layout);
        }
    }
    if !ext.is_empty() {
        ext.write(&mut out);
    }
    let bytes = out.finish();
    within("bytes", bytes.len(), ENTRY_BYTES_MAX)?;
    Ok(bytes)
}

/// Refuses what is over a limit.
pub(crate) fn within(what: &'static str, found: usize, limit: usize) -> Result<(), EntryError> {
    if found > limit { Err(EntryError::TooLarge { what, found, limit }) } else { Ok(()) }
}

fn write_row(
    out: &mut Writer,
    origin: Origin,
    header: &Header,
    row: &RowChange<'_>,
    layout: &Layout,
) {
    let put = |out: &mut Writer, kind: Kind, value: &Value| {
        match (kind, value) {
            (_, Value::Null) => out.null(),
            (Kind::Id, Value::Int(id)) => match near(origin, header.base, *id) {
                Some(step) => out.uint(step),
                None => out.int(-1 - id),
            },
            (Kind::Time, Value::Int(ms)) => out.int(ms.wrapping_sub(header.stamp.ms())),
            (_, Value::Int(number)) => out.int(*number),
            (_, Value::Text(text)) => out.text(text),
            (_, Value::Bytes(bytes)) => out.bytes(bytes),
        };
    };
    let key_kinds = layout.key.iter().map(|column| layout.kinds[*column]);
    match row.op {
        Op::Insert => {
            let filled = row.values.iter().rposition(|v| *v != Value::Null).map_or(0, |at| at + 1);
            out.list(filled);
            for (kind, value) in layout.kinds.iter().zip(row.values.iter()).take(filled) {
                put(out, *kind, value);
            }
        }
        Op::Update => {
            assert!(row.mask != 0, "an update changes something");
            assert_eq!(row.seen.is_some(), layout.marks.is_some(), "a register knows what it saw");
            out.list(row.values.len() + 1 + usize::from(row.seen.is_some()));
            let keys = layout.key.len();
            for (kind, value) in key_kinds.zip(row.values.iter()) {
                put(out, kind, value);
            }
            out.uint(row.mask);
            if let Some(seen) = row.seen {
                out.bytes(&seen.to_bytes());
            }
            for (column, value) in columns(row.mask).zip(&row.values[keys..]) {
                put(out, layout.kinds[column], value);
            }
        }
        Op::Delete => {
            out.list(row.values.len());
            for (kind, value) in key_kinds.zip(row.values.iter()) {
                put(out, kind, value);
            }
        }
    }
}

/// The columns of a mask, ascending.
pub fn columns(mask: u64) -> impl Iterator<Item = usize> {
    (0..COLUMNS_MAX).filter(move |column| mask & (1 << column) != 0)
}

/// The step from base when the id was drawn by this origin in or shortly after this write.
pub(crate) fn near(origin: Origin, base: u64, id: i64) -> Option<u64> {
    let (writer, counter) = row_id::unpack(id);
    let step = counter.checked_sub(base)?;
    (writer == i64::from(origin.get()) && step < 1 << 32).then_some(step)
}

fn number(op: Op) -> u8 {
    match op {
        Op::Insert => 0,
        Op::Update => 1,
        Op::Delete => 2,
    }
}
