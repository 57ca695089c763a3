//! What HQ signs beside messages, at a receiver that takes it
//!
//! A row of the allow-list and a statement of succession come within a need that is in order. A fork is a frame whose seal
//! holds. A watermark is a row in an entry of HQ that is in order, and counts when a log is trimmed by it.

use crate::damage::Tried;
use crate::letters::{AUTHORITY, HQ, OFFICE, POS, Place, Post, Scene, keys, row};
use crate::workload::Deed;
use selvedge_sync::changelog;
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{Origin, Role, Stream};
use selvedge_sync::succession::{Succession, writer_of};
use selvedge_sync::talk::{HubSettings, Input, PeerId};
use selvedge_sync::topics::Kind;
use selvedge_sync::version::Head;
use selvedge_sync::watermark::{self, Watermark};
use selvedge_sync::wire::{PAPER_ROW, PAPER_SUCCESSION};

fn sale(ware: i64) -> Deed {
    Deed::Sell(vec![(ware, 2), (3, 1)])
}

fn store() -> Stream {
    Stream::store(1).expect("1 is a store")
}

/// HQ's writer of the next generation.
fn next() -> Origin {
    writer_of(1).expect("there is a second generation")
}

fn traded() -> Post {
    let mut post = Post::new();
    post.idle(2_000);
    for ware in 1..4 {
        post.write(POS, &sale(ware));
    }
    for no in 1..=30 {
        post.write(HQ, &Deed::Price(vec![(1, Some(no))]));
    }
    post.idle(15_000);
    post
}

/// The pos under the same number and key on another disk: what it sells is another past.
fn fork() -> Scene {
    let post = traded();
    let pos = post.places[POS].row.clone();
    let mut copy = Place::on("copy", &pos, &[], HubSettings::default());
    for ware in 5..8 {
        let done = copy.replica.write(Millis(1), |tx| sale(ware).run(tx, 1));
        assert!(done.is_ok(), "the disk has power");
    }
    let frame = copy.replica.cut(store(), pos.origin, 1).expect("the disk has power");
    Scene::of_frame("proof of a fork", post, frame.expect("it has sold").encode())
}

/// All papers, each about to arrive.
pub fn scenes() -> impl Iterator<Item = Scene> {
    let makes: [fn() -> Scene; 3] = [
        fork,
        || {
            let row = row(next().get(), "hq", Role::Hq);
            Scene::of_paper("row of the allow-list", traded(), PAPER_ROW, row.to_bytes())
        },
        || {
            let heads = [(Stream::CHAIN, Head { seq: 9, chain: [4; 32] })];
            let hq = Origin::new(1).expect("1 is an origin");
            let said = Succession::sign(next(), hq, &heads, keys(AUTHORITY).as_ref()).remove(0);
            Scene::of_paper("succession", traded(), PAPER_SUCCESSION, said.to_bytes())
        },
    ];
    makes.into_iter().map(|make| make())
}

/// HQ writes this row, the back office gets its entry, and a beat passes there. Whether its log is trimmed then.
fn trims(post: &mut Post, row: &Watermark) -> bool {
    let (wall, hq) = (post.now().wall, post.places[HQ].row.origin);
    let wrote = post.places[HQ].replica.write(wall, |tx| watermark::put(tx, row));
    let Ok(Some(mark)) = wrote.map(|done| done.entry) else { return false };
    let frame = post.places[HQ].replica.cut(mark.stream, hq, mark.seq);
    if let Ok(Some(frame)) = frame {
        let message =
            Input::Message { from: PeerId::Parent, kind: Kind::Bulk, bytes: frame.encode() };
        post.bring(OFFICE, message, 10_000);
    }
    let office = &post.places[OFFICE].replica;
    let keys = [(Stream::CHAIN, hq), (store(), hq), (store(), post.places[POS].row.origin)];
    keys.iter().any(|(stream, origin)| office.floor(*stream, *origin) > 0)
}

/// The row with one bit of it flipped; None behind its last bit, or where no such row can be.
fn flipped(row: &Watermark, bit: usize) -> Option<Option<Watermark>> {
    let mut row = row.clone();
    let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
    let made = match bit {
        0..32 => {
            let stream = Stream::from_number(row.stream.number() ^ 1 << bit);
            stream.map(|stream| Watermark { stream, ..row })
        }
        32..64 => Origin::new(row.origin.get() ^ 1 << (bit - 32))
            .map(|origin| Watermark { origin, ..row }),
        64..96 => Origin::new(row.signer.get() ^ 1 << (bit - 64))
            .map(|signer| Watermark { signer, ..row }),
        96..160 => Some(Watermark { seq: row.seq ^ 1 << (bit - 96), ..row }),
        160..416 => {
            flip(&mut row.chain, bit - 160);
            Some(row)
        }
        416..928 => {
            flip(&mut row.signature, bit - 416);
            Some(row)
        }
        _ => return None,
    };
    Some(made)
}

/// Every flipped bit of a watermark. The whole one must trim the log afterwards, or nothing was shown.
pub fn watermarks() -> Tried {
    let mut post = traded();
    let (hq, seq) = (post.places[HQ].row.origin, 20);
    let chain = changelog::chain_at(post.places[HQ].replica.db(), Stream::CHAIN, hq, seq);
    let chain = chain.expect("HQ has written so much");
    let row = Watermark::sign(Stream::CHAIN, hq, seq, chain, hq, keys(hq.get()).as_ref());
    let mut tried = Tried::default();
    while let Some(damaged) = flipped(&row, tried.flips as usize) {
        if damaged.is_some_and(|damaged| trims(&mut post, &damaged)) {
            tried.accepted.push(format!("watermark: bit {} flipped", tried.flips));
            post = traded();
        }
        tried.flips += 1;
    }
    assert!(trims(&mut post, &row), "the undamaged watermark trims nothing");
    tried
}
