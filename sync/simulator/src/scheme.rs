//! How large a run is, and which faults its seed allows
//!
//! Strong faults hide weak ones: a device that dies every minute never gets far enough to trip over a late message. So
//! each seed switches a random subset of the fault kinds off.

use crate::clocks::ClockWorld;
use crate::dice::Dice;
use crate::network::Weather;
use crate::power::Supply;

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Stores of the chain, each with a back office.
    pub stores: u32,
    /// Points of sale of each store.
    pub pos: u32,
    /// Virtual minutes with faults.
    pub minutes: u32,
    /// Mean time between two sales of one pos.
    pub sale_every_ms: i64,
}

impl Default for Size {
    fn default() -> Size {
        Size { stores: 2, pos: 2, minutes: 4, sale_every_ms: 5_000 }
    }
}

impl Size {
    /// Mean time between two faults of one kind at one place: six of them in a run, however short it is.
    pub fn fault_every_ms(&self) -> i64 {
        i64::from(self.minutes) * 10_000
    }

    /// The options that make a run this large, for a command line.
    pub fn options(&self) -> String {
        let usual = Size::default();
        let mut options = String::new();
        let numbers = [
            ("stores", i64::from(self.stores), i64::from(usual.stores)),
            ("pos", i64::from(self.pos), i64::from(usual.pos)),
            ("minutes", i64::from(self.minutes), i64::from(usual.minutes)),
            ("sale-every-ms", self.sale_every_ms, usual.sale_every_ms),
        ];
        for (name, number, _) in numbers.into_iter().filter(|(_, number, usual)| number != usual) {
            options += &format!(" --{name} {number}");
        }
        options
    }
}

/// Which faults a run knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// What the weather does to messages.
    pub weather: Weather,
    /// Lines are cut, one way or both, or hold messages back.
    pub partitions: bool,
    /// Devices lose their power.
    pub cuts: bool,
    /// The program ends and starts again while the power stays.
    pub restarts: bool,
    /// A disk operation fails.
    pub disk_errors: bool,
    /// A disk has no room for a while.
    pub full_disks: bool,
    /// Clocks are set.
    pub clock_jumps: bool,
    /// A device with a key of its own lies.
    pub lies: bool,
    /// How clocks behave.
    pub clocks: ClockWorld,
    /// How often power fails.
    pub supply: Supply,
}

impl Faults {
    /// The faults of one seed: each kind is on in two of three.
    pub fn roll(dice: &mut Dice, size: Size) -> Faults {
        let on = |dice: &mut Dice| dice.chance(667);
        let mut share = |value: u64| if on(dice) { value } else { 0 };
        let rough = Weather::ROUGH;
        let weather = Weather {
            lost: share(rough.lost),
            repeated: share(rough.repeated),
            damaged: share(rough.damaged),
            late: share(rough.late),
        };
        Faults {
            weather,
            partitions: on(dice),
            cuts: on(dice),
            restarts: on(dice),
            disk_errors: on(dice),
            full_disks: on(dice),
            clock_jumps: on(dice),
            lies: on(dice),
            clocks: ClockWorld::roll(dice),
            supply: Supply {
                between_ms: dice.between(120_000, 900_000) * i64::from(size.minutes) / 30,
                calm_ms: size.fault_every_ms() / 5,
            },
        }
    }

    /// No fault at all.
    pub fn none() -> Faults {
        Faults {
            weather: Weather::CALM,
            partitions: false,
            cuts: false,
            restarts: false,
            disk_errors: false,
            full_disks: false,
            clock_jumps: false,
            lies: false,
            clocks: ClockWorld::Coarse,
            supply: Supply { between_ms: 0, calm_ms: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_fault_is_on_in_some_seeds_and_off_in_others() {
        let rolled: Vec<Faults> =
            (0..60).map(|seed| Faults::roll(&mut Dice::new(seed), Size::default())).collect();
        let kinds: [fn(&Faults) -> bool; 8] = [
            |faults| faults.weather.lost > 0,
            |faults| faults.weather.damaged > 0,
            |faults| faults.partitions,
            |faults| faults.cuts,
            |faults| faults.restarts,
            |faults| faults.disk_errors,
            |faults| faults.clock_jumps,
            |faults| faults.lies,
        ];
        for kind in kinds {
            let on = rolled.iter().filter(|faults| kind(faults)).count();
            assert!((20..60).contains(&on), "{on} of 60");
        }
    }
}
