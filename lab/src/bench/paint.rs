//! From the scan to the painted line, in a headless Chromium
//!
//! The clock is the page's own. It starts when the scanned code is in the field and the form is sent, at any moment
//! between two frames and at the pace of a fast hand. In between lies the commit of the basket, with its sync.
//!
//! It stops when the page has painted the first frame with the new roll: a message that is posted in the frame's own
//! callback is delivered after that frame's styles, layout and paint. (The callback itself comes before the paint, and
//! the callback of the second frame, where this bench once stopped, comes up to a whole frame after it.) The browser's
//! own `paintTime` of the new line, by its Element Timing, is never later. Two figures stand beside it: the browser's
//! `presentationTime`, in steps of 4 ms, when the compositor has shown that frame at the tick of its 60 Hz; and the
//! second animation frame, as measured before. The scanner's own time and the panel's are not in it.

use crate::bench_chain::OneStore;
use crate::bench_desk::Fault;
use crate::browser::{self, Browser};
use crate::figure::{Figure, percentile, short};
use crate::layout::Seat;
use crate::process::wait_for;
use crate::slow_sync;
use serde_json::{Value, json};
use std::time::Duration;

const SCANS: usize = 300;
/// The first ones warm the page, the caches and the compiler of its script.
const WARM_UP: usize = 20;
/// Different goods, so the roll is as long as a usual basket.
const ROLL_LINES: usize = 12;
/// How long a pos may take until it knows its cashiers.
const SETTLE_S: u64 = 5;
const SIGN_ON_S_MAX: u64 = 20;
/// The shortest time between two scans of a fast hand. Up to a few frames more are drawn by lot.
const PACE_MS: f64 = 150.0;

const SIGN_ON: &str = "const [badge, pin, done] = arguments;
    const form = document.querySelector('form[action=\"/signon\"]');
    form.badge.value = badge; form.pin.value = pin; form.requestSubmit();
    done(true);";

const WHERE: &str = "const [done] = arguments; done(location.pathname);";

const SCAN: &str = "const [code, pace, done] = arguments;
    const form = document.querySelector('form[data-scan]');
    const isRoll = node => node.id === 'roll' || (node.querySelector && node.querySelector('#roll'));
    const legs = {};
    let begun;
    const since = moment => moment - begun;
    const leg = name => legs[name] = since(performance.now());
    const told = () => {
        if (legs.presented === undefined || legs.second === undefined) return;
        const sent = performance.getEntriesByType('resource').find(entry => entry.name.endsWith('/checkout/add'));
        // The event stream may bring the line before the answer does, when the machine is busy.
        if (!sent) return void setTimeout(told, 20);
        legs.answered = since(sent.responseEnd);
        seen.disconnect();
        done(legs);
    };
    const shown = new PerformanceObserver(list => {
        shown.disconnect();
        legs.presented = since(Math.max(...list.getEntries().map(entry => entry.presentationTime)));
        told();
    });
    const seen = new MutationObserver(changes => {
        if (!changes.some(change => [...change.addedNodes].some(isRoll))) return;
        for (const text of document.querySelectorAll('#roll .last b, #roll .total strong')) text.setAttribute('elementtiming', 'roll');
        if (legs.swapped !== undefined) return;
        leg('swapped');
        requestAnimationFrame(() => {
            const after = new MessageChannel();
            after.port1.onmessage = () => leg('painted');
            after.port2.postMessage(0);
            requestAnimationFrame(() => { leg('second'); told(); });
        });
    });
    setTimeout(() => {
        performance.clearResourceTimings();
        shown.observe({ type: 'element' });
        seen.observe(document.documentElement, { childList: true, subtree: true });
        begun = performance.now();
        form.querySelector('[name=code]').value = code;
        form.requestSubmit();
    }, pace + 50 * Math.random());";

/// The moments of one scan, in milliseconds after the form was sent.
#[derive(Clone, Copy, Debug)]
pub struct Scan {
    /// The answer is here, with the basket durable.
    pub answered: f64,
    /// It is in the page.
    swapped: f64,
    /// The page has painted the frame with it.
    pub painted: f64,
    /// The compositor has shown that frame, as the browser says.
    presented: f64,
    /// The second animation frame.
    second: f64,
}

impl Scan {
    fn read(moments: &Value) -> Option<Scan> {
        let ms = |name: &str| moments[name].as_f64();
        Some(Scan {
            answered: ms("answered")?,
            swapped: ms("swapped")?,
            painted: ms("painted")?,
            presented: ms("presented")?,
            second: ms("second")?,
        })
    }
}

/// The figures of a scan.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let Some(driver) = browser::driver() else {
        return Ok(vec![Figure::beside(
            "scan -> durable -> painted",
            "NOT MEASURED: no chromedriver here".to_owned(),
        )]);
    };
    let mut store = OneStore::at_work(1)?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let pos = Seat::Pos { store: 1, no: 1 };
    let browser = Browser::start(&driver, &store.desk.path.join("chromedriver.txt"), 1_366, 768)?;
    let plain = scans(&browser, &store, pos)?;
    store.chain.stop(pos);
    store.chain.preload = Some(slow_sync::build(&store.desk.path)?);
    store.chain.start(pos)?;
    let slow = scans(&browser, &store, pos)?;
    Ok(figures(&plain, &slow))
}

/// Signs on at a pos and scans in its checkout; the first scans, which warm it, are left out.
fn scans(browser: &Browser, store: &OneStore, pos: Seat) -> Result<Vec<Scan>, Fault> {
    open_checkout(browser, store, pos)?;
    let mut scans: Vec<Scan> = Vec::new();
    for gtin in rung_up(store).take(WARM_UP + SCANS) {
        scans.push(scan(browser, &gtin)?);
    }
    Ok(scans.split_off(WARM_UP))
}

/// The printed numbers of a few goods, again and again, so that the roll stays short.
pub fn rung_up(store: &OneStore) -> impl Iterator<Item = String> + '_ {
    store.world.variants.iter().take(ROLL_LINES).cycle().map(|variant| variant.gtin.to_string())
}

/// Scans once, a little after the scan before.
pub fn scan(browser: &Browser, gtin: &str) -> Result<Scan, Fault> {
    let moments = browser.answer(SCAN, &[json!(gtin), json!(PACE_MS)])?;
    Scan::read(&moments).ok_or_else(|| "the page gives milliseconds".into())
}

/// Signs on at a pos and opens its checkout.
pub fn open_checkout(browser: &Browser, store: &OneStore, pos: Seat) -> Result<(), Fault> {
    let page = store.chain.page(pos);
    let person = store.world.staff_of(1).next().ok_or("a store has people")?;
    browser.open(&format!("http://{page}/signon"))?;
    browser.answer(SIGN_ON, &[json!(person.badge), json!(person.pin)])?;
    // A PIN takes its time on purpose, and a busy machine more of it.
    let is_on = || browser.answer(WHERE, &[]).is_ok_and(|place| place == json!("/checkout"));
    if !wait_for(Duration::from_secs(SIGN_ON_S_MAX), is_on) {
        return Err("nobody could sign on".into());
    }
    browser.open(&format!("http://{page}/checkout"))
}

fn figures(plain: &[Scan], slow: &[Scan]) -> Vec<Figure> {
    let of = |scans: &[Scan], moment: fn(&Scan) -> f64, percent: f64| {
        percentile(&scans.iter().map(moment).collect::<Vec<f64>>(), percent)
    };
    let beside = |what: &str, scans: &[Scan], moment: fn(&Scan) -> f64| {
        let (half, most) = (of(scans, moment, 50.0), of(scans, moment, 99.0));
        Figure::beside(what, format!("{} ms, p99 {} ms", short(half), short(most)))
    };
    let painted: fn(&Scan) -> f64 = |scan| scan.painted;
    let presented: fn(&Scan) -> f64 = |scan| scan.presented;
    let second: fn(&Scan) -> f64 = |scan| scan.second;
    vec![
        Figure::at_most("scan -> durable -> painted, p50", of(plain, painted, 50.0), 25.0, " ms"),
        Figure::at_most("scan -> durable -> painted, p99", of(plain, painted, 99.0), 50.0, " ms"),
        Figure::beside(
            "  the slowest of them",
            format!("{} ms of {SCANS}", short(of(plain, painted, 100.0))),
        ),
        beside("  of it until the answer is here", plain, |scan| scan.answered),
        beside("  until it is in the page", plain, |scan| scan.swapped),
        beside("  beside it: shown by the compositor at its next tick", plain, presented),
        beside("  beside it: second animation frame, as measured before", plain, second),
        Figure::at_most(
            "  with 10 ms injected per sync, p50",
            of(slow, painted, 50.0),
            35.0,
            " ms",
        ),
        beside("  with it, until the answer is here", slow, |scan| scan.answered),
        beside("  with it, painted", slow, painted),
        beside("  with it, as measured before: second animation frame", slow, second),
    ]
}
