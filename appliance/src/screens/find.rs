//! Find a product by its name, and its size and colour

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::database::Reader;
use crate::find_view::{FIND, FindView, Finding, Key};
use crate::page::{self, Frame, Page, PageError, Shared, Wants};
use crate::ringing::CHECKOUT;
use crate::screens::checkout::{self, Refusal};
use crate::signon::SignedOn;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route(FIND, get(find))
}

#[derive(Template)]
#[template(path = "found.html")]
struct Found {
    frame: Frame,
    find: Option<FindView>,
}

/// What is looked for.
#[derive(Debug, Deserialize)]
struct Asked {
    q: Option<String>,
    product: Option<String>,
}

async fn find(
    State(page): State<Page>,
    who: SignedOn,
    wants: Wants,
    Query(asked): Query<Asked>,
) -> Response {
    page.run(move |shared, db| {
        let text = asked.q.unwrap_or_default();
        let product = asked.product.and_then(|product| product.parse().ok());
        let find = found(shared, db, &text, product)?;
        match wants {
            Wants::Parts => {
                let frame = shared.frame_of_parts("checkout", &who);
                let parts = page::html(StatusCode::OK, &Found { frame, find })?;
                // For our script the checkout stays the page that it was.
                Ok(page::at(CHECKOUT, parts))
            }
            Wants::Page => {
                let refusal = Refusal { typed: text, find, ..Refusal::default() };
                checkout::draw(shared, db, &who, wants, StatusCode::OK, refusal)
            }
        }
    })
    .await
}

/// What a text finds, or the sizes of one product; nothing for an empty text.
fn found(
    shared: &Shared,
    db: &Reader,
    text: &str,
    product: Option<i64>,
) -> Result<Option<FindView>, PageError> {
    let store = shared.store_data(db)?.ok_or(PageError::NoMasterData)?;
    let finding = Finding::here(shared, db, &store);
    if let Some(product) = product
        && let Some(view) = finding.product(text, product)?
    {
        return Ok(Some(view));
    }
    if text.trim().is_empty() {
        return Ok(None);
    }
    Ok(Some(finding.results(text)?))
}
