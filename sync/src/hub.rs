//! Every conversation of one replica, without socket or clock
//!
//! The shell hands in what came over the line and what time it is, and carries
//! out what comes back. Frames are queued by `handle` and applied by `work`, so
//! that local writes go between.

use crate::{
    allow_list::Row,
    frame::Frame,
    hlc::Millis,
    marks::{AT_HQ, AT_PARENT, KEPT_TWICE, Marks},
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    receive::{Incoming, Outcome, Received, Slice},
    replica::Replica,
    session::{Beat, Key, Lane, Session},
    talk::{Event, HubSettings, Input, Now, Output, PeerId},
    topics::Kind,
    version,
    wire::{Ack, Mark, Need, Unproven},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) struct Conversation {
    pub(crate) session: Session,
    /// The newest origin that has signed a message here.
    pub(crate) signer: Option<Row>,
    /// What the other side was told to be committed at HQ.
    pub(crate) told: BTreeMap<Key, u64>,
    /// Seconds since devices beyond it were heard, and when that was said.
    pub(crate) beyond: BTreeMap<Origin, (u32, Millis)>,
    /// When it was last heard while we had all that it has.
    pub(crate) complete: Option<Millis>,
    /// As `beyond`, at that time.
    pub(crate) beyond_complete: BTreeMap<Origin, (u32, Millis)>,
    /// Name of its build, as it says.
    pub(crate) build: String,
}

/// Every conversation of one replica.
pub struct Hub {
    pub(crate) settings: HubSettings,
    pub(crate) nonce: u64,
    pub(crate) peers: BTreeMap<PeerId, Conversation>,
    pub(crate) queue: VecDeque<Incoming<PeerId>>,
    pub(crate) waiting: BTreeSet<Origin>,
    pub(crate) marks: Marks,
    pub(crate) refused: u64,
    /// Rows of the allow-list at the last look.
    known: usize,
    pub(crate) parked: u64,
}

impl Hub {
    /// A hub whose lines are all down. The nonce tells this start from others.
    pub fn new(replica: &Replica, settings: HubSettings, nonce: u64) -> rusqlite::Result<Hub> {
        let mut hub = Hub {
            settings,
            nonce,
            peers: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: BTreeSet::new(),
            marks: Marks::load(replica.db())?,
            refused: 0,
            known: replica.all_known().count(),
            parked: count_parked(replica)?,
        };
        if hub.settings.has_parent {
            hub.conversation(&PeerId::Parent);
        }
        Ok(hub)
    }

    fn conversation(&mut self, peer: &PeerId) -> &mut Conversation {
        let beat_ms = self.settings.beat_ms;
        self.peers.entry(peer.clone()).or_insert_with(|| Conversation {
            session: Session::new(beat_ms),
            signer: None,
            told: BTreeMap::new(),
            beyond: BTreeMap::new(),
            complete: None,
            beyond_complete: BTreeMap::new(),
            build: String::new(),
        })
    }

    /// Takes in what happened. Frames are queued for `work`.
    pub fn handle(&mut self, replica: &mut Replica, now: Now, inputs: Vec<Input>) -> Vec<Output> {
        let mut outputs = Vec::new();
        for input in inputs {
            match input {
                Input::Up(peer) => self.conversation(&peer).session.line_up(now.steady),
                Input::Down(peer) => self.conversation(&peer).session.line_down(),
                Input::Message { from, kind, bytes } => {
                    if let Err(reason) = self.take(replica, now, &from, kind, bytes) {
                        self.refuse(&mut outputs, from, reason);
                    }
                }
                Input::Wrote => self.welcome(replica, now),
                Input::Tick => {}
            }
        }
        self.pump(replica, now, &mut outputs);
        outputs
    }

    /// Applies one slice of what is queued; true when more waits.
    pub fn work(&mut self, replica: &mut Replica, now: Now) -> (Vec<Output>, bool) {
        let mut outputs = Vec::new();
        if self.queue.is_empty() {
            return (outputs, false);
        }
        let slice = Slice { rows: self.settings.slice_rows };
        match replica.receive(now.wall, &mut self.queue, slice) {
            Ok(received) => {
                for one in received {
                    self.settle(now, one, &mut outputs);
                }
            }
            Err(cause) => {
                outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
            }
        }
        self.welcome(replica, now);
        self.pump(replica, now, &mut outputs);
        (outputs, !self.queue.is_empty())
    }

    /// Writers that waited may be known now: ask for their entries.
    fn welcome(&mut self, replica: &Replica, now: Now) {
        let before = self.waiting.len();
        self.waiting.retain(|origin| replica.known(*origin).is_none());
        let learned = replica.all_known().count();
        if learned == std::mem::replace(&mut self.known, learned) {
            return;
        }
        let any_unknown = self.peers.values().any(|peer| !peer.session.is_known());
        if self.waiting.len() < before || any_unknown {
            for peer in self.peers.values_mut() {
                peer.session.want_need(now.steady);
            }
        }
    }

    fn refuse(&mut self, outputs: &mut Vec<Output>, from: PeerId, reason: String) {
        self.refused += 1;
        outputs.push(Output::Event(Event::Refused { from, reason }));
    }

    fn take(
        &mut self,
        replica: &Replica,
        now: Now,
        from: &PeerId,
        kind: Kind,
        bytes: Vec<u8>,
    ) -> Result<(), String> {
        if *from == PeerId::Parent && !self.settings.has_parent {
            return Err("there is no parent here".to_owned());
        }
        match kind {
            Kind::Live | Kind::Bulk => self.take_frame(now, from, &bytes),
            Kind::Ack => self.take_ack(replica, now, from, &bytes),
            Kind::Need => self.take_need(replica, now, from, &bytes),
        }
    }

    fn take_frame(&mut self, now: Now, from: &PeerId, bytes: &[u8]) -> Result<(), String> {
        let waits: usize = self
            .queue
            .iter()
            .filter(|incoming| incoming.from == *from)
            .map(|incoming| incoming.frame.body_bytes())
            .sum();
        if waits > 4 * self.settings.credit_bytes as usize {
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

    /// The row of the signer when it is who may speak on this line; None when it is not known yet.
    fn speaker<'r>(
        &self,
        replica: &'r Replica,
        from: &PeerId,
        signer: Origin,
    ) -> Result<Option<&'r Row>, String> {
        let Some(row) = replica.known(signer) else { return Ok(None) };
        let may = match from {
            PeerId::Child(device) => row.device == *device,
            PeerId::Parent => {
                row.role == Role::Hq
                    || row.role == Role::BackOffice && row.store == replica.identity().store
            }
        };
        if may {
            Ok(Some(row))
        } else {
            Err(format!("{} does not speak on this line", row.device.as_str()))
        }
    }

    /// A message and the row of its signer; None when the signer is not known yet and has to wait.
    fn proven<M>(
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
        let message = unproven.proven_by(&row.key).map_err(|cause| cause.to_string())?;
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

    fn take_need(
        &mut self,
        replica: &Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        let unproven = Need::decode(bytes).map_err(|cause| cause.to_string())?;
        let Some((need, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
        let streams: Vec<Stream> = need.vectors.iter().map(|vector| vector.stream).collect();
        let heads: Vec<Mark> = need
            .vectors
            .iter()
            .flat_map(|vector| vector.heads.iter().map(|head| (vector.stream, head.0, head.1)))
            .collect();
        let at_hq = row.role == Role::Hq;
        let complete = heads.iter().all(|head| replica.head(head.0, head.1).seq >= head.2);
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
        if !need.reply {
            peer.session.want_need(now.steady);
        }
        // Whoever asks anew may have lost what it was told, or never have got it.
        peer.told.clear();
        if *from == PeerId::Parent {
            self.mark(now, &heads, at_hq);
        } else {
            peer.session.want_ack(now.steady);
        }
        Ok(())
    }

    fn take_ack(
        &mut self,
        replica: &Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        let unproven = Ack::decode(bytes).map_err(|cause| cause.to_string())?;
        let Some((ack, row)) = self.proven(replica, from, unproven)? else { return Ok(()) };
        let at_hq = row.role == Role::Hq;
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
            self.mark(now, &ack.heads, at_hq);
            self.mark_at(now, AT_HQ, &ack.committed);
            self.mark_at(now, KEPT_TWICE, &ack.kept_twice);
        }
        Ok(())
    }

    /// The parent has these; when the parent is HQ they are committed there.
    fn mark(&mut self, now: Now, heads: &[Mark], at_hq: bool) {
        self.mark_at(now, AT_PARENT, heads);
        if at_hq {
            self.mark_at(now, AT_HQ, heads);
        }
    }

    fn mark_at(&mut self, now: Now, mark: &'static str, heads: &[Mark]) {
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

    fn settle(&mut self, now: Now, received: Received<PeerId>, outputs: &mut Vec<Output>) {
        let Received { from, origin, stream, outcome } = received;
        let session = &mut self.conversation(&from).session;
        if !session.is_up() && !matches!(outcome, Outcome::UnknownOrigin) {
            // It speaks, so the line is there: it has not noticed that we were away.
            session.line_up(now.steady);
        }
        match outcome {
            Outcome::Applied { seq, parked, bytes } => {
                session.take_frame(now.steady, (stream, origin), seq, bytes);
                if parked > 0 {
                    self.parked += parked as u64;
                    outputs.push(Output::Event(Event::Parked { origin, entries: parked }));
                }
            }
            Outcome::Known { seq } => session.take_frame(now.steady, (stream, origin), seq, 0),
            Outcome::Gap { .. } => session.gap(now.steady),
            Outcome::UnknownOrigin => {
                self.waiting.insert(origin);
            }
            Outcome::ForeignStream => {
                let what = format!(
                    "origin {origin} may write nothing in {stream}: its entries there are not taken"
                );
                self.refuse(outputs, from, what);
            }
            Outcome::Refused(cause) => {
                session.want_need(now.steady);
                self.refuse(outputs, from, cause.to_string());
            }
        }
    }

    /// Sends what is due to everyone.
    fn pump(&mut self, replica: &mut Replica, now: Now, outputs: &mut Vec<Output>) {
        let mut beat = false;
        let names: Vec<PeerId> = self.peers.keys().cloned().collect();
        for name in names {
            let Some(mut peer) = self.peers.remove(&name) else { continue };
            peer.session.give_up_waiting(now.steady);
            self.send_frames(replica, now, &name, &mut peer, outputs);
            if peer.session.need_due(now.steady) {
                let bytes = self.need(replica, &name, &peer).encode(replica.keys().as_ref());
                outputs.push(Output::Send { to: name.clone(), kind: Kind::Need, bytes });
            }
            if let Some(due) = peer.session.ack_due(now.steady) {
                beat |= due == Beat::Yes;
                let ack = self.ack(replica, now, &name, &mut peer, due);
                let bytes = ack.encode(replica.keys().as_ref());
                outputs.push(Output::Send { to: name.clone(), kind: Kind::Ack, bytes });
            }
            if let Some(at) = peer.session.wake_at(now.steady) {
                outputs.push(Output::WakeAt(at));
            }
            self.peers.insert(name, peer);
        }
        if beat {
            self.keep_marks(replica, outputs);
        }
    }

    fn send_frames(
        &self,
        replica: &Replica,
        now: Now,
        name: &PeerId,
        peer: &mut Conversation,
        outputs: &mut Vec<Output>,
    ) {
        let own: BTreeSet<Origin> = match name {
            PeerId::Parent => BTreeSet::new(),
            PeerId::Child(device) => {
                let rows = replica.all_known().filter(|row| row.device == *device);
                rows.map(|row| row.origin).collect()
            }
        };
        let streams = streams_of(replica, name);
        loop {
            let heads = streams.iter().flat_map(|stream| {
                replica.heads_of(*stream).map(|(origin, head)| ((*stream, origin), head.seq))
            });
            let heads = heads.filter(|((_, origin), _)| !own.contains(origin));
            let Some(send) = peer.session.next_send(now.steady, heads) else { return };
            match replica.cut(send.key.0, send.key.1, send.first) {
                Ok(Some(frame)) => {
                    let bytes = frame.encode();
                    peer.session.sent(
                        now.steady,
                        send.key,
                        frame.last(),
                        bytes.len() as u64,
                        send.lane,
                    );
                    let kind = if send.lane == Lane::Live { Kind::Live } else { Kind::Bulk };
                    outputs.push(Output::Send { to: name.clone(), kind, bytes });
                }
                Ok(None) => return,
                Err(cause) => {
                    let reason = format!("a frame could not be read from the log: {cause}");
                    outputs.push(Output::Event(Event::NotKept { reason }));
                    return;
                }
            }
        }
    }

    fn keep_marks(&mut self, replica: &mut Replica, outputs: &mut Vec<Output>) {
        let Some(marks) = self.marks.take_dirty() else { return };
        if replica.halted().is_some() {
            return;
        }
        let kept = replica.keep_house(|db| {
            for (mark, (stream, origin), seq) in &marks {
                db.prepare_cached(
                    "INSERT OR REPLACE INTO sync_mark (mark, stream, origin, seq) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute((mark, stream.number(), origin.get(), seq.cast_signed()))?;
            }
            Ok(())
        });
        if let Err(cause) = kept {
            outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
        }
    }
}

/// The streams that both sides of a conversation take.
pub(crate) fn streams_of(replica: &Replica, peer: &PeerId) -> Vec<Stream> {
    let store = match peer {
        PeerId::Parent => replica.identity().store,
        PeerId::Child(device) => replica
            .all_known()
            .filter(|row| row.device == *device)
            .map(|row| row.store)
            .max()
            .unwrap_or(0),
    };
    std::iter::once(Stream::CHAIN).chain(Stream::store(store)).collect()
}

/// The digest of a stream's heads.
pub(crate) fn digest_of(replica: &Replica, stream: Stream) -> [u8; 8] {
    version::digest8(stream, replica.heads_of(stream).map(|(origin, head)| (origin, head.seq)))
}

fn count_parked(replica: &Replica) -> rusqlite::Result<u64> {
    let count: i64 =
        replica.db().query_row("SELECT count(*) FROM sync_parked", [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
