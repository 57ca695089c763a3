//! Devices, and what HQ holds of each against what it signed

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use selvedge_sync::allow_list::Row;
use selvedge_sync::origin::Role;
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::DatabaseError;
use crate::freshness::Look;
use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List, Place};
use crate::rest::parameters::Parameters;
use crate::sums;
use crate::times::time;
use crate::trouble::Troubles;

/// One incarnation of one device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// The number under which it writes.
    pub origin: String,
    /// Its name.
    pub device: String,
    /// Its store.
    pub store: String,
    /// `pos` or `back-office`.
    pub role: String,
    /// Checkout code and series letter, as on its receipts.
    pub label: String,
    /// `active`, `suspended`, `closed` or `revoked`.
    pub state: String,
    /// Whether it writes as it should: `ok`, `forked` (two machines have written under its origin, or an old copy was put
    /// back), `unconfirmed` (it goes on under a spare origin that head office has not confirmed), `ended`.
    pub writer: String,
    /// To whom it reports, as head office has signed it; empty: to the back office of its store.
    pub parents: Vec<String>,
    /// Its public key in hex.
    pub key: String,
    /// How many of its receipts are here.
    pub receipts: i64,
    /// What these come to, in minor units of its store's currency.
    pub gross_minor: i64,
}

/// What head office holds of a device against what the device signed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ControlTotal {
    /// The number under which it writes.
    pub origin: String,
    /// Its name.
    pub device: String,
    /// Its store.
    pub store: String,
    /// Checkout code and series letter.
    pub label: String,
    /// Whether it has signed a sum and head office has compared it.
    pub checked: bool,
    /// When head office added its receipts up last, by its own clock.
    pub checked_at: Option<String>,
    /// Number of the last receipt in the signed sum.
    pub signed_to: Option<String>,
    /// What the device signed, in minor units.
    pub gross_signed_minor: Option<i64>,
    /// What its receipts up to there come to here, in minor units.
    pub gross_held_minor: Option<i64>,
    /// Held less signed, in minor units.
    pub difference_minor: i64,
    /// Whether sums, taxes or counts differ.
    pub differs: bool,
    /// What differs, as a sentence.
    pub finding: Option<String>,
}

/// Where these answer.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/devices", get(list)).route("/v1/control-totals", get(totals))
}

/// Every device that was ever admitted, by origin
#[utoipa::path(get, path = "/v1/devices", tag = "proof", params(
    ("store" = Option<Vec<String>>, Query, description = "Only of these stores; may be repeated"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
), responses((status = 200, body = Listing<Device>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub async fn list(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&uri)?;
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let (sums, troubles) = (sums::ever(db)?, Troubles::read(db)?);
            asked.list(&look, |row| {
                let sum = sums.get(&row.origin.get()).copied().unwrap_or_default();
                Device {
                    origin: row.origin.get().to_string(),
                    device: row.device.as_str().to_string(),
                    store: row.store.to_string(),
                    role: row.role.as_str().to_string(),
                    label: row.label.clone(),
                    state: row.state.as_str().to_string(),
                    writer: troubles.of(row).as_str().to_string(),
                    parents: row.parents.iter().map(ToString::to_string).collect(),
                    key: hex::encode(row.key),
                    receipts: sum.receipts,
                    gross_minor: sum.gross().0,
                }
            })
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

/// What head office holds of each device against what the device signed, as it was compared last
///
/// Head office adds up the receipts themselves: when a device has signed anew at most 10 seconds later, and all of them
/// every 10 minutes. `hq-bridge totals` does it now.
#[utoipa::path(get, path = "/v1/control-totals", tag = "proof", params(
    ("store" = Option<Vec<String>>, Query, description = "Only of these stores; may be repeated"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
), responses((status = 200, body = Listing<ControlTotal>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub async fn totals(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::of(&uri)?;
    let found = page
        .answer(move |hq, db| {
            let (look, checked) = (hq.look(db)?, hq.checked());
            asked.list(&look, |row| {
                let found = checked.get(&row.origin.get());
                let total = found.map(|(_, total)| total);
                let signed = total.and_then(|total| total.signed);
                ControlTotal {
                    origin: row.origin.get().to_string(),
                    device: row.device.as_str().to_string(),
                    store: row.store.to_string(),
                    label: row.label.clone(),
                    checked: signed.is_some(),
                    checked_at: found.and_then(|(at, _)| time(*at)),
                    signed_to: signed.map(|signed| signed.totals.last_no.to_string()),
                    gross_signed_minor: total.and_then(|total| Some(total.gross_signed()?.0)),
                    gross_held_minor: signed.and(total).map(|total| total.gross_held().0),
                    difference_minor: total.map_or(0, |total| total.difference().0),
                    differs: total.is_some_and(|total| total.differs()),
                    finding: total.and_then(|total| total.finding()),
                }
            })
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

/// Which devices are asked for.
struct Asked {
    stores: Vec<i64>,
    limit: usize,
    place: Place,
}

impl Asked {
    fn of(uri: &Uri) -> Result<Asked, ApiError> {
        let asked = Parameters::of(uri, &["store", "limit", "cursor"])?;
        let place = asked.place(List::Devices)?;
        Ok(Asked { stores: asked.numbers("store")?, limit: asked.limit()?, place })
    }

    /// A row for each device, in the order in which they were admitted: origins only rise.
    fn list<T>(&self, look: &Look, of: impl Fn(&Row) -> T) -> Result<Listing<T>, DatabaseError> {
        let wanted = |store: i64| self.stores.is_empty() || self.stores.contains(&store);
        let mut rows: Vec<&Row> = (look.rows.iter())
            .filter(|row| row.role != Role::Hq && wanted(i64::from(row.store)))
            .filter(|row| i64::from(row.origin.get()) > self.place[0])
            .collect();
        rows.sort_by_key(|row| row.origin);
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let last = rows.last().map_or(self.place[0], |row| i64::from(row.origin.get()));
        let stores = look.stores.values().filter(|store| wanted(store.store));
        let next = cursors::text(List::Devices, [last, 0]);
        Ok(Freshness::of(stores, look.now).list(rows.into_iter().map(of).collect(), next, more))
    }
}
