//! A disk that is really full: the system refuses the write

use crate::counter::{Answer, Counter, Store};
use crate::device::Device;
use crate::headquarters::gtin;
use appliance::baskets;
use appliance::database;
use selvedge_domain::money::Money;
use selvedge_sync::open;

const NO_BASKET: &str =
    "The basket could not be written: see that the disk has room, then tap again";

const TENDER: &str = "/checkout/pay/tender";
const CASH: [(&str, &str); 2] = [("kind", "cash"), ("amount", "80")];

fn unavailable(answer: &Answer, sentence: &str) {
    assert_eq!(answer.status, 503, "{}", answer.page);
    assert!(answer.page.contains(sentence), "not said: {sentence}\n{}", answer.page);
}

/// So many sales.
fn sell(counter: &Counter, sales: usize) {
    counter.sign_on("9520001", "1111");
    for _ in 0..sales {
        counter.scan(&gtin(1003));
        assert_eq!(counter.pay("cash", "20").place, "/checkout/done");
    }
}

/// The page to pay at for a basket of €79.00; its form is sent again and again, each time with the same request.
fn pay_page(counter: &Counter) -> String {
    let page = counter.get("/checkout/pay").page;
    assert!(
        page.contains("To pay") && page.contains("<b>€79.00</b>"),
        "no money was taken: {page}"
    );
    page
}

fn pay(counter: &Counter, page: &str) -> Answer {
    counter.submit(page, TENDER, &CASH)
}

/// With room again the same request sells, once, under the next number.
fn sells_once(counter: &Counter, page: &str, number: &str) {
    for _ in 0..3 {
        let paid = pay(counter, page);
        assert_eq!((paid.status, paid.place.as_str()), (303, "/checkout/done"), "{}", paid.page);
    }
    let done = counter.get("/checkout/done").page;
    assert!(done.contains(number) && done.contains("id=\"change\">€1.00"), "{done}");
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
}

/// In the end the database holds the sales from before and this one, without a gap.
fn all_are_kept(store: &Store, before: usize) {
    let counter = store.start();
    let receipts = counter.receipts();
    let numbers: Vec<_> = receipts.iter().map(|kept| kept.receipt.no).collect();
    let sums: Vec<_> = receipts.iter().map(|kept| kept.receipt.total).collect();
    assert_eq!(numbers, (1..=before as i64 + 1).collect::<Vec<_>>());
    assert_eq!(sums, [vec![Money(1_250); before], vec![Money(7_900)]].concat());
    let written =
        counter.ask(|db| db.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)));
    assert_eq!(written.unwrap(), "ok");
}

// Proves TS-18.
#[test]
fn a_full_disk_takes_no_money_and_loses_nothing() {
    let store = Store::new();
    let Some(device) = Device::on_a_small_disk(&store) else { return };
    let counter = &device.counter;
    sell(counter, 1);
    counter.scan(&gtin(1001));
    let page = pay_page(counter);
    device.fill_disk();
    unavailable(&counter.scan(&gtin(1002)), NO_BASKET);
    assert!(counter.get("/checkout").page.contains("1 piece ·"), "what was rung up stays");
    let refused = pay(counter, &page);
    assert_eq!(refused.status, 422);
    assert!(refused.page.contains("has only 0 MiB left, so no money is taken"), "{}", refused.page);
    pay_page(counter);
    device.make_room();
    sells_once(counter, &page, "T1-000002");
    device.keep_data();
    device.kill();
    all_are_kept(&store, 1);
}

// Proves TS-18.
#[test]
fn a_tender_that_cannot_be_written_is_not_taken() {
    let store = Store::new();
    let device = Device::start(&store);
    let counter = &device.counter;
    sell(counter, 1);
    counter.scan(&gtin(1001));
    let page = pay_page(counter);
    let wal = device.length(&format!("{}-wal", baskets::FILE_NAME));
    device.limit_files(Some(wal));
    unavailable(&counter.scan(&gtin(1002)), NO_BASKET);
    unavailable(&pay(counter, &page), NO_BASKET);
    pay_page(counter);
    device.limit_files(None);
    sells_once(counter, &page, "T1-000002");
    device.kill();
    all_are_kept(&store, 1);
}

// Proves TS-18.
#[test]
fn a_receipt_that_cannot_be_written_takes_no_money() {
    let store = Store::new();
    let device = Device::start(&store);
    sell(&device.counter, 8);
    // The log of the baskets begins anew, that of the receipts goes on: now the longer one meets the limit first.
    let file = open::by_hand(&store.data().join(baskets::FILE_NAME)).unwrap();
    file.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(file);
    let counter = &device.counter;
    counter.scan(&gtin(1001));
    let page = pay_page(counter);
    device.limit_files(Some(device.length(&format!("{}-wal", database::FILE_NAME))));
    // The program ends itself and may do so before it answers: what was written is read at the next start.
    if let Some(answer) = counter.submit_unanswered(&page, TENDER, &CASH) {
        unavailable(&answer, "It is not known yet whether the receipt was written");
    }
    let browser = counter.browser.clone();
    device.ended();
    let mut device = Device::start(&store);
    device.counter.browser = browser;
    pay_page(&device.counter);
    sells_once(&device.counter, &page, "T1-000009");
    device.kill();
    all_are_kept(&store, 8);
}
