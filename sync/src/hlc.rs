//! The hybrid logical clock that stamps every entry
//!
//! A plain wall clock runs backwards when somebody sets it, and two entries could bear the same time. A plain counter
//! tells people nothing. A stamp is both: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16, and it
//! only ever grows. The wall clock itself comes in as an argument: this package reads none.

use std::fmt;

/// How far a stamp from elsewhere may lie ahead of our time before it is shown as suspect.
///
/// Five minutes: a device that was alone for a week drifts by seconds, a wrongly set clock is off by hours.
pub const AHEAD_MS_MAX: i64 = 5 * 60 * 1_000;

/// The largest millisecond value that a stamp can hold: 48 bits, in the year 10889.
const STAMP_MS_MAX: i64 = (1 << 48) - 1;

/// Milliseconds: since 1970 where it is a wall time, since the start of the process where it is a steady time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub i64);

/// One reading of the hybrid clock: 48 bits of milliseconds, 16 bits of counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp(pub u64);

impl Stamp {
    /// The first stamp of a millisecond. Times before 1970 count as 1970, times past the 48 bits as the last.
    pub fn at(now: Millis) -> Stamp {
        Stamp((now.0.clamp(0, STAMP_MS_MAX) as u64) << 16)
    }

    /// The milliseconds since 1970 in this stamp.
    pub fn ms(self) -> i64 {
        (self.0 >> 16) as i64
    }

    /// The counter within the millisecond.
    pub fn counter(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.ms(), self.counter())
    }
}

/// Gives stamps that only grow, whatever the wall clock does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Clock {
    last: Stamp,
}

impl Clock {
    /// A clock that goes on after the newest stamp of the changelog.
    pub fn starting_at(last: Stamp) -> Clock {
        Clock { last }
    }

    /// The newest stamp given or observed.
    pub fn last(&self) -> Stamp {
        self.last
    }

    /// Draws the next stamp.
    pub fn tick(&mut self, now: Millis) -> Stamp {
        let next = Stamp(self.last.0.saturating_add(1)).max(Stamp::at(now));
        assert!(next > self.last, "the 48 bits of the clock are not used up");
        self.last = next;
        next
    }

    /// Takes note of a stamp from elsewhere, so that our next one comes after it.
    ///
    /// A stamp far ahead does not drag this clock along further than the bound: one device with a wrong clock would
    /// otherwise move the whole chain into its future.
    pub fn observe(&mut self, now: Millis, stamp: Stamp) {
        self.last = self.last.max(stamp.min(bound(now)));
    }
}

/// Whether a stamp lies more than five minutes ahead of our time. Such an entry is kept, and shown with `clock_suspect`.
pub fn suspect(now: Millis, stamp: Stamp) -> bool {
    stamp.ms() > bound(now).ms()
}

fn bound(now: Millis) -> Stamp {
    Stamp::at(Millis(now.0.saturating_add(AHEAD_MS_MAX)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::hlc::{AHEAD_MS_MAX, Clock, Millis, Stamp, suspect};

    const NOON: Millis = Millis(1_790_000_000_000);

    #[test]
    fn two_stamps_of_one_millisecond_differ_by_their_counter() {
        let mut clock = Clock::default();
        let (first, second) = (clock.tick(NOON), clock.tick(NOON));
        assert_eq!((first.ms(), first.counter()), (NOON.0, 0));
        assert_eq!((second.ms(), second.counter()), (NOON.0, 1));
    }

    #[test]
    fn a_clock_set_back_by_an_hour_never_gives_an_older_stamp() {
        let mut clock = Clock::default();
        let before = clock.tick(NOON);
        assert!(clock.tick(Millis(NOON.0 - 3_600_000)) > before);
        assert!(clock.tick(Millis(-1)) > before);
    }

    #[test]
    fn a_restart_goes_on_after_the_newest_entry() {
        let mut clock = Clock::starting_at(Stamp::at(NOON));
        assert_eq!(clock.tick(Millis(0)), Stamp(Stamp::at(NOON).0 + 1));
    }

    #[test]
    fn our_next_stamp_follows_what_we_have_seen() {
        let mut clock = Clock::default();
        let seen = Stamp::at(Millis(NOON.0 + 1_000));
        clock.observe(NOON, seen);
        assert!(clock.tick(NOON) > seen);
        assert!(!suspect(NOON, seen));
    }

    #[test]
    fn a_stamp_a_day_ahead_is_suspect_and_drags_our_clock_five_minutes_at_most() {
        let mut clock = Clock::default();
        let wrong = Stamp::at(Millis(NOON.0 + 86_400_000));
        clock.observe(NOON, wrong);
        assert!(suspect(NOON, wrong));
        assert_eq!(clock.last().ms(), NOON.0 + AHEAD_MS_MAX);
    }

    #[test]
    fn five_minutes_ahead_is_not_yet_suspect() {
        assert!(!suspect(NOON, Stamp(Stamp::at(Millis(NOON.0 + AHEAD_MS_MAX)).0 + 9)));
        assert!(suspect(NOON, Stamp::at(Millis(NOON.0 + AHEAD_MS_MAX + 1))));
    }

    proptest! {
        #[test]
        fn whatever_the_wall_clock_and_the_peers_say_stamps_grow(
            steps in proptest::collection::vec((any::<i64>(), proptest::option::of(0..u64::MAX)), 1..200)
        ) {
            let mut clock = Clock::default();
            let mut newest = Stamp::default();
            for (now, heard) in steps {
                let now = Millis(now / 100_000);
                match heard {
                    Some(stamp) => clock.observe(now, Stamp(stamp)),
                    None => {
                        let stamp = clock.tick(now);
                        prop_assert!(stamp > newest);
                        newest = stamp;
                    }
                }
                prop_assert!(clock.last() >= newest);
            }
        }
    }
}
