//! Who works where, from a file, with PINs hashed on the way
//!
//! Neither badge nor PIN of a row is ever part of a refusal, a log line or a table: only their hashes leave this file.

use rusqlite::{Connection, Transaction};
use selvedge_domain::moment::Moment;
use selvedge_domain::staff::{self, NewEmployee, Rights};

use crate::import::fields::Fields;
use crate::import::rows::Kind;
use crate::import::stores::STORE_MAX;

/// `employees`: one row for each store and person.
#[derive(Default)]
pub struct Employees;

/// A person on the way in.
pub struct Row {
    store: i64,
    id: i64,
    name: String,
    badge: String,
    /// As typed until it is prepared, then hashed.
    pin: String,
    rights: Rights,
}

impl Kind for Employees {
    const HEADER: &'static [&'static str] =
        &["store", "employee", "name", "badge", "pin", "rights"];
    type Row = Row;

    fn parse(&mut self, fields: &Fields<'_>) -> Result<Row, String> {
        Ok(Row {
            store: fields.number("store", 1, STORE_MAX)?,
            id: fields.number("employee", 1, i64::MAX)?,
            name: fields.name("name")?,
            badge: fields.text("badge").to_string(),
            pin: fields.text("pin").to_string(),
            rights: Rights::parse(fields.text("rights")).map_err(|why| why.to_string())?,
        })
    }

    fn key(row: &Row) -> [i64; 4] {
        [row.store, row.id, 0, 0]
    }

    fn prepare(&mut self, reader: &Connection, row: &mut Row) -> Result<(), String> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|why| format!("no salt could be drawn: {why}"))?;
        row.pin = staff::pin_hash(reader, row.store, row.id, &row.pin, &salt)
            .map_err(|why| why.to_string())?;
        Ok(())
    }

    fn store(row: &Row) -> i64 {
        row.store
    }

    fn write(tx: &Transaction<'_>, row: &Row, _now: Moment) -> Result<(), String> {
        let new = NewEmployee {
            store: row.store,
            id: row.id,
            name: &row.name,
            badge: &row.badge,
            pin_hash: &row.pin,
            rights: row.rights,
        };
        staff::upsert(tx, &new).map(|_| ()).map_err(|why| why.to_string())
    }
}
