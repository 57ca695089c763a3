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

pub mod snapshot;

pub mod dark;

pub mod thirty;

pub mod memory;

pub mod metadata;

use crate::bench_desk::Fault;
use crate::figure::{Figure, Kept};
use crate::figures_page;
use std::path::Path;
use std::process::{Command, Stdio};

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
    ("snapshot", snapshot::measure),
    ("dark", dark::measure),
    ("thirty", thirty::measure),
    ("memory", memory::measure),
    ("metadata", metadata::measure),
    ("rivals", rivals::measure),
];

/// Runs one bench in this process and prints its figures, as fields with tabs between or for people. None when there is
/// no such bench.
pub fn one(name: &str, fields: bool) -> Option<Result<bool, Fault>> {
    let (_, measure) = BENCHES.iter().find(|(known, _)| *known == name)?;
    Some(measure().map(|figures| {
        for figure in &figures {
            println!("{}", if fields { figure.fields() } else { figure.line() });
        }
        figures.iter().all(|figure| figure.kept != Kept::No)
    }))
}

/// Runs these benches, or every one, each in a process of its own, and writes their figures into a page if one is named.
/// Says whether all kept their targets.
pub fn several(names: &[String], page: Option<&Path>) -> Result<bool, Fault> {
    let all = names.is_empty();
    let chosen = BENCHES.iter().map(|(name, _)| *name);
    let chosen = chosen.filter(|name| all || names.iter().any(|wanted| wanted == name));
    let (mut all_kept, mut text) = (true, String::new());
    for name in chosen {
        println!("-- {name}");
        // A bench of its own process has its own SQLite, memory and CPU counters.
        let mut bench = Command::new(std::env::current_exe()?);
        bench.args(["bench", name, "--fields"]).stderr(Stdio::inherit());
        let output = bench.output()?;
        all_kept &= output.status.success();
        text += &format!(
            "\n## {name}\n\n| figure | measured | target | |\n| --- | --- | --- | --- |\n"
        );
        for figure in String::from_utf8(output.stdout)?.lines().filter_map(Figure::from_fields) {
            println!("{}", figure.line());
            text += &figure.row();
        }
    }
    if let Some(page) = page {
        std::fs::write(page, format!("{}{text}", figures_page::head(names)?))?;
    }
    Ok(all_kept)
}

/// Whether there is a bench of this name.
pub fn is_one(name: &str) -> bool {
    BENCHES.iter().any(|(known, _)| *known == name)
}

/// The names of all benches.
pub fn names() -> String {
    BENCHES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}
