//! A toy register: all in a store relabel few things

use crate::dice::Dice;
use rusqlite::{Connection, Transaction};
use selvedge_sync::open::Migration;

/// Number of the table.
pub const TAG: u32 = 6;

/// Different things with a tag. Very few: devices are to meet.
const THINGS: i64 = 4;

/// The schema, as a migration.
pub const SCHEMA: Migration = Migration {
    name: "0002_toy_tags",
    sql:
        "
    CREATE TABLE tag (
        store INTEGER NOT NULL,
        thing INTEGER NOT NULL,
        label TEXT,
        place INTEGER,
        sv    BLOB NOT NULL DEFAULT x'',
        PRIMARY KEY (store, thing)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO replicated (table_id, name, rule, stream) VALUES (6, 'tag', 'register', 'by:store')",
};

/// The schema epoch of an open database: the columns that its device knows.
pub fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT ifnull(max(epoch), 1) FROM replicated_epoch")?
        .query_row([], |row| row.get(0))
}

/// Some columns of a tag are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relabel {
    store: u32,
    thing: i64,
    /// Which columns, as bits.
    columns: i64,
    /// What is written into them; 0 is NULL.
    value: i64,
}

impl Relabel {
    /// Something in this store.
    pub fn roll(store: u32, dice: &mut Dice) -> Relabel {
        Relabel {
            store,
            thing: dice.between(1, THINGS),
            columns: dice.between(1, 15),
            value: dice.between(0, 99),
        }
    }

    /// Writes it: whatever of these columns the schema of this device has.
    pub fn run(&self, tx: &Transaction<'_>) -> rusqlite::Result<()> {
        let version = version(tx)?;
        let has = [("label", 1), ("place", 1), ("hue", 2), ("note", 4)];
        let named = has.iter().enumerate().filter(|(at, (name, since))| {
            self.columns >> at & 1 == 1 && version >= *since && (*name != "place" || version < 2)
        });
        let names: Vec<&str> = named.map(|(_, (name, _))| *name).collect();
        let names = if names.is_empty() { vec!["label"] } else { names };
        let value = |name: &str| match (name, self.value) {
            (_, 0) => "NULL".to_owned(),
            ("place", value) => value.to_string(),
            (name, value) => format!("'{name} {value}'"),
        };
        let values: Vec<String> = names.iter().map(|name| value(name)).collect();
        let sets: Vec<String> =
            names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
        let sql = format!(
            "INSERT INTO tag (store, thing, {}) VALUES ({}, {}, {}) ON CONFLICT (store, thing) DO UPDATE SET {}",
            names.join(","),
            self.store,
            self.thing,
            values.join(","),
            sets.join(",")
        );
        tx.prepare_cached(&sql)?.execute([]).map(drop)
    }
}
