//! Adds a column to a table of any size at once
//!
//! `ALTER TABLE ADD COLUMN` changes one row of the schema, and then reads the whole table when it is STRICT: a million
//! rows for half a second, in which nobody can write. What is read there cannot fail for a plain column with a constant
//! default, so the one row of the schema is changed by the way that SQLite documents for changes that touch no row. The
//! new text is SQLite's own: it comes from the same statement on an empty table of the same form.

use rusqlite::{Batch, Connection, OptionalExtension, fallible_iterator::FallibleIterator};

/// Words that make a column more than plain: SQLite must look at the rows.
const NOT_PLAIN: [&str; 9] = [
    "check",
    "references",
    "generated",
    "as",
    "unique",
    "primary",
    "current_date",
    "current_time",
    "current_timestamp",
];

/// Opens a database of nothing, to try a schema on.
pub(crate) type Scratch = fn() -> rusqlite::Result<Connection>;

/// Runs the statements of a migration one by one.
pub(crate) fn execute_batch(tx: &Connection, sql: &str, scratch: Scratch) -> rusqlite::Result<()> {
    let mut batch = Batch::new(tx, sql);
    while let Some(mut statement) = batch.next()? {
        let text = statement.expanded_sql().unwrap_or_default();
        if let Some(table) = plain_addition(&text)
            && let Some(new) = new_text(tx, &table, &text, scratch)?
        {
            set_text(tx, &table, &new)?;
            continue;
        }
        let mut rows = statement.raw_query();
        while rows.next()?.is_some() {}
    }
    Ok(())
}

/// The table to which a statement adds a plain column.
fn plain_addition(text: &str) -> Option<String> {
    let text: Vec<&str> = text.lines().map(|line| line.split("--").next().unwrap_or("")).collect();
    let text = text.join(" ").to_ascii_lowercase();
    let letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: Vec<&str> =
        text.split(|other| !letter(other)).filter(|word| !word.is_empty()).collect();
    match words[..] {
        ["alter", "table", table, "add", ref rest @ ..] => {
            let plain = !rest.iter().any(|word| NOT_PLAIN.contains(word)) && !text.contains('(');
            plain.then(|| table.to_owned())
        }
        _ => None,
    }
}

/// How the schema describes the table with the new column; None when it has to be asked in the usual way.
fn new_text(
    tx: &Connection,
    table: &str,
    addition: &str,
    scratch: Scratch,
) -> rusqlite::Result<Option<String>> {
    let text = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let now: Option<String> = tx.query_row(text, [table], |row| row.get(0)).optional()?;
    let Some(now) = now else { return Ok(None) };
    let empty = scratch()?;
    let made = empty.execute_batch(&now).and_then(|()| empty.execute_batch(addition));
    if made.is_err() || !default_fits(&empty, table)? {
        return Ok(None);
    }
    empty.query_row(text, [table], |row| row.get(0)).map(Some)
}

/// Whether rows that are there can take the default of the last column.
fn default_fits(empty: &Connection, table: &str) -> rusqlite::Result<bool> {
    let last = "SELECT lower(type), \"notnull\", dflt_value FROM pragma_table_xinfo(?1)
                ORDER BY cid DESC LIMIT 1";
    let (kind, required, default): (String, bool, Option<String>) =
        empty.query_row(last, [table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let Some(default) = default else { return Ok(!required) };
    let sql = format!("SELECT typeof({default})");
    let holds: String = empty.query_row(&sql, [], |row| row.get(0))?;
    Ok(holds == kind || holds == "integer" && kind == "int")
}

fn set_text(tx: &Connection, table: &str, text: &str) -> rusqlite::Result<()> {
    let version: i64 = tx.query_row("PRAGMA schema_version", [], |row| row.get(0))?;
    tx.execute_batch("PRAGMA writable_schema=ON")?;
    let done = tx.execute(
        "UPDATE sqlite_schema SET sql = ?1 WHERE type = 'table' AND name = ?2 COLLATE NOCASE",
        (text, table),
    );
    tx.execute_batch(&format!(
        "PRAGMA schema_version={}; PRAGMA writable_schema=RESET",
        version + 1
    ))?;
    assert_eq!(done?, 1, "a table that was just read is there");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(sql: &str, holds: Expect) {
        let mut db = Connection::open_in_memory().unwrap();
        db.execute_batch(
            "CREATE TABLE part (id INTEGER PRIMARY KEY, at INTEGER NOT NULL CHECK (at > 0)) STRICT;
             CREATE INDEX by_at ON part (at);
             INSERT INTO part VALUES (1, 5)",
        )
        .unwrap();
        let tx = db.transaction().unwrap();
        let done = execute_batch(&tx, sql, Connection::open_in_memory).and_then(|()| tx.commit());
        let found = match done {
            Err(error) => error.to_string(),
            Ok(()) => {
                db.execute("INSERT INTO part (id, at) VALUES (2, 6)", []).unwrap();
                let rows =
                    "SELECT json_group_array(json_array(p.id, p.at, p.note, p.tag)) FROM part p";
                let rows: String = db.query_row(rows, [], |row| row.get(0)).unwrap();
                let sound: String =
                    db.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
                let text = "SELECT sql FROM sqlite_schema WHERE name = 'part'";
                let text: String = db.query_row(text, [], |row| row.get(0)).unwrap();
                format!("{rows} {sound}\n{text}")
            }
        };
        holds.assert_eq(&found);
    }

    #[test]
    fn a_column_is_added_as_sqlite_itself_would_add_it() {
        let two = "-- a note for each\nALTER TABLE part ADD COLUMN note TEXT;
                   alter table \"part\" add tag INTEGER NOT NULL DEFAULT 7;";
        check(
            two,
            expect![[r#"
            [[1,5,null,7],[2,6,null,7]] ok
            CREATE TABLE part (id INTEGER PRIMARY KEY, at INTEGER NOT NULL CHECK (at > 0), note TEXT, tag INTEGER NOT NULL DEFAULT 7) STRICT"#]],
        );
        let slow = "ALTER TABLE part ADD COLUMN note TEXT CHECK (note IS NULL);
                    ALTER TABLE part ADD COLUMN tag INTEGER NOT NULL DEFAULT 7 CHECK (tag > 6)";
        check(
            slow,
            expect![[r#"
            [[1,5,null,7],[2,6,null,7]] ok
            CREATE TABLE part (id INTEGER PRIMARY KEY, at INTEGER NOT NULL CHECK (at > 0), note TEXT CHECK (note IS NULL), tag INTEGER NOT NULL DEFAULT 7 CHECK (tag > 6)) STRICT"#]],
        );
    }

    #[test]
    fn what_sqlite_refuses_is_refused() {
        check(
            "ALTER TABLE part ADD COLUMN note TEXT NOT NULL",
            expect!["Cannot add a NOT NULL column with default value NULL"],
        );
        check(
            "ALTER TABLE part ADD COLUMN note INTEGER DEFAULT 'seven'",
            expect!["type mismatch on DEFAULT"],
        );
        check("ALTER TABLE part ADD COLUMN at TEXT", expect!["duplicate column name: at"]);
        check("ALTER TABLE elsewhere ADD COLUMN at TEXT", expect!["no such table: elsewhere"]);
    }
}
