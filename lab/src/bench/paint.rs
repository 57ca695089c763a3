//! From the scan to the painted line, in a headless Chromium
//!
//! The clock is the page's own: it starts when the scanned code is in the field and the form is sent, and stops in the
//! second animation frame after the roll has changed. In between lies the commit of the basket, with its sync. The
//! scanner's own time and the panel's are not in it.

use crate::bench_desk::Fault;
use crate::browser::{self, Browser};
use crate::chain::{Chain, Wanted};
use crate::demo::{self, Desk};
use crate::figure::{Figure, percentile, short};
use crate::layout::Seat;
use crate::slow_sync;
use crate::world::World;
use serde_json::json;
use std::time::Duration;
use tokio::runtime::Runtime;

const SCANS: usize = 300;
/// The first ones warm the page, the caches and the compiler of its script.
const WARM_UP: usize = 20;
/// Different goods, so the roll is as long as a usual basket.
const ROLL_LINES: usize = 12;
/// How long a pos may take until it knows its cashiers.
const SETTLE_S: u64 = 5;

const SIGN_ON: &str = "const [badge, pin, done] = arguments;
    const form = document.querySelector('form[action=\"/signon\"]');
    form.badge.value = badge; form.pin.value = pin; form.requestSubmit();
    done(true);";

const SCAN: &str = "const [code, done] = arguments;
    const form = document.querySelector('form[data-scan]');
    const begun = performance.now();
    const seen = new MutationObserver(changes => {
        const isRoll = node => node.id === 'roll' || (node.querySelector && node.querySelector('#roll'));
        if (!changes.some(change => [...change.addedNodes].some(isRoll))) return;
        seen.disconnect();
        requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
    });
    seen.observe(document.documentElement, { childList: true, subtree: true });
    form.querySelector('[name=code]').value = code;
    form.requestSubmit();";

/// The figures of a scan.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let Some(driver) = browser::driver() else {
        return Ok(vec![Figure::beside(
            "scan -> durable -> painted",
            "NOT MEASURED: no chromedriver here".to_owned(),
        )]);
    };
    let runtime = Runtime::new()?;
    let desk = Desk::at(None)?;
    let world = World::from_seed(1, 1);
    let wanted = Wanted { desk: desk.path.clone(), stores: 1, pos: 1, beat_s: 10 };
    let (mut chain, files) = demo::lay_out(&world, wanted, &runtime)?;
    chain.make(&files, &|_| {})?;
    chain.start_all(&|_| {})?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let pos = Seat::Pos { store: 1, no: 1 };
    let person = world.staff_of(1).next().ok_or("a store has people")?;
    let browser = Browser::start(&driver, &desk.path.join("chromedriver.txt"), 1_366, 768)?;
    let scans = |chain: &Chain| -> Result<Vec<f64>, Fault> {
        let page = chain.page(pos);
        browser.open(&format!("http://{page}/signon"))?;
        browser.answer(SIGN_ON, &[json!(person.badge), json!(person.pin)])?;
        std::thread::sleep(Duration::from_secs(1));
        browser.open(&format!("http://{page}/checkout"))?;
        let mut ms = Vec::new();
        for variant in world.variants.iter().take(ROLL_LINES).cycle().take(WARM_UP + SCANS) {
            let took = browser.answer(SCAN, &[json!(variant.gtin.to_string())])?;
            ms.push(took.as_f64().ok_or("the page gives milliseconds")?);
        }
        Ok(ms.split_off(WARM_UP))
    };
    let plain = scans(&chain)?;
    chain.stop(pos);
    chain.preload = Some(slow_sync::build(&desk.path)?);
    chain.start(pos)?;
    let slow = scans(&chain)?;
    drop(browser);
    chain.stop_all();
    let slowest = format!("{} ms of {SCANS}", short(percentile(&plain, 100.0)));
    Ok(vec![
        Figure::at_most("scan -> durable -> painted, p50", percentile(&plain, 50.0), 25.0, " ms"),
        Figure::at_most("scan -> durable -> painted, p99", percentile(&plain, 99.0), 50.0, " ms"),
        Figure::beside("  the slowest of them", slowest),
        Figure::at_most(
            "  with 10 ms injected per sync, p50",
            percentile(&slow, 50.0),
            35.0,
            " ms",
        ),
        Figure::beside(
            "  with 10 ms injected per sync, p99",
            format!("{} ms", short(percentile(&slow, 99.0))),
        ),
    ])
}
