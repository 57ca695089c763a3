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
use selvedge_simulator::rare_trials;
use selvedge_simulator::sums::{Sums, cpu_seconds};
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
    /// Cuts each trial at so many operations at most, spread over it, and lets a quarter of these fail.
    #[arg(long)]
    most: Option<usize>,
}

/// How much of all that could be tried a round tries.
#[derive(Clone, Copy)]
struct Share {
    every: usize,
    faults_every: usize,
    most: usize,
}

impl Share {
    /// Every so many-th operation of a trial: where it is cut, and where it fails.
    fn steps(self, operations: usize) -> (usize, usize) {
        let spread = |most: usize| operations.div_ceil(most.max(1));
        let cut = self.every.max(spread(self.most));
        (cut, (self.every * self.faults_every).max(spread(self.most / 4)))
    }

    /// Every so many-th allocation.
    fn allocations_every(self) -> u64 {
        ALLOCATIONS_EVERY * self.every as u64 * if self.most < usize::MAX { 2 } else { 1 }
    }
}

impl Options {
    fn share(&self, faults_every: usize) -> Share {
        Share { every: self.every, faults_every, most: self.most.unwrap_or(usize::MAX) }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if options.every == 0 || options.most.is_some_and(|most| most < 4) {
        return Err("every so many-th operation is the first, second or a later one, and at least 4 are most".into());
    }
    if !memory::install() {
        return Err("SQLite was used before its memory could be taken over".into());
    }
    match &options.proof {
        None => {
            let (tally, noticed) = round(options.share(FAULTS_EVERY), 1);
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

/// Says on the other channel what is done, so that nobody waits in the dark.
fn progress(what: &str, done: &dyn std::fmt::Display) {
    eprintln!("{:5} s  {what}: {done}", cpu_seconds());
}

/// Everything once. Cuts and faults are the same in each round but for what the dice take of unsynced writes.
fn round(share: Share, number: u64) -> (Tally, Noticed) {
    let mut dice = Dice::new(number);
    let mut tally = Tally::default();
    let all =
        |way| engine_trials::in_this_way(way).into_iter().chain(rare_trials::in_this_way(way));
    for (place, way) in engine_trials::WAYS.into_iter().enumerate() {
        for trial in all(way) {
            let (cut, fail) = share.steps(trial.operations() as usize);
            tally.add(trial.cut(cut, &mut dice));
            tally.add(trial.fail(fail, &mut dice));
            progress(&trial.name, &tally);
            if place == 1 {
                tally.add(trial.starve(share.allocations_every(), &mut dice));
                progress(&trial.name, &tally);
            }
        }
    }
    let every = share.every as u64;
    let (file, log) = (Victim::file(), Victim::log());
    let mut noticed = file.flip(FLIPS.0 / every, &mut dice);
    progress("flips in the file", &noticed);
    noticed.add(log.flip(FLIPS.1 / every, &mut dice));
    progress("flips in the log", &noticed);
    noticed.add(file.lose(500 / every, &mut dice));
    (tally, noticed)
}

fn go_on(folder: &Path, options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let mut sums = Sums::open(folder, "disk", 6)?;
    let begun = cpu_seconds();
    loop {
        let (tally, noticed) = round(options.share(1), sums.numbers[0] + 1);
        let Tally { points, images, faults, allocations, .. } = tally;
        sums.add(&[1, points, images, faults, allocations, noticed.flips])?;
        let is_well = said(&tally, &noticed);
        let end = if is_well { "nothing lost" } else { "LOST" };
        let [rounds, points, images, faults, allocations, flips] = sums.numbers[..] else {
            return Err("there are six sums".into());
        };
        println!(
            "build {}: {rounds} rounds, {points} points, {images} images, {faults} faults, {allocations} allocations failed, {flips} flips, {end}",
            sums.build
        );
        let over = options.minutes.is_some_and(|minutes| cpu_seconds() - begun >= minutes * 60);
        if !is_well || over {
            return Ok(code(is_well));
        }
    }
}
