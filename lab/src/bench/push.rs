//! A scan while HQ pushes a catalogue of 20,000 rows
//!
//! HQ imports the same 20,000 products again and again, each time under other names, for as long as the headless Chromium
//! scans. So every scan falls into the coming of a catalogue, and into the work of the search that takes it up.

use crate::bench::paint::{self, Scan};
use crate::bench_chain::OneStore;
use crate::bench_desk::Fault;
use crate::browser::{self, Browser};
use crate::chain::Chain;
use crate::figure::{Figure, percentile, short};
use crate::import_files;
use crate::layout::Seat;
use crate::process::{Programs, run};
use crate::replicas;
use crate::slow_sync;
use crate::world::gtin13;
use selvedge_domain::listing;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const PRODUCTS: u64 = 20_000;
/// Beyond the numbers of the demo's own goods.
const FIRST: u64 = 100_001;
const SETTLE_S: u64 = 5;
const POS: Seat = Seat::Pos { store: 1, no: 1 };
const NAMES: [&str; 2] = ["Pushed", "Renamed"];

/// The figures of a scan while a catalogue arrives.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let Some(driver) = browser::driver() else {
        return Ok(vec![Figure::beside(
            "scan -> painted while a catalogue arrives",
            "NOT MEASURED: no chromedriver here".to_owned(),
        )]);
    };
    let mut store = OneStore::at_work(1)?;
    store.chain.stop(POS);
    store.chain.preload = Some(slow_sync::build(&store.desk.path)?);
    store.chain.start(POS)?;
    std::thread::sleep(Duration::from_secs(SETTLE_S));
    let catalogues = catalogues(&store.desk.path)?;
    let log = store.desk.path.join("chromedriver.txt");
    let browser = Browser::start(&driver, &log, 1_366, 768)?;
    let before = changes(&store.chain)?;
    let (scans, pushed) =
        while_pushed(&store.chain, &catalogues, || paint::scans(&browser, &store, POS))?;
    let arrived = changes(&store.chain)? - before;
    Ok(figures(&scans, pushed, arrived))
}

fn figures(scans: &[Scan], pushed: usize, arrived: i64) -> Vec<Figure> {
    let ms = |moment: fn(&Scan) -> f64| scans.iter().map(moment).collect::<Vec<f64>>();
    let (painted, answered) = (ms(|scan| scan.painted), ms(|scan| scan.answered));
    let both = |ms: &[f64]| {
        format!("{} ms, p99 {} ms", short(percentile(ms, 50.0)), short(percentile(ms, 99.0)))
    };
    vec![
        Figure::at_most(
            "scan -> painted, 10 ms per sync, a catalogue arriving, p99",
            percentile(&painted, 99.0),
            80.0,
            " ms",
        ),
        Figure::beside("  half of them", format!("{} ms", short(percentile(&painted, 50.0)))),
        Figure::beside("  the slowest", format!("{} ms", short(percentile(&painted, 100.0)))),
        Figure::beside("  of it until the answer is here", both(&answered)),
        Figure::beside("  meanwhile", format!("{pushed} imports, {arrived} changes")),
    ]
}

/// Does something while one catalogue after the other is imported at HQ. Says how many were.
fn while_pushed<T>(
    chain: &Chain,
    catalogues: &[PathBuf],
    deed: impl FnOnce() -> Result<T, Fault>,
) -> Result<(T, usize), Fault> {
    let hq = Programs::beside_this_one()?.hq_bridge;
    let config = chain.place(Seat::Hq).config().to_string_lossy().into_owned();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let pushing = scope.spawn(|| -> Result<usize, Fault> {
            let mut pushed = 0;
            for file in catalogues.iter().cycle() {
                if is_done.load(Ordering::Relaxed) {
                    break;
                }
                let file = file.to_string_lossy();
                run(&hq, &["import", "catalogue", &file, "--config", &config])?;
                pushed += 1;
            }
            Ok(pushed)
        });
        let done = deed();
        is_done.store(true, Ordering::Relaxed);
        let pushed = pushing.join().map_err(|_| "the imports panicked")??;
        Ok((done?, pushed))
    })
}

/// The catalogue under each of its names.
fn catalogues(desk: &Path) -> Result<Vec<PathBuf>, Fault> {
    let mut files = Vec::new();
    for name in NAMES {
        let folder = desk.join(name);
        std::fs::create_dir_all(&folder)?;
        let mut rows =
            vec![import_files::CATALOGUE.split(',').map(str::to_owned).collect::<Vec<_>>()];
        rows.extend((FIRST..FIRST + PRODUCTS).map(|number| {
            let gtin = gtin13(952_900_000_000 + number);
            let words = format!("{number},{number},{name} thing {number},Pushed,M,moss,1,,{gtin}");
            words.split(',').map(str::to_owned).collect()
        }));
        files.push(import_files::write("catalogue", rows, &folder)?.path);
    }
    Ok(files)
}

/// How many changes of products the pos has counted.
fn changes(chain: &Chain) -> Result<i64, Fault> {
    Ok(listing::newest_change(&replicas::reader(chain.place(POS))?)?)
}
