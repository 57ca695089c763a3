//! What HQ keeps twice, and who was given a snapshot
//!
//! Leases and watermarks are short here, so that in a few virtual minutes logs are trimmed, leases run out, and devices
//! that come back lack what nobody has any more.

use crate::ledger::Vector;
use crate::shadow::Effect;
use crate::stage::{HQ, Stage, Verdict};
use crate::swarm::Mishap;
use crate::verdict::Violation;
use selvedge_sync::changelog;
use selvedge_sync::origin::Role;
use selvedge_sync::talk::{Event, HubSettings, Input};
use std::collections::{BTreeMap, BTreeSet};

/// A device that is silent for so long is not waited for.
const LEASE_MS: i64 = 30_000;

/// The second copy is so far behind.
const TWICE_EVERY_MS: i64 = 12_000;

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

/// What HQ keeps twice, and who was given a snapshot.
#[derive(Debug, Default)]
pub struct Trimming {
    /// What HQ has in its second copy.
    pub second_copy: Vector,
    heard_ms: BTreeMap<usize, i64>,
    /// Devices whose parent may have stopped waiting for them.
    counted_out: BTreeSet<usize>,
    installed: BTreeSet<usize>,
    early: Option<usize>,
    kept_ms: i64,
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

impl Stage {
    /// Notes what a hub says beside its messages.
    pub fn note(&mut self, device: usize, event: Event) {
        let origin = self.devices[device].origin();
        match event {
            Event::Published { mark: Some(mark) } => {
                self.ledger.acknowledge(mark.stream, origin, mark.hash, Effect::default());
            }
            Event::Published { mark: None } => self.ledger.doubt(origin, Effect::default()),
            Event::Installed { .. } => {
                self.figures.snapshots += 1;
                let parent = self.devices[device].parent.unwrap_or(HQ);
                let expected = self.trimming.counted_out.contains(&device)
                    || self.trimming.installed.contains(&parent);
                if !expected {
                    self.trimming.early = Some(device);
                }
                self.trimming.installed.insert(device);
            }
            _ => {}
        }
    }

    /// I15: no entry is trimmed that HQ does not keep twice, and what a floor says of the past is true. Whoever was
    /// heard in time lacks nothing that its parent has trimmed.
    pub fn look_at_floors(&mut self) -> Verdict {
        if let Some(device) = self.trimming.early.take() {
            let what = "it was given a snapshot though its parent had heard it in time".to_owned();
            return Err(self.violation("I15", device, what));
        }
        for device in 0..self.devices.len() {
            self.look_at_floors_of(device)?;
        }
        Ok(())
    }

    /// Every few seconds HQ's second copy catches up, and before it does nobody has trimmed more than it has.
    pub fn keep_twice(&mut self) -> Result<Option<Input>, Box<Violation>> {
        // One HQ in three has no second copy, so nothing is trimmed.
        if self.faults.has(Mishap::RestoredHq)
            || self.seed.is_multiple_of(3)
            || self.at_ms < self.trimming.kept_ms + TWICE_EVERY_MS
        {
            return Ok(None);
        }
        self.trimming.kept_ms = self.at_ms;
        self.look_at_floors()?;
        let Some(running) = &self.devices[HQ].running else { return Ok(None) };
        let mut heads = Vec::new();
        for store in 0..=self.size.stores {
            let stream = selvedge_sync::origin::Stream::from_number(store).expect("stores are few");
            heads.extend(running.replica.heads_of(stream).map(|head| (stream, head.0, head.1.seq)));
        }
        self.trimming.second_copy =
            heads.iter().map(|(stream, origin, seq)| ((*stream, *origin), *seq)).collect();
        Ok(Some(Input::Copied(heads)))
    }

    fn look_at_floors_of(&mut self, device: usize) -> Verdict {
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        let (replica, own) = (&running.replica, self.devices[device].origin());
        let store = self.devices[device].identity.store;
        let has_all = self.devices[device].identity.role == Role::Hq
            || !self.trimming.installed.contains(&device);
        let streams = self.devices[device].streams(self.size.stores);
        let mut trimmed = 0;
        for stream in streams {
            for (origin, _) in replica.heads_of(stream) {
                let floor = replica.floor(stream, origin);
                trimmed += floor;
                let twice = self.trimming.second_copy.get(&(stream, origin)).copied().unwrap_or(0);
                if floor > twice && (has_all || origin == own) {
                    let what = format!(
                        "origin {origin} in {stream}: trimmed up to {floor}, HQ has {twice} twice"
                    );
                    return Err(self.violation("I15", device, what));
                }
                let chain = changelog::chain_at(replica.db(), stream, origin, floor);
                if let (Some(told), Ok(chain)) = (self.ledger.hash(stream, origin, floor), chain)
                    && told != chain
                {
                    let what = format!("origin {origin} in {stream}: another past below {floor}");
                    return Err(self.violation("I15", device, what));
                }
            }
        }
        if device != HQ && store > 0 {
            self.figures.trimmed = self.figures.trimmed.max(trimmed);
        }
        Ok(())
    }
}
