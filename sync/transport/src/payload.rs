//! Counts what goes into publishes and what comes out of them
//!
//! Payload only: what the interface carries beside it (topics, TCP, pings) is
//! measured at the interface and never guessed here.

use std::sync::atomic::{AtomicU64, Ordering};

/// The kinds that are counted: the last part of a topic.
pub const KINDS: [&str; 4] = ["live", "bulk", "ack", "need"];

/// Messages and their payload bytes of one kind and direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How many publishes.
    pub messages: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// One kind, both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindCount {
    /// `live`, `bulk`, `ack`, `need`, or `other`.
    pub kind: &'static str,
    /// What this side published.
    pub sent: Count,
    /// What this side received.
    pub received: Count,
}

/// Running counts of one or several lines. Cheap to share, never reset.
#[derive(Debug, Default)]
pub struct Payload {
    sent: [Cell; KINDS.len() + 1],
    received: [Cell; KINDS.len() + 1],
}

#[derive(Debug, Default)]
struct Cell {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl Payload {
    /// Counts one publish of this side.
    pub fn sent(&self, topic: &str, bytes: usize) {
        self.sent[place(topic)].add(bytes);
    }

    /// Counts one publish of the other side.
    pub fn received(&self, topic: &str, bytes: usize) {
        self.received[place(topic)].add(bytes);
    }

    /// Everything counted so far, one row a kind.
    pub fn counts(&self) -> Vec<KindCount> {
        let names = KINDS.iter().copied().chain(["other"]);
        let cells = self.sent.iter().zip(&self.received);
        names
            .zip(cells)
            .map(|(kind, (sent, received))| KindCount {
                kind,
                sent: sent.read(),
                received: received.read(),
            })
            .collect()
    }
}

impl Cell {
    fn add(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn read(&self) -> Count {
        Count {
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

fn place(topic: &str) -> usize {
    let kind = topic.rsplit('/').next().unwrap_or(topic);
    KINDS.iter().position(|known| *known == kind).unwrap_or(KINDS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_counts_under_the_last_part_of_its_topic() {
        let payload = Payload::default();
        payload.sent("sv1/up/s0001-p01/live", 190);
        payload.sent("sv1/up/s0001-p01/live", 10);
        payload.received("sv1/down/s0001-p01/ack", 60);
        payload.received("sv1/probe/s0001-b01", 8);
        let counts = payload.counts();
        assert_eq!(counts[0].kind, "live");
        assert_eq!(counts[0].sent, Count { messages: 2, bytes: 200 });
        assert_eq!(counts[2].received, Count { messages: 1, bytes: 60 });
        assert_eq!((counts[4].kind, counts[4].received.bytes), ("other", 8));
    }
}
