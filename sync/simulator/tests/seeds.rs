//! Seeds that once found a bug, and the same seed twice

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
        let (run, _) = line.split_once(" : ").unwrap_or_else(|| panic!("no colon in: {line}"));
        let words: Vec<&str> = ["--seed"].into_iter().chain(run.split_whitespace()).collect();
        let output = simulate(&words);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\nfound before: {line}");
    }
}

#[test]
fn a_seed_ends_alike_on_disks_in_memory_and_on_disks_in_files() {
    let run = ["--seeds", "4", "--from", "21", "--minutes", "2"];
    let in_files = [run.as_slice(), &["--files"]].concat();
    assert_eq!(last_line(&simulate(&run)), last_line(&simulate(&in_files)));
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let output = simulate(&["--seeds", "1", "--stores", "0"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("at least one store"));
}
