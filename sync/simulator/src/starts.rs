//! How devices of a stage end, start, and show what they kept

use crate::stage::{HQ, Happening, Stage, Verdict};
use crate::swarm::Mishap;
use crate::verdict;
use selvedge_sync::open::OpenError;
use selvedge_sync::origin::Stream;
use selvedge_sync::talk::Input;

/// A process that ended by itself is started again after this.
const RESTART_MS: i64 = 2_000;

impl Stage {
    /// After everything that a device did: is the power still there, and does the engine still take writes?
    pub fn look_after(&mut self, device: usize) -> Verdict {
        self.look_at_served(device)?;
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
        self.meet(Mishap::PowerCut, device);
        let stricken = &mut self.devices[device];
        let cut = stricken.cut.take().expect("a disk goes dark by a planned cut");
        stricken.running = None;
        self.trimming.forget(&stricken.below);
        stricken.drive.cut(cut.loss, &mut self.luck[Mishap::PowerCut.index()]);
        self.figures.cuts += 1;
        let dark_ms = if self.healed { 0 } else { cut.dark_ms };
        self.plan(dark_ms, Happening::Boot(device));
        self.plan_leaves(device);
    }

    /// The program ends and is started again after a while; the disk keeps its power.
    pub fn end(&mut self, device: usize, dark_ms: i64) {
        if let Some(running) = self.devices[device].running.take()
            && running.replica.is_rotten()
        {
            self.devices[device].rotten = true;
        }
        self.trimming.forget(&self.devices[device].below);
        self.figures.restarts += 1;
        self.plan(dark_ms, Happening::Boot(device));
        self.plan_leaves(device);
    }

    fn lines_of(&self, device: usize) -> Vec<usize> {
        let own = self.devices[device].parent.map(|_| device);
        own.into_iter().chain(self.devices[device].below.iter().copied()).collect()
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
            if cause.is_rot() {
                self.devices[device].rotten = true;
                if self.healed {
                    return self.boot(device);
                }
                self.plan(RESTART_MS, Happening::Boot(device));
                return Ok(());
            }
            if matches!(cause, OpenError::NeedsSnapshot { .. }) {
                return self.boot(device);
            }
            return self.did_not_start(device, cause.to_string());
        }
        if self.healed && self.is_rotten(device) {
            self.devices[device].running = None;
            self.devices[device].rotten = true;
            return self.boot(device);
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
        if self.healed || !self.faults.has_bad_disks() {
            return Err(self.violation("I1", device, format!("it does not start: {cause}")));
        }
        self.plan(RESTART_MS, Happening::Boot(device));
        Ok(())
    }

    fn look_at_start(&mut self, device: usize) -> Verdict {
        let streams = self.devices[device].streams(self.size.stores);
        if device == HQ {
            self.note_own_writes();
        }
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
            // What an HQ has said that was lost since is no promise of this one.
            if device == HQ && status.generation != Some(parent.replica.identity().origin) {
                continue;
            }
            let claimed = match device {
                _ if self.reports_to(number) == Some(device) => status.parent_has,
                HQ => status.hq_has,
                _ => continue,
            };
            let kept =
                verdict::check_i01_at_parent(child.origin(), stream, claimed, &parent.replica);
            self.judge("I1", number, kept)?;
        }
        Ok(())
    }

    /// A device shows exactly what its version vector says.
    pub fn look_at_reads(&self, device: usize) -> Verdict {
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        if self.ledger.has_losses() {
            return Ok(());
        }
        let store = self.devices[device].identity.store;
        let stores = if store == 0 { 1..=self.size.stores } else { store..=store };
        for store in stores {
            let found = verdict::check_i12_reads(
                self.business.as_ref(),
                running.replica.db(),
                store,
                &self.ledger,
            );
            self.judge("I12", device, found)?;
        }
        Ok(())
    }
}
