//! The one door for writes: what becomes an entry

use crate::desk::{self, Place, open_in, row, store_stream};
use expect_test::expect;
use selvedge_sync::{
    changelog,
    hlc::Millis,
    identity::{Identity, Settings},
    open::{self, OpenError},
    origin::Role,
    replica::Replica,
    talk::Input,
};

fn pos() -> Place {
    Place::new(&row("s0001-p01", 3, 1, Role::Pos), &[], true)
}

fn entries(place: &Place) -> Vec<String> {
    let origin = place.row.origin;
    let read = changelog::read(place.replica.db(), store_stream(), origin, 1, 100, u64::MAX);
    read.unwrap().iter().map(hex::encode).collect()
}

fn refused(place: &mut Place, sql: &str) -> String {
    let done = place.write(5, |tx| tx.execute_batch(sql));
    done.expect_err("it must be refused").to_string()
}

// Proves IM-04, TS-25: the entry is written in the transaction that it describes, whole.
#[test]
fn a_write_becomes_one_entry_with_all_its_rows() {
    let mut place = pos();
    place.act(1_000, &[(7, -2), (8, -1)]);
    // version, epoch, stamp, base; act: near id, time = stamp, note; parts under the same id
    expect![[r#"
        [
            "8501011a03e800000182830100830000617884020084000107218400020820",
        ]
    "#]]
    .assert_debug_eq(&entries(&place));
}

// Proves IM-06: the numbers of an origin in a stream have no gap, whatever is refused between.
#[test]
fn what_is_refused_leaves_no_trace_and_takes_no_number() {
    let mut place = pos();
    let first = place.act(1_000, &[(1, 1)]);
    refused(&mut place, "INSERT INTO part VALUES (0, 1, 1, 0)");
    let half = "INSERT INTO part VALUES (1, 1, 5, 1), (1, 2, 5, 1), (1, 1, 5, 1)";
    refused(&mut place, half);
    let second = place.act(1_000, &[(1, 1)]);
    assert_eq!((first, second), (1, 2));
    let ids: Vec<i64> = {
        let mut select = place.replica.db().prepare("SELECT id FROM act ORDER BY id").unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(ids, [(3 << 40) | 1, (3 << 40) | 2]);
}

#[test]
fn a_savepoint_that_is_rolled_back_is_not_in_the_entry() {
    let mut place = pos();
    let done = place.write(5, |tx| {
        tx.execute_batch(
            "INSERT INTO part VALUES (1, 1, 5, 1);
             SAVEPOINT s; INSERT INTO part VALUES (1, 2, 5, 1); ROLLBACK TO s; RELEASE s",
        )
    });
    assert!(done.unwrap().entry.is_some());
    assert_eq!(place.holds(), "\npart 1 1 5 1\n\nsum 5 1\n");
    assert_eq!(entries(&place).len(), 1);
    assert!(!entries(&place)[0].contains("0102"));
}

#[test]
fn a_fact_that_is_taken_back_in_its_own_write_is_not_in_the_entry() {
    let mut place = pos();
    let sql = "INSERT INTO part VALUES (1, 1, 5, 1), (1, 2, 5, 2); DELETE FROM part WHERE no = 1;
               INSERT INTO part VALUES (1, 3, 5, 1); UPDATE part SET amount = 7 WHERE no = 3";
    place.write(5, |tx| tx.execute_batch(sql)).unwrap();
    let sql = "INSERT INTO part VALUES (2, 1, 5, 1); DELETE FROM part WHERE act = 2;
               INSERT INTO part VALUES (2, 1, 5, 3)";
    place.write(5, |tx| tx.execute_batch(sql)).unwrap();
    expect![[r#"
        [
            "8501011a00050000018184020084210205028421030507",
            "8501011a0005000101818302008422010503",
        ]
    "#]]
    .assert_debug_eq(&entries(&place));
}

#[test]
fn a_savepoint_from_the_cache_is_seen_too() {
    let mut place = pos();
    for no in 1..=3 {
        place
            .write(5, |tx| {
                tx.prepare_cached("SAVEPOINT again")?.execute([])?;
                tx.execute("INSERT INTO part VALUES (1, ?1, 5, 1)", [no])?;
                tx.prepare_cached("ROLLBACK TO again")?.execute([])?;
                tx.execute("INSERT INTO part VALUES (9, ?1, 5, 1)", [no])
            })
            .unwrap();
    }
    assert_eq!(place.holds(), "\npart 9 1 5 1\npart 9 2 5 1\npart 9 3 5 1\n\nsum 5 3\n");
    assert!(entries(&place).iter().all(|entry| entry.len() == entries(&place)[0].len()));
}

#[test]
fn an_entry_has_the_same_bytes_whether_the_hook_is_believed_or_the_rows_are_read_again() {
    let deed = "INSERT INTO act VALUES (row_id(), 7, 'a note');
                INSERT INTO part VALUES ((3 << 40) + 1, 1, 5, -300), (4, 2, 5, 70000);
                INSERT INTO act VALUES (row_id(), 4000, NULL);
                INSERT INTO part VALUES (2, 1, -6, 1)";
    let [believed, again] = ["", "SAVEPOINT s; RELEASE s;"].map(|before| {
        let mut place = pos();
        place.write(5, |tx| tx.execute_batch(&format!("{before}{deed}"))).unwrap();
        entries(&place)
    });
    assert_eq!(believed, again);
}

#[test]
fn a_write_that_changes_nothing_makes_no_entry() {
    let mut place = Place::new(&row("hq-w1", 1, 0, Role::Hq), &[], false);
    place.write(1, |tx| tx.execute("INSERT INTO rate VALUES (1, 5, NULL)", [])).unwrap();
    let same = "INSERT INTO rate VALUES (1, 5, NULL) ON CONFLICT (thing) DO UPDATE SET value = excluded.value";
    assert_eq!(place.write(2, |tx| tx.execute(same, [])).unwrap().entry, None);
    let local = "INSERT INTO own_note VALUES (1, 'not replicated')";
    assert_eq!(place.write(3, |tx| tx.execute(local, [])).unwrap().entry, None);
}

// Proves TS-27: each table has one direction, held where it is written.
#[test]
fn rules_and_roles_are_held_at_the_door() {
    let mut place = pos();
    place.act(1, &[(1, 1)]);
    for (sql, expected) in [
        ("INSERT INTO rate VALUES (1, 5, NULL)", expect!["pos may not write rate"]),
        (
            "UPDATE part SET amount = 9",
            expect![
                "not saved, fault in this program: a row of part was changed or removed, but it holds facts: add another fact instead"
            ],
        ),
        (
            "DELETE FROM act",
            expect![
                "not saved, fault in this program: a row of act was changed or removed, but it holds facts: add another fact instead"
            ],
        ),
        (
            "UPDATE part SET no = 9",
            expect![
                "not saved, fault in this program: the key of a row of part was changed: add a new row instead"
            ],
        ),
        (
            "INSERT INTO act (at) VALUES (1)",
            expect![
                "not saved, fault in this program: a row of act has an id that row_id() did not draw: SQLite made one up, name it in the INSERT"
            ],
        ),
    ] {
        expected.assert_eq(&refused(&mut place, sql));
    }
    assert_eq!(entries(&place).len(), 1);
}

#[test]
fn one_write_touches_one_stream() {
    let mut place = Place::new(&row("hq-w1", 1, 0, Role::Hq), &[], false);
    let sql = "INSERT INTO rate VALUES (1, 5, NULL); INSERT INTO act VALUES (row_id(), 1, NULL)";
    expect!["a row of act names no stream of this device"].assert_eq(&refused(&mut place, sql));
}

#[test]
fn a_trigger_that_writes_a_replicated_table_is_caught() {
    let mut place = pos();
    let sql = "CREATE TEMP TRIGGER sly AFTER INSERT ON own_note BEGIN INSERT INTO part VALUES (1, 1, 1, 1); END;
               INSERT INTO own_note VALUES (1, 'x')";
    expect!["not saved, fault in this program: a trigger wrote the replicated table part: effects stay home"]
        .assert_eq(&refused(&mut place, sql));
    assert_eq!(place.holds(), "\n\n\n\n");
}

#[test]
fn a_replicated_table_is_not_written_past_the_door() {
    let place = pos();
    let db = place.replica.db();
    assert!(db.execute("INSERT INTO part VALUES (1, 1, 1, 1)", []).is_err());
    assert!(db.execute("DELETE FROM part", []).is_ok(), "nothing was there to be deleted");
    assert!(db.execute("INSERT INTO own_note VALUES (1, 'local')", []).is_ok());
    assert_eq!(place.holds(), "\n\n\n\n");
}

// While entries of others are applied the hook is taken off. Statements live longer than that.
#[test]
fn a_statement_from_before_or_within_an_apply_is_heard_after_it() {
    let mut desk = desk::store(2);
    desk.pass(2_000);
    let sell = |place: &mut Place, now: i64, sql: &str| {
        let parts = place.write(now, |tx| {
            tx.prepare_cached(sql)?.execute((now, 1, 5, 1))?;
            tx.prepare_cached("DELETE FROM own_note")?.execute([])
        });
        parts.unwrap().entry
    };
    let own = "INSERT INTO part VALUES (?1, ?2, ?3, ?4)";
    // Word for word what the engine itself prepares while it applies.
    let engines = desk.places[2].replica.tables().numbered(2).unwrap().insert.clone();
    assert!(sell(&mut desk.places[2], 1, own).is_some());
    desk.places[3].act(5, &[(1, 1)]);
    desk.tell(3, Input::Wrote);
    desk.pass(2_000);
    assert!(desk.places[2].holds().contains("sum 1 1"));
    assert!(sell(&mut desk.places[2], 2, own).is_some());
    assert!(sell(&mut desk.places[2], 3, &engines).is_some());
    let stray = desk.places[2].replica.db().prepare_cached(own).unwrap().execute((4, 1, 5, 1));
    assert!(stray.is_err(), "past the door");
}

#[test]
fn a_write_that_is_too_large_is_refused_whole() {
    let mut place = pos();
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
               INSERT INTO part SELECT 1, n, n, 1 FROM n";
    expect!["one write may hold 4096 rows, this one has 5000: split it"]
        .assert_eq(&refused(&mut place, sql));
    assert_eq!(place.holds(), "\n\n\n\n");
}

#[test]
fn a_full_disk_refuses_and_keeps_what_was() {
    let mut place = pos();
    place.act(1, &[(1, 1)]);
    let pages: i64 =
        place.replica.db().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    place.replica.db().pragma_update(None, "max_page_count", pages).unwrap();
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 2000)
               INSERT INTO part SELECT 1, n, n, 1 FROM n";
    refused(&mut place, sql);
    place.replica.db().pragma_update(None, "max_page_count", pages + 1_000).unwrap();
    assert_eq!(place.act(2, &[(1, 1)]), 2);
}

#[test]
fn a_clock_ten_years_back_or_on_never_turns_the_stamps() {
    const TEN_YEARS: i64 = 10 * 365 * 86_400_000;
    let mut place = pos();
    let mut last = None;
    for now in [TEN_YEARS * 5, TEN_YEARS * 4, 0, TEN_YEARS * 6, TEN_YEARS * 5] {
        let sql = "INSERT INTO act VALUES (row_id(), 1, NULL)";
        let stamp = place.write(now, |tx| tx.execute(sql, [])).unwrap().entry.unwrap().stamp;
        assert!(Some(stamp) > last);
        last = Some(stamp);
    }
}

#[test]
fn a_database_has_one_process_and_one_incarnation() {
    let own = row("s0001-p01", 3, 1, Role::Pos);
    let dir = tempfile::tempdir().unwrap();
    let open = |origin: u32| {
        let identity = Identity {
            device: own.device.clone(),
            origin: selvedge_sync::origin::Origin::new(origin).unwrap(),
            role: Role::Pos,
            store: 1,
            authority: [0; 32],
        };
        let settings = Settings {
            path: dir.path().join("store.db"),
            vfs: None,
            identity,
            keys: desk::keys(origin),
            migrations: desk::TRADE.to_vec(),
            cache_kib: 1_024,
        };
        Replica::open(settings)
    };
    let first = open(3).unwrap();
    assert!(matches!(open(3), Err(OpenError::InUse { .. })));
    drop(first);
    assert!(matches!(open(4), Err(OpenError::OtherOrigin { found: 3, wanted: 4 })));
    assert!(open(3).is_ok());
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let own = row("s0001-p01", 3, 1, Role::Pos);
    let dir = tempfile::tempdir().unwrap();
    let write = |now: i64| {
        let mut replica = open_in(dir.path(), &own);
        let done = replica.write(Millis(now), |tx| {
            tx.query_row("INSERT INTO act VALUES (row_id(), 1, NULL) RETURNING id", [], |row| {
                row.get::<_, i64>(0)
            })
        });
        let done = done.unwrap();
        (done.value & 0xff, done.entry.unwrap().seq)
    };
    assert_eq!([write(1), write(1), write(0)], [(1, 1), (2, 2), (3, 3)]);
}

#[test]
fn a_reader_sees_and_does_not_write() {
    let mut place = pos();
    place.act(1, &[(1, 4)]);
    let reader = place.replica.reader().unwrap();
    let amount: i64 =
        reader.query_row("SELECT amount FROM sum WHERE thing = 1", [], |row| row.get(0)).unwrap();
    assert_eq!(amount, 4);
    let floor: i64 = reader.query_row("SELECT own_ids()", [], |row| row.get(0)).unwrap();
    assert_eq!(floor, 3 << 40);
    assert!(reader.execute("DELETE FROM act", []).is_err());
}

#[test]
fn a_local_database_keeps_to_the_same_settings() {
    let dir = tempfile::tempdir().unwrap();
    let schema =
        [open::Migration { name: "0001_note", sql: "CREATE TABLE note (text TEXT) STRICT" }];
    let open_it = |schema: &[open::Migration]| open::local(&dir.path().join("b.db"), None, schema);
    drop(open_it(&schema).unwrap());
    let db = open_it(&schema).unwrap();
    let level: i64 = db.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(level, 2);
    drop(db);
    assert!(matches!(open_it(&[]), Err(OpenError::NewerSchema(name)) if name == "0001_note"));
}
