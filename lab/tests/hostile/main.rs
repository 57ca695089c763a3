//! Strings that mean harm, sent to every route and every field
//!
//! Each program runs here as it does in a store, with master data that means harm too. Its routes are read from its
//! source and its forms from its pages, so what is forgotten here turns red: a route that takes a form must have been
//! found on a page and attacked. After each answer it is asked whether what was sent came back as anything but text.

mod attack;
mod chain;
mod facts;
mod hq;
mod judge;
mod kiosk;
mod office;
mod pos;
mod routes;
mod strings;
mod wire;

/// How many strings are sent to each program at least.
const SENT_MIN: [(&str, usize); 4] =
    [("pos", 2_000), ("back office", 2_000), ("hq", 10_000), ("kiosk", 1_000)];

/// The figure of the requirement.
const ALL_SENT_MIN: usize = 10_000;

/// Says how many were sent, and fails when they are too few.
fn told(program: &str, sent: usize) {
    println!("{program}: {sent} hostile strings sent");
    let min = SENT_MIN.iter().find(|min| min.0 == program).expect("a program has its least").1;
    assert!(sent >= min, "{program} was sent {sent} strings, {min} are wanted");
}

#[test]
fn the_programs_together_are_sent_what_the_figure_says() {
    let sum: usize = SENT_MIN.iter().map(|min| min.1).sum();
    assert!(sum >= ALL_SENT_MIN, "{sum}");
}
