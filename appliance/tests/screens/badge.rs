//! Nobody rings up without badge and PIN

use crate::counter::{Counter, Store, hidden};

/// Everything that a checkout can be asked to do.
const DEEDS: [&str; 12] = [
    "/checkout/add",
    "/checkout/quantity",
    "/checkout/take-off",
    "/checkout/discount",
    "/checkout/open-price",
    "/checkout/customer",
    "/checkout/customer/take-off",
    "/checkout/basket-discount",
    "/checkout/pay",
    "/checkout/pay/tender",
    "/checkout/pay/take-off",
    "/checkout/pay/finish",
];

// Proves TS-10.
#[test]
fn without_a_sign_on_every_deed_leads_to_the_sign_on() {
    let store = Store::new();
    let mut counter = store.start();
    let fields = [("request", "12345678"), ("csrf", ""), ("code", "1001"), ("shown", "0")];
    let all_refused = |counter: &mut Counter| {
        for deed in DEEDS {
            let answer = counter.post(deed, &fields);
            // It came before the form was read, and ended the connection.
            counter.wipe_browser();
            assert_eq!((answer.status, answer.place.as_str()), (303, "/signon"), "{deed}");
        }
    };
    all_refused(&mut counter);
    counter.sign_on("9520001", "1111");
    for deed in DEEDS {
        assert_eq!(counter.post(deed, &fields).status, 403, "{deed} of a form that is not ours");
    }
    let page = counter.get("/checkout").page;
    counter.submit(&page, "/signoff", &[]);
    all_refused(&mut counter);
    counter.sign_on("9520001", "1111");
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
}

// Proves TS-10.
#[test]
fn the_receipt_names_who_is_signed_on_whatever_a_form_says() {
    let store = Store::new();
    let counter = store.start();
    counter.sign_on("9520001", "1111");
    counter.scan("1001");
    let mut fields = hidden(&counter.get("/checkout/pay").page, "/checkout/pay/tender");
    for (name, value) in [("kind", "card"), ("amount", ""), ("cashier", "2"), ("employee", "2")] {
        fields.insert(name.to_owned(), value.to_owned());
    }
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(counter.post("/checkout/pay/tender", &fields).place, "/checkout/done");
    let page = counter.get("/checkout").page;
    counter.submit(&page, "/signoff", &[]);
    counter.sign_on("9520002", "2222");
    counter.scan("1001");
    counter.pay("card", "");
    let cashiers: Vec<i64> =
        counter.receipts().iter().map(|receipt| receipt.receipt.cashier).collect();
    assert_eq!(cashiers, [1, 2]);
}
