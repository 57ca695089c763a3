//! Ask about the one receipt that nobody has seen

use askama::Template;
use axum::Form;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use selvedge_domain::catalogue;
use selvedge_domain::money::{Currency, Money};
use selvedge_domain::receipts::{self, ReceiptTender, WholeReceipt};
use selvedge_domain::staff;
use selvedge_domain::tenders::TenderKind;

use crate::amounts::{moment, sentence};
use crate::baskets::Baskets;
use crate::database::Reader;
use crate::in_doubt::{self, IN_DOUBT, Next, Person, Till};
use crate::page::{self, Fields, Frame, Page, PageError, Shared};
use crate::paid_basket::PayError;
use crate::ringing::CHECKOUT;
use crate::signon::SignedOn;
use crate::unseen::{self, Unseen, Verdict};

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new()
        .route(IN_DOUBT, get(show))
        .route("/checkout/in-doubt/print", post(print))
        .route("/checkout/in-doubt/void", post(void))
        .route("/checkout/in-doubt/go-on", post(go_on))
}

#[derive(Template)]
#[template(path = "in_doubt.html")]
struct InDoubt {
    frame: Frame,
    doubt: DoubtView,
    said: String,
}

struct DoubtView {
    number: String,
    /// The number of the receipt that reversed it, or nothing.
    void: String,
    /// Who rang it up, and when.
    words: String,
    lines: Vec<LineView>,
    tenders: Vec<TenderView>,
    total: String,
}

struct LineView {
    quantity: i64,
    name: String,
    amount: String,
}

struct TenderView {
    name: &'static str,
    amount: String,
    /// How the money goes back when it is voided.
    back: &'static str,
}

async fn show(State(page): State<Page>, who: SignedOn) -> Response {
    page.run(move |shared, db| draw(shared, db, &who, StatusCode::OK, String::new())).await
}

type Deed = fn(&mut Baskets, &Till, Person) -> Result<String, PayError>;

async fn print(page: State<Page>, who: SignedOn, fields: Form<Fields>) -> Response {
    answer(page, who, fields, in_doubt::print).await
}

async fn void(page: State<Page>, who: SignedOn, fields: Form<Fields>) -> Response {
    answer(page, who, fields, in_doubt::void).await
}

async fn go_on(page: State<Page>, who: SignedOn, fields: Form<Fields>) -> Response {
    answer(page, who, fields, |baskets, _, person| in_doubt::go_on(baskets, person)).await
}

async fn answer(
    State(page): State<Page>,
    who: SignedOn,
    Form(fields): Form<Fields>,
    deed: Deed,
) -> Response {
    page.run(move |shared, db| match answered(shared, db, &who, &fields, deed)? {
        Ok(place) => Ok(page::go(&place)),
        Err(error) => draw(shared, db, &who, error.status(), sentence(&error.to_string())),
    })
    .await
}

fn answered(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    fields: &Fields,
    deed: Deed,
) -> Result<Result<String, PayError>, PageError> {
    let request = shared.request(who, fields)?;
    let cashier = shared.cashier(db, who)?.id;
    let mut baskets = shared.baskets();
    if let Some(place) = baskets.answered(request)? {
        return Ok(Ok(place));
    }
    // A receipt that somebody has seen is not asked about.
    if in_doubt::next(&mut baskets, &shared.till(db))? != Next::See(IN_DOUBT) {
        return Ok(Ok(CHECKOUT.to_owned()));
    }
    let done = deed(&mut baskets, &shared.till(db), Person { cashier, request });
    drop(baskets);
    shared.changed();
    Ok(done)
}

fn draw(
    shared: &Shared,
    db: &Reader,
    who: &SignedOn,
    status: StatusCode,
    said: String,
) -> Result<Response, PageError> {
    let next = shared.next(db)?;
    let unseen = shared.baskets().ask(unseen::unseen)?;
    let (Next::See(IN_DOUBT), Some(unseen)) = (next, unseen) else {
        return Ok(page::go(match next {
            Next::See(place) => place,
            Next::Free => CHECKOUT,
        }));
    };
    let Some(whole) = receipts::whole(db, unseen.done.receipt)? else {
        return Err(PageError::Database("the last receipt is not there".to_owned()));
    };
    let doubt = view(shared, db, &unseen, &whole)?;
    page::html(status, &InDoubt { frame: shared.frame(db, "in-doubt", Some(who))?, doubt, said })
}

fn view(
    shared: &Shared,
    db: &Reader,
    unseen: &Unseen,
    whole: &WholeReceipt,
) -> Result<DoubtView, PageError> {
    let (receipt, now) = (&whole.receipt, shared.now().0);
    let currency = receipt.currency;
    let by = staff::employee(db, shared.store(), receipt.cashier)?;
    let by = by.map_or_else(|| format!("employee {}", receipt.cashier), |person| person.name);
    let at = moment(receipt.at.0, now, shared.config.time_zone);
    let mut lines = Vec::new();
    for line in &whole.lines {
        let tag = catalogue::by_sku(db, shared.store(), line.sku, receipt.at)?;
        let name = tag.map_or_else(|| format!("SKU {}", line.sku), |tag| tag.label());
        lines.push(LineView {
            quantity: line.quantity,
            name,
            amount: currency.show(line.amount()),
        });
    }
    let void = match &unseen.verdict {
        Some(Verdict::Voided(number)) => number.clone(),
        _ => String::new(),
    };
    Ok(DoubtView {
        number: unseen.done.number.clone(),
        void,
        words: format!("{by}, {at}"),
        lines,
        tenders: whole.tenders.iter().map(|tender| tender_view(tender, currency)).collect(),
        total: currency.show(receipt.total),
    })
}

fn tender_view(tender: &ReceiptTender, currency: Currency) -> TenderView {
    let (name, back) = match (TenderKind::from_number(tender.kind), &tender.charge) {
        (Some(TenderKind::Cash), _) => ("Cash", "in cash"),
        (Some(TenderKind::Card), Some(_)) => ("Card", "by the terminal, which did it"),
        (Some(TenderKind::Card), None) => ("Card", "at the terminal, by hand"),
        _ => ("Voucher", "as a voucher"),
    };
    TenderView { name, amount: currency.show(Money(tender.amount.0)), back }
}
