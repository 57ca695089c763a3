//! From the command of the README to a sale that HQ shows
//!
//! What a newcomer waits for after the build: the chain is made with its month of past trade, somebody signs on and sells
//! at a checkout, and the store's page at head office names the receipt. Reading and typing are not in it.

use crate::bench_desk::Fault;
use crate::demo::{self, Tour};
use crate::figure::Figure;
use crate::hands::Hands;
use crate::layout::Seat;
use crate::process::wait_for;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// What `make demo` shows.
const TOUR: Tour = Tour { stores: 2, pos: 2, seed: 1, dir: None, port: 0, days: 30 };
const POS: Seat = Seat::Pos { store: 2, no: 1 };
const LIMIT_S: f64 = 300.0;

/// The figures of the tour.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let runtime = Runtime::new()?;
    let begun = Instant::now();
    let desk = demo::begin(&TOUR, &runtime)?.stands()?;
    let stands_s = begun.elapsed().as_secs_f64();
    let person = desk.world().staff_of(POS.store()).next().ok_or("a store has people")?;
    let mut hands = Hands::at(desk.page(POS), &person.badge, &person.pin);
    if !wait_for(Duration::from_secs(LIMIT_S as u64), || hands.sign_on().is_ok()) {
        return Err("nobody may sign on".into());
    }
    let goods: Vec<u64> = desk.world().variants.iter().take(3).map(|goods| goods.gtin).collect();
    hands.sell(&goods)?;
    let number = hands.promised.last().ok_or("the checkout shows a number")?.clone();
    let page = format!("http://{}/fleet/{}", desk.page(Seat::Hq), POS.store());
    let shows = || {
        let answer = ureq::get(&page).call().map(|mut answer| answer.body_mut().read_to_string());
        matches!(answer, Ok(Ok(text)) if text.contains(&number))
    };
    if !wait_for(Duration::from_secs(LIMIT_S as u64), shows) {
        return Err(format!("{page} does not show {number}").into());
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(vec![
        Figure::at_most("make demo, built, to a sale that HQ's page shows", seconds, LIMIT_S, " s"),
        Figure::beside("  until all screens answer", format!("{stands_s:.1} s")),
    ])
}
