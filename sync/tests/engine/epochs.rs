//! Old and new schemas side by side lose nothing

use crate::desk::{self, Place, row, store_stream};
use expect_test::{Expect, expect};
use rusqlite::Connection;
use selvedge_sync::{
    allow_list::Row,
    changelog, declared,
    entry_reader::Reader,
    epochs,
    ext::Ext,
    frame::Frame,
    hlc::Millis,
    incoming::{Incoming, Outcome, Slice},
    open::{Migration, OpenError},
    origin::{Role, Stream},
    rebuild,
    replica::Replica,
    tables::Tables,
};
use std::collections::VecDeque;

const TAG: Migration = Migration {
    name: "0002_tag",
    sql: "CREATE TABLE tag (thing INTEGER PRIMARY KEY, label TEXT, sv BLOB NOT NULL DEFAULT x'') STRICT;
          INSERT INTO replicated (table_id, name, rule) VALUES (20, 'tag', 'register')",
};

/// A column for a fact, an owner's row and a register, and a table of its own.
const SECOND: Migration = Migration {
    name: "0003_second",
    sql: "INSERT INTO replicated_epoch VALUES (2);
          ALTER TABLE act ADD COLUMN tone INTEGER NOT NULL DEFAULT 7;
          ALTER TABLE rate ADD COLUMN unit TEXT;
          ALTER TABLE tag ADD COLUMN hue TEXT DEFAULT 'grey';
          CREATE TABLE extra (act INTEGER NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (act, no)) STRICT, WITHOUT ROWID;
          INSERT INTO replicated (table_id, name, rule) VALUES (30, 'extra', 'fact')",
};

const THIRD: Migration = Migration {
    name: "0004_third",
    sql: "INSERT INTO replicated_epoch VALUES (3); ALTER TABLE act ADD COLUMN mood TEXT",
};

fn place(row: &Row, knows: &[&Row], newer: &[Migration]) -> Place {
    Place::new(row, knows, row.role != Role::Hq)
        .reopened(&[TAG])
        .reopened(&[&[TAG], newer].concat())
}

/// HQ, a back office and a pos, each with its own migrations.
fn store(newer: [&[Migration]; 3]) -> [Place; 3] {
    let rows = [
        row("hq-w1", 1, 0, Role::Hq),
        row("s0001-b01", 2, 1, Role::BackOffice),
        row("s0001-p01", 3, 1, Role::Pos),
    ];
    let all = rows.each_ref();
    [0, 1, 2].map(|at| place(&rows[at], &all, newer[at]))
}

fn frame(place: &Place, stream: Stream, writer: &Place, first: u64) -> Frame {
    place.replica.cut(stream, writer.row.origin, first).unwrap().unwrap()
}

fn hear(place: &mut Place, frame: Frame) {
    let mut queue = VecDeque::from([Incoming::new((), frame)]);
    for one in place.replica.receive(Millis(9), &mut queue, Slice { rows: 9_999 }).unwrap() {
        assert!(matches!(one.outcome, Outcome::Applied { .. }), "{:?}", one.outcome);
    }
}

fn set(place: &mut Place, sql: &str) {
    place.write(5, |tx| tx.execute_batch(sql)).unwrap();
}

fn rows(db: &Connection, sql: &str) -> String {
    let mut select = db.prepare(sql).unwrap();
    let columns = select.column_count();
    let line = |row: &rusqlite::Row<'_>| {
        let value = |at| row.get::<_, rusqlite::types::Value>(at);
        let words = (0..columns).map(|at| match value(at)? {
            rusqlite::types::Value::Null => Ok("-".to_owned()),
            rusqlite::types::Value::Integer(number) => Ok(number.to_string()),
            rusqlite::types::Value::Text(text) => Ok(text),
            other => Ok(format!("{other:?}")),
        });
        words.collect::<rusqlite::Result<Vec<String>>>().map(|words| words.join(" "))
    };
    let lines: Vec<String> = select.query_map([], line).unwrap().map(Result::unwrap).collect();
    lines.join("; ")
}

/// All that the second epoch holds.
fn holds(place: &Place) -> String {
    let db = place.replica.db();
    [
        rows(db, "SELECT 'act', id & 0xffff, note, tone FROM act ORDER BY id"),
        rows(db, "SELECT 'rate', thing, value, unit FROM rate ORDER BY thing"),
        rows(db, "SELECT 'tag', thing, label, hue FROM tag ORDER BY thing"),
        rows(db, "SELECT 'extra', no FROM extra ORDER BY no"),
        rows(db, "SELECT 'parked', reason FROM sync_parked"),
        rows(db, "SELECT 'ahead', origin, seq, known, detail FROM sync_ahead"),
    ]
    .join("\n")
}

fn count_entries(place: &Place) -> i64 {
    place.replica.db().query_row("SELECT count(*) FROM sync_entry", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_new_column_writes_no_entry_and_older_writers_leave_it_its_default() {
    let [_, office, mut pos] = store([&[], &[], &[]]);
    set(&mut pos, "INSERT INTO act (id, at, note) VALUES (row_id(), 5, 'old')");
    let before = count_entries(&office);
    let mut office = office.reopened(&[TAG, SECOND]);
    assert_eq!(count_entries(&office), before);
    assert_eq!((office.replica.tables().epoch(), pos.replica.tables().epoch()), (2, 1));
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    assert_eq!(rows(office.replica.db(), "SELECT note, tone FROM act"), "old 7");
}

/// What the pos and HQ write with the second epoch.
fn written_with_the_second(hq: &mut Place, pos: &mut Place) {
    set(
        pos,
        "INSERT INTO act (id, at, note, tone) VALUES (row_id(), 5, 'new', 3);
              INSERT INTO extra VALUES (1, 1)",
    );
    set(pos, "INSERT INTO tag (thing, label, hue) VALUES (1, 'a', 'red'), (2, 'b', NULL)");
    set(pos, "UPDATE tag SET hue = 'blue' WHERE thing = 1");
    set(hq, "INSERT INTO rate (thing, value, unit) VALUES (1, 10, 'kg'), (2, 20, 'kg')");
    set(hq, "DELETE FROM rate WHERE thing = 2");
    set(hq, "INSERT INTO rate (thing, value) VALUES (2, 21)");
    set(hq, "UPDATE rate SET unit = 'g' WHERE thing = 1");
}

#[test]
fn what_a_newer_schema_wrote_is_known_in_part_passed_on_whole_and_complete_after_the_update() {
    let [mut hq, mut office, mut pos] = store([&[SECOND], &[], &[SECOND]]);
    written_with_the_second(&mut hq, &mut pos);
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    hear(&mut office, frame(&hq, Stream::CHAIN, &hq, 1));
    let known = rows(
        office.replica.db(),
        "SELECT note FROM act UNION ALL SELECT label FROM tag
                     UNION ALL SELECT value FROM rate UNION ALL SELECT seq FROM sync_ahead",
    );
    expect!["new; a; b; 10; 21; 1; 2; 3; 4; 1; 2; 3"].assert_eq(&known);
    // Whoever has the newer schema gets everything through one that has not.
    hear(&mut hq, frame(&office, store_stream(), &pos, 1));
    hear(&mut pos, frame(&office, Stream::CHAIN, &hq, 1));
    let office = office.reopened(&[TAG, SECOND]);
    let all = holds(&office);
    expect![[r#"
        act 1 new 3
        rate 1 10 g; rate 2 21 -
        tag 1 a blue; tag 2 b -
        extra 1

    "#]]
    .assert_eq(&all);
    assert_eq!(holds(&hq), all);
    assert_eq!(holds(&pos), all);
}

#[test]
fn two_epochs_ahead_is_parked_until_the_update_that_is_near_enough() {
    let [_, mut office, mut pos] = store([&[], &[], &[SECOND, THIRD]]);
    set(&mut pos, "INSERT INTO act (id, at, note, mood) VALUES (row_id(), 5, 'new', 'glad')");
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    assert_eq!(rows(office.replica.db(), "SELECT reason FROM sync_parked"), "Epoch");
    let office = office.reopened(&[TAG, SECOND]);
    assert_eq!(rows(office.replica.db(), "SELECT note, tone FROM act"), "new 7");
    assert_eq!(rows(office.replica.db(), "SELECT seq, known FROM sync_ahead"), "1 2");
    let office = office.reopened(&[TAG, SECOND, THIRD]);
    assert_eq!(rows(office.replica.db(), "SELECT note, tone, mood FROM act"), "new 7 glad");
    assert_eq!(
        rows(office.replica.db(), "SELECT seq FROM sync_ahead UNION SELECT seq FROM sync_parked"),
        ""
    );
}

/// Who added the row and whoever has changed it since: a pos and the back office, which has the lower origin.
fn added_and_changed() -> [Place; 3] {
    let [hq, mut office, mut pos] = store([&[], &[SECOND], &[SECOND]]);
    set(&mut pos, "INSERT INTO tag (thing, label, hue) VALUES (1, 'a', 'red')");
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    set(&mut office, "UPDATE tag SET hue = 'blue'");
    [hq, office, pos]
}

const HUES: &str = "SELECT hue FROM tag UNION ALL SELECT value FROM sync_lost";

#[test]
fn a_value_that_another_had_seen_is_no_loss_where_both_were_known_only_after_the_update() {
    let [mut hq, office, pos] = added_and_changed();
    hear(&mut hq, frame(&pos, store_stream(), &pos, 1));
    hear(&mut hq, frame(&office, store_stream(), &office, 1));
    let hq = hq.reopened(&[TAG, SECOND]);
    assert_eq!(rows(hq.replica.db(), HUES), "blue");
}

#[test]
fn a_change_of_a_column_that_is_not_known_yet_waits_for_its_row_too() {
    let [mut hq, office, pos] = added_and_changed();
    hear(&mut hq, frame(&office, store_stream(), &office, 1));
    assert_eq!(rows(hq.replica.db(), "SELECT reason FROM sync_parked"), "Early");
    let mut hq = hq.reopened(&[TAG, SECOND]);
    hear(&mut hq, frame(&pos, store_stream(), &pos, 1));
    assert_eq!(rows(hq.replica.db(), HUES), "blue");
    assert_eq!(rows(hq.replica.db(), "SELECT reason FROM sync_parked"), "");
}

#[test]
fn a_newer_build_that_makes_a_database_anew_works_out_by_itself_what_lost() {
    let [mut hq, mut office, mut pos] = store([&[], &[], &[]]);
    set(&mut pos, "INSERT INTO tag (thing, label) VALUES (1, 'a')");
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    set(&mut pos, "UPDATE tag SET label = 'c'");
    set(&mut office, "UPDATE tag SET label = 'b'");
    let mut office = office.reopened(&[TAG, SECOND, THIRD]);
    set(&mut office, "UPDATE tag SET label = 'd'");
    hear(&mut hq, frame(&pos, store_stream(), &pos, 1));
    hear(&mut hq, frame(&office, store_stream(), &office, 1));
    let labels = "SELECT label FROM tag UNION ALL SELECT value FROM sync_lost";
    assert_eq!(rows(hq.replica.db(), labels), "c; b", "what saw b is two epochs ahead");
    let (row, old, new) = (hq.row.clone(), hq.left(), tempfile::tempdir().unwrap());
    let settings = || desk::settings(new.path(), &row, &[TAG, SECOND]);
    rebuild::build(&old.path().join("store.db"), settings()).unwrap();
    let rebuilt = Replica::open(settings()).unwrap();
    assert_eq!(rows(rebuilt.db(), labels), "d; c");
}

#[test]
fn a_column_that_is_gone_keeps_its_number_and_a_new_one_of_its_name_gets_another() {
    const END: Migration = Migration {
        name: "0003_end",
        sql: "INSERT INTO replicated_epoch VALUES (2);
              INSERT INTO replicated_ended VALUES (1, 'note');
              INSERT INTO replicated_renamed VALUES (3, 'name', 'title');
              ALTER TABLE rate RENAME COLUMN name TO title",
    };
    const DROP: Migration = Migration {
        name: "0004_drop",
        sql: "INSERT INTO replicated_epoch VALUES (4);
              ALTER TABLE act DROP COLUMN note; ALTER TABLE act ADD COLUMN late INTEGER",
    };
    const AGAIN: Migration = Migration {
        name: "0005_again",
        sql: "INSERT INTO replicated_epoch VALUES (5); ALTER TABLE act ADD COLUMN note INTEGER",
    };
    let [mut hq, mut office, mut pos] = store([&[END], &[END], &[END]]);
    set(&mut pos, "INSERT INTO act (id, at, note) VALUES (row_id(), 5, 'old')");
    set(&mut hq, "INSERT INTO rate (thing, value, title) VALUES (1, 1, 'a title')");
    office = office.reopened(&[TAG, END, DROP, AGAIN]);
    hear(&mut office, frame(&pos, store_stream(), &pos, 1));
    hear(&mut office, frame(&hq, Stream::CHAIN, &hq, 1));
    assert_eq!(rows(office.replica.db(), "SELECT at, late, note FROM act"), "5 - -");
    assert_eq!(rows(office.replica.db(), "SELECT title FROM rate"), "a title");
    set(&mut office, "INSERT INTO act (id, at, late, note) VALUES (row_id(), 5, 8, 9)");
    pos = pos.reopened(&[TAG, END, DROP, AGAIN]);
    hear(&mut pos, frame(&office, store_stream(), &office, 1));
    assert_eq!(rows(pos.replica.db(), "SELECT late, note FROM act ORDER BY id"), "8 9; - -");
    let numbers = "SELECT column_id, name, since, until, gone FROM sync_column WHERE table_id = 1";
    expect!["0 id 1 - 0; 1 at 1 - 0; 2 note 1 2 1; 3 late 4 - 0; 4 note 5 - 0"]
        .assert_eq(&rows(pos.replica.db(), numbers));
}

fn refused(sql: &'static str, expected: Expect) {
    let hq = row("hq-w1", 1, 0, Role::Hq);
    let dir = tempfile::tempdir().unwrap();
    drop(desk::open_in(dir.path(), &hq));
    let migrations = [desk::TRADE, &[Migration { name: "0002_wrong", sql }]].concat();
    let settings = selvedge_sync::identity::Settings {
        path: dir.path().join("store.db"),
        vfs: None,
        identity: selvedge_sync::identity::Identity {
            device: hq.device.clone(),
            origin: hq.origin,
            role: hq.role,
            store: hq.store,
            authority: [0; 32],
        },
        keys: desk::keys(1),
        migrations,
        cache_kib: 2_048,
    };
    let found = selvedge_sync::replica::Replica::open(settings).err().unwrap();
    assert!(matches!(found, OpenError::Tables(_)), "{found}");
    expected.assert_eq(&found.to_string());
    // What was refused is undone: the build before opens the database as it was.
    assert_eq!(desk::open_in(dir.path(), &hq).tables().epoch(), 1);
}

#[test]
fn numbers_are_never_used_again_and_nothing_ends_unsaid() {
    refused(
        "ALTER TABLE act DROP COLUMN note",
        expect![
            "the replicated table act cannot be carried: column note is gone: end it in replicated_ended 2 epochs before, or name it in replicated_renamed"
        ],
    );
    refused(
        "ALTER TABLE act RENAME COLUMN note TO words",
        expect![
            "the replicated table act cannot be carried: column note is gone: end it in replicated_ended 2 epochs before, or name it in replicated_renamed"
        ],
    );
    refused(
        "DELETE FROM replicated WHERE name = 'rate'; DROP TABLE rate;
         CREATE TABLE other (id INTEGER PRIMARY KEY) STRICT;
         INSERT INTO replicated (table_id, name, rule) VALUES (3, 'other', 'owner')",
        expect![
            "the replicated table other cannot be carried: column thing is gone: end it in replicated_ended 2 epochs before, or name it in replicated_renamed"
        ],
    );
}

// A fresh database runs all migrations at once and gives the same numbers as one that was updated step by step.
#[test]
fn a_fresh_database_and_an_updated_one_have_the_same_numbers() {
    let pins = |place: &Place| {
        rows(place.replica.db(), "SELECT * FROM sync_column")
            + &rows(place.replica.db(), "SELECT * FROM sync_table")
    };
    let [hq, office, _] = store([&[SECOND, THIRD], &[SECOND], &[]]);
    let fresh = Place::new(&hq.row, &[], false).reopened(&[TAG, SECOND, THIRD]);
    assert_eq!(pins(&fresh), pins(&hq));
    assert_eq!(pins(&fresh), pins(&office.reopened(&[TAG, SECOND, THIRD])));
}

#[test]
fn two_entries_of_one_act_say_so_and_a_newer_word_is_passed_over() {
    let [mut hq, mut office, _] = store([&[], &[], &[]]);
    let ext = Ext { xid: Some([7; 16]), trace: None };
    let sql = "INSERT INTO rate (thing, value) VALUES (1, 10)";
    hq.replica.write_with(Millis(5), ext, |tx| tx.execute_batch(sql)).unwrap();
    hear(&mut office, frame(&hq, Stream::CHAIN, &hq, 1));
    let kept = changelog::read(office.replica.db(), Stream::CHAIN, hq.row.origin, 1, 1, u64::MAX);
    let entry = kept.unwrap().remove(0);
    expect!["8601011a00050000018183030082010aa1015007070707070707070707070707070707"]
        .assert_eq(&hex::encode(&entry));
    let mut reader = Reader::open(&entry, hq.row.origin).unwrap();
    while reader.next_run().unwrap().is_some() {}
    assert_eq!(reader.ext(), ext);
}

#[test]
fn the_default_of_a_column_need_not_be_a_word() {
    let db = Connection::open_in_memory().unwrap();
    for sql in [
        declared::SCHEMA,
        epochs::SCHEMA,
        "CREATE TABLE t (id INTEGER PRIMARY KEY) STRICT;
         INSERT INTO replicated (table_id, name, rule) VALUES (1, 't', 'fact')",
    ] {
        db.execute_batch(sql).unwrap();
    }
    epochs::pin(&db).unwrap();
    db.execute_batch(
        "INSERT INTO replicated_epoch VALUES (2);
         ALTER TABLE t ADD COLUMN a INTEGER NOT NULL DEFAULT -3; ALTER TABLE t ADD COLUMN b BLOB DEFAULT x'07'",
    )
    .unwrap();
    epochs::pin(&db).unwrap();
    let tables = Tables::load(&db).unwrap();
    expect!["[Age { since: 1, until: None, absent: Null }, Age { since: 2, until: None, absent: Int(-3) }, Age { since: 2, until: None, absent: Bytes([7]) }]"].assert_eq(&format!("{:?}", tables.at(0).layout.ages));
}
