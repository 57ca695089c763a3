//! A snapshot for a device that has most of it already

use crate::desk::{Place, row};
use selvedge_sync::{
    frame::Frame,
    hlc::Millis,
    incoming::{Incoming, Outcome, Slice},
    open::Migration,
    origin::{Role, Stream},
};
use std::collections::VecDeque;

const TAG: Migration = Migration {
    name: "0002_tag",
    sql: "CREATE TABLE tag (store INTEGER NOT NULL, thing INTEGER NOT NULL, label TEXT,
              sv BLOB NOT NULL DEFAULT x'', PRIMARY KEY (store, thing)) STRICT, WITHOUT ROWID;
          INSERT INTO replicated (table_id, name, rule, stream) VALUES (20, 'tag', 'register', 'by:store')",
};

const SECOND: Migration = Migration {
    name: "0003_second",
    sql: "INSERT INTO replicated_epoch VALUES (2);
          ALTER TABLE rate ADD COLUMN unit TEXT;
          ALTER TABLE tag ADD COLUMN hue TEXT",
};

const THIRD: Migration = Migration {
    name: "0004_third",
    sql: "INSERT INTO replicated_epoch VALUES (3); ALTER TABLE act ADD COLUMN mood TEXT",
};

const NEWEST: &[Migration] = &[TAG, SECOND, THIRD];

/// HQ, a back office and three pos. All but HQ and the back office have the newest schema.
fn chain(hq: &[Migration], office: &[Migration]) -> [Place; 5] {
    let rows = [
        row("hq-w1", 1, 0, Role::Hq),
        row("s0001-b01", 2, 1, Role::BackOffice),
        row("s0001-p01", 3, 1, Role::Pos),
        row("s0001-p02", 4, 1, Role::Pos),
        row("s0001-p03", 5, 1, Role::Pos),
    ];
    let all = rows.each_ref();
    let schemas = [hq, office, NEWEST, NEWEST, NEWEST];
    [0, 1, 2, 3, 4].map(|at| Place::new(&rows[at], &all, at > 0).reopened(schemas[at]))
}

fn set(place: &mut Place, sql: &str) {
    place.write(5, |tx| tx.execute_batch(sql)).unwrap();
}

fn store() -> Stream {
    Stream::store(1).unwrap()
}

/// What a device has written in a stream, from an entry on.
fn said(place: &Place, stream: Stream, first: u64) -> Frame {
    place.replica.cut(stream, place.row.origin, first).unwrap().unwrap()
}

fn hear(place: &mut Place, frame: Frame) {
    let mut queue = VecDeque::from([Incoming::new((), frame)]);
    for one in place.replica.receive(Millis(9), &mut queue, Slice { rows: 9_999 }).unwrap() {
        assert!(matches!(one.outcome, Outcome::Applied { .. }), "{:?}", one.outcome);
    }
}

/// A snapshot for store 1 goes from one to another.
fn give(maker: &Place, taker: &mut Place) {
    let mut file = Vec::new();
    maker.replica.write_snapshot(1, &mut file).unwrap();
    taker.replica.take_snapshot(Millis(20), &mut &file[..]).unwrap();
}

/// The rows of a question, what was lost and what is parked.
fn holds(place: &Place, sql: &str) -> String {
    let mut select = place.replica.db().prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let mut lines: Vec<String> = rows.map(Result::unwrap).collect();
    let lost = place.replica.lost(None).unwrap();
    lines.extend(lost.iter().map(|lost| format!("lost {:?}", lost.value)));
    let parked = "SELECT 'parked ' || reason FROM sync_parked";
    let mut select = place.replica.db().prepare(parked).unwrap();
    lines.extend(select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    lines.join("; ")
}

const RATES: &str = "SELECT thing || ' ' || value FROM rate ORDER BY thing";
const LABELS: &str = "SELECT thing || ' ' || label FROM tag ORDER BY thing";

#[test]
fn what_was_parked_here_and_applied_there_came_with_the_rows() {
    let [_, mut office, mut one, mut two, mut late] = chain(NEWEST, NEWEST);
    set(&mut one, "INSERT INTO tag (store, thing, label) VALUES (1, 1, 'red')");
    hear(&mut two, said(&one, store(), 1));
    set(&mut two, "UPDATE tag SET label = 'green'");
    hear(&mut one, said(&two, store(), 1));
    set(&mut one, "UPDATE tag SET label = 'blue'");
    hear(&mut office, said(&one, store(), 1));
    hear(&mut office, said(&two, store(), 1));
    hear(&mut late, said(&two, store(), 1));
    assert_eq!(holds(&late, LABELS), "parked Early");
    give(&office, &mut late);
    assert_eq!(holds(&late, LABELS), "1 blue");
}

#[test]
fn what_was_applied_here_and_parked_there_is_applied_again() {
    let [mut hq, mut office, mut pos, ..] = chain(NEWEST, &[TAG]);
    set(&mut hq, "INSERT INTO rate (thing, value) VALUES (1, 300)");
    for place in [&mut office, &mut pos] {
        hear(place, said(&hq, Stream::CHAIN, 1));
    }
    assert_eq!(holds(&office, RATES), "parked Epoch");
    set(&mut office, "INSERT INTO act (id, at) VALUES (row_id(), 5)");
    give(&office, &mut pos);
    assert_eq!(holds(&pos, RATES), "1 300");
}

#[test]
fn what_the_maker_did_not_have_stays_behind_what_it_has_parked() {
    let [mut hq, mut office, mut pos, ..] = chain(&[TAG], &[TAG]);
    set(&mut hq, "INSERT INTO rate (thing, value) VALUES (1, 300)");
    let mut hq = hq.reopened(NEWEST);
    set(&mut hq, "UPDATE rate SET value = 400");
    hear(&mut office, said(&hq, Stream::CHAIN, 1));
    assert_eq!(holds(&office, RATES), "1 300; parked Epoch");
    set(&mut hq, "UPDATE rate SET value = 500");
    hear(&mut pos, said(&hq, Stream::CHAIN, 1));
    set(&mut office, "INSERT INTO act (id, at) VALUES (row_id(), 5)");
    give(&office, &mut pos);
    assert_eq!(holds(&pos, RATES), "1 500");
}

#[test]
fn what_the_maker_knew_in_part_comes_before_what_it_did_not_have() {
    let [mut hq, mut office, mut pos, ..] = chain(&[TAG, SECOND], &[TAG]);
    set(&mut hq, "INSERT INTO rate (thing, value, unit) VALUES (1, 300, 'kg')");
    hear(&mut office, said(&hq, Stream::CHAIN, 1));
    set(&mut hq, "UPDATE rate SET unit = 'lb'");
    hear(&mut pos, said(&hq, Stream::CHAIN, 1));
    set(&mut office, "INSERT INTO act (id, at) VALUES (row_id(), 5)");
    give(&office, &mut pos);
    assert_eq!(holds(&pos, "SELECT unit FROM rate"), "lb");
}

#[test]
fn a_column_that_the_maker_does_not_know_begins_anew_under_the_marks_that_come() {
    let [_, mut office, mut pos, ..] = chain(NEWEST, &[TAG]);
    set(&mut office, "INSERT INTO tag (store, thing, label) VALUES (1, 1, 'old')");
    set(&mut pos, "INSERT INTO tag (store, thing, label, hue) VALUES (1, 1, 'new', 'red')");
    give(&office, &mut pos);
    // The pos adds the row under the higher origin, so the label of the office has lost, and no hue has.
    assert_eq!(holds(&pos, "SELECT label || ' ' || hue FROM tag"), "new red; lost Text(\"old\")");
}

#[test]
fn headquarters_says_which_values_were_seen_before_they_came() {
    let [mut hq, mut office, mut one, mut two, _] = chain(NEWEST, NEWEST);
    set(&mut one, "INSERT INTO tag (store, thing, label) VALUES (1, 1, 'red')");
    let added = said(&one, store(), 1);
    hear(&mut two, added.clone());
    set(&mut one, "UPDATE tag SET label = 'green'");
    hear(&mut two, said(&one, store(), 2));
    set(&mut two, "UPDATE tag SET label = 'blue'");
    // Whoever has the last word and not the one that it answers hands that knowledge on.
    hear(&mut hq, added);
    hear(&mut hq, said(&two, store(), 1));
    give(&hq, &mut office);
    hear(&mut office, said(&one, store(), 2));
    assert_eq!(holds(&office, LABELS), "1 blue");
}

#[test]
fn what_a_device_has_written_that_the_maker_does_not_know_yet_stays() {
    let [mut hq, mut office, mut pos, ..] = chain(NEWEST, NEWEST);
    set(&mut office, "INSERT INTO act (id, at) VALUES (row_id(), 5)");
    let new = row("s0001-p09", 9, 1, Role::Pos);
    hq.admit(20, &new);
    hear(&mut pos, said(&hq, store(), 1));
    let mut new = Place::new(&new, &[&hq.row], true).reopened(NEWEST);
    set(&mut new, "INSERT INTO tag (store, thing, label) VALUES (1, 1, 'red')");
    hear(&mut pos, said(&new, store(), 1));
    give(&office, &mut pos);
    assert_eq!(holds(&pos, LABELS), "1 red");
}

#[test]
fn what_was_made_half_way_through_the_first_frame_of_an_origin_is_taken() {
    let [_, mut office, mut one, mut late, _] = chain(NEWEST, NEWEST);
    for _ in 0..3 {
        set(&mut one, "INSERT INTO act (id, at) VALUES (row_id(), 5)");
    }
    let mut queue = VecDeque::from([Incoming::new((), said(&one, store(), 1))]);
    office.replica.receive(Millis(9), &mut queue, Slice { rows: 1 }).unwrap();
    assert_eq!(queue.len(), 1, "the seal stands at the end of the frame, which is still to come");
    give(&office, &mut late);
    let acts = "SELECT count(*) || ' acts' FROM act";
    assert_eq!((holds(&office, acts), holds(&late, acts)), ("1 acts".into(), "1 acts".into()));
    hear(&mut late, said(&one, store(), 2));
    assert_eq!(holds(&late, acts), "3 acts");
}
