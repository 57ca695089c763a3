//! What a hub does by itself about origins that end or fork

use crate::{
    allow_list::Row,
    evidence::{self, Kept, Why},
    hub::Hub,
    incoming::OtherPast,
    origin::{Origin, Stream},
    replica::Replica,
    talk::{Event, Now, Output, PeerId},
    topics::Kind,
    wire::StreamHeads,
    writer::WriterState,
};

/// So many frames of a branch are offered from each start.
const FRAMES_OFFERED: usize = 8;

/// A branch is offered from so many entries before its end, for nobody says where it begins.
const STARTS: [u64; 4] = [u64::MAX, 4_096, 256, 16];

impl Hub {
    /// The parent has said what it has.
    pub(crate) fn hear_parent(&mut self, replica: &Replica, vectors: &[StreamHeads]) {
        self.to_tend.offer = true;
        if let Ok(Some(found)) = replica.compare_own(vectors) {
            self.to_tend.own_past = Some(found);
        }
    }

    /// A device below asks for another origin.
    pub(crate) fn hear_ask(&mut self, asker: Row, ticket: u64) {
        self.to_tend.asked.push((asker, ticket));
    }

    /// A frame of our own origin holds what is not here.
    pub(crate) fn hear_own_past(&mut self, past: OtherPast) {
        self.to_tend.own_past = Some(match past {
            OtherPast::Ahead => WriterState::Stale,
            OtherPast::Forked => WriterState::Forked,
        });
    }

    /// A frame was kept as proof.
    pub(crate) fn hear_evidence(
        &mut self,
        (from, origin, stream): (&PeerId, Origin, Stream),
        (why, last, kept): (Why, u64, Kept),
        outputs: &mut Vec<Output>,
    ) {
        if kept == Kept::New {
            self.to_tend.offer |= *from != PeerId::Parent;
            outputs.push(Output::Event(Event::Evidence { origin, stream, why, last }));
        }
    }

    /// Does what is due about origins: stops, asks, hands out, states, returns and passes on.
    pub(crate) fn tend(&mut self, replica: &mut Replica, now: Now, outputs: &mut Vec<Output>) {
        if replica.halted().is_some() {
            return;
        }
        let done = self
            .stop(replica, outputs)
            .and_then(|()| {
                self.ask(replica, now);
                self.hand_out(replica, now, outputs)
            })
            .and_then(|()| state(replica, now))
            .and_then(|()| self.go_back(replica, now, outputs))
            .and_then(|()| pass_on(replica))
            .and_then(|()| self.offer(replica, outputs));
        if let Err(reason) = done {
            outputs.push(Output::Event(Event::Untended { reason }));
        }
    }

    fn stop(&mut self, replica: &mut Replica, outputs: &mut Vec<Output>) -> Result<(), String> {
        let over = (replica.writer_state() == WriterState::Over).then_some(WriterState::Over);
        let Some(found) = self.to_tend.own_past.take().or(over) else { return Ok(()) };
        if replica.stop_writing(found, self.nonce).map_err(|cause| cause.to_string())? {
            outputs.push(Output::Event(Event::MayNotWrite { state: found }));
        }
        Ok(())
    }

    /// Asks for another origin once a beat: the ticket travels in a need.
    fn ask(&mut self, replica: &Replica, now: Now) {
        let due = now.steady.0 >= self.to_tend.ask_at;
        if !due || !replica.writer_state().needs_origin() {
            return;
        }
        if let Some(parent) = self.peers.get_mut(&PeerId::Parent) {
            self.to_tend.ask_at = now.steady.0 + self.settings.beat_ms;
            parent.session.want_need(now.steady);
        }
    }

    fn hand_out(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        for (asker, ticket) in std::mem::take(&mut self.to_tend.asked) {
            if let Some(peer) = self.peers.get_mut(&PeerId::Child(asker.device.clone())) {
                peer.session.want_need(now.steady);
            }
            if replica.writer_state() != WriterState::Ready {
                continue;
            }
            match replica.hand_out_spare(now.wall, &asker, ticket) {
                Ok(None) => {}
                Ok(Some(done)) => {
                    let (origin, device) = (done.value, asker.device);
                    outputs.push(Output::Event(Event::SpareGiven { origin, device }));
                }
                Err(why) if std::mem::replace(&mut self.to_tend.told_none_left, true) => {
                    drop(why);
                }
                Err(why) => return Err(why.to_string()),
            }
        }
        Ok(())
    }

    /// Once all that this device wrote before is here, it may write.
    fn go_back(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        if replica.writer_state() != WriterState::Returning {
            return Ok(());
        }
        let Some(parent) = self.peers.get(&PeerId::Parent) else { return Ok(()) };
        let session = &parent.session;
        if !session.is_known()
            || !replica.own_history_is_here(|stream, origin| session.peer_has((stream, origin)))
        {
            return Ok(());
        }
        let entries = replica.write_anew(now.wall).map_err(|cause| cause.to_string())?;
        outputs.push(Output::Event(Event::Returned { entries }));
        Ok(())
    }

    /// Sends the parent what it cannot ask for: proof that came from below, and our own branch.
    fn offer(&mut self, replica: &Replica, outputs: &mut Vec<Output>) -> Result<(), String> {
        let up = self.peers.get(&PeerId::Parent).is_some_and(|parent| parent.session.is_known());
        if !up || !std::mem::take(&mut self.to_tend.offer) {
            return Ok(());
        }
        let mut send = |bytes| {
            outputs.push(Output::Send { to: PeerId::Parent, kind: Kind::Bulk, bytes });
        };
        if !replica.has_evidence().map_err(|cause| cause.to_string())? {
            return offer_branch(replica, send);
        }
        let pieces = evidence::pieces(replica.db(), None).map_err(|cause| cause.to_string())?;
        let own = replica.identity().origin;
        for piece in pieces.into_iter().filter(|piece| piece.origin != own) {
            send(piece.frame);
        }
        offer_branch(replica, send)
    }
}

fn own_key(replica: &Replica) -> (Stream, Origin) {
    let own = replica.identity();
    (Stream::store(own.store).unwrap_or(Stream::CHAIN), own.origin)
}

/// The frames of our own branch, from some places on: one of them lies before the fork.
fn offer_branch(replica: &Replica, mut send: impl FnMut(Vec<u8>)) -> Result<(), String> {
    if replica.writer_state() != WriterState::Forked {
        return Ok(());
    }
    let (stream, own) = own_key(replica);
    let head = replica.head(stream, own).seq;
    let mut starts: Vec<u64> = STARTS.map(|back| head.saturating_sub(back) + 1).to_vec();
    starts.dedup();
    for start in starts {
        let mut first = start;
        for _ in 0..FRAMES_OFFERED {
            let frame = replica.cut(stream, own, first).map_err(|cause| cause.to_string())?;
            let Some(frame) = frame else { break };
            first = frame.last() + 1;
            send(frame.encode());
        }
    }
    Ok(())
}

fn state(replica: &mut Replica, now: Now) -> Result<(), String> {
    if replica.beyond_is_stated || replica.writer_state() != WriterState::Ready {
        return Ok(());
    }
    replica.state_beyond(now.wall).map(drop).map_err(|cause| cause.to_string())
}

fn pass_on(replica: &mut Replica) -> Result<(), String> {
    match replica.given_origin() {
        Some(origin) => replica.pass_on_to(origin).map_err(|cause| cause.to_string()),
        None => Ok(()),
    }
}
