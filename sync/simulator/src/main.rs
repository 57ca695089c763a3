//! Runs one seed or many, and says what broke
//!
//! `--seed N` replays one run. `--seeds COUNT` runs many, in as many processes as there are processors: SQLite keeps
//! one random generator per process, so a process runs one simulation at a time. The last line is the digest: the same
//! seed gives the same one, in any process and on any machine.

use clap::Parser;
use selvedge_simulator::figures::Figures;
use selvedge_simulator::scheme::Size;
use selvedge_simulator::world;
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};

/// Virtual replicas on virtual time, one seed a run.
#[derive(Parser)]
struct Options {
    /// Replays this run.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Runs this many seeds.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Stores of the chain.
    #[arg(long, default_value_t = Size::default().stores)]
    stores: u32,
    /// Points of sale of each store.
    #[arg(long, default_value_t = Size::default().pos)]
    pos: u32,
    /// Virtual minutes with faults.
    #[arg(long, default_value_t = Size::default().minutes)]
    minutes: u32,
    /// Mean time between two sales of one pos.
    #[arg(long, default_value_t = Size::default().sale_every_ms)]
    sale_every_ms: i64,
    /// Processes; as many as there are processors unless given.
    #[arg(long)]
    jobs: Option<u64>,
    /// Runs every so many-th seed and prints what another process reads.
    #[arg(long, hide = true)]
    step: Option<u64>,
}

impl Options {
    fn size(&self) -> Size {
        Size {
            stores: self.stores,
            pos: self.pos,
            minutes: self.minutes,
            sale_every_ms: self.sale_every_ms,
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if options.stores == 0 || options.sale_every_ms < 1 {
        return Err("a chain has at least one store, and time passes between two sales".into());
    }
    match (options.seed, options.step) {
        (Some(seed), _) => Ok(replay(seed, options.size())),
        (None, Some(step)) => {
            work(&options, step.max(1));
            Ok(ExitCode::SUCCESS)
        }
        (None, None) => share_out(&options),
    }
}

fn replay(seed: u64, size: Size) -> ExitCode {
    match world::run(seed, size) {
        Ok(report) => {
            println!("seed {seed}: {}", report.figures);
            println!("{}", hex(&report.digest));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a share of the seeds. One line each: what it was, then either digest and figures or what broke.
fn work(options: &Options, step: u64) {
    let mut seed = options.from;
    while seed < options.from + options.seeds {
        match world::run(seed, options.size()) {
            Ok(report) => {
                println!("ok {seed} {} {}", hex(&report.digest), report.figures.to_line())
            }
            Err(violation) => {
                println!("broken {seed} {}", violation.to_string().replace('\n', "\t"))
            }
        }
        seed += step;
    }
}

/// Gives each worker process every so many-th seed, and puts together what they say.
fn share_out(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = options.jobs.unwrap_or(processors).clamp(1, options.seeds.max(1));
    let workers =
        (0..jobs).map(|job| start(options, job, jobs)).collect::<Result<Vec<Child>, _>>()?;
    let (mut digests, mut broken, mut figures) =
        (BTreeMap::new(), BTreeMap::new(), Figures::default());
    for mut worker in workers {
        let lines = worker.stdout.take().ok_or("a worker has no output")?;
        for line in BufReader::new(lines).lines() {
            let line = line?;
            let (word, rest) = line.split_once(' ').ok_or("a worker said something odd")?;
            let (seed, rest) = rest.split_once(' ').ok_or("a worker named no seed")?;
            let seed: u64 = seed.parse()?;
            if word == "ok" {
                let (digest, numbers) = rest.split_once(' ').ok_or("a worker gave no figures")?;
                figures.add(&Figures::parse(numbers).ok_or("a worker's figures do not read")?);
                digests.insert(seed, digest.to_owned());
            } else {
                broken.insert(seed, rest.replace('\t', "\n"));
            }
        }
        if !worker.wait()?.success() {
            return Err(
                "a worker stopped before its last seed: run that seed alone to see why".into()
            );
        }
    }
    for text in broken.values() {
        println!("{text}\n");
    }
    println!("{figures}");
    println!("{} of {} seeds broke an invariant", broken.len(), options.seeds);
    let mut whole = blake3::Hasher::new();
    for (seed, digest) in &digests {
        whole.update(&seed.to_be_bytes()).update(digest.as_bytes());
    }
    println!("{}", hex(whole.finalize().as_bytes()));
    let complete = broken.is_empty() && digests.len() as u64 == options.seeds;
    Ok(if complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn start(options: &Options, job: u64, jobs: u64) -> std::io::Result<Child> {
    let size = options.size();
    let seeds = options.seeds - job;
    Command::new(std::env::current_exe()?)
        .args(["--seeds", &seeds.to_string(), "--from", &(options.from + job).to_string()])
        .args(["--step", &jobs.to_string()])
        .args(size.options().split_whitespace())
        .stdout(Stdio::piped())
        .spawn()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
