//! What a device's line carries, headers and all
//!
//! The lines are real ones on loopback, measured at the near end of the lab's wire by the kernel's own counters.

use crate::bench_chain::OneStore;
use crate::bench_desk::Fault;
use crate::chain::Chain;
use crate::figure::{Figure, short};
use crate::layout::Seat;
use crate::segments;
use std::time::{Duration, Instant};

/// Until the master data has arrived and all is told.
const SETTLE_S: u64 = 15;
const WATCH_S: u64 = 60;
/// Sales one by one, each alone on the line.
const SALES: u32 = 20;
const BETWEEN_SALES_S: u64 = 2;
const LINES_PER_SALE: usize = 4;
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
    let store = OneStore::at_work(1)?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let idle = stretch(&store.chain, || {
        std::thread::sleep(Duration::from_secs(WATCH_S));
        Ok(())
    })?;
    let selling = stretch(&store.chain, || sell(&store))?;
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
fn sell(store: &OneStore) -> Result<(), Fault> {
    let mut hands = store.hands(LINES[0].1)?;
    for sale in 0..SALES {
        let goods =
            store.world.variants.iter().cycle().skip(sale as usize * 5).take(LINES_PER_SALE);
        hands.sell(&goods.map(|variant| variant.gtin).collect::<Vec<_>>())?;
        std::thread::sleep(Duration::from_secs(BETWEEN_SALES_S));
    }
    Ok(())
}
