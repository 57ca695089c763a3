//! The five-minute tour: a chain with its index page

use crate::chain::{Chain, ChainError, Wanted};
use crate::desk_page::{self, DeskPage, LineView, Live, SeatView};
use crate::history::{self, PastSale};
use crate::import_files;
use crate::layout::Seat;
use crate::process::{ProcessError, Programs};
use crate::standing;
use crate::world::World;
use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};

/// How often the devices are asked how they are.
const ASK_MS: u64 = 1_000;
/// Seconds between two beats: short, so that a visitor sees a healed line at once.
pub const BEAT_S: u32 = 2;

/// What a visitor asks for.
#[derive(Clone, Debug)]
pub struct Tour {
    /// How many stores.
    pub stores: u32,
    /// How many points of sale in each.
    pub pos: u32,
    /// The seed of the chain.
    pub seed: u64,
    /// Where its files are kept, or nowhere after the end.
    pub dir: Option<PathBuf>,
    /// The port of the index page.
    pub port: u16,
    /// How many days of trade lie behind the stores.
    pub days: u32,
}

/// Why the tour does not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum TourError {
    /// The chain does not stand.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// A program is missing.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The files to import could not be written.
    #[error("the files to import could not be written: {0}")]
    Files(#[from] csv::Error),
    /// The port of the index page.
    #[error("the index page cannot be shown on port {0}: {1}. Choose another with --port")]
    Port(u16, io::Error),
    /// The stores have no past.
    #[error("the past trade could not be rung up: {0}")]
    Past(history::Fault),
    /// Anything of the system.
    #[error("the desk cannot be made: {0}")]
    System(#[from] io::Error),
}

/// A folder that is kept or goes with its value.
pub struct Desk {
    /// Where it is.
    pub path: PathBuf,
    _goes: Option<tempfile::TempDir>,
}

impl Desk {
    /// The named folder, or one that goes at the end.
    pub fn at(named: Option<PathBuf>) -> io::Result<Desk> {
        match named {
            Some(path) => {
                std::fs::create_dir_all(&path)?;
                Ok(Desk { path: path.canonicalize()?, _goes: None })
            }
            None => {
                let folder = tempfile::Builder::new().prefix("selvedge-").tempdir()?;
                Ok(Desk { path: folder.path().to_owned(), _goes: Some(folder) })
            }
        }
    }
}

/// Makes the files of a world and lays out its chain. Starts nothing.
pub fn lay_out(
    world: &World,
    wanted: Wanted,
    runtime: &Runtime,
) -> Result<(Chain, Vec<import_files::ImportFile>), TourError> {
    let files = import_files::write_world(world, &wanted.desk)?;
    Ok((Chain::lay_out(wanted, Programs::beside_this_one()?, runtime.handle())?, files))
}

/// Shows the tour until Ctrl-C.
pub fn show(tour: &Tour) -> Result<(), TourError> {
    let runtime = Runtime::new()?;
    let begun = begin(tour, &runtime)?;
    runtime.block_on(until_asked_to_end(begun.start))?;
    println!("Ending all processes.");
    locked(&begun.shown.chain).stop_all();
    Ok(())
}

/// A tour whose index page answers while its chain is being made.
pub struct Begun {
    /// Where the index page is.
    pub index: SocketAddr,
    shown: Arc<Shown>,
    start: std::thread::JoinHandle<Result<(), TourError>>,
    _desk: Desk,
}

/// A tour with everybody at work. Dropping it ends all.
pub struct Standing {
    /// Where the index page is.
    pub index: SocketAddr,
    shown: Arc<Shown>,
    _desk: Desk,
}

impl Begun {
    /// Waits until everybody is at work.
    pub fn stands(self) -> Result<Standing, TourError> {
        match self.start.join() {
            Ok(made) => made?,
            Err(fault) => std::panic::resume_unwind(fault),
        }
        Ok(Standing { index: self.index, shown: self.shown, _desk: self._desk })
    }
}

impl Standing {
    /// The chain's world.
    pub fn world(&self) -> &World {
        &self.shown.world
    }

    /// Where the pages of a seat answer.
    pub fn page(&self, seat: Seat) -> SocketAddr {
        locked(&self.shown.chain).page(seat)
    }

    /// Ends a device as a power cut does, and starts it again.
    pub fn cut_power(&self, seat: Seat) -> Result<(), ChainError> {
        let mut chain = locked(&self.shown.chain);
        chain.kill(seat);
        chain.start(seat)
    }

    /// Pulls the cable of a device to its parent, or plugs it in.
    pub fn plug(&self, seat: Seat, plugged: bool) {
        if let Some(wire) = locked(&self.shown.chain).line(seat) {
            if plugged { wire.heal() } else { wire.cut() }
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        locked(&self.shown.chain).stop_all();
    }
}

/// Begins a tour.
pub fn begin(tour: &Tour, runtime: &Runtime) -> Result<Begun, TourError> {
    let desk = Desk::at(tour.dir.clone())?;
    let mut world = World::from_seed(tour.seed, tour.stores);
    let past = history::plan(&mut world, tour.pos, tour.days, now_ms());
    let wanted = Wanted {
        desk: desk.path.clone(),
        stores: tour.stores,
        pos: tour.pos,
        beat_s: BEAT_S,
        card_terminal: true,
    };
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", tour.port)));
    let listener = listener.map_err(|error| TourError::Port(tour.port, error))?;
    let index = listener.local_addr()?;
    let (chain, files) = lay_out(&world, wanted, runtime)?;
    let seats = chain.seats().into_iter().map(|seat| (seat, chain.page(seat))).collect();
    let shown = Arc::new(Shown {
        world,
        seats,
        chain: Mutex::new(chain),
        live: Mutex::new(Live::default()),
    });
    runtime.spawn(serve(listener, shown.clone()));
    println!("The desk is at http://{index} (files in {})", desk.path.display());
    let made = shown.clone();
    let handle = runtime.handle().clone();
    let start = std::thread::spawn(move || make(&made, &files, &past, &handle));
    let asked = shown.clone();
    std::thread::spawn(move || keep_asking(&asked));
    Ok(Begun { index, shown, start, _desk: desk })
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}

/// What the pages and the threads behind them share.
struct Shown {
    world: World,
    seats: Vec<(Seat, SocketAddr)>,
    chain: Mutex<Chain>,
    live: Mutex<Live>,
}

fn make(
    shown: &Shown,
    files: &[import_files::ImportFile],
    past: &[PastSale],
    runtime: &Handle,
) -> Result<(), TourError> {
    let tell = |step: &str| {
        println!("  {step}");
        locked(&shown.live).starting = Some(step.to_owned());
    };
    let mut chain = locked(&shown.chain);
    let is_new = chain.make(files, &tell)?;
    if is_new {
        for store in 1..=chain.wanted.stores {
            chain.start(Seat::BackOffice { store })?;
        }
        history::ring(&chain, &shown.world, past, runtime, &tell).map_err(TourError::Past)?;
    }
    chain.start_all(&tell)?;
    drop(chain);
    locked(&shown.live).starting = None;
    println!("All is running. Ctrl-C ends it.");
    Ok(())
}

/// Ends with Ctrl-C, with a request of the system, or with a start that failed.
async fn until_asked_to_end(
    start: std::thread::JoinHandle<Result<(), TourError>>,
) -> Result<(), TourError> {
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let failed = tokio::task::spawn_blocking(move || match start.join() {
        Ok(made) => made,
        Err(fault) => std::panic::resume_unwind(fault),
    });
    let failed = async {
        match failed.await {
            Ok(Err(error)) => error,
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        asked = tokio::signal::ctrl_c() => Ok(asked?),
        _ = terminated.recv() => Ok(()),
        error = failed => Err(error),
    }
}

fn keep_asking(shown: &Shown) {
    loop {
        let words: Vec<String> =
            shown.seats.iter().map(|(seat, page)| standing::words(*seat, *page)).collect();
        // While the chain is being made its lock is held, and the page shows the step instead.
        if let Ok(mut chain) = shown.chain.try_lock() {
            let seats = shown
                .seats
                .iter()
                .zip(words)
                .map(|((seat, _), words)| seat_view(&mut chain, *seat, words))
                .collect();
            let lines = chain.lines.iter().map(line_view).collect();
            let mut live = locked(&shown.live);
            live.seats = seats;
            live.lines = lines;
        }
        std::thread::sleep(Duration::from_millis(ASK_MS));
    }
}

fn seat_view(chain: &mut Chain, seat: Seat, words: String) -> SeatView {
    let runs = chain.runs(seat);
    SeatView {
        device: seat.device(),
        title: seat.title(),
        runs,
        pid: chain.pid(seat).unwrap_or(0),
        screens: desk_page::screens(seat, chain.page(seat)),
        has_broker: chain.place(seat).broker.is_some(),
        words: if runs { words } else { String::new() },
    }
}

fn line_view(line: &crate::chain::Line) -> LineView {
    let carried = line.wire.carried();
    LineView {
        device: line.seat.device(),
        title: desk_page::line_title(line.seat),
        plugged: line.wire.condition().plugged,
        carried: desk_page::bytes(carried.up_bytes + carried.down_bytes),
    }
}

async fn serve(listener: TcpListener, shown: Arc<Shown>) {
    let pages = Router::new()
        .route("/", get(index))
        .route("/live", get(live))
        .route("/desk.css", get(|| asset("text/css", desk_page::STYLE)))
        .route("/desk.js", get(|| asset("text/javascript", desk_page::SCRIPT)))
        .route("/process/{device}/{act}", post(act_on_process))
        .route("/line/{device}/{act}", post(act_on_line))
        .with_state(shown);
    if let Err(error) = axum::serve(listener, pages).await {
        eprintln!("the index page ended: {error}");
    }
}

async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}

async fn index(State(shown): State<Arc<Shown>>) -> Response {
    let live = locked(&shown.live).clone();
    let page = live.render().and_then(|live| DeskPage::of(&shown.world, live).render());
    html(page)
}

async fn live(State(shown): State<Arc<Shown>>) -> Response {
    let live = locked(&shown.live).clone();
    html(live.render())
}

fn html(page: askama::Result<String>) -> Response {
    let rules = (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; form-action 'self'; frame-ancestors 'none'",
    );
    match page {
        Ok(page) => ([rules, (header::CACHE_CONTROL, "no-store")], Html(page)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn act_on_process(
    State(shown): State<Arc<Shown>>,
    Path((device, act)): Path<(String, String)>,
) -> Response {
    let Some(seat) = shown.seats.iter().map(|(seat, _)| *seat).find(|seat| seat.device() == device)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let done = tokio::task::spawn_blocking(move || {
        let mut chain = locked(&shown.chain);
        match &*act {
            "kill" => chain.kill(seat),
            "kill-broker" => drop(chain.kill_broker(seat)),
            "start" if !chain.runs(seat) => chain.start_unwatched(seat)?,
            _ => {}
        }
        Ok::<(), ChainError>(())
    });
    match done.await {
        Ok(Ok(())) => Redirect::to("/").into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
        Err(fault) => (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response(),
    }
}

async fn act_on_line(
    State(shown): State<Arc<Shown>>,
    Path((device, act)): Path<(String, String)>,
) -> Response {
    let acted = tokio::task::spawn_blocking(move || {
        let chain = locked(&shown.chain);
        let line = chain.lines.iter().find(|line| line.seat.device() == device)?;
        match &*act {
            "cut" => line.wire.cut(),
            "heal" => line.wire.heal(),
            _ => return None,
        }
        Some(())
    });
    match acted.await {
        Ok(Some(())) => Redirect::to("/").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A panic elsewhere does not take the tour's page with it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
