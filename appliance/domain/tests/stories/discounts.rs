//! Four discounts and their order, and that no cent is lost

use crate::world::{a_customer, a_store_discount, check, world};
use expect_test::expect;
use selvedge_domain::basket::{self, BasketLine, Discount, Quote, RungUp};
use selvedge_domain::catalogue;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::store_discounts;

// Proves TS-23.
#[test]
fn a_store_discount_is_charged_from_its_first_moment_to_before_its_last() {
    check(
        "offer shirt 20% from 100 to 200; by ben; sell shirt 1;
         at 99; quote; at 100; quote; at 199; quote; at 200; quote; at 150; quote; at 99; quote",
        expect![[r#"
            39.90, customer 0.00, basket 0.00: 39.90
            31.92, customer 0.00, basket 0.00: 31.92
            31.92, customer 0.00, basket 0.00: 31.92
            39.90, customer 0.00, basket 0.00: 39.90
            31.92, customer 0.00, basket 0.00: 31.92
            39.90, customer 0.00, basket 0.00: 39.90"#]],
    );
}

// Proves TS-23.
#[test]
fn of_two_store_discounts_the_best_one_holds_and_only_in_its_store() {
    check(
        "at 150; sell shirt 2, pen 1;
         offer shirt 20% from 100 to 200; offer shirt 50% from 150 to 160; quote;
         at 160; quote; at 200; quote; in 2; at 150; quote",
        expect![[r#"
            39.90 + 1.99, customer 0.00, basket 0.00: 41.89
            63.84 + 1.99, customer 0.00, basket 0.00: 65.83
            79.80 + 1.99, customer 0.00, basket 0.00: 81.79
            79.80 + 1.99, customer 0.00, basket 0.00: 89.05"#]],
    );
}

// Proves TS-15, TS-23.
#[test]
fn each_discount_is_taken_from_what_the_one_before_left() {
    check(
        "deliver shirt 9; deliver pen 9; offer shirt 20% from 0 to 100; card 12 5%; off 1.00;
         sell shirt 1 -10%, pen 1; quote; pay cash 50; lines 1",
        expect![[r#"
            shirt 9
            pen 9
            26.35 + 1.83, customer 1.54, basket 1.00: 28.18
            T1-000001: €28.18 with tax €4.50, change €21.82
            1: 13.55 store+line+customer+basket; 2: 0.16 customer+basket"#]],
    );
}

#[test]
fn a_receipt_line_says_who_gave_its_discount_and_a_plain_one_says_nothing() {
    check(
        "deliver shirt 9; deliver pen 9; deliver bread 9; offer shirt 20% from 0 to 100;
         sell shirt 1, pen 1 -10%, bread 1; pay cash 50; lines 1;
         off 3.00; sell bread 1, bread 1; pay cash 5; lines 2",
        expect![[r#"
            shirt 9
            pen 9
            bread 9
            T1-000001: €36.21 with tax €5.54, change €13.79
            1: 7.98 store; 2: 0.20 line; 3: 0.00 -
            T1-000002: €2.00 with tax €0.13, change €3.00
            1: 1.50 basket; 2: 1.50 basket"#]],
    );
}

#[test]
fn a_price_set_by_hand_is_final_for_the_store_but_not_for_the_customer() {
    check(
        "deliver shirt 9; offer shirt 20% from 0 to 100; card 12 10%; sell shirt 1 @30.00; quote; pay cash 27; lines 1",
        expect![[r#"
            shirt 9
            27.00, customer 3.00, basket 0.00: 27.00
            T1-000001: €27.00 with tax €4.31
            1: 3.00 customer"#]],
    );
}

// Proves TS-15.
#[test]
fn a_customer_and_a_store_need_no_right_but_a_basket_discount_does() {
    check(
        "deliver shirt 9; by ben; card 12 5%; offer shirt 20% from 0 to 100; sell shirt 1; pay cash 50;
         off 1%; sell shirt 1; pay cash 50; off 0%; sell shirt 1; pay cash 50",
        expect![[r#"
            shirt 9
            T1-000001: €30.32 with tax €4.84, change €19.68
            employee 2 has no right "discount": ask somebody who has
            T1-000002: €31.92 with tax €5.10, change €18.08"#]],
    );
}

#[test]
fn a_basket_discount_that_does_not_fit_is_refused_with_a_sentence() {
    check(
        "sell pen 1; off 2.00; quote; off -0.01; quote; off 100.01%; quote; off 1.99; quote; off 100%; quote;
         card 12 50%; off 1.00; quote",
        expect![[r#"
            a discount of €2.00 does not fit a basket of €1.99: make it smaller
            a discount of −€0.01 does not fit a basket of €1.99: make it smaller
            a discount of more than 100 % cannot be given on a basket
            0.00, customer 0.00, basket 1.99: 0.00
            0.00, customer 0.00, basket 1.99: 0.00
            a discount of €1.00 does not fit a basket of €0.99: make it smaller"#]],
    );
}

// Proves TS-23.
#[test]
fn no_money_is_taken_for_another_total_than_was_shown() {
    check(
        "deliver shirt 9; offer shirt 20% from 0 to 100; at 99; sell shirt 1; quote; at 100; pay cash 50; stock shirt;
         at 100; sell shirt 1; quote; pay cash 50",
        expect![[r#"
            shirt 9
            31.92, customer 0.00, basket 0.00: 31.92
            the total was €31.92 and is €39.90: a price or a discount began or ended. Say so, then take payment
            shirt 9
            39.90, customer 0.00, basket 0.00: 39.90
            T1-000001: €39.90 with tax €6.37, change €10.10"#]],
    );
}

#[test]
fn goods_without_a_receipt_come_back_for_what_they_cost_today_at_most() {
    check(
        "offer shirt 20% from 0 to 100; refund shirt 1 for cash 39.90; refund shirt 1 for cash 31.92; lines 1",
        expect![[r#"
            €39.90 is given back, but €31.92 is due back
            T1-000001: −€31.92 with tax −€5.10
            1: −7.98 store"#]],
    );
}

#[test]
fn a_tag_says_what_one_costs_now() {
    let db = world();
    a_store_discount(&db, 1, 2, 2_000, (100, 200));
    let price = |store, at| {
        let tag = catalogue::by_sku(&db, store, 2, Moment(at)).unwrap().unwrap();
        let points = store_discounts::points_at(&db, store, 2, Moment(at)).unwrap();
        assert_eq!(tag.store_points, points, "tag, quote and question read the same rows");
        (tag.price_now(), tag.store_points)
    };
    assert_eq!(price(1, 99), (Some(Money(3_990)), 0));
    assert_eq!(price(1, 100), (Some(Money(3_192)), 2_000));
    assert_eq!(price(2, 100), (Some(Money(3_990)), 0));
    let gift = catalogue::by_sku(&db, 1, 4, Moment(100)).unwrap().unwrap();
    assert_eq!(gift.price_now(), None);
}

#[test]
fn a_scan_does_not_read_discounts_that_have_ended() {
    let db = world();
    let plan = format!("EXPLAIN QUERY PLAN {}", catalogue::TERMS_SQL);
    let mut steps = db.prepare(&plan).unwrap();
    let steps: Vec<String> = steps
        .query_map((1, "EUR", 1, 50), |row| row.get(3))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let ended = "INDEX store_discount_product (store=? AND product=? AND valid_to>?)";
    assert!(steps.iter().any(|step| step.contains(ended)), "{steps:#?}");
}

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: i64) -> i64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64) % limit
    }

    fn discount(&mut self) -> Discount {
        match self.below(3) {
            0 => Discount::Percent { basis_points: self.below(10_001) as u32 },
            _ => Discount::None,
        }
    }

    fn line(&mut self) -> BasketLine {
        let sku = 1 + self.below(4);
        let typed = sku == 4 || self.below(6) == 0;
        let open_price = typed.then(|| Money(self.below(3_000)));
        BasketLine { sku, quantity: 1 + self.below(4), discount: self.discount(), open_price }
    }

    fn shuffled(&mut self, lines: &[BasketLine]) -> Vec<BasketLine> {
        let mut lines = lines.to_vec();
        for place in (1..lines.len()).rev() {
            lines.swap(place, self.below(place as i64 + 1) as usize);
        }
        lines
    }
}

fn nothing_is_lost(quote: &Quote) {
    let sum = |amount: fn(&basket::QuotedLine) -> i64| quote.lines.iter().map(amount).sum::<i64>();
    assert_eq!(sum(|line| line.unit.0 * line.quantity), quote.subtotal.0);
    assert_eq!(sum(|line| line.discount.0), quote.discount.0);
    assert_eq!(sum(|line| line.off.customer.0), quote.customer_off.0);
    assert_eq!(sum(|line| line.off.basket.0), quote.basket_off.0);
    assert_eq!(sum(|line| line.amount.0), quote.subtotal.0 - quote.discount.0);
    for line in &quote.lines {
        let whole = line.unit.0 * line.quantity;
        let parts = [line.off.store, line.off.line, line.off.customer, line.off.basket];
        assert!(parts.iter().all(|part| (0..=whole).contains(&part.0)), "{line:?}");
        assert!((0..=whole).contains(&line.discount.0), "{line:?}");
        assert_eq!(line.amount.0, whole - line.discount.0, "{line:?}");
    }
}

#[test]
fn over_many_baskets_no_cent_is_lost_and_the_order_of_scans_does_not_matter() {
    let mut db = world();
    let tx = db.transaction().unwrap();
    let mut numbers = Numbers(11);
    for store in [1, 2] {
        a_store_discount(&tx, store, 1, 1_500, (0, 100));
        a_store_discount(&tx, store, 2, 3_333, (0, 100));
    }
    for (id, points) in [(1, 0), (2, 500), (3, 3_333), (4, 10_000)] {
        a_customer(&tx, id, &format!("C{id}"), points);
    }
    for turn in 0..3_000 {
        let store = 1 + turn % 2;
        let lines: Vec<BasketLine> = (0..=numbers.below(9)).map(|_| numbers.line()).collect();
        let customer = Some(numbers.below(6)).filter(|id| *id > 0);
        let discount = numbers.discount();
        let quote = |lines: &[BasketLine], discount| {
            basket::quote(&tx, store, RungUp { lines, customer, discount }, Moment(50)).unwrap()
        };
        let mut one = quote(&lines, discount);
        nothing_is_lost(&one);
        let mut discount = discount;
        if numbers.below(3) == 0 {
            let left = one.subtotal.0 - one.discount.0 + one.basket_off.0;
            discount = Discount::Amount(Money(numbers.below(left + 1)));
            one = quote(&lines, discount);
            nothing_is_lost(&one);
        }
        let other = quote(&numbers.shuffled(&lines), discount);
        nothing_is_lost(&other);
        let sums = |quote: &Quote| (quote.total, quote.tax, quote.tax_by_class.clone());
        assert_eq!(sums(&one), sums(&other), "{lines:?} {discount:?}");
    }
}
