//! The description of the interface, its page, the health

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

use crate::page::{self, Page, PageError};
use crate::rest::{answers, devices, exceptions, products, receipts, stock, stores};

/// The whole interface.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Selvedge reporting",
        version = "1",
        description = "What head office knows, read only. Ids are text, for they do not fit into a float. Money is whole \
                       minor units of the currency named beside it, or of the store's. Moments are RFC 3339 in UTC. A \
                       list goes on from its next_cursor, and may also be asked again later for what is new.",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(
        health,
        receipts::list,
        receipts::one,
        stock::list,
        products::list,
        stores::list,
        stores::fresh,
        devices::list,
        devices::totals,
        exceptions::list
    ),
    modifiers(&Token),
    security(("token" = []))
)]
struct Interface;

/// A bearer token opens it.
struct Token;

impl Modify for Token {
    fn modify(&self, interface: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let parts = interface.components.get_or_insert_default();
        parts.add_security_scheme("token", scheme);
    }
}

/// How head office is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `failing` when the database does not answer.
    pub status: &'static str,
    /// Whether the database answers.
    pub database: bool,
    /// Whether the line to the stores is up. Without it head office works on with what it has.
    pub line: bool,
    /// The build that runs.
    pub version: &'static str,
}

/// Where these answer. None of them needs a token.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/health", get(health))
        .route("/docs", get(docs))
        .route("/v1/openapi.json", get(description))
}

/// Whether head office works
#[utoipa::path(get, path = "/health", tag = "health", security(()), responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn health(State(page): State<Page>) -> Response {
    let read = page.answer(|_, db| {
        Ok(db.query_row("SELECT count(*) FROM store", [], |row| row.get::<_, i64>(0))?)
    });
    let database = read.await.is_ok();
    let line = (page.contacts)(&page.database).line_up;
    let status = if database { "ok" } else { "failing" };
    let health = Health { status, database, line, version: env!("CARGO_PKG_VERSION") };
    let code = if database { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, answers::json(&health)).into_response()
}

async fn description() -> Response {
    answers::json(&Interface::openapi())
}

/// The description as the repository keeps it.
pub fn text() -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string_pretty(&Interface::openapi())? + "\n")
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs {
    name: String,
    night: bool,
    about: String,
    paths: Vec<PathTexts>,
}

/// One path of the description, for people.
struct PathTexts {
    path: String,
    summary: String,
    about: String,
    parameters: Vec<(String, String)>,
}

async fn docs(State(page): State<Page>) -> Result<Response, PageError> {
    let described = serde_json::to_value(Interface::openapi())
        .map_err(|why| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))?;
    let paths = described["paths"].as_object().into_iter().flatten();
    let paths = paths.map(|(path, item)| path_texts(path, &item["get"]));
    page::html(&Docs {
        name: page.name.clone(),
        night: page.night,
        about: said(&described["info"]["description"]),
        paths: paths.collect(),
    })
}

fn path_texts(path: &str, operation: &Value) -> PathTexts {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    PathTexts {
        path: path.to_string(),
        summary: said(&operation["summary"]),
        about: said(&operation["description"]),
        parameters: parameters.map(|one| (said(&one["name"]), said(&one["description"]))).collect(),
    }
}

/// A text of the description, without the marks around names: the page has none.
fn said(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('`', "")
}
