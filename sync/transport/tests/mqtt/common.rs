//! Ports, processes and brokers for the tests of this package

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use selvedge_transport::address::BrokerAddress;
use selvedge_transport::broker_child::{BrokerChild, WatchSettings};
use tempfile::TempDir;

/// No test waits longer for anything.
pub const SOON: Duration = Duration::from_secs(30);

/// The small program of this package that has a `broker` command.
pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_selvedge-broker"))
}

/// A loopback address that was free a moment ago.
pub fn free_address() -> SocketAddrV4 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port())
}

/// A watch with short periods.
pub fn quick_watch(listen: SocketAddrV4) -> WatchSettings {
    WatchSettings {
        program: program(),
        probe_ms: 200,
        answer_ms: 1_000,
        pause_ms: 20,
        ..WatchSettings::at(listen)
    }
}

/// Polls until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Sends a signal to one process, by its id.
pub fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// Whether a process has ended. One that nobody has reaped yet has ended too.
pub fn has_ended(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')),
        Err(_) => true,
    }
}

/// The memory that a process has in use.
pub fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A broker that a test can kill, and that is there again soon after.
pub trait TestBroker: Send {
    /// Where it answers.
    fn address(&self) -> BrokerAddress;
    /// Ends it with kill -9. Afterwards it is, or will be, running again.
    fn kill(&mut self);
}

/// The embedded broker, watched.
pub struct Embedded(pub BrokerChild);

impl Embedded {
    /// A running one.
    pub async fn start() -> Embedded {
        let child = BrokerChild::start(quick_watch(free_address())).unwrap();
        child.ready(SOON).await.unwrap();
        Embedded(child)
    }

    /// The process id of the child that is up.
    pub fn pid(&self) -> u32 {
        self.0.status().borrow().pid.unwrap()
    }
}

impl TestBroker for Embedded {
    fn address(&self) -> BrokerAddress {
        self.0.address().clone()
    }

    fn kill(&mut self) {
        eventually("there is a process", || self.0.status().borrow().pid.is_some());
        signal(self.pid(), Signal::SIGKILL);
    }
}

/// Debian's mosquitto.
pub struct Mosquitto {
    listen: SocketAddrV4,
    folder: TempDir,
    child: Child,
}

impl Mosquitto {
    /// A running one, or none where it is not installed, which is said on the real standard error.
    pub fn start() -> Option<Mosquitto> {
        let listen = free_address();
        let folder = TempDir::new().unwrap();
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence false\n",
            listen.port()
        );
        fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        match spawn_mosquitto(&folder) {
            Ok(child) => Some(Mosquitto { listen, folder, child }),
            Err(_) => {
                let words = "SKIPPED: mosquitto is not on PATH, so nothing was proven about it (apt-get install mosquitto)\n";
                std::io::stderr().write_all(words.as_bytes()).unwrap();
                None
            }
        }
    }
}

fn spawn_mosquitto(folder: &TempDir) -> std::io::Result<Child> {
    let config = folder.path().join("mosquitto.conf");
    Command::new("mosquitto")
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

impl TestBroker for Mosquitto {
    fn address(&self) -> BrokerAddress {
        BrokerAddress::from(self.listen)
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn_mosquitto(&self.folder).unwrap();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
