//! Take money until nothing is due

use std::time::Duration;

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::money::Money;
use selvedge_domain::tenders::TenderKind;

use crate::amounts::{counted, sentence, suggested_notes};
use crate::baskets::{Basket, Baskets};
use crate::database::Reader;
use crate::in_doubt::{self, Next};
use crate::page::{self, Fields, Frame, Page, PageError, Shared, Wants, field};
use crate::paid_basket::{DONE, PayError};
use crate::payment::{CARD, PAY, Payment, due};
use crate::payment_intents::{Intent, Progress};
use crate::ringing::{CHECKOUT, Ringing};
use crate::signon::{self, SignedOn};
use crate::unseen;

/// The digits of the pad, as a telephone's would confuse nobody who uses a till.
pub const PAD: [&str; 11] = ["7", "8", "9", "4", "5", "6", "1", "2", "3", "0", "00"];

/// How long the answer to a form waits for the card terminal; after that a page does.
const ANSWER_AT_ONCE: Duration = Duration::from_millis(1_500);

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route("/checkout/pay", get(show).post(begin))
        .route("/checkout/pay/tender", post(tender))
        .route("/checkout/pay/take-off", post(take_off))
        .route("/checkout/pay/finish", post(finish))
}

#[derive(Template)]
#[template(path = "pay.html")]
struct Pay {
    frame: Frame,
    pay: PayView,
    said: String,
}

#[derive(Template)]
#[template(path = "paying.html")]
struct Paying {
    frame: Frame,
    pay: PayView,
    said: String,
}

struct PayView {
    due: String,
    total: String,
    total_minor: i64,
    words: String,
    paid_up: bool,
    tenders: Vec<TenderView>,
    chips: Vec<Chip>,
    typed: String,
    decimals: u32,
    zero: String,
    digits: [&'static str; 11],
    has_terminal: bool,
}

struct TenderView {
    no: i64,
    name: &'static str,
    amount: String,
    note: &'static str,
}

struct Chip {
    word: &'static str,
    shown: String,
    amount: String,
}

async fn show(State(page): State<Page>, who: SignedOn, wants: Wants) -> Response {
    page.run(move |shared, db| {
        if let Next::See(place) = shared.next(db)? {
            return Ok(page::go(place));
        }
        draw(shared, db, &who, wants, StatusCode::OK, String::new(), "")
    })
    .await
}

type Deed = fn(&Payment, &mut Baskets, &Fields) -> Result<String, PayError>;

async fn begin(page: State<Page>, who: SignedOn, wants: Wants, fields: Form<Fields>) -> Response {
    pay(page, who, wants, fields, |payment, baskets, _| payment.begin(baskets)).await
}

async fn tender(page: State<Page>, who: SignedOn, wants: Wants, fields: Form<Fields>) -> Response {
    pay(page, who, wants, fields, |payment, baskets, fields| {
        payment.take(baskets, field(fields, "kind"), field(fields, "amount"))
    })
    .await
}

async fn take_off(
    page: State<Page>,
    who: SignedOn,
    wants: Wants,
    fields: Form<Fields>,
) -> Response {
    pay(page, who, wants, fields, |payment, baskets, fields| {
        payment.give_back(baskets, field(fields, "tender"))
    })
    .await
}

async fn finish(page: State<Page>, who: SignedOn, wants: Wants, fields: Form<Fields>) -> Response {
    pay(page, who, wants, fields, |payment, baskets, _| payment.finish(baskets)).await
}

/// Runs a deed once and goes to where it leads, or says why not.
async fn pay(
    State(page): State<Page>,
    who: SignedOn,
    wants: Wants,
    Form(fields): Form<Fields>,
    deed: Deed,
) -> Response {
    page.run(move |shared, db| match answered(shared, db, &who, &fields, deed)? {
        Ok(place) if wants == Wants::Parts && place == PAY => {
            let parts = draw(shared, db, &who, wants, StatusCode::OK, String::new(), "")?;
            Ok(page::at(&place, parts))
        }
        Ok(place) => Ok(page::go(&place)),
        Err(error) => draw(
            shared,
            db,
            &who,
            wants,
            error.status(),
            sentence(&error.to_string()),
            field(&fields, "amount"),
        ),
    })
    .await
}

/// Where a deed leads, once the card terminal has answered it or has let us wait.
fn answered(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    fields: &Fields,
    deed: Deed,
) -> Result<Result<String, PayError>, PageError> {
    let place = match paid(shared, db, who, fields, deed)? {
        Ok(place) if place == CARD => {
            shared.cards.wait(ANSWER_AT_ONCE);
            match shared.next(db)? {
                Next::See(place) => place.to_owned(),
                Next::Free => PAY.to_owned(),
            }
        }
        other => return Ok(other),
    };
    Ok(Ok(place))
}

fn paid(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    fields: &Fields,
    deed: Deed,
) -> Result<Result<String, PayError>, PageError> {
    let request = shared.request(who, fields)?;
    let cashier = shared.cashier(db, who)?;
    let ringing =
        Ringing { catalogue: db, store: shared.store(), at: shared.now(), cashier: &cashier };
    let space_min_bytes = shared.config.space_min_bytes;
    let shown = field(fields, "shown").parse().ok().map(Money);
    let drawn = signon::random_number().ok_or(PageError::NoRequest)?;
    let (database, cards) = (&shared.database, &shared.cards);
    let payment = Payment { ringing, database, cards, drawn, request, shown, space_min_bytes };
    let mut baskets = shared.baskets();
    let next = in_doubt::next(&mut baskets, &shared.till(db))?;
    if let Some(place) = baskets.answered(request)? {
        // Whoever sends the same form again is still before the screen, and is told.
        if place == DONE {
            baskets.paid_here = baskets.ask(unseen::unseen)?.map(|unseen| unseen.basket);
        }
        return Ok(Ok(place));
    }
    if let Next::See(place) = next {
        return Ok(Ok(place.to_owned()));
    }
    let done = deed(&payment, &mut baskets, fields);
    drop(baskets);
    shared.changed();
    Ok(done)
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    wants: Wants,
    status: StatusCode,
    said: String,
    typed: &str,
) -> Result<Response, PageError> {
    let basket = shared.baskets().current()?.filter(|basket| !basket.lines.is_empty());
    let Some(basket) = basket else {
        // Nothing to pay: a finished sale shows its change, an empty basket its checkout.
        let place = if shared.baskets().last_done()?.is_some() { DONE } else { CHECKOUT };
        return Ok(match status {
            StatusCode::OK => page::go(place),
            status => page::html(status, &shared.sentence_page(db, who, said)?)?,
        });
    };
    let pay = match view(shared, db, &basket, typed) {
        Ok(pay) => pay,
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            return page::html(
                status,
                &shared.sentence_page(db, who, sentence(&error.to_string()))?,
            );
        }
    };
    let said = if said.is_empty() { last_word(&basket.intents) } else { said };
    match wants {
        Wants::Page => {
            page::html(status, &Pay { frame: shared.frame(db, "pay", Some(who))?, pay, said })
        }
        Wants::Parts => {
            page::html(status, &Paying { frame: shared.frame_of_parts("pay", who), pay, said })
        }
    }
}

/// What the card terminal said last, when it took nothing.
fn last_word(intents: &[Intent]) -> String {
    let Some(last) = intents.last() else { return String::new() };
    match last.state {
        Progress::Refused => format!("The card was not charged {}.", last.amount),
        Progress::Returned => format!("{} went back to the card.", last.amount),
        _ => String::new(),
    }
}

fn view(shared: &Shared, db: &Reader, basket: &Basket, typed: &str) -> Result<PayView, PayError> {
    let due = due(db, shared.store(), basket, shared.now())?;
    let currency = due.quote.currency;
    let left = due.left.max(Money::ZERO);
    let tenders = basket.tenders.iter().map(|taken| TenderView {
        no: taken.no,
        name: if taken.kind == TenderKind::Cash.number() { "Cash" } else { "Card" },
        amount: currency.show(Money(taken.amount_minor)),
        note: match (TenderKind::from_number(taken.kind), taken.intent) {
            (Some(TenderKind::Card), None) => "give it back at the terminal first",
            (_, Some(_)) => "the terminal gives it back",
            _ => "",
        },
    });
    let exact = Chip { word: "exact", shown: currency.show(left), amount: currency.plain(left) };
    let notes = suggested_notes(left.0, currency.digits()).into_iter().map(Money);
    let notes = notes.map(|sum| Chip {
        word: "cash",
        shown: currency.show(sum),
        amount: currency.plain(sum),
    });
    let pieces: i64 = basket.lines.iter().map(|line| line.quantity).sum();
    Ok(PayView {
        due: currency.show(left),
        total: currency.show(due.quote.total),
        total_minor: due.quote.total.0,
        words: format!("total of {}", counted(pieces.unsigned_abs(), "piece", "pieces")),
        paid_up: due.left <= Money::ZERO,
        tenders: tenders.collect(),
        chips: std::iter::once(exact).chain(notes).collect(),
        typed: typed.to_owned(),
        decimals: currency.digits(),
        zero: currency.plain(Money::ZERO),
        digits: PAD,
        has_terminal: shared.cards.has_terminal(),
    })
}
