//! One virtual device: replica and hub on a disk of its own
//!
//! A device that runs holds a replica and a hub. When its power goes both are dropped on the spot, and what comes back
//! is what the disk kept.

use crate::clocks::WallClock;
use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::power::Cut;
use crate::trimming;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::identity::{Identity, Settings};
use selvedge_sync::open::{Migration, OpenError};
use selvedge_sync::origin::{Origin, Role, Stream};
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{HubSettings, Input, Now, Output};
use std::sync::Arc;

/// Row changes in one slice of applying. Few, so that frames are cut by slices and slices by frames.
const SLICE_ROWS: usize = 40;

/// Page cache of a virtual device in KiB. Small, so that SQLite spills in the middle of transactions.
const CACHE_KIB: u32 = 64;

/// One virtual device.
pub struct Device {
    /// Who it is.
    pub identity: Identity,
    /// Its parent, by number. HQ has none.
    pub parent: Option<usize>,
    /// Its children, by number.
    pub children: Vec<usize>,
    /// Its disk.
    pub drive: Drive,
    /// Its wall clock.
    pub clock: WallClock,
    /// What runs on it; nothing while it is dark.
    pub running: Option<Running>,
    /// The cut that is planned for it.
    pub cut: Option<Cut>,
    /// Rows that it is admitted with.
    pub admission: Vec<Row>,
    /// How often it has started.
    pub boots: u64,
    /// Whether it keeps a second copy.
    pub keeps_copy: bool,
    /// How many of the trade's migrations each version of its schema has.
    pub steps: Vec<usize>,
    /// The version that it runs, from 1.
    pub version: usize,
    keys: Arc<dyn DeviceKeys>,
    dice: Dice,
    migrations: Vec<Migration>,
}

/// What runs on a device that has power.
pub struct Running {
    /// Its database.
    pub replica: Replica,
    /// Its conversations.
    pub hub: Hub,
    /// When the hub next wants to be woken, in steady time.
    pub wake_at_ms: Option<i64>,
    /// Whether a slice of work is planned.
    pub works: bool,
}

/// What a hub wants done, in the order in which it said so.
pub type Wishes = Vec<Output>;

impl Device {
    /// A device that has not started yet.
    pub fn new(
        identity: Identity,
        keys: Arc<dyn DeviceKeys>,
        parent: Option<usize>,
        clock: WallClock,
        dice: Dice,
        migrations: Vec<Migration>,
    ) -> Device {
        let drive = Drive::mount(identity.device.as_str());
        Device {
            identity,
            parent,
            children: Vec::new(),
            drive,
            clock,
            running: None,
            cut: None,
            admission: Vec::new(),
            boots: 0,
            keeps_copy: false,
            steps: vec![migrations.len()],
            version: 1,
            keys,
            dice,
            migrations,
        }
    }

    /// Its origin.
    pub fn origin(&self) -> Origin {
        self.identity.origin
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        self.identity.device.as_str()
    }

    /// The streams that it takes: all of them at HQ, else the chain and its store's.
    pub fn streams(&self, stores: u32) -> Vec<Stream> {
        let own = match self.identity.role {
            Role::Hq => 1..=stores,
            Role::BackOffice | Role::Pos => self.identity.store..=self.identity.store,
        };
        std::iter::once(Stream::CHAIN).chain(own.filter_map(Stream::store)).collect()
    }

    /// Both clocks.
    pub fn now(&self, at_ms: i64) -> Now {
        Now { wall: Millis(self.clock.reads(at_ms)), steady: Millis(at_ms) }
    }

    /// Its keys.
    pub fn keys(&self) -> Arc<dyn DeviceKeys> {
        Arc::clone(&self.keys)
    }

    /// Whether it is an HQ that takes its own entries back.
    pub fn recalls(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.replica.recalls().is_some())
    }

    /// From now on it is another incarnation.
    pub fn become_another(&mut self, identity: Identity, keys: Arc<dyn DeviceKeys>) {
        self.identity = identity;
        self.keys = keys;
    }

    /// Opens the database as this one.
    pub fn open_as(
        &self,
        identity: Identity,
        keys: Arc<dyn DeviceKeys>,
    ) -> Result<Replica, OpenError> {
        Replica::open(Settings {
            path: self.drive.path("replica.db"),
            vfs: Some(disk::VFS.to_owned()),
            identity,
            keys,
            migrations: self.migrations[..self.steps[self.version - 1]].to_vec(),
            cache_kib: CACHE_KIB,
        })
    }

    /// Opens the database and starts the hub.
    pub fn boot(&mut self) -> Result<(), OpenError> {
        self.boots += 1;
        let mut replica = self.open_as(self.identity.clone(), self.keys())?;
        let failed = |cause| OpenError::Sqlite { path: self.drive.path("replica.db"), cause };
        replica.admit(&self.admission).map_err(failed)?;
        let settings = HubSettings {
            has_parent: self.parent.is_some(),
            second_copy: self.keeps_copy,
            slice_rows: SLICE_ROWS,
            ..trimming::brisk()
        };
        let hub = Hub::new(&replica, settings, self.dice.number()).map_err(failed)?;
        self.running = Some(Running { replica, hub, wake_at_ms: None, works: false });
        Ok(())
    }

    /// Hands inputs to the hub, if the device runs.
    pub fn handle(&mut self, at_ms: i64, inputs: Vec<Input>) -> Wishes {
        let now = self.now(at_ms);
        disk::set_wall_ms(now.wall.0);
        match &mut self.running {
            Some(Running { replica, hub, .. }) => hub.handle(replica, now, inputs),
            None => Vec::new(),
        }
    }

    /// Lets the hub apply one slice. Says whether there is more.
    pub fn work(&mut self, at_ms: i64) -> (Wishes, bool) {
        let now = self.now(at_ms);
        disk::set_wall_ms(now.wall.0);
        match &mut self.running {
            Some(Running { replica, hub, .. }) => hub.work(replica, now),
            None => (Vec::new(), false),
        }
    }
}
