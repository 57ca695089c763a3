//! Only what HQ signed admits a device

use expect_test::{Expect, ExpectFile, expect, expect_file};
use proptest::prelude::*;
use rusqlite::Connection;

use selvedge_sync::allow_list::{self, Cut, Row, RowError, State};
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::origin::{DeviceId, ORIGIN_MAX, Origin, Role, STREAM_MAX, Stream};

fn authority() -> SoftwareKeys {
    SoftwareKeys::from_seed([1; 32])
}

fn origin(number: u32) -> Origin {
    Origin::new(number).expect("a sample origin")
}

fn row(number: u32, device: &str, store: u32, role: Role) -> Row {
    let device = DeviceId::new(device).expect("a sample device");
    Row::sign(origin(number), &device, store, role, "T1", [number as u8; 32], &authority())
}

fn pos() -> Row {
    row(12, "s0001-p01", 1, Role::Pos)
}

fn cut() -> Vec<Cut> {
    let store = Stream::store(1).expect("a sample store");
    let cut = |stream, seq| Cut { stream, seq, chain8: [seq as u8; 8] };
    vec![cut(Stream::CHAIN, 3), cut(store, 300)]
}

fn parents() -> Vec<DeviceId> {
    ["s0001-b01", "s0001-p02", "hq-w1"].map(|id| DeviceId::new(id).expect("a sample id")).to_vec()
}

/// The pos with parents of its own, and over.
fn ended() -> Row {
    pos().with_parents(parents(), &authority()).ended(State::Closed, cut(), &authority())
}

fn spare() -> Row {
    Row::spare(origin(14), 1, Role::Pos, "R1", &authority())
}

#[test]
fn a_row_keeps_its_bytes() {
    keeps(&pos(), expect_file!["golden/allow_row.hex"]);
    keeps(&ended(), expect_file!["golden/allow_row_ended.hex"]);
    keeps(&spare(), expect_file!["golden/allow_row_spare.hex"]);
}

fn keeps(row: &Row, golden: ExpectFile) {
    let lines: Vec<String> = row.to_bytes().chunks(32).map(hex::encode).collect();
    golden.assert_eq(&(lines.join("\n") + "\n"));
}

#[test]
fn no_flipped_bit_and_no_cut_of_a_row_passes() {
    for whole in [pos(), ended(), spare()] {
        nothing_damaged_passes(&whole.to_bytes());
    }
}

fn nothing_damaged_passes(whole: &[u8]) {
    let passes = |bytes: &[u8]| {
        Row::from_bytes(bytes).and_then(|row| row.verify(&authority().public())).is_ok()
    };
    assert!(passes(whole));
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&damaged), "bit {bit} flipped");
    }
    for cut in 0..whole.len() {
        assert!(!passes(&whole[..cut]), "cut to {cut} bytes");
    }
    assert!(!passes(&[whole, &[0]].concat()), "a byte too many");
}

#[test]
fn no_part_of_a_row_can_be_changed_after_signing() {
    let key = authority().public();
    let device = DeviceId::new("s0001-p02").unwrap();
    for changed in [
        Row { origin: origin(13), ..pos() },
        Row { device, ..pos() },
        Row { store: 2, ..pos() },
        Row { role: Role::BackOffice, ..pos() },
        Row { label: "T2".into(), ..pos() },
        Row { key: [9; 32], ..pos() },
        Row { state: State::Closed, ..pos() },
        Row { version: 2, ..pos() },
        Row { parents: parents(), ..pos() },
        Row { cut: cut()[..1].to_vec(), ..ended() },
        Row { state: State::Revoked, ..ended() },
    ] {
        assert!(changed.verify(&key).is_err(), "{changed:?}");
    }
    assert!(pos().verify(&[9; 32]).is_err(), "another authority");
    pos().in_state(State::Revoked, &authority()).verify(&key).unwrap();
}

#[test]
fn the_stream_of_hq_is_the_chain_and_only_hq_is_at_store_0() {
    assert_eq!(row(1, "hq-w1", 0, Role::Hq).stream(), Some(Stream::CHAIN));
    assert_eq!(pos().stream(), Stream::store(1));
    let misplaced = Row { store: 0, ..pos() };
    refused(
        Row::from_bytes(&misplaced.to_bytes()),
        expect!["the row of origin 12 names a pos of store 0: HQ has store 0, and only HQ"],
    );
}

#[test]
fn a_row_whose_parts_do_not_go_together_is_no_row() {
    let nobody = Row { device: DeviceId::nobody(), ..pos() };
    let turned = cut().into_iter().rev().collect();
    for (row, says) in [
        (
            nobody,
            expect![
                "the row of origin 12 makes no sense: a spare origin has no device and no key yet, every other one has both"
            ],
        ),
        (
            Row { key: [1; 32], ..spare() },
            expect![
                "the row of origin 14 makes no sense: a spare origin has no device and no key yet, every other one has both"
            ],
        ),
        (
            Row { cut: cut(), ..pos() },
            expect![
                "the row of origin 12 makes no sense: only an origin that is closed or revoked has a cut"
            ],
        ),
        (
            Row { cut: turned, ..ended() },
            expect![
                "the row of origin 12 makes no sense: a cut names each stream once, in order, and an entry of it"
            ],
        ),
        (
            Row { parents: [parents(), parents()].concat(), ..pos() },
            expect!["the row of origin 12 makes no sense: it names a parent twice, or too many"],
        ),
    ] {
        refused(Row::from_bytes(&row.to_bytes()), says);
    }
}

/// A database with the two tables of the engine that say what replicates.
fn database() -> Connection {
    let db = Connection::open_in_memory().expect("memory is there");
    db.execute_batch(
        "CREATE TABLE replicated (table_id INTEGER PRIMARY KEY, name TEXT, rule TEXT, stream TEXT, writers TEXT);
         CREATE TABLE replicated_column (table_id INTEGER, name TEXT, kind TEXT);",
    )
    .expect("the tables are new");
    db.execute_batch(allow_list::SCHEMA).expect("the schema is sound");
    db
}

fn insert(db: &mut Connection, row: &Row) -> Result<(), RowError> {
    let tx = db.transaction()?;
    allow_list::insert(&tx, row)?;
    tx.commit()?;
    Ok(())
}

#[test]
fn a_row_reads_back_from_the_table() {
    let mut db = database();
    let hq = row(1, "hq-w1", 0, Role::Hq);
    for row in [&ended(), &spare(), &hq] {
        insert(&mut db, row).unwrap();
    }
    let key = authority().public();
    assert_eq!(allow_list::by_origin(&db, origin(12), &key).unwrap(), Some(ended()));
    assert_eq!(allow_list::by_origin(&db, origin(13), &key).unwrap(), None);
    assert_eq!(allow_list::all(&db, &key).unwrap(), [hq, ended(), spare()]);
}

#[test]
fn a_row_takes_its_newer_state() {
    let mut db = database();
    insert(&mut db, &pos()).unwrap();
    let closed = pos().ended(State::Closed, cut(), &authority());
    insert(&mut db, &closed).unwrap();
    assert_eq!(allow_list::all(&db, &authority().public()).unwrap(), [closed]);
}

#[test]
fn an_older_row_never_replaces_a_newer_one() {
    let mut db = database();
    let suspended = pos().in_state(State::Suspended, &authority());
    insert(&mut db, &suspended).unwrap();
    refused(
        insert(&mut db, &pos()),
        expect![
            "version 1 of the row of origin 12 is not newer than version 2: read the list again and sign the next one"
        ],
    );
    insert(&mut db, &suspended).unwrap();
    assert_eq!(allow_list::all(&db, &authority().public()).unwrap(), [suspended]);
}

#[test]
fn a_spare_origin_is_given_away_once() {
    let mut db = database();
    insert(&mut db, &spare()).unwrap();
    let given = spare().given_to(&pos().device, [5; 32], &authority());
    insert(&mut db, &given).unwrap();
    let other = DeviceId::new("s0001-p02").unwrap();
    let twice =
        spare().given_to(&other, [6; 32], &authority()).in_state(State::Active, &authority());
    refused(
        insert(&mut db, &twice),
        expect!["origin 14 is already given to another device or key: take the next free one"],
    );
    assert_eq!(allow_list::all(&db, &authority().public()).unwrap(), [given]);
}

#[test]
fn an_origin_never_passes_to_another_device() {
    let mut db = database();
    insert(&mut db, &pos()).unwrap();
    let other = row(12, "s0001-p02", 1, Role::Pos).in_state(State::Active, &authority());
    refused(
        insert(&mut db, &other),
        expect!["origin 12 is already given to another device or key: take the next free one"],
    );
    assert_eq!(allow_list::all(&db, &authority().public()).unwrap(), [pos()]);
}

#[test]
fn a_row_changed_by_hand_in_the_database_does_not_count() {
    let key = authority().public();
    for change in [
        "store = 2",
        "role = 'back-office'",
        "device = 'S1'",
        "label = 'T9'",
        "state = 'closed'",
        "state = 'spare'",
        "version = 2",
        "parents = 'hq-w1'",
        "cut = x'83000140'",
        "cut = x'8000'",
        "key = zeroblob(32)",
        "key = zeroblob(31)",
        "store = -1",
        "signature = zeroblob(0)",
        "origin = 13",
        "origin = 0",
    ] {
        let mut db = database();
        insert(&mut db, &pos()).unwrap();
        db.execute_batch(&format!("UPDATE allow_list SET {change}")).unwrap();
        assert_eq!(allow_list::all(&db, &key).unwrap(), [], "{change}");
        let found = allow_list::by_origin(&db, origin(12), &key);
        assert!(!matches!(found, Ok(Some(_))), "{change}");
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, RowError>, says: Expect) {
    says.assert_eq(&outcome.expect_err("a refusal").to_string());
}

proptest! {
    #[test]
    fn every_row_reads_back(
        number in 1..=ORIGIN_MAX,
        device in "[a-z0-9-]{1,16}",
        store in 1..=STREAM_MAX,
        label in "[a-zA-Z0-9]{0,16}",
        key: [u8; 32],
    ) {
        let device = DeviceId::new(&device).unwrap();
        for (store, role) in [(0, Role::Hq), (store, Role::BackOffice), (store, Role::Pos)] {
            let row = Row::sign(origin(number), &device, store, role, &label, key, &authority());
            let came = Row::from_bytes(&row.to_bytes()).unwrap();
            came.verify(&authority().public()).unwrap();
            prop_assert_eq!(came, row);
        }
    }

    #[test]
    fn no_bytes_make_a_row_panic(bytes: Vec<u8>) {
        let _ = Row::from_bytes(&bytes);
    }
}
