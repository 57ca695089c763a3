//! Who may stand before the screen

use crate::world::{PIN_4711, world};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use selvedge_domain::staff::{self, NewEmployee, Rights};

fn check(store: i64, badge: &str, pin: &str, expected: Expect) {
    let db = world();
    let said = match staff::sign_on(&db, store, badge, pin) {
        Ok(person) => format!("{} {}: {}", person.id, person.name, person.rights),
        Err(refusal) => refusal.to_string(),
    };
    expected.assert_eq(&said);
}

// Proves TS-10.
#[test]
fn badge_and_pin_open_the_screen() {
    check(
        1,
        "badge-anna",
        "4711",
        expect!["1 anna: sell, discount, open price, return, stock, manage"],
    );
    check(1, " badge-ben ", "4711", expect!["2 ben: sell"]);
}

// Proves TS-10.
#[test]
fn whatever_is_wrong_the_same_is_said() {
    check(
        1,
        "badge-anna",
        "4712",
        expect!["badge or PIN is not right: scan the badge and type the PIN again"],
    );
    check(
        1,
        "nobody",
        "4711",
        expect!["badge or PIN is not right: scan the badge and type the PIN again"],
    );
    check(
        1,
        "badge-carl",
        "4711",
        expect!["badge or PIN is not right: scan the badge and type the PIN again"],
    );
    check(
        3,
        "badge-anna",
        "4711",
        expect!["badge or PIN is not right: scan the badge and type the PIN again"],
    );
    check(1, "", "", expect!["badge or PIN is not right: scan the badge and type the PIN again"]);
}

#[test]
fn neither_badge_nor_pin_can_be_read_from_the_database() {
    let db = world();
    let (badge, pin): (Vec<u8>, String) = db
        .query_row("SELECT badge, pin FROM employee WHERE id = 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(badge, staff::badge_hash(1, "badge-anna"));
    assert_ne!(staff::badge_hash(1, "badge-anna"), staff::badge_hash(2, "badge-anna"));
    assert!(pin.starts_with("$argon2id$v=19$m="), "{pin}");
}

#[test]
fn the_same_employee_twice_changes_nothing() {
    let mut db = world();
    let again = staff::pin_hash(&db, 1, 1, "4711", b"another 16 bytes").unwrap();
    assert_eq!(again, *PIN_4711);
    let other = staff::pin_hash(&db, 1, 1, "4712", b"another 16 bytes").unwrap();
    assert_ne!(other, *PIN_4711);
    let rights = Rights::parse("sell").unwrap();
    let ben = |pin_hash| NewEmployee {
        store: 1,
        id: 2,
        name: "ben",
        badge: "badge-ben",
        pin_hash,
        rights,
    };
    let tx = db.transaction().unwrap();
    assert!(!staff::upsert(&tx, &ben(&again)).unwrap());
    assert!(staff::upsert(&tx, &ben(&other)).unwrap());
}

fn refused(db: &mut Connection, new: &NewEmployee, expected: Expect) {
    let tx = db.transaction().unwrap();
    expected.assert_eq(&staff::upsert(&tx, new).unwrap_err().to_string());
}

#[test]
fn an_employee_with_something_wrong_is_refused() {
    let mut db = world();
    let good = NewEmployee {
        store: 1,
        id: 9,
        name: "eva",
        badge: "badge-eva",
        pin_hash: &PIN_4711,
        rights: Rights::SELL,
    };
    refused(
        &mut db,
        &NewEmployee { store: 9, ..good.clone() },
        expect!["there is no store 9: import the stores first"],
    );
    refused(
        &mut db,
        &NewEmployee { id: 0, ..good.clone() },
        expect!["an employee's number is 1 or more, not 0"],
    );
    refused(
        &mut db,
        &NewEmployee { name: " ", ..good.clone() },
        expect!["the name of employee 9 is empty or longer than 80 characters"],
    );
    refused(
        &mut db,
        &NewEmployee { badge: "", ..good.clone() },
        expect!["the badge of employee 9 is empty or longer than 64 characters"],
    );
    refused(
        &mut db,
        &NewEmployee { badge: "badge-anna", ..good.clone() },
        expect!["employee 1 already has this badge: give each a badge of its own"],
    );
    refused(
        &mut db,
        &NewEmployee { pin_hash: "4711", ..good.clone() },
        expect!["the PIN of employee 9 is not hashed as it must be"],
    );
    // Carl has left, so his badge may be given to somebody else.
    let tx = db.transaction().unwrap();
    assert!(staff::upsert(&tx, &NewEmployee { badge: "badge-carl", ..good }).unwrap());
    expect!["a PIN has 4 to 12 digits"]
        .assert_eq(&staff::hash_pin("12a4", &[0; 16]).unwrap_err().to_string());
    expect![[r#""fly" is no right: use sell, discount, open price, return, stock or manage"#]]
        .assert_eq(&Rights::parse("sell, fly").unwrap_err().to_string());
}
