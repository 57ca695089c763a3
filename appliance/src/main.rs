//! Puts the rooms together by role

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use appliance::baskets::{self, Baskets};
use appliance::clock;
use appliance::config::{Config, DeviceRole};
use appliance::database::{self, Database, Setup};
use appliance::keys;
use appliance::page::{Page, Shared};
use appliance::server;
use appliance::settings;
use appliance::status;
use clap::{Parser, Subcommand};
use selvedge_sync::admission::Admission;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::origin::{DeviceId, Role};
use selvedge_sync::rebuilt;
use selvedge_sync::talk::{HubSettings, Now};
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::broker::{self, BrokerSettings};
use selvedge_transport::broker_child::{BrokerChild, WatchSettings};
use tokio::signal::unix::{SignalKind, signal};

/// How long `appliance status` waits for the running one.
const ANSWER_MS_MAX: u64 = 2_000;

/// The program on every back office and pos.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the device until it is told to end.
    Run(ConfigFile),
    /// Makes the device's key at its first use, and prints its public half.
    Identity(ConfigFile),
    /// Says queue, last contact, vector, and why this device is behind.
    Status(ConfigFile),
    /// Prints a settings file with every key and its meaning.
    Settings,
    /// The broker of a back office. Started by `run`; ends with it.
    Broker {
        /// Where it listens.
        #[arg(long)]
        listen: SocketAddrV4,
    },
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// The settings file.
    #[arg(long)]
    config: PathBuf,
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Run(file) => run(&file.config),
        Command::Identity(file) => identity(&file.config),
        Command::Status(file) => print_status(&file.config),
        Command::Settings => {
            print!("{}", settings::manual());
            Ok(())
        }
        Command::Broker { listen } => {
            return match broker::serve(&BrokerSettings::at(*listen)) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("appliance: {error}");
                    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
                }
            };
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("appliance: {error}");
            ExitCode::FAILURE
        }
    }
}

fn identity(file: &Path) -> Outcome {
    let config = Config::read(file)?;
    let keys = keys::load_or_make(&config.data)?;
    println!("key {}\nclass {}", hex::encode(keys.public()), keys.class().as_str());
    Ok(())
}

/// The admission of this device, checked against its settings.
fn admission(config: &Config) -> Result<Admission, Box<dyn std::error::Error>> {
    let path = config.admission.display();
    let text = std::fs::read_to_string(&config.admission).map_err(|cause| {
        format!("the admission file {path} cannot be read ({cause}): have HQ admit this device with `hq-bridge devices admit`, and put the file there")
    })?;
    let admission =
        Admission::parse(&text).map_err(|fault| format!("the admission file {path}: {fault}"))?;
    let own = admission.own();
    let role = match config.role {
        DeviceRole::Pos => Role::Pos,
        DeviceRole::BackOffice => Role::BackOffice,
    };
    if own.device.as_str() != config.device || own.role != role {
        return Err(format!(
            "the admission file {path} is of {} ({}), the settings are of {} ({}): name the right file",
            own.device.as_str(),
            own.role.as_str(),
            config.device,
            role.as_str()
        )
        .into());
    }
    Ok(admission)
}

fn run(file: &Path) -> Outcome {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,rumqttd=error,rumqttc=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config::read(file)?;
    let admission = admission(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(run_device(config, &admission));
    // A page that still listens must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}

async fn run_device(config: Config, admission: &Admission) -> Outcome {
    let listener = server::listen(config.listen).await?;
    let broker = start_broker(&config)?;
    let children = match (&broker, &config.external_broker) {
        (Some(child), _) => Some(child.address().clone()),
        (None, Some(address)) => Some(BrokerAddress::parse(address)?),
        (None, None) => None,
    };
    let keys: Arc<dyn DeviceKeys> = Arc::new(keys::load_or_make(&config.data)?);
    let parent = config.parent.as_deref().map(BrokerAddress::parse).transpose()?;
    let above = above(&config)?;
    let beat_ms = config.beat_ms;
    let setup = Setup { folder: &config.data, admission, keys, parent, above, children, beat_ms };
    let database = Database::start(setup, &tokio::runtime::Handle::current())?;
    let baskets = Baskets::open(&config.data.join(baskets::FILE_NAME))?;
    let address = config.listen;
    let shared = Arc::new(Shared::new(config, database, baskets, clock::wall_ms)?);
    println!("ready http://{address}/");
    std::io::stdout().flush()?;
    let mut ended = signal(SignalKind::terminate())?;
    let outcome: Outcome = tokio::select! {
        served = server::serve(listener, Page(Arc::clone(&shared))) => served.map_err(Into::into),
        reason = shared.database.ended() => Err(reason.into()),
        _ = ended.recv() => Ok(()),
        asked = tokio::signal::ctrl_c() => asked.map_err(Into::into),
    };
    tokio::task::spawn_blocking(move || shared.database.stop()).await?;
    drop(broker);
    outcome
}

/// The brokers of those that may be the parent.
fn above(config: &Config) -> Result<Vec<(DeviceId, BrokerAddress)>, Box<dyn std::error::Error>> {
    let named = config.parents.iter();
    named.map(|(device, at)| Ok((DeviceId::new(device)?, BrokerAddress::parse(at)?))).collect()
}

fn start_broker(config: &Config) -> Result<Option<BrokerChild>, Box<dyn std::error::Error>> {
    match config.broker_listen {
        None => Ok(None),
        Some(SocketAddr::V4(address)) => Ok(Some(BrokerChild::start(WatchSettings::at(address))?)),
        Some(SocketAddr::V6(_)) => {
            Err("broker_listen must be an IPv4 address such as 127.0.0.1:1883".into())
        }
    }
}

fn print_status(file: &Path) -> Outcome {
    let config = Config::read(file)?;
    if let Some(text) = ask(config.listen, &config.device) {
        print!("{text}");
        return Ok(());
    }
    let admission = admission(&config)?;
    let keys: Arc<dyn DeviceKeys> = Arc::new(keys::load_or_make(&config.data)?);
    let class = keys.class().as_str();
    let replica = database::open(&config.data, &admission, keys)?;
    let settings = HubSettings {
        has_parent: config.parent.is_some() || !config.parents.is_empty(),
        ..HubSettings::default()
    };
    let hub = Hub::new(&replica, settings, 0)?;
    let now = Now { wall: Millis(clock::wall_ms()), steady: Millis(clock::steady_ms()) };
    let stopped = hub.status(&replica, now);
    println!("not running: this is what the database says");
    let label = &admission.own().label;
    let rebuilt = rebuilt::read(&config.data.join(database::FILE_NAME));
    let status = status::of(replica.identity(), label, class, &stopped, rebuilt.as_ref());
    print!("{}", status::text(&status));
    Ok(())
}

/// Asks the running one, if it is this device that answers there.
fn ask(address: SocketAddr, device: &str) -> Option<String> {
    let limit = Duration::from_millis(ANSWER_MS_MAX);
    let mut line = TcpStream::connect_timeout(&address, limit).ok()?;
    line.set_read_timeout(Some(limit)).ok()?;
    let request =
        format!("GET /status.txt HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    line.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    line.read_to_string(&mut answer).ok()?;
    let (head, text) = answer.split_once("\r\n\r\n")?;
    (head.contains(" 200 ") && text.starts_with(&format!("device {device} ")))
        .then(|| text.to_owned())
}
