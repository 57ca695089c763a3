//! Codes, percentages and times as people read and type them
//!
//! Money itself is shown and read by the domain's `Currency`; here stands what
//! only a screen needs.

use chrono::{DateTime, Datelike, TimeZone};
use chrono_tz::Tz;

/// The largest amount that one tender can mean: more is a slip of the finger.
pub const TENDER_MINOR_MAX: i64 = 1_000_000_000_000;

/// Hundredths of a percent of what somebody typed: "12.5 %" is 1250.
pub fn typed_percent(text: &str) -> Option<i64> {
    let text = text.trim().trim_end_matches('%').trim_end();
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || part.len() > 2 || !digits(whole) || !digits(part) {
        return None;
    }
    let basis_points: i64 = format!("{whole}{part:0<2}").parse().ok()?;
    (basis_points <= 10_000).then_some(basis_points)
}

/// A percentage without needless zeros: 1250 is "12.5".
pub fn percent(basis_points: i64) -> String {
    let text = format!("{}.{:02}", basis_points / 100, basis_points % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A trade number in groups that the eye can hold: "952 0041 00731 8".
pub fn grouped_gtin(gtin: &str) -> String {
    if gtin.len() != 13 || !gtin.is_ascii() {
        return gtin.to_owned();
    }
    format!("{} {} {} {}", &gtin[..3], &gtin[3..7], &gtin[7..12], &gtin[12..])
}

/// A moment of today as "13:20", of yesterday as the word, else the date.
pub fn moment(at_ms: i64, now_ms: i64, zone: Tz) -> String {
    let (Some(at), Some(now)) = (local(at_ms, zone), local(now_ms, zone)) else {
        return "an unknown time".to_owned();
    };
    if at.date_naive() == now.date_naive() {
        return at.format("%H:%M").to_string();
    }
    if now.date_naive().pred_opt() == Some(at.date_naive()) {
        return format!("yesterday {}", at.format("%H:%M"));
    }
    format!("{} {} {}", at.day(), at.format("%B"), at.year())
}

fn local(at_ms: i64, zone: Tz) -> Option<DateTime<Tz>> {
    zone.timestamp_millis_opt(at_ms).single()
}

/// How long ago, in words: "2 min ago".
pub fn age(ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    match seconds {
        0..=1 => "just now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// A count with its noun: "1 sale", "6 sales".
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A reason as a sentence: it begins with a capital letter and ends with a full stop.
pub fn sentence(reason: &str) -> String {
    let mut letters = reason.chars();
    let mut text: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    text.push_str(letters.as_str());
    if !text.is_empty() && !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// Notes that a customer may hand over for a sum: the next round sums above it.
pub fn suggested_notes(due_minor: i64, decimals: u32) -> Vec<i64> {
    // A currency without decimals counts in hundreds where others count in ones.
    let unit = 10_i64.pow(decimals.max(2));
    // Nobody adds a five to a large sum, nobody pays a small one with hundreds.
    let sizes = if due_minor < 50 * unit { [5, 10, 20, 50] } else { [10, 20, 50, 100] };
    let mut notes: Vec<i64> = sizes
        .iter()
        .map(|size| due_minor.saturating_add(size * unit - 1) / (size * unit) * (size * unit))
        .filter(|sum| *sum > due_minor)
        .collect();
    notes.sort_unstable();
    notes.dedup();
    notes.truncate(3);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typed_percentage_is_hundredths_or_nothing() {
        for (text, basis_points) in
            [("12.5 %", Some(1_250)), ("10", Some(1_000)), ("100", Some(10_000)), ("0", Some(0))]
        {
            assert_eq!(typed_percent(text), basis_points, "{text}");
        }
        for text in ["", "%", "100.01", "-5", "1e2", "12.345", "12,5", "٣"] {
            assert_eq!(typed_percent(text), None, "{text}");
        }
        assert_eq!(percent(1_250), "12.5");
        assert_eq!(percent(1_000), "10");
    }

    #[test]
    fn suggested_notes_are_those_a_customer_would_hand_over() {
        assert_eq!(suggested_notes(24_295, 2), [25_000, 26_000, 30_000]);
        assert_eq!(suggested_notes(1_290, 2), [1_500, 2_000, 5_000]);
        assert_eq!(suggested_notes(1_290, 0), [1_500, 2_000, 5_000]);
    }

    #[test]
    fn moments_are_words_that_a_cashier_says() {
        let day = 86_400_000;
        let now = 20_000 * day + 14 * 3_600_000;
        assert_eq!(moment(now - 2_400_000, now, Tz::UTC), "13:20");
        assert_eq!(moment(now - day, now, Tz::UTC), "yesterday 14:00");
        assert_eq!(moment(now - 40 * day, now, Tz::UTC), "25 August 2024");
        assert_eq!(moment(i64::MAX, now, Tz::UTC), "an unknown time");
        assert_eq!(age(130_000), "2 min ago");
        assert_eq!(grouped_gtin("9520041007318"), "952 0041 00731 8");
        assert_eq!(sentence("the basket is empty"), "The basket is empty.");
        assert_eq!(sentence(""), "");
        assert_eq!(counted(1, "sale", "sales"), "1 sale");
    }
}
