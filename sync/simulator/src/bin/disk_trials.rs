//! Tries cuts, faults and flipped bits, counts the losses
//!
//! Without a folder it makes one round, which is a gate: it says what it has tried, and fails if anything was lost or too
//! little was tried. With a folder it goes on, round after round with other dice, until it is stopped or the minutes are
//! over; what it has counted for this build stands in the folder and is added up.

use clap::Parser;
use selvedge_simulator::dice::Dice;
use selvedge_simulator::engine_trials;
use selvedge_simulator::flips::{Noticed, Victim};
use selvedge_simulator::memory;
use selvedge_simulator::trials::Tally;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bits of the file and of the log that a round flips.
const FLIPS: (u64, u64) = (20_000, 4_000);

/// Of the operations, the gate lets every so many-th fail.
const FAULTS_EVERY: usize = 5;

/// Of the allocations, a round lets every so many-th fail: opening a database alone has thousands.
const ALLOCATIONS_EVERY: u64 = 211;

/// What the gate must at least have tried: points, faults, allocations, flips.
const GATE: [u64; 4] = [5_000, 5_000, 500, 20_000];

/// Cuts, faults and flipped bits at every operation of the engine's transactions.
#[derive(Parser)]
struct Options {
    /// Goes on until it is stopped, and adds up here.
    #[arg(long)]
    proof: Option<PathBuf>,
    /// Stops after the round in which these minutes have passed.
    #[arg(long, requires = "proof")]
    minutes: Option<u64>,
    /// Takes every so many-th operation only.
    #[arg(long, default_value_t = 1)]
    every: usize,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if options.every == 0 {
        return Err("every so many-th operation is the first, second or a later one".into());
    }
    if !memory::install() {
        return Err("SQLite was used before its memory could be taken over".into());
    }
    match &options.proof {
        None => {
            let (tally, noticed) = round(options.every, FAULTS_EVERY, 1);
            println!("{tally}");
            println!("{noticed}");
            let tried = [tally.points, tally.faults, tally.allocations, noticed.flips];
            let enough =
                options.every > 1 || tried.iter().zip(GATE).all(|(tried, least)| *tried >= least);
            Ok(code(said(&tally, &noticed) && enough))
        }
        Some(folder) => go_on(folder, &options),
    }
}

fn code(is_well: bool) -> ExitCode {
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Names what was lost; true when nothing was.
fn said(tally: &Tally, noticed: &Noticed) -> bool {
    let all = tally.lost.iter().chain(&noticed.missed);
    all.clone().take(20).for_each(|lost| println!("{lost}"));
    all.count() == 0
}

/// Everything once. Cuts and faults are the same in each round but for what the dice take of unsynced writes.
fn round(every: usize, faults_every: usize, number: u64) -> (Tally, Noticed) {
    let mut dice = Dice::new(number);
    let mut tally = Tally::default();
    for trial in engine_trials::all() {
        tally.add(trial.cut(every, &mut dice));
        tally.add(trial.fail(every * faults_every, &mut dice));
    }
    for trial in engine_trials::in_this_way(engine_trials::WAYS[1]) {
        tally.add(trial.starve(ALLOCATIONS_EVERY * every as u64, &mut dice));
    }
    let every = every as u64;
    let (file, log) = (Victim::file(), Victim::log());
    let mut noticed = file.flip(FLIPS.0 / every, &mut dice);
    noticed.add(log.flip(FLIPS.1 / every, &mut dice));
    noticed.add(file.lose(500 / every, &mut dice));
    (tally, noticed)
}

fn go_on(folder: &Path, options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let build = build()?;
    let file = folder.join(format!("disk-{}.txt", &build[..16]));
    let begun = cpu_minutes();
    let mut sums: Vec<u64> = match std::fs::read_to_string(&file) {
        Ok(text) => text.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
        Err(_) => Vec::new(),
    };
    sums.resize(6, 0);
    loop {
        let (tally, noticed) = round(options.every, 1, sums[0] + 1);
        let new = [1, tally.points, tally.images, tally.faults, tally.allocations, noticed.flips];
        sums.iter_mut().zip(new).for_each(|(sum, new)| *sum += new);
        let is_well = said(&tally, &noticed);
        let words: Vec<String> = sums.iter().map(u64::to_string).collect();
        let beside = file.with_extension("new");
        std::fs::write(&beside, words.join(" "))?;
        std::fs::rename(&beside, &file)?;
        println!(
            "build {}: {} rounds, {} points, {} images, {} faults, {} allocations failed, {} flips, {}",
            &build[..16],
            sums[0],
            sums[1],
            sums[2],
            sums[3],
            sums[4],
            sums[5],
            if is_well { "nothing lost" } else { "LOST" }
        );
        let over = options.minutes.is_some_and(|minutes| cpu_minutes() - begun >= minutes);
        if !is_well || over {
            return Ok(code(is_well));
        }
    }
}

/// A name for this build: what is added up belongs to one program.
fn build() -> Result<String, Box<dyn Error>> {
    let program = std::fs::read(std::env::current_exe()?)?;
    Ok(blake3::hash(&program).to_hex().to_string())
}

/// Minutes of processor time that this process has used. The simulator has no clock.
fn cpu_minutes() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    ticks / 100 / 60
}
