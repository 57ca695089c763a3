//! Who has what in one conversation, and when to send or ask
//!
//! Holds cursors, credit and timers; no entry, no bytes, no database. A message
//! may be lost, doubled or late at any time: what is lost is found by a gap, by
//! a digest that differs or by an acknowledgement that stays away.

use crate::{
    hlc::Millis,
    origin::{Origin, Stream},
    planted::{self, Fault},
    signed::Mark,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An origin's entries in a stream.
pub type Key = (Stream, Origin);

/// Newest facts go at once, a backlog in bulk; each has its own credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The newest facts.
    Live,
    /// A backlog.
    Bulk,
}

/// A range that lies further behind than this is a backlog.
pub const LIVE_ENTRIES: u64 = 64;
/// Live entries are gathered this long while others are under way.
pub const GATHER_MS: i64 = 200;
/// Acknowledgements keep this distance while frames come.
pub const ACK_EVERY_MS: i64 = 200;
/// So many received bytes are acknowledged at once.
pub const ACK_BYTES: u64 = 128 * 1024;
/// First wait for an acknowledgement before sending again; doubles up to the longest.
pub const RESEND_MS: i64 = 10_000;
/// So many beats without a word are a silence, after which nothing is taken for granted.
pub const SILENCE_BEATS: i64 = 2;
/// Longest wait before sending again.
pub const RESEND_MS_MAX: i64 = 300_000;
/// A need is repeated at most this often, and after this long while the other side is unknown.
pub const NEED_EVERY_MS: i64 = 1_000;
/// Longest wait between two needs while the other side does not answer.
pub const NEED_MS_MAX: i64 = 10_000;
/// What may be under way in bulk before any rate is known.
pub const BULK_BYTES_MIN: u64 = 128 * 1024;

#[derive(Debug)]
struct Flight {
    key: Key,
    last: u64,
    bytes: u64,
    lane: Lane,
}

/// One conversation.
#[derive(Debug)]
pub struct Session {
    beat_ms: i64,
    up: bool,
    known: bool,
    acked: BTreeMap<Key, u64>,
    sent: BTreeMap<Key, u64>,
    sent_at: BTreeMap<Key, i64>,
    flights: VecDeque<Flight>,
    credit: [u64; 2],
    acked_bytes: VecDeque<(i64, u64)>,
    heard: Option<i64>,
    to_ack: BTreeSet<Key>,
    unacked_bytes: u64,
    last_ack: i64,
    beat_at: i64,
    wanted_ack: Option<i64>,
    need_at: Option<i64>,
    need_wait: i64,
    last_need: i64,
    resend_at: Option<i64>,
    resend_wait: i64,
}

/// What to send next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Send {
    /// Whose entries in which stream.
    pub key: Key,
    /// From which on.
    pub first: u64,
    /// In which lane.
    pub lane: Lane,
}

impl Session {
    /// A conversation whose line is down.
    pub fn new(beat_ms: i64) -> Session {
        assert!(beat_ms > 0, "a beat has a period");
        Session {
            beat_ms,
            up: false,
            known: false,
            acked: BTreeMap::new(),
            sent: BTreeMap::new(),
            sent_at: BTreeMap::new(),
            flights: VecDeque::new(),
            credit: [0, 0],
            acked_bytes: VecDeque::new(),
            heard: None,
            to_ack: BTreeSet::new(),
            unacked_bytes: 0,
            last_ack: i64::MIN / 2,
            beat_at: 0,
            wanted_ack: None,
            need_at: None,
            need_wait: NEED_EVERY_MS,
            last_need: i64::MIN / 2,
            resend_at: None,
            resend_wait: RESEND_MS,
        }
    }

    /// The line is there: ask what the other side has.
    pub fn line_up(&mut self, now: Millis) {
        self.up = true;
        self.known = false;
        self.flights.clear();
        self.need_wait = NEED_EVERY_MS;
        self.need_at = Some(now.0);
        self.beat_at = now.0 + self.beat_ms;
        self.resend_at = None;
    }

    /// The line is gone: whatever was under way may be lost.
    pub fn line_down(&mut self) {
        self.up = false;
        self.known = false;
        self.flights.clear();
        self.resend_at = None;
        self.need_at = None;
    }

    /// True while the line is there.
    pub fn is_up(&self) -> bool {
        self.up
    }

    /// True once the other side has said what it has.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Something authentic came from the other side. After a silence this side says what it has:
    /// what was sent meanwhile is lost, and the sender may have learnt to wait long.
    pub fn hear(&mut self, now: Millis) {
        if self.heard.is_some_and(|heard| now.0 - heard > SILENCE_BEATS * self.beat_ms) {
            self.want_need(now);
        }
        self.heard = Some(now.0);
    }

    /// What the other side is known to have.
    pub fn known_heads(&self) -> impl Iterator<Item = (Key, u64)> {
        self.acked.iter().map(|(key, seq)| (*key, *seq))
    }

    /// When the other side was last heard.
    pub fn heard(&self) -> Option<Millis> {
        self.heard.map(Millis)
    }

    /// How far the other side is with an origin's entries.
    pub fn peer_has(&self, key: Key) -> u64 {
        self.acked.get(&key).copied().unwrap_or(0)
    }

    /// The newest entry of an origin that was handed to the line, or that the other side has.
    pub fn sent_to(&self, key: Key) -> u64 {
        self.sent.get(&key).copied().unwrap_or(0)
    }

    /// The other side says all that it has of some streams.
    pub fn take_vector(
        &mut self,
        now: Millis,
        streams: &[Stream],
        heads: &[Mark],
        credit: [u32; 2],
    ) {
        self.acked.retain(|(stream, _), _| !streams.contains(stream));
        self.sent.retain(|(stream, _), _| !streams.contains(stream));
        for (stream, origin, seq) in heads {
            self.acked.insert((*stream, *origin), *seq);
            self.sent.insert((*stream, *origin), *seq);
        }
        self.flights.retain(|flight| !streams.contains(&flight.key.0));
        self.set_credit(credit);
        if !self.known {
            self.known = true;
            self.need_at = None;
        }
        self.resend_wait = RESEND_MS;
        self.resend_at = (!self.flights.is_empty()).then_some(now.0 + self.resend_wait);
    }

    /// The other side has made entries durable.
    pub fn take_ack(&mut self, now: Millis, heads: &[Mark], credit: [u32; 2]) {
        let mut progress = false;
        for (stream, origin, seq) in heads {
            let key = (*stream, *origin);
            let acked = self.acked.entry(key).or_default();
            if *seq > *acked {
                *acked = *seq;
                progress = true;
            }
            let sent = self.sent.entry(key).or_default();
            *sent = (*sent).max(*seq);
        }
        let mut bulk = 0;
        self.flights.retain(|flight| {
            let done = self.acked.get(&flight.key).is_some_and(|acked| *acked >= flight.last);
            if done && flight.lane == Lane::Bulk {
                bulk += flight.bytes;
            }
            !done
        });
        if bulk > 0 {
            self.acked_bytes.push_back((now.0, bulk));
        }
        self.set_credit(credit);
        if progress {
            self.resend_wait = RESEND_MS;
        }
        if progress || self.flights.is_empty() {
            self.resend_at = (!self.flights.is_empty()).then_some(now.0 + self.resend_wait);
        }
    }

    fn set_credit(&mut self, credit: [u32; 2]) {
        self.credit = credit.map(u64::from);
    }

    /// The other side has these entries: it sent them.
    pub fn take_frame(&mut self, now: Millis, key: Key, last: u64, bytes: u64) {
        self.hear(now);
        let acked = self.acked.entry(key).or_default();
        *acked = (*acked).max(last);
        let sent = self.sent.entry(key).or_default();
        *sent = (*sent).max(last);
        self.unacked_bytes += bytes;
        self.to_ack.insert(key);
    }

    /// Entries before a frame are missing here: say what is here.
    pub fn gap(&mut self, now: Millis) {
        self.want_need(now);
    }

    /// Asks the other side what it has, but not more often than allowed.
    pub fn want_need(&mut self, now: Millis) {
        let at = now.0.max(self.last_need + NEED_EVERY_MS);
        self.need_at = Some(self.need_at.map_or(at, |before| before.min(at)));
    }

    /// The other side has said what it has, and wants to hear the same. A need of ours that is on its way to it answers
    /// that: two would make it send all that is under way once more.
    pub fn answer_need(&mut self, now: Millis) {
        if now.0 >= self.last_need + NEED_EVERY_MS {
            self.want_need(now);
        }
    }

    /// True when a need is to be sent now.
    pub fn need_due(&mut self, now: Millis) -> bool {
        if !self.up || self.need_at.is_none_or(|at| at > now.0) {
            return false;
        }
        self.last_need = now.0;
        self.need_at = (!self.known).then_some(now.0 + self.need_wait);
        if !self.known {
            self.need_wait = (self.need_wait * 2).min(NEED_MS_MAX);
        }
        true
    }

    /// True when an ack is to be sent now; `beat` says that its period is over.
    pub fn ack_due(&mut self, now: Millis) -> Option<Beat> {
        if !self.up {
            return None;
        }
        let beat = now.0 >= self.beat_at;
        let waiting = !self.to_ack.is_empty();
        let paced = now.0 >= self.last_ack + ACK_EVERY_MS || self.unacked_bytes >= ACK_BYTES;
        let wanted = self.wanted_ack.is_some_and(|at| now.0 >= at);
        if !(beat || wanted || waiting && paced) {
            return None;
        }
        self.wanted_ack = None;
        self.last_ack = now.0;
        if beat {
            self.beat_at = now.0 + self.beat_ms;
        }
        self.unacked_bytes = 0;
        Some(if beat { Beat::Yes } else { Beat::No })
    }

    /// Makes an ack due soon: marks have moved that the other side waits for.
    pub fn want_ack(&mut self, now: Millis) {
        let at = now.0.max(self.last_ack + ACK_EVERY_MS);
        self.wanted_ack = Some(self.wanted_ack.map_or(at, |before| before.min(at)));
    }

    /// Whose heads have changed since the last ack.
    pub fn heads_to_ack(&mut self) -> BTreeSet<Key> {
        std::mem::take(&mut self.to_ack)
    }

    /// What to send next, given the newest seq of each key here, or None for now.
    pub fn next_send(&self, now: Millis, heads: impl Iterator<Item = (Key, u64)>) -> Option<Send> {
        if !self.up || !self.known {
            return None;
        }
        let mut best: Option<Send> = None;
        for (key, head) in heads {
            let sent = self.sent.get(&key).copied().unwrap_or(0);
            if head <= sent {
                continue;
            }
            let lane = if head - sent <= LIVE_ENTRIES { Lane::Live } else { Lane::Bulk };
            if !self.room(lane, now) || (lane == Lane::Live && self.gathers(key, now)) {
                continue;
            }
            if best.is_none_or(|best| lane < best.lane) {
                let late = u64::from(planted::is(Fault::NeedOffByOne) && head > sent + 1);
                best = Some(Send { key, first: sent + 1 + late, lane });
            }
        }
        best
    }

    fn gathers(&self, key: Key, now: Millis) -> bool {
        let under_way = self.sent.get(&key) > self.acked.get(&key);
        under_way && self.sent_at.get(&key).is_some_and(|at| now.0 < at + GATHER_MS)
    }

    fn room(&self, lane: Lane, now: Millis) -> bool {
        let under_way: u64 = self
            .flights
            .iter()
            .filter(|flight| flight.lane == lane)
            .map(|flight| flight.bytes)
            .sum();
        let limit = match lane {
            Lane::Live => self.credit[0],
            Lane::Bulk => self.credit[1].min(self.rate(now).max(BULK_BYTES_MIN)),
        };
        under_way < limit
    }

    /// Bytes that the other side has acknowledged in the last second.
    fn rate(&self, now: Millis) -> u64 {
        let second = self.acked_bytes.iter().filter(|(at, _)| *at > now.0 - 1_000);
        second.map(|(_, bytes)| bytes).sum()
    }

    /// A frame was handed to the line.
    pub fn sent(&mut self, now: Millis, key: Key, last: u64, bytes: u64, lane: Lane) {
        assert!(self.sent.get(&key).is_none_or(|sent| *sent < last), "a cursor moves on");
        self.sent.insert(key, last);
        self.sent_at.insert(key, now.0);
        self.flights.push_back(Flight { key, last, bytes, lane });
        while self.acked_bytes.front().is_some_and(|(at, _)| *at <= now.0 - 1_000) {
            self.acked_bytes.pop_front();
        }
        if self.resend_at.is_none() {
            self.resend_at = Some(now.0 + self.resend_wait);
        }
    }

    /// Goes back to what is acknowledged when an acknowledgement stays away too long.
    pub fn give_up_waiting(&mut self, now: Millis) {
        if self.resend_at.is_none_or(|at| at > now.0) {
            return;
        }
        self.flights.clear();
        for (key, sent) in &mut self.sent {
            *sent = self.acked.get(key).copied().unwrap_or(0);
        }
        self.resend_wait = (self.resend_wait * 2).min(RESEND_MS_MAX);
        self.resend_at = None;
        self.want_need(now);
    }

    /// The other side is idle and lacks something. What is under way longer than a beat is lost: send it again now.
    pub fn doubt_flights(&mut self, now: Millis) {
        let is_fresh = |flight: &Flight| {
            self.sent_at.get(&flight.key).is_some_and(|at| now.0 < at + self.beat_ms)
        };
        if !self.flights.is_empty() && !self.flights.iter().any(is_fresh) {
            self.resend_wait = RESEND_MS;
            self.resend_at = Some(now.0);
        }
    }

    /// True while anything is under way to the other side.
    pub fn is_waiting(&self) -> bool {
        !self.flights.is_empty()
    }

    /// When to look again, at the latest.
    pub fn wake_at(&self, now: Millis) -> Option<Millis> {
        if !self.up {
            return None;
        }
        let gather = self
            .sent_at
            .iter()
            .filter(|(key, _)| self.sent.get(key) > self.acked.get(key))
            .map(|(_, at)| at + GATHER_MS)
            .filter(|at| *at > now.0)
            .min();
        let ack = (!self.to_ack.is_empty()).then_some(self.last_ack + ACK_EVERY_MS);
        [Some(self.beat_at), self.wanted_ack, self.need_at, self.resend_at, gather, ack]
            .into_iter()
            .flatten()
            .min()
            .map(Millis)
    }
}

/// Whether an ack is a beat too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Its period is over.
    Yes,
    /// Only because something changed.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_need_that_is_on_its_way_answers_the_one_that_crosses_it() {
        let mut session = Session::new(10_000);
        session.line_up(Millis(0));
        assert!(session.need_due(Millis(0)));
        session.take_vector(Millis(100), &[], &[], [1, 1]);
        session.answer_need(Millis(100));
        assert!(!session.need_due(Millis(5_000)), "the other side has heard it");
        session.answer_need(Millis(6_000));
        assert!(session.need_due(Millis(6_000)), "it asks anew: the first one was lost");
    }
}
