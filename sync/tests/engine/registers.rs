//! Several write one row: one winner, no loser forgotten

use crate::desk::{self, Place, row, store_stream};
use expect_test::{Expect, expect};
use proptest::prelude::*;
use selvedge_sync::{
    allow_list::Row,
    changelog,
    frame::Frame,
    hlc::Millis,
    incoming::{Incoming, Outcome, Slice},
    open::Migration,
    origin::Role,
    seal,
    version::Head,
};
use std::collections::VecDeque;

const TAG: Migration = Migration {
    name: "0002_tag",
    sql:
        "CREATE TABLE tag (thing INTEGER PRIMARY KEY, label TEXT, place INTEGER NOT NULL DEFAULT 0,
              sv BLOB NOT NULL DEFAULT x'') STRICT;
          INSERT INTO replicated (table_id, name, rule) VALUES (20, 'tag', 'register')",
};

/// Devices of one store that know each other, by their origins from 3 on.
fn store(devices: u32) -> Vec<Place> {
    let rows: Vec<Row> = (0..devices)
        .map(|no| row(&format!("s0001-p{:02}", no + 1), 3 + no, 1, Role::Pos))
        .collect();
    let all: Vec<&Row> = rows.iter().collect();
    rows.iter().map(|own| Place::new(own, &all, true).reopened(&[TAG])).collect()
}

/// Every own entry of a device, each in a frame of its own.
fn frames(place: &Place) -> Vec<Frame> {
    let (db, origin, stream) = (place.replica.db(), place.row.origin, store_stream());
    let entries = changelog::read(db, stream, origin, 1, 9_999, u64::MAX).unwrap();
    let mut chain = seal::genesis(origin, stream);
    let frame = |(entry, seq): (&Vec<u8>, u64)| {
        let before = chain;
        chain = seal::next(&chain, origin, stream, seq, entry);
        let head = Head { seq, chain };
        let seal = seal::make(desk::keys(origin.get()).as_ref(), origin, stream, &head, 0, 0);
        Frame::new(origin, stream, seq, &before, seal, [entry]).unwrap()
    };
    entries.iter().zip(1..).map(frame).collect()
}

fn hear(place: &mut Place, frames: impl IntoIterator<Item = Frame>) {
    let mut queue: VecDeque<_> = frames.into_iter().map(|frame| Incoming::new((), frame)).collect();
    while !queue.is_empty() {
        for one in place.replica.receive(Millis(9), &mut queue, Slice { rows: 1 }).unwrap() {
            let fine = matches!(one.outcome, Outcome::Applied { .. } | Outcome::Known { .. });
            assert!(fine, "{:?}", one.outcome);
        }
    }
}

fn set(place: &mut Place, sql: &str) {
    place.write(5, |tx| tx.execute_batch(sql)).unwrap();
}

/// Rows with their marks, then what was lost, then what is parked.
fn holds(place: &Place) -> String {
    let sql = "SELECT thing || ' ' || ifnull(label, '-') || ' ' || place || ' ' || lower(hex(sv)) FROM tag
               ORDER BY thing";
    let db = place.replica.db();
    let mut select = db.prepare(sql).unwrap();
    let mut lines: Vec<String> =
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    for lost in place.replica.lost(None).unwrap() {
        let (mark, won) = (lost.lost, lost.won);
        lines.push(format!(
            "lost {:?}.{} {:?} {}/{} to {:?} {}/{}",
            lost.key,
            lost.column,
            lost.value,
            mark.version,
            mark.origin,
            lost.winner,
            won.version,
            won.origin
        ));
    }
    let mut select =
        db.prepare("SELECT 'parked ' || reason FROM sync_parked ORDER BY seq").unwrap();
    lines.extend(select.query_map([], |row| row.get::<_, String>(0)).unwrap().map(Result::unwrap));
    lines.join("\n")
}

fn check(place: &Place, expected: Expect) {
    expected.assert_eq(&holds(place));
}

#[test]
fn of_two_who_knew_nothing_of_each_other_one_wins_everywhere_and_the_other_is_kept() {
    let [mut one, mut two] = <[Place; 2]>::try_from(store(2)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red')");
    hear(&mut two, frames(&one));
    set(&mut one, "UPDATE tag SET label = 'green'");
    set(&mut two, "UPDATE tag SET label = 'blue'");
    let (of_one, of_two) = (frames(&one), frames(&two));
    hear(&mut one, of_two);
    hear(&mut two, of_one);
    check(
        &one,
        expect![[r#"
            1 blue 0 0103020504
            lost [Int(1)].label Text("green") 2/3 to Text("blue") 2/4"#]],
    );
    assert_eq!(holds(&one), holds(&two));
}

#[test]
fn whoever_saw_what_it_overwrites_loses_nothing_in_any_order() {
    let [mut one, mut two, mut late] = <[Place; 3]>::try_from(store(3)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red')");
    hear(&mut two, frames(&one));
    set(&mut two, "UPDATE tag SET label = 'green'");
    hear(&mut one, frames(&two));
    set(&mut one, "UPDATE tag SET label = 'blue'");
    let [added, blue] = <[Frame; 2]>::try_from(frames(&one)).ok().unwrap();
    // The last word comes before the one that it answers.
    hear(&mut late, [added, blue].into_iter().chain(frames(&two)));
    check(&late, expect!["1 blue 0 01030206"]);
    assert_eq!(holds(&late), holds(&one));
}

#[test]
fn two_columns_of_a_row_meet_one_by_one() {
    let [mut one, mut two] = <[Place; 2]>::try_from(store(2)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red'), (2, 'red')");
    hear(&mut two, frames(&one));
    set(&mut one, "UPDATE tag SET label = 'green' WHERE thing = 1");
    set(&mut two, "UPDATE tag SET place = 7 WHERE thing = 1");
    let (of_one, of_two) = (frames(&one), frames(&two));
    hear(&mut one, of_two);
    hear(&mut two, of_one);
    check(
        &one,
        expect![[r#"
            1 green 7 01030204040504
            2 red 0 0103"#]],
    );
    assert_eq!(holds(&one), holds(&two));
    // Columns that were seen under two marks are two rows of one entry, so nothing counts as lost.
    set(&mut one, "UPDATE tag SET label = 'white', place = 8 WHERE thing = 1");
    hear(&mut two, frames(&one).split_off(2));
    assert_eq!(holds(&one), holds(&two));
    assert!(!holds(&one).contains("lost"));
}

#[test]
fn a_row_that_two_have_added_is_one_row() {
    let [mut one, mut two] = <[Place; 2]>::try_from(store(2)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label, place) VALUES (1, 'red', 4)");
    set(&mut two, "INSERT INTO tag (thing, place) VALUES (1, 5)");
    set(&mut one, "UPDATE tag SET label = 'green'");
    let (of_one, of_two) = (frames(&one), frames(&two));
    hear(&mut one, of_two);
    hear(&mut two, of_one);
    check(
        &one,
        expect![[r#"
            1 green 5 0104020503
            lost [Int(1)].place Int(4) 1/3 to Int(5) 1/4"#]],
    );
    assert_eq!(holds(&one), holds(&two));
}

#[test]
fn a_change_that_comes_before_its_row_waits_for_it() {
    let [mut one, mut two, mut late] = <[Place; 3]>::try_from(store(3)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red')");
    hear(&mut two, frames(&one));
    set(&mut two, "UPDATE tag SET label = 'green'");
    set(&mut two, "UPDATE tag SET place = 3");
    hear(&mut late, frames(&two));
    check(
        &late,
        expect![[r#"
        parked Early
        parked Behind"#]],
    );
    hear(&mut late, frames(&one));
    hear(&mut one, frames(&two));
    check(&late, expect!["1 green 3 0103060504"]);
    assert_eq!(holds(&late), holds(&one));
}

#[test]
fn a_row_that_was_added_here_meanwhile_wakes_what_waits_when_the_awaited_one_comes() {
    let [mut one, mut two, mut late] = <[Place; 3]>::try_from(store(3)).ok().unwrap();
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red')");
    hear(&mut two, frames(&one));
    set(&mut two, "UPDATE tag SET label = 'green'");
    hear(&mut late, frames(&two));
    set(&mut late, "INSERT INTO tag (thing, label) VALUES (1, 'black')");
    hear(&mut late, frames(&one));
    let (of_two, of_late) = (frames(&two), frames(&late));
    hear(&mut one, of_two.into_iter().chain(of_late));
    check(
        &late,
        expect![[r#"
            1 green 0 0105020504
            lost [Int(1)].label Text("black") 1/5 to Text("green") 2/4
            lost [Int(1)].place Int(0) 1/3 to Int(0) 1/5"#]],
    );
    assert_eq!(holds(&late), holds(&one));
}

// Proves the ruling on registers: versions decide and no clock does.
#[test]
fn a_clock_that_is_ten_years_ahead_wins_nothing() {
    let [mut one, mut two] = <[Place; 2]>::try_from(store(2)).ok().unwrap();
    let ahead = 10 * 365 * 86_400_000;
    let add = "INSERT INTO tag (thing, label) VALUES (1, 'red')";
    one.write(ahead, |tx| tx.execute_batch(add)).unwrap();
    hear(&mut two, frames(&one));
    set(&mut two, "UPDATE tag SET label = 'green'");
    hear(&mut one, frames(&two));
    assert!(holds(&one).starts_with("1 green"), "{}", holds(&one));
}

#[test]
fn the_marks_are_the_engines_and_rows_stay() {
    let mut one = store(1).remove(0);
    set(&mut one, "INSERT INTO tag (thing, label) VALUES (1, 'red')");
    let refused = |place: &mut Place, sql: &str| {
        let done = place.write(5, |tx| tx.execute_batch(sql));
        done.expect_err("it must be refused").to_string()
    };
    expect!["not saved, fault in this program: a row of the register tag was removed: give it a column that says that it is gone"].assert_eq(&refused(&mut one, "DELETE FROM tag"));
    expect!["not saved, fault in this program: the marks of a row of tag were written: leave the column sv out of the statement"].assert_eq(&refused(&mut one, "UPDATE tag SET sv = x'01'"));
    expect!["not saved, fault in this program: the marks of a row of tag were written: leave the column sv out of the statement"].assert_eq(&refused(&mut one, "INSERT INTO tag (thing, sv) VALUES (2, x'01')"));
    // Both of these lose the marks on their way; the engine puts them back.
    set(&mut one, "INSERT OR REPLACE INTO tag (thing, label) VALUES (1, 'green')");
    set(&mut one, "UPDATE tag SET sv = x''");
    check(&one, expect!["1 green 0 01030204"]);
    assert_eq!(frames(&one).len(), 2);
}

#[test]
fn what_ties_columns_to_each_other_makes_no_register() {
    let load = |sql: &str| {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(selvedge_sync::declared::SCHEMA).unwrap();
        db.execute_batch(selvedge_sync::epochs::SCHEMA).unwrap();
        db.execute_batch(sql).unwrap();
        db.execute("INSERT INTO replicated (table_id, name, rule) VALUES (1, 't', 'register')", [])
            .unwrap();
        selvedge_sync::epochs::pin(&db).unwrap();
        selvedge_sync::tables::Tables::load(&db).unwrap_err().to_string()
    };
    expect!["the replicated table t cannot be carried: a register keeps its marks in a column sv BLOB NOT NULL DEFAULT x''"].assert_eq(&load("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT) STRICT"));
    expect!["the replicated table t cannot be carried: a CHECK over two columns holds in one order of arrival and not in another"].assert_eq(&load(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER, sv BLOB NOT NULL DEFAULT x'',
         CHECK (a < b)) STRICT",
    ));
    expect!["the replicated table t cannot be carried: a register has no foreign key: its parent may come later"].assert_eq(&load(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER REFERENCES t (id), sv BLOB NOT NULL DEFAULT x'') STRICT",
    ));
    expect!["the replicated table t cannot be carried: a register has a column beside its key and its marks"].assert_eq(&load(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, sv BLOB NOT NULL DEFAULT x'') STRICT",
    ));
}

/// One step of a run: a write, or some frames from one to another.
#[derive(Debug, Clone)]
enum Step {
    Write { who: usize, thing: i64, columns: u8, value: i64 },
    Hear { from: usize, to: usize, frames: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let write = (0..3_usize, 1..3_i64, 1..4_u8, 0..4_i64)
        .prop_map(|(who, thing, columns, value)| Step::Write { who, thing, columns, value });
    let hear = (0..3_usize, 0..3_usize, 1..4_usize).prop_map(|(from, to, frames)| Step::Hear {
        from,
        to,
        frames,
    });
    prop_oneof![3 => write, 2 => hear]
}

fn run(places: &mut [Place], heard: &mut [[usize; 3]; 3], step: Step) {
    match step {
        Step::Write { who, thing, columns, value } => {
            let label = if value == 0 { "NULL".to_owned() } else { format!("'{value}'") };
            let new = [("label", label), ("place", value.to_string())];
            let new: Vec<&(&str, String)> =
                (0..2).filter(|at| columns >> at & 1 == 1).map(|at| &new[at]).collect();
            let names: Vec<&str> = new.iter().map(|one| one.0).collect();
            let values: Vec<&str> = new.iter().map(|one| one.1.as_str()).collect();
            let sets: Vec<String> =
                names.iter().map(|name| format!("{name} = excluded.{name}")).collect();
            let sql = format!(
                "INSERT INTO tag (thing, {}) VALUES ({thing}, {}) ON CONFLICT (thing) DO UPDATE SET {}",
                names.join(","),
                values.join(","),
                sets.join(",")
            );
            set(&mut places[who], &sql);
        }
        Step::Hear { from, to, frames: count } if from != to => {
            let known = heard[to][from];
            let new: Vec<Frame> =
                frames(&places[from]).into_iter().skip(known).take(count).collect();
            heard[to][from] += new.len();
            hear(&mut places[to], new);
        }
        Step::Hear { .. } => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_was_written_and_heard_in_whatever_order_all_end_alike(
        steps in proptest::collection::vec(step(), 1..40),
        order in proptest::collection::vec(0..3_usize, 120),
    ) {
        let mut places = store(4);
        let mut heard = [[0; 3]; 3];
        for step in steps {
            run(&mut places, &mut heard, step);
        }
        let all: Vec<Vec<Frame>> = places[..3].iter().map(frames).collect();
        for to in 0..3 {
            for from in (0..3).filter(|from| *from != to) {
                hear(&mut places[to], all[from][heard[to][from]..].iter().cloned());
            }
        }
        let mut left: Vec<VecDeque<Frame>> = all.into_iter().map(VecDeque::from).collect();
        for from in order.into_iter().chain([0; 40]).chain([1; 40]).chain([2; 40]) {
            hear(&mut places[3], left[from].pop_front());
        }
        let expected = holds(&places[0]);
        prop_assert!(!expected.contains("parked"), "{}", expected);
        for place in &places[1..] {
            prop_assert_eq!(&holds(place), &expected);
        }
    }
}
