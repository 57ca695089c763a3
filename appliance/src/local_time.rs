//! Days, hours and typed times of the store's own zone
//!
//! A clock on the wall shows some half hours twice a year and leaves others
//! out. What somebody typed is taken only if it means one moment.

use chrono::{
    DateTime, Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta,
    TimeZone, Timelike,
};
use chrono_tz::Tz;
use selvedge_domain::moment::Moment;

/// How far the search for the first moment of a day goes where midnight is left out.
const LEFT_OUT_MINUTES_MAX: i64 = 180;

/// Why a typed time is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TypedTimeError {
    /// Nothing was typed.
    #[error("say day and time of the {0}")]
    Nothing(&'static str),
    /// No date with a time.
    #[error("\"{0}\" is no day with a time: type one such as 2026-11-20T09:00")]
    Unreadable(String),
    /// The clocks go forward over it.
    #[error("{0} does not exist here, because the clocks go forward: choose an hour later")]
    LeftOut(String),
    /// The clocks go back over it.
    #[error("{0} comes twice here, because the clocks go back: choose an hour earlier or later")]
    Twice(String),
}

/// The moment that a typed local time means.
pub fn typed(text: &str, zone: Tz) -> Result<Moment, TypedTimeError> {
    let text = text.trim();
    let forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"];
    let read = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let sane = |local: &NaiveDateTime| (2000..=2200).contains(&local.year());
    let Some(local) = read.filter(sane) else {
        return Err(TypedTimeError::Unreadable(text.chars().take(30).collect()));
    };
    let words =
        || format!("{} {} at {}", local.day(), local.format("%B %Y"), local.format("%H:%M"));
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => Ok(Moment(at.timestamp_millis())),
        LocalResult::Ambiguous(..) => Err(TypedTimeError::Twice(words())),
        LocalResult::None => Err(TypedTimeError::LeftOut(words())),
    }
}

/// The first moment of the day that holds a moment, and the first of the next day.
pub fn day_of(at: Moment, zone: Tz) -> (Moment, Moment) {
    let Some(local) = local(at, zone) else { return (at, at) };
    let day = local.date_naive();
    let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
    (first_moment(day, zone), first_moment(next, zone))
}

fn first_moment(day: NaiveDate, zone: Tz) -> Moment {
    let midnight = day.and_time(NaiveTime::MIN);
    let tries = (0..=LEFT_OUT_MINUTES_MAX).map(|minutes| midnight + TimeDelta::minutes(minutes));
    let first = tries.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    Moment(first.map_or_else(|| midnight.and_utc().timestamp_millis(), |at| at.timestamp_millis()))
}

/// The hour of the clock on the wall, 0 to 23.
pub fn hour_of(at: Moment, zone: Tz) -> usize {
    local(at, zone).map_or(0, |at| at.hour() as usize)
}

/// Day and time as people say them: "today 13:20", "tomorrow 09:00", "25 August 18:00".
pub fn when(at: Moment, now: Moment, zone: Tz) -> String {
    let (Some(at), Some(now)) = (local(at, zone), local(now, zone)) else {
        return "an unknown time".to_owned();
    };
    let (day, today) = (at.date_naive(), now.date_naive());
    let name = match (day - today).num_days() {
        -1 => "yesterday".to_owned(),
        0 => "today".to_owned(),
        1 => "tomorrow".to_owned(),
        _ if day.year() == today.year() => format!("{} {}", day.day(), day.format("%B")),
        _ => format!("{} {}", day.day(), day.format("%B %Y")),
    };
    format!("{name} {}", at.format("%H:%M"))
}

fn local(at: Moment, zone: Tz) -> Option<DateTime<Tz>> {
    zone.timestamp_millis_opt(at.0).single()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, zone: Tz) -> String {
        match typed(text, zone) {
            Ok(at) => at.0.to_string(),
            Err(refusal) => refusal.to_string(),
        }
    }

    // Proves TS-23.
    #[test]
    fn an_hour_that_comes_twice_or_never_is_not_guessed() {
        let berlin = Tz::Europe__Berlin;
        assert_eq!(said("2026-11-20T09:00", berlin), "1795161600000");
        assert_eq!(
            said("2026-10-25T02:30", berlin),
            "25 October 2026 at 02:30 comes twice here, because the clocks go back: choose an hour earlier or later"
        );
        assert_eq!(
            said("2026-03-29T02:00", berlin),
            "29 March 2026 at 02:00 does not exist here, because the clocks go forward: choose an hour later"
        );
        let hour = 3_600_000;
        let (before, after) =
            (typed("2026-03-29T01:59", berlin), typed("2026-03-29T03:00", berlin));
        assert_eq!(after.unwrap().0 - before.unwrap().0, 60_000);
        let (before, after) =
            (typed("2026-10-25T01:00", berlin), typed("2026-10-25T03:00", berlin));
        assert_eq!(after.unwrap().0 - before.unwrap().0, 3 * hour);
        for text in [
            "",
            "tomorrow",
            "2026-02-30T09:00",
            "2026-11-20",
            "99999-01-01T00:00",
            "0001-01-01T00:00",
        ] {
            assert!(said(text, berlin).contains("is no day with a time"), "{text}");
        }
    }

    #[test]
    fn a_day_is_as_long_as_the_clock_on_the_wall_says() {
        let hours = |text: &str, zone| {
            let (first, next) = day_of(typed(text, zone).unwrap(), zone);
            (next.0 - first.0) / 3_600_000
        };
        let berlin = Tz::Europe__Berlin;
        assert_eq!(hours("2026-11-20T09:00", berlin), 24);
        assert_eq!(hours("2026-10-25T12:00", berlin), 25);
        assert_eq!(hours("2026-03-29T12:00", berlin), 23);
        // In Beirut the clocks go forward at midnight: the day begins at one.
        let beirut = Tz::Asia__Beirut;
        let (first, _) = day_of(typed("2026-03-29T12:00", beirut).unwrap(), beirut);
        assert_eq!(hour_of(first, beirut), 1);
        assert_eq!(hours("2026-03-29T12:00", beirut), 23);
    }

    #[test]
    fn a_moment_has_the_name_that_people_give_it() {
        let zone = Tz::Europe__Berlin;
        let now = typed("2026-11-20T09:00", zone).unwrap();
        let named = |text: &str| when(typed(text, zone).unwrap(), now, zone);
        assert_eq!(named("2026-11-20T00:00"), "today 00:00");
        assert_eq!(named("2026-11-21T23:59"), "tomorrow 23:59");
        assert_eq!(named("2026-11-19T18:00"), "yesterday 18:00");
        assert_eq!(named("2026-08-25T18:00"), "25 August 18:00");
        assert_eq!(named("2027-01-01T00:00"), "1 January 2027 00:00");
        assert_eq!(when(Moment(i64::MAX), now, zone), "an unknown time");
    }
}
