//! Every order of events between three holders of six units
//!
//! A back office makes six units and lends some to HQ and to a pos. Whatever they do, whichever clock ends the leases
//! first and however late word comes, no unit is spent twice. The decisions are those of the engine; every so many-th
//! state is also put into its tables, which must add up to the same. A hundred lines that try everything were lighter
//! than a model checker with a web server in it.

use rusqlite::Connection;
use selvedge_sync::declared;
use selvedge_sync::escrow;
use selvedge_sync::origin::{DeviceId, Role};
use selvedge_sync::right_moves;
use selvedge_sync::rights::{
    FOR_GOOD, Held, Holder, LOST_AFTER_MS, Move, Right, Step, choose, is_live, may_take_back,
};

use std::collections::{BTreeMap, HashSet};

const UNITS: i64 = 6;
const RIGHT: Right = Right { pool: 1, item: 7 };
/// The moment at which every lease ends.
const END: i64 = 1;
/// What each clock can show: before the end, after it, and when a silent holder is taken for lost.
const CLOCK: [i64; 3] = [0, END, END + LOST_AFTER_MS];

const HQ: usize = 0;
const OFFICE: usize = 1;
const POS: usize = 2;

/// One move, small enough to keep many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Fact {
    step: u8,
    from: Option<usize>,
    to: Option<usize>,
    /// Which lease: nothing for good, else the borrower.
    lease: Option<usize>,
    units: i64,
    stamp: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    logs: [Vec<Fact>; 3],
    /// Of whose log each has how much.
    seen: [[usize; 3]; 3],
    /// What each clock shows, as a place in `CLOCK`.
    clocks: [usize; 3],
}

type Balances = BTreeMap<(usize, Option<usize>), i64>;

fn add_up<'f>(facts: impl Iterator<Item = &'f Fact>) -> Balances {
    let mut balances = Balances::new();
    for fact in facts {
        let step = Step::numbered(fact.step.into()).unwrap();
        let to_lease = if step == Step::Grant { fact.to } else { None };
        if let Some(from) = fact.from {
            *balances.entry((from, fact.lease)).or_default() -= fact.units;
        }
        if let Some(to) = fact.to {
            *balances.entry((to, to_lease)).or_default() += fact.units;
        }
    }
    balances
}

/// What a holder can use under a lease: the office is charged with what its borrowers lack.
fn usable(balances: &Balances, who: usize, lease: Option<usize>) -> i64 {
    let own = balances.get(&(who, lease)).copied().unwrap_or(0);
    if who != OFFICE {
        return own;
    }
    let borrowed = |other| balances.get(&(other, Some(other))).copied().unwrap_or(0).min(0);
    own + borrowed(HQ) + borrowed(POS)
}

impl World {
    fn start() -> World {
        let issue =
            Fact { step: 1, from: None, to: Some(OFFICE), lease: None, units: UNITS, stamp: 0 };
        let logs = [vec![], vec![issue], vec![]];
        World { logs, seen: [[0; 3], [0, 1, 0], [0; 3]], clocks: [0; 3] }
    }

    fn seen_by(&self, who: usize) -> impl Iterator<Item = &Fact> {
        (0..3).flat_map(move |writer| &self.logs[writer][..self.seen[who][writer]])
    }

    fn all(&self) -> impl Iterator<Item = &Fact> {
        self.logs.iter().flatten()
    }

    fn spent(&self) -> i64 {
        self.all().filter(|fact| fact.step == 3).map(|fact| fact.units).sum()
    }

    fn stamp(&self, who: usize) -> i64 {
        CLOCK[self.clocks[who]]
    }

    fn wrote(&self, who: usize, mut fact: Fact) -> World {
        let mut next = self.clone();
        fact.stamp = self.stamp(who);
        let role = [Role::Hq, Role::BackOffice, Role::Pos][who];
        let judged = as_move(&fact).judge(&holder(who), role, fact.stamp);
        assert_eq!(judged, Ok(()), "what the engine lets a holder write, every receiver takes");
        next.logs[who].push(fact);
        next.seen[who][who] += 1;
        next
    }

    /// All that can happen next. `lost` says whether silent holders are taken for lost.
    fn next(&self, lost: bool) -> Vec<World> {
        let mut all = Vec::new();
        for who in 0..3 {
            // A holder whose clock stands still goes on spending: nothing worse can happen to a lender that gives it up.
            let last = match (lost, who) {
                (true, OFFICE) => 2,
                (true, _) => 0,
                (false, _) => 1,
            };
            if self.clocks[who] < last {
                let mut later = self.clone();
                later.clocks[who] += 1;
                all.push(later);
            }
            self.words_that_come(who, &mut all);
            self.deeds(who, lost, &mut all);
        }
        all
    }

    /// HQ and the pos hear of each other through the office.
    fn words_that_come(&self, who: usize, all: &mut Vec<World>) {
        for writer in (0..3).filter(|writer| *writer != who) {
            let there = match (who, writer) {
                (HQ, POS) | (POS, HQ) => self.seen[OFFICE][writer],
                _ => self.logs[writer].len(),
            };
            if self.seen[who][writer] < there {
                let mut next = self.clone();
                next.seen[who][writer] += 1;
                all.push(next);
            }
        }
    }

    fn deeds(&self, who: usize, lost: bool, all: &mut Vec<World>) {
        let balances = add_up(self.seen_by(who));
        let stamp = self.stamp(who);
        let lease = (who != OFFICE).then_some(who);
        let held = Held {
            lease: lease.map_or(FOR_GOOD, |who| who as i64 + 1),
            units: usable(&balances, who, lease),
            until: lease.map(|_| END),
        };
        let units = if lost || who == OFFICE { 2 } else { 1 };
        let fact = Fact { step: 3, from: Some(who), to: None, lease, units, stamp };
        if choose(&[held], units, stamp).1 == 0 {
            all.push(self.wrote(who, fact));
        }
        if who != OFFICE {
            let has = held.units > 0 && !is_live(held.until, stamp);
            if has {
                let back = Fact { step: 4, to: Some(OFFICE), units: held.units, ..fact };
                all.push(self.wrote(who, back));
            }
            return;
        }
        for borrower in [HQ, POS] {
            let lent = self.logs[OFFICE].iter().any(|fact| fact.to == Some(borrower));
            if !lent && is_live(Some(END), stamp) && choose(&[held], 2, stamp).1 == 0 {
                all.push(self.wrote(OFFICE, Fact { step: 2, to: Some(borrower), ..fact }));
            }
            let left = balances.get(&(borrower, Some(borrower))).copied().unwrap_or(0);
            let heard = self.logs[borrower][..self.seen[OFFICE][borrower]].last();
            if left > 0 && may_take_back(END, heard.map(|fact| fact.stamp), stamp) {
                all.push(self.wrote(
                    OFFICE,
                    Fact {
                        step: 5,
                        from: Some(borrower),
                        to: Some(OFFICE),
                        lease: Some(borrower),
                        units: left,
                        stamp,
                    },
                ));
            }
        }
    }

    fn must_hold(&self, lost: bool) {
        let balances = add_up(self.all());
        let held: i64 = balances.values().sum();
        assert_eq!(held + self.spent(), UNITS, "no unit is made or lost on the way: {self:?}");
        for borrower in [HQ, POS] {
            let mine = |step| {
                let own = self.logs[borrower].iter().filter(move |fact| fact.step == step);
                own.map(|fact| fact.units).sum::<i64>()
            };
            let lent = self.logs[OFFICE].iter().filter(|fact| fact.to == Some(borrower));
            let lent: i64 = lent.map(|fact| fact.units).sum();
            assert!(mine(3) + mine(4) <= lent, "nobody spends beyond its grant: {self:?}");
        }
        if !lost {
            assert!(self.spent() <= UNITS, "a unit was spent twice: {self:?}");
            assert!(
                usable(&balances, OFFICE, None) >= 0,
                "the office lent what it had not: {self:?}"
            );
        }
        let excess = self.spent() - UNITS;
        if excess > 0 {
            let late = (0..3).any(|who| usable(&balances, who, (who != OFFICE).then_some(who)) < 0);
            assert!(late, "what was spent twice is charged to somebody: {self:?}");
        }
    }
}

fn holder(who: usize) -> Holder {
    let (store, device) = [(0, "hq-w1"), (1, "s0001-b01"), (1, "s0001-p01")][who];
    Holder { store, device: DeviceId::new(device).unwrap() }
}

/// The id of the only grant to a borrower.
fn lease_id(lease: Option<usize>) -> i64 {
    lease.map_or(FOR_GOOD, |borrower| (9 << 40) + borrower as i64)
}

fn as_move(fact: &Fact) -> Move {
    let step = Step::numbered(fact.step.into()).unwrap();
    Move {
        store: 1,
        step,
        right: RIGHT,
        units: fact.units,
        from: fact.from.map(holder),
        to: fact.to.map(holder),
        of_lease: lease_id(fact.lease),
        to_lease: (fact.to.is_some() && step != Step::Grant).then_some(FOR_GOOD),
        until: (step == Step::Grant || fact.lease.is_some()).then_some(END),
        at: fact.stamp,
        cause: None,
    }
}

/// The tables of the engine add up to what the model says, for each of the three.
fn tables_agree(world: &World) {
    for who in 0..3 {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(declared::SCHEMA).unwrap();
        db.execute_batch(right_moves::SCHEMA).unwrap();
        for (fact, no) in world.seen_by(who).zip(1_i64..) {
            let made = as_move(fact);
            let id = if made.step == Step::Grant { lease_id(fact.to) } else { (8 << 40) + no };
            let (from, to) = (made.from.as_ref(), made.to.as_ref());
            db.execute(
                "INSERT INTO right_move (id, store, step, pool, item, units, from_store, from_device, to_store,
                                         to_device, of_lease, to_lease, until, at)
                 VALUES (?1, 1, ?2, 1, 7, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
                rusqlite::params![
                    id,
                    fact.step,
                    fact.units,
                    from.map(|holder| holder.store),
                    from.map(|holder| holder.device.as_str()),
                    to.map(|holder| holder.store),
                    to.map(|holder| holder.device.as_str()),
                    made.of_lease,
                    made.to_lease,
                    made.until,
                    made.at
                ],
            )
            .unwrap();
        }
        let balances = add_up(world.seen_by(who));
        for ((other, lease), units) in &balances {
            let ask = "SELECT units FROM right_balance WHERE device = ?1 AND lease = ?2";
            let asked = (holder(*other).device.as_str().to_owned(), lease_id(*lease));
            assert_eq!(db.query_row(ask, asked, |row| row.get::<_, i64>(0)), Ok(*units));
        }
        let lease = (who != OFFICE).then_some(who);
        let held = escrow::held(&db, &holder(who), RIGHT).unwrap();
        let held = held.iter().find(|held| held.lease == lease_id(lease));
        assert_eq!(held.map_or(0, |held| held.units), usable(&balances, who, lease), "{world:?}");
    }
}

fn every_order(lost: bool) -> usize {
    let mut known = HashSet::from([World::start()]);
    let mut todo = vec![World::start()];
    while let Some(world) = todo.pop() {
        world.must_hold(lost);
        if known.len().is_multiple_of(499) {
            tables_agree(&world);
        }
        let next = world.next(lost);
        let all_told = world.seen.iter().all(|seen| *seen == world.seen[OFFICE]);
        if next.is_empty() {
            assert!(all_told);
            let office = usable(&add_up(world.all()), OFFICE, None);
            assert!(
                lost || office < 2 && office + world.spent() == UNITS,
                "all came back: {world:?}"
            );
        }
        for world in next {
            if known.insert(world.clone()) {
                todo.push(world);
            }
        }
    }
    known.len()
}

#[test]
fn no_unit_is_spent_twice_whatever_the_clocks_say() {
    let worlds = every_order(false);
    println!("{worlds} worlds");
    assert!(worlds > 10_000, "{worlds}");
}

#[test]
fn a_holder_taken_for_lost_costs_its_lender_and_nobody_else() {
    let worlds = every_order(true);
    println!("{worlds} worlds with lost holders");
    assert!(worlds > 10_000, "{worlds}");
}
