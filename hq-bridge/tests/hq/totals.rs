//! What HQ holds against what the devices signed

use std::collections::HashMap;

use expect_test::expect;
use hq_bridge::control_totals::ControlTotal;
use hq_bridge::derived;
use hq_bridge::figures;
use hq_bridge::hq;
use hq_bridge::import::FileKind;
use selvedge_domain::exceptions::{self, TOTALS_DIFFER};
use selvedge_domain::moment::Moment;
use selvedge_domain::stock;
use selvedge_sync::device_keys::DeviceKeys;

use crate::desk::{Desk, Side, talk};

/// A desk whose pos has sold three baskets, signed its total and told HQ.
fn sold() -> Desk {
    let desk = Desk::stocked();
    let mut pos = desk.pos("s0001-p01", 1);
    let mut hq = desk.side();
    talk(&mut hq, &mut pos);
    for basket in [&[1001][..], &[1001, 1002], &[1002]] {
        pos.sell(basket);
    }
    pos.state();
    talk(&mut hq, &mut pos);
    desk
}

fn totals(desk: &Desk) -> Vec<ControlTotal> {
    hq::check_totals(&desk.database(), &desk.keys.authority.public()).unwrap()
}

/// Notes of the exceptions about totals, oldest first.
fn noted(desk: &Desk) -> Vec<String> {
    let reader = desk.database().reader().unwrap();
    let mut all = exceptions::latest(&reader, 100).unwrap();
    all.retain(|exception| exception.kind == TOTALS_DIFFER);
    all.reverse();
    all.into_iter().filter_map(|exception| exception.note).collect()
}

/// A hand that reaches past the program into HQ's file.
fn by_hand(desk: &Desk, sql: &str) {
    let db = selvedge_sync::open::by_hand(&desk.file()).unwrap();
    db.execute_batch(&format!("PRAGMA foreign_keys=OFF; {sql}")).unwrap();
}

// Proves TS-29, IM-08.
#[test]
fn hq_holds_every_receipt_and_moves_each_sku_of_each_receipt() {
    let desk = sold();
    let database = desk.database();
    database.catch_up().unwrap();
    let reader = database.reader().unwrap();
    let count = |table: &str| -> i64 {
        reader.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!((count("receipt"), count("receipt_line"), count("tender")), (3, 4, 3));
    assert_eq!(stock::on_hand(&reader, 1, 1001).unwrap(), 8);
    assert_eq!(stock::on_hand(&reader, 1, 1002).unwrap(), 2);
}

// Proves IM-07.
#[test]
fn what_hq_hears_again_is_counted_once() {
    let desk = Desk::stocked();
    let mut pos = desk.pos("s0001-p01", 1);
    {
        let mut hq = desk.side();
        talk(&mut hq, &mut pos);
        pos.sell(&[1001]);
        talk(&mut hq, &mut pos);
    }
    // HQ starts again and its child speaks from the beginning of a new conversation.
    let mut hq = desk.side();
    talk(&mut hq, &mut pos);
    talk(&mut hq, &mut pos);
    let held: i64 =
        hq.replica.db().query_row("SELECT count(*) FROM receipt", [], |row| row.get(0)).unwrap();
    assert_eq!(held, 1);
    derived::catch_up(hq.replica.db()).unwrap();
    assert_eq!(stock::on_hand(hq.replica.db(), 1, 1001).unwrap(), 9);
}

// Proves TS-26.
#[test]
fn master_data_of_hq_flows_down_and_only_to_its_store() {
    let desk = Desk::stocked();
    let other = "store,employee,name,badge,pin,rights\n2,9,Zoe,B-9,9876,sell\n";
    desk.import(FileKind::Employees, other.as_bytes());
    let mut pos = desk.pos("s0001-p01", 1);
    talk(&mut desk.side(), &mut pos);
    let people: String = pos
        .replica
        .db()
        .query_row("SELECT group_concat(name) FROM employee", [], |row| row.get(0))
        .unwrap();
    assert_eq!(people, "Ada");
    pos.sell(&[1001]);
}

// Proves IM-28.
#[test]
fn hq_holds_many_stores_and_each_store_only_itself() {
    let desk = Desk::stocked();
    let people = "store,employee,name,badge,pin,rights\n2,7,Zoe,B-9,9876,sell\n";
    desk.import(FileKind::Employees, people.as_bytes());
    let prices = "sku,store,currency,price,valid_from\n1001,2,EUR,29.00,\n";
    desk.import(FileKind::Prices, prices.as_bytes());
    let mut pos = [desk.pos("s0001-p01", 1), desk.pos("s0002-p01", 2)];
    let mut hq = desk.side();
    for _ in 0..2 {
        for pos in &mut pos {
            talk(&mut hq, pos);
            pos.sell(&[1001]);
        }
    }
    for pos in &mut pos {
        talk(&mut hq, pos);
    }
    let stores = |side: &Side| -> String {
        let sql = "SELECT group_concat(store || ':' || receipts) FROM
                   (SELECT store, count(*) AS receipts FROM receipt GROUP BY store ORDER BY store)";
        side.replica.db().query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!([stores(&hq), stores(&pos[0]), stores(&pos[1])], ["1:2,2:2", "1:2", "2:2"]);
}

#[test]
fn totals_that_agree_are_shown_and_write_nothing() {
    let desk = sold();
    let totals = totals(&desk);
    let mut shown = figures::totals(&totals, Moment(0));
    shown.devices[0].age_ms = Some(5_000);
    expect![[r#"
        device           label   receipts       gross held     gross signed   difference      age
        s0001-p01        T1             3           101.98           101.98         0.00      5 s
    "#]]
    .assert_eq(&figures::table(&shown));
    assert!(shown.agrees);
    assert!(noted(&desk).is_empty());
}

// Proves TS-29.
#[test]
fn a_receipt_that_is_missing_at_hq_is_an_exception_once() {
    let desk = sold();
    by_hand(&desk, "DELETE FROM receipt WHERE no = 2");
    assert!(totals(&desk)[0].differs());
    assert!(totals(&desk)[0].differs());
    expect!["T1 of s0001-p01: HQ's sums differ from the signed ones in receipts by -1, sales by -5099, tax by -850"].assert_eq(&noted(&desk).join("\n"));
}

#[test]
fn every_falsification_of_a_receipt_is_seen() {
    for falsified in [
        "UPDATE receipt SET total_minor = total_minor + 1 WHERE no = 1",
        "UPDATE receipt SET tax_minor = 0 WHERE no = 3",
        "UPDATE receipt SET kind = 2 WHERE no = 1",
        "UPDATE receipt SET no = 7 WHERE no = 3",
        "INSERT INTO receipt SELECT id + 1000, no, kind, cashier, at, store, 0, 0, customer, of, currency FROM receipt WHERE no = 1",
    ] {
        let desk = sold();
        by_hand(&desk, falsified);
        assert!(totals(&desk)[0].differs(), "{falsified}");
        assert_eq!(noted(&desk).len(), 1, "{falsified}");
    }
}

#[test]
fn a_disagreement_that_ends_is_written_down_too() {
    let desk = sold();
    by_hand(&desk, "UPDATE receipt SET total_minor = total_minor + 100 WHERE no = 1");
    totals(&desk);
    by_hand(&desk, "UPDATE receipt SET total_minor = total_minor - 100 WHERE no = 1");
    totals(&desk);
    totals(&desk);
    expect![[r#"
        T1 of s0001-p01: HQ's sums differ from the signed ones in sales by +100
        T1 of s0001-p01: HQ's sums agree with the signed ones again"#]]
    .assert_eq(&noted(&desk).join("\n"));
}

#[test]
fn a_receipt_after_the_statement_waits_for_the_next_one() {
    let desk = Desk::stocked();
    let mut pos: Side = desk.pos("s0001-p01", 1);
    let mut hq = desk.side();
    talk(&mut hq, &mut pos);
    pos.sell(&[1001]);
    pos.state();
    pos.sell(&[1002]);
    talk(&mut hq, &mut pos);
    drop(hq);
    let total = &totals(&desk)[0];
    assert_eq!((total.receipts, total.counted, total.differs()), (2, 1, false));
}

#[test]
fn only_what_was_signed_anew_is_added_up_again() {
    let desk = sold();
    let authority = desk.keys.authority.public();
    let mut seen = HashMap::new();
    hq::check_new_totals(&desk.database(), &authority, &mut seen).unwrap();
    assert_eq!(seen.len(), 1);
    by_hand(&desk, "DELETE FROM receipt WHERE no = 1");
    hq::check_new_totals(&desk.database(), &authority, &mut seen).unwrap();
    assert!(noted(&desk).is_empty(), "nothing new was signed");
    hq::check_new_totals(&desk.database(), &authority, &mut HashMap::new()).unwrap();
    assert_eq!(noted(&desk).len(), 1);
}
