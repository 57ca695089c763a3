//! Parents that die, lists of parents that change, and lines
//!
//! A pos may have lines to its back office, to the other pos of its store and to HQ. To whom it turns is its own affair;
//! here stand the ends of its lines, and what must hold: nobody waits for a parent that is dead.

use crate::stage::{HQ, Happening, Stage, Verdict};
use crate::swarm::Mishap;
use selvedge_sync::allow_list::{self, Row};
use selvedge_sync::origin::{DeviceId, Role};
use selvedge_sync::parents;
use selvedge_sync::talk::{Input, PeerId};

/// Nobody waits longer than this for a parent that is dead: three beats of silence, a message of it that was half a
/// minute late, and twice the time between two looks.
const DEAD_PARENT_MS: i64 = 100_000;

impl Stage {
    /// Who stands at the upper ends of the lines of a device.
    fn above(&self, child: usize) -> Vec<usize> {
        let device = &self.devices[child];
        match device.above.is_empty() {
            true => device.parent.into_iter().collect(),
            false => device.above.iter().map(|one| one.0).collect(),
        }
    }

    /// What a device calls one of those above it.
    pub fn called(&self, child: usize, above: usize) -> PeerId {
        let named = self.devices[child].above.iter().find(|one| one.0 == above);
        named.map_or(PeerId::Parent, |one| PeerId::Above(one.1.clone()))
    }

    /// To whom a device reports now.
    pub fn reports_to(&self, child: usize) -> Option<usize> {
        let device = &self.devices[child];
        let named = device.running.as_ref().and_then(|running| running.hub.parent());
        match named {
            Some(name) => device.above.iter().find(|one| one.1 == *name).map(|one| one.0),
            None => device.parent,
        }
    }

    /// Both ends of the lines of a device hear that they are up, where both run and nobody was told otherwise.
    pub fn join(&mut self, child: usize) -> Verdict {
        for above in self.above(child) {
            let both_run =
                self.devices[child].running.is_some() && self.devices[above].running.is_some();
            if !both_run || self.lines[child].told {
                continue;
            }
            let id = self.devices[child].identity.device.clone();
            self.tell(above, vec![Input::Up(PeerId::Child(id))])?;
            let name = self.called(child, above);
            self.tell(child, vec![Input::Up(name)])?;
        }
        Ok(())
    }

    /// Whoever is alive at an end of a line of a device hears that it is down; if both are, they find each other again.
    pub fn leave(&mut self, child: usize) -> Verdict {
        for above in self.above(child) {
            let id = self.devices[child].identity.device.clone();
            if self.devices[above].running.is_some() {
                self.tell(above, vec![Input::Down(PeerId::Child(id))])?;
            }
            if self.devices[child].running.is_some() {
                let name = self.called(child, above);
                self.tell(child, vec![Input::Down(name)])?;
            }
        }
        if self.devices[child].parent.is_some() {
            self.plan(200, Happening::Join(child));
        }
        Ok(())
    }

    /// The box of a back office is gone for most of the run. Says for how long.
    pub fn lose_office(&mut self, device: usize) -> i64 {
        let lost = &self.devices[device];
        if lost.identity.role != Role::BackOffice || lost.running.is_none() {
            return 0;
        }
        self.meet(Mishap::DeadOffice, device);
        let run_ms = i64::from(self.size.minutes) * 60_000;
        let dark_ms = self.luck[Mishap::DeadOffice.index()].between(run_ms / 2, run_ms * 9 / 10);
        self.end(device, dark_ms);
        dark_ms
    }

    /// HQ signs another order of parents for the pos of a store. HQ itself stands on every list.
    pub fn name_other_parents(&mut self, device: usize) -> Verdict {
        let store = self.devices[device].identity.store;
        if self.devices[device].identity.role != Role::Pos {
            return Ok(());
        }
        let Some(hq) = &self.devices[HQ].running else { return Ok(()) };
        let mut list: Vec<usize> = self.above(device);
        list.push(device);
        let luck = &mut self.luck[Mishap::NewParents.index()];
        for at in (1..list.len()).rev() {
            list.swap(at, luck.below(at as u64 + 1) as usize);
        }
        let kept = luck.between(0, list.len() as i64 - 1) as usize;
        list.retain(|one| *one != HQ);
        list.truncate(kept);
        let place = luck.below(list.len() as u64 + 1) as usize;
        list.insert(place, HQ);
        let names: Vec<DeviceId> =
            list.iter().map(|one| self.devices[*one].identity.device.clone()).collect();
        let rows: Vec<Row> = (self.devices.iter())
            .filter(|one| one.identity.role == Role::Pos && one.identity.store == store)
            .filter_map(|one| hq.replica.known(one.origin()))
            .map(|row| row.with_parents(names.clone(), &self.vault.authority))
            .collect();
        self.meet(Mishap::NewParents, device);
        let done = self.beside(HQ, |tx, _, _| {
            Ok(rows.iter().try_for_each(|row| allow_list::insert(tx, row))?)
        });
        done.map(drop)
    }

    /// I11: nobody who may turn to another waits for a parent that is dead.
    pub fn look_at_parent(&mut self, child: usize) -> Verdict {
        // An old message of the dead one that comes once more is a word of it.
        let may_judge = !self.faults.has(Mishap::Replayed) && self.may_turn(child);
        let dead = self.reports_to(child).filter(|one| self.devices[*one].running.is_none());
        let Some(parent) = dead.filter(|_| may_judge) else {
            self.waits.remove(&child);
            return Ok(());
        };
        let boots = (self.devices[child].boots, self.devices[parent].boots);
        let fresh = (parent, boots.0, boots.1, self.at_ms);
        let waits = self.waits.entry(child).or_insert(fresh);
        if (waits.0, waits.1, waits.2) != (fresh.0, fresh.1, fresh.2) {
            *waits = fresh;
        }
        let since_ms = self.at_ms - waits.3;
        if since_ms > DEAD_PARENT_MS {
            let dead = self.devices[parent].name().to_owned();
            let what = format!("it has waited {} s for {dead}, which is dead", since_ms / 1_000);
            return Err(self.violation("I11", child, what));
        }
        Ok(())
    }

    /// Whether a device runs and stands with others on the list that it knows.
    fn may_turn(&self, child: usize) -> bool {
        let device = &self.devices[child];
        let Some(running) = &device.running else { return false };
        let lines: Vec<DeviceId> = device.above.iter().map(|one| one.1.clone()).collect();
        let is_hq = |one: &DeviceId| *one == self.devices[HQ].identity.device;
        let own = running.replica.known(device.origin());
        parents::order(own, &lines, is_hq).len() > 1
    }
}
