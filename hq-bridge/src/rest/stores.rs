//! Stores, and how fresh HQ is about each

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use selvedge_domain::catalogue::{self, ShelfPrices};
use serde::Serialize;
use utoipa::ToSchema;

use crate::freshness::{self, StoreFreshness};
use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List};
use crate::rest::parameters::Parameters;
use crate::times::time;

/// A branch of the chain.
#[derive(Debug, Serialize, ToSchema)]
pub struct Store {
    /// Its number.
    pub store: String,
    /// Its name.
    pub name: String,
    /// What its customers pay in.
    pub currency: String,
    /// Whether its prices contain the tax.
    pub tax_included: bool,
    /// Seconds from which age on its figures are stale.
    pub stale_after_s: i64,
}

/// How fresh one store is: as its oldest device that sells.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoreFreshnessRow {
    /// The store.
    pub store: String,
    /// Whether head office has such a store.
    pub known: bool,
    /// Whether its age is within its limit.
    pub synced: bool,
    /// Why it is not, as a sentence; empty when it is.
    pub reason: String,
    /// Seconds since its oldest device was heard, added up hop by hop; absent when one was not heard since head office
    /// started.
    pub age_s: Option<i64>,
    /// Seconds from which age on it is stale.
    pub stale_after_s: i64,
    /// Up to when head office knows all of its devices, by its own clock; absent when it never did.
    pub last_synced: Option<String>,
    /// Its devices.
    pub devices: Vec<DeviceFreshnessRow>,
}

/// How fresh one device is.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeviceFreshnessRow {
    /// The device.
    pub device: String,
    /// Checkout code and series letter.
    pub label: String,
    /// `pos` or `back-office`.
    pub role: String,
    /// Whether its age counts for the store: that of a pos does, and that of a back office where there is no pos.
    pub counts: bool,
    /// Whether its age is within the limit of its store.
    pub synced: bool,
    /// Seconds since it was heard; absent when it was not since head office started.
    pub age_s: Option<i64>,
    /// Up to when head office knows all that it wrote, by its own clock.
    pub last_synced: Option<String>,
    /// Entries that are known to be at the store and not here.
    pub missing_entries: u64,
}

/// Where these answer.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/stores", get(list)).route("/v1/freshness", get(fresh))
}

/// The stores, by number
#[utoipa::path(get, path = "/v1/stores", tag = "stock", params(
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
), responses((status = 200, body = Listing<Store>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn list(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Parameters::of(&uri, &["limit", "cursor"])?;
    let (limit, [after, _]) = (asked.limit()?, asked.place(List::Stores)?);
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let stores = catalogue::stores(db)?.into_iter().filter(|store| store.id > after);
            let mut stores: Vec<catalogue::Store> = stores.take(limit + 1).collect();
            let more = stores.len() > limit;
            stores.truncate(limit);
            let last = stores.last().map_or(after, |store| store.id);
            let fresh = |id: i64| look.stores.get(&id);
            let of = Freshness::of(stores.iter().filter_map(|store| fresh(store.id)), look.now);
            let rows = stores.into_iter().map(|store| Store {
                store: store.id.to_string(),
                currency: store.currency.code().to_string(),
                tax_included: store.shelf_prices == ShelfPrices::TaxIncluded,
                stale_after_s: fresh(store.id).map_or(0, |fresh| fresh.stale_after_ms / 1_000),
                name: store.name,
            });
            Ok(of.list(rows.collect(), cursors::text(List::Stores, [last, 0]), more))
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

/// How old head office's knowledge of each store is
///
/// An age is added up from hop to hop; no two clocks are compared. A store that does not exist is told apart by `known`.
#[utoipa::path(get, path = "/v1/freshness", tag = "stock", params(
    ("store" = Option<Vec<String>>, Query, description = "Only these stores; may be repeated"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
), responses((status = 200, body = Listing<StoreFreshnessRow>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn fresh(State(page): State<Page>, uri: Uri) -> Result<Response, ApiError> {
    let asked = Parameters::of(&uri, &["store", "limit", "cursor"])?;
    let (mut wanted, limit) = (asked.numbers("store")?, asked.limit()?);
    let [after, _] = asked.place(List::Stores)?;
    wanted.sort_unstable();
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let all: Vec<StoreFreshness> = if wanted.is_empty() {
                look.stores.into_values().collect()
            } else {
                let one =
                    |id: &i64| look.stores.get(id).cloned().unwrap_or(freshness::unknown(*id));
                wanted.iter().map(one).collect()
            };
            let mut all: Vec<StoreFreshness> =
                all.into_iter().filter(|store| store.store > after).take(limit + 1).collect();
            let more = all.len() > limit;
            all.truncate(limit);
            let last = all.last().map_or(after, |store| store.store);
            let of = Freshness::of(all.iter(), look.now);
            let next = cursors::text(List::Stores, [last, 0]);
            Ok(of.list(all.iter().map(row).collect(), next, more))
        })
        .await?;
    Ok(answers::json(&found))
}

fn row(store: &StoreFreshness) -> StoreFreshnessRow {
    let devices = store.devices.iter().map(|device| DeviceFreshnessRow {
        device: device.row.device.as_str().to_string(),
        label: device.row.label.clone(),
        role: device.row.role.as_str().to_string(),
        counts: device.counts,
        synced: device.synced,
        age_s: device.age_ms.map(|ms| ms / 1_000),
        last_synced: device.complete_at.and_then(time),
        missing_entries: device.missing,
    });
    StoreFreshnessRow {
        store: store.store.to_string(),
        known: store.known,
        synced: store.synced,
        reason: store.reason(),
        age_s: store.age_ms.map(|ms| ms / 1_000),
        stale_after_s: store.stale_after_ms / 1_000,
        last_synced: store.complete_at.and_then(time),
        devices: devices.collect(),
    }
}
