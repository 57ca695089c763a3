//! A store's box may be dead for days, and its devices go on

use crate::desk::{Desk, authority, row, store};
use selvedge_sync::{
    allow_list,
    hlc::Millis,
    hub::Hub,
    origin::{DeviceId, Role},
    talk::{Event, HubSettings, Input, Now, PeerId},
};

const HQ: usize = 0;
const OFFICE: usize = 1;
const FIRST: usize = 2;
const SECOND: usize = 3;

fn device(name: &str) -> DeviceId {
    DeviceId::new(name).unwrap()
}

/// A store of two pos whose devices have a line of their own to each of these.
fn with_lines(lines: &[(usize, &[&str])]) -> Desk {
    let mut desk = store(2);
    desk.pass(2_000);
    for (at, names) in lines {
        let lines: Vec<DeviceId> = names.iter().map(|name| device(name)).collect();
        let settings =
            HubSettings { lines: lines.clone(), slice_rows: 7, ..HubSettings::default() };
        desk.places[*at].hub = Hub::new(&desk.places[*at].replica, settings, 3).unwrap();
        for line in lines {
            desk.tell(*at, Input::Up(PeerId::Above(line)));
        }
    }
    desk
}

fn parent_of(desk: &Desk, at: usize) -> &str {
    desk.places[at].hub.parent().unwrap().as_str()
}

fn sell(desk: &mut Desk, at: usize) -> u64 {
    let seq = desk.places[at].act(5, &[(1, 1)]);
    desk.tell(at, Input::Wrote);
    seq
}

fn has(desk: &Desk, at: usize) -> (u64, u64) {
    let now = Now { wall: Millis(0), steady: Millis(desk.now) };
    let status = desk.places[at].hub.status(&desk.places[at].replica, now);
    (status.parent_has, status.hq_has)
}

/// HQ signs a list of parents for a device.
fn sign(desk: &mut Desk, at: usize, names: &[&str]) {
    let parents = names.iter().map(|name| device(name)).collect();
    let row = desk.places[at].row.with_parents(parents, authority().as_ref());
    desk.places[HQ].replica.write(Millis(5), |tx| allow_list::insert(tx, &row)).unwrap();
    desk.places[at].row = row;
    desk.tell(HQ, Input::Wrote);
    desk.pass(2_000);
}

#[test]
fn a_pos_whose_back_office_is_dead_reports_to_hq_and_returns_when_it_is_back() {
    let mut desk = with_lines(&[(FIRST, &["s0001-b01", "hq-w1"]), (OFFICE, &["hq-w1"])]);
    desk.pass(5_000);
    assert_eq!(parent_of(&desk, FIRST), "s0001-b01");
    desk.dead.insert(OFFICE);
    let seq = sell(&mut desk, FIRST);
    desk.pass(20_000);
    assert_eq!(parent_of(&desk, FIRST), "s0001-b01", "a short silence is none");
    desk.pass(20_000);
    assert_eq!(parent_of(&desk, FIRST), "hq-w1");
    assert_eq!(has(&desk, FIRST), (seq, seq));
    desk.dead.remove(&OFFICE);
    desk.pass(70_000);
    assert_eq!(parent_of(&desk, FIRST), "s0001-b01");
    let seq = sell(&mut desk, FIRST);
    desk.pass(2_000);
    assert_eq!(has(&desk, FIRST), (seq, seq));
    assert!(!desk.events.iter().any(|event| matches!(event, Event::Refused { .. })));
}

#[test]
fn what_the_parent_before_had_does_not_count_for_the_next() {
    let mut desk = with_lines(&[(FIRST, &["s0001-b01", "hq-w1"]), (OFFICE, &["hq-w1"])]);
    let seq = sell(&mut desk, FIRST);
    desk.pass(5_000);
    assert_eq!(has(&desk, FIRST).0, seq);
    desk.dead.extend([OFFICE, HQ]);
    desk.pass(40_000);
    assert_eq!(parent_of(&desk, FIRST), "hq-w1");
    assert_eq!(has(&desk, FIRST), (0, seq), "of this parent nothing is known yet");
}

#[test]
fn after_a_stop_what_the_last_parent_had_does_not_count_for_the_first() {
    let mut desk = with_lines(&[(FIRST, &["s0001-b01", "hq-w1"]), (OFFICE, &["hq-w1"])]);
    desk.pass(5_000);
    desk.dead.insert(OFFICE);
    let seq = sell(&mut desk, FIRST);
    desk.pass(60_000);
    assert_eq!((parent_of(&desk, FIRST), has(&desk, FIRST)), ("hq-w1", (seq, seq)));
    let lines = vec![device("s0001-b01"), device("hq-w1")];
    let settings = HubSettings { lines, ..HubSettings::default() };
    desk.places[FIRST].hub = Hub::new(&desk.places[FIRST].replica, settings, 4).unwrap();
    assert_eq!((parent_of(&desk, FIRST), has(&desk, FIRST)), ("s0001-b01", (0, seq)));
}

#[test]
fn a_pos_acts_as_back_office_where_hq_has_signed_it() {
    let mut desk = with_lines(&[
        (FIRST, &["s0001-b01", "hq-w1"]),
        (SECOND, &["s0001-b01", "s0001-p01"]),
        (OFFICE, &["hq-w1"]),
    ]);
    let list = ["s0001-b01", "s0001-p01", "hq-w1"];
    sign(&mut desk, FIRST, &list);
    sign(&mut desk, SECOND, &list);
    desk.dead.insert(OFFICE);
    desk.pass(40_000);
    assert_eq!((parent_of(&desk, FIRST), parent_of(&desk, SECOND)), ("hq-w1", "s0001-p01"));
    let seq = sell(&mut desk, SECOND);
    desk.pass(5_000);
    let office = row("s0001-p02", 4, 1, Role::Pos).origin;
    let stream = crate::desk::store_stream();
    assert_eq!(desk.places[HQ].replica.head(stream, office).seq, seq);
    assert_eq!(has(&desk, SECOND), (seq, seq), "{:?}", desk.events);
}

#[test]
fn a_pos_that_hq_has_not_named_is_nobodys_parent() {
    let mut desk = with_lines(&[(SECOND, &["s0001-p01"])]);
    sell(&mut desk, SECOND);
    desk.pass(15_000);
    assert_eq!(has(&desk, SECOND), (0, 0));
    let refused = |event: &Event| match event {
        Event::Refused { reason, .. } => reason.contains("s0001-p01 does not speak on this line"),
        _ => false,
    };
    assert!(desk.events.iter().any(refused), "{:?}", desk.events);
}

#[test]
fn two_who_report_to_each_other_by_different_lists_turn_to_the_next() {
    let mut desk = with_lines(&[
        (FIRST, &["s0001-p02", "hq-w1"]),
        (SECOND, &["s0001-p01", "hq-w1"]),
        (OFFICE, &["hq-w1"]),
    ]);
    sign(&mut desk, FIRST, &["s0001-p02", "s0001-p01", "hq-w1"]);
    sign(&mut desk, SECOND, &["s0001-p01", "s0001-p02", "hq-w1"]);
    desk.pass(120_000);
    let insert = "INSERT INTO rate VALUES (1, 77, NULL)";
    desk.places[HQ].write(5, |tx| tx.execute(insert, [])).unwrap();
    desk.tell(HQ, Input::Wrote);
    let seq = sell(&mut desk, FIRST);
    desk.pass(60_000);
    for at in [FIRST, SECOND] {
        assert!(desk.places[at].holds().contains("rate 1 77"), "{}", parent_of(&desk, at));
    }
    assert_eq!(has(&desk, FIRST).1, seq);
}
