//! A sale into which the power cut

use crate::world::check;
use expect_test::expect;

// Proves TS-18, TS-19.
#[test]
fn a_void_is_a_receipt_that_reverses_the_first_whole_and_comes_once() {
    check(
        "deliver pen 5; sell pen 2 -1.00, pen 1; pay cash 10; stock pen; by ben;
         doubt void 1; doubt void 1; stock pen; by anna; back 1 line 1 x 1 for cash 1.49; answers",
        expect![[r#"
            pen 5
            T1-000001: €4.97 with tax €0.79, change €5.03
            pen 2
            T1-000002: −€4.97
            T1-000002: −€4.97
            pen 5
            line 1: 1 cannot come back, only 0 of it are still out
            in doubt: void, 4.97, by ben"#]],
    );
}

// Proves TS-18.
#[test]
fn a_receipt_that_was_printed_is_not_voided_and_the_other_way_round() {
    check(
        "deliver pen 5; sell pen 1; pay cash 2; doubt print 1; doubt print 1; doubt void 1;
         sell pen 1; pay cash 2; doubt void 2; doubt print 2; answers",
        expect![[r#"
            pen 5
            T1-000001: €1.99 with tax €0.32, change €0.01
            printed
            printed
            this was answered before, as: printed
            T1-000002: €1.99 with tax €0.32, change €0.01
            T1-000003: −€1.99
            this was answered before, as: void
            in doubt: printed, 1.99, by anna
            in doubt: void, 1.99, by anna"#]],
    );
}

#[test]
fn only_a_whole_sale_of_this_store_is_voided_by_somebody_who_sells() {
    check(
        "deliver pen 5; sell pen 2; pay cash 5; by carl; doubt void 1; doubt print 1; by anna;
         back 1 line 1 x 1 for cash 1.99; doubt void 1; doubt void 2; in 2; doubt print 1; answers",
        expect![[r#"
            pen 5
            T1-000001: €3.98 with tax €0.64, change €1.02
            employee 3 has no right "sell": ask somebody who has
            employee 3 has no right "sell": ask somebody who has
            T1-000002: −€1.99 with tax −€0.32
            goods of this receipt came back already, so it cannot be voided: take back the rest
            only a sale can be voided: take goods back with a return
            this receipt is not known here: load the page again
        "#]],
    );
}

// Proves TS-18.
#[test]
fn one_payment_intent_pays_one_receipt() {
    check(
        "deliver pen 5; sell pen 2; charge 7 3.98; sell pen 2; charge 7 3.98; stock pen;
         sell pen 1; charge 8 1.99; doubt void 1; sell pen 2; charge 7 3.98",
        expect![[r#"
            pen 5
            T1-000001: €3.98 with tax €0.64
            this card payment has its receipt already: start this device again, it will show it
            pen 3
            T1-000002: €1.99 with tax €0.32
            T1-000003: −€3.98
            this card payment has its receipt already: start this device again, it will show it"#]],
    );
}

#[test]
fn what_a_person_says_of_a_payment_is_kept_once_with_the_name() {
    check(
        "by ben; doubt paid 7 3.98; doubt paid 7 3.98; doubt not-paid 7 3.98; by dora;
         doubt not-paid 8 1.99; doubt given-back 7 3.98; doubt given-back 7 3.98; by carl;
         doubt paid 9 1.00; answers",
        expect![[r#"
            noted
            noted
            this was answered before, as: card was charged
            noted
            noted
            noted
            employee 3 has no right "sell": ask somebody who has
            in doubt: card was charged, 3.98, by ben
            in doubt: card was not charged, 1.99, by dora
            in doubt: given back to the card, 3.98, by dora"#]],
    );
}
