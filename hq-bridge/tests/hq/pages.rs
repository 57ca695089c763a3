//! The pages of HQ, as a browser gets them

use hq_bridge::import::FileKind;
use selvedge_sync::device_keys::DeviceKeys;

use crate::desk::{Desk, talk};
use crate::served::Served;

/// Where the text of an element with this class or id begins.
fn place(page: &str, text: &str) -> usize {
    page.find(text).unwrap_or_else(|| panic!("no {text} in {page}"))
}

// Proves IM-10.
#[test]
fn stale_stores_stand_first_and_are_named_so() {
    let desk = Desk::stocked();
    desk.import(FileKind::Stores, b"store,name,currency,tax_included\n3,Quay,GBP,yes\n");
    for (id, seed) in [("s0001-p01", 1), ("s0002-p01", 2), ("s0003-p01", 3)] {
        desk.admit(id, seed, None).unwrap();
    }
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 3_000), ("s0002-p01", 95_000), ("s0003-p01", 600_000)]);
    let page = served.ask("/fleet", &[]).text;
    let places = ["Quay", "Mill Lane", "Harbour"].map(|name| place(&page, name));
    assert!(places.is_sorted(), "oldest first: {page}");
    assert_eq!(page.matches("class=\"store stale\"").count(), 2);
    assert_eq!(page.matches("<b>Stale</b>").count(), 2, "not by colour alone");
    assert!(page.contains("2 stores are stale"));
    assert!(page.contains("T1 was not heard for more than 20 s"));
    served.hear(&[("s0001-p01", 3_000), ("s0002-p01", 4_000)]);
    let page = served.ask("/", &[]).text;
    assert!(place(&page, "Quay") < place(&page, "Harbour"), "unknown is older than any age");
    assert!(page.contains("T1 was not heard since head office started"));
}

#[test]
fn the_page_of_a_store_says_what_it_sold_signed_and_left_open() {
    let desk = Desk::stocked();
    let mut pos = desk.pos("s0001-p01", 1);
    {
        let mut hq = desk.side();
        talk(&mut hq, &mut pos);
        pos.sell(&[1001]);
        pos.sell(&[1001, 1002]);
        pos.state();
        talk(&mut hq, &mut pos);
    }
    let served = Served::new(&desk);
    served.hear(&[("s0001-p01", 3_000)]);
    let reader = served.hq.database.reader().unwrap();
    served.hq.remember(&hq_bridge::hq::totals(&reader, &desk.keys.authority.public()).unwrap());
    let db = served.hand();
    db.execute(
        "INSERT INTO exception (id, store, at, kind, sku, note) VALUES (5 << 40, 1, 0, 'oversold', 1001, '<b>look</b>')",
        [],
    )
    .unwrap();
    let page = served.ask("/fleet/1", &[]).text;
    for said in
        ["T1-000002", "£75.98 in 2", "agrees", "oversold", "Fresh", "heard 3 s ago", "SKU 1001"]
    {
        assert!(page.contains(said), "{said} is not in {page}");
    }
    assert!(!page.contains("<b>look</b>"), "a remark is text and nothing else");
    assert!(served.ask("/fleet", &[]).text.contains("1 exception open"));
    for path in ["/fleet/9", "/fleet/x", "/fleet/9/events"] {
        let answer = served.ask(path, &[]);
        assert!(answer.status == 404 || path.ends_with("events"), "{path} {}", answer.status);
    }
    let receipts = "UPDATE receipt SET total_minor = total_minor + 100 WHERE no = 1";
    db.execute(receipts, []).unwrap();
    let reader = served.hq.database.reader().unwrap();
    served.hq.remember(&hq_bridge::hq::totals(&reader, &desk.keys.authority.public()).unwrap());
    assert!(served.ask("/fleet/1", &[]).text.contains("differs by £1.00"));
    assert!(served.ask("/fleet", &[]).text.contains("1 control total differs"));
}

#[test]
fn pages_load_nothing_from_elsewhere_and_run_nothing_inline() {
    let desk = Desk::stocked();
    desk.import(
        FileKind::Stores,
        b"store,name,currency,tax_included\n3,\"<script>alert(1)</script>\",GBP,yes\n",
    );
    let served = Served::new(&desk);
    for path in ["/", "/fleet", "/fleet/3", "/docs"] {
        let page = served.ask(path, &[]).text;
        assert!(
            !page.contains("<script>") && !page.contains("style=") && !page.contains("onclick"),
            "{path}"
        );
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\" dir=\"ltr\">"), "{path}");
        assert_eq!(page.matches("<h1>").count(), 1, "{path}");
        assert!(page.contains("<main"), "{path}");
    }
}
