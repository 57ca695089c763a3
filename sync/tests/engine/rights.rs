//! Rights: nobody spends what another holds, nothing waits

use crate::desk::{Desk, Place, authority, store};
use crate::forks::{restart, swap};
use selvedge_sync::{
    allow_list::Row,
    escrow::{self, EscrowError, Taken},
    hlc::Millis,
    origin::{Origin, Role},
    outcome::WriteError,
    rights::{FOR_GOOD, Holder, LOST_AFTER_MS, Right},
    talk::Input,
    writer::WriterState,
};

/// Stock of store 1 that the store lends out.
const SHIRT: Right = Right { pool: 1, item: 7 };

fn deed<T>(
    place: &mut Place,
    now: i64,
    deed: impl FnOnce(&rusqlite::Transaction<'_>, &Holder, i64) -> Result<T, EscrowError>,
) -> Result<T, String> {
    let (me, at) = (place.replica.identity().holder(), place.replica.lease_time(Millis(now)));
    let done = place.replica.write(Millis(now), |tx| deed(tx, &me, at));
    done.map(|done| done.value).map_err(|cause| cause.to_string())
}

fn usable(place: &Place, now: i64) -> i64 {
    let me = place.replica.identity().holder();
    let held = escrow::held(place.replica.db(), &me, SHIRT).unwrap();
    selvedge_sync::rights::choose(&held, i64::MAX, now).0.iter().map(|part| part.units).sum()
}

/// HQ, a back office and two pos; the back office holds six and lends two to the first pos until 1,000.
fn lent() -> (Desk, i64) {
    let mut desk = store(2);
    desk.pass(2_000);
    let pos = desk.places[2].replica.identity().holder();
    deed(&mut desk.places[1], 10, |tx, me, at| escrow::issue(tx, me, SHIRT, 6, at)).unwrap();
    let lease = deed(&mut desk.places[1], 20, |tx, me, at| {
        escrow::grant(tx, me, SHIRT, 2, &pos, 1_000, at)
    });
    desk.tell(1, Input::Wrote);
    desk.pass(2_000);
    (desk, lease.unwrap()[0])
}

#[test]
fn a_pos_spends_what_it_was_lent_and_no_more() {
    let (mut desk, _) = lent();
    let spend = |units| {
        move |tx: &rusqlite::Transaction<'_>, me: &Holder, at| {
            escrow::spend(tx, me, SHIRT, units, at, None)
        }
    };
    assert_eq!(usable(&desk.places[2], 30), 2);
    let refused = deed(&mut desk.places[2], 30, spend(3)).unwrap_err();
    assert_eq!(
        refused,
        "3 of item 7 are wanted, 2 may be used here: ask for more rights, or overdraw"
    );
    deed(&mut desk.places[2], 30, spend(2)).unwrap();
    assert_eq!(usable(&desk.places[2], 30), 0);
    assert!(deed(&mut desk.places[3], 30, spend(1)).is_err());
    // Its own SQL gets nobody round the floor.
    let forged = desk.places[2].replica.write(Millis(40), |tx| {
        tx.execute(
            "INSERT INTO right_move (id, store, step, pool, item, units, from_store, from_device, of_lease, at)
             VALUES (row_id(), 1, 3, 1, 7, 1, 1, 's0001-p01', 0, 40)",
            [],
        )
    });
    assert!(matches!(forged, Err(WriteError::Rights(EscrowError::NoRights { .. }))));
}

#[test]
fn a_checkout_goes_on_without_rights_and_one_fact_says_so() {
    let (mut desk, _) = lent();
    let taken =
        deed(&mut desk.places[2], 30, |tx, me, at| escrow::take(tx, me, SHIRT, 5, at, Some(77)));
    assert_eq!(taken, Ok(Taken { spent: 2, overdrawn: 3 }));
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    let told: (i64, i64, i64) = desk.places[0]
        .replica
        .db()
        .query_row(
            "SELECT count(*), sum(units), max(cause) FROM right_move WHERE step = 6",
            [],
            |row| row.try_into(),
        )
        .unwrap();
    assert_eq!(told, (1, 3, 77));
    assert_eq!(usable(&desk.places[1], 30), 4);
}

#[test]
fn what_is_left_of_a_lease_comes_back_when_it_ends() {
    let (mut desk, lease) = lent();
    let spend =
        |tx: &rusqlite::Transaction<'_>, me: &Holder, at| escrow::spend(tx, me, SHIRT, 1, at, None);
    deed(&mut desk.places[2], 999, spend).unwrap();
    assert!(deed(&mut desk.places[2], 1_000, spend).is_err());
    let me = desk.places[2].replica.identity().holder();
    assert_eq!(escrow::ended(desk.places[2].replica.db(), &me, 1_000).unwrap(), [lease]);
    let back = deed(&mut desk.places[2], 1_000, |tx, me, at| escrow::give_back(tx, me, lease, at));
    assert_eq!(back, Ok(1));
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    assert_eq!(usable(&desk.places[1], 1_000), 5);
}

#[test]
fn a_lender_takes_back_only_what_its_holder_cannot_spend_any_more() {
    let (mut desk, lease) = lent();
    let take =
        |tx: &rusqlite::Transaction<'_>, me: &Holder, at| escrow::take_back(tx, me, lease, at);
    let refused = deed(&mut desk.places[1], 5_000, take).unwrap_err();
    assert_eq!(refused, "rights were not moved: its holder may still spend it");
    // The holder is heard with a later stamp: whatever it spent before the end is known by then.
    desk.places[2].act(1_000, &[(1, 1)]);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    assert_eq!(deed(&mut desk.places[1], 1_001, take), Ok(2));
    assert_eq!(usable(&desk.places[1], 1_001), 6);
}

#[test]
fn a_lost_holder_that_comes_back_is_charged_to_its_lender_and_shows_as_a_dispute() {
    let (mut desk, lease) = lent();
    desk.cable(2, false);
    deed(&mut desk.places[2], 500, |tx, me, at| escrow::spend(tx, me, SHIRT, 2, at, None)).unwrap();
    let late = 1_000 + LOST_AFTER_MS;
    deed(&mut desk.places[1], late, |tx, me, at| escrow::take_back(tx, me, lease, at)).unwrap();
    deed(&mut desk.places[1], late, |tx, me, at| escrow::spend(tx, me, SHIRT, 6, at, None))
        .unwrap();
    desk.cable(2, true);
    desk.pass(60_000);
    for place in &desk.places {
        let disputes = escrow::disputes(place.replica.db()).unwrap();
        assert_eq!(disputes.iter().map(|dispute| dispute.2).sum::<i64>(), 2, "{disputes:?}");
    }
    assert_eq!(usable(&desk.places[1], late), 0);
}

// I9: each double redemption is found at first contact, and is one dispute on every replica that sees both.
#[test]
fn a_voucher_that_is_redeemed_twice_is_one_dispute() {
    let voucher = Right { pool: 0, item: 4_711 };
    let mut desk = store(2);
    desk.pass(2_000);
    let pos = desk.places[2].replica.identity().holder();
    deed(&mut desk.places[0], 10, |tx, me, at| escrow::issue(tx, me, voucher, 1, at)).unwrap();
    let lent = deed(&mut desk.places[0], 10, |tx, me, at| {
        escrow::grant(tx, me, voucher, 1, &pos, 9_000, at)
    });
    assert_ne!(lent.unwrap(), [FOR_GOOD]);
    desk.tell(0, Input::Wrote);
    desk.pass(2_000);
    for at in [2, 3] {
        deed(&mut desk.places[at], 20, |tx, me, at| escrow::take(tx, me, voucher, 1, at, Some(5)))
            .unwrap();
        desk.tell(at, Input::Wrote);
    }
    desk.pass(2_000);
    let found: Vec<_> =
        desk.places.iter().map(|place| escrow::disputes(place.replica.db()).unwrap()).collect();
    assert_eq!(found[0].len(), 1);
    assert!(found.iter().all(|one| *one == found[0]), "{found:?}");
}

#[test]
fn what_a_copy_has_spent_too_is_overdrawn_when_it_is_written_anew() {
    let (mut desk, _) = lent();
    let spare = Row::spare(Origin::new(101).unwrap(), 1, Role::Pos, "R1", authority().as_ref());
    desk.places[0].admit(2, &spare);
    desk.tell(0, Input::Wrote);
    desk.pass(2_000);
    let spend =
        |tx: &rusqlite::Transaction<'_>, me: &Holder, at| escrow::spend(tx, me, SHIRT, 2, at, None);
    let image = desk.places[2].image();
    deed(&mut desk.places[2], 30, spend).unwrap();
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    swap(&mut desk, 2, |place| place.with_disk(image));
    deed(&mut desk.places[2], 31, spend).unwrap();
    desk.cable(2, true);
    desk.pass(3_000);
    restart(&mut desk, 2);
    desk.pass(3_000);
    assert_eq!(desk.places[2].replica.writer_state(), WriterState::Ready, "{:?}", desk.events);
    let used =
        "SELECT group_concat(step || ' ' || units, ', ') FROM right_move WHERE step IN (3, 6)";
    let used: String = desk.places[0].replica.db().query_row(used, [], |row| row.get(0)).unwrap();
    assert_eq!(used, "3 2, 6 2");
}
