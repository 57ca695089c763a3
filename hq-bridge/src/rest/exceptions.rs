//! What a person should look at, as HQ heard of it

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::moment::Moment;
use serde::Serialize;
use utoipa::ToSchema;

use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List};
use crate::rest::parameters::{Parameters, Since};
use crate::times::time;

/// Something a person should look at. Never a reason to refuse a sale.
#[derive(Debug, Serialize, ToSchema)]
pub struct Exception {
    /// Its id in the whole chain.
    pub id: String,
    /// The store.
    pub store: String,
    /// What it is, such as `oversold` or `totals differ`.
    pub kind: String,
    /// When it was noticed, by the clock of who noticed it.
    pub at: Option<String>,
    /// The receipt it is about.
    pub receipt: Option<String>,
    /// The SKU it is about.
    pub sku: Option<String>,
    /// A quantity, or an amount in minor units, by kind.
    pub amount: Option<i64>,
    /// A remark.
    pub note: Option<String>,
    /// Whether nobody has looked at it yet.
    pub open: bool,
    /// When somebody had looked at it, by the store's clock.
    pub done_at: Option<String>,
    /// The employee who had.
    pub done_by: Option<String>,
}

/// Where this answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/exceptions", get(list))
}

/// Exceptions in the order in which head office heard of them
///
/// One that is done comes again at the end of the list, with `open` false.
#[utoipa::path(get, path = "/v1/exceptions", tag = "proof", params(
    ("store" = Option<Vec<String>>, Query, description = "Only of these stores; may be repeated"),
    ("open" = Option<String>, Query, description = "`yes`: only those that nobody has looked at; `no`: only the others"),
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
    ("changed_since" = Option<String>, Query, description = "A cursor, or a moment of head office's clock (RFC 3339) from which on"),
), responses((status = 200, body = Listing<Exception>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody), (status = 403, body = ErrorBody)))]
pub async fn list(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Parameters::of(&uri, &["store", "open", "limit", "cursor", "changed_since"])?;
    let (stores, limit) = (asked.numbers("store")?, asked.limit()?);
    let open = asked.word("open", &["yes", "no"])?.map(|word| word == "yes");
    let since = asked.since(List::Exceptions)?;
    let found = page
        .answer(move |hq, db| {
            let look = hq.look(db)?;
            let after = match since {
                Since::Place([change, _]) => change,
                Since::Moment(at) => before(db, at)?,
            };
            let mut rows = changed(db, after, limit + 1, |row| {
                (stores.is_empty() || stores.iter().any(|store| row.store == store.to_string()))
                    && open.is_none_or(|open| row.open == open)
            })?;
            let more = rows.len() > limit;
            rows.truncate(limit);
            let place = rows.last().map_or(after, |(change, _)| *change);
            let rows = rows.into_iter().map(|(_, row)| row).collect();
            let of =
                look.stores.values().filter(|one| stores.is_empty() || stores.contains(&one.store));
            let next = cursors::text(List::Exceptions, [place, 0]);
            Ok(Freshness::of(of, look.now).list(rows, next, more))
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

fn before(db: &Connection, at: Moment) -> rusqlite::Result<i64> {
    let first: Option<i64> = db
        .prepare_cached(
            "SELECT change FROM hq_exception_change WHERE at >= ?1 ORDER BY at, change LIMIT 1",
        )?
        .query_row([at], |row| row.get(0))
        .optional()?;
    let newest = "SELECT coalesce(max(change), 0) FROM hq_exception_change";
    first.map_or_else(
        || db.prepare_cached(newest)?.query_row([], |row| row.get(0)),
        |first| Ok(first - 1),
    )
}

/// The next exceptions after a place, each at its newest change only.
fn changed(
    db: &Connection,
    after: i64,
    limit: usize,
    wanted: impl Fn(&Exception) -> bool,
) -> rusqlite::Result<Vec<(i64, Exception)>> {
    let mut found = db.prepare_cached(
        "SELECT c.change, e.id, e.store, e.kind, e.at, e.receipt, e.sku, e.amount, e.note,
                d.exception IS NULL, d.at, d.employee
         FROM hq_exception_change c
         JOIN exception e ON e.id = c.exception
         LEFT JOIN exception_done d ON d.exception = e.id AND d.store = e.store
         WHERE c.change > ?1
           AND NOT EXISTS (SELECT 1 FROM hq_exception_change l WHERE l.exception = c.exception AND l.change > c.change)
         ORDER BY c.change",
    )?;
    let text = |id: Option<i64>| id.map(|id| id.to_string());
    let mut rows = Vec::new();
    let mut found = found.query([after])?;
    while let Some(row) = found.next()? {
        let exception = Exception {
            id: row.get::<_, i64>(1)?.to_string(),
            store: row.get::<_, i64>(2)?.to_string(),
            kind: row.get(3)?,
            at: time(row.get(4)?),
            receipt: text(row.get(5)?),
            sku: text(row.get(6)?),
            amount: row.get(7)?,
            note: row.get(8)?,
            open: row.get(9)?,
            done_at: row.get::<_, Option<Moment>>(10)?.and_then(time),
            done_by: text(row.get(11)?),
        };
        if wanted(&exception) {
            rows.push((row.get(0)?, exception));
        }
        if rows.len() >= limit {
            break;
        }
    }
    Ok(rows)
}
