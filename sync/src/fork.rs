//! Finds that this device was set back or copied

use crate::{
    evidence::chain_here,
    origin::{Origin, Stream},
    planted::{self, Fault},
    replica::Replica,
    version::first8,
    wire::StreamHeads,
    writer::WriterState,
};

/// Tickets are positive numbers in SQLite, and never 0.
const TICKET_MASK: u64 = i64::MAX.cast_unsigned();

impl Replica {
    /// Whether this device may write, and if not why.
    pub fn writer_state(&self) -> WriterState {
        let own = self.origins.known.get(&self.identity().origin);
        match self.writer.state {
            WriterState::Ready | WriterState::Returning
                if own.is_some_and(|row| row.state.is_over()) =>
            {
                WriterState::Over
            }
            state => state,
        }
    }

    /// What another replica's heads say of our own origin: nothing, that it knows more, or that it knows other entries.
    pub(crate) fn compare_own(
        &self,
        vectors: &[StreamHeads],
    ) -> rusqlite::Result<Option<WriterState>> {
        let own = self.identity().origin;
        let mut found = None;
        for vector in vectors {
            let Some((_, seq, chain8)) = vector.heads.iter().find(|head| head.0 == own) else {
                continue;
            };
            if *seq > self.head(vector.stream, own).seq {
                found = found.or(Some(WriterState::Stale));
            } else if let Some(here) = chain_here(self.db(), vector.stream, own, *seq)?
                && first8(&here) != *chain8
            {
                found = Some(WriterState::Forked);
            }
        }
        Ok(found.filter(|_| !planted::is(Fault::SetBackIgnored)))
    }

    /// Whether any frame is kept as proof.
    pub(crate) fn has_evidence(&self) -> rusqlite::Result<bool> {
        self.db().prepare_cached("SELECT 1 FROM sync_evidence LIMIT 1")?.exists([])
    }

    /// Keeps that no write may follow under this origin, and draws the ticket to ask for another one. True when that is
    /// news.
    pub(crate) fn stop_writing(
        &mut self,
        state: WriterState,
        random: u64,
    ) -> rusqlite::Result<bool> {
        assert!(state.needs_origin(), "a device stops because it needs another origin");
        let mut writer = self.writer;
        if writer.state == WriterState::Forked || writer.state == state {
            return Ok(false);
        }
        writer.state = state;
        if writer.ticket == 0 {
            writer.ticket = (random & TICKET_MASK).max(1);
        }
        self.keep_house(|db| writer.save(db))?;
        self.writer = writer;
        Ok(true)
    }

    /// The origin under which this device goes on, when one was given to it.
    pub(crate) fn given_origin(&self) -> Option<Origin> {
        let own = self.identity();
        if !self.writer.state.needs_origin() {
            return None;
        }
        let mine = |instead, ticket| {
            instead == own.origin
                && (ticket == self.writer.ticket || planted::is(Fault::TicketIgnored))
        };
        let mut claims = self.origins.claims.iter();
        let claim = claims.find(|claim| {
            mine(claim.instead, claim.ticket) && self.origins.known.contains_key(&claim.origin)
        });
        claim.map(|claim| claim.origin)
    }

    /// Keeps under which origin this device goes on. It does so when its database is opened the next time.
    pub(crate) fn pass_on_to(&mut self, successor: Origin) -> rusqlite::Result<()> {
        let writer = crate::writer::Writer { successor: Some(successor), ..self.writer };
        self.keep_house(|db| writer.save(db))?;
        self.writer = writer;
        self.halt(format!("this device goes on as origin {successor}: start it again"));
        Ok(())
    }

    /// Whether what this device wrote under other origins is all here, as far as `parent_has` it.
    pub(crate) fn own_history_is_here(&self, parent_has: impl Fn(Stream, Origin) -> u64) -> bool {
        let own = self.identity();
        let store = Stream::store(own.store);
        let earlier = self.origins.known.values();
        let earlier = earlier.filter(|row| row.device == own.device && row.origin != own.origin);
        earlier
            .flat_map(|row| {
                [Some(Stream::CHAIN), store]
                    .into_iter()
                    .flatten()
                    .map(move |stream| (stream, row.origin))
            })
            .all(|(stream, origin)| {
                let limit = self.limit(stream, origin).unwrap_or(0);
                self.head(stream, origin).seq >= limit.max(parent_has(stream, origin))
            })
    }
}
