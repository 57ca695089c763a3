//! One line per screen

pub mod card;
pub mod checkout;
pub mod correct;
pub mod done;
pub mod find;
pub mod in_doubt;
pub mod offers;
pub mod pay;
pub mod people;
pub mod receive;
pub mod signon;
pub mod today;

use axum::Router;

use crate::page::Page;

/// The screens of a pos.
pub fn pos() -> Router<Page> {
    Router::new()
        .merge(signon::routes())
        .merge(checkout::routes())
        .merge(find::routes())
        .merge(pay::routes())
        .merge(card::routes())
        .merge(done::routes())
        .merge(in_doubt::routes())
}

/// The screens of a back office.
pub fn back_office() -> Router<Page> {
    Router::new()
        .merge(signon::routes())
        .merge(today::routes())
        .merge(offers::routes())
        .merge(receive::routes())
        .merge(correct::routes())
        .merge(people::routes())
}
