//! What memory a catch-up of a million entries takes
//!
//! A pos has written a million entries while its back office was away; then all of them go over, through both hubs, in
//! this one process. Idle is the process before: both databases open, both hubs made, and each has written and undone more
//! than its page cache holds (8 MiB, as shipped). What is resident is looked at after each tenth; what the page caches
//! still grow by is counted.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, STORE, store_stream};
use crate::bench_net::{Net, Post, Wire};
use crate::figure::{Figure, short};
use crate::plain_sale;
use rusqlite::Connection;
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::Role;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::HubSettings;

const ENTRIES: u64 = 1_000_000;
const STEPS: u64 = 10;
const LAN: Wire = Wire { delay_ms: 1, bytes_per_s: Some(12_500_000.0) };
const MOST_S: i64 = 3_600;

/// The figures of the memory.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let ground = Ground { folder: folder.path().to_owned(), vfs: None };
    let posts = [
        Post::new(1, "s0001-b01", STORE, Role::BackOffice)?,
        Post::new(2, "s0001-p01", STORE, Role::Pos)?,
    ];
    let mut pos = posts[1].open(&ground, &posts)?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    write(&mut pos, ENTRIES)?;
    drop(pos);
    let mut net = Net::new();
    let office = net.add(posts[0].open(&ground, &posts)?, None, HubSettings::default())?;
    let pos = net.add(posts[1].open(&ground, &posts)?, Some(office), HubSettings::default())?;
    let cold_mib = resident_mib()?;
    for party in &net.parties {
        stir_cache(party.replica.db())?;
    }
    let idle_mib = resident_mib()?;
    net.join(pos, LAN)?;
    let (stream, origin) = (store_stream()?, posts[1].row.origin);
    let mut steps: Vec<f64> = Vec::new();
    for step in 1..=STEPS {
        net.run_until(MOST_S, |parties| {
            parties[office].replica.head(stream, origin).seq >= step * ENTRIES / STEPS
        })?;
        steps.push(resident_mib()? - idle_mib);
    }
    let curve = steps.iter().map(|mib| short(*mib)).collect::<Vec<_>>().join(" ");
    let most = steps.iter().fold(f64::MIN, |most, mib| most.max(*mib));
    let first_half = steps[..5].iter().fold(f64::MIN, |most, mib| most.max(*mib));
    let second_half = steps[5..].iter().fold(f64::MIN, |most, mib| most.max(*mib));
    let cpu_s: f64 = net.parties.iter().map(|party| party.cpu_us).sum::<f64>() / 1e6;
    let idle = format!("{} MiB, {} MiB", short(cold_mib), short(idle_mib));
    Ok(vec![
        Figure::at_most(
            "catch-up of 1 M entries: memory above idle, both ends",
            most,
            16.0,
            " MiB",
        ),
        Figure::at_most("  second half above the first", second_half - first_half, 2.0, " MiB"),
        Figure::beside("  after each tenth, MiB above idle", curve),
        Figure::beside("  resident after the start, and idle", idle),
        Figure::beside("  CPU of both ends", format!("{} s", short(cpu_s))),
    ])
}

/// Entries of one row.
fn write(pos: &mut Replica, entries: u64) -> Result<(), Fault> {
    for entry in 0..entries.cast_signed() {
        let at_ms = BEGIN_MS + entry;
        pos.write(Millis(at_ms), |tx| {
            tx.prepare_cached(
                "INSERT INTO stock_movement (id, store, sku, quantity, reason, at)
                 VALUES (row_id(), ?1, ?2, 1, 'found', ?3)",
            )?
            .execute((STORE, entry % 1_000 + 1, at_ms))
        })?;
    }
    Ok(())
}

/// A table larger than the page cache is written, and thrown away.
fn stir_cache(db: &Connection) -> rusqlite::Result<()> {
    db.execute_batch(
        "BEGIN;
         CREATE TABLE cache_filler (body BLOB);
         WITH RECURSIVE n (no) AS (SELECT 1 UNION ALL SELECT no + 1 FROM n WHERE no < 5000)
         INSERT INTO cache_filler SELECT zeroblob(4000) FROM n;
         ROLLBACK;",
    )
}

fn resident_mib() -> Result<f64, Fault> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    let kib: f64 = line.split_whitespace().nth(1).ok_or("no number")?.parse()?;
    Ok(kib / 1_024.0)
}
