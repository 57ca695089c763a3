//! Moments as they leave the house

use chrono::{DateTime, SecondsFormat};
use selvedge_domain::moment::Moment;

/// A moment as RFC 3339 in UTC; nothing for one that no calendar has.
pub fn time(at: Moment) -> Option<String> {
    let time = DateTime::from_timestamp_millis(at.0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
