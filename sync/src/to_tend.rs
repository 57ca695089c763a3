//! What came up about origins and waits to be tended

use crate::{
    allow_list::Row,
    origin::{DeviceId, Origin},
    writer::WriterState,
};
use std::collections::BTreeMap;

/// What came up about origins and is still to be done.
#[derive(Debug, Default)]
pub(crate) struct ToTend {
    /// What others know of our own origin.
    pub(crate) own_past: Option<WriterState>,
    /// Devices below that ask for another origin, and their tickets.
    pub(crate) asked: Vec<(Row, u64)>,
    /// Devices below that wait for another origin: the one that they have, and their tickets.
    pub(crate) tickets: BTreeMap<DeviceId, (Origin, u64)>,
    /// The parent has said what it has: offer it what it cannot ask for.
    pub(crate) offer: bool,
    /// When the parent is asked for another origin again.
    pub(crate) ask_at: i64,
    /// Whether somebody was told that no spare origin is left.
    pub(crate) told_none_left: bool,
}
