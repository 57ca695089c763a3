//! The lab's commands, one for each room

use clap::{Parser, Subcommand};
use lab::{bench, check, demo, hold, pictures, replay, rows, simulate, text_fuzz, walk};
use selvedge_simulator::crew::Share;
use selvedge_simulator::scheme::{Mode, Order, Size};
use selvedge_simulator::swarm::Swarm;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The whole chain on one desk.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts HQ, stores and checkouts on this desk, with an index page. Ctrl-C ends them
    Demo {
        /// How many stores
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
        stores: u32,
        /// How many points of sale in each store
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=20))]
        pos: u32,
        /// The seed of the chain
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A folder that keeps the data, so that the next start goes on with it
        #[arg(long)]
        dir: Option<PathBuf>,
        /// The port of the index page
        #[arg(long, default_value_t = 7000)]
        port: u16,
        /// How many days of trade lie behind the stores
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=400))]
        days: u32,
        /// Tells a story of trouble without a person, and says whether all holds
        #[arg(long)]
        check: bool,
    },
    /// Rings a file of real invoices up, through the whole chain
    Replay {
        /// A CSV file with the columns of the UCI "Online Retail" file, plain or .gz
        file: PathBuf,
        /// How many stores
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
        stores: u32,
        /// How many points of sale in each store
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
        pos: u32,
        /// A folder that keeps the data: a second run adds nothing
        #[arg(long)]
        dir: Option<PathBuf>,
    },
    /// Runs the shop's own deeds in the simulator's world, one seed a run, and says what broke
    Simulate(Simulation),
    /// Measures, and prints each figure beside its target
    Bench {
        /// These benches alone
        names: Vec<String>,
        /// A page in Markdown for the figures
        #[arg(long)]
        write: Option<PathBuf>,
        /// Measures one in this process, for another to read
        #[arg(long, hide = true)]
        fields: bool,
    },
    /// Takes a picture of every screen, in every size, as PNG files
    Pictures {
        /// The folder for the files
        #[arg(long, default_value = "pictures")]
        dir: PathBuf,
        /// Only the screens whose name begins so
        #[arg(default_value = "")]
        only: String,
    },
    /// Measures every screen in a browser: sizes in millimetres, contrast, overflow, names
    Walk {
        /// Only the screens whose name begins so
        #[arg(default_value = "")]
        only: String,
    },
    /// Reads the test runner's report: which requirement rows have a test that ran and passed
    Rows {
        /// The report
        #[arg(long)]
        report: PathBuf,
        /// The folder of the sources
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
    /// Feeds imports and settings with mutants until it is stopped; counts add up per build
    Fuzz {
        /// Where it goes on, and adds up
        #[arg(long, default_value = "proof")]
        folder: PathBuf,
        /// Stops after the round in which these seconds of processor time have passed
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Ties a process to the lab that started it
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        parent: i32,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
}

/// Which runs of the shop, and how large.
#[derive(clap::Args)]
struct Simulation {
    /// Replays this run
    #[arg(long)]
    seed: Option<u64>,
    /// Runs this many seeds
    #[arg(long, default_value_t = 60)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Stores of the chain
    #[arg(long, default_value_t = Size::default().stores, value_parser = clap::value_parser!(u32).range(1..))]
    stores: u32,
    /// Points of sale of each store
    #[arg(long, default_value_t = Size::default().pos)]
    pos: u32,
    /// Virtual minutes with faults
    #[arg(long, default_value_t = Size::default().minutes, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Mean time between two deeds of one pos
    #[arg(long, default_value_t = Size::default().sale_every_ms, value_parser = clap::value_parser!(i64).range(1..))]
    sale_every_ms: i64,
    /// Only these kinds of fault, with commas between
    #[arg(long, value_parser = Swarm::parse)]
    faults: Option<Swarm>,
    /// Only safety or only liveness
    #[arg(long, value_parser = Mode::named)]
    mode: Option<Mode>,
    /// Processes; as many as there are processors unless given
    #[arg(long)]
    jobs: Option<u64>,
    /// Runs every so many-th seed and prints what another process reads
    #[arg(long, hide = true)]
    step: Option<u64>,
}

impl Simulation {
    fn run(&self) -> Result<bool, String> {
        let Simulation { stores, pos, minutes, sale_every_ms, .. } = *self;
        let size = Size { stores, pos, minutes, sale_every_ms };
        let order = Order { size, swarm: self.faults, mode: self.mode };
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let jobs = self.jobs.unwrap_or(processors).max(1);
        let share = Share { from: self.from, seeds: self.seeds, jobs };
        match (self.seed, self.step) {
            (Some(seed), _) => Ok(simulate::replay(seed, &order)),
            (None, Some(step)) => {
                simulate::work(share, step.max(1), &order);
                Ok(true)
            }
            (None, None) => simulate::run_many(share, &order),
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    match command {
        Command::Demo { stores, pos, seed, dir, check: true, .. } => {
            let all_hold = check::run(&check::Check { stores, pos, seed, dir })?;
            Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Demo { stores, pos, seed, dir, port, days, check: false } => {
            demo::show(&demo::Tour { stores, pos, seed, dir, port, days })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay { file, stores, pos, dir } => {
            let all_hold = replay::run(&replay::Replay { file, stores, pos, dir })?;
            Ok(if all_hold { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Simulate(simulation) => {
            Ok(if simulation.run()? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Bench { names, write, fields } => {
            let kept = measure(&names, write.as_deref(), fields)?;
            Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Pictures { dir, only } => {
            pictures::take(&dir, &only)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Walk { only } => {
            let walk = walk::walk(&only)?;
            print!("{}", walk.text());
            Ok(if walk.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Rows { report, root } => show_rows(&root, &report),
        Command::Fuzz { folder, seconds } => {
            let is_well = text_fuzz::go_on(&folder, seconds)?;
            Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Hold { parent, program } => match program.split_first() {
            Some((program, arguments)) => {
                Err(hold::become_program(parent, program, arguments).into())
            }
            None => Err("name the program behind --".into()),
        },
    }
}

/// One bench alone runs in this process.
fn measure(
    names: &[String],
    page: Option<&Path>,
    fields: bool,
) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
    if let Some(name) = names.iter().find(|name| !bench::is_one(name)) {
        return Err(format!("there is no bench {name}: there are {}", bench::names()).into());
    }
    match names {
        [name] if page.is_none() => bench::one(name, fields).ok_or("it is a bench")?,
        _ => bench::several(names, page),
    }
}

fn show_rows(
    root: &Path,
    report: &Path,
) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    let rows = rows::read(root, report)?;
    print!("{}", rows.text());
    Ok(if rows.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
