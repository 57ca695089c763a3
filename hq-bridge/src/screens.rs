//! One line per screen

pub mod fleet;
pub mod store;

use axum::Router;
use axum::routing::get;

use crate::page::{self, Page};

/// Every screen of HQ.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/hq.css", get(page::style))
        .route("/hq.js", get(page::script))
        .merge(fleet::routes())
        .merge(store::routes())
}
