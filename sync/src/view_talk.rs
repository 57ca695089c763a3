//! How a conversation stands with what lies beside the log

use crate::view_wire::{ViewAsk, ViewPart};
use crate::wire::{Given, Hash};

/// How a conversation stands with views.
#[derive(Debug, Default)]
pub(crate) struct Viewing {
    /// Here: when to ask the parent, in steady time.
    pub(crate) ask_at: i64,
    /// Here: whether the last answer had more behind it.
    pub(crate) fetching: bool,
    /// There: what the child said that it has, until it was answered.
    pub(crate) asked: Option<ViewAsk>,
    /// A stretch that came and is not looked at yet.
    pub(crate) came: Option<ViewPart>,
}

impl Viewing {
    /// A line is there: ask at once.
    pub(crate) fn line_up(&mut self) {
        self.ask_at = 0;
    }

    /// A child says what it has.
    pub(crate) fn hear_ask(&mut self, ask: ViewAsk) {
        self.asked = Some(ask);
    }

    /// A stretch came. One is kept: the next was not asked for yet.
    pub(crate) fn hear_part(&mut self, part: ViewPart) {
        self.came.get_or_insert(part);
    }
}

/// How a conversation stands with sealed blobs.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    /// Here: up to which hash of what is missing the other side has looked.
    pub(crate) after: Option<Hash>,
    /// Here: it has just answered, so it is asked for the next ones before the beat.
    pub(crate) goes_on: bool,
    /// There: what is found of what the other side has asked for.
    pub(crate) given: Option<Given>,
}
