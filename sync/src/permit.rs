//! What a write of this device may hold

use crate::{
    capture::CaptureError,
    entry::{Op, RowChange},
    identity::Identity,
    origin::{Origin, Role, Stream},
    outcome::WriteError,
    planted::{self, Fault},
    row_id,
    rule::StreamRule,
    tables::Tables,
    value::{Kind, Value},
};
use std::ops::Range;

/// SQLite makes an integer key up where the INSERT names none, and another device could make up the same.
pub(crate) fn check_ids(
    tables: &Tables,
    origin: Origin,
    drawn: &Range<u64>,
    rows: &[RowChange<'_>],
) -> Result<(), CaptureError> {
    for run in by_table(rows) {
        let table = tables.numbered(run[0].table).expect("captured tables are declared");
        if table.layout.key != [0] || table.layout.kinds[0] != Kind::Id {
            continue;
        }
        let own = |row: &RowChange<'_>| match row.values[0] {
            Value::Int(id) => {
                let (writer, counter) = row_id::unpack(id);
                writer == i64::from(origin.get()) && drawn.contains(&counter)
            }
            _ => false,
        };
        if !run.iter().all(|row| row.op != Op::Insert || own(row)) {
            return Err(CaptureError::IdNotDrawn(table.name.clone()));
        }
    }
    Ok(())
}

/// Neighbours of one table.
fn by_table<'r, 'v>(rows: &'r [RowChange<'v>]) -> impl Iterator<Item = &'r [RowChange<'v>]> {
    rows.chunk_by(|one, next| one.table == next.table)
}

/// The stream of all rows of a write, when this device may write them there.
pub(crate) fn one_stream<E>(
    tables: &Tables,
    identity: &Identity,
    rows: &[RowChange<'_>],
) -> Result<Stream, WriteError<E>> {
    let mut found: Option<Stream> = None;
    let own = Stream::store(identity.store);
    for run in by_table(rows) {
        let table = tables.numbered(run[0].table).expect("captured tables are declared");
        if !table.writers.allow(identity.role) && !planted::is(Fault::RoleNotCheckedAtWrite) {
            let (table, role) = (table.name.clone(), identity.role.as_str());
            return Err(WriteError::NotAllowed { table, role });
        }
        for row in run {
            let stream = match table.stream {
                StreamRule::Chain => Some(Stream::CHAIN),
                StreamRule::Store => own,
                StreamRule::By(_) => {
                    let named = row.named.and_then(|number| u32::try_from(number).ok());
                    let named = named.and_then(Stream::from_number);
                    named.filter(|named| identity.role == Role::Hq || Some(*named) == own)
                }
            };
            let stream = stream.ok_or_else(|| WriteError::NoStream(table.name.clone()))?;
            match found {
                Some(other) if other != stream => {
                    return Err(WriteError::TwoStreams(other, stream));
                }
                _ => found = Some(stream),
            }
        }
    }
    Ok(found.expect("there is at least one row"))
}
