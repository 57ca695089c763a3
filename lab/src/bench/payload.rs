//! What a signed checkout weighs on the wire

use crate::bench_desk::{BenchDesk, Fault, Ground, SKUS, store_stream};
use crate::figure::{Figure, median, short};

const LONE: u64 = 200;
const TOGETHER: u64 = 3_000;
/// Frames with fewer are the last of their row and count for nothing.
const FULL: usize = 500;

/// The figures of the payload.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let mut desk = BenchDesk::make(&Ground { folder: folder.path().to_owned(), vfs: None }, SKUS)?;
    let (stream, origin) = (store_stream()?, desk.pos.identity().origin);
    let mut lone = Vec::new();
    for _ in 0..LONE {
        desk.sell()?;
        let newest = desk.pos.head(stream, origin).seq;
        let frame = desk.pos.cut(stream, origin, newest)?.ok_or("a sale was just written")?;
        lone.push(frame.encode().len() as f64);
    }
    for _ in 0..TOGETHER {
        desk.sell()?;
    }
    let (mut next, mut sizes, mut counts) = (LONE + 1, Vec::new(), Vec::new());
    while let Some(frame) = desk.pos.cut(stream, origin, next)? {
        if frame.count() >= FULL {
            sizes.push(frame.encode().len() as f64 / frame.count() as f64);
            counts.push(frame.count() as f64);
        }
        next = frame.last() + 1;
    }
    let most = lone.iter().fold(0.0_f64, |most, bytes| most.max(*bytes));
    Ok(vec![
        Figure::at_most("payload of a lone signed checkout", median(&lone), 190.0, " B"),
        Figure::beside("  the heaviest of them", format!("{most} B")),
        Figure::at_most("payload per checkout in full frames", median(&sizes), 42.0, " B"),
        Figure::beside("  checkouts in such a frame", short(median(&counts))),
    ])
}
