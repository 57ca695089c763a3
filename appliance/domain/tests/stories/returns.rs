//! Goods that come back

use crate::world::{check, tell};
use expect_test::{Expect, expect};

#[test]
fn a_return_gives_back_what_was_paid_and_the_stock_with_it() {
    check(
        "deliver pen 5; sell pen 3 -1.00, pen 1; pay cash 10; back 1 line 1 x 3 for cash 4.97; stock pen",
        expect![[r#"
            pen 5
            T1-000001: €6.96 with tax €1.11, change €3.04
            T1-000002: −€4.97 with tax −€0.79
            pen 4"#]],
    );
}

#[test]
fn parts_of_a_return_add_up_to_the_whole() {
    check(
        "deliver pen 5; sell pen 3 -1.00; pay cash 10; back 1 line 1 x 1 for cash 1.66;
         back 1 line 1 x 1 for cash 1.65; back 1 line 1 x 1 for cash 1.66; back 1 line 1 x 1 for cash 1.66",
        expect![[r#"
            pen 5
            T1-000001: €4.97 with tax €0.79, change €5.03
            T1-000002: −€1.66 with tax −€0.27
            T1-000003: −€1.65 with tax −€0.26
            T1-000004: −€1.66 with tax −€0.26
            line 1: 1 cannot come back, only 0 of it are still out"#]],
    );
    check(
        "in 2; deliver pen 5; sell pen 3; pay cash 6.50; back 1 line 1 x 1 for cash 2.17;
         back 1 line 1 x 1 for cash 2.16; back 1 line 1 x 1 for cash 2.17",
        expect![[r#"
            pen 5
            T1-000001: $6.50 with tax $0.53
            T1-000002: −$2.17 with tax −$0.18
            T1-000003: −$2.16 with tax −$0.17
            T1-000004: −$2.17 with tax −$0.18"#]],
    );
}

/// Two pens and a bread were sold for 6.48; tells what is said to this.
fn after_a_sale(story: &str, expected: Expect) {
    let said = tell(&format!("deliver pen 5; sell pen 2, bread 1; pay card 6.48; {story}"));
    expected.assert_eq(said.last().unwrap());
}

#[test]
fn more_than_was_sold_does_not_come_back() {
    after_a_sale(
        "back 1 line 1 x 3 for cash 6",
        expect!["line 1: 3 cannot come back, only 2 of it are still out"],
    );
    after_a_sale(
        "back 1 line 1 x 0 for cash 6",
        expect!["line 1: 0 cannot come back, only 2 of it are still out"],
    );
    after_a_sale("back 1 line 7 x 1 for cash 6", expect!["the receipt has no line 7"]);
    after_a_sale(
        "back 1 line 1 x 1 line 1 x 1 for cash 6",
        expect!["line 1 is named twice: add the quantities up"],
    );
    after_a_sale("back 1 for cash 6", expect!["the basket is empty"]);
    after_a_sale(
        "back 9 line 1 x 1 for cash 6",
        expect![
            "this receipt is not known here: look at its number, or take back without a receipt"
        ],
    );
}

#[test]
fn a_return_that_does_not_fit_its_receipt_is_refused() {
    after_a_sale(
        "in 2; back 1 line 1 x 1 for cash 6",
        expect!["this was sold in store 1: it is taken back there, or here without a receipt"],
    );
    after_a_sale(
        "back 1 line 1 x 1 for cash 2",
        expect!["€2.00 is given back, but €1.99 is due back"],
    );
    after_a_sale(
        "by ben; back 1 line 1 x 1 for cash 1.99",
        expect![[r#"employee 2 has no right "return": ask somebody who has"#]],
    );
    after_a_sale(
        "back 1 line 1 x 1 for cash 1.99; back 2 line 1 x 1 for cash 1.99",
        expect!["this receipt is a return: only a sale can be taken back"],
    );
}

#[test]
fn without_a_receipt_goods_come_back_for_todays_price_or_a_typed_one() {
    check(
        "refund pen 2 for cash 3.98; stock pen",
        expect![[r#"
        T1-000001: −€3.98 with tax −€0.64
        pen 2"#]],
    );
    check(
        "by dora; refund gift 1 @3.00 for cash 3",
        expect![[r#"employee 4 has no right "open price": ask somebody who has"#]],
    );
    check(
        "refund gift 1 @3.00 for voucher 1 cash 2; stock gift",
        expect![[r#"
        T1-000001: −€3.00 with tax −€0.48
        gift 1"#]],
    );
}
