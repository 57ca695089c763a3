//! The back office: its devices, their age, what waits

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::receipts;
use selvedge_sync::allow_list::Row;

use crate::amounts::{age, counted, moment, sentence};
use crate::database::Reader;
use crate::page::{self, Frame, Page, PageError, Shared, Wants};
use crate::standing::{self, Marks, Stitch};

/// How many stitches one device shows.
const STITCHES_SHOWN: usize = 40;

/// Where this screen answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/", get(show))
}

#[derive(Template)]
#[template(path = "store.html")]
struct StorePage {
    frame: Frame,
    store: StoreView,
}

#[derive(Template)]
#[template(path = "devices.html")]
struct Devices {
    store: StoreView,
}

struct StoreView {
    title: String,
    reason: String,
    facts: Vec<Fact>,
    devices: Vec<DeviceView>,
}

struct Fact {
    figure: String,
    words: &'static str,
}

struct DeviceView {
    label: String,
    name: String,
    heard: String,
    newest: String,
    stitches: Vec<Stitch>,
    words: String,
}

async fn show(State(page): State<Page>, wants: Wants) -> Response {
    page.run(move |shared, db| {
        let store = view(shared, db)?;
        match wants {
            Wants::Parts => page::html(StatusCode::OK, &Devices { store }),
            Wants::Page => {
                let frame = shared.frame(db, "store", None)?;
                page::html(StatusCode::OK, &StorePage { frame, store })
            }
        }
    })
    .await
}

/// The part that an EventSource carries; it is its own word for a change.
pub fn news(shared: &Shared, db: &Reader) -> Result<(String, String), PageError> {
    let part = Devices { store: view(shared, db)? }.render()?;
    Ok((part.clone(), part))
}

fn view(shared: &Shared, db: &Reader) -> Result<StoreView, PageError> {
    let status = shared.database.status();
    let waits = shared.database.not_at_hq(db)?;
    let heard = status.parent_heard_ms.map_or_else(|| "not yet".to_owned(), age);
    let reason = match (waits, status.parent_up) {
        (0, _) => "Everything that this store has written is at head office.".to_owned(),
        (_, true) => format!("{} on the way to head office.", counted(waits, "entry", "entries")),
        (_, false) => sentence(&format!("to head office: {}", status.reason)),
    };
    let mut devices = Vec::new();
    for row in shared.database.devices(db) {
        devices.push(device(shared, db, &row)?);
    }
    let up = devices.iter().filter(|device| device.heard != "not yet").count();
    Ok(StoreView {
        title: shared.store_data(db)?.map_or_else(|| "Back office".to_owned(), |store| store.name),
        reason,
        facts: vec![
            Fact { figure: heard, words: "head office last heard" },
            Fact { figure: waits.to_string(), words: "entries of this store wait" },
            Fact { figure: up.to_string(), words: "devices heard" },
            Fact { figure: status.parked.to_string(), words: "entries parked" },
        ],
        devices,
    })
}

fn device(shared: &Shared, db: &Reader, row: &Row) -> Result<DeviceView, PageError> {
    let status = shared.database.status();
    let acts = shared.database.acts(db, row.origin)?;
    let has = status.vector.iter().filter(|place| place.1 == row.origin).map(|place| place.2);
    let head = has.max().unwrap_or(0);
    // What is here is with the back office; what HQ has of others it does not say yet.
    let marks = Marks { head, parent_has: head, hq_has: shared.database.hq_has(db, row.origin)? };
    let band = standing::band(&acts, marks, STITCHES_SHOWN);
    let newest = shared.database.newest_receipt(db, row.origin)?.map(|receipt| {
        let at = moment(receipt.at.0, shared.now().0, shared.config.time_zone);
        format!("{} · {at}", receipts::number(&row.label, receipt.no))
    });
    let heard =
        status.children.iter().find(|child| child.0 == row.device).and_then(|child| child.1);
    Ok(DeviceView {
        label: row.label.clone(),
        name: row.device.as_str().to_owned(),
        heard: heard.map_or_else(|| "not yet".to_owned(), age),
        newest: newest.unwrap_or_else(|| "none yet".to_owned()),
        stitches: band.stitches,
        words: band.words,
    })
}
