//! Grants, spends and takes back rights, in the caller's write
//!
//! Before a write commits, the moves in it are looked at again: no SQL of the trade gets round the floor of a holder. A
//! deed that must not wait goes on without rights all the same and says so in a fact.

use crate::allow_list::Row;
use crate::hlc::Stamp;
use crate::origin::Role;
use crate::planted::{self, Fault};
use crate::right_moves::{by_id, may_be_taken_back, read_values, units, usable, write};
use crate::rights::{FOR_GOOD, Held, Holder, Move, Right, Step, choose, is_live};
use crate::row_id;
use crate::value::Borrowed;
use rusqlite::{Connection, Transaction};

/// Why rights were not moved.
#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    /// The holder has not so many.
    #[error(
        "{wanted} of item {item} are wanted, {held} may be used here: ask for more rights, or overdraw"
    )]
    NoRights {
        /// Of what.
        item: i64,
        /// How many were wanted.
        wanted: i64,
        /// How many there are.
        held: i64,
    },
    /// This device may not make that move.
    #[error("rights were not moved: {0}")]
    NotAllowed(&'static str),
    /// The database refused.
    #[error("rights were not moved, the database refused: {0}")]
    Database(#[from] rusqlite::Error),
}

/// How a deed that must not wait took its units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// So many by right.
    pub spent: i64,
    /// So many without: one fact tells of them, and somebody makes them good.
    pub overdrawn: i64,
}

/// Makes units, at their pool's owner.
pub fn issue(
    tx: &Transaction<'_>,
    me: &Holder,
    right: Right,
    units: i64,
    at: i64,
) -> Result<i64, EscrowError> {
    let step = Step::Issue;
    let to = Some(me.clone());
    let made = Move { step, to, to_lease: Some(FOR_GOOD), units, ..blank(me, right, at) };
    Ok(write(tx, &made)?)
}

/// Lends units to another holder until a time; gives the ids of the leases, one for each that they were taken from.
pub fn grant(
    tx: &Transaction<'_>,
    me: &Holder,
    right: Right,
    units: i64,
    to: &Holder,
    until: i64,
    at: i64,
) -> Result<Vec<i64>, EscrowError> {
    let (parts, missing) = choose(&held(tx, me, right)?, units, at);
    no_rights(right, units, missing)?;
    let mut leases = Vec::new();
    for part in parts {
        let mut lent = leaving(Step::Grant, me, right, at, part);
        lent.store = if me.store == 0 { to.store } else { me.store };
        lent.to = Some(to.clone());
        lent.until = Some(part.until.map_or(until, |end| end.min(until)));
        leases.push(write(tx, &lent)?);
    }
    Ok(leases)
}

/// Uses units up, all or none.
pub fn spend(
    tx: &Transaction<'_>,
    me: &Holder,
    right: Right,
    units: i64,
    at: i64,
    cause: Option<i64>,
) -> Result<(), EscrowError> {
    let (parts, missing) = choose(&held(tx, me, right)?, units, at);
    no_rights(right, units, missing)?;
    for part in parts {
        write(tx, &Move { cause, ..leaving(Step::Spend, me, right, at, part) })?;
    }
    Ok(())
}

/// Uses units up for a deed that never waits: what no right covers is overdrawn, in one fact.
pub fn take(
    tx: &Transaction<'_>,
    me: &Holder,
    right: Right,
    units: i64,
    at: i64,
    cause: Option<i64>,
) -> Result<Taken, EscrowError> {
    let (parts, missing) = choose(&held(tx, me, right)?, units, at);
    for part in parts {
        write(tx, &Move { cause, ..leaving(Step::Spend, me, right, at, part) })?;
    }
    if missing > 0 && !planted::is(Fault::OverdrawNotTold) {
        let without = Held { lease: FOR_GOOD, units: missing, until: None };
        write(tx, &Move { cause, ..leaving(Step::Overdraw, me, right, at, without) })?;
    }
    Ok(Taken { spent: units - missing, overdrawn: missing })
}

/// Gives what is left of a lease back to its lender. Nothing is left of one that is not there.
pub fn give_back(
    tx: &Transaction<'_>,
    me: &Holder,
    lease: i64,
    at: i64,
) -> Result<i64, EscrowError> {
    let Some(grant) = by_id(tx, lease)?.filter(|grant| grant.to.as_ref() == Some(me)) else {
        return Ok(0);
    };
    let left = units(tx, me, grant.right, lease)?;
    if left <= 0 {
        return Ok(0);
    }
    let part = Held { lease, units: left, until: grant.until };
    let mut back = leaving(Step::Return, me, grant.right, at, part);
    (back.store, back.to, back.to_lease) = (grant.store, grant.from, Some(grant.of_lease));
    write(tx, &back)?;
    Ok(left)
}

/// Takes back what is left of a lease that this device has given.
pub fn take_back(
    tx: &Transaction<'_>,
    me: &Holder,
    lease: i64,
    at: i64,
) -> Result<i64, EscrowError> {
    let Some(grant) = by_id(tx, lease)?.filter(|grant| grant.from.as_ref() == Some(me)) else {
        return Ok(0);
    };
    let Some(lost) = &grant.to else { return Ok(0) };
    let left = units(tx, lost, grant.right, lease)?;
    if left <= 0 {
        return Ok(0);
    }
    let step = Step::Reclaim;
    let (from, to, to_lease) = (grant.to.clone(), grant.from.clone(), Some(grant.of_lease));
    write(tx, &Move { step, from, to, units: left, of_lease: lease, to_lease, at, ..grant })?;
    Ok(left)
}

/// What a device can use of a right, lease by lease, ended ones included.
pub fn held(db: &Connection, me: &Holder, right: Right) -> rusqlite::Result<Vec<Held>> {
    let leases: Vec<(i64, Option<i64>)> = db
        .prepare_cached(
            "SELECT b.lease, m.until FROM right_balance b LEFT JOIN right_move m ON m.id = b.lease
             WHERE b.pool = ?1 AND b.item = ?2 AND b.store = ?3 AND b.device = ?4
               AND (b.lease = 0 OR m.id IS NOT NULL) ORDER BY b.lease",
        )?
        .query_map((right.pool, right.item, me.store, me.device.as_str()), |row| row.try_into())?
        .collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    for (lease, until) in leases {
        all.push(Held { lease, units: usable(db, me, right, lease)?, until });
    }
    Ok(all)
}

/// Leases of this device that are over and not given back yet.
pub fn ended(db: &Connection, me: &Holder, at: i64) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(
        "SELECT b.lease FROM right_balance b JOIN right_move m ON m.id = b.lease
         WHERE b.store = ?1 AND b.device = ?2 AND b.units > 0 AND m.until <= ?3 ORDER BY b.lease",
    )?
    .query_map((me.store, me.device.as_str(), at), |row| row.get(0))?
    .collect()
}

/// Leases that this device has given and may take back now.
pub fn to_take_back(db: &Connection, me: &Holder, at: i64) -> Result<Vec<i64>, EscrowError> {
    let given: Vec<i64> = db
        .prepare_cached(
            "SELECT m.id FROM right_move m JOIN right_balance b ON b.pool = m.pool AND b.item = m.item
               AND b.store = m.to_store AND b.device = m.to_device AND b.lease = m.id
             WHERE m.step = 2 AND m.from_store = ?1 AND m.from_device = ?2 AND b.units > 0 ORDER BY m.id",
        )?
        .query_map((me.store, me.device.as_str()), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut due = Vec::new();
    for lease in given {
        if let Some(grant) = by_id(db, lease)?
            && may_be_taken_back(db, &grant, at)?
        {
            due.push(lease);
        }
    }
    Ok(due)
}

/// Uses of which there were more than units were ever made: as many of them as are too many, the newest by id.
pub fn disputes(db: &Connection) -> rusqlite::Result<Vec<(i64, Right, i64)>> {
    db.prepare_cached("SELECT id, pool, item, units FROM right_dispute ORDER BY id")?
        .query_map([], |row| {
            Ok((row.get(0)?, Right { pool: row.get(1)?, item: row.get(2)? }, row.get(3)?))
        })?
        .collect()
}

/// Looks at the moves of a write before it commits: each is allowed, and no holding has fallen below nothing.
pub(crate) fn check_write(
    tx: &Transaction<'_>,
    me: &Holder,
    role: Role,
    stamp: Stamp,
    ids: impl Iterator<Item = i64>,
) -> Result<(), EscrowError> {
    for id in ids {
        let made =
            by_id(tx, id)?.ok_or(EscrowError::NotAllowed("a move is added, never changed"))?;
        made.judge(me, role, stamp.ms()).map_err(EscrowError::NotAllowed)?;
        if made.of_lease != FOR_GOOD {
            check_lease(tx, &made)?;
        }
        let Some(from) = made.from.as_ref().filter(|_| made.step != Step::Overdraw) else {
            continue;
        };
        let left = usable(tx, from, made.right, made.of_lease)?;
        if left < 0 && !planted::is(Fault::RightsNotChecked) {
            let (item, wanted) = (made.right.item, made.units);
            return Err(EscrowError::NoRights { item, wanted, held: wanted + left });
        }
        if made.step == Step::Reclaim && !may_be_taken_back(tx, &made, stamp.ms())? {
            return Err(EscrowError::NotAllowed("its holder may still spend it"));
        }
    }
    Ok(())
}

/// The lease under which units were held is here, was given to their holder, and the move says of it what its grant said.
fn check_lease(db: &Connection, made: &Move) -> Result<(), EscrowError> {
    let fits = by_id(db, made.of_lease)?.is_some_and(|grant| {
        let ends = match made.step {
            Step::Grant => made.until <= grant.until,
            _ => made.until == grant.until,
        };
        let goes_back = match made.step {
            Step::Return | Step::Reclaim => {
                made.to == grant.from && made.to_lease == Some(grant.of_lease)
            }
            _ => true,
        };
        let live = made.step != Step::Grant || is_live(grant.until, made.at);
        grant.step == Step::Grant
            && grant.right == made.right
            && grant.to == made.from
            && ends
            && goes_back
            && live
    });
    if fits { Ok(()) } else { Err(EscrowError::NotAllowed("there is no such lease")) }
}

/// Whether a move of another writer may be applied, whatever else is or is not here; if not, why.
pub(crate) fn check_remote(
    writer: &Row,
    stamp: Stamp,
    values: &[Borrowed<'_>],
) -> Result<(), &'static str> {
    let made = read_values(values).ok_or("a move that does not read")?;
    let me = Holder { store: writer.store, device: writer.device.clone() };
    // The id of a lease tells who gave it. Only a back office or HQ may go on after an incarnation that is over.
    let lender = row_id::unpack(made.of_lease).0;
    if made.step == Step::Reclaim
        && writer.role == Role::Pos
        && lender != i64::from(writer.origin.get())
    {
        return Err("another has lent that");
    }
    made.judge(&me, writer.role, stamp.ms())
}

fn blank(me: &Holder, right: Right, at: i64) -> Move {
    Move {
        store: me.store,
        step: Step::Issue,
        right,
        units: 0,
        from: None,
        to: None,
        of_lease: FOR_GOOD,
        to_lease: None,
        until: None,
        at,
        cause: None,
    }
}

/// A move of a part of what this device holds. HQ tells of a pool's units in the stream of that store.
fn leaving(step: Step, me: &Holder, right: Right, at: i64, part: Held) -> Move {
    let Held { lease, units, until } = part;
    let store = if me.store == 0 { right.pool } else { me.store };
    Move {
        step,
        store,
        from: Some(me.clone()),
        units,
        of_lease: lease,
        until,
        ..blank(me, right, at)
    }
}

fn no_rights(right: Right, wanted: i64, missing: i64) -> Result<(), EscrowError> {
    let held = wanted - missing;
    if missing > 0 { Err(EscrowError::NoRights { item: right.item, wanted, held }) } else { Ok(()) }
}
