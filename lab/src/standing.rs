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

/// HQ counts what it holds, a device what it still keeps alone.
fn sentence(seat: Seat, status: &serde_json::Value) -> String {
    let number = |name: &str| status.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
    if seat == Seat::Hq {
        let devices =
            status.get("devices").and_then(serde_json::Value::as_array).map_or(0, Vec::len);
        return format!("{devices} devices admitted");
    }
    let (head, queue) = (number("head"), number("queue"));
    let heard = match status.get("parent_heard_ms").and_then(serde_json::Value::as_i64) {
        Some(age_ms) => format!("its parent was heard {} s ago", age_ms / 1_000),
        None => "its parent was not heard yet".to_owned(),
    };
    match queue {
        0 => format!("{head} entries written, all at head office; {heard}"),
        _ => format!("{head} entries written, {queue} of them kept here only; {heard}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_says_how_much_only_it_keeps() {
        let status = serde_json::json!({"head": 12, "queue": 3, "parent_heard_ms": 65_000});
        let said = sentence(Seat::Pos { store: 1, no: 1 }, &status);
        assert_eq!(
            said,
            "12 entries written, 3 of them kept here only; its parent was heard 65 s ago"
        );
    }
}
