//! Wait for the card terminal, or ask a person

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::staff;
use serde::Deserialize;

use crate::amounts::{moment, sentence};
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
    /// What the whole basket comes to.
    total: String,
    /// Who asked for it, and when.
    by: String,
    /// What is being done, or what is asked.
    heading: &'static str,
    words: String,
    /// The terminal is being asked: the page waits.
    waits: bool,
    keys: Vec<Key>,
}

struct Key {
    word: &'static str,
    look: &'static str,
    name: &'static str,
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
        Err(error) => draw(shared, db, &who, error.status(), sentence(&error.to_string())),
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
    let by = staff::employee(db, shared.store(), intent.cashier)?;
    let by = by.map_or_else(|| format!("employee {}", intent.cashier), |person| person.name);
    let at = moment(intent.at, shared.now().0, shared.config.time_zone);
    let (keys, heading, words) = question(&intent, shared.cards.is_busy(), is_void);
    let card = CardView {
        amount: intent.amount.to_string(),
        total: intent.amount.1.show(intent.total),
        by: format!("{by}, {at}"),
        heading,
        words,
        waits: keys.is_empty(),
        keys,
    };
    page::html(status, &Card { frame: shared.frame(db, "card", Some(who))?, card, said })
}

/// The keys, what is asked or waited for, and a sentence about it. Without keys the terminal is being asked.
fn question(intent: &Intent, is_busy: bool, is_void: bool) -> (Vec<Key>, &'static str, String) {
    let is_back = intent.state == Progress::Returning;
    if is_busy && is_back {
        let words = "Wait until the terminal says so.".to_owned();
        return (Vec::new(), "The terminal gives it back", words);
    }
    if is_busy {
        let words = "This page goes on by itself.".to_owned();
        return (Vec::new(), "The customer pays at the terminal", words);
    }
    let key = |word, look, name| Key { word, look, name };
    let mut keys = vec![key("again", "alt", "Ask the terminal again")];
    let (heading, words) = if is_back {
        keys.push(key("given-back", "go", "It went back"));
        if !is_void {
            keys.push(key("kept", "stop", "It stays charged"));
        }
        let words = "Look at the terminal, or give it back there by hand.";
        ("Did the money go back to the card?", words)
    } else {
        keys.push(key("paid", "go", "It was charged"));
        keys.push(key("not-paid", "stop", "It was not charged"));
        ("Was the card charged?", "Look at the terminal and at the customer's slip.")
    };
    let why = intent.said.as_deref().map(sentence).unwrap_or_default();
    (keys, heading, format!("{why} {words} Your answer is kept with your name."))
}
