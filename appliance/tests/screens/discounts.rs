//! Customers and discounts at the checkout, without scripts

use std::sync::atomic::{AtomicI64, Ordering};

use crate::counter::{Answer, Counter, Store, Wishes, hidden};
use crate::headquarters::{CUSTOMERS, Offer};
use selvedge_domain::money::Money;

/// A moment long after every price has begun.
const NOON_MS: i64 = 1_800_000_000_000;

/// A pos with a clock of its own, and Elin, who may give discounts.
fn open(store: &Store, wall_ms: fn() -> i64) -> Counter {
    let counter = store.start_with(Wishes { wall_ms, ..Wishes::default() });
    assert_eq!(counter.sign_on("9520002", "2222").status, 303);
    counter
}

fn noon() -> i64 {
    NOON_MS
}

fn refused(answer: &Answer, sentence: &str) {
    assert_eq!(answer.status, 422, "{}", answer.page);
    assert!(answer.page.contains(sentence), "not said: {sentence}\n{}", answer.page);
}

fn shows(counter: &Counter, path: &str, words: &[&str]) {
    let page = counter.get(path).page;
    for word in words {
        assert!(page.contains(word), "not shown: {word}\n{page}");
    }
}

fn lacks(counter: &Counter, path: &str, words: &[&str]) {
    let page = counter.get(path).page;
    for word in words {
        assert!(!page.contains(word), "shown: {word}\n{page}");
    }
}

/// Takes something off the whole, from the sheet.
fn basket_discount(counter: &Counter, field: &str, value: &str) -> Answer {
    let sheet = "/checkout?sheet=discount";
    counter.fill(sheet, "/checkout/basket-discount", &[(field, value)])
}

/// The discount of each line of the newest receipt, and who gave it.
fn given(counter: &Counter) -> Vec<(i64, Option<String>)> {
    let receipts = counter.receipts();
    let lines = &receipts.last().unwrap().lines;
    lines.iter().map(|line| (line.discount.0, line.reason.clone())).collect()
}

// Proves TS-15.
#[test]
fn a_card_in_the_one_field_says_whose_basket_it_is() {
    let store = Store::new();
    let counter = open(&store, noon);
    lacks(&counter, "/checkout", &["customer, number"]);
    assert_eq!(counter.scan("c200017").place, "/checkout", "a card may come before the goods");
    shows(&counter, "/checkout", &["customer, number 12, 5 %", "Scan the first item"]);
    counter.scan("1001");
    counter.scan("1002");
    shows(&counter, "/checkout", &["€90.90", "−€4.55", "€86.35", "saves €4.55"]);
    assert_eq!(counter.pay("cash", "86.35").place, "/checkout/done");
    let receipt = &counter.receipts()[0];
    assert_eq!((receipt.receipt.customer, receipt.receipt.total), (Some(12), Money(8_635)));
    let customer = Some("customer".to_owned());
    assert_eq!(given(&counter), [(395, customer.clone()), (60, customer)]);
    counter.scan("1001");
    lacks(&counter, "/checkout", &["customer, number"]);
}

// Proves TS-15.
#[test]
fn a_card_is_typed_replaced_and_taken_off_in_its_sheet() {
    let store = Store::new();
    let counter = open(&store, noon);
    let sheet = "/checkout?sheet=customer";
    counter.scan("1001");
    let typed = |card| counter.fill(sheet, "/checkout/customer", &[("card", card)]);
    refused(&typed("C-9"), "Card &#34;C-9&#34; is not known here");
    refused(&typed("<b>"), "&#60;b&#62;");
    assert_eq!(typed(CUSTOMERS[1].1).place, sheet);
    shows(&counter, sheet, &["Customer, number 13</h2>", "€79.00"]);
    typed(CUSTOMERS[0].1);
    shows(&counter, sheet, &["Customer, number 12, 5 %</h2>", "€75.05"]);
    let off = counter.fill(sheet, "/checkout/customer/take-off", &[]);
    assert_eq!((off.status, off.place.as_str()), (303, "/checkout"));
    lacks(&counter, "/checkout", &["customer, number", "€75.05"]);
    typed(CUSTOMERS[0].1);
    let line = counter.get("/checkout?line=1").page;
    counter.submit(&line, "/checkout/take-off", &[]);
    lacks(&counter, "/checkout", &["customer, number"]);
}

#[test]
fn what_is_no_card_either_is_refused_as_the_code_that_it_is() {
    let store = Store::new();
    let counter = open(&store, noon);
    refused(&counter.scan("9520000000004"), "Not in this store&#39;s list");
    refused(&counter.scan("77777"), "There is no SKU 77777");
}

// Proves TS-16.
#[test]
fn the_last_receipts_of_a_customer_stand_in_the_sheet_newest_first() {
    let store = Store::new();
    let counter = open(&store, noon);
    let sheet = "/checkout?sheet=customer";
    counter.scan("C200017");
    shows(&counter, sheet, &["None yet"]);
    for sku in ["1005", "1003"] {
        counter.scan(sku);
        counter.scan("C200017");
        counter.pay("cash", "100");
    }
    counter.scan("1001");
    counter.pay("cash", "100");
    counter.scan("C200017");
    let page = counter.get(sheet).page;
    let newest = page.find("T1-000002").expect("the newer one is shown");
    let oldest = page.find("T1-000001").expect("the older one is shown");
    assert!(newest < oldest && !page.contains("T1-000003"), "{page}");
    assert!(page.contains("€11.87") && page.contains("€4.65"), "{page}");
}

// Proves TS-23.
#[test]
fn a_store_discount_is_charged_without_a_right_and_shown_with_the_old_price() {
    let store = Store::new();
    let window = (NOON_MS - 1, NOON_MS + 1);
    store.offer(&[Offer { product: 1004, points: 2_000, window }]);
    let counter = store.start_with(Wishes { wall_ms: noon, ..Wishes::default() });
    counter.sign_on("9520001", "1111");
    shows(&counter, "/checkout", &["€103.20, store 20 %"]);
    counter.scan("1004");
    counter.scan("1005");
    shows(&counter, "/checkout", &["€103.20 instead of <s>€129.00</s>, store 20 %", "€108.10"]);
    lacks(&counter, "/checkout", &["sheet=discount"]);
    assert_eq!(counter.pay("card", "").place, "/checkout/done");
    assert_eq!(given(&counter), [(2_580, Some("store".to_owned())), (0, None)]);
}

static CLOCK_MS: AtomicI64 = AtomicI64::new(NOON_MS);

fn moving_clock() -> i64 {
    CLOCK_MS.load(Ordering::Relaxed)
}

// Proves TS-23.
#[test]
fn when_a_discount_ends_at_the_counter_no_money_is_taken_for_another_total() {
    let store = Store::new();
    let window = (NOON_MS, NOON_MS + 1_000);
    store.offer(&[Offer { product: 1004, points: 2_000, window }]);
    let counter = open(&store, moving_clock);
    counter.scan("1004");
    let ringing = counter.get("/checkout").page;
    assert!(ringing.contains("€103.20"), "{ringing}");
    counter.submit(&ringing, "/checkout/pay", &[]);
    let paying = counter.get("/checkout/pay").page;
    CLOCK_MS.store(NOON_MS + 1_000, Ordering::Relaxed);
    let cash = [("kind", "cash"), ("amount", "150")];
    let moved = counter.submit(&paying, "/checkout/pay/tender", &cash);
    assert_eq!((moved.status, moved.place.as_str()), (303, "/checkout?was=10320"));
    let said = "The total was €103.20 and is €129.00";
    shows(&counter, &moved.place, &[said, "€129.00"]);
    let again = counter.submit(&ringing, "/checkout/pay", &[("request", "another-tap")]);
    assert_eq!(again.place, "/checkout?was=10320", "the roll of before shows the old total");
    assert!(counter.receipts().is_empty());
    assert!(counter.get("/checkout/pay").page.contains("To pay"), "nothing was taken");
    let paid = counter.pay("cash", "129.00");
    assert_eq!(paid.place, "/checkout/done");
    assert_eq!(counter.receipts()[0].receipt.total, Money(12_900));
    CLOCK_MS.store(NOON_MS + 500, Ordering::Relaxed);
    counter.scan("1004");
    shows(&counter, "/checkout", &["€103.20"]);
    lacks(&counter, "/checkout?was=10320", &["The total was"]);
}

#[test]
fn a_form_without_a_total_takes_no_money() {
    let store = Store::new();
    let counter = open(&store, noon);
    counter.scan("1001");
    let paying = counter.get("/checkout/pay").page;
    let none = [("kind", "cash"), ("amount", "100"), ("shown", "")];
    refused(&counter.submit(&paying, "/checkout/pay/tender", &none), "says no total");
    assert!(counter.receipts().is_empty());
}

#[test]
fn a_basket_discount_is_a_part_or_an_amount_and_needs_the_right() {
    let store = Store::new();
    let counter = open(&store, noon);
    lacks(&counter, "/checkout", &["sheet=discount"]);
    counter.scan("1001");
    counter.scan("1005");
    let sheet = "/checkout?sheet=discount";
    assert_eq!(basket_discount(&counter, "percent", "10").place, "/checkout");
    shows(&counter, "/checkout", &["subtotal", "discount 10 %", "−€8.39", "€75.51"]);
    shows(&counter, sheet, &["Discount 10 %."]);
    basket_discount(&counter, "amount", "3.90");
    shows(&counter, "/checkout", &["discount €3.90", "€80.00"]);
    refused(&basket_discount(&counter, "amount", "84"), "does not fit a basket of €83.90");
    refused(&basket_discount(&counter, "amount", "-1"), "is no amount to take off");
    refused(&basket_discount(&counter, "percent", "101"), "is no percentage");
    shows(&counter, "/checkout", &["discount €3.90"]);
    let page = counter.get(sheet).page;
    counter.submit(&page, "/signoff", &[]);
    counter.sign_on("9520001", "1111");
    lacks(&counter, "/checkout", &["sheet=discount"]);
    let stranger = counter.submit(&page, "/checkout/basket-discount", &[("percent", "50")]);
    assert_eq!(stranger.status, 403, "a form of another sign-on");
    let own = counter.get("/checkout").page;
    let mut fields = hidden(&own, "/checkout/add");
    fields.insert("percent".to_owned(), "50".to_owned());
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let refusal = counter.post("/checkout/basket-discount", &fields);
    refused(&refusal, "has no right &#34;discount&#34;");
    refused(&counter.pay("cash", "80.00"), "has no right &#34;discount&#34;");
    assert!(counter.receipts().is_empty());
    counter.submit(&counter.get("/checkout").page, "/signoff", &[]);
    counter.sign_on("9520002", "2222");
    assert_eq!(counter.pay("cash", "80.00").place, "/checkout/done");
    let basket = Some("basket".to_owned());
    assert_eq!(given(&counter), [(367, basket.clone()), (23, basket)]);
}

// Proves TS-15, TS-23.
#[test]
fn all_four_discounts_stand_on_one_receipt_and_in_the_roll() {
    let store = Store::new();
    store.offer(&[Offer { product: 1004, points: 2_000, window: (0, i64::MAX >> 12) }]);
    let counter = open(&store, noon);
    counter.scan("1004");
    counter.scan("1002");
    let line = counter.get("/checkout?line=1").page;
    counter.submit(&line, "/checkout/discount", &[("percent", "10")]);
    counter.scan("C200017");
    basket_discount(&counter, "amount", "5");
    let roll = ["€92.88 instead of <s>€129.00</s>, store 20 %, line 10 %", "€104.78", "−€5.24"];
    shows(&counter, "/checkout", &roll);
    shows(&counter, "/checkout", &["−€5.00", "€94.54"]);
    assert_eq!(counter.pay("card", "").place, "/checkout/done");
    let all = Some("store+line+customer+basket".to_owned());
    assert_eq!(given(&counter), [(4_519, all), (117, Some("customer+basket".to_owned()))]);
}

#[test]
fn customer_and_discount_stay_once_payment_has_begun() {
    let store = Store::new();
    let counter = open(&store, noon);
    counter.scan("1001");
    let discount = counter.get("/checkout?sheet=discount").page;
    let customer = counter.get("/checkout?sheet=customer").page;
    counter.pay("card", "50");
    let half = [("percent", "50")];
    refused(&counter.submit(&discount, "/checkout/basket-discount", &half), "Payment has begun");
    let card = [("card", "C200017")];
    refused(&counter.submit(&customer, "/checkout/customer", &card), "Payment has begun");
    refused(&counter.scan("C200017"), "Payment has begun");
}

// Proves TS-18.
#[test]
fn customer_and_discount_survive_a_restart_and_count_once() {
    let store = Store::new();
    let counter = open(&store, noon);
    counter.scan("1001");
    counter.scan("C200017");
    let page = counter.get("/checkout?sheet=discount").page;
    for _ in 0..2 {
        counter.submit(&page, "/checkout/basket-discount", &[("percent", "10")]);
    }
    drop(counter);
    let counter = open(&store, noon);
    shows(&counter, "/checkout", &["customer, number 12, 5 %", "discount 10 %", "€67.54"]);
}
