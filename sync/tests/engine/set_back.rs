//! A device that was set back loses nothing that it had sold

use crate::compaction::keep_twice;
use crate::desk::{Desk, Place, authority, store_stream};
use crate::forks::{equal, restart, sell, store_with_spares, sum, swap};
use crate::lacking::rot_in;
use crate::persons::{PERSONS, enrol};
use crate::snapshots::{brisk, with_settings};
use selvedge_sync::allow_list::Row;
use selvedge_sync::origin::{Origin, Role, Stream};
use selvedge_sync::talk::{Event, Input};
use selvedge_sync::writer::WriterState;

const HQ: usize = 0;
const OFFICE: usize = 1;
const POS: usize = 2;

/// A pos gets an old disk, of which the others have trimmed the log meanwhile, and has sold on it before anybody told it.
fn set_back_behind_the_log(sold: &[(i64, i64)]) -> Desk {
    let mut desk = with_settings(store_with_spares(1), brisk);
    desk.pass(2_000);
    for _ in 0..3 {
        sell(&mut desk, POS, 1);
    }
    desk.pass(1_000);
    let image = desk.places[POS].image();
    for _ in 0..40 {
        sell(&mut desk, POS, 1);
        desk.pass(300);
    }
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    let pos = desk.places[POS].row.origin;
    assert!(desk.places[OFFICE].replica.floor(store_stream(), pos) > 10);
    swap(&mut desk, POS, |place| place.with_disk(image));
    for sale in sold {
        desk.places[POS].act(6, &[*sale]);
    }
    desk.cable(POS, true);
    desk.pass(30_000);
    desk
}

#[test]
fn a_device_that_lacks_the_log_hears_of_its_new_origin_all_the_same() {
    let mut desk = set_back_behind_the_log(&[]);
    assert!(desk.events.contains(&Event::MayNotWrite { state: WriterState::Stale }));
    restart(&mut desk, POS);
    desk.pass(30_000);
    assert_eq!(desk.places[POS].replica.identity().origin, Origin::new(101).unwrap());
    assert_eq!(desk.places[POS].replica.writer_state(), WriterState::Ready);
    assert_eq!(sum(&desk, HQ, 1), -43, "nothing is written anew that was taken");
    equal(&desk);
}

#[test]
fn what_it_sold_on_the_old_disk_is_written_anew_though_nobody_has_the_log_beside_it() {
    let mut desk = set_back_behind_the_log(&[(7, -1), (8, -2)]);
    restart(&mut desk, POS);
    desk.pass(30_000);
    assert_eq!((sum(&desk, HQ, 7), sum(&desk, HQ, 8)), (-1, -2), "{:?}", desk.events);
    assert_eq!(sum(&desk, HQ, 1), -43, "and nothing is written anew that was taken");
    sell(&mut desk, POS, 1);
    desk.pass(5_000);
    equal(&desk);
}

/// A place whose log is trimmed loses a page of its trade.
fn rotten_behind_the_log(at: usize) -> Desk {
    let mut desk = with_settings(store_with_spares(1), brisk);
    let spare =
        Row::spare(Origin::new(111).unwrap(), 1, Role::BackOffice, "R2", authority().as_ref());
    desk.places[HQ].admit(2, &spare);
    desk.tell(HQ, Input::Wrote);
    desk.pass(2_000);
    for no in 0..40 {
        sell(&mut desk, POS, 1 + no % 2);
        desk.pass(300);
    }
    sell(&mut desk, OFFICE, 3);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    let pos = desk.places[POS].row.origin;
    assert!(desk.places[at].replica.floor(store_stream(), pos) > 10);
    desk.cable(at, false);
    desk.places[at].act(6, &[(7, -1)]);
    desk.places[at].act(6, &[(8, -2)]);
    rot_in(&mut desk, at, ("part", 0), &[]);
    desk
}

#[test]
fn a_rotten_database_whose_log_is_trimmed_goes_on_with_a_snapshot_under_another_origin() {
    for (at, origin) in [(POS, 101), (OFFICE, 111)] {
        let mut desk = rotten_behind_the_log(at);
        assert_eq!(desk.places[at].replica.writer_state(), WriterState::Stale);
        for child in 1..3 {
            desk.cable(child, true);
        }
        desk.pass(30_000);
        restart(&mut desk, at);
        desk.cable(POS, true);
        desk.pass(60_000);
        let replica = &desk.places[at].replica;
        assert_eq!(replica.identity().origin, Origin::new(origin).unwrap());
        assert_eq!(replica.writer_state(), WriterState::Ready, "{:?}", desk.events);
        assert_eq!((sum(&desk, HQ, 7), sum(&desk, HQ, 8)), (-1, -2), "{:?}", desk.events);
        sell(&mut desk, at, 1);
        desk.pass(5_000);
        equal(&desk);
    }
}

#[test]
fn a_sealed_name_comes_along_when_its_entry_is_written_anew() {
    let mut desk = store_with_spares(1);
    desk.places = desk.places.into_iter().map(|place| place.reopened(&[PERSONS])).collect();
    for at in 1..3 {
        desk.cable(at, true);
    }
    desk.pass(2_000);
    let image = desk.places[POS].image();
    sell(&mut desk, POS, 1);
    desk.pass(1_000);
    let old = |place: Place| {
        let row = place.row.clone();
        drop(place);
        Place::started_with(image, row, &[PERSONS])
    };
    swap(&mut desk, POS, old);
    enrol(&mut desk.places[POS], 10);
    desk.tell(POS, Input::Wrote);
    desk.cable(POS, true);
    desk.pass(3_000);
    swap(&mut desk, POS, |place| {
        assert!(place.replica.halted().is_some());
        let row = place.row.clone();
        Place::started_with(place.left(), row, &[PERSONS])
    });
    desk.cable(POS, true);
    desk.pass(5_000);
    assert_eq!(desk.places[POS].replica.writer_state(), WriterState::Ready, "{:?}", desk.events);
    let kept = "SELECT count(*) FROM person JOIN private_blob ON hash = name";
    for place in &desk.places {
        let found: i64 = place.replica.db().query_row(kept, [], |row| row.get(0)).unwrap();
        assert_eq!(found, 1, "{:?}", place.row.device);
    }
}

#[test]
fn a_device_that_was_set_back_to_before_it_knew_its_parent_learns_of_it_from_a_snapshot() {
    let mut desk = with_settings(store_with_spares(1), brisk);
    desk.pass(2_000);
    for thing in 0..40 {
        sell(&mut desk, POS, 1);
        let rate = "INSERT INTO rate VALUES (?1, 1, NULL)";
        desk.places[HQ].write(5, |tx| tx.execute(rate, [thing])).unwrap();
        desk.tell(HQ, Input::Wrote);
        desk.pass(300);
    }
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    let (pos, hq) = (desk.places[POS].row.clone(), desk.places[HQ].row.clone());
    assert!(desk.places[OFFICE].replica.floor(Stream::CHAIN, hq.origin) > 0);
    let mut first = Place::new(&pos, &[&hq], true);
    first.act(5, &[(7, -1)]);
    let image = first.left();
    swap(&mut desk, POS, |place| place.with_disk(image));
    desk.cable(POS, true);
    desk.pass(30_000);
    restart(&mut desk, POS);
    desk.pass(30_000);
    assert_eq!(desk.places[POS].replica.identity().origin, Origin::new(101).unwrap());
    assert_eq!((sum(&desk, HQ, 1), sum(&desk, HQ, 7)), (-40, -1), "{:?}", desk.events);
    equal(&desk);
}
