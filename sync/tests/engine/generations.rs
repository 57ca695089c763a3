//! HQ may be lost and restored without losing anything

use crate::desk::{Desk, Place, authority, row, store, store_stream};
use selvedge_sync::{
    allow_list::Row,
    hlc::Millis,
    hub::Hub,
    origin::{Origin, Role, Stream},
    outcome::WriteError,
    succession::writer_of,
    talk::{HubSettings, Input, Now},
};

const HQ: usize = 0;
const OFFICE: usize = 1;
const POS: usize = 2;

fn old() -> Row {
    row("hq-w1", 1, 0, Role::Hq)
}

fn new() -> Row {
    row("hq-w1", writer_of(1).unwrap().get(), 0, Role::Hq)
}

fn price(desk: &mut Desk, thing: i64, value: i64) {
    let sql =
        "INSERT INTO rate VALUES (?1, ?2, NULL) ON CONFLICT DO UPDATE SET value = excluded.value";
    desk.places[HQ].write(5, |tx| tx.execute(sql, (thing, value))).unwrap();
    desk.tell(HQ, Input::Wrote);
}

fn equal(desk: &Desk) -> bool {
    let first = desk.places[HQ].holds();
    desk.places.iter().all(|place| place.holds() == first)
}

/// HQ's disk is lost and a copy takes its place; the cable to the store is out until it is plugged in again.
fn restore(desk: &mut Desk, image: tempfile::TempDir) -> Place {
    desk.cable(OFFICE, false);
    std::mem::replace(&mut desk.places[HQ], Place::restored(image, &old(), &new()))
}

fn succeed(desk: &mut Desk) {
    desk.places[HQ].replica.succeed(Millis(9), authority().as_ref()).unwrap();
    desk.tell(HQ, Input::Wrote);
}

fn parked(desk: &Desk, at: usize) -> Vec<(i64, String)> {
    let db = desk.places[at].replica.db();
    let mut select = db.prepare("SELECT seq, reason FROM sync_parked ORDER BY seq").unwrap();
    select
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

#[test]
fn a_restored_hq_takes_its_own_entries_back_before_it_writes_and_goes_on_under_a_new_number() {
    let mut desk = store(1);
    desk.pass(2_000);
    price(&mut desk, 1, 100);
    let image = desk.places[HQ].image();
    price(&mut desk, 1, 200);
    price(&mut desk, 2, 300);
    desk.pass(2_000);
    drop(restore(&mut desk, image));
    let refused = desk.places[HQ].write(5, |tx| tx.execute("DELETE FROM rate", []));
    assert!(matches!(refused, Err(WriteError::Stale(_))), "{refused:?}");
    desk.cable(OFFICE, true);
    desk.pass(5_000);
    assert!(desk.places[HQ].holds().contains("rate 1 200 -\nrate 2 300 -"));
    succeed(&mut desk);
    price(&mut desk, 2, 400);
    desk.pass(5_000);
    assert!(desk.places[POS].holds().contains("rate 2 400 -"), "{:?}", desk.events);
    assert!(equal(&desk));
    let own = desk.places[HQ].replica.identity().origin;
    assert_eq!(desk.places[POS].replica.head(Stream::CHAIN, own).seq, 2);
}

#[test]
fn entries_of_stores_that_a_restored_hq_had_lost_come_again() {
    let mut desk = store(1);
    desk.pass(2_000);
    let image = desk.places[HQ].image();
    let seq = desk.places[POS].act(5, &[(1, 1)]);
    desk.tell(POS, Input::Wrote);
    desk.pass(2_000);
    let has = |desk: &Desk| {
        let now = Now { wall: Millis(0), steady: Millis(desk.now) };
        let place = &desk.places[POS];
        place.hub.status(&place.replica, now).hq_has
    };
    assert_eq!(has(&desk), seq);
    drop(restore(&mut desk, image));
    desk.lose_every = 2;
    desk.cable(OFFICE, true);
    desk.pass(1_500);
    desk.lose_every = 0;
    desk.pass(20_000);
    assert!(equal(&desk), "{:?}", desk.events);
    assert_eq!(has(&desk), seq);
}

#[test]
fn what_a_store_heard_and_hq_had_forgotten_is_kept_and_taken_over() {
    let mut desk = store(1);
    desk.pass(2_000);
    price(&mut desk, 1, 100);
    price(&mut desk, 2, 200);
    desk.pass(2_000);
    let image = desk.places[HQ].image();
    price(&mut desk, 1, 111);
    price(&mut desk, 2, 222);
    price(&mut desk, 3, 333);
    desk.pass(2_000);
    let before = desk.places[OFFICE].replica.head(Stream::CHAIN, old().origin).seq;
    drop(restore(&mut desk, image));
    // Nobody is asked: the store was out of reach, and somebody decided not to wait for it.
    succeed(&mut desk);
    price(&mut desk, 2, 2);
    desk.cable(OFFICE, true);
    desk.pass(20_000);
    // What HQ has decided since stands; all else is as the store had heard it.
    let holds = desk.places[HQ].holds();
    assert!(holds.contains("rate 1 111 -\nrate 2 2 -\nrate 3 333 -"), "{holds}");
    assert!(equal(&desk), "{:?}", desk.events);
    for at in [HQ, OFFICE, POS] {
        let head = desk.places[at].replica.head(Stream::CHAIN, old().origin).seq;
        assert_eq!(head, before, "all have the evidence");
        let ended = parked(&desk, at);
        assert_eq!(ended.len(), 3, "{ended:?}");
        assert!(ended.iter().all(|(_, reason)| reason == "Ended"));
    }
}

#[test]
fn an_old_hq_that_comes_back_to_life_changes_nothing_and_hears_that_it_is_over() {
    let mut desk = store(1);
    desk.pass(2_000);
    price(&mut desk, 1, 100);
    desk.pass(2_000);
    let image = desk.places[HQ].image();
    let mut ghost = restore(&mut desk, image);
    desk.cable(OFFICE, true);
    desk.pass(2_000);
    succeed(&mut desk);
    desk.pass(5_000);
    desk.cable(OFFICE, false);
    let settings = HubSettings { has_parent: false, ..HubSettings::default() };
    ghost.hub = Hub::new(&ghost.replica, settings, 5).unwrap();
    ghost.write(5, |tx| tx.execute("UPDATE rate SET value = 666", [])).unwrap();
    std::mem::swap(&mut desk.places[HQ], &mut ghost);
    desk.cable(OFFICE, true);
    desk.pass(20_000);
    assert!(desk.places[POS].holds().contains("rate 1 100 -"), "nothing of it is applied");
    let refused = desk.places[HQ].write(5, |tx| tx.execute("UPDATE rate SET value = 667", []));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("HQ goes on as origin 65537"), "{refused}");
}

#[test]
fn a_generation_takes_part_only_once_its_predecessor_is_here_whole() {
    let mut desk = store(1);
    desk.pass(2_000);
    let image = desk.places[HQ].image();
    drop(restore(&mut desk, image));
    succeed(&mut desk);
    let hq = desk.places[HQ].replica.identity().origin;
    let first = |replica: &selvedge_sync::replica::Replica, origin: Origin| {
        replica.cut(Stream::CHAIN, origin, 1).unwrap().unwrap().encode()
    };
    let frame = first(&desk.places[HQ].replica, hq);
    let fresh = Place::new(&row("s0001-p02", 9, 1, Role::Pos), &[&old(), &new()], true);
    desk.places.push(fresh);
    desk.parents.push(Some(OFFICE));
    let message = Input::Message {
        from: selvedge_sync::talk::PeerId::Parent,
        kind: selvedge_sync::topics::Kind::Live,
        bytes: frame,
    };
    desk.tell(3, message);
    assert_eq!(desk.places[3].replica.head(Stream::CHAIN, hq).seq, 0);
    assert_eq!(desk.places[3].replica.head(store_stream(), hq).seq, 0);
}

#[test]
fn a_handover_that_is_not_hqs_is_refused() {
    let desk = store(1);
    let [_, office, _] = <[Place; 3]>::try_from(desk.places).unwrap_or_else(|_| panic!("three"));
    let refused = office.replica.hand_over(&new()).unwrap_err();
    assert!(refused.to_string().contains("only HQ"));
}
