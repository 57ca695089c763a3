//! Readers of people's texts keep their word

use lab::text_fuzz::{self, GROWTH_KIB_MAX};
use selvedge_simulator::fuzz::{self, Fuzzed};

/// Mutants of each reader; a quarter of it for files, which are imported into an HQ.
const INPUTS: u64 = 800;

#[test]
fn no_file_and_no_settings_break_what_reads_them() {
    text_fuzz::round(1, 20).unwrap();
    let before = fuzz::peak_kib();
    let mut all = Fuzzed::default();
    for (name, fuzzed) in text_fuzz::round(2, INPUTS).unwrap() {
        println!("{name:20} {fuzzed}");
        all.add(fuzzed);
    }
    let grown = fuzz::peak_kib() - before;
    println!("{all}; {grown} KiB of memory more");
    assert_eq!(all.broken, [""; 0]);
    assert!(all.alike > 100, "hardly anything is taken");
    assert!(before > 0 && grown < GROWTH_KIB_MAX, "{grown} KiB");
}
