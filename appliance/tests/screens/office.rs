//! Who enters the back office, today, store discounts

use appliance::database;
use selvedge_domain::basket::{BasketLine, Discount};
use selvedge_domain::exceptions::{self, NewException, TOTALS_DIFFER};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::sales::{self, Sale};
use selvedge_domain::store_discounts;
use selvedge_domain::tenders::{Tender, TenderKind};
use selvedge_sync::device_keys::SoftwareKeys;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counter::{Answer, Counter, Store, Wishes};
use crate::headquarters::{self, Beside, POS_SEED};

/// 20 November 2026, 09:00 in Berlin.
pub const NOW: i64 = 1_795_161_600_000;

const HOUR: i64 = 3_600_000;

/// A back office in Berlin at nine in the morning.
pub fn start(store: &Store) -> Counter {
    store.start_with(Wishes { wall_ms: || NOW, time_zone: "Europe/Berlin", ..Wishes::default() })
}

pub fn open() -> (Store, Counter) {
    open_with(&Beside::default())
}

pub fn open_with(beside: &Beside) -> (Store, Counter) {
    let store = Store::back_office_with(beside);
    let counter = start(&store);
    assert_eq!(counter.sign_on("9520004", "4444").place, "/today");
    (store, counter)
}

pub fn refused(answer: &Answer, said: &str) {
    assert_eq!(answer.status, 422, "{}", answer.page);
    assert!(answer.page.contains(said), "{said} is not in {}", answer.page);
}

/// Sells one piece at a moment, as if it had been rung up here.
pub fn sell(counter: &Counter, sku: i64, at: i64) {
    counter.write(move |tx| {
        let line = BasketLine { sku, quantity: 1, discount: Discount::None, open_price: None };
        let cash = Tender { kind: TenderKind::Cash, given: Money(100_000) };
        let (lines, tenders) = (vec![line], vec![cash]);
        let (customer, discount, shown) = (None, Discount::None, None);
        let sale = Sale {
            store: 1,
            cashier: 1,
            at: Moment(at),
            lines,
            tenders,
            customer,
            discount,
            shown,
        };
        sales::record(tx, &sale).map(drop).map_err(|error| error.to_string())
    });
}

// Proves TS-10.
#[test]
fn who_may_neither_manage_nor_book_stock_does_not_enter() {
    let store = Store::back_office();
    let counter = start(&store);
    assert_eq!(counter.get("/").place, "/today");
    for path in ["/today", "/offers", "/stock/receive", "/stock/correct", "/people"] {
        assert_eq!(counter.get(path).place, "/signon", "{path}");
    }
    refused(
        &counter.sign_on("9520001", "1111"),
        "has no right &#34;manage&#34; or &#34;stock&#34;",
    );
    assert_eq!(counter.get("/checkout").status, 404, "a back office sells nothing");
    assert!(counter.get("/status.txt").page.starts_with("device s0001-b01 (back-office, store 1"));
}

// Proves TS-23.
#[test]
fn what_somebody_may_not_do_is_not_drawn_and_is_refused_on_the_server() {
    let store = Store::back_office();
    let counter = start(&store);
    assert_eq!(counter.sign_on("9520003", "3333").place, "/today");
    let page = counter.get("/today").page;
    for hidden in ["Store discounts", "People", "To look at", "Sold today"] {
        assert!(!page.contains(hidden), "{hidden} is drawn: {page}");
    }
    assert!(page.contains("Goods in") && page.contains("id=\"devices\""));
    for path in ["/offers", "/people", "/today/look/1"] {
        let answer = counter.get(path);
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.page.contains("Per S. has no right &#34;manage&#34;"), "{}", answer.page);
    }
    let mut fields = crate::counter::hidden(&page, "/signoff");
    fields.extend([
        ("product".to_owned(), "1001".to_owned()),
        ("percent".to_owned(), "10".to_owned()),
        ("to".to_owned(), "2026-11-21T09:00".to_owned()),
    ]);
    let fields: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for path in ["/offers/enter", "/offers/end", "/today/done"] {
        assert_eq!(counter.post(path, &fields).status, 403, "{path}");
    }
    let written = counter.ask(|db| store_discounts::current(db, 1, Moment(NOW)).unwrap().len());
    assert_eq!(written, 0);
}

#[test]
fn receipts_of_yesterday_are_not_in_today() {
    let (_store, counter) = open();
    // Midnight in Berlin is nine hours ago; in UTC it would be eight.
    sell(&counter, 1001, NOW - 9 * HOUR - 1);
    sell(&counter, 1005, NOW - 9 * HOUR);
    sell(&counter, 1005, NOW - HOUR);
    let page = counter.get("/today").page;
    assert!(page.contains("<b>€9.80</b>"), "{page}");
    assert!(page.contains("Boot laces</span><span class=\"quiet\">2 pieces</span>"), "{page}");
    assert!(page.contains("<th scope=\"row\">00:00</th><td>1</td><td>€4.90</td>"), "{page}");
    assert!(!page.contains("€79.00"), "yesterday's sale is not of today: {page}");
}

#[test]
fn an_exception_is_looked_at_and_called_done_with_a_name() {
    let (_store, counter) = open();
    sell(&counter, 1001, NOW - HOUR);
    counter.write(|tx| {
        let note = Some("T1: receipt 4 is missing");
        let new = NewException {
            store: 1,
            at: Moment(NOW),
            kind: TOTALS_DIFFER,
            note,
            ..NewException::default()
        };
        exceptions::write(tx, &new).map_err(|error| error.to_string())
    });
    let page = counter.get("/today").page;
    assert!(page.contains("Sold below stock") && page.contains("balance −1"), "{page}");
    assert!(page.contains("Merino crew, moss, M, balance −1, after B1-000001"), "{page}");
    assert!(page.contains("Totals differ") && page.contains("T1: receipt 4 is missing"), "{page}");
    let newest = counter.ask(|db| exceptions::open(db, 1, 9).unwrap()[1].id);
    let look = counter.get(&format!("/today/look/{newest}")).page;
    assert!(look.contains("Receipt B1-000001") && look.contains("€79.00"), "{look}");
    assert!(look.contains("/stock/correct?code=1001"), "{look}");
    let long = "x".repeat(201);
    refused(&counter.submit(&look, "/today/done", &[("note", &long)]), "longer than 200");
    assert_eq!(
        counter.submit(&look, "/today/done", &[("note", "counted: <b>0</b>")]).place,
        "/today"
    );
    assert_eq!(counter.submit(&look, "/today/done", &[]).place, "/today", "twice is once");
    assert!(!counter.get("/today").page.contains("Sold below stock"));
    let done = counter.get("/today?done=1").page;
    assert!(
        done.contains("done: Nadia M., today 09:00, “counted: &#60;b&#62;0&#60;/b&#62;”"),
        "{done}"
    );
    assert!(!done.contains("T1: receipt 4"), "{done}");
    assert_eq!(counter.get("/today/look/nonsense").status, 404);
}

fn enter(counter: &Counter, percent: &str, from: &str, to: &str) -> Answer {
    let filled = [("percent", percent), ("from", from), ("to", to)];
    counter.fill("/offers?code=1001", "/offers/enter", &filled)
}

// Proves TS-23.
#[test]
fn a_discount_entered_here_reaches_the_pos_and_ends_on_time() {
    let (store, counter) = open();
    assert_eq!(enter(&counter, "12.5", "2026-11-20T10:00", "2026-11-21T18:30").place, "/offers");
    assert_eq!(enter(&counter, "50", "", "2026-11-20T09:30").place, "/offers");
    let page = counter.get("/offers").page;
    assert!(page.contains("12.5 % off, today 10:00 to tomorrow 18:30"), "{page}");
    assert!(page.contains("50 % off, today 09:00 to today 09:30"), "{page}");
    assert_eq!(counter.submit(&page, "/offers/end", &[]).place, "/offers");
    let page = counter.get("/offers").page;
    assert!(page.contains("None runs now") && page.contains("ended before it began"), "{page}");
    drop(counter);
    let keys = Arc::new(SoftwareKeys::from_seed(POS_SEED));
    let mut office = database::open(&store.data(), &store.admission, keys).unwrap();
    let (mut pos, row) = headquarters::a_pos_beside(store.folder.path(), &store.admission);
    office.admit(std::slice::from_ref(&row)).unwrap();
    let points = |db: &rusqlite::Connection, at| {
        store_discounts::points_at(db, 1, 1001, Moment(at)).unwrap()
    };
    assert_eq!(points(pos.db(), NOW + HOUR), 0);
    headquarters::exchange(&mut office, &mut pos, &row.device, |pos| {
        points(pos.db(), NOW + HOUR) > 0
    });
    let end = NOW + 33 * HOUR + HOUR / 2;
    let seen = [NOW + HOUR - 1, NOW + HOUR, end - 1, end].map(|at| points(pos.db(), at));
    assert_eq!(seen, [0, 1_250, 1_250, 0], "it begins and ends on time, without a further word");
}

// Proves TS-23.
#[test]
fn what_is_wrong_with_a_discount_is_said_and_nothing_typed_is_lost() {
    let (_store, counter) = open();
    for (percent, from, to, said) in [
        ("ten", "", "2026-11-21T18:30", "is no percentage"),
        ("0", "", "2026-11-21T18:30", "between 0.01 and 100 percent"),
        ("10", "", "", "Say day and time of the end"),
        ("10", "2026-11-22T09:00", "2026-11-21T18:30", "ends before it begins"),
        ("10", "", "2026-11-20T08:59", "has passed already"),
        ("10", "2027-03-28T02:30", "2027-03-29T02:30", "does not exist here"),
        ("10", "", "2027-10-31T02:30", "comes twice here"),
        ("10", "", "2099-01-01T00:00", "more than a year"),
        ("10", "", "<script>", "is no day with a time"),
    ] {
        let answer = enter(&counter, percent, from, to);
        refused(&answer, said);
        assert!(
            answer.page.contains(&format!("name=\"percent\" value=\"{percent}\"")),
            "{percent}"
        );
        assert!(!answer.page.contains("<script>"), "{}", answer.page);
    }
    let unknown = counter.get("/offers?code=nothing%3Cb%3E");
    assert_eq!(unknown.status, 404);
    assert!(unknown.page.contains("nothing&#60;b&#62;"), "{}", unknown.page);
    let many = counter.get("/offers?code=boot").page;
    assert!(many.contains("Boot socks") && many.contains("href=\"/offers?code=1005\""), "{many}");
    assert!(
        counter.get("/offers?code=balm").page.contains("Enter this discount"),
        "one is chosen at once"
    );
}

#[test]
fn people_show_names_and_rights_and_no_hash() {
    let (_store, counter) = open();
    let page = counter.get("/people").page;
    assert!(page.contains("<html lang=\"en\" dir=\"ltr\" data-light=\"day\">"), "{page}");
    assert!(
        page.contains("Nadia M.") && page.contains("may sell, may book stock, may manage"),
        "{page}"
    );
    assert!(page.contains("not heard yet"), "the list's age is named: {page}");
    let (badges, pins) = counter.ask(|db| {
        let texts = |sql: &str| -> Vec<String> {
            let mut select = db.prepare(sql).unwrap();
            select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        (texts("SELECT lower(hex(badge)) FROM employee"), texts("SELECT pin FROM employee"))
    });
    assert_eq!((badges.len(), pins.len()), (4, 4));
    for secret in badges.iter().chain(&pins).map(String::as_str).chain(["argon2", "952000"]) {
        assert!(!page.to_lowercase().contains(secret), "{secret} is shown");
    }
}

// Proves IM-10.
#[test]
fn a_device_that_is_not_heard_is_stale_in_words() {
    let store = Store::back_office_with(&Beside { pos: true, ..Beside::default() });
    let counter = start(&store);
    counter.sign_on("9520004", "4444");
    let page = counter.get("/today").page;
    assert!(
        page.contains("T1 is not heard") && page.contains("This line goes by itself"),
        "{page}"
    );
    assert!(page.contains("<span class=\"age stale\">not heard yet</span>"), "{page}");
    let correct = counter.get("/stock/correct?code=1001").page;
    assert!(correct.contains("Sales may be missing of T1 (not heard yet)."), "{correct}");
}

// Proves IM-25.
#[test]
fn whoever_watches_is_told_that_it_works_without_signing_on() {
    for (store, role) in [(Store::back_office(), "back-office"), (Store::new(), "pos")] {
        let counter = store.start();
        let answer = counter.get("/health");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.headers["content-type"], "application/json");
        let health: serde_json::Value = serde_json::from_str(&answer.page).unwrap();
        assert_eq!(
            (health["ok"].as_bool(), health["database_open"].as_bool()),
            (Some(true), Some(true))
        );
        assert_eq!((health["role"].as_str(), health["line"].as_str()), (Some(role), Some("none")));
        assert_eq!(health["store"], 1);
    }
}

#[test]
fn today_is_news_for_who_is_signed_on_and_for_nobody_else() {
    let (_store, counter) = open();
    sell(&counter, 1001, NOW - HOUR);
    let told = counter.first_news("/events?screen=today");
    assert!(told.contains("id=\"exceptions\"") && told.contains("id=\"sales\""), "{told}");
    // The stitch follows when the engine has seen its own write.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !counter.get("/today").page.contains("<i class=\"open\">") {
        assert!(Instant::now() < deadline, "the band shows its own acts");
    }
    counter.submit(&counter.get("/today").page, "/signoff", &[]);
    let nobody = counter.first_news("/events?screen=today");
    assert!(!nobody.contains("id=\"sales\""), "{nobody}");
}
