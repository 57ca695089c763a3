//! What goes wrong: power, disks, clocks, lines and liars
//!
//! Each fault plans its successor, with a calm time between. Nothing starts once the stage is healed. Half of the faults
//! lie in wait for a state of their device, so that each kind meets each state often.

use crate::coverage::Phase;
use crate::dice::Dice;
use crate::liar::{self, Liar, Pretence};
use crate::network::{Losses, Passage};
use crate::platter::{Failure, Refusal};
use crate::stage::{Ambush, HQ, Happening, Stage, Verdict};
use crate::swarm::{Mishap, Place};
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::talk::{Input, PeerId};
use selvedge_sync::topics::Kind;

/// A kind of trouble, and where it strikes.
pub type Blow = (Mishap, usize);

/// A fault waits at most so long for the state that it likes.
const AMBUSH_MS: i64 = 60_000;

impl Stage {
    /// Plans the first fault of each kind that this run knows.
    pub fn plan_mishaps(&mut self) {
        for mishap in self.faults.swarm.kinds() {
            let places = match mishap.place() {
                Place::Message => 0..0,
                Place::Device => 0..self.devices.len(),
                Place::Line => 1..self.devices.len(),
                Place::Chain => HQ..HQ + 1,
            };
            places.for_each(|device| self.plan_next(mishap, device, 0));
        }
    }

    /// Plans the next fault of a kind, not before so many milliseconds from now.
    fn plan_next(&mut self, mishap: Mishap, device: usize, not_before_ms: i64) {
        let mean_ms = self.size.fault_every_ms();
        let luck = &mut self.luck[mishap.index()];
        let in_ms = match mishap {
            Mishap::PowerCut => self.faults.supply.next_ms(luck),
            // Every start costs as much as many sales.
            Mishap::Restart => luck.between(20_000, 4 * mean_ms.max(10_000)),
            _ => luck.between(10_000, 2 * mean_ms.max(10_000)),
        };
        let strike = Happening::Strike { mishap, device, storm: self.storm, at_once: false };
        self.plan(not_before_ms + in_ms, strike);
    }

    /// Trouble comes, now or when its device is in the state that it waits for.
    pub fn come(&mut self, liar: &mut Liar, (mishap, device): Blow, at_once: bool) -> Verdict {
        if self.at_ms < self.calm_until_ms[device] {
            let storm = self.storm;
            let wait_ms = self.calm_until_ms[device] + 1 - self.at_ms;
            self.plan(wait_ms, Happening::Strike { mishap, device, storm, at_once });
            return Ok(());
        }
        let luck = &mut self.luck[mishap.index()];
        if !at_once && self.ambushes[device].is_none() && luck.chance(500) {
            let phases: Vec<Phase> = Phase::all().collect();
            let phase = phases[luck.below(phases.len() as u64) as usize];
            let number = self.figures.happenings;
            self.ambushes[device] = Some(Ambush { mishap, phase, number });
            self.plan(AMBUSH_MS, Happening::Weary { device, ambush: number });
            return Ok(());
        }
        self.strike(liar, mishap, device)
    }

    /// A fault that has lain in wait long enough strikes whatever its device does.
    pub fn tire(&mut self, liar: &mut Liar, device: usize, ambush: u64) -> Verdict {
        match self.ambushes[device] {
            Some(Ambush { mishap, number, .. }) if number == ambush => {
                self.ambushes[device] = None;
                self.strike(liar, mishap, device)
            }
            _ => Ok(()),
        }
    }

    /// Springs the fault that lies in wait for what a device is doing now.
    pub fn spring(&mut self, device: usize) {
        let Some(Ambush { mishap, phase, .. }) = self.ambushes[device] else { return };
        if self.phases(device).contains(&phase) {
            self.ambushes[device] = None;
            let storm = self.storm;
            self.plan(0, Happening::Strike { mishap, device, storm, at_once: true });
        }
    }

    /// The states that a device is in.
    fn phases(&self, device: usize) -> Vec<Phase> {
        let running = self.devices[device].running.as_ref();
        Phase::of(running.map(|running| running.hub.doing()))
    }

    /// Counts a fault in the states of its device.
    pub fn meet(&mut self, mishap: Mishap, device: usize) {
        let phases = self.phases(device);
        self.coverage.meet(mishap, &phases);
    }

    /// Counts what the weather has just done to a message, in the states of its sender.
    pub fn meet_weather(&mut self, sender: usize, before: Losses) {
        let now = self.losses;
        let kinds = [
            (Mishap::Lost, now.lost > before.lost),
            (Mishap::Repeated, now.repeated > before.repeated),
            (Mishap::Damaged, now.damaged > before.damaged),
            (Mishap::Late, now.late > before.late),
        ];
        for (mishap, is_met) in kinds {
            if is_met && self.faults.has(mishap) {
                self.meet(mishap, sender);
            }
        }
    }

    fn strike(&mut self, liar: &mut Liar, mishap: Mishap, device: usize) -> Verdict {
        // A cut counts when the power goes, which is some disk operations from now, and a lie where it is heard.
        if !matches!(
            mishap,
            Mishap::PowerCut | Mishap::Lie | Mishap::DeadOffice | Mishap::NewParents
        ) {
            self.meet(mishap, device);
        }
        let calm_ms = self.faults.supply.calm_ms;
        self.calm_until_ms[device] = self.at_ms + self.luck[mishap.index()].between(0, calm_ms);
        match mishap {
            Mishap::Lost | Mishap::Repeated | Mishap::Damaged | Mishap::Late => {
                unreachable!("the weather is not planned")
            }
            Mishap::PowerCut => {
                let dark_ms = self.cut_power(device);
                self.plan_next(mishap, device, dark_ms);
                return Ok(());
            }
            // The next one is planned when the line is whole again.
            Mishap::Partition => {
                self.part_line(device);
                return Ok(());
            }
            Mishap::Restart => self.restart(device),
            Mishap::DiskError => self.fail_disk(device),
            Mishap::FullDisk => self.fill_disk(device),
            Mishap::ClockJump => self.set_clock(device),
            Mishap::Replayed => self.replay(device),
            Mishap::Lie => self.lie(liar)?,
            Mishap::Upgrade => self.upgrade(device),
            Mishap::RestoredHq => self.restore_hq()?,
            Mishap::Rot => self.rot(device),
            Mishap::DeadOffice => {
                let dark_ms = self.lose_office(device);
                self.plan_next(mishap, device, dark_ms);
                return Ok(());
            }
            Mishap::NewParents => self.name_other_parents(device)?,
        }
        self.plan_next(mishap, device, 0);
        Ok(())
    }

    /// The power of a device goes, some disk operations from now. Says how long it stays away.
    fn cut_power(&mut self, device: usize) -> i64 {
        let cut = self.faults.supply.cut(&mut self.luck[Mishap::PowerCut.index()]);
        if self.devices[device].running.is_some() {
            self.devices[device].drive.cut_after(cut.after_operations);
            self.devices[device].cut = Some(cut);
        }
        cut.dark_ms
    }

    /// The program of a device ends and starts again.
    fn restart(&mut self, device: usize) {
        if self.devices[device].running.is_some() {
            let dark_ms = self.luck[Mishap::Restart.index()].between(200, 20_000);
            self.end(device, dark_ms);
        }
    }

    /// A device is brought up to the next version of the schema: its program ends and a newer one starts.
    fn upgrade(&mut self, device: usize) {
        if self.devices[device].version == self.devices[device].steps.len() {
            return;
        }
        self.devices[device].version += 1;
        self.figures.upgrades += 1;
        if self.devices[device].running.is_some() {
            let dark_ms = self.luck[Mishap::Upgrade.index()].between(200, 20_000);
            self.end(device, dark_ms);
        }
    }

    /// Before all must agree, a device is brought up to the newest version that any has.
    pub fn catch_up(&mut self, device: usize) {
        let newest = self.devices.iter().map(|device| device.version).max();
        let newest = newest.expect("a chain has devices");
        if self.devices[device].version < newest {
            self.devices[device].version = newest;
            if self.devices[device].running.is_some() {
                self.end(device, 0);
            }
        }
    }

    /// A disk fails at one operation.
    fn fail_disk(&mut self, device: usize) {
        self.figures.disk_troubles += 1;
        let drive = &self.devices[device].drive;
        let in_operations = self.luck[Mishap::DiskError.index()].below(40);
        let at = drive.counts().operations + 1 + in_operations;
        drive.plan(Some(Failure { at, refusal: Refusal::Io, lasting: false }));
    }

    /// A disk has little room for a while.
    fn fill_disk(&mut self, device: usize) {
        self.figures.disk_troubles += 1;
        let luck = &mut self.luck[Mishap::FullDisk.index()];
        let (room, in_ms) = (luck.below(30_000) as usize, luck.between(5_000, 60_000));
        let drive = &self.devices[device].drive;
        drive.limit(Some(drive.used_bytes() + room));
        self.plan(in_ms, Happening::DiskRoom(device));
    }

    /// There is room on a disk again.
    pub fn make_room(&mut self, device: usize) {
        self.devices[device].drive.limit(None);
    }

    /// Somebody sets the clock of a device.
    fn set_clock(&mut self, device: usize) {
        self.devices[device].clock.set(&mut self.luck[Mishap::ClockJump.index()]);
    }

    /// Messages that a line has carried come once more.
    fn replay(&mut self, child: usize) {
        let luck = &mut self.luck[Mishap::Replayed.index()];
        let carried = &self.lines[child].carried;
        let again: Vec<_> = (0..4.min(carried.len()))
            .map(|_| carried[luck.below(carried.len() as u64) as usize].clone())
            .collect();
        self.figures.replays += again.len() as u64;
        for (upward, message) in again {
            let in_ms = self.luck[Mishap::Replayed.index()].between(0, 2_000);
            self.plan(in_ms, Happening::Arrive { child, upward, message });
        }
    }

    /// A line is cut, both ways or one, or holds all messages back.
    fn part_line(&mut self, child: usize) {
        self.figures.partitions += 1;
        let longest_ms = self.size.fault_every_ms() * 6 / 10;
        let luck = &mut self.luck[Mishap::Partition.index()];
        let (up, down) = match luck.below(5) {
            0 => (Passage::Cut, Passage::Open),
            1 => (Passage::Open, Passage::Cut),
            2 => (Passage::Held, Passage::Held),
            _ => (Passage::Cut, Passage::Cut),
        };
        let (is_heard, in_ms) = (luck.chance(500), luck.between(2_000, longest_ms.max(2_000)));
        self.set_line(child, up, down);
        // A line that is half open is told to nobody, and of a whole cut not everybody hears.
        let told = up != Passage::Open && down != Passage::Open && is_heard;
        self.lines[child].told = told;
        if told {
            self.plan(0, Happening::Leave(child));
        }
        self.plan(in_ms, Happening::HealLine { child, storm: self.storm });
    }

    /// A line is whole again.
    pub fn heal_line(&mut self, child: usize) {
        self.set_line(child, Passage::Open, Passage::Open);
        if std::mem::take(&mut self.lines[child].told) {
            self.plan(100, Happening::Join(child));
        }
        if !self.healed && self.faults.has(Mishap::Partition) {
            self.plan_next(Mishap::Partition, child, 0);
        }
    }

    fn set_line(&mut self, child: usize, up: Passage, down: Passage) {
        let (at_ms, dice, line) = (self.at_ms, &mut self.weather, &mut self.lines[child]);
        let (up, down) = (line.up.set(up, at_ms, dice), line.down.set(down, at_ms, dice));
        for (parcels, upward) in [(up, true), (down, false)] {
            for parcel in parcels {
                let message = parcel.message;
                self.agenda.plan(parcel.at_ms, Happening::Arrive { child, upward, message });
            }
        }
    }

    /// Somebody sends a frame that must not be believed.
    fn lie(&mut self, liar: &mut Liar) -> Verdict {
        let mut dice = self.trouble.split(&format!("lie {}", self.figures.happenings));
        let Some(child) = self.some_pos(&mut dice) else { return Ok(()) };
        if dice.chance(200) {
            self.meet(Mishap::Lie, child);
            return self.lie_about_a_view(child, dice.chance(500));
        }
        let upward = dice.chance(700);
        let parent = self.devices[child].parent.expect("a pos has a parent");
        let (to, from) = if upward {
            (parent, PeerId::Child(self.devices[child].identity.device.clone()))
        } else {
            (child, self.called(child, parent))
        };
        let Some(bytes) = self.untrue(liar, child, to, &mut dice) else { return Ok(()) };
        self.figures.lies += 1;
        self.meet(Mishap::Lie, to);
        self.trace.update(&bytes);
        self.tell(to, vec![Input::Message { from, kind: Kind::Live, bytes }])
    }

    fn some_pos(&self, dice: &mut Dice) -> Option<usize> {
        let is_pos = |device: &usize| self.devices[*device].identity.role == Role::Pos;
        let all: Vec<usize> = (0..self.devices.len()).filter(is_pos).collect();
        (!all.is_empty()).then(|| all[dice.below(all.len() as u64) as usize])
    }

    /// A lie about what `child` wrote, for the ears of `to`.
    fn untrue(&self, liar: &mut Liar, child: usize, to: usize, dice: &mut Dice) -> Option<Vec<u8>> {
        let ears = &self.devices[to].running.as_ref()?.replica;
        let (origin, store) = (self.devices[child].origin(), self.devices[child].identity.store);
        let stream = Stream::store(store)?;
        let head = ears.head(stream, origin);
        let pretence = match dice.below(5) {
            0 => Pretence::Headquarters,
            1 if store > 1 => Pretence::OtherStore(store),
            1 | 2 => Pretence::Other { origin, stream, seq: head.seq, chain: head.chain },
            3 => Pretence::Stranger,
            _ => {
                let mouth = &self.devices[child].running.as_ref()?.replica;
                let frame = mouth.cut(stream, origin, head.seq + 1).ok()??;
                return liar::tamper(&frame, &head.chain, dice);
            }
        };
        Some(liar.lie(pretence, dice))
    }
}
