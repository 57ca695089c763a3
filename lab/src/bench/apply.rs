//! What it costs HQ to verify, keep and apply a checkout
//!
//! Against plain prepared statements that write the same rows in transactions of the same size, and keep no log, check
//! no chain and no seal.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, frames_of, pair, store_stream};
use crate::cpu;
use crate::figure::{Figure, median, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use selvedge_sync::hlc::Millis;
use selvedge_sync::incoming::{Incoming, Slice};
use std::collections::VecDeque;

const PAIRS: u64 = 7;
const SALES: i64 = 6_000;
const SALES_PER_COMMIT: i64 = 1_000;
/// A receipt, its lines and its tender.
const ROWS_PER_SALE: usize = 6;

/// The figures of apply.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let (mut ratios, mut per_second) = (Vec::new(), Vec::new());
    for round in 0..PAIRS {
        let (plain, applied) = match round % 2 {
            0 => (plain(round)?, applied(round)?),
            _ => {
                let applied = applied(round)?;
                (plain(round)?, applied)
            }
        };
        ratios.push(plain / applied);
        per_second.push(SALES as f64 / applied * 1_000_000.0);
    }
    Ok(vec![
        Figure::at_least(
            "apply at HQ: CPU against plain prepared statements",
            median(&ratios),
            0.75,
            "x",
        ),
        Figure::beside("  checkouts applied in a second of CPU", short(median(&per_second))),
    ])
}

fn plain(seed: u64) -> Result<f64, Fault> {
    let folder = tempfile::tempdir()?;
    let mut db = plain_sale::bare(&folder.path().join("plain.db"))?;
    plain_sale::without_waiting_for_the_disk(&db)?;
    db.execute_batch("PRAGMA cache_size=-16384")?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let (_, us) = cpu::of(|| {
        for first in (1..=SALES).step_by(SALES_PER_COMMIT as usize) {
            let tx = db.transaction()?;
            for no in first..first + SALES_PER_COMMIT {
                plain_sale::write(&tx, no, BEGIN_MS + no, SKUS, &mut dice)?;
            }
            tx.commit()?;
        }
        Ok::<(), rusqlite::Error>(())
    })?;
    Ok(us)
}

fn applied(seed: u64) -> Result<f64, Fault> {
    let folder = tempfile::tempdir()?;
    let (mut hq, mut pos) = pair(&Ground { folder: folder.path().to_owned(), vfs: None })?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    plain_sale::without_waiting_for_the_disk(hq.db())?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    for no in 1..=SALES {
        let at_ms = BEGIN_MS + no;
        pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice))?;
    }
    let frames = frames_of(&pos, store_stream()?, 1)?;
    let mut queue: VecDeque<Incoming<()>> =
        frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    let slice = Slice { rows: SALES_PER_COMMIT as usize * ROWS_PER_SALE };
    let (_, us) = cpu::of(|| {
        while !queue.is_empty() {
            hq.receive(Millis(BEGIN_MS), &mut queue, slice)?;
        }
        Ok::<(), rusqlite::Error>(())
    })?;
    let held: i64 = hq.db().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0))?;
    if held == SALES {
        Ok(us)
    } else {
        Err(format!("head office has {held} of {SALES} receipts").into())
    }
}
