//! Goods in and corrections at the back office

use selvedge_domain::goods_in;
use selvedge_domain::stock;

use crate::counter::{Answer, Counter, hidden};
use crate::headquarters::gtin;
use crate::office::{open, refused};

fn receive(counter: &Counter, code: &str, quantity: &str) -> Answer {
    let filled = [("code", code), ("quantity", quantity)];
    counter.fill("/stock/receive", "/stock/receive/add", &filled)
}

fn on_hand(counter: &Counter, sku: i64) -> i64 {
    counter.ask(|db| stock::on_hand(db, 1, sku).unwrap())
}

// Proves TS-24.
#[test]
fn a_delivery_that_is_posted_twice_counts_once() {
    let (store, mut counter) = open();
    assert_eq!(receive(&counter, &gtin(1001), "12").place, "/stock/receive");
    receive(&counter, "1005", "3");
    receive(&counter, "1005", "1");
    counter.wipe_browser();
    assert_eq!(
        counter.sign_on("9520003", "3333").place,
        "/today",
        "another person goes on with it"
    );
    let page = counter.get("/stock/receive").page;
    assert!(
        page.contains("This delivery: 2 lines, 16 pieces"),
        "nothing lives in the browser: {page}"
    );
    let first = counter.submit(&page, "/stock/receive/book", &[("note", "LS-4711")]);
    assert_eq!(first.place, "/stock/receive?lines=2&pieces=16");
    assert!(counter.get(&first.place).page.contains("Booked: 2 lines, 16 pieces."));
    receive(&counter, "1005", "7");
    drop(counter);
    let mut counter = crate::office::start(&store);
    counter.sign_on("9520003", "3333");
    // The same form again, after a restart and with the next delivery begun.
    let mut fields = hidden(&page, "/stock/receive/book");
    fields.insert(
        "csrf".to_owned(),
        hidden(&counter.get("/stock/receive").page, "/signoff")["csrf"].clone(),
    );
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(counter.post("/stock/receive/book", &fields).place, first.place);
    assert_eq!((on_hand(&counter, 1001), on_hand(&counter, 1005)), (12, 4));
    assert_eq!(counter.ask(|db| goods_in::lines_so_far(db).unwrap().len()), 1);
    counter.wipe_browser();
}

// Proves TS-24.
#[test]
fn a_line_that_is_not_taken_says_why_and_keeps_what_was_typed() {
    let (_store, counter) = open();
    for (code, quantity, said) in [
        ("9520041007319", "2", "check digit"),
        ("4006381333931", "2", "nothing in this store&#39;s list bears"),
        ("777", "2", "There is no SKU 777"),
        ("<i>x</i>", "2", "&#60;i&#62;x&#60;/i&#62;"),
        ("1001", "0", "cannot be booked"),
        ("1001", "-1", "cannot be booked"),
        ("1001", "99999999999999999999", "is no quantity"),
        ("1001", "two", "is no quantity"),
        ("boot", "5", "choose one"),
    ] {
        let answer = receive(&counter, code, quantity);
        assert_eq!(answer.status, 422, "{code} {quantity}: {}", answer.page);
        let page = answer.page.to_lowercase();
        assert!(page.contains(&said.to_lowercase()), "{said} is not in {page}");
        assert!(!page.contains("<i>x"), "{page}");
        assert!(
            answer.page.contains(&format!("name=\"quantity\" value=\"{quantity}\"")),
            "{quantity}"
        );
    }
    let many = receive(&counter, "boot", "5").page;
    assert!(many.contains("Boot socks") && many.contains("Boot laces"), "{many}");
    refused(
        &counter.fill("/stock/receive", "/stock/receive/add", &[("code", "1001")]),
        "is no quantity",
    );
    receive(&counter, "1001", "2");
    let page = counter.get("/stock/receive").page;
    counter.submit(&page, "/stock/receive/quantity", &[("quantity", "9")]);
    let page = counter.get("/stock/receive").page;
    assert!(page.contains("balance 0, then 9"), "{page}");
    counter.submit(&page, "/stock/receive/quantity", &[("quantity", "0")]);
    assert!(counter.get("/stock/receive").page.contains("Nothing scanned yet"));
}

fn correct(counter: &Counter, reason: &str, number: &str) -> Answer {
    let filled = [("reason", reason), ("number", number), ("note", "shelf 3")];
    counter.fill("/stock/correct?code=1005", "/stock/correct/book", &filled)
}

// Proves TS-24.
#[test]
fn a_correction_shows_the_balance_before_and_after() {
    let (_store, counter) = open();
    let page = counter.get("/stock/correct?code=1005").page;
    assert!(page.contains("<b>0</b> <span>by the book, nothing has moved yet"), "{page}");
    let done = correct(&counter, "counted", "12");
    assert_eq!(done.place, "/stock/correct?code=1005&was=0&is=12");
    let page = counter.get(&done.place).page;
    assert!(page.contains("Boot laces, 120 cm: 0 before, 12 now."), "{page}");
    assert!(page.contains("last changed today 09:00"), "{page}");
    correct(&counter, "broken", "2");
    correct(&counter, "stolen", "3");
    correct(&counter, "found", "1");
    assert_eq!(on_hand(&counter, 1005), 8);
    for (reason, number, said) in [
        ("counted", "8", "the balance is 8 already"),
        ("counted", "-1", "is no number of pieces"),
        ("broken", "0", "cannot be booked"),
        ("broken", "some", "is no number of pieces"),
        ("lent", "1", "Choose a reason"),
    ] {
        let answer = correct(&counter, reason, number);
        refused(&answer, said);
        assert!(answer.page.contains("name=\"note\" value=\"shelf 3\""), "{}", answer.page);
    }
    let note: String = counter.ask(|db| {
        db.query_row("SELECT note FROM stock_movement WHERE quantity = -3", [], |row| row.get(0))
            .unwrap()
    });
    assert_eq!(note, "stolen: shelf 3");
    assert_eq!(on_hand(&counter, 1005), 8);
}

#[test]
fn a_forged_and_an_incomplete_form_book_nothing() {
    let (_store, counter) = open();
    let token = hidden(&counter.get("/today").page, "/signoff");
    let csrf = ("csrf", token["csrf"].as_str());
    let forged = [("csrf", "0"), ("request", "abcdefgh"), ("code", "1001"), ("quantity", "1")];
    assert_eq!(counter.post("/stock/receive/add", &forged).status, 403);
    let incomplete = [csrf, ("code", "1001"), ("quantity", "1")];
    assert_eq!(counter.post("/stock/receive/add", &incomplete).status, 422);
    let empty = [csrf, ("request", "abcdefgh")];
    refused(&counter.post("/stock/receive/book", &empty), "no line yet");
    assert_eq!(on_hand(&counter, 1001), 0);
}
