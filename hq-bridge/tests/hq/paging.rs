//! Lists that are read in parts while rows arrive

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::Connection;

use crate::desk::Desk;
use crate::served::{Served, arrive};

/// What happens while somebody pages.
#[derive(Debug, Clone)]
enum Happening {
    /// A receipt of one of four devices comes in; a device with a low number may come late.
    Arrives(i64),
    /// The next part is read, with this limit.
    Read(usize),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![
        (2..6_i64).prop_map(Happening::Arrives),
        (1..5_usize).prop_map(Happening::Read),
    ];
    proptest::collection::vec(one, 1..40)
}

/// Reads parts until nothing is left, and returns the ids in the order in which they came.
fn read_on(
    served: &Served,
    path: &str,
    column: &str,
    cursor: &mut String,
    limit: usize,
) -> Vec<String> {
    let from = if cursor.is_empty() { String::new() } else { format!("&cursor={cursor}") };
    let answer = served.get(&format!("{path}limit={limit}{from}"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    *cursor = answer.json()["next_cursor"].as_str().unwrap().to_string();
    let rows = answer.column(column);
    assert!(rows.len() <= limit);
    assert!(answer.json()["more"] != true || rows.len() == limit);
    rows
}

#[test]
fn a_cursor_never_skips_or_repeats_a_row_while_rows_arrive() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let db = served.hand();
    let mut numbers: BTreeMap<i64, i64> = BTreeMap::new();
    let mut runner =
        TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let mut begun = [String::new(), String::new()];
    let told = std::cell::RefCell::new((&mut numbers, &mut begun));
    runner
        .run(&happenings(), |happenings| {
            let mut told = told.borrow_mut();
            let (numbers, begun) = &mut *told;
            check(&served, &db, numbers, begun, &happenings);
            Ok(())
        })
        .unwrap();
}

/// Reads the list of all receipts and that of store 2 along with what happens, each from its own cursor.
fn check(
    served: &Served,
    db: &Connection,
    numbers: &mut BTreeMap<i64, i64>,
    begun: &mut [String; 2],
    happenings: &[Happening],
) {
    let paths = ["/v1/receipts?", "/v1/receipts?store=2&"];
    let mut expected: [Vec<String>; 2] = Default::default();
    let mut seen: [Vec<String>; 2] = Default::default();
    for happening in happenings {
        match happening {
            Happening::Arrives(origin) => {
                let no = numbers.entry(*origin).or_default();
                *no += 1;
                let store = 1 + origin % 2;
                arrive(db, *origin, *no, store);
                let id = (origin << 40 | *no).to_string();
                expected[0].push(id.clone());
                expected[1].extend((store == 2).then_some(id));
            }
            Happening::Read(limit) => {
                for ((path, cursor), seen) in paths.iter().zip(begun.iter_mut()).zip(&mut seen) {
                    seen.extend(read_on(served, path, "id", cursor, *limit));
                }
            }
        }
    }
    for ((path, cursor), seen) in paths.iter().zip(begun.iter_mut()).zip(&mut seen) {
        loop {
            let rows = read_on(served, path, "id", cursor, 7);
            if rows.is_empty() {
                break;
            }
            seen.extend(rows);
        }
    }
    assert_eq!(seen, expected, "each receipt once, in the order in which it came");
}

#[test]
fn a_moment_begins_with_what_came_then_or_later() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let db = served.hand();
    for no in 1..=4 {
        arrive(&db, 5, no, 1);
    }
    for (arrival, at) in [(1, 1_000), (2, 2_000), (3, 2_000), (4, 3_000)] {
        db.execute("UPDATE hq_receipt_arrival SET at = ?2 WHERE arrival = ?1", [arrival, at])
            .unwrap();
    }
    let count =
        |since: &str| served.get(&format!("/v1/receipts?changed_since={since}")).column("id").len();
    assert_eq!(count("1970-01-01T00:00:00Z"), 4);
    assert_eq!(count("1970-01-01T00:00:02Z"), 3);
    assert_eq!(count("1970-01-01T01:00:02.001%2B01:00"), 1);
    assert_eq!(count("1970-01-01T00:00:04Z"), 0);
    let late = served.get("/v1/receipts?changed_since=1970-01-01T00:00:04Z").json();
    arrive(&db, 5, 5, 1);
    let cursor = late["next_cursor"].as_str().unwrap();
    assert_eq!(count(cursor), 1, "an empty answer is a place too");
}

#[test]
fn a_clock_that_goes_back_loses_no_arrival() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let db = served.hand();
    arrive(&db, 5, 1, 1);
    db.execute("UPDATE hq_receipt_arrival SET at = 9000000000000", []).unwrap();
    arrive(&db, 5, 2, 1);
    assert_eq!(served.get("/v1/receipts").column("received_at")[1], "2255-03-14T16:00:00.000Z");
    let at: i64 =
        db.query_row("SELECT min(at) FROM hq_receipt_arrival", [], |row| row.get(0)).unwrap();
    assert_eq!(at, 9_000_000_000_000, "HQ's own order only rises");
}

#[test]
fn a_balance_that_changes_comes_again_with_what_it_is_now() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let db = served.hand();
    let mut cursor = String::new();
    assert_eq!(read_on(&served, "/v1/stock?", "sku", &mut cursor, 1), ["1001"]);
    sell(&db, 1, 1001);
    assert_eq!(read_on(&served, "/v1/stock?", "sku", &mut cursor, 9), ["1002", "1001"]);
    assert!(read_on(&served, "/v1/stock?", "sku", &mut cursor, 9).is_empty());
    db.execute(
        "INSERT INTO stock_movement (id, store, sku, quantity, reason, at)
         VALUES (5 << 40 | 9, 1, 1001, -1, 'correction', 0)",
        [],
    )
    .unwrap();
    let news = served.get(&format!("/v1/stock?changed_since={cursor}")).json();
    assert_eq!((&news["rows"][0]["sku"], &news["rows"][0]["on_hand"]), (&"1001".into(), &8.into()));
    let mut asked = String::new();
    let path = "/v1/stock?sku=1002&sku=1001&";
    let pages: Vec<Vec<String>> =
        (0..5).map(|_| read_on(&served, path, "store", &mut asked, 1)).collect();
    assert_eq!(pages.concat(), ["1", "2", "1", "2"], "a row for each SKU and store");
}

/// A receipt with a line.
fn sell(db: &Connection, no: i64, sku: i64) {
    arrive(db, 5, no, 1);
    let line = "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
                VALUES (5 << 40 | ?1, 1, ?2, 1, 1200, 1)";
    db.execute(line, [no, sku]).unwrap();
}

// A page that is not current says its age.
#[test]
fn what_cannot_catch_up_says_how_old_it_is() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 0)]);
    let db = served.hand();
    arrive(&db, 5, 1, 1);
    let long_ago = "1970-01-01T00:00:01.000Z";
    db.execute("UPDATE hq_receipt_arrival SET at = 1000", []).unwrap();
    // Somebody holds the database.
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held = served.get("/v1/receipts?store=1").json();
    assert_eq!((&held["as_of"], held["rows"].as_array().unwrap().len()), (&long_ago.into(), 0));
    db.execute_batch("ROLLBACK").unwrap();
    let free = served.get("/v1/receipts?store=1").json();
    assert_eq!(free["rows"].as_array().unwrap().len(), 1);
    assert_ne!(free["as_of"], long_ago);
}

#[test]
fn an_exception_that_is_done_comes_again_as_done() {
    let desk = Desk::stocked();
    let served = Served::new(&desk);
    let db = served.hand();
    let sql =
        "INSERT INTO exception (id, store, at, kind) VALUES (5 << 40 | ?1, ?2, 0, 'oversold')";
    for (no, store) in [(1, 1), (2, 1), (3, 2)] {
        db.execute(sql, [no, store]).unwrap();
    }
    let first = served.get("/v1/exceptions?limit=2");
    assert_eq!((first.column("id").len(), first.json()["more"].clone()), (2, true.into()));
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_string();
    db.execute(
        "INSERT INTO exception_done (exception, store, at, employee) VALUES (5 << 40 | 1, 1, 0, 7)",
        [],
    )
    .unwrap();
    let news = served.get(&format!("/v1/exceptions?cursor={cursor}")).json();
    let said: Vec<(String, bool)> = news["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["store"].as_str().unwrap().to_string(), row["open"].as_bool().unwrap()))
        .collect();
    assert_eq!(said, [("2".to_string(), true), ("1".to_string(), false)]);
    assert_eq!(served.get("/v1/exceptions?open=yes&store=1").column("id").len(), 1);
    assert_eq!(served.get("/v1/exceptions?open=no").column("done_by"), ["7"]);
}
