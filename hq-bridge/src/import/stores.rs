//! The chain's stores from a file

use rusqlite::Transaction;
use selvedge_domain::catalogue::{ShelfPrices, Store};
use selvedge_domain::master_data::{self, NewStore};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Currency;

use crate::import::fields::Fields;
use crate::import::rows::Kind;

/// The largest store number: a stream bears it.
pub const STORE_MAX: i64 = 8_388_607;

/// `stores`: one row a store.
#[derive(Default)]
pub struct Stores;

impl Kind for Stores {
    const HEADER: &'static [&'static str] = &["store", "name", "currency", "tax_included"];
    type Row = Store;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Store, String> {
        let shelf_prices = match fields.yes_or_no("tax_included")? {
            true => ShelfPrices::TaxIncluded,
            false => ShelfPrices::TaxExcluded,
        };
        Ok(Store {
            id: fields.number("store", 1, STORE_MAX)?,
            name: fields.name("name")?,
            currency: Currency::parse(fields.text("currency")).map_err(|why| why.to_string())?,
            shelf_prices,
        })
    }

    fn key(row: &Store) -> [i64; 4] {
        [row.id, 0, 0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &Store, _now: Moment) -> Result<(), String> {
        let Store { id, name, currency, shelf_prices } = row;
        let new = NewStore { id: *id, name, currency: *currency, shelf_prices: *shelf_prices };
        master_data::upsert_store(tx, &new).map(|_| ()).map_err(|why| why.to_string())
    }
}
