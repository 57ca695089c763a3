//! A pos that was alone for thirty days finds its HQ again
//!
//! 15,000 sales, and each morning a cold start. HQ has meanwhile changed 3,000 prices. The line then carries 1 Mbit/s;
//! virtual time on it and the real time of both processors add up, one after the other, with FULL.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, STORE, fill, frames_of, price_minor};
use crate::bench_desk::{store_stream, take_all};
use crate::bench_net::{Net, Post, Wire, has_all_of};
use crate::figure::{Figure, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selvedge_domain::master_data::{self, NewPrice};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::HubSettings;
use std::time::Instant;

const DAYS: i64 = 30;
const SALES_PER_DAY: i64 = 500;
const PRICES_PER_DAY: i64 = 100;
const DAY_MS: i64 = 86_400_000;
const WAN: Wire = Wire { delay_ms: 50, bytes_per_s: Some(125_000.0) };
const MOST_S: i64 = 600;

/// The figures of thirty days alone.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let posts = [Post::new(1, "hq", 0, Role::Hq)?, Post::new(2, "s0001-p01", STORE, Role::Pos)?];
    let (mut hq, mut pos) = (posts[0].open(&ground, &posts)?, posts[1].open(&ground, &posts)?);
    let streams = [Stream::CHAIN, store_stream()?];
    plain_sale::without_waiting_for_the_disk(hq.db())?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    fill(&mut hq, SKUS)?;
    for stream in streams {
        let frames = frames_of(&hq, stream, 1)?;
        take_all(&mut pos, frames)?;
    }
    let (mut dice, mut slowest_s) = (ChaCha8Rng::seed_from_u64(1), 0.0_f64);
    for day in 0..DAYS {
        let begun = Instant::now();
        drop(pos);
        pos = posts[1].open(&ground, &posts)?;
        slowest_s = slowest_s.max(begun.elapsed().as_secs_f64());
        plain_sale::without_waiting_for_the_disk(pos.db())?;
        for sale in 0..SALES_PER_DAY {
            let (no, at_ms) =
                (day * SALES_PER_DAY + sale + 1, BEGIN_MS + day * DAY_MS + sale * 60_000);
            pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice))?;
        }
        reprice(&mut hq, day)?;
    }
    drop((hq, pos));
    let mut net = Net::new();
    let hq = net.add(posts[0].open(&ground, &posts)?, None, HubSettings::default())?;
    let pos = net.add(posts[1].open(&ground, &posts)?, Some(hq), HubSettings::default())?;
    net.sleep_until(BEGIN_MS + DAYS * DAY_MS);
    net.join(pos, WAN)?;
    let took_s = net.run_until(MOST_S, |parties| {
        let (hq, pos) = (&parties[hq].replica, &parties[pos].replica);
        has_all_of(hq, pos, &streams) && has_all_of(pos, hq, &streams)
    })?;
    let (hq, pos) = (&net.parties[hq], &net.parties[pos]);
    if rows(&hq.replica)? != rows(&pos.replica)? {
        return Err("they have the same heads and other rows".into());
    }
    let cpu = format!("{} s / {} s", short(hq.cpu_us / 1e6), short(pos.cpu_us / 1e6));
    let bytes = (net.bytes(1, true) + net.bytes(1, false)) as f64 / 1e6;
    Ok(vec![
        Figure::at_most("30 days alone, 15,000 sales: until both have all", took_s, 60.0, " s"),
        Figure::beside("  CPU of HQ / of the pos", cpu),
        Figure::beside("  bytes on the line, both ways", format!("{} MB", short(bytes))),
        Figure::beside("  the slowest of 30 cold starts", format!("{} s", short(slowest_s))),
    ])
}

/// HQ's changes of a day.
fn reprice(hq: &mut Replica, day: i64) -> Result<(), Fault> {
    let currency = Currency::parse("GBP")?;
    let at_ms = BEGIN_MS + day * DAY_MS;
    for sku in day * PRICES_PER_DAY + 1..=(day + 1) * PRICES_PER_DAY {
        let (unit, valid_from) = (Money(price_minor(sku) + 10), Moment(at_ms));
        let price = NewPrice { sku, store: 0, currency, valid_from, unit };
        hq.write(Millis(at_ms), |tx| master_data::upsert_price(tx, &price))?;
    }
    Ok(())
}

/// Counts and sums that tell one trade from another.
fn rows(replica: &Replica) -> Result<Vec<i64>, Fault> {
    let sums = [
        "SELECT count(*) FROM receipt",
        "SELECT sum(total_minor) FROM receipt",
        "SELECT sum(unit_minor * quantity) FROM receipt_line",
        "SELECT count(*) FROM price",
        "SELECT sum(on_hand) FROM stock_balance",
    ];
    let one = |sql: &&str| replica.db().query_row(sql, [], |row| row.get(0));
    Ok(sums.iter().map(one).collect::<Result<_, _>>()?)
}
