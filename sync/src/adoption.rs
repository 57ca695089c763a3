//! A generation of HQ takes over what came past an end
//!
//! A store may have heard entries of HQ that the restored HQ did not know when it took over. They are kept and do not
//! count, but that store has applied them, and people rely on them. So the newest generation writes them again as its
//! own: facts as they are, and of every other row what it holds itself by now. Then all agree, whoever had heard what.

use crate::{
    apply::key_of,
    changelog::{self, Appender},
    entry::{self, EntryError, Header, Op, RowChange},
    entry_reader::Reader,
    ext::Ext,
    hlc::{Millis, Stamp},
    hub::Hub,
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    register::{Mark, Marks},
    replica::Replica,
    rule::Rule,
    tables::{Table, Tables},
    talk::{Event, Now, Output},
    value::{Borrowed, Value},
};
use rusqlite::{CachedStatement, Connection, ErrorCode, OptionalExtension, Transaction};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Under this mark stands up to which entry an older generation was taken over.
const ADOPTED: &str = "adopted";

/// A row by its table and key, in a form that can be compared.
type Place = (u32, String);

impl Hub {
    /// The newest generation of HQ takes over what older ones wrote past their end.
    pub(crate) fn adopt_tails(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) {
        match replica.adopt(now.wall) {
            Ok(0) => {}
            Ok(_) => self.copy_own(replica),
            Err(cause) => {
                let reason = format!("what HQ wrote before was not taken over: {cause}");
                outputs.push(Output::Event(Event::NotKept { reason }));
            }
        }
    }
}

impl Replica {
    /// Takes over all that older generations of HQ wrote past their end and that is here; the answer counts the entries.
    /// Does nothing unless this is the newest generation.
    pub fn adopt(&mut self, now: Millis) -> rusqlite::Result<usize> {
        if !self.lineage.tail || self.stale().is_some() || self.halted().is_some() {
            return Ok(0);
        }
        let own = self.identity().origin;
        if self.identity().role != Role::Hq || self.lineage.generations.newest() != Some(own) {
            self.lineage.tail = false;
            return Ok(0);
        }
        let older: BTreeSet<Origin> =
            self.lineage.generations.writers().filter(|one| *one < own).collect();
        let heads: Vec<(Stream, Origin, u64)> = self
            .heads
            .iter()
            .filter(|((_, origin), _)| older.contains(origin))
            .map(|((stream, origin), head)| (*stream, *origin, head.seq))
            .collect();
        let mut adopted = 0;
        for (stream, origin, head) in heads {
            let end = self.lineage.generations.end(stream, origin).seq();
            let done = adopted_up_to(&self.db, stream, origin)?.max(end);
            if done < head && !planted::is(Fault::TailNotAdopted) {
                let touched = touched(&self.db, &self.tables, stream, own)?;
                for seq in done + 1..=head {
                    self.adopt_one(now, (stream, origin, seq), &touched)?;
                    adopted += 1;
                }
            }
        }
        self.lineage.tail = false;
        Ok(adopted)
    }

    fn adopt_one(
        &mut self,
        now: Millis,
        at: (Stream, Origin, u64),
        touched: &BTreeSet<Place>,
    ) -> rusqlite::Result<()> {
        let (stream, origin, seq) = at;
        let own = self.identity().origin;
        let tables = self.tables.clone();
        let before = self.head(stream, own);
        let (mut clock, base) = (self.clock.clone(), self.counter.next());
        let (head, clock) = self.keep_house(|tx| {
            let mut head = before;
            if head.lane == 0 {
                head.lane = changelog::lane(tx, stream, own)?;
            }
            let bytes = changelog::read(tx, stream, origin, seq, 1, u64::MAX)?.pop();
            let rows = match &bytes {
                Some(bytes) => take_over(tx, &tables, (origin, own), bytes, touched)?,
                None => Vec::new(),
            };
            let mut header = || Header { epoch: tables.epoch(), stamp: clock.tick(now), base };
            for (stamp, entry) in encode(own, &tables, &rows, &mut header)? {
                head = head.then(own, stream, &entry, stamp);
                Appender::new(tx)?.append(&head, &entry, Some(base))?;
                tx.prepare_cached("INSERT INTO sync_adopted (stream, seq) VALUES (?1, ?2)")?
                    .execute((stream.number(), head.seq.cast_signed()))?;
            }
            tx.prepare_cached(
                "INSERT OR REPLACE INTO sync_mark (mark, stream, origin, seq) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((ADOPTED, stream.number(), origin.get(), seq.cast_signed()))?;
            Ok((head, clock))
        })?;
        if head.seq > before.seq {
            self.heads.insert((stream, own), head);
            self.clock = clock;
        }
        Ok(())
    }
}

fn adopted_up_to(db: &Connection, stream: Stream, origin: Origin) -> rusqlite::Result<u64> {
    let seq: Option<i64> = db
        .prepare_cached(
            "SELECT seq FROM sync_mark WHERE mark = ?1 AND stream = ?2 AND origin = ?3",
        )?
        .query_row((ADOPTED, stream.number(), origin.get()), |row| row.get(0))
        .optional()?;
    Ok(seq.unwrap_or(0).cast_unsigned())
}

/// Rows that this generation has written itself, in a stream. What it only took over does not count.
fn touched(
    db: &Connection,
    tables: &Tables,
    stream: Stream,
    own: Origin,
) -> rusqlite::Result<BTreeSet<Place>> {
    let mut select = db.prepare_cached(
        "SELECT entry FROM sync_entry e WHERE origin = ?1 AND stream = ?2
         AND NOT EXISTS (SELECT 1 FROM sync_adopted a WHERE a.stream = e.stream AND a.seq = e.seq)",
    )?;
    let mut rows = select.query((own.get(), stream.number()))?;
    let mut touched = BTreeSet::new();
    while let Some(row) = rows.next()? {
        let wanted = crate::apply::wanted_keys(tables, own, row.get_ref(0)?.as_blob()?);
        touched.extend(wanted.into_iter().map(|(_, table, key)| place(table, &key)));
    }
    Ok(touched)
}

fn place(table: u32, key: &[Value]) -> Place {
    (table, format!("{key:?}"))
}

/// Writes what an entry holds, as far as this generation has not written the same rows itself, and says what the rows
/// hold then.
fn take_over<'t>(
    tx: &Transaction<'_>,
    tables: &'t Tables,
    writers: (Origin, Origin),
    bytes: &[u8],
    touched: &BTreeSet<Place>,
) -> rusqlite::Result<Vec<(&'t Table, RowChange<'static>)>> {
    let (origin, own) = writers;
    let (mut keys, mut seen) = (Vec::new(), BTreeSet::new());
    let mut registers = Vec::new();
    let Ok(mut reader) = Reader::open(bytes, origin) else { return Ok(Vec::new()) };
    let mut values = Vec::new();
    while let Ok(Some(run)) = reader.next_run() {
        let Some(table) = tables.numbered(run.table) else { continue };
        while let Ok(Some(mask)) = reader.next_row(&table.layout, &mut values) {
            let key = key_of(table, run.op, &values);
            let place = place(table.id, &key);
            if table.rule == Rule::Register {
                let said = Said { op: run.op, mask, seen: reader.seen(), values: &values };
                let keeps = touched.contains(&place);
                let row = take_over_register(tx, table, (origin, own), said, keeps)?;
                registers.extend(row.map(|row| (table, row)));
                continue;
            }
            if table.rule.only_adds() || !touched.contains(&place) {
                write(tx, table, run.op, mask, &values)?;
            }
            if seen.insert(place) {
                keys.push((table, key));
            }
        }
    }
    let mut rows = Vec::new();
    for (table, key) in keys {
        rows.push((table, now_holds(tx, table, key)?));
    }
    rows.extend(registers);
    Ok(rows)
}

/// What an entry says of a register row.
struct Said<'v> {
    op: Op,
    mask: u64,
    seen: Option<Mark>,
    values: &'v [Borrowed<'v>],
}

/// Writes the columns of a register row again, under a mark above all that anybody has seen of them. `keeps` says that
/// this generation has written the row itself: then its own values stand.
fn take_over_register(
    tx: &Transaction<'_>,
    table: &Table,
    writers: (Origin, Origin),
    said: Said<'_>,
    keeps: bool,
) -> rusqlite::Result<Option<RowChange<'static>>> {
    let (origin, own) = writers;
    let column_of_marks = table.layout.marks.expect("a register has marks");
    let key = key_of(table, said.op, said.values);
    let Some(row) = read_row(tx, table, &key)? else {
        if said.op != Op::Insert {
            return Ok(None);
        }
        let mut values: Vec<Value> = said.values.iter().map(|value| value.to_value()).collect();
        values[column_of_marks] = Value::Bytes(Marks::of_row(Mark::first(own)).to_bytes());
        let borrowed: Vec<Borrowed<'_>> = values.iter().map(Value::borrow).collect();
        execute(&mut tx.prepare_cached(&table.insert)?, &borrowed)?;
        values[column_of_marks] = Value::Null;
        return Ok(Some(change(table, Op::Insert, 0, values, None)));
    };
    let marks = match &row[column_of_marks] {
        Value::Bytes(bytes) => Marks::parse(bytes),
        _ => None,
    };
    let told = said.seen.map_or(Some(Mark::first(origin)), |seen| Mark::after(seen, origin));
    let (Some(mut marks), Some(told)) = (marks, told) else { return Ok(None) };
    let written = said.columns(table);
    let top = written.iter().map(|(column, _)| marks.of(*column)).chain([told]).max();
    let top = top.unwrap_or(told);
    let (Some(mark), false) = (Mark::after(top, own), written.is_empty()) else { return Ok(None) };
    let (mut mask, mut values) = (0, key);
    for (column, value) in written {
        let stands = keeps || marks.of(column) > told;
        values.push(if stands { row[column].clone() } else { value });
        marks.write(column, mark);
        mask |= 1 << column;
    }
    write_register(tx, table, mask, &values, &marks)?;
    Ok(Some(change(table, Op::Update, mask, values, Some(top))))
}

impl Said<'_> {
    /// The columns that it writes, ascending.
    fn columns(&self, table: &Table) -> Vec<(usize, Value)> {
        if self.op == Op::Insert {
            let is_written = |column: &usize| {
                !table.layout.key.contains(column) && table.layout.marks != Some(*column)
            };
            let written = (0..table.columns.len()).filter(is_written);
            return written.map(|column| (column, self.values[column].to_value())).collect();
        }
        let new = self.values[table.layout.key.len()..].iter().map(|value| value.to_value());
        entry::columns(self.mask).zip(new).collect()
    }
}

/// Sets the columns of a mask and the marks of a row; the values are its key, then the columns, ascending.
fn write_register(
    tx: &Transaction<'_>,
    table: &Table,
    mask: u64,
    values: &[Value],
    marks: &Marks,
) -> rusqlite::Result<()> {
    let column_of_marks = table.layout.marks.expect("a register has marks");
    let (key, new) = values.split_at(table.layout.key.len());
    let marks = Value::Bytes(marks.to_bytes());
    let mut columns: Vec<(usize, &Value)> = entry::columns(mask).zip(new).collect();
    columns.push((column_of_marks, &marks));
    columns.sort_by_key(|(column, _)| *column);
    let new = columns.iter().map(|(_, value)| value.borrow());
    let values: Vec<Borrowed<'_>> = new.chain(key.iter().map(Value::borrow)).collect();
    let mut update = tx.prepare_cached(&table.update(mask | 1 << column_of_marks))?;
    execute(&mut update, &values).map(drop)
}

fn change(
    table: &Table,
    op: Op,
    mask: u64,
    values: Vec<Value>,
    seen: Option<Mark>,
) -> RowChange<'static> {
    RowChange { table: table.id, op, mask, values: Cow::Owned(values), seen, named: None }
}

fn read_row(
    tx: &Transaction<'_>,
    table: &Table,
    key: &[Value],
) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut select = tx.prepare_cached(&table.select)?;
    for (value, at) in key.iter().zip(1..) {
        select.raw_bind_parameter(at, value.borrow())?;
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else { return Ok(None) };
    let values = (0..table.columns.len()).map(|column| {
        Ok(Value::read(row.get_ref(column)?).expect("a replicated table holds no float"))
    });
    values.collect::<rusqlite::Result<Vec<Value>>>().map(Some)
}

/// Writes one row. What the schema refuses is left out: it stays in the evidence.
fn write(
    tx: &Transaction<'_>,
    table: &Table,
    op: Op,
    mask: u64,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<()> {
    let (sql, values) = match op {
        Op::Insert if table.rule.only_adds() => (table.insert.clone(), values.to_vec()),
        Op::Insert => (table.upsert.clone(), values.to_vec()),
        Op::Delete => (table.delete.clone(), values.to_vec()),
        Op::Update => {
            let (key, new) = values.split_at(table.layout.key.len());
            (table.update(mask), [new, key].concat())
        }
    };
    match execute(&mut tx.prepare_cached(&sql)?, &values) {
        Err(cause) if cause.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(()),
        done => done.map(drop),
    }
}

fn execute(
    statement: &mut CachedStatement<'_>,
    values: &[Borrowed<'_>],
) -> rusqlite::Result<usize> {
    for (value, at) in values.iter().zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    statement.raw_execute()
}

fn now_holds(
    tx: &Transaction<'_>,
    table: &Table,
    key: Vec<Value>,
) -> rusqlite::Result<RowChange<'static>> {
    Ok(match read_row(tx, table, &key)? {
        None => change(table, Op::Delete, 0, key, None),
        Some(values) => change(table, Op::Insert, 0, values, None),
    })
}

/// The rows as one entry, or as several where one would be too large.
fn encode(
    own: Origin,
    tables: &Tables,
    rows: &[(&Table, RowChange<'static>)],
    header: &mut impl FnMut() -> Header,
) -> rusqlite::Result<Vec<(Stamp, Vec<u8>)>> {
    // A fact that was not taken has no row here, and facts are never removed.
    let kept = rows.iter().filter(|(table, row)| row.op != Op::Delete || !table.rule.only_adds());
    let kept: Vec<RowChange<'static>> = kept.map(|(_, row)| row.clone()).collect();
    encode_rows(own, tables, &kept, header)
}

fn encode_rows(
    own: Origin,
    tables: &Tables,
    rows: &[RowChange<'static>],
    header: &mut impl FnMut() -> Header,
) -> rusqlite::Result<Vec<(Stamp, Vec<u8>)>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let head = header();
    let layout = |table| &tables.numbered(table).expect("its rows were read").layout;
    match entry::encode(own, head, &Ext::NONE, rows, layout) {
        Ok(entry) => Ok(vec![(head.stamp, entry)]),
        Err(EntryError::TooLarge { .. }) if rows.len() > 1 => {
            let (one, other) = rows.split_at(rows.len() / 2);
            let mut entries = encode_rows(own, tables, one, header)?;
            entries.extend(encode_rows(own, tables, other, header)?);
            Ok(entries)
        }
        Err(cause) => Err(rusqlite::Error::ToSqlConversionFailure(cause.into())),
    }
}
