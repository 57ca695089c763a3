//! What a manager does in the back office

use crate::world::world;
use expect_test::expect;
use rusqlite::Transaction;
use selvedge_domain::day::{self, DayReceipt};
use selvedge_domain::goods_in::{self, Booking, Found};
use selvedge_domain::moment::Moment;
use selvedge_domain::once::once;
use selvedge_domain::stock;
use selvedge_domain::store_discounts::{self, NewStoreDiscount};
use selvedge_domain::{exceptions, staff};

const PEN: i64 = 1;
const SHIRT: i64 = 2;
const ANNA: i64 = 1;
const BEN: i64 = 2;

fn discount(points: i64, from: i64, to: i64) -> NewStoreDiscount {
    NewStoreDiscount {
        store: 1,
        product: PEN,
        discount_points: points,
        valid_from: Moment(from),
        valid_to: Moment(to),
        employee: ANNA,
        at: Moment(50),
    }
}

fn entered(tx: &Transaction, new: &NewStoreDiscount) -> String {
    match store_discounts::enter(tx, new) {
        Ok(_) => "entered".to_owned(),
        Err(refusal) => refusal.to_string(),
    }
}

// Proves TS-23.
#[test]
fn a_store_discount_holds_from_its_first_moment_to_before_its_last() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let id = store_discounts::enter(&tx, &discount(1_000, 100, 200)).unwrap();
    store_discounts::enter(&tx, &discount(500, 150, 300)).unwrap();
    let points =
        |store, product, at| store_discounts::points_at(&tx, store, product, Moment(at)).unwrap();
    let seen: Vec<i64> = [99, 100, 150, 199, 200, 299, 300].map(|at| points(1, PEN, at)).into();
    assert_eq!(seen, [0, 1_000, 1_000, 1_000, 500, 500, 0], "the best one, not the sum");
    assert_eq!((points(2, PEN, 150), points(1, SHIRT, 150)), (0, 0));
    store_discounts::end(&tx, 1, id, ANNA, Moment(120)).unwrap();
    assert_eq!((points(1, PEN, 119), points(1, PEN, 120)), (1_000, 0));
    let again = store_discounts::end(&tx, 1, id, ANNA, Moment(120)).unwrap_err().to_string();
    assert_eq!(again, "that discount has already ended");
}

#[test]
fn a_discount_that_is_ended_before_it_begins_never_holds() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let id = store_discounts::enter(&tx, &discount(1_000, 100, 200)).unwrap();
    store_discounts::end(&tx, 1, id, ANNA, Moment(60)).unwrap();
    assert_eq!(store_discounts::points_at(&tx, 1, PEN, Moment(100)).unwrap(), 0);
    assert!(store_discounts::current(&tx, 1, Moment(60)).unwrap().is_empty());
    assert_eq!(store_discounts::ended(&tx, 1, Moment(60), 9).unwrap()[0].entered_by, "anna");
}

#[test]
fn what_is_wrong_with_a_discount_is_a_sentence() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let day = 24 * 60 * 60 * 1_000;
    for (new, said) in [
        (NewStoreDiscount { employee: BEN, ..discount(1, 60, 70) }, "employee 2 may not change"),
        (NewStoreDiscount { employee: 99, ..discount(1, 60, 70) }, "employee 99 may not change"),
        (NewStoreDiscount { product: 99, ..discount(1, 60, 70) }, "there is no product 99"),
        (discount(0, 60, 70), "between 0.01 and 100 percent"),
        (discount(10_001, 60, 70), "between 0.01 and 100 percent"),
        (discount(1, 70, 70), "ends before it begins"),
        (discount(1, 40, 50), "has passed already"),
        (discount(1, 60, 60 + 367 * day), "more than a year"),
        (discount(10_000, i64::MIN, 60), "more than a year"),
        (discount(10_000, 40, 51), "entered"),
    ] {
        let answer = entered(&tx, &new);
        assert!(answer.contains(said), "{answer}");
    }
    let ben = store_discounts::end(&tx, 1, 7, BEN, Moment(50)).unwrap_err().to_string();
    assert!(ben.starts_with("employee 2 may not"), "{ben}");
}

fn booking(employee: i64) -> Booking<'static> {
    Booking { store: 1, employee, at: Moment(50), note: " LS-4711 " }
}

// Proves TS-24.
#[test]
fn a_delivery_is_booked_whole_or_not_at_all() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let empty = goods_in::book(&tx, &booking(ANNA)).unwrap_err().to_string();
    assert!(empty.contains("no line yet"), "{empty}");
    goods_in::add(&tx, PEN, 5).unwrap();
    goods_in::add(&tx, SHIRT, 2).unwrap();
    goods_in::add(&tx, PEN, 1).unwrap();
    assert_eq!(
        goods_in::add(&tx, 99, 1).unwrap_err().to_string(),
        "there is no SKU 99 in the catalogue"
    );
    assert!(goods_in::add(&tx, PEN, 0).is_err());
    let refused = goods_in::book(&tx, &booking(BEN)).unwrap_err();
    expect!["nothing was booked: 2 lines of this delivery cannot be"]
        .assert_eq(&refused.to_string());
    let goods_in::GoodsInError::Lines(refused) = refused else { panic!("lines are named") };
    assert!(refused[0].reason.to_string().contains("may not book stock"));
    assert_eq!(goods_in::lines_so_far(&tx).unwrap().len(), 2, "nothing typed is lost");
    assert_eq!(goods_in::book(&tx, &booking(ANNA)).unwrap(), (2, 8));
    assert_eq!(
        (stock::on_hand(&tx, 1, PEN).unwrap(), stock::on_hand(&tx, 1, SHIRT).unwrap()),
        (6, 2)
    );
    assert!(goods_in::lines_so_far(&tx).unwrap().is_empty());
    let note: String =
        tx.query_row("SELECT min(note) FROM stock_movement", [], |row| row.get(0)).unwrap();
    assert_eq!(note, "LS-4711");
}

// Proves TS-24.
#[test]
fn a_correction_says_what_was_and_what_is() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let correct = |found| match goods_in::correct(&tx, &booking(ANNA), PEN, found) {
        Ok((before, after)) => format!("{} -> {after}", before.on_hand),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(correct(Found::Counted(4)), "0 -> 4");
    assert_eq!(correct(Found::Difference(-3)), "4 -> 1");
    assert_eq!(correct(Found::Counted(1)), "nothing to correct: the balance is 1 already");
    assert!(correct(Found::Counted(-1)).contains("cannot be booked"));
    assert!(correct(Found::Difference(0)).contains("cannot be booked"));
    assert!(correct(Found::Difference(i64::MIN)).contains("cannot be booked"));
    assert_eq!(stock::balance(&tx, 1, PEN).unwrap().changed_at, Some(Moment(50)));
    assert_eq!(stock::balance(&tx, 1, SHIRT).unwrap().changed_at, None);
}

// Proves TS-18.
#[test]
fn a_request_that_comes_twice_counts_once() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let asked = |pieces| {
        once::<goods_in::GoodsInError>(&tx, "a", |tx| {
            goods_in::correct(tx, &booking(ANNA), PEN, Found::Difference(pieces))?;
            Ok(format!("/{pieces}"))
        })
    };
    assert!(asked(0).is_err(), "a refusal is not an answer");
    assert_eq!(asked(2).unwrap(), "/2");
    assert_eq!(asked(3).unwrap(), "/2");
    assert_eq!(stock::on_hand(&tx, 1, PEN).unwrap(), 2);
}

#[test]
fn an_exception_is_open_until_a_manager_calls_it_done() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let new = |at| exceptions::NewException {
        store: 1,
        at: Moment(at),
        kind: exceptions::OVERSOLD,
        ..Default::default()
    };
    for at in [5, 6] {
        exceptions::write(&tx, &new(at)).unwrap();
    }
    let open = |tx: &Transaction| -> Vec<i64> {
        exceptions::open(tx, 1, 9).unwrap().iter().map(|open| open.at.0).collect()
    };
    assert_eq!(open(&tx), [6, 5]);
    let first = exceptions::open(&tx, 1, 9).unwrap()[1].id;
    assert!(exceptions::call_done(&tx, 1, first, BEN, Moment(9), None).is_err());
    assert!(
        exceptions::call_done(&tx, 2, first, ANNA, Moment(9), None).is_err(),
        "another store's"
    );
    exceptions::call_done(&tx, 1, first, ANNA, Moment(9), Some("counted")).unwrap();
    exceptions::call_done(&tx, 1, first, ANNA, Moment(10), None).unwrap();
    assert_eq!((open(&tx), exceptions::open_count(&tx, 1).unwrap()), (vec![6], 1));
    let done = exceptions::done_of(&tx, first).unwrap().unwrap();
    assert_eq!(
        (done.by.as_str(), done.at, done.note.as_deref()),
        ("anna", Moment(9), Some("counted"))
    );
    assert_eq!(exceptions::done(&tx, 1, 9).unwrap().len(), 1);
}

#[test]
fn an_exception_that_comes_after_it_was_called_done_is_never_open() {
    let db = world();
    let id = 8_i64 << 40 | 1;
    db.execute(
        "INSERT INTO exception_done (exception, store, at, employee) VALUES (?1, 1, 5, 1)",
        [id],
    )
    .unwrap();
    db.execute("INSERT INTO exception (id, store, at, kind) VALUES (?1, 1, 4, 'oversold')", [id])
        .unwrap();
    assert_eq!(exceptions::open_count(&db, 1).unwrap(), 0);
}

fn receipt(db: &rusqlite::Connection, device: i64, no: i64, at: i64) {
    let id = (device << 40) + no;
    let kind = if no % 10 == 9 { 2 } else { 1 };
    let sign = if kind == 1 { 1 } else { -1 };
    db.execute(
        "INSERT INTO receipt (id, no, kind, cashier, at, store, total_minor, tax_minor)
         VALUES (?1, ?2, ?3, 1, ?4, 1, ?5, 0)",
        (id, no, kind, at, 100 * sign),
    )
    .unwrap();
    db.execute(
        "INSERT INTO receipt_line (receipt, no, sku, quantity, unit_minor, tax_class)
         VALUES (?1, 1, ?2, ?3, 100, 1)",
        (id, 1 + no % 2, sign),
    )
    .unwrap();
}

#[test]
fn a_day_is_read_from_the_newest_receipts_of_each_device_and_no_further() {
    let db = world();
    for no in 1..=300 {
        receipt(&db, 7, no, no);
        receipt(&db, 9, no, no * 2);
    }
    // A clock that was set back for one receipt hides nothing; one that ran ahead is another day's.
    receipt(&db, 9, 301, 3);
    receipt(&db, 9, 302, 599);
    receipt(&db, 9, 303, 99_000);
    // Long before the rest: the reading never comes this far.
    receipt(&db, 11, 1, 290);
    for no in 2..=80 {
        receipt(&db, 11, no, no);
    }
    let mut found = day::receipts(&db, 1, Moment(280), Moment(600)).unwrap();
    assert_eq!(found.iter().filter(|receipt| receipt.id >> 40 == 7).count(), 21);
    assert_eq!(found.iter().filter(|receipt| receipt.id >> 40 == 9).count(), 161);
    assert_eq!(found.iter().filter(|receipt| receipt.id >> 40 == 11).count(), 0);
    found.sort_by_key(|receipt| receipt.at);
    assert_eq!((found[0].at, found.last().unwrap().at), (Moment(280), Moment(599)));
    assert!(day::receipts(&db, 2, Moment(0), Moment(600)).unwrap().is_empty());
    let top = day::top_products(&db, &found, 1).unwrap();
    assert_eq!(top[0].name, "pen");
    let pens = |receipt: &&DayReceipt| (receipt.id & 1) == 0;
    assert_eq!(top[0].quantity, found.iter().filter(pens).count() as i64);
}

#[test]
fn the_list_of_people_names_who_has_left_last() {
    let db = world();
    let people = staff::of_store(&db, 1).unwrap();
    let names: Vec<&str> = people.iter().map(|person| person.name.as_str()).collect();
    assert_eq!(names, ["anna", "ben", "dora", "carl"]);
}
