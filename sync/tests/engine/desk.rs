//! A desk with replicas, joined by a line that does as told

use rusqlite::Transaction;
use selvedge_sync::{
    allow_list::{self, Row},
    device_keys::{DeviceKeys, SoftwareKeys},
    hlc::Millis,
    hub::Hub,
    identity::{Identity, Settings},
    incarnation,
    open::Migration,
    origin::{DeviceId, Origin, Role, Stream},
    outcome::{Committed, WriteError},
    replica::Replica,
    talk::{Event, HubSettings, Input, Now, Output, PeerId},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
};

/// A toy trade: facts with children and a derived sum, and prices of an owner.
pub const TRADE: &[Migration] = &[Migration {
    name: "0001_toy",
    sql: "
    CREATE TABLE act (id INTEGER PRIMARY KEY CHECK (id >> 40 > 0), at INTEGER NOT NULL, note TEXT) STRICT;
    CREATE TABLE part (act INTEGER NOT NULL, no INTEGER NOT NULL, thing INTEGER NOT NULL,
        amount INTEGER NOT NULL CHECK (amount <> 0), PRIMARY KEY (act, no)) STRICT, WITHOUT ROWID;
    CREATE TABLE rate (thing INTEGER PRIMARY KEY, value INTEGER NOT NULL, name TEXT) STRICT;
    CREATE TABLE sum (thing INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT;
    CREATE TRIGGER part_adds_up AFTER INSERT ON part BEGIN
        INSERT INTO sum VALUES (new.thing, new.amount)
        ON CONFLICT (thing) DO UPDATE SET amount = amount + excluded.amount;
    END;
    CREATE TABLE own_note (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
    INSERT INTO replicated (table_id, name, rule) VALUES (1, 'act', 'fact'), (2, 'part', 'counter'), (3, 'rate', 'owner');
    INSERT INTO replicated_column VALUES (1, 'id', 'id'), (1, 'at', 'time'), (2, 'act', 'id');
    ",
}];

/// One replica with its hub.
pub struct Place {
    pub replica: Replica,
    pub hub: Hub,
    dir: tempfile::TempDir,
    pub row: Row,
}

/// HQ's authority.
pub fn authority() -> Arc<SoftwareKeys> {
    Arc::new(SoftwareKeys::from_seed([99; 32]))
}

/// The keys of a device, by its origin.
pub fn keys(origin: u32) -> Arc<SoftwareKeys> {
    let mut seed = [7; 32];
    seed[..4].copy_from_slice(&origin.to_be_bytes());
    Arc::new(SoftwareKeys::from_seed(seed))
}

/// The signed row of a device.
pub fn row(device: &str, origin: u32, store: u32, role: Role) -> Row {
    let device = DeviceId::new(device).unwrap();
    let key = keys(origin).public();
    Row::sign(Origin::new(origin).unwrap(), &device, store, role, "T1", key, authority().as_ref())
}

/// Opens a replica in a folder of its own.
pub fn open_in(dir: &std::path::Path, row: &Row) -> Replica {
    open_with(dir, row, &[])
}

/// The same, with newer migrations behind the toy trade.
pub fn open_with(dir: &std::path::Path, row: &Row, newer: &[Migration]) -> Replica {
    Replica::open(settings(dir, row, newer)).unwrap()
}

/// Each start of a hub is another one.
static NONCE: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(100);

fn hub_settings(has_parent: bool) -> HubSettings {
    HubSettings { has_parent, slice_rows: 7, ..HubSettings::default() }
}

/// What a replica in a folder of its own is opened with.
pub fn settings(dir: &std::path::Path, row: &Row, newer: &[Migration]) -> Settings {
    let identity = Identity {
        device: row.device.clone(),
        origin: row.origin,
        role: row.role,
        store: row.store,
        authority: authority().public(),
    };
    Settings {
        path: PathBuf::from(dir).join("store.db"),
        vfs: None,
        identity,
        keys: keys(row.origin.get()),
        migrations: [TRADE, newer].concat(),
        cache_kib: 2_048,
    }
}

impl Place {
    pub fn new(row: &Row, knows: &[&Row], has_parent: bool) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let mut replica = open_in(dir.path(), row);
        let rows: Vec<Row> = knows.iter().map(|row| (*row).clone()).chain([row.clone()]).collect();
        replica.admit(&rows).unwrap();
        let hub = Hub::new(&replica, hub_settings(has_parent), 1).unwrap();
        Place { replica, hub, dir, row: row.clone() }
    }

    /// The same place after a restart with newer migrations.
    pub fn reopened(self, newer: &[Migration]) -> Place {
        let Place { replica, hub, dir, row } = self;
        drop(replica);
        let replica = open_with(dir.path(), &row, newer);
        Place { replica, hub, dir, row }
    }

    /// Closes it and leaves its folder.
    pub fn left(self) -> tempfile::TempDir {
        self.dir
    }

    /// The same place after a restart, under the origin that it was passed on to.
    pub fn restarted(self) -> Place {
        let Place { replica, hub, dir, row } = self;
        drop((replica, hub));
        Place::started(dir, row)
    }

    /// A copy of the place as its disk is now, not started.
    pub fn image(&self) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.dir.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        copy
    }

    /// The place with another disk.
    pub fn with_disk(self, dir: tempfile::TempDir) -> Place {
        let Place { replica, hub, row, .. } = self;
        drop((replica, hub));
        Place::started(dir, row)
    }

    /// Starts what is on a disk that was first admitted with this row.
    pub fn started(dir: tempfile::TempDir, row: Row) -> Place {
        Place::started_with(dir, row, &[])
    }

    /// The same, with further migrations.
    pub fn started_with(dir: tempfile::TempDir, row: Row, newer: &[Migration]) -> Place {
        let (replica, _) = incarnation::open(|| settings(dir.path(), &row, newer)).unwrap();
        let nonce = NONCE.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let hub = Hub::new(&replica, hub_settings(true), nonce).unwrap();
        Place { replica, hub, dir, row }
    }

    /// HQ from such a copy, as the next generation: it takes its own entries back.
    pub fn restored(image: tempfile::TempDir, old: &Row, new: &Row) -> Place {
        open_in(image.path(), old).hand_over(new).unwrap();
        let replica = open_in(image.path(), new);
        let settings = HubSettings { has_parent: false, slice_rows: 7, ..HubSettings::default() };
        let hub = Hub::new(&replica, settings, 9).unwrap();
        Place { replica, hub, dir: image, row: new.clone() }
    }

    /// An act with its parts.
    pub fn act(&mut self, now: i64, parts: &[(i64, i64)]) -> u64 {
        let done = self.write(now, |tx| {
            let id: i64 = tx.query_row(
                "INSERT INTO act (id, at, note) VALUES (row_id(), ?1, 'x') RETURNING id",
                [now],
                |row| row.get(0),
            )?;
            for ((thing, amount), no) in parts.iter().zip(1..) {
                tx.execute("INSERT INTO part VALUES (?1, ?2, ?3, ?4)", (id, no, thing, amount))?;
            }
            Ok(())
        });
        done.unwrap().entry.unwrap().seq
    }

    pub fn write<T>(
        &mut self,
        now: i64,
        deed: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<Committed<T>, WriteError<rusqlite::Error>> {
        self.replica.write(Millis(now), deed)
    }

    pub fn admit(&mut self, now: i64, row: &Row) {
        self.replica.write(Millis(now), |tx| allow_list::insert(tx, row)).unwrap();
    }

    /// What the shared tables and the derived sum hold.
    pub fn holds(&self) -> String {
        holds(&self.replica)
    }
}

/// What the shared tables and the derived sum of a replica hold.
pub fn holds(replica: &Replica) -> String {
    {
        let mut text = String::new();
        for sql in [
            "SELECT 'act ' || id || ' ' || at FROM act ORDER BY id",
            "SELECT 'part ' || act || ' ' || no || ' ' || thing || ' ' || amount FROM part ORDER BY act, no",
            "SELECT 'rate ' || thing || ' ' || value || ' ' || coalesce(name, '-') FROM rate ORDER BY thing",
            "SELECT 'sum ' || thing || ' ' || amount FROM sum ORDER BY thing",
        ] {
            let mut select = replica.db().prepare(sql).unwrap();
            let lines: Vec<String> =
                select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
            text.push_str(&lines.join("\n"));
            text.push('\n');
        }
        text
    }
}

/// Places joined as a tree; time moves only when told.
pub struct Desk {
    pub places: Vec<Place>,
    /// Parent of each place.
    pub parents: Vec<Option<usize>>,
    pub now: i64,
    pub events: Vec<Event>,
    /// Messages that are lost: every n-th, 0 for none.
    pub lose_every: usize,
    /// Messages that come twice.
    pub double: bool,
    /// Places without power.
    pub dead: BTreeSet<usize>,
    sent: usize,
    cut: BTreeMap<usize, bool>,
}

impl Desk {
    pub fn new(places: Vec<Place>, parents: Vec<Option<usize>>) -> Desk {
        Desk {
            places,
            parents,
            now: 1_000_000,
            events: Vec::new(),
            lose_every: 0,
            double: false,
            dead: BTreeSet::new(),
            sent: 0,
            cut: BTreeMap::new(),
        }
    }

    fn time(&self) -> Now {
        Now { wall: Millis(1_700_000_000_000 + self.now), steady: Millis(self.now) }
    }

    /// Plugs the cable of a place to its parent in or out.
    pub fn cable(&mut self, child: usize, there: bool) {
        self.cut.insert(child, !there);
        let parent = self.parents[child].unwrap();
        let device = self.places[child].row.device.clone();
        let input = |peer| if there { Input::Up(peer) } else { Input::Down(peer) };
        self.tell(child, input(PeerId::Parent));
        self.tell(parent, input(PeerId::Child(device)));
    }

    /// Hands an input to a place and carries out what it wants.
    pub fn tell(&mut self, at: usize, input: Input) {
        let now = self.time();
        let mut todo = vec![(at, input)];
        while let Some((at, input)) = todo.pop() {
            let place = &mut self.places[at];
            let mut outputs = place.hub.handle(&mut place.replica, now, vec![input]);
            loop {
                let (more, again) = place.hub.work(&mut place.replica, now);
                outputs.extend(more);
                if !again {
                    break;
                }
            }
            for output in outputs {
                match output {
                    Output::Send { to, kind, bytes } => {
                        self.sent += 1;
                        let lost = self.lose_every > 0 && self.sent.is_multiple_of(self.lose_every);
                        let Some((to, from)) = self.route(at, &to).filter(|_| !lost) else {
                            continue;
                        };
                        let message = Input::Message { from, kind, bytes };
                        if self.double {
                            todo.insert(0, (to, message.clone()));
                        }
                        todo.insert(0, (to, message));
                    }
                    Output::Event(event) => self.events.push(event),
                    Output::WakeAt(_) | Output::Copy(_) => {}
                }
            }
        }
    }

    fn route(&self, from: usize, to: &PeerId) -> Option<(usize, PeerId)> {
        match to {
            PeerId::Parent => {
                let parent = self.parents[from]?;
                let whole = !self.cut.get(&from).copied().unwrap_or(true);
                whole.then(|| (parent, PeerId::Child(self.places[from].row.device.clone())))
            }
            PeerId::Above(device) => {
                let above = self.places.iter().position(|place| place.row.device == *device)?;
                let alive = !self.dead.contains(&above) && !self.dead.contains(&from);
                alive.then(|| (above, PeerId::Child(self.places[from].row.device.clone())))
            }
            PeerId::Child(device) => {
                let child = self.places.iter().position(|place| place.row.device == *device)?;
                let whole = !self.cut.get(&child).copied().unwrap_or(true);
                let alive = !self.dead.contains(&child) && !self.dead.contains(&from);
                let by = match self.places[child].hub.parent() {
                    Some(_) => PeerId::Above(self.places[from].row.device.clone()),
                    None => PeerId::Parent,
                };
                (whole && alive).then_some((child, by))
            }
        }
    }

    /// Lets time pass in steps of 100 ms.
    pub fn pass(&mut self, ms: i64) {
        let end = self.now + ms;
        while self.now < end {
            self.now += 100;
            for at in 0..self.places.len() {
                self.tell(at, Input::Tick);
            }
        }
    }
}

/// HQ, one back office and `pos` checkouts; all cables in.
pub fn store(pos: u32) -> Desk {
    let hq = row("hq-w1", 1, 0, Role::Hq);
    let office = row("s0001-b01", 2, 1, Role::BackOffice);
    let mut places = vec![Place::new(&hq, &[], false), Place::new(&office, &[&hq], true)];
    let mut parents = vec![None, Some(0)];
    places[0].admit(1, &office);
    for number in 1..=pos {
        let row = row(&format!("s0001-p{number:02}"), 2 + number, 1, Role::Pos);
        places[0].admit(1, &row);
        places.push(Place::new(&row, &[&hq], true));
        parents.push(Some(1));
    }
    let mut desk = Desk::new(places, parents);
    for child in 1..desk.places.len() {
        desk.cable(child, true);
    }
    desk
}

/// The stream of the one store.
pub fn store_stream() -> Stream {
    Stream::store(1).unwrap()
}
