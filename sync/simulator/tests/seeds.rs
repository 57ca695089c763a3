//! Seeds that once found a bug, and the same seed twice

use selvedge_simulator::scheme::Size;
use selvedge_simulator::world;
use std::process::{Command, Output};

fn simulate(options: &[&str]) -> Output {
    let done = Command::new(env!("CARGO_BIN_EXE_selvedge-simulator")).args(options).output();
    done.expect("the simulator starts")
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().last().unwrap_or_default().to_owned()
}

#[test]
fn the_same_seed_gives_the_same_digest_in_another_process() {
    let digest = |seed| last_line(&simulate(&["--seed", seed, "--minutes", "5"]));
    assert_eq!(digest("11"), digest("11"));
    assert_ne!(digest("11"), digest("12"));
}

#[test]
fn one_seed_alone_goes_as_it_does_among_others() {
    let many = ["--seeds", "3", "--from", "11", "--minutes", "3"];
    let jobs = |count| last_line(&simulate(&[many.as_slice(), &["--jobs", count]].concat()));
    assert_eq!(jobs("1"), jobs("3"));
}

#[test]
fn seeds_that_found_a_bug_find_nothing_any_more() {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let seed = line.split_whitespace().next().and_then(|word| word.parse().ok());
        let seed = seed.unwrap_or_else(|| panic!("a line starts with a seed: {line}"));
        let size = Size { minutes: 30, sale_every_ms: 15_000, ..Size::default() };
        if let Err(violation) = world::run(seed, size) {
            panic!("{violation}\nfound before: {line}");
        }
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let output = simulate(&["--seeds", "1", "--stores", "0"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("at least one store"));
}
