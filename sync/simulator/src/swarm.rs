//! The kinds of trouble, and which of them a run knows
//!
//! Strong faults hide weak ones: a device that dies every minute never gets far enough to trip over a late message. So
//! each seed switches a random subset of the kinds off. Each kind has dice of its own: a run that knows one kind less
//! is otherwise the same run, which is what makes a failing one small.
//!
//! A new kind is a line in `Mishap`, one in `TABLE`, and an arm in `Stage::strike`.

use crate::dice::Dice;
use std::fmt;

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// A message is lost.
    Lost,
    /// A message arrives twice.
    Repeated,
    /// A message arrives with a flipped bit.
    Damaged,
    /// A message is late, and others overtake it.
    Late,
    /// An old message arrives once more.
    Replayed,
    /// A line is cut, one way or both, or holds messages back.
    Partition,
    /// A device loses its power in the middle of a disk operation.
    PowerCut,
    /// The program of a device ends and starts again while the power stays.
    Restart,
    /// A disk operation fails.
    DiskError,
    /// A disk has no room for a while.
    FullDisk,
    /// Somebody sets a clock.
    ClockJump,
    /// A device with a key of its own lies.
    Lie,
    /// A device is brought up to the next version of the schema. Without it all run the newest.
    Upgrade,
    /// HQ is lost and restored from an old copy, as the next generation.
    RestoredHq,
    /// A bit of a database flips on its disk.
    Rot,
    /// The box of a back office is gone for most of the run.
    DeadOffice,
    /// HQ signs another order of parents for the devices of a store.
    NewParents,
}

/// Where a kind of trouble strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Any message on its way: the weather does it, nothing is planned.
    Message,
    /// Each device, again and again.
    Device,
    /// The line of each device that has a parent, again and again.
    Line,
    /// The chain as a whole, again and again.
    Chain,
}

/// Every kind, in the order of the enum: its name on command lines, where it strikes, and in how many of a thousand
/// seeds it is on.
const TABLE: [(Mishap, &str, Place, u64); 17] = [
    (Mishap::Lost, "lost", Place::Message, 667),
    (Mishap::Repeated, "repeated", Place::Message, 667),
    (Mishap::Damaged, "damaged", Place::Message, 667),
    (Mishap::Late, "late", Place::Message, 667),
    (Mishap::Replayed, "replayed", Place::Line, 667),
    (Mishap::Partition, "partition", Place::Line, 667),
    (Mishap::PowerCut, "power-cut", Place::Device, 667),
    (Mishap::Restart, "restart", Place::Device, 667),
    (Mishap::DiskError, "disk-error", Place::Device, 667),
    (Mishap::FullDisk, "full-disk", Place::Device, 667),
    (Mishap::ClockJump, "clock-jump", Place::Device, 667),
    (Mishap::Lie, "lie", Place::Chain, 667),
    (Mishap::Upgrade, "upgrade", Place::Device, 667),
    (Mishap::RestoredHq, "restored-hq", Place::Chain, 0),
    (Mishap::Rot, "rot", Place::Device, 333),
    (Mishap::DeadOffice, "dead-office", Place::Device, 667),
    (Mishap::NewParents, "new-parents", Place::Device, 333),
];

/// How many kinds there are.
pub const KINDS: usize = TABLE.len();

impl Mishap {
    /// All kinds.
    pub fn all() -> impl Iterator<Item = Mishap> {
        TABLE.iter().map(|row| row.0)
    }

    /// Its place in the list of all.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Its name on command lines.
    pub fn name(self) -> &'static str {
        TABLE[self.index()].1
    }

    /// Where it strikes.
    pub fn place(self) -> Place {
        TABLE[self.index()].2
    }

    /// Whether seeds choose it; else it strikes only where somebody orders it.
    pub fn is_rolled(self) -> bool {
        TABLE[self.index()].3 > 0
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Mishap> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
}

/// The kinds that one run knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swarm {
    bits: u64,
}

impl Swarm {
    /// The kinds of one seed, each decided by dice of its own.
    pub fn roll(dice: &Dice) -> Swarm {
        TABLE
            .iter()
            .filter(|row| dice.split(row.1).chance(row.3))
            .fold(Swarm::default(), |swarm, row| swarm.with(row.0))
    }

    /// Every kind.
    pub fn whole() -> Swarm {
        Mishap::all().fold(Swarm::default(), Swarm::with)
    }

    /// These kinds and one more.
    pub fn with(self, mishap: Mishap) -> Swarm {
        Swarm { bits: self.bits | 1 << mishap.index() }
    }

    /// These kinds without one.
    pub fn without(self, mishap: Mishap) -> Swarm {
        Swarm { bits: self.bits & !(1 << mishap.index()) }
    }

    /// Whether it has this kind.
    pub fn has(self, mishap: Mishap) -> bool {
        self.bits >> mishap.index() & 1 == 1
    }

    /// The kinds in it.
    pub fn kinds(self) -> impl Iterator<Item = Mishap> {
        Mishap::all().filter(move |mishap| self.has(*mishap))
    }

    /// Reads names with commas between them; `none` has no kind.
    pub fn parse(text: &str) -> Result<Swarm, String> {
        let names = text.split(',').filter(|name| !name.is_empty() && *name != "none");
        names.into_iter().try_fold(Swarm::default(), |swarm, name| {
            let known = || Mishap::all().map(Mishap::name).collect::<Vec<_>>().join(", ");
            let mishap = Mishap::named(name)
                .ok_or_else(|| format!("there is no fault {name}: name some of {}", known()))?;
            Ok(swarm.with(mishap))
        })
    }
}

impl fmt::Display for Swarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.kinds().map(Mishap::name).collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds() {
        assert!(Mishap::all().enumerate().all(|(at, mishap)| mishap.index() == at));
        const { assert!(KINDS <= 64, "a swarm is one number") };
    }

    #[test]
    fn every_kind_is_on_in_some_seeds_and_off_in_others() {
        let swarms: Vec<Swarm> =
            (0..90).map(|seed| Swarm::roll(&Dice::new(seed).split("swarm"))).collect();
        for mishap in Mishap::all().filter(|mishap| mishap.is_rolled()) {
            let on = swarms.iter().filter(|swarm| swarm.has(mishap)).count();
            assert!((1..90).contains(&on), "{} is on in {on} of 90", mishap.name());
        }
    }

    #[test]
    fn a_swarm_reads_back_what_it_writes() {
        for swarm in [Swarm::default(), Swarm::whole(), Swarm::whole().without(Mishap::Lie)] {
            assert_eq!(Swarm::parse(&swarm.to_string()), Ok(swarm));
        }
        assert!(Swarm::parse("lost,meteor").unwrap_err().contains("no fault meteor"));
    }
}
