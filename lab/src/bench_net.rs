//! Replicas with their hubs, and the lines between them

use crate::bench_desk::{BEGIN_MS, Fault, Ground, trade_migrations};
use crate::cpu;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{Event, HubSettings, Input, Now, Output, PeerId};
use selvedge_sync::topics;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Page caches as shipped.
const CACHE_KIB: u32 = 8 * 1_024;
const CACHE_KIB_HQ: u32 = 64 * 1_024;
/// What MQTT adds to a message beside its topic: the heads of PUBLISH and its answer, at quality of service 1.
const MQTT_BYTES: usize = 12;

/// A device of a bench's chain: its signed row and its key.
#[derive(Clone)]
pub struct Post {
    /// HQ's word on it.
    pub row: Row,
    seed: [u8; 32],
}

impl Post {
    /// A device in its place.
    pub fn new(origin: u32, device: &str, store: u32, role: Role) -> Result<Post, Fault> {
        let mut seed = [9; 32];
        seed[..4].copy_from_slice(&origin.to_be_bytes());
        let key = SoftwareKeys::from_seed(seed).public();
        let (origin, device) =
            (Origin::new(origin).ok_or("an origin is 1 or more")?, DeviceId::new(device)?);
        let row = Row::sign(origin, &device, store, role, "T1", key, &authority());
        Ok(Post { row, seed })
    }

    /// Opens its database, in the file of its name, and tells it who else there is.
    pub fn open(&self, ground: &Ground, knows: &[Post]) -> Result<Replica, Fault> {
        let row = &self.row;
        let identity = Identity {
            device: row.device.clone(),
            origin: row.origin,
            role: row.role,
            store: row.store,
            authority: authority().public(),
        };
        let is_hq = row.role == Role::Hq;
        let mut replica = Replica::open(Settings {
            path: ground.folder.join(format!("{}.db", row.device)),
            vfs: ground.vfs.clone(),
            identity,
            keys: Arc::new(SoftwareKeys::from_seed(self.seed)),
            migrations: if is_hq { hq_bridge::migrations::all() } else { trade_migrations() },
            cache_kib: if is_hq { CACHE_KIB_HQ } else { CACHE_KIB },
        })?;
        let rows: Vec<Row> = knows.iter().chain([self]).map(|post| post.row.clone()).collect();
        replica.admit(&rows)?;
        Ok(replica)
    }
}

fn authority() -> SoftwareKeys {
    SoftwareKeys::from_seed([1; 32])
}

/// A replica with its hub, and whom it reports to.
pub struct Party {
    /// Its database.
    pub replica: Replica,
    /// Microseconds of CPU that its hub has used.
    pub cpu_us: f64,
    hub: Hub,
    name: DeviceId,
    parent: Option<usize>,
    wake_ms: i64,
}

/// The line of a child to its parent.
#[derive(Clone, Copy, Debug)]
pub struct Wire {
    /// Milliseconds one way.
    pub delay_ms: i64,
    /// Bytes that it carries in a second, each way; None is more than anybody sends.
    pub bytes_per_s: Option<f64>,
}

/// What is on its way.
struct Parcel {
    due_us: i64,
    to: usize,
    input: Input,
}

/// Parties and their lines. Time is virtual, but whatever the processor needs passes on its clock too.
pub struct Net {
    /// The parties, by their places.
    pub parties: Vec<Party>,
    /// Bytes that a line has carried, MQTT's own included: child, whether up, kind.
    pub carried: BTreeMap<(usize, bool, &'static str), u64>,
    wires: BTreeMap<usize, Wire>,
    busy_until_us: BTreeMap<(usize, bool), i64>,
    parcels: Vec<Parcel>,
    /// What hubs had to say to people, as text.
    pub events: Vec<String>,
    now_us: i64,
    wall_ms: i64,
}

impl Net {
    /// Nobody yet.
    pub fn new() -> Net {
        Net {
            parties: Vec::new(),
            carried: BTreeMap::new(),
            wires: BTreeMap::new(),
            busy_until_us: BTreeMap::new(),
            parcels: Vec::new(),
            events: Vec::new(),
            now_us: 0,
            wall_ms: BEGIN_MS,
        }
    }

    /// Adds a party with its line to a parent, still cut; gives its place.
    pub fn add(
        &mut self,
        replica: Replica,
        parent: Option<usize>,
        settings: HubSettings,
    ) -> Result<usize, Fault> {
        let settings = HubSettings { has_parent: parent.is_some(), ..settings };
        let name = replica.identity().device.clone();
        let place = self.parties.len();
        let hub = Hub::new(&replica, settings, place as u64 + 1)?;
        self.parties.push(Party { replica, cpu_us: 0.0, hub, name, parent, wake_ms: 0 });
        Ok(place)
    }

    /// The line of a child is there.
    pub fn join(&mut self, child: usize, wire: Wire) -> Result<(), Fault> {
        let parent = self.parties[child].parent.ok_or("it has a parent")?;
        let name = self.parties[child].name.clone();
        self.wires.insert(child, wire);
        self.tell(child, Input::Up(PeerId::Parent));
        self.tell(parent, Input::Up(PeerId::Child(name)));
        Ok(())
    }

    /// Something has happened at a party.
    pub fn tell(&mut self, to: usize, input: Input) {
        self.parcels.push(Parcel { due_us: self.now_us, to, input });
    }

    /// Lets the wall clocks pass on while nobody works.
    pub fn sleep_until(&mut self, wall_ms: i64) {
        self.wall_ms = self.wall_ms.max(wall_ms - self.now_us / 1_000);
    }

    /// Goes on until all is done, for at most so many seconds; says how many it took.
    pub fn run_until(
        &mut self,
        most_s: i64,
        mut done: impl FnMut(&[Party]) -> bool,
    ) -> Result<f64, Fault> {
        let (begun_us, end_us) = (self.now_us, self.now_us + most_s * 1_000_000);
        while !done(&self.parties) {
            let due = self.parcels.iter().map(|parcel| parcel.due_us).min();
            let wake = self.parties.iter().map(|party| party.wake_ms * 1_000).min();
            let next = due.into_iter().chain(wake).min().ok_or("nobody has anything to do")?;
            if next > end_us {
                let last: Vec<&String> = self.events.iter().rev().take(3).collect();
                return Err(format!("not done after {most_s} s: {last:?}").into());
            }
            self.now_us = self.now_us.max(next);
            self.turn()?;
        }
        Ok((self.now_us - begun_us) as f64 / 1e6)
    }

    /// Hands out what is due.
    fn turn(&mut self) -> Result<(), Fault> {
        for place in 0..self.parties.len() {
            let now_us = self.now_us;
            let is_due = |parcel: &Parcel| parcel.to == place && parcel.due_us <= now_us;
            let (due, later) = std::mem::take(&mut self.parcels).into_iter().partition(is_due);
            self.parcels = later;
            let due: Vec<Parcel> = due;
            if due.is_empty() && self.parties[place].wake_ms * 1_000 > now_us {
                continue;
            }
            let begun = Instant::now();
            let outputs = self.work(place, due.into_iter().map(|parcel| parcel.input).collect())?;
            self.now_us += i64::try_from(begun.elapsed().as_micros())?;
            for output in outputs {
                self.carry_out(place, output)?;
            }
        }
        Ok(())
    }

    fn work(&mut self, place: usize, inputs: Vec<Input>) -> Result<Vec<Output>, Fault> {
        let steady = Millis(self.now_us / 1_000);
        let now = Now { wall: Millis(self.wall_ms + steady.0), steady };
        let party = &mut self.parties[place];
        let (outputs, us) = cpu::of(|| {
            let mut outputs = party.hub.handle(&mut party.replica, now, inputs);
            loop {
                let (more, again) = party.hub.work(&mut party.replica, now);
                outputs.extend(more);
                if !again {
                    return Ok::<_, Fault>(outputs);
                }
            }
        })?;
        party.cpu_us += us;
        let wake = outputs.iter().filter_map(|output| match output {
            Output::WakeAt(at) => Some(at.0),
            _ => None,
        });
        party.wake_ms = wake.min().unwrap_or(i64::MAX / 2_000).max(steady.0 + 1);
        Ok(outputs)
    }

    fn carry_out(&mut self, from: usize, output: Output) -> Result<(), Fault> {
        match output {
            Output::Send { to, kind, bytes } => {
                let up = matches!(to, PeerId::Parent | PeerId::Above(_));
                let child = match &to {
                    PeerId::Child(name) => self.parties.iter().position(|one| one.name == *name),
                    _ => Some(from),
                };
                let child = child.ok_or("nobody of that name")?;
                let name = &self.parties[child].name;
                let topic = if up { topics::up(name, kind) } else { topics::down(name, kind) };
                let size = (bytes.len() + topic.len() + MQTT_BYTES) as u64;
                *self.carried.entry((child, up, kind.as_str())).or_default() += size;
                let sender = if up { PeerId::Child(name.clone()) } else { PeerId::Parent };
                let parent = self.parties[child].parent.ok_or("it has a parent")?;
                let due_us = self.arrives(child, up, size)?;
                let to = if up { parent } else { child };
                let input = Input::Message { from: sender, kind, bytes };
                self.parcels.push(Parcel { due_us, to, input });
            }
            Output::Copy(batch) => self.tell(from, Input::Copied(batch.marks)),
            Output::Event(Event::NotKept { reason } | Event::Refused { reason, .. }) => {
                self.events.push(reason);
            }
            Output::Event(event) => self.events.push(format!("{event:?}")),
            Output::WakeAt(_) => {}
        }
        Ok(())
    }

    /// When a message that is handed to a line now comes out at its other end.
    fn arrives(&mut self, child: usize, up: bool, size: u64) -> Result<i64, Fault> {
        let wire = self.wires.get(&child).ok_or("the line is cut")?;
        let busy = self.busy_until_us.entry((child, up)).or_default();
        let takes_us = wire.bytes_per_s.map_or(0.0, |rate| size as f64 / rate * 1e6);
        *busy = (*busy).max(self.now_us) + takes_us as i64;
        Ok(*busy + wire.delay_ms * 1_000)
    }

    /// Bytes that the line of a child has carried one way.
    pub fn bytes(&self, child: usize, up: bool) -> u64 {
        let of = |key: &&(usize, bool, &str)| key.0 == child && key.1 == up;
        self.carried.keys().filter(of).map(|key| self.carried[key]).sum()
    }

    /// Forgets what was carried and used so far.
    pub fn count_anew(&mut self) {
        self.carried.clear();
        for party in &mut self.parties {
            party.cpu_us = 0.0;
        }
    }
}

impl Default for Net {
    fn default() -> Net {
        Net::new()
    }
}

/// Whether one has all that another has of these streams.
pub fn has_all_of(one: &Replica, other: &Replica, streams: &[Stream]) -> bool {
    streams.iter().all(|stream| {
        other.heads_of(*stream).all(|(origin, head)| one.head(*stream, origin).seq >= head.seq)
    })
}

/// Bytes of a database with what is not checkpointed yet.
pub fn bytes_on_disk(path: &Path) -> u64 {
    let wal = path.with_extension("db-wal");
    [path, &wal].iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum()
}
