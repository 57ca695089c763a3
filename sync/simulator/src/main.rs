//! Runs one seed or many, and says what broke
//!
//! `--seed N` replays one run. `--seeds COUNT` runs many, in as many processes as there are processors: SQLite keeps
//! one random generator per process, so a process runs one simulation at a time. The last line is the digest: the same
//! seed gives the same one, in any process and on any machine.

use clap::Parser;
use selvedge_simulator::coverage::Coverage;
use selvedge_simulator::figures::Figures;
use selvedge_simulator::scheme::{Mode, Order, Size};
use selvedge_simulator::swarm::Swarm;
use selvedge_simulator::{shrink, surface, world};
use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

/// A failing run is tried again at most so often to make it small.
const SHRINK_RUNS: u32 = 60;

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
        let size = if self.days { Size::DAYS } else { size };
        Order { size, swarm: self.faults, mode: self.mode }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::parse();
    if options.stores == 0 || options.minutes == 0 || options.sale_every_ms < 1 {
        return Err("a chain has at least one store, and time passes between two sales".into());
    }
    surface::keep_in_files(options.files);
    match (options.seed, options.step) {
        (Some(seed), _) => Ok(replay(seed, &options)),
        (None, Some(step)) => {
            work(&options, step.max(1));
            Ok(ExitCode::SUCCESS)
        }
        (None, None) => share_out(&options),
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

/// Runs a share of the seeds. One line each: what it was, then either digest, figures and meetings, or what broke.
fn work(options: &Options, step: u64) {
    let order = options.order();
    let mut seed = options.from;
    while seed < options.from + options.seeds {
        match world::run_order(seed, &order) {
            Ok(report) => {
                let (figures, coverage) = (report.figures.to_line(), report.coverage.to_line());
                println!("ok {seed} {} {figures};{coverage}", hex(&report.digest));
            }
            Err(violation) => {
                let smaller = options.keep.as_ref();
                let smaller = smaller.and_then(|_| shrink::shrink(seed, &order, SHRINK_RUNS));
                let violation = smaller.map_or(violation, |smaller| smaller.violation);
                let line = violation.seed_line();
                println!("broken {seed} {}\r{line}", violation.to_string().replace('\n', "\t"));
            }
        }
        seed += step;
    }
}

/// What the workers have said.
#[derive(Default)]
struct Heard {
    digests: BTreeMap<u64, String>,
    broken: BTreeMap<u64, (String, String)>,
    figures: Figures,
    coverage: Coverage,
}

impl Heard {
    fn take(&mut self, line: &str) -> Result<(), Box<dyn Error>> {
        let (word, rest) = line.split_once(' ').ok_or("a worker said something odd")?;
        let (seed, rest) = rest.split_once(' ').ok_or("a worker named no seed")?;
        let seed: u64 = seed.parse()?;
        if word != "ok" {
            let (text, line) = rest.split_once('\r').ok_or("a worker gave no line for its seed")?;
            self.broken.insert(seed, (text.replace('\t', "\n"), line.to_owned()));
            return Ok(());
        }
        let (digest, numbers) = rest.split_once(' ').ok_or("a worker gave no figures")?;
        let (figures, coverage) = numbers.split_once(';').ok_or("a worker gave no meetings")?;
        self.figures.add(&Figures::parse(figures).ok_or("a worker's figures do not read")?);
        self.coverage.add(&Coverage::parse(coverage).ok_or("a worker's meetings do not read")?);
        self.digests.insert(seed, digest.to_owned());
        Ok(())
    }

    fn digest(&self) -> String {
        let mut whole = blake3::Hasher::new();
        for (seed, digest) in &self.digests {
            whole.update(&seed.to_be_bytes()).update(digest.as_bytes());
        }
        hex(whole.finalize().as_bytes())
    }
}

/// Gives each worker process every so many-th seed, and puts together what they say.
fn share_out(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let jobs = options.jobs.unwrap_or(processors).clamp(1, options.seeds.max(1));
    let workers =
        (0..jobs).map(|job| start(options, job, jobs)).collect::<Result<Vec<Child>, _>>()?;
    let mut heard = Heard::default();
    for mut worker in workers {
        let lines = worker.stdout.take().ok_or("a worker has no output")?;
        for line in BufReader::new(lines).lines() {
            heard.take(&line?)?;
        }
        if !worker.wait()?.success() {
            return Err(
                "a worker stopped before its last seed: run that seed alone to see why".into()
            );
        }
    }
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
        println!(
            "the rarest: {} met {} {met} times, at least {least} are wanted",
            mishap.name(),
            phase.name()
        );
    }
    println!("{} of {} seeds broke an invariant", heard.broken.len(), options.seeds);
    println!("{}", heard.digest());
    let is_whole = heard.broken.is_empty() && heard.digests.len() as u64 == options.seeds;
    let is_met = options.meetings.is_none_or(|least| rarest.2 >= least);
    Ok(if is_whole && is_met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn start(options: &Options, job: u64, jobs: u64) -> std::io::Result<Child> {
    let seeds = options.seeds - job;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["--seeds", &seeds.to_string(), "--from", &(options.from + job).to_string()])
        .args(["--step", &jobs.to_string()])
        .args(options.order().options().split_whitespace());
    if options.files {
        command.arg("--files");
    }
    if let Some(path) = &options.keep {
        command.arg("--keep").arg(path);
    }
    command.stdout(Stdio::piped()).spawn()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
