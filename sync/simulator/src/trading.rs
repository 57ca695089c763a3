//! What devices of a stage do for a living

use crate::device::Running;
use crate::shadow::Effect;
use crate::stage::{Happening, Stage, Verdict};
use crate::trade::{Act, DeedError};
use selvedge_sync::origin::Role;
use selvedge_sync::outcome::WriteError;
use selvedge_sync::page_check;
use selvedge_sync::talk::Input;

impl Stage {
    /// A device does business.
    pub fn trade(&mut self, device: usize) -> Verdict {
        let identity = self.devices[device].identity.clone();
        let deed = self.business.next(&identity, self.size.stores, &mut self.trade);
        let mean_ms = match identity.role {
            Role::Pos => self.size.sale_every_ms,
            Role::BackOffice => 4 * self.size.sale_every_ms,
            Role::Hq => 2 * self.size.sale_every_ms,
        };
        let in_ms = self.trade.between(1, 2 * mean_ms);
        self.plan(in_ms, Happening::Trade { device, storm: self.storm });
        self.write(device, deed.as_ref())?;
        self.sideline(device)
    }

    /// A device writes a deed, and is held to what it was told of it.
    pub fn write(&mut self, device: usize, deed: &dyn Act) -> Verdict {
        let at_ms = self.at_ms;
        let acting = &mut self.devices[device];
        let (now, who, origin) = (acting.now(at_ms), acting.identity.clone(), acting.origin());
        let Some(Running { replica, .. }) = &mut acting.running else { return Ok(()) };
        let mut effect = Effect::default();
        let done = replica.write(now.wall, |tx| {
            effect = deed.run(tx, &who, now.wall)?;
            Ok::<(), DeedError>(())
        });
        let dark = acting.drive.is_dark();
        let troubled = dark || self.faults.has_bad_disks() || page_check::has_met_rot(replica.db());
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
                    self.ledger.acknowledge(mark.stream, origin, mark.hash, effect);
                    self.sold[who.store as usize] += deed.checkouts();
                }
                self.look_after(device)?;
                return self.tell(device, vec![Input::Wrote]);
            }
            Err(WriteError::Refused(DeedError::GivenUp)) | Err(WriteError::Halted(_)) => {}
            Err(WriteError::Stale(_)) => {}
            Err(WriteError::NotAllowed { .. }) if deed.is_forbidden() => {}
            Err(WriteError::InDoubt(_)) if troubled => self.ledger.doubt(origin, effect),
            Err(_) if troubled => {}
            Err(cause) => {
                let what = format!("{deed:?} was not written though nothing was wrong: {cause}");
                return Err(self.violation("I1", device, what));
            }
        }
        self.look_after(device)
    }
}
