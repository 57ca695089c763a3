//! Whether what an old entry says is here, row by row

use rusqlite::Connection;

use crate::{
    entry::Op,
    entry_reader::Reader,
    origin::Origin,
    tables::{Table, Tables},
    value::{Borrowed, Value},
};

/// Whether all facts that an entry adds are here as it says them. Facts never change, so an entry that was taken has left
/// them all, and one with the same number in another past has left others. None where it adds no facts.
pub fn facts_are_here(
    db: &Connection,
    tables: &Tables,
    writer: Origin,
    entry: &[u8],
) -> rusqlite::Result<Option<bool>> {
    let mut found = None;
    let Ok(mut reader) = Reader::open(entry, writer) else { return Ok(None) };
    let mut values = Vec::new();
    while let Ok(Some(run)) = reader.next_run() {
        let Some(table) = tables.numbered(run.table) else { continue };
        while let Ok(Some(_)) = reader.next_row(&table.layout, &mut values) {
            if run.op != Op::Insert || !table.rule.only_adds() {
                continue;
            }
            let same = is_here(db, table, &values)?;
            if !same {
                return Ok(Some(false));
            }
            found = Some(true);
        }
    }
    Ok(found)
}

fn is_here(db: &Connection, table: &Table, said: &[Borrowed<'_>]) -> rusqlite::Result<bool> {
    let mut select = db.prepare_cached(&table.select)?;
    for (column, at) in table.layout.key.iter().zip(1..) {
        select.raw_bind_parameter(at, said[*column])?;
    }
    let mut rows = select.raw_query();
    let Some(row) = rows.next()? else { return Ok(false) };
    for (column, value) in said.iter().enumerate() {
        // What stood in a column that is gone is not here.
        let is_gone = table.places[column].is_none();
        if !is_gone && Value::read(row.get_ref(column)?) != Some(value.to_value()) {
            return Ok(false);
        }
    }
    Ok(true)
}
