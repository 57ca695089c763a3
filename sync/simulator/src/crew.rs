//! Shares seeds out to processes and adds up what they say
//!
//! SQLite keeps one random generator per process, so a process runs one simulation at a time.

use crate::coverage::Coverage;
use crate::figures::Figures;
use crate::scheme::Order;
use crate::shrink;
use crate::verdict::Violation;
use crate::world::Report;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// A failing run is tried again at most so often to make it small.
const SHRINK_RUNS: u32 = 60;

/// From so many seeds on people want to know how far it is.
const WORTH_WAITING: u64 = 50;

/// Seeds, and how they are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// How many processes.
    pub jobs: u64,
}

/// What happened in many runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The digest of each seed that broke nothing.
    pub digests: BTreeMap<u64, String>,
    /// What the others broke: for people, and as a line for the file of seeds.
    pub broken: BTreeMap<u64, (String, String)>,
    /// What was counted.
    pub figures: Figures,
    /// Which fault met which state.
    pub coverage: Coverage,
}

impl Heard {
    /// Takes in one line of a worker.
    pub fn take(&mut self, line: &str) -> Result<(), String> {
        let odd = || format!("a worker said something odd: {line}");
        let (word, rest) = line.split_once(' ').ok_or_else(odd)?;
        let (seed, rest) = rest.split_once(' ').ok_or_else(odd)?;
        let seed: u64 = seed.parse().map_err(|_| odd())?;
        if word != "ok" {
            let (text, line) = rest.split_once('\r').ok_or_else(odd)?;
            self.broken.insert(seed, (text.replace('\t', "\n"), line.to_owned()));
            return Ok(());
        }
        let (digest, numbers) = rest.split_once(' ').ok_or_else(odd)?;
        let (figures, coverage) = numbers.split_once(';').ok_or_else(odd)?;
        self.figures.add(&Figures::parse(figures).ok_or_else(odd)?);
        self.coverage.add(&Coverage::parse(coverage).ok_or_else(odd)?);
        self.digests.insert(seed, digest.to_owned());
        Ok(())
    }

    /// Tells people who wait how far it is, ten times in all.
    fn say_how_far(&self, seeds: u64) {
        let (done, step) = ((self.digests.len() + self.broken.len()) as u64, seeds.div_ceil(10));
        if seeds >= WORTH_WAITING && done.is_multiple_of(step) {
            eprintln!("{done} of {seeds} seeds, {} broke an invariant", self.broken.len());
        }
    }

    /// One digest for all.
    pub fn digest(&self) -> String {
        let mut whole = blake3::Hasher::new();
        for (seed, digest) in &self.digests {
            whole.update(&seed.to_be_bytes()).update(digest.as_bytes());
        }
        hex(whole.finalize().as_bytes())
    }
}

/// Runs every so many-th seed and prints a line each: what it was, then either digest, figures and meetings, or what
/// broke, made small if that is wanted.
pub fn work(
    share: Share,
    step: u64,
    order: &Order,
    make_small: bool,
    run: impl Fn(u64, &Order) -> Result<Report, Box<Violation>>,
) {
    let mut seed = share.from;
    while seed < share.from + share.seeds {
        match run(seed, order) {
            Ok(report) => {
                let (figures, coverage) = (report.figures.to_line(), report.coverage.to_line());
                println!("ok {seed} {} {figures};{coverage}", hex(&report.digest));
            }
            Err(violation) => {
                let smaller = make_small
                    .then(|| shrink::shrink(order, SHRINK_RUNS, |order| run(seed, order).err()));
                let violation = smaller.flatten().map_or(violation, |smaller| smaller.violation);
                let line = violation.seed_line();
                println!("broken {seed} {}\r{line}", violation.to_string().replace('\n', "\t"));
            }
        }
        seed += step;
    }
}

/// Gives each worker process every so many-th seed, and puts together what they say. The options are what a worker
/// needs besides its seeds.
pub fn share_out(share: Share, options: &[String]) -> Result<Heard, String> {
    let jobs = share.jobs.clamp(1, share.seeds.max(1));
    let said = |cause: std::io::Error| format!("a worker did not run: {cause}");
    let workers = (0..jobs).map(|job| start(share, job, jobs, options));
    let workers: Vec<Child> = workers.collect::<Result<_, _>>().map_err(said)?;
    let mut heard = Heard::default();
    let (tell, lines) = mpsc::channel();
    // All are heard at once: a worker whose pipe is full stands still.
    let mut listened = Vec::new();
    for mut worker in workers {
        let output = worker.stdout.take().ok_or("a worker has no output")?;
        let tell = tell.clone();
        let listen = move || BufReader::new(output).lines().try_for_each(|line| tell.send(line));
        listened.push((worker, thread::spawn(listen)));
    }
    drop(tell);
    for line in lines {
        heard.take(&line.map_err(said)?)?;
        heard.say_how_far(share.seeds);
    }
    for (mut worker, listener) in listened {
        let heard_all = listener.join().is_ok_and(|sent| sent.is_ok());
        if !worker.wait().map_err(said)?.success() || !heard_all {
            return Err(
                "a worker stopped before its last seed: run that seed alone to see why".to_owned()
            );
        }
    }
    Ok(heard)
}

fn start(share: Share, job: u64, jobs: u64, options: &[String]) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .args(options)
        .args(["--seeds", &(share.seeds - job).to_string()])
        .args(["--from", &(share.from + job).to_string()])
        .args(["--step", &jobs.to_string()])
        .stdout(Stdio::piped())
        .spawn()
}

/// Bytes as people read them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
