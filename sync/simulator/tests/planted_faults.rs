//! Planted faults are caught, each by one of the first seeds

use selvedge_simulator::scheme::Size;
use selvedge_simulator::verdict::Violation;
use selvedge_simulator::world;
use selvedge_sync::planted::{self, Fault};
use std::panic::{self, AssertUnwindSafe};

/// A fault that takes more seeds than this is not caught.
const SEEDS_MAX: u64 = 100;

/// Small, so that a hundred runs stay cheap.
const SIZE: Size = Size { stores: 2, pos: 2, minutes: 8, sale_every_ms: 8_000 };

/// The first seed that catches a fault, and how. An assertion of the engine counts: it stays on in release builds.
fn caught(fault: Fault) -> Option<(u64, String)> {
    planted::set(Some(fault));
    let found = (1..=SEEDS_MAX).find_map(|seed| {
        match panic::catch_unwind(AssertUnwindSafe(|| world::run(seed, SIZE))) {
            Ok(Ok(_)) => None,
            Ok(Err(violation)) => Some((seed, short(&violation))),
            Err(_) => Some((seed, "an assertion of the engine".to_owned())),
        }
    });
    planted::set(None);
    found
}

fn short(violation: &Violation) -> String {
    format!("{}: {}", violation.invariant, violation.what)
}

#[test]
fn every_planted_fault_is_caught() {
    // An assertion that catches a fault would fill the report with the story of its panic.
    panic::set_hook(Box::new(|_| {}));
    let found: Vec<_> = Fault::ALL.into_iter().map(|fault| (fault, caught(fault))).collect();
    drop(panic::take_hook());
    for (fault, caught) in &found {
        match caught {
            Some((seed, how)) => println!("{fault:?}: seed {seed}, {how}"),
            None => println!("{fault:?}: NOT CAUGHT in {SEEDS_MAX} seeds"),
        }
    }
    let missed: Vec<_> = found.iter().filter(|found| found.1.is_none()).collect();
    assert!(
        missed.is_empty(),
        "{} of {} planted faults were not caught: {missed:?}",
        missed.len(),
        found.len()
    );
}

#[test]
fn without_a_fault_the_same_seeds_break_nothing() {
    for seed in 1..=5 {
        let report = world::run(seed, SIZE);
        assert!(report.is_ok(), "{}", report.unwrap_err());
    }
}
