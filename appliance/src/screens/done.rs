//! The change, the receipt number, and on to the next sale

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use selvedge_domain::money::{Currency, Money};

use crate::baskets::Done;
use crate::in_doubt::Next;
use crate::page::{self, Frame, Page, Wants};
use crate::paid_basket::DONE;
use crate::ringing::CHECKOUT;
use crate::signon::SignedOn;
use crate::unseen;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route(DONE, get(show)).route("/checkout/done/seen", get(seen))
}

#[derive(Template)]
#[template(path = "done.html")]
struct Sold {
    frame: Frame,
    done: DoneView,
}

struct DoneView {
    gives_change: bool,
    change: String,
    given: String,
    total: String,
    number: String,
    signature: String,
}

async fn show(State(page): State<Page>, who: SignedOn, _: Wants) -> Response {
    page.run(move |shared, db| {
        // Being sent once more is not being seen.
        shared.baskets().sent = None;
        match shared.next(db)? {
            Next::See(DONE) => {
                let mut baskets = shared.baskets();
                baskets.sent = baskets.ask(unseen::unseen)?.map(|unseen| unseen.basket);
            }
            Next::See(place) => return Ok(page::go(place)),
            Next::Free => {}
        }
        let last = shared.baskets().last_done()?;
        let store = shared.store_data(db)?;
        let (Some(last), Some(store)) = (last, store) else { return Ok(page::go(CHECKOUT)) };
        let done = view(&last, store.currency);
        let frame = shared.frame(db, "done", Some(&who))?;
        page::html(StatusCode::OK, &Sold { frame, done })
    })
    .await
}

/// The page asks here for a sheet that styles nothing as soon as it has arrived, and shows itself
/// meanwhile: now a person sees the receipt. No script is needed for it.
async fn seen(State(page): State<Page>, _: SignedOn) -> Response {
    page.run(move |shared, db| {
        shared.next(db)?;
        Ok([(header::CONTENT_TYPE, "text/css; charset=utf-8")].into_response())
    })
    .await
}

fn view(last: &Done, currency: Currency) -> DoneView {
    let show = |minor: i64| currency.show(Money(minor));
    let signature = match last.signature.split_at_checked(4) {
        Some((first, rest)) if !rest.is_empty() => format!("{first} {rest}"),
        _ => last.signature.clone(),
    };
    DoneView {
        gives_change: last.change_minor > 0,
        change: show(last.change_minor),
        given: show(last.total_minor + last.change_minor),
        total: show(last.total_minor),
        number: last.number.clone(),
        signature,
    }
}
