//! Tells a device its new origin though it lacks the log
//!
//! The claim comes in the stream of the store. A device that was set back far may lack what was trimmed before it, and a
//! snapshot knows more of its old origin than its own database may take in. So its parent says the claim in a `need` too,
//! with the row that HQ has signed, and whoever holds the ticket believes its parent.

use crate::{
    allow_list::{Row, State},
    canonical::{Reader, Writer},
    hub::Hub,
    origin::{DeviceId, Origin},
    planted::{self, Fault},
    replica::Replica,
    talk::PeerId,
    wire::{PAPER_CLAIM, Paper},
};

impl Hub {
    /// The claim that a child waits for, if it was made.
    pub(crate) fn claim_for(&self, replica: &Replica, name: &PeerId) -> Option<Paper> {
        let PeerId::Child(device) = name else { return None };
        let (instead, ticket) = *self.to_tend.tickets.get(device)?;
        replica.claim_paper(instead, ticket).filter(|_| !planted::is(Fault::ClaimNotTold))
    }

    /// Whether a child asks for another origin, and with which ticket: 0 when it does not.
    pub(crate) fn note_ticket(&mut self, device: &DeviceId, instead: Origin, ticket: u64) {
        if ticket == 0 {
            self.to_tend.tickets.remove(device);
        } else {
            self.to_tend.tickets.insert(device.clone(), (instead, ticket));
        }
    }
}

impl Replica {
    fn claim_paper(&self, instead: Origin, ticket: u64) -> Option<Paper> {
        let mut claims = self.origins.claims.iter();
        let claim = claims.find(|claim| (claim.instead, claim.ticket) == (instead, ticket))?;
        let mut spares = self.origins.spares.iter();
        let spare = spares.find(|spare| spare.origin == claim.origin);
        let row = spare.or_else(|| self.origins.known.get(&claim.origin))?;
        let mut paper = Writer::after(Vec::new());
        paper.list(3).uint(instead.get()).uint(ticket).bytes(&row.to_bytes());
        Some((PAPER_CLAIM, paper.finish()))
    }

    /// Takes the claim that the parent has for our ticket, if it is among these papers. The database is then opened anew
    /// under that origin.
    pub(crate) fn learn_claim(&mut self, papers: &[Paper]) -> rusqlite::Result<()> {
        if !self.writer.state.needs_origin() || self.halted().is_some() {
            return Ok(());
        }
        let claims = papers.iter().filter(|(kind, _)| *kind == PAPER_CLAIM);
        let Some(row) = claims.filter_map(|(_, bytes)| self.claimed_row(bytes)).next() else {
            return Ok(());
        };
        self.admit(std::slice::from_ref(&row))?;
        self.pass_on_to(row.origin)
    }

    fn claimed_row(&self, bytes: &[u8]) -> Option<Row> {
        let own = self.identity();
        let mut reader = Reader::new(bytes);
        let (parts, instead, ticket) =
            (reader.list().ok()?, reader.origin().ok()?, reader.uint().ok()?);
        let row = Row::from_bytes(reader.bytes().ok()?).ok()?;
        reader.end().ok()?;
        let is_ours = row.state == State::Spare
            || row.state == State::Active
                && row.device == own.device
                && row.key == self.keys().public();
        let fits = parts == 3
            && (instead, ticket) == (own.origin, self.writer.ticket)
            && (row.store, row.role) == (own.store, own.role)
            && is_ours
            && row.verify(&own.authority).is_ok();
        fits.then_some(row)
    }
}
