//! How old HQ's knowledge of a store is

use std::sync::Arc;

use hq_bridge::contacts::Contacts;
use hq_bridge::enrolment;
use hq_bridge::freshness::{self, Look, StoreFreshness};
use hq_bridge::import::FileKind;
use selvedge_domain::moment::Moment;
use selvedge_sync::device_keys::DeviceKeys;
use selvedge_sync::hlc::Millis;
use selvedge_sync::talk::{Input, Now, PeerId};
use selvedge_sync::topics::Kind;

use crate::desk::{Desk, Side, messages};

/// HQ, the back office and the pos of store 1, each with a clock of its own.
struct Three {
    sides: [Side; 3],
    inboxes: [Vec<Input>; 3],
    steady: i64,
    /// How far the clock of each is off, in milliseconds.
    off: [i64; 3],
    /// Whether the pos reaches its back office.
    pos_line: bool,
    /// Whether frames of the back office reach HQ.
    frames_pass: bool,
}

impl Three {
    fn new(desk: &Desk) -> Three {
        let office = desk.pos("s0001-b01", 1);
        let pos = desk.pos("s0001-p01", 2);
        let sides = [desk.side(), office, pos];
        let (office, pos) = (PeerId::Child(sides[1].device()), PeerId::Child(sides[2].device()));
        let inboxes = [
            vec![Input::Up(office)],
            vec![Input::Up(PeerId::Parent), Input::Up(pos)],
            vec![Input::Up(PeerId::Parent)],
        ];
        // The pos believes that it is 2001, the back office that it is 2096.
        let off = [0, 70 * 365 * 86_400_000, -25 * 365 * 86_400_000];
        Three { sides, inboxes, steady: 0, off, pos_line: true, frames_pass: true }
    }

    fn now(&self, side: usize) -> Now {
        let wall = 1_790_000_000_000 + self.steady + self.off[side];
        Now { wall: Millis(wall), steady: Millis(self.steady) }
    }

    fn live(&mut self, seconds: i64) {
        for _ in 0..seconds * 4 {
            self.steady += 250;
            for from in 0..3 {
                let at = self.now(from);
                let mut inbox = std::mem::take(&mut self.inboxes[from]);
                inbox.push(Input::Tick);
                let said = self.sides[from].give(at, inbox);
                self.deliver(from, said);
            }
        }
    }

    fn deliver(&mut self, from: usize, said: Vec<selvedge_sync::talk::Output>) {
        use selvedge_sync::talk::Output;
        for output in said {
            let Output::Send { to: PeerId::Parent, .. } = &output else {
                if from < 2 && (from == 0 || self.pos_line) && matches!(output, Output::Send { .. })
                {
                    self.inboxes[from + 1].extend(messages(vec![output], &PeerId::Parent));
                }
                continue;
            };
            let frame = matches!(output, Output::Send { kind: Kind::Live | Kind::Bulk, .. });
            let lost = from == 2 && !self.pos_line || from == 1 && frame && !self.frames_pass;
            if !lost {
                let name = PeerId::Child(self.sides[from].device());
                self.inboxes[from - 1].extend(messages(vec![output], &name));
            }
        }
    }

    fn contacts(&self) -> Contacts {
        let hq = &self.sides[0];
        Contacts::of(&hq.hub.status(&hq.replica, self.now(0)))
    }

    /// Store 1 as HQ sees it.
    fn store(&self, desk: &Desk) -> StoreFreshness {
        let db = self.sides[0].replica.db();
        let rows = enrolment::list(db, &desk.keys.authority.public()).unwrap();
        let now = Moment(self.now(0).wall.0);
        let look = freshness::look(db, Arc::new(rows), &self.contacts(), now).unwrap();
        look.stores[&1].clone()
    }
}

fn look(desk: &Desk, contacts: &Contacts, now: i64) -> Look {
    let db = desk.database().reader().unwrap();
    let rows = enrolment::list(&db, &desk.keys.authority.public()).unwrap();
    freshness::look(&db, Arc::new(rows), contacts, Moment(now)).unwrap()
}

fn heard(ages: &[(&str, i64)]) -> Contacts {
    let ages = ages.iter().map(|(device, ms)| (device.to_string(), *ms));
    Contacts { heard_ms: ages.collect(), ..Contacts::default() }
}

// Proves IM-09, IM-10.
#[test]
fn ages_add_up_from_hop_to_hop_whatever_the_clocks_say() {
    let desk = Desk::stocked();
    let mut three = Three::new(&desk);
    three.live(40);
    let store = three.store(&desk);
    assert!(store.synced, "{store:?}");
    assert!(store.age_ms.unwrap() <= 20_000);

    // The pos falls silent. The back office goes on beating, and says how long ago it heard the pos.
    three.pos_line = false;
    three.live(60);
    let store = three.store(&desk);
    let age = store.age_ms.unwrap();
    assert!((50_000..=80_000).contains(&age), "{age}");
    assert!(!store.synced, "the store may be selling without us");
    let office = &store.devices[0];
    assert!(office.row.device.as_str() == "s0001-b01" && office.synced && !office.counts);
    assert_eq!(store.reason(), "T1 was not heard for more than 20 s");

    three.pos_line = true;
    three.live(40);
    assert!(three.store(&desk).synced);
}

#[test]
fn a_store_is_whole_only_while_hq_has_all_that_it_is_known_to_have() {
    let desk = Desk::stocked();
    let mut three = Three::new(&desk);
    three.live(40);
    let whole = three.store(&desk).complete_at.unwrap();

    three.frames_pass = false;
    three.sides[2].sell(&[1001]);
    three.sides[2].sell(&[1002]);
    three.inboxes[2].push(Input::Wrote);
    three.live(60);
    let store = three.store(&desk);
    assert!(store.synced, "it is heard all the time");
    let missing: u64 = store.devices.iter().map(|device| device.missing).sum();
    assert_eq!(missing, 2, "{:?}", store.devices);
    let late = three.now(0).wall.0 - store.complete_at.unwrap().0;
    assert!(late >= 50_000 && store.complete_at.unwrap().0 >= whole.0 - 1_000, "late by {late} ms");

    three.frames_pass = true;
    three.live(400);
    let store = three.store(&desk);
    assert_eq!(store.devices.iter().map(|device| device.missing).sum::<u64>(), 0);
    assert!(three.now(0).wall.0 - store.complete_at.unwrap().0 <= 30_000, "{store:?}");
}

// Proves IM-10.
#[test]
fn a_store_is_as_fresh_as_its_oldest_pos() {
    let desk = Desk::stocked();
    desk.admit("s0001-b01", 1, None).unwrap();
    desk.admit("s0001-p01", 2, None).unwrap();
    desk.admit("s0001-p02", 3, None).unwrap();
    let store = |ages: &[(&str, i64)]| look(&desk, &heard(ages), 0).stores[&1].clone();
    let both = store(&[("s0001-b01", 99_000), ("s0001-p01", 4_000), ("s0001-p02", 20_000)]);
    assert_eq!(
        (both.synced, both.age_ms),
        (true, Some(20_000)),
        "a back office sells nothing here"
    );
    let late = store(&[("s0001-b01", 0), ("s0001-p01", 4_000), ("s0001-p02", 20_001)]);
    assert_eq!((late.synced, late.age_ms), (false, Some(20_001)));
    let silent = store(&[("s0001-b01", 0), ("s0001-p01", 4_000)]);
    assert_eq!((silent.synced, silent.age_ms), (false, None));
    assert_eq!(silent.reason(), "T2 was not heard since head office started");
    let limit = "store,name,currency,tax_included,stale_after_s\n1,Harbour,GBP,yes,60\n";
    desk.import(FileKind::Stores, limit.as_bytes());
    assert!(store(&[("s0001-p01", 4_000), ("s0001-p02", 60_000)]).synced);
}

// Proves IM-10.
#[test]
fn a_store_that_nobody_knows_or_where_nobody_sells_is_not_synced() {
    let desk = Desk::stocked();
    let empty = &look(&desk, &heard(&[]), 0).stores[&2];
    assert_eq!((empty.synced, empty.complete_at), (false, None));
    assert_eq!(empty.reason(), "no device is admitted here");
    let unknown = freshness::unknown(77);
    assert_eq!((unknown.synced, unknown.known, unknown.complete_at), (false, false, None));
    assert_eq!(unknown.reason(), "there is no store 77");
}

#[test]
fn a_replaced_device_counts_no_more() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    desk.admit("s0001-p01", 2, None).unwrap();
    let store = look(&desk, &heard(&[("s0001-p01", 1_000)]), 0).stores[&1].clone();
    assert_eq!((store.synced, store.devices.len()), (true, 1));
    assert_eq!(store.devices[0].row.label, "T1b");
}

// Proves IM-10.
#[test]
fn a_restart_forgets_the_age_and_keeps_the_last_moment() {
    let desk = Desk::stocked();
    desk.admit("s0001-p01", 1, None).unwrap();
    let whole = Contacts {
        complete_ms: [("s0001-p01".to_string(), 3_000)].into(),
        ..heard(&[("s0001-p01", 3_000)])
    };
    let before = hq_bridge::database::now().0;
    freshness::keep(&desk.database(), &whole).unwrap();
    let after = look(&desk, &Contacts::default(), before + 999_000).stores[&1].clone();
    assert_eq!((after.synced, after.age_ms), (false, None));
    let kept = after.complete_at.unwrap().0;
    assert!((before - 3_000..before + 60_000).contains(&kept), "{kept} is not near {before}");

    // Heard again, the new moment counts, also when HQ's clock was put back meanwhile.
    let again = look(&desk, &whole, before - 50_000).stores[&1].clone();
    assert_eq!(again.complete_at, Some(Moment(before - 53_000)));
}
