//! Who may give, spend and take back rights, in plain numbers
//!
//! A right is a unit of something that must not be given out twice while devices are apart: a piece that is
//! left, a promise, a point. Its holder is one device of one store. Whoever holds a unit may spend it without asking;
//! nobody else may. Nothing in here asks a database, so that a small model can try every order of events.

use crate::origin::{DeviceId, Role};
use crate::planted::{self, Fault};

/// After the end of a lease, a holder that stays silent so long is taken for lost.
///
/// A day: clocks of devices that have been apart differ by minutes. Should the holder have spent after all, the excess
/// is charged to whoever lent, and shows as a dispute.
pub const LOST_AFTER_MS: i64 = 24 * 60 * 60 * 1_000;

/// The most units of one move. Sums of them never leave 64 bits.
pub const UNITS_MAX: i64 = 1_000_000_000;

/// The lease of rights that are held for good.
pub const FOR_GOOD: i64 = 0;

/// A device that holds rights.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Its store, 0 at HQ.
    pub store: u32,
    /// The device.
    pub device: DeviceId,
}

/// What a unit is a right to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Right {
    /// Who gives such rights out: a store those of its own things, HQ (0) all others.
    pub pool: u32,
    /// What, as a number of the trade.
    pub item: i64,
}

/// What a move does. The numbers stand in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The pool's owner makes units.
    Issue = 1,
    /// A holder lends units to another.
    Grant = 2,
    /// A holder uses units up.
    Spend = 3,
    /// A holder gives units of a lease back.
    Return = 4,
    /// A lender takes back what is left of a lease that has ended.
    Reclaim = 5,
    /// A deed went on without rights. Moves nothing: others see what is to be made good.
    Overdraw = 6,
}

impl Step {
    /// The step of this number.
    pub fn numbered(number: i64) -> Option<Step> {
        use Step::{Grant, Issue, Overdraw, Reclaim, Return, Spend};
        [Issue, Grant, Spend, Return, Reclaim, Overdraw]
            .into_iter()
            .find(|step| *step as i64 == number)
    }
}

/// One move of rights, as it stands in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// In whose stream it is told: the store that gives or gets, 0 for what HQ keeps to itself.
    pub store: u32,
    /// What it does.
    pub step: Step,
    /// Rights to what.
    pub right: Right,
    /// How many.
    pub units: i64,
    /// Who loses them; nobody at an issue.
    pub from: Option<Holder>,
    /// Who gets them; nobody where they are used up.
    pub to: Option<Holder>,
    /// Under which lease they were held: the id of its grant, or `FOR_GOOD`.
    pub of_lease: i64,
    /// Under which lease the other side holds them; of a grant it is the grant itself, and nothing stands here.
    pub to_lease: Option<i64>,
    /// When the lease ends: of a grant the new one, else the one they were held under.
    pub until: Option<i64>,
    /// When it happened, by the writer's stamps.
    pub at: i64,
    /// The row of the trade that it belongs to.
    pub cause: Option<i64>,
}

impl Move {
    /// Whether this writer may write this move at this stamp, whatever else has or has not arrived here.
    pub fn judge(&self, writer: &Holder, role: Role, stamp_ms: i64) -> Result<(), &'static str> {
        let Move { from, to, .. } = self;
        if !(1..=UNITS_MAX).contains(&self.units) {
            return Err("a move has between one and a billion units");
        }
        let own = |holder: &Option<Holder>| holder.as_ref() == Some(writer);
        let told = |holder: &Option<Holder>| {
            holder.as_ref().is_none_or(|holder| [0, self.store].contains(&holder.store))
        };
        if !told(from) || !told(to) {
            return Err("rights move within a store, or between a store and HQ");
        }
        if self.step != Step::Issue && self.until.is_none() && self.of_lease != FOR_GOOD {
            return Err("what is held under a lease names its end");
        }
        let fits = match self.step {
            Step::Issue => own(to) && from.is_none() && self.is_owned_by(writer, role),
            Step::Grant => own(from) && to.is_some() && from != to && self.to_lease.is_none(),
            Step::Spend => own(from) && to.is_none(),
            Step::Return => own(from) && to.is_some() && self.of_lease != FOR_GOOD,
            Step::Reclaim => own(to) && from.is_some() && self.of_lease != FOR_GOOD,
            Step::Overdraw => own(from) && to.is_none() && self.of_lease == FOR_GOOD,
        };
        if !fits {
            return Err("a holder moves only what it holds itself");
        }
        match self.step {
            Step::Grant if self.until.is_none() => Err("a grant has an end"),
            Step::Grant | Step::Spend if !is_live(self.until, stamp_ms) => Err("the lease is over"),
            _ => Ok(()),
        }
    }

    /// A store's own things are its back office's to give, everything else is HQ's.
    fn is_owned_by(&self, writer: &Holder, role: Role) -> bool {
        let owner = if self.right.pool == 0 { Role::Hq } else { Role::BackOffice };
        self.of_lease == FOR_GOOD
            && self.to_lease == Some(FOR_GOOD)
            && writer.store == self.right.pool
            && role == owner
    }
}

/// Rights that a device can use, under one lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The id of the grant, or `FOR_GOOD`.
    pub lease: i64,
    /// How many are left.
    pub units: i64,
    /// When it ends; never for what is held for good.
    pub until: Option<i64>,
}

/// Whether a lease runs at this stamp.
///
/// The stamp of the entry decides, not a clock: a receiver sees the same stamp, and the stamps of one writer only grow.
pub fn is_live(until: Option<i64>, stamp_ms: i64) -> bool {
    until.is_none_or(|until| stamp_ms < until) || planted::is(Fault::LeaseNeverEnds)
}

/// Where to take units from: what ends first goes first. Also says how many are missing.
pub fn choose(held: &[Held], units: i64, stamp_ms: i64) -> (Vec<Held>, i64) {
    let mut live: Vec<Held> =
        held.iter().filter(|one| one.units > 0 && is_live(one.until, stamp_ms)).copied().collect();
    live.sort_by_key(|one| (one.until.unwrap_or(i64::MAX), one.lease));
    let (mut parts, mut missing) = (Vec::new(), units);
    for one in live {
        let taken = one.units.min(missing);
        if taken > 0 {
            parts.push(Held { units: taken, ..one });
            missing -= taken;
        }
    }
    (parts, missing)
}

/// Whether a lender may take back what is left of a lease.
///
/// Where the holder was heard with a stamp past the end, every unit that it spent is known: its stamps only grow, and
/// none past the end counts. That is safe whatever any clock says. A holder that is never heard again is taken for lost.
pub fn may_take_back(until: i64, heard_ms: Option<i64>, stamp_ms: i64) -> bool {
    heard_ms.is_some_and(|heard| heard >= until)
        || stamp_ms >= until.saturating_add(LOST_AFTER_MS)
        || planted::is(Fault::TakenBackEarly)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(store: u32, device: &str) -> Holder {
        Holder { store, device: DeviceId::new(device).unwrap() }
    }

    fn spend(until: Option<i64>) -> Move {
        Move {
            store: 1,
            step: Step::Spend,
            right: Right { pool: 1, item: 7 },
            units: 2,
            from: Some(holder(1, "s0001-p01")),
            to: None,
            of_lease: if until.is_some() { 9 } else { FOR_GOOD },
            to_lease: None,
            until,
            at: 5,
            cause: None,
        }
    }

    #[test]
    fn a_device_spends_what_it_holds_itself_and_nobody_elses() {
        let own = spend(None);
        assert_eq!(own.judge(&holder(1, "s0001-p01"), Role::Pos, 5), Ok(()));
        let refused = own.judge(&holder(1, "s0001-p02"), Role::Pos, 5);
        assert_eq!(refused, Err("a holder moves only what it holds itself"));
    }

    #[test]
    fn nothing_is_spent_at_or_after_the_end_of_its_lease() {
        let pos = holder(1, "s0001-p01");
        assert_eq!(spend(Some(100)).judge(&pos, Role::Pos, 99), Ok(()));
        assert_eq!(spend(Some(100)).judge(&pos, Role::Pos, 100), Err("the lease is over"));
    }

    #[test]
    fn only_the_owner_of_a_pool_makes_rights() {
        let issue = |pool, device: &str| Move {
            step: Step::Issue,
            right: Right { pool, item: 7 },
            from: None,
            to: Some(holder(pool, device)),
            to_lease: Some(FOR_GOOD),
            store: pool,
            ..spend(None)
        };
        let judge = |pool, device: &str, role| {
            issue(pool, device).judge(&holder(pool, device), role, 5).is_ok()
        };
        assert!(judge(1, "s0001-b01", Role::BackOffice) && judge(0, "hq-w1", Role::Hq));
        assert!(!judge(1, "s0001-p01", Role::Pos));
        // Of its own things the store grants HQ, never the other way.
        assert!(issue(1, "s0001-b01").judge(&holder(0, "hq-w1"), Role::Hq, 5).is_err());
    }

    #[test]
    fn rights_never_pass_from_store_to_store() {
        let away = Move {
            step: Step::Grant,
            to: Some(holder(2, "s0002-b01")),
            until: Some(100),
            ..spend(None)
        };
        let refused = away.judge(&holder(1, "s0001-p01"), Role::Pos, 5);
        assert_eq!(refused, Err("rights move within a store, or between a store and HQ"));
    }

    #[test]
    fn what_ends_first_is_used_first_and_what_has_ended_is_not() {
        let held = |lease, units, until| Held { lease, units, until };
        let all =
            [held(0, 4, None), held(3, 1, Some(90)), held(2, 2, Some(50)), held(1, 9, Some(10))];
        let (parts, missing) = choose(&all, 5, 10);
        assert_eq!(parts, [held(2, 2, Some(50)), held(3, 1, Some(90)), held(0, 2, None)]);
        assert_eq!(missing, 0);
        assert_eq!(choose(&all, 9, 10).1, 2);
    }

    #[test]
    fn a_lender_takes_back_when_the_holder_was_heard_past_the_end_or_is_lost() {
        assert!(!may_take_back(100, None, 5_000));
        assert!(!may_take_back(100, Some(99), 5_000));
        assert!(may_take_back(100, Some(100), 0));
        assert!(may_take_back(100, None, 100 + LOST_AFTER_MS));
    }
}
