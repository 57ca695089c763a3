//! Starts, stops and kills the real processes of a chain
//!
//! Nothing here is a shortcut: HQ is made by `hq-bridge init`, goods come in by `hq-bridge import`, every device is
//! admitted by its printed public key, and each pair of processes talks over a wire that can be cut.

use crate::import_files::ImportFile;
use crate::layout::{Place, Seat};
use crate::process::{Process, ProcessError, Programs, run, wait_for};
use crate::wires::Wire;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;

/// How long a program may take until its pages answer.
const READY_S_MAX: u64 = 60;
/// The file that says that a desk was made to its end.
const MADE: &str = "made.txt";

/// What a chain is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The folder of all its files.
    pub desk: PathBuf,
    /// How many stores.
    pub stores: u32,
    /// How many points of sale in each.
    pub pos: u32,
    /// Seconds between two beats.
    pub beat_s: u32,
    /// Whether each pos asks a simulated card terminal; else the cashier charges cards by hand.
    pub card_terminal: bool,
}

/// Why a chain does not stand.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A program did not do its work.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file or port could not be had.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// A program runs and does not answer.
    #[error(
        "{title} did not answer within {READY_S_MAX} s. Its last words, from {log}:\n{last_words}"
    )]
    Silent {
        /// Who.
        title: String,
        /// Where its words are.
        log: PathBuf,
        /// The newest of them.
        last_words: String,
    },
    /// A desk of another size.
    #[error(
        "the folder {desk} holds {held}, not {wanted}: name another --dir, or ask for the same size"
    )]
    OtherSize {
        /// The folder.
        desk: PathBuf,
        /// What it was made for.
        held: String,
        /// What is asked now.
        wanted: String,
    },
}

/// The line from a device to its parent.
pub struct Line {
    /// Whose line.
    pub seat: Seat,
    /// The cable.
    pub wire: Wire,
}

struct Seated {
    place: Place,
    process: Option<Process>,
}

/// A whole chain on one desk.
pub struct Chain {
    /// What it is.
    pub wanted: Wanted,
    programs: Programs,
    seated: Vec<Seated>,
    /// Its lines, the cables that can be pulled.
    pub lines: Vec<Line>,
    /// A library in front of those of each program that is started from now on.
    pub preload: Option<PathBuf>,
}

impl Chain {
    /// Finds a folder and ports for everybody, lays the wires and writes the settings. Starts nothing.
    pub fn lay_out(
        wanted: Wanted,
        programs: Programs,
        runtime: &Handle,
    ) -> Result<Chain, ChainError> {
        let seats = Seat::all(wanted.stores, wanted.pos);
        let places: Vec<Place> =
            seats.into_iter().map(|seat| Place::find(&wanted.desk, seat)).collect();
        let mut lines = Vec::new();
        for place in &places {
            let parent = place.seat.parent().and_then(|parent| broker_of(&places, parent));
            let near = match parent {
                Some(far) => {
                    let laid = runtime.block_on(Wire::lay(0, far));
                    let wire =
                        laid.map_err(|error| ChainError::File(wanted.desk.clone(), error))?;
                    lines.push(Line { seat: place.seat, wire });
                    lines.last().map(|line| line.wire.near)
                }
                None => None,
            };
            write_place(place, near, &wanted)?;
        }
        let seated = places.into_iter().map(|place| Seated { place, process: None }).collect();
        Ok(Chain { wanted, programs, seated, lines, preload: None })
    }

    /// Makes HQ, starts it, imports the files and admits every device. A desk that was made before is only started, and
    /// then the answer is false.
    pub fn make(&mut self, files: &[ImportFile], tell: &dyn Fn(&str)) -> Result<bool, ChainError> {
        let held = std::fs::read_to_string(self.wanted.desk.join(MADE)).ok();
        let size =
            format!("{} stores with {} points of sale each", self.wanted.stores, self.wanted.pos);
        match held {
            Some(held) if held != size => {
                return Err(ChainError::OtherSize {
                    desk: self.wanted.desk.clone(),
                    held,
                    wanted: size,
                });
            }
            Some(_) => {
                tell("this desk was made before: its data is used");
                return self.start(Seat::Hq).map(|()| false);
            }
            None => {}
        }
        tell("head office: making its keys and its database");
        self.hq(&["init"])?;
        self.start(Seat::Hq)?;
        for file in files {
            let printed = self.hq(&["import", file.kind, &file.path.to_string_lossy()])?;
            tell(&format!(
                "head office: {} imported. {}",
                file.kind,
                printed.lines().last().unwrap_or("")
            ));
        }
        for seat in Seat::all(self.wanted.stores, self.wanted.pos).into_iter().skip(1) {
            self.admit(seat)?;
            tell(&format!("{}: admitted as {}", seat.title(), seat.device()));
        }
        let made = self.wanted.desk.join(MADE);
        std::fs::write(&made, size).map_err(|error| ChainError::File(made, error))?;
        Ok(true)
    }

    /// Starts everybody who does not run yet.
    pub fn start_all(&mut self, tell: &dyn Fn(&str)) -> Result<(), ChainError> {
        for seat in self.seats() {
            if !self.runs(seat) {
                self.start(seat)?;
            }
            tell(&format!(
                "{}: runs as process {}, pages at http://{}",
                seat.title(),
                self.pid(seat).unwrap_or(0),
                self.page(seat)
            ));
        }
        Ok(())
    }

    /// Starts the process of a seat and waits until its pages answer.
    pub fn start(&mut self, seat: Seat) -> Result<(), ChainError> {
        self.start_unwatched(seat)?;
        let seated = self.seated(seat);
        let page = seated.place.page;
        let process = seated.process.as_mut();
        let Some(process) = process else { return Ok(()) };
        if wait_for(Duration::from_secs(READY_S_MAX), || !process.runs() || answers(page))
            && process.runs()
        {
            return Ok(());
        }
        Err(ChainError::Silent {
            title: seat.title(),
            log: process.log.clone(),
            last_words: process.last_words(),
        })
    }

    /// Starts the process of a seat without waiting for it.
    pub fn start_unwatched(&mut self, seat: Seat) -> Result<(), ChainError> {
        let (programs, preload) = (self.programs.clone(), self.preload.clone());
        let seated = self.seated(seat);
        let program = if seat == Seat::Hq { &programs.hq_bridge } else { &programs.appliance };
        let config = seated.place.config();
        let arguments = ["run", "--config", &config.to_string_lossy()];
        let log = seated.place.log();
        seated.process =
            Some(Process::start(&programs, program, &arguments, &log, preload.as_deref())?);
        Ok(())
    }

    /// Ends the process of a seat as a power cut does.
    pub fn kill(&mut self, seat: Seat) {
        if let Some(mut process) = self.seated(seat).process.take() {
            process.kill();
        }
    }

    /// Ends the broker of a seat as a crash does. Says how many processes that were.
    pub fn kill_broker(&mut self, seat: Seat) -> usize {
        let brokers = self
            .seated(seat)
            .process
            .as_ref()
            .map(|process| process.children_with("broker"))
            .unwrap_or_default();
        brokers.into_iter().filter(|pid| crate::process::kill_by_id(*pid).is_ok()).count()
    }

    /// Asks the process of a seat to end.
    pub fn stop(&mut self, seat: Seat) {
        if let Some(mut process) = self.seated(seat).process.take() {
            process.stop();
        }
    }

    /// Asks everybody to end, children before their parents.
    pub fn stop_all(&mut self) {
        for seat in self.seats().into_iter().rev() {
            self.stop(seat);
        }
    }

    /// Whether the process of a seat runs.
    pub fn runs(&mut self, seat: Seat) -> bool {
        self.seated(seat).process.as_mut().is_some_and(Process::runs)
    }

    /// The process id of a seat.
    pub fn pid(&mut self, seat: Seat) -> Option<u32> {
        self.seated(seat).process.as_ref().map(Process::pid)
    }

    /// The process ids of a seat and of its broker.
    pub fn pids(&mut self, seat: Seat) -> Vec<u32> {
        let process = self.seated(seat).process.as_ref();
        process
            .map(|process| {
                std::iter::once(process.pid()).chain(process.children_with("broker")).collect()
            })
            .unwrap_or_default()
    }

    /// Everybody, parents first.
    pub fn seats(&self) -> Vec<Seat> {
        self.seated.iter().map(|seated| seated.place.seat).collect()
    }

    /// Where the pages of a seat answer.
    pub fn page(&self, seat: Seat) -> SocketAddr {
        self.place(seat).page
    }

    /// Where a seat keeps its files.
    pub fn place(&self, seat: Seat) -> &Place {
        let found = self.seated.iter().find(|seated| seated.place.seat == seat);
        &found.expect("a chain seats everybody it names").place
    }

    /// The line of a device to its parent.
    pub fn line(&self, seat: Seat) -> Option<&Wire> {
        self.lines.iter().find(|line| line.seat == seat).map(|line| &line.wire)
    }

    /// Runs a command of HQ.
    pub fn hq(&self, arguments: &[&str]) -> Result<String, ChainError> {
        let config = self.place(Seat::Hq).config();
        let config = config.to_string_lossy();
        let all: Vec<&str> = arguments.iter().copied().chain(["--config", &*config]).collect();
        Ok(run(&self.programs.hq_bridge, &all)?)
    }

    /// Runs a command of a device.
    pub fn appliance(&self, seat: Seat, command: &str) -> Result<String, ChainError> {
        let config = self.place(seat).config();
        Ok(run(&self.programs.appliance, &[command, "--config", &config.to_string_lossy()])?)
    }

    fn admit(&self, seat: Seat) -> Result<(), ChainError> {
        let printed = self.appliance(seat, "identity")?;
        let is_key =
            |word: &&str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let key = printed.split_whitespace().find(is_key).unwrap_or(&printed);
        let (device, store) = (seat.device(), seat.store().to_string());
        let admission = self.place(seat).admission();
        let out = admission.to_string_lossy();
        self.hq(&[
            "devices",
            "admit",
            "--id",
            &device,
            "--store",
            &store,
            "--role",
            seat.role(),
            "--key",
            key,
            "--out",
            &out,
        ])?;
        Ok(())
    }

    fn seated(&mut self, seat: Seat) -> &mut Seated {
        let found = self.seated.iter_mut().find(|seated| seated.place.seat == seat);
        found.expect("a chain seats everybody it names")
    }
}

/// Whether a whole process answers there.
pub fn answers(page: SocketAddr) -> bool {
    // A port that is bound is not enough: what is asked of the process next may need all of it.
    let asked = || -> std::io::Result<bool> {
        let limit = Duration::from_millis(500);
        let mut line = std::net::TcpStream::connect_timeout(&page, limit)?;
        line.set_read_timeout(Some(limit))?;
        write!(line, "GET /status HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n")?;
        let mut first = [0; 12];
        line.read_exact(&mut first)?;
        Ok(first.ends_with(b" 200"))
    };
    asked().unwrap_or(false)
}

fn broker_of(places: &[Place], seat: Seat) -> Option<SocketAddr> {
    places.iter().find(|place| place.seat == seat).and_then(|place| place.broker)
}

fn write_place(
    place: &Place,
    parent: Option<SocketAddr>,
    wanted: &Wanted,
) -> Result<(), ChainError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| ChainError::File(path, error)
    };
    std::fs::create_dir_all(&place.folder).map_err(failed(&place.folder))?;
    let config = place.config();
    let mut settings = place.settings(parent, wanted.beat_s);
    if wanted.card_terminal && matches!(place.seat, Seat::Pos { .. }) {
        settings.push_str("card_terminal = \"simulated\"\n");
    }
    std::fs::write(&config, settings).map_err(failed(&config))
}
