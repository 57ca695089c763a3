//! Wait for the card terminal, or ask a person

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::amounts::sentence;
use crate::database::Reader;
use crate::in_doubt::{self, Next, Person, Word};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, field};
use crate::paid_basket::PayError;
use crate::payment::{CARD, PAY};
use crate::payment_intents::{self, Intent, Progress};
use crate::ringing::CHECKOUT;
use crate::signon::SignedOn;

/// How long a page waits for the terminal before it is drawn anew.
const WAIT: Duration = Duration::from_secs(10);

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route(CARD, get(show).post(answer))
}

#[derive(Template)]
#[template(path = "card.html")]
struct Card {
    frame: Frame,
    card: CardView,
    said: String,
}

struct CardView {
    amount: String,
    /// What is being done, or what is asked.
    heading: String,
    words: String,
    /// The terminal is being asked: the page waits.
    waits: bool,
    keys: Vec<Key>,
}

struct Key {
    word: &'static str,
    look: &'static str,
    name: String,
}

/// Whether the answer may wait for the terminal.
#[derive(Debug, Deserialize)]
struct Patience {
    wait: Option<String>,
}

async fn show(
    State(page): State<Page>,
    who: SignedOn,
    Query(patience): Query<Patience>,
) -> Response {
    page.run(move |shared, db| {
        if patience.wait.is_some() {
            shared.cards.wait(WAIT);
        }
        match shared.next(db)? {
            Next::See(CARD) => draw(shared, db, &who, StatusCode::OK, String::new()),
            next => Ok(page::go(beyond(shared, next)?)),
        }
    })
    .await
}

/// Where the checkout goes on when no card is waited for.
fn beyond(shared: &Shared, next: Next) -> Result<&'static str, PageError> {
    let has_lines = |basket: crate::baskets::Basket| !basket.lines.is_empty();
    Ok(match next {
        Next::See(place) => place,
        Next::Free if shared.baskets().current()?.is_some_and(has_lines) => PAY,
        Next::Free => CHECKOUT,
    })
}

async fn answer(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| match answered(shared, db, &who, &fields)? {
        Ok(()) => Ok(page::go(beyond(shared, shared.next(db)?)?)),
        Err(error) => {
            let status = match error.may_pass() {
                true => StatusCode::SERVICE_UNAVAILABLE,
                false => StatusCode::UNPROCESSABLE_ENTITY,
            };
            draw(shared, db, &who, status, sentence(&error.to_string()))
        }
    })
    .await
}

fn answered(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    fields: &Fields,
) -> Result<Result<(), PayError>, PageError> {
    let request = shared.request(who, fields)?;
    let cashier = shared.cashier(db, who)?.id;
    let Some(word) = Word::parse(field(fields, "answer")) else { return Ok(Ok(())) };
    let mut baskets = shared.baskets();
    if baskets.answered(request)?.is_some() {
        return Ok(Ok(()));
    }
    let Some(intent) = baskets.ask(payment_intents::open)? else { return Ok(Ok(())) };
    let person = Person { cashier, request };
    let done = in_doubt::decide(&mut baskets, &shared.till(db), person, &intent, word);
    drop(baskets);
    shared.changed();
    Ok(done.map(drop))
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    status: StatusCode,
    said: String,
) -> Result<Response, PageError> {
    let open = shared.baskets().ask(payment_intents::open)?;
    let Some(intent) = open else { return Ok(page::go(CHECKOUT)) };
    let is_void = shared.baskets().current()?.is_none();
    let card = view(&intent, shared.cards.is_busy(), is_void);
    page::html(status, &Card { frame: shared.frame(db, "card", Some(who))?, card, said })
}

fn view(intent: &Intent, is_busy: bool, is_void: bool) -> CardView {
    let amount = intent.amount.to_string();
    let why = intent.said.as_deref().map(sentence).unwrap_or_default();
    let is_back = intent.state == Progress::Returning;
    let key = |word, look, name: &str| Key { word, look, name: name.to_owned() };
    if is_busy {
        let (heading, words) = match is_back {
            true => ("The terminal gives it back", "Wait until the terminal says so."),
            false => ("The customer pays at the terminal", "This page goes on by itself."),
        };
        let (heading, words) = (heading.to_owned(), words.to_owned());
        return CardView { amount, heading, words, waits: true, keys: Vec::new() };
    }
    let mut keys = vec![key("again", "alt", "Ask the terminal again")];
    let (heading, words) = if is_back {
        keys.push(key("given-back", "go", "It went back"));
        if !is_void {
            keys.push(key("kept", "stop", "It stays charged"));
        }
        (
            "Did the money go back to the card?",
            "Look at the terminal, or give it back there by hand.",
        )
    } else {
        keys.push(key("paid", "go", "It was charged"));
        keys.push(key("not-paid", "stop", "It was not charged"));
        ("Was the card charged?", "Look at the terminal and at the customer's slip.")
    };
    let words = format!("{why} {words} Your answer is kept with your name.");
    CardView { amount, heading: heading.to_owned(), words, waits: false, keys }
}
