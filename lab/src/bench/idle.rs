//! What a device's line carries, headers and all
//!
//! The lines are real ones on loopback, measured at the near end of the lab's wire by the kernel's own counters.

use crate::bench_desk::Fault;
use crate::chain::{Chain, Wanted};
use crate::demo::{self, Desk};
use crate::figure::{Figure, short};
use crate::hands::Hands;
use crate::layout::Seat;
use crate::process::wait_for;
use crate::segments;
use crate::world::World;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Until the master data has arrived and all is told.
const SETTLE_S: u64 = 15;
const WATCH_S: u64 = 60;
/// Sales one by one, each alone on the line.
const SALES: u32 = 20;
const BETWEEN_SALES_S: u64 = 2;
const LINES_PER_SALE: usize = 4;
/// As shipped.
const BEAT_S: u32 = 10;
const DAY_S: f64 = 86_400.0;

const LINES: [(&str, Seat); 2] = [
    ("pos to back office", Seat::Pos { store: 1, no: 1 }),
    ("back office to HQ", Seat::BackOffice { store: 1 }),
];

/// Counters of one line at one moment.
#[derive(Clone, Copy)]
struct Line {
    mqtt_bytes: u64,
    interface_bytes: u64,
}

/// What one line carried in a stretch of time.
struct Stretch {
    seconds: f64,
    mqtt_bytes: f64,
    interface_bytes: f64,
}

/// The figures of a line.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let runtime = Runtime::new()?;
    let desk = Desk::at(None)?;
    let world = World::from_seed(1, 1);
    let wanted = Wanted { desk: desk.path.clone(), stores: 1, pos: 1, beat_s: BEAT_S };
    let (mut chain, files) = demo::lay_out(&world, wanted, &runtime)?;
    chain.make(&files, &|_| {})?;
    chain.start_all(&|_| {})?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let idle = stretch(&chain, || {
        std::thread::sleep(Duration::from_secs(WATCH_S));
        Ok(())
    })?;
    let selling = stretch(&chain, || sell(&chain, &world))?;
    chain.stop_all();
    let mut figures = Vec::new();
    for ((name, _), (idle, selling)) in LINES.iter().zip(idle.iter().zip(&selling)) {
        let a_day = |bytes: f64| format!("{} MB", short(bytes / idle.seconds * DAY_S / 1e6));
        let a_sale = |idle_bytes: f64, bytes: f64| {
            let unsold = idle_bytes / idle.seconds * selling.seconds;
            format!("{} B", short((bytes - unsold) / f64::from(SALES)))
        };
        figures.extend([
            Figure::beside(
                &format!("idle a day, {name}, at the interface"),
                a_day(idle.interface_bytes),
            ),
            Figure::beside("  of it MQTT", a_day(idle.mqtt_bytes)),
            Figure::beside(
                &format!("a lone checkout, {name}, at the interface"),
                a_sale(idle.interface_bytes, selling.interface_bytes),
            ),
            Figure::beside("  of it MQTT", a_sale(idle.mqtt_bytes, selling.mqtt_bytes)),
        ]);
    }
    Ok(figures)
}

/// What each line carries while something is done.
fn stretch(chain: &Chain, deed: impl FnOnce() -> Result<(), Fault>) -> Result<Vec<Stretch>, Fault> {
    let counters =
        || LINES.iter().map(|(_, seat)| line(chain, *seat)).collect::<Result<Vec<_>, _>>();
    let (begun, before) = (Instant::now(), counters()?);
    deed()?;
    let (seconds, after) = (begun.elapsed().as_secs_f64(), counters()?);
    let spent = before.iter().zip(&after).map(|(before, after)| Stretch {
        seconds,
        mqtt_bytes: (after.mqtt_bytes - before.mqtt_bytes) as f64,
        interface_bytes: (after.interface_bytes - before.interface_bytes) as f64,
    });
    Ok(spent.collect())
}

fn line(chain: &Chain, seat: Seat) -> Result<Line, Fault> {
    let wire = chain.line(seat).ok_or("every device has a line")?;
    let carried = wire.carried();
    Ok(Line {
        mqtt_bytes: carried.up_bytes + carried.down_bytes,
        interface_bytes: segments::interface_bytes(wire.near.port())?,
    })
}

/// Sells, each sale far enough from the next to travel alone.
fn sell(chain: &Chain, world: &World) -> Result<(), Fault> {
    let person = world.staff_of(1).next().ok_or("a store has cashiers")?;
    let mut hands = Hands::at(chain.page(LINES[0].1), &person.badge, &person.pin);
    if !wait_for(Duration::from_secs(SETTLE_S), || hands.sign_on().is_ok()) {
        return Err("the pos does not sell".into());
    }
    for sale in 0..SALES {
        let goods = world.variants.iter().cycle().skip(sale as usize * 5).take(LINES_PER_SALE);
        hands.sell(&goods.map(|variant| variant.gtin).collect::<Vec<_>>())?;
        std::thread::sleep(Duration::from_secs(BETWEEN_SALES_S));
    }
    Ok(())
}
