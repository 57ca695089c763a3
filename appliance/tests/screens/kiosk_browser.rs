//! The kiosk in a real browser of its own size

use crate::counter::{Counter, Store, Wishes};
use crate::headquarters::gtin;
use crate::kiosk::{PAGES, STOCKED};
use crate::window::Window;

/// A panel of 21.5 inches, upright.
const PANEL: &str = "panel_width_px = 1080\npanel_width_mm = 268\n";

fn open() -> Option<(Store, Counter, Window)> {
    let store = Store::new();
    let counter = store.start_with(Wishes { settings: PANEL, ..Wishes::default() });
    counter.write(|tx| tx.execute_batch(STOCKED).map_err(|error| error.to_string()));
    let window = Window::open_at(1_080, 1_920)?;
    Some((store, counter, window))
}

// Proves TS-09.
#[test]
fn every_kiosk_page_holds_its_sizes_in_every_look() {
    let Some((_store, counter, window)) = open() else { return };
    for look in ["lang=en", "lang=de", "lang=en&larger=1", "lang=de&larger=1"] {
        for path in PAGES {
            let mark = if path.contains('?') { '&' } else { '?' };
            window.load(&format!("{}{path}{mark}{look}", counter.address));
            let findings = window.findings_below(20, 6.0);
            assert!(findings.is_empty(), "{path} {look}:\n{}", findings.join("\n"));
        }
    }
    let weight = window.run(
        "return performance.getEntriesByType('resource').reduce((sum, one) => sum + one.encodedBodySize, 0)",
    );
    // The two font files come on top of it: 53 kB, where the device has them.
    assert!(weight.as_i64().unwrap() < 60_000, "{weight} bytes beside the page itself");
}

// Proves TS-11.
#[test]
fn a_scan_and_a_typed_name_lead_to_a_product_and_leave_no_history() {
    let Some((_store, counter, window)) = open() else { return };
    window.load(&format!("{}/kiosk", counter.address));
    let places = window.run("return history.length");
    window.scan(&gtin(1001));
    window.wait("location.pathname === '/kiosk/p/1001'");
    window.run("document.querySelector('footer a[href^=\"/kiosk/find\"]').click()");
    window.wait("location.pathname === '/kiosk/find'");
    window
        .run("for (const key of 'duf') document.querySelector(`[name=key][value=${key}]`).click()");
    window.wait("document.querySelector('#found .tag b')?.innerText === 'Duffle coat'");
    assert_eq!(window.run("return document.getElementById('q').value"), "duf");
    window.run("document.querySelector('#found .tag').click()");
    window.wait("document.querySelector('h1').innerText === 'Duffle coat'");
    assert_eq!(window.run("return history.length"), places, "there is no way back to anything");
}

// Proves TS-09.
#[test]
fn a_still_kiosk_asks_and_then_forgets_everything() {
    let Some((_store, counter, window)) = open() else { return };
    window.load(&format!("{}/kiosk", counter.address));
    let places = window.run("return history.length");
    window.run("location.replace('/kiosk/find?lang=de&larger=1&q=duffle')");
    window.wait("document.querySelector('#found .tag')");
    window.run("document.body.dataset.still = 50; dispatchEvent(new Event('wheel'))");
    window.wait("document.getElementById('still').open");
    assert_eq!(window.run("return document.activeElement.innerText"), "Ja, weiter");
    window.run(
        "document.body.dataset.still = 60000; document.querySelector('#still button').click()",
    );
    window.wait("!document.getElementById('still').open");
    assert_eq!(
        window.run("return document.getElementById('q').value"),
        "duffle",
        "a touch keeps the page"
    );
    let soon = "Object.assign(document.body.dataset, { still: 50, left: 0 }); dispatchEvent(new Event('wheel'))";
    window.run(soon);
    window.wait("location.pathname + location.search === '/kiosk'");
    window.wait("document.querySelector('.start')");
    let left = window.run(
        "return [document.documentElement.lang, document.documentElement.className, document.cookie,
                 document.documentElement.outerHTML.includes('uffle'), history.state, history.length,
                 localStorage.length + sessionStorage.length]",
    );
    assert_eq!(left, serde_json::json!(["en", "", "", false, null, places, 0]));
}
