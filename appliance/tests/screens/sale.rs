//! The whole sale, as a browser without scripts sees it

use crate::counter::{Answer, Counter, Store, Wishes, hidden};
use crate::headquarters::{GOODS, gtin};
use appliance::basket_rows;
use appliance::baskets::{self, Baskets, Paying};
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::exceptions;
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::stock;
use selvedge_domain::tenders::{Tender, TenderKind};

fn open() -> (Store, Counter) {
    let store = Store::new();
    let counter = store.start();
    let signed_on = counter.sign_on("9520001", "1111");
    assert_eq!((signed_on.status, signed_on.place.as_str()), (303, "/checkout"));
    (store, counter)
}

fn refused(answer: &Answer, sentence: &str) {
    assert_eq!(answer.status, 422, "{}", answer.page);
    assert!(answer.page.contains(sentence), "not said: {sentence}\n{}", answer.page);
}

// Proves TS-17, TS-18, TS-20, TS-40, IM-02, IM-28.
#[test]
fn a_whole_sale_needs_no_script() {
    let (_store, counter) = open();
    assert_eq!(counter.scan(&gtin(1001)).status, 303);
    assert_eq!(counter.scan("1002").status, 303);
    assert_eq!(counter.scan("1002").status, 303);
    let page = counter.get("/checkout").page;
    assert!(page.contains("€102.80"), "two pairs of socks are one line of two: {page}");
    assert!(page.contains("3 pieces · tax €16.41 included"));
    let half = counter.pay("card", "50.00");
    assert_eq!((half.status, half.place.as_str()), (303, "/checkout/pay"));
    assert!(counter.get("/checkout/pay").page.contains("€52.80"));
    let amount = [("kind", "cash"), ("amount", "60")];
    let rest = counter.fill("/checkout/pay", "/checkout/pay/tender", &amount);
    assert_eq!((rest.status, rest.place.as_str()), (303, "/checkout/done"));
    let done = counter.get("/checkout/done").page;
    assert!(done.contains("id=\"change\">€7.20"), "{done}");
    assert!(done.contains("id=\"number\">T1-000001"), "{done}");
    let receipts = counter.receipts();
    let receipt = &receipts[0];
    assert_eq!(
        (receipt.receipt.no, receipt.receipt.total, receipt.receipt.cashier),
        (1, Money(10_280), 1)
    );
    assert_eq!(receipt.receipt.id >> 40, 2, "an id begins with the origin");
    assert_eq!((receipt.lines.len(), receipt.tenders.len(), receipt.change()), (2, 2, Money(720)));
    counter.ask(|db| {
        assert_eq!(stock::on_hand(db, 1, 1001).unwrap(), -1);
        assert_eq!(stock::on_hand(db, 1, 1002).unwrap(), -2, "each line moved its stock");
    });
    let next = counter.submit(&done, "/checkout/add", &[("code", "1003")]);
    assert_eq!(next.place, "/checkout", "the next scan starts the next sale");
    assert!(counter.get("/checkout").page.contains("€12.50"));
}

// Proves TS-19.
#[test]
fn what_stock_the_book_has_never_stops_a_sale() {
    let (_store, counter) = open();
    counter.scan("1003");
    assert_eq!(counter.pay("cash", "12.50").place, "/checkout/done");
    counter.ask(|db| {
        let noted = exceptions::latest(db, 10).unwrap();
        assert_eq!(noted.len(), 1, "the sale went through with an exception beside it");
        assert_eq!(noted[0].kind, exceptions::OVERSOLD);
    });
}

// Proves TS-18.
#[test]
fn a_form_that_is_posted_twice_counts_once() {
    let (_store, counter) = open();
    let page = counter.get("/checkout").page;
    counter.submit(&page, "/checkout/add", &[("code", "1001")]);
    counter.submit(&page, "/checkout/add", &[("code", "1001")]);
    assert!(counter.get("/checkout").page.contains("1 piece ·"));
    let page = counter.get("/checkout/pay").page;
    let cash = [("kind", "cash"), ("amount", "100")];
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let tap = || counter.submit(&page, "/checkout/pay/tender", &cash);
        let taps: Vec<_> = (0..4).map(|_| scope.spawn(tap)).collect();
        taps.into_iter().map(|tap| tap.join().unwrap()).collect()
    });
    for answer in answers {
        assert_eq!((answer.status, answer.place.as_str()), (303, "/checkout/done"));
    }
    assert_eq!(counter.receipts().len(), 1);
}

// Proves TS-17, TS-19.
#[test]
fn bad_input_meets_a_sentence_and_keeps_what_was_typed() {
    let (_store, counter) = open();
    let unknown = counter.scan("9520000000004");
    refused(&unknown, "9520000000004");
    assert!(unknown.page.contains("value=\"9520000000004\""), "what was typed stays");
    refused(&counter.scan("9520041007319"), "Check the digits");
    let words = counter.scan("<script>alert(1)</script>");
    assert_eq!(words.status, 303, "words are looked for");
    let page = counter.get(&words.place).page;
    assert!(page.contains("&#60;script&#62;") && !page.contains("<script>alert"), "{page}");
    let empty = counter.get("/checkout").page;
    assert!(!empty.contains("Take payment"), "a key that leads nowhere is not drawn");
    let basket_empty = {
        let mut fields = hidden(&empty, "/checkout/add");
        fields.insert("total".to_owned(), "1".to_owned());
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        counter.post("/checkout/pay", &fields)
    };
    refused(&basket_empty, "The basket is empty");
    counter.scan("1001");
    let chosen = counter.get("/checkout?line=1").page;
    for quantity in ["0", "-1", "1.5", "", "99999999999999999999"] {
        let answer = counter.submit(&chosen, "/checkout/quantity", &[("quantity", quantity)]);
        refused(&answer, "is no quantity");
    }
    refused(&counter.pay("cash", "nine"), "is no amount of money");
    let short = counter.fill(
        "/checkout/pay",
        "/checkout/pay/tender",
        &[("kind", "cash"), ("amount", "78.99")],
    );
    assert_eq!(short.place, "/checkout/pay", "a short tender leaves the rest due");
    assert!(counter.get("/checkout/pay").page.contains("<b>€0.01</b>"));
    refused(
        &counter.fill(
            "/checkout/pay",
            "/checkout/pay/tender",
            &[("kind", "card"), ("amount", "5")],
        ),
        "only cash gives change",
    );
    assert!(counter.receipts().is_empty());
}

// Proves TS-17.
#[test]
fn a_total_that_a_browser_made_up_is_not_heard() {
    let (_store, counter) = open();
    let made_up = [("code", "1001"), ("price", "0.01"), ("unit_minor", "1"), ("total", "0.01")];
    counter.fill("/checkout", "/checkout/add", &made_up);
    counter.pay("cash", "0.01");
    assert!(counter.receipts().is_empty(), "a cent does not pay 79.00");
    let rest = [("kind", "cash"), ("amount", "78.99"), ("total", "0.01"), ("due", "0")];
    counter.fill("/checkout/pay", "/checkout/pay/tender", &rest);
    assert_eq!(counter.receipts()[0].receipt.total, Money(7_900));
}

// Proves TS-17.
#[test]
fn another_price_or_a_discount_needs_the_right() {
    let (_store, counter) = open();
    counter.scan("1001");
    let page = counter.get("/checkout?line=1").page;
    assert!(!page.contains("/checkout/open-price"), "a key without the right is not drawn");
    let mut fields = hidden(&page, "/checkout/take-off");
    fields.insert("price".to_owned(), "1.00".to_owned());
    fields.insert("percent".to_owned(), "50".to_owned());
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    refused(&counter.post("/checkout/open-price", &fields), "has no right &#34;open price&#34;");
    refused(&counter.post("/checkout/discount", &fields), "has no right &#34;discount&#34;");
    let page = counter.get("/checkout").page;
    assert_eq!(counter.submit(&page, "/signoff", &[]).place, "/signon");
    assert!(counter.get("/signon").page.contains("1 sale waits"), "the basket survives");
    counter.sign_on("9520002", "2222");
    let page = counter.get("/checkout?line=1").page;
    assert_eq!(counter.submit(&page, "/checkout/open-price", &[("price", "70.00")]).status, 303);
    let page = counter.get("/checkout?line=1").page;
    assert_eq!(counter.submit(&page, "/checkout/discount", &[("percent", "12.5")]).status, 303);
    assert!(counter.get("/checkout").page.contains("€61.25"));
    let page = counter.get("/checkout?line=1").page;
    refused(
        &counter.submit(&page, "/checkout/discount", &[("percent", "101")]),
        "is no percentage",
    );
    refused(&counter.submit(&page, "/checkout/open-price", &[("price", "1e308")]), "is no price");
    counter.submit(&page, "/checkout/take-off", &[]);
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
}

// Proves TS-18.
#[test]
fn a_request_is_remembered_over_a_restart() {
    let (store, counter) = open();
    counter.scan("1001");
    let page = counter.get("/checkout/pay").page;
    let cash = [("kind", "cash"), ("amount", "79.00")];
    counter.submit(&page, "/checkout/pay/tender", &cash);
    let browser = counter.browser.clone();
    drop(counter);
    let mut counter = store.start();
    counter.browser = browser;
    let again = counter.submit(&page, "/checkout/pay/tender", &cash);
    assert_eq!((again.status, again.place.as_str()), (303, "/checkout/done"));
    assert_eq!(counter.receipts().len(), 1);
}

// Proves TS-18, TS-40.
#[test]
fn receipt_numbers_have_no_gap_over_refusals_and_restarts() {
    let (store, mut counter) = open();
    for sale in 1..=12 {
        counter.scan(&gtin(GOODS[sale % GOODS.len()].0));
        counter.pay("cash", "0.10");
        refused(
            &counter.fill(
                "/checkout/pay",
                "/checkout/pay/tender",
                &[("kind", "card"), ("amount", "999")],
            ),
            "only cash gives change",
        );
        counter.fill("/checkout/pay", "/checkout/pay/tender", &[("kind", "card"), ("amount", "")]);
        if sale % 4 == 0 {
            let browser = counter.browser.clone();
            drop(counter);
            counter = store.start();
            counter.browser = browser;
        }
    }
    let numbers: Vec<i64> = counter.receipts().iter().map(|whole| whole.receipt.no).collect();
    assert_eq!(numbers, (1..=12).collect::<Vec<i64>>());
}

// Proves TS-01, TS-28, IM-01.
#[test]
fn a_pos_sells_with_everything_else_dead() {
    let store = Store::new();
    let counter =
        store.start_with(Wishes { parent: Some("mqtt://127.0.0.1:1"), ..Wishes::default() });
    counter.sign_on("9520001", "1111");
    for _ in 0..3 {
        counter.scan("1001");
        assert_eq!(counter.pay("cash", "100").place, "/checkout/done");
    }
    let page = counter.get("/checkout").page;
    assert!(page.contains("3 acts kept here only"), "three open stitches: {page}");
    // The engine tells its status a moment after the write has returned.
    let tells = |what: &str| (0..2_000).any(|_| counter.get("/status").page.contains(what));
    assert!(tells("\"parent_up\":false") && tells("\"queue\":3"), "three entries wait");
}

// Proves TS-18.
#[test]
fn a_full_disk_refuses_before_money_is_taken() {
    let store = Store::new();
    let counter = store.start_with(Wishes { space_min_mib: 1_000_000, ..Wishes::default() });
    counter.sign_on("9520001", "1111");
    counter.scan("1001");
    refused(&counter.pay("cash", "79.00"), "no money is taken");
    assert!(counter.get("/checkout/pay").page.contains("<b>€79.00</b>"), "the basket is kept");
    assert!(counter.receipts().is_empty());
}

#[test]
fn a_clock_that_is_years_off_stops_neither_sign_on_nor_numbers() {
    let store = Store::new();
    let clocks: [fn() -> i64; 3] =
        [appliance::clock::wall_ms, || 4_000_000_000_000, || 1_000_000_000_000];
    for (wall_ms, sales) in clocks.into_iter().zip(1..) {
        let counter = store.start_with(Wishes { wall_ms, ..Wishes::default() });
        counter.sign_on("9520001", "1111");
        counter.scan("1001");
        assert_eq!(counter.pay("cash", "79.00").place, "/checkout/done");
        assert_eq!(counter.receipts().len(), sales);
        assert_eq!(counter.receipts()[sales - 1].receipt.no, sales as i64);
        let page = counter.get("/checkout").page;
        assert_eq!(page.contains("Check the clock"), sales == 3, "{page}");
    }
}

// Proves TS-10.
#[test]
fn a_wrong_pin_a_forged_form_and_a_foreign_site_change_nothing() {
    let store = Store::new();
    let mut counter = store.start();
    assert_eq!(counter.get("/checkout").place, "/signon");
    refused(&counter.sign_on("9520001", "9999"), "Badge or PIN is not right");
    refused(&counter.sign_on("9520003", "3333"), "has no right &#34;sell&#34;");
    counter.sign_on("9520001", "1111");
    let forged = [("csrf", "0"), ("request", "abcdefgh"), ("code", "1001")];
    assert_eq!(counter.post("/checkout/add", &forged).status, 403);
    assert_eq!(counter.post_from("http://evil.example", "/checkout/add").status, 403);
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
    counter.scan("1001");
    counter.wipe_browser();
    assert_eq!(counter.get("/checkout").place, "/signon");
    counter.sign_on("9520001", "1111");
    assert!(counter.get("/checkout").page.contains("Merino crew"), "nothing lives in the browser");
}

#[test]
fn pages_are_not_kept_and_load_nothing_foreign() {
    let (_store, counter) = open();
    let page = counter.get("/checkout");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert!(
        page.headers["content-security-policy"]
            .starts_with("default-src 'self'; script-src 'self'")
    );
    assert!(
        !page.page.contains("http")
            && !page.page.contains(" style=")
            && !page.page.contains(" onclick")
    );
    let script = page.page.split("<script src=\"").nth(1).unwrap().split('"').next().unwrap();
    let script = counter.get(script);
    assert_eq!(script.headers["cache-control"], "public, max-age=31536000, immutable");
    assert!(counter.get("/panel.css").page.contains("--mm: 4.0059px"));
}

/// Leaves the basket as a power cut does: paid by `request`, its receipt not yet noted.
fn cut_off(store: &Store, written: bool) {
    let mut baskets = Baskets::open(&store.data().join(baskets::FILE_NAME)).unwrap();
    let basket = baskets.current().unwrap().unwrap().id;
    let request = "cut-off-request".to_owned();
    let paying = Paying { basket, receipt_no: 1, at: 5, cashier: 1, request };
    let left = baskets.once("cut-off-request", |tx| {
        basket_rows::add_tender(tx, basket, 1, 10_000, "cut-off-request")?;
        basket_rows::begin_paying(tx, &paying)?;
        Ok::<_, rusqlite::Error>(None)
    });
    assert_eq!(left.unwrap(), None);
    if written {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let line =
            BasketLine { sku: 1001, quantity: 1, discount: Discount::None, open_price: None };
        let cash = Tender { kind: TenderKind::Cash, given: Money(10_000) };
        let (lines, tenders) = (vec![line], vec![cash]);
        let sale = Sale { store: 1, cashier: 1, at: Moment(5), lines, tenders, ..Sale::default() };
        let database = store.database(&runtime);
        database.write(move |tx| sales::record(tx, &sale)).unwrap();
        database.stop();
    }
}

fn send_again(counter: &Counter) -> Answer {
    let mut fields = hidden(&counter.get("/checkout").page, "/checkout/add");
    fields.insert("request".to_owned(), "cut-off-request".to_owned());
    fields.insert("kind".to_owned(), "cash".to_owned());
    fields.insert("amount".to_owned(), "100.00".to_owned());
    fields.insert("shown".to_owned(), "7900".to_owned());
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    counter.post("/checkout/pay/tender", &fields)
}

// Proves TS-18.
#[test]
fn a_sale_cut_off_before_its_receipt_is_opened_again_and_sold_once() {
    let (store, counter) = open();
    counter.scan("1001");
    drop(counter);
    cut_off(&store, false);
    let counter = store.start();
    counter.sign_on("9520001", "1111");
    assert!(counter.receipts().is_empty());
    let page = counter.get("/checkout/pay").page;
    assert!(page.contains("<b>€79.00</b>"), "as before the tender: {page}");
    assert_eq!(send_again(&counter).place, "/checkout/done");
    assert_eq!(send_again(&counter).place, "/checkout/done");
    assert_eq!(counter.receipts().len(), 1);
}

// Proves TS-18.
#[test]
fn a_sale_cut_off_after_its_receipt_is_finished_and_not_sold_again() {
    let (store, counter) = open();
    counter.scan("1001");
    drop(counter);
    cut_off(&store, true);
    let counter = store.start();
    counter.sign_on("9520001", "1111");
    assert_eq!(counter.get("/checkout").place, "/checkout/in-doubt", "nobody has seen it");
    counter.fill("/checkout/in-doubt", "/checkout/in-doubt/print", &[]);
    assert!(counter.get("/checkout").page.contains("Scan the first item"));
    assert_eq!(send_again(&counter).place, "/checkout/done");
    let done = counter.get("/checkout/done").page;
    assert!(
        done.contains("T1-000001") && done.contains("€21.00") && done.contains("id=\"signature\""),
        "{done}"
    );
    assert_eq!(counter.receipts().len(), 1);
}

#[test]
fn a_script_is_given_parts_and_each_change_is_told() {
    let (_store, counter) = open();
    let page = counter.get("/checkout").page;
    let parts = counter.get_parts("/checkout");
    assert!(parts.contains("id=\"roll\"") && !parts.contains("<html"), "{parts}");
    let scanned = counter.post_for_parts(&page, "/checkout/add", &[("code", "1001")]);
    assert_eq!((scanned.status, scanned.headers["content-location"].as_str()), (200, "/checkout"));
    let parts = scanned.page;
    assert!(
        parts.contains("€79.00") && !parts.contains("<html"),
        "one way there and back: {parts}"
    );
    let again = counter.post_for_parts(&page, "/checkout/add", &[("code", "1001")]);
    assert!(again.page.contains("1 piece ·"), "the same request counts once: {}", again.page);
    let elsewhere = counter.post_for_parts(&parts, "/checkout/pay", &[]);
    assert_eq!(elsewhere.headers["content-location"], "/checkout/pay");
    let told = counter.first_news("/events?screen=checkout");
    assert!(told.starts_with("id: 1\ndata: ") || told.starts_with("data: "), "{told}");
    assert!(told.contains("id=\"band\"") && told.contains("id=\"roll\""), "{told}");
    let page = counter.get("/checkout").page;
    counter.submit(&page, "/signoff", &[]);
    let nobody = counter.first_news("/events?screen=checkout");
    assert!(!nobody.contains("id=\"roll\""), "the basket is for who is signed on: {nobody}");
}

// Proves TS-19.
#[test]
fn what_has_no_price_is_sold_only_by_who_may_set_one() {
    let (_store, counter) = open();
    refused(&counter.scan("1099"), "has no price in this store");
    counter.submit(&counter.get("/checkout").page, "/signoff", &[]);
    counter.sign_on("9520002", "2222");
    counter.scan("1001");
    let rung = counter.scan("1099");
    assert_eq!(rung.place, "/checkout?line=2", "it asks for a price at once");
    let page = counter.get(&rung.place).page;
    assert!(page.contains("SKU 1099 has no price") && page.contains("€79.00"), "{page}");
    assert!(!page.contains("Take payment"), "a basket without a total is not paid");
    counter.submit(&page, "/checkout/open-price", &[("price", "5.00")]);
    assert_eq!(counter.pay("card", "").place, "/checkout/done");
    assert_eq!(counter.receipts()[0].receipt.total, Money(8_400));
}

// Proves TS-17.
#[test]
fn a_gift_costs_nothing_and_is_a_receipt_all_the_same() {
    let store = Store::new();
    let counter = store.start();
    counter.sign_on("9520002", "2222");
    counter.scan("1005");
    counter.fill("/checkout?line=1", "/checkout/discount", &[("percent", "100")]);
    let begun = counter.fill("/checkout", "/checkout/pay", &[]);
    assert_eq!(begun.place, "/checkout/pay");
    let finished = counter.fill("/checkout/pay", "/checkout/pay/finish", &[]);
    assert_eq!(finished.place, "/checkout/done", "{}", finished.page);
    let receipts = counter.receipts();
    assert_eq!((receipts[0].receipt.total, receipts[0].tenders.len()), (Money(0), 0));
}

// Proves TS-18.
#[test]
fn a_tender_is_given_back_before_the_basket_changes() {
    let (_store, counter) = open();
    counter.scan("1001");
    counter.pay("cash", "20.00");
    refused(&counter.scan("1002"), "take the tenders off before the basket changes");
    counter.fill("/checkout/pay", "/checkout/pay/take-off", &[]);
    assert_eq!(counter.scan("1002").status, 303);
    assert!(counter.get("/checkout/pay").page.contains("<b>€90.90</b>"));
}
