//! The benches, each with its figures

pub mod capture;

pub mod receipt;

pub mod payload;

pub mod apply;

pub mod ingest;

pub mod column;

pub mod register;

pub mod latency;

pub mod idle;

pub mod paint;

pub mod tour;

pub mod push;

pub mod search;

pub mod rivals;

use crate::bench_desk::Fault;
use crate::figure::{Figure, Kept};
use std::process::Command;

/// What measures.
type Measure = fn() -> Result<Vec<Figure>, Fault>;

/// Every bench by its name.
const BENCHES: &[(&str, Measure)] = &[
    ("capture", capture::measure),
    ("receipt", receipt::measure),
    ("payload", payload::measure),
    ("apply", apply::measure),
    ("ingest", ingest::measure),
    ("column", column::measure),
    ("register", register::measure),
    ("latency", latency::measure),
    ("idle", idle::measure),
    ("paint", paint::measure),
    ("tour", tour::measure),
    ("push", push::measure),
    ("search", search::measure),
    ("rivals", rivals::measure),
];

/// Runs one bench in this process. None when there is no such bench.
pub fn one(name: &str) -> Option<Result<bool, Fault>> {
    let (_, measure) = BENCHES.iter().find(|(known, _)| *known == name)?;
    Some(measure().map(|figures| {
        for figure in &figures {
            println!("{}", figure.line());
        }
        figures.iter().all(|figure| figure.kept != Kept::No)
    }))
}

/// Runs every bench, each in a process of its own. Says whether all kept their targets.
pub fn all() -> Result<bool, Fault> {
    let mut all_kept = true;
    for (name, _) in BENCHES {
        println!("-- {name}");
        // A bench of its own process has its own SQLite, memory and CPU counters.
        let status = Command::new(std::env::current_exe()?).args(["bench", name]).status()?;
        all_kept &= status.success();
    }
    Ok(all_kept)
}

/// The names of all benches.
pub fn names() -> String {
    BENCHES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
