//! Which trouble has met which state of the protocol, counted
//!
//! A run without violations means little for a fault that only ever struck while nothing was going on. So each strike
//! is counted in every state that its device was in.

use crate::swarm::{KINDS, Mishap};
use selvedge_sync::doing::Doing;
use std::fmt;

/// A state of a device, as its conversations have it. A device can be in several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// All is said and all is heard.
    Idle,
    /// A line of it is down.
    Alone,
    /// It does not know yet what the other side has.
    Asking,
    /// What it sent is not acknowledged.
    Sending,
    /// Frames wait to be applied.
    Applying,
    /// It has heard of a writer that it does not know.
    Waiting,
    /// It has no power, or its program does not run.
    Dark,
}

/// Every state, in the order of the enum, with its name in tables.
const PHASES: [(Phase, &str); 7] = [
    (Phase::Idle, "idle"),
    (Phase::Alone, "alone"),
    (Phase::Asking, "asking"),
    (Phase::Sending, "sending"),
    (Phase::Applying, "applying"),
    (Phase::Waiting, "waiting"),
    (Phase::Dark, "dark"),
];

/// Pairs that cannot be: who is dark sends nothing, runs no program, writes to no disk, hears no lie and is dead already.
const IMPOSSIBLE: [(Mishap, Phase); 9] = [
    (Mishap::Lost, Phase::Dark),
    (Mishap::Repeated, Phase::Dark),
    (Mishap::Damaged, Phase::Dark),
    (Mishap::Late, Phase::Dark),
    (Mishap::Replayed, Phase::Dark),
    (Mishap::PowerCut, Phase::Dark),
    (Mishap::Restart, Phase::Dark),
    (Mishap::Lie, Phase::Dark),
    (Mishap::DeadOffice, Phase::Dark),
];

impl Phase {
    /// All states.
    pub fn all() -> impl Iterator<Item = Phase> {
        PHASES.iter().map(|row| row.0)
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        PHASES[self as usize].1
    }

    /// The states of a device whose conversations do this; nothing where none runs.
    pub fn of(doing: Option<Doing>) -> Vec<Phase> {
        let Some(doing) = doing else { return vec![Phase::Dark] };
        let states = [
            (Phase::Alone, doing.alone),
            (Phase::Asking, doing.asking),
            (Phase::Sending, doing.sending),
            (Phase::Applying, doing.applying),
            (Phase::Waiting, doing.waiting),
        ];
        let met: Vec<Phase> = states.iter().filter(|state| state.1).map(|state| state.0).collect();
        if met.is_empty() { vec![Phase::Idle] } else { met }
    }
}

/// How often each kind of trouble met each state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    met: [[u64; PHASES.len()]; KINDS],
}

impl Coverage {
    /// A strike at a device in these states.
    pub fn meet(&mut self, mishap: Mishap, phases: &[Phase]) {
        for phase in phases {
            self.met[mishap.index()][*phase as usize] += 1;
        }
    }

    /// How often they met.
    pub fn count(&self, mishap: Mishap, phase: Phase) -> u64 {
        self.met[mishap.index()][phase as usize]
    }

    /// All pairs that can be, with how often they met.
    pub fn pairs(&self) -> impl Iterator<Item = (Mishap, Phase, u64)> + '_ {
        let rolled = Mishap::all().filter(|mishap| mishap.is_rolled());
        let pairs = rolled.flat_map(|mishap| Phase::all().map(move |phase| (mishap, phase)));
        pairs
            .filter(|pair| !IMPOSSIBLE.contains(pair))
            .map(|(mishap, phase)| (mishap, phase, self.count(mishap, phase)))
    }

    /// The pair that met least often.
    pub fn rarest(&self) -> (Mishap, Phase, u64) {
        self.pairs().min_by_key(|pair| pair.2).expect("there are pairs")
    }

    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Coverage) {
        for (mine, theirs) in self.met.iter_mut().flatten().zip(other.met.iter().flatten()) {
            *mine += theirs;
        }
    }

    /// The numbers alone, for another process to read.
    pub fn to_line(&self) -> String {
        self.met.iter().flatten().map(u64::to_string).collect::<Vec<_>>().join(" ")
    }

    /// Reads the numbers back.
    pub fn parse(line: &str) -> Option<Coverage> {
        let mut coverage = Coverage::default();
        let mut words = line.split_whitespace();
        for number in coverage.met.iter_mut().flatten() {
            *number = words.next()?.parse().ok()?;
        }
        words.next().is_none().then_some(coverage)
    }
}

/// A table: a line for each kind, a column for each state, `-` where the two cannot meet.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<12}", "")?;
        Phase::all().try_for_each(|phase| write!(f, "{:>10}", phase.name()))?;
        for mishap in Mishap::all() {
            write!(f, "\n{:<12}", mishap.name())?;
            for phase in Phase::all() {
                match IMPOSSIBLE.contains(&(mishap, phase)) {
                    true => write!(f, "{:>10}", "-")?,
                    false => write!(f, "{:>10}", self.count(mishap, phase))?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_states() {
        assert!(Phase::all().enumerate().all(|(at, phase)| phase as usize == at));
    }

    #[test]
    fn counts_add_up_and_read_back() {
        let (mut one, mut other) = (Coverage::default(), Coverage::default());
        one.meet(Mishap::PowerCut, &[Phase::Alone, Phase::Sending]);
        other.meet(Mishap::PowerCut, &[Phase::Alone]);
        one.add(&other);
        assert_eq!(one.count(Mishap::PowerCut, Phase::Alone), 2);
        assert_eq!(Coverage::parse(&one.to_line()), Some(one));
        assert_eq!(Coverage::parse("1 2 three"), None);
    }

    #[test]
    fn a_pair_that_was_never_met_is_the_rarest_and_an_impossible_one_is_none() {
        let mut coverage = Coverage::default();
        for (mishap, phase) in Mishap::all().flat_map(|m| Phase::all().map(move |p| (m, p))) {
            if !IMPOSSIBLE.contains(&(mishap, phase))
                && (mishap, phase) != (Mishap::Lie, Phase::Idle)
            {
                coverage.meet(mishap, &[phase]);
            }
        }
        assert_eq!(coverage.rarest(), (Mishap::Lie, Phase::Idle, 0));
    }
}
