//! Moves of rights that are written anew under another origin
//!
//! A copy of a device may have spent what its original has spent too, and what was lent may be over by now. What was
//! promised to a person counts all the same: what no right covers any more is overdrawn, and shows as a dispute where
//! more was used than was issued. Whatever else was moved without right moves nothing.

use crate::{
    escrow::{self, EscrowError},
    hlc::Stamp,
    origin::Role,
    planted::{self, Fault},
    right_moves::RIGHT_MOVE,
    rights::{FOR_GOOD, Holder, Step},
    tables::Table,
    value::Value,
};
use rusqlite::Transaction;

/// Places of columns of `right_move`.
const STEP: usize = 2;
const OF_LEASE: usize = 10;
const TO_LEASE: usize = 11;
const UNTIL: usize = 12;

/// Who writes anew, and when.
pub(crate) struct Mover {
    pub(crate) me: Holder,
    pub(crate) role: Role,
    pub(crate) stamp: Stamp,
}

/// Whether rows of this table are moves of rights.
pub(crate) fn are_moves(table: &Table) -> bool {
    table.id == RIGHT_MOVE && !planted::is(Fault::RightsAnewRefused)
}

/// Adds a move, or what is left of it.
pub(crate) fn add(
    tx: &Transaction<'_>,
    table: &Table,
    mover: &Mover,
    mut row: Vec<Value>,
) -> rusqlite::Result<()> {
    let Some(Value::Int(id)) = row.first().cloned() else { return Ok(()) };
    let insert = |row: &[Value]| {
        let mut statement = tx.prepare_cached(&table.insert)?;
        for (value, at) in row.iter().zip(1..=statement.parameter_count()) {
            statement.raw_bind_parameter(at, value.borrow())?;
        }
        statement.raw_execute().map(drop)
    };
    tx.prepare_cached("SAVEPOINT right_anew")?.execute([])?;
    insert(&row)?;
    let checked = escrow::check_write(tx, &mover.me, mover.role, mover.stamp, [id].into_iter());
    let fits = match checked {
        Ok(()) => true,
        Err(EscrowError::Database(cause)) => return Err(cause),
        Err(_) => false,
    };
    if !fits {
        tx.prepare_cached("ROLLBACK TO right_anew")?.execute([])?;
        if row.get(STEP) == Some(&Value::Int(Step::Spend as i64)) {
            row.resize(row.len().max(UNTIL + 1), Value::Null);
            row[STEP] = Value::Int(Step::Overdraw as i64);
            row[OF_LEASE] = Value::Int(FOR_GOOD);
            (row[TO_LEASE], row[UNTIL]) = (Value::Null, Value::Null);
            insert(&row)?;
        }
    }
    tx.prepare_cached("RELEASE right_anew")?.execute([]).map(drop)
}
