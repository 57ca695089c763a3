//! Runs one seed or many, and says what broke
//!
//! `--seed N` replays one run. `--seeds COUNT` runs many, in as many processes as there are processors: SQLite keeps
//! one random generator per process, so a process runs one simulation at a time. The last line is the digest: the same
//! seed gives the same one, in any process and on any machine.

use clap::Parser;
use selvedge_simulator::crew::{self, Share, hex};
use selvedge_simulator::scheme::{Mode, Order, Size};
use selvedge_simulator::swarm::Swarm;
use selvedge_simulator::{mutants, proof, surface, world};
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

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
    /// Runs of store-days: stores that sell for several days each.
    #[arg(long, conflicts_with_all = ["stores", "pos", "minutes", "sale_every_ms"])]
    days: bool,
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
    /// Only these kinds of fault, with commas between; otherwise each seed has its own.
    #[arg(long, value_parser = Swarm::parse)]
    faults: Option<Swarm>,
    /// Only safety or only liveness; otherwise each seed has its own.
    #[arg(long, value_parser = Mode::named)]
    mode: Option<Mode>,
    /// Keeps all disks in files instead of memory. The digest is the same.
    #[arg(long)]
    files: bool,
    /// Makes each failing run small, and adds it to this file of seeds.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Says how often each kind of fault met each state, and fails if a pair met less often than this.
    #[arg(long)]
    meetings: Option<u64>,
    /// Goes on with the long proof in this folder: so many further seeds, in runs of store-days.
    #[arg(long, conflicts_with_all = ["seed", "from", "stores", "pos", "minutes", "sale_every_ms"])]
    proof: Option<PathBuf>,
    /// Tries so many further mutants of the engine's source in this folder, as many as `--seeds` says.
    #[arg(long, conflicts_with_all = ["seed", "proof"])]
    mutants: Option<PathBuf>,
    /// Processes; as many as there are processors unless given.
    #[arg(long)]
    jobs: Option<u64>,
    /// Runs every so many-th seed and prints what another process reads.
    #[arg(long, hide = true)]
    step: Option<u64>,
}

impl Options {
    fn order(&self) -> Order {
        let size = Size {
            stores: self.stores,
            pos: self.pos,
            minutes: self.minutes,
            sale_every_ms: self.sale_every_ms,
        };
        let is_days = self.days || self.proof.is_some();
        let size = if is_days { Size::DAYS } else { size };
        Order { size, swarm: self.faults, mode: self.mode }
    }

    fn jobs(&self) -> u64 {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        self.jobs.unwrap_or(processors).max(1)
    }

    /// What a worker needs besides its seeds.
    fn of_worker(&self) -> Vec<String> {
        let order = self.order().options();
        let mut words: Vec<String> = order.split_whitespace().map(str::to_owned).collect();
        if self.files {
            words.push("--files".to_owned());
        }
        if self.keep.is_some() || self.proof.is_some() {
            words.extend(["--keep", "-"].map(str::to_owned));
        }
        words
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if options.stores == 0 || options.minutes == 0 || options.sale_every_ms < 1 {
        return Err("a chain has at least one store, and time passes between two sales".into());
    }
    if let Some(folder) = &options.mutants {
        println!("{}", mutants::go_on(folder, options.seeds)?);
        return Ok(ExitCode::SUCCESS);
    }
    surface::keep_in_files(options.files);
    match (options.seed, options.step) {
        (Some(seed), _) => Ok(replay(seed, &options)),
        (None, Some(step)) => {
            let share = Share { from: options.from, seeds: options.seeds, jobs: 1 };
            let make_small = options.keep.is_some() || options.proof.is_some();
            crew::work(share, step.max(1), &options.order(), make_small, world::run_order);
            Ok(ExitCode::SUCCESS)
        }
        (None, None) => match &options.proof {
            Some(folder) => prove(&options, folder),
            None => run_many(&options),
        },
    }
}

fn replay(seed: u64, options: &Options) -> ExitCode {
    let order = options.order();
    println!(
        "seed {seed}: faults {}, {}",
        order.faults(seed).swarm,
        order.faults(seed).mode.name()
    );
    match world::run_order(seed, &order) {
        Ok(report) => {
            println!("{}", report.figures);
            println!("{}", hex(&report.digest));
            ExitCode::SUCCESS
        }
        Err(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}

/// Runs many seeds, and says what broke, what was counted and what met.
fn run_many(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let share = Share { from: options.from, seeds: options.seeds, jobs: options.jobs() };
    let heard = crew::share_out(share, &options.of_worker())?;
    for (text, line) in heard.broken.values() {
        println!("{text}\n");
        if let Some(path) = &options.keep {
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
            writeln!(file, "{line}")?;
        }
    }
    println!("{}", heard.figures);
    let rarest = heard.coverage.rarest();
    if let Some(least) = options.meetings {
        println!("{}", heard.coverage);
        let (mishap, phase, met) = rarest;
        let names = (mishap.name(), phase.name());
        println!("the rarest: {} met {} {met} times, wanted are {least}", names.0, names.1);
    }
    println!("{} of {} seeds broke an invariant", heard.broken.len(), options.seeds);
    println!("{}", heard.digest());
    let is_whole = heard.broken.is_empty() && heard.digests.len() as u64 == options.seeds;
    let is_met = options.meetings.is_none_or(|least| rarest.2 >= least);
    Ok(if is_whole && is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn prove(options: &Options, folder: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let proof = proof::go_on(folder, options.seeds, options.jobs(), &options.of_worker())?;
    println!("{proof}");
    Ok(if proof.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
