//! The one event stream of a page
//!
//! A fragment goes out when it differs from the last one sent. After a
//! reconnect everything is sent again: nothing has to be remembered for a page
//! that went away.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::database::Reader;
use crate::page::{self, Frame, Page, PageError, Present, Shared};
use crate::screens::checkout;
use crate::screens::today;
use crate::signon::SignedOn;

/// How long a change waits for the next one before it is told. The page that made it has it in the answer to its form,
/// and draws that meanwhile without us.
const BREATH_MS: u64 = 40;

/// The same for a page that nobody sells on: what it shows costs more to draw, and may be a second old.
const OFFICE_BREATH_MS: u64 = 1_000;

/// Fragments that may wait for a slow page.
const WAITING_MAX: usize = 4;

/// How often a page is drawn anew when nothing is heard: the clock moves, and ages grow.
const REFRESH_MS: u64 = 10_000;

/// Where pages listen and beat.
pub fn routes() -> Router<Page> {
    Router::new().route("/events", get(listen)).route("/beat", get(beat))
}

#[derive(Template)]
#[template(path = "live.html")]
struct Live {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "beat.html")]
struct Beat {
    frame: Frame,
}

/// Which screen listens.
#[derive(Debug, Deserialize)]
struct Listener {
    screen: Option<String>,
}

async fn beat(State(page): State<Page>, Present(who): Present) -> Response {
    if who.is_none() && page.0.has_sign_on() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    page.run(move |shared, db| {
        let frame = shared.frame(db, "beat", who.as_ref())?;
        page::html(StatusCode::OK, &Beat { frame })
    })
    .await
}

async fn listen(
    State(page): State<Page>,
    Present(who): Present,
    Query(listener): Query<Listener>,
) -> Response {
    let (news, waiting) = mpsc::channel(WAITING_MAX);
    let screen = listener.screen.unwrap_or_default();
    tokio::spawn(follow(page, who, screen, news));
    Sse::new(ReceiverStream::new(waiting)).keep_alive(KeepAlive::default()).into_response()
}

/// Sends what changes until the page is gone.
async fn follow(
    page: Page,
    who: Option<SignedOn>,
    screen: String,
    news: mpsc::Sender<Result<Event, Infallible>>,
) {
    let breath = if screen == "today" { OFFICE_BREATH_MS } else { BREATH_MS };
    let mut changes = page.0.changes();
    let mut status = page.0.database.subscribe();
    let mut sent = [String::new(), String::new()];
    for number in 1_u64.. {
        let drawn = drawn(&page, who.clone(), screen.clone()).await;
        let Ok(parts) = drawn else { return };
        let mut text = String::new();
        for (last, (rev, part)) in sent.iter_mut().zip(parts) {
            if *last != rev {
                text.push_str(&part);
                *last = rev;
            }
        }
        if !text.is_empty() {
            let event = Event::default().id(number.to_string()).data(text.replace('\n', " "));
            if news.send(Ok(event)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            changed = status.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(Duration::from_millis(REFRESH_MS)) => {}
            () = news.closed() => return,
        }
        tokio::time::sleep(Duration::from_millis(breath)).await;
    }
}

type Parts = [(String, String); 2];

async fn drawn(page: &Page, who: Option<SignedOn>, screen: String) -> Result<Parts, PageError> {
    let shared = Arc::clone(&page.0);
    let work = move || {
        let read = shared.database.read(|db| parts(&shared, db, who.as_ref(), &screen));
        read.unwrap_or_else(|error| Err(PageError::Database(error.to_string())))
    };
    let failed = |error: tokio::task::JoinError| PageError::Database(error.to_string());
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

fn parts(
    shared: &Shared,
    db: &Reader,
    who: Option<&SignedOn>,
    screen: &str,
) -> Result<Parts, PageError> {
    let frame = shared.frame(db, "events", who)?;
    let rev = format!("{}/{}/{}", frame.band.rev, frame.banner, frame.clock);
    let live = (rev, Live { frame }.render()?);
    let own = match (screen, who) {
        ("checkout", Some(who)) => checkout::news(shared, db, who)?,
        ("today", Some(who)) => today::news(shared, db, who)?,
        _ => (String::new(), String::new()),
    };
    Ok([live, own])
}
