//! All stores, the stale ones first

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use crate::live;
use crate::overview::{self, StoreTexts};
use crate::page::{self, Page, PageError};

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/", get(show))
        .route("/fleet", get(show))
        .route("/fleet-events", get(events))
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct Screen {
    name: String,
    night: bool,
    view: Overview,
}

/// The part that is drawn anew.
#[derive(Template)]
#[template(path = "fleet_live.html")]
struct Live {
    view: Overview,
}

struct Overview {
    banner: String,
    notes: Vec<String>,
    stores: Vec<StoreTexts>,
}

async fn show(State(page): State<Page>) -> Result<Response, PageError> {
    let view = overview(&page).await?;
    page::html(&Screen { name: page.name.clone(), night: page.night, view })
}

async fn events(State(page): State<Page>) -> Response {
    live::follow(move || {
        let page = page.clone();
        async move { page::text(&Live { view: overview(&page).await? }) }
    })
}

async fn overview(page: &Page) -> Result<Overview, PageError> {
    let fleet = page.fleet().await?;
    let stores = fleet.stores.iter().map(|store| overview::store(store, fleet.at));
    let notes = overview::notes(&page.condition().await?);
    Ok(Overview { banner: overview::banner(&fleet), notes, stores: stores.collect() })
}
