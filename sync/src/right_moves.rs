//! Moves of rights in SQL, and the balances they add up to
//!
//! The moves replicate, the balances never do: each replica adds them up by trigger, in whatever order they come. What a
//! holder has is the sum of what reached it and left it, lease by lease.

use crate::origin::DeviceId;
use crate::planted::{self, Fault};
use crate::rights::{FOR_GOOD, Holder, Move, Right, Step, may_take_back};
use crate::value::{Borrowed, Value};
use rusqlite::{Connection, OptionalExtension, Row, Transaction};

/// A grant is lent on so many times at most: HQ to a back office, and that to a pos.
const LENT_ON_MAX: usize = 4;

/// Number of the table of moves.
pub const RIGHT_MOVE: u32 = 4_008;

/// The moves, and what follows from them.
pub const SCHEMA: &str = "
CREATE TABLE right_move (
    id          INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store       INTEGER NOT NULL,
    step        INTEGER NOT NULL CHECK (step BETWEEN 1 AND 6),
    pool        INTEGER NOT NULL,
    item        INTEGER NOT NULL,
    units       INTEGER NOT NULL CHECK (units BETWEEN 1 AND 1000000000),
    from_store  INTEGER,
    from_device TEXT,
    to_store    INTEGER,
    to_device   TEXT,
    of_lease    INTEGER NOT NULL,
    to_lease    INTEGER,
    until       INTEGER,
    at          INTEGER NOT NULL,
    cause       INTEGER
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4008, 'right_move', 'escrow', 'by:store');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (4008, 'id', 'id'), (4008, 'of_lease', 'id'), (4008, 'to_lease', 'id'), (4008, 'until', 'time'),
    (4008, 'at', 'time'), (4008, 'cause', 'id');
CREATE INDEX right_move_lent ON right_move (of_lease, from_device) WHERE step = 2;
CREATE TABLE right_balance (
    pool   INTEGER NOT NULL,
    item   INTEGER NOT NULL,
    store  INTEGER NOT NULL,
    device TEXT    NOT NULL,
    lease  INTEGER NOT NULL,
    units  INTEGER NOT NULL,
    PRIMARY KEY (pool, item, store, device, lease)
) STRICT, WITHOUT ROWID;
CREATE TABLE right_total (
    pool      INTEGER NOT NULL,
    item      INTEGER NOT NULL,
    issued    INTEGER NOT NULL,
    spent     INTEGER NOT NULL,
    overdrawn INTEGER NOT NULL,
    PRIMARY KEY (pool, item)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER right_move_leaves AFTER INSERT ON right_move WHEN new.step BETWEEN 2 AND 5 BEGIN
    INSERT INTO right_balance
    VALUES (new.pool, new.item, new.from_store, new.from_device, new.of_lease, -new.units)
    ON CONFLICT (pool, item, store, device, lease) DO UPDATE SET units = units + excluded.units;
END;
CREATE TRIGGER right_move_arrives AFTER INSERT ON right_move WHEN new.step IN (1, 2, 4, 5) BEGIN
    INSERT INTO right_balance
    VALUES (new.pool, new.item, new.to_store, new.to_device, ifnull(new.to_lease, new.id), new.units)
    ON CONFLICT (pool, item, store, device, lease) DO UPDATE SET units = units + excluded.units;
END;
CREATE TRIGGER right_move_counts AFTER INSERT ON right_move WHEN new.step IN (1, 3, 6) BEGIN
    INSERT INTO right_total
    VALUES (new.pool, new.item, new.units * (new.step = 1), new.units * (new.step = 3), new.units * (new.step = 6))
    ON CONFLICT (pool, item) DO UPDATE SET issued = issued + excluded.issued,
        spent = spent + excluded.spent, overdrawn = overdrawn + excluded.overdrawn;
END;
CREATE VIEW right_dispute (id, pool, item, units, cause) AS
    SELECT id, pool, item, min(units, used - issued), cause FROM (
        SELECT id, pool, item, units, cause, sum(units) OVER (PARTITION BY pool, item ORDER BY id) AS used
        FROM right_move WHERE step IN (3, 6)
    ) JOIN right_total USING (pool, item) WHERE used > issued;
";

const COLUMNS: &str = "store, step, pool, item, units, from_store, from_device, to_store, to_device, of_lease, \
                       to_lease, until, at, cause";

/// Adds a move.
pub(crate) fn write(tx: &Transaction<'_>, made: &Move) -> rusqlite::Result<i64> {
    let sql = format!(
        "INSERT INTO right_move (id, {COLUMNS})
         VALUES (row_id(), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) RETURNING id"
    );
    let store = |holder: &Option<Holder>| holder.as_ref().map(|holder| holder.store);
    let device =
        |holder: &Option<Holder>| holder.as_ref().map(|holder| holder.device.as_str().to_owned());
    tx.prepare_cached(&sql)?.query_row(
        rusqlite::params![
            made.store,
            made.step as i64,
            made.right.pool,
            made.right.item,
            made.units,
            store(&made.from),
            device(&made.from),
            store(&made.to),
            device(&made.to),
            made.of_lease,
            made.to_lease,
            made.until,
            made.at,
            made.cause,
        ],
        |row| row.get(0),
    )
}

/// The move with this id.
pub(crate) fn by_id(db: &Connection, id: i64) -> rusqlite::Result<Option<Move>> {
    db.prepare_cached(&format!("SELECT id, {COLUMNS} FROM right_move WHERE id = ?1"))?
        .query_row([id], |row| Ok(read_row(row)))
        .optional()
        .map(Option::flatten)
}

fn read_row(row: &Row<'_>) -> Option<Move> {
    let values: Option<Vec<_>> = (0..15).map(|at| Value::read(row.get_ref(at).ok()?)).collect();
    let values = values?;
    let values: Vec<Borrowed<'_>> = values.iter().map(|value| value.borrow()).collect();
    read_values(&values)
}

/// The move in the values of a row; None when it does not read.
pub(crate) fn read_values(values: &[Borrowed<'_>]) -> Option<Move> {
    let int = |at: usize| match values.get(at) {
        Some(Borrowed::Int(number)) => Some(*number),
        _ => None,
    };
    let holder = |at: usize| match (values.get(at)?, values.get(at + 1)?) {
        (Borrowed::Null, Borrowed::Null) => Some(None),
        (Borrowed::Int(store), Borrowed::Text(device)) => Some(Some(Holder {
            store: u32::try_from(*store).ok()?,
            device: DeviceId::new(device).ok()?,
        })),
        _ => None,
    };
    Some(Move {
        store: u32::try_from(int(1)?).ok()?,
        step: Step::numbered(int(2)?)?,
        right: Right { pool: u32::try_from(int(3)?).ok()?, item: int(4)? },
        units: int(5)?,
        from: holder(6)?,
        to: holder(8)?,
        of_lease: int(10)?,
        to_lease: int(11),
        until: int(12),
        at: int(13)?,
        cause: int(14),
    })
}

/// What the moves of a holder under one lease add up to.
pub(crate) fn units(
    db: &Connection,
    who: &Holder,
    right: Right,
    lease: i64,
) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT units FROM right_balance
         WHERE pool = ?1 AND item = ?2 AND store = ?3 AND device = ?4 AND lease = ?5",
    )?
    .query_row((right.pool, right.item, who.store, who.device.as_str(), lease), |row| row.get(0))
    .optional()
    .map(|found| found.unwrap_or(0))
}

/// What a holder can use under one lease. What others spent beyond a grant of this holder is charged to it: it has
/// taken back what was not there any more.
pub(crate) fn usable(
    db: &Connection,
    who: &Holder,
    right: Right,
    lease: i64,
) -> rusqlite::Result<i64> {
    usable_at(db, who, right, lease, LENT_ON_MAX)
}

fn usable_at(
    db: &Connection,
    who: &Holder,
    right: Right,
    lease: i64,
    deep: usize,
) -> rusqlite::Result<i64> {
    let mut left = units(db, who, right, lease)?;
    if planted::is(Fault::GrantCountedTwice) && lease != FOR_GOOD {
        left += by_id(db, lease)?.map_or(0, |grant| grant.units);
    }
    if deep == 0 {
        return Ok(left);
    }
    let sql = format!(
        "SELECT id, {COLUMNS} FROM right_move
         WHERE step = 2 AND of_lease = ?1 AND from_device = ?2 AND pool = ?3 AND item = ?4"
    );
    let mut select = db.prepare_cached(&sql)?;
    let mut rows = select.query((lease, who.device.as_str(), right.pool, right.item))?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if let Some(Move { to: Some(borrower), .. }) = read_row(row) {
            left += usable_at(db, &borrower, right, id, deep - 1)?.min(0);
        }
    }
    Ok(left)
}

/// Whether the lender of a lease may take back what is left. The holder was heard when each incarnation of it that may
/// still write was.
pub(crate) fn may_be_taken_back(db: &Connection, grant: &Move, at: i64) -> rusqlite::Result<bool> {
    let holder = match grant.step {
        Step::Grant => &grant.to,
        _ => &grant.from,
    };
    let (Some(holder), Some(until)) = (holder, grant.until) else { return Ok(false) };
    let heard: Option<i64> = db
        .prepare_cached(
            "SELECT min(ifnull((SELECT (h.stamp >> 16) & 0xffffffffffff FROM sync_head h
                                WHERE h.origin = a.origin AND h.stream = ?2), -1))
             FROM allow_list a WHERE a.device = ?1 AND a.state NOT IN ('closed', 'revoked', 'spare')",
        )?
        .query_row((holder.device.as_str(), grant.store), |row| row.get(0))?;
    Ok(may_take_back(until, heard, at))
}
