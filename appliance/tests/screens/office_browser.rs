//! The back office in a browser: empty, full, long texts

use selvedge_domain::exceptions::{self, NewException, TOTALS_DIFFER};
use selvedge_domain::moment::Moment;
use selvedge_domain::store_discounts::{self, NewStoreDiscount};

use crate::counter::Counter;
use crate::headquarters::Beside;
use crate::office::{NOW, open, open_with, sell};
use crate::window::Window;

const SCREENS: [&str; 6] = [
    "/today",
    "/today?done=1",
    "/offers?code=1001",
    "/stock/receive",
    "/stock/correct?code=1005",
    "/people",
];

fn sign_on(window: &Window, address: &str) {
    window.load(&format!("{address}/signon"));
    window.run(
        "document.querySelector('input[name=badge]').value = '9520004';
         document.querySelector('input[name=pin]').value = '4444';
         document.querySelector('.signon .go').click()",
    );
    window.wait("location.pathname === '/today'");
}

fn look_at_all(window: &Window, address: &str, state: &str) {
    let mut wrong = Vec::new();
    let sizes: &[(i64, i64)] =
        if state == "empty" { &[(1366, 768)] } else { &[(1366, 768), (1920, 1080)] };
    for &(wide, high) in sizes {
        window.resize(wide, high);
        for screen in SCREENS {
            window.load(&format!("{address}{screen}"));
            window.wait("document.querySelector('main')");
            if let Some(folder) = std::env::var_os("SELVEDGE_PICTURES") {
                let name = screen.replace(['/', '?', '='], "_");
                let path = std::path::Path::new(&folder).join(format!("{state}{name}-{wide}.png"));
                window.picture(&path);
            }
            let findings = window.findings();
            wrong.extend(findings.iter().map(|found| format!("{state} {screen} {wide}: {found}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A busy day: many receipts, exceptions, discounts and lines of a delivery.
fn fill(counter: &Counter) {
    for number in 0..30 {
        let hour = number * 37 % 9;
        sell(counter, 1001 + number % 5, NOW - hour * 3_600_000 - number * 1_000);
    }
    for (points, from, to) in [(1_250, -1, 30), (5_000, 5, 60), (3_000, -9, -1)] {
        counter.write(move |tx| {
            let at = |hours: i64| Moment(NOW + hours * 3_600_000);
            let new = NewStoreDiscount {
                store: 1,
                product: 1001,
                discount_points: points,
                valid_from: at(from),
                valid_to: at(to),
                employee: 4,
                at: at(-9),
            };
            store_discounts::enter(tx, &new).map(drop).map_err(|error| error.to_string())
        });
    }
    for code in ["1001", "1002", "1003", "1004", "1005"] {
        counter.fill(
            "/stock/receive",
            "/stock/receive/add",
            &[("code", code), ("quantity", "144")],
        );
    }
    let page = counter.get("/today").page;
    counter.submit(&page, "/today/done", &[("note", "counted again with Per, it was on shelf 3")]);
}

#[test]
fn every_screen_of_the_back_office_holds_its_sizes() {
    let (_store, counter) = open();
    let Some(window) = Window::open() else { return };
    sign_on(&window, &counter.address);
    look_at_all(&window, &counter.address, "empty");
    counter.sign_on("9520004", "4444");
    fill(&counter);
    sign_on(&window, &counter.address);
    look_at_all(&window, &counter.address, "full");
}

#[test]
fn long_names_are_wrapped_and_push_nothing_aside() {
    let (_store, counter) = open_with(&Beside { pos: true, long_names: true });
    let Some(window) = Window::open() else { return };
    fill(&counter);
    counter.write(|tx| {
        let note = "x".repeat(200);
        let new = NewException {
            store: 1,
            at: Moment(NOW),
            kind: TOTALS_DIFFER,
            note: Some(&note),
            ..NewException::default()
        };
        exceptions::write(tx, &new).map_err(|error| error.to_string())
    });
    sign_on(&window, &counter.address);
    look_at_all(&window, &counter.address, "long");
}

#[test]
fn a_scan_adds_to_the_delivery_wherever_the_focus_is() {
    let (_store, counter) = open();
    let Some(window) = Window::open() else { return };
    sign_on(&window, &counter.address);
    window.load(&format!("{}/stock/receive", counter.address));
    for pieces in 1..=3 {
        window.scan(&crate::headquarters::gtin(1002));
        window.wait(&format!("document.body.innerText.includes('1 line, {pieces} piece')"));
    }
}
