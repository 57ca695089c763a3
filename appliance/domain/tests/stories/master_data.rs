//! What HQ may write, and what it finds again

use crate::world::{schema, world};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use selvedge_domain::catalogue::{self, ShelfPrices};
use selvedge_domain::gtin::Gtin;
use selvedge_domain::master_data::{
    self, MasterDataError, NewPrice, NewProduct, NewStore, NewTaxRate, NewVariant,
};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};

const PRICE: NewPrice =
    NewPrice { sku: 1, store: 0, currency: Currency::EUR, valid_from: Moment(0), unit: Money(199) };

fn said(result: Result<bool, MasterDataError>) -> String {
    match result {
        Ok(true) => "written".into(),
        Ok(false) => "as it was".into(),
        Err(refusal) => refusal.to_string(),
    }
}

fn price(new: NewPrice, expected: Expect) {
    let mut db = world();
    let tx = db.transaction().unwrap();
    expected.assert_eq(&said(master_data::upsert_price(&tx, &new)));
}

#[test]
fn a_price_is_checked_and_the_same_one_is_not_written_again() {
    price(PRICE, expect!["as it was"]);
    price(NewPrice { unit: Money(200), ..PRICE }, expect!["written"]);
    price(NewPrice { valid_from: Moment(5), ..PRICE }, expect!["written"]);
    price(NewPrice { store: 1, unit: Money(0), ..PRICE }, expect!["written"]);
    price(NewPrice { unit: Money(-1), ..PRICE }, expect!["a price of −€0.01 is below zero"]);
    price(
        NewPrice { unit: Money(1_000_000_000_001), ..PRICE },
        expect![
            "a price of €10,000,000,000.01 is not believed: it is above 1,000,000,000,000 minor units"
        ],
    );
    price(
        NewPrice { sku: 77, ..PRICE },
        expect!["there is no SKU 77 in the catalogue: import the catalogue first"],
    );
    price(NewPrice { store: 9, ..PRICE }, expect!["there is no store 9: import the stores first"]);
    price(NewPrice { store: 2, ..PRICE }, expect!["store 2 sells in USD, the price is in EUR"]);
}

#[test]
fn rows_that_are_wrong_are_refused_and_those_that_are_there_stay() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let name = "Store 1";
    let (currency, shelf_prices) = (Currency::EUR, ShelfPrices::TaxIncluded);
    let store = NewStore { id: 1, name, currency, shelf_prices };
    expect!["as it was"].assert_eq(&said(master_data::upsert_store(&tx, &store)));
    let store = |id, name, currency| NewStore { id, name, currency, shelf_prices };
    let write = |new: NewStore, expected: Expect| {
        expected.assert_eq(&said(master_data::upsert_store(&tx, &new)));
    };
    write(store(1, "North", currency), expect!["written"]);
    write(
        store(1, "North", Currency::GBP),
        expect!["store 1 sells in EUR: its currency cannot change to GBP"],
    );
    write(store(0, "North", currency), expect!["store 0 is not a number from 1 to 8388607"]);
    write(
        store(4, "a\nb", currency),
        expect!["the name is empty, longer than 120 characters, or has control characters"],
    );
    let product = NewProduct { id: 1, name: "pen", department: None };
    expect!["as it was"].assert_eq(&said(master_data::upsert_product(&tx, &product)));
    let product = NewProduct { id: 1, name: "pen", department: Some("Desk") };
    expect!["written"].assert_eq(&said(master_data::upsert_product(&tx, &product)));
    let rate = NewTaxRate { store: 1, class: 1, valid_from: Moment(0), rate_ppm: 190_000 };
    expect!["as it was"].assert_eq(&said(master_data::upsert_tax_rate(&tx, &rate)));
    let rate = NewTaxRate { rate_ppm: 1_000_001, ..rate };
    expect!["a tax rate of 1000001 millionths is not between 0 and 1,000,000"]
        .assert_eq(&said(master_data::upsert_tax_rate(&tx, &rate)));
    let pen =
        NewVariant { sku: 1, product: 1, size: None, colour: None, tax_class: 1, favourite: None };
    expect!["as it was"].assert_eq(&said(master_data::upsert_variant(&tx, &pen)));
    let lost = NewVariant { product: 77, ..pen.clone() };
    expect!["there is no product 77: import the catalogue first"]
        .assert_eq(&said(master_data::upsert_variant(&tx, &lost)));
    let untaxed = NewVariant { tax_class: 0, ..pen };
    expect!["tax class 0 is not a number from 1 to 99"]
        .assert_eq(&said(master_data::upsert_variant(&tx, &untaxed)));
}

#[test]
fn a_gtin_belongs_to_one_sku() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let gtin = Gtin::complete(952_000_000_001).unwrap();
    expect!["written"].assert_eq(&said(master_data::upsert_gtin(&tx, gtin, 1)));
    expect!["as it was"].assert_eq(&said(master_data::upsert_gtin(&tx, gtin, 1)));
    expect!["GTIN 9520000000011 already belongs to SKU 1"]
        .assert_eq(&said(master_data::upsert_gtin(&tx, gtin, 2)));
    expect!["there is no SKU 77 in the catalogue: import the catalogue first"]
        .assert_eq(&said(master_data::upsert_gtin(&tx, gtin, 77)));
}

fn scan(db: &Connection, code: &str, expected: Expect) {
    let said = match catalogue::scan(db, 1, code, Moment(10)) {
        Ok(tag) => format!("{} {:?} on hand {}", tag.label(), tag.price, tag.on_hand),
        Err(refusal) => refusal.to_string(),
    };
    expected.assert_eq(&said);
}

#[test]
fn a_scan_finds_a_gtin_or_a_sku_or_says_what_to_do() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    master_data::upsert_gtin(&tx, Gtin::complete(952_000_000_001).unwrap(), 1).unwrap();
    tx.commit().unwrap();
    scan(&db, "9520000000011", expect!["pen Some(Money(199)) on hand 0"]);
    scan(&db, " 2 ", expect!["shirt Some(Money(3990)) on hand 0"]);
    scan(&db, "4", expect!["gift None on hand 0"]);
    scan(
        &db,
        "9520000000012",
        expect!["the check digit of 9520000000012 is wrong: it should end in 1; scan it again"],
    );
    scan(
        &db,
        "9520000000028",
        expect![
            "nothing in this store's list bears 9520000000028: find it by name, or ask for its SKU"
        ],
    );
    scan(&db, "77", expect!["there is no SKU 77 in this store's list"]);
    scan(&db, "pen", expect![[r#""pen" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]]);
    scan(&db, "", expect![[r#""" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]]);
}

#[test]
fn favourites_are_those_that_hq_marked_else_the_first() {
    let mut db = world();
    let names = |db: &Connection| -> Vec<String> {
        let tags = catalogue::favourites(db, 1, Moment(10), 2).unwrap();
        tags.iter().map(|tag| tag.label()).collect()
    };
    assert_eq!(names(&db), ["pen", "shirt"]);
    let tx = db.transaction().unwrap();
    for (sku, place) in [(3, 1), (1, 2)] {
        let (size, colour) = (Some("M"), Some("navy"));
        let new =
            NewVariant { sku, product: sku, size, colour, tax_class: 1, favourite: Some(place) };
        master_data::upsert_variant(&tx, &new).unwrap();
    }
    tx.commit().unwrap();
    assert_eq!(names(&db), ["bread, M, navy", "pen, M, navy"]);
}

#[test]
fn goods_are_found_by_a_part_of_their_name() {
    let db = world();
    let found = catalogue::find(&db, 1, "RE", Moment(10), 9).unwrap();
    assert_eq!(found.iter().map(|tag| tag.sku).collect::<Vec<_>>(), [3]);
    assert_eq!(catalogue::find(&db, 1, "%", Moment(10), 9).unwrap(), []);
    assert_eq!(catalogue::price_at(&db, 1, 1, Moment(-1)).unwrap(), None);
    assert_eq!(catalogue::price_at(&db, 1, 1, Moment(0)).unwrap(), Some(Money(199)));
}

#[test]
fn a_price_of_a_product_that_has_not_arrived_can_still_be_shown() {
    let db = schema(7);
    db.execute_batch(
        "INSERT INTO store VALUES (1, 'Store 1', 'EUR', 1, 20000);
         INSERT INTO variant VALUES (5, 5, NULL, NULL, 1, NULL);",
    )
    .unwrap();
    let tag = catalogue::by_sku(&db, 1, 5, Moment(0)).unwrap().unwrap();
    assert_eq!((tag.label().as_str(), tag.price), ("SKU 5", None));
}
