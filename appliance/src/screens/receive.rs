//! Goods in: scan what came, then book it

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::catalogue;
use selvedge_domain::goods_in::{self, Booking, DeliveryLine, GoodsInError, RefusedLine};
use selvedge_domain::staff::Rights;
use selvedge_domain::stock;
use serde::Deserialize;

use crate::amounts::{counted, sentence};
use crate::database::Reader;
use crate::doors::RECEIVE;
use crate::office::{self, Found};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, field};
use crate::signon::SignedOn;
use crate::today_exceptions::signed;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route(RECEIVE, get(show))
        .route("/stock/receive/add", post(add))
        .route("/stock/receive/quantity", post(quantity))
        .route("/stock/receive/book", post(book))
}

#[derive(Template)]
#[template(path = "office/receive.html")]
struct Receive {
    frame: Frame,
    said: String,
    booked: String,
    typed: Typed,
    choices: Vec<(i64, String)>,
    lines: Vec<LineView>,
    words: String,
    missing: String,
}

/// What was typed and not taken, and why.
#[derive(Debug, Default)]
struct Typed {
    said: String,
    code: String,
    quantity: String,
    note: String,
    choices: Vec<(i64, String)>,
    refused: Vec<RefusedLine>,
    booked: String,
}

struct LineView {
    sku: i64,
    name: String,
    quantity: i64,
    before: String,
    after: String,
    said: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    lines: Option<u64>,
    pieces: Option<u64>,
}

async fn show(State(page): State<Page>, who: SignedOn, Query(asked): Query<Asked>) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::STOCK)?;
        let booked = match (asked.lines, asked.pieces) {
            (Some(lines), Some(pieces)) => format!(
                "Booked: {}, {}.",
                counted(lines, "line", "lines"),
                counted(pieces, "piece", "pieces")
            ),
            _ => String::new(),
        };
        draw(shared, db, &who, StatusCode::OK, Typed { booked, ..Typed::default() })
    })
    .await
}

async fn add(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::STOCK)?;
        let (code, text) = (field(&fields, "code"), field(&fields, "quantity"));
        let mut typed =
            Typed { code: code.to_owned(), quantity: text.to_owned(), ..Typed::default() };
        let Ok(quantity) = text.trim().parse::<i64>() else {
            typed.said = no_number(text);
            return draw(shared, db, &who, StatusCode::UNPROCESSABLE_ENTITY, typed);
        };
        match office::look_up(shared, db, code)? {
            Found::One(tag) => {
                let added = office::carry_out(shared, &who, &fields, move |tx| {
                    goods_in::add(tx, tag.sku, quantity)?;
                    Ok::<_, GoodsInError>(RECEIVE.to_owned())
                })?;
                match added {
                    Ok(place) => return Ok(page::go(&place)),
                    Err(refusal) => typed.said = sentence(&refusal.to_string()),
                }
            }
            Found::Many(tags) => {
                typed.choices = tags.into_iter().map(|tag| (tag.sku, tag.label())).collect();
                typed.said = "Several things are called so: choose one.".to_owned();
            }
            Found::Nothing(said) => typed.said = sentence(&said),
        }
        draw(shared, db, &who, StatusCode::UNPROCESSABLE_ENTITY, typed)
    })
    .await
}

fn no_number(text: &str) -> String {
    let start: String = text.chars().take(20).collect();
    format!("\"{start}\" is no quantity: type a whole number.")
}

async fn quantity(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::STOCK)?;
        let text = field(&fields, "quantity");
        let (sku, quantity) = (field(&fields, "sku").parse().unwrap_or(0), text.trim().parse());
        let said = match quantity {
            Ok(quantity) => {
                let set = office::carry_out(shared, &who, &fields, move |tx| {
                    goods_in::set_quantity(tx, sku, quantity)?;
                    Ok::<_, GoodsInError>(RECEIVE.to_owned())
                })?;
                match set {
                    Ok(place) => return Ok(page::go(&place)),
                    Err(refusal) => sentence(&refusal.to_string()),
                }
            }
            Err(_) => no_number(text),
        };
        let typed = Typed { said, ..Typed::default() };
        draw(shared, db, &who, StatusCode::UNPROCESSABLE_ENTITY, typed)
    })
    .await
}

async fn book(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        let person = office::person_with(shared, db, &who, Rights::STOCK)?;
        let (store, at) = (shared.store(), shared.now());
        let note = field(&fields, "note").to_owned();
        let booked = office::carry_out(shared, &who, &fields, move |tx| {
            let booking = Booking { store, employee: person.id, at, note: &note };
            let (lines, pieces) = goods_in::book(tx, &booking)?;
            Ok::<_, GoodsInError>(format!("{RECEIVE}?lines={lines}&pieces={pieces}"))
        })?;
        let refusal = match booked {
            Ok(place) => return Ok(page::go(&place)),
            Err(refusal) => refusal,
        };
        let said = sentence(&refusal.to_string());
        let refused = match refusal {
            GoodsInError::Lines(refused) => refused,
            _ => Vec::new(),
        };
        let note = field(&fields, "note").to_owned();
        let typed = Typed { said, note, refused, ..Typed::default() };
        draw(shared, db, &who, StatusCode::UNPROCESSABLE_ENTITY, typed)
    })
    .await
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    status: StatusCode,
    typed: Typed,
) -> Result<Response, PageError> {
    let found = goods_in::lines_so_far(db)?;
    let pieces = found.iter().fold(0, |sum: i64, line| sum.saturating_add(line.quantity));
    let lines: Result<Vec<LineView>, PageError> =
        found.iter().map(|line| view(shared, db, line, &typed.refused)).collect();
    let words = format!(
        "{}, {}",
        counted(found.len() as u64, "line", "lines"),
        counted(pieces.unsigned_abs(), "piece", "pieces")
    );
    let missing = office::missing_sales(shared, db)?;
    let frame = shared.frame(db, "receive", Some(who))?;
    let (said, booked, choices) = (typed.said.clone(), typed.booked.clone(), typed.choices.clone());
    let page = Receive { frame, said, booked, typed, choices, lines: lines?, words, missing };
    page::html(status, &page)
}

fn view(
    shared: &Shared,
    db: &Reader,
    line: &DeliveryLine,
    refused: &[RefusedLine],
) -> Result<LineView, PageError> {
    let tag = catalogue::by_sku(db, shared.store(), line.sku, shared.now())?;
    let before = stock::on_hand(db, shared.store(), line.sku)?;
    let reason = refused.iter().find(|refused| refused.sku == line.sku);
    Ok(LineView {
        sku: line.sku,
        name: tag.map_or_else(|| format!("SKU {}", line.sku), |tag| tag.label()),
        quantity: line.quantity,
        before: signed(before),
        after: signed(before.saturating_add(line.quantity)),
        said: reason.map_or_else(String::new, |refused| sentence(&refused.reason.to_string())),
    })
}
