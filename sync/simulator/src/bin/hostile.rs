//! Feeds receivers and parsers with damaged bytes, and counts
//!
//! It goes on, round after round with other dice, until it is stopped or the seconds are over. What this build has tried
//! stands in the folder and is added up. The last line of each round says all of it.

use clap::Parser;
use selvedge_simulator::damage::{self, Tried};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::fuzz::{self, Fuzzed};
use selvedge_simulator::sums::{Sums, cpu_seconds};
use selvedge_simulator::{letters, papers};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Damaged messages that the long proof wants.
const WANTED: u64 = 100_000_000;

/// Mutants of each kind of message in a round, and of each parser.
const EACH: u64 = 20_000;

/// No parser may have more memory reserved than this beyond its first round.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// Damaged bytes for receivers and parsers.
#[derive(Parser)]
struct Options {
    /// Mutants of messages at the parsers alone, in place of messages with several faults at receivers.
    #[arg(long)]
    parsers: bool,
    /// Where it goes on, and adds up.
    #[arg(long, default_value = "proof")]
    folder: PathBuf,
    /// Stops after the round in which these seconds of processor time have passed.
    #[arg(long)]
    seconds: Option<u64>,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    let (word, numbers) = if options.parsers { ("parsers", 5) } else { ("messages", 4) };
    let mut sums = Sums::open(&options.folder, word, numbers)?;
    loop {
        let round = sums.numbers[0] + 1;
        let is_well =
            if options.parsers { parsers(round, &mut sums)? } else { messages(round, &mut sums)? };
        let over = options.seconds.is_some_and(|seconds| cpu_seconds() >= seconds);
        if !is_well || over {
            return Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
}

fn messages(round: u64, sums: &mut Sums) -> Result<bool, Box<dyn Error>> {
    let dice = Dice::new(round);
    let mut tried = Tried::default();
    for mut scene in letters::scenes().chain(papers::scenes()) {
        let mut dice = dice.split(&scene.name);
        tried.add(damage::some_of(&mut scene, EACH, &mut dice));
        let whole = scene.whole.clone();
        if !scene.takes(scene.kind, &whole) {
            tried.accepted.push(format!("{}: undamaged it is not taken any more", scene.name));
        }
    }
    let accepted = tried.accepted.len() as u64;
    sums.add(&[1, tried.mutants, tried.same, accepted])?;
    tried.accepted.iter().take(20).for_each(|found| println!("{found}"));
    println!(
        "build {}: {} rounds, {} of {WANTED} damaged messages, {} packed otherwise, {} accepted",
        sums.build, sums.numbers[0], sums.numbers[1], sums.numbers[2], sums.numbers[3]
    );
    Ok(accepted == 0)
}

fn parsers(round: u64, sums: &mut Sums) -> Result<bool, Box<dyn Error>> {
    // A parser that falls says so in its line; how it fell shows when the round is run again under a debugger.
    std::panic::set_hook(Box::new(|_| {}));
    fuzz::round(0, 200);
    let before = fuzz::peak_kib();
    let mut all = Fuzzed::default();
    for (_, fuzzed) in fuzz::round(round, EACH) {
        all.add(fuzzed);
    }
    let grown = fuzz::peak_kib().saturating_sub(before);
    let broken = all.broken.len() as u64;
    sums.add(&[1, all.tried, all.same, all.alike, broken])?;
    all.broken.iter().take(20).for_each(|found| println!("{found}"));
    println!(
        "build {}: {} rounds, {} inputs, {} written again as the same bytes, {} as the same thing, {} broke a promise, {grown} KiB of memory more",
        sums.build,
        sums.numbers[0],
        sums.numbers[1],
        sums.numbers[2],
        sums.numbers[3],
        sums.numbers[4]
    );
    Ok(broken == 0 && grown < GROWTH_KIB_MAX)
}
