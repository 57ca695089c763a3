//! Every conversation of one replica, without socket or clock
//!
//! The shell hands in what came over the line and what time it is, and carries
//! out what comes back. Frames are queued by `handle` and applied by `work`, so
//! that local writes go between.

use crate::{
    allow_list::Row,
    evidence::{Kept, Why},
    hlc::Millis,
    incoming::{Incoming, Outcome, Received, Slice},
    marks::Marks,
    origin::{Origin, Stream},
    parents::Parents,
    replica::Replica,
    scrub::Scrub,
    second_copy::Copying,
    session::{Beat, Key, Lane, Session},
    snapshot_state::{Compaction, Snapshots},
    talk::{Event, HubSettings, Input, Now, Output, PeerId},
    to_tend::ToTend,
    topics::Kind,
    version,
    view_talk::{Sealed, Viewing},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(crate) struct Conversation {
    pub(crate) session: Session,
    /// The newest origin that has signed a message here.
    pub(crate) signer: Option<Row>,
    /// What the other side was told of each mark of HQ.
    pub(crate) told: BTreeMap<(&'static str, Key), u64>,
    /// Seconds since devices beyond it were heard, and when that was said.
    pub(crate) beyond: BTreeMap<Origin, (u32, Millis)>,
    /// When it was last heard while we had all that it has.
    pub(crate) complete: Option<Millis>,
    /// As `beyond`, at that time.
    pub(crate) beyond_complete: BTreeMap<Origin, (u32, Millis)>,
    /// Name of its build, as it says.
    pub(crate) build: String,
    pub(crate) views: Viewing,
    pub(crate) sealed: Sealed,
}

impl Conversation {
    pub(crate) fn new(beat_ms: i64) -> Conversation {
        Conversation {
            session: Session::new(beat_ms),
            signer: None,
            told: BTreeMap::new(),
            beyond: BTreeMap::new(),
            complete: None,
            beyond_complete: BTreeMap::new(),
            build: String::new(),
            views: Viewing::default(),
            sealed: Sealed::default(),
        }
    }

    /// The line is there.
    pub(crate) fn line_up(&mut self, now: Now) {
        self.session.line_up(now.steady);
        self.views.line_up();
    }
}

/// Every conversation of one replica.
pub struct Hub {
    pub(crate) settings: HubSettings,
    pub(crate) nonce: u64,
    pub(crate) peers: BTreeMap<PeerId, Conversation>,
    pub(crate) parents: Parents,
    pub(crate) queue: VecDeque<Incoming<PeerId>>,
    pub(crate) waiting: BTreeSet<Origin>,
    pub(crate) marks: Marks,
    pub(crate) copying: Option<Copying>,
    pub(crate) refused: u64,
    /// How often the origins had been read at the last look.
    origins_read: u64,
    limits_changed: u64,
    pub(crate) to_tend: ToTend,
    /// The newest generation of HQ at the last look.
    generation: Option<Origin>,
    pub(crate) parked: u64,
    scrub: Scrub,
    /// Views whose rows were not what HQ signed: all of them are fetched anew.
    pub(crate) whole_views: BTreeSet<String>,
    pub(crate) snapshots: Snapshots,
    pub(crate) compaction: Compaction,
}

impl Hub {
    /// A hub whose lines are all down. The nonce tells this start from others.
    pub fn new(replica: &Replica, settings: HubSettings, nonce: u64) -> rusqlite::Result<Hub> {
        let beat_ms = settings.beat_ms;
        let mut hub = Hub {
            copying: settings.second_copy.then(|| Copying::new(replica)),
            parents: Parents::new(settings.lines.clone(), settings.beat_ms),
            settings,
            nonce,
            peers: BTreeMap::new(),
            queue: VecDeque::new(),
            waiting: BTreeSet::new(),
            marks: Marks::load(replica.db())?,
            refused: 0,
            origins_read: replica.origins_read,
            limits_changed: replica.limits_changed,
            to_tend: ToTend::default(),
            generation: replica.lineage.generations.newest(),
            parked: count_parked(replica)?,
            scrub: Scrub::new(beat_ms),
            whole_views: BTreeSet::new(),
            snapshots: Snapshots::default(),
            compaction: Compaction::load(replica)?,
        };
        if hub.settings.has_parent {
            hub.conversation(&PeerId::Parent);
            hub.order_parents(replica, None);
        }
        hub.forget_last_parent();
        Ok(hub)
    }

    pub(crate) fn conversation(&mut self, peer: &PeerId) -> &mut Conversation {
        let beat_ms = self.settings.beat_ms;
        self.peers.entry(peer.clone()).or_insert_with(|| Conversation::new(beat_ms))
    }

    /// Takes in what happened. Frames are queued for `work`.
    pub fn handle(&mut self, replica: &mut Replica, now: Now, inputs: Vec<Input>) -> Vec<Output> {
        let mut outputs = Vec::new();
        for input in inputs {
            match input {
                Input::Up(peer) => self.line_turned(now, peer, true),
                Input::Down(peer) => self.line_turned(now, peer, false),
                Input::Message { from, kind, bytes } => {
                    let from = self.now_called(from);
                    if let Err(reason) = self.take(replica, now, &from, kind, bytes) {
                        self.refuse(&mut outputs, from, reason);
                    }
                }
                Input::Wrote => {
                    self.copy_own(replica);
                    self.welcome(replica, now);
                }
                Input::Copied(marks) => self.copied(now, &marks),
                Input::NotCopied(marks) => self.not_copied(now, &marks),
                Input::Tick => {}
            }
        }
        self.tend(replica, now, &mut outputs);
        self.pump(replica, now, &mut outputs);
        if let Err(cause) = replica.scrub(&mut self.scrub, now.steady) {
            outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
        }
        self.address(&mut outputs);
        outputs
    }

    /// Bytes of frames from a peer that are queued and not applied yet.
    pub(crate) fn waiting_bytes(&self, from: &PeerId) -> usize {
        let own = self.queue.iter().filter(|incoming| incoming.from == *from);
        own.map(|incoming| incoming.frame.body_bytes()).sum()
    }

    /// Applies one slice of what is queued; true when more waits.
    pub fn work(&mut self, replica: &mut Replica, now: Now) -> (Vec<Output>, bool) {
        let mut outputs = Vec::new();
        if self.queue.is_empty() && replica.lineage.tail {
            self.adopt_tails(replica, now, &mut outputs);
            self.pump(replica, now, &mut outputs);
        }
        if self.queue.is_empty() && !self.snapshots.has_work() {
            self.address(&mut outputs);
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
        let more = self.work_on_snapshots(replica, now, &mut outputs);
        self.tend(replica, now, &mut outputs);
        self.adopt_tails(replica, now, &mut outputs);
        self.welcome(replica, now);
        self.pump(replica, now, &mut outputs);
        self.address(&mut outputs);
        (outputs, more || !self.queue.is_empty())
    }

    /// Counts the parked entries anew.
    pub(crate) fn recount(&mut self, replica: &Replica) -> rusqlite::Result<()> {
        self.parked = count_parked(replica)?;
        Ok(())
    }

    /// Writers that waited may be known now: ask for their entries.
    fn welcome(&mut self, replica: &Replica, now: Now) {
        if replica.origins_read == std::mem::replace(&mut self.origins_read, replica.origins_read) {
            return;
        }
        let newest = replica.lineage.generations.newest();
        if newest != std::mem::replace(&mut self.generation, newest) {
            for peer in self.peers.values_mut() {
                peer.session.want_need(now.steady);
            }
        }
        self.order_parents(replica, Some(now));
        let before = self.waiting.len();
        self.waiting.retain(|origin| replica.known(*origin).is_none());
        let any_unknown = self.peers.values().any(|peer| !peer.session.is_known());
        // Of an origin that is over more may count now than was taken.
        let limits = std::mem::replace(&mut self.limits_changed, replica.limits_changed);
        let more_counts = limits != replica.limits_changed;
        self.to_tend.told_none_left = false;
        if self.waiting.len() < before || any_unknown || more_counts {
            for peer in self.peers.values_mut() {
                peer.session.want_need(now.steady);
            }
        }
    }

    fn refuse(&mut self, outputs: &mut Vec<Output>, from: PeerId, reason: String) {
        self.refused += 1;
        outputs.push(Output::Event(Event::Refused { from, reason }));
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
                if let Some(copying) = &mut self.copying {
                    copying.add((stream, origin));
                }
                if parked > 0 {
                    self.parked += parked as u64;
                    outputs.push(Output::Event(Event::Parked { origin, entries: parked }));
                }
            }
            Outcome::Known { seq } => session.take_frame(now.steady, (stream, origin), seq, 0),
            Outcome::Evidence { why, last, kept } => {
                if why == Why::Cut && kept != Kept::Not {
                    session.take_frame(now.steady, (stream, origin), last, 0);
                }
                self.hear_evidence((&from, origin, stream), (why, last, kept), outputs);
            }
            Outcome::OwnPast(past) => self.hear_own_past(past),
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
        if let Err(cause) = replica.obey_erasures() {
            let reason = format!("somebody who was erased is not forgotten here yet: {cause}");
            outputs.push(Output::Event(Event::NotKept { reason }));
        }
        self.look_after_parents(replica, now, outputs);
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
        self.pump_snapshots(replica, now, outputs);
        self.copy(replica, now, outputs);
        if let Some(at) = self.copying.as_ref().and_then(|copying| copying.again_at) {
            outputs.push(Output::WakeAt(Millis(at)));
        }
        if beat {
            self.keep_marks(replica, outputs);
            self.compact(replica, now, outputs);
        }
        self.pump_views(replica, now, outputs);
    }

    fn send_frames(
        &self,
        replica: &Replica,
        now: Now,
        name: &PeerId,
        peer: &mut Conversation,
        outputs: &mut Vec<Output>,
    ) {
        let streams = streams_of(replica, name);
        let waits = self.waits_for_snapshot(name);
        loop {
            let heads = streams.iter().flat_map(|stream| {
                replica.heads_of(*stream).map(|(origin, head)| ((*stream, origin), head.seq))
            });
            let heads =
                heads.filter(|(key, _)| Hub::can_go_on(replica, *key, peer.session.sent_to(*key)));
            let Some(send) = peer.session.next_send(now.steady, heads) else { return };
            if send.lane == Lane::Bulk && waits {
                return;
            }
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
        PeerId::Parent | PeerId::Above(_) => replica.identity().store,
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
    // What lies beyond a cut does not count: one has taken it, the other has not.
    let counts = |origin, seq: u64| seq.min(replica.limit(stream, origin).unwrap_or(seq));
    let heads = replica.heads_of(stream).map(|(origin, head)| (origin, counts(origin, head.seq)));
    version::digest8(stream, heads.filter(|(_, seq)| *seq > 0))
}

fn count_parked(replica: &Replica) -> rusqlite::Result<u64> {
    let count: i64 =
        replica.db().query_row("SELECT count(*) FROM sync_parked", [], |row| row.get(0))?;
    Ok(count.cast_unsigned())
}
