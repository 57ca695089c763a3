//! What each store has of each SKU, and how sure that is

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::moment::Moment;
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::DatabaseError;
use crate::freshness::{self, Look, StoreFreshness};
use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List, Place};
use crate::rest::parameters::Parameters;
use crate::times::time;

/// What one store has of one SKU.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockRow {
    /// The SKU.
    pub sku: String,
    /// The store.
    pub store: String,
    /// Deliveries and corrections less what was sold. 0 is sold out or never had; it may be below zero.
    pub on_hand: i64,
    /// The newest movement in it, by the device's clock; absent when nothing ever moved.
    pub last_updated: Option<String>,
    /// Up to when head office knows all that moved in this store, by its own clock.
    pub last_synced: Option<String>,
    /// Seconds since the newest beat of the store's oldest device that sells; absent when one was not heard.
    pub age_s: Option<i64>,
    /// Whether that is within the limit of the store.
    pub synced: bool,
}

/// Stock, and what is not known of what was asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct StockListing {
    /// The rows, and how fresh they are.
    #[serde(flatten)]
    pub listing: Listing<StockRow>,
    /// SKUs that were asked for and are in no catalogue. They have no rows.
    pub unknown_skus: Vec<String>,
    /// Stores that were asked for and that head office does not have. They have no rows.
    pub unknown_stores: Vec<String>,
}

/// Where this answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/stock", get(list))
}

/// What each store has of each SKU
///
/// With `sku`, there is a row for each of them and each store, 0 included: sold out is not unknown. Without, the list
/// holds what ever moved, in the order of its last change; a row that changes while you page comes again.
#[utoipa::path(get, path = "/v1/stock", tag = "stock", params(
    ("sku" = Option<Vec<String>>, Query, description = "Only these SKUs; may be repeated"),
    ("store" = Option<Vec<String>>, Query, description = "Only of these stores; may be repeated"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
    ("changed_since" = Option<String>, Query, description = "A cursor of an earlier answer to the same question"),
), responses((status = 200, body = StockListing), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub async fn list(State(page): State<Page>, uri: Uri) -> Result<Response, ApiError> {
    let known = ["sku", "store", "limit", "cursor", "changed_since"];
    let asked = Parameters::of(&uri, &known)?;
    let (mut skus, stores, limit) =
        (asked.numbers("sku")?, asked.numbers("store")?, asked.limit()?);
    skus.sort_unstable();
    let list = if skus.is_empty() { List::Stock } else { List::StockOfSkus };
    let place = asked.place(list)?;
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let unknown: Vec<StoreFreshness> = (stores.iter())
                .filter(|store| !look.stores.contains_key(store))
                .map(|store| freshness::unknown(*store))
                .collect();
            let mut rows = if skus.is_empty() {
                changed(db, &look, &stores, place, limit + 1)?
            } else {
                of_skus(db, &look, &skus, &stores, place, limit + 1)?
            };
            let more = rows.len() > limit;
            rows.truncate(limit);
            let place = rows.last().map_or(place, |(place, _)| *place);
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            let of = asked_stores(&look, &stores).chain(&unknown);
            let next = cursors::text(list, place);
            Ok(StockListing {
                listing: Freshness::of(of, look.now).list(rows, next, more),
                unknown_skus: unknown_skus(db, &skus)?,
                unknown_stores: unknown.iter().map(|store| store.store.to_string()).collect(),
            })
        })
        .await?;
    Ok(answers::json(&found))
}

fn asked_stores<'a>(look: &'a Look, stores: &'a [i64]) -> impl Iterator<Item = &'a StoreFreshness> {
    look.stores.values().filter(|store| stores.is_empty() || stores.contains(&store.store))
}

/// Balances in the order in which they changed last.
fn changed(
    db: &Connection,
    look: &Look,
    stores: &[i64],
    [after, _]: Place,
    limit: usize,
) -> Result<Vec<(Place, StockRow)>, DatabaseError> {
    let mut found = db.prepare_cached(
        "SELECT c.change, c.store, c.sku, b.on_hand, b.changed_at
         FROM hq_stock_change c JOIN stock_balance b ON b.store = c.store AND b.sku = c.sku
         WHERE c.change > ?1 ORDER BY c.change",
    )?;
    let mut rows = Vec::new();
    let mut found = found.query([after])?;
    while let Some(row) = found.next()? {
        let (store, sku) = (row.get(1)?, row.get(2)?);
        if stores.is_empty() || stores.contains(&store) {
            let balance = (row.get(3)?, Some(row.get(4)?));
            rows.push(([row.get(0)?, 0], stock_row(look, store, sku, balance)));
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}

/// A row for each of some SKUs and each store, by SKU and store.
fn of_skus(
    db: &Connection,
    look: &Look,
    skus: &[i64],
    stores: &[i64],
    after: Place,
    limit: usize,
) -> Result<Vec<(Place, StockRow)>, DatabaseError> {
    let mut balance = db.prepare_cached(
        "SELECT on_hand, changed_at FROM stock_balance WHERE store = ?1 AND sku = ?2",
    )?;
    let places = skus
        .iter()
        .flat_map(|sku| asked_stores(look, stores).map(move |store| [*sku, store.store]));
    let mut rows = Vec::new();
    for place in places.filter(|place| *place > after) {
        let [sku, store] = place;
        let found =
            balance.query_row((store, sku), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if found.is_none() && !is_sku(db, sku)? {
            continue;
        }
        rows.push((place, stock_row(look, store, sku, found.unwrap_or((0, None)))));
        if rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}

fn stock_row(look: &Look, store: i64, sku: i64, balance: (i64, Option<Moment>)) -> StockRow {
    let fresh = look.stores.get(&store);
    StockRow {
        sku: sku.to_string(),
        store: store.to_string(),
        on_hand: balance.0,
        last_updated: balance.1.and_then(time),
        last_synced: fresh.and_then(|store| store.complete_at).and_then(time),
        age_s: fresh.and_then(|store| store.age_ms).map(|ms| ms / 1_000),
        synced: fresh.is_some_and(|store| store.synced),
    }
}

fn unknown_skus(db: &Connection, skus: &[i64]) -> rusqlite::Result<Vec<String>> {
    let mut unknown = Vec::new();
    for sku in skus {
        if !is_sku(db, *sku)? {
            unknown.push(sku.to_string());
        }
    }
    Ok(unknown)
}

fn is_sku(db: &Connection, sku: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM variant WHERE sku = ?1")?.exists([sku])
}
