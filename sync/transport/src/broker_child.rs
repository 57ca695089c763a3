//! Keeps the broker's child alive and replaces a wedged one
//!
//! The watch runs on a thread and a runtime of its own: a host that is busy
//! must not look like a broker that is dead. The broker is judged through
//! itself (see `probe.rs`) and by its exit, never by its open port.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use tokio::process::{Child, ChildStdin, Command};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time;

use crate::address::BrokerAddress;
use crate::broker::{BrokerError, EXIT_PORT_IN_USE, check_port};
use crate::probe::Probe;

/// How the child is started and watched. Tests make the periods short.
#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// The program that has a `broker` command: usually the running one.
    pub program: PathBuf,
    /// Where the broker listens.
    pub listen: SocketAddrV4,
    /// Time between two probes.
    pub probe_ms: u64,
    /// How long one probe may take.
    pub answer_ms: u64,
    /// Misses in a row before the child is killed.
    pub misses_max: u32,
    /// How long a new child may take until it answers.
    pub ready_ms: u64,
    /// First pause before a new start; it doubles up to `pause_ms_max`.
    pub pause_ms: u64,
    /// Longest pause before a new start.
    pub pause_ms_max: u64,
}

impl WatchSettings {
    /// The running program as its own broker.
    pub fn at(listen: SocketAddrV4) -> WatchSettings {
        WatchSettings {
            // Still the same program when its file has been replaced by an update.
            program: PathBuf::from("/proc/self/exe"),
            listen,
            probe_ms: 5_000,
            answer_ms: 4_000,
            misses_max: 2,
            ready_ms: 10_000,
            pause_ms: 100,
            pause_ms_max: 5_000,
        }
    }
}

/// How the broker is, as far as its watch knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerStatus {
    /// It has answered its last probe.
    pub up: bool,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// How often it had to be started again.
    pub restarts: u64,
    /// Why it is down, or why it was last started again. Empty when nothing ever happened.
    pub reason: String,
}

/// The watched child. Dropping it ends the process.
#[derive(Debug)]
pub struct BrokerChild {
    address: BrokerAddress,
    status: watch::Receiver<BrokerStatus>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl BrokerChild {
    /// Checks the port and starts the watch, which starts the child. Does not wait for it: see [`BrokerChild::ready`].
    pub fn start(settings: WatchSettings) -> Result<BrokerChild, BrokerError> {
        wait_for_port(&settings)?;
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(BrokerError::Start)?;
        let (status_in, status) = watch::channel(BrokerStatus::default());
        let (stop, mut stopped) = watch::channel(false);
        let address = BrokerAddress::from(settings.listen);
        let watch = move || {
            runtime.block_on(async move {
                let mut keeper = Keeper { settings, status: status_in, child: None, leash: None };
                tokio::select! {
                    _ = stopped.wait_for(|stop| *stop) => {}
                    () = keeper.keep() => {}
                }
                keeper.end().await;
            });
        };
        let thread = thread::Builder::new()
            .name("broker-watch".to_owned())
            .spawn(watch)
            .map_err(BrokerError::Start)?;
        Ok(BrokerChild { address, status, stop, thread: Some(thread) })
    }

    /// Where lines of this device find the broker.
    pub fn address(&self) -> &BrokerAddress {
        &self.address
    }

    /// The status, and every change of it.
    pub fn status(&self) -> watch::Receiver<BrokerStatus> {
        self.status.clone()
    }

    /// Waits until the broker answers; the error says how it was when time was up.
    pub async fn ready(&self, within: Duration) -> Result<(), BrokerError> {
        let mut status = self.status();
        let waited = time::timeout(within, status.wait_for(|status| status.up)).await;
        match waited {
            Ok(Ok(_)) => Ok(()),
            _ => {
                let reason = self.status.borrow().reason.clone();
                let reason =
                    if reason.is_empty() { "it has not answered yet".to_owned() } else { reason };
                Err(BrokerError::Ended(reason))
            }
        }
    }
}

impl Drop for BrokerChild {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A watch that has panicked has nothing left to end: its child dies with its thread.
            let _ = thread.join();
        }
    }
}

/// A predecessor that was killed leaves a child that needs a moment to end.
fn wait_for_port(settings: &WatchSettings) -> Result<(), BrokerError> {
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match check_port(settings.listen) {
            Err(BrokerError::PortInUse(_)) if Instant::now() < until => {
                thread::sleep(Duration::from_millis(50))
            }
            answer => return answer,
        }
    }
}

struct Keeper {
    settings: WatchSettings,
    status: watch::Sender<BrokerStatus>,
    child: Option<Child>,
    /// The child's standard input. Kept apart, because waiting for a child closes the one it still has.
    leash: Option<ChildStdin>,
}

impl Keeper {
    async fn keep(&mut self) {
        let mut pause_ms = self.settings.pause_ms;
        loop {
            let (lived, reason) = self.one_life().await;
            tracing::warn!(%reason, "the broker is started again");
            self.status.send_modify(|status| {
                status.up = false;
                status.pid = None;
                status.restarts += 1;
                status.reason = reason;
            });
            self.end().await;
            pause_ms = if lived {
                self.settings.pause_ms
            } else {
                (pause_ms * 2).min(self.settings.pause_ms_max)
            };
            time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }

    /// Starts the child and watches it to its end. Says whether it ever answered, and why it must be replaced.
    async fn one_life(&mut self) -> (bool, String) {
        if let Err(error) = self.spawn() {
            return (false, format!("the broker could not be started: {error}"));
        }
        let ready_until = Instant::now() + Duration::from_millis(self.settings.ready_ms);
        let probe = self.probe();
        let mut misses = 0;
        let mut up = false;
        loop {
            let answer = tokio::select! {
                reason = self.ended() => return (up, reason),
                answer = probe.ask() => answer,
            };
            let pause_ms = match answer {
                Ok(()) => {
                    up = true;
                    misses = 0;
                    self.status.send_if_modified(|status| !std::mem::replace(&mut status.up, true));
                    self.settings.probe_ms
                }
                Err(miss) if up => {
                    misses += 1;
                    if misses >= self.settings.misses_max {
                        return (
                            up,
                            format!("the broker did not answer {misses} probes in a row ({miss})"),
                        );
                    }
                    self.settings.probe_ms
                }
                Err(miss) if Instant::now() >= ready_until => {
                    return (up, format!("the broker did not become ready ({miss})"));
                }
                Err(_) => 20,
            };
            tokio::select! {
                reason = self.ended() => return (up, reason),
                () = time::sleep(Duration::from_millis(pause_ms)) => {}
            }
        }
    }

    fn spawn(&mut self) -> io::Result<()> {
        let mut command = Command::new(&self.settings.program);
        command.args(["broker", "--listen", &self.settings.listen.to_string()]);
        // Each thread would otherwise reserve address space for itself, which the memory limit counts.
        command.env("MALLOC_ARENA_MAX", "2");
        // Its own group: Ctrl-C at a terminal ends the host, and the host ends the broker in order.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0).kill_on_drop(true);
        let mut child = command.spawn()?;
        self.leash = child.stdin.take();
        self.status.send_modify(|status| status.pid = child.id());
        self.child = Some(child);
        Ok(())
    }

    fn probe(&self) -> Probe {
        Probe {
            address: BrokerAddress::from(self.settings.listen),
            name: format!("watch-{}", std::process::id()),
            answer_ms: self.settings.answer_ms,
        }
    }

    /// Waits for the child's own end, and says it as a sentence.
    async fn ended(&mut self) -> String {
        let Some(child) = self.child.as_mut() else {
            return "the broker is not running".to_owned();
        };
        match child.wait().await {
            Ok(exit) if exit.code() == Some(EXIT_PORT_IN_USE) => {
                BrokerError::PortInUse(self.settings.listen).to_string()
            }
            Ok(exit) => format!("the broker's process ended ({exit})"),
            Err(error) => format!("the broker's process is lost: {error}"),
        }
    }

    /// Kills the child by its process id and waits until it is gone.
    async fn end(&mut self) {
        self.leash = None;
        if let Some(mut child) = self.child.take()
            && let Err(error) = child.kill().await
        {
            tracing::warn!(%error, "the broker's process could not be ended");
        }
    }
}
