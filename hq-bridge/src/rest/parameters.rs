//! What a request asks for, read from its query
//!
//! A parameter that nobody knows is refused: `?stroe=7` must not answer for all stores.

use axum::extract::Query;
use axum::http::Uri;
use chrono::DateTime;
use selvedge_domain::moment::Moment;

use crate::import::fields::shown;
use crate::rest::answers::ApiError;
use crate::rest::cursors::{self, BEGINNING, List, Place};

/// The most rows of one answer.
pub const LIMIT_MAX: usize = 5_000;

/// Rows of an answer when nobody says how many.
const LIMIT: usize = 500;

/// The most values of a parameter that may be repeated.
const REPEATS_MAX: usize = 100;

/// The parameters of one request.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

/// Where a list begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// After this place.
    Place(Place),
    /// With what came at this moment or later, by head office's clock.
    Moment(Moment),
}

impl Parameters {
    /// Reads a query in which these parameters may stand.
    pub fn of(uri: &Uri, known: &[&str]) -> Result<Parameters, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|why| ApiError::bad("query", why.body_text()))?;
        let stray = pairs.iter().find(|(name, _)| !known.contains(&name.as_str()));
        if let Some((name, _)) = stray {
            let message = match known {
                [] => format!("{} is not known here: this takes no parameter", shown(name)),
                known => format!("{} is not known here: use {}", shown(name), known.join(", ")),
            };
            return Err(ApiError::bad(&name.chars().take(40).collect::<String>(), message));
        }
        Ok(Parameters(pairs))
    }

    /// Every value of a parameter that may be repeated.
    fn all(&self, name: &str) -> Vec<&str> {
        let of_name = self.0.iter().filter(|(known, _)| known == name);
        of_name.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a parameter that may stand once.
    pub fn one(&self, name: &str) -> Result<Option<&str>, ApiError> {
        match self.all(name)[..] {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(ApiError::bad(name, format!("{name} may be given only once"))),
        }
    }

    /// Whole numbers from 1 on, in the order given, each once.
    pub fn numbers(&self, name: &str) -> Result<Vec<i64>, ApiError> {
        let mut numbers = Vec::new();
        for text in self.all(name) {
            let number = number(text).ok_or_else(|| {
                let text = shown(text);
                ApiError::bad(name, format!("{name} is {text}, but a whole number is expected"))
            })?;
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
        if numbers.len() > REPEATS_MAX {
            let message = format!("{name} may be given at most {REPEATS_MAX} times: ask in parts");
            return Err(ApiError::bad(name, message));
        }
        Ok(numbers)
    }

    /// How many rows are wanted.
    pub fn limit(&self) -> Result<usize, ApiError> {
        let Some(text) = self.one("limit")? else { return Ok(LIMIT) };
        let limit = number(text).and_then(|limit| usize::try_from(limit).ok());
        limit.filter(|limit| *limit <= LIMIT_MAX).ok_or_else(|| {
            let text = shown(text);
            let message =
                format!("limit is {text}, but a whole number from 1 to {LIMIT_MAX} is expected");
            ApiError::bad("limit", message)
        })
    }

    /// One of some words.
    pub fn word<'k>(&self, name: &str, known: &[&'k str]) -> Result<Option<&'k str>, ApiError> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let found = known.iter().find(|word| **word == text);
        found.map(|word| Some(*word)).ok_or_else(|| {
            let (text, known) = (shown(text), known.join(" or "));
            ApiError::bad(name, format!("{name} is {text}, but {known} is expected"))
        })
    }

    /// Where a list begins, for lists without a time of their own.
    pub fn place(&self, list: List) -> Result<Place, ApiError> {
        match self.since(list)? {
            Since::Place(place) => Ok(place),
            Since::Moment(_) => {
                let message = "this list has no times: give a next_cursor as changed_since";
                Err(ApiError::bad("changed_since", message.to_string()))
            }
        }
    }

    /// Where a list begins.
    pub fn since(&self, list: List) -> Result<Since, ApiError> {
        match (self.one("cursor")?, self.one("changed_since")?) {
            (None, None) => Ok(Since::Place(BEGINNING)),
            (Some(text), None) => cursors::parse(list, "cursor", text).map(Since::Place),
            (Some(_), Some(_)) => {
                let message = "give cursor or changed_since, not both".to_string();
                Err(ApiError::bad("changed_since", message))
            }
            // A plus sign in a query is a blank; nobody should fall over an offset for that.
            (None, Some(text)) => match DateTime::parse_from_rfc3339(&text.replace(' ', "+")) {
                Ok(time) => Ok(Since::Moment(Moment(time.timestamp_millis()))),
                Err(_) => cursors::parse(list, "changed_since", text).map(Since::Place),
            },
        }
    }
}

/// A whole number from 1 on, in plain digits.
pub fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| plain && *number > 0)
}
