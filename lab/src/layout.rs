//! Where each device of the desk lies: folder, ports, settings

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports are looked for from here on, below those that the system gives to callers by itself.
const PORT_FIRST: u16 = 21_000;
/// And up to here.
const PORTS: u16 = 9_000;

/// A place that a process of the chain can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seat {
    /// The chain's centre.
    Hq,
    /// The back office of a store.
    BackOffice {
        /// Number of the store.
        store: u32,
    },
    /// A point of sale of a store.
    Pos {
        /// Number of the store.
        store: u32,
        /// Its number in the store, from 1.
        no: u32,
    },
}

impl Seat {
    /// All seats of a chain, each after the one it needs.
    pub fn all(stores: u32, pos: u32) -> Vec<Seat> {
        let store = |store| {
            let devices = (1..=pos).map(move |no| Seat::Pos { store, no });
            std::iter::once(Seat::BackOffice { store }).chain(devices)
        };
        std::iter::once(Seat::Hq).chain((1..=stores).flat_map(store)).collect()
    }

    /// The device id.
    pub fn device(self) -> String {
        match self {
            Seat::Hq => "hq".to_owned(),
            Seat::BackOffice { store } => format!("s{store:04}-b01"),
            Seat::Pos { store, no } => format!("s{store:04}-p{no:02}"),
        }
    }

    /// The place in words.
    pub fn title(self) -> String {
        match self {
            Seat::Hq => "Head office".to_owned(),
            Seat::BackOffice { store } => format!("Store {store}, back office"),
            Seat::Pos { store, no } => format!("Store {store}, checkout {no}"),
        }
    }

    /// The role as the programs name it.
    pub fn role(self) -> &'static str {
        match self {
            Seat::Hq => "hq",
            Seat::BackOffice { .. } => "back-office",
            Seat::Pos { .. } => "pos",
        }
    }

    /// The number of its store, 0 for HQ.
    pub fn store(self) -> u32 {
        match self {
            Seat::Hq => 0,
            Seat::BackOffice { store } | Seat::Pos { store, .. } => store,
        }
    }

    /// Whom it tells what it has.
    pub fn parent(self) -> Option<Seat> {
        match self {
            Seat::Hq => None,
            Seat::BackOffice { .. } => Some(Seat::Hq),
            Seat::Pos { store, .. } => Some(Seat::BackOffice { store }),
        }
    }
}

/// The folder and the ports of one seat.
#[derive(Clone, Debug)]
pub struct Place {
    /// Whose place it is.
    pub seat: Seat,
    /// Its folder.
    pub folder: PathBuf,
    /// Where its pages answer.
    pub page: SocketAddr,
    /// Where its broker listens, if it has one.
    pub broker: Option<SocketAddr>,
}

impl Place {
    /// Finds ports for a seat.
    pub fn find(desk: &Path, seat: Seat) -> Place {
        let broker = (!matches!(seat, Seat::Pos { .. })).then(free_port);
        Place { seat, folder: desk.join(seat.device()), page: free_port(), broker }
    }

    /// Its settings file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config.toml")
    }

    /// The file that admits it.
    pub fn admission(&self) -> PathBuf {
        self.folder.join("admission.txt")
    }

    /// Where its words go.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    /// The folder of its databases.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The settings that its program reads, with the near end of its line as parent.
    pub fn settings(&self, parent: Option<SocketAddr>, beat_s: u32) -> String {
        let mut text = match self.seat {
            Seat::Hq => "data = \"data\"\nname = \"hq\"\n".to_owned(),
            seat => {
                let (device, role) = (seat.device(), seat.role());
                let (data, admission) = (self.data(), self.admission());
                format!(
                    "device = \"{device}\"\nrole = \"{role}\"\ndata = {data:?}\nadmission = {admission:?}\n"
                )
            }
        };
        text.push_str(&format!("listen = \"{}\"\nbeat_s = {beat_s}\n", self.page));
        if let Some(broker) = self.broker {
            let key = if self.seat == Seat::Hq { "broker" } else { "broker_listen" };
            text.push_str(&format!("{key} = \"{broker}\"\n"));
        }
        if let Some(parent) = parent {
            text.push_str(&format!("parent = \"mqtt://{parent}\"\n"));
        }
        if self.seat != Seat::Hq {
            // A visitor of the demo reads more than they ring up.
            text.push_str("lock_after_s = 3600\n");
        }
        text
    }
}

/// A port of loopback that nobody listens on now.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two labs at the same time begin far from each other.
    let first = (std::process::id() % 180) as u16 * 50;
    for _ in 0..PORTS {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORT_FIRST + (first.wrapping_add(step)) % PORTS;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port of {PORT_FIRST} to {} is free on this machine", PORT_FIRST + PORTS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_seat_comes_after_its_parent() {
        let seats = Seat::all(2, 2);
        assert_eq!(seats.len(), 7);
        for (place, seat) in seats.iter().enumerate() {
            let parent =
                seat.parent().map(|parent| seats.iter().position(|other| *other == parent));
            assert!(
                parent.is_none_or(|parent| parent.is_some_and(|parent| parent < place)),
                "{seat:?}"
            );
        }
    }

    #[test]
    fn a_pos_names_the_near_end_of_its_line_and_no_broker_of_its_own() {
        let place = Place::find(Path::new("/desk"), Seat::Pos { store: 1, no: 2 });
        let settings = place.settings(Some("127.0.0.1:21001".parse().unwrap()), 1);
        assert!(settings.contains("device = \"s0001-p02\""), "{settings}");
        assert!(settings.contains("parent = \"mqtt://127.0.0.1:21001\""), "{settings}");
        assert!(!settings.contains("broker"), "{settings}");
    }

    #[test]
    fn a_port_is_given_once() {
        assert_ne!(free_port(), free_port());
    }
}
