//! To whom a device reports: a list, and whoever on it answers
//!
//! A parent is a role, not a place. Frames prove themselves, so anybody on the list may carry them: the back office, a
//! pos that acts for it, HQ itself. The first one is kept as long as it speaks. When it falls silent the next is tried,
//! and while another holds the place, the ones before it are knocked at.

use crate::{
    allow_list::Row,
    hlc::Millis,
    origin::{DeviceId, Role},
};
use std::collections::BTreeSet;

/// So many beats without a word, and the next one is tried.
pub const SILENT_BEATS: i64 = 3;
/// So many beats lie between two knocks at those before the present one.
pub const KNOCK_BEATS: i64 = 6;

/// The list, and who of it is the parent now.
#[derive(Debug)]
pub struct Parents {
    beat_ms: i64,
    list: Vec<DeviceId>,
    now: usize,
    /// Since when the present one has had its chance.
    since: i64,
    knock_at: i64,
    /// Whose lines are there.
    up: BTreeSet<DeviceId>,
    /// The present one reports to us.
    circle: bool,
    /// One that reported to us when we reported to it, and until when we do not go back to it.
    shunned: Option<(DeviceId, i64)>,
}

impl Parents {
    /// These, the first one first. With none, whoever is at the other end of the line is the parent.
    pub fn new(list: Vec<DeviceId>, beat_ms: i64) -> Parents {
        let (since, knock_at) = (i64::MIN, i64::MIN);
        let up = BTreeSet::new();
        Parents { beat_ms, list, now: 0, since, knock_at, up, circle: false, shunned: None }
    }

    /// Who is the parent now; None when nobody is named.
    pub fn now(&self) -> Option<&DeviceId> {
        self.list.get(self.now)
    }

    /// Whether this one is on the list before the present one.
    pub fn is_before(&self, device: &DeviceId) -> bool {
        self.list[..self.now.min(self.list.len())].contains(device)
    }

    /// A line is there or gone.
    pub fn line(&mut self, device: &DeviceId, there: bool) {
        if there {
            self.up.insert(device.clone());
        } else {
            self.up.remove(device);
        }
    }

    /// Whether the line to the present one is there.
    pub fn is_up(&self) -> bool {
        self.now().is_some_and(|now| self.up.contains(now))
    }

    /// Another order, as HQ has signed it. True when another one is the parent now.
    pub fn reorder(&mut self, list: Vec<DeviceId>) -> bool {
        if list == self.list {
            return false;
        }
        let before = self.now().cloned();
        let place = before.as_ref().and_then(|before| list.iter().position(|one| one == before));
        self.list = list;
        self.shunned = None;
        self.now = place.unwrap_or(0);
        if place.is_none() {
            self.since = i64::MIN;
        }
        self.now() != before.as_ref()
    }

    /// The present one reports to us: it knows another list than we do. Nothing new would ever come round this circle.
    pub fn reports_to_us(&mut self) {
        self.circle = self.list.len() > 1;
    }

    /// Turns to the next one when the present one has been silent too long, or reports to us. True when it did.
    pub fn look(&mut self, now: Millis, heard: Option<Millis>) -> bool {
        if self.since == i64::MIN {
            self.since = now.0;
            self.knock_at = now.0 + KNOCK_BEATS * self.beat_ms;
        }
        if std::mem::take(&mut self.circle) && self.list.len() > 1 {
            let until = now.0 + KNOCK_BEATS * self.beat_ms;
            self.shunned = self.now().cloned().map(|one| (one, until));
            self.turn((self.now + 1) % self.list.len(), now);
            return true;
        }
        let last = heard.map_or(self.since, |heard| heard.0.max(self.since));
        if self.list.len() < 2 || now.0 - last < SILENT_BEATS * self.beat_ms {
            return false;
        }
        self.turn((self.now + 1) % self.list.len(), now);
        true
    }

    /// One before the present one has answered: back to it. True when it was one.
    pub fn answered(&mut self, device: &DeviceId, now: Millis) -> bool {
        if self.shunned.as_ref().is_some_and(|(one, until)| one == device && now.0 < *until) {
            return false;
        }
        let place = self.list.iter().position(|one| one == device);
        match place.filter(|place| *place < self.now) {
            Some(place) => {
                self.turn(place, now);
                true
            }
            None => false,
        }
    }

    fn turn(&mut self, place: usize, now: Millis) {
        self.circle = false;
        self.now = place;
        self.since = now.0;
        self.knock_at = now.0 + KNOCK_BEATS * self.beat_ms;
    }

    /// At whom to knock now: those before the present one whose lines are there.
    pub fn knocks(&mut self, now: Millis) -> Vec<DeviceId> {
        if self.now == 0 || now.0 < self.knock_at {
            return Vec::new();
        }
        self.knock_at = now.0 + KNOCK_BEATS * self.beat_ms;
        self.list[..self.now].iter().filter(|one| self.up.contains(*one)).cloned().collect()
    }

    /// When to look again, at the latest.
    pub fn wake_at(&self, heard: Option<Millis>) -> Option<Millis> {
        if self.list.len() < 2 || self.since == i64::MIN {
            return None;
        }
        let last = heard.map_or(self.since, |heard| heard.0.max(self.since));
        let silent = last + SILENT_BEATS * self.beat_ms;
        Some(Millis(if self.now == 0 { silent } else { silent.min(self.knock_at) }))
    }
}

/// The order in which a device turns to those that it has lines to: as HQ has signed it, else the back office of its
/// store, then HQ.
///
/// One list may serve a whole store. Who stands on it himself turns only to those before him, and to HQ: so nobody ever
/// reports to one who reports to him.
pub fn order(
    own: Option<&Row>,
    lines: &[DeviceId],
    is_hq: impl Fn(&DeviceId) -> bool,
) -> Vec<DeviceId> {
    let signed = own.map_or(&[][..], |row| &row.parents);
    if signed.is_empty() {
        let (hq, others): (Vec<&DeviceId>, Vec<&DeviceId>) =
            lines.iter().partition(|line| is_hq(line));
        return others.into_iter().chain(hq).cloned().collect();
    }
    let own_place = signed.iter().position(|one| own.is_some_and(|row| row.device == *one));
    let allowed = |(place, one): &(usize, &DeviceId)| {
        own_place.is_none_or(|own| *place < own) || own_place != Some(*place) && is_hq(one)
    };
    let named = signed.iter().enumerate().filter(allowed).map(|(_, one)| one);
    named.filter(|one| lines.contains(one)).cloned().collect()
}

/// Whether this one may be the parent of a device of this store, which HQ has told to report to these.
pub fn may_lead(leader: &Row, store: u32, signed: &[DeviceId]) -> bool {
    leader.role == Role::Hq
        || leader.store == store
            && (leader.role == Role::BackOffice || signed.contains(&leader.device))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_keys::SoftwareKeys;
    use crate::origin::Origin;

    const BEAT: i64 = 10_000;

    fn device(name: &str) -> DeviceId {
        DeviceId::new(name).unwrap()
    }

    fn names(list: &[DeviceId]) -> String {
        list.iter().map(DeviceId::as_str).collect::<Vec<_>>().join(" ")
    }

    fn row(name: &str, parents: &str) -> Row {
        let authority = SoftwareKeys::from_seed([1; 32]);
        let origin = Origin::new(5).unwrap();
        let row = Row::sign(origin, &device(name), 1, Role::Pos, "T1", [1; 32], &authority);
        row.with_parents(parents.split_whitespace().map(device).collect(), &authority)
    }

    fn three() -> Parents {
        let mut parents = Parents::new(vec![device("b01"), device("p01"), device("hq")], BEAT);
        for name in ["b01", "p01", "hq"] {
            parents.line(&device(name), true);
        }
        assert!(!parents.look(Millis(0), None));
        parents
    }

    #[test]
    fn a_silent_parent_is_left_for_the_next_and_the_last_for_the_first() {
        let mut parents = three();
        assert!(!parents.look(Millis(29_999), None));
        assert!(parents.look(Millis(30_000), None));
        assert_eq!(parents.now(), Some(&device("p01")));
        assert!(!parents.look(Millis(55_000), Some(Millis(50_000))), "it speaks");
        assert!(parents.look(Millis(80_000), Some(Millis(50_000))));
        assert!(parents.look(Millis(110_000), Some(Millis(50_000))));
        assert_eq!(parents.now(), Some(&device("b01")));
    }

    #[test]
    fn those_before_the_present_one_are_knocked_at_and_taken_back_when_they_answer() {
        let mut parents = three();
        assert!(parents.knocks(Millis(300_000)).is_empty(), "nobody stands before the first");
        parents.look(Millis(30_000), None);
        parents.look(Millis(60_000), None);
        assert_eq!(names(&parents.knocks(Millis(120_000))), "b01 p01");
        assert!(parents.knocks(Millis(121_000)).is_empty());
        parents.line(&device("b01"), false);
        assert_eq!(names(&parents.knocks(Millis(180_000))), "p01", "no line, no knock");
        assert!(!parents.answered(&device("x"), Millis(181_000)));
        assert!(parents.answered(&device("b01"), Millis(181_000)));
        assert_eq!(parents.now(), Some(&device("b01")));
        assert!(!parents.answered(&device("hq"), Millis(182_000)), "it stands behind");
    }

    #[test]
    fn one_parent_alone_is_never_left() {
        let mut parents = Parents::new(vec![device("hq")], BEAT);
        assert!(!parents.look(Millis(0), None) && !parents.look(Millis(9_000_000), None));
    }

    #[test]
    fn without_a_signed_list_the_back_office_comes_before_hq() {
        let lines = ["hq", "b01"].map(device);
        let is_hq = |one: &DeviceId| one.as_str() == "hq";
        assert_eq!(names(&order(Some(&row("p01", "")), &lines, is_hq)), "b01 hq");
        assert_eq!(names(&order(None, &lines, is_hq)), "b01 hq");
    }

    #[test]
    fn one_list_serves_a_whole_store_and_makes_no_circle() {
        let lines = ["b01", "p01", "p02", "hq"].map(device);
        let is_hq = |one: &DeviceId| one.as_str() == "hq";
        let of = |name| names(&order(Some(&row(name, "b01 p01 p02 hq")), &lines, is_hq));
        assert_eq!(of("p01"), "b01 hq");
        assert_eq!(of("p02"), "b01 p01 hq");
        assert_eq!(of("p03"), "b01 p01 p02 hq");
        let few = names(&order(Some(&row("p03", "b01 p01 hq")), &lines[2..], is_hq));
        assert_eq!(few, "hq", "only where there is a line");
    }

    #[test]
    fn a_list_that_changes_keeps_the_present_one_where_it_still_stands() {
        let mut parents = three();
        parents.look(Millis(30_000), None);
        assert!(!parents.reorder(vec![device("p01"), device("hq")]));
        assert_eq!(parents.now(), Some(&device("p01")));
        assert!(parents.reorder(vec![device("b01"), device("hq")]));
        assert_eq!(parents.now(), Some(&device("b01")));
    }
}
