//! Every address of HQ, and what each answer carries

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::hq::Hq;
use crate::{api, rest, screens};

/// Pages, local interface and reporting interface of a running HQ.
pub fn router(hq: Arc<Hq>) -> Router {
    Router::new()
        .merge(screens::routes())
        .merge(api::routes())
        .merge(rest::routes(Arc::clone(&hq)))
        .layer(middleware::from_fn(headers))
        .with_state(hq)
}

/// A browser takes each answer for what it says it is: a refusal that repeats what was asked stays text.
async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
