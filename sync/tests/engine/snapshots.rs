//! New and long absent devices begin with a snapshot

use crate::compaction::keep_twice;
use crate::desk::{Desk, Place, authority, open_in, row, store, store_stream};
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::hub::Hub;
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::snapshot::Manifest;
use selvedge_sync::snapshot_file::FileError;
use selvedge_sync::talk::{Event, HubSettings, Input, Now, Output, PeerId};
use selvedge_sync::topics::Kind;
use selvedge_sync::version::first8;
use selvedge_sync::watermark::{self, Watermark};
use selvedge_sync::wire::{Need, StreamHeads};

/// Soon worth a snapshot, and short in everything.
pub fn brisk(has_parent: bool) -> HubSettings {
    HubSettings {
        has_parent,
        slice_rows: 7,
        snapshot_above: 20,
        watermark_ms: 1_000,
        watermark_step: 1,
        keep_entries: 2,
        segment_entries: 8,
        ..HubSettings::default()
    }
}

/// The desk with hubs of these settings, all lines up.
pub fn with_settings(mut desk: Desk, settings: impl Fn(bool) -> HubSettings) -> Desk {
    for (at, place) in desk.places.iter_mut().enumerate() {
        place.hub = Hub::new(&place.replica, settings(at > 0), 3).unwrap();
    }
    for child in 1..desk.places.len() {
        desk.cable(child, true);
    }
    desk
}

/// A store that has traded: HQ, back office, one pos.
fn traded(acts: i64) -> Desk {
    let mut desk = with_settings(store(1), brisk);
    desk.pass(2_000);
    for sql in [
        "INSERT INTO rate VALUES (1, 100, 'one'), (2, 200, NULL), (3, 300, 'drei')",
        "DELETE FROM rate WHERE thing = 2",
    ] {
        desk.places[0].write(5, |tx| tx.execute(sql, [])).unwrap();
        desk.tell(0, Input::Wrote);
    }
    for at in 0..acts {
        desk.places[2].act(10 + at, &[(at % 5, 1), (at % 3, 2)]);
    }
    desk.tell(2, Input::Wrote);
    desk.pass(5_000);
    desk
}

/// One more pos, admitted and with its cable in.
fn join(desk: &mut Desk, origin: u32) -> usize {
    let row = row(&format!("s0001-p{origin:02}"), origin, 1, Role::Pos);
    let hq = desk.places[0].row.clone();
    desk.places[0].admit(20, &row);
    desk.tell(0, Input::Wrote);
    desk.pass(1_000);
    let mut place = Place::new(&row, &[&hq], true);
    place.hub = Hub::new(&place.replica, brisk(true), 9).unwrap();
    desk.places.push(place);
    desk.parents.push(Some(1));
    let at = desk.places.len() - 1;
    desk.cable(at, true);
    at
}

fn installed(desk: &Desk) -> usize {
    desk.events.iter().filter(|event| matches!(event, Event::Installed { .. })).count()
}

fn equal(desk: &Desk) -> bool {
    let first = desk.places[0].holds();
    desk.places.iter().all(|place| place.holds() == first)
}

#[test]
fn a_new_device_begins_with_a_snapshot_and_goes_on_with_the_tail() {
    let mut desk = traded(100);
    let new = join(&mut desk, 9);
    desk.pass(5_000);
    assert_eq!(installed(&desk), 1, "{:?}", desk.events);
    assert!(equal(&desk));
    let origin = desk.places[2].row.origin;
    let there = &desk.places[new].replica;
    assert_eq!(there.head(store_stream(), origin), {
        let head = desk.places[2].replica.head(store_stream(), origin);
        selvedge_sync::changelog::LogHead {
            lane: there.head(store_stream(), origin).lane,
            bytes: there.head(store_stream(), origin).bytes,
            ..head
        }
    });
    assert_eq!(there.floor(store_stream(), origin), 100, "its log begins where the snapshot ends");
    desk.places[2].act(500, &[(1, 7)]);
    desk.tell(2, Input::Wrote);
    desk.places[new].act(501, &[(2, 9)]);
    desk.tell(new, Input::Wrote);
    desk.pass(3_000);
    assert!(equal(&desk), "{:?}", desk.events);
}

#[test]
fn headquarters_leaves_out_no_rows_of_a_device_that_was_only_admitted() {
    let hq = row("hq-w1", 1, 0, Role::Hq);
    let pos = row("s0001-p01", 2, 1, Role::Pos);
    let new = row("s0001-p02", 3, 1, Role::Pos);
    let places = vec![
        Place::new(&hq, &[&pos, &new], false),
        Place::new(&pos, &[&hq], true),
        Place::new(&new, &[&hq, &pos], true),
    ];
    let mut desk = with_settings(Desk::new(places, vec![None, Some(0), Some(0)]), brisk);
    desk.cable(2, false);
    for at in 0..100 {
        desk.places[1].act(10 + at, &[(at % 5, 1)]);
    }
    desk.tell(1, Input::Wrote);
    desk.pass(5_000);
    desk.cable(2, true);
    desk.pass(5_000);
    assert_eq!(installed(&desk), 1, "{:?}", desk.events);
    assert!(equal(&desk));
}

#[test]
fn a_little_backlog_comes_entry_by_entry() {
    let mut desk = traded(3);
    join(&mut desk, 9);
    desk.pass(5_000);
    assert_eq!(installed(&desk), 0);
    assert!(equal(&desk));
}

#[test]
fn chunks_that_are_lost_are_asked_for_again() {
    let mut desk = traded(300);
    desk.lose_every = 3;
    join(&mut desk, 9);
    desk.pass(120_000);
    assert_eq!(installed(&desk), 1, "{:?}", desk.events);
    assert!(equal(&desk));
}

#[test]
fn a_device_that_stops_in_the_middle_goes_on_with_the_chunks_it_has() {
    let mut desk = traded(100);
    let new = join(&mut desk, 9);
    desk.pass(5_000);
    let place = &mut desk.places[new];
    place.hub = Hub::new(&place.replica, brisk(true), 10).unwrap();
    desk.tell(new, Input::Up(PeerId::Parent));
    desk.pass(5_000);
    assert_eq!(installed(&desk), 1, "what is here is not taken twice");
    assert!(equal(&desk));
}

/// Takes a snapshot from one place as a file.
fn file_of(desk: &Desk, at: usize) -> Vec<u8> {
    let mut file = Vec::new();
    desk.places[at].replica.write_snapshot(1, &mut file).unwrap();
    file
}

fn empty_pos(desk: &Desk, origin: u32, dir: &std::path::Path) -> selvedge_sync::replica::Replica {
    let own = row(&format!("s0001-p{origin:02}"), origin, 1, Role::Pos);
    let mut replica = open_in(dir, &own);
    replica.admit(&[own, desk.places[0].row.clone()]).unwrap();
    replica
}

#[test]
fn a_snapshot_goes_on_a_stick_too_and_no_changed_byte_of_it_is_taken() {
    let desk = traded(40);
    let dir = tempfile::tempdir().unwrap();
    let mut replica = empty_pos(&desk, 9, dir.path());
    for maker in [0, 1] {
        let file = file_of(&desk, maker);
        for at in (0..file.len()).step_by(97) {
            let mut changed = file.clone();
            changed[at] ^= 4;
            let refused = replica.take_snapshot(Millis(1), &mut &changed[..]);
            assert!(refused.is_err(), "byte {at} of {}", file.len());
        }
        for cut in [0, 10, file.len() / 2, file.len() - 1] {
            assert!(replica.take_snapshot(Millis(1), &mut &file[..cut]).is_err(), "cut to {cut}");
        }
    }
    let count = |sql| replica.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM act"), 0);
    let file = file_of(&desk, 0);
    assert!(replica.take_snapshot(Millis(1), &mut &file[..]).unwrap().entries > 40);
    let count = |sql| replica.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM act"), 40);
    assert_eq!(count("SELECT sum(amount) FROM sum"), 120);
}

#[test]
fn only_a_parent_makes_snapshots_and_only_for_its_store() {
    let desk = traded(40);
    let dir = tempfile::tempdir().unwrap();
    let mut replica = empty_pos(&desk, 9, dir.path());
    let by_a_pos = replica.take_snapshot(Millis(1), &mut &file_of(&desk, 2)[..]);
    assert!(matches!(by_a_pos, Err(FileError::Refused(_))), "{by_a_pos:?}");
    let other = row("s0002-p01", 12, 2, Role::Pos);
    let dir = tempfile::tempdir().unwrap();
    let mut replica = open_in(dir.path(), &other);
    replica.admit(&[other, desk.places[0].row.clone()]).unwrap();
    let of_another = replica.take_snapshot(Millis(1), &mut &file_of(&desk, 0)[..]);
    assert!(matches!(of_another, Err(FileError::Refused(_))), "{of_another:?}");
}

#[test]
fn headquarters_leaves_other_stores_out() {
    let mut desk = traded(40);
    let other = row("s0002-b01", 12, 2, Role::BackOffice);
    desk.places[0].admit(30, &other);
    let dir = tempfile::tempdir().unwrap();
    let mut replica = open_in(dir.path(), &other);
    replica.admit(&[other, desk.places[0].row.clone()]).unwrap();
    let mut file = Vec::new();
    desk.places[0].replica.write_snapshot(2, &mut file).unwrap();
    replica.take_snapshot(Millis(1), &mut &file[..]).unwrap();
    let count = |sql| replica.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM act"), 0);
    assert_eq!(count("SELECT count(*) FROM rate"), 2);
    assert_eq!(count("SELECT count(*) FROM allow_list WHERE store = 1"), 0);
}

#[test]
fn a_snapshot_adds_to_what_is_here_and_takes_away_what_an_owner_removed() {
    let mut desk = traded(40);
    let old = file_of(&desk, 1);
    let dir = tempfile::tempdir().unwrap();
    let mut replica = empty_pos(&desk, 9, dir.path());
    replica.take_snapshot(Millis(1), &mut &old[..]).unwrap();
    let own = replica
        .write(Millis(50), |tx| {
            tx.execute("INSERT INTO act (id, at, note) VALUES (row_id(), 50, 'mine')", [])
        })
        .unwrap();
    assert_eq!(own.entry.unwrap().seq, 1);
    desk.places[0].write(60, |tx| tx.execute("DELETE FROM rate WHERE thing = 1", [])).unwrap();
    desk.tell(0, Input::Wrote);
    desk.places[2].act(61, &[(4, 5)]);
    desk.tell(2, Input::Wrote);
    desk.pass(3_000);
    let new = file_of(&desk, 1);
    replica.take_snapshot(Millis(70), &mut &new[..]).unwrap();
    let count = |sql| replica.db().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM rate"), 1);
    assert_eq!(count("SELECT count(*) FROM act"), 42);
    assert_eq!(count("SELECT count(*) FROM act WHERE note = 'mine'"), 1);
    assert_eq!(count("SELECT sum(amount) FROM sum"), 125);
    let older = replica.take_snapshot(Millis(80), &mut &old[..]).unwrap_err();
    assert!(older.to_string().contains("a newer one is waited for"), "{older}");
    let origin = desk.places[2].row.origin;
    assert_eq!(replica.head(store_stream(), origin).seq, 41);
}

#[test]
fn a_manifest_from_anybody_but_the_parent_is_refused() {
    let mut desk = traded(40);
    let new = join(&mut desk, 9);
    let stranger: Row = desk.places[2].row.clone();
    let bytes = b"\x8b\x00".to_vec();
    let from = PeerId::Child(stranger.device);
    desk.tell(new, Input::Message { from, kind: Kind::Snap, bytes });
    assert!(matches!(desk.events.last(), Some(Event::Refused { .. })), "{:?}", desk.events);
}

/// What a child says to have, as its message.
fn need(desk: &Desk, child: usize, vectors: Vec<StreamHeads>) -> Input {
    let Place { row, replica, .. } = &desk.places[child];
    let need = Need {
        nonce: 77,
        origin: row.origin,
        build: "0".into(),
        epoch_lowest: 1,
        epoch_highest: 2,
        vectors,
        want_snapshot: false,
        reply: false,
        credit_live: 262_144,
        credit_bulk: 262_144,
        ticket: 0,
        papers: vec![],
    };
    let bytes = need.encode(replica.keys().as_ref());
    Input::Message { from: PeerId::Child(row.device.clone()), kind: Kind::Need, bytes }
}

#[test]
fn a_snapshot_that_a_child_may_have_trimmed_beyond_is_made_anew() {
    let mut desk = traded(100);
    let new = join(&mut desk, 9);
    desk.pass(5_000);
    assert_eq!(installed(&desk), 1, "{:?}", desk.events);
    keep_twice(&mut desk, &brisk(false));
    desk.pass(60_000);
    let pos = desk.places[2].row.origin;
    assert!(desk.places[1].replica.floor(store_stream(), pos) > 90);
    for thing in 10..20 {
        desk.places[0]
            .write(5, |tx| tx.execute("INSERT INTO rate VALUES (?1, 1, NULL)", [thing]))
            .unwrap();
    }
    let hq = &mut desk.places[0];
    let (writer, head) = (hq.row.origin, hq.replica.head(Stream::CHAIN, hq.row.origin));
    let (keys, chain) = (crate::desk::keys(writer.get()), head.chain);
    let row = Watermark::sign(Stream::CHAIN, writer, head.seq, chain, writer, keys.as_ref());
    hq.write(6, |tx| watermark::put(tx, &row)).unwrap();
    desk.tell(0, Input::Wrote);
    desk.pass(500);
    // It has the newest of HQ and nothing of the store: the log of the office does not reach back so far.
    let chain = desk.places[1].replica.head(Stream::CHAIN, writer);
    let heads = vec![(writer, chain.seq, first8(&chain.chain))];
    let empty = StreamHeads { stream: store_stream(), heads: vec![] };
    let said = need(&desk, new, vec![StreamHeads { stream: Stream::CHAIN, heads }, empty]);
    let now = Now { wall: Millis(9), steady: Millis(desk.now) };
    let office = &mut desk.places[1];
    let mut outputs = office.hub.handle(&mut office.replica, now, vec![said]);
    loop {
        let (more, again) = office.hub.work(&mut office.replica, now);
        outputs.extend(more);
        if !again {
            break;
        }
    }
    outputs.extend(office.hub.handle(&mut office.replica, now, vec![Input::Tick]));
    let marks: Vec<u64> = (outputs.iter())
        .filter_map(|output| match output {
            Output::Send { kind: Kind::Snap, bytes, .. } => Some(bytes),
            _ => None,
        })
        .filter_map(|bytes| {
            Manifest::prove(bytes, &authority().public(), office.replica.keys().as_ref()).ok()
        })
        .map(|(manifest, _)| manifest.mark(Stream::CHAIN, writer))
        .collect();
    assert_eq!(marks, [chain.seq], "{outputs:?}");
}
