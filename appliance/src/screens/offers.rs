//! Store discounts: running, coming, ended, and a new one

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::catalogue::{self, Tag};
use selvedge_domain::moment::Moment;
use selvedge_domain::staff::Rights;
use selvedge_domain::store_discounts::{self, NewStoreDiscount, StoreDiscount, StoreDiscountError};
use serde::Deserialize;

use crate::amounts::{percent, sentence, typed_percent};
use crate::database::Reader;
use crate::doors::OFFERS;
use crate::local_time::{self, TypedTimeError};
use crate::office::{self, Found};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, field};
use crate::signon::SignedOn;

/// How many ended ones are listed.
const ENDED_SHOWN: u32 = 20;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route(OFFERS, get(show))
        .route("/offers/enter", post(enter))
        .route("/offers/end", post(end))
}

#[derive(Template)]
#[template(path = "office/offers.html")]
struct Offers {
    frame: Frame,
    said: String,
    form: EntryForm,
    running: Vec<OfferView>,
    coming: Vec<OfferView>,
    ended: Vec<OfferView>,
}

/// What was asked for and typed so far.
#[derive(Debug, Default)]
struct EntryForm {
    code: String,
    chosen: Option<Chosen>,
    many: Vec<Choice>,
    percent: String,
    from: String,
    to: String,
}

#[derive(Debug)]
struct Chosen {
    product: i64,
    name: String,
    already: String,
}

#[derive(Debug)]
struct Choice {
    sku: i64,
    name: String,
}

#[derive(Debug)]
struct OfferView {
    id: String,
    name: String,
    percent: String,
    window: String,
    by: String,
}

#[derive(Debug, Deserialize)]
struct Asked {
    code: Option<String>,
}

/// Why a form was not taken.
#[derive(Debug, thiserror::Error)]
enum OfferError {
    #[error(transparent)]
    Deed(#[from] StoreDiscountError),
    #[error(transparent)]
    Time(#[from] TypedTimeError),
    #[error("\"{0}\" is no percentage: type a number from 0.01 to 100, such as 12.5")]
    Percent(String),
    #[error("choose a product first")]
    NoProduct,
    #[error("it was not written")]
    Database(#[from] rusqlite::Error),
}

async fn show(State(page): State<Page>, who: SignedOn, Query(asked): Query<Asked>) -> Response {
    page.run(move |shared, db| {
        office::person_with(shared, db, &who, Rights::MANAGE)?;
        let form = EntryForm { code: asked.code.unwrap_or_default(), ..EntryForm::default() };
        let (form, said) = looked_up(shared, db, form)?;
        let status = if said.is_empty() { StatusCode::OK } else { StatusCode::NOT_FOUND };
        draw(shared, db, &who, status, form, said)
    })
    .await
}

/// Finds what the code or name means, and says what is wrong with it.
fn looked_up(
    shared: &Shared,
    db: &Reader,
    form: EntryForm,
) -> Result<(EntryForm, String), PageError> {
    if form.code.trim().is_empty() {
        return Ok((form, String::new()));
    }
    Ok(match office::look_up(shared, db, &form.code)? {
        Found::One(tag) => (EntryForm { chosen: chosen(shared, db, &tag)?, ..form }, String::new()),
        Found::Many(tags) => {
            let choice = |tag: Tag| Choice { sku: tag.sku, name: tag.label() };
            (EntryForm { many: tags.into_iter().map(choice).collect(), ..form }, String::new())
        }
        Found::Nothing(said) => (form, sentence(&said)),
    })
}

fn chosen(shared: &Shared, db: &Reader, tag: &Tag) -> Result<Option<Chosen>, PageError> {
    let Some(product) = catalogue::product_of(db, tag.sku)? else { return Ok(None) };
    let points = store_discounts::points_at(db, shared.store(), product, shared.now())?;
    let already = match points {
        0 => String::new(),
        points => {
            format!("{} % are off now; the larger discount counts, not both.", percent(points))
        }
    };
    Ok(Some(Chosen { product, name: tag.name.clone(), already }))
}

async fn enter(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        let person = office::person_with(shared, db, &who, Rights::MANAGE)?;
        let refusal = match new_discount(shared, &fields, person.id) {
            Ok(new) => {
                let entered = office::carry_out(shared, &who, &fields, move |tx| {
                    store_discounts::enter(tx, &new)?;
                    Ok::<_, StoreDiscountError>(OFFERS.to_owned())
                })?;
                match entered {
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
        let form = EntryForm {
            code: typed("code"),
            percent: typed("percent"),
            from: typed("from"),
            to: typed("to"),
            ..EntryForm::default()
        };
        let (form, _) = looked_up(shared, db, form)?;
        let said = sentence(&refusal.to_string());
        draw(shared, db, &who, StatusCode::UNPROCESSABLE_ENTITY, form, said)
    })
    .await
}

fn new_discount(
    shared: &Shared,
    fields: &Fields,
    employee: i64,
) -> Result<NewStoreDiscount, OfferError> {
    let (zone, now) = (shared.config.time_zone, shared.now());
    let product = field(fields, "product").parse().map_err(|_| OfferError::NoProduct)?;
    let text = field(fields, "percent");
    let discount_points =
        typed_percent(text).ok_or_else(|| OfferError::Percent(text.chars().take(20).collect()))?;
    // Nothing typed: at once.
    let valid_from = match field(fields, "from").trim() {
        "" => now,
        text => local_time::typed(text, zone)?,
    };
    let valid_to = match field(fields, "to").trim() {
        "" => return Err(TypedTimeError::Nothing("end").into()),
        text => local_time::typed(text, zone)?,
    };
    let store = shared.store();
    Ok(NewStoreDiscount {
        store,
        product,
        discount_points,
        valid_from,
        valid_to,
        employee,
        at: now,
    })
}

async fn end(State(page): State<Page>, who: SignedOn, Form(fields): Form<Fields>) -> Response {
    page.run(move |shared, db| {
        let person = office::person_with(shared, db, &who, Rights::MANAGE)?;
        let (store, now) = (shared.store(), shared.now());
        let id = field(&fields, "discount").parse().unwrap_or(0);
        let ended = office::carry_out(shared, &who, &fields, move |tx| {
            store_discounts::end(tx, store, id, person.id, now)?;
            Ok::<_, StoreDiscountError>(OFFERS.to_owned())
        })?;
        match ended {
            Ok(place) => Ok(page::go(&place)),
            Err(refusal) => {
                let said = sentence(&refusal.to_string());
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                draw(shared, db, &who, status, EntryForm::default(), said)
            }
        }
    })
    .await
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    status: StatusCode,
    form: EntryForm,
    said: String,
) -> Result<Response, PageError> {
    let (store, now) = (shared.store(), shared.now());
    let view = |discount: &StoreDiscount| view(shared, discount, now);
    let current = store_discounts::current(db, store, now)?;
    let (running, coming): (Vec<_>, Vec<_>) =
        current.iter().partition(|discount| discount.valid_from <= now);
    let ended = store_discounts::ended(db, store, now, ENDED_SHOWN)?;
    let offers = Offers {
        frame: shared.frame(db, "offers", Some(who))?,
        said,
        form,
        running: running.into_iter().map(view).collect(),
        coming: coming.into_iter().map(view).collect(),
        ended: ended.iter().map(view).collect(),
    };
    page::html(status, &offers)
}

fn view(shared: &Shared, discount: &StoreDiscount, now: Moment) -> OfferView {
    let say = |at| local_time::when(at, now, shared.config.time_zone);
    let window = match discount.valid_to == discount.valid_from {
        true => "ended before it began".to_owned(),
        false => format!("{} to {}", say(discount.valid_from), say(discount.valid_to)),
    };
    OfferView {
        id: discount.id.to_string(),
        name: discount.name.clone(),
        percent: percent(discount.discount_points),
        window,
        by: discount.entered_by.clone(),
    }
}
