//! Which tables replicate and by which rule
//!
//! A table is declared in the migration that creates it and nowhere else. What
//! the engine cannot carry (floats, generated columns, keys that two devices
//! could both draw) is refused before the first write, by name.

use crate::{
    declared::{self, Column, Made, TableError, check_columns, check_table, read_columns},
    entry::{Age, Layout},
    epochs::{self, Pin},
    planted::{self, Fault},
    rule::{Rule, StreamRule, Writers},
    value::{Kind, Value},
};
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Number of the engine's own table of who counts.
pub const ALLOW_LIST: u32 = 4_000;

/// Number of the engine's own table of spare origins that were handed out.
pub const SPARE_CLAIM: u32 = 4_001;

/// Number of the engine's own table of what was taken of an origin beyond its cut.
pub const BEYOND_CUT: u32 = 4_002;

/// Number of the engine's own table of what was written anew under another origin.
pub const REISSUED: u32 = 4_003;

/// Number of the engine's own table of HQ's generations.
pub const SUCCESSION: u32 = 4_030;

/// Whether a change of this table changes who counts.
pub fn says_who_counts(table: u32) -> bool {
    [ALLOW_LIST, SPARE_CLAIM, BEYOND_CUT, SUCCESSION].contains(&table)
}

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
    /// The first schema epoch that has it.
    pub since: u16,
    /// Its columns by id; the key stands first.
    pub layout: Layout,
    /// Names of the columns by id, also of those that are gone.
    pub columns: Vec<String>,
    /// Where each column stands in the table, by id; None for one that is gone.
    pub places: Vec<Option<usize>>,
    /// Columns in the table.
    pub width: usize,
    /// Reads all columns by key, by id; a column that is gone reads as NULL.
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

    /// The conditions that find a row by its key, behind so many other parameters.
    pub fn at_key(&self, taken: usize) -> String {
        let key: Vec<String> = (self.layout.key.iter().zip(taken + 1..))
            .map(|(column, at)| format!("\"{}\"=?{at}", self.columns[*column]))
            .collect();
        key.join(" AND ")
    }
}

/// All replicated tables.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// The schema epoch of all that is declared.
    epoch: u16,
    /// Numbers of tables that do not replicate any more.
    ended: Vec<u32>,
    /// By number, ascending.
    list: Vec<Table>,
    /// Places of the tables whose name has so many bytes: each change of any row asks for its table.
    by_length: Vec<Vec<usize>>,
}

impl Tables {
    /// Reads the declarations and checks each against the schema.
    pub fn load(db: &Connection) -> Result<Tables, TableError> {
        let declared: Vec<Declared> = db
            .prepare_cached(
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
        let mut tables = Tables { epoch: epochs::current(db)?, ..Tables::default() };
        tables.ended = epochs::ended(db)?.into_iter().map(|ended| ended.table).collect();
        let made = declared::made(db)?;
        for one in declared {
            let table = read_table(db, &made, one)?;
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

    /// The schema epoch of all that is declared.
    pub fn epoch(&self) -> u16 {
        self.epoch
    }

    /// True for a number whose table does not replicate any more.
    pub fn has_ended(&self, id: u32) -> bool {
        self.ended.contains(&id)
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

fn read_table(
    db: &Connection,
    made: &BTreeMap<String, Made>,
    declared: Declared,
) -> Result<Table, TableError> {
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
    let found = read_columns(db, &declared.name)?;
    check_columns(&found).map_err(|reason| refuse(&reason))?;
    let made = made.get(&declared.name).ok_or_else(|| refuse("no table has exactly this name"))?;
    check_table(db, &declared.name, made, rule)?;
    let mut pins = epochs::pins(db, declared.id)?;
    pins.retain(|pin| !(pin.gone && planted::is(Fault::NumberByPlace)));
    let kinds = declared::column_kinds(db, declared.id, &found)?.map_err(|why| refuse(&why))?;
    check_pins(&found, &kinds, &pins).map_err(|reason| refuse(&reason))?;
    let columns: Vec<String> = pins.iter().map(|pin| pin.name.clone()).collect();
    let stream = declared::stream_rule(declared.stream.as_deref(), rule, &columns)
        .ok_or_else(|| refuse("its stream is none of chain, store, by:COLUMN"))?;
    let writers = match &declared.writers {
        None => rule.writers(),
        Some(text) => {
            Writers::parse(text).ok_or_else(|| refuse("its writers are no list of roles"))?
        }
    };
    let since = epochs::table_since(db, declared.id)?;
    let here = Columns { names: columns, places: places(&pins, &found), width: found.len() };
    let layout = Layout {
        kinds: pins.iter().filter_map(|pin| Kind::named(&pin.kind)).collect(),
        key: key(&here, &found),
        ages: ages(db, since, &pins, &here, &found)?,
        marks: (rule == Rule::Register).then(|| place_of_marks(&pins)).flatten(),
        gone: (0..).zip(&pins).fold(0, |mask, (at, pin)| mask | u64::from(pin.gone) << at),
    };
    Ok(statements(declared, rule, stream, writers, since, layout, here))
}

/// The columns of a table by their numbers.
struct Columns {
    names: Vec<String>,
    places: Vec<Option<usize>>,
    width: usize,
}

/// Every column must have a number, and the kind with which it was first numbered.
fn check_pins(found: &[Column], kinds: &[Kind], pins: &[Pin]) -> Result<(), String> {
    for (column, kind) in found.iter().zip(kinds) {
        let name = &column.name;
        let pin = pins.iter().find(|pin| !pin.gone && pin.name == *name);
        let pin =
            pin.ok_or_else(|| format!("column {name} has no number: add it in a migration"))?;
        if Kind::named(&pin.kind) != Some(*kind) {
            let was = &pin.kind;
            return Err(format!("the kind of column {name} was {was}: add a new column instead"));
        }
    }
    Ok(())
}

fn places(pins: &[Pin], found: &[Column]) -> Vec<Option<usize>> {
    let place = |pin: &Pin| found.iter().position(|column| !pin.gone && column.name == pin.name);
    pins.iter().map(place).collect()
}

fn place_of_marks(pins: &[Pin]) -> Option<usize> {
    pins.iter().position(|pin| !pin.gone && pin.name == crate::register::COLUMN)
}

/// Numbers of the columns of the primary key, in key order.
fn key(here: &Columns, found: &[Column]) -> Vec<usize> {
    let place = |at: &usize| here.places[*at].map_or(0, |place| found[place].key_place);
    let mut key: Vec<usize> = (0..here.places.len()).filter(|at| place(at) > 0).collect();
    key.sort_by_key(place);
    key
}

/// When columns came and ended; empty when all are as old as their table and none has ended.
fn ages(
    db: &Connection,
    since: u16,
    pins: &[Pin],
    here: &Columns,
    found: &[Column],
) -> rusqlite::Result<Vec<Age>> {
    if pins.iter().all(|pin| pin.since == since && pin.until.is_none()) {
        return Ok(Vec::new());
    }
    let age = |(pin, place): (&Pin, &Option<usize>)| {
        let absent = match place.map(|place| &found[place]) {
            Some(Column { default: Some(default), .. }) => {
                db.query_row(&format!("SELECT {default}"), [], |row| {
                    Ok(Value::read(row.get_ref(0)?))
                })?
            }
            Some(Column { required: true, .. }) => Kind::named(&pin.kind).map(Kind::blank),
            _ => None,
        };
        let absent = absent.unwrap_or(Value::Null);
        Ok(Age { since: pin.since, until: pin.until, absent })
    };
    pins.iter().zip(&here.places).map(age).collect()
}

fn statements(
    declared: Declared,
    rule: Rule,
    stream: StreamRule,
    writers: Writers,
    since: u16,
    layout: Layout,
    here: Columns,
) -> Table {
    let name = declared.name;
    let Columns { names: columns, places, width } = here;
    let quoted: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let live: Vec<usize> = (0..columns.len()).filter(|at| places[*at].is_some()).collect();
    let list = |of: &dyn Fn(usize) -> String| {
        live.iter().map(|at| of(*at)).collect::<Vec<String>>().join(",")
    };
    let key: Vec<&str> = layout.key.iter().map(|at| quoted[*at].as_str()).collect();
    let rest: Vec<String> = live
        .iter()
        .filter(|at| !layout.key.contains(at))
        .map(|at| format!("{0}=excluded.{0}", quoted[*at]))
        .collect();
    let (all, marks) = (list(&|at| quoted[at].clone()), list(&|at| format!("?{}", at + 1)));
    let key = key.join(",");
    let insert = format!("INSERT INTO \"{name}\" ({all}) VALUES ({marks}) ON CONFLICT ({key}) DO ");
    let change = if rest.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", rest.join(","))
    };
    let read: Vec<&str> =
        (0..columns.len()).map(|at| places[at].map_or("NULL", |_| quoted[at].as_str())).collect();
    let read = read.join(",");
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
        since,
        layout,
        columns,
        places,
        width,
    };
    let at_key = table.at_key(0);
    table.select = format!("SELECT {read} FROM \"{}\" WHERE {at_key}", table.name);
    table.delete = format!("DELETE FROM \"{}\" WHERE {at_key}", table.name);
    table
}

/// A trigger that wrote a replicated table would be captured here and run again at the receiver.
fn check_triggers(db: &Connection, tables: &Tables) -> Result<(), TableError> {
    let triggers: Vec<(String, String)> = db
        .prepare_cached("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?
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

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(sql: &str, expected: Expect) {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(declared::SCHEMA).unwrap();
        db.execute_batch(epochs::SCHEMA).unwrap();
        db.execute_batch(sql).unwrap();
        db.execute_batch(
            "INSERT OR IGNORE INTO replicated (table_id, name, rule) VALUES (1, 't', 'fact')",
        )
        .unwrap();
        let found = match epochs::pin(&db).and_then(|()| Tables::load(&db)) {
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
             INSERT INTO replicated VALUES (1, 't', 'hearsay', NULL, NULL)",
            expect!["the replicated table t cannot be carried: the rule hearsay is not known"],
        );
    }
}
