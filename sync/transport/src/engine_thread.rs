//! The one thread that owns a replica and its hub
//!
//! Everything that touches the writing connection happens here, one thing
//! after another: local writes first, then what came over the lines, then one
//! slice of what waits to be applied, then timers. A cashier therefore never
//! waits for more than one slice, however much comes from outside.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::Transaction;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::origin::DeviceId;
use selvedge_sync::replica::Replica;
use selvedge_sync::second_copy::Batch;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::talk::{Event, Input, Now, Output, PeerId};
use selvedge_sync::topics::{self, Direction, Kind};
use selvedge_sync::writer::WriterState;
use tokio::sync::watch;

use crate::connection::Taken;
use crate::line::{Line, LineNews, Unsent};

/// Writes before a beat what must be true of it, such as a running total.
pub type BeforeBeat = Box<dyn FnMut(&Transaction<'_>, Now) -> Result<(), String> + Send>;

/// A piece of local work. Says whether it has changed anything that replicates.
pub type Job = Box<dyn FnOnce(&mut Replica, Millis) -> bool + Send>;

/// Messages handed to the hub in one go; local writes go between two such groups.
const GROUP_MAX: usize = 64;

/// The status is looked at again after this long, so that the ages in it are about right.
const STATUS_MS: i64 = 1_000;

/// With more heads than this the status is made at most every `STATUS_BUSY_MS`.
const HEADS_FEW: usize = 256;

/// See `HEADS_FEW`.
const STATUS_BUSY_MS: i64 = 50;

/// After the database has refused to keep what came, applying rests this long.
const REST_MS: i64 = 1_000;

/// Children that are remembered while the line is there. More names than that are no devices of ours.
const CHILDREN_MAX: usize = 8_192;

/// Which way a line goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// To the parent.
    Parent,
    /// To one of several that may be the parent.
    Above(DeviceId),
    /// To the children.
    Children,
}

/// What the thread is told.
pub enum Message {
    /// Do this, before anything else.
    Job(Job),
    /// A line has news.
    News(Side, LineNews),
    /// The second copy has news.
    Copy(Input),
    /// Come to an end.
    Stop,
}

/// What the thread works with.
pub struct Work {
    /// The database.
    pub replica: Replica,
    /// Its conversations.
    pub hub: Hub,
    /// The line to the parent.
    pub parent: Option<Line>,
    /// The lines to those that may be the parent, by name, where there are several.
    pub above: BTreeMap<DeviceId, Line>,
    /// The line to the children.
    pub children: Option<Line>,
    /// Takes what is to be kept twice.
    pub second_copy: Option<Sender<Batch>>,
    /// Where the status is shown.
    pub status: watch::Sender<HubStatus>,
    /// Called before each beat.
    pub before_beat: Option<BeforeBeat>,
    /// Period of the beat.
    pub beat_ms: i64,
}

/// Runs until it is told to stop, or nobody is left who could tell. The error says why the database
/// must be opened again: after a failed commit only a fresh start knows what is on disk.
pub fn run(work: Work, messages: &Receiver<Message>) -> Result<(), String> {
    let mut state = State::new(work);
    while state.gather(messages) {
        state.round();
        if let Some(reason) = state.work.replica.halted() {
            return Err(reason.to_owned());
        }
    }
    Ok(())
}

struct State {
    work: Work,
    began: Instant,
    jobs: VecDeque<Job>,
    inputs: VecDeque<(Input, Option<Taken>)>,
    /// Children heard since the line came up.
    heard: BTreeSet<DeviceId>,
    /// More waits to be applied.
    more: bool,
    rest_until: i64,
    wake_at: Option<i64>,
    beat_at: i64,
    status_at: i64,
}

impl State {
    fn new(work: Work) -> State {
        let beat_at = work.beat_ms;
        State {
            work,
            began: Instant::now(),
            jobs: VecDeque::new(),
            inputs: VecDeque::new(),
            heard: BTreeSet::new(),
            more: false,
            rest_until: 0,
            wake_at: Some(0),
            beat_at,
            status_at: 0,
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { wall: millis(wall), steady: millis(self.began.elapsed()) }
    }

    /// Takes all messages that are there, and waits for one when there is nothing else to do. False at the end.
    fn gather(&mut self, messages: &Receiver<Message>) -> bool {
        let mut wait = self.idle_time();
        loop {
            match messages.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Ok(Message::Job(job)) => self.jobs.push_back(job),
                Ok(Message::News(side, news)) => self.take_news(side, news),
                Ok(Message::Copy(input)) => self.inputs.push_back((input, None)),
                Err(RecvTimeoutError::Timeout) => return true,
            }
            wait = Duration::ZERO;
        }
    }

    fn idle_time(&self) -> Duration {
        let now = self.now().steady.0;
        if !self.inputs.is_empty() || (self.more && now >= self.rest_until) {
            return Duration::ZERO;
        }
        let rest = self.more.then_some(self.rest_until);
        let next = [self.wake_at, Some(self.beat_at), Some(self.status_at), rest]
            .into_iter()
            .flatten()
            .min();
        // At least a moment, so that a timer which is never satisfied cannot eat the processor.
        Duration::from_millis(
            next.map_or(STATUS_MS, |at| at - now).clamp(1, STATUS_MS).unsigned_abs(),
        )
    }

    fn round(&mut self) {
        let mut wrote = self.write_before_beat();
        while let Some(job) = self.jobs.pop_front() {
            let wall = self.now().wall;
            wrote |= job(&mut self.work.replica, wall);
        }
        self.hand_in(wrote);
        let now = self.now();
        if now.steady.0 >= self.rest_until {
            let (outputs, more) = self.work.hub.work(&mut self.work.replica, now);
            self.more = more;
            self.carry_out(now, outputs);
        }
        self.show_status(wrote);
    }

    fn write_before_beat(&mut self) -> bool {
        let now = self.now();
        if now.steady.0 < self.beat_at {
            return false;
        }
        self.beat_at = now.steady.0 + self.work.beat_ms;
        let Some(hook) = self.work.before_beat.as_mut() else { return false };
        if self.work.replica.writer_state() != WriterState::Ready {
            return false;
        }
        match self.work.replica.write(now.wall, |tx| hook(tx, now)) {
            Ok(done) => done.entry.is_some(),
            Err(error) => {
                tracing::error!(%error, "what is written before a beat was not written");
                false
            }
        }
    }

    /// Gives the hub one group of inputs, and lets the lines acknowledge them.
    fn hand_in(&mut self, wrote: bool) {
        let now = self.now();
        let tick = self.wake_at.is_some_and(|at| at <= now.steady.0);
        let mut inputs = Vec::new();
        let mut taken = Vec::new();
        if wrote {
            inputs.push(Input::Wrote);
        }
        for (input, token) in self.inputs.drain(..self.inputs.len().min(GROUP_MAX)) {
            inputs.push(input);
            taken.extend(token);
        }
        if inputs.is_empty() && tick {
            inputs.push(Input::Tick);
        }
        if inputs.is_empty() {
            return;
        }
        if tick {
            self.wake_at = None;
        }
        let outputs = self.work.hub.handle(&mut self.work.replica, now, inputs);
        drop(taken);
        self.carry_out(now, outputs);
    }

    fn carry_out(&mut self, now: Now, outputs: Vec<Output>) {
        let mut wake_at: Option<i64> = None;
        for output in outputs {
            match output {
                Output::Send { to, kind, bytes } => self.send(&to, kind, bytes),
                Output::WakeAt(at) => {
                    wake_at = Some(wake_at.map_or(at.0, |before| before.min(at.0)))
                }
                Output::Copy(batch) => self.copy(batch),
                Output::Event(event) => self.tell(now, &event),
            }
        }
        // Each call of the hub names all of its timers or none.
        self.wake_at = wake_at.or(self.wake_at);
    }

    /// Never waits. What a line does not take is lost, and comes again when its acknowledgement stays away.
    fn send(&self, to: &PeerId, kind: Kind, bytes: Vec<u8>) {
        let own = &self.work.replica.identity().device;
        let (line, topic) = match to {
            PeerId::Parent => (self.work.parent.as_ref(), topics::up(own, kind)),
            PeerId::Above(device) => (self.work.above.get(device), topics::up(own, kind)),
            PeerId::Child(device) => (self.work.children.as_ref(), topics::down(device, kind)),
        };
        let Some(line) = line else { return };
        match line.send(topic, bytes) {
            Ok(()) => {}
            Err(reason @ Unsent::Size(_)) => tracing::error!(?to, ?kind, %reason, "never sent"),
            Err(reason) => tracing::debug!(?to, ?kind, %reason, "a message was dropped"),
        }
    }

    fn copy(&mut self, batch: Batch) {
        let Some(second_copy) = &self.work.second_copy else { return };
        if let Err(gone) = second_copy.send(batch) {
            self.inputs.push_back((Input::NotCopied(gone.0.marks), None));
        }
    }

    fn tell(&mut self, now: Now, event: &Event) {
        match event {
            Event::Refused { from, reason } => tracing::warn!(?from, %reason, "refused what came"),
            Event::Parked { origin, entries } => {
                tracing::error!(%origin, entries, "entries were kept but cannot be applied");
            }
            Event::Evidence { origin, stream, why, last } => {
                let why = why.as_str();
                tracing::error!(%origin, %stream, why, last, "a frame does not count and is kept as proof");
            }
            Event::MayNotWrite { state } => tracing::error!("{}", state.sentence()),
            Event::Returned { entries } => {
                tracing::info!(
                    entries,
                    "what this device wrote before is here; so many entries were written anew"
                );
            }
            Event::SpareGiven { origin, device } => {
                tracing::warn!(%origin, ?device, "a device goes on under a spare origin");
            }
            Event::Untended { reason } => tracing::error!(%reason, "it is tried again"),
            Event::Installed { entries } => {
                tracing::info!(entries, "a snapshot was taken in");
            }
            Event::Published { .. } => tracing::info!("watermarks were published"),
            Event::ParentNow { device } => tracing::info!(%device, "we report to another one now"),
            Event::NotKept { reason } => {
                tracing::error!(%reason, "what came was not kept and will come again");
                self.rest_until = now.steady.0 + REST_MS;
            }
        }
    }

    fn take_news(&mut self, side: Side, news: LineNews) {
        match news {
            LineNews::Up => self.line_turned(side, Input::Up),
            LineNews::Down(reason) => {
                tracing::info!(?side, %reason, "line down");
                self.line_turned(side, Input::Down);
            }
            LineNews::Message { topic, bytes, taken } => {
                self.take_message(side, &topic, bytes, taken)
            }
        }
    }

    /// A line to many children is one line: it comes and goes for all that were heard on it.
    fn line_turned(&mut self, side: Side, turn: fn(PeerId) -> Input) {
        match side {
            Side::Parent => self.inputs.push_back((turn(PeerId::Parent), None)),
            Side::Above(device) => self.inputs.push_back((turn(PeerId::Above(device)), None)),
            Side::Children => {
                let turns =
                    self.heard.iter().map(|device| (turn(PeerId::Child(device.clone())), None));
                self.inputs.extend(turns);
            }
        }
    }

    fn take_message(&mut self, side: Side, topic: &str, bytes: Vec<u8>, taken: Taken) {
        let own = &self.work.replica.identity().device;
        let from = match (side, topics::parse(topic)) {
            (Side::Above(above), Some((Direction::Down, device, kind))) if device == *own => {
                Some((PeerId::Above(above), kind))
            }
            (Side::Parent, Some((Direction::Down, device, kind))) if device == *own => {
                Some((PeerId::Parent, kind))
            }
            (Side::Children, Some((Direction::Up, device, kind))) if device != *own => {
                self.child(device).map(|peer| (peer, kind))
            }
            _ => None,
        };
        match from {
            Some((from, kind)) => {
                self.inputs.push_back((Input::Message { from, kind, bytes }, Some(taken)))
            }
            None => tracing::debug!(topic, "a message for nobody here"),
        }
    }

    /// The first word of a child is also the news that its line is there.
    fn child(&mut self, device: DeviceId) -> Option<PeerId> {
        let peer = PeerId::Child(device.clone());
        if !self.heard.contains(&device) {
            if self.heard.len() >= CHILDREN_MAX {
                return None;
            }
            self.heard.insert(device);
            self.inputs.push_back((Input::Up(peer.clone()), None));
        }
        Some(peer)
    }

    /// Watchers are woken when something has moved; ages alone are only written down.
    fn show_status(&mut self, wrote: bool) {
        let now = self.now();
        let busy = self.work.status.borrow().vector.len() > HEADS_FEW;
        if busy && !wrote && now.steady.0 < self.status_at - STATUS_MS + STATUS_BUSY_MS {
            return;
        }
        self.status_at = now.steady.0 + STATUS_MS;
        let new = self.work.hub.status(&self.work.replica, now);
        self.work.status.send_if_modified(|shown| {
            let moved = without_ages(shown) != without_ages(&new);
            *shown = new;
            moved
        });
    }
}

fn without_ages(status: &HubStatus) -> HubStatus {
    let children = status.children.iter().map(|(device, _)| (device.clone(), None)).collect();
    let complete = status.complete.iter().map(|(device, _)| (device.clone(), 0)).collect();
    HubStatus { parent_heard_ms: None, reason: String::new(), children, complete, ..status.clone() }
}

fn millis(time: Duration) -> Millis {
    Millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}
