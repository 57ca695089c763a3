//! Badge and PIN, and off again

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::staff::{self, Rights, SignOnError};

use crate::amounts::{counted, sentence};
use crate::clock;
use crate::config::DeviceRole;
use crate::database::Reader;
use crate::doors;
use crate::page::{self, Fields, Frame, Page, PageError, Present, Shared, field};
use crate::ringing::CHECKOUT;
use crate::screens::pay::PAD;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/signon", get(show).post(sign_on)).route("/signoff", post(sign_off))
}

#[derive(Template)]
#[template(path = "signon.html")]
struct SignOn {
    frame: Frame,
    title: &'static str,
    said: String,
    typed: String,
    waits: String,
    digits: &'static [&'static str],
}

async fn show(State(page): State<Page>) -> Response {
    page.run(|shared, db| draw(shared, db, StatusCode::OK, String::new(), "")).await
}

async fn sign_on(State(page): State<Page>, Form(fields): Form<Fields>) -> Response {
    let badge = field(&fields, "badge").to_owned();
    let delay = page.0.sign_ons.delay_ms(&badge, clock::steady_ms());
    tokio::time::sleep(Duration::from_millis(delay)).await;
    let Ok(_turn) = page.0.pin_turn.acquire().await else {
        return page.0.refused(&PageError::SignOn);
    };
    let cookie_name = page.cookie_name();
    page.run(move |shared, db| check(shared, db, &cookie_name, &fields)).await
}

fn check(
    shared: &Shared,
    db: &Reader,
    cookie_name: &str,
    fields: &Fields,
) -> Result<Response, PageError> {
    let badge = field(fields, "badge");
    let person = match staff::sign_on(db, shared.store(), badge, field(fields, "pin")) {
        Ok(person) => person,
        Err(error) => {
            if matches!(error, SignOnError::Refused) {
                shared.sign_ons.wrong(badge, clock::steady_ms());
            }
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return draw(shared, db, status, sentence(&error.to_string()), badge);
        }
    };
    shared.sign_ons.right(badge);
    let (may_enter, place) = match shared.config.role {
        DeviceRole::Pos => (person.rights.has(Rights::SELL), CHECKOUT),
        DeviceRole::BackOffice => (doors::works_here(person.rights), doors::TODAY),
    };
    if !may_enter {
        let said = format!("{} has no right {}: ask a manager.", person.name, needed(shared));
        return draw(shared, db, StatusCode::UNPROCESSABLE_ENTITY, said, badge);
    }
    let (now, steady) = (shared.now().0, clock::steady_ms());
    let cookie = shared.sign_ons.sign_on(&mut shared.baskets(), person.id, now, steady)?;
    let Some(cookie) = cookie else {
        return Err(PageError::Database("the system gives no random bytes".to_owned()));
    };
    let mut response = page::go(place);
    let cookie = format!("{cookie_name}={cookie}; HttpOnly; SameSite=Strict; Path=/");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

fn needed(shared: &Shared) -> &'static str {
    match shared.config.role {
        DeviceRole::Pos => "\"sell\"",
        DeviceRole::BackOffice => "\"manage\" or \"stock\"",
    }
}

async fn sign_off(
    State(page): State<Page>,
    Present(who): Present,
    Form(fields): Form<Fields>,
) -> Response {
    page.run(move |shared, _| {
        if let Some(who) = who {
            shared.request(&who, &fields)?;
            shared.sign_ons.sign_off(&mut shared.baskets())?;
        }
        Ok(page::go("/signon"))
    })
    .await
}

fn draw(
    shared: &Shared,
    db: &Reader,
    status: StatusCode,
    said: String,
    typed: &str,
) -> Result<Response, PageError> {
    let waiting = shared.baskets().current()?.filter(|basket| !basket.lines.is_empty());
    let waits = waiting.map_or_else(String::new, |basket| {
        let pieces: i64 = basket.lines.iter().map(|line| line.quantity).sum();
        format!("1 sale waits: {}.", counted(pieces.unsigned_abs(), "piece", "pieces"))
    });
    let frame = shared.frame(db, "signon", None)?;
    let typed = typed.to_owned();
    let title = match shared.config.role {
        DeviceRole::Pos => "Who sells?",
        DeviceRole::BackOffice => "Who works here?",
    };
    page::html(status, &SignOn { frame, title, said, typed, waits, digits: &PAD[..10] })
}
