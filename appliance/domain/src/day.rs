//! What a store sold between two moments
//!
//! Row ids of one device follow the order of writing. So a day is read from the
//! newest receipt of each device backwards, and years of older ones are never
//! touched. A clock that was set back for a while does not end the reading: only
//! a long run of earlier receipts does.

use crate::moment::Moment;
use crate::money::Money;
use crate::receipts::{Kind, lines};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// How many bits of a row id count within one device.
const COUNTER_BITS: u32 = 40;

/// How many receipts in a row must lie before the first moment until the reading ends.
const EARLIER_MAX: u32 = 64;

/// One receipt of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayReceipt {
    /// Its row id.
    pub id: i64,
    /// When.
    pub at: Moment,
    /// Sale or return.
    pub kind: Kind,
    /// What was paid; negative for what was given back.
    pub total: Money,
}

/// What was sold of one product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayProduct {
    /// Its name.
    pub name: String,
    /// Pieces sold less pieces that came back.
    pub quantity: i64,
    /// What they came to.
    pub amount: Money,
}

/// The receipts of a store from `from` to before `to`, device by device, newest first.
pub fn receipts(
    db: &Connection,
    store: i64,
    from: Moment,
    to: Moment,
) -> rusqlite::Result<Vec<DayReceipt>> {
    let mut found = Vec::new();
    let mut above = i64::MAX;
    while let Some(newest) = newest_below(db, above)? {
        let first = (newest >> COUNTER_BITS) << COUNTER_BITS;
        read_back(db, (first, newest), (store, from, to), &mut found)?;
        above = first;
    }
    Ok(found)
}

/// The newest receipt of the device next below a row id.
fn newest_below(db: &Connection, above: i64) -> rusqlite::Result<Option<i64>> {
    db.prepare_cached("SELECT id FROM receipt WHERE id < ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([above], |row| row.get(0))
        .optional()
}

fn read_back(
    db: &Connection,
    (first, newest): (i64, i64),
    (store, from, to): (i64, Moment, Moment),
    found: &mut Vec<DayReceipt>,
) -> rusqlite::Result<()> {
    let mut select = db.prepare_cached(
        "SELECT id, at, store, kind, total_minor FROM receipt
         WHERE id BETWEEN ?1 AND ?2 ORDER BY id DESC",
    )?;
    let mut rows = select.query((first, newest))?;
    let mut earlier = 0;
    while let Some(row) = rows.next()? {
        let at: Moment = row.get(1)?;
        earlier = if at < from { earlier + 1 } else { 0 };
        if earlier == EARLIER_MAX {
            break;
        }
        if at >= from && at < to && row.get::<_, i64>(2)? == store {
            let kind = Kind::from_number(row.get(3)?);
            found.push(DayReceipt { id: row.get(0)?, at, kind, total: row.get(4)? });
        }
    }
    Ok(())
}

/// The products of these receipts of which most was sold, the first the most.
pub fn top_products(
    db: &Connection,
    receipts: &[DayReceipt],
    limit: usize,
) -> rusqlite::Result<Vec<DayProduct>> {
    let mut by_sku: HashMap<i64, (i64, i64)> = HashMap::new();
    for receipt in receipts {
        for line in lines(db, receipt.id)? {
            add(by_sku.entry(line.sku).or_default(), (line.quantity, line.amount().0));
        }
    }
    let mut by_product: HashMap<i64, (String, (i64, i64))> = HashMap::new();
    let mut select = db.prepare_cached(
        "SELECT p.id, p.name FROM variant v JOIN product p ON p.id = v.product WHERE v.sku = ?1",
    )?;
    for (sku, sold) in by_sku {
        let product = select.query_row([sku], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        // What the catalogue no longer has is known by its SKU alone; no product has such a number.
        let (product, name) = product.unwrap_or_else(|| (-sku, format!("SKU {sku}")));
        add(&mut by_product.entry(product).or_insert_with(|| (name, (0, 0))).1, sold);
    }
    let named = |(name, (quantity, amount))| DayProduct { name, quantity, amount: Money(amount) };
    let mut products: Vec<DayProduct> = by_product.into_values().map(named).collect();
    products.retain(|product| product.quantity > 0);
    products.sort_by(|one, other| {
        (other.quantity, other.amount, &one.name).cmp(&(one.quantity, one.amount, &other.name))
    });
    products.truncate(limit);
    Ok(products)
}

fn add(sum: &mut (i64, i64), sold: (i64, i64)) {
    *sum = (sum.0.saturating_add(sold.0), sum.1.saturating_add(sold.1));
}
