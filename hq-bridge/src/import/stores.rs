//! The chain's stores from a file

use rusqlite::Transaction;
use selvedge_domain::catalogue::{ShelfPrices, Store};
use selvedge_domain::master_data::{self, MasterDataError, NewStore};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Currency;

use crate::import::fields::Fields;
use crate::import::rows::Kind;

/// The largest store number: a stream bears it.
pub const STORE_MAX: i64 = 8_388_607;

/// From which age on a store's figures are stale, where its row does not say.
const STALE_AFTER_S: i64 = 20;

/// The longest such age: a day.
const STALE_AFTER_S_MAX: i64 = 86_400;

/// `stores`: one row a store.
#[derive(Default)]
pub struct Stores;

/// A store on the way in.
pub struct Row {
    store: Store,
    /// From which age on its figures are stale; `None` leaves that as it is.
    stale_after_s: Option<i64>,
}

impl Kind for Stores {
    const HEADER: &'static [&'static str] = &["store", "name", "currency", "tax_included"];
    const OPTIONAL: &'static [&'static str] = &["stale_after_s"];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        let shelf_prices = match fields.yes_or_no("tax_included")? {
            true => ShelfPrices::TaxIncluded,
            false => ShelfPrices::TaxExcluded,
        };
        let store = Store {
            id: fields.number("store", 1, STORE_MAX)?,
            name: fields.name("name")?,
            currency: Currency::parse(fields.text("currency")).map_err(|why| why.to_string())?,
            shelf_prices,
        };
        let stale_after_s = match fields.has("stale_after_s") {
            true => fields
                .optional_number("stale_after_s", 1, STALE_AFTER_S_MAX)?
                .or(Some(STALE_AFTER_S)),
            false => None,
        };
        Ok(Row { store, stale_after_s })
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.store.id, 0, 0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        write(tx, row).map_err(|why| why.to_string())
    }
}

fn write(tx: &Transaction<'_>, row: &Row) -> Result<(), MasterDataError> {
    let Store { id, name, currency, shelf_prices } = &row.store;
    let new = NewStore { id: *id, name, currency: *currency, shelf_prices: *shelf_prices };
    master_data::upsert_store(tx, &new)?;
    if let Some(seconds) = row.stale_after_s {
        master_data::set_stale_after(tx, *id, seconds * 1_000)?;
    }
    Ok(())
}
