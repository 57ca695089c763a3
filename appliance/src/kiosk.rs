//! The customer's screens: they can look, and nothing else
//!
//! Everything here stands below baskets, sign-on and the writing database in
//! the list of lib.rs, so no file of the kiosk can name them, and the state of
//! this router holds read connections, a clock and texts only.

pub mod address;
pub mod sizes;
pub mod sight;
pub mod freshness;
pub mod food;
pub mod lost;
pub mod tiles;

pub mod attract;
pub mod browse;
pub mod choose;
pub mod find;
pub mod languages;
pub mod product;
pub mod scan;
pub mod still;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::kiosk::sight::Kiosk;

/// Every page below `/kiosk`. It answers GET and HEAD, and refuses all else before it is looked at.
pub fn router(kiosk: Kiosk) -> Router {
    Router::new()
        .route("/", get(attract::show))
        .route("/browse", get(browse::show))
        .route("/browse/size", get(choose::size))
        .route("/browse/colour", get(choose::colour))
        .route("/browse/price", get(choose::price))
        .route("/find", get(find::show))
        .route("/languages", get(languages::show))
        .route("/p/{sku}", get(product::show))
        .route("/scan", get(scan::show))
        .route("/still", get(still::show))
        .fallback(lost::no_page)
        .layer(middleware::from_fn(only_looking))
        .with_state(kiosk)
}

async fn only_looking(request: Request, next: Next) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let said = "Nothing can be changed at the kiosk.\n";
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], said)
            .into_response();
    }
    next.run(request).await
}
