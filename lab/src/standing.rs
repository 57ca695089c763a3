//! What a running device says of itself, in one sentence

use crate::layout::Seat;
use std::net::SocketAddr;
use std::time::Duration;

/// A device that does not answer in this time has no words.
const ANSWER_MS: u64 = 500;

/// What a seat says now, empty when it says nothing.
pub fn words(seat: Seat, page: SocketAddr) -> String {
    status(page).map(|status| sentence(seat, &status)).unwrap_or_default()
}

/// The status of a running device.
pub fn status(page: SocketAddr) -> Option<serde_json::Value> {
    let settings = ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_millis(ANSWER_MS)))
        .build();
    let mut answer = settings.new_agent().get(format!("http://{page}/status")).call().ok()?;
    serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
}

fn sentence(_seat: Seat, status: &serde_json::Value) -> String {
    status.to_string()
}
