//! What a week without a line costs a store of four pos
//!
//! The pos trade and talk to their back office; the line to HQ is cut for seven days and 20,000 checkouts. Then it is
//! there again, with 64 kbit/s. Counted is what all six of them use until HQ has everything and the store knows it.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, STORE, store_stream};
use crate::bench_net::{Net, Post, Wire, has_all_of};
use crate::figure::{Figure, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::talk::{HubSettings, Input};

const POS: u32 = 4;
const CHECKOUTS: i64 = 20_000;
/// Checkouts of one pos until its hub is asked again: a rush, so that the bench need not last a week.
const RUSH: i64 = 10;
const RUSHES: i64 = CHECKOUTS / RUSH / POS as i64;
/// Seven days, evenly.
const BETWEEN_MS: i64 = 7 * 86_400_000 / (RUSHES * RUSH);
const LAN: Wire = Wire { delay_ms: 1, bytes_per_s: Some(12_500_000.0) };
/// 64 kbit/s and a tenth of a second there and back.
const WAN: Wire = Wire { delay_ms: 50, bytes_per_s: Some(8_000.0) };
const MOST_S: i64 = 900;

/// The figures of a week in the dark.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let mut posts =
        vec![Post::new(1, "hq", 0, Role::Hq)?, Post::new(2, "s0001-b01", STORE, Role::BackOffice)?];
    for no in 1..=POS {
        posts.push(Post::new(no + 2, &format!("s0001-p{no:02}"), STORE, Role::Pos)?);
    }
    let mut net = Net::new();
    let hq = net.add(posts[0].open(&ground, &posts)?, None, HubSettings::default())?;
    let office = net.add(posts[1].open(&ground, &posts)?, Some(hq), HubSettings::default())?;
    for post in &posts[2..] {
        let pos = net.add(post.open(&ground, &posts)?, Some(office), HubSettings::default())?;
        net.join(pos, LAN)?;
    }
    trade(&mut net, office)?;
    for party in &net.parties {
        party
            .replica
            .db()
            .execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    net.count_anew();
    net.join(office, WAN)?;
    let streams = [Stream::CHAIN, store_stream()?];
    let took_s = net.run_until(MOST_S, |parties| {
        has_all_of(&parties[hq].replica, &parties[office].replica, &streams)
    })?;
    let held: i64 =
        net.parties[hq]
            .replica
            .db()
            .query_row("SELECT count(*) FROM receipt", [], |row| row.get(0))?;
    if held != CHECKOUTS {
        return Err(format!("HQ has {held} of {CHECKOUTS} receipts").into());
    }
    let cpu_s: f64 = net.parties.iter().map(|party| party.cpu_us).sum::<f64>() / 1e6;
    let of = |place: usize| short(net.parties[place].cpu_us / 1e6);
    let (up, down) = (net.bytes(office, true) as f64 / 1e6, net.bytes(office, false) as f64 / 1e6);
    let per_checkout = up * 1e6 / CHECKOUTS as f64;
    Ok(vec![
        Figure::at_most("7 days dark, 4 pos, 20,000 checkouts: CPU of all six", cpu_s, 2.0, " s"),
        Figure::beside("  HQ / back office", format!("{} s / {} s", of(hq), of(office))),
        Figure::at_most("  bytes on the line, both ways, MQTT's too", up + down, 1.0, " MB"),
        Figure::beside("  of it up, for a checkout", format!("{} B", short(per_checkout))),
        Figure::at_most("  at 64 kbit/s, 100 ms there and back", took_s, 180.0, " s"),
    ])
}

/// A week of trade, of which HQ hears nothing.
fn trade(net: &mut Net, office: usize) -> Result<(), Fault> {
    for party in &net.parties {
        plain_sale::without_waiting_for_the_disk(party.replica.db())?;
    }
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let stream = [store_stream()?];
    let mut no = 0;
    for rush in 0..RUSHES {
        for pos in office + 1..=office + POS as usize {
            for sale in 1..=RUSH {
                no = rush * RUSH + sale;
                let at_ms = BEGIN_MS + no * BETWEEN_MS;
                let replica = &mut net.parties[pos].replica;
                replica
                    .write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice))?;
            }
            net.tell(pos, Input::Wrote);
        }
        net.sleep_until(BEGIN_MS + no * BETWEEN_MS);
        net.run_until(MOST_S, |parties| {
            (office + 1..parties.len())
                .all(|pos| has_all_of(&parties[office].replica, &parties[pos].replica, &stream))
        })?;
    }
    Ok(())
}
