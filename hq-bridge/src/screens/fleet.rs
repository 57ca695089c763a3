//! Stores and devices, what HQ holds of them, control totals

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::money::{Currency, Money};

use crate::figures::{age, amount};
use crate::fleet::{DeviceView, Fleet, StoreView};
use crate::page::{self, Page, PageError};

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/", get(show))
}

#[derive(Template)]
#[template(path = "fleet.html")]
struct Screen {
    name: String,
    banner: String,
    stores: Vec<StoreTexts>,
    exceptions: Vec<ExceptionTexts>,
}

struct StoreTexts {
    number: i64,
    name: String,
    devices: Vec<DeviceTexts>,
}

struct DeviceTexts {
    label: String,
    id: String,
    role: &'static str,
    heard: String,
    receipts: i64,
    gross: String,
    signed: String,
    difference: String,
    differs: bool,
    verdict: &'static str,
}

struct ExceptionTexts {
    store: i64,
    kind: String,
    note: String,
    age: String,
}

async fn show(State(page): State<Page>) -> Result<Response, PageError> {
    let fleet = page.fleet().await?;
    if fleet.stores.iter().flat_map(|store| &store.devices).any(|device| device.total.differs()) {
        page.look_again.notify_one();
    }
    page::html(&screen(&page.name, &fleet))
}

/// The texts of the page.
fn screen(name: &str, fleet: &Fleet) -> Screen {
    let exceptions = fleet.exceptions.iter().map(|exception| ExceptionTexts {
        store: exception.store,
        kind: exception.kind.clone(),
        note: exception.note.clone().unwrap_or_default(),
        age: age(fleet.at.0 - exception.at.0),
    });
    Screen {
        name: name.to_string(),
        banner: banner(fleet),
        stores: fleet.stores.iter().map(store_texts).collect(),
        exceptions: exceptions.collect(),
    }
}

fn banner(fleet: &Fleet) -> String {
    let devices = || fleet.stores.iter().flat_map(|store| &store.devices);
    let differ = devices().filter(|device| device.total.differs()).count();
    if fleet.stores.is_empty() {
        return "No store yet. Import one: hq-bridge import stores FILE.csv".to_string();
    }
    if differ > 0 {
        return format!("{differ} control totals differ. Look at the exceptions below.");
    }
    let receipts: i64 = devices().map(|device| device.total.receipts).sum();
    format!("{receipts} receipts held. Every signed total agrees.")
}

fn store_texts(view: &StoreView) -> StoreTexts {
    let devices = view.devices.iter().map(|device| device_texts(device, view.store.currency));
    StoreTexts { number: view.store.id, name: view.store.name.clone(), devices: devices.collect() }
}

fn device_texts(view: &DeviceView, currency: Currency) -> DeviceTexts {
    let total = &view.total;
    let heard = match view.heard_ms {
        _ if view.replaced => "replaced".to_string(),
        Some(ms) => format!("{} ago", age(ms)),
        None => "never".to_string(),
    };
    let (signed, difference) = match total.gross_signed() {
        Some(signed) => (currency.show(signed), amount(total.difference().0)),
        None => ("nothing yet".to_string(), String::new()),
    };
    let differs = total.differs();
    let verdict = match (differs, total.signed.is_some()) {
        (true, _) => "differs",
        (false, true) => "agrees",
        (false, false) => "waits",
    };
    let difference = if total.difference() == Money::ZERO { String::new() } else { difference };
    DeviceTexts {
        label: view.row.label.clone(),
        id: view.row.device.as_str().to_string(),
        role: view.row.role.as_str(),
        heard,
        receipts: total.receipts,
        gross: currency.show(total.gross),
        signed,
        difference,
        differs,
        verdict,
    }
}
