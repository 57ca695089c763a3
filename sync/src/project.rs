//! After an update: applies what a newer schema had written
//!
//! Runs before the first write. Entry by entry, in the order of each origin, the tables and columns that are known only
//! now get what they would have got at once. Facts never change, an owner's entries run in their order, and a register
//! weighs marks: so the outcome is that of a device that was updated first.

use crate::{
    ahead::{self, Ahead},
    allow_list::Row,
    apply::{self, Prepared, Scope},
    changelog,
    entry::{Op, columns},
    entry_reader::Reader,
    merge::{self, Merged, Written},
    origin::Origin,
    parking::{self, NotApplied},
    replica::Replica,
    rule::Rule,
    tables::{Table, Tables},
    value::Borrowed,
};
use rusqlite::Connection;
use std::collections::BTreeMap;

impl Replica {
    /// Applies what is known only now of entries that a newer schema wrote.
    pub(crate) fn project_ahead(&mut self) -> rusqlite::Result<()> {
        let epoch = self.tables.epoch();
        if !ahead::all(&self.db)?.iter().any(|one| one.known < epoch) {
            return Ok(());
        }
        let (tables, known) = (self.tables.clone(), self.origins.known.clone());
        self.keep_house(|tx| project_all(tx, &tables, &known))
    }
}

/// The same in an open transaction, given who counts.
pub(crate) fn project_all(
    db: &Connection,
    tables: &Tables,
    writers: &BTreeMap<Origin, Row>,
) -> rusqlite::Result<()> {
    let epoch = tables.epoch();
    let scope = Scope { db, tables, parked: &[], now: Default::default() };
    let mut all: Vec<Ahead> = ahead::all(db)?.into_iter().filter(|one| one.known < epoch).collect();
    for pass in [Pass::NewRows, Pass::TheRest] {
        for one in std::mem::take(&mut all) {
            let bytes = changelog::read(db, one.stream, one.origin, one.seq, 1, u64::MAX)?.pop();
            let (Some(bytes), Some(writer)) = (bytes, writers.get(&one.origin)) else { continue };
            db.prepare_cached("SAVEPOINT sync_ahead")?.execute([])?;
            match project(&scope, writer, one, &bytes, pass) {
                Ok(_) if pass == Pass::NewRows => all.push(one),
                Ok(still) => done(db, one, still.then_some(epoch))?,
                Err(NotApplied::Sqlite(cause)) => return Err(cause),
                Err(NotApplied::Park(why)) => {
                    db.prepare_cached("ROLLBACK TO sync_ahead")?.execute([])?;
                    tell(db, one, &why.detail)?;
                }
            }
            db.prepare_cached("RELEASE sync_ahead")?.execute([])?;
        }
    }
    Ok(())
}

/// What is done in one go over all entries.
///
/// The row of a register bears the mark of whoever added it, and that of a column that is known only now too, before its
/// value has come. A change by another origin that saw it would take the place of nothing, so new rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Rows of registers that were added.
    NewRows,
    /// All else.
    TheRest,
}

impl Pass {
    fn of(table: &Table, op: Op) -> Pass {
        let adds = table.rule == Rule::Register && op == Op::Insert;
        if adds { Pass::NewRows } else { Pass::TheRest }
    }
}

/// The entry is off the list, or stays on it with what is known now.
fn done(db: &Connection, one: Ahead, known: Option<u16>) -> rusqlite::Result<()> {
    if let Some(known) = known {
        return ahead::list(db, one.stream, one.origin, one.seq, known);
    }
    let sql = "DELETE FROM sync_ahead WHERE origin = ?1 AND stream = ?2 AND seq = ?3";
    let key = (one.origin.get(), one.stream.number(), one.seq.cast_signed());
    db.prepare_cached(sql)?.execute(key).map(drop)
}

fn tell(db: &Connection, one: Ahead, why: &str) -> rusqlite::Result<()> {
    let sql = "UPDATE sync_ahead SET detail = ?4 WHERE origin = ?1 AND stream = ?2 AND seq = ?3";
    let key = (one.origin.get(), one.stream.number(), one.seq.cast_signed(), why);
    db.prepare_cached(sql)?.execute(key).map(drop)
}

/// Applies the tables and columns that came after the entry was applied; true when there is still more than is known.
fn project(
    scope: &Scope<'_>,
    writer: &Row,
    one: Ahead,
    bytes: &[u8],
    pass: Pass,
) -> Result<bool, NotApplied> {
    let mut reader = Reader::open(bytes, writer.origin)?;
    let still = apply::understands(scope.tables, &mut reader)?;
    let mut prepared = Prepared::new(scope.db);
    let mut values = Vec::new();
    while let Some(run) = reader.next_run()? {
        let Some(table) = scope.tables.numbered(run.table) else { continue };
        if Pass::of(table, run.op) != pass {
            continue;
        }
        apply::may_write(writer, table, one.stream, run.op)?;
        let stamp = reader.header().stamp;
        let source = apply::Source { writer, origin: writer.origin, stream: one.stream, stamp };
        if table.since > one.known {
            apply::apply_run(scope, &mut prepared, table, run, source, &mut reader, &mut values)?;
            continue;
        }
        let newer = table.layout.newer_than(one.known) & !table.layout.gone;
        while let Some(mask) = reader.next_row(&table.layout, &mut values)? {
            let newly = match run.op {
                Op::Insert => newer,
                Op::Update => mask & newer,
                Op::Delete => 0,
            };
            if newly == 0 {
                continue;
            }
            let keys = table.layout.key.len();
            let value = |column: usize| match run.op {
                Op::Insert => values[column],
                _ => values[keys + columns(mask).take_while(|at| *at < column).count()],
            };
            let new: Vec<(usize, Borrowed<'_>)> =
                columns(newly).map(|column| (column, value(column))).collect();
            let key = apply::key_of(table, run.op, &values);
            if table.layout.marks.is_some() {
                let seen = if run.op == Op::Update { reader.seen() } else { None };
                let written = Written { key, seen, columns: new, gone: 0, again: true };
                match merge::merge(&scope.site(table, source), &written)? {
                    Merged::Done | Merged::NoRow => {}
                    other => return Err(parking::not_merged(table, other)),
                }
            } else {
                set(scope.db, table, newly, &new, &key)
                    .map_err(|why| parking::refused(table, why))?;
            }
        }
    }
    Ok(still)
}

fn set(
    db: &Connection,
    table: &Table,
    mask: u64,
    new: &[(usize, Borrowed<'_>)],
    key: &[crate::value::Value],
) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(&table.update(mask))?;
    let values = new.iter().map(|(_, value)| *value).chain(key.iter().map(|value| value.borrow()));
    for (value, at) in values.zip(1..) {
        statement.raw_bind_parameter(at, value)?;
    }
    // A row that was removed since is not there, and needs nothing.
    statement.raw_execute().map(drop)
}
