//! Searching 400,000 products, and starting with them
//!
//! The list comes into the pos as every list does, in frames of HQ; the index is built by the steps that its follower
//! makes, without the pauses between them.

use crate::bench_desk::{BEGIN_MS, Fault};
use crate::big_list::{self, BigList, DEVICE};
use crate::figure::{Figure, percentile, short};
use crate::layout::free_port;
use crate::process::{Process, Programs, wait_for};
use appliance::database::FILE_NAME;
use appliance::search::{FOUND_MAX, Left, Search};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use selvedge_domain::moment::Moment;
use selvedge_sync::open;
use selvedge_sync::origin::Origin;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

const PRODUCTS: i64 = 400_000;
/// Questions of each kind.
const QUESTIONS: usize = 400;
/// Starts, of which the slowest counts.
const STARTS: usize = 5;
const READY_S_MAX: u64 = 60;
/// Until nothing moves any more after a start.
const REST_S: u64 = 15;

/// The figures of the search.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let desk = tempfile::tempdir()?;
    let begun = Instant::now();
    let list = big_list::make(desk.path(), PRODUCTS)?;
    let made_s = begun.elapsed().as_secs_f64();
    let replica = list.data.join(FILE_NAME);
    let origin = Origin::new(2).ok_or("2 is an origin")?;
    let search = Search::beside(&replica, origin);
    let built_s = build(&search, &replica, origin)?;
    let bytes = std::fs::metadata(list.data.join(appliance::search::FILE_NAME))?.len();
    let mut figures = asked(&search, &list.names);
    drop(search);
    let (ready_s, rss_mb) = started(desk.path(), &list)?;
    figures.extend([
        Figure::at_most(
            &format!("start to the first page, the slowest of {STARTS}"),
            ready_s,
            2.0,
            " s",
        ),
        Figure::at_most("memory of the process at rest", rss_mb, 64.0, " MB"),
        Figure::beside("  the first build of the index, without its pauses", seconds(built_s)),
        Figure::beside("  the file of the index", format!("{} MB", short(bytes as f64 / 1e6))),
        Figure::beside("  the list made and taken in by the pos", seconds(made_s)),
    ]);
    Ok(figures)
}

fn seconds(value: f64) -> String {
    format!("{} s", short(value))
}

fn build(search: &Search, replica: &Path, origin: Origin) -> Result<f64, Fault> {
    let db = open::reader(replica, None, origin)?;
    let begun = Instant::now();
    while search.step(&db, Moment(BEGIN_MS + 86_400_000))? != Left::Nothing {}
    Ok(begun.elapsed().as_secs_f64())
}

/// One kind of question, made from the words of a name.
type Kind = (&'static str, fn(&[&str], &mut ChaCha8Rng) -> String);

const KINDS: [Kind; 6] = [
    ("one letter", |words, dice| begins(words, dice, 1)),
    ("two letters", |words, dice| begins(words, dice, 2)),
    ("three letters", |words, dice| begins(words, dice, 3)),
    ("four letters and more", |words, dice| {
        let letters = dice.random_range(4..9);
        begins(words, dice, letters)
    }),
    ("two words of one letter", |words, dice| {
        format!("{} {}", begins(words, dice, 1), begins(words, dice, 1))
    }),
    ("two words", |words, dice| {
        let letters = dice.random_range(2..7);
        format!("{} {}", begins(words, dice, letters), begins(words, dice, 3))
    }),
];

fn begins(words: &[&str], dice: &mut ChaCha8Rng, letters: usize) -> String {
    words.choose(dice).map(|word| word.chars().take(letters).collect()).unwrap_or_default()
}

/// How long each kind of question takes.
fn asked(search: &Search, names: &[String]) -> Vec<Figure> {
    let mut dice = ChaCha8Rng::seed_from_u64(2);
    let (mut all, mut figures) = (Vec::new(), Vec::new());
    for (kind, question) in KINDS {
        let mut ms = Vec::new();
        for _ in 0..QUESTIONS {
            let name = names.choose(&mut dice).map_or("", String::as_str);
            let words: Vec<&str> = name.split(' ').collect();
            let text = question(&words, &mut dice);
            let begun = Instant::now();
            let found = search.find(&text, FOUND_MAX);
            ms.push(begun.elapsed().as_secs_f64() * 1_000.0);
            assert!(!found.is_empty(), "the words of a product find it: {text}");
        }
        let (middle, late) = (percentile(&ms, 50.0), percentile(&ms, 99.0));
        figures.push(Figure::beside(
            &format!("  {kind}: p50, p99"),
            format!("{} ms, {} ms", short(middle), short(late)),
        ));
        all.extend(ms);
    }
    let over_all = percentile(&all, 99.0);
    figures.insert(
        0,
        Figure::at_most("search over 400,000 products, any length, p99", over_all, 30.0, " ms"),
    );
    figures
}

/// Seconds until the first page, and megabytes at rest.
fn started(desk: &Path, list: &BigList) -> Result<(f64, f64), Fault> {
    let programs = Programs::beside_this_one()?;
    let (page, config) = (free_port(), desk.join("config.toml"));
    let (data, admission) = (&list.data, &list.admission);
    std::fs::write(
        &config,
        format!(
            "device = \"{DEVICE}\"\nrole = \"pos\"\ndata = {data:?}\nadmission = {admission:?}\nlisten = \"{page}\"\n"
        ),
    )?;
    let config = config.to_str().ok_or("the folder's name is no text")?;
    let (mut slowest, mut rss_mb) = (0.0_f64, 0.0);
    for start in 0..STARTS {
        let begun = Instant::now();
        let mut process = Process::start(
            &programs,
            &programs.appliance,
            &["run", "--config", config],
            &desk.join("log.txt"),
            None,
        )?;
        if !wait_for(Duration::from_secs(READY_S_MAX), || answers(page)) {
            return Err(format!("the pos does not answer: {}", process.last_words()).into());
        }
        slowest = slowest.max(begun.elapsed().as_secs_f64());
        if start == STARTS - 1 {
            std::thread::sleep(Duration::from_secs(REST_S));
            rss_mb = resident_mb(process.pid())?;
        }
        process.stop();
    }
    Ok((slowest, rss_mb))
}

fn answers(page: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut line = TcpStream::connect(page)?;
        write!(line, "GET /signon HTTP/1.1\r\nHost: {page}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        line.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// What the kernel holds of a process in memory.
fn resident_mb(pid: u32) -> Result<f64, Fault> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("VmRSS is missing")?;
    Ok(kib.trim().parse::<f64>()? * 1_024.0 / 1e6)
}
