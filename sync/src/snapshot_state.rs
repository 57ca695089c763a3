//! What a hub knows of snapshots and of trimming

use crate::{
    hlc::Millis,
    lease::Leases,
    origin::DeviceId,
    replica::Replica,
    segment::Segments,
    snapshot::Manifest,
    snapshot_maker::Making,
    snapshot_rack::{Made, Rack},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A snapshot that was made is used again for so long.
pub const USED_AGAIN_MS: i64 = 3_600_000;

/// A manifest is told again, and a chunk asked for again, after this.
pub const AGAIN_MS: i64 = 10_000;

/// After something went wrong nothing is tried for so long.
pub const REST_MS: i64 = 5_000;

/// Chunks that may be under way before any rate is known.
const WINDOW_MIN: usize = 2;

/// A snapshot that comes.
pub struct Coming {
    /// What it is.
    pub manifest: Manifest,
    /// Chunks that are not here yet.
    pub missing: BTreeSet<u64>,
    asked: BTreeMap<u64, i64>,
    arrived: VecDeque<i64>,
}

impl Coming {
    /// A snapshot of which these chunks are here already.
    pub fn new(manifest: Manifest, here: &[u64]) -> Coming {
        let missing = (1..=manifest.chunks).filter(|number| !here.contains(number)).collect();
        Coming { manifest, missing, asked: BTreeMap::new(), arrived: VecDeque::new() }
    }

    /// A chunk is here now.
    pub fn arrive(&mut self, now: Millis, number: u64) {
        self.missing.remove(&number);
        self.asked.remove(&number);
        self.arrived.push_back(now.0);
        while self.arrived.front().is_some_and(|at| *at <= now.0 - 1_000) {
            self.arrived.pop_front();
        }
    }

    /// Which chunks to ask for now: as many as came in the last second, once half of those are here.
    pub fn ask(&mut self, now: Millis, most: usize) -> Vec<u64> {
        self.asked.retain(|_, at| now.0 < *at + AGAIN_MS);
        let window = self.arrived.len().clamp(WINDOW_MIN, most);
        if self.asked.len() * 2 > window {
            return Vec::new();
        }
        let free = window - self.asked.len();
        let asked = &self.asked;
        let next: Vec<u64> =
            self.missing.iter().copied().filter(|no| !asked.contains_key(no)).take(free).collect();
        self.asked.extend(next.iter().map(|number| (*number, now.0)));
        next
    }

    /// When to ask again, at the latest.
    pub fn wake_at(&self) -> Option<i64> {
        self.asked.values().min().map(|at| at + AGAIN_MS)
    }
}

/// What a hub knows of snapshots.
#[derive(Default)]
pub struct Snapshots {
    pub(crate) rack: Option<Rack>,
    /// Children that are to begin with a snapshot, and when each was told of one.
    pub(crate) wanted_by: BTreeMap<DeviceId, Option<i64>>,
    /// Chunks that children have asked for.
    pub(crate) asked: Vec<(DeviceId, Vec<u64>)>,
    pub(crate) making: Option<Making>,
    pub(crate) made: BTreeMap<u32, (Made, Manifest)>,
    /// When each was made or last asked for.
    pub(crate) used_at: BTreeMap<u32, i64>,
    pub(crate) coming: Option<Coming>,
    /// Snapshots that this build cannot take.
    pub(crate) declined: bool,
    pub(crate) rest_until: Option<i64>,
    /// Whether a page was refused that a snapshot should have held.
    pub(crate) met_rot: bool,
}

impl Snapshots {
    /// The rack, opened when it is first needed.
    pub fn rack(&mut self, replica: &Replica) -> Result<&Rack, String> {
        if self.rack.is_none() {
            let rack = Rack::open(replica.path(), replica.vfs());
            self.rack = Some(rack.map_err(|cause| cause.to_string())?);
        }
        Ok(self.rack.as_ref().expect("it was just opened"))
    }

    /// Something went wrong: nothing is tried for a while, then the rack is opened anew.
    pub fn rest(&mut self, now: Millis) {
        self.rack = None;
        self.making = None;
        self.made.clear();
        self.rest_until = Some(now.0 + REST_MS);
    }

    /// Whether a slice of work waits.
    pub fn has_work(&self) -> bool {
        let whole = |coming: &Coming| coming.missing.is_empty();
        self.making.is_some() || self.coming.as_ref().is_some_and(whole)
    }

    /// Whether nothing is to be tried now.
    pub fn rests(&mut self, now: Millis) -> bool {
        self.rest_until = self.rest_until.filter(|until| now.0 < *until);
        self.rest_until.is_some()
    }
}

/// What a hub knows of trimming.
#[derive(Default)]
pub struct Compaction {
    pub(crate) leases: Leases,
    pub(crate) looked_at: Option<i64>,
    pub(crate) saved_at: i64,
    pub(crate) published_at: Option<i64>,
    pub(crate) segments: Option<Segments>,
}

impl Compaction {
    /// What was known before the last stop.
    pub fn load(replica: &Replica) -> rusqlite::Result<Compaction> {
        Ok(Compaction { leases: Leases::load(replica.db())?, ..Compaction::default() })
    }
}
