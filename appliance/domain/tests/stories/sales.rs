//! What is sold, what is refused, what a receipt comes to

use crate::world::{check, world};
use expect_test::expect;
use selvedge_domain::basket::{self, BasketLine, Discount, RungUp};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_domain::{grand_totals, receipts};

// Proves TS-17, TS-18.
#[test]
fn a_paid_basket_becomes_a_receipt_with_total_tax_and_change() {
    check(
        "deliver pen 10; sell pen 2; pay cash 5",
        expect![[r#"
        pen 10
        T1-000001: €3.98 with tax €0.64, change €1.02"#]],
    );
}

// Proves TS-17.
#[test]
fn tax_is_contained_or_comes_on_top_as_the_store_shows_its_prices() {
    check(
        "deliver pen 9; deliver bread 9; sell pen 3, bread 2; pay card 10.97",
        expect![[r#"
        pen 9
        bread 9
        T1-000001: €10.97 with tax €1.28"#]],
    );
    check(
        "in 2; deliver pen 9; deliver bread 9; sell pen 3, bread 2; pay card 11.50",
        expect![[r#"
        pen 9
        bread 9
        T1-000001: $11.50 with tax $0.53"#]],
    );
}

// Proves TS-17.
#[test]
fn tax_is_computed_once_per_class_and_after_discounts() {
    check(
        "deliver pen 9; deliver shirt 9; sell pen 1 -50%, pen 1 -50%, pen 1 -50%, shirt 1 -10.00; pay cash 40",
        expect![[r#"
            pen 9
            shirt 9
            T1-000001: €32.87 with tax €5.25, change €7.13"#]],
    );
}

// Proves TS-18.
#[test]
fn receipt_numbers_run_without_a_gap_over_refusals() {
    check(
        "deliver pen 9; sell pen 1; pay cash 1.99; sell pen 1; pay cash 1; sell pen 1; pay cash 2; pay cash 2",
        expect![[r#"
            pen 9
            T1-000001: €1.99 with tax €0.32
            tendered €1.00, but €1.99 is due
            T1-000002: €1.99 with tax €0.32, change €0.01
            the basket is empty"#]],
    );
}

// Proves TS-20, TS-12.
#[test]
fn each_receipt_line_moves_the_stock_of_its_sale() {
    check(
        "deliver pen 10; sell pen 2, pen 3; pay cash 20; stock pen",
        expect![[r#"
        pen 10
        T1-000001: €9.95 with tax €1.59, change €10.05
        pen 5"#]],
    );
}

// Proves TS-19.
#[test]
fn a_sale_is_never_refused_for_stock_and_leaves_one_exception() {
    check(
        "deliver pen 1; sell pen 1, pen 1, bread 3; pay cash 20; stock pen; exceptions",
        expect![[r#"
            pen 1
            T1-000001: €11.48 with tax €1.13, change €8.52, oversold [3, 1]
            pen -1
            oversold: receipt 1, SKU Some(3), Some(-3)"#]],
    );
}

// Proves TS-19.
#[test]
fn a_line_with_something_wrong_is_refused_and_nothing_is_written() {
    check(
        "sell 77 1; pay cash 5; exceptions",
        expect![[r#"
        there is no SKU 77 in the catalogue
    "#]],
    );
    check(
        "sell pen 0; pay cash 5",
        expect!["SKU 1: quantity 0 cannot be sold, only 1 to 1,000,000,000"],
    );
    check(
        "sell pen -1; pay cash 5",
        expect!["SKU 1: quantity -1 cannot be sold, only 1 to 1,000,000,000"],
    );
    check(
        "sell pen 9223372036854775807; pay cash 5",
        expect!["SKU 1: quantity 9223372036854775807 cannot be sold, only 1 to 1,000,000,000"],
    );
    check(
        "sell gift 1; pay cash 5",
        expect![[r#"SKU 4 has no price in this store: type one, with the right "open price""#]],
    );
    check(
        "sell pen 1 -2.00; pay cash 5",
        expect!["SKU 1: a discount of €2.00 does not fit a line of €1.99"],
    );
    check(
        "sell pen 1 -100.01%; pay cash 5",
        expect!["SKU 1: a discount of more than 100 % cannot be given"],
    );
    check(
        "sell pen 1000000000 @10000000000.00; pay cash 5",
        expect!["the amount is too large to be counted: check quantity and price"],
    );
    check(
        "sell pen 1 @10000000000.01; pay cash 5",
        expect!["SKU 1: €10,000,000,000.01 cannot be a price"],
    );
    check("sell pen 1 @-1; pay cash 5", expect!["SKU 1: −€1.00 cannot be a price"]);
    check("in 3; sell pen 1; pay cash 5", expect!["store 3 has no employee 1: sign on again"]);
}

#[test]
fn an_empty_basket_is_refused() {
    check("pay cash 5", expect!["the basket is empty"]);
}

// Proves TS-17.
#[test]
fn only_cash_gives_change_and_too_little_is_refused() {
    check("sell shirt 1; pay cash 20", expect!["tendered €20.00, but €39.90 is due"]);
    check("sell shirt 1; pay", expect!["tendered €0.00, but €39.90 is due"]);
    check(
        "sell shirt 1; pay card 40",
        expect!["€40.00 by card and voucher is more than the €39.90 due: only cash gives change"],
    );
    check(
        "sell shirt 1; pay card 30 voucher 10",
        expect!["€40.00 by card and voucher is more than the €39.90 due: only cash gives change"],
    );
    check(
        "sell shirt 1; pay card 0 cash 50",
        expect!["a tender of €0.00 pays nothing: take it off"],
    );
    check(
        "deliver shirt 9; sell shirt 1; pay card 20 cash 10 cash 20",
        expect![[r#"
        shirt 9
        T1-000001: €39.90 with tax €6.37, change €10.10"#]],
    );
    check(
        "deliver pen 9; sell pen 1 -100%; pay",
        expect![[r#"
        pen 9
        T1-000001: €0.00 with tax €0.00"#]],
    );
}

#[test]
fn each_deed_needs_its_right() {
    check(
        "by ben; sell pen 1; pay cash 1.99",
        expect!["T1-000001: €1.99 with tax €0.32, oversold [1]"],
    );
    check(
        "by ben; sell pen 1 -10%; pay cash 5",
        expect![[r#"employee 2 has no right "discount": ask somebody who has"#]],
    );
    check(
        "by ben; sell pen 1 @1.00; pay cash 5",
        expect![[r#"employee 2 has no right "open price": ask somebody who has"#]],
    );
    check(
        "by carl; sell pen 1; pay cash 5",
        expect![[r#"employee 3 has no right "sell": ask somebody who has"#]],
    );
    check(
        "by nobody; sell pen 1; pay cash 5",
        expect!["store 1 has no employee 99: sign on again"],
    );
    check(
        "by ben; deliver pen 5",
        expect![[r#"employee 2 may not book stock: ask somebody with the right "stock""#]],
    );
}

#[test]
fn a_price_begins_at_its_moment_and_the_store_goes_before_the_chain() {
    check(
        "deliver pen 9; price pen 2.49 from 100; price pen 1.00 from 200; at 99; sell pen 1; pay cash 5;
         at 100; sell pen 1; pay cash 5; at 200; sell pen 1; pay cash 5",
        expect![[r#"
            pen 9
            T1-000001: €1.99 with tax €0.32, change €3.01
            T1-000002: €2.49 with tax €0.40, change €2.51
            T1-000003: €1.00 with tax €0.16, change €4.00"#]],
    );
}

// Proves IM-02.
#[test]
fn a_movement_answers_with_the_new_total() {
    check(
        "deliver pen 5; deliver pen 3; correct pen -9; deliver pen 0; deliver 77 1; in 3; deliver pen 1; stock pen",
        expect![[r#"
            pen 5
            pen 8
            pen -1
            0 cannot be booked: a movement is at least 1 and at most 1,000,000,000 in or out
            there is no SKU 77 in the catalogue
            there is no store 3
            pen 0"#]],
    );
    check(
        "open pen 5; open pen 5; in 2; open pen 5; stock pen",
        expect![[r#"
        pen 5
        SKU 1 already has an opening stock in store 1: book a correction instead
        pen 5
        pen 5"#]],
    );
}

#[test]
fn a_basket_holds_2000_lines_and_no_more() {
    let mut db = world();
    let line = BasketLine { sku: 1, quantity: 1, discount: Discount::None, open_price: None };
    let tx = db.transaction().unwrap();
    let tenders = vec![Tender { kind: TenderKind::Card, given: Money(199 * 2_000) }];
    let mut sale = Sale {
        store: 1,
        cashier: 2,
        at: Moment(10),
        lines: vec![line; 2_000],
        tenders,
        ..Sale::default()
    };
    let done = sales::record(&tx, &sale).unwrap();
    assert_eq!((done.quote.total, done.oversold), (Money(398_000), vec![1]));
    sale.lines.push(sale.lines[0].clone());
    expect!["2001 lines are more than the 2,000 of one receipt: split the basket"]
        .assert_eq(&sales::record(&tx, &sale).unwrap_err().to_string());
}

#[test]
fn an_empty_quote_is_nothing() {
    let db = world();
    let quote = basket::quote(&db, 1, RungUp::default(), Moment(10)).unwrap();
    assert_eq!((quote.total, quote.tax, quote.lines.len()), (Money(0), Money(0), 0));
}

#[test]
fn the_device_states_its_running_total_every_64_receipts_and_when_asked() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let lines =
        vec![BasketLine { sku: 1, quantity: 1, discount: Discount::None, open_price: None }];
    let tenders = vec![Tender { kind: TenderKind::Cash, given: Money(200) }];
    let sale = Sale { store: 1, cashier: 2, at: Moment(10), lines, tenders, ..Sale::default() };
    for _ in 0..130 {
        sales::record(&tx, &sale).unwrap();
    }
    let made: i64 = tx.query_row("SELECT count(*) FROM grand_total", [], |row| row.get(0)).unwrap();
    assert_eq!(made, 2);
    assert!(grand_totals::state(&tx, 1, Moment(11)).unwrap().is_some());
    assert_eq!(grand_totals::state(&tx, 1, Moment(12)).unwrap(), None);
    let latest = grand_totals::latest(&tx).unwrap();
    let (count, held) = grand_totals::held(&tx, 7, latest[0].totals.last_no).unwrap();
    assert_eq!((latest.len(), count, held), (1, 130, latest[0].totals));
    assert_eq!(held.sales, Money(130 * 199));
}

#[test]
fn the_own_receipts_are_found_by_their_range_and_not_by_a_search() {
    let db = world();
    let plan = |sql: &str| -> String {
        db.query_row(&format!("EXPLAIN QUERY PLAN {sql}"), [], |row| row.get(3)).unwrap()
    };
    expect!["SEARCH receipt USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"].assert_eq(&plan(
        "SELECT no FROM receipt WHERE id BETWEEN own_ids() AND own_ids() + 1099511627775 ORDER BY id DESC LIMIT 1",
    ));
    assert_eq!(receipts::next_no(&db).unwrap(), 1);
}
