//! What a device's line carries when nothing is sold

use crate::bench_desk::Fault;
use crate::chain::Wanted;
use crate::demo::{self, Desk};
use crate::figure::{Figure, short};
use crate::layout::Seat;
use crate::world::World;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Until the master data has arrived and all is told.
const SETTLE_S: u64 = 15;
const WATCH_S: u64 = 60;
/// As shipped.
const BEAT_S: u32 = 10;
const DAY_S: f64 = 86_400.0;

/// The figures of an idle line.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let runtime = Runtime::new()?;
    let desk = Desk::at(None)?;
    let wanted = Wanted { desk: desk.path.clone(), stores: 1, pos: 1, beat_s: BEAT_S };
    let (mut chain, files) = demo::lay_out(&World::from_seed(1, 1), wanted, &runtime)?;
    chain.make(&files, &|_| {})?;
    chain.start_all(&|_| {})?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let carried = |seat| {
        chain
            .line(seat)
            .map(|wire| wire.carried().up_bytes + wire.carried().down_bytes)
            .unwrap_or(0)
    };
    let seats = [Seat::Pos { store: 1, no: 1 }, Seat::BackOffice { store: 1 }];
    let before = seats.map(carried);
    std::thread::sleep(Duration::from_secs(WATCH_S));
    let after = seats.map(carried);
    let names = ["pos to back office", "back office to HQ"];
    let figures = names.iter().zip(before.iter().zip(&after)).map(|(name, (before, after))| {
        let a_day = (after - before) as f64 / WATCH_S as f64 * DAY_S / 1_000_000.0;
        Figure::beside(
            &format!("idle, {name}, MQTT bytes both ways"),
            format!("{} MB a day", short(a_day)),
        )
    });
    let figures = figures.collect();
    chain.stop_all();
    Ok(figures)
}
