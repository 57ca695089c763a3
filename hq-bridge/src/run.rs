//! Runs HQ: broker, line, pages, and the check of the totals

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::talk::HubSettings;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::broker::{BrokerError, BrokerSettings, serve};
use selvedge_transport::broker_child::{BrokerChild, WatchSettings};
use selvedge_transport::engine::{Engine, EngineSettings, SecondCopy as KeepTwice, StartError};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, Notify};

use crate::authority::{self, KeysError};
use crate::config::{Broker, Config};
use crate::database::{self, Database, DatabaseError};
use crate::door::{Door, DoorError};
use crate::hq::{self, Hq};
use crate::second_copy::{SecondCopy, SecondCopyError};
use crate::{enrolment, freshness, routes, succession};

/// How often the totals are compared when nobody asks.
const TOTALS_PAUSE_S: u64 = 10;

/// So often only new statements are looked at, then all of them: what was altered at HQ afterwards is found too.
const ROUNDS_UNTIL_ALL: u64 = 60;

/// How often it is kept when each store was last known whole. HQ's restart makes that at most so much older.
const KEEP_PAUSE_S: u64 = 10;

/// Rows that are applied in one transaction. Nobody stands at a till here, so it may be much: each costs a sync,
/// and the pages behind which a thousand devices write are written once for all of them.
pub const SLICE_ROWS: usize = 30_000;

/// How often sums and stock catch up with the receipts when nobody asks for them.
const DERIVE_PAUSE_S: u64 = 2;

/// How often a restored HQ looks whether every store was heard.
const RECALL_PAUSE_S: u64 = 5;

/// How long the pages may take to end.
const END_WAIT_S: u64 = 5;

/// Why HQ does not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There are no keys.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database is in use or damaged.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The broker does not start.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The commands would not find it.
    #[error(transparent)]
    Door(#[from] DoorError),
    /// The pages have no address.
    #[error(
        "the pages cannot listen on {address}: {why}; end the program that is there, or change `listen`"
    )]
    Listen {
        /// The address of the settings.
        address: std::net::SocketAddr,
        /// What the system said.
        why: std::io::Error,
    },
    /// The second copy cannot be kept.
    #[error(transparent)]
    SecondCopy(#[from] SecondCopyError),
    /// The engine does not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The engine has ended, and HQ with it.
    #[error("{0}")]
    Engine(String),
    /// The system refused something that it usually gives.
    #[error("HQ could not start: {0}")]
    System(String),
}

/// Runs the broker, as HQ starts it beside itself.
pub fn broker(listen: SocketAddrV4) -> ExitCode {
    match serve(&BrokerSettings::at(listen)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(u8::try_from(why.exit_code()).unwrap_or(1))
        }
    }
}

/// Runs HQ until it is asked to end.
pub fn run(config: &Config) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|why| RunError::System(why.to_string()))?;
    runtime.block_on(live(config))
}

async fn live(config: &Config) -> Result<(), RunError> {
    let keys = authority::read(&config.data)?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|why| RunError::Listen { address: config.listen, why })?;
    let address = listener.local_addr().map_err(|why| RunError::System(why.to_string()))?;
    let replica = database::replica(config, &keys)?;
    let (broker, at) = broker_of(config)?;
    let hub =
        HubSettings { beat_ms: config.beat_ms, slice_rows: SLICE_ROWS, ..HubSettings::default() };
    let recalls = replica.recalls().is_some();
    let settings = EngineSettings {
        hub,
        children: Some(at.clone()),
        second_copy: second_copy_of(config, &keys.authority.public())?,
        ..EngineSettings::default()
    };
    let engine = Engine::start(replica, settings, &Handle::current())?;
    let database = Database::Running {
        engine: engine.clone(),
        broker: broker.as_ref().map(BrokerChild::status),
    };
    let door = Door::new(address).map_err(|why| RunError::System(why.to_string()))?;
    let open = door.open(&config.data)?;
    let hq = Arc::new(Hq {
        name: config.name.as_str().to_string(),
        data: config.data.clone(),
        database,
        readers: std::sync::Mutex::default(),
        authority: Arc::clone(&keys.authority),
        door,
        importing: Mutex::new(()),
        look_again: Notify::new(),
        contacts: Box::new(Database::contacts),
        checked: std::sync::Mutex::default(),
        admitted: std::sync::Mutex::default(),
        night: config.night,
    });
    let succeeds = tokio::spawn(succeed_when_heard(Arc::clone(&hq), engine.clone(), recalls));
    let checks = tokio::spawn(check_totals(Arc::clone(&hq)));
    let keeps = tokio::spawn(keep_freshness(Arc::clone(&hq)));
    let derives = tokio::spawn(derive(Arc::clone(&hq)));
    tracing::info!(class = %keys.writer.class(), broker = %at, "HQ runs, pages at http://{address}/");
    let pages = routes::router(Arc::clone(&hq));
    let ended = axum::serve(listener, pages).with_graceful_shutdown(asked_to_end());
    let outcome = tokio::select! {
        served = ended.into_future() => served.map_err(|why| RunError::System(why.to_string())),
        () = late_end() => Ok(()),
        why = engine.ended() => Err(RunError::Engine(why)),
    };
    succeeds.abort();
    checks.abort();
    keeps.abort();
    derives.abort();
    if outcome.is_ok() {
        derive_now(&hq).await;
    }
    drop(open);
    engine.stop();
    drop(broker);
    outcome
}

/// HQ's own broker when the settings want one, and where the line connects.
fn broker_of(config: &Config) -> Result<(Option<BrokerChild>, BrokerAddress), RunError> {
    match &config.broker {
        Broker::External(address) => Ok((None, address.clone())),
        Broker::Embedded(listen) => {
            let child = BrokerChild::start(WatchSettings::at(*listen))?;
            let at = child.address().clone();
            Ok((Some(child), at))
        }
    }
}

/// The second copy, where the settings want one.
fn second_copy_of(config: &Config, authority: &[u8; 32]) -> Result<Option<KeepTwice>, RunError> {
    let Some(folder) = &config.second_copy else {
        tracing::warn!("HQ keeps no second copy: stores keep everything that they wrote");
        return Ok(None);
    };
    let mut copy = SecondCopy::open(folder, authority)?;
    Ok(Some(Box::new(move |bytes| copy.append(bytes))))
}

/// A restored HQ writes once every store was heard while HQ had all that it has.
async fn succeed_when_heard(hq: Arc<Hq>, engine: Engine, recalls: bool) {
    let mut waiting = recalls;
    while waiting {
        tokio::time::sleep(Duration::from_secs(RECALL_PAUSE_S)).await;
        let asked = hq.ask(|hq, reader| Ok(enrolment::list(reader, &hq.authority.public())?)).await;
        let Ok(rows) = asked else { continue };
        let left = succession::waits_for(&rows, &engine.status());
        if !left.is_empty() {
            tracing::info!(stores = ?left, "HQ was restored and waits for stores before it writes");
            continue;
        }
        let (engine, authority) = (engine.clone(), Arc::clone(&hq.authority));
        let done = tokio::task::spawn_blocking(move || engine.succeed_blocking(authority)).await;
        match done {
            Ok(Ok(())) => {
                tracing::info!("HQ has all entries of before and writes again");
                waiting = false;
            }
            Ok(Err(why)) => tracing::error!(%why, "HQ could not say whom it follows"),
            Err(why) => tracing::error!(%why, "HQ could not say whom it follows"),
        }
    }
}

/// Compares the totals again and again. A disagreement becomes an exception, never silence.
async fn check_totals(hq: Arc<Hq>) {
    let mut seen = HashMap::new();
    for round in 0_u64.. {
        if round == 0 {
            // At once: a page without control totals would look as if nobody had signed.
            hq.look_again.notify_one();
        }
        let asked_for = tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(TOTALS_PAUSE_S)) => false,
            () = hq.look_again.notified() => true,
        };
        if asked_for || round.is_multiple_of(ROUNDS_UNTIL_ALL) {
            seen.clear();
        }
        let asked = Arc::clone(&hq);
        let checked = tokio::task::spawn_blocking(move || {
            let done = hq::check_new_totals(&asked.database, &asked.authority.public(), &mut seen);
            (seen, done.map(|totals| asked.remember(&totals)))
        });
        seen = match checked.await {
            Ok((seen, Ok(()))) => seen,
            Ok((seen, Err(why))) => {
                tracing::error!(%why, "the control totals were not compared");
                seen
            }
            Err(why) => {
                tracing::error!(%why, "the control totals were not compared");
                HashMap::new()
            }
        };
    }
}

/// Keeps again and again when HQ last knew all of each device: the only part of the freshness that outlives HQ.
async fn keep_freshness(hq: Arc<Hq>) {
    loop {
        tokio::time::sleep(Duration::from_secs(KEEP_PAUSE_S)).await;
        let asked = Arc::clone(&hq);
        let kept = tokio::task::spawn_blocking(move || {
            freshness::keep(&asked.database, &(asked.contacts)(&asked.database))
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::error!(%why, "the freshness of the stores was not kept"),
            Err(why) => tracing::error!(%why, "the freshness of the stores was not kept"),
        }
    }
}

/// Lets sums and stock catch up again and again, so that an answer waits for little.
async fn derive(hq: Arc<Hq>) {
    loop {
        tokio::time::sleep(Duration::from_secs(DERIVE_PAUSE_S)).await;
        derive_now(&hq).await;
    }
}

/// Sums and stock catch up. What is left after a while is left for the next time: frames come first.
async fn derive_now(hq: &Arc<Hq>) {
    let asked = hq.ask(|hq, reader| hq.catch_up(reader));
    if let Err(why) = asked.await {
        tracing::error!(%why, "sums and stock did not catch up with the receipts");
    }
}

/// Until SIGTERM or Ctrl-C.
async fn asked_to_end() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(why) => {
            tracing::error!(%why, "SIGTERM cannot be heard; end HQ with Ctrl-C");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// A while after it was asked to end: an answer that nobody reads must not keep HQ alive.
async fn late_end() {
    asked_to_end().await;
    tokio::time::sleep(Duration::from_secs(END_WAIT_S)).await;
}
