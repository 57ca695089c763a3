//! The devices of a chain and the lines between them
//!
//! Nothing in here decides what goes wrong. A stage carries messages, wakes hubs, starts devices, and keeps the ledger
//! of what was promised.

use crate::agenda::Agenda;
use crate::coverage::{Coverage, Phase};
use crate::device::{Device, Running};
use crate::dice::Dice;
use crate::figures::Figures;
use crate::ledger::Ledger;
use crate::network::{Lane, Losses, Weather, flip_a_bit};
use crate::scheme::{Faults, Size};
use crate::sidelines::Sidelines;
use crate::swarm::Mishap;
use crate::trade::Trade;
use crate::trimming::{Trimming, Waits};
use crate::vault::Vault;
use crate::verdict::{Finding, Violation};
use selvedge_sync::signed::Mark;
use selvedge_sync::talk::{Input, Output, PeerId};
use selvedge_sync::topics::Kind;
use std::collections::VecDeque;
use std::rc::Rc;

pub use crate::chain::HQ;

/// So many messages of each line can come again.
const CARRIED_MAX: usize = 24;

/// What a message is made of, and who stands at the upper end of its line.
pub type Message = (Kind, Vec<u8>, usize);

/// A fault that waits until its device is in a state, or until it is weary.
#[derive(Debug, Clone, Copy)]
pub struct Ambush {
    /// What kind.
    pub mishap: Mishap,
    /// In which state.
    pub phase: Phase,
    /// Its number.
    pub number: u64,
}

/// A broken invariant, or nothing.
pub type Verdict = Result<(), Box<Violation>>;

/// What can happen. Devices go by their number; a line goes by the number of its child.
#[derive(Debug)]
pub enum Happening {
    /// A device does business, unless the storm that it was planned in is over.
    Trade {
        /// Which.
        device: usize,
        /// In which storm.
        storm: u32,
    },
    /// Trouble comes, unless the storm that it was planned in is over.
    Strike {
        /// What kind.
        mishap: Mishap,
        /// Where: a device, or the line of a device to its parent.
        device: usize,
        /// In which storm.
        storm: u32,
        /// Whether it strikes at once, and does not lie in wait.
        at_once: bool,
    },
    /// A fault has lain in wait long enough.
    Weary {
        /// At which device.
        device: usize,
        /// Which ambush.
        ambush: u64,
    },
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
    /// There is room again.
    DiskRoom(usize),
    /// A line is whole again, unless the storm that it was cut in is over.
    HealLine {
        /// Whose line.
        child: usize,
        /// In which storm.
        storm: u32,
    },
    /// Both ends of a line hear that it is up.
    Join(usize),
    /// The end of a line that is alive hears that the other is gone.
    Leave(usize),
    /// What HQ wanted kept twice is durable.
    Copied {
        /// In which life of HQ.
        boot: u64,
        /// Records.
        bytes: Vec<u8>,
        /// What they hold.
        marks: Vec<Mark>,
    },
    /// Somebody lets a restored HQ write.
    Succeed,
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
    /// Messages that it has carried, the newest last: up or not, and what.
    pub carried: VecDeque<(bool, Message)>,
}

/// A whole chain on virtual time.
pub struct Stage {
    /// The seed of the run.
    pub seed: u64,
    /// How large it is.
    pub size: Size,
    /// What may go wrong.
    pub faults: Faults,
    /// The options that order this run.
    pub options: String,
    /// What comes.
    pub agenda: Agenda<Happening>,
    /// All devices, HQ first.
    pub devices: Vec<Device>,
    /// The line of each device to its parent.
    pub lines: Vec<Line>,
    /// What its devices do for a living.
    pub business: Rc<dyn Trade>,
    /// What outlives HQ's machine.
    pub vault: Vault,
    /// What was promised.
    pub ledger: Ledger,
    /// What HQ keeps twice, and who was given a snapshot.
    pub trimming: Trimming,
    /// What was counted.
    pub figures: Figures,
    /// Checkouts of each store, by its number.
    pub sold: Vec<u64>,
    /// What became of messages.
    pub losses: Losses,
    /// Everything that happened, as a hash.
    pub trace: blake3::Hasher,
    /// Virtual time.
    pub at_ms: i64,
    /// No faults and no trade for now.
    pub healed: bool,
    /// Times of trouble are numbered: what was planned in one does not strike in the next.
    pub storm: u32,
    /// Until when each device is left alone by planned faults.
    pub calm_until_ms: Vec<i64>,
    /// Faults that wait for a device to be in a state.
    pub ambushes: Vec<Option<Ambush>>,
    /// Which fault has met which state.
    pub coverage: Coverage,
    /// What is done beside the trade.
    pub sidelines: Sidelines,
    /// Who waits for a parent that is dead.
    pub waits: Waits,
    /// Choices of the trade.
    pub trade: Dice,
    /// Choices of the network.
    pub weather: Dice,
    /// Choices that belong to no kind of fault: when something starts, and how long it takes.
    pub trouble: Dice,
    /// Choices of each kind of fault.
    pub luck: Vec<Dice>,
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
            program: self.business.program(),
            options: self.options.clone(),
        })
    }

    /// Turns a finding into a verdict.
    pub fn judge(&self, invariant: &'static str, device: usize, finding: Finding) -> Verdict {
        // Whoever asks for a page that has rotted hears nothing, as it must be; the device notices it by itself.
        if finding.is_err() && !self.healed && self.has_met_rot(device) {
            return Ok(());
        }
        finding.map_err(|what| self.violation(invariant, device, what))
    }

    /// Plans something from now on.
    pub fn plan(&mut self, in_ms: i64, happening: Happening) {
        self.agenda.plan(self.at_ms + in_ms, happening);
    }

    /// Hands inputs to a hub and does what it wishes.
    pub fn tell(&mut self, device: usize, mut inputs: Vec<Input>) -> Verdict {
        if device == HQ {
            inputs.extend(self.keep_twice()?);
        }
        let wishes = self.devices[device].handle(self.at_ms, inputs);
        self.perform(device, wishes);
        self.plan_work(device);
        self.spring(device);
        if device == HQ {
            self.note_own_writes();
        }
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
        if device == HQ {
            self.note_own_writes();
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
        // All timers that a hub names at once stand for the first of them.
        let mut wake_at: Option<i64> = None;
        for wish in wishes {
            match wish {
                Output::Send { to, kind, bytes } => self.send(device, &to, kind, bytes),
                Output::WakeAt(at) => {
                    wake_at = Some(wake_at.map_or(at.0, |before| before.min(at.0)));
                }
                Output::Copy(batch) => self.copy(batch.bytes, batch.marks),
                Output::Event(event) => self.note(device, event),
            }
        }
        if let Some(at_ms) = wake_at {
            self.plan_wake(device, at_ms);
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

    fn send(&mut self, from: usize, to: &PeerId, kind: Kind, bytes: Vec<u8>) {
        let sender = &self.devices[from];
        let line = match to {
            PeerId::Parent => sender.parent.map(|parent| (from, parent)),
            PeerId::Above(id) => {
                let named = sender.above.iter().find(|above| above.1 == *id);
                named.map(|above| (from, above.0))
            }
            PeerId::Child(id) => {
                let below = sender.below.iter().copied();
                let mut below = below.filter(|child| self.devices[*child].identity.device == *id);
                below.next().map(|child| (child, from))
            }
        };
        // A liar is a child without a line: nobody carries an answer to it.
        if let Some((child, above)) = line {
            self.carry(child, !matches!(to, PeerId::Child(_)), (kind, bytes, above));
        }
    }

    /// Puts a message on a line.
    pub fn carry(&mut self, child: usize, upward: bool, message: Message) {
        self.trace.update(&message.1);
        let above = message.2;
        let weather = if self.healed { Weather::CALM } else { self.faults.weather() };
        let line = &mut self.lines[child];
        if self.faults.has(Mishap::Replayed) {
            line.carried.truncate(CARRIED_MAX - 1);
            line.carried.push_front((upward, message.clone()));
        }
        let lane = if upward { &mut line.up } else { &mut line.down };
        let harm = |message: &mut Message, dice: &mut Dice| flip_a_bit(&mut message.1, dice);
        let before = self.losses;
        let parcels =
            lane.send(message, self.at_ms, weather, &mut self.weather, &mut self.losses, harm);
        if before.harmed() < self.losses.harmed() {
            let sender = if upward { child } else { above };
            self.meet_weather(sender, before);
        }
        for parcel in parcels {
            self.agenda
                .plan(parcel.at_ms, Happening::Arrive { child, upward, message: parcel.message });
        }
    }

    /// A message reaches the end of its line.
    pub fn arrive(&mut self, child: usize, upward: bool, (kind, bytes, above): Message) -> Verdict {
        let id = self.devices[child].identity.device.clone();
        let (to, from) = match upward {
            true => (above, PeerId::Child(id)),
            false => (child, self.called(child, above)),
        };
        if self.devices[to].running.is_none() {
            return Ok(());
        }
        if upward && self.devices[child].parent == Some(above) {
            self.trimming.hear(child, self.at_ms);
        }
        self.figures.frames += u64::from(matches!(kind, Kind::Live | Kind::Bulk));
        self.tell(to, vec![Input::Message { from, kind, bytes }])?;
        if kind == Kind::View { self.look_at_views(to) } else { Ok(()) }
    }
}
