//! What every page of HQ shares

use std::sync::Arc;

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::hq::{Hq, HqError};

/// What a page is given.
pub type Page = Arc<Hq>;

/// Nothing is loaded from elsewhere, and nothing runs inside the page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Why a page was not shown, as an answer.
pub struct PageError(StatusCode, String);

impl PageError {
    /// An answer with this status and sentence.
    pub fn new(status: StatusCode, sentence: impl Into<String>) -> PageError {
        PageError(status, sentence.into())
    }
}

impl From<HqError> for PageError {
    fn from(why: HqError) -> PageError {
        PageError(StatusCode::INTERNAL_SERVER_ERROR, why.to_string())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// The text of a template.
pub fn text(template: &impl Template) -> Result<String, PageError> {
    template.render().map_err(|why| PageError(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))
}

/// A page that is never kept by the browser.
pub fn html(template: &impl Template) -> Result<Response, PageError> {
    let headers = [(header::CACHE_CONTROL, "no-store"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    Ok((headers, Html(text(template)?)).into_response())
}

/// The style sheet.
pub async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css")], include_str!("../static/hq.css")).into_response()
}

/// The script, which puts a newer overview into the page.
pub async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript")], include_str!("../static/hq.js")).into_response()
}
