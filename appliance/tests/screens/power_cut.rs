//! Power goes at every sync of a payment and of its answer
//!
//! A real process, a real disk, a switch before each sync. However it ends, one
//! approval of the terminal is one receipt or was given back, nothing is asked
//! twice, and the next sale waits for the answer.

use crate::counter::{Counter, Store, filled_form};
use crate::device::{Device, Switch};
use appliance::{baskets, simulated_terminal};
use rusqlite::Connection;
use selvedge_domain::receipts::Kind;

const SIMULATED: &str = "card_terminal = \"simulated\"\n";
const BY_HAND: &str = "card_terminal = \"by-hand\"\n";
const QUESTION: &str = "/checkout/in-doubt";
const CARD: &str = "/checkout/pay/card";

/// More syncs than any of these deeds has.
const SYNCS_MAX: u32 = 40;

/// A pos that may be cut off, and what happened at it.
struct Desk {
    store: Store,
    switch: Switch,
    settings: &'static str,
    device: Option<Device>,
    asked: u32,
}

impl Desk {
    fn new(settings: &'static str) -> Desk {
        let store = Store::new();
        let switch = Switch::build(store.folder.path());
        let mut desk = Desk { store, switch, settings, device: None, asked: 0 };
        desk.start();
        desk
    }

    fn start(&mut self) {
        let device = Device::with_a_switch(&self.store, self.settings, &self.switch);
        let signed_on = device.counter.sign_on("9520001", "1111");
        assert_eq!(signed_on.status, 303, "{}", signed_on.page);
        self.device = Some(device);
    }

    fn counter(&self) -> &Counter {
        &self.device.as_ref().unwrap().counter
    }

    /// Presses a key of a page, cuts at that sync, and starts again. Says whether there was such a sync.
    fn press_and_cut(&mut self, key: (&str, &str), filled: &[(&str, &str)], syncs: u32) -> bool {
        let is_cut = self.cut(key, filled, syncs);
        self.start();
        is_cut
    }

    /// Presses a key of a page and cuts at that sync. Says whether there was such a sync.
    fn cut(&mut self, (path, action): (&str, &str), filled: &[(&str, &str)], syncs: u32) -> bool {
        let page = self.counter().get(path).page;
        let fields = filled_form(&page, action, filled);
        self.switch.cut_after(syncs);
        let request = self.counter().browser.post(format!("{}{action}", self.counter().address));
        if let Ok(answer) = request.send_form(fields) {
            self.follow(&answer);
        }
        let is_cut = self.switch.lift();
        self.device.take().unwrap().kill();
        is_cut
    }

    /// Goes where a card is waited for, as long as there is a device that answers. No page with a receipt is opened.
    fn follow(&self, answer: &ureq::http::Response<ureq::Body>) {
        let place = |answer: &ureq::http::Response<ureq::Body>| {
            let place = answer.headers().get("location")?;
            place.to_str().is_ok_and(|place| place == CARD).then_some(())
        };
        let mut waits = place(answer);
        while waits.is_some() {
            let wait = format!("{}{CARD}?wait=1", self.counter().address);
            waits = self.counter().browser.get(wait).call().ok().as_ref().and_then(place);
        }
    }

    /// The number of receipts of which the file says that nobody has seen them.
    fn in_doubt(&self) -> i64 {
        let file = self.store.data().join(baskets::FILE_NAME);
        let count = "SELECT count(*) FROM basket WHERE state = 'done' AND shown = 0";
        Connection::open(file).unwrap().query_row(count, [], |row| row.get(0)).unwrap()
    }

    /// Where the checkout goes on, once the terminal has said what it knows.
    fn place(&self) -> String {
        let mut place = self.counter().get("/checkout").place;
        while place == CARD {
            place = self.counter().get("/checkout/pay/card?wait=1").place;
            if place.is_empty() {
                // It knows all that it ever charged. A checkout cannot rely on that and asks a person.
                place = self.counter().fill(CARD, CARD, &[("answer", "not-paid")]).place;
            }
        }
        place
    }

    /// Answers what is asked, if anything is, and pays what was not paid.
    fn clear_up(&mut self, answer: &str) {
        let mut place = self.place();
        assert!(self.in_doubt() <= 1);
        if place == QUESTION {
            let page = self.counter().get(QUESTION).page;
            if page.contains("Print it, or void it?") {
                self.asked += 1;
                let action = format!("{QUESTION}/{answer}");
                place = self.counter().submit(&page, &action, &[]).place;
            }
        }
        while place == CARD {
            place = self.counter().get("/checkout/pay/card?wait=1").place;
        }
        if place == QUESTION {
            self.counter().fill(QUESTION, "/checkout/in-doubt/go-on", &[]);
        }
        if self.place() == "/checkout/pay"
            || self.counter().get("/checkout").page.contains("Take payment")
        {
            assert_eq!(self.counter().pay("card", "").place, "/checkout/done");
        }
        assert!(self.counter().get("/checkout").page.contains("Scan the first item"));
    }

    /// In the end every approval has one receipt, and every one that was given back a void.
    fn all_is_accounted_for(mut self) -> usize {
        self.device.take().unwrap().kill();
        let counter = self.store.start();
        let receipts = counter.receipts();
        let numbers: Vec<i64> = receipts.iter().map(|whole| whole.receipt.no).collect();
        assert_eq!(numbers, (1..=receipts.len() as i64).collect::<Vec<_>>());
        let voided: Vec<i64> = receipts.iter().filter_map(|whole| whole.receipt.of).collect();
        let mut once = voided.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), voided.len(), "a receipt is voided once");
        if self.settings == SIMULATED {
            let sales = receipts.iter().filter(|whole| whole.receipt.kind == Kind::Sale);
            let mut paid: Vec<(String, String)> = sales
                .map(|whole| {
                    let charge = whole.tenders[0].charge.as_ref().unwrap();
                    let is_void = voided.contains(&whole.receipt.id);
                    let outcome = if is_void { "returned" } else { "approved" };
                    (format!("{:016x}", charge.intent), outcome.to_owned())
                })
                .collect();
            paid.sort();
            assert_eq!(paid, self.charges(), "each approval is one receipt");
        }
        receipts.len()
    }

    /// What the terminal did, by intent.
    fn charges(&self) -> Vec<(String, String)> {
        let file = self.store.data().join(simulated_terminal::FILE_NAME);
        let memory = Connection::open(file).unwrap();
        let mut all = memory.prepare("SELECT intent, outcome FROM charge ORDER BY intent").unwrap();
        let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

/// How often the terminal was asked for money, by intent.
fn asked_for_money(desk: &Desk) -> Vec<(String, i64)> {
    let file = desk.store.data().join(simulated_terminal::FILE_NAME);
    let memory = selvedge_sync::open::by_hand(&file).unwrap();
    let mut all = memory.prepare("SELECT intent, asked FROM charge ORDER BY intent").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

// Proves TS-18.
#[test]
fn a_start_in_the_middle_of_a_payment_asks_the_terminal_what_became_of_it_and_never_for_money() {
    let mut desk = Desk::new(SIMULATED);
    for syncs in 0..SYNCS_MAX {
        desk.counter().scan("1001");
        desk.counter().fill("/checkout", "/checkout/pay", &[]);
        let pay = ("/checkout/pay", "/checkout/pay/tender");
        let is_cut = desk.cut(pay, &[("kind", "card"), ("amount", "")], syncs);
        let before = asked_for_money(&desk);
        desk.start();
        desk.place();
        assert_eq!(asked_for_money(&desk), before, "asked for money after a cut at sync {syncs}");
        desk.clear_up("print");
        assert!(asked_for_money(&desk).iter().all(|(_, times)| *times == 1));
        if !is_cut {
            assert!(syncs >= 5, "intent, terminal, answer, receipt, end: {syncs}");
            return;
        }
    }
    panic!("a payment has more than {SYNCS_MAX} syncs")
}

/// Cuts a payment at each of its syncs, and says how many there were.
fn cut_each_payment(desk: &mut Desk, answer: &str) -> u32 {
    for syncs in 0..SYNCS_MAX {
        desk.counter().scan("1001");
        desk.counter().fill("/checkout", "/checkout/pay", &[]);
        let pay = ("/checkout/pay", "/checkout/pay/tender");
        let is_cut = desk.press_and_cut(pay, &[("kind", "card"), ("amount", "")], syncs);
        desk.clear_up(answer);
        if !is_cut {
            return syncs;
        }
    }
    panic!("a payment has more than {SYNCS_MAX} syncs")
}

// Proves TS-18.
#[test]
fn a_payment_by_terminal_that_is_cut_at_any_sync_is_one_charge_and_one_receipt() {
    let mut desk = Desk::new(SIMULATED);
    let syncs = cut_each_payment(&mut desk, "print");
    assert!(syncs >= 5, "intent, terminal, answer, receipt, end: {syncs}");
    assert!(desk.asked >= 4, "after each cut behind the approval it was asked: {}", desk.asked);
    desk.all_is_accounted_for();
}

// Proves TS-18.
#[test]
fn a_payment_by_hand_that_is_cut_at_any_sync_is_one_receipt() {
    let mut desk = Desk::new(BY_HAND);
    let syncs = cut_each_payment(&mut desk, "print");
    assert!(syncs >= 3, "tender, receipt, end: {syncs}");
    assert_eq!(desk.all_is_accounted_for(), syncs as usize + 1);
}

/// Leaves a receipt in doubt, and cuts the answer at each of its syncs.
fn cut_each_answer(desk: &mut Desk, answer: &str) -> u32 {
    let action = format!("{QUESTION}/{answer}");
    for syncs in 0..SYNCS_MAX {
        desk.counter().scan("1001");
        desk.counter().fill("/checkout", "/checkout/pay", &[]);
        let pay = ("/checkout/pay", "/checkout/pay/tender");
        assert!(!desk.press_and_cut(pay, &[("kind", "card"), ("amount", "")], SYNCS_MAX));
        assert_eq!(desk.place(), QUESTION);
        let is_cut = desk.press_and_cut((QUESTION, &action), &[], syncs);
        desk.clear_up(answer);
        if !is_cut {
            return syncs;
        }
    }
    panic!("an answer has more than {SYNCS_MAX} syncs")
}

// Proves TS-18.
#[test]
fn a_void_that_is_cut_at_any_sync_comes_once_and_gives_back_once() {
    let mut desk = Desk::new(SIMULATED);
    let syncs = cut_each_answer(&mut desk, "void");
    assert!(syncs >= 5, "wish, intent, terminal, answer, receipt, end: {syncs}");
    assert_eq!(desk.all_is_accounted_for(), 2 * (syncs as usize + 1));
}

// Proves TS-18.
#[test]
fn an_answer_that_is_cut_at_any_sync_is_given_once() {
    let mut desk = Desk::new(BY_HAND);
    let syncs = cut_each_answer(&mut desk, "print");
    assert!(syncs >= 2, "fact, mark: {syncs}");
    assert_eq!(desk.all_is_accounted_for(), syncs as usize + 1);
}
