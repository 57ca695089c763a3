//! Virtual time, and the skewed or broken clock of a device
//!
//! Steady time is the time of the run: it starts at 0 and never jumps. What a device reads off its wall clock is
//! another matter. Coarse clocks make equal stamps common; a world of good clocks would never test a tie.

use crate::dice::Dice;

/// 2026-11-20 08:00 UTC, when every run begins.
pub const MORNING_MS: i64 = 1_795_161_600_000;

/// One day.
pub const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How clocks behave in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockWorld {
    /// All clocks agree and tick in steps of one second.
    Coarse,
    /// Clocks differ by minutes to days and run at different rates.
    Skewed,
    /// Clocks jump by years, start in 1970, and are set back in the middle of a sale.
    Broken,
}

impl ClockWorld {
    /// The world of a run.
    pub fn roll(dice: &mut Dice) -> ClockWorld {
        match dice.below(3) {
            0 => ClockWorld::Coarse,
            1 => ClockWorld::Skewed,
            _ => ClockWorld::Broken,
        }
    }
}

/// The wall clock of one device.
#[derive(Debug, Clone)]
pub struct WallClock {
    world: ClockWorld,
    offset_ms: i64,
    /// How far the clock runs ahead, in millionths.
    rate_ppm: i64,
    grain_ms: i64,
}

impl WallClock {
    /// A new clock in this world.
    pub fn new(world: ClockWorld, dice: &mut Dice) -> WallClock {
        let (offset_ms, rate_ppm, grain_ms) = match world {
            ClockWorld::Coarse => (0, 0, 1_000),
            ClockWorld::Skewed => {
                (dice.between(-3 * DAY_MS, 3 * DAY_MS), dice.between(-200, 200), 1)
            }
            ClockWorld::Broken if dice.chance(250) => (-MORNING_MS, 0, 1_000),
            ClockWorld::Broken => (dice.between(-60_000, 60_000), dice.between(-5_000, 5_000), 1),
        };
        WallClock { world, offset_ms, rate_ppm, grain_ms }
    }

    /// What the clock shows at a moment of steady time. Never before 1970: a kernel does not know earlier times.
    pub fn reads(&self, steady_ms: i64) -> i64 {
        let drift_ms = steady_ms * self.rate_ppm / 1_000_000;
        let shown_ms = MORNING_MS + steady_ms + drift_ms + self.offset_ms;
        (shown_ms - shown_ms.rem_euclid(self.grain_ms)).max(0)
    }

    /// Somebody or something sets the clock. Coarse clocks agree and are left alone.
    pub fn set(&mut self, dice: &mut Dice) {
        match self.world {
            ClockWorld::Coarse => {}
            ClockWorld::Skewed => {
                self.offset_ms += dice.between(-2 * 60 * 60 * 1_000, 2 * 60 * 60 * 1_000)
            }
            ClockWorld::Broken => {
                self.offset_ms = match dice.below(4) {
                    0 => -MORNING_MS,
                    1 => 0,
                    _ => dice.between(-10 * 365 * DAY_MS, 10 * 365 * DAY_MS),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(world: ClockWorld) -> WallClock {
        WallClock::new(world, &mut Dice::new(3))
    }

    #[test]
    fn coarse_clocks_agree_and_tick_in_seconds() {
        let (one, other) =
            (clock(ClockWorld::Coarse), WallClock::new(ClockWorld::Coarse, &mut Dice::new(4)));
        assert_eq!(one.reads(1_999), MORNING_MS + 1_000);
        assert_eq!(one.reads(2_000), other.reads(2_999));
    }

    #[test]
    fn skewed_clocks_differ() {
        let other = WallClock::new(ClockWorld::Skewed, &mut Dice::new(4));
        assert!((clock(ClockWorld::Skewed).reads(0) - other.reads(0)).abs() > 60_000);
    }

    #[test]
    fn a_broken_clock_jumps_by_years_and_never_before_1970() {
        let (mut broken, mut dice) = (clock(ClockWorld::Broken), Dice::new(5));
        let mut shown = Vec::new();
        for _ in 0..50 {
            broken.set(&mut dice);
            shown.push(broken.reads(60_000));
        }
        assert!(shown.iter().all(|&ms| ms >= 0));
        assert!(shown.iter().max().unwrap() - shown.iter().min().unwrap() > 5 * 365 * DAY_MS);
    }
}
