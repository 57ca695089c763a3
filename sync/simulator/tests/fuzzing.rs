//! Parsers keep to their word whatever they are fed with

use selvedge_simulator::fuzz::{self, Fuzzed};

/// Mutants of each parser. `make fuzz` goes on where this ends.
const INPUTS: u64 = 3_000;

/// No head may ask for more than this, whatever it promises.
const GROWTH_KIB_MAX: u64 = 64 * 1024;

#[test]
fn no_parser_falls_or_has_a_second_form_or_believes_a_length() {
    fuzz::round(1, 50);
    let before = fuzz::peak_kib();
    let mut all = Fuzzed::default();
    for (name, fuzzed) in fuzz::round(2, INPUTS) {
        println!("{name:16} {fuzzed}");
        assert!(fuzzed.same + fuzzed.alike > 0, "{name} takes nothing");
        all.add(fuzzed);
    }
    let grown = fuzz::peak_kib() - before;
    println!("{all}; {grown} KiB of memory more");
    assert_eq!(all.broken, [""; 0]);
    assert!(before > 0 && grown < GROWTH_KIB_MAX, "{grown} KiB");
}
