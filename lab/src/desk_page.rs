//! The index page: screens, badges, lines, processes

use crate::layout::Seat;
use crate::world::{Rank, World};
use askama::Template;
use std::net::SocketAddr;

/// The style sheet of the page.
pub const STYLE: &str = include_str!("../static/desk.css");
/// The script that keeps the page fresh.
pub const SCRIPT: &str = include_str!("../static/desk.js");
/// Codes shown for typing in, spread over the shelves.
const CODES_SHOWN: usize = 8;

/// The whole page.
#[derive(Template)]
#[template(path = "desk.html")]
pub struct DeskPage {
    /// The seed of the chain.
    pub seed: u64,
    /// Who can sign on.
    pub people: Vec<Person>,
    /// What can be scanned.
    pub codes: Vec<Code>,
    /// The part that changes.
    pub live: String,
}

/// A person to sign on as.
pub struct Person {
    /// The store where they work.
    pub store: u32,
    /// Their name.
    pub name: String,
    /// What they hold before the scanner.
    pub badge: String,
    /// What they type.
    pub pin: String,
    /// What they may do.
    pub may: &'static str,
}

/// A printed code and what it is on.
pub struct Code {
    /// Its digits.
    pub gtin: u64,
    /// The goods.
    pub name: String,
    /// The price.
    pub price: String,
}

/// The part of the page that changes.
#[derive(Template, Clone, Default)]
#[template(path = "live.html")]
pub struct Live {
    /// What is being started, while anything is.
    pub starting: Option<String>,
    /// Everybody.
    pub seats: Vec<SeatView>,
    /// Every line.
    pub lines: Vec<LineView>,
}

/// What the page says of one device.
#[derive(Clone)]
pub struct SeatView {
    /// Its id, which names it in a form.
    pub device: String,
    /// Its place in words.
    pub title: String,
    /// Whether its process runs.
    pub runs: bool,
    /// The process, 0 for none.
    pub pid: u32,
    /// Its screens.
    pub screens: Vec<ScreenLink>,
    /// Whether it has a broker of its own.
    pub has_broker: bool,
    /// What it says of itself.
    pub words: String,
}

/// One screen that a visitor can open.
#[derive(Clone)]
pub struct ScreenLink {
    /// What it is.
    pub title: &'static str,
    /// Where it is.
    pub address: String,
}

/// What the page says of one line.
#[derive(Clone)]
pub struct LineView {
    /// The device whose line it is.
    pub device: String,
    /// From where to where.
    pub title: String,
    /// Whether the cable is in.
    pub plugged: bool,
    /// What it carried so far.
    pub carried: String,
}

impl DeskPage {
    /// The page of a world around its changing part.
    pub fn of(world: &World, live: String) -> DeskPage {
        DeskPage { seed: world.seed, people: people(world), codes: codes(world), live }
    }
}

/// The screens of a seat, the one that it is for first.
pub fn screens(seat: Seat, page: SocketAddr) -> Vec<ScreenLink> {
    let paths: &[(&str, &str)] = match seat {
        Seat::Hq => &[("Stores", "/"), ("Reporting interface", "/docs")],
        Seat::BackOffice { .. } => &[
            ("Today", "/today"),
            ("Store discounts", "/offers"),
            ("Goods in", "/stock/receive"),
            ("Corrections", "/stock/correct"),
            ("People", "/people"),
        ],
        Seat::Pos { .. } => &[("Checkout", "/checkout"), ("Kiosk", "/kiosk")],
    };
    let link = |(title, path): &(&'static str, &str)| ScreenLink {
        title,
        address: format!("http://{page}{path}"),
    };
    paths.iter().map(link).collect()
}

/// A line in words.
pub fn line_title(seat: Seat) -> String {
    let parent = seat.parent().map_or("nobody".to_owned(), Seat::title);
    format!("{} to {}", seat.title(), lower_first(&parent))
}

/// A number of bytes as people read it.
pub fn bytes(number: u64) -> String {
    match number {
        0..10_000 => format!("{number} bytes"),
        10_000..10_000_000 => format!("{} kB", number / 1_000),
        _ => format!("{} MB", number / 1_000_000),
    }
}

fn people(world: &World) -> Vec<Person> {
    let person = |employee: &crate::world::Employee| Person {
        store: employee.store,
        name: employee.name.clone(),
        badge: employee.badge.clone(),
        pin: employee.pin.clone(),
        may: match employee.rank {
            Rank::Manager => "everything",
            Rank::Cashier => "sell, discount, return",
        },
    };
    world.employees.iter().map(person).collect()
}

fn codes(world: &World) -> Vec<Code> {
    let step = (world.variants.len() / CODES_SHOWN).max(1);
    let code = |variant: &crate::world::Variant| Code {
        gtin: variant.gtin,
        name: [&*variant.name, &variant.colour, &variant.size].join(" ").replace("  ", " "),
        price: format!("£{}.{:02}", variant.price_minor / 100, variant.price_minor % 100),
    };
    world.variants.iter().step_by(step).take(CODES_SHOWN).map(code).collect()
}

fn lower_first(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map(|first| first.to_lowercase().chain(signs).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_every_badge_and_escapes_what_it_shows() {
        let mut world = World::from_seed(1, 1);
        world.employees[0].name = "<b>Ada</b>".to_owned();
        let page = DeskPage::of(&world, String::new()).render().unwrap();
        assert!(world.employees.iter().all(|employee| page.contains(&employee.badge)), "{page}");
        assert!(!page.contains("<b>Ada"), "{page}");
    }

    #[test]
    fn a_dead_process_can_be_started_and_a_pulled_cable_plugged_in() {
        let seat = SeatView {
            device: "s0001-p01".to_owned(),
            title: "Store 1, checkout 1".to_owned(),
            runs: false,
            pid: 0,
            screens: Vec::new(),
            has_broker: false,
            words: String::new(),
        };
        let line = LineView {
            device: "s0001-p01".to_owned(),
            title: line_title(Seat::Pos { store: 1, no: 1 }),
            plugged: false,
            carried: bytes(12_000),
        };
        let live = Live { starting: None, seats: vec![seat], lines: vec![line] }.render().unwrap();
        assert!(
            live.contains("/process/s0001-p01/start") && live.contains("/line/s0001-p01/heal"),
            "{live}"
        );
        assert!(live.contains("Store 1, checkout 1 to store 1, back office"), "{live}");
    }
}
