//! Which tables replicate and by which rule
//!
//! A table is declared in the migration that creates it and nowhere else. What
//! the engine cannot carry (floats, generated columns, keys that two devices
//! could both draw) is refused before the first write, by name.

use crate::{
    entry::{COLUMNS_MAX, Layout},
    rule::{Rule, StreamRule, Writers},
    value::Kind,
};
use rusqlite::Connection;

/// Number of the engine's own table of who counts.
pub const ALLOW_LIST: u32 = 4_000;

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

/// A replicated table and how its rows are read and written.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its number on the wire.
    pub id: u32,
    /// Its name in SQL.
    pub name: String,
    /// How two writes meet.
    pub rule: Rule,
    /// Whose stream its rows belong to.
    pub stream: StreamRule,
    /// Who may write it.
    pub writers: Writers,
    /// Its columns by id; the key stands first.
    pub layout: Layout,
    /// Names of the columns by id.
    pub columns: Vec<String>,
    /// Reads all columns by key.
    pub select: String,
    /// Adds a row, or changes nothing when its key is taken.
    pub insert: String,
    /// Adds a row or replaces what its key holds.
    pub upsert: String,
    /// Removes a row by key.
    pub delete: String,
}

impl Table {
    /// The statement that sets the columns of a mask by key: new values first, then the key.
    pub fn update(&self, mask: u64) -> String {
        let set: Vec<String> = crate::entry::columns(mask)
            .zip(1..)
            .map(|(column, at)| format!("\"{}\"=?{at}", self.columns[column]))
            .collect();
        format!("UPDATE \"{}\" SET {} WHERE {}", self.name, set.join(","), self.at_key(set.len()))
    }

    fn at_key(&self, taken: usize) -> String {
        let key: Vec<String> = (self.layout.key.iter().zip(taken + 1..))
            .map(|(column, at)| format!("\"{}\"=?{at}", self.columns[*column]))
            .collect();
        key.join(" AND ")
    }
}

/// All replicated tables.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// By number, ascending.
    list: Vec<Table>,
    /// Places of the tables whose name has so many bytes: each change of any row asks for its table.
    by_length: Vec<Vec<usize>>,
}

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

impl Tables {
    /// Reads the declarations and checks each against the schema.
    pub fn load(db: &Connection) -> Result<Tables, TableError> {
        let declared: Vec<Declared> = db
            .prepare(
                "SELECT table_id, name, rule, stream, writers FROM replicated ORDER BY table_id",
            )?
            .query_map([], |row| {
                Ok(Declared {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    rule: row.get(2)?,
                    stream: row.get(3)?,
                    writers: row.get(4)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let mut tables = Tables::default();
        for one in declared {
            let table = read_table(db, one)?;
            let length = table.name.len();
            if tables.by_length.len() <= length {
                tables.by_length.resize(length + 1, Vec::new());
            }
            tables.by_length[length].push(tables.list.len());
            tables.list.push(table);
        }
        check_triggers(db, &tables)?;
        Ok(tables)
    }

    /// The place of a table in the list, by its name in UTF-8.
    pub fn place(&self, name: &[u8]) -> Option<usize> {
        let alike = self.by_length.get(name.len())?;
        alike.iter().copied().find(|place| self.list[*place].name.as_bytes() == name)
    }

    /// The table at a place.
    pub fn at(&self, place: usize) -> &Table {
        &self.list[place]
    }

    /// The table of this number.
    pub fn numbered(&self, id: u32) -> Option<&Table> {
        self.list.binary_search_by_key(&id, |table| table.id).ok().map(|place| &self.list[place])
    }

    /// Whether any column holds personal data.
    pub fn has_private(&self) -> bool {
        self.list.iter().any(|table| table.layout.kinds.contains(&Kind::Private))
    }

    /// All tables by number.
    pub fn all(&self) -> &[Table] {
        &self.list
    }
}

/// Whether the schema has virtual tables.
pub fn has_virtual(db: &Connection) -> rusqlite::Result<bool> {
    db.query_row("SELECT count(*) FROM pragma_table_list WHERE type = 'virtual'", [], |row| {
        row.get::<_, i64>(0).map(|count| count > 0)
    })
}

struct Declared {
    id: u32,
    name: String,
    rule: String,
    stream: Option<String>,
    writers: Option<String>,
}

struct Column {
    name: String,
    kind: String,
    required: bool,
    key_place: usize,
    hidden: bool,
}

fn read_table(db: &Connection, declared: Declared) -> Result<Table, TableError> {
    let name = declared.name.clone();
    let refuse =
        |reason: &str| TableError::Refused { table: name.clone(), reason: reason.to_owned() };
    let rule = Rule::named(&declared.rule)
        .ok_or_else(|| refuse(&format!("the rule {} is not known", declared.rule)))?;
    if rule == Rule::Escrow && declared.id < ALLOW_LIST {
        return Err(refuse(
            "rights are kept in the engine's own table: cause names a row of yours",
        ));
    }
    let columns = read_columns(db, &declared.name)?;
    check_columns(&columns).map_err(|reason| refuse(&reason))?;
    check_table(db, &declared.name, rule).map_err(|found| found.named(&name))?;
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let mut kinds: Vec<Kind> = columns
        .iter()
        .map(|column| {
            kind_of(&column.kind)
                .ok_or_else(|| refuse(&format!("the type of column {}", column.name)))
        })
        .collect::<Result<_, _>>()?;
    for (column, kind) in named_kinds(db, declared.id)? {
        let at = names.iter().position(|name| *name == column);
        let at =
            at.ok_or_else(|| refuse(&format!("replicated_column names {column}, which it lacks")))?;
        kinds[at] = match kind.as_str() {
            "id" => Kind::Id,
            "time" => Kind::Time,
            "private" if kinds[at] == Kind::Bytes => Kind::Private,
            _ => return Err(refuse(&format!("the kind {kind} of column {column} is not known"))),
        };
    }
    let stream = stream_rule(declared.stream.as_deref(), rule, &names)
        .ok_or_else(|| refuse("its stream is none of chain, store, by:COLUMN"))?;
    let writers = match &declared.writers {
        None => rule.writers(),
        Some(text) => {
            Writers::parse(text).ok_or_else(|| refuse("its writers are no list of roles"))?
        }
    };
    let mut key: Vec<usize> = (0..columns.len()).filter(|at| columns[*at].key_place > 0).collect();
    key.sort_by_key(|at| columns[*at].key_place);
    Ok(statements(declared, rule, stream, writers, Layout { kinds, key }, names))
}

fn statements(
    declared: Declared,
    rule: Rule,
    stream: StreamRule,
    writers: Writers,
    layout: Layout,
    columns: Vec<String>,
) -> Table {
    let name = declared.name;
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let marks: Vec<String> = (1..=columns.len()).map(|at| format!("?{at}")).collect();
    let key: Vec<&str> = layout.key.iter().map(|at| quoted[*at].as_str()).collect();
    let rest: Vec<String> = (0..columns.len())
        .filter(|at| !layout.key.contains(at))
        .map(|at| format!("{0}=excluded.{0}", quoted[at]))
        .collect();
    let (all, marks, key) = (quoted.join(","), marks.join(","), key.join(","));
    let insert = format!("INSERT INTO \"{name}\" ({all}) VALUES ({marks}) ON CONFLICT ({key}) DO ");
    let change = if rest.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", rest.join(","))
    };
    let mut table = Table {
        id: declared.id,
        select: String::new(),
        upsert: format!("{insert}{change}"),
        insert: format!("{insert}NOTHING"),
        delete: String::new(),
        name,
        rule,
        stream,
        writers,
        layout,
        columns,
    };
    let at_key = table.at_key(0);
    table.select = format!("SELECT {all} FROM \"{}\" WHERE {at_key}", table.name);
    table.delete = format!("DELETE FROM \"{}\" WHERE {at_key}", table.name);
    table
}

fn read_columns(db: &Connection, table: &str) -> rusqlite::Result<Vec<Column>> {
    db.prepare(
        "SELECT name, type, \"notnull\", pk, hidden FROM pragma_table_xinfo(?1) ORDER BY cid",
    )?
    .query_map([table], |row| {
        Ok(Column {
            name: row.get(0)?,
            kind: row.get(1)?,
            required: row.get(2)?,
            key_place: usize::try_from(row.get::<_, i64>(3)?).unwrap_or(0),
            hidden: row.get::<_, i64>(4)? != 0,
        })
    })?
    .collect()
}

fn check_columns(columns: &[Column]) -> Result<(), String> {
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

fn check_table(db: &Connection, table: &str, rule: Rule) -> Result<(), Found> {
    let refuse = |reason: &str| Err(Found::Reason(reason.to_owned()));
    let (strict, sql): (bool, String) = db.query_row(
        "SELECT l.strict, m.sql FROM pragma_table_list(?1) l JOIN sqlite_schema m ON m.name = l.name
         WHERE l.schema = 'main'",
        [table],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if !strict {
        return refuse("it is not STRICT");
    }
    if sql.to_ascii_uppercase().contains("AUTOINCREMENT") {
        return refuse("AUTOINCREMENT draws keys that another device draws too: use row_id()");
    }
    let unique: i64 = db.query_row(
        "SELECT count(*) FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'",
        [table],
        |row| row.get(0),
    )?;
    if unique > 0 && rule != Rule::Owner {
        return refuse("two devices cannot keep a UNIQUE index besides the key");
    }
    let acting: i64 = db.query_row(
        "SELECT count(*) FROM pragma_foreign_key_list(?1)
         WHERE on_delete NOT IN ('NO ACTION', 'RESTRICT') OR on_update NOT IN ('NO ACTION', 'RESTRICT')",
        [table],
        |row| row.get(0),
    )?;
    if acting > 0 {
        return refuse("a foreign key must not change other rows");
    }
    Ok(())
}

/// A trigger that wrote a replicated table would be captured here and run again at the receiver.
fn check_triggers(db: &Connection, tables: &Tables) -> Result<(), TableError> {
    let triggers: Vec<(String, String)> = db
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (trigger, sql) in triggers {
        let lower = sql.to_ascii_lowercase();
        let body = lower.split_once("begin").map_or("", |(_, body)| body);
        let words: Vec<&str> = body
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .filter(|word| !word.is_empty())
            .collect();
        let written = words.windows(2).filter(|pair| matches!(pair[0], "into" | "update" | "from"));
        let deletes = words.windows(3).filter(|three| three[0] == "delete").map(|three| three[2]);
        let targets = written.filter(|pair| pair[0] != "from").map(|pair| pair[1]).chain(deletes);
        for target in targets {
            if let Some(place) = tables.place(target.as_bytes()) {
                return Err(TableError::Refused {
                    table: tables.at(place).name.clone(),
                    reason: format!("the trigger {trigger} writes it: effects stay home"),
                });
            }
        }
    }
    Ok(())
}

fn named_kinds(db: &Connection, table: u32) -> rusqlite::Result<Vec<(String, String)>> {
    db.prepare("SELECT name, kind FROM replicated_column WHERE table_id = ?1 ORDER BY name")?
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

fn stream_rule(declared: Option<&str>, rule: Rule, columns: &[String]) -> Option<StreamRule> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(sql: &str, expected: Expect) {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(sql).unwrap();
        db.execute_batch(
            "INSERT OR IGNORE INTO replicated (table_id, name, rule) VALUES (1, 't', 'fact')",
        )
        .unwrap();
        let found = match Tables::load(&db) {
            Ok(tables) => format!("{:?} {:?}", tables.at(0).layout.kinds, tables.at(0).layout.key),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn a_table_is_carried_only_as_it_can_be() {
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, at INTEGER, name TEXT, picture BLOB) STRICT;
             INSERT INTO replicated_column VALUES (1, 'id', 'id'), (1, 'at', 'time')",
            expect!["[Id, Time, Text, Bytes] [0]"],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, weight REAL) STRICT",
            expect!["the replicated table t cannot be carried: the type of column weight"],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY)",
            expect!["the replicated table t cannot be carried: it is not STRICT"],
        );
        check(
            "CREATE TABLE t (name TEXT, id INTEGER PRIMARY KEY) STRICT",
            expect![
                "the replicated table t cannot be carried: its primary key must be declared and stand first"
            ],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT) STRICT",
            expect![
                "the replicated table t cannot be carried: AUTOINCREMENT draws keys that another device draws too: use row_id()"
            ],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, code TEXT UNIQUE) STRICT",
            expect![
                "the replicated table t cannot be carried: two devices cannot keep a UNIQUE index besides the key"
            ],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, twice INTEGER AS (id * 2)) STRICT",
            expect!["the replicated table t cannot be carried: column twice is generated"],
        );
        check(
            "SELECT 1",
            expect!["the replicated table t cannot be carried: there is no such table"],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE u (id INTEGER PRIMARY KEY) STRICT;
             CREATE TRIGGER again AFTER INSERT ON u BEGIN INSERT INTO t VALUES (new.id); END",
            expect![
                "the replicated table t cannot be carried: the trigger again writes it: effects stay home"
            ],
        );
        check(
            "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;
             INSERT INTO replicated VALUES (1, 't', 'register', NULL, NULL)",
            expect!["the replicated table t cannot be carried: the rule register is not known"],
        );
    }
}
