//! Who works in this store, and what they may do

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::catalogue;
use selvedge_domain::staff::{self, Employee, Rights};

use crate::doors::PEOPLE;
use crate::freshness::{self, Freshness};
use crate::office;
use crate::page::{self, Frame, Page};
use crate::signon::SignedOn;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route(PEOPLE, get(show))
}

#[derive(Template)]
#[template(path = "office/people.html")]
struct People {
    frame: Frame,
    people: Vec<PersonView>,
    heard: Freshness,
}

/// One line of the list. Badge and PIN are not read at all, so they cannot be shown.
struct PersonView {
    id: i64,
    name: String,
    rights: String,
    has_left: bool,
}

async fn show(State(page): State<Page>, who: SignedOn) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::MANAGE)?;
        let people = staff::of_store(db, shared.store())?.into_iter().map(view).collect();
        let limit = catalogue::stale_after_ms(db, shared.store())?;
        let heard = freshness::of(shared.database.status().parent_heard_ms, limit);
        let frame = shared.frame(db, "people", Some(&who))?;
        page::html(StatusCode::OK, &People { frame, people, heard })
    })
    .await
}

fn view(person: Employee) -> PersonView {
    let has_left = person.rights == Rights(0);
    PersonView { id: person.id, name: person.name, rights: in_words(person.rights), has_left }
}

/// "may sell, may give discounts".
fn in_words(rights: Rights) -> String {
    let words = [
        (Rights::SELL, "sell"),
        (Rights::DISCOUNT, "give discounts"),
        (Rights::OPEN_PRICE, "set prices"),
        (Rights::RETURN, "take goods back"),
        (Rights::STOCK, "book stock"),
        (Rights::MANAGE, "manage"),
    ];
    let held = words.iter().filter(|word| rights.has(word.0)).map(|word| word.1);
    let held: Vec<String> = held.map(|word| format!("may {word}")).collect();
    held.join(", ")
}
