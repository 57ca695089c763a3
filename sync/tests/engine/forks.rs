//! One origin has one past: copies, old images, ends

use crate::desk::{Desk, Place, authority, row, store, store_stream};
use selvedge_sync::allow_list::{self, Row, State};
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::evidence;
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Origin, Role};
use selvedge_sync::outcome::WriteError;
use selvedge_sync::reissued;
use selvedge_sync::talk::{Event, Input};
use selvedge_sync::writer::WriterState;

const HQ: usize = 0;
const OFFICE: usize = 1;
const POS: usize = 2;

fn origin(number: u32) -> Origin {
    Origin::new(number).unwrap()
}

/// A store with spare origins for its pos: 101 and 102.
pub fn store_with_spares(pos: u32) -> Desk {
    let mut desk = store(pos);
    for number in [101, 102] {
        let spare = Row::spare(origin(number), 1, Role::Pos, "R1", authority().as_ref());
        desk.places[HQ].admit(2, &spare);
    }
    desk.tell(HQ, Input::Wrote);
    desk.pass(2_000);
    desk
}

pub fn sell(desk: &mut Desk, at: usize, thing: i64) {
    desk.places[at].act(5, &[(thing, -1)]);
    desk.tell(at, Input::Wrote);
}

/// The sum of a thing at a place.
pub fn sum(desk: &Desk, at: usize, thing: i64) -> i64 {
    let db = desk.places[at].replica.db();
    db.query_row("SELECT ifnull(sum(amount), 0) FROM part WHERE thing = ?1", [thing], |row| {
        row.get(0)
    })
    .unwrap()
}

/// Swaps the disk of a place; its line was down meanwhile.
pub fn swap(desk: &mut Desk, at: usize, change: impl FnOnce(Place) -> Place) {
    desk.cable(at, false);
    let place = desk.places.remove(at);
    desk.places.insert(at, change(place));
}

/// Restarts a place that has halted, as its shell would.
pub fn restart(desk: &mut Desk, at: usize) {
    assert!(desk.places[at].replica.halted().is_some(), "{:?}", desk.events);
    swap(desk, at, Place::restarted);
    desk.cable(at, true);
}

fn refused(desk: &mut Desk, at: usize) -> WriterState {
    let place = &mut desk.places[at];
    match place.write(9, |tx| tx.execute("INSERT INTO act (id, at) VALUES (row_id(), 1)", [])) {
        Err(WriteError::MayNotWrite(state)) => state,
        other => panic!("{other:?}"),
    }
}

/// HQ confirms what was handed out.
fn confirm(desk: &mut Desk) {
    let hq = &mut desk.places[HQ];
    let rows = hq.replica.rows_to_confirm(authority().as_ref()).unwrap();
    for row in rows {
        hq.replica.write(Millis(9), |tx| allow_list::insert(tx, &row)).unwrap();
    }
    desk.tell(HQ, Input::Wrote);
    desk.pass(5_000);
}

fn end(desk: &mut Desk, device: u32, state: State) {
    let hq = &mut desk.places[HQ];
    let row = hq.replica.known(origin(device)).unwrap().clone();
    let ended = hq.replica.ended(&row, state, authority().as_ref()).unwrap();
    hq.replica.write(Millis(9), |tx| allow_list::insert(tx, &ended)).unwrap();
    desk.tell(HQ, Input::Wrote);
}

pub fn equal(desk: &Desk) {
    let first = desk.places[HQ].holds();
    for place in &desk.places {
        assert_eq!(place.holds(), first, "{:?} {:?}", place.row.device, desk.events);
    }
}

#[test]
fn a_device_that_was_set_back_stops_and_goes_on_under_a_spare_origin() {
    let mut desk = store_with_spares(2);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    let image = desk.places[POS].image();
    for _ in 0..3 {
        sell(&mut desk, POS, 1);
    }
    desk.pass(1_000);
    swap(&mut desk, POS, |place| place.with_disk(image));
    desk.cable(POS, true);
    desk.pass(2_000);
    assert!(desk.events.contains(&Event::MayNotWrite { state: WriterState::Stale }));
    restart(&mut desk, POS);
    desk.pass(2_000);
    assert_eq!(desk.places[POS].replica.identity().origin, origin(101));
    sell(&mut desk, POS, 1);
    desk.pass(2_000);
    assert_eq!(sum(&desk, HQ, 1), -5);
    equal(&desk);
}

#[test]
fn what_a_copy_sold_is_written_anew_and_both_branches_are_kept() {
    let mut desk = store_with_spares(2);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    let image = desk.places[POS].image();
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    swap(&mut desk, POS, |place| place.with_disk(image));
    for _ in 0..2 {
        desk.places[POS].act(6, &[(7, -1), (8, -2)]);
    }
    desk.cable(POS, true);
    desk.pass(3_000);
    assert!(
        desk.events.contains(&Event::MayNotWrite { state: WriterState::Forked }),
        "{:?}",
        desk.events
    );
    restart(&mut desk, POS);
    desk.pass(3_000);
    confirm(&mut desk);
    assert_eq!((sum(&desk, HQ, 1), sum(&desk, HQ, 7), sum(&desk, HQ, 8)), (-2, -2, -4));
    equal(&desk);
    let pieces =
        |at: usize| evidence::pieces(desk.places[at].replica.db(), Some(origin(3))).unwrap();
    for at in [HQ, OFFICE] {
        let kept = pieces(at);
        assert!(kept.iter().any(|piece| piece.why == "fork" && piece.last == 3), "{at}: {kept:?}");
    }
    let anew = reissued::of(desk.places[HQ].replica.db(), origin(3)).unwrap();
    assert_eq!(anew.iter().map(|one| one.of_seq).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn two_boxes_with_one_image_go_on_under_two_origins() {
    let mut desk = store_with_spares(1);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    let image = desk.places[POS].image();
    sell(&mut desk, POS, 2);
    desk.pass(1_000);
    let first = std::mem::replace(
        &mut desk.places[POS],
        Place::new(&row("s0001-p09", 9, 1, Role::Pos), &[], true),
    );
    let pos_row = first.row.clone();
    // The copy sells alone, is found, and is given an origin.
    desk.places[POS] = Place::started(image, pos_row);
    desk.places[POS].act(6, &[(7, -1)]);
    desk.cable(POS, true);
    desk.pass(3_000);
    restart(&mut desk, POS);
    desk.pass(3_000);
    confirm(&mut desk);
    // The first box comes back, hears that its origin is closed, and is given another one.
    swap(&mut desk, POS, |_copy| first.restarted());
    desk.places[POS].act(7, &[(8, -1)]);
    desk.cable(POS, true);
    desk.pass(3_000);
    restart(&mut desk, POS);
    desk.pass(3_000);
    assert_eq!(desk.places[POS].replica.identity().origin, origin(102));
    confirm(&mut desk);
    assert_eq!([1, 2, 7, 8].map(|thing| sum(&desk, HQ, thing)), [-1; 4]);
    equal(&desk);
}

#[test]
fn what_comes_of_a_revoked_device_is_kept_and_not_applied() {
    let mut desk = store_with_spares(2);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    desk.cable(POS, false);
    end(&mut desk, 3, State::Revoked);
    desk.pass(2_000);
    sell(&mut desk, POS, 1);
    let late = desk.places[POS].replica.cut(store_stream(), origin(3), 2).unwrap().unwrap();
    let device = desk.places[POS].row.device.clone();
    desk.tell(
        OFFICE,
        Input::Message {
            from: selvedge_sync::talk::PeerId::Child(device),
            kind: selvedge_sync::topics::Kind::Live,
            bytes: late.encode(),
        },
    );
    desk.pass(2_000);
    for at in [HQ, OFFICE] {
        let db = desk.places[at].replica.db();
        assert_eq!(sum(&desk, at, 1), -1);
        let kept = evidence::pieces(db, Some(origin(3))).unwrap();
        assert_eq!(
            kept.iter().map(|piece| (&*piece.why, piece.first)).collect::<Vec<_>>(),
            [("cut", 2)]
        );
    }
}

#[test]
fn what_the_store_had_taken_before_it_heard_of_a_cut_counts_everywhere() {
    let mut desk = store_with_spares(2);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    desk.cable(OFFICE, false);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    end(&mut desk, 3, State::Closed);
    desk.cable(POS, false);
    sell(&mut desk, POS, 1);
    desk.cable(OFFICE, true);
    desk.pass(5_000);
    assert_eq!((sum(&desk, HQ, 1), sum(&desk, OFFICE, 1)), (-2, -2));
    // The rest of the pos is written anew.
    desk.cable(POS, true);
    desk.pass(3_000);
    restart(&mut desk, POS);
    desk.pass(3_000);
    confirm(&mut desk);
    assert_eq!(sum(&desk, HQ, 1), -3);
    equal(&desk);
}

#[test]
fn a_device_that_was_imaged_anew_writes_only_when_its_history_is_there() {
    let mut desk = store_with_spares(2);
    for _ in 0..20 {
        sell(&mut desk, POS, 1);
    }
    desk.pass(1_000);
    end(&mut desk, 3, State::Closed);
    let old = desk.places[HQ].replica.known(origin(3)).unwrap().clone();
    let new = Row::sign(
        origin(50),
        &old.device,
        1,
        Role::Pos,
        "T1b",
        crate::desk::keys(50).public(),
        authority().as_ref(),
    );
    desk.places[HQ].admit(9, &new);
    desk.tell(HQ, Input::Wrote);
    desk.pass(1_000);
    let hq = row("hq-w1", 1, 0, Role::Hq);
    swap(&mut desk, POS, |_gone| Place::new(&new, &[&hq, &old], true));
    assert_eq!(refused(&mut desk, POS), WriterState::Returning);
    desk.cable(POS, true);
    desk.pass(3_000);
    sell(&mut desk, POS, 1);
    desk.pass(2_000);
    assert_eq!(sum(&desk, HQ, 1), -21);
    equal(&desk);
}

#[test]
fn without_a_spare_origin_a_device_stays_stopped_and_its_parent_says_so() {
    let mut desk = store(1);
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    end(&mut desk, 3, State::Closed);
    desk.pass(3_000);
    assert_eq!(refused(&mut desk, POS), WriterState::Over);
    let told = |event: &Event| matches!(event, Event::Untended { reason } if reason.contains("no spare one left"));
    assert!(desk.events.iter().any(told), "{:?}", desk.events);
}
