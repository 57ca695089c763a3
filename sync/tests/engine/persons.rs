//! Personal data: not in the log, gone without their key

use crate::desk::{Desk, Place, authority, keys, row, store};
#[cfg(feature = "planted")]
use selvedge_sync::planted::{self, Fault};
use selvedge_sync::{
    device_keys::DeviceKeys,
    erasure,
    hlc::Millis,
    hub::Hub,
    identity::{Identity, Settings},
    open::Migration,
    origin::Role,
    outcome::WriteError,
    person_keys::PersonKeys,
    private::{self, Field, PrivateError, Shown},
    replica::Replica,
    talk::{HubSettings, Input},
};

/// A table with a private column.
pub const PERSONS: Migration = Migration {
    name: "0002_person",
    sql: "CREATE TABLE person (id INTEGER PRIMARY KEY CHECK (id >> 40 > 0), name BLOB, note TEXT) STRICT;
          INSERT INTO replicated (table_id, name, rule) VALUES (7, 'person', 'fact');
          INSERT INTO replicated_column VALUES (7, 'id', 'id'), (7, 'name', 'private');",
};

const NAME: &[u8] = b"Ada Lovelace of St James's Square";

/// A store whose replicas all know the table.
pub fn desk() -> Desk {
    let mut desk = store(2);
    desk.places = desk.places.into_iter().map(|place| place.reopened(&[PERSONS])).collect();
    for at in 1..4 {
        desk.cable(at, true);
    }
    desk.pass(2_000);
    desk
}

fn field(subject: i64) -> Field {
    Field { subject, table: 7, row: subject, column: 1 }
}

/// Writes a person; the subject is the row itself.
pub fn enrol(place: &mut Place, now: i64) -> i64 {
    let subject = place.replica.next_row_id();
    let key = place.replica.key_of(subject, [9; 32]).unwrap();
    let wrote = place.replica.write(Millis(now), |tx| {
        let id: i64 = tx.query_row("SELECT row_id()", [], |row| row.get(0))?;
        assert_eq!(id, subject);
        let hash = private::seal(tx, &key, &field(subject), NAME, [4; 24])?;
        tx.execute("INSERT INTO person (id, name) VALUES (?1, ?2)", (id, hash))?;
        Ok::<_, PrivateError>(())
    });
    wrote.unwrap();
    subject
}

fn shown(place: &mut Place, subject: i64) -> Shown {
    let hash: [u8; 32] = place
        .replica
        .db()
        .query_row("SELECT name FROM person WHERE id = ?1", [subject], |row| row.get(0))
        .unwrap();
    place.replica.show(&field(subject), &hash).unwrap()
}

#[test]
fn a_name_is_sealed_travels_beside_the_log_and_opens_with_the_key_alone() {
    let mut desk = desk();
    let subject = enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    assert_eq!(shown(&mut desk.places[2], subject), Shown::Clear(NAME.to_vec()));
    assert_eq!(shown(&mut desk.places[0], subject), Shown::Locked);
    desk.places[0].replica.key_of(subject, [9; 32]).unwrap();
    assert_eq!(shown(&mut desk.places[0], subject), Shown::Clear(NAME.to_vec()));
    for place in &desk.places {
        let entries: Vec<Vec<u8>> = place
            .replica
            .db()
            .prepare("SELECT entry FROM sync_entry UNION ALL SELECT bytes FROM private_blob")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let clear = entries.iter().any(|entry| entry.windows(12).any(|part| part == &NAME[..12]));
        assert!(!clear && !entries.is_empty());
    }
}

#[test]
fn an_erased_person_is_gone_everywhere_and_all_chains_hold() {
    let mut desk = desk();
    let subject = enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    desk.cable(3, false);
    desk.places[0].write(20, |tx| erasure::erase(tx, subject, Millis(20))).unwrap();
    desk.tell(0, Input::Wrote);
    desk.pass(2_000);
    assert_eq!(shown(&mut desk.places[2], subject), Shown::Erased);
    assert_eq!(desk.places[2].replica.person_keys().unwrap().get(subject).unwrap(), None);
    assert!(desk.places[2].replica.key_of(subject, [1; 32]).is_err());
    // Nobody who was away is left out.
    assert_eq!(shown(&mut desk.places[3], subject), Shown::Locked);
    desk.cable(3, true);
    desk.pass(20_000);
    for place in &mut desk.places {
        assert_eq!(shown(place, subject), Shown::Erased);
        let db = place.replica.db();
        let blobs: i64 =
            db.query_row("SELECT count(*) FROM private_blob", [], |r| r.get(0)).unwrap();
        assert_eq!(blobs, 0);
        assert_eq!(erasure::to_confirm(db).unwrap(), [subject]);
    }
    let confirmed = desk.places[2].write(30, |tx| erasure::confirm(tx, 1, subject, Millis(30)));
    assert!(confirmed.unwrap().entry.is_some());
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    let first = desk.places[0].holds();
    assert!(desk.places.iter().all(|place| place.holds() == first));
}

// A replica that was away gets entries whose blobs are gone: not an error, and nothing to read.
#[test]
fn who_comes_late_gets_the_entries_without_the_blobs() {
    let mut desk = desk();
    desk.cable(3, false);
    let subject = enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    desk.places[0].write(20, |tx| erasure::erase(tx, subject, Millis(20))).unwrap();
    desk.tell(0, Input::Wrote);
    desk.pass(2_000);
    desk.cable(3, true);
    desk.pass(20_000);
    assert_eq!(shown(&mut desk.places[3], subject), Shown::Erased);
    assert!(desk.events.is_empty(), "{:?}", desk.events);
}

#[test]
fn clear_text_and_card_numbers_are_refused_and_leave_nothing() {
    let mut desk = desk();
    let place = &mut desk.places[2];
    let wrote = place
        .write(5, |tx| tx.execute("INSERT INTO person (id, name) VALUES (row_id(), ?1)", [NAME]));
    assert!(matches!(wrote, Err(WriteError::Private(PrivateError::NotSealed { .. }))));
    let wrote = place.write(5, |tx| {
        let note = "card 4111 1111 1111 1111";
        tx.execute("INSERT INTO person (id, note) VALUES (row_id(), ?1)", [note])
    });
    assert_eq!(
        wrote.unwrap_err().to_string(),
        "a text of person.note holds what may be a card number: leave it out"
    );
    let rows: i64 =
        place.replica.db().query_row("SELECT count(*) FROM person", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 0);
}

#[test]
fn a_file_of_keys_from_an_older_image_brings_nobody_back() {
    let dir = tempfile::tempdir().unwrap();
    let pos = row("hq-w1", 1, 0, Role::Hq);
    let open = || {
        let (device, origin) = (pos.device.clone(), pos.origin);
        let authority = authority().public();
        let identity = Identity { device, origin, role: Role::Hq, store: 0, authority };
        let path = dir.path().join("hq.db");
        let keys = keys(1);
        let migrations = [crate::desk::TRADE, &[PERSONS]].concat();
        Replica::open(Settings { path, vfs: None, identity, keys, migrations, cache_kib: 512 })
            .unwrap()
    };
    let mut replica = open();
    replica.key_of(77, [9; 32]).unwrap();
    let path = PersonKeys::path_beside(&dir.path().join("hq.db"));
    drop(replica);
    let image = std::fs::read(&path).unwrap();
    let mut replica = open();
    replica.write(Millis(9), |tx| erasure::erase(tx, 77, Millis(9))).unwrap();
    let settings = HubSettings { has_parent: false, ..HubSettings::default() };
    let mut hub = Hub::new(&replica, settings, 1).unwrap();
    let now = selvedge_sync::talk::Now { wall: Millis(9), steady: Millis(9) };
    hub.handle(&mut replica, now, vec![Input::Wrote]);
    assert_eq!(replica.person_keys().unwrap().get(77).unwrap(), None);
    drop(replica);
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|part| part == [9; 32]), "no trace of the key is left");
    }
    std::fs::write(&path, image).unwrap();
    let mut replica = open();
    assert_eq!(replica.person_keys().unwrap().get(77).unwrap(), None);
}

/// What a replica that knows of an erasure shows and keeps of that person after an older snapshot.
fn after_an_older_snapshot() -> (Shown, i64) {
    let mut desk = desk();
    let subject = enrol(&mut desk.places[2], 10);
    desk.tell(2, Input::Wrote);
    desk.pass(2_000);
    let mut before = Vec::new();
    desk.places[1].replica.write_snapshot(1, &mut before).unwrap();
    desk.places[0].write(20, |tx| erasure::erase(tx, subject, Millis(20))).unwrap();
    desk.tell(0, Input::Wrote);
    desk.pass(2_000);
    desk.places[3].replica.take_snapshot(Millis(30), &mut &before[..]).unwrap();
    let shown = shown(&mut desk.places[3], subject);
    let blobs = "SELECT count(*) FROM private_blob";
    (shown, desk.places[3].replica.db().query_row(blobs, [], |row| row.get(0)).unwrap())
}

#[test]
fn a_snapshot_that_was_made_before_an_erasure_brings_nobody_back() {
    assert_eq!(after_an_older_snapshot(), (Shown::Erased, 0));
}

#[test]
#[cfg(feature = "planted")]
fn a_replica_that_keeps_blobs_of_the_erased_is_found_out() {
    planted::set(Some(Fault::ErasedBlobKept));
    assert_eq!(after_an_older_snapshot(), (Shown::Erased, 1));
    planted::set(None);
}
