//! What the line to the stores tells

use std::collections::HashMap;

use serde::Serialize;

/// How the line stands, and whom it hears.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Contacts {
    /// Whether the broker answers.
    pub broker_up: bool,
    /// How often the broker was started again.
    pub broker_restarts: u64,
    /// HQ's own newest entry in `chain`.
    pub own_head: u64,
    /// Entries that were kept aside because they could not be applied.
    pub parked: u64,
    /// What is behind, and why.
    pub reason: String,
    /// Milliseconds since HQ heard from a device, by device id.
    pub heard_ms: HashMap<String, i64>,
}
