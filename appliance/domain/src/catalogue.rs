//! Products, variants, prices with a valid-from
//!
//! A price is never looked up "now": every question names its moment, so a
//! price that HQ sent last week begins at its minute on every device, with the
//! line up or down. A store's own price goes before the chain's.

use crate::gtin::{Gtin, GtinError};
use crate::moment::Moment;
use crate::money::{Currency, Money};
use rusqlite::{Connection, OptionalExtension, Row};

/// The highest price that is believed, in minor units.
pub const PRICE_MAX: Money = Money(1_000_000_000_000);

/// The whole, in basis points.
pub const WHOLE_BASIS_POINTS: i64 = 10_000;

/// Whether the prices on the shelf contain the tax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShelfPrices {
    /// As in Europe: the tax is a part of the price.
    TaxIncluded,
    /// As in the United States: the tax comes on top.
    TaxExcluded,
}

/// A branch of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What its customers pay in.
    pub currency: Currency,
    /// Whether its prices contain the tax.
    pub shelf_prices: ShelfPrices,
}

/// What a price tag says: one variant, in one store, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Our key.
    pub sku: i64,
    /// The product's name.
    pub name: String,
    /// The variant's size, if it has one.
    pub size: Option<String>,
    /// The variant's colour, if it has one.
    pub colour: Option<String>,
    /// How it is taxed.
    pub tax_class: i64,
    /// What one costs; `None` while it has no price here.
    pub price: Option<Money>,
    /// The currency of the price.
    pub currency: Currency,
    /// How many the store has; may be negative.
    pub on_hand: i64,
    /// Hundredths of a percent that the store itself takes off at this moment.
    pub store_points: i64,
}

impl Tag {
    /// "Oxford shirt, M, navy".
    pub fn label(&self) -> String {
        let parts = [Some(&self.name), self.size.as_ref(), self.colour.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    /// What one costs at this moment: the price less what the store takes off.
    pub fn price_now(&self) -> Option<Money> {
        let price = self.price?;
        let off = price.share(self.store_points, WHOLE_BASIS_POINTS);
        Some(off.and_then(|off| price.minus(off)).unwrap_or(price))
    }
}

/// Why a scan found nothing.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Neither a GTIN nor a SKU.
    #[error(transparent)]
    Unreadable(#[from] GtinError),
    /// A right GTIN that nothing here bears.
    #[error("nothing in this store's list bears {0}: find it by name, or ask for its SKU")]
    UnknownGtin(Gtin),
    /// A number that is no SKU of ours.
    #[error("there is no SKU {0} in this store's list")]
    UnknownSku(i64),
    /// The database could not be read.
    #[error("the catalogue could not be read")]
    Database(#[from] rusqlite::Error),
}

/// The newest price that has begun: the store's own, else the chain's.
macro_rules! price_sql {
    ($sku:literal, $currency:literal, $store:literal, $at:literal) => {
        concat!(
            "coalesce((SELECT unit_minor FROM price WHERE sku = ",
            $sku,
            " AND currency = ",
            $currency,
            " AND store = ",
            $store,
            " AND valid_from <= ",
            $at,
            " ORDER BY valid_from DESC LIMIT 1),",
            " (SELECT unit_minor FROM price WHERE sku = ",
            $sku,
            " AND currency = ",
            $currency,
            " AND store = 0 AND valid_from <= ",
            $at,
            " ORDER BY valid_from DESC LIMIT 1))"
        )
    };
}

/// What the store itself takes off a product now, in hundredths of a percent: the
/// best of its discounts that have begun and not ended.
macro_rules! store_points_sql {
    ($product:literal, $store:literal, $at:literal) => {
        concat!(
            "coalesce((SELECT max(discount_points) FROM store_discount WHERE store = ",
            $store,
            " AND product = ",
            $product,
            " AND valid_from <= ",
            $at,
            " AND valid_to > ",
            $at,
            "), 0)"
        )
    };
}

pub(crate) use price_sql;

/// Everything a tag says, for store ?1 at moment ?2.
macro_rules! tag_sql {
    ($rest:literal) => {
        concat!(
            "SELECT v.sku, coalesce(p.name, 'SKU ' || v.sku), v.size, v.colour, v.tax_class, ",
            price_sql!("v.sku", "s.currency", "s.id", "?2"),
            ", s.currency, coalesce(b.on_hand, 0), ",
            store_points_sql!("v.product", "?1", "?2"),
            " FROM variant v
             JOIN store s ON s.id = ?1
             LEFT JOIN product p ON p.id = v.product
             LEFT JOIN stock_balance b ON b.store = ?1 AND b.sku = v.sku ",
            $rest
        )
    };
}

/// What a sale needs to know of one SKU: its tax class, its price if it has one,
/// and what the store takes off it.
pub const TERMS_SQL: &str = concat!(
    "SELECT tax_class, ",
    price_sql!("?1", "?2", "?3", "?4"),
    ", ",
    store_points_sql!("variant.product", "?3", "?4"),
    " FROM variant WHERE sku = ?1"
);

/// One store.
pub fn store(db: &Connection, id: i64) -> rusqlite::Result<Option<Store>> {
    db.prepare_cached("SELECT id, name, currency, tax_included FROM store WHERE id = ?1")?
        .query_row([id], read_store)
        .optional()
}

/// How old a figure of a store may be before it is shown as stale, in milliseconds; 20 s for an
/// unknown store.
pub fn stale_after_ms(db: &Connection, store: i64) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT stale_after_ms FROM store WHERE id = ?1")?
        .query_row([store], |row| row.get(0))
        .optional()
        .map(|found| found.unwrap_or(20_000))
}

/// All stores, by number.
pub fn stores(db: &Connection) -> rusqlite::Result<Vec<Store>> {
    db.prepare_cached("SELECT id, name, currency, tax_included FROM store ORDER BY id")?
        .query_map([], read_store)?
        .collect()
}

fn read_store(row: &Row) -> rusqlite::Result<Store> {
    let included: bool = row.get(3)?;
    Ok(Store {
        id: row.get(0)?,
        name: row.get(1)?,
        currency: row.get(2)?,
        shelf_prices: if included { ShelfPrices::TaxIncluded } else { ShelfPrices::TaxExcluded },
    })
}

fn read_tag(row: &Row) -> rusqlite::Result<Tag> {
    Ok(Tag {
        sku: row.get(0)?,
        name: row.get(1)?,
        size: row.get(2)?,
        colour: row.get(3)?,
        tax_class: row.get(4)?,
        price: row.get(5)?,
        currency: row.get(6)?,
        on_hand: row.get(7)?,
        store_points: row.get(8)?,
    })
}

/// The tag of a SKU.
pub fn by_sku(db: &Connection, store: i64, sku: i64, at: Moment) -> rusqlite::Result<Option<Tag>> {
    db.prepare_cached(tag_sql!("WHERE v.sku = ?3"))?
        .query_row((store, at, sku), read_tag)
        .optional()
}

/// The product of a SKU.
pub fn product_of(db: &Connection, sku: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT product FROM variant WHERE sku = ?1")?
        .query_row([sku], |row| row.get(0))
        .optional()
}

/// The tag of what bears a GTIN.
pub fn by_gtin(
    db: &Connection,
    store: i64,
    gtin: Gtin,
    at: Moment,
) -> rusqlite::Result<Option<Tag>> {
    db.prepare_cached(tag_sql!("WHERE v.sku = (SELECT sku FROM gtin WHERE gtin = ?3)"))?
        .query_row((store, at, gtin), read_tag)
        .optional()
}

/// What the scanner sent or somebody typed: a GTIN, or a SKU of up to 7 digits.
pub fn scan(db: &Connection, store: i64, code: &str, at: Moment) -> Result<Tag, ScanError> {
    let code = code.trim();
    let short = (1..=7).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit());
    if short && let Ok(sku) = code.parse() {
        return by_sku(db, store, sku, at)?.ok_or(ScanError::UnknownSku(sku));
    }
    let gtin = Gtin::parse(code)?;
    by_gtin(db, store, gtin, at)?.ok_or(ScanError::UnknownGtin(gtin))
}

/// The tags of a product: its sizes and colours, in the order of their SKUs.
pub fn by_product(
    db: &Connection,
    store: i64,
    product: i64,
    at: Moment,
) -> rusqlite::Result<Vec<Tag>> {
    db.prepare_cached(tag_sql!("WHERE v.product = ?3 ORDER BY v.sku"))?
        .query_map((store, at, product), read_tag)?
        .collect()
}

/// The products whose name holds the text, their variants together.
pub fn find(
    db: &Connection,
    store: i64,
    text: &str,
    at: Moment,
    limit: u32,
) -> rusqlite::Result<Vec<Tag>> {
    db.prepare_cached(tag_sql!(
        "WHERE instr(lower(p.name), lower(?3)) > 0 ORDER BY p.name, v.sku LIMIT ?4"
    ))?
    .query_map((store, at, text.trim(), limit), read_tag)?
    .collect()
}

/// The keys of the checkout, in the order that HQ gave them. Where HQ marked
/// none, the first SKUs stand in, so that the keys are never empty.
pub fn favourites(
    db: &Connection,
    store: i64,
    at: Moment,
    limit: u32,
) -> rusqlite::Result<Vec<Tag>> {
    let marked: Vec<Tag> = db
        .prepare_cached(tag_sql!(
            "WHERE v.favourite IS NOT NULL ORDER BY v.favourite, v.sku LIMIT ?3"
        ))?
        .query_map((store, at, limit), read_tag)?
        .collect::<rusqlite::Result<_>>()?;
    if !marked.is_empty() {
        return Ok(marked);
    }
    db.prepare_cached(tag_sql!("ORDER BY v.sku LIMIT ?3"))?
        .query_map((store, at, limit), read_tag)?
        .collect()
}

/// What one of a SKU costs in a store at a moment; `None` without a price.
pub fn price_at(
    db: &Connection,
    sku: i64,
    store: i64,
    at: Moment,
) -> rusqlite::Result<Option<Money>> {
    db.prepare_cached(concat!(
        "SELECT ",
        price_sql!("?1", "s.currency", "s.id", "?3"),
        " FROM store s WHERE s.id = ?2"
    ))?
    .query_row((sku, store, at), |row| row.get(0))
    .optional()
    .map(Option::flatten)
}

/// The tax rate of a class in parts per million; `None` if none has begun.
pub fn tax_rate_at(
    db: &Connection,
    store: i64,
    class: i64,
    at: Moment,
) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached(
        "SELECT rate_ppm FROM tax_rate WHERE store = ?1 AND class = ?2 AND valid_from <= ?3
         ORDER BY valid_from DESC LIMIT 1",
    )?
    .query_row((store, class, at), |row| row.get(0))
    .optional()
}
