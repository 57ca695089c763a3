//! A frame that waits, and what became of it

use crate::{
    evidence::{Kept, Why},
    frame::{Frame, FrameError},
    origin::{Origin, Stream},
};

/// A frame that waits to be applied.
#[derive(Debug)]
pub struct Incoming<P> {
    /// Who sent it (not who wrote it).
    pub from: P,
    /// The frame.
    pub frame: Frame,
    /// Chain values after each entry, once the frame is verified.
    pub(crate) chains: Vec<[u8; 32]>,
}

impl<P> Incoming<P> {
    /// A frame as it came in.
    pub fn new(from: P, frame: Frame) -> Incoming<P> {
        Incoming { from, frame, chains: Vec::new() }
    }
}

/// What became of a frame or of a slice of it.
#[derive(Debug)]
pub enum Outcome {
    /// Entries up to `seq` are committed here.
    Applied {
        /// The last of them.
        seq: u64,
        /// How many were parked.
        parked: usize,
        /// Bytes of the frame, counted once, when its last entry is in.
        bytes: u64,
    },
    /// All of it was here before.
    Known {
        /// The last seq that is here.
        seq: u64,
    },
    /// Entries before it are missing; `have` is the last one here.
    Gap {
        /// The last seq that is here.
        have: u64,
    },
    /// Its writer is not on the allow-list (yet): it waits at the sender.
    UnknownOrigin,
    /// Its writer may write nothing in this stream.
    ForeignStream,
    /// It does not count, and is kept as proof.
    Evidence {
        /// Why it does not count.
        why: Why,
        /// Its last entry.
        last: u64,
        /// Whether it is kept.
        kept: Kept,
    },
    /// It is of our own origin, and not what is here.
    OwnPast(OtherPast),
    /// Its chain or seal is wrong.
    Refused(FrameError),
}

/// How another past of our own origin differs from what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherPast {
    /// It goes on where ours ends: this device was set back.
    Ahead,
    /// It holds other entries under the same numbers.
    Forked,
}

/// One outcome, with whom and what it is about.
#[derive(Debug)]
pub struct Received<P> {
    /// Who sent the frame.
    pub from: P,
    /// Whose entries.
    pub origin: Origin,
    /// Their stream.
    pub stream: Stream,
    /// What became of them.
    pub outcome: Outcome,
}

/// How much one call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Row changes.
    pub rows: usize,
}
