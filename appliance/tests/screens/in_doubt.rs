//! The one receipt that nobody has seen

use crate::counter::{Answer, Counter, Store, Wishes, filled_form};
use selvedge_domain::exceptions::{self, IN_DOUBT};
use selvedge_domain::in_doubt;
use selvedge_domain::money::Money;
use selvedge_domain::receipts::Kind;
use selvedge_domain::stock;

const QUESTION: &str = "/checkout/in-doubt";
const PRINT: &str = "/checkout/in-doubt/print";
const VOID: &str = "/checkout/in-doubt/void";
const GO_ON: &str = "/checkout/in-doubt/go-on";
const SIMULATED: &str = "card_terminal = \"simulated\"\n";

fn start(store: &Store, settings: &'static str) -> Counter {
    let counter = store.start_with(Wishes { settings, ..Wishes::default() });
    counter.sign_on("9520001", "1111");
    counter
}

/// Pays what is in the basket, and looks at nothing that comes of it.
fn pay_and_leave(counter: &Counter, kind: &str, amount: &str) -> Answer {
    counter.fill("/checkout", "/checkout/pay", &[]);
    let page = counter.get("/checkout/pay").page;
    let fields = filled_form(&page, "/checkout/pay/tender", &[("kind", kind), ("amount", amount)]);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    counter.post_and_leave("/checkout/pay/tender", &fields)
}

/// A store whose pos stopped between a payment of two things and the page that says so.
fn cut(settings: &'static str, kind: &str, amount: &str) -> (Store, Counter) {
    let store = Store::new();
    let counter = start(&store, settings);
    counter.scan("1001");
    counter.scan("1002");
    assert_eq!(pay_and_leave(&counter, kind, amount).place, "/checkout/done");
    drop(counter);
    let counter = start(&store, settings);
    (store, counter)
}

/// What was answered, and by whom.
fn answers(counter: &Counter) -> Vec<(String, String)> {
    counter.ask(|db| {
        let seen =
            exceptions::latest(db, 9).unwrap().into_iter().filter(|one| one.kind == IN_DOUBT);
        seen.map(|one| {
            let answered = in_doubt::of_exception(db, one.id).unwrap().unwrap();
            (answered.answer.as_str().to_owned(), answered.by)
        })
        .collect()
    })
}

fn one_answer(counter: &Counter, answer: &str, by: &str) {
    assert_eq!(answers(counter), [(answer.to_owned(), by.to_owned())]);
}

// Proves TS-18.
#[test]
fn a_receipt_that_nobody_saw_is_asked_about_before_the_next_sale() {
    let (store, counter) = cut("", "cash", "100");
    assert_eq!(counter.get("/checkout").place, QUESTION);
    assert_eq!(counter.scan_anyway("1003").place, QUESTION, "nothing is rung up before");
    assert_eq!(counter.get("/checkout/pay").place, QUESTION);
    assert_eq!(counter.get("/checkout/done").place, QUESTION);
    let page = counter.get(QUESTION).page;
    for shown in ["T1-000001", "Print it, or void it?", "Merino crew", "€79.00", "€11.90", "€90.90"]
    {
        assert!(page.contains(shown), "not shown: {shown}\n{page}");
    }
    drop(counter);
    let counter = start(&store, "");
    assert_eq!(counter.get("/checkout").place, QUESTION, "it is asked until it is answered");
    let printed = counter.fill(QUESTION, PRINT, &[]);
    assert_eq!((printed.status, printed.place.as_str()), (303, "/checkout/done"));
    assert!(counter.look().contains("€9.10"), "the change is shown");
    one_answer(&counter, "printed", "Amira K.");
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
    counter.scan("1003");
    assert_eq!(counter.pay("cash", "20").place, "/checkout/done");
    let numbers: Vec<i64> = counter.receipts().iter().map(|whole| whole.receipt.no).collect();
    assert_eq!(numbers, [1, 2], "neither lost nor doubled");
}

// Proves TS-18, TS-19.
#[test]
fn a_void_is_another_receipt_and_says_what_goes_back() {
    let (_store, counter) = cut("", "cash", "100");
    let page = counter.get(QUESTION).page;
    assert_eq!(counter.submit(&page, VOID, &[]).place, QUESTION);
    assert_eq!(counter.submit(&page, VOID, &[]).place, QUESTION, "pressed twice");
    let page = counter.get("/checkout").place;
    assert_eq!(page, QUESTION, "the money has to go back first");
    let page = counter.get(QUESTION).page;
    for shown in ["Receipt T1-000001 is void", "T1-000002", "Give back <b>€90.90</b> in cash"] {
        assert!(page.contains(shown), "not shown: {shown}\n{page}");
    }
    assert_eq!(counter.submit(&page, GO_ON, &[]).place, "/checkout");
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
    let receipts = counter.receipts();
    assert_eq!(receipts.len(), 2);
    let void = &receipts[1];
    assert_eq!((void.receipt.kind, void.receipt.total), (Kind::Void, Money(-9_090)));
    assert_eq!(void.receipt.of, Some(receipts[0].receipt.id));
    counter.ask(|db| assert_eq!(stock::on_hand(db, 1, 1001).unwrap(), 0));
    one_answer(&counter, "void", "Amira K.");
}

// Proves TS-18.
#[test]
fn a_void_gives_the_card_its_money_back_at_the_terminal() {
    let (_store, counter) = cut(SIMULATED, "card", "");
    let page = counter.get(QUESTION).page;
    let mut place = counter.submit(&page, VOID, &[]).place;
    while place == "/checkout/pay/card" {
        place = counter.get("/checkout/pay/card?wait=1").place;
    }
    assert_eq!(place, QUESTION);
    let page = counter.get(QUESTION).page;
    assert!(page.contains("Give back <b>€90.90</b> by the terminal, which did it"), "{page}");
    counter.submit(&page, GO_ON, &[]);
    let receipts = counter.receipts();
    assert!(receipts[0].tenders[0].charge.is_some() && receipts[1].tenders[0].charge.is_none());
    assert_eq!(receipts[1].tenders[0].amount, Money(-9_090));
}

#[test]
fn whoever_is_still_there_is_shown_the_receipt_and_asked_nothing() {
    let store = Store::new();
    let counter = start(&store, "");
    counter.scan("1001");
    pay_and_leave(&counter, "cash", "80");
    assert_eq!(counter.get("/checkout").place, "/checkout/done", "it shows what was paid first");
    assert_eq!(counter.scan_anyway("1002").place, "/checkout/done");
    assert!(counter.get("/checkout/done").page.contains("T1-000001"));
    assert!(counter.get("/checkout").page.contains("Scan the first item"), "now it was seen");
    assert!(answers(&counter).is_empty());
}

#[test]
fn a_receipt_that_was_seen_is_not_asked_about_after_a_power_cut() {
    let store = Store::new();
    let counter = start(&store, "");
    counter.scan("1001");
    counter.pay("cash", "80");
    drop(counter);
    let counter = start(&store, "");
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
    counter.fill("/checkout", "/checkout/add", &[("code", "1002")]);
    pay_and_leave(&counter, "cash", "20");
    counter.get("/checkout/done");
    drop(counter);
    let counter = start(&store, "");
    let unseen = "it was sent, but no browser had it yet";
    assert_eq!(counter.get("/checkout").place, QUESTION, "{unseen}");
}

#[test]
fn the_next_person_answers_with_the_own_name() {
    let (_store, counter) = cut("", "card", "");
    let page = counter.get(QUESTION).page;
    assert!(page.contains("Amira K.,"), "who rang it up: {page}");
    counter.submit(&page, "/signoff", &[]);
    counter.sign_on("9520002", "2222");
    let page = counter.get(QUESTION).page;
    counter.submit(&page, VOID, &[]);
    assert!(counter.get(QUESTION).page.contains("at the terminal, by hand"));
    one_answer(&counter, "void", "Elin B.");
}
