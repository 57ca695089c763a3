//! What the first copy of a new device costs
//!
//! HQ has a catalogue of 20,000 things and a month of a store's trade, about 200,000 rows for that store. A new pos asks;
//! HQ makes a snapshot, sends its chunks and the tail, all through the hubs of both, with FULL.

use crate::bench_desk::take_all;
use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, STORE, fill, frames_of, store_stream};
use crate::bench_net::{Net, Post, Wire, has_all_of};
use crate::figure::{Figure, median, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::HubSettings;

const SALES: i64 = 20_000;
const ROUNDS: u32 = 5;
/// As in a store: a millisecond one way, 100 Mbit/s.
const LAN: Wire = Wire { delay_ms: 1, bytes_per_s: Some(12_500_000.0) };
const MOST_S: i64 = 120;

/// The figures of a first copy.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let (mut made, mut taken, mut took, mut bytes, mut rows) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 0..ROUNDS {
        let folder = tempfile::tempdir()?;
        let ground = Ground { folder: folder.path().to_owned(), vfs: None };
        let hq = Post::new(1, "hq", 0, Role::Hq)?;
        let old = Post::new(2, "s0001-p01", STORE, Role::Pos)?;
        let new = Post::new(3, "s0001-p02", STORE, Role::Pos)?;
        let posts = [hq.clone(), old.clone(), new.clone()];
        let mut net = Net::new();
        let hq = net.add(traded(&ground, &hq, &old, &posts)?, None, HubSettings::default())?;
        let new = net.add(new.open(&ground, &posts)?, Some(hq), HubSettings::default())?;
        net.join(new, LAN)?;
        let streams = [Stream::CHAIN, store_stream()?];
        let took_s = net.run_until(MOST_S, |parties| {
            has_all_of(&parties[new].replica, &parties[hq].replica, &streams)
        })?;
        rows = rows_of(&net.parties[new].replica)?;
        if rows != rows_of(&net.parties[hq].replica)? {
            return Err("the new pos has other rows than HQ".into());
        }
        if !net.events.iter().any(|event| event.starts_with("Installed")) {
            return Err("it did not begin with a snapshot".into());
        }
        if round > 0 {
            made.push(net.parties[hq].cpu_us / 1e6);
            taken.push(net.parties[new].cpu_us / 1e6);
            took.push(took_s);
            bytes.push((net.bytes(new, true) + net.bytes(new, false)) as f64 / 1e6);
        }
    }
    let both: Vec<f64> = made.iter().zip(&taken).map(|(made, taken)| made + taken).collect();
    let of_it = format!("{} s / {} s", short(median(&made)), short(median(&taken)));
    Ok(vec![
        Figure::at_most("first copy of a new pos: CPU of both sides", median(&both), 1.0, " s"),
        Figure::beside("  HQ that makes it / the pos that takes it", of_it),
        Figure::at_most("  bytes on the line, both ways, MQTT's too", median(&bytes), 3.2, " MB"),
        Figure::beside("  rows", rows.to_string()),
        Figure::beside(
            "  from the first word to the last row",
            format!("{} s", short(median(&took))),
        ),
    ])
}

/// HQ with its catalogue and what a pos has sold.
fn traded(ground: &Ground, hq: &Post, pos: &Post, posts: &[Post]) -> Result<Replica, Fault> {
    let (mut hq, mut pos) = (hq.open(ground, posts)?, pos.open(ground, posts)?);
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    plain_sale::without_waiting_for_the_disk(hq.db())?;
    fill(&mut hq, SKUS)?;
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    for no in 1..=SALES {
        let at_ms = BEGIN_MS + no * 60_000;
        pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice))?;
    }
    let frames = frames_of(&pos, store_stream()?, 1)?;
    take_all(&mut hq, frames)?;
    hq.db().execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(hq)
}

fn rows_of(replica: &Replica) -> Result<i64, Fault> {
    let mut rows = 0;
    for table in replica.tables().all() {
        let sql = format!("SELECT count(*) FROM \"{}\"", table.name);
        rows += replica.db().query_row(&sql, [], |row| row.get::<_, i64>(0))?;
    }
    Ok(rows)
}
