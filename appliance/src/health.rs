//! Whether this device works, for whoever watches it

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use selvedge_domain::catalogue;
use serde::Serialize;

use crate::page::{Page, Shared};

/// Where the watcher asks.
pub fn routes() -> Router<Page> {
    Router::new().route("/health", get(health))
}

/// The answer. Nothing in it is secret, so nobody signs on for it.
#[derive(Debug, Serialize)]
struct Health {
    /// The pages answer and the database is open.
    ok: bool,
    /// `pos` or `back-office`.
    role: &'static str,
    /// The device.
    device: String,
    /// Its store.
    store: i64,
    /// The database answers.
    database_open: bool,
    /// To the parent: `up`, `away`, or `none` where no parent is set up. A device works without.
    line: &'static str,
}

async fn health(State(page): State<Page>) -> Response {
    let shared = Arc::clone(&page.0);
    match tokio::task::spawn_blocking(move || of(&shared)).await {
        Ok(health) => answer(&health),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn of(shared: &Shared) -> Health {
    let database = &shared.database;
    let read = database.read(|db| catalogue::store(db, shared.store()).is_ok());
    let database_open = read.unwrap_or(false) && database.in_doubt().is_none();
    let line = match (database.has_parent(), database.status().parent_up) {
        (false, _) => "none",
        (true, true) => "up",
        (true, false) => "away",
    };
    Health {
        ok: database_open,
        role: database.identity().role.as_str(),
        device: shared.config.device.clone(),
        store: shared.store(),
        database_open,
        line,
    }
}

fn answer(health: &Health) -> Response {
    let status = if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match serde_json::to_string(health) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
