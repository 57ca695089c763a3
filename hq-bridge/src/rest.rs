//! One line per resource of the reporting interface

pub mod answers;
pub mod cursors;
pub mod parameters;

pub mod devices;
pub mod exceptions;
pub mod products;
pub mod receipts;
pub mod stock;
pub mod stores;

pub mod openapi;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::{self, Next};
use axum::response::Response;

use crate::page::Page;
use crate::rest::answers::ApiError;
use crate::tokens::{self, Scope};

/// Every route of the reporting interface, the health and the documents included.
pub fn routes(page: Page) -> Router<Page> {
    let stock = stores::routes().merge(products::routes()).merge(stock::routes());
    let all = devices::routes().merge(receipts::routes()).merge(exceptions::routes());
    let stock = stock.layer(middleware::from_fn_with_state(page.clone(), needs_stock));
    let all = all.layer(middleware::from_fn_with_state(page, needs_read));
    openapi::routes()
        .merge(stock)
        .merge(all)
        .route("/v1/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(wrong_method)
}

async fn needs_stock(
    State(page): State<Page>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    admit(&page, request.headers().clone(), Scope::Stock).await?;
    Ok(next.run(request).await)
}

async fn needs_read(
    State(page): State<Page>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    admit(&page, request.headers().clone(), Scope::Read).await?;
    Ok(next.run(request).await)
}

/// Lets a request pass whose token allows what it asks for.
async fn admit(page: &Page, headers: HeaderMap, needed: Scope) -> Result<(), ApiError> {
    let said = headers.get(header::AUTHORIZATION);
    let token = said.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = token.map(|token| token.trim().to_string());
    let token = token.ok_or_else(ApiError::unauthenticated)?;
    let scope = page.answer(move |_, reader| Ok(tokens::scope_of(reader, &token)?)).await?;
    let scope = scope.ok_or_else(ApiError::unauthenticated)?;
    if scope.allows(needed) { Ok(()) } else { Err(ApiError::forbidden(scope, needed)) }
}

async fn unknown(uri: Uri) -> ApiError {
    ApiError::not_found(format!("there is no {}; /docs lists what there is", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    ApiError::wrong_method(&method, uri.path())
}
