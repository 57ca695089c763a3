//! Keeps a second copy at HQ, and looks at what was trimmed

use crate::shadow::Effect;
use crate::stage::{HQ, Stage, Verdict};
use crate::swarm::Mishap;
use crate::verdict::Violation;
use selvedge_sync::changelog;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::talk::{Event, Input};

/// The second copy is so far behind.
const TWICE_EVERY_MS: i64 = 12_000;

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
                // Whoever may turn to another finds one who has not heard of it in time.
                let expected = self.trimming.counted_out.contains(&device)
                    || !self.devices[device].above.is_empty()
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
            let stream = Stream::from_number(store).expect("stores are few");
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
