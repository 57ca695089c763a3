//! Takes one slice of waiting frames into a transaction

use crate::{
    ahead,
    allow_list::Row,
    apply::{self, Done, ParkedKeys, Prepared, Scope},
    changelog::{self, Appender, LogHead},
    device_keys::DeviceKeys,
    evidence::Ends,
    frame::{BLOB_HEAD_BYTES, Frame, FrameError},
    generations::Generations,
    hlc::{Millis, Stamp},
    incoming::{Incoming, Outcome, Received, Slice},
    lacking,
    origin::{Origin, Role, Stream},
    origins::Origins,
    parking::{NotApplied, Parked, Reason},
    planted::{self, Fault},
    private,
    tables::Tables,
    version,
};
use rusqlite::Connection;
use std::collections::{BTreeMap, VecDeque};

/// What changes in one transaction and counts only once it is committed.
#[derive(Default)]
pub(crate) struct Draft {
    pub(crate) heads: BTreeMap<(Stream, Origin), LogHead>,
    pub(crate) parked: ParkedKeys,
    pub(crate) newest: Stamp,
    pub(crate) allow_changed: bool,
    /// A row came for which parked entries wait.
    pub(crate) unlocks: bool,
    /// Entries of an older generation of HQ came past its end.
    pub(crate) ended: bool,
    pub(crate) rows: usize,
    /// How far what came beyond cuts is kept.
    pub(crate) evidence: Ends,
}

/// What became of a slice.
pub(crate) enum Taken<P> {
    /// It is ready to be committed.
    Slice {
        received: Vec<Received<P>>,
        /// Frames at the front of the queue that are done with.
        frames: usize,
        draft: Draft,
    },
    /// An entry of the frame at this place must be parked, and the run was not careful.
    MustPark { frame: usize },
}

pub(crate) struct Inner<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) tables: &'a Tables,
    pub(crate) parked: &'a ParkedKeys,
    pub(crate) heads: &'a BTreeMap<(Stream, Origin), LogHead>,
    pub(crate) keys: &'a dyn DeviceKeys,
    pub(crate) origins: &'a Origins,
    pub(crate) own: Origin,
    pub(crate) generations: &'a Generations,
    pub(crate) now: Millis,
}

impl Inner<'_> {
    pub(crate) fn take_slice<P: Clone>(
        &self,
        queue: &mut VecDeque<Incoming<P>>,
        slice: Slice,
        careful_from: usize,
    ) -> rusqlite::Result<Taken<P>> {
        let (mut received, mut frames, mut draft) = (Vec::new(), 0, Draft::default());
        while draft.rows < slice.rows
            && let Some(incoming) = queue.get_mut(frames)
        {
            let key = (incoming.frame.stream(), incoming.frame.origin());
            let head = draft.heads.get(&key).or_else(|| self.heads.get(&key)).copied();
            let head = head.unwrap_or_else(|| LogHead::none(key.1, key.0));
            let known = &self.origins.known;
            let believed = known.values().find(|_| planted::is(Fault::StrangerBelieved));
            let outcome = match known.get(&key.1).or(believed) {
                None => Outcome::UnknownOrigin,
                Some(writer) => {
                    let careful = frames >= careful_from;
                    let withheld = match self.withhold(incoming, writer, &head, &mut draft)? {
                        None => self.take(incoming, writer, head, slice, careful, &mut draft)?,
                        withheld => withheld,
                    };
                    match withheld {
                        Some(outcome) => outcome,
                        None => return Ok(Taken::MustPark { frame: frames }),
                    }
                }
            };
            let last = incoming.frame.last();
            let more = matches!(outcome, Outcome::Applied { seq, .. } if seq < last);
            let from = incoming.from.clone();
            received.push(Received { from, origin: key.1, stream: key.0, outcome });
            if more {
                break;
            }
            frames += 1;
        }
        if !planted::is(Fault::VectorInMemoryOnly) {
            for ((stream, origin), head) in &draft.heads {
                changelog::set_head(self.db, *stream, *origin, head)?;
            }
        }
        Ok(Taken::Slice { received, frames, draft })
    }

    /// Verifies a frame once, then applies as much of it as the slice allows; None when an entry must be
    /// parked and the run is not careful.
    fn take<P>(
        &self,
        incoming: &mut Incoming<P>,
        writer: &Row,
        head: LogHead,
        slice: Slice,
        careful_run: bool,
        draft: &mut Draft,
    ) -> rusqlite::Result<Option<Outcome>> {
        let frame = &incoming.frame;
        let mut head = head;
        if planted::is(Fault::GapAccepted) && frame.first() > head.seq + 1 {
            head.seq = frame.first() - 1;
            incoming.chains = frame.chains(&head.chain);
        }
        if planted::is(Fault::DuplicateApplied)
            && frame.last() <= head.seq
            && incoming.chains.is_empty()
        {
            let scope =
                Scope { db: self.db, tables: self.tables, parked: &[self.parked], now: self.now };
            for entry in frame.entries() {
                let mut prepared = Prepared::new(self.db);
                let _ = careful(&scope, &mut prepared, writer, frame.stream(), entry)?;
            }
        }
        // Other frames may have brought all or a part of it since it was verified.
        if frame.last() <= head.seq {
            return Ok(Some(Outcome::Known { seq: head.seq }));
        }
        if frame.first() > head.seq + 1 {
            return Ok(Some(Outcome::Gap { have: head.seq }));
        }
        if writer.role == Role::Hq && !self.is_next(frame, draft) {
            return Ok(Some(Outcome::Gap { have: head.seq }));
        }
        if incoming.chains.is_empty() {
            if !apply::may_speak(self.tables, writer, frame.stream()) {
                return Ok(Some(Outcome::ForeignStream));
            }
            let verified = match self.verify(frame, writer, &head) {
                // Its past was trimmed here, so it proves nothing: what follows the head is asked for.
                Err(rusqlite::Error::QueryReturnedNoRows) => {
                    return Ok(Some(Outcome::Gap { have: head.seq }));
                }
                verified => verified?,
            };
            match verified {
                Ok(chains) => incoming.chains = chains,
                Err(cause) => return Ok(Some(Outcome::Refused(cause))),
            }
        }
        if head.lane == 0 {
            head.lane = changelog::lane(self.db, incoming.frame.stream(), incoming.frame.origin())?;
        }
        let mut work = Work { incoming, head, parked: 0 };
        if !self.run(&mut work, writer, slice, draft, careful_run)? {
            return Ok(None);
        }
        self.close(&work, draft)?;
        let whole = work.head.seq == work.incoming.frame.last();
        let bytes = if whole { work.incoming.frame.body_bytes() as u64 } else { 0 };
        Ok(Some(Outcome::Applied { seq: work.head.seq, parked: work.parked, bytes }))
    }

    /// Whether all that counts of older generations of HQ is here in this stream.
    fn is_next(&self, frame: &Frame, draft: &Draft) -> bool {
        let here = |origin: Origin| {
            let key = (frame.stream(), origin);
            draft.heads.get(&key).or_else(|| self.heads.get(&key)).map_or(0, |head| head.seq)
        };
        planted::is(Fault::GenerationsOutOfOrder)
            || self.generations.is_next(frame.stream(), frame.origin(), here)
    }

    fn verify(
        &self,
        frame: &Frame,
        writer: &Row,
        head: &LogHead,
    ) -> rusqlite::Result<Result<Vec<[u8; 32]>, FrameError>> {
        let previous = if frame.first() == head.seq + 1 {
            head.chain
        } else {
            changelog::chain_at(self.db, frame.stream(), frame.origin(), frame.first() - 1)?
        };
        let stranger = frame.origin() != writer.origin;
        let follows = frame.prev8() == version::first8(&previous);
        if planted::is(Fault::HashNotVerified)
            || planted::is(Fault::SealNotVerified) && follows
            || planted::is(Fault::StrangerBelieved) && stranger
        {
            return Ok(Ok(frame.chains(&previous)));
        }
        let verified = frame.verify(self.keys, &previous, &writer.key);
        Ok(verified.and_then(|chains| {
            let overlap = index(head.seq + 1 - frame.first());
            if overlap > 0 && chains[overlap - 1] != head.chain {
                let (origin, stream) = (frame.origin(), frame.stream());
                return Err(FrameError::OtherPast { origin, stream, first: frame.first() });
            }
            Ok(chains)
        }))
    }

    /// Applies entries until the frame or the slice ends; false when one must be parked and the run
    /// was not careful.
    fn run<P>(
        &self,
        work: &mut Work<'_, P>,
        writer: &Row,
        slice: Slice,
        draft: &mut Draft,
        careful_run: bool,
    ) -> rusqlite::Result<bool> {
        let (origin, stream) = (work.incoming.frame.origin(), work.incoming.frame.stream());
        let mut log = Appender::new(self.db)?;
        let mut prepared = Prepared::new(self.db);
        let end = self.generations.end(stream, origin);
        let done = index(work.head.seq + 1 - work.incoming.frame.first());
        for (at, entry) in work.incoming.frame.entries().enumerate().skip(done) {
            if draft.rows >= slice.rows {
                break;
            }
            let behind = [self.parked, &draft.parked];
            let scope = Scope { db: self.db, tables: self.tables, parked: &behind, now: self.now };
            let ended = end.is_before(work.head.seq + 1);
            let done = if ended && !planted::is(Fault::PredecessorBelieved) {
                Err(Parked::ended())
            } else if careful_run {
                careful(&scope, &mut prepared, writer, stream, entry)?
            } else {
                match apply::apply(&scope, &mut prepared, writer, stream, entry) {
                    Err(NotApplied::Sqlite(cause)) => return Err(cause),
                    Err(NotApplied::Park(_)) => return Ok(false),
                    Ok(done) => Ok(done),
                }
            };
            let stamp = done.as_ref().map_or(work.head.stamp, |done| done.stamp);
            let seq = work.head.seq + 1;
            work.head = LogHead {
                lane: work.head.lane,
                seq,
                chain: work.incoming.chains[at],
                stamp,
                bytes: work.head.bytes
                    + entry.len() as u64
                    + self.keep_blobs(work.incoming, seq)?,
            };
            log.append(&work.head, entry, None)?;
            lacking::note(self.db, self.tables, (origin, stream, seq), entry)?;
            match done {
                Ok(done) => {
                    draft.rows += done.rows.max(1);
                    draft.allow_changed |= done.allow_changed;
                    draft.unlocks |= done.unlocks;
                    if done.ahead {
                        ahead::list(self.db, stream, origin, seq, self.tables.epoch())?;
                    }
                }
                Err(reason) => {
                    draft.ended |= reason.reason == Reason::Ended;
                    if reason.reason != Reason::Ended {
                        draft.parked.extend(apply::wanted_keys(self.tables, origin, entry));
                    }
                    draft.rows += 1;
                    work.parked += 1;
                    park(self.db, (origin, stream, seq), &reason, self.now)?;
                }
            }
        }
        Ok(true)
    }

    /// Keeps what came beside an entry; gives its bytes, which count where seals are kept: what lies between two must
    /// fit a frame.
    fn keep_blobs<P>(&self, incoming: &Incoming<P>, seq: u64) -> rusqlite::Result<u64> {
        let frame = &incoming.frame;
        let mut bytes = 0;
        for blob in frame.blobs_of(index(seq - frame.first())) {
            private::keep(self.db, frame.stream(), frame.origin(), seq, blob)?;
            bytes += (blob.len() + BLOB_HEAD_BYTES) as u64;
        }
        Ok(bytes)
    }

    /// Moves the head in the draft, and keeps the seal once the whole frame is in.
    fn close<P>(&self, work: &Work<'_, P>, draft: &mut Draft) -> rusqlite::Result<()> {
        let frame = &work.incoming.frame;
        let (stream, origin, head) = (frame.stream(), frame.origin(), work.head);
        if head.seq == frame.last() {
            assert_eq!(frame.seal().seq, head.seq, "a frame ends at its seal");
            changelog::keep_seal(self.db, stream, origin, frame.seal(), head.bytes)?;
        }
        draft.newest = draft.newest.max(head.stamp);
        draft.heads.insert((stream, origin), head);
        Ok(())
    }
}

struct Work<'a, P> {
    incoming: &'a mut Incoming<P>,
    head: LogHead,
    parked: usize,
}

/// Keeps the reason why an entry was not applied.
pub(crate) fn park(
    db: &Connection,
    (origin, stream, seq): (Origin, Stream, u64),
    why: &Parked,
    now: Millis,
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO sync_parked (origin, stream, seq, reason, table_id, detail, parked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        origin.get(),
        stream.number(),
        seq.cast_signed(),
        why.reason.as_str(),
        why.table,
        &why.detail,
        now.0,
    ))?;
    Ok(())
}

/// Applies an entry whole, or undoes it whole and says why.
pub(crate) fn careful(
    scope: &Scope<'_>,
    prepared: &mut Prepared<'_>,
    writer: &Row,
    stream: Stream,
    entry: &[u8],
) -> rusqlite::Result<Result<Done, Parked>> {
    scope.db.prepare_cached("SAVEPOINT sync_entry")?.execute([])?;
    let done = match apply::apply(scope, prepared, writer, stream, entry) {
        Ok(done) => Ok(done),
        Err(NotApplied::Sqlite(cause)) => return Err(cause),
        Err(NotApplied::Park(why)) => {
            scope.db.prepare_cached("ROLLBACK TO sync_entry")?.execute([])?;
            assert!(
                why.reason != Reason::Epoch || why.table == 0,
                "what does not decode names no table"
            );
            Err(why)
        }
    };
    scope.db.prepare_cached("RELEASE sync_entry")?.execute([])?;
    Ok(done)
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("a frame has at most 1,000 entries")
}
