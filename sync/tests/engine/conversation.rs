//! Whatever the line does, all replicas end up equal

use crate::desk::{Desk, store, store_stream};
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::talk::{HubSettings, Input, Now, PeerId};

fn equal(desk: &Desk) -> bool {
    let first = desk.places[0].holds();
    desk.places.iter().all(|place| place.holds() == first)
}

// Proves TS-01, TS-29, IM-05: a device writes for itself, its store and HQ hear of it.
#[test]
fn what_one_device_commits_all_hear() {
    let mut desk = store(2);
    desk.pass(2_000);
    desk.places[2].act(5, &[(1, -1), (2, -3)]);
    desk.tell(2, Input::Wrote);
    desk.pass(1_000);
    assert!(desk.places[0].holds().contains("sum 2 -3"));
    assert!(equal(&desk), "{:?}", desk.events);
}

// Proves TS-26: master data flows down, also what changed and what is gone.
#[test]
fn master_data_flows_down_from_headquarters() {
    let mut desk = store(2);
    desk.pass(2_000);
    for sql in [
        "INSERT INTO rate VALUES (1, 100, 'one'), (2, 200, NULL), (3, 300, NULL)",
        "UPDATE rate SET value = 150, name = NULL WHERE thing = 1",
        "DELETE FROM rate WHERE thing = 2",
        "INSERT INTO rate VALUES (3, 333, 'x') ON CONFLICT (thing) DO UPDATE SET value = excluded.value",
    ] {
        desk.places[0].write(5, |tx| tx.execute(sql, [])).unwrap();
        desk.tell(0, Input::Wrote);
    }
    desk.pass(2_000);
    assert!(
        desk.places[3].holds().contains("rate 1 150 -\nrate 3 333 -"),
        "{}",
        desk.places[3].holds()
    );
    assert!(equal(&desk));
}

// Proves TS-28, IM-01: both sides go on alone and agree once the line is back.
#[test]
fn a_cut_line_stops_nobody_and_nothing_is_lost() {
    let mut desk = store(2);
    desk.pass(2_000);
    desk.cable(1, false);
    desk.cable(2, false);
    for at in 0..300 {
        desk.places[2].act(10 + at, &[(1, 1)]);
        desk.places[3].act(10 + at, &[(1, 1), (2, 1)]);
        desk.tell(3, Input::Wrote);
    }
    desk.pass(30_000);
    assert!(!equal(&desk));
    desk.cable(1, true);
    desk.cable(2, true);
    desk.pass(5_000);
    assert!(desk.places[0].holds().contains("sum 1 600"), "{:?}", desk.events);
    assert!(equal(&desk));
}

// Proves IM-07, IM-08: lost, doubled and late messages change nothing in the end.
#[test]
fn a_line_that_loses_and_doubles_ends_equal() {
    let mut desk = store(2);
    desk.lose_every = 3;
    desk.double = true;
    for at in 0..100 {
        desk.places[2].act(10 + at, &[(at, 1)]);
        desk.tell(2, Input::Wrote);
        desk.places[3].act(10 + at, &[(at, 2)]);
        desk.tell(3, Input::Wrote);
        desk.pass(300);
    }
    desk.pass(120_000);
    assert!(equal(&desk), "{:?}", desk.events.last());
    let counted: i64 = desk.places[0]
        .replica
        .db()
        .query_row(
            "SELECT count(*) FROM sync_entry WHERE stream = 1 AND origin IN (3, 4)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(counted, 200);
}

#[test]
fn a_device_learns_what_headquarters_has_committed() {
    let mut desk = store(1);
    desk.pass(2_000);
    let seq = desk.places[2].act(5, &[(1, 1)]);
    desk.tell(2, Input::Wrote);
    desk.pass(1_000);
    let now = Now { wall: Millis(0), steady: Millis(desk.now) };
    let status = desk.places[2].hub.status(&desk.places[2].replica, now);
    assert_eq!((status.own_head, status.parent_has, status.hq_has), (seq, seq, seq));
    assert_eq!(status.reason, "");
}

#[test]
fn a_device_that_lost_what_it_was_told_is_told_again() {
    let mut desk = store(1);
    desk.pass(2_000);
    let seq = desk.places[2].act(5, &[(1, 1)]);
    desk.tell(2, Input::Wrote);
    desk.pass(1_000);
    // A power cut before the marks were kept: the device knows only its own log, and its parent did not notice.
    let place = &mut desk.places[2];
    place.replica.db().execute("DELETE FROM sync_mark", []).unwrap();
    let settings = HubSettings::default();
    place.hub = Hub::new(&place.replica, settings, 2).unwrap();
    desk.tell(2, Input::Up(PeerId::Parent));
    desk.pass(1_000);
    let now = Now { wall: Millis(0), steady: Millis(desk.now) };
    let status = desk.places[2].hub.status(&desk.places[2].replica, now);
    assert_eq!((status.parent_has, status.hq_has), (seq, seq));
}

#[test]
fn a_relay_passes_on_under_the_seal_of_the_origin() {
    let mut desk = store(1);
    desk.pass(2_000);
    desk.cable(1, false);
    for at in 0..2_500 {
        desk.places[2].act(10 + at, &[(1, 1)]);
        if at % 7 == 0 {
            desk.tell(2, Input::Wrote);
            desk.pass(100);
        }
    }
    desk.pass(3_000);
    desk.cable(1, true);
    desk.pass(10_000);
    let origin = desk.places[2].row.origin;
    assert_eq!(desk.places[0].replica.head(store_stream(), origin).seq, 2_500);
    assert!(equal(&desk));
}
