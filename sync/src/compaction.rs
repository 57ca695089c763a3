//! Keeps the log short: leases, watermarks and trimming
//!
//! Nothing is trimmed that HQ does not keep twice, that a device with a lease lacks, or whose past is not the one that HQ
//! has signed. HQ itself first moves its old entries into sealed segments.

use crate::{
    changelog,
    hlc::Millis,
    hub::{Hub, streams_of},
    marks::KEPT_TWICE,
    origin::{DeviceId, Origin, Role, Stream},
    outcome::WriteError,
    planted::{self, Fault},
    replica::Replica,
    segment::Segments,
    session::Key,
    talk::{Event, Now, Output, PeerId},
    trim,
    watermark::{self, Watermark},
};
use std::collections::BTreeMap;

/// Leases are kept this often.
const SAVE_EVERY_MS: i64 = 60_000;

impl Hub {
    /// Once a beat: time passes for leases, HQ publishes watermarks, and the log is trimmed a little.
    pub(crate) fn compact(&mut self, replica: &mut Replica, now: Now, outputs: &mut Vec<Output>) {
        if replica.halted().is_some() {
            return;
        }
        self.pass_time(replica, now.steady);
        let done = self.save_leases(replica, now.steady).map_err(|cause| cause.to_string());
        let done = done.and_then(|()| self.publish(replica, now, outputs));
        let done = done.and_then(|()| self.trim(replica));
        if let Err(reason) = done {
            outputs.push(Output::Event(Event::NotKept { reason }));
        }
    }

    fn pass_time(&mut self, replica: &Replica, now: Millis) {
        let before = self.compaction.looked_at.replace(now.0);
        let ms = before.map_or(0, |before| now.0 - before);
        let longest_ms = self.settings.lease_ms;
        let counts = |device: &DeviceId| replica.all_known().any(|row| row.device == *device);
        self.compaction.leases.pass(ms, longest_ms, counts);
    }

    fn save_leases(&mut self, replica: &mut Replica, now: Millis) -> rusqlite::Result<()> {
        let new = self.compaction.leases.take_new();
        if !new && now.0 < self.compaction.saved_at + SAVE_EVERY_MS {
            return Ok(());
        }
        self.compaction.saved_at = now.0;
        let leases = &self.compaction.leases;
        if leases.all().next().is_none() {
            return Ok(());
        }
        replica.keep_house(|tx| leases.save(tx))
    }

    /// What every device below that is waited for has of an origin's entries.
    fn held_below(&self, replica: &Replica, key: Key) -> u64 {
        let takes = |device: &DeviceId| {
            streams_of(replica, &PeerId::Child(device.clone())).contains(&key.0)
        };
        if planted::is(Fault::LeaseForgotten) {
            return u64::MAX;
        }
        self.compaction.leases.least(key, takes).unwrap_or(u64::MAX)
    }

    /// HQ says anew up to where logs may be trimmed, where that has moved far enough.
    fn publish(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        let due = self.compaction.published_at.unwrap_or(now.steady.0);
        if replica.identity().role != Role::Hq || now.steady.0 < due {
            return Ok(());
        }
        self.compaction.published_at = Some(now.steady.0 + self.settings.watermark_ms);
        let mut rows: BTreeMap<Stream, Vec<Watermark>> = BTreeMap::new();
        let keys: Vec<Key> = replica.heads.keys().copied().collect();
        for key in keys {
            let seq = self.watermark_of(replica, key);
            let before = watermark::of(replica.db(), key.0, key.1).map_err(text)?;
            let before = before.map_or(0, |row| row.seq);
            if seq < before + self.settings.watermark_step {
                continue;
            }
            let chain = changelog::chain_at(replica.db(), key.0, key.1, seq).map_err(text)?;
            let (signer, keys) = (replica.identity().origin, replica.keys().as_ref());
            let row = Watermark::sign(key.0, key.1, seq, chain, signer, keys);
            rows.entry(key.0).or_default().push(row);
        }
        for rows in rows.values().flat_map(|rows| rows.chunks(ROWS_PER_WRITE)) {
            let wrote = replica
                .write(now.wall, |tx| rows.iter().try_for_each(|row| watermark::put(tx, row)));
            match wrote {
                Ok(done) => outputs.push(Output::Event(Event::Published { mark: done.entry })),
                Err(cause) => {
                    if matches!(cause, WriteError::InDoubt(_)) {
                        outputs.push(Output::Event(Event::Published { mark: None }));
                    }
                    return Err(cause.to_string());
                }
            }
        }
        for peer in self.peers.values_mut() {
            peer.session.want_ack(now.steady);
        }
        Ok(())
    }

    /// What HQ keeps twice and everybody below it who is waited for has.
    fn watermark_of(&self, replica: &Replica, key: Key) -> u64 {
        let twice = if planted::is(Fault::WatermarkAboveSecondCopy) {
            u64::MAX
        } else {
            self.marks.seq(KEPT_TWICE, key)
        };
        let head = replica.head(key.0, key.1).seq;
        twice.min(self.held_below(replica, key)).min(head)
    }

    /// Trims some entries of each log.
    fn trim(&mut self, replica: &mut Replica) -> Result<(), String> {
        let keys: Vec<Key> = replica.heads.keys().copied().collect();
        let mut room = self.settings.trim_entries;
        for key in keys {
            if room == 0 {
                break;
            }
            let before = replica.floor(key.0, key.1);
            let to = self.may_trim_to(replica, key, before).map_err(text)?;
            if to <= before {
                continue;
            }
            let to = to.min(before + room);
            let to = if replica.identity().role == Role::Hq {
                self.seal_segments(replica, key, before, to)?
            } else {
                to
            };
            let after = replica.trim_log(key.0, key.1, to, room).map_err(text)?;
            room = room.saturating_sub(after - before);
        }
        Ok(())
    }

    /// Up to where this log may be trimmed now: by HQ's word, by what is lacked below, and not the newest.
    fn may_trim_to(&self, replica: &Replica, key: Key, floor: u64) -> rusqlite::Result<u64> {
        let head = replica.head(key.0, key.1).seq;
        let most = head.saturating_sub(self.settings.keep_entries);
        if most <= floor {
            return Ok(floor);
        }
        let Some(row) = watermark::of(replica.db(), key.0, key.1)? else { return Ok(floor) };
        if row.seq <= floor || row.seq > head {
            return Ok(floor);
        }
        let signer = replica.known(row.signer).filter(|signer| signer.role == Role::Hq);
        let believed =
            signer.is_some_and(|signer| row.verify(replica.keys().as_ref(), &signer.key));
        if !believed || changelog::chain_at(replica.db(), key.0, key.1, row.seq)? != row.chain {
            return Ok(floor);
        }
        Ok(row.seq.min(self.held_below(replica, key)).min(most))
    }

    /// Moves whole segments of HQ's log to their file, and says up to where they go.
    fn seal_segments(
        &mut self,
        replica: &Replica,
        key: Key,
        floor: u64,
        to: u64,
    ) -> Result<u64, String> {
        if self.compaction.segments.is_none() {
            let segments = Segments::open(replica.path(), replica.vfs());
            self.compaction.segments = Some(segments.map_err(|cause| cause.to_string())?);
        }
        let segments = self.compaction.segments.as_ref().expect("they were just opened");
        let sealed = segments.seal(replica, key, floor, to, self.settings.segment_entries);
        if sealed.is_err() {
            self.compaction.segments = None;
        }
        sealed.map_err(text)
    }
}

/// Watermarks in one write.
const ROWS_PER_WRITE: usize = 200;

fn text(cause: rusqlite::Error) -> String {
    cause.to_string()
}

impl Replica {
    /// Trims the log of an origin up to an entry, at most so many at once; says where its floor is then.
    pub fn trim_log(
        &mut self,
        stream: Stream,
        origin: Origin,
        to: u64,
        most: u64,
    ) -> rusqlite::Result<u64> {
        let head = self.head(stream, origin);
        let after = self.keep_house(|tx| trim::trim(tx, stream, origin, &head, to, most))?;
        if after > 0 {
            self.floors.insert((stream, origin), after);
        }
        Ok(after)
    }
}
