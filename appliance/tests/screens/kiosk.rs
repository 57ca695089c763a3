//! The kiosk, as a browser without scripts sees it

use appliance::database::FILE_NAME;
use appliance::readers::Readers;

use crate::counter::{Counter, Store, Wishes};
use crate::goods::{CRISPS, DRINK, HOSTILE, LONG};
use crate::headquarters::{GOODS, gtin};

/// Every kind of page, with one address of each.
pub const PAGES: [&str; 18] = [
    "/kiosk",
    "/kiosk/browse",
    "/kiosk/browse?department=Scarves",
    "/kiosk/browse?department=Scarves&page=2",
    "/kiosk/browse?department=Outerwear&size=L&here=1",
    "/kiosk/browse?all=1",
    "/kiosk/browse/size?department=Outerwear",
    "/kiosk/browse/colour?department=Outerwear",
    "/kiosk/browse/price?department=Outerwear",
    "/kiosk/find",
    "/kiosk/find?q=s",
    "/kiosk/find?q=zzz",
    "/kiosk/languages?back=%2Fkiosk%2Fbrowse",
    "/kiosk/p/7001",
    "/kiosk/p/7100",
    "/kiosk/p/7103",
    "/kiosk/scan?code=99999",
    "/kiosk/still?back=%2Fkiosk%2Fp%2F7001",
];

pub const STOCKED: &str = "INSERT INTO stock_movement (id, store, sku, quantity, reason, at) VALUES
    (row_id(), 1, 7001, 3, 'delivery', 1), (row_id(), 1, 7002, 2, 'delivery', 1),
    (row_id(), 1, 7002, -2, 'correction', 2), (row_id(), 1, 7004, 1200, 'delivery', 1),
    (row_id(), 1, 7100, 40, 'delivery', 1), (row_id(), 1, 7201, 5, 'delivery', 1)";

pub fn stocked() -> (Store, Counter) {
    let store = Store::new();
    let counter = store.start();
    counter.write(|tx| tx.execute_batch(STOCKED).map_err(|error| error.to_string()));
    (store, counter)
}

/// The text between the last tag and the mark after it, for each place of a text.
fn key<'a>(page: &'a str, name: &str) -> &'a str {
    let at =
        page.find(&format!("<b>{name}</b>")).unwrap_or_else(|| panic!("no key {name}: {page}"));
    let start = page[..at].rfind('<').unwrap();
    &page[start..at + page[at..].find("</small>").unwrap()]
}

// Proves TS-09.
#[test]
fn nothing_can_be_changed_below_kiosk() {
    let (_store, counter) = stocked();
    let all =
        "SELECT format('%d %d %d %d', (SELECT count(*) FROM stock_movement), (SELECT sum(on_hand)
         FROM stock_balance), (SELECT count(*) FROM receipt), (SELECT count(*) FROM product))";
    let rows = || counter.ask(|db| db.query_row(all, [], |row| row.get::<_, String>(0)).unwrap());
    let before = rows();
    for path in PAGES.into_iter().chain(["/kiosk/checkout/add", "/kiosk/nothing"]) {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let answer = counter.send(method, path);
            assert_eq!(answer.status, 405, "{method} {path}");
            assert_eq!(answer.headers["allow"], "GET, HEAD", "{method} {path}");
        }
        let (get, head) = (
            counter.get(path),
            counter.browser.head(format!("{}{path}", counter.address)).call().unwrap(),
        );
        assert_eq!(get.status, head.status().as_u16(), "{path}");
        assert!(!get.headers.contains_key("set-cookie"), "{path} keeps nothing in the browser");
        assert_eq!(get.headers["cache-control"], "no-store", "{path}");
        assert!(!get.page.contains("method=\"post\""), "{path}");
    }
    assert_eq!(before, rows(), "no page wrote anything");
    assert_eq!(counter.send("POST", "/kiosk/").status, 405);
    assert_eq!(counter.get("/kiosk/").place, "/kiosk");
    for gone in
        ["/kiosk/checkout", "/kiosk/nothing", "/kiosk/p", "/kiosk/p/7001/more", "/kiosk/p/x"]
    {
        assert_eq!(counter.get(gone).status, 404, "{gone}");
    }
}

// Proves TS-09.
#[test]
fn what_the_kiosk_reads_with_cannot_write() {
    let (store, counter) = stocked();
    let path = store.data().join(FILE_NAME);
    let readers = Readers::new(path, selvedge_sync::origin::Origin::new(2).unwrap());
    let sentences = [
        "DELETE FROM product",
        "UPDATE stock_balance SET on_hand = 9",
        "PRAGMA query_only = OFF; INSERT INTO gtin (gtin, sku) VALUES (1, 1)",
        "CREATE TABLE mine (a)",
    ];
    for sql in sentences {
        let done = readers.read(|db| db.execute_batch(sql)).unwrap();
        assert!(done.unwrap_err().to_string().contains("readonly"), "{sql}");
    }
    assert_eq!(counter.get("/kiosk/p/7001").status, 200);
}

// Proves TS-09.
#[test]
fn a_customer_never_walks_up_to_an_open_checkout() {
    let (_store, counter) = stocked();
    counter.sign_on("9520001", "1111");
    counter.scan("1001");
    assert_eq!(counter.get("/checkout").status, 200);
    let entered = counter.get("/kiosk/p/7001");
    assert_eq!(entered.status, 200);
    assert!(entered.headers["set-cookie"].contains("Max-Age=0"), "{:?}", entered.headers);
    let back = counter.get("/checkout");
    assert_eq!((back.status, back.place.as_str()), (303, "/signon"));
    counter.sign_on("9520001", "1111");
    assert!(counter.get("/checkout").page.contains(GOODS[0].1), "the basket waits for its cashier");
}

// Proves TS-09.
#[test]
fn another_browser_at_the_kiosk_signs_nobody_off() {
    let (_store, mut counter) = stocked();
    counter.sign_on("9520001", "1111");
    let cashier = counter.browser.clone();
    counter.wipe_browser();
    assert_eq!(counter.get("/kiosk").status, 200);
    counter.browser = cashier;
    assert_eq!(counter.get("/checkout").status, 200);
}

// Proves TS-09.
#[test]
fn a_device_of_one_mode_does_not_know_the_other() {
    let store = Store::new();
    let kiosk = store.start_with(Wishes { settings: "modes = [\"kiosk\"]\n", ..Wishes::default() });
    let first = kiosk.get("/");
    assert_eq!((first.status, first.place.as_str()), (303, "/kiosk"));
    for path in ["/signon", "/checkout", "/checkout/pay", "/events", "/beat"] {
        let answer = kiosk.get(path);
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.page.contains("This device is a kiosk"), "{path}: {}", answer.page);
    }
    assert_eq!(kiosk.post("/signon", &[("badge", "9520001"), ("pin", "1111")]).status, 404);
    drop(kiosk);
    let till =
        store.start_with(Wishes { settings: "modes = [\"checkout\"]\n", ..Wishes::default() });
    assert_eq!(till.get("/signon").status, 200);
    for path in PAGES {
        assert_eq!(till.get(path).status, 404, "{path}");
    }
}

// Proves TS-11, TS-12.
#[test]
fn a_scan_leads_to_the_product_and_an_unknown_code_to_what_to_do() {
    let (_store, counter) = stocked();
    let scanned = counter.get(&format!("/kiosk/scan?lang=de&code={}", gtin(1001)));
    assert_eq!((scanned.status, scanned.place.as_str()), (303, "/kiosk/p/1001?lang=de"));
    assert!(counter.get("/kiosk/p/1001").page.contains("<strong>€79.00</strong>"));
    assert!(counter.get(&scanned.place).page.contains("<strong>79,00\u{a0}€</strong>"));
    assert_eq!(counter.get("/kiosk/scan?code=7001").place, "/kiosk/p/7001");
    let unknown = counter.get("/kiosk/scan?code=9520000000004");
    assert_eq!(unknown.status, 404);
    assert!(unknown.page.contains("Nothing in this store bears “9520000000004”."));
    assert!(unknown.page.contains("Type the name, or ask us."));
    let typed = counter.get("/kiosk/scan?code=coat");
    assert!(
        typed.page.contains("href=\"/kiosk/find?q=coat\""),
        "letters go on to find: {}",
        typed.page
    );
    let gone = counter.get("/kiosk/p/4711");
    assert_eq!(gone.status, 404);
    assert!(gone.page.contains("not in this store’s list any more"));
}

// Proves TS-12, TS-14.
#[test]
fn what_is_sold_out_stays_on_the_screen_and_says_so() {
    let (_store, counter) = stocked();
    let page = counter.get("/kiosk/p/7001").page;
    assert!(key(&page, "S").contains("3 here"), "{page}");
    assert!(key(&page, "M").contains("none here"), "sold out, and still there");
    assert!(key(&page, "M").contains("href=\"/kiosk/p/7002\""), "and it can be looked at");
    assert!(key(&page, "L").contains("none here"), "never delivered is none as well");
    assert!(key(&page, "moss").contains("3 here"));
    assert!(key(&page, "ink").contains("1,200 here"));
    let ink = counter.get("/kiosk/p/7004").page;
    assert!(key(&ink, "L").contains("not made"), "{ink}");
    assert!(!key(&ink, "L").contains("href"));
    let order: Vec<usize> =
        ["S", "M", "L"].iter().map(|size| page.find(&format!("<b>{size}</b>")).unwrap()).collect();
    assert!(order.is_sorted(), "sizes stand in their order");
    assert!(
        page.contains("In other stores") && page.contains("Ask us"),
        "what is not known is not called none"
    );
    let list = counter.get("/kiosk/browse?department=Outerwear&size=M").page;
    assert!(list.contains("Duffle coat") && list.contains("none here"));
    let here = counter.get("/kiosk/browse?department=Outerwear&size=M&here=1").page;
    assert!(!here.contains("Duffle coat"), "only with this filter may it go");
    assert!(here.contains("Take the filters off"));
}

// Proves TS-14.
#[test]
fn stock_bears_its_age() {
    let (_store, counter) = stocked();
    assert!(counter.get("/kiosk/p/7001").page.contains("counted on this device"));
    drop(counter);
    let store = Store::new();
    let away = Wishes { parent: Some("mqtt://127.0.0.1:9"), ..Wishes::default() };
    let counter = store.start_with(away);
    let page = counter.get("/kiosk/p/7001").page;
    assert!(
        page.contains(
            "class=\"stale\">may have changed: the other checkouts have not been heard yet"
        ),
        "{page}"
    );
    let german = counter.get("/kiosk/p/7001?lang=de").page;
    assert!(german.contains("vielleicht überholt"), "{german}");
}

// Proves TS-11.
#[test]
fn a_discount_of_the_store_shows_both_prices_while_it_runs() {
    let store = Store::new();
    let now = || 1_700_000_000_000;
    let counter = store.start_with(Wishes { wall_ms: now, ..Wishes::default() });
    let before = counter.get("/kiosk/p/7001").page;
    assert!(before.contains("€129.00") && !before.contains("instead of"));
    drop(counter);
    // As if it had come from the back office, which alone may write it.
    let file = selvedge_sync::open::by_hand(&store.data().join(FILE_NAME)).unwrap();
    file.execute_batch(
        "INSERT INTO store_discount (id, store, product, discount_points, valid_from, valid_to, employee)
         VALUES (3 << 40 | 1, 1, 7000, 1250, 1699999999999, 1700000000001, 2),
                (3 << 40 | 2, 1, 7100, 5000, 1600000000000, 1700000000000, 2)",
    )
    .unwrap();
    drop(file);
    let counter = store.start_with(Wishes { wall_ms: now, ..Wishes::default() });
    let page = counter.get("/kiosk/p/7001").page;
    assert!(page.contains("<strong>€112.87</strong>"), "half a cent off rounds up: {page}");
    assert!(page.contains("instead of €129.00") && page.contains("12.5 % less in this store"));
    assert!(counter.get("/kiosk/p/7001?lang=de").page.contains("12,5 % weniger"));
    let list = counter.get("/kiosk/browse?department=Outerwear").page;
    assert!(list.contains("from €112.87"), "{list}");
    assert!(counter.get("/kiosk/p/7100").page.contains("<strong>€2.49</strong>"), "ended is ended");
}

// Proves OF-10.
#[test]
fn a_food_says_what_is_in_it_and_whether_that_is_much() {
    let (_store, counter) = stocked();
    let page = counter.get(&format!("/kiosk/p/{CRISPS}")).page;
    for said in [
        "Per 100 g",
        "aria-label=\"D\"",
        "highly processed",
        "2,252 kJ, 538 kcal",
        "30.9 g",
        "0.4 g",
        "1.55 g",
        "milk, mustard",
        "Source: Open Food Facts, ODbL",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let levels: Vec<&str> = page
        .split("class=\"level\">")
        .skip(1)
        .map(|rest| rest.split('<').next().unwrap())
        .collect();
    assert_eq!(levels, ["high", "moderate", "low", "high"]);
    let drink = counter.get(&format!("/kiosk/p/{DRINK}")).page;
    assert!(drink.contains("Per 100 ml") && drink.contains("not declared"));
    assert_eq!(drink.matches("class=\"level\">high").count(), 1, "11.3 g are much for a drink");
    assert!(
        !drink.contains("Nutri-Score") && !drink.contains("NOVA"),
        "what nobody said is not shown"
    );
    assert!(!counter.get("/kiosk/p/7001").page.contains("class=\"food\""));
}

// Proves TS-11.
#[test]
fn departments_filters_and_pages_lead_to_products() {
    let (_store, counter) = stocked();
    let page = counter.get("/kiosk/browse").page;
    for department in ["Food", "Odd &#38; ends", "Outerwear", "Scarves", "Everything"] {
        assert!(page.contains(&format!("<b>{department}</b>")), "{department}: {page}");
    }
    let first = counter.get("/kiosk/browse?department=Scarves").page;
    assert_eq!(first.matches("href=\"/kiosk/p/").count(), 8);
    assert!(first.contains("Scarf 08") && !first.contains("Scarf 09") && first.contains("Page 1"));
    let next = counter.get("/kiosk/browse?department=Scarves&page=2").page;
    assert_eq!(next.matches("href=\"/kiosk/p/").count(), 3);
    assert!(next.contains("Scarf 11") && next.contains(">Previous<") && !next.contains(">Next<"));
    let rust = counter.get("/kiosk/browse?department=Scarves&colour=rust").page;
    assert_eq!(rust.matches("href=\"/kiosk/p/").count(), 6);
    let cheap = counter.get("/kiosk/browse?department=Scarves&price=0").page;
    assert_eq!(cheap.matches("href=\"/kiosk/p/").count(), 1, "9.00 lies below 10.00");
    let here = counter.get("/kiosk/browse?department=Scarves&here=1").page;
    assert!(here.contains("Scarf 02") && here.matches("href=\"/kiosk/p/").count() == 1);
    let sizes = counter.get("/kiosk/browse/size?department=Outerwear").page;
    assert!(sizes.contains("href=\"/kiosk/browse?department=Outerwear&#38;size=L\""), "{sizes}");
    for odd in [
        "page=-1",
        "page=99999999999",
        "price=7",
        "price=x",
        "department=none",
        "size=%00",
        "here=2",
    ] {
        assert_eq!(
            counter.get(&format!("/kiosk/browse?department=Scarves&{odd}")).status,
            200,
            "{odd}"
        );
    }
}

// Proves TS-11.
#[test]
fn a_name_is_typed_on_the_page_without_a_script() {
    let (_store, counter) = stocked();
    // The index is made beside the pages: it may come a moment later.
    let found = |page: &String| page.contains("Duffle coat");
    let looks = || counter.get("/kiosk/find?q=duff&key=l").page;
    let mut page = (0..1_000).map(|_| looks()).find(found).unwrap_or_else(looks);
    assert!(page.contains("value=\"duffl\"") && page.contains("Duffle coat"), "{page}");
    page = counter.get("/kiosk/find?q=duffl&key=back").page;
    assert!(page.contains("value=\"duff\""));
    page = counter.get("/kiosk/find?q=duffx").page;
    assert!(
        page.contains("Nothing is called “duffx”.")
            && page.contains("Try fewer letters, or ask us.")
    );
    let german = counter.get("/kiosk/find?lang=de").page;
    assert!(
        german.contains("value=\"ü\"") && german.find("value=\"z\"") < german.find("value=\"y\"")
    );
    assert!(german.contains("<input type=\"hidden\" name=\"lang\" value=\"de\">"));
    assert_eq!(
        counter.get("/kiosk/find?q=7001&go=1").place,
        "/kiosk/p/7001",
        "a number on the label is a scan"
    );
    assert_eq!(counter.get("/kiosk/find?q=duff&go=1").status, 200);
}

// Proves TS-09.
#[test]
fn the_look_travels_in_the_address_and_ends_with_it() {
    let (_store, counter) = stocked();
    let page = counter.get("/kiosk/p/7001?lang=de&larger=1&person=anna").page;
    assert!(
        page.starts_with(
            "<!doctype html>\n<html lang=\"de\" dir=\"ltr\" data-light=\"day\" class=\"larger\">"
        ),
        "{page}"
    );
    let links: Vec<&str> =
        page.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let inside = links.iter().filter(|link| link.starts_with("/kiosk/"));
    for link in inside.filter(|link| !link.contains("person=anna")) {
        assert!(link.contains("lang=de") && link.contains("larger=1"), "{link}");
    }
    assert!(links.contains(&"/kiosk"), "the last key leads to the bare beginning");
    assert!(page.contains("http-equiv=\"refresh\" content=\"45;url=/kiosk/still?"), "{page}");
    let still = counter.get("/kiosk/still?lang=de&back=%2Fkiosk%2Fp%2F7001%3Flang%3Dde").page;
    assert!(
        still.contains("content=\"20;url=/kiosk\"")
            && still.contains("href=\"/kiosk/p/7001?lang=de\"")
    );
    let bare = counter.get("/kiosk").page;
    assert!(bare.contains("<html lang=\"en\"") && !bare.contains("7001") && !bare.contains("anna"));
    for foreign in [
        "https://evil.test/",
        "//evil.test",
        "/checkout",
        "javascript:alert(1)",
        "/kiosk/../signon",
    ] {
        let still = counter.get(&format!("/kiosk/still?back={foreign}")).page;
        assert!(
            !still.contains("evil")
                && !still.contains("javascript")
                && !still.contains("signon")
                && !still.contains("\"/checkout"),
            "{still}"
        );
    }
}

// Proves TS-09.
#[test]
fn a_store_says_in_which_language_its_kiosk_begins() {
    let store = Store::new();
    let settings = "languages = [\"de\", \"en\"]\nlight = \"night\"\n";
    let counter = store.start_with(Wishes { settings, ..Wishes::default() });
    assert!(
        counter
            .get("/kiosk/browse")
            .page
            .contains("<html lang=\"de\" dir=\"ltr\" data-light=\"night\">")
    );
    assert!(counter.get("/kiosk/browse?lang=en").page.contains("<html lang=\"en\""));
    assert!(counter.get("/kiosk/browse?lang=xx").page.contains("<html lang=\"de\""));
}

#[test]
fn a_hostile_name_is_letters_and_nothing_else() {
    let (_store, counter) = stocked();
    let product = format!("/kiosk/p/{HOSTILE}");
    for path in [
        product.as_str(),
        "/kiosk/browse?department=Odd+%26+ends",
        "/kiosk/browse/size?department=Odd+%26+ends",
        "/kiosk/find?q=alert",
        "/kiosk/scan?code=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/kiosk/find?q=%3Cscript%3Ealert(1)%22onload%3D",
        "/kiosk/browse?department=%3Cscript%3Ealert(1)&size=%22%3E%3Cb%3E",
        "/kiosk/still?back=/kiosk?a=%22%3E%3Cscript%3Ealert(1)",
    ] {
        let page = counter.get(path).page;
        assert!(
            !page.contains("<script>") && !page.contains("<b><b>") && !page.contains("\"onload"),
            "{path}: {page}"
        );
    }
    assert!(
        counter
            .get(&product)
            .page
            .contains("&#60;script&#62;alert(1)&#60;/script&#62; &#38; &#34;Söhne&#34;")
    );
    assert!(counter.get(&format!("/kiosk/p/{LONG}")).page.contains("class=\"longest\""));
}

#[test]
fn a_store_without_master_data_says_so() {
    let store = Store::empty();
    let counter = store.start();
    for path in ["/kiosk/browse", "/kiosk/find", "/kiosk/p/1"] {
        let answer = counter.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(
            answer.page.contains("Nothing is listed yet.")
                && answer.page.contains("Please ask us.")
        );
    }
    assert_eq!(counter.get("/kiosk").status, 200);
}
