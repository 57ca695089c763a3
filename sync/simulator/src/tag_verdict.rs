//! What must hold of a register: one winner, known losers
//!
//! Nothing that the engine has worked out is believed. All entries of a replica are read anew, for each column the
//! highest mark is found and whoever lost unseen, and the table and the kept losers must say the same.

use crate::tags::TAG;
use crate::verdict::Finding;
use rusqlite::Connection;
use selvedge_sync::entry::{Layout, Op, columns};
use selvedge_sync::entry_reader::Reader;
use selvedge_sync::lost;
use selvedge_sync::origin::Origin;
use selvedge_sync::register::{Mark, Marks};
use selvedge_sync::tables::{Table, Tables};
use selvedge_sync::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One write of one column.
#[derive(Debug, Clone)]
struct Wrote {
    mark: Mark,
    seen: Option<Mark>,
    value: Value,
}

/// All writes of a column, by key and column.
type Writes = BTreeMap<(Vec<Value>, usize), Vec<Wrote>>;

/// I11 and I13 for registers: of all writes of a column that are here the highest mark stands in the row, and every
/// other that nobody had seen is kept, once.
pub fn check(db: &Connection) -> Finding {
    let failed = |cause: rusqlite::Error| format!("the database does not answer: {cause}");
    // A log that was trimmed does not tell all writes any more. One run in three trims none.
    if trimmed(db).map_err(failed)? > 0 {
        return Ok(());
    }
    let tables = Tables::load(db).map_err(|cause| cause.to_string())?;
    let Some(table) = tables.numbered(TAG) else { return Ok(()) };
    let writes = writes(db, table).map_err(failed)?;
    let mut losers = BTreeSet::new();
    for ((key, column), wrote) in &writes {
        let seen: BTreeSet<Mark> = wrote.iter().filter_map(|one| one.seen).collect();
        let Some(winner) = wrote.iter().max_by_key(|one| one.mark) else { continue };
        let stands = stands(db, table, key, *column).map_err(failed)?;
        if stands.as_ref() != Some(&(winner.value.clone(), winner.mark)) {
            return Err(format!(
                "column {} of tag {key:?} holds {stands:?}, and {winner:?} has the highest mark",
                table.columns[*column]
            ));
        }
        for one in wrote.iter().filter(|one| one.mark != winner.mark && !seen.contains(&one.mark)) {
            if !says_nothing(&table.layout, table.since, *column, one) {
                losers.insert((key.clone(), *column, one.mark, one.value.clone()));
            }
        }
    }
    let number = |name: &str| table.columns.iter().rposition(|own| own == name).unwrap_or(0);
    let kept: BTreeSet<_> = lost::all(db, &tables, Some("tag"))
        .map_err(failed)?
        .into_iter()
        .map(|lost| (lost.key, number(&lost.column), lost.lost, lost.value))
        .collect();
    match losers.symmetric_difference(&kept).next() {
        None => Ok(()),
        Some(odd) if losers.contains(odd) => Err(format!("{odd:?} lost unseen and is not kept")),
        Some(odd) => Err(format!("{odd:?} is kept as lost, and is not")),
    }
}

fn trimmed(db: &Connection) -> rusqlite::Result<i64> {
    db.query_row("SELECT count(*) FROM sync_floor", [], |row| row.get(0))
}

/// What came with a new row and was no choice of its writer.
fn says_nothing(layout: &Layout, table_since: u16, column: usize, one: &Wrote) -> bool {
    let late = layout.ages.get(column).filter(|age| age.since > table_since);
    let default = late.is_some_and(|age| age.absent == one.value);
    one.seen.is_none() && (one.value == Value::Null || default)
}

fn writes(db: &Connection, table: &Table) -> rusqlite::Result<Writes> {
    let all = "SELECT e.origin, e.entry FROM sync_entry e LEFT JOIN sync_parked p USING (origin, stream, seq)
               WHERE p.seq IS NULL";
    let mut select = db.prepare_cached(all)?;
    let mut rows = select.query([])?;
    let mut writes = Writes::new();
    while let Some(row) = rows.next()? {
        let (origin, entry): (u32, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let Some(origin) = Origin::new(origin) else { continue };
        let Ok(mut reader) = Reader::open(&entry, origin) else { continue };
        let mut values = Vec::new();
        while let Ok(Some(run)) = reader.next_run() {
            if run.table != TAG {
                continue;
            }
            while let Ok(Some(mask)) = reader.next_row(&table.layout, &mut values) {
                let seen = if run.op == Op::Insert { None } else { reader.seen() };
                let mark = seen.map_or(Some(Mark::first(origin)), |seen| Mark::after(seen, origin));
                let Some(mark) = mark else { continue };
                let keys = table.layout.key.len();
                let (key, new): (Vec<Value>, Vec<(usize, Value)>) = match run.op {
                    Op::Insert => (
                        table.layout.key.iter().map(|at| values[*at].to_value()).collect(),
                        values.iter().map(|value| value.to_value()).enumerate().collect(),
                    ),
                    _ => (
                        values[..keys].iter().map(|value| value.to_value()).collect(),
                        columns(mask)
                            .zip(values[keys..].iter().map(|value| value.to_value()))
                            .collect(),
                    ),
                };
                let plain = |at: usize| {
                    table.places[at].is_some()
                        && !table.layout.key.contains(&at)
                        && table.layout.marks != Some(at)
                };
                for (column, value) in new.into_iter().filter(|new| plain(new.0)) {
                    let wrote = Wrote { mark, seen, value };
                    writes.entry((key.clone(), column)).or_default().push(wrote);
                }
            }
        }
    }
    Ok(writes)
}

fn stands(
    db: &Connection,
    table: &Table,
    key: &[Value],
    column: usize,
) -> rusqlite::Result<Option<(Value, Mark)>> {
    let mut select = db.prepare_cached(&table.select)?;
    let mut rows = select.query(rusqlite::params_from_iter(key))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let marks = table.layout.marks.map(|at| row.get_ref(at)).transpose()?;
    let marks = marks.and_then(|marks| Marks::parse(marks.as_blob().ok()?));
    Ok(Value::read(row.get_ref(column)?).zip(marks.map(|marks| marks.of(column))))
}
