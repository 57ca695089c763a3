//! Sealed names that were lost are asked for and given

use crate::compaction::keep_twice;
use crate::desk::{Desk, Place, row, store_stream};
use crate::persons::{PERSONS, desk, enrol};
use crate::snapshots::{brisk, with_settings};
#[cfg(feature = "planted")]
use selvedge_sync::planted::{self, Fault};
use selvedge_sync::{
    hlc::{Millis, Stamp},
    open::Migration,
    origin::Role,
    page_sum::PAGE_BYTES,
    private, rot,
    talk::{Input, Now, Output, PeerId},
    topics::Kind,
    wire::{AboutBlobs, Ack, Given, Hash},
};
use std::{fs, os::unix::fs::FileExt};

const PERSONS_THERE: i64 = 150;

fn count(place: &Place, sql: &str) -> i64 {
    place.replica.db().query_row(sql, [], |row| row.get(0)).unwrap()
}

const NAMES: &str = "SELECT count(*) FROM private_blob";

/// A store in which many persons are known to everybody.
fn enrolled() -> Desk {
    let mut desk = desk();
    for at in 0..PERSONS_THERE {
        enrol(&mut desk.places[2], 10 + at);
    }
    desk.tell(2, Input::Wrote);
    desk.pass(5_000);
    assert!(desk.places.iter().all(|place| count(place, NAMES) == PERSONS_THERE));
    desk
}

/// A page of names rots at a place, which is built anew.
fn rot_at(desk: &mut Desk, at: usize) {
    rot_in(desk, at, ("private_blob", 2), &[PERSONS]);
}

/// The same of any table: its page with this place among those that hold rows.
pub fn rot_in(desk: &mut Desk, at: usize, (table, nth): (&str, i64), newer: &[Migration]) {
    let place = desk.places.remove(at);
    let leaves = "SELECT pageno FROM dbstat WHERE name = ?1 AND pagetype = 'leaf'
                  ORDER BY path LIMIT 1 OFFSET ?2";
    let page: i64 = place.replica.db().query_row(leaves, (table, nth), |row| row.get(0)).unwrap();
    let page = page.cast_unsigned();
    let (row, dir) = (place.row.clone(), place.left());
    let path = dir.path().join("store.db");
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    let (mut byte, place) = ([0], (page - 1) * PAGE_BYTES as u64 + 1_000);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], place).unwrap();
    fs::write(rot::mark_beside(&path), "").unwrap();
    desk.places.insert(at, Place::started_with(dir, row, newer));
}

/// How many names a back office has some time after a page of them has rotted.
#[cfg(feature = "planted")]
fn names_after_rot() -> i64 {
    let mut desk = enrolled();
    rot_at(&mut desk, 1);
    for child in 1..4 {
        desk.cable(child, true);
    }
    desk.pass(25_000);
    count(&desk.places[1], NAMES)
}

#[test]
#[cfg(feature = "planted")]
fn a_replica_that_does_not_ask_is_found_out() {
    assert_eq!(names_after_rot(), PERSONS_THERE);
    planted::set(Some(Fault::LackingForgotten));
    assert!(names_after_rot() < PERSONS_THERE);
    planted::set(None);
}

#[test]
fn only_the_names_of_a_rotten_page_are_lost_and_others_give_them_back() {
    let mut desk = enrolled();
    rot_at(&mut desk, 1);
    let left = count(&desk.places[1], NAMES);
    let lacking = count(&desk.places[1], "SELECT count(*) FROM sync_lacking");
    assert_eq!(left + lacking, PERSONS_THERE);
    assert!((10..60).contains(&lacking), "{lacking} names lay on one page");
    for child in 1..4 {
        desk.cable(child, true);
    }
    desk.pass(25_000);
    assert_eq!(count(&desk.places[1], NAMES), PERSONS_THERE);
    assert_eq!(count(&desk.places[1], "SELECT count(*) FROM sync_lacking"), 0);
    assert!(desk.events.is_empty(), "{:?}", desk.events);
}

#[test]
fn names_whose_entries_are_trimmed_are_given_back_too() {
    let mut desk = with_settings(enrolled(), brisk);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    let pos = desk.places[2].row.origin;
    assert!(desk.places[2].replica.floor(store_stream(), pos) > 100);
    rot_at(&mut desk, 2);
    let lacking = count(&desk.places[2], "SELECT count(*) FROM sync_lacking");
    assert!((10..60).contains(&lacking), "{lacking} names lay on one page");
    desk.cable(2, true);
    desk.pass(25_000);
    assert_eq!(count(&desk.places[2], NAMES), PERSONS_THERE);
}

// HQ got the entries while the back office had no names to send with them.
#[test]
fn whoever_got_entries_without_their_names_gets_these_too() {
    let mut desk = desk();
    desk.cable(1, false);
    enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    desk.cable(2, false);
    desk.places[1]
        .replica
        .db()
        .execute_batch(
            "INSERT INTO sync_lacking SELECT hash, origin, stream, seq FROM private_blob;
             DELETE FROM private_blob",
        )
        .unwrap();
    desk.cable(3, false);
    desk.cable(1, true);
    desk.pass(2_000);
    let person = "SELECT count(*) FROM person";
    assert_eq!((count(&desk.places[0], person), count(&desk.places[0], NAMES)), (1, 0));
    desk.cable(2, true);
    desk.pass(40_000);
    assert_eq!((count(&desk.places[1], NAMES), count(&desk.places[0], NAMES)), (1, 1));
}

/// Hands a place an ack of somebody, and gives what it answers about blobs.
fn ask(
    desk: &mut Desk,
    at: usize,
    from: PeerId,
    speaker: &Place,
    said: AboutBlobs,
) -> Option<Given> {
    let ack = Ack {
        nonce: 1,
        stamp: Stamp(1),
        heads: vec![],
        credit_live: 0,
        credit_bulk: 0,
        parked: 0,
        committed: vec![],
        kept_twice: vec![],
        generation: None,
        ages: vec![],
        digests: vec![],
        blobs: said,
        signer: speaker.row.origin,
    };
    let bytes = ack.encode(speaker.replica.keys().as_ref());
    desk.now += 1_000;
    let place = &mut desk.places[at];
    let now = Now { wall: Millis(1_700_000_100_000), steady: Millis(desk.now) };
    let input = Input::Message { from: from.clone(), kind: Kind::Ack, bytes };
    let outputs = place.hub.handle(&mut place.replica, now, vec![input]);
    outputs.into_iter().rev().find_map(|output| match output {
        Output::Send { to, kind: Kind::Ack, bytes } if to == from => {
            let unproven = Ack::decode(&bytes).unwrap();
            unproven.message().blobs.given.clone()
        }
        _ => None,
    })
}

fn hash_of_a_name(place: &Place) -> (Hash, Vec<u8>) {
    let sql = "SELECT hash, bytes FROM private_blob LIMIT 1";
    place.replica.db().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn a_name_goes_to_those_alone_who_take_its_stream() {
    let mut desk = desk();
    enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    let (hash, blob) = hash_of_a_name(&desk.places[0]);
    let stranger = row("s0002-b01", 9, 2, Role::BackOffice);
    desk.places[0].admit(30, &stranger);
    let stranger = Place::new(&stranger, &[], true);
    let said = AboutBlobs { lacks: vec![hash], given: None };
    let child = PeerId::Child(stranger.row.device.clone());
    let answer = ask(&mut desk, 0, child, &stranger, said.clone()).unwrap();
    assert_eq!(answer, Given { through: hash, blobs: vec![] });
    let office = desk.places.remove(1);
    desk.places.insert(1, Place::new(&row("s0001-b09", 8, 1, Role::BackOffice), &[], true));
    let child = PeerId::Child(office.row.device.clone());
    let answer = ask(&mut desk, 0, child, &office, said).unwrap();
    assert_eq!(answer, Given { through: hash, blobs: vec![blob] });
}

#[test]
fn a_blob_that_nobody_lacks_is_not_kept() {
    let mut desk = desk();
    let blob = private::lock(
        &[1; 32],
        &private::Field { subject: 5, table: 7, row: 5, column: 1 },
        b"Ada",
        [2; private::NONCE_BYTES],
    );
    let given = Some(Given { through: [9; 32], blobs: vec![blob] });
    let office = desk.places.remove(1);
    desk.places.insert(1, Place::new(&row("s0001-b09", 8, 1, Role::BackOffice), &[], true));
    ask(&mut desk, 2, PeerId::Parent, &office, AboutBlobs { lacks: vec![], given });
    assert_eq!(count(&desk.places[2], NAMES), 0);
}
