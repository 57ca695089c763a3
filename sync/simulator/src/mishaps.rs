//! What goes wrong: power, disks, clocks, lines and liars
//!
//! Each fault plans its successor, with a calm time between. Nothing starts once the stage is healed.

use crate::dice::Dice;
use crate::liar::{self, Liar, Pretence};
use crate::network::Passage;
use crate::platter::{Failure, Refusal};
use crate::stage::{HQ, Happening, Stage, Verdict};
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::talk::{Input, PeerId};
use selvedge_sync::topics::Kind;

impl Stage {
    /// Plans the first fault of each kind that this run knows.
    pub fn plan_mishaps(&mut self) {
        for device in 0..self.devices.len() {
            if self.faults.cuts {
                let in_ms = self.faults.supply.next_ms(&mut self.trouble);
                self.plan(in_ms, Happening::PowerCut(device));
            }
            if self.faults.restarts {
                self.plan_fault(Happening::Restart(device));
            }
            if self.faults.disk_errors || self.faults.full_disks {
                self.plan_fault(Happening::DiskTrouble(device));
            }
            if self.faults.clock_jumps {
                self.plan_fault(Happening::SetClock(device));
            }
            if self.faults.partitions && device != HQ {
                self.plan_fault(Happening::PartLine(device));
            }
        }
        if self.faults.lies {
            self.plan_fault(Happening::Lie);
        }
    }

    fn plan_fault(&mut self, happening: Happening) {
        let mean_ms = self.size.fault_every_ms();
        let in_ms = self.trouble.between(10_000, 2 * mean_ms.max(10_000));
        self.plan(in_ms, happening);
    }

    /// The power of a device goes, some disk operations from now.
    pub fn cut_power(&mut self, device: usize) {
        if self.healed {
            return;
        }
        let cut = self.faults.supply.cut(&mut self.trouble);
        let next_ms = cut.dark_ms + self.faults.supply.next_ms(&mut self.trouble);
        self.plan(next_ms, Happening::PowerCut(device));
        if self.devices[device].running.is_some() {
            self.devices[device].drive.cut_after(cut.after_operations);
            self.devices[device].cut = Some(cut);
        }
    }

    /// The program of a device ends and starts again.
    pub fn restart(&mut self, device: usize) {
        if self.healed {
            return;
        }
        self.plan_fault(Happening::Restart(device));
        if self.devices[device].running.is_some() {
            let dark_ms = self.trouble.between(200, 20_000);
            self.end(device, dark_ms);
        }
    }

    /// A disk fails at one operation, or has little room for a while.
    pub fn trouble_disk(&mut self, device: usize) {
        if self.healed {
            return;
        }
        self.plan_fault(Happening::DiskTrouble(device));
        self.figures.disk_troubles += 1;
        let drive = &self.devices[device].drive;
        let fails = match (self.faults.disk_errors, self.faults.full_disks) {
            (true, true) => self.trouble.chance(500),
            (fails, _) => fails,
        };
        if fails {
            let at = drive.counts().operations + 1 + self.trouble.below(40);
            drive.plan(Some(Failure { at, refusal: Refusal::Io, lasting: false }));
        } else {
            drive.limit(Some(drive.used_bytes() + self.trouble.below(30_000) as usize));
            let in_ms = self.trouble.between(5_000, 60_000);
            self.plan(in_ms, Happening::DiskRoom(device));
        }
    }

    /// There is room on a disk again.
    pub fn make_room(&mut self, device: usize) {
        self.devices[device].drive.limit(None);
    }

    /// Somebody sets the clock of a device.
    pub fn set_clock(&mut self, device: usize) {
        if !self.healed {
            self.plan_fault(Happening::SetClock(device));
            self.devices[device].clock.set(&mut self.trouble);
        }
    }

    /// A line is cut, both ways or one, or holds all messages back.
    pub fn part_line(&mut self, child: usize) {
        if self.healed {
            return;
        }
        self.figures.partitions += 1;
        let (up, down) = match self.trouble.below(5) {
            0 => (Passage::Cut, Passage::Open),
            1 => (Passage::Open, Passage::Cut),
            2 => (Passage::Held, Passage::Held),
            _ => (Passage::Cut, Passage::Cut),
        };
        self.set_line(child, up, down);
        // A line that is half open is told to nobody, and of a whole cut not everybody hears.
        let told = up != Passage::Open && down != Passage::Open && self.trouble.chance(500);
        self.lines[child].told = told;
        if told {
            self.plan(0, Happening::Leave(child));
        }
        let longest_ms = self.size.fault_every_ms() * 6 / 10;
        let in_ms = self.trouble.between(2_000, longest_ms.max(2_000));
        self.plan(in_ms, Happening::HealLine(child));
    }

    /// A line is whole again.
    pub fn heal_line(&mut self, child: usize) {
        self.set_line(child, Passage::Open, Passage::Open);
        if std::mem::take(&mut self.lines[child].told) {
            self.plan(100, Happening::Join(child));
        }
        if !self.healed {
            self.plan_fault(Happening::PartLine(child));
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

    /// Both ends of a line hear that it is up, if both run and nobody was told otherwise.
    pub fn join(&mut self, child: usize) -> Verdict {
        let Some(parent) = self.devices[child].parent else { return Ok(()) };
        let both_run =
            self.devices[child].running.is_some() && self.devices[parent].running.is_some();
        if !both_run || self.lines[child].told {
            return Ok(());
        }
        let id = self.devices[child].identity.device.clone();
        self.tell(parent, vec![Input::Up(PeerId::Child(id))])?;
        self.tell(child, vec![Input::Up(PeerId::Parent)])
    }

    /// Whoever is alive at an end of a line hears that it is down; if both are, they find each other again.
    pub fn leave(&mut self, child: usize) -> Verdict {
        let Some(parent) = self.devices[child].parent else { return Ok(()) };
        let id = self.devices[child].identity.device.clone();
        if self.devices[parent].running.is_some() {
            self.tell(parent, vec![Input::Down(PeerId::Child(id))])?;
        }
        if self.devices[child].running.is_some() {
            self.tell(child, vec![Input::Down(PeerId::Parent)])?;
        }
        self.plan(200, Happening::Join(child));
        Ok(())
    }

    /// Somebody sends a frame that must not be believed.
    pub fn lie(&mut self, liar: &mut Liar) -> Verdict {
        if self.healed {
            return Ok(());
        }
        self.plan_fault(Happening::Lie);
        let mut dice = self.trouble.split(&format!("lie {}", self.figures.happenings));
        let Some(child) = self.some_pos(&mut dice) else { return Ok(()) };
        let upward = dice.chance(700);
        let parent = self.devices[child].parent.expect("a pos has a parent");
        let (to, from) = if upward {
            (parent, PeerId::Child(self.devices[child].identity.device.clone()))
        } else {
            (child, PeerId::Parent)
        };
        let Some(bytes) = self.untrue(liar, child, to, &mut dice) else { return Ok(()) };
        self.figures.lies += 1;
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
