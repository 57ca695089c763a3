//! From the commit at a pos to the commit at HQ
//!
//! Real processes, real brokers, a sale at each pos every two seconds through its forms. Both moments are read from the
//! databases by connections that only read, so neither side is asked to say when it was done.

use crate::bench_chain::OneStore;
use crate::bench_desk::Fault;
use crate::chain::Chain;
use crate::figure::{Figure, percentile, short};
use crate::layout::Seat;
use crate::process::wait_for;
use crate::replicas;
use rusqlite::Connection;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const POS: u32 = 2;
const SALES_PER_POS: u64 = 25;
const BETWEEN_SALES_MS: u64 = 2_000;
/// How often the databases are looked at, and so how exact the figure is.
const LOOK_MS: u64 = 1;
const READY_S: u64 = 60;

/// The figures of the way to HQ.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let store = OneStore::at_work(POS)?;
    let has_tables = |no| replicas::receipts_of(&store.chain, Seat::Pos { store: 1, no }).is_ok();
    wait_for(Duration::from_secs(READY_S), || (1..=POS).all(has_tables));
    let measured = trade(&store)?;
    let ms: Vec<f64> = measured.into_iter().flatten().collect();
    if (ms.len() as u64) < SALES_PER_POS * u64::from(POS) {
        return Err(format!(
            "only {} of {} sales were seen at head office",
            ms.len(),
            SALES_PER_POS * u64::from(POS)
        )
        .into());
    }
    Ok(vec![
        Figure::at_most(
            "commit on a pos -> committed at HQ, p50",
            percentile(&ms, 50.0),
            150.0,
            " ms",
        ),
        Figure::at_most(
            "commit on a pos -> committed at HQ, p99",
            percentile(&ms, 99.0),
            1_000.0,
            " ms",
        ),
        Figure::beside(
            "  the slowest of them",
            format!("{} ms of {}", short(percentile(&ms, 100.0)), ms.len()),
        ),
    ])
}

/// Sells at every pos and watches the databases meanwhile.
fn trade(store: &OneStore) -> Result<Vec<Vec<f64>>, Fault> {
    let (selling, seats) = (AtomicBool::new(true), (1..=POS).map(|no| Seat::Pos { store: 1, no }));
    let selling = &selling;
    std::thread::scope(|scope| {
        let cashiers: Vec<_> =
            seats.clone().map(|seat| scope.spawn(move || sell(store, seat))).collect();
        let watchers: Vec<_> =
            seats.map(|seat| scope.spawn(move || watch(&store.chain, seat, selling))).collect();
        let sold: Result<Vec<()>, Fault> = cashiers.into_iter().map(joined).collect();
        selling.store(false, Ordering::Relaxed);
        let seen = watchers.into_iter().map(joined).collect();
        sold.and(seen)
    })
}

fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault))
}

fn sell(store: &OneStore, seat: Seat) -> Result<(), Fault> {
    let mut hands = store.hands(seat)?;
    for round in 0..SALES_PER_POS {
        let begun = Instant::now();
        let codes: Vec<u64> = store
            .world
            .variants
            .iter()
            .skip(round as usize * 7)
            .step_by(3)
            .take(4)
            .map(|variant| variant.gtin)
            .collect();
        hands.sell(&codes)?;
        std::thread::sleep(Duration::from_millis(BETWEEN_SALES_MS).saturating_sub(begun.elapsed()));
    }
    Ok(())
}

/// Milliseconds between the moment a receipt shows at the pos and the moment it shows at HQ.
fn watch(chain: &Chain, seat: Seat, selling: &AtomicBool) -> Result<Vec<f64>, Fault> {
    let (own, hq) =
        (replicas::reader(chain.place(seat))?, replicas::reader(chain.place(Seat::Hq))?);
    let origin = replicas::origin_of(chain, seat)?;
    let (mut written, mut arrived): (Vec<Instant>, Vec<Instant>) = (Vec::new(), Vec::new());
    let grace = Duration::from_secs(5);
    let mut last_sale = Instant::now();
    while selling.load(Ordering::Relaxed)
        || (arrived.len() < written.len() && last_sale.elapsed() < grace)
    {
        note(&own, origin, &mut written)?;
        note(&hq, origin, &mut arrived)?;
        if selling.load(Ordering::Relaxed) {
            last_sale = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
    Ok(written
        .iter()
        .zip(&arrived)
        .map(|(written, arrived)| {
            arrived.saturating_duration_since(*written).as_secs_f64() * 1_000.0
        })
        .collect())
}

fn note(db: &Connection, origin: u32, seen: &mut Vec<Instant>) -> rusqlite::Result<()> {
    let last: Option<i64> = db
        .prepare_cached("SELECT max(id) FROM receipt WHERE id BETWEEN ?1 AND ?2")?
        .query_row(((i64::from(origin)) << 40, (i64::from(origin) + 1) << 40), |row| row.get(0))?;
    let count: i64 = match last {
        Some(last) => db
            .prepare_cached("SELECT no FROM receipt WHERE id = ?1")?
            .query_row([last], |row| row.get(0))?,
        None => 0,
    };
    while (seen.len() as i64) < count {
        seen.push(Instant::now());
    }
    Ok(())
}
