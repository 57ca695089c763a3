//! HQ is lost and restored from an old copy, again and again

use crate::dice::Dice;
use crate::disk;
use crate::drive::Drive;
use crate::keys;
use crate::stage::{HQ, Happening, Stage, Verdict};
use crate::swarm::Mishap;
use crate::vault::Image;
use crate::verdict;
use selvedge_sync::allow_list::Row;
use selvedge_sync::identity::Identity;
use selvedge_sync::incoming::{Incoming, Slice};
use selvedge_sync::origin::Stream;
use selvedge_sync::second_copy;
use selvedge_sync::signed::Mark;
use selvedge_sync::succession::writer_of;
use selvedge_sync::talk::{Input, PeerId};
use std::collections::VecDeque;
use std::sync::Arc;

/// HQ is restored at most so often in a run.
const RESTORED_MAX: u32 = 2;

/// Somebody tries again to let HQ succeed after this.
const AGAIN_MS: i64 = 5_000;

impl Stage {
    /// The first time HQ's disk is copied; the next time it is lost, and the copy takes its place.
    pub fn restore_hq(&mut self) -> Verdict {
        let hq = &mut self.devices[HQ];
        if hq.drive.is_dark() || hq.cut.is_some() || self.vault.generation >= RESTORED_MAX {
            return Ok(());
        }
        let Some(image) = self.vault.image.take() else {
            if hq.running.is_some() && !hq.recalls() {
                let (identity, keys) = (hq.identity.clone(), hq.keys());
                self.vault.image = Some(Image { platter: hq.drive.copy(), identity, keys });
            }
            return Ok(());
        };
        self.figures.restored += 1;
        hq.running = None;
        self.vault.generation += 1;
        let row = self.put_back(image)?;
        self.devices[HQ].admission.insert(0, row);
        for child in self.devices[HQ].below.clone() {
            self.plan(0, Happening::Leave(child));
        }
        let luck = &mut self.luck[Mishap::RestoredHq.index()];
        // Some do not wait for their stores, so that what those have heard comes too late.
        let wait_ms = if luck.chance(400) { 0 } else { luck.between(5_000, 40_000) };
        // What is kept twice may be trimmed everywhere else: only the second copy has it then.
        self.vault.reads_copy = true;
        let dark_ms = luck.between(100, 10_000);
        self.plan(dark_ms, Happening::Boot(HQ));
        self.plan(dark_ms + wait_ms, Happening::Succeed);
        Ok(())
    }

    /// Mounts a copy of HQ's disk and hands it over to the next generation.
    fn put_back(&mut self, image: Image) -> Result<Row, Box<verdict::Violation>> {
        let mut seed = [0; 32];
        let mut dice: Dice = self.luck[Mishap::RestoredHq.index()].split("keys");
        dice.fill(&mut seed);
        seed[0] ^= self.vault.generation as u8;
        let new = keys::from_seed(seed, self.vault.earnest_keys);
        let origin = writer_of(self.vault.generation).expect("there are few generations");
        let Image { platter, identity, keys: old } = image;
        let (device, authority) = (identity.device.clone(), &self.vault.authority);
        let row = Row::sign(origin, &device, 0, identity.role, "HQ", new.public(), authority);
        let stage = &mut self.devices[HQ];
        stage.drive = Drive::mount_copy(device.as_str(), platter);
        stage.drive.spare();
        stage.drive.plan(None);
        stage.drive.limit(None);
        stage.become_another(Identity { origin, ..identity.clone() }, Arc::clone(&new));
        let opened = stage.open_as(identity.clone(), old);
        let done = opened
            .map_err(|cause| cause.to_string())
            .and_then(|replica| replica.hand_over(&row).map_err(|cause| cause.to_string()));
        self.ledger.retire(identity.origin);
        for generation in 0..self.vault.generation {
            self.ledger.retire(writer_of(generation).expect("an older one"));
        }
        self.ledger.vectors.remove(&HQ);
        match done {
            Ok(()) => Ok(row),
            Err(cause) => Err(self.violation("I17", HQ, format!("it is not handed over: {cause}"))),
        }
    }

    /// Somebody lets a restored HQ write again.
    pub fn succeed(&mut self) -> Verdict {
        let now = self.devices[HQ].now(self.at_ms);
        disk::set_wall_ms(now.wall.0);
        let Some(running) = &mut self.devices[HQ].running else {
            self.plan(AGAIN_MS, Happening::Succeed);
            return Ok(());
        };
        if running.replica.recalls().is_none() {
            return Ok(());
        }
        if self.vault.reads_copy {
            let (frames, _) = second_copy::read(&self.vault.copy);
            let mut queue: VecDeque<Incoming<PeerId>> =
                frames.into_iter().map(|frame| Incoming::new(PeerId::Parent, frame)).collect();
            while !queue.is_empty() {
                if running.replica.receive(now.wall, &mut queue, Slice { rows: 500 }).is_err() {
                    break;
                }
            }
        }
        let done = running.replica.succeed(now.wall, &self.vault.authority);
        if done.is_err() {
            let why = self.devices[HQ].drive.is_dark() || self.faults.has_bad_disks();
            if !why {
                let what = format!("it does not succeed: {done:?}");
                return Err(self.violation("I17", HQ, what));
            }
            self.plan(AGAIN_MS, Happening::Succeed);
            return self.look_after(HQ);
        }
        if self.vault.reads_copy {
            self.look_at_copy()?;
        }
        self.note_own_writes();
        self.look_after(HQ)?;
        self.tell(HQ, vec![Input::Wrote])
    }

    /// HQ that was restored from the second copy too has all that was kept twice.
    fn look_at_copy(&mut self) -> Verdict {
        let Some(running) = &self.devices[HQ].running else { return Ok(()) };
        for ((stream, origin), seq) in &self.vault.copied {
            let found = running.replica.head(*stream, *origin).seq;
            if found < *seq {
                let what = format!(
                    "{seq} entries of origin {origin} in {stream} were kept twice, {found} came back"
                );
                return Err(self.violation("I17", HQ, what));
            }
        }
        Ok(())
    }

    /// The engine writes by itself what it takes over: such entries count as acknowledged.
    pub fn note_own_writes(&mut self) {
        let hq = &self.devices[HQ];
        let (origin, streams) = (hq.origin(), hq.streams(self.size.stores));
        if self.vault.generation == 0 {
            return;
        }
        let Some(running) = &self.devices[HQ].running else { return };
        for stream in streams {
            let head = running.replica.head(stream, origin).seq;
            for seq in self.ledger.acknowledged(stream, origin) + 1..=head {
                let db = running.replica.db();
                if let Ok(hash) = selvedge_sync::changelog::chain_at(db, stream, origin, seq) {
                    self.ledger.find(stream, origin, hash);
                }
            }
        }
    }

    /// HQ wants something kept twice: it takes a while until that is durable.
    pub fn copy(&mut self, bytes: Vec<u8>, marks: Vec<Mark>) {
        let boot = self.devices[HQ].boots;
        let in_ms = self.luck[Mishap::RestoredHq.index()].between(50, 15_000);
        self.plan(in_ms, Happening::Copied { boot, bytes, marks });
    }

    /// What HQ wanted kept twice is durable, unless its disk has failed.
    pub fn copied(&mut self, boot: u64, bytes: &[u8], marks: Vec<Mark>) -> Verdict {
        if self.devices[HQ].boots != boot {
            return Ok(());
        }
        if self.luck[Mishap::RestoredHq.index()].chance(100) {
            return self.tell(HQ, vec![Input::NotCopied(marks)]);
        }
        self.vault.copy.extend_from_slice(bytes);
        for (stream, origin, seq) in &marks {
            let kept = self.vault.copied.entry((*stream, *origin)).or_default();
            *kept = (*kept).max(*seq);
        }
        self.trimming.second_copy = self.vault.copied.clone();
        self.tell(HQ, vec![Input::Copied(marks)])
    }

    /// What a device was told to be kept twice, is (I1, two hops on); and whatever HQ wrote past the end of a
    /// generation is kept as evidence.
    pub fn look_at_generations(&self, device: usize) -> Verdict {
        let who = &self.devices[device];
        let Some(running) = &who.running else { return Ok(()) };
        let status = running.hub.status(&running.replica, who.now(self.at_ms));
        let stream = Stream::store(who.identity.store).unwrap_or(Stream::CHAIN);
        let kept = self.vault.copied.get(&(stream, who.origin())).copied().unwrap_or(0);
        if status.kept_twice > kept && self.faults.has(Mishap::RestoredHq) {
            let what =
                format!("{} entries are said to be kept twice, {kept} are", status.kept_twice);
            return Err(self.violation("I1", device, what));
        }
        self.judge("I17", device, verdict::check_i17(&running.replica))
    }
}
