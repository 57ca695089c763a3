//! What stores had when Selvedge began, taken once
//!
//! Stock movements are facts: a second import of the same file would double the stock. So the deed refuses a store and
//! SKU that has been opened, and what was wrong in the first file is booked as a correction.

use rusqlite::Transaction;
use selvedge_domain::moment::Moment;
use selvedge_domain::stock::{self, Movement, QUANTITY_MAX, Reason};

use crate::import::fields::Fields;
use crate::import::rows::Kind;
use crate::import::stores::STORE_MAX;

/// `opening-stock`: one row for each store and SKU.
#[derive(Default)]
pub struct OpeningStock;

/// What one store had of one SKU.
pub struct Row {
    store: i64,
    sku: i64,
    quantity: i64,
}

impl Kind for OpeningStock {
    const HEADER: &'static [&'static str] = &["store", "sku", "quantity"];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        Ok(Row {
            store: fields.number("store", 1, STORE_MAX)?,
            sku: fields.number("sku", 1, i64::MAX)?,
            quantity: fields.number("quantity", -QUANTITY_MAX, QUANTITY_MAX)?,
        })
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.store, row.sku, 0, 0]
    }

    fn store(row: &Row) -> i64 {
        row.store
    }

    fn write(tx: &Transaction<'_>, row: &Row, now: Moment) -> Result<(), String> {
        let movement = Movement {
            store: row.store,
            sku: row.sku,
            quantity: row.quantity,
            reason: Reason::Opening,
            at: now,
            employee: None,
            note: None,
        };
        stock::move_stock(tx, &movement).map(|_| ()).map_err(|why| why.to_string())
    }
}
