//! The devices of a chain and the lines between them
//!
//! Nothing in here decides what goes wrong. A stage carries messages, wakes hubs, starts devices, and keeps the ledger
//! of what was promised.

use crate::agenda::Agenda;
use crate::device::{Device, Running};
use crate::dice::Dice;
use crate::figures::Figures;
use crate::ledger::Ledger;
use crate::network::{Lane, Losses, Weather, flip_a_bit};
use crate::scheme::{Faults, Size};
use crate::verdict::{self, Finding, Violation};
use crate::workload::{Deed, DeedError};
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::outcome::WriteError;
use selvedge_sync::talk::{Input, Output, PeerId};
use selvedge_sync::topics::Kind;

/// HQ is the first device.
pub const HQ: usize = 0;

/// A process that ended by itself is started again after this.
const RESTART_MS: i64 = 2_000;

/// What a message is made of.
pub type Message = (Kind, Vec<u8>);

/// A broken invariant, or nothing.
pub type Verdict = Result<(), Box<Violation>>;

/// What can happen. Devices go by their number; a line goes by the number of its child.
#[derive(Debug)]
pub enum Happening {
    /// A device does business.
    Trade(usize),
    /// A hub asked to be woken.
    Wake {
        /// Whose.
        device: usize,
        /// In which life.
        boot: u64,
    },
    /// A hub has something to apply.
    Work {
        /// Whose.
        device: usize,
        /// In which life.
        boot: u64,
    },
    /// A message arrives.
    Arrive {
        /// Whose line.
        child: usize,
        /// To the parent, or from it.
        upward: bool,
        /// What.
        message: Message,
    },
    /// A device gets power.
    Boot(usize),
    /// A device loses it, some disk operations from now.
    PowerCut(usize),
    /// The program ends and starts again.
    Restart(usize),
    /// A disk fails once, or is full for a while.
    DiskTrouble(usize),
    /// There is room again.
    DiskRoom(usize),
    /// Somebody sets a clock.
    SetClock(usize),
    /// A line is cut.
    PartLine(usize),
    /// A line is whole again.
    HealLine(usize),
    /// Both ends of a line hear that it is up.
    Join(usize),
    /// The end of a line that is alive hears that the other is gone.
    Leave(usize),
    /// Somebody lies.
    Lie,
    /// All promises are looked at.
    Look,
}

/// Both directions of the line between a child and its parent.
#[derive(Default)]
pub struct Line {
    /// To the parent.
    pub up: Lane<Message>,
    /// From the parent.
    pub down: Lane<Message>,
    /// Whether the ends were told that it is cut.
    pub told: bool,
}

/// A whole chain on virtual time.
pub struct Stage {
    /// The seed of the run.
    pub seed: u64,
    /// How large it is.
    pub size: Size,
    /// What may go wrong.
    pub faults: Faults,
    /// What comes.
    pub agenda: Agenda<Happening>,
    /// All devices, HQ first.
    pub devices: Vec<Device>,
    /// The line of each device to its parent.
    pub lines: Vec<Line>,
    /// What was promised.
    pub ledger: Ledger,
    /// What was counted.
    pub figures: Figures,
    /// What became of messages.
    pub losses: Losses,
    /// Everything that happened, as a hash.
    pub trace: blake3::Hasher,
    /// Virtual time.
    pub at_ms: i64,
    /// No faults and no trade any more.
    pub healed: bool,
    /// Choices of the trade.
    pub trade: Dice,
    /// Choices of the network.
    pub weather: Dice,
    /// Choices of everything else that goes wrong.
    pub trouble: Dice,
}

impl Stage {
    /// A violation at a device, now.
    pub fn violation(
        &self,
        invariant: &'static str,
        device: usize,
        what: String,
    ) -> Box<Violation> {
        Box::new(Violation {
            invariant,
            seed: self.seed,
            at_ms: self.at_ms,
            device: self.devices[device].name().to_owned(),
            what,
            options: self.size.options(),
        })
    }

    /// Turns a finding into a verdict.
    pub fn judge(&self, invariant: &'static str, device: usize, finding: Finding) -> Verdict {
        finding.map_err(|what| self.violation(invariant, device, what))
    }

    /// Plans something from now on.
    pub fn plan(&mut self, in_ms: i64, happening: Happening) {
        self.agenda.plan(self.at_ms + in_ms, happening);
    }

    /// Hands inputs to a hub and does what it wishes.
    pub fn tell(&mut self, device: usize, inputs: Vec<Input>) -> Verdict {
        let wishes = self.devices[device].handle(self.at_ms, inputs);
        self.perform(device, wishes);
        self.plan_work(device);
        self.look_after(device)
    }

    /// Lets a hub apply a slice.
    pub fn work(&mut self, device: usize, boot: u64) -> Verdict {
        let at_ms = self.at_ms;
        let Some(running) = self.alive(device, boot) else { return Ok(()) };
        running.works = false;
        let (wishes, more) = self.devices[device].work(at_ms);
        self.perform(device, wishes);
        if more {
            self.plan_work(device);
        }
        self.look_after(device)
    }

    /// Wakes a hub, unless it has changed its mind.
    pub fn wake(&mut self, device: usize, boot: u64) -> Verdict {
        let at_ms = self.at_ms;
        match self.alive(device, boot) {
            Some(running) if running.wake_at_ms == Some(at_ms) => running.wake_at_ms = None,
            _ => return Ok(()),
        }
        self.tell(device, vec![Input::Tick])
    }

    fn alive(&mut self, device: usize, boot: u64) -> Option<&mut Running> {
        let device = &mut self.devices[device];
        if device.boots == boot { device.running.as_mut() } else { None }
    }

    fn plan_work(&mut self, device: usize) {
        let boot = self.devices[device].boots;
        if let Some(running) = self.alive(device, boot)
            && !std::mem::replace(&mut running.works, true)
        {
            let in_ms = self.trouble.between(0, 5);
            self.plan(in_ms, Happening::Work { device, boot });
        }
    }

    fn perform(&mut self, device: usize, wishes: Vec<Output>) {
        for wish in wishes {
            match wish {
                Output::Send { to, kind, bytes } => self.send(device, &to, (kind, bytes)),
                Output::WakeAt(at) => self.plan_wake(device, at.0),
                Output::Event(_) => {}
            }
        }
    }

    fn plan_wake(&mut self, device: usize, at_ms: i64) {
        let (at_ms, boot) = (at_ms.max(self.at_ms + 1), self.devices[device].boots);
        if let Some(running) = self.alive(device, boot)
            && running.wake_at_ms != Some(at_ms)
        {
            running.wake_at_ms = Some(at_ms);
            self.agenda.plan(at_ms, Happening::Wake { device, boot });
        }
    }

    fn send(&mut self, from: usize, to: &PeerId, message: Message) {
        let child = match to {
            PeerId::Parent => Some(from),
            PeerId::Child(id) => {
                let children = &self.devices[from].children;
                children.iter().copied().find(|child| self.devices[*child].identity.device == *id)
            }
        };
        // A liar is a child without a line: nobody carries an answer to it.
        if let Some(child) = child {
            self.carry(child, *to == PeerId::Parent, message);
        }
    }

    /// Puts a message on a line.
    pub fn carry(&mut self, child: usize, upward: bool, message: Message) {
        self.trace.update(&message.1);
        let weather = if self.healed { Weather::CALM } else { self.faults.weather };
        let line = &mut self.lines[child];
        let lane = if upward { &mut line.up } else { &mut line.down };
        let harm = |message: &mut Message, dice: &mut Dice| flip_a_bit(&mut message.1, dice);
        let parcels =
            lane.send(message, self.at_ms, weather, &mut self.weather, &mut self.losses, harm);
        for parcel in parcels {
            self.agenda
                .plan(parcel.at_ms, Happening::Arrive { child, upward, message: parcel.message });
        }
    }

    /// A message reaches the end of its line.
    pub fn arrive(&mut self, child: usize, upward: bool, (kind, bytes): Message) -> Verdict {
        let Some(parent) = self.devices[child].parent else { return Ok(()) };
        let id = self.devices[child].identity.device.clone();
        let (to, from) = if upward { (parent, PeerId::Child(id)) } else { (child, PeerId::Parent) };
        if self.devices[to].running.is_none() {
            return Ok(());
        }
        self.figures.frames += u64::from(matches!(kind, Kind::Live | Kind::Bulk));
        self.tell(to, vec![Input::Message { from, kind, bytes }])
    }

    /// After everything that a device did: is the power still there, and does the engine still take writes?
    pub fn look_after(&mut self, device: usize) -> Verdict {
        if self.devices[device].drive.is_dark() {
            self.go_dark(device);
        } else if let Some(running) = &self.devices[device].running
            && running.replica.halted().is_some()
        {
            self.end(device, RESTART_MS);
        }
        Ok(())
    }

    fn go_dark(&mut self, device: usize) {
        let stricken = &mut self.devices[device];
        let cut = stricken.cut.take().expect("a disk goes dark by a planned cut");
        stricken.running = None;
        stricken.drive.cut(cut.loss, &mut self.trouble);
        self.figures.cuts += 1;
        let dark_ms = if self.healed { 0 } else { cut.dark_ms };
        self.plan(dark_ms, Happening::Boot(device));
        self.plan_leaves(device);
    }

    /// The program ends and is started again after a while; the disk keeps its power.
    pub fn end(&mut self, device: usize, dark_ms: i64) {
        self.devices[device].running = None;
        self.figures.restarts += 1;
        self.plan(dark_ms, Happening::Boot(device));
        self.plan_leaves(device);
    }

    fn lines_of(&self, device: usize) -> Vec<usize> {
        let own = self.devices[device].parent.map(|_| device);
        own.into_iter().chain(self.devices[device].children.iter().copied()).collect()
    }

    fn plan_leaves(&mut self, device: usize) {
        for child in self.lines_of(device) {
            let in_ms = self.trouble.between(0, 5_000);
            self.plan(in_ms, Happening::Leave(child));
        }
    }

    /// Starts a device, and looks whether all that it has promised is there.
    pub fn boot(&mut self, device: usize) -> Verdict {
        if self.devices[device].running.is_some() {
            return Ok(());
        }
        let started = self.devices[device].boot();
        if self.devices[device].drive.is_dark() {
            self.devices[device].running = None;
            self.go_dark(device);
            return Ok(());
        }
        if let Err(cause) = started {
            return self.did_not_start(device, cause.to_string());
        }
        self.look_at_start(device)?;
        for child in self.lines_of(device) {
            let in_ms = self.trouble.between(20, 500);
            self.plan(in_ms, Happening::Join(child));
        }
        self.tell(device, vec![Input::Tick])
    }

    /// Starting needs a disk that works. Where one was made to fail, the next try must succeed.
    fn did_not_start(&mut self, device: usize, cause: String) -> Verdict {
        if self.healed || !(self.faults.disk_errors || self.faults.full_disks) {
            return Err(self.violation("I1", device, format!("it does not start: {cause}")));
        }
        self.plan(RESTART_MS, Happening::Boot(device));
        Ok(())
    }

    fn look_at_start(&mut self, device: usize) -> Verdict {
        let streams = self.devices[device].streams(self.size.stores);
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        let (replica, before) = (&running.replica, self.ledger.total());
        let promises = verdict::check_i01(replica, &streams, &mut self.ledger);
        self.figures.doubts += self.ledger.total() - before;
        let numbers = verdict::check_i02(replica.db());
        let vector = verdict::vector(replica.db());
        let seen = self.ledger.vectors.get(&device);
        let falls =
            vector.and_then(|now| seen.map_or(Ok(()), |seen| verdict::check_i12(seen, &now)));
        self.judge("I1", device, promises)?;
        self.judge("I2", device, numbers)?;
        self.judge("I12", device, falls)?;
        self.look_at_promises(device)
    }

    /// Whatever the children of a device were told that it has, it has; and HQ has what they say HQ has.
    pub fn look_at_promises(&self, device: usize) -> Verdict {
        let Some(parent) = &self.devices[device].running else { return Ok(()) };
        for (number, child) in self.devices.iter().enumerate() {
            let (Some(stream), Some(running)) =
                (Stream::store(child.identity.store), &child.running)
            else {
                continue;
            };
            let status = running.hub.status(&running.replica, child.now(self.at_ms));
            let claimed = match device {
                _ if child.parent == Some(device) => status.parent_has,
                HQ => status.hq_has,
                _ => continue,
            };
            let kept =
                verdict::check_i01_at_parent(child.origin(), stream, claimed, &parent.replica);
            self.judge("I1", number, kept)?;
        }
        Ok(())
    }

    /// A device does business.
    pub fn trade(&mut self, device: usize) -> Verdict {
        let identity = self.devices[device].identity.clone();
        let deed = Deed::roll(identity.role, identity.store, self.size.stores, &mut self.trade);
        let mean_ms = match identity.role {
            Role::Pos => self.size.sale_every_ms,
            Role::BackOffice => 4 * self.size.sale_every_ms,
            Role::Hq => 2 * self.size.sale_every_ms,
        };
        let in_ms = self.trade.between(1, 2 * mean_ms);
        self.plan(in_ms, Happening::Trade(device));
        self.write(device, &deed)
    }

    fn write(&mut self, device: usize, deed: &Deed) -> Verdict {
        let at_ms = self.at_ms;
        let acting = &mut self.devices[device];
        let (now, store, origin) = (acting.now(at_ms), acting.identity.store, acting.origin());
        let Some(Running { replica, .. }) = &mut acting.running else { return Ok(()) };
        let done = replica.write(now.wall, |tx| deed.run(tx, store));
        let dark = acting.drive.is_dark();
        let troubled = dark || self.faults.disk_errors || self.faults.full_disks;
        match done {
            Ok(_) if deed.is_forbidden() => {
                let what = format!("{deed:?} was committed by one who must not write it");
                return Err(self.violation("I10", device, what));
            }
            Ok(done) => {
                if let Some(mark) = done.entry {
                    if mark.seq != self.ledger.acknowledged(mark.stream, origin) + 1 {
                        let what = format!("a write became entry {} of {}", mark.seq, mark.stream);
                        return Err(self.violation("I2", device, what));
                    }
                    self.ledger.acknowledge(mark.stream, origin, mark.hash);
                }
                self.look_after(device)?;
                return self.tell(device, vec![Input::Wrote]);
            }
            Err(WriteError::Refused(DeedError::GivenUp)) | Err(WriteError::Halted(_)) => {}
            Err(WriteError::NotAllowed { .. }) if deed.is_forbidden() => {}
            Err(WriteError::InDoubt(_)) if troubled => self.ledger.doubt(origin),
            Err(_) if troubled => {}
            Err(cause) => {
                let what = format!("{deed:?} was not written though nothing was wrong: {cause}");
                return Err(self.violation("I1", device, what));
            }
        }
        self.look_after(device)
    }
}
