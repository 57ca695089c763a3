//! Logs are trimmed only where all who count have it

use crate::desk::{Desk, store, store_stream};
use crate::snapshots::{brisk, with_settings};
use selvedge_sync::changelog;
use selvedge_sync::hub::Hub;
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::segment::Segments;
use selvedge_sync::talk::{Event, HubSettings, Input, PeerId};

const OFFICE: usize = 1;
const POS: usize = 2;

fn origin(desk: &Desk, place: usize) -> Origin {
    desk.places[place].row.origin
}

/// HQ has all that it has twice.
pub fn keep_twice(desk: &mut Desk, settings: &HubSettings) {
    let place = &mut desk.places[0];
    let heads: Vec<_> = [Stream::CHAIN, store_stream()]
        .into_iter()
        .flat_map(|stream| place.replica.heads_of(stream).map(move |head| (stream, head)))
        .map(|(stream, (origin, head))| (stream.number(), origin.get(), head.seq.cast_signed()))
        .collect();
    for mark in heads {
        let sql = "INSERT OR REPLACE INTO sync_mark VALUES ('twice', ?1, ?2, ?3)";
        place.replica.db().execute(sql, mark).unwrap();
    }
    place.hub = Hub::new(&place.replica, settings.clone(), 5).unwrap();
    let device = desk.places[OFFICE].row.device.clone();
    desk.tell(0, Input::Up(PeerId::Child(device)));
}

fn traded(pos: u32, acts: i64) -> Desk {
    let mut desk = with_settings(store(pos), brisk);
    desk.pass(2_000);
    for at in 0..acts {
        desk.places[POS].act(10 + at, &[(at % 5, 1)]);
        if at % 10 == 0 {
            desk.tell(POS, Input::Wrote);
            desk.pass(300);
        }
    }
    desk.tell(POS, Input::Wrote);
    desk.pass(5_000);
    desk
}

fn floor(desk: &Desk, place: usize) -> u64 {
    desk.places[place].replica.floor(store_stream(), origin(desk, POS))
}

fn equal(desk: &Desk) -> bool {
    let first = desk.places[0].holds();
    desk.places.iter().all(|place| place.holds() == first)
}

#[test]
fn nothing_is_trimmed_before_headquarters_has_it_twice() {
    let mut desk = traded(1, 50);
    desk.pass(60_000);
    assert_eq!((floor(&desk, 0), floor(&desk, OFFICE), floor(&desk, POS)), (0, 0, 0));
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    assert_eq!((floor(&desk, OFFICE), floor(&desk, POS)), (48, 48), "{:?}", desk.events);
    assert_eq!(floor(&desk, 0), 48, "HQ trims whole segments");
    assert!(equal(&desk));
}

#[test]
fn trade_goes_on_over_a_trimmed_log_and_over_a_restart() {
    let mut desk = traded(1, 50);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(120_000);
    let before = desk.places[POS].replica.head(store_stream(), origin(&desk, POS));
    let pos = desk.places.remove(POS).reopened(&[]);
    assert_eq!(pos.replica.head(store_stream(), pos.row.origin).chain, before.chain);
    desk.places.insert(POS, pos);
    let seq = desk.places[POS].act(900, &[(1, 1)]);
    assert_eq!(seq, 51);
    desk.tell(POS, Input::Wrote);
    desk.pass(15_000);
    assert!(equal(&desk), "{:?}", desk.events);
    let replica = &desk.places[POS].replica;
    let (own, floor) = (origin(&desk, POS), floor(&desk, POS));
    assert!(replica.cut(store_stream(), own, floor).unwrap().is_none());
    assert!(replica.cut(store_stream(), own, floor + 1).unwrap().is_some());
    let chain = changelog::chain_at(replica.db(), store_stream(), own, floor - 1);
    assert!(chain.is_err(), "what is trimmed is not made up");
}

#[test]
fn whoever_has_a_lease_is_waited_for_and_then_given_a_snapshot() {
    let mut desk = traded(2, 50);
    let dark = 3;
    desk.cable(dark, false);
    for at in 0..40 {
        desk.places[POS].act(900 + at, &[(1, 1)]);
        desk.places[dark].act(900 + at, &[(2, 1)]);
    }
    desk.tell(POS, Input::Wrote);
    desk.pass(5_000);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(60_000);
    assert_eq!(floor(&desk, POS), 88, "the pos itself needs nobody");
    assert_eq!(floor(&desk, OFFICE), 50, "the dark one lacks the others");
    desk.places[0].write(5, |tx| tx.execute("INSERT INTO rate VALUES (7, 1, NULL)", [])).unwrap();
    let short = HubSettings { lease_ms: 30_000, ..brisk(true) };
    desk.places[OFFICE].hub = Hub::new(&desk.places[OFFICE].replica, short, 8).unwrap();
    desk.tell(OFFICE, Input::Up(PeerId::Parent));
    let present = desk.places[POS].row.device.clone();
    desk.tell(OFFICE, Input::Up(PeerId::Child(present)));
    desk.pass(60_000);
    assert_eq!(floor(&desk, OFFICE), 88, "its lease is over");
    desk.cable(dark, true);
    desk.pass(15_000);
    let installed = desk.events.iter().filter(|event| matches!(event, Event::Installed { .. }));
    assert_eq!(installed.count(), 1, "{:?}", desk.events);
    assert!(equal(&desk), "its own tail went up, and all else came down");
}

#[test]
fn an_entry_that_is_parked_outlives_the_trimming() {
    let mut desk = traded(1, 3);
    let parked = |desk: &mut Desk| {
        let sql = "INSERT INTO sync_parked VALUES (?1, 1, 2, 'Constraint', 1, 'x', 0)";
        desk.places[OFFICE].replica.db().execute(sql, [origin(desk, POS).get()]).unwrap();
    };
    parked(&mut desk);
    for at in 0..40 {
        desk.places[POS].act(900 + at, &[(1, 1)]);
    }
    desk.tell(POS, Input::Wrote);
    desk.pass(5_000);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(60_000);
    assert_eq!(floor(&desk, OFFICE), 41);
    let db = desk.places[OFFICE].replica.db();
    let kept = changelog::read(db, store_stream(), origin(&desk, POS), 2, 1, u64::MAX).unwrap();
    assert_eq!(kept.len(), 1);
    let gone = changelog::read(db, store_stream(), origin(&desk, POS), 3, 1, u64::MAX).unwrap();
    assert_eq!(gone.len(), 0);
}

#[test]
fn a_watermark_for_another_past_trims_nothing() {
    let mut desk = traded(1, 30);
    keep_twice(&mut desk, &brisk(false));
    desk.places[POS].replica.db().execute("UPDATE sync_log SET chain = NULL", []).unwrap();
    let sql = "UPDATE sync_log SET entry = x'00' WHERE id & 0xffffffffff = 5";
    desk.places[POS].replica.db().execute(sql, []).unwrap();
    desk.pass(60_000);
    assert_eq!((floor(&desk, OFFICE), floor(&desk, POS)), (28, 0));
}

#[test]
fn what_headquarters_trims_lies_in_segments_that_prove_each_entry() {
    let mut desk = traded(1, 30);
    let before: Vec<Vec<u8>> = {
        let db = desk.places[0].replica.db();
        changelog::read(db, store_stream(), origin(&desk, POS), 1, 99, u64::MAX).unwrap()
    };
    keep_twice(&mut desk, &brisk(false));
    desk.pass(60_000);
    assert_eq!(floor(&desk, 0), 24);
    let replica = &desk.places[0].replica;
    let segments = Segments::open(replica.path(), None).unwrap();
    let key = (store_stream(), origin(&desk, POS));
    let public = replica.keys().public();
    let mut chain = selvedge_sync::seal::genesis(key.1, key.0);
    for seq in 1..=24 {
        let proof = segments.prove(key, seq).unwrap().expect("it is in a segment");
        assert_eq!(proof.entry, before[seq as usize - 1]);
        assert!(proof.holds(&public));
        let mut changed = proof.clone();
        changed.entry[0] ^= 1;
        assert!(!changed.holds(&public));
        let other = selvedge_sync::segment::Proof { seq: proof.seq + 1, ..proof.clone() };
        assert!(!other.holds(&public));
        if seq == proof.head.first {
            assert_eq!(proof.head.before, chain, "a segment continues the one before");
            chain = proof.head.after;
        }
    }
    assert!(segments.prove(key, 25).unwrap().is_none());
}
