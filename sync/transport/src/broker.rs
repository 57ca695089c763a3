//! The embedded broker, as the main of a child process
//!
//! It runs in a process of its own because rumqttd cannot be stopped or
//! restarted inside one, and because a broker that has wedged must be killed
//! while every page of its host stays up. It holds nothing that matters: all
//! of its state may vanish at any moment.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::{process, thread};

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::{prctl, signal::Signal};
use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};
use tokio::runtime::Builder;

use crate::front::keep;

/// Nothing larger is taken; lines publish at most 96 KiB.
const PAYLOAD_BYTES_MAX: usize = 128 * 1024;

/// rumqttd ends a publisher whose topic no filter matches. This filter matches all of ours from the start, so a child
/// may speak before its parent listens.
const FILTER_OF_ALL: &str = "sv1/#";

/// The exit code that says "the port is taken".
pub const EXIT_PORT_IN_USE: i32 = 98;

/// How the embedded broker runs.
#[derive(Debug, Clone)]
pub struct BrokerSettings {
    /// Where it listens: a loopback address, because it has no door of its own.
    pub listen: SocketAddrV4,
    /// Its address space. Beyond it the process dies and is started again.
    pub memory_mib_max: u64,
    /// How many lines may be connected at a time.
    pub connections_max: usize,
    /// The messages kept for each filter, in pieces of this size.
    pub segment_bytes: usize,
    /// How many such pieces; the oldest goes when one more is needed.
    pub segments: usize,
}

impl BrokerSettings {
    /// The usual settings for one address.
    pub fn at(listen: SocketAddrV4) -> BrokerSettings {
        BrokerSettings {
            listen,
            memory_mib_max: 512,
            connections_max: 1_024,
            segment_bytes: 1024 * 1024,
            segments: 2,
        }
    }
}

/// Why the broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// It would be reachable by everyone.
    #[error("the broker listens on loopback only, not on {0}: use 127.0.0.1 and a port")]
    NotLoopback(SocketAddrV4),
    /// Somebody else has the port.
    #[error("port {} on {} is in use by another program: end it or choose another port for the broker", .0.port(), .0.ip())]
    PortInUse(SocketAddrV4),
    /// The port cannot be had for another reason.
    #[error("the broker cannot listen on {listen}: {cause}")]
    Listen {
        /// The address wanted.
        listen: SocketAddrV4,
        /// What the system said.
        cause: io::Error,
    },
    /// No memory limit, no broker.
    #[error("the broker's memory could not be limited: {0}")]
    Limit(Errno),
    /// No process or thread could be started.
    #[error("the broker could not be started: {0}")]
    Start(io::Error),
    /// It came to an end by itself.
    #[error("the broker ended by itself: {0}")]
    Ended(String),
}

impl BrokerError {
    /// The exit code by which the parent tells the cases apart.
    pub fn exit_code(&self) -> i32 {
        match self {
            BrokerError::PortInUse(_) => EXIT_PORT_IN_USE,
            _ => 1,
        }
    }
}

/// Runs the broker until standard input ends, which is when the parent has died or closed it. Returns only to say why
/// it does not run.
pub fn serve(settings: &BrokerSettings) -> Result<(), BrokerError> {
    let door = bind(settings.listen)?;
    end_with_the_parent().map_err(BrokerError::Start)?;
    end_with_any_thread();
    let bytes = settings.memory_mib_max * 1024 * 1024;
    setrlimit(Resource::RLIMIT_AS, bytes, bytes).map_err(BrokerError::Limit)?;
    let inner = free_port().map_err(BrokerError::Start)?;
    open_door(door, inner, settings.connections_max).map_err(BrokerError::Start)?;
    match Broker::new(config(settings, inner)).start() {
        // A failed bind is only logged by rumqttd, and then its one server thread ends.
        Ok(()) => Err(BrokerError::Ended("it has no listener any more".to_owned())),
        Err(error) => Err(BrokerError::Ended(error.to_string())),
    }
}

/// Says whether the broker could listen here now.
pub fn check_port(listen: SocketAddrV4) -> Result<(), BrokerError> {
    bind(listen).map(drop)
}

fn bind(listen: SocketAddrV4) -> Result<TcpListener, BrokerError> {
    if !listen.ip().is_loopback() {
        return Err(BrokerError::NotLoopback(listen));
    }
    match TcpListener::bind(listen) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Err(BrokerError::PortInUse(listen))
        }
        Err(cause) => Err(BrokerError::Listen { listen, cause }),
    }
}

/// Leaves no orphan: standard input ends with the parent even after a kill -9, and the signal reaches a child that is
/// stopped and could not read.
fn end_with_the_parent() -> io::Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let watch = move || {
        let mut sink = [0_u8; 64];
        let mut input = io::stdin().lock();
        loop {
            match input.read(&mut sink) {
                Ok(0) => process::exit(0),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => process::exit(0),
            }
        }
    };
    thread::Builder::new().name("parent-watch".to_owned()).spawn(watch).map(|_| ())
}

/// A broker whose router thread is dead looks alive. Any panic ends the whole process instead, and it is started anew.
fn end_with_any_thread() {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("the broker stops after a fault of its own: {info}");
        process::abort();
    }));
}

/// Where rumqttd itself listens, behind the door.
fn free_port() -> io::Result<SocketAddrV4> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn open_door(door: TcpListener, inner: SocketAddrV4, connections_max: usize) -> io::Result<()> {
    door.set_nonblocking(true)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let live = move || {
        runtime.block_on(async {
            let door =
                tokio::net::TcpListener::from_std(door).expect("the door is a listening socket");
            keep(door, inner, connections_max).await;
        });
    };
    thread::Builder::new().name("door".to_owned()).spawn(live).map(|_| ())
}

fn config(settings: &BrokerSettings, inner: SocketAddrV4) -> Config {
    let server = ServerSettings {
        name: "lines".to_owned(),
        listen: inner.into(),
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: 5_000,
            max_payload_size: PAYLOAD_BYTES_MAX,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            dynamic_filters: false,
        },
    };
    let router = RouterConfig {
        max_connections: settings.connections_max,
        max_outgoing_packet_count: 200,
        max_segment_size: settings.segment_bytes,
        max_segment_count: settings.segments,
        initialized_filters: Some(vec![FILTER_OF_ALL.to_owned()]),
        ..RouterConfig::default()
    };
    Config {
        id: 0,
        router,
        v4: Some(HashMap::from([("lines".to_owned(), server)])),
        ..Config::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_said_clearly() {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let error = check_port(SocketAddrV4::new([127, 0, 0, 1].into(), port)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "port {port} on 127.0.0.1 is in use by another program: end it or choose another port for the broker"
            )
        );
        assert_eq!(error.exit_code(), EXIT_PORT_IN_USE);
    }

    #[test]
    fn a_broker_without_a_door_stays_on_loopback() {
        let error = check_port("0.0.0.0:18830".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("loopback only"), "{error}");
    }
}
