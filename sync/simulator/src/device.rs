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
use selvedge_sync::origin::{DeviceId, Origin, Role, Stream};
use selvedge_sync::rebuild;
use selvedge_sync::replica::Replica;
use selvedge_sync::talk::{HubSettings, Input, Now, Output};
use std::sync::Arc;

/// Row changes in one slice of applying. Few, so that frames are cut by slices and slices by frames.
const SLICE_ROWS: usize = 40;

/// Page cache of a virtual device in KiB. Small, so that SQLite spills in the middle of transactions.
const CACHE_KIB: u32 = 64;

/// The database of a device.
pub const FILE: &str = "replica.db";

/// A rotten one, while a new one is built from it.
const ROTTEN: &str = "rotten.db";

/// One virtual device.
pub struct Device {
    /// Who it is.
    pub identity: Identity,
    /// Its parent, by number. HQ has none.
    pub parent: Option<usize>,
    /// Its children, by number.
    pub children: Vec<usize>,
    /// To whom it has lines of its own, where there are several: its parent among them.
    pub above: Vec<(usize, DeviceId)>,
    /// Who has a line to it: its children, and those that may turn to it.
    pub below: Vec<usize>,
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
    /// Whether its database has rotted, and must be built anew at the next start.
    pub rotten: bool,
    /// How often that was done.
    pub rebuilt: u64,
    /// Bits of its database that have flipped and that nobody has noticed yet.
    pub flipped: Vec<usize>,
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
            above: Vec::new(),
            below: Vec::new(),
            drive,
            clock,
            running: None,
            cut: None,
            admission: Vec::new(),
            boots: 0,
            keeps_copy: false,
            steps: vec![migrations.len()],
            version: 1,
            rotten: false,
            rebuilt: 0,
            flipped: Vec::new(),
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
        Replica::open(self.settings(identity, keys))
    }

    fn settings(&self, identity: Identity, keys: Arc<dyn DeviceKeys>) -> Settings {
        Settings {
            path: self.drive.path(FILE),
            vfs: Some(disk::VFS.to_owned()),
            identity,
            keys,
            migrations: self.schema().to_vec(),
            cache_kib: CACHE_KIB,
        }
    }

    /// The migrations of the version that it runs.
    pub fn schema(&self) -> &[Migration] {
        &self.migrations[..self.steps[self.version - 1]]
    }

    /// The path of a file on its disk, as SQLite names it.
    pub fn file(&self, name: &str) -> String {
        format!("/{}/{name}", self.identity.device.as_str())
    }

    /// Puts the rotten database aside and builds a new one from it. Where power ends that, it is begun again.
    fn build_anew(&mut self) -> Result<(), OpenError> {
        let (new, old) = (self.file(FILE), self.file(ROTTEN));
        let logs = (format!("{new}-wal"), format!("{old}-wal"));
        self.drive.touch(|platter| {
            if platter.find(&old).is_none() {
                platter.move_name(&new, &old);
                platter.move_name(&logs.0, &logs.1);
            } else {
                platter.drop_name(&new);
                platter.drop_name(&logs.0);
            }
        });
        let settings = || self.settings(self.identity.clone(), self.keys());
        if let Err(cause) = rebuild::build(&self.drive.path(ROTTEN), settings()) {
            // The log was trimmed after the bit had flipped: what is nowhere else is spared, now that it is known.
            if matches!(cause, OpenError::NeedsSnapshot { .. }) {
                let flipped = std::mem::take(&mut self.flipped);
                self.drive.touch(|platter| platter.flip_back(&old, &flipped));
            }
            return Err(cause);
        }
        self.drive.touch(|platter| {
            platter.drop_name(&old);
            platter.drop_name(&logs.1);
        });
        self.rotten = false;
        self.flipped.clear();
        self.rebuilt += 1;
        Ok(())
    }

    /// Opens the database and starts the hub.
    pub fn boot(&mut self) -> Result<(), OpenError> {
        self.boots += 1;
        if self.rotten {
            self.build_anew()?;
        }
        self.drive.touch(|platter| platter.note_wrong(false));
        let mut replica = match self.open_as(self.identity.clone(), self.keys()) {
            Err(cause) if cause.is_rot() => {
                self.rotten = true;
                self.build_anew()?;
                self.drive.touch(|platter| platter.note_wrong(false));
                self.open_as(self.identity.clone(), self.keys())?
            }
            opened => opened?,
        };
        let failed = |cause| OpenError::Sqlite { path: self.drive.path(FILE), cause };
        replica.admit(&self.admission).map_err(failed)?;
        let settings = HubSettings {
            has_parent: self.parent.is_some(),
            lines: self.above.iter().map(|one| one.1.clone()).collect(),
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
