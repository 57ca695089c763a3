//! Takes in the messages of a conversation

use crate::{
    allow_list::{Row, State},
    frame::Frame,
    hub::{Conversation, Hub, digest_of},
    incoming::Incoming,
    marks::{AT_HQ, AT_PARENT, KEPT_TWICE},
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    replica::Replica,
    signed::{Mark, Unproven},
    talk::{Now, PeerId},
    topics::Kind,
    view_wire::{ViewAsk, ViewPart},
    wire::{Ack, Need, Paper},
};

impl Hub {
    pub(crate) fn take(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        kind: Kind,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        if matches!(from, PeerId::Above(_)) {
            return self.take_aside(replica, now, from, kind, bytes);
        }
        self.look_for_circle(replica, from, kind, &bytes);
        if *from == PeerId::Parent && !self.settings.has_parent {
            return Err("there is no parent here".to_owned());
        }
        match kind {
            Kind::Live | Kind::Bulk => self.take_frame(now, from, &bytes),
            Kind::Ack => self.take_ack(replica, now, from, &bytes),
            Kind::Need => self.take_need(replica, now, from, &bytes),
            Kind::View => self.take_view(replica, now, from, &bytes),
            Kind::Snap => self.take_snap(replica, now, from, &bytes),
        }
    }

    fn take_frame(&mut self, now: Now, from: &PeerId, bytes: &[u8]) -> Result<(), String> {
        if self.waiting_bytes(from) > 4 * self.settings.credit_bytes as usize {
            return Err("more frames than were granted".to_owned());
        }
        let frame = Frame::decode(bytes).map_err(|cause| cause.to_string())?;
        if planted::is(Fault::FrameAckedUncommitted) {
            let key = (frame.stream(), frame.origin());
            self.conversation(from).session.take_frame(now.steady, key, frame.last(), 0);
        }
        self.queue.push_back(Incoming::new(from.clone(), frame));
        Ok(())
    }

    /// Papers prove themselves. What is new in them, all others shall hear too.
    pub(crate) fn take_papers(
        &mut self,
        replica: &mut Replica,
        now: Now,
        papers: &[Paper],
    ) -> Result<(), String> {
        if papers.is_empty() || !replica.learn_papers(papers).map_err(|cause| cause.to_string())? {
            return Ok(());
        }
        self.recount(replica).map_err(|cause| cause.to_string())?;
        for peer in self.peers.values_mut() {
            peer.session.want_need(now.steady);
        }
        Ok(())
    }

    /// The row of the signer when it is who may speak on this line; None when it is not known yet.
    pub(crate) fn speaker<'r>(
        &self,
        replica: &'r Replica,
        from: &PeerId,
        signer: Origin,
    ) -> Result<Option<&'r Row>, String> {
        let Some(row) = replica.known(signer) else { return Ok(None) };
        if row.state == State::Revoked {
            return Err(format!("{} was revoked", row.device.as_str()));
        }
        if replica.lineage.generations.is_over(signer) {
            return Err(format!(
                "HQ's generation of origin {signer} is over: its word does not count"
            ));
        }
        let may = match from {
            PeerId::Child(device) => row.device == *device && self.parents.now() != Some(device),
            PeerId::Above(device) => row.device == *device && self.may_lead(replica, row),
            PeerId::Parent => {
                self.parents.now().is_none_or(|now| row.device == *now)
                    && self.may_lead(replica, row)
            }
        };
        if may {
            Ok(Some(row))
        } else {
            Err(format!("{} does not speak on this line", row.device.as_str()))
        }
    }

    /// A message and the row of its signer; None when the signer is not known yet and has to wait.
    pub(crate) fn proven<M>(
        &mut self,
        replica: &Replica,
        from: &PeerId,
        unproven: Unproven<'_, M>,
    ) -> Result<Option<(M, Row)>, String> {
        let signer = unproven.signer();
        let Some(row) = self.speaker(replica, from, signer)?.cloned() else {
            self.waiting.insert(signer);
            return Ok(None);
        };
        let message = unproven.proven_with(replica.keys().as_ref(), &row.key);
        let message = message.map_err(|cause| cause.to_string())?;
        Ok(Some((message, row)))
    }

    /// The conversation in which this signer has just spoken: its line is there.
    fn heard(&mut self, now: Now, from: &PeerId, signer: Row) -> &mut Conversation {
        let peer = self.conversation(from);
        if !peer.session.is_up() {
            peer.session.line_up(now.steady);
        }
        peer.session.hear(now.steady);
        peer.signer = Some(signer);
        peer
    }

    fn take_view(
        &mut self,
        replica: &Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        if *from == PeerId::Parent {
            let unproven = ViewPart::decode(bytes).map_err(|cause| cause.to_string())?;
            let Some((part, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
            self.heard(now, from, row).views.hear_part(part);
        } else {
            let unproven = ViewAsk::decode(bytes).map_err(|cause| cause.to_string())?;
            let Some((ask, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
            self.heard(now, from, row).views.hear_ask(ask);
        }
        Ok(())
    }

    pub(crate) fn take_need(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        let unproven = Need::decode(bytes).map_err(|cause| cause.to_string())?;
        self.take_papers(replica, now, &unproven.message().papers)?;
        let Some((need, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
        let streams: Vec<Stream> = need.vectors.iter().map(|vector| vector.stream).collect();
        let heads: Vec<Mark> = need
            .vectors
            .iter()
            .flat_map(|vector| vector.heads.iter().map(|head| (vector.stream, head.0, head.1)))
            .collect();
        let own = replica.identity().origin;
        let generation = (row.role == Role::Hq).then_some(row.origin);
        let signer = row.origin;
        if *from == PeerId::Parent {
            self.hear_parent(replica, &need.vectors);
            replica.learn_claim(&need.papers).map_err(|cause| cause.to_string())?;
        } else {
            self.note_ticket(&row.device, row.origin, need.ticket);
            if need.ticket != 0 {
                self.hear_ask(row.clone(), need.ticket);
            }
        }
        let complete = heads.iter().all(|head| replica.head(head.0, head.1).seq >= head.2);
        let papers = replica.papers(&streams);
        let lacks_papers = papers.iter().any(|paper| !need.papers.contains(paper));
        let peer = self.heard(now, from, row);
        peer.build = need.build;
        if complete {
            peer.complete = Some(now.steady);
        }
        peer.session.take_vector(
            now.steady,
            &streams,
            &heads,
            [need.credit_live, need.credit_bulk],
        );
        if lacks_papers {
            peer.session.want_need(now.steady);
        } else if !need.reply {
            peer.session.answer_need(now.steady);
        }
        // Whoever asks anew may have lost what it was told, or never have got it.
        peer.told.clear();
        match from {
            PeerId::Parent => {
                // All that it has of these streams: whatever the parent before it had does not count any more.
                self.marks.clear(AT_PARENT, Some(&streams));
                let within = heads
                    .into_iter()
                    .filter(|head| head.1 != own || head.2 <= replica.head(head.0, head.1).seq);
                self.mark(now, &within.collect::<Vec<_>>(), generation);
            }
            PeerId::Above(_) => {}
            PeerId::Child(device) => {
                peer.session.want_ack(now.steady);
                self.compaction.leases.take_vector(device, signer, &streams, &heads);
                self.look_at_need(replica, device, signer, need.want_snapshot);
            }
        }
        Ok(())
    }

    fn take_ack(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        let unproven = Ack::decode(bytes).map_err(|cause| cause.to_string())?;
        let Some((ack, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
        let generation = (row.role == Role::Hq).then_some(row.origin);
        if let PeerId::Child(device) = from {
            self.compaction.leases.take_ack(device, row.origin, &ack.heads);
        }
        let peer = self.heard(now, from, row);
        peer.session.take_ack(now.steady, &ack.heads, [ack.credit_live, ack.credit_bulk]);
        for (origin, seconds) in &ack.ages {
            peer.beyond.insert(*origin, (*seconds, now.steady));
        }
        let differs =
            ack.digests.iter().any(|(stream, digest)| digest_of(replica, *stream) != *digest);
        if differs && peer.session.is_waiting() {
            peer.session.doubt_flights(now.steady);
        } else if differs {
            peer.session.want_need(now.steady);
        } else if !ack.digests.is_empty() {
            peer.complete = Some(now.steady);
            peer.beyond_complete = peer.beyond.clone();
        }
        if *from == PeerId::Parent {
            self.mark(now, &ack.heads, generation);
            if ack.generation.is_some_and(|said| self.marks.heed(said)) {
                self.mark_at(now, AT_HQ, &ack.committed);
            }
            // Whatever a generation has kept twice outlives it.
            self.mark_at(now, KEPT_TWICE, &ack.kept_twice);
        }
        self.hear_of_blobs(replica, now, from, ack.blobs)
    }

    /// The parent has these; when the parent is this generation of HQ they are committed there.
    fn mark(&mut self, now: Now, heads: &[Mark], generation: Option<Origin>) {
        self.mark_at(now, AT_PARENT, heads);
        let believed = planted::is(Fault::AnyParentIsHq);
        if believed || generation.is_some_and(|said| self.marks.heed(said)) {
            self.mark_at(now, AT_HQ, heads);
        }
    }

    pub(crate) fn mark_at(&mut self, now: Now, mark: &'static str, heads: &[Mark]) {
        let mut moved = false;
        for (stream, origin, seq) in heads {
            moved |= self.marks.advance(mark, (*stream, *origin), *seq);
        }
        if moved && mark != AT_PARENT {
            for (id, peer) in &mut self.peers {
                if *id != PeerId::Parent {
                    peer.session.want_ack(now.steady);
                }
            }
        }
    }
}
