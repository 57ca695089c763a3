//! The toy trade's schemas, and devices that differ in them
//!
//! Each version begins a schema epoch. The second adds columns to every kind of table and a table, and ends a column;
//! the third adds more; the fourth drops the ended column and adds another behind its number. A run that knows this
//! trouble starts with the first version everywhere, and its devices are brought up one by one.

use crate::tags;
use selvedge_sync::open::Migration;

/// A sale of a schema that knows tones has one of so many, by its number.
pub const TONES: i64 = 5;

/// What comes behind the first tables; the first of these still belongs to the first version.
pub const SCHEMAS: [Migration; 4] = [
    tags::SCHEMA,
    Migration {
        name: "0003_second",
        sql: "
        INSERT INTO replicated_epoch VALUES (2);
        INSERT INTO replicated_ended VALUES (6, 'place');
        ALTER TABLE price ADD COLUMN unit TEXT;
        ALTER TABLE sale ADD COLUMN tone INTEGER NOT NULL DEFAULT 7;
        ALTER TABLE tag ADD COLUMN hue TEXT DEFAULT 'grey';
        CREATE TABLE parcel (
            id    INTEGER PRIMARY KEY CHECK (id >> 40 > 0),
            store INTEGER NOT NULL,
            grams INTEGER NOT NULL
        ) STRICT;
        INSERT INTO replicated (table_id, name, rule, stream) VALUES (7, 'parcel', 'fact', 'by:store');
        INSERT INTO replicated_column VALUES (7, 'id', 'id')",
    },
    Migration {
        name: "0004_third",
        sql: "
        INSERT INTO replicated_epoch VALUES (3);
        ALTER TABLE movement ADD COLUMN why TEXT;
        ALTER TABLE parcel ADD COLUMN stamps INTEGER NOT NULL DEFAULT 1",
    },
    Migration {
        name: "0005_fourth",
        sql: "
        INSERT INTO replicated_epoch VALUES (4);
        ALTER TABLE tag DROP COLUMN place;
        ALTER TABLE tag ADD COLUMN note TEXT",
    },
];
