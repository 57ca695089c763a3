//! Ring up a basket and go on to payment

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::catalogue::{ScanError, Store};
use selvedge_domain::money::{Amount, Money};
use selvedge_domain::receipts;
use selvedge_domain::sales::SaleError;
use serde::Deserialize;

use crate::amounts::{moment, sentence};
use crate::basket_rows::BasketWrite;
use crate::basket_view::{self, BasketView, Chosen, PastReceipt, Scene, Sheet};
use crate::database::Reader;
use crate::find_view::{self, FindView, Finding, Key};
use crate::in_doubt::{self, Next};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, Wants, field};
use crate::ringing::{CHECKOUT, RingError, Ringing, shortened};
use crate::signon::SignedOn;

/// The screen's name, for its EventSource.
const SCREEN: &str = "checkout";

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/", get(|| async { page::go(CHECKOUT) }))
        .route("/checkout", get(show))
        .route("/checkout/add", post(add))
        .route("/checkout/quantity", post(quantity))
        .route("/checkout/take-off", post(take_off))
        .route("/checkout/discount", post(discount))
        .route("/checkout/open-price", post(open_price))
        .route("/checkout/customer", post(customer))
        .route("/checkout/customer/take-off", post(remove_customer))
        .route("/checkout/basket-discount", post(basket_discount))
}

/// How many receipts of a customer are shown: as many as fit without scrolling.
const RECEIPTS_SHOWN: u32 = 4;

#[derive(Template)]
#[template(path = "checkout.html")]
struct Checkout {
    frame: Frame,
    basket: BasketView,
    said: String,
    typed: String,
    find: Option<FindView>,
}

#[derive(Template)]
#[template(path = "checkout_parts.html")]
struct CheckoutParts {
    frame: Frame,
    basket: BasketView,
    find: Option<FindView>,
    said: String,
}

/// What news brings: a sentence that was said stays.
#[derive(Template)]
#[template(path = "checkout_news.html")]
struct CheckoutNews {
    frame: Frame,
    basket: BasketView,
}

/// What is chosen, and which total was shown before it moved.
#[derive(Debug, Deserialize)]
struct Choice {
    line: Option<String>,
    sheet: Option<String>,
    was: Option<String>,
}

/// What a refusal left: a sentence, and what was typed.
#[derive(Debug, Default)]
pub struct Refusal {
    /// The sentence.
    pub said: String,
    /// What was typed into the field.
    pub typed: String,
    /// What it was about.
    pub chosen: Chosen,
    /// The total that was shown before, when it has moved.
    pub was: Option<Money>,
    /// What is found instead of the tags, or nothing.
    pub find: Option<FindView>,
}

async fn show(
    State(page): State<Page>,
    who: SignedOn,
    wants: Wants,
    Query(choice): Query<Choice>,
) -> Response {
    let chosen = Chosen::parse(choice.line.as_deref(), choice.sheet.as_deref());
    let was = choice.was.and_then(|was| was.parse().ok()).map(Money);
    page.run(move |shared, db| {
        if let Next::See(place) = shared.next(db)? {
            return Ok(page::go(place));
        }
        let refusal = Refusal { chosen, was, ..Refusal::default() };
        draw(shared, db, &who, wants, StatusCode::OK, refusal)
    })
    .await
}

type Deed = fn(&Ringing, &BasketWrite, &Fields, &Store) -> Result<String, RingError>;

async fn add(page: State<Page>, who: SignedOn, wants: Wants, fields: Form<Fields>) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, _| {
        let quantity = fields.get("quantity").map_or("1", String::as_str);
        ringing.add(tx, field(fields, "code"), quantity)
    })
    .await
}

async fn quantity(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, _| {
        ringing.set_quantity(tx, field(fields, "line"), field(fields, "quantity"))
    })
    .await
}

async fn take_off(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, _| {
        ringing.take_off(tx, field(fields, "line"))
    })
    .await
}

async fn discount(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, _| {
        ringing.discount(tx, field(fields, "line"), field(fields, "percent"))
    })
    .await
}

async fn open_price(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, store| {
        ringing.open_price(tx, field(fields, "line"), field(fields, "price"), store.currency)
    })
    .await
}

async fn customer(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, _| {
        ringing.set_customer(tx, field(fields, "card"))
    })
    .await
}

async fn remove_customer(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, _, _| ringing.remove_customer(tx)).await
}

async fn basket_discount(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    ring(page, who, wants, fields, |ringing, tx, fields, store| {
        let (percent, amount) = (field(fields, "percent"), field(fields, "amount"));
        ringing.basket_discount(tx, percent, amount, store.currency)
    })
    .await
}

/// Rings a deed once and goes to where it leads, or says why not.
///
/// Our script is given the basket as it is now in the answer itself: one way there and back, one commit in it.
async fn ring(
    State(page): State<Page>,
    who: SignedOn,
    wants: Wants,
    Form(fields): Form<Fields>,
    deed: Deed,
) -> Response {
    page.run(move |shared, db| match rung(shared, db, &who, &fields, deed)? {
        Ok(place) => match (wants, chosen(&place)) {
            (Wants::Parts, Some(chosen)) => {
                let refusal = Refusal { chosen, ..Refusal::default() };
                let parts = draw(shared, db, &who, wants, StatusCode::OK, refusal)?;
                Ok(page::at(&place, parts))
            }
            _ => Ok(page::go(&place)),
        },
        Err(error) => {
            let typed = field(&fields, "code");
            if wants == Wants::Page && is_sought(&error, typed) {
                return Ok(page::go(&find_view::address(typed)));
            }
            let (status, refusal) = not_rung(shared, db, &fields, &error)?;
            draw(shared, db, &who, wants, status, refusal)
        }
    })
    .await
}

/// What is chosen at a place of this screen; `None` when it is of another.
fn chosen(place: &str) -> Option<Chosen> {
    match place.strip_prefix(CHECKOUT)?.split_once('=') {
        None => place.eq(CHECKOUT).then_some(Chosen::Nothing),
        Some(("?line", line)) => Some(Chosen::parse(Some(line), None)),
        Some(("?sheet", sheet)) => Some(Chosen::parse(None, Some(sheet))),
        Some(_) => None,
    }
}

/// Whether words were typed where a code would have been rung up.
fn is_sought(error: &RingError, typed: &str) -> bool {
    let is_code = !matches!(error, RingError::Unknown(ScanError::Unreadable(_)));
    !is_code && typed.chars().any(char::is_alphabetic)
}

/// Why nothing was rung up, with what can be found for it.
fn not_rung(
    shared: &Shared,
    db: &Reader,
    fields: &Fields,
    error: &RingError,
) -> Result<(StatusCode, Refusal), PageError> {
    let typed = field(fields, "code").to_owned();
    let choice = |name: &str| fields.get(name).map(String::as_str);
    let chosen = Chosen::parse(choice("line"), choice("sheet"));
    let mut said = sentence(&error.to_string());
    let mut status = StatusCode::UNPROCESSABLE_ENTITY;
    let mut find = None;
    let is_sought = is_sought(error, &typed);
    let is_unlisted =
        matches!(error, RingError::Unknown(ScanError::UnknownGtin(_) | ScanError::UnknownSku(_)));
    if is_sought || is_unlisted {
        let store = shared.store_data(db)?.ok_or(PageError::NoMasterData)?;
        find = Some(Finding::here(shared, db, &store).results(&typed)?);
    }
    if is_sought {
        (status, said) = (StatusCode::OK, String::new());
    }
    if matches!(error, RingError::Unknown(ScanError::UnknownGtin(_))) {
        said = format!(
            "Not in this store's list: {}. Find it by its name, or check the digits.",
            shortened(&typed)
        );
    }
    if matches!(error, RingError::Database(_)) {
        status = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok((status, Refusal { said, typed, chosen, was: None, find }))
}

fn rung(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    fields: &Fields,
    deed: Deed,
) -> Result<Result<String, RingError>, PageError> {
    let request = shared.request(who, fields)?;
    let cashier = shared.cashier(db, who)?;
    let store = shared.store_data(db)?.ok_or(PageError::NoMasterData)?;
    let ringing = Ringing { catalogue: db, store: store.id, at: shared.now(), cashier: &cashier };
    let mut baskets = shared.baskets();
    if let Next::See(place) = in_doubt::next(&mut baskets, &shared.till(db))? {
        return Ok(Ok(place.to_owned()));
    }
    let done = baskets.once(request, |tx| deed(&ringing, tx, fields, &store).map(Some));
    drop(baskets);
    shared.changed();
    Ok(done.map(|place| place.unwrap_or_else(|| CHECKOUT.to_owned())))
}

/// Draws the checkout, whole or in parts.
pub fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    wants: Wants,
    status: StatusCode,
    refusal: Refusal,
) -> Result<Response, PageError> {
    let basket = basket(shared, db, who, refusal.chosen)?;
    let Refusal { mut said, typed, was, find, .. } = refusal;
    if let (Some(was), Some(store)) = (was, shared.store_data(db)?)
        && was.0 != basket.total_minor
        && basket.payable
    {
        let (shown, now) = (was, Money(basket.total_minor));
        let (shown, now) = (Amount(shown, store.currency), Amount(now, store.currency));
        said = sentence(&SaleError::TotalMoved { shown, now }.to_string());
    }
    match wants {
        Wants::Page => {
            let frame = shared.frame(db, SCREEN, Some(who))?;
            page::html(status, &Checkout { frame, basket, said, typed, find })
        }
        Wants::Parts => {
            let frame = shared.frame_of_parts(SCREEN, who);
            page::html(status, &CheckoutParts { frame, basket, find, said })
        }
    }
}

fn basket(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    chosen: Chosen,
) -> Result<BasketView, PageError> {
    let cashier = shared.cashier(db, who)?;
    let store = shared.store_data(db)?.ok_or(PageError::NoMasterData)?;
    let kept = shared.baskets().current()?;
    let past = match kept.as_ref().and_then(|basket| basket.customer) {
        Some(customer) if chosen == Chosen::Customer => past(shared, db, customer)?,
        _ => Vec::new(),
    };
    let scene = Scene { db, store: &store, at: shared.now(), cashier: &cashier, chosen, past };
    Ok(basket_view::draw(&scene, kept.as_ref())?)
}

/// What the customer bought before, as far as it is known on this device.
fn past(shared: &Shared, db: &Reader, customer: i64) -> Result<Vec<PastReceipt>, PageError> {
    let (now, zone) = (shared.now().0, shared.config.time_zone);
    let found = receipts::of_customer(db, customer, RECEIPTS_SHOWN)?;
    let numbers = shared.database.numbers(db, &found);
    let view = |(receipt, number): (receipts::Receipt, String)| PastReceipt {
        number,
        day: moment(receipt.at.0, now, zone),
        total: receipt.currency.show(receipt.total),
    };
    Ok(found.into_iter().zip(numbers).map(view).collect())
}

/// The parts that an EventSource carries, with a word that moves when they do.
pub fn news(shared: &Shared, db: &Reader, who: &SignedOn) -> Result<(String, String), PageError> {
    let mut basket = basket(shared, db, who, Chosen::Nothing)?;
    let frame = shared.frame_of_parts(SCREEN, who);
    // Without the chosen line: news of the same revision leaves the choice as it is.
    basket.rev.truncate(basket.rev.rfind('.').unwrap_or(0));
    let rev = basket.rev.clone();
    Ok((rev, CheckoutNews { frame, basket }.render()?))
}
