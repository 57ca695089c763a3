//! What the line to the stores tells

use std::collections::HashMap;

use serde::Serialize;

/// How the line stands, and whom it hears.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Contacts {
    /// Whether HQ is connected to its broker and listens.
    pub line_up: bool,
    /// Process number of HQ's own broker, while it lives.
    pub broker_pid: Option<u32>,
    /// How often HQ's own broker was started again.
    pub broker_restarts: u64,
    /// HQ's own newest entry in `chain`.
    pub own_head: u64,
    /// Entries that were kept aside because they could not be applied.
    pub parked: u64,
    /// Frames and messages that were refused since the start.
    pub refused: u64,
    /// Origins whose frames wait because no row of the allow-list names them.
    pub waiting_origins: Vec<String>,
    /// What is behind, and why.
    pub reason: String,
    /// Milliseconds since HQ heard from a device, by device id.
    pub heard_ms: HashMap<String, i64>,
}
