//! What is remembered beside the trade: members, views, dice
//!
//! The back office lends rights to its stock to HQ and to its pos, members leave their names, HQ erases some of them
//! again and publishes what all stores have. All of it has dice of its own: the trade goes as it would without.

use crate::dice::Dice;
use selvedge_sync::open::Migration;
use selvedge_sync::private::Field;
use selvedge_sync::view::{Rows, ViewHead};
use std::collections::{BTreeMap, BTreeSet};

/// The tables, as a migration.
pub const SCHEMA: Migration = Migration { name: "0002_members", sql: SQL };

const SQL: &str = "
CREATE TABLE member (
    id    INTEGER PRIMARY KEY CHECK (id >> 40 > 0),
    store INTEGER NOT NULL,
    name  BLOB,
    note  TEXT
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (20, 'member', 'fact', 'by:store');
INSERT INTO replicated_column (table_id, name, kind) VALUES (20, 'id', 'id'), (20, 'name', 'private');
";

/// In front of every name, so that one question finds each that lies somewhere in clear.
pub const CLEAR: &str = "Clear Person";

/// The view that HQ publishes.
pub const STOCK: &str = "stock";

/// What is remembered beside the trade.
pub struct Sidelines {
    /// Choices of all this.
    pub dice: Dice,
    /// Every member that was written, with its key.
    pub members: Vec<i64>,
    /// Whom HQ has erased.
    pub erased: BTreeSet<i64>,
    /// Which version of the view each device has shown last.
    pub shown: BTreeMap<usize, (u32, u64)>,
    /// The first version that HQ has published: genuine, and soon out of date.
    pub first_view: Option<(ViewHead, Rows)>,
}

impl Sidelines {
    /// Nothing has happened yet.
    pub fn new(dice: Dice) -> Sidelines {
        Sidelines {
            dice,
            members: Vec::new(),
            erased: BTreeSet::new(),
            shown: BTreeMap::new(),
            first_view: None,
        }
    }
}

/// Where the name of a member stands.
pub fn field_of(id: i64) -> Field {
    Field { subject: id, table: 20, row: id, column: 2 }
}
