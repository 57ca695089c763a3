//! The lab's commands, one for each room

use clap::{Parser, Subcommand};
use lab::{bench, check, demo, hold, pictures, replay, rows, walk};
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
    /// Measures, and prints each figure beside its target
    Bench {
        /// One bench alone
        name: Option<String>,
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
    /// Ties a process to the lab that started it
    #[command(hide = true)]
    Hold {
        #[arg(long)]
        parent: i32,
        #[arg(last = true)]
        program: Vec<OsString>,
    },
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
        Command::Bench { name } => {
            let kept = match &name {
                None => bench::all(),
                Some(name) => bench::one(name).unwrap_or_else(|| {
                    Err(format!("there are the benches {}", bench::names()).into())
                }),
            };
            Ok(if kept? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
        Command::Hold { parent, program } => match program.split_first() {
            Some((program, arguments)) => {
                Err(hold::become_program(parent, program, arguments).into())
            }
            None => Err("name the program behind --".into()),
        },
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
