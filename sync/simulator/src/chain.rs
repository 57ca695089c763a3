//! The devices of a chain, admitted and tied to each other

use crate::blank;
use crate::clocks::WallClock;
use crate::device::{Device, FILE};
use crate::dice::Dice;
use crate::keys;
use crate::liar::Liar;
use crate::scheme::{Faults, Size};
use crate::swarm::Mishap;
use crate::trade::Trade;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::identity::Identity;
use selvedge_sync::origin::{DeviceId, Origin, Role};
use std::rc::Rc;
use std::sync::Arc;

/// Everybody, before anything has happened.
pub struct Chain {
    /// All devices, HQ first.
    pub devices: Vec<Device>,
    /// The one who lies.
    pub liar: Liar,
    /// The row of each, the liar's among them, as HQ hands them out.
    pub rows: Vec<Row>,
    /// The key of HQ's authority.
    pub authority: SoftwareKeys,
}

/// HQ is the first device.
pub const HQ: usize = 0;

struct Office {
    authority: SoftwareKeys,
    dice: Dice,
    earnest_keys: bool,
    rows: Vec<Row>,
}

impl Office {
    fn admit(&mut self, name: &str, store: u32, role: Role) -> (Identity, Arc<dyn DeviceKeys>) {
        let mut seed = [0; 32];
        self.dice.fill(&mut seed);
        let keys = keys::from_seed(seed, self.earnest_keys);
        let number = self.rows.len() as u32 + 1;
        let origin = Origin::new(number).expect("a chain is smaller than 2^23 devices");
        let device = DeviceId::new(name).expect("names are made here");
        let label = format!("T{number}");
        let row = Row::sign(origin, &device, store, role, &label, keys.public(), &self.authority);
        self.rows.push(row);
        let authority = self.authority.public();
        (Identity { device, origin, role, store, authority }, keys)
    }
}

impl Office {
    /// In each store the first pos acts for the back office, as HQ has signed it, and behind it stands HQ. One list
    /// serves a whole store; each pos has a line to all others and to HQ.
    fn name_parents(&mut self, devices: &mut [Device]) {
        let names: Vec<DeviceId> = devices.iter().map(|one| one.identity.device.clone()).collect();
        for number in 0..devices.len() {
            let Some(parent) = devices[number].parent.filter(|parent| *parent != HQ) else {
                continue;
            };
            let first = devices[parent].children[0];
            let siblings = devices[parent].children.iter().copied().filter(|one| *one != number);
            let above = std::iter::once(parent).chain(siblings).chain([HQ]);
            devices[number].above = above.map(|one| (one, names[one].clone())).collect();
            let signed = [parent, first, HQ].map(|one| names[one].clone()).to_vec();
            self.rows[number] = self.rows[number].with_parents(signed, &self.authority);
        }
    }
}

/// Builds a chain of this size.
pub fn build(size: Size, faults: Faults, dice: &Dice, trade: &Rc<dyn Trade>) -> Chain {
    let mut seed = [0; 32];
    dice.split("authority").fill(&mut seed);
    let mut office = Office {
        authority: SoftwareKeys::from_seed(seed),
        dice: dice.split("keys"),
        earnest_keys: faults.earnest_keys,
        rows: Vec::new(),
    };
    let clocks = dice.split("clocks");
    let mut devices: Vec<Device> = Vec::new();
    let mut join =
        |name: &str, store: u32, role: Role, parent: Option<usize>, office: &mut Office| {
            let (identity, keys) = office.admit(name, store, role);
            let clock = WallClock::new(faults.clocks, &mut clocks.split(name));
            let device =
                Device::new(identity, keys, parent, clock, dice.split(name), trade.migrations());
            if let Some(parent) = parent {
                let number = devices.len();
                devices[parent].children.push(number);
            }
            devices.push(device);
            devices.len() - 1
        };
    let hq = join("hq-w1", 0, Role::Hq, None, &mut office);
    for store in 1..=size.stores {
        let back_office =
            join(&format!("s{store:04}-b01"), store, Role::BackOffice, Some(hq), &mut office);
        for pos in 1..=size.pos {
            join(
                &format!("s{store:04}-p{pos:02}"),
                store,
                Role::Pos,
                Some(back_office),
                &mut office,
            );
        }
    }
    if faults.has(Mishap::DeadOffice) || faults.has(Mishap::NewParents) {
        office.name_parents(&mut devices);
    }
    for number in 0..devices.len() {
        let has_line = |other: &Device| {
            other.parent == Some(number) || other.above.iter().any(|one| one.0 == number)
        };
        devices[number].below = (0..devices.len()).filter(|at| has_line(&devices[*at])).collect();
    }
    let (identity, keys) = office.admit("s0001-p99", 1, Role::Pos);
    let liar = Liar::new(identity.origin, identity.device, keys, trade.clone());
    for (number, device) in devices.iter_mut().enumerate() {
        // Its own row and HQ's. All others come as entries of HQ, often after the frames that they vouch for.
        device.steps = trade.steps();
        device.version = if faults.has(Mishap::Upgrade) { 1 } else { device.steps.len() };
        device.admission = vec![office.rows[number].clone(), office.rows[hq].clone()];
        if !faults.own_tables {
            blank::lay(&device.drive, &device.file(FILE), device.schema());
        }
    }
    Chain { devices, liar, rows: office.rows, authority: office.authority }
}
