//! A disk whose syncs lie is noticed as soon as anybody is met

use selvedge_simulator::dice::Dice;
use selvedge_simulator::letters::{OFFICE, POS, Place, Post, settings};
use selvedge_simulator::platter::{Loss, Platter};
use selvedge_simulator::workload::Deed;
use selvedge_sync::origin::Stream;
use selvedge_sync::planted::{self, Fault};

/// Sales before the disk begins to lie, and those of which it says that they are durable.
const SALES: [i64; 2] = [3, 4];

/// What became of a device whose disk has lied.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// It does not start: its database is not whole.
    NotWhole,
    /// It writes no more under its origin, or its database refuses.
    Refused,
    /// It writes on, and all that it had acknowledged is there.
    Whole,
    /// It writes on, and something is missing.
    Unnoticed,
}

fn sale(no: i64) -> Deed {
    Deed::Sell(vec![(no % 5 + 1, 2)])
}

/// The pos sells while its disk lies, the power goes, it starts again, sells so often without a line, and meets its back
/// office. Says what became of it, after the back office has shown that it kept all.
fn lied(loss: Loss, again: i64, dice: &mut Dice) -> Found {
    let mut post = Post::new();
    post.idle(2_000);
    for (part, sales) in SALES.into_iter().enumerate() {
        if part == 1 {
            post.places[POS].drive.touch(Platter::lie);
        }
        (0..sales).for_each(|no| post.write(POS, &sale(no)));
        post.idle(3_000);
    }
    let (store, row) = (Stream::store(1).expect("1 is a store"), post.places[POS].row.clone());
    let all = SALES.iter().sum::<i64>() as u64;
    assert_eq!(post.places[OFFICE].replica.head(store, row.origin).seq, all, "it was passed on");
    post.line(POS, false);
    let mut drive = post.places[POS].drive.clone();
    drive.cut(loss, dice);
    let Some(place) = Place::start(drive, &row, settings(true)) else { return Found::NotWhole };
    post.places[POS] = place;
    let own = post.places[POS].replica.head(store, row.origin).seq;
    let wall = post.now().wall;
    for no in 0..again {
        let _ = post.places[POS].replica.write(wall, |tx| sale(no + 2).run(tx, 1));
    }
    post.line(POS, true);
    post.idle(5_000);
    assert!(post.places[OFFICE].replica.head(store, row.origin).seq >= all, "it keeps what it has");
    let more = post.places[POS].replica.write(wall, |tx| sale(1).run(tx, 1));
    match (more.is_err(), own >= all) {
        (true, _) => Found::Refused,
        (false, true) => Found::Whole,
        (false, false) => Found::Unnoticed,
    }
}

// Proves IM-04: a disk that lies cannot be survived alone, but it is found out at first contact, also when it has sold again.
#[test]
fn a_disk_that_lied_is_noticed_at_first_contact() {
    let mut dice = Dice::new(1);
    for again in [0, 1, 6] {
        assert_eq!(lied(Loss::Everything, again, &mut dice), Found::Refused, "{again} sales");
    }
    assert_eq!(lied(Loss::Nothing, 1, &mut dice), Found::Whole);
    let found: Vec<Found> = (0..12).map(|no| lied(Loss::Torn, no % 3, &mut dice)).collect();
    assert!(!found.contains(&Found::Unnoticed), "{found:?}");
}

#[test]
fn a_device_that_does_not_look_back_is_found_out_here() {
    planted::set(Some(Fault::SetBackIgnored));
    let found = lied(Loss::Everything, 6, &mut Dice::new(1));
    planted::set(None);
    assert_eq!(found, Found::Unnoticed);
}
