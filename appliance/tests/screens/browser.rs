//! The pages in a real browser, with their script

use crate::counter::Store;
use crate::headquarters::{GOODS, Offer, gtin};
use crate::window::Window;

fn nothing_is_wrong(window: &Window, screen: &str) {
    let findings = window.findings();
    assert!(findings.is_empty(), "{screen}:\n{}", findings.join("\n"));
}

fn sign_on(window: &Window, address: &str) {
    window.load(&format!("{address}/signon"));
    nothing_is_wrong(window, "sign-on");
    window.run(
        "document.querySelector('input[name=badge]').value = '9520002';
         for (let tap = 0; tap < 4; tap++) document.querySelector('[data-digit=\"2\"]').click();
         document.querySelector('.signon .go').click()",
    );
    window.wait("location.pathname === '/checkout'");
}

#[test]
fn a_sale_from_scan_to_change_in_a_browser() {
    let store = Store::new();
    let counter = store.start();
    let Some(window) = Window::open() else { return };
    sign_on(&window, &counter.address);
    nothing_is_wrong(&window, "empty checkout");
    for goods in GOODS {
        window.scan(&gtin(goods.0));
    }
    window.wait("document.querySelectorAll('#roll .line').length === 4");
    window.wait("document.querySelector('.total strong').innerText === '€237.30'");
    nothing_is_wrong(&window, "checkout");
    window.run("document.querySelector('#roll .line').click()");
    window.wait("document.querySelector('#side.sheet')");
    nothing_is_wrong(&window, "chosen line");
    window.run("document.querySelector('.take button').click()");
    window.wait("location.pathname === '/checkout/pay'");
    nothing_is_wrong(&window, "pay");
    window.run(
        "for (const digit of ['5', '0', '00']) document.querySelector(`[data-digit='${digit}']`).click();
         document.querySelector('.ways [value=card]').click()",
    );
    window.wait("document.querySelector('.due b').innerText === '€187.30'");
    nothing_is_wrong(&window, "split");
    window.run("const key = document.querySelectorAll('.chips .key')[1]; key.click(); key.click()");
    window.wait("location.pathname === '/checkout/done'");
    window.wait("document.getElementById('change').innerText === '€2.70'");
    nothing_is_wrong(&window, "done");
    window.scan(&gtin(1001));
    window.wait("location.pathname === '/checkout' && document.querySelector('.last b').innerText === 'Merino crew, moss'");
    assert_eq!(counter.receipts().len(), 1, "a double tap sold once");
}

#[test]
fn no_scan_of_a_fast_hand_is_lost_or_doubled_wherever_the_focus_is() {
    let store = Store::new();
    let counter = store.start();
    let Some(window) = Window::open() else { return };
    sign_on(&window, &counter.address);
    for scan in 0..40 {
        let focus = if scan % 2 == 0 { "'#code'" } else { "'.tag'" };
        window.run(&format!("document.querySelector({focus}).focus()"));
        window.scan(&gtin(1002));
    }
    window.wait("document.querySelector('.last b').innerText.startsWith('40 ×')");
    assert_eq!(window.run("return document.getElementById('code').value"), "");
}

// Proves TS-15, TS-23.
#[test]
fn customer_and_discount_sheets_hold_their_sizes_and_stay_open() {
    let store = Store::new();
    let window_ms = (0, i64::MAX >> 12);
    store.offer(&[Offer { product: 1004, points: 2_000, window: window_ms }]);
    let counter = store.start();
    let Some(window) = Window::open() else { return };
    sign_on(&window, &counter.address);
    for sku in [1001, 1002, 1004, 1003] {
        window.scan(&gtin(sku));
    }
    window.wait("document.querySelectorAll('#roll .line').length === 3");
    window.scan("C200017");
    window
        .wait("document.querySelector('.sums dt:nth-of-type(2)').innerText.includes('number 12')");
    nothing_is_wrong(&window, "checkout with a customer");
    window.run("document.querySelector('#keys a').click()");
    window.wait("document.querySelector('#side.sheet .past')");
    nothing_is_wrong(&window, "customer");
    window.run("document.querySelector('#side a').click()");
    window.wait("document.querySelectorAll('#keys a').length === 2");
    window.run("document.querySelectorAll('#keys a')[1].click()");
    window.wait("document.querySelector('#side.sheet h2').innerText.startsWith('Discount')");
    nothing_is_wrong(&window, "discount");
    window.run("document.querySelectorAll('#side .chips button')[2].click()");
    window.wait("document.querySelector('.total strong').innerText === '€157.02'");
    window.wait("document.querySelector('#side.tags')");
    nothing_is_wrong(&window, "checkout with all discounts");
}
