//! Gives snapshots to children, and takes one from the parent
//!
//! A child that is new, or that lacks entries which the log has no more, is told of a snapshot and asks for its chunks
//! by number. What it asks for is all that is under way, so a slow line is never flooded; what it has is kept, so a cut
//! line or a power cut costs the chunks on the way and no others. Behind the snapshot the tail comes as frames.

use crate::{
    hub::{Hub, streams_of},
    incoming::OtherPast,
    install::InstallError,
    origin::{DeviceId, Origin, Stream},
    planted::{self, Fault},
    replica::Replica,
    session::Key,
    snapshot::{self, ASKED_MAX, Chunk, Manifest, Snap, Wish},
    snapshot_maker::{MakeError, Making, Step},
    snapshot_state::{AGAIN_MS, Coming, USED_AGAIN_MS},
    talk::{Event, Now, Output, PeerId},
    topics::Kind,
    watermark,
};

impl Hub {
    /// Whether we would rather begin with a snapshot: we are new, or one is coming.
    pub(crate) fn wants_snapshot(&self, replica: &Replica, name: &PeerId) -> bool {
        let own = replica.identity().origin;
        let is_new = || !replica.heads.keys().any(|key| key.1 != own);
        *name == PeerId::Parent
            && !self.snapshots.declined
            && (self.snapshots.coming.is_some() || is_new())
    }

    /// Looks at what a child has said to have: does it need a snapshot?
    pub(crate) fn look_at_need(
        &mut self,
        replica: &Replica,
        device: &DeviceId,
        signer: Origin,
        wants: bool,
    ) {
        let name = PeerId::Child(device.clone());
        let (mut below, mut lacks) = (false, 0);
        if let Some(peer) = self.peers.get(&name) {
            for stream in streams_of(replica, &name) {
                for (origin, head) in replica.heads_of(stream).filter(|head| head.0 != signer) {
                    let has = peer.session.peer_has((stream, origin));
                    below |= has < replica.floor(stream, origin);
                    lacks += head.seq.saturating_sub(has);
                }
            }
        }
        if below || wants && lacks >= self.settings.snapshot_above {
            self.snapshots.wanted_by.entry(device.clone()).or_insert(None);
        } else {
            self.snapshots.wanted_by.remove(device);
        }
    }

    /// Whether a child waits for a snapshot, so that its backlog need not go entry by entry.
    pub(crate) fn waits_for_snapshot(&self, name: &PeerId) -> bool {
        match name {
            PeerId::Parent | PeerId::Above(_) => false,
            PeerId::Child(device) => self.snapshots.wanted_by.contains_key(device),
        }
    }

    /// Whether the log still has what a peer lacks of an origin.
    pub(crate) fn can_go_on(replica: &Replica, key: Key, sent: u64) -> bool {
        let floor = replica.floor(key.0, key.1);
        sent >= floor
    }

    /// Takes in a message about a snapshot.
    pub(crate) fn take_snap(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        bytes: &[u8],
    ) -> Result<(), String> {
        match (snapshot::decode(bytes).map_err(|cause| cause.to_string())?, from) {
            (Snap::Manifest, PeerId::Parent) => self.take_manifest(replica, now, bytes),
            (Snap::Chunk(chunk), PeerId::Parent) => self.take_chunk(replica, now, &chunk),
            (Snap::Wish(wish), PeerId::Child(device)) => {
                let Some((wish, row)) = self.proven(replica, from, wish)? else { return Ok(()) };
                self.take_wish(replica, now, device, row.store, wish)
            }
            _ => Err("a snapshot goes from a parent to its child".to_owned()),
        }
    }

    fn take_manifest(
        &mut self,
        replica: &mut Replica,
        now: Now,
        bytes: &[u8],
    ) -> Result<(), String> {
        let (manifest, maker) =
            Manifest::prove(bytes, &replica.identity().authority, replica.keys().as_ref())?;
        let identity = replica.identity();
        let ours = snapshot::may_make(&maker, identity.store);
        let known = self.speaker(replica, &PeerId::Parent, manifest.signer)?;
        if known.is_none() && !ours {
            return Err(format!("{} makes no snapshots for this store", maker.device));
        }
        if manifest.store != identity.store {
            return Err("the snapshot is for another store".to_owned());
        }
        // HQ has signed the row of the maker. A device that knows it from nowhere else would hear nothing that it says.
        let is_new = known.is_none();
        if is_new && !planted::is(Fault::MakerForgotten) {
            replica.admit(&[maker]).map_err(|cause| cause.to_string())?;
        }
        self.conversation(&PeerId::Parent).session.hear(now.steady);
        if replica.is_behind_itself(&manifest) && !planted::is(Fault::OwnMarkIgnored) {
            self.hear_own_past(OtherPast::Ahead);
            return Ok(());
        }
        let identity = replica.identity();
        let snapshots = &mut self.snapshots;
        if snapshots.coming.as_ref().is_some_and(|coming| coming.manifest.id == manifest.id)
            || !replica.lacks(&manifest)
            || snapshots.rests(now.steady)
        {
            return Ok(());
        }
        snapshots.coming = None;
        let rack = snapshots.rack(replica)?;
        let same = |kept: Vec<u8>| {
            let kept = Manifest::prove(&kept, &identity.authority, replica.keys().as_ref());
            kept.is_ok_and(|(kept, _)| kept.id == manifest.id)
        };
        let kept = rack.coming().map_err(|cause| cause.to_string())?;
        let here = if kept.is_some_and(same) {
            rack.here()
        } else {
            rack.expect(bytes).map(|()| Vec::new())
        };
        let here = here.map_err(|cause| cause.to_string())?;
        snapshots.coming = Some(Coming::new(manifest, &here));
        Ok(())
    }

    fn take_chunk(&mut self, replica: &Replica, now: Now, chunk: &Chunk) -> Result<(), String> {
        let snapshots = &mut self.snapshots;
        let Some(coming) = &snapshots.coming else { return Ok(()) };
        if chunk.id != coming.manifest.id || !coming.missing.contains(&chunk.number) {
            return Ok(());
        }
        if !chunk.belongs_to(&coming.manifest) && !planted::is(Fault::SnapshotNotVerified) {
            return Err("a chunk is not the one that the snapshot names".to_owned());
        }
        let kept = snapshots.rack(replica)?.keep(chunk.number, &chunk.body);
        kept.map_err(|cause| cause.to_string())?;
        if let Some(coming) = &mut snapshots.coming {
            coming.arrive(now.steady, chunk.number);
        }
        self.conversation(&PeerId::Parent).session.hear(now.steady);
        Ok(())
    }

    fn take_wish(
        &mut self,
        replica: &Replica,
        now: Now,
        device: &DeviceId,
        store: u32,
        wish: Wish,
    ) -> Result<(), String> {
        self.conversation(&PeerId::Child(device.clone())).session.hear(now.steady);
        let made = self.snapshot_for(replica, store)?;
        if made.is_some_and(|made| made.id == wish.id) {
            self.snapshots.used_at.insert(store, now.steady.0);
            self.snapshots.asked.push((device.clone(), wish.chunks));
        } else {
            self.snapshots.wanted_by.insert(device.clone(), None);
        }
        Ok(())
    }

    /// The snapshot for a store that is whole, also one from before a restart.
    fn snapshot_for(&mut self, replica: &Replica, store: u32) -> Result<Option<&Manifest>, String> {
        let snapshots = &mut self.snapshots;
        if !snapshots.made.contains_key(&store) {
            let made = snapshots.rack(replica)?.made(store).map_err(|cause| cause.to_string())?;
            let Some(made) = made else { return Ok(None) };
            let (manifest, _) = Manifest::prove(
                &made.manifest,
                &replica.identity().authority,
                replica.keys().as_ref(),
            )?;
            snapshots.made.insert(store, (made, manifest));
        }
        Ok(snapshots.made.get(&store).map(|(_, manifest)| manifest))
    }

    /// Sends what is due about snapshots.
    pub(crate) fn pump_snapshots(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) {
        for (device, numbers) in std::mem::take(&mut self.snapshots.asked) {
            if let Err(reason) = self.send_chunks(replica, &device, &numbers, outputs) {
                self.snapshots.rest(now.steady);
                outputs.push(Output::Event(Event::NotKept { reason }));
            }
        }
        if let Err(reason) = self.send_manifests(replica, now, outputs) {
            self.snapshots.rest(now.steady);
            outputs.push(Output::Event(Event::NotKept { reason }));
        }
        // What was read for a snapshot was read by another connection.
        if std::mem::take(&mut self.snapshots.met_rot) {
            replica.a_reader_met_rot();
        }
        let up = self.peers.get(&PeerId::Parent).is_some_and(|peer| peer.session.is_up());
        let Some(coming) = self.snapshots.coming.as_mut().filter(|_| up) else { return };
        let chunks = coming.ask(now.steady, ASKED_MAX);
        if !chunks.is_empty() {
            let signer = replica.identity().origin;
            let wish = Wish { id: coming.manifest.id, chunks, signer };
            let bytes = wish.encode(replica.keys().as_ref());
            outputs.push(Output::Send { to: PeerId::Parent, kind: Kind::Snap, bytes });
        }
        if let Some(at) = coming.wake_at() {
            outputs.push(Output::WakeAt(crate::hlc::Millis(at)));
        }
    }

    fn send_chunks(
        &mut self,
        replica: &Replica,
        device: &DeviceId,
        numbers: &[u64],
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        let store = store_of(replica, device);
        let snapshots = &mut self.snapshots;
        let Some((made, _)) = snapshots.made.get(&store).cloned() else { return Ok(()) };
        let rack = snapshots.rack(replica)?;
        for number in numbers {
            let chunk = rack.chunk(&made, *number).map_err(|cause| cause.to_string())?;
            outputs.extend(chunk.map(|chunk| Output::Send {
                to: PeerId::Child(device.clone()),
                kind: Kind::Snap,
                bytes: chunk.encode(),
            }));
        }
        Ok(())
    }

    fn send_manifests(
        &mut self,
        replica: &Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> Result<(), String> {
        if self.snapshots.wanted_by.is_empty() || self.snapshots.rests(now.steady) {
            return Ok(());
        }
        let waiting: Vec<(DeviceId, Option<i64>)> =
            self.snapshots.wanted_by.iter().map(|(device, told)| (device.clone(), *told)).collect();
        for (device, told) in waiting {
            let name = PeerId::Child(device.clone());
            let up = self.peers.get(&name).is_some_and(|peer| peer.session.is_up());
            if !up || told.is_some_and(|at| now.steady.0 < at + AGAIN_MS) {
                continue;
            }
            let store = store_of(replica, &device);
            if !self.has_fresh(replica, now, store, &name)? {
                continue;
            }
            if let Some((made, _)) = self.snapshots.made.get(&store) {
                let bytes = made.manifest.clone();
                outputs.push(Output::Send { to: name, kind: Kind::Snap, bytes });
                self.snapshots.wanted_by.insert(device, Some(now.steady.0));
            }
        }
        Ok(())
    }

    /// Whether there is a snapshot for a store from which our log and that of this child go on. If not, one is begun.
    fn has_fresh(
        &mut self,
        replica: &Replica,
        now: Now,
        store: u32,
        child: &PeerId,
    ) -> Result<bool, String> {
        let found = self.snapshot_for(replica, store)?.is_some();
        let used_at = *self.snapshots.used_at.entry(store).or_insert(now.steady.0);
        if found && let Some((_, manifest)) = self.snapshots.made.get(&store) {
            let goes_on =
                self.goes_on(replica, manifest, child).map_err(|cause| cause.to_string())?;
            if goes_on && now.steady.0 < used_at + USED_AGAIN_MS {
                return Ok(true);
            }
        }
        if self.snapshots.making.is_none() {
            let rack = self.snapshots.rack(replica)?;
            let making = Making::begin(replica, rack, store);
            self.snapshots.met_rot |= making.as_ref().is_err_and(MakeError::is_rot);
            self.snapshots.making = Some(making.map_err(|cause| cause.to_string())?);
        }
        Ok(false)
    }

    /// Whether a snapshot reaches as far as our log was trimmed, and as that of a child may be: it trims up to a
    /// watermark, and what it has not it cannot have trimmed.
    fn goes_on(
        &self,
        replica: &Replica,
        manifest: &Manifest,
        child: &PeerId,
    ) -> rusqlite::Result<bool> {
        for stream in [Some(Stream::CHAIN), Stream::store(manifest.store)].into_iter().flatten() {
            for (origin, _) in replica.heads_of(stream) {
                let has =
                    self.peers.get(child).map_or(0, |peer| peer.session.peer_has((stream, origin)));
                let may_trim =
                    watermark::of(replica.db(), stream, origin)?.map_or(0, |row| row.seq);
                let trimmed = replica.floor(stream, origin).max(may_trim.min(has));
                if manifest.mark(stream, origin) < trimmed {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Goes on with the snapshot that is being made, and takes in the one that has come; true when more waits.
    pub(crate) fn work_on_snapshots(
        &mut self,
        replica: &mut Replica,
        now: Now,
        outputs: &mut Vec<Output>,
    ) -> bool {
        if let Some(mut making) = self.snapshots.making.take() {
            let bytes = self.settings.snapshot_chunk;
            let step = match self.snapshots.rack(replica) {
                Ok(rack) => making.step(replica, rack, bytes).map_err(|cause| {
                    if cause.is_rot() {
                        replica.a_reader_met_rot();
                    }
                    cause.to_string()
                }),
                Err(reason) => Err(reason),
            };
            match step {
                Ok(Step::More) => self.snapshots.making = Some(making),
                Ok(Step::Whole) => {
                    self.snapshots.made.remove(&making.store);
                    self.snapshots.used_at.insert(making.store, now.steady.0);
                }
                Err(reason) => {
                    self.snapshots.rest(now.steady);
                    outputs.push(Output::Event(Event::NotKept { reason }));
                }
            }
        }
        let whole = |coming: &Coming| coming.missing.is_empty();
        if self.snapshots.coming.as_ref().is_some_and(whole) && replica.halted().is_none() {
            self.install(replica, now, outputs);
        }
        self.snapshots.making.is_some()
    }

    fn install(&mut self, replica: &mut Replica, now: Now, outputs: &mut Vec<Output>) {
        let Some(coming) = self.snapshots.coming.take() else { return };
        let done = match self.snapshots.rack(replica) {
            Ok(rack) => replica.install(now.wall, rack, &coming.manifest),
            Err(reason) => {
                outputs.push(Output::Event(Event::NotKept { reason }));
                return self.snapshots.rest(now.steady);
            }
        };
        match done {
            Ok(done) => {
                let entries = done.entries;
                if let Err(cause) = replica.obey_erasures() {
                    outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
                }
                outputs.push(Output::Event(Event::Installed { entries }));
            }
            Err(cause) => {
                // What cannot be read is not asked for again; the entries come one by one as far as they go.
                self.snapshots.declined |= matches!(cause, InstallError::Unreadable(_));
                self.snapshots.rest_until = Some(now.steady.0 + AGAIN_MS);
                outputs.push(Output::Event(Event::NotKept { reason: cause.to_string() }));
                if matches!(cause, InstallError::Sqlite(_)) {
                    return;
                }
            }
        }
        let cleared = self.snapshots.rack(replica).map(|rack| rack.expect_none());
        if !matches!(cleared, Ok(Ok(()))) {
            self.snapshots.rest(now.steady);
        }
        for peer in self.peers.values_mut() {
            peer.session.want_need(now.steady);
        }
    }
}

fn store_of(replica: &Replica, device: &DeviceId) -> u32 {
    let rows = replica.all_known().filter(|row| row.device == *device);
    rows.map(|row| row.store).max().unwrap_or(0)
}
