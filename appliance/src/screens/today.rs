//! What a manager should look at, and what was sold today

use askama::Template;
use axum::Router;
use axum::extract::{Form, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::exceptions::{self, DoneError};
use selvedge_domain::staff::Rights;
use serde::Deserialize;

use crate::amounts::sentence;
use crate::database::Reader;
use crate::doors::TODAY;
use crate::office;
use crate::page::{self, Fields, Frame, Page, PageError, Shared, field};
use crate::signon::SignedOn;
use crate::today_devices::{self, StoreView};
use crate::today_exceptions::{self, ExceptionsView, LookView};
use crate::today_sales::{self, SalesView};

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/", get(|| async { page::go(TODAY) }))
        .route(TODAY, get(show))
        .route("/today/look/{id}", get(look))
        .route("/today/done", post(call_done))
}

#[derive(Template)]
#[template(path = "office/today.html")]
struct Today {
    frame: Frame,
    parts: Parts,
}

#[derive(Template)]
#[template(path = "office/today_parts.html")]
struct TodayParts {
    frame: Frame,
    parts: Parts,
}

#[derive(Template)]
#[template(path = "office/look.html")]
struct Look {
    frame: Frame,
    look: LookView,
    said: String,
    typed: String,
    may_correct: bool,
}

/// What is drawn only for who may manage is `None` for others.
struct Parts {
    exceptions: Option<ExceptionsView>,
    sales: Option<SalesView>,
    store: StoreView,
}

/// Which list is asked for.
#[derive(Debug, Deserialize)]
struct Asked {
    done: Option<String>,
}

async fn show(State(page): State<Page>, who: SignedOn, Query(asked): Query<Asked>) -> Response {
    page.run(move |shared, db| {
        let parts = parts(shared, db, &who, asked.done.is_some())?;
        // The list of what was done stands still: only the open one is news.
        let screen = if asked.done.is_some() { "" } else { "today" };
        let mut frame = shared.frame(db, "today", Some(&who))?;
        frame.screen = screen;
        page::html(StatusCode::OK, &Today { frame, parts })
    })
    .await
}

fn parts(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    shows_done: bool,
) -> Result<Parts, PageError> {
    let person = office::person(shared, db, who)?;
    let store = today_devices::view(shared, db)?;
    if !person.rights.has(Rights::MANAGE) {
        return Ok(Parts { exceptions: None, sales: None, store });
    }
    let exceptions = Some(today_exceptions::view(shared, db, shows_done)?);
    let sales = match shared.store_data(db)? {
        Some(_) => Some(today_sales::view(shared, db)?),
        None => None,
    };
    Ok(Parts { exceptions, sales, store })
}

/// The part that an EventSource carries, with a word that moves when it does.
pub fn news(shared: &Shared, db: &Reader, who: &SignedOn) -> Result<(String, String), PageError> {
    let parts = parts(shared, db, who, false)?;
    let rev = format!(
        "{}/{}/{:?}",
        parts.exceptions.as_ref().map_or("", |part| &part.rev),
        parts.sales.as_ref().map_or("", |part| &part.rev),
        parts.store
    );
    let frame = shared.frame(db, "today", Some(who))?;
    Ok((rev, TodayParts { frame, parts }.render()?))
}

async fn look(State(page): State<Page>, who: SignedOn, Path(id): Path<String>) -> Response {
    page.run(move |shared, db| draw_look(shared, db, &who, &id, StatusCode::OK, ("", ""))).await
}

fn draw_look(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    id: &str,
    status: StatusCode,
    (said, typed): (&str, &str),
) -> Result<Response, PageError> {
    let person = office::person_with(shared, db, who, Rights::MANAGE)?;
    let found = match id.parse() {
        Ok(id) => today_exceptions::look(shared, db, id)?,
        Err(_) => None,
    };
    let Some(look) = found else {
        let said = sentence(&DoneError::Unknown.to_string());
        return page::html(StatusCode::NOT_FOUND, &shared.sentence_page(db, who, said)?);
    };
    let frame = shared.frame(db, "today", Some(who))?;
    let may_correct = person.rights.has(Rights::STOCK) && !look.sku.is_empty();
    let (said, typed) = (said.to_owned(), typed.to_owned());
    page::html(status, &Look { frame, look, said, typed, may_correct })
}

async fn call_done(
    State(page): State<Page>,
    who: SignedOn,
    Form(fields): Form<Fields>,
) -> Response {
    page.run(move |shared, db| {
        let person = office::person_with(shared, db, &who, Rights::MANAGE)?;
        let (store, now) = (shared.store(), shared.now());
        let id = field(&fields, "exception").to_owned();
        let typed = field(&fields, "note").to_owned();
        let note = typed.trim().to_owned();
        let exception = id.parse().unwrap_or(0);
        let done = office::carry_out(shared, &who, &fields, move |tx| {
            let note = Some(note.as_str()).filter(|note| !note.is_empty());
            exceptions::call_done(tx, store, exception, person.id, now, note)?;
            Ok::<_, DoneError>(TODAY.to_owned())
        })?;
        match done {
            Ok(place) => Ok(page::go(&place)),
            Err(refusal) => {
                let said = sentence(&refusal.to_string());
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                draw_look(shared, db, &who, &id, status, (&said, &typed))
            }
        }
    })
    .await
}
