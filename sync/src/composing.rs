//! Writes the messages of a conversation

use crate::{
    allow_list::Row,
    blob_talk::about_blobs,
    epochs,
    hub::{Conversation, Hub, digest_of, streams_of},
    marks::{AT_HQ, KEPT_TWICE},
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    replica::Replica,
    session::Beat,
    signed::Mark,
    talk::{Now, PeerId},
    version,
    wire::{Ack, Need, StreamHeads},
};

impl Hub {
    pub(crate) fn credit(&self, from: &PeerId) -> u32 {
        let waits = u32::try_from(self.waiting_bytes(from)).unwrap_or(u32::MAX);
        self.settings.credit_bytes.saturating_sub(waits)
    }

    pub(crate) fn need(&self, replica: &Replica, name: &PeerId, peer: &Conversation) -> Need {
        let vectors = streams_of(replica, name).into_iter().map(|stream| StreamHeads {
            stream,
            heads: replica
                .heads_of(stream)
                .map(|(origin, head)| (origin, head.seq, version::first8(&head.chain)))
                .collect(),
        });
        let (epoch_lowest, epoch_highest) = epochs::understood(replica.tables().epoch());
        Need {
            nonce: self.nonce,
            origin: replica.identity().origin,
            build: self.settings.build.clone(),
            epoch_lowest,
            epoch_highest,
            vectors: vectors.collect(),
            want_snapshot: self.wants_snapshot(replica, name),
            ticket: if replica.writer_state().needs_origin() { replica.writer.ticket } else { 0 },
            reply: peer.session.is_known(),
            credit_live: self.credit(name),
            credit_bulk: self.credit(name),
            papers: (replica.papers(&streams_of(replica, name)).into_iter())
                .chain(self.claim_for(replica, name))
                .collect(),
        }
    }

    pub(crate) fn ack(
        &self,
        replica: &Replica,
        now: Now,
        name: &PeerId,
        peer: &mut Conversation,
        due: Beat,
    ) -> Ack {
        let heads = peer.session.heads_to_ack();
        let heads: Vec<Mark> =
            heads.into_iter().map(|key| (key.0, key.1, self.durable(replica, key))).collect();
        let idle = heads.is_empty() && !peer.session.is_waiting() && due == Beat::Yes;
        let streams = if idle { streams_of(replica, name) } else { Vec::new() };
        let committed = self.moved_for(replica, name, peer, AT_HQ);
        let kept_twice = self.moved_for(replica, name, peer, KEPT_TWICE);
        let any = !committed.is_empty() || !kept_twice.is_empty();
        Ack {
            nonce: self.nonce,
            stamp: replica.clock.last(),
            heads,
            credit_live: self.credit(name),
            credit_bulk: self.credit(name),
            parked: u32::try_from(self.parked).unwrap_or(u32::MAX),
            committed,
            kept_twice,
            generation: if any { self.generation(replica) } else { None },
            ages: if *name == PeerId::Parent { self.ages(now) } else { Vec::new() },
            digests: streams
                .into_iter()
                .map(|stream| (stream, digest_of(replica, stream)))
                .collect(),
            blobs: about_blobs(replica, name, &mut peer.sealed, due),
            signer: replica.identity().origin,
        }
    }

    /// The newest entry that is committed here: only that is ever acknowledged.
    fn durable(&self, replica: &Replica, key: (Stream, Origin)) -> u64 {
        let queued = self.queue.iter().map(|incoming| &incoming.frame);
        let queued = queued
            .filter(|frame| {
                planted::is(Fault::FrameAckedUncommitted) && (frame.stream(), frame.origin()) == key
            })
            .map(|frame| frame.last());
        let kept = replica.evidence_ends.get(&key).copied().unwrap_or(0);
        let beyond = u64::from(planted::is(Fault::AckedBeyondHead));
        queued.max().unwrap_or(0).max(kept).max(replica.head(key.0, key.1).seq + beyond)
    }

    /// What HQ has of a child's own entries, or keeps twice of its store's, where that moved since it was told.
    ///
    /// What HQ has committed is also what it acknowledges, whoever carried it; what is kept twice is told here alone, so
    /// a child hears it of all whose entries it may have carried.
    fn moved_for(
        &self,
        replica: &Replica,
        name: &PeerId,
        peer: &mut Conversation,
        mark: &'static str,
    ) -> Vec<Mark> {
        let (PeerId::Child(device), Some(signer)) = (name, &peer.signer) else { return Vec::new() };
        let whole_store = mark == KEPT_TWICE && signer.store > 0;
        let concerned =
            |row: &&Row| row.device == *device || whole_store && row.store == signer.store;
        let streams = streams_of(replica, name);
        let mut moved = Vec::new();
        for row in replica.all_known().filter(concerned) {
            for stream in &streams {
                let key = (*stream, row.origin);
                let seq = self.marks.seq(mark, key);
                if seq > peer.told.insert((mark, key), seq).unwrap_or(0) {
                    moved.push((*stream, row.origin, seq));
                }
            }
        }
        moved
    }

    /// The generation of HQ whose word the marks are. At HQ, its own.
    fn generation(&self, replica: &Replica) -> Option<Origin> {
        match replica.identity().role {
            Role::Hq => Some(replica.identity().origin),
            _ => Origin::new(self.marks.generation()),
        }
    }

    /// Seconds since each device below was heard.
    fn ages(&self, now: Now) -> Vec<(Origin, u32)> {
        let mut ages = Vec::new();
        for peer in self.peers.values() {
            if let (Some(signer), Some(heard)) = (&peer.signer, peer.session.heard())
                && signer.role != Role::Hq
            {
                let seconds = (now.steady.0 - heard.0) / 1_000;
                ages.push((signer.origin, u32::try_from(seconds).unwrap_or(u32::MAX)));
            }
        }
        ages
    }
}
