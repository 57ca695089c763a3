//! What a table must look like before the engine carries it
//!
//! What two devices could both draw, what could fail in one order of arrival and pass in another, and what does not add
//! up to the same on every replica is refused by name, before the first write.

use crate::{
    entry::COLUMNS_MAX,
    register,
    rule::{Rule, StreamRule},
    value::Kind,
};
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;

/// The declarations, filled by the migrations.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS replicated (
    table_id INTEGER PRIMARY KEY CHECK (table_id BETWEEN 1 AND 4095),
    name     TEXT NOT NULL UNIQUE,
    rule     TEXT NOT NULL,
    stream   TEXT,
    writers  TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS replicated_column (
    table_id INTEGER NOT NULL,
    name     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    PRIMARY KEY (table_id, name)
) STRICT, WITHOUT ROWID;
";

/// What is wrong with a declaration; the migration that holds it must be mended.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// SQLite refused a question about the schema.
    #[error("the schema could not be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// One declaration cannot be carried.
    #[error("the replicated table {table} cannot be carried: {reason}")]
    Refused {
        /// Its name.
        table: String,
        /// What the engine cannot carry.
        reason: String,
    },
}

/// A column as SQLite describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its declared type.
    pub kind: String,
    /// It is NOT NULL.
    pub required: bool,
    /// Its place in the primary key, from 1; 0 when it is no part of it.
    pub key_place: usize,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// It is generated.
    pub hidden: bool,
}

/// The columns of a table, in its order; none when there is no such table.
pub fn read_columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    db.prepare_cached(
        "SELECT name, type, \"notnull\", pk, dflt_value, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?
    .query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            kind: row.get(1)?,
            required: row.get(2)?,
            key_place: usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
            default: row.get(4)?,
            hidden: row.get::<_, i64>(5)? != 0,
        })
    })?
    .collect()
}

/// What is wrong with the columns of a table, if anything.
pub fn check_columns(columns: &[Column]) -> Result<(), String> {
    if columns.is_empty() {
        return Err("there is no such table".to_owned());
    }
    if columns.len() > COLUMNS_MAX {
        return Err(format!("it has more than {COLUMNS_MAX} columns"));
    }
    if let Some(odd) = columns.iter().find(|column| column.hidden) {
        return Err(format!("column {} is generated", odd.name));
    }
    let keys = columns.iter().filter(|column| column.key_place > 0).count();
    if keys == 0 || columns[..keys].iter().any(|column| column.key_place == 0) {
        return Err("its primary key must be declared and stand first".to_owned());
    }
    let alone = keys == 1 && columns[0].kind.eq_ignore_ascii_case("integer");
    if !alone && columns[..keys].iter().any(|column| !column.required) {
        return Err("the columns of its primary key must be NOT NULL".to_owned());
    }
    Ok(())
}

enum Found {
    Sqlite(rusqlite::Error),
    Reason(String),
}

impl Found {
    fn named(self, table: &str) -> TableError {
        match self {
            Found::Sqlite(cause) => TableError::Sqlite(cause),
            Found::Reason(reason) => TableError::Refused { table: table.to_owned(), reason },
        }
    }
}

impl From<rusqlite::Error> for Found {
    fn from(cause: rusqlite::Error) -> Found {
        Found::Sqlite(cause)
    }
}

/// How a table was made.
pub struct Made {
    strict: bool,
    sql: String,
}

/// How each table was made, by its name. Two questions for all: SQLite goes through its whole schema to answer one, and
/// would go through it once more for each table if they were joined.
pub fn made(db: &Connection) -> rusqlite::Result<BTreeMap<String, Made>> {
    let strict: Vec<String> = db
        .prepare_cached("SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    db.prepare_cached("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")?
        .query_map([], |row| {
            let name: String = row.get(0)?;
            let strict = strict.contains(&name);
            Ok((name, Made { strict, sql: row.get(1)? }))
        })?
        .collect()
}

/// Whether a table can be carried by this rule.
pub fn check_table(
    db: &Connection,
    table: &str,
    made: &Made,
    rule: Rule,
) -> Result<(), TableError> {
    check_shape(db, table, made, rule).map_err(|found| found.named(table))
}

fn ask<T>(
    db: &Connection,
    sql: &str,
    table: &str,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    db.prepare_cached(sql)?.query_row([table], read)
}

fn check_shape(db: &Connection, table: &str, made: &Made, rule: Rule) -> Result<(), Found> {
    let refuse = |reason: &str| Err(Found::Reason(reason.to_owned()));
    if !made.strict {
        return refuse("it is not STRICT");
    }
    if made.sql.to_ascii_uppercase().contains("AUTOINCREMENT") {
        return refuse("AUTOINCREMENT draws keys that another device draws too: use row_id()");
    }
    let unique: i64 = ask(
        db,
        "SELECT count(*) FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'",
        table,
        |row| row.get(0),
    )?;
    if unique > 0 && rule != Rule::Owner {
        return refuse("two devices cannot keep a UNIQUE index besides the key");
    }
    let acting: i64 = ask(
        db,
        "SELECT count(*) FROM pragma_foreign_key_list(?1)
         WHERE on_delete NOT IN ('NO ACTION', 'RESTRICT') OR on_update NOT IN ('NO ACTION', 'RESTRICT')",
        table,
        |row| row.get(0),
    )?;
    if acting > 0 {
        return refuse("a foreign key must not change other rows");
    }
    if rule == Rule::Register {
        return check_register(db, table, &made.sql).map_err(Found::Reason);
    }
    Ok(())
}

/// The columns of a register meet one by one, so nothing may tie one of them to another.
fn check_register(db: &Connection, table: &str, sql: &str) -> Result<(), String> {
    let columns = read_columns(db, table).map_err(|cause| cause.to_string())?;
    let fits = |column: &&Column| {
        column.name == register::COLUMN
            && column.kind.eq_ignore_ascii_case("blob")
            && column.required
            && column.default.is_some()
            && column.key_place == 0
    };
    if columns.iter().find(fits).is_none() {
        return Err(
            "a register keeps its marks in a column sv BLOB NOT NULL DEFAULT x''".to_owned()
        );
    }
    if columns.iter().filter(|column| column.key_place == 0).count() < 2 {
        return Err("a register has a column beside its key and its marks".to_owned());
    }
    let asked = "SELECT count(*) FROM pragma_foreign_key_list(?1)";
    let foreign: Result<i64, _> = ask(db, asked, table, |row| row.get(0));
    if foreign.map_err(|cause| cause.to_string())? > 0 {
        return Err("a register has no foreign key: its parent may come later".to_owned());
    }
    if checks(sql).iter().any(|check| named_in(check, &columns) > 1) {
        return Err(
            "a CHECK over two columns holds in one order of arrival and not in another".into()
        );
    }
    Ok(())
}

/// The insides of all CHECK clauses.
fn checks(sql: &str) -> Vec<&str> {
    let lower = sql.to_ascii_lowercase();
    let mut found = Vec::new();
    for (at, _) in lower.match_indices("check") {
        let Some(open) = sql[at..].find('(').map(|step| at + step) else { continue };
        let mut depth = 0;
        let end = sql[open..].find(|letter| {
            depth += i32::from(letter == '(') - i32::from(letter == ')');
            depth == 0
        });
        found.push(&sql[open..end.map_or(sql.len(), |step| open + step)]);
    }
    found
}

/// How many of these columns a clause names.
fn named_in(clause: &str, columns: &[Column]) -> usize {
    let letter = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words: Vec<&str> = clause.split(|other| !letter(other)).collect();
    let named = |column: &&Column| words.iter().any(|word| word.eq_ignore_ascii_case(&column.name));
    columns.iter().filter(named).count()
}

/// The kinds of columns: by their declared type, unless the migration names them.
pub fn column_kinds(
    db: &Connection,
    table: u32,
    columns: &[Column],
) -> rusqlite::Result<Result<Vec<Kind>, String>> {
    let named = named_kinds(db, table)?;
    if let Some((odd, _)) = named.iter().find(|named| columns.iter().all(|own| own.name != named.0))
    {
        return Ok(Err(format!("replicated_column names {odd}, which it lacks")));
    }
    let kind = |column: &Column| match named.iter().find(|named| named.0 == column.name) {
        None => kind_of(&column.kind).ok_or(format!("the type of column {}", column.name)),
        Some((name, kind)) => Kind::named(kind)
            .filter(|kind| match kind {
                Kind::Id | Kind::Time => true,
                Kind::Private => kind_of(&column.kind) == Some(Kind::Bytes),
                Kind::Int | Kind::Text | Kind::Bytes => false,
            })
            .ok_or(format!("the kind {kind} of column {name} is not known")),
    };
    Ok(columns.iter().map(kind).collect())
}

fn named_kinds(db: &Connection, table: u32) -> rusqlite::Result<Vec<(String, String)>> {
    db.prepare_cached("SELECT name, kind FROM replicated_column WHERE table_id = ?1 ORDER BY name")?
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn kind_of(declared: &str) -> Option<Kind> {
    match declared.to_ascii_uppercase().as_str() {
        "INTEGER" | "INT" => Some(Kind::Int),
        "TEXT" => Some(Kind::Text),
        "BLOB" => Some(Kind::Bytes),
        _ => None,
    }
}

/// Reads the rule by which rows find their stream.
pub fn stream_rule(declared: Option<&str>, rule: Rule, columns: &[String]) -> Option<StreamRule> {
    match declared {
        None if rule == Rule::Owner => Some(StreamRule::Chain),
        None | Some("store") => Some(StreamRule::Store),
        Some("chain") => Some(StreamRule::Chain),
        Some(other) => {
            let column = other.strip_prefix("by:")?;
            columns.iter().position(|name| name == column).map(StreamRule::By)
        }
    }
}
