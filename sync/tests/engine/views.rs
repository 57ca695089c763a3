//! Views: only the newest version counts, none in a log

use crate::desk::{Desk, store, store_stream};
use selvedge_sync::{
    hlc::Millis,
    origin::Stream,
    talk::Input,
    view::{self, Fetched, Rows, Stretch},
    view_wire::STRETCH_BYTES_MAX,
};

const STOCK: &str = "stock";

fn publish(desk: &mut Desk, stream: Stream, rows: &Rows) -> u64 {
    let head = desk.places[0].replica.publish_view(Millis(7), STOCK, stream, rows).unwrap();
    desk.tell(0, Input::Tick);
    head.version
}

fn rows(pairs: impl IntoIterator<Item = (u32, u32)>) -> Rows {
    pairs.into_iter().map(|(k, v)| (k.to_be_bytes().to_vec(), v.to_be_bytes().to_vec())).collect()
}

fn shown(desk: &Desk, at: usize) -> Rows {
    view::rows(desk.places[at].replica.db(), STOCK).unwrap()
}

fn version(desk: &Desk, at: usize) -> u64 {
    view::head(desk.places[at].replica.db(), STOCK).unwrap().map_or(0, |head| head.version)
}

#[test]
fn a_view_reaches_everybody_and_no_log() {
    let mut desk = store(2);
    desk.pass(2_000);
    let before = desk.places[3].replica.head(Stream::CHAIN, desk.places[0].row.origin).seq;
    publish(&mut desk, Stream::CHAIN, &rows([(1, 10), (2, 20)]));
    desk.pass(2_000);
    for at in 0..4 {
        assert_eq!(shown(&desk, at), rows([(1, 10), (2, 20)]), "{at}: {:?}", desk.events);
    }
    publish(&mut desk, Stream::CHAIN, &rows([(2, 21), (3, 30)]));
    desk.pass(2_000);
    assert_eq!(shown(&desk, 3), rows([(2, 21), (3, 30)]));
    assert_eq!(view::row(desk.places[3].replica.db(), STOCK, &1_u32.to_be_bytes()).unwrap(), None);
    let after = desk.places[3].replica.head(Stream::CHAIN, desk.places[0].row.origin).seq;
    assert_eq!(before, after);
}

#[test]
fn who_was_away_skips_what_nobody_needs_any_more() {
    let mut desk = store(2);
    desk.pass(2_000);
    publish(&mut desk, Stream::CHAIN, &rows((0..500).map(|key| (key, 1))));
    desk.pass(5_000);
    desk.cable(3, false);
    for version in 2..60 {
        publish(
            &mut desk,
            Stream::CHAIN,
            &rows((0..500).map(|key| (key, 1 + key / 499 * version))),
        );
        desk.pass(300);
    }
    let newest = view::head(desk.places[1].replica.db(), STOCK).unwrap().unwrap();
    let old = view::head(desk.places[3].replica.db(), STOCK).unwrap().unwrap();
    let less =
        view::stretch(desk.places[1].replica.db(), &newest, old.edition(), &[], STRETCH_BYTES_MAX);
    assert_eq!(less.unwrap().rows.len(), 1, "only the row that differs is sent");
    desk.cable(3, true);
    desk.pass(2_000);
    assert_eq!((version(&desk, 3), version(&desk, 0)), (59, 59));
    assert_eq!(shown(&desk, 3), shown(&desk, 0));
}

#[test]
fn a_large_view_comes_in_stretches_over_a_bad_line() {
    let mut desk = store(1);
    desk.pass(2_000);
    desk.lose_every = 3;
    let large: Rows =
        (0..3_000_u32).map(|key| (key.to_be_bytes().to_vec(), blake3(key).repeat(3))).collect();
    publish(&mut desk, store_stream(), &large);
    desk.pass(240_000);
    assert!(shown(&desk, 2) == large);
}

/// Bytes that do not compress.
fn blake3(key: u32) -> Vec<u8> {
    selvedge_sync::commitment::commitment(&key.to_be_bytes()).to_vec()
}

#[test]
fn a_view_of_one_store_goes_to_that_store_alone() {
    let mut desk = store(1);
    desk.pass(2_000);
    publish(&mut desk, Stream::store(2).unwrap(), &rows([(1, 1)]));
    desk.pass(40_000);
    assert_eq!((version(&desk, 0), version(&desk, 1), version(&desk, 2)), (1, 0, 0));
}

#[test]
fn only_headquarters_publishes() {
    let mut desk = store(1);
    let refused = desk.places[1].replica.publish_view(Millis(7), STOCK, Stream::CHAIN, &rows([]));
    assert_eq!(refused.unwrap_err().to_string(), "only HQ publishes views, this is a back-office");
}

#[test]
fn rows_that_are_not_what_was_signed_are_not_shown() {
    let mut desk = store(1);
    desk.pass(2_000);
    publish(&mut desk, Stream::CHAIN, &rows([(1, 10)]));
    desk.pass(2_000);
    desk.cable(1, false);
    publish(&mut desk, Stream::CHAIN, &rows([(1, 11)]));
    let head = view::head(desk.places[0].replica.db(), STOCK).unwrap().unwrap();
    let after = Vec::new();
    let row = (1_u32.to_be_bytes().to_vec(), Some(b"free".to_vec()));
    let forged = Stretch { head: head.clone(), base: 1, after, rows: vec![row], last: true };
    assert_eq!(desk.places[1].replica.fetch_view(&forged).unwrap(), Fetched::Wrong);
    assert_eq!(shown(&desk, 1), rows([(1, 10)]));
    let older = Stretch { base: 0, head: view::ViewHead { version: 1, ..head }, ..forged };
    assert_eq!(desk.places[1].replica.fetch_view(&older).unwrap(), Fetched::Useless);
}
