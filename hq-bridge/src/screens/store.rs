//! One store: its devices, and what a person should look at

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::exceptions;

use crate::live;
use crate::overview::{self, ExceptionTexts, StoreTexts};
use crate::page::{self, Page, PageError};

/// How many of the open exceptions are shown, newest first.
const EXCEPTIONS_SHOWN: u32 = 50;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/fleet/{store}", get(show)).route("/fleet/{store}/events", get(events))
}

#[derive(Template)]
#[template(path = "store.html")]
struct Screen {
    name: String,
    night: bool,
    view: View,
}

/// The part that is drawn anew.
#[derive(Template)]
#[template(path = "store_live.html")]
struct Live {
    view: View,
}

struct View {
    store: StoreTexts,
    exceptions: Vec<ExceptionTexts>,
}

async fn show(State(page): State<Page>, Path(store): Path<String>) -> Result<Response, PageError> {
    let view = view(&page, number(&store)?).await?;
    page::html(&Screen { name: page.name.clone(), night: page.night, view })
}

async fn events(
    State(page): State<Page>,
    Path(store): Path<String>,
) -> Result<Response, PageError> {
    let store = number(&store)?;
    Ok(live::follow(move || {
        let page = page.clone();
        async move { page::text(&Live { view: view(&page, store).await? }) }
    }))
}

fn number(store: &str) -> Result<i64, PageError> {
    store.parse().map_err(|_| no_such_store())
}

fn no_such_store() -> PageError {
    PageError::new(StatusCode::NOT_FOUND, "There is no such store. All of them are at /fleet")
}

async fn view(page: &Page, store: i64) -> Result<View, PageError> {
    let fleet = page.fleet().await?;
    let found = fleet.stores.iter().find(|view| view.store.id == store);
    let texts = overview::store(found.ok_or_else(no_such_store)?, fleet.at);
    let open = page.answer(move |_, db| Ok(exceptions::open(db, store, EXCEPTIONS_SHOWN)?)).await?;
    let exceptions = open.iter().map(|one| overview::exception(one, fleet.at));
    Ok(View { store: texts, exceptions: exceptions.collect() })
}
