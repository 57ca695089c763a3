//! What replicates, what is derived, how a table must look

use crate::world::schema;
use expect_test::expect;
use rusqlite::Connection;

/// Every table that is not replicated, with one word: `local` or `derived`.
const NOT_REPLICATED: [(&str, &str); 6] = [
    ("stock_balance", "derived"),
    ("catalogue_change", "local"),
    ("exception_open", "derived"),
    ("request_done", "local"),
    ("delivery_line", "local"),
    ("receipt_of_intent", "derived"),
];

/// What the engine brings.
const ENGINE: [&str; 2] = ["replicated", "replicated_column"];

fn texts(db: &Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

// Proves TS-12, IM-04.
#[test]
fn effects_stay_home() {
    let db = schema(7);
    let replicated = texts(&db, "SELECT name FROM replicated");
    for (table, word) in NOT_REPLICATED {
        assert!(!replicated.contains(&table.to_owned()), "{table} is {word} and must not be sent");
    }
    let triggers = texts(&db, "SELECT sql FROM sqlite_master WHERE type = 'trigger'");
    assert_eq!(triggers.len(), 11);
    for trigger in triggers {
        let deed = trigger.split("INSERT INTO ").nth(1).or(trigger.split("DELETE FROM ").nth(1));
        let written = deed.unwrap().split(' ').next().unwrap();
        assert!(NOT_REPLICATED.iter().any(|known| known.0 == written), "{trigger}");
    }
}

#[test]
fn every_table_replicates_or_is_listed_here() {
    let db = schema(7);
    let unlisted =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                    AND name NOT IN (SELECT name FROM replicated) ORDER BY name";
    let listed = NOT_REPLICATED.iter().map(|known| known.0).chain(ENGINE);
    let mut listed: Vec<String> = listed.map(str::to_owned).collect();
    listed.sort();
    assert_eq!(texts(&db, unlisted), listed);
    let missing = "SELECT name FROM replicated WHERE name NOT IN (SELECT name FROM sqlite_master)";
    assert_eq!(texts(&db, missing), Vec::<String>::new());
}

#[test]
fn the_list_of_what_replicates_is_known() {
    let db = schema(7);
    let list = texts(
        &db,
        "SELECT table_id || ' ' || name || ' ' || rule || ' ' || stream || coalesce(' ' || writers, '')
         FROM replicated ORDER BY table_id",
    );
    expect![[r#"
        1 store owner chain
        2 product owner chain
        3 variant owner chain
        4 gtin owner chain
        5 price owner chain
        6 tax_rate owner chain
        7 employee owner by:store
        8 nutrition owner chain
        9 customer owner chain
        10 store_discount owner by:store back-office
        12 receipt fact store pos back-office
        13 receipt_line fact store pos back-office
        14 tender fact store pos back-office
        15 stock_movement fact by:store pos back-office hq
        16 exception_done fact by:store back-office
        18 exception fact by:store pos back-office hq
        19 grand_total fact store pos back-office
        20 doubt_answer fact store pos back-office"#]]
    .assert_eq(&list.join("\n"));
    let kinds = texts(
        &db,
        "SELECT r.name || '.' || c.name || ' ' || c.kind FROM replicated_column c
         JOIN replicated r USING (table_id) ORDER BY r.table_id, c.rowid",
    );
    expect![[r#"
        store_discount.id id
        store_discount.valid_from time
        store_discount.valid_to time
        receipt.id id
        receipt.at time
        receipt.customer id
        receipt.of id
        receipt_line.receipt id
        tender.receipt id
        stock_movement.id id
        stock_movement.at time
        exception_done.at time
        exception.id id
        exception.at time
        exception.receipt id
        grand_total.id id
        grand_total.at time
        doubt_answer.exception id
        doubt_answer.receipt id
        doubt_answer.void id"#]]
    .assert_eq(&kinds.join("\n"));
}

#[test]
fn a_replicated_table_is_strict_and_keyed_and_only_owners_and_few_facts_have_an_index() {
    let db = schema(7);
    let loose = "SELECT t.name FROM pragma_table_list t JOIN replicated r ON r.name = t.name WHERE NOT t.strict";
    assert_eq!(texts(&db, loose), Vec::<String>::new());
    let indexes = "SELECT i.name FROM sqlite_master i JOIN replicated r ON r.name = i.tbl_name
                   WHERE i.type = 'index' AND i.sql IS NOT NULL AND r.rule = 'fact'
                   AND i.sql NOT LIKE '% WHERE %'";
    assert_eq!(texts(&db, indexes), Vec::<String>::new());
    let unkeyed = "SELECT r.name FROM replicated r WHERE NOT EXISTS
                   (SELECT 1 FROM pragma_table_info(r.name) WHERE cid = 0 AND pk = 1 AND \"notnull\")";
    assert_eq!(texts(&db, unkeyed), Vec::<String>::new());
    let unknown =
        "SELECT r.name || '.' || c.name FROM replicated_column c JOIN replicated r USING (table_id)
                   WHERE c.name NOT IN (SELECT name FROM pragma_table_info(r.name))";
    assert_eq!(texts(&db, unknown), Vec::<String>::new());
}

#[test]
fn a_second_receipt_of_one_payment_intent_is_refused_by_the_table_itself() {
    let db = schema(7);
    let receipt = "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
                   VALUES (?1, ?2, 1, 1, 0, 1, 1, 0)";
    let paid =
        "INSERT INTO tender (receipt, no, kind, amount_minor, intent) VALUES (?1, 1, 2, 1, 9)";
    let (own, other) = (7_i64 << 40, 8_i64 << 40);
    for (id, no) in [(own + 1, 1), (own + 2, 2), (other + 1, 1)] {
        db.execute(receipt, [id, no]).unwrap();
    }
    assert!(db.execute(paid, [own + 1]).is_ok());
    assert!(db.execute(paid, [own + 2]).is_err());
    assert!(db.execute(paid, [other + 1]).is_ok(), "another device spoils nobody's receipts");
}

#[test]
fn an_id_that_was_forgotten_is_refused() {
    let db = schema(7);
    let forgotten = "INSERT INTO stock_movement (store, sku, quantity, reason, at) VALUES (1, 1, 1, 'delivery', 0)";
    assert!(db.execute(forgotten, []).is_err());
    let orphan = "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class) VALUES (1, 1, 1, 1, 1, 1)";
    assert!(db.execute(orphan, []).is_err());
}
