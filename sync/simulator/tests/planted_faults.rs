//! Planted faults are caught, each by one of the first seeds

use selvedge_simulator::scheme::Size;
use selvedge_simulator::verdict::Violation;
use selvedge_simulator::world;
use selvedge_sync::planted::{self, Fault};
use std::fs;
use std::panic::{self, AssertUnwindSafe};

/// A fault that takes more seeds than this is not caught.
const SEEDS_MAX: u64 = 100;

/// A fault that takes more time of a processor than this is not caught.
const CPU_MS_MAX: u64 = 60_000;

/// What a tick of the kernel's own count is.
const TICK_MS: u64 = 10;

/// Small, so that a hundred runs stay cheap.
const SIZE: Size = Size { stores: 2, pos: 2, minutes: 8, sale_every_ms: 8_000 };

/// How a fault was caught.
#[derive(Debug)]
struct Caught {
    seed: u64,
    cpu_ms: u64,
    how: String,
}

/// What this thread has used of a processor, as the kernel counts it.
fn cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("the kernel counts");
    let (_, after_name) = stat.rsplit_once(')').expect("the name stands in brackets");
    let ticks = |at: usize| after_name.split_whitespace().nth(at)?.parse::<u64>().ok();
    let used = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    used.expect("fields 14 and 15 are times") * TICK_MS
}

/// The first seed that catches a fault, and how. An assertion of the engine counts: it stays on in release builds.
fn catch(fault: Fault) -> Option<Caught> {
    let began_ms = cpu_ms();
    planted::set(Some(fault));
    let found = (1..=SEEDS_MAX).find_map(|seed| {
        let how = match panic::catch_unwind(AssertUnwindSafe(|| world::run(seed, SIZE))) {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some(short(&violation)),
            Err(_) => Some("an assertion of the engine".to_owned()),
        };
        let cpu_ms = cpu_ms() - began_ms;
        match how {
            Some(how) => Some(Some(Caught { seed, cpu_ms, how })),
            None if cpu_ms > CPU_MS_MAX => Some(None),
            None => None,
        }
    });
    planted::set(None);
    found.flatten().filter(|caught| caught.cpu_ms <= CPU_MS_MAX)
}

fn short(violation: &Violation) -> String {
    format!("{}: {}", violation.invariant, violation.what)
}

#[test]
fn every_planted_fault_is_caught() {
    // An assertion that catches a fault would fill the report with the story of its panic.
    panic::set_hook(Box::new(|_| {}));
    println!("| planted | seed | CPU ms | caught by |\n| --- | --- | --- | --- |");
    let mut missed = Vec::new();
    for fault in Fault::ALL {
        match catch(*fault) {
            Some(Caught { seed, cpu_ms, how }) => {
                println!("| {fault:?} | {seed} | {cpu_ms} | {how} |")
            }
            None => {
                println!("| {fault:?} | - | - | NOT CAUGHT |");
                missed.push(fault);
            }
        }
    }
    drop(panic::take_hook());
    let all = Fault::ALL.len();
    assert!(missed.is_empty(), "{} of {all} were not caught: {missed:?}", missed.len());
}

#[test]
fn without_a_fault_the_same_seeds_break_nothing() {
    for seed in 1..=5 {
        let report = world::run(seed, SIZE);
        assert!(report.is_ok(), "{}", report.unwrap_err());
    }
}
