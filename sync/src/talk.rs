//! What a hub is told, and what it wants done

use crate::{
    evidence::Why,
    hlc::Millis,
    origin::{DeviceId, Origin, Stream},
    outcome::EntryMark,
    second_copy::Batch,
    signed::Mark,
    snapshot_maker::CHUNK_ROWS_BYTES,
    topics::Kind,
    writer::WriterState,
};

/// The other side of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PeerId {
    /// Whoever we report to.
    Parent,
    /// One of those that we may report to, by name, where there are several lines.
    Above(DeviceId),
    /// A device that reports to us.
    Child(DeviceId),
}

/// What time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, for stamps. May jump.
    pub wall: Millis,
    /// Running time since some start, for timers. Never jumps.
    pub steady: Millis,
}

/// What happened outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The line to a peer is there.
    Up(PeerId),
    /// The line to a peer is gone.
    Down(PeerId),
    /// A message came.
    Message {
        /// From whom.
        from: PeerId,
        /// What it is.
        kind: Kind,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// This replica has written.
    Wrote,
    /// A batch for the second copy is durable.
    Copied(Vec<Mark>),
    /// A batch for the second copy was not made durable.
    NotCopied(Vec<Mark>),
    /// Time has passed.
    Tick,
}

/// What is to be done outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a message; it may be lost.
    Send {
        /// To whom.
        to: PeerId,
        /// What it is.
        kind: Kind,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// Make these records durable in the second copy, then answer with its marks: `Copied` or `NotCopied`.
    Copy(Batch),
    /// Call again at this steady time at the latest.
    WakeAt(Millis),
    /// Something a person may want to know.
    Event(Event),
}

/// Something a person may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A message or frame was refused.
    Refused {
        /// From whom it came.
        from: PeerId,
        /// Why.
        reason: String,
    },
    /// Entries were kept but could not be applied.
    Parked {
        /// Who wrote them.
        origin: Origin,
        /// How many.
        entries: usize,
    },
    /// A frame that does not count was kept as proof.
    Evidence {
        /// Who sealed it.
        origin: Origin,
        /// In which stream.
        stream: Stream,
        /// Why it does not count.
        why: Why,
        /// Its last entry.
        last: u64,
    },
    /// This device may not write any more under its origin.
    MayNotWrite {
        /// Why.
        state: WriterState,
    },
    /// All that this device wrote before is here: it may write.
    Returned {
        /// Entries of before that it has written anew.
        entries: u64,
    },
    /// A device below was given a spare origin.
    SpareGiven {
        /// Which.
        origin: Origin,
        /// To whom.
        device: DeviceId,
    },
    /// Something about origins could not be done now. It is tried again.
    Untended {
        /// What stands in the way.
        reason: String,
    },
    /// A snapshot was taken in.
    Installed {
        /// Entries that need not come one by one.
        entries: u64,
    },
    /// HQ has said anew up to where logs may be trimmed.
    Published {
        /// The entry that says so; None when it is not known whether it was kept.
        mark: Option<EntryMark>,
    },
    /// We report to another one now.
    ParentNow {
        /// To whom.
        device: DeviceId,
    },
    /// Received entries were not kept; they will come again.
    NotKept {
        /// What the database says.
        reason: String,
    },
}

/// How a hub behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// Whether there is a parent to report to.
    pub has_parent: bool,
    /// To whom there are lines of their own, where there are several. Among these the parent is chosen; with none it is
    /// whoever is at the other end.
    pub lines: Vec<DeviceId>,
    /// Period of the beat.
    pub beat_ms: i64,
    /// Rows that one call of `work` applies.
    pub slice_rows: usize,
    /// Bytes of frames that may wait here per lane and peer.
    pub credit_bytes: u32,
    /// A new device that lacks so many entries is given a snapshot in their place.
    pub snapshot_above: u64,
    /// Bytes of rows in a chunk of a snapshot, before they are packed.
    pub snapshot_chunk: usize,
    /// A device that has been silent for so long is not waited for any more.
    pub lease_ms: i64,
    /// So often HQ says anew up to where logs may be trimmed.
    pub watermark_ms: i64,
    /// So far that must have moved to be said.
    pub watermark_step: u64,
    /// So many of the newest entries of each log are never trimmed.
    pub keep_entries: u64,
    /// So many entries are trimmed in one beat.
    pub trim_entries: u64,
    /// Entries of one of HQ's sealed segments.
    pub segment_entries: u64,
    /// Name of this build, for people.
    pub build: String,
    /// Whether the shell keeps a second copy. For HQ.
    pub second_copy: bool,
}

const DAY_MS: i64 = 86_400_000;

impl Default for HubSettings {
    fn default() -> HubSettings {
        HubSettings {
            has_parent: true,
            lines: Vec::new(),
            beat_ms: 10_000,
            slice_rows: 2_000,
            credit_bytes: 1024 * 1024,
            snapshot_above: 5_000,
            snapshot_chunk: CHUNK_ROWS_BYTES,
            lease_ms: 35 * DAY_MS,
            watermark_ms: DAY_MS,
            watermark_step: 256,
            keep_entries: 256,
            trim_entries: 2_000,
            segment_entries: 1_000,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            second_copy: false,
        }
    }
}
