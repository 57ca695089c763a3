//! Cards, charged by a terminal that is only simulated

use crate::counter::{Answer, Counter, Store, Wishes};
use appliance::simulated_terminal;
use rusqlite::Connection;
use selvedge_domain::exceptions::{self, IN_DOUBT};
use selvedge_domain::in_doubt;
use selvedge_domain::money::Money;
use selvedge_domain::receipts::Charge;

const CARD: &str = "/checkout/pay/card";

fn start(store: &Store, settings: &'static str) -> Counter {
    let counter = store.start_with(Wishes { settings, ..Wishes::default() });
    counter.sign_on("9520001", "1111");
    counter
}

fn open(settings: &'static str) -> (Store, Counter) {
    let store = Store::new();
    let counter = start(&store, settings);
    counter.scan("1001");
    (store, counter)
}

/// What the terminal did: amounts and outcomes.
fn charges(store: &Store) -> Vec<(i64, String)> {
    let memory = Connection::open(store.data().join(simulated_terminal::FILE_NAME)).unwrap();
    let mut all = memory.prepare("SELECT amount_minor, outcome FROM charge ORDER BY no").unwrap();
    all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn charged(store: &Store, expected: &[(i64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|one| (one.0, one.1.to_owned())).collect();
    assert_eq!(charges(store), expected);
}

fn say(counter: &Counter, word: &str) -> Answer {
    counter.fill(CARD, CARD, &[("answer", word)])
}

/// The charge of the only tender of the only receipt.
fn only_charge(counter: &Counter) -> Charge {
    let receipts = counter.receipts();
    assert_eq!((receipts.len(), receipts[0].tenders.len()), (1, 1));
    receipts[0].tenders[0].charge.clone().unwrap()
}

// Proves TS-18.
#[test]
fn a_card_that_the_terminal_approves_pays_and_its_receipt_bears_the_intent() {
    let (store, counter) = open("card_terminal = \"simulated\"\n");
    assert!(counter.get("/checkout/pay").page.contains("the terminal is asked"));
    assert_eq!(counter.pay("card", "").place, "/checkout/done");
    charged(&store, &[(7_900, "approved")]);
    let charge = only_charge(&counter);
    assert!(charge.intent > 0 && charge.reference.as_deref() == Some("SIM-000001"), "{charge:?}");
    counter.scan("1001");
    assert_eq!(counter.pay("card", "50").place, "/checkout/pay", "a part of it");
    let rest = [("kind", "cash"), ("amount", "29")];
    assert_eq!(
        counter.fill("/checkout/pay", "/checkout/pay/tender", &rest).place,
        "/checkout/done"
    );
    let tenders = counter.receipts()[1].tenders.clone();
    assert!(tenders[0].charge.is_some() && tenders[1].charge.is_none(), "{tenders:?}");
    assert_ne!(tenders[0].charge.as_ref().unwrap().intent, charge.intent);
}

// Proves TS-18.
#[test]
fn the_same_form_twice_charges_the_card_once() {
    let (store, counter) = open("card_terminal = \"simulated\"\n");
    counter.fill("/checkout", "/checkout/pay", &[]);
    let page = counter.get("/checkout/pay").page;
    for _ in 0..3 {
        let paid =
            counter.submit(&page, "/checkout/pay/tender", &[("kind", "card"), ("amount", "")]);
        assert_eq!((paid.status, paid.place.as_str()), (303, "/checkout/done"));
    }
    charged(&store, &[(7_900, "approved")]);
    assert_eq!(counter.receipts().len(), 1);
}

#[test]
fn a_declined_card_leaves_the_basket_and_says_so() {
    let (store, counter) =
        open("card_terminal = \"simulated\"\nsimulated_terminal = \"declines\"\n");
    assert_eq!(counter.pay("card", "").place, "/checkout/pay");
    assert!(counter.get("/checkout/pay").page.contains("The card was not charged €79.00."));
    charged(&store, &[(7_900, "declined")]);
    counter.fill("/checkout/pay", "/checkout/pay/tender", &[("kind", "cash"), ("amount", "80")]);
    let receipts = counter.receipts();
    assert_eq!((receipts.len(), receipts[0].tenders[0].charge.clone()), (1, None));
}

#[test]
fn a_slow_terminal_is_waited_for_on_a_page_of_its_own() {
    let (store, counter) = open("card_terminal = \"simulated\"\nsimulated_terminal = \"slow\"\n");
    assert_eq!(counter.pay("card", "").place, CARD);
    let page = counter.get(CARD).page;
    assert!(
        page.contains("€79.00") && page.contains("The customer pays at the terminal"),
        "{page}"
    );
    assert!(page.contains("url=/checkout/pay/card?wait=1"), "it goes on without scripts");
    assert_eq!(counter.get("/checkout").place, CARD, "the basket waits");
    assert_eq!(counter.get("/checkout/pay/card?wait=1").place, "/checkout/done");
    assert!(counter.look().contains("T1-000001"));
    charged(&store, &[(7_900, "approved")]);
}

#[test]
fn a_terminal_that_lost_power_is_asked_again_and_charges_once() {
    let (store, counter) =
        open("card_terminal = \"simulated\"\nsimulated_terminal = \"loses-power\"\n");
    assert_eq!(counter.pay("card", "").place, CARD);
    assert_eq!(counter.get("/checkout/pay/card?wait=1").place, "/checkout/done");
    charged(&store, &[(7_900, "approved")]);
    assert_eq!(only_charge(&counter).reference.as_deref(), Some("SIM-000001"));
}

const FORGETS: &str = "card_terminal = \"simulated\"\nsimulated_terminal = \"forgets\"\n";

// Proves TS-18.
#[test]
fn what_no_terminal_knows_a_person_says_and_it_is_kept_with_the_name() {
    let (store, counter) = open(FORGETS);
    assert_eq!(counter.pay("card", "").place, CARD);
    let page = counter.get(CARD).page;
    assert!(page.contains("Was the card charged?") && page.contains("€79.00"), "{page}");
    assert_eq!(counter.scan_anyway("1002").place, CARD, "nothing goes on before");
    say(&counter, "again");
    assert_eq!(counter.get("/checkout/pay/card?wait=1").status, 200, "it still does not know");
    charged(&store, &[(7_900, "forgotten")]);
    let said = say(&counter, "paid");
    assert_eq!(said.place, "/checkout/done");
    let charge = only_charge(&counter);
    assert_eq!(charge.reference, None);
    counter.ask(|db| {
        let seen = exceptions::latest(db, 9).unwrap();
        let one = seen.iter().find(|one| one.kind == IN_DOUBT).unwrap();
        let answered = in_doubt::of_exception(db, one.id).unwrap().unwrap();
        assert_eq!((answered.intent, one.amount), (Some(charge.intent), Some(7_900)));
        assert_eq!(
            (answered.answer.as_str(), answered.by.as_str()),
            ("card was charged", "Amira K.")
        );
    });
}

#[test]
fn a_card_that_a_person_calls_not_charged_leaves_the_basket() {
    let (store, counter) = open(FORGETS);
    counter.pay("card", "");
    drop(counter);
    let counter = start(&store, FORGETS);
    assert_eq!(counter.get("/checkout").place, CARD, "a restart asks the same question");
    counter.get("/checkout/pay/card?wait=1");
    assert_eq!(say(&counter, "not-paid").place, "/checkout/pay");
    assert!(counter.get("/checkout/pay").page.contains("<b>€79.00</b>"));
    assert!(counter.receipts().is_empty());
    charged(&store, &[(7_900, "forgotten")]);
}

// Proves TS-18.
#[test]
fn a_card_that_is_taken_off_gets_its_money_back_from_the_terminal() {
    let (store, counter) = open("card_terminal = \"simulated\"\n");
    counter.pay("card", "50");
    assert!(counter.get("/checkout/pay").page.contains("the terminal gives it back"));
    let back = counter.fill("/checkout/pay", "/checkout/pay/take-off", &[]);
    assert_eq!(back.place, "/checkout/pay");
    let page = counter.get("/checkout/pay").page;
    assert!(
        page.contains("€50.00 went back to the card.") && page.contains("<b>€79.00</b>"),
        "{page}"
    );
    charged(&store, &[(5_000, "returned")]);
    assert_eq!(counter.scan("1002").status, 303, "the basket may change again");
    assert_eq!(counter.pay("cash", "100").place, "/checkout/done");
    assert_eq!(counter.receipts()[0].receipt.total, Money(9_090));
}

#[test]
fn tiny_amounts_bring_out_what_a_terminal_can_do() {
    let (store, counter) = open("card_terminal = \"simulated\"\n");
    assert_eq!(counter.pay("card", "0.01").place, "/checkout/pay");
    let again = [("kind", "card"), ("amount", "0.03")];
    assert_eq!(counter.fill("/checkout/pay", "/checkout/pay/tender", &again).place, CARD);
    charged(&store, &[(1, "declined"), (3, "forgotten")]);
}

#[test]
fn a_terminal_that_is_no_longer_set_up_leaves_its_question_to_a_person() {
    let (store, counter) = open(FORGETS);
    counter.pay("card", "");
    drop(counter);
    let counter = start(&store, "");
    let page = counter.get(CARD).page;
    assert!(page.contains("Was the card charged?"), "{page}");
    assert_eq!(say(&counter, "paid").place, "/checkout/done");
    assert_eq!(counter.receipts().len(), 1);
}
