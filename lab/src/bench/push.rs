//! A scan while a catalogue of 20,000 rows arrives
//!
//! HQ imports 20,000 products while the line of the pos is cut, so that the import costs the pos no processor: HQ is
//! another machine. Then the line heals, and a headless Chromium scans until all of them have arrived. Again and again,
//! each time under other names, until there are scans enough.

use crate::bench::paint::{self, Scan};
use crate::bench_chain::OneStore;
use crate::bench_desk::Fault;
use crate::browser::{self, Browser};
use crate::chain::Chain;
use crate::figure::{Figure, percentile, short};
use crate::import_files;
use crate::layout::Seat;
use crate::process::{Programs, run, wait_for};
use crate::replicas;
use crate::slow_sync;
use crate::world::gtin13;
use selvedge_domain::listing;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PRODUCTS: u64 = 20_000;
/// Beyond the numbers of the demo's own goods.
const FIRST: u64 = 100_001;
const SETTLE_S: u64 = 5;
const WARM_UP: usize = 10;
/// At least so many are counted.
const SCANS: usize = 200;
/// How long a catalogue may take to the back office.
const ARRIVES_S_MAX: u64 = 60;
const BACK_OFFICE: Seat = Seat::BackOffice { store: 1 };
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
    paint::open_checkout(&browser, &store, POS)?;
    let mut gtins = paint::rung_up(&store);
    for gtin in gtins.by_ref().take(WARM_UP) {
        paint::scan(&browser, &gtin)?;
    }
    let (mut scans, mut pushed, mut arrived) = (Vec::new(), 0, 0);
    for file in catalogues.iter().cycle() {
        let before = changes(&store.chain, POS)?;
        push_behind_a_cut(&store.chain, file)?;
        pushed += 1;
        let mut so_far = before;
        while so_far < before + PRODUCTS as i64 {
            let gtin = gtins.next().ok_or("a world has goods")?;
            let scan = paint::scan(&browser, &gtin)?;
            let now = changes(&store.chain, POS)?;
            // Before the line is up again nothing comes, and such a scan would only flatter.
            if now > std::mem::replace(&mut so_far, now) {
                scans.push(scan);
            }
        }
        arrived += so_far - before;
        if scans.len() >= SCANS {
            break;
        }
    }
    Ok(figures(&scans, pushed, arrived))
}

/// Imports a catalogue at HQ and lets it come as far as the back office; then the way to the pos is free.
fn push_behind_a_cut(chain: &Chain, file: &Path) -> Result<(), Fault> {
    let hq = Programs::beside_this_one()?.hq_bridge;
    let config = chain.place(Seat::Hq).config().to_string_lossy().into_owned();
    let line = chain.line(POS).ok_or("a pos has a line")?;
    let before = changes(chain, BACK_OFFICE)?;
    line.cut();
    run(&hq, &["import", "catalogue", &file.to_string_lossy(), "--config", &config])?;
    let is_there = || changes(chain, BACK_OFFICE).is_ok_and(|now| now >= before + PRODUCTS as i64);
    let came = wait_for(Duration::from_secs(ARRIVES_S_MAX), is_there);
    line.heal();
    if came { Ok(()) } else { Err("the catalogue did not reach the back office".into()) }
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
        Figure::beside(
            "  meanwhile",
            format!("{} scans, {pushed} catalogues, {arrived} changes", scans.len()),
        ),
    ]
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

/// How many changes of products a device has counted.
fn changes(chain: &Chain, seat: Seat) -> Result<i64, Fault> {
    Ok(listing::newest_change(&replicas::reader(chain.place(seat))?)?)
}
