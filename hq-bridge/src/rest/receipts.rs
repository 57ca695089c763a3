//! Receipts in the order in which they came to HQ

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OptionalExtension, Row};
use selvedge_domain::moment::Moment;
use selvedge_domain::receipts::{self, Kind};
use selvedge_domain::tenders::TenderKind;
use selvedge_sync::allow_list;
use serde::Serialize;
use utoipa::ToSchema;

use crate::database::DatabaseError;
use crate::derived;
use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List};
use crate::rest::parameters::{Parameters, Since, number};
use crate::times::time;

/// Bits of a row id that count the rows of one device.
const COUNTER_BITS: u32 = 40;

/// A finished sale or return, or a void of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    /// Its id in the whole chain.
    pub id: String,
    /// The printed number, such as `T2b-000001`.
    pub number: String,
    /// `sale`, `return` or `void`.
    pub kind: &'static str,
    /// The store.
    pub store: String,
    /// The device that wrote it.
    pub device: String,
    /// The employee who rang it up.
    pub cashier: String,
    /// The customer, where known.
    pub customer: Option<String>,
    /// The receipt that a return takes back or a void reverses.
    pub of: Option<String>,
    /// When, by the device's clock.
    pub at: Option<String>,
    /// When it came to head office, by its clock.
    pub received_at: Option<String>,
    /// What it was paid in.
    pub currency: String,
    /// What was paid, in minor units of the currency; negative for what was given back.
    pub total_minor: i64,
    /// The tax in it, in minor units.
    pub tax_minor: i64,
    /// Its lines, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<ReceiptLine>>,
    /// Its tenders, where lines were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenders: Option<Vec<ReceiptTender>>,
}

/// One position of a receipt.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptLine {
    /// Its place.
    pub no: i64,
    /// What.
    pub sku: String,
    /// How many; negative for goods that came back.
    pub quantity: i64,
    /// What one cost, in minor units.
    pub unit_minor: i64,
    /// What was taken off, in minor units; negative where a return takes it back.
    pub discount_minor: i64,
    /// What the line came to, in minor units.
    pub amount_minor: i64,
    /// How it is taxed.
    pub tax_class: i64,
}

/// One means of payment.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiptTender {
    /// Its place.
    pub no: i64,
    /// `cash`, `card`, `voucher` or `other`.
    pub kind: &'static str,
    /// What it pays of the total, in minor units.
    pub amount_minor: i64,
    /// What was handed over, in minor units.
    pub given_minor: i64,
}

/// Where these answer.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/receipts", get(list)).route("/v1/receipts/{id}", get(one))
}

/// Receipts in the order in which they came to head office
///
/// A receipt that arrives while you page comes later in the list: none is skipped and none comes twice.
#[utoipa::path(get, path = "/v1/receipts", tag = "facts", params(
    ("store" = Option<Vec<String>>, Query, description = "Only of these stores; may be repeated"),
    ("include" = Option<String>, Query, description = "`lines`: with lines and tenders"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
    ("changed_since" = Option<String>, Query, description = "A cursor, or a moment of head office's clock (RFC 3339) from which on"),
), responses((status = 200, body = Listing<Receipt>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub async fn list(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let known = ["store", "include", "limit", "cursor", "changed_since"];
    let asked = Parameters::of(&uri, &known)?;
    let (stores, limit) = (asked.numbers("store")?, asked.limit()?);
    let with_lines = asked.word("include", &["lines"])?.is_some();
    let since = asked.since(List::Receipts)?;
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let mut arrivals = arrivals(db, since, &stores, limit + 1)?;
            let more = arrivals.len() > limit;
            arrivals.truncate(limit);
            let place = match (arrivals.last(), since) {
                (Some(last), _) => [last.0, 0],
                (None, Since::Place(place)) => place,
                (None, Since::Moment(_)) => [derived::upto(db)?, 0],
            };
            let mut rows = Vec::with_capacity(arrivals.len());
            for (_, receipt, received_at) in arrivals {
                rows.extend(read(db, &look.rows, receipt, received_at, with_lines)?);
            }
            let of =
                look.stores.values().filter(|one| stores.is_empty() || stores.contains(&one.store));
            let next = cursors::text(List::Receipts, place);
            Ok(Freshness::of(of, look.now).list(rows, next, more))
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

/// One receipt with its lines and tenders
#[utoipa::path(get, path = "/v1/receipts/{id}", tag = "facts", params(
    ("id" = String, Path, description = "The receipt's id"),
), responses((status = 200, body = Receipt), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub async fn one(
    State(page): State<Page>,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    Parameters::of(&uri, &[])?;
    let missing = || ApiError::not_found("head office has no such receipt, or not yet".to_string());
    let id = number(&id).ok_or_else(missing)?;
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let received: Option<i64> = db
                .prepare_cached(
                    "SELECT a.at FROM hq_arrival_of_receipt r
                     JOIN hq_receipt_arrival a ON a.arrival = r.arrival WHERE r.receipt = ?1",
                )?
                .query_row([id], |row| row.get(0))
                .optional()?;
            match received {
                Some(received_at) => read(db, &look.rows, id, received_at, true),
                None => Ok(None),
            }
        })
        .await?;
    found.map(|receipt| answers::json(&receipt)).ok_or_else(missing)
}

/// Place, receipt and moment of arrival.
type Arrival = (i64, i64, i64);

/// The next receipts to come after a place, of these stores or of all.
fn arrivals(
    db: &Connection,
    since: Since,
    stores: &[i64],
    limit: usize,
) -> rusqlite::Result<Vec<Arrival>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = match since {
        Since::Place([arrival, _]) => arrival,
        Since::Moment(at) => before(db, at)?,
    };
    let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    if stores.is_empty() {
        let mut all = db.prepare_cached(
            "SELECT arrival, receipt, at FROM hq_receipt_arrival
             WHERE arrival > ?1 AND arrival <= ?2 ORDER BY arrival LIMIT ?3",
        )?;
        return all.query_map((after, derived::upto(db)?, limit), read)?.collect();
    }
    let mut of_store = db.prepare_cached(
        "SELECT a.arrival, a.receipt, a.at FROM hq_arrival_of_store s
         JOIN hq_receipt_arrival a ON a.arrival = s.arrival
         WHERE s.store = ?1 AND s.arrival > ?2 ORDER BY s.arrival LIMIT ?3",
    )?;
    let mut found: Vec<Arrival> = Vec::new();
    for store in stores {
        for arrival in of_store.query_map((store, after, limit), read)? {
            found.push(arrival?);
        }
    }
    found.sort_unstable();
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The place before the first receipt that came at this moment or later. The moments only rise, so halves do.
fn before(db: &Connection, at: Moment) -> rusqlite::Result<i64> {
    let mut came = db.prepare_cached(
        "SELECT arrival, at < ?2 FROM hq_receipt_arrival WHERE arrival <= ?1 ORDER BY arrival DESC LIMIT 1",
    )?;
    let (mut earlier, mut last) = (0, derived::upto(db)?);
    while earlier < last {
        let middle = earlier + (last - earlier + 1) / 2;
        let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?));
        match came.query_row((middle, at), read).optional()? {
            Some((arrival, false)) if arrival > earlier => last = arrival - 1,
            // It came earlier, or nothing came in between.
            _ => earlier = middle,
        }
    }
    Ok(earlier)
}

/// One receipt as it leaves the house. What a device wrote is shown as it is, were it never so odd.
fn read(
    db: &Connection,
    devices: &[allow_list::Row],
    id: i64,
    received_at: i64,
    with_lines: bool,
) -> Result<Option<Receipt>, DatabaseError> {
    let origin = id >> COUNTER_BITS;
    let device = devices.iter().find(|row| i64::from(row.origin.get()) == origin);
    let label = device.map_or("", |row| row.label.as_str());
    let mut found = db.prepare_cached(
        "SELECT no, kind, r.store, cashier, customer, of, at, coalesce(r.currency, s.currency, ''),
                total_minor, tax_minor
         FROM receipt r LEFT JOIN store s ON s.id = r.store WHERE r.id = ?1",
    )?;
    let text = |id: Option<i64>| id.map(|id| id.to_string());
    let receipt = found.query_row([id], |row| {
        Ok(Receipt {
            id: id.to_string(),
            number: receipts::number(label, row.get(0)?),
            kind: Kind::from_number(row.get(1)?).as_str(),
            store: row.get::<_, i64>(2)?.to_string(),
            device: device.map_or(String::new(), |row| row.device.as_str().to_string()),
            cashier: row.get::<_, i64>(3)?.to_string(),
            customer: text(row.get(4)?),
            of: text(row.get(5)?),
            at: time(row.get(6)?),
            received_at: time(Moment(received_at)),
            currency: row.get(7)?,
            total_minor: row.get(8)?,
            tax_minor: row.get(9)?,
            lines: None,
            tenders: None,
        })
    });
    let Some(mut receipt) = receipt.optional()? else { return Ok(None) };
    if with_lines {
        receipt.lines = Some(lines(db, id)?);
        receipt.tenders = Some(tenders(db, id)?);
    }
    Ok(Some(receipt))
}

fn lines(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<ReceiptLine>> {
    let lines = receipts::lines(db, receipt)?.into_iter().map(|line| ReceiptLine {
        no: line.no,
        sku: line.sku.to_string(),
        quantity: line.quantity,
        unit_minor: line.unit.0,
        discount_minor: line.discount.0,
        amount_minor: line.amount().0,
        tax_class: line.tax_class,
    });
    Ok(lines.collect())
}

fn tenders(db: &Connection, receipt: i64) -> rusqlite::Result<Vec<ReceiptTender>> {
    let tenders = receipts::tenders(db, receipt)?.into_iter().map(|tender| ReceiptTender {
        no: tender.no,
        kind: TenderKind::from_number(tender.kind).map_or("other", TenderKind::as_str),
        amount_minor: tender.amount.0,
        given_minor: tender.given.0,
    });
    Ok(tenders.collect())
}
