//! Row ids, and the SQL functions that make them
//!
//! A row id is `origin << 40 | counter`: two devices that never met cannot draw
//! the same one, ids of one device sort by age, and they fit SQLite's integer
//! key. Counters of a write that was rolled back may be drawn again.

use crate::origin::Origin;
use rusqlite::{Connection, functions::FunctionFlags};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Bits of the counter.
pub const COUNTER_BITS: u32 = 40;

/// The highest counter of an origin.
pub const COUNTER_MAX: u64 = (1 << COUNTER_BITS) - 1;

/// The row id of a counter, always positive.
pub fn pack(origin: Origin, counter: u64) -> i64 {
    assert!(counter <= COUNTER_MAX, "an origin has 2^40 counters");
    let id = (u64::from(origin.get()) << COUNTER_BITS) | counter;
    i64::try_from(id).expect("an origin has 23 bits")
}

/// Origin number and counter of a row id; the number is 0 or negative when it is no row id.
pub fn unpack(id: i64) -> (i64, u64) {
    (id >> COUNTER_BITS, id.cast_unsigned() & COUNTER_MAX)
}

/// The next counter of one origin, shared with the SQL function that draws it.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// The counter that is drawn next.
    pub fn next(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Goes on from here: after a start, or back after a rollback.
    pub fn set(&self, next: u64) {
        assert!(next >= 1, "counters start at 1");
        self.0.store(next, Ordering::Relaxed);
    }

    fn draw(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// Registers `row_id()`, which draws the next id, and `own_ids()`, the floor of this origin's ids.
pub fn register(db: &Connection, origin: Origin, counter: &Counter) -> rusqlite::Result<()> {
    let drawn = counter.clone();
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("row_id", 0, flags, move |_| Ok(pack(origin, drawn.draw())))?;
    register_floor(db, origin)
}

/// Registers `own_ids()` alone: a reader draws no ids.
pub fn register_floor(db: &Connection, origin: Origin) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_INNOCUOUS
        | FunctionFlags::SQLITE_DETERMINISTIC;
    db.create_scalar_function("own_ids", 0, flags, move |_| Ok(pack(origin, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves TS-40.
    #[test]
    fn ids_sort_by_age_and_never_meet_those_of_another_origin() {
        let (near, far) = (Origin::new(5).unwrap(), Origin::new(8_388_607).unwrap());
        assert!(pack(near, 1) < pack(near, 2));
        assert!(pack(near, COUNTER_MAX) < pack(far, 1));
        assert!(pack(far, COUNTER_MAX) > 0);
        assert_eq!(unpack(pack(near, 77)), (5, 77));
    }

    #[test]
    fn the_sql_function_draws_each_id_once() {
        let db = Connection::open_in_memory().unwrap();
        let counter = Counter::default();
        counter.set(41);
        register(&db, Origin::new(7).unwrap(), &counter).unwrap();
        let drawn: (i64, i64, i64) = db
            .query_row("SELECT row_id(), row_id(), own_ids()", [], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?))
            })
            .unwrap();
        assert_eq!(drawn, ((7 << 40) | 41, (7 << 40) | 42, 7 << 40));
        assert_eq!(counter.next(), 43);
    }
}
