//! How large a run is, and which faults its seed allows

use crate::clocks::ClockWorld;
use crate::dice::Dice;
use crate::network::Weather;
use crate::power::Supply;
use crate::swarm::{Mishap, Swarm};

/// A store-day is at least so many checkouts of one store.
pub const STORE_DAY: u64 = 400;

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
    /// Store-days: two stores that sell for several, at three pos each.
    pub const DAYS: Size = Size { stores: 2, pos: 3, minutes: 5, sale_every_ms: 420 };

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

/// What a run is to show. The two are never mixed: a run that heals hides what is lost, and one that never heals hides
/// what is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Faults never stop. Was anything wrong ever promised, applied or shown?
    Safety,
    /// All is healed now and then. Does everybody agree within a minute?
    Liveness,
}

impl Mode {
    /// Its name on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Safety => "safety",
            Mode::Liveness => "liveness",
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Result<Mode, String> {
        let found = [Mode::Safety, Mode::Liveness].into_iter().find(|mode| mode.name() == name);
        found.ok_or_else(|| format!("there is no mode {name}: name safety or liveness"))
    }
}

/// Which faults a run knows, and in what world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The kinds that strike.
    pub swarm: Swarm,
    /// What the run is to show.
    pub mode: Mode,
    /// Whether every signature is computed by everybody who looks at it.
    pub earnest_keys: bool,
    /// Whether each device makes its own tables at its first start, instead of finding them made.
    pub own_tables: bool,
    /// How clocks behave.
    pub clocks: ClockWorld,
    /// How often power fails.
    pub supply: Supply,
}

impl Faults {
    /// The faults of one seed. Each choice has dice of its own.
    pub fn roll(dice: &Dice, size: Size) -> Faults {
        let between_ms = dice.split("supply").between(60_000, 600_000);
        let mode = dice.split("mode").chance(500);
        Faults {
            swarm: Swarm::roll(&dice.split("swarm")),
            mode: if mode { Mode::Safety } else { Mode::Liveness },
            earnest_keys: dice.split("earnest").chance(63),
            own_tables: dice.split("tables").chance(125),
            clocks: ClockWorld::roll(&mut dice.split("clocks")),
            supply: Supply {
                between_ms: between_ms * i64::from(size.minutes) / 30,
                calm_ms: size.fault_every_ms() / 5,
            },
        }
    }

    /// No fault at all.
    pub fn none() -> Faults {
        Faults {
            swarm: Swarm::default(),
            mode: Mode::Liveness,
            earnest_keys: false,
            own_tables: true,
            clocks: ClockWorld::Coarse,
            supply: Supply { between_ms: 0, calm_ms: 0 },
        }
    }

    /// Whether this kind strikes.
    pub fn has(&self, mishap: Mishap) -> bool {
        self.swarm.has(mishap)
    }

    /// Whether disks refuse now and then, so that a write may fail without anybody's fault.
    pub fn has_bad_disks(&self) -> bool {
        self.has(Mishap::DiskError) || self.has(Mishap::FullDisk)
    }

    /// What the weather does to messages.
    pub fn weather(&self) -> Weather {
        let share = |mishap, value: u64| if self.has(mishap) { value } else { 0 };
        let rough = Weather::ROUGH;
        Weather {
            lost: share(Mishap::Lost, rough.lost),
            repeated: share(Mishap::Repeated, rough.repeated),
            damaged: share(Mishap::Damaged, rough.damaged),
            late: share(Mishap::Late, rough.late),
        }
    }
}

/// A run as somebody ordered it: what is not said is left to the seed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// How large it is.
    pub size: Size,
    /// The kinds of fault that strike.
    pub swarm: Option<Swarm>,
    /// What it is to show.
    pub mode: Option<Mode>,
}

impl Order {
    /// A run of this size, all else left to the seed.
    pub fn of(size: Size) -> Order {
        Order { size, ..Order::default() }
    }

    /// The faults of one seed.
    pub fn faults(&self, seed: u64) -> Faults {
        let rolled = Faults::roll(&Dice::new(seed).split("faults"), self.size);
        Faults {
            swarm: self.swarm.unwrap_or(rolled.swarm),
            mode: self.mode.unwrap_or(rolled.mode),
            ..rolled
        }
    }

    /// The options that order it, for a command line.
    pub fn options(&self) -> String {
        let swarm = self.swarm.map_or(String::new(), |swarm| format!(" --faults {swarm}"));
        let mode = self.mode.map_or(String::new(), |mode| format!(" --mode {}", mode.name()));
        self.size.options() + &swarm + &mode
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_differ_in_mode_clocks_keys_and_tables() {
        let rolled: Vec<Faults> =
            (0..60).map(|seed| Faults::roll(&Dice::new(seed), Size::default())).collect();
        let both: [fn(&Faults) -> bool; 4] = [
            |faults| faults.mode == Mode::Safety,
            |faults| faults.clocks == ClockWorld::Broken,
            |faults| faults.earnest_keys,
            |faults| faults.own_tables,
        ];
        for is in both {
            assert!((1..60).contains(&rolled.iter().filter(|faults| is(faults)).count()));
        }
    }

    #[test]
    fn a_size_names_what_makes_it_unusual() {
        assert_eq!(Size::default().options(), "");
        assert_eq!(Size { pos: 3, ..Size::default() }.options(), " --pos 3");
    }

    #[test]
    fn an_order_overrides_its_seed_and_says_how() {
        let lone = Swarm::default().with(Mishap::Lie);
        let order = Order { swarm: Some(lone), mode: Some(Mode::Safety), ..Order::default() };
        assert_eq!(order.options(), " --faults lie --mode safety");
        assert_eq!((order.faults(7).swarm, order.faults(7).mode), (lone, Mode::Safety));
        assert_eq!(order.faults(7).clocks, Order::default().faults(7).clocks);
    }

    #[test]
    fn the_weather_knows_only_the_kinds_of_the_swarm() {
        let lossy = Faults { swarm: Swarm::default().with(Mishap::Lost), ..Faults::none() };
        assert_eq!(lossy.weather(), Weather { lost: Weather::ROUGH.lost, ..Weather::CALM });
    }
}
