//! How a replica stands with the others, for people to read

use crate::{
    hlc::Millis,
    hub::Hub,
    marks::{AT_HQ, AT_PARENT, KEPT_TWICE},
    origin::{DeviceId, Origin, Stream},
    replica::Replica,
    session::Key,
    talk::{Now, PeerId},
    writer::WriterState,
};
use std::collections::BTreeMap;

/// How a replica stands with the others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubStatus {
    /// True while the line to the parent is there and the parent has spoken.
    pub parent_up: bool,
    /// Whether this device may write under its origin.
    pub writer: WriterState,
    /// Why no write is taken for now though the database is well; empty otherwise.
    pub stale: String,
    /// The schema epoch of this build.
    pub epoch: u16,
    /// Up to where our own log was trimmed; 0 when it is whole.
    pub floor: u64,
    /// To whom we report now, where several are named.
    pub parent: Option<DeviceId>,
    /// Milliseconds since the parent was last heard.
    pub parent_heard_ms: Option<i64>,
    /// Our own newest entry in our store's stream (HQ: in `chain`).
    pub own_head: u64,
    /// Our newest entry that the parent has.
    pub parent_has: u64,
    /// The generation of HQ that has last said what it has: the origin of its writer.
    pub generation: Option<Origin>,
    /// Our newest entry that is committed at HQ.
    pub hq_has: u64,
    /// Our newest entry that HQ has in its second copy too.
    pub kept_twice: u64,
    /// Entries here that no second copy keeps yet; None where none is kept, so not at a store.
    pub kept_once: Option<u64>,
    /// Entries that could not be applied here.
    pub parked: u64,
    /// Writers whose frames wait because they are not on the allow-list.
    pub waiting_origins: Vec<Origin>,
    /// Frames and messages that were refused since the start.
    pub refused: u64,
    /// One sentence on why something has not travelled, empty when all has.
    pub reason: String,
    /// The devices below, also those beyond a child, with milliseconds since each was heard.
    pub children: Vec<(DeviceId, Option<i64>)>,
    /// The devices below with milliseconds since each was last heard while we had all that was known of it. Hop by hop,
    /// as the ages above; a device that never was so is not here.
    pub complete: Vec<(DeviceId, i64)>,
    /// Of each writer, the entries that a device below is known to have and that are not here.
    pub missing: Vec<(Origin, u64)>,
    /// The builds of the devices that speak to us, as they say.
    pub builds: Vec<(DeviceId, String)>,
    /// Newest seq per stream and origin.
    pub vector: Vec<(Stream, Origin, u64)>,
}

impl Hub {
    /// How this replica stands with the others.
    pub fn status(&self, replica: &Replica, now: Now) -> HubStatus {
        let identity = replica.identity();
        let stream = Stream::store(identity.store).unwrap_or(Stream::CHAIN);
        let key = (stream, identity.origin);
        let parent = self.peers.get(&PeerId::Parent);
        let age = |at: Option<Millis>| at.map(|at| now.steady.0 - at.0);
        let mut status = HubStatus {
            parent_up: parent.is_some_and(|parent| {
                let heard = age(parent.session.heard());
                let silent = heard.is_none_or(|ms| ms > self.settings.beat_ms * 5 / 2);
                parent.session.is_known() && !silent
            }),
            writer: replica.writer_state(),
            stale: replica.stale().unwrap_or_default().to_owned(),
            epoch: replica.tables().epoch(),
            floor: replica.floor(stream, identity.origin),
            parent: self.parents.now().cloned(),
            parent_heard_ms: age(parent.and_then(|parent| parent.session.heard())),
            own_head: replica.head(stream, identity.origin).seq,
            parent_has: self.marks.seq(AT_PARENT, key),
            generation: Origin::new(self.marks.generation()),
            hq_has: self.marks.seq(AT_HQ, key),
            kept_twice: self.marks.seq(KEPT_TWICE, key),
            kept_once: self.kept_once(replica),
            parked: self.parked,
            waiting_origins: self.waiting.iter().copied().collect(),
            refused: self.refused,
            reason: String::new(),
            children: Vec::new(),
            complete: Vec::new(),
            missing: self.missing(replica),
            builds: Vec::new(),
            vector: replica.heads.iter().map(|(key, head)| (key.0, key.1, head.seq)).collect(),
        };
        for (id, peer) in &self.peers {
            let PeerId::Child(device) = id else { continue };
            status.children.push((device.clone(), age(peer.session.heard())));
            let beyond = ages(replica, now, &peer.beyond);
            status.children.extend(beyond.map(|(device, ms)| (device, Some(ms))));
            status.complete.extend(age(peer.complete).map(|ms| (device.clone(), ms)));
            status.complete.extend(ages(replica, now, &peer.beyond_complete));
            if !peer.build.is_empty() {
                status.builds.push((device.clone(), peer.build.clone()));
            }
        }
        status.reason = self.reason(&status);
        status
    }

    /// What devices below are known to have of each writer beyond what is here.
    fn missing(&self, replica: &Replica) -> Vec<(Origin, u64)> {
        let mut missing: BTreeMap<Key, u64> = BTreeMap::new();
        for (id, peer) in &self.peers {
            let heads = peer.session.known_heads().filter(|_| *id != PeerId::Parent);
            for (key, seq) in heads {
                let more = seq.saturating_sub(replica.head(key.0, key.1).seq);
                if more > 0 {
                    let most = missing.entry(key).or_default();
                    *most = more.max(*most);
                }
            }
        }
        let mut of_origin: BTreeMap<Origin, u64> = BTreeMap::new();
        for ((_, origin), more) in missing {
            *of_origin.entry(origin).or_default() += more;
        }
        of_origin.into_iter().collect()
    }

    fn reason(&self, status: &HubStatus) -> String {
        let behind = status.own_head.saturating_sub(status.hq_has);
        if !self.settings.has_parent {
            return String::new();
        }
        match status.parent_heard_ms {
            _ if status.parent_up && behind == 0 => String::new(),
            _ if status.parent_up && status.parent_has < status.own_head => {
                format!("{behind} entries are on their way")
            }
            _ if status.parent_up => {
                format!("{behind} entries wait for the line from the store to HQ")
            }
            None => "the parent has not been heard since the start".to_owned(),
            Some(ms) => format!("the parent was last heard {} s ago", ms / 1_000),
        }
    }
}

/// Ages that somebody told of the devices beyond it, older by the time since it told them.
fn ages(
    replica: &Replica,
    now: Now,
    said: &BTreeMap<Origin, (u32, Millis)>,
) -> impl Iterator<Item = (DeviceId, i64)> {
    said.iter().filter_map(move |(origin, (seconds, at))| {
        let row = replica.known(*origin)?;
        Some((row.device.clone(), i64::from(*seconds) * 1_000 + (now.steady.0 - at.0)))
    })
}
