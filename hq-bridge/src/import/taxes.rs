//! Tax rates of each store, and from when they count

use rusqlite::Transaction;
use selvedge_domain::master_data::{self, NewTaxRate};
use selvedge_domain::moment::Moment;

use crate::import::fields::Fields;
use crate::import::rows::Kind;
use crate::import::stores::STORE_MAX;

/// Tax classes are few; a larger number is a slipped column.
pub const TAX_CLASS_MAX: i64 = 99;

/// `taxes`: one row for each store, class and moment.
#[derive(Default)]
pub struct Taxes;

impl Kind for Taxes {
    const HEADER: &'static [&'static str] = &["store", "tax_class", "rate", "valid_from"];
    type Row = NewTaxRate;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<NewTaxRate, String> {
        Ok(NewTaxRate {
            store: fields.number("store", 1, STORE_MAX)?,
            class: fields.number("tax_class", 1, TAX_CLASS_MAX)?,
            rate_ppm: fields.rate_ppm("rate")?,
            valid_from: fields.moment("valid_from")?,
        })
    }

    fn key(row: &NewTaxRate) -> [i64; 4] {
        [row.store, row.class, row.valid_from.0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &NewTaxRate, _now: Moment) -> Result<(), String> {
        master_data::upsert_tax_rate(tx, row).map(|_| ()).map_err(|why| why.to_string())
    }
}
