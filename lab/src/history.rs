//! A month of past trade, made from the chain's seed
//!
//! A visitor should meet stores that have sold for weeks. The sales are rung up before the first screen opens, by the
//! trade's own deeds on the pos' own replicas, each with the moment that it has in the plan. Trade swings with the
//! weekday and the hour; a few goods sell often and most seldom.

use crate::chain::Chain;
use crate::lab_pos;
use crate::layout::Seat;
use crate::process::wait_for;
use crate::world::World;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::Transaction;
use selvedge_domain::basket::{self, BasketLine, Discount, RungUp};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale, SaleError};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_transport::engine::Engine;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;
use tokio::runtime::Handle;

/// Whatever went wrong.
pub type Fault = Box<dyn Error + Send + Sync>;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Receipts of a store on a usual day, by weekday from Thursday on: the first day of 1970 was one.
const RECEIPTS_A_DAY: [u32; 7] = [34, 46, 58, 22, 26, 28, 30];
/// How busy the hours are, from nine in the morning.
const HOURS: [u32; 10] = [2, 4, 6, 8, 7, 5, 6, 8, 9, 4];
const OPENS_AT_H: i64 = 9;
/// One sale in so many has a customer's card.
const CARD_EVERY: u32 = 4;
/// One shelf in so many is bare today.
const BARE_EVERY: u32 = 12;
/// SKUs of each store of which the book says less than none.
const OVERSOLD_SKUS: usize = 2;
/// How long a pos may take to learn prices, people and shelves.
const LEARN_S: u64 = 120;
/// How long HQ may take to commit the last sale.
const CATCH_UP_S: u64 = 300;
/// Notes that people hand over, in minor units.
const NOTES_MINOR: [i64; 4] = [500, 1_000, 2_000, 5_000];

/// One sale of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastSale {
    /// Where.
    pub seat: Seat,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who rang it up.
    pub cashier: i64,
    /// SKUs and how many of each.
    pub lines: Vec<(i64, i64)>,
    /// Paid in notes, else by card.
    pub in_cash: bool,
    /// Who showed a customer's card.
    pub customer: Option<i64>,
}

/// Plans the trade of the days before a moment, and puts as much on the shelves of the first morning as it takes.
pub fn plan(world: &mut World, pos: u32, days: u32, now_ms: i64) -> Vec<PastSale> {
    let mut dice = ChaCha8Rng::seed_from_u64(world.seed ^ u64::from(u32::MAX));
    let mut sales = Vec::new();
    for store in 1..=world.stores.len() as u32 {
        for ago in (0..=i64::from(days)).rev() {
            let day = now_ms / DAY_MS - ago;
            let usual = RECEIPTS_A_DAY[(day % 7) as usize];
            for _ in 0..dice.random_range(usual * 4 / 5..=usual * 6 / 5) {
                sales.push(sale(world, &mut dice, store, pos, day));
            }
        }
    }
    sales.retain(|sale| sale.at_ms < now_ms);
    sales.sort_by_key(|sale| sale.at_ms);
    stock_up(world, &mut dice, &sales);
    sales
}

fn sale(world: &World, dice: &mut ChaCha8Rng, store: u32, pos: u32, day: i64) -> PastSale {
    let staff: Vec<i64> = world.staff_of(store).map(|person| person.number).collect();
    let minutes = i64::from(dice.random_range(0..60_u32));
    let at_ms = day * DAY_MS + hour(dice) * HOUR_MS + minutes * MINUTE_MS;
    let mut lines: Vec<(i64, i64)> = Vec::new();
    for _ in 0..dice.random_range(1..=5_u32) {
        // Squared twice: the first goods of the list sell most.
        let part: f64 = dice.random_range(0.0..1.0);
        let variant = &world.variants[(part * part * world.variants.len() as f64) as usize];
        let variant = if dice.random_range(0..3_u32) > 0 { food(world, dice) } else { variant };
        let quantity = if variant.note.is_empty() { dice.random_range(1..=3) } else { 1 };
        if lines.iter().all(|line| line.0 != variant.sku) {
            lines.push((variant.sku, quantity));
        }
    }
    let with_card = dice.random_range(0..CARD_EVERY) == 0;
    PastSale {
        seat: Seat::Pos { store, no: dice.random_range(1..=pos) },
        at_ms,
        cashier: staff.choose(dice).copied().unwrap_or(1),
        lines,
        in_cash: dice.random_range(0..3_u32) == 0,
        customer: world.customers.choose(dice).filter(|_| with_card).map(|who| who.number),
    }
}

fn hour(dice: &mut ChaCha8Rng) -> i64 {
    let mut left = dice.random_range(0..HOURS.iter().sum::<u32>());
    for (busy, hour) in HOURS.into_iter().zip(OPENS_AT_H..) {
        match left.checked_sub(busy) {
            Some(rest) => left = rest,
            None => return hour,
        }
    }
    OPENS_AT_H
}

fn food<'w>(world: &'w World, dice: &mut ChaCha8Rng) -> &'w crate::world::Variant {
    let clothes = world.variants.iter().filter(|variant| !variant.note.is_empty()).count();
    let shelf = &world.variants[clothes..];
    shelf.choose(dice).unwrap_or(&world.variants[0])
}

/// What the past took, and on top of it what shall lie there today: here and there nothing, or less.
fn stock_up(world: &mut World, dice: &mut ChaCha8Rng, sales: &[PastSale]) {
    let mut taken: HashMap<(u32, i64), i64> = HashMap::new();
    for sale in sales {
        for (sku, quantity) in &sale.lines {
            *taken.entry((sale.seat.store(), *sku)).or_default() += quantity;
        }
    }
    let mut oversold: HashMap<u32, usize> = HashMap::new();
    for shelf in &mut world.stock {
        let taken = taken.get(&(shelf.store, shelf.sku)).copied().unwrap_or(0);
        if dice.random_range(0..BARE_EVERY) == 0 {
            shelf.quantity = 0;
            let count = oversold.entry(shelf.store).or_default();
            if taken > 2 && *count < OVERSOLD_SKUS {
                *count += 1;
                shelf.quantity = -1;
            }
        }
        shelf.quantity += taken;
    }
    // A shelf that was always bare needs no opening stock.
    world.stock.retain(|shelf| shelf.quantity > 0);
}

/// Rings the plan up on every pos and waits until HQ has it. Back offices must run; pos must not.
pub fn ring(
    chain: &Chain,
    world: &World,
    sales: &[PastSale],
    runtime: &Handle,
    tell: &dyn Fn(&str),
) -> Result<(), Fault> {
    let seats = chain.seats().into_iter().filter(|seat| matches!(seat, Seat::Pos { .. }));
    let mut all = Vec::new();
    for seat in seats {
        let near = chain.line(seat).ok_or("every pos has a line")?.near;
        all.push((seat, lab_pos::start(chain.place(seat), near, None, runtime)?));
    }
    tell(&format!("past trade: {} sales are rung up", sales.len()));
    let rung: Result<Vec<()>, Fault> = std::thread::scope(|scope| {
        let ring = |one: &(Seat, Engine)| ring_seat(world, sales, one.0, &one.1);
        let threads: Vec<_> = all.iter().map(|one| scope.spawn(move || ring(one))).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault)));
        joined.collect()
    });
    rung?;
    tell("past trade: on its way to head office");
    let done = |engine: &Engine| {
        let status = engine.status();
        status.own_head > 0 && status.hq_has >= status.own_head
    };
    let arrived =
        wait_for(Duration::from_secs(CATCH_UP_S), || all.iter().all(|(_, engine)| done(engine)));
    for (_, engine) in &all {
        engine.stop();
    }
    if arrived { Ok(()) } else { Err("the past trade has not reached head office".into()) }
}

fn ring_seat(world: &World, sales: &[PastSale], seat: Seat, engine: &Engine) -> Result<(), Fault> {
    let db = engine.reader()?;
    let count = |table: &str| -> usize {
        let question = format!("SELECT count(*) FROM {table}");
        let rows: i64 = db.query_row(&question, [], |row| row.get(0)).unwrap_or(0);
        usize::try_from(rows).unwrap_or(0)
    };
    let shelves = world.stock.iter().filter(|shelf| shelf.store == seat.store()).count();
    let learnt = || {
        count("price") >= world.variants.len()
            && count("stock_movement") >= shelves
            && count("employee") >= world.staff_of(seat.store()).count()
            && count("customer") >= world.customers.len()
    };
    if !wait_for(Duration::from_secs(LEARN_S), learnt) {
        let why = engine.status().reason;
        return Err(format!("{} has no master data after {LEARN_S} s: {why}", seat.title()).into());
    }
    for sale in sales.iter().filter(|sale| sale.seat == seat) {
        let sale = sale.clone();
        engine.write_blocking(move |tx| record(tx, &sale))?;
    }
    Ok(())
}

fn record(tx: &Transaction, past: &PastSale) -> Result<(), SaleError> {
    let line = |(sku, quantity): &(i64, i64)| BasketLine {
        sku: *sku,
        quantity: *quantity,
        discount: Discount::None,
        open_price: None,
    };
    let lines: Vec<BasketLine> = past.lines.iter().map(line).collect();
    let (store, at) = (i64::from(past.seat.store()), Moment(past.at_ms));
    let discount = Discount::None;
    let rung_up = RungUp { lines: &lines, customer: past.customer, discount };
    let total = basket::quote(tx, store, rung_up, at)?.total;
    let tender = match past.in_cash {
        true => Tender { kind: TenderKind::Cash, given: handed_over(total) },
        false => Tender { kind: TenderKind::Card, given: total },
    };
    let (cashier, tenders, customer) = (past.cashier, vec![tender], past.customer);
    let shown = Some(total);
    sales::record(tx, &Sale { store, cashier, at, lines, tenders, customer, discount, shown })?;
    Ok(())
}

/// The smallest note that pays it, or as many of the largest.
fn handed_over(total: Money) -> Money {
    let largest = NOTES_MINOR[NOTES_MINOR.len() - 1];
    let note = NOTES_MINOR.into_iter().find(|note| *note >= total.0);
    Money(note.unwrap_or_else(|| (total.0 + largest - 1) / largest * largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 20_777 * DAY_MS + 13 * HOUR_MS;

    #[test]
    fn the_same_seed_and_moment_make_the_same_past() {
        let planned = || {
            let mut world = World::from_seed(1, 2);
            let sales = plan(&mut world, 2, 7, NOW_MS);
            (world, sales)
        };
        assert_eq!(planned(), planned());
    }

    #[test]
    fn no_sale_lies_in_the_future_and_every_pos_has_sold() {
        let mut world = World::from_seed(1, 2);
        let sales = plan(&mut world, 2, 30, NOW_MS);
        assert!(sales.iter().all(|sale| sale.at_ms < NOW_MS && !sale.lines.is_empty()));
        for seat in Seat::all(2, 2) {
            let sold = sales.iter().filter(|sale| sale.seat == seat).count();
            assert_eq!(sold > 0, matches!(seat, Seat::Pos { .. }), "{seat:?} has sold {sold}");
        }
    }

    #[test]
    fn the_shelves_held_what_was_sold_but_for_a_few_that_the_book_says_were_oversold() {
        let mut world = World::from_seed(1, 2);
        let sales = plan(&mut world, 2, 30, NOW_MS);
        let mut left: HashMap<(u32, i64), i64> = HashMap::new();
        for shelf in &world.stock {
            left.insert((shelf.store, shelf.sku), shelf.quantity);
        }
        for sale in &sales {
            for (sku, quantity) in &sale.lines {
                *left.entry((sale.seat.store(), *sku)).or_default() -= quantity;
            }
        }
        let below = left.values().filter(|quantity| **quantity < 0).count();
        let bare = left.values().filter(|quantity| **quantity == 0).count();
        assert_eq!(below, 2 * OVERSOLD_SKUS);
        assert!(bare > 10, "some sizes are sold out, so that a visitor sees it: {bare}");
    }

    #[test]
    fn cash_is_handed_over_in_notes_that_pay_it() {
        for (total, given) in [(1, 500), (500, 500), (501, 1_000), (5_001, 10_000)] {
            assert_eq!(handed_over(Money(total)), Money(given));
        }
    }
}
