//! Prices with the moment from which they count, from a file

use rusqlite::Transaction;
use selvedge_domain::master_data::{self, NewPrice};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Currency;

use crate::import::fields::Fields;
use crate::import::rows::Kind;
use crate::import::stores::STORE_MAX;

/// `prices`: one row for each SKU, store, currency and moment.
#[derive(Default)]
pub struct Prices;

impl Kind for Prices {
    const HEADER: &'static [&'static str] = &["sku", "store", "currency", "price", "valid_from"];
    type Row = NewPrice;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<NewPrice, String> {
        let currency = Currency::parse(fields.text("currency")).map_err(|why| why.to_string())?;
        Ok(NewPrice {
            sku: fields.number("sku", 1, i64::MAX)?,
            store: fields.number("store", 0, STORE_MAX)?,
            currency,
            unit: fields.price("price", currency)?,
            valid_from: fields.moment("valid_from")?,
        })
    }

    fn key(row: &NewPrice) -> [i64; 4] {
        let code =
            row.currency.code().bytes().fold(0, |code, letter| code << 8 | i64::from(letter));
        [row.sku, row.store, code, row.valid_from.0]
    }

    fn write(tx: &Transaction<'_>, row: &NewPrice, _now: Moment) -> Result<(), String> {
        master_data::upsert_price(tx, row).map(|_| ()).map_err(|why| why.to_string())
    }
}
