//! Where SQLite is opened, and what SQL stands where

use crate::code;
use lab::sources::{Source, replicated_tables};
use std::collections::BTreeSet;

/// one-opener: the only file that opens a database file.
const OPENER: &str = "sync/src/open.rs";
const OPENS: [&str; 4] = [
    "Connection::open(",
    "Connection::open_with_flags",
    "Connection::open_in_memory",
    "sqlite3_open",
];

/// screens-hold-no-SQL: what would be a question to the database in a screen.
const SQL: [&str; 7] =
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", ".query_row(", ".prepare", ".execute("];

/// text-is-no-SQL: the packages whose SQL is written by people and never put together.
const ASKERS: [&str; 3] = ["appliance/src/", "appliance/domain/src/", "hq-bridge/src/"];

/// Where SQL enters SQLite.
const ASKS: [&str; 9] = [
    ".prepare(",
    ".prepare_cached(",
    ".execute(",
    ".execute_batch(",
    ".query_row(",
    ".query_one(",
    ".query(",
    ".query_map(",
    ".query_and_then(",
];

/// Names that stand for one of a few literals a line above, and no other text can get there.
const CHOSEN: [(&str, &str); 3] = [
    ("appliance/domain/src/shelf.rs", "sql"),
    ("appliance/src/baskets.rs", "sql"),
    ("hq-bridge/src/rest/exceptions.rs", "newest"),
];

/// A `prepare` of our own, which is given a row and no SQL.
const NOT_ASKED: &str = "&self.reader, &mut row)";

/// SQL is a literal, a constant, or literals put together by the compiler. What begins with a bracket are values.
fn sql_text_faults(file: &Source) -> Vec<String> {
    if !ASKERS.iter().any(|folder| file.path.starts_with(folder)) {
        return Vec::new();
    }
    let bare = code::without_tests(&code::bare(&file.text));
    let text: Vec<char> = file.text.chars().collect();
    let places = ASKS.iter().flat_map(|ask| bare.match_indices(ask));
    let mut faults = Vec::new();
    for (at, ask) in places {
        let begin = bare[..at].chars().count() + ask.chars().count();
        let first: String =
            text[begin..].iter().skip_while(|sign| sign.is_whitespace()).take(60).collect();
        let name: String =
            first.chars().take_while(|sign| sign.is_alphanumeric() || *sign == '_').collect();
        let is_macro = first[name.len()..].starts_with('!')
            && (name.ends_with("_sql")
                || matches!(name.as_str(), "concat" | "include_str" | "params" | "named_params"));
        let is_constant =
            !name.is_empty() && !name.contains(|sign: char| sign.is_ascii_lowercase());
        let is_chosen = CHOSEN.contains(&(file.path.as_str(), name.as_str()));
        let is_sql = !first.starts_with(['"', '(', '[', ')']) && !first.starts_with(NOT_ASKED);
        if is_sql && !(is_macro || is_constant || is_chosen) {
            let line = code::line_of(&bare, at);
            let first = first.lines().next().unwrap_or_default();
            faults.push(format!("{}:{line}: {ask}{first}", file.path));
        }
    }
    faults
}

fn opener_faults(file: &Source) -> Vec<String> {
    if file.path == OPENER || !file.path.contains("src/") {
        return Vec::new();
    }
    let bare = code::without_tests(&code::bare(&file.text));
    let places = OPENS.iter().flat_map(|open| bare.match_indices(open));
    places.map(|(at, open)| format!("{}:{}: {open}", file.path, code::line_of(&bare, at))).collect()
}

fn is_screen(path: &str) -> bool {
    path.contains("/src/screens/")
        || path.ends_with("appliance/src/screens.rs")
        || path.ends_with("/src/page.rs")
        || path.contains("/src/kiosk")
}

fn screen_faults(file: &Source) -> Vec<String> {
    if !is_screen(&file.path) {
        return Vec::new();
    }
    let lines = file.text.lines().zip(1..).filter(|(line, _)| !line.trim_start().starts_with("//"));
    lines
        .flat_map(|(line, no)| {
            SQL.iter().filter(|sql| line.contains(**sql)).map(move |sql| (no, *sql))
        })
        .map(|(no, sql)| format!("{}:{no}: `{sql}` in a screen", file.path))
        .collect()
}

/// effects-stay-home: triggers write derived tables only, and derived tables are never replicated.
fn trigger_faults(file: &Source, replicated: &BTreeSet<String>) -> Vec<String> {
    let sql = without_sql_comments(&file.text);
    let mut faults = Vec::new();
    for trigger in sql.split("CREATE TRIGGER").skip(1) {
        let name = trigger
            .split_whitespace()
            .find(|word| !["IF", "NOT", "EXISTS"].contains(word))
            .unwrap_or("");
        let body = trigger.split("BEGIN").nth(1).unwrap_or("").split("END;").next().unwrap_or("");
        for written in tables_written(body).iter().filter(|table| replicated.contains(*table)) {
            faults.push(format!(
                "{}: trigger {name} writes the replicated table {written}",
                file.path
            ));
        }
    }
    faults
}

fn tables_written(body: &str) -> Vec<String> {
    let words: Vec<&str> = body
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty())
        .collect();
    let mut tables = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |i| words[i]);
        let target = match *word {
            "INTO" => words.get(at + 1),
            "FROM" if before == "DELETE" => words.get(at + 1),
            "UPDATE" if before != "DO" && words.get(at + 1) == Some(&"OR") => words.get(at + 3),
            "UPDATE" if before != "DO" => words.get(at + 1),
            _ => None,
        };
        tables.extend(target.map(|table| table.to_string()));
    }
    tables
}

fn without_sql_comments(text: &str) -> String {
    text.lines().map(|line| line.split("--").next().unwrap_or(line).to_string() + "\n").collect()
}

#[test]
fn one_file_opens_databases() {
    crate::none(crate::rust().iter().flat_map(opener_faults).collect());
}

#[test]
fn screens_hold_no_sql() {
    crate::none(crate::rust().iter().flat_map(screen_faults).collect());
}

#[test]
fn no_text_becomes_sql() {
    crate::none(crate::rust().iter().flat_map(sql_text_faults).collect());
}

#[test]
fn effects_stay_home() {
    let files = crate::sql();
    let tables = replicated_tables(&files);
    crate::none(files.iter().flat_map(|file| trigger_faults(file, &tables)).collect());
}

#[test]
fn a_second_opener_is_caught() {
    let text = "fn f() { Connection::open(path) }\n#[cfg(test)]\nmod tests {\n    fn g() { Connection::open_in_memory() }\n}\n";
    assert_eq!(opener_faults(&Source::new("appliance/src/a.rs", text)).len(), 1);
    assert_eq!(opener_faults(&Source::new("sync/src/open.rs", text)).len(), 0);
    assert_eq!(opener_faults(&Source::new("sync/tests/a.rs", text)).len(), 0);
}

#[test]
fn sql_that_is_put_together_is_caught() {
    let faults = |text: &str| {
        sql_text_faults(&Source::new("appliance/src/a.rs", &format!("fn f() {{ {text} }}\n"))).len()
    };
    for good in [
        "db.prepare_cached(\"SELECT 1\")?.query_row([], read)",
        "db.execute(PAID, (a, b))",
        "db.prepare(\n    tag_sql!(\"WHERE a = ?1\"))?.execute(params![a])",
    ] {
        assert_eq!(faults(good), 0, "{good}");
    }
    for bad in [
        "db.prepare(&format!(\"SELECT {a}\"))",
        "db.execute(sql, [])",
        "db.query_row(&(a + b), [], read)",
        "db.execute_batch(text.as_str())",
    ] {
        assert_eq!(faults(bad), 1, "{bad}");
    }
}

#[test]
fn sql_in_a_screen_is_caught() {
    let text = "// SELECT in a comment\nlet a = db.query_row(\"SELECT 1\", [])?;\n";
    assert_eq!(screen_faults(&Source::new("appliance/src/screens/stock.rs", text)).len(), 2);
    assert_eq!(screen_faults(&Source::new("appliance/src/kiosk/find.rs", text)).len(), 2);
    assert_eq!(screen_faults(&Source::new("appliance/src/database.rs", text)).len(), 0);
}

#[test]
fn a_trigger_that_writes_a_replicated_table_is_caught() {
    let tables = "INSERT INTO replicated (table_id, name, rule) VALUES (1, 'fact_one', 'fact'), (2, 'fact_two', 'fact');\n";
    let good = "CREATE TRIGGER adds_up AFTER INSERT ON fact_one BEGIN\n  INSERT INTO balance SELECT 1 FROM fact_two\n  ON CONFLICT (a) DO UPDATE SET b = 1;\nEND;\n";
    let bad = "CREATE TRIGGER bad AFTER INSERT ON balance BEGIN\n  UPDATE fact_one SET a = 1; DELETE FROM fact_two;\n  INSERT OR REPLACE INTO fact_two VALUES (1);\nEND;\n";
    let faults = |text: &str| {
        let file = Source::new("a.sql", &format!("{tables}{text}"));
        trigger_faults(&file, &replicated_tables(std::slice::from_ref(&file))).len()
    };
    assert_eq!(faults(good), 0);
    assert_eq!(faults(bad), 3);
}
