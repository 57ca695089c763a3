//! A bit flips on the disk, and the database is built anew

use crate::desk::{Desk, Place, holds, row, settings, store};
use crate::snapshots::{brisk, with_settings};
use rusqlite::Connection;
use selvedge_sync::{
    hlc::Millis,
    hub::Hub,
    open::{self, Migration, OpenError},
    origin::{Role, Stream},
    page_sum::PAGE_BYTES,
    rebuild,
    replica::Replica,
    rot,
    scrub::Scrub,
    talk::Input,
};
use std::{fs, os::unix::fs::FileExt, path::Path};

const DAY_MS: i64 = 86_400_000;

fn pos() -> selvedge_sync::allow_list::Row {
    row("s0001-p01", 3, 1, Role::Pos)
}

/// A folder with a database that has sold and noted, closed.
fn sold() -> (tempfile::TempDir, String) {
    let own = pos();
    let mut place = Place::new(&own, &[], false);
    for no in 0..120 {
        place.act(no, &[(no % 7, 1), (no % 5 + 10, 2)]);
    }
    let note = "INSERT INTO own_note (text) VALUES ('milk')";
    place.write(200, |tx| tx.execute(note, [])).unwrap();
    let text = place.holds();
    (place.left(), text)
}

fn flip(path: &Path, at: u64) {
    let file = fs::File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], at).unwrap();
}

/// Opens a database, and again when a scrub finds rot.
fn start(dir: &Path) -> (Replica, rebuild::Salvage) {
    let open = || rebuild::open(|| settings(dir, &pos(), &[])).unwrap();
    let (mut replica, salvage) = open();
    if let Some(salvage) = salvage {
        return (replica, salvage);
    }
    let mut scrub = Scrub::new(DAY_MS);
    assert!(replica.scrub(&mut scrub, Millis(0)).unwrap(), "a day is enough to find it");
    assert!(replica.is_rotten() && replica.halted().is_some());
    drop(replica);
    let (replica, salvage) = open();
    (replica, salvage.expect("it was marked"))
}

#[test]
fn whichever_page_rots_the_database_is_built_anew_with_all_that_reads() {
    let (source, text) = sold();
    let pages = fs::metadata(source.path().join("store.db")).unwrap().len() / PAGE_BYTES as u64;
    let (mut whole, mut torn) = (0, 0);
    for page in 0..pages {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.db");
        fs::copy(source.path().join("store.db"), &path).unwrap();
        flip(&path, page * PAGE_BYTES as u64 + 1_000 + page);
        let (mut replica, salvage) = start(dir.path());
        let log_is_whole = salvage.has_all_of(pos().origin) && salvage.entries == 120;
        if log_is_whole {
            assert_eq!(holds(&replica), text, "page {}", page + 1);
            let notes: i64 = replica
                .db()
                .query_row("SELECT count(*) FROM own_note", [], |row| row.get(0))
                .unwrap();
            assert!(notes == 1 || salvage.torn_tables == ["own_note"], "page {}", page + 1);
            whole += 1;
        } else {
            torn += 1;
        }
        let before = replica.head(Stream::store(1).unwrap(), pos().origin).seq;
        assert_eq!(before, salvage.entries);
        let sold = replica.write(Millis(900), |tx| {
            tx.execute("INSERT INTO act (id, at) VALUES (row_id(), 1)", [])
        });
        if log_is_whole {
            assert_eq!(sold.unwrap().entry.unwrap().seq, 121, "it goes on where it was");
        }
        assert!(dir.path().join("store.db.aside").exists(), "the rotten one is kept");
        assert!(!rot::mark_beside(&path).exists());
    }
    println!("{whole} of {pages} pages cost nothing, {torn} held a part of the log");
    assert!(whole > torn && torn > 0);
}

#[test]
fn a_newer_build_takes_the_columns_that_it_still_has() {
    let (old, _) = sold();
    let newer = [Migration {
        name: "0002_newer",
        sql: "ALTER TABLE own_note ADD COLUMN colour TEXT NOT NULL DEFAULT 'white';
              ALTER TABLE own_note DROP COLUMN text",
    }];
    let new = tempfile::tempdir().unwrap();
    let settings = || settings(new.path(), &pos(), &newer);
    let salvage = rebuild::build(&old.path().join("store.db"), settings()).unwrap();
    assert!(salvage.torn_tables.is_empty());
    let replica = Replica::open(settings()).unwrap();
    let colour = "SELECT colour FROM own_note";
    let colour: String = replica.db().query_row(colour, [], |row| row.get(0)).unwrap();
    assert_eq!(colour, "white");
}

#[test]
fn rot_is_never_served() {
    let (dir, _) = sold();
    let path = dir.path().join("store.db");
    let pages = fs::metadata(&path).unwrap().len() / PAGE_BYTES as u64;
    for page in 0..pages {
        flip(&path, page * PAGE_BYTES as u64 + 2_000);
    }
    assert!(
        matches!(Replica::open(settings(dir.path(), &pos(), &[])), Err(cause) if cause.is_rot())
    );
    let by_hand = open::by_hand(&path).unwrap();
    assert!(by_hand.prepare("SELECT * FROM act").is_err());
}

#[test]
fn a_new_database_takes_its_place_whole_or_not_yet() {
    let (dir, text) = sold();
    let path = dir.path().join("store.db");
    // Power went after the new database was ready, and before the rotten one was moved.
    fs::copy(&path, dir.path().join("store.db.ready")).unwrap();
    flip(&path, 1_000);
    fs::write(dir.path().join("store.db-wal"), b"of the rotten one").unwrap();
    let (replica, salvage) = rebuild::open(|| settings(dir.path(), &pos(), &[])).unwrap();
    assert_eq!((holds(&replica), salvage), (text, None));
    assert!(dir.path().join("store.db.aside-wal").exists());
}

#[test]
fn a_file_from_before_gets_its_sums_at_its_first_start() {
    let schema = [Migration { name: "0001_note", sql: "CREATE TABLE note (text TEXT) STRICT" }];
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("old file #1.db");
    let older = Connection::open(&path).unwrap();
    older
        .execute_batch(
            "PRAGMA journal_mode=WAL; CREATE TABLE note (text TEXT) STRICT;
             CREATE TABLE sync_migration (name TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
             INSERT INTO sync_migration VALUES ('0001_note'); INSERT INTO note VALUES ('kept')",
        )
        .unwrap();
    drop(older);
    let count = |db: &Connection| -> i64 {
        db.query_row("SELECT count(*) FROM note WHERE text = 'kept'", [], |row| row.get(0)).unwrap()
    };
    let opened = open::local(&path, None, &schema).unwrap_or_else(|cause| panic!("{cause}"));
    assert_eq!(count(&opened), 1);
    drop(opened);
    assert_eq!(count(&open::by_hand(&path).unwrap()), 1, "it is checked from now on");
    flip(&path, 500);
    assert!(open::local(&path, None, &schema).is_err_and(|cause| cause.is_rot()));
    // A flipped bit that takes the promise of sums away does not make it an older file.
    let first = dir.path().join("new.db");
    drop(open::local(&first, None, &schema).unwrap());
    let file = fs::File::options().write(true).open(&first).unwrap();
    file.write_all_at(&[0], 20).unwrap();
    let refused = open::local(&first, None, &schema);
    assert!(
        refused
            .is_err_and(|cause| cause.is_rot() && !matches!(cause, OpenError::WithoutSums { .. }))
    );
}

/// A back office that has traded, and that still remembers every page of the acts; one of them rots on its disk.
fn office_with_rot() -> Desk {
    let mut desk = with_settings(store(1), brisk);
    desk.pass(2_000);
    for at in 0..100 {
        desk.places[2].act(10 + at, &[(at % 5, 1)]);
    }
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    let office = &desk.places[1].replica;
    let ask = |sql: &str| office.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(ask("PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    let page = ask("SELECT rootpage FROM sqlite_schema WHERE name = 'act'");
    flip(office.path(), (page as u64 - 1) * PAGE_BYTES as u64 + 2_000);
    assert_eq!(ask("SELECT count(*) FROM act WHERE at > 0"), 100, "it has it in memory");
    desk
}

#[test]
fn rot_that_only_the_maker_of_a_snapshot_meets_is_noticed() {
    let mut desk = office_with_rot();
    desk.pass(500);
    assert!(!desk.places[1].replica.is_rotten(), "nobody has read that page yet");
    let new = row("s0001-p09", 9, 1, Role::Pos);
    let hq = desk.places[0].row.clone();
    desk.places[0].admit(20, &new);
    desk.tell(0, Input::Wrote);
    let mut place = Place::new(&new, &[&hq], true);
    place.hub = Hub::new(&place.replica, brisk(true), 9).unwrap();
    desk.places.push(place);
    desk.parents.push(Some(1));
    desk.cable(3, true);
    desk.pass(2_000);
    assert!(desk.places[1].replica.is_rotten(), "{:?}", desk.events);
}
