//! What the log costs beside the same schema bare
//!
//! Pairs of runs on fresh files, which take turns: whatever else the machine does falls on both alike. The median of the
//! ratios counts. The disk is not waited for here: with FULL its waiting would hide what the log costs.

use crate::bench_desk::{BEGIN_MS, Fault, Ground, SKUS, pair};
use crate::cpu;
use crate::figure::{Figure, median, short};
use crate::plain_sale;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rusqlite::TransactionBehavior;
use selvedge_sync::hlc::Millis;
use std::ops::RangeInclusive;
use std::path::Path;

const PAIRS: u64 = 9;
const SALES: i64 = 2_000;
/// Sales of one turn: enough to fill a processor's caches anew, and short beside what disturbs.
const TURN: i64 = 200;
/// Written before the clock starts, so that caches and tables are warm in both.
const WARM_UP: i64 = 200;

/// The figures of capture.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let (mut ratios, mut bare_us, mut logged_us) = (Vec::new(), Vec::new(), Vec::new());
    for seed in 0..PAIRS {
        let folder = tempfile::tempdir()?;
        let (mut bare, mut logged) = (bare(folder.path(), seed)?, logged(folder.path(), seed)?);
        (1..=WARM_UP).try_for_each(&mut bare.sell)?;
        (1..=WARM_UP).try_for_each(&mut logged.sell)?;
        for first in (WARM_UP + 1..=WARM_UP + SALES).step_by(TURN as usize) {
            let turn = first..=first + TURN - 1;
            if first / TURN % 2 == 0 {
                bare.take(turn.clone())?;
                logged.take(turn)?;
            } else {
                logged.take(turn.clone())?;
                bare.take(turn)?;
            }
        }
        ratios.push(logged.used_us / bare.used_us);
        bare_us.push(bare.used_us / SALES as f64);
        logged_us.push(logged.used_us / SALES as f64);
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

/// One of a pair, on a file of its own.
struct Side {
    sell: Box<dyn FnMut(i64) -> Result<(), Fault>>,
    used_us: f64,
}

impl Side {
    fn new(sell: impl FnMut(i64) -> Result<(), Fault> + 'static) -> Side {
        Side { sell: Box::new(sell), used_us: 0.0 }
    }

    fn take(&mut self, mut turn: RangeInclusive<i64>) -> Result<(), Fault> {
        self.used_us += cpu::of(|| turn.try_for_each(&mut self.sell))?.1;
        Ok(())
    }
}

fn bare(folder: &Path, seed: u64) -> Result<Side, Fault> {
    let mut db = plain_sale::bare(&folder.join("bare.db"))?;
    plain_sale::without_waiting_for_the_disk(&db)?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    Ok(Side::new(move |no| {
        let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        plain_sale::write(&tx, no, BEGIN_MS + no, SKUS, &mut dice)?;
        Ok(tx.commit()?)
    }))
}

fn logged(folder: &Path, seed: u64) -> Result<Side, Fault> {
    let (_hq, mut pos) = pair(&Ground { folder: folder.to_owned(), vfs: None })?;
    plain_sale::without_waiting_for_the_disk(pos.db())?;
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    Ok(Side::new(move |no| {
        let at_ms = BEGIN_MS + no;
        pos.write(Millis(at_ms), |tx| plain_sale::write(tx, no, at_ms, SKUS, &mut dice))?;
        Ok(())
    }))
}
