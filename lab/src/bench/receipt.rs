//! Bytes and syncs of the transaction of one receipt
//!
//! Counted by the simulator's disk, which sees every write and every sync that SQLite asks for: no tracing, and no
//! other program's writes beside it.

use crate::bench_desk::{BenchDesk, Fault, Ground, SKUS};
use crate::figure::{Figure, median, short};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::disk;
use selvedge_simulator::drive::Drive;

const SALES_BEFORE: usize = 3_000;
const SALES: usize = 1_000;

/// The figures of one receipt.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    disk::seed(Dice::new(1));
    let drive = Drive::mount("bench");
    let mut desk =
        BenchDesk::make(&Ground { folder: drive.path(""), vfs: Some(disk::VFS.to_owned()) }, SKUS)?;
    for _ in 0..SALES_BEFORE {
        desk.sell()?;
    }
    let first = drive.counts();
    let (mut bytes, mut syncs) = (Vec::new(), Vec::new());
    for _ in 0..SALES {
        let before = drive.counts();
        desk.sell()?;
        let after = drive.counts();
        bytes.push((after.bytes - before.bytes) as f64 / 1_000.0);
        syncs.push((after.syncs - before.syncs) as f64);
    }
    let last = drive.counts();
    let per_sale = |all: u64| all as f64 / SALES as f64;
    let all_bytes = short(per_sale(last.bytes - first.bytes) / 1_000.0);
    let all_syncs = short(per_sale(last.syncs - first.syncs));
    Ok(vec![
        Figure::at_most(
            "bytes of the transaction of one receipt, log included",
            median(&bytes),
            40.0,
            " kB",
        ),
        Figure::at_most("syncs of the transaction of one receipt", median(&syncs), 1.0, ""),
        Figure::beside(
            "  with its share of checkpoints and totals",
            format!("{all_bytes} kB, {all_syncs} syncs"),
        ),
    ])
}
