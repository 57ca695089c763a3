//! What an index of the catalogue is kept from
//!
//! An index stands beside the database and follows it by two numbers that only
//! grow: the order in which products changed here, and the row ids of receipts.
//! So nothing is asked twice, and a start reads no more than what is new.

use crate::moment::Moment;
use rusqlite::{Connection, OptionalExtension};

/// A product that is new, changed or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of changes; a product has only its newest.
    pub number: i64,
    /// The product.
    pub product: i64,
}

/// What a product can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Name, department, sizes, colours and SKUs, with spaces between.
    pub words: String,
    /// Its first place among the keys of the checkout.
    pub favourite: Option<i64>,
}

/// Pieces of a product that went over the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sold {
    /// The product.
    pub product: i64,
    /// How many; at least 1.
    pub pieces: i64,
    /// When, by the clock of the device that sold them.
    pub at: Moment,
}

/// A run of receipts of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Run {
    /// Row id of the last one that was looked at; `None` when there was none.
    pub last: Option<i64>,
    /// What they sold.
    pub sold: Vec<Sold>,
}

/// The number of the newest change; 0 before the first.
pub fn newest_change(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(change), 0) FROM catalogue_change")?
        .query_row([], |row| row.get(0))
}

/// The changes after a number, oldest first.
pub fn changes_after(db: &Connection, number: i64, limit: u32) -> rusqlite::Result<Vec<Change>> {
    db.prepare_cached(
        "SELECT change, product FROM catalogue_change WHERE change > ?1 ORDER BY change LIMIT ?2",
    )?
    .query_map((number, limit), |row| Ok(Change { number: row.get(0)?, product: row.get(1)? }))?
    .collect()
}

/// What a product can be found by; `None` when nothing of it can be sold.
pub fn listed(db: &Connection, product: i64) -> rusqlite::Result<Option<Listed>> {
    let mut words: Vec<String> = Vec::new();
    let mut favourite: Option<i64> = None;
    let mut variants = db.prepare_cached(
        "SELECT sku, size, colour, favourite FROM variant WHERE product = ?1 ORDER BY sku",
    )?;
    let mut rows = variants.query([product])?;
    let mut is_sold = false;
    while let Some(row) = rows.next()? {
        is_sold = true;
        let sku: i64 = row.get(0)?;
        let found: [Option<String>; 3] = [row.get(1)?, row.get(2)?, Some(sku.to_string())];
        for word in found.into_iter().flatten().filter(|word| !word.is_empty()) {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        let place: Option<i64> = row.get(3)?;
        favourite = [favourite, place].into_iter().flatten().min();
    }
    if !is_sold {
        return Ok(None);
    }
    let named: Option<(String, Option<String>)> = db
        .prepare_cached("SELECT name, department FROM product WHERE id = ?1")?
        .query_row([product], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((name, department)) = named {
        words.splice(0..0, std::iter::once(name).chain(department));
    }
    Ok(Some(Listed { words: words.join(" "), favourite }))
}

/// Row ids below which the receipts of each device begin, one number per device.
///
/// Cheap with any number of receipts: it steps from device to device.
pub fn devices_that_sold(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare_cached(
        "WITH RECURSIVE device (number) AS (
             SELECT min(id) >> 40 FROM receipt
             UNION ALL
             SELECT (SELECT min(id) >> 40 FROM receipt WHERE id >= (number + 1) << 40)
             FROM device WHERE number IS NOT NULL
         )
         SELECT number << 40 FROM device WHERE number IS NOT NULL",
    )?
    .query_map([], |row| row.get(0))?
    .collect()
}

/// The row id before the newest `count` receipts of a device.
pub fn before_newest(db: &Connection, device: i64, count: u32) -> rusqlite::Result<i64> {
    db.prepare_cached(
        "SELECT id FROM receipt WHERE id > ?1 AND id < ?1 + (1 << 40)
         ORDER BY id DESC LIMIT 1 OFFSET ?2",
    )?
    .query_row((device, count), |row| row.get(0))
    .optional()
    .map(|id| id.unwrap_or(device))
}

/// What the next receipts of one device sold, after a row id. Returns do not count.
pub fn sold_after(db: &Connection, after: i64, limit: u32) -> rusqlite::Result<Run> {
    let last: Option<i64> = db
        .prepare_cached(
            "SELECT max(id) FROM (SELECT id FROM receipt
             WHERE id > ?1 AND id < ((?1 >> 40) + 1) << 40 ORDER BY id LIMIT ?2)",
        )?
        .query_row((after, limit), |row| row.get(0))?;
    let Some(last) = last else { return Ok(Run::default()) };
    let sold = db
        .prepare_cached(
            "SELECT v.product, l.quantity, r.at FROM receipt r
             JOIN receipt_line l ON l.receipt = r.id
             JOIN variant v ON v.sku = l.sku
             WHERE r.id > ?1 AND r.id <= ?2 AND l.quantity > 0 ORDER BY l.receipt, l.no",
        )?
        .query_map((after, last), |row| {
            Ok(Sold { product: row.get(0)?, pieces: row.get(1)?, at: row.get(2)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Run { last: Some(last), sold })
}

/// Products with a GTIN that begins with these digits, by its number.
///
/// Its own key finds them, so GTINs need no words in an index. `digits` are 1
/// to 14 decimal digits; anything else finds nothing.
pub fn gtin_begins(db: &Connection, digits: &str, limit: u32) -> rusqlite::Result<Vec<i64>> {
    let mut products = Vec::new();
    let known = (1..=14).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let Some(begins) = digits.parse::<i64>().ok().filter(|_| known) else { return Ok(products) };
    let mut all = db.prepare_cached(
        "SELECT v.product FROM gtin g JOIN variant v ON v.sku = g.sku
         WHERE g.gtin >= ?1 AND g.gtin < ?2 ORDER BY g.gtin LIMIT ?3",
    )?;
    for printed in [8, 12, 13, 14] {
        let Some(more) = usize::checked_sub(printed, digits.len()) else { continue };
        let step = 10_i64.pow(more as u32);
        let found = all.query_map((begins * step, (begins + 1) * step, limit), |row| row.get(0))?;
        for product in found {
            let product: i64 = product?;
            if !products.contains(&product) && products.len() < limit as usize {
                products.push(product);
            }
        }
    }
    Ok(products)
}
