//! Decides which frames are proof instead of being applied

use crate::{
    allow_list::Row,
    changelog::{self, LogHead},
    evidence::{self, Kept, Why, chain_here},
    frame::Frame,
    incoming::{Incoming, OtherPast, Outcome},
    planted::{self, Fault},
    take_in::{Draft, Inner},
    version::first8,
};

impl Inner<'_> {
    /// What becomes of a frame that must not be applied; None when it may be, as far as its past goes.
    pub(crate) fn withhold<P>(
        &self,
        incoming: &Incoming<P>,
        writer: &Row,
        head: &LogHead,
        draft: &mut Draft,
    ) -> rusqlite::Result<Option<Outcome>> {
        let frame = &incoming.frame;
        // A frame that has begun to be applied is applied to its end: it is sealed only there.
        if !incoming.chains.is_empty() && frame.first() <= head.seq {
            return Ok(None);
        }
        let (origin, stream) = (frame.origin(), frame.stream());
        let previous = if frame.first() == head.seq + 1 {
            Some(head.chain)
        } else if frame.first() <= head.seq {
            chain_here(self.db, stream, origin, frame.first() - 1)?
        } else {
            None
        };
        let Some(previous) = previous.filter(|chain| first8(chain) == frame.prev8()) else {
            let before = evidence::piece_before(self.db, frame)?;
            return match before {
                Some((previous, why)) if origin != self.own => {
                    self.keep(why, frame, writer, &previous, draft)
                }
                _ => Ok(None),
            };
        };
        if frame.first() <= head.seq && !planted::is(Fault::ForkIgnored) {
            let last = frame.last().min(head.seq);
            let here = chain_here(self.db, stream, origin, last)?;
            let at = usize::try_from(last - frame.first()).expect("at most 1,000 entries");
            if here.is_some_and(|here| here != frame.chains(&previous)[at]) {
                return self.other_past(OtherPast::Forked, frame, writer, &previous, draft);
            }
        }
        if frame.last() <= head.seq {
            return Ok(None);
        }
        if origin == self.own {
            return self.other_past(OtherPast::Ahead, frame, writer, &previous, draft);
        }
        let limit = self.origins.limit(stream, origin);
        if limit.is_some_and(|limit| frame.last() > limit) && !self.is_half_in(frame, head)? {
            return self.keep(Why::Cut, frame, writer, &previous, draft);
        }
        Ok(None)
    }

    /// Whether a part of a frame was applied before a crash: it is taken whole, for only its end is sealed.
    fn is_half_in(&self, frame: &Frame, head: &LogHead) -> rusqlite::Result<bool> {
        if head.seq == 0 {
            return Ok(false);
        }
        let (stream, origin) = (frame.stream(), frame.origin());
        let seal = changelog::seal_for(self.db, stream, origin, head.seq, head.seq)?;
        Ok(seal.is_none_or(|seal| seal.seq != head.seq))
    }

    /// Our own origin has sealed what is not here, or another origin has sealed two pasts.
    fn other_past(
        &self,
        found: OtherPast,
        frame: &Frame,
        writer: &Row,
        previous: &[u8; 32],
        draft: &mut Draft,
    ) -> rusqlite::Result<Option<Outcome>> {
        if frame.origin() != self.own {
            return self.keep(Why::Fork, frame, writer, previous, draft);
        }
        match frame.verify(self.keys, previous, &writer.key) {
            Ok(chains) => {
                if found == OtherPast::Forked {
                    let chain = chains.last().expect("a frame has an entry");
                    evidence::keep(self.db, self.now, Why::Fork, frame, previous, chain)?;
                }
                Ok(Some(Outcome::OwnPast(found)))
            }
            Err(cause) => Ok(Some(Outcome::Refused(cause))),
        }
    }

    fn keep(
        &self,
        why: Why,
        frame: &Frame,
        writer: &Row,
        previous: &[u8; 32],
        draft: &mut Draft,
    ) -> rusqlite::Result<Option<Outcome>> {
        let chains = match frame.verify(self.keys, previous, &writer.key) {
            Ok(chains) => chains,
            Err(cause) => return Ok(Some(Outcome::Refused(cause))),
        };
        if planted::is(Fault::EvidenceDropped) {
            return Ok(Some(Outcome::Evidence { why, last: frame.last(), kept: Kept::Before }));
        }
        let chain = chains.last().expect("a frame has an entry");
        let kept = evidence::keep(self.db, self.now, why, frame, previous, chain)?;
        if why == Why::Cut && kept != Kept::Not {
            let end = draft.evidence.entry((frame.stream(), frame.origin())).or_default();
            *end = (*end).max(frame.last());
        }
        Ok(Some(Outcome::Evidence { why, last: frame.last(), kept }))
    }
}
