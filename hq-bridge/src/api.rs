//! The local interface: what commands ask of HQ

use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use selvedge_domain::moment::Moment;
use selvedge_sync::device_keys::DeviceKeys;
use serde::de::DeserializeOwned;

use crate::bodies::{self, BodyReader};
use crate::database::{DatabaseError, now};
use crate::decisions::{self, Decision};
use crate::enrolment::{self, AdmitError, Request};
use crate::figures;
use crate::forks;
use crate::hq::{Hq, HqError};
use crate::import::rows::{ImportError, Refusal};
use crate::import::{self, FileKind};
use crate::page::{Page, PageError};
use crate::tokens::{self, TokenWish};

/// A request to admit is small.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Every route of the local interface.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/status", get(status))
        .route("/totals.json", get(totals))
        .route("/devices.json", get(devices))
        .route("/devices", post(admit))
        .route("/devices/decisions", post(decide))
        .route("/forks.json", get(forks))
        .route("/import/{kind}", post(take))
        .route("/tokens", post(token))
}

async fn status(State(hq): State<Page>) -> Result<Response, PageError> {
    let fleet = hq.fleet().await?;
    json(&figures::status(&fleet, hq.database.contacts(), hq.condition().await?))
}

async fn totals(State(hq): State<Page>) -> Result<Response, PageError> {
    let totals = hq.totals().await?;
    json(&figures::totals(&totals, Moment(now().0)))
}

async fn devices(State(hq): State<Page>) -> Result<Response, PageError> {
    let rows = hq
        .ask(|hq, reader| {
            enrolment::list(reader, &hq.authority.public()).map_err(DatabaseError::of)
        })
        .await?;
    json(&rows.iter().map(figures::device).collect::<Vec<_>>())
}

fn bad(why: impl ToString) -> PageError {
    PageError::new(StatusCode::UNPROCESSABLE_ENTITY, why.to_string())
}

/// What a command on this machine has sent.
async fn read<T: DeserializeOwned>(body: Body) -> Result<T, PageError> {
    let bytes = axum::body::to_bytes(body, REQUEST_BYTES_MAX).await.map_err(bad)?;
    serde_json::from_slice(&bytes).map_err(bad)
}

async fn admit(
    State(hq): State<Page>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageError> {
    check_token(&hq, &headers)?;
    let request: Request = read(body).await?;
    let asked = Arc::clone(&hq);
    let done = tokio::task::spawn_blocking(move || {
        enrolment::admit(&asked.database, &asked.authority, &request)
    })
    .await;
    match done.map_err(|why| HqError::BrokenOff(why.to_string()))? {
        Ok(admission) => Ok(admission.to_text().into_response()),
        Err(AdmitError::Refused(why)) => Err(bad(why)),
        Err(why) => Err(PageError::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string())),
    }
}

async fn forks(State(hq): State<Page>) -> Result<Response, PageError> {
    let found = hq.ask(|hq, reader| {
        let rows = enrolment::list(reader, &hq.authority.public())?;
        forks::all(reader, &rows)
    });
    json(&found.await?)
}

async fn decide(
    State(hq): State<Page>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageError> {
    check_token(&hq, &headers)?;
    let decision: Decision = read(body).await?;
    let asked = Arc::clone(&hq);
    let done = tokio::task::spawn_blocking(move || {
        decisions::carry_out(&asked.database, &asked.authority, &decision)
    })
    .await;
    let said = done.map_err(|why| HqError::BrokenOff(why.to_string()))?;
    Ok(said.map_err(bad)?.into_response())
}

async fn token(
    State(hq): State<Page>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageError> {
    check_token(&hq, &headers)?;
    let wish: TokenWish = read(body).await?;
    let asked = Arc::clone(&hq);
    let done = tokio::task::spawn_blocking(move || tokens::grant(&asked.database, &wish)).await;
    let answer = done.map_err(|why| HqError::BrokenOff(why.to_string()))?;
    json(&answer.map_err(bad)?)
}

async fn take(
    State(hq): State<Page>,
    Path(kind): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, PageError> {
    check_token(&hq, &headers)?;
    let known = || FileKind::ALL.map(FileKind::as_str).join(", ");
    let kind = FileKind::parse(&kind).ok_or_else(|| {
        PageError::new(
            StatusCode::NOT_FOUND,
            format!("there is no import of {kind}; use {}", known()),
        )
    })?;
    let Ok(_alone) = hq.importing.try_lock() else {
        let busy = "another import is running; give this one again when it is done";
        return Err(PageError::new(StatusCode::CONFLICT, busy));
    };
    let failed =
        |why: std::io::Error| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string());
    let spooled = bodies::spool(&hq.data).map_err(failed)?;
    let reader = BodyReader::of(body);
    let asked = Arc::clone(&hq);
    let done =
        tokio::task::spawn_blocking(move || import_into(&asked, kind, reader, spooled)).await;
    let spooled = done.map_err(|why| HqError::BrokenOff(why.to_string()))?.map_err(failed)?;
    let answer = bodies::answer(spooled).map_err(failed)?;
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], answer).into_response())
}

/// Imports, and writes the answer line by line: each refused row, then the sums or why it stopped.
fn import_into(
    hq: &Hq,
    kind: FileKind,
    reader: BodyReader,
    spooled: File,
) -> std::io::Result<File> {
    let mut answer = BufWriter::new(spooled);
    let mut report =
        |refusal: Refusal| write_line(&mut answer, &figures::ImportLine::Refused(refusal));
    let done = import::run(kind, reader, &hq.database, &mut report);
    let last = match done {
        Ok(summary) => figures::ImportLine::Done(summary),
        Err(ImportError::Report(why)) => return Err(why),
        Err(why) => figures::ImportLine::Stopped { error: why.to_string() },
    };
    write_line(&mut answer, &last)?;
    answer.into_inner().map_err(std::io::IntoInnerError::into_error)
}

fn write_line(into: &mut impl Write, line: &figures::ImportLine) -> std::io::Result<()> {
    let text = serde_json::to_string(line)?;
    writeln!(into, "{text}")
}

fn json(figures: &impl serde::Serialize) -> Result<Response, PageError> {
    let text = serde_json::to_string(figures)
        .map_err(|why| PageError::new(StatusCode::INTERNAL_SERVER_ERROR, why.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response())
}

fn check_token(hq: &Hq, headers: &HeaderMap) -> Result<(), PageError> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if given.is_some_and(|token| hq.door.opens_to(token)) {
        return Ok(());
    }
    let sentence = "this changes HQ, so it needs the token in the data directory; use the hq-bridge command there";
    Err(PageError::new(StatusCode::UNAUTHORIZED, sentence))
}
