//! Corrects a balance: counted, broken, stolen or found

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::catalogue::Tag;
use selvedge_domain::goods_in::{self, Booking, Found as Finding, GoodsInError};
use selvedge_domain::staff::Rights;
use selvedge_domain::stock;
use serde::Deserialize;

use crate::amounts::sentence;
use crate::database::Reader;
use crate::doors::CORRECT;
use crate::local_time;
use crate::office::{self, Found};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, field};
use crate::signon::SignedOn;
use crate::today_exceptions::signed;

/// The reasons: what a form calls each, its word, and what the number beside it means.
const REASONS: [(&str, &str, &str); 4] = [
    ("counted", "Counted", "so many are there"),
    ("broken", "Broken", "so many fewer"),
    ("stolen", "Stolen", "so many fewer"),
    ("found", "Found", "so many more"),
];

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route(CORRECT, get(show)).route("/stock/correct/book", post(correct))
}

#[derive(Template)]
#[template(path = "office/correct.html")]
struct Correct {
    frame: Frame,
    said: String,
    done: String,
    typed: Typed,
    chosen: Option<Chosen>,
    many: Vec<(i64, String)>,
    reasons: &'static [(&'static str, &'static str, &'static str)],
}

#[derive(Debug, Default)]
struct Typed {
    code: String,
    number: String,
    reason: String,
    note: String,
}

struct Chosen {
    sku: i64,
    name: String,
    balance: String,
    age: String,
    missing: String,
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    code: Option<String>,
    was: Option<i64>,
    is: Option<i64>,
}

/// Why a form was not taken.
#[derive(Debug, thiserror::Error)]
enum CorrectError {
    #[error(transparent)]
    Deed(#[from] GoodsInError),
    #[error("\"{0}\" is no number of pieces: type a whole number from 0 on")]
    Number(String),
    #[error("choose a reason: counted, broken, stolen or found")]
    NoReason,
    #[error("the remark is longer than 180 characters")]
    Note,
    #[error("it was not written")]
    Database(#[from] rusqlite::Error),
}

async fn show(State(page): State<Page>, who: SignedOn, Query(asked): Query<Asked>) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::STOCK)?;
        let typed = Typed { code: asked.code.unwrap_or_default(), ..Typed::default() };
        let change = asked.was.zip(asked.is);
        draw(shared, db, &who, typed, None, change)
    })
    .await
}

async fn correct(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        let person = office::person_with(shared, db, &who, Rights::STOCK)?;
        let (store, at) = (shared.store(), shared.now());
        let sku: i64 = field(&fields, "sku").parse().unwrap_or(0);
        let refusal = match finding(&fields) {
            Ok((found, note)) => {
                let done = office::carry_out(shared, &who, &fields, move |tx| {
                    let booking = Booking { store, employee: person.id, at, note: &note };
                    let (before, after) = goods_in::correct(tx, &booking, sku, found)?;
                    Ok::<_, GoodsInError>(format!(
                        "{CORRECT}?code={sku}&was={}&is={after}",
                        before.on_hand
                    ))
                })?;
                match done {
                    Ok(place) => return Ok(page::go(&place)),
                    Err(refusal) => refusal.into(),
                }
            }
            Err(refusal) => {
                shared.request(&who, &fields)?;
                refusal
            }
        };
        let typed = |name| field(&fields, name).to_owned();
        let typed = Typed {
            code: typed("sku"),
            number: typed("number"),
            reason: typed("reason"),
            note: typed("note"),
        };
        draw(shared, db, &who, typed, Some(&refusal), None)
    })
    .await
}

/// What the form says was found, and the remark that goes with it.
fn finding(fields: &Fields) -> Result<(Finding, String), CorrectError> {
    let (reason, text) = (field(fields, "reason"), field(fields, "number").trim());
    let number: Option<i64> = text.parse().ok().filter(|number| *number >= 0);
    let number = number.ok_or_else(|| CorrectError::Number(text.chars().take(20).collect()))?;
    let found = match reason {
        "counted" => Finding::Counted(number),
        "broken" | "stolen" => Finding::Difference(-number),
        "found" => Finding::Difference(number),
        _ => return Err(CorrectError::NoReason),
    };
    let remark = field(fields, "note").trim();
    if remark.chars().count() > 180 {
        return Err(CorrectError::Note);
    }
    let note = if remark.is_empty() { reason.to_owned() } else { format!("{reason}: {remark}") };
    Ok((found, note))
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    typed: Typed,
    refusal: Option<&CorrectError>,
    change: Option<(i64, i64)>,
) -> Result<Response, PageError> {
    let mut said = refusal.map_or_else(String::new, |refusal| sentence(&refusal.to_string()));
    let mut status =
        if refusal.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let (mut chosen, mut many) = (None, Vec::new());
    if !typed.code.trim().is_empty() {
        match office::look_up(shared, db, &typed.code)? {
            Found::One(tag) => chosen = Some(choose(shared, db, &tag)?),
            Found::Many(tags) => many = tags.iter().map(|tag| (tag.sku, tag.label())).collect(),
            Found::Nothing(why) if said.is_empty() => {
                said = sentence(&why);
                status = StatusCode::NOT_FOUND;
            }
            Found::Nothing(_) => {}
        }
    }
    let done = match (&chosen, change) {
        (Some(chosen), Some((was, is))) => {
            format!("{}: {} before, {} now.", chosen.name, signed(was), signed(is))
        }
        _ => String::new(),
    };
    let frame = shared.frame(db, "correct", Some(who))?;
    page::html(status, &Correct { frame, said, done, typed, chosen, many, reasons: &REASONS })
}

fn choose(shared: &Shared, db: &Reader, tag: &Tag) -> Result<Chosen, PageError> {
    let balance = stock::balance(db, shared.store(), tag.sku)?;
    let say = |at| local_time::when(at, shared.now(), shared.config.time_zone);
    Ok(Chosen {
        sku: tag.sku,
        name: tag.label(),
        balance: signed(balance.on_hand),
        age: balance.changed_at.map_or_else(
            || "nothing has moved yet".to_owned(),
            |at| format!("last changed {}", say(at)),
        ),
        missing: office::missing_sales(shared, db)?,
    })
}
