//! Customers, their cards and their receipts

use crate::world;
use expect_test::{Expect, expect};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::customers::{self, NewCustomer};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::receipts;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::tenders::{Tender, TenderKind};

/// Writes customers, "1 C-100 5 %" each, and says what became of each.
fn check(rows: &str, expected: Expect) {
    let mut db = world::world();
    let tx = db.transaction().unwrap();
    let said = rows.split(';').map(str::trim).map(|row| {
        let (id, rest) = row.split_once(' ').unwrap();
        let (card, points) = rest.rsplit_once(' ').unwrap();
        let (id, discount_points) = (id.parse().unwrap(), points.parse().unwrap());
        match customers::upsert(&tx, &NewCustomer { id, card, discount_points }) {
            Ok(true) => format!("{id} written"),
            Ok(false) => format!("{id} as before"),
            Err(error) => error.to_string(),
        }
    });
    expected.assert_eq(&said.collect::<Vec<_>>().join("\n"));
}

// Proves TS-15.
#[test]
fn a_customer_is_found_by_card_and_never_by_its_digits_in_the_file() {
    let mut db = world::world();
    let tx = db.transaction().unwrap();
    let new = NewCustomer { id: 12, card: "C-2000 17", discount_points: 500 };
    assert!(customers::upsert(&tx, &new).unwrap());
    for typed in ["C-2000 17", "c200017", " C2000-17 "] {
        let found = customers::by_card(&tx, typed).unwrap().unwrap();
        assert_eq!((found.id, found.discount_points), (12, 500), "{typed}");
    }
    assert_eq!(customers::by_card(&tx, "C200018").unwrap(), None);
    assert_eq!(customers::by_card(&tx, "").unwrap(), None);
    assert_eq!(customers::by_id(&tx, 12).unwrap().map(|found| found.discount_points), Some(500));
    let kept: Vec<u8> =
        tx.query_row("SELECT card FROM customer WHERE id = 12", [], |row| row.get(0)).unwrap();
    assert_eq!(kept, customers::card_hash("C200017"));
}

#[test]
fn a_lost_card_is_replaced_and_one_card_has_one_customer() {
    check(
        "1 C100 500; 1 C100 500; 1 C100 300; 2 c-100 0; 1 C101 300; 2 C100 0",
        expect![[r#"
            1 written
            1 as before
            1 written
            customer 1 already has the card of customer 2: give each a card of its own
            1 written
            2 written"#]],
    );
}

#[test]
fn what_is_no_customer_is_refused_with_a_sentence() {
    check(
        "0 C1 0; 1 -- 0; 1 Kärtchen 0; 1 C1 10001; 1 C1 -1",
        expect![[r#"
            a customer's number is 1 or more, not 0
            the card of customer 1 is empty, longer than 64 characters, or not plain text
            the card of customer 1 is empty, longer than 64 characters, or not plain text
            the discount of customer 1 is 10001 hundredths of a percent: 0 to 10,000 fit
            the discount of customer 1 is -1 hundredths of a percent: 0 to 10,000 fit"#]],
    );
}

// Proves TS-16.
#[test]
fn the_receipts_of_a_customer_are_found_newest_first_and_not_by_a_search() {
    let mut db = world::world();
    let tx = db.transaction().unwrap();
    world::a_customer(&tx, 12, "C100", 1_000);
    for (at, customer) in [(10, Some(12)), (30, None), (20, Some(12)), (40, Some(13))] {
        let lines =
            vec![BasketLine { sku: 1, quantity: 1, discount: Discount::None, open_price: None }];
        let tenders = vec![Tender { kind: TenderKind::Cash, given: Money(200) }];
        let at = Moment(at);
        let sale = Sale { store: 1, cashier: 2, at, lines, tenders, customer, ..Sale::default() };
        sales::record(&tx, &sale).unwrap();
    }
    let found = |customer, limit| {
        let found = receipts::of_customer(&tx, customer, limit).unwrap();
        found.iter().map(|one| (one.no, one.at.0, one.total.0)).collect::<Vec<_>>()
    };
    assert_eq!(found(12, 9), [(3, 20, 179), (1, 10, 179)]);
    assert_eq!(found(12, 1), [(3, 20, 179)]);
    assert_eq!(found(13, 9), [(4, 40, 199)], "a stranger is kept on the receipt, and pays in full");
    assert_eq!(found(14, 9), []);
    let plan = "EXPLAIN QUERY PLAN SELECT r.id FROM receipt r LEFT JOIN store s ON s.id = r.store
                WHERE r.customer = ?1 ORDER BY r.at DESC, r.id DESC LIMIT ?2";
    let mut steps = tx.prepare(plan).unwrap();
    let steps: Vec<String> = steps
        .query_map([12, 9], |row| row.get(3))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert!(steps[0].contains("INDEX receipt_customer (customer=?)"), "{steps:?}");
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:?}");
    let indexed: i64 = tx
        .query_row(
            "SELECT count(*) FROM receipt INDEXED BY receipt_customer WHERE customer IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(indexed, 3, "a sale without a customer is not in the index");
}
