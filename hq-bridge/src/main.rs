//! Puts the rooms of HQ together, one subcommand each

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use hq_bridge::commands::{self, CommandError};
use hq_bridge::config::{self, Config, ConfigError};
use hq_bridge::decisions::{self, Decision};
use hq_bridge::enrolment::Request;
use hq_bridge::figures;
use hq_bridge::import::FileKind;
use hq_bridge::run::{self, RunError};
use hq_bridge::tokens::{Scope, TokenWish};
use tracing_subscriber::EnvFilter;

/// Nothing was taken, or totals differ: not an error of the command.
const EXIT_NOTHING_TAKEN: u8 = 2;

/// HQ: hears every store and sends master data down.
#[derive(Parser)]
#[command(name = "hq-bridge", version)]
struct Cli {
    /// The settings file.
    #[arg(long, global = true, default_value = "hq.toml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints a settings file with every key, its default and its meaning.
    Config,
    /// Makes HQ's keys and its database. Again, it changes nothing.
    Init,
    /// Runs HQ.
    Run,
    /// Takes master data in from a CSV file. Refused rows are listed with their reason.
    Import {
        /// What the file holds.
        kind: FileKind,
        /// The CSV file.
        file: PathBuf,
    },
    /// Admits devices and lists them.
    Devices {
        #[command(subcommand)]
        command: Devices,
    },
    /// Makes, lists and revokes the tokens that open /v1.
    Tokens {
        #[command(subcommand)]
        command: Tokens,
    },
    /// Goes on as the next generation, after HQ's disk was lost and a backup was put back.
    Succeed {
        /// Which generation, when the one after the backup's was used before; left out, the next.
        #[arg(long)]
        generation: Option<u32>,
        /// Ends the taking back: HQ writes, whichever stores were heard.
        #[arg(long, conflicts_with = "generation")]
        now: bool,
    },
    /// Says how HQ is, and what needs a person.
    Status,
    /// Lists what is kept as proof and does not count: two pasts of one device, and what was written after its end.
    Forks,
    /// Prints the control totals of every device; exits 1 when any differs.
    Totals,
    /// The broker, as HQ starts it beside itself.
    #[command(hide = true)]
    Broker {
        /// Where it listens.
        #[arg(long)]
        listen: std::net::SocketAddrV4,
    },
}

#[derive(Subcommand)]
enum Devices {
    /// Admits a device and prints its admission file.
    Admit(Admit),
    /// Lists every device that was ever admitted.
    List,
    /// Ends a device whose machine is gone or replaced. What HQ has heard of it counts.
    Close(Whose),
    /// Ends a device that is no longer trusted. What HQ has heard of it counts.
    Revoke(Whose),
    /// Signs spare origins of a store: its back office hands one to a device that needs another one.
    Spare {
        /// The store.
        #[arg(long)]
        store: u32,
        /// For whom: pos or back-office.
        #[arg(long, default_value = "pos")]
        role: String,
        /// How many.
        #[arg(long, default_value_t = 2)]
        count: u32,
    },
    /// Says to whom a device reports, the first one first.
    Parents {
        /// The device.
        #[arg(long)]
        id: String,
        /// Its parents with commas between; empty: to the back office of its store, and that to HQ.
        #[arg(long, value_delimiter = ',')]
        to: Vec<String>,
    },
    /// Gives spare origins that were handed out to their devices for good, and closes those that they replace.
    Confirm {
        /// Only of this device.
        #[arg(long)]
        id: Option<String>,
    },
}

#[derive(Args)]
struct Whose {
    /// The device.
    #[arg(long)]
    id: String,
    /// One of its origins; left out, all that are not over yet.
    #[arg(long)]
    origin: Option<u32>,
}

#[derive(Subcommand)]
enum Tokens {
    /// Makes a token and prints it, this once. Only its hash is kept.
    Add {
        /// Who gets it: 1 to 40 of a-z, 0-9 and "-".
        #[arg(long)]
        name: String,
        /// What it allows.
        #[arg(long, default_value = "read")]
        scope: Scope,
    },
    /// Lists every token that was ever made.
    List,
    /// Revokes a token.
    Revoke {
        /// Whose.
        #[arg(long)]
        name: String,
    },
}

#[derive(Args)]
struct Admit {
    /// Its device id, such as s0001-p01.
    #[arg(long)]
    id: String,
    /// The store where it stands.
    #[arg(long)]
    store: u32,
    /// What it is there: pos or back-office.
    #[arg(long)]
    role: String,
    /// Its public key, as `appliance identity` prints it.
    #[arg(long)]
    key: String,
    /// The checkout code; left out, the device keeps its old one or gets the next free one.
    #[arg(long)]
    code: Option<String>,
    /// Where the admission file is written; left out, it is printed.
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match obey(cli) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("hq-bridge: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] ConfigError),
    #[error(transparent)]
    Command(#[from] CommandError),
    #[error(transparent)]
    Run(#[from] RunError),
}

fn obey(cli: Cli) -> Result<ExitCode, Failure> {
    let settings = || config::read(&cli.config);
    match cli.command {
        Command::Config => say(config::EXAMPLE),
        Command::Init => say(&format!("{}\n", commands::init(&settings()?)?)),
        Command::Run => {
            log_to_stderr();
            run::run(&settings()?)?;
        }
        Command::Import { kind, file } => return Ok(import(&settings()?, kind, &file)?),
        Command::Devices { command } => devices(&settings()?, command)?,
        Command::Status => say(&commands::status(&settings()?)?),
        Command::Forks => say(&commands::forks(&settings()?)?),
        Command::Tokens { command } => {
            let wish = match command {
                Tokens::Add { name, scope } => TokenWish::Add { name, scope },
                Tokens::List => TokenWish::List,
                Tokens::Revoke { name } => TokenWish::Revoke { name },
            };
            say(&commands::tokens(&settings()?, &wish)?);
        }
        Command::Succeed { generation, now } => {
            say(&commands::succeed(&settings()?, generation, now)?);
        }
        Command::Totals => {
            let totals = commands::totals(&settings()?)?;
            say(&figures::table(&totals));
            return Ok(if totals.agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Command::Broker { listen } => return Ok(run::broker(listen)),
    }
    Ok(ExitCode::SUCCESS)
}

fn devices(config: &Config, command: Devices) -> Result<(), CommandError> {
    let whose = |Whose { id, origin }| decisions::Whose { id, origin };
    let decision = match command {
        Devices::List => {
            say(&commands::devices(config)?);
            return Ok(());
        }
        Devices::Admit(Admit { id, store, role, key, code, out }) => {
            let text = commands::admit(config, &Request { id, store, role, key, code })?;
            match out {
                Some(path) => commands::write(&text, &path)?,
                None => say(&text),
            }
            return Ok(());
        }
        Devices::Close(of) => Decision::Close(whose(of)),
        Devices::Revoke(of) => Decision::Revoke(whose(of)),
        Devices::Spare { store, role, count } => Decision::Spare { store, role, count },
        Devices::Parents { id, mut to } => {
            to.retain(|name| !name.is_empty());
            Decision::Parents { id, to }
        }
        Devices::Confirm { id } => Decision::Confirm { id },
    };
    say(&commands::decide(config, &decision)?);
    Ok(())
}

/// Who has closed the standard output, as `head` does, wants to hear no more.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// `RUST_LOG` says how much; left out, what an operator should know.
fn log_to_stderr() {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info,rumqttd=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

fn import(
    config: &Config,
    kind: FileKind,
    file: &std::path::Path,
) -> Result<ExitCode, CommandError> {
    let summary = commands::import(config, kind, file, &mut std::io::stdout().lock())?;
    say(&format!("{}\n", commands::summary_text(kind, &summary)));
    Ok(if summary.taken == 0 { ExitCode::from(EXIT_NOTHING_TAKEN) } else { ExitCode::SUCCESS })
}
