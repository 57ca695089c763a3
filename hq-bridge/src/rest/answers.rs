//! How the reporting interface answers, and how it refuses

use axum::Json;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use selvedge_domain::moment::Moment;
use serde::Serialize;
use utoipa::ToSchema;

use crate::freshness::StoreFreshness;
use crate::hq::HqError;
use crate::times::time;
use crate::tokens::Scope;

/// Why a request was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// A word for programs: `bad_request`, `unauthenticated`, `forbidden`, `not_found`, `method_not_allowed` or
    /// `unavailable`.
    pub code: &'static str,
    /// A sentence for people, which says what to do.
    pub message: String,
    /// The parameter that is wrong.
    pub field: Option<String>,
}

/// A refusal on its way out.
#[derive(Debug)]
pub struct ApiError(StatusCode, ErrorBody);

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: String) -> ApiError {
        ApiError(status, ErrorBody { code, message, field: None })
    }

    /// A parameter that cannot be used.
    pub fn bad(field: &str, message: String) -> ApiError {
        let body = ErrorBody { code: "bad_request", message, field: Some(field.to_string()) };
        ApiError(StatusCode::BAD_REQUEST, body)
    }

    /// Nothing is there.
    pub fn not_found(message: String) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    /// No token, or none of ours.
    pub fn unauthenticated() -> ApiError {
        let message = "this needs a token: send \"Authorization: Bearer TOKEN\"; `hq-bridge tokens add` at head office makes one";
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message.to_string())
    }

    /// A token that allows something else.
    pub fn forbidden(scope: Scope, needed: Scope) -> ApiError {
        let message = format!(
            "this needs a token of scope {}, but yours has the scope {}",
            needed.as_str(),
            scope.as_str()
        );
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// Nothing here is written.
    pub fn wrong_method(method: &Method, path: &str) -> ApiError {
        let message = format!("{path} does not take {method}; it is only read, with GET");
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }
}

impl From<HqError> for ApiError {
    fn from(why: HqError) -> ApiError {
        tracing::error!(%why, "a question of the reporting interface failed");
        let message = "head office could not read its database; its log says why, try again later";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut answer = (self.0, Json(self.1)).into_response();
        if self.0 == StatusCode::UNAUTHORIZED {
            let scheme = header::HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        answer
    }
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listing<T> {
    /// The rows, in the order of the list.
    pub rows: Vec<T>,
    /// Up to when head office knows all that happened in the stores of this answer, by its own clock. Absent when it has
    /// never known all of one of them.
    pub as_of: Option<String>,
    /// When this answer was made, by head office's clock.
    pub answered_at: String,
    /// Numbers of the stores of this answer whose knowledge is older than their limit.
    pub stale_stores: Vec<String>,
    /// Where to go on: give it as `cursor` for the next rows, now or later.
    pub next_cursor: String,
    /// Whether more rows are there already.
    pub more: bool,
}

/// How fresh an answer is.
#[derive(Debug, Clone, Serialize)]
pub struct Freshness {
    /// Up to when all is known.
    pub as_of: Option<String>,
    /// When the answer was made.
    pub answered_at: String,
    /// Stores that are stale.
    pub stale_stores: Vec<String>,
}

impl Freshness {
    /// The freshness of an answer from these stores.
    pub fn of<'a>(stores: impl Iterator<Item = &'a StoreFreshness>, now: Moment) -> Freshness {
        let mut complete = Some(now);
        let mut stale_stores = Vec::new();
        for store in stores {
            complete = complete.and_then(|oldest| Some(oldest.min(store.complete_at?)));
            if !store.synced {
                stale_stores.push(store.store.to_string());
            }
        }
        let as_of = complete.and_then(time);
        Freshness { as_of, answered_at: time(now).unwrap_or_default(), stale_stores }
    }

    /// A list with this freshness.
    pub fn list<T>(self, rows: Vec<T>, next_cursor: String, more: bool) -> Listing<T> {
        let Freshness { as_of, answered_at, stale_stores } = self;
        Listing { rows, as_of, answered_at, stale_stores, next_cursor, more }
    }
}

/// An answer as JSON that nobody keeps.
pub fn json(answer: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

/// An answer whose rows may be the ones that the asker has already. The tag covers what does not change by itself: the
/// rows, where to go on, and which stores are stale. So "not modified" says that these are as they were.
pub fn tagged<T: Serialize>(headers: &HeaderMap, list: &Listing<T>) -> Response {
    let lasting = (&list.rows, &list.stale_stores, &list.next_cursor, list.more);
    let Ok(text) = serde_json::to_vec(&lasting) else { return json(list) };
    let tag = format!("\"{}\"", &blake3::hash(&text).to_hex()[..32]);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same = known.is_some_and(|known| {
        known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
    });
    let keep = [(header::CACHE_CONTROL, "private, no-cache".to_string()), (header::ETAG, tag)];
    if same {
        return (StatusCode::NOT_MODIFIED, keep).into_response();
    }
    (keep, Json(list)).into_response()
}
