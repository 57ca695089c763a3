//! What the log costs beside the same schema bare
//!
//! Pairs of runs, each on a fresh file, the order rotating; the median of the ratios counts. The disk is not waited for
//! here: with FULL its waiting would hide what the log costs.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, pair};
use crate::cpu;
use crate::figure::{Figure, median, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rusqlite::TransactionBehavior;
use selvedge_sync::hlc::Millis;
use std::path::Path;

const PAIRS: u64 = 9;
const SALES: i64 = 2_000;
/// Written before the clock starts, so that caches and tables are warm in both.
const WARM_UP: i64 = 200;

/// The figures of capture.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let (mut ratios, mut bare_us, mut logged_us) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..PAIRS {
        let folder = tempfile::tempdir()?;
        let (bare, logged) = match round % 2 {
            0 => (bare(folder.path(), round)?, logged(folder.path(), round)?),
            _ => {
                let logged = logged(folder.path(), round)?;
                (self::bare(folder.path(), round)?, logged)
            }
        };
        ratios.push(logged / bare);
        bare_us.push(bare / SALES as f64);
        logged_us.push(logged / SALES as f64);
    }
    let least = ratios.iter().fold(f64::MAX, |least, ratio| least.min(*ratio));
    let most = ratios.iter().fold(0.0_f64, |most, ratio| most.max(*ratio));
    let cost = format!("{} / {} us", short(median(&bare_us)), short(median(&logged_us)));
    Ok(vec![
        Figure::at_most(
            "capture, chained: CPU against the same schema bare",
            median(&ratios),
            1.25,
            "x",
        ),
        Figure::beside("  range", format!("{} to {} in {PAIRS} pairs", short(least), short(most))),
        Figure::beside("  a checkout bare / captured, CPU", cost),
    ])
}

fn bare(folder: &Path, seed: u64) -> Result<f64, Fault> {
    let mut db = plain_sale::bare(&folder.join("bare.db"))?;
    plain_sale::without_waiting_for_the_disk(&db)?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut sell = |no: i64| {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        plain_sale::write(&tx, no, BEGIN_MS + no, SKUS, &mut dice)?;
        tx.commit()
    };
    (1..=WARM_UP).try_for_each(&mut sell)?;
    Ok(cpu::of(|| (WARM_UP + 1..=WARM_UP + SALES).try_for_each(&mut sell))?.1)
}

fn logged(folder: &Path, seed: u64) -> Result<f64, Fault> {
    let (_hq, mut pos) = pair(&Ground { folder: folder.to_owned(), vfs: None })?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut sell = |no: i64| {
        let at_ms = BEGIN_MS + no;
        pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice)).map(|_| ())
    };
    (1..=WARM_UP).try_for_each(&mut sell)?;
    Ok(cpu::of(|| (WARM_UP + 1..=WARM_UP + SALES).try_for_each(&mut sell))?.1)
}
