//! What a database holds before and after

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use selvedge_sync::open;
use selvedge_sync::origin::Origin;

/// Every row of every replicated table, and how the tables are made.
pub struct Facts {
    schema: Vec<String>,
    rows: BTreeMap<String, BTreeSet<String>>,
}

impl Facts {
    pub fn of(file: &Path) -> Facts {
        let db = open::reader(file, None, Origin::new(1).unwrap()).unwrap();
        let made = "SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name";
        let tables = texts(&db, "SELECT name FROM replicated ORDER BY name");
        let rows = |table: String| {
            let rows = rows(&db, &table);
            (table, rows)
        };
        Facts { schema: texts(&db, made), rows: tables.into_iter().map(rows).collect() }
    }

    /// Fails unless all that was there is there as it was. Some tables may have grown, and at HQ an import may have
    /// given rows of some others anew.
    pub fn hold(&self, file: &Path, may_grow: &[&str], may_change: &[&str]) {
        let after = Facts::of(file);
        assert_eq!(self.schema, after.schema, "the tables are no longer what they were");
        for (table, before) in &self.rows {
            let after = &after.rows[table];
            let lost: Vec<&String> = before.difference(after).collect();
            let changes = may_change.contains(&table.as_str());
            assert!(changes || lost.is_empty(), "{table} lost {lost:?}");
            assert!(after.len() >= before.len(), "{table} has fewer rows");
            let grown = after.len() - before.len();
            assert!(
                changes || grown == 0 || may_grow.contains(&table.as_str()),
                "{table} grew by {grown}"
            );
        }
        sound(file);
    }
}

/// Fails unless SQLite finds nothing wrong with a file.
pub fn sound(file: &Path) {
    let db = open::by_hand(file).unwrap();
    assert_eq!(texts(&db, "PRAGMA integrity_check"), ["ok"], "{}", file.display());
}

fn texts(db: &Connection, question: &str) -> Vec<String> {
    let mut asked = db.prepare(question).unwrap();
    let texts = asked.query_map([], |row| row.get(0)).unwrap();
    texts.collect::<Result<_, _>>().unwrap()
}

fn rows(db: &Connection, table: &str) -> BTreeSet<String> {
    let mut asked = db.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let width = asked.column_count();
    let text = |row: &rusqlite::Row| -> rusqlite::Result<String> {
        let cell = |at| -> rusqlite::Result<String> {
            Ok(match row.get_ref(at)? {
                ValueRef::Blob(bytes) => format!("{bytes:?}"),
                other => format!("{other:?}"),
            })
        };
        Ok((0..width).map(cell).collect::<Result<Vec<_>, _>>()?.join("|"))
    };
    asked.query_map([], text).unwrap().collect::<Result<_, _>>().unwrap()
}
