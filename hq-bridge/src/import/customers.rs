//! Customers with card and discount, from a file
//!
//! Name and address have no column here: a store has no use for them. The number on the card is hashed on its way in and
//! is never part of a refusal, a log line or a table.

use rusqlite::Transaction;
use selvedge_domain::customers::{self, NewCustomer};
use selvedge_domain::moment::Moment;

use crate::import::fields::Fields;
use crate::import::rows::Kind;

/// `customers`: one row a customer.
#[derive(Default)]
pub struct Customers;

/// A customer on the way in.
pub struct Row {
    id: i64,
    card: String,
    discount_points: i64,
}

impl Kind for Customers {
    const HEADER: &'static [&'static str] = &["customer", "card", "discount"];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        Ok(Row {
            id: fields.number("customer", 1, i64::MAX)?,
            card: fields.text("card").to_string(),
            discount_points: fields.discount_points("discount")?,
        })
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.id, 0, 0, 0]
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        let new = NewCustomer { id: row.id, card: &row.card, discount_points: row.discount_points };
        customers::upsert(tx, &new).map(|_| ()).map_err(|why| why.to_string())
    }
}
