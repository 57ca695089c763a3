//! What HQ keeps twice, and who was given a snapshot
//!
//! Leases and watermarks are short here, so that in a few virtual minutes logs are trimmed, leases run out, and devices
//! that come back lack what nobody has any more.

use crate::ledger::Vector;
use selvedge_sync::talk::HubSettings;
use std::collections::{BTreeMap, BTreeSet};

/// A device that is silent for so long is not waited for.
const LEASE_MS: i64 = 30_000;

/// The beat of virtual devices.
const BEAT_MS: i64 = 10_000;

/// Settings of hubs that see in minutes what others see in months.
pub fn brisk() -> HubSettings {
    HubSettings {
        snapshot_above: 25,
        snapshot_chunk: 700,
        lease_ms: LEASE_MS,
        watermark_ms: 4_000,
        watermark_step: 3,
        keep_entries: 2,
        trim_entries: 60,
        segment_entries: 4,
        ..HubSettings::default()
    }
}

/// By child: which parent it waits for, how often both had started by then, and since when that one is dead.
pub type Waits = BTreeMap<usize, (usize, u64, u64, i64)>;

/// What HQ keeps twice, and who was given a snapshot.
#[derive(Debug, Default)]
pub struct Trimming {
    /// What HQ has in its second copy.
    pub second_copy: Vector,
    pub(crate) heard_ms: BTreeMap<usize, i64>,
    /// Devices whose parent may have stopped waiting for them.
    pub(crate) counted_out: BTreeSet<usize>,
    pub(crate) installed: BTreeSet<usize>,
    pub(crate) early: Option<usize>,
    pub(crate) kept_ms: i64,
}

impl Trimming {
    /// The parent of a device hears it.
    pub fn hear(&mut self, child: usize, at_ms: i64) {
        let before = self.heard_ms.insert(child, at_ms);
        // What arrives may be old or damaged: only a fresh word counts, and of that this is the longest time apart.
        if before.is_none_or(|before| at_ms - before > LEASE_MS - BEAT_MS) {
            self.counted_out.insert(child);
        }
    }

    /// Whoever waited for these devices has ended, and may have kept no word of it.
    pub fn forget(&mut self, children: &[usize]) {
        self.counted_out.extend(children);
    }
}
