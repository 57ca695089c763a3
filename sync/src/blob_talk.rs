//! Asks every peer for sealed blobs that are missing here
//!
//! With each beat goes a page of what is missing, so a lost message costs a beat. Whoever is asked says at once which of
//! these blobs it has, and is asked for the next page at once. At the end it begins anew: what nobody had may have come
//! to somebody since.

use crate::{
    hub::{Hub, streams_of},
    lacking,
    replica::Replica,
    session::Beat,
    talk::{Now, PeerId},
    view_talk::Sealed,
    wire::{AboutBlobs, Given, Hash},
};

/// What an ack says of blobs: the next page of what is missing, and the answer to the other side's.
pub(crate) fn about_blobs(
    replica: &Replica,
    name: &PeerId,
    sealed: &mut Sealed,
    due: Beat,
) -> AboutBlobs {
    let given = sealed.given.take();
    AboutBlobs { lacks: page(replica, name, sealed, due), given }
}

fn page(replica: &Replica, name: &PeerId, sealed: &mut Sealed, due: Beat) -> Vec<Hash> {
    let is_due = std::mem::take(&mut sealed.goes_on) || due == Beat::Yes;
    if !is_due || matches!(name, PeerId::Above(_)) {
        return Vec::new();
    }
    // What cannot be read now is asked for with the next beat.
    let page = lacking::asked(replica.db(), &streams_of(replica, name), sealed.after);
    let page = page.unwrap_or_default();
    if page.is_empty() {
        sealed.after = None;
    }
    page
}

impl Hub {
    /// Keeps what was given, and looks for what is asked for.
    pub(crate) fn hear_of_blobs(
        &mut self,
        replica: &mut Replica,
        now: Now,
        from: &PeerId,
        AboutBlobs { lacks, given }: AboutBlobs,
    ) -> Result<(), String> {
        let failed = |cause: rusqlite::Error| format!("sealed blobs were not kept: {cause}");
        let streams = streams_of(replica, from);
        if let Some(Given { through, blobs }) = given {
            replica.take_blobs(&blobs).map_err(failed)?;
            let peer = self.conversation(from);
            (peer.sealed.after, peer.sealed.goes_on) = (Some(through), true);
            peer.session.want_ack(now.steady);
        }
        let lacks = &lacks[..lacks.len().min(lacking::ASKED_MAX)];
        let found = lacking::look_for(replica.db(), &streams, lacks);
        if let Some(found) = found.map_err(|cause| cause.to_string())? {
            let peer = self.conversation(from);
            peer.sealed.given = Some(found);
            peer.session.want_ack(now.steady);
        }
        Ok(())
    }
}

impl Replica {
    /// Keeps those of the blobs that are missing here.
    fn take_blobs(&mut self, blobs: &[Vec<u8>]) -> rusqlite::Result<()> {
        if blobs.is_empty() || self.halted().is_some() {
            return Ok(());
        }
        self.keep_house(|tx| lacking::take(tx, blobs))
    }
}
