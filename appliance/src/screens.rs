//! One line per screen

pub mod checkout;
pub mod done;
pub mod pay;
pub mod signon;
pub mod store;

use axum::Router;

use crate::page::Page;

/// The screens of a pos.
pub fn pos() -> Router<Page> {
    Router::new()
        .merge(signon::routes())
        .merge(checkout::routes())
        .merge(pay::routes())
        .merge(done::routes())
}

/// The screens of a back office.
pub fn back_office() -> Router<Page> {
    store::routes()
}
