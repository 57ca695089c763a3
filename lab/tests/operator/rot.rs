//! A bit flips in a closed database, and the device works on

use lab::layout::Seat;

use crate::desk::Desk;

const HQ: Seat = Seat::Hq;
const POS: Seat = Seat::Pos { store: 1, no: 1 };

/// A chain that has sold something, and a device of it with a flipped bit.
fn with_a_flipped_bit(seat: Seat, table: Option<&str>) -> Desk {
    let mut desk = Desk::with(1, 1);
    desk.sell(POS, 5);
    desk.until_all_agree(&[]);
    desk.chain.stop(seat);
    desk.flip_a_bit(seat, table);
    desk
}

#[test]
fn a_pos_with_a_rotten_page_builds_its_database_anew_and_sells_on() {
    let mut desk = with_a_flipped_bit(POS, Some("receipt"));
    desk.until("it says so", &[POS], |desk| {
        desk.said(POS, "/rebuilt").contains("nothing of it was lost")
    });
    assert!(desk.has_moved_aside(POS));
    desk.sell(POS, 1);
    desk.until_all_agree(&[POS]);
    assert_eq!(desk.receipts_at(HQ).0, 6);
    let said = desk.chain.appliance(POS, "status").unwrap();
    assert!(said.contains("may write: yes") && said.contains("database built anew at"), "{said}");
    let page = desk.page(POS, "/signon");
    assert!(page.contains("was damaged and is restored"), "{page}");
}

#[test]
fn a_pos_whose_first_page_has_rotted_takes_all_from_others_and_sells_under_a_spare_number() {
    let mut desk = with_a_flipped_bit(POS, None);
    desk.until("it stops", &[POS], |desk| desk.said(POS, "/writer") == "stale");
    assert!(desk.said(POS, "/stopped").contains("until head office gives it a new number"));
    let said = desk.chain.hq(&["devices", "spare", "--store", "1", "--count", "1"]).unwrap();
    assert!(said.contains("store 1 has 1 spare origins for a pos now"), "{said}");
    desk.until("it goes on", &[POS], |desk| {
        desk.said(POS, "/writer") == "ready" && desk.said(POS, "/label") == "R1"
    });
    desk.sell(POS, 1);
    desk.until_all_agree(&[POS]);
    assert_eq!(desk.receipts_at(HQ).0, 6);
    let said = desk.chain.hq(&["devices", "confirm"]).unwrap();
    assert!(said.contains("(R1) now") && said.contains("(origin 3, T1) is closed"), "{said}");
    desk.sell(POS, 1);
    desk.until_all_agree(&[POS]);
    assert!(desk.chain.hq(&["totals"]).is_ok(), "the control totals agree");
}

#[test]
fn an_hq_whose_database_has_rotted_builds_it_anew_and_has_what_the_stores_have() {
    let mut desk = with_a_flipped_bit(HQ, Some("receipt"));
    desk.sell(POS, 1);
    desk.until("it says so", &[HQ], |desk| {
        desk.said(HQ, "/hq/rebuilt").contains("nothing of it was lost")
    });
    assert!(desk.has_moved_aside(HQ));
    desk.until_all_agree(&[HQ]);
    assert_eq!(desk.receipts_at(HQ).0, 6);
    assert!(desk.chain.hq(&["totals"]).is_ok(), "the control totals agree");
}
