//! Products with their SKUs, in the order of their change

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::get;
use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::gtin::Gtin;
use serde::Serialize;
use utoipa::ToSchema;

use crate::page::Page;
use crate::rest::answers::{self, ApiError, ErrorBody, Freshness, Listing};
use crate::rest::cursors::{self, List};
use crate::rest::parameters::Parameters;

/// A product.
#[derive(Debug, Serialize, ToSchema)]
pub struct Product {
    /// Its number.
    pub product: String,
    /// Its name; absent when it is gone.
    pub name: Option<String>,
    /// Where it is found.
    pub department: Option<String>,
    /// One line of material and care.
    pub note: Option<String>,
    /// Whether it was taken out of the catalogue.
    pub gone: bool,
    /// Its sizes and colours.
    pub variants: Vec<Variant>,
}

/// A size and colour of a product.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variant {
    /// Our key.
    pub sku: String,
    /// Its size.
    pub size: Option<String>,
    /// Its colour.
    pub colour: Option<String>,
    /// How it is taxed.
    pub tax_class: i64,
    /// The trade numbers that are printed on it.
    pub gtins: Vec<String>,
}

/// Where this answers.
pub fn routes() -> Router<Page> {
    Router::new().route("/v1/products", get(list))
}

/// Products with their SKUs, in the order in which they changed last
///
/// A product that changes while you page comes again at the end. So a cursor that you kept gives what changed since.
#[utoipa::path(get, path = "/v1/products", tag = "stock", params(
    ("limit" = Option<u32>, Query, description = "Rows of this answer, 1 to 5000; 500 if left out"),
    ("cursor" = Option<String>, Query, description = "`next_cursor` of the answer before"),
    ("changed_since" = Option<String>, Query, description = "A cursor of an earlier answer"),
), responses((status = 200, body = Listing<Product>), (status = 400, body = ErrorBody), (status = 401, body = ErrorBody)))]
pub async fn list(
    State(page): State<Page>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Parameters::of(&uri, &["limit", "cursor", "changed_since"])?;
    let (limit, [after, _]) = (asked.limit()?, asked.place(List::Products)?);
    let found = page
        .answer(move |hq, db| {
            let now = hq.look(db)?.now;
            let mut changes = changes(db, after, limit + 1)?;
            let more = changes.len() > limit;
            changes.truncate(limit);
            let last = changes.last().map_or(after, |(change, _)| *change);
            let rows = changes.into_iter().map(|(_, product)| read(db, product));
            let rows = rows.collect::<rusqlite::Result<Vec<Product>>>()?;
            // Head office writes the catalogue itself: no store can make it stale.
            let of = Freshness::of(std::iter::empty(), now);
            Ok(of.list(rows, cursors::text(List::Products, [last, 0]), more))
        })
        .await?;
    Ok(answers::tagged(&headers, &found))
}

fn changes(db: &Connection, after: i64, limit: usize) -> rusqlite::Result<Vec<(i64, i64)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    db.prepare_cached(
        "SELECT change, product FROM catalogue_change WHERE change > ?1 ORDER BY change LIMIT ?2",
    )?
    .query_map((after, limit), |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

fn read(db: &Connection, id: i64) -> rusqlite::Result<Product> {
    type Named = (String, Option<String>, Option<String>);
    let named: Option<Named> = db
        .prepare_cached("SELECT name, department, note FROM product WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let gone = named.is_none();
    let (name, department, note) =
        named.map_or((None, None, None), |(name, department, note)| (Some(name), department, note));
    Ok(Product {
        product: id.to_string(),
        name,
        department,
        note,
        gone,
        variants: variants(db, id)?,
    })
}

fn variants(db: &Connection, product: i64) -> rusqlite::Result<Vec<Variant>> {
    let mut found = db.prepare_cached(
        "SELECT sku, size, colour, tax_class FROM variant WHERE product = ?1 ORDER BY sku",
    )?;
    let found = found.query_map([product], |row| {
        let sku: i64 = row.get(0)?;
        Ok(Variant {
            sku: sku.to_string(),
            size: row.get(1)?,
            colour: row.get(2)?,
            tax_class: row.get(3)?,
            gtins: gtins(db, sku)?,
        })
    })?;
    found.collect()
}

fn gtins(db: &Connection, sku: i64) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached("SELECT gtin FROM gtin WHERE sku = ?1 ORDER BY gtin")?
        .query_map([sku], |row| Ok(row.get::<_, Gtin>(0)?.to_string()))?
        .collect()
}
