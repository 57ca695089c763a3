//! Takes frames in: verifies each, applies a slice at a time
//!
//! Chain and seal are checked over the raw bytes before anything is decoded.
//! What then cannot be applied is parked and the stream goes on; only a broken
//! chain or a bad seal stops an origin. One call is one transaction, so HQ
//! takes many frames with one sync and a local write is never held up for long.

use crate::{
    allow_list::Row,
    apply::{self, Done, NotApplied, Parked, ParkedKeys, Prepared, Reason, Scope},
    capture::Mode,
    changelog::{self, Appender, LogHead},
    frame::{Frame, FrameError},
    hlc::{Millis, Stamp},
    origin::{Origin, Stream},
    planted::{self, Fault},
    replica::{Replica, hold},
    tables::Tables,
    version,
};
use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use std::collections::{BTreeMap, VecDeque};

/// A frame that waits to be applied.
#[derive(Debug)]
pub struct Incoming<P> {
    /// Who sent it (not who wrote it).
    pub from: P,
    /// The frame.
    pub frame: Frame,
    /// Chain values after each entry, once the frame is verified.
    chains: Vec<[u8; 32]>,
}

impl<P> Incoming<P> {
    /// A frame as it came in.
    pub fn new(from: P, frame: Frame) -> Incoming<P> {
        Incoming { from, frame, chains: Vec::new() }
    }
}

/// What became of a frame or of a slice of it.
#[derive(Debug)]
pub enum Outcome {
    /// Entries up to `seq` are committed here.
    Applied {
        /// The last of them.
        seq: u64,
        /// How many were parked.
        parked: usize,
        /// Bytes of the frame, counted once, when its last entry is in.
        bytes: u64,
    },
    /// All of it was here before.
    Known {
        /// The last seq that is here.
        seq: u64,
    },
    /// Entries before it are missing; `have` is the last one here.
    Gap {
        /// The last seq that is here.
        have: u64,
    },
    /// Its writer is not on the allow-list (yet): it waits at the sender.
    UnknownOrigin,
    /// Its writer may write nothing in this stream.
    ForeignStream,
    /// Its chain or seal is wrong.
    Refused(FrameError),
}

/// One outcome, with whom and what it is about.
#[derive(Debug)]
pub struct Received<P> {
    /// Who sent the frame.
    pub from: P,
    /// Whose entries.
    pub origin: Origin,
    /// Their stream.
    pub stream: Stream,
    /// What became of them.
    pub outcome: Outcome,
}

/// How much one call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Row changes.
    pub rows: usize,
}

/// What changes in one transaction and counts only once it is committed.
#[derive(Default)]
struct Draft {
    heads: BTreeMap<(Stream, Origin), LogHead>,
    parked: ParkedKeys,
    newest: Stamp,
    allow_changed: bool,
    rows: usize,
}

impl Replica {
    /// Applies from the front of the queue until the slice is used up, in one transaction.
    ///
    /// On an error nothing of this call is kept and the queue is empty: the senders send again.
    pub fn receive<P: Clone>(
        &mut self,
        now: Millis,
        queue: &mut VecDeque<Incoming<P>>,
        slice: Slice,
    ) -> rusqlite::Result<Vec<Received<P>>> {
        if queue.is_empty() || self.halted().is_some() {
            queue.clear();
            return Ok(Vec::new());
        }
        hold(&self.capture).enter(Mode::Engine);
        let done = self.receive_slice(now, queue, slice);
        hold(&self.capture).enter(Mode::Outside);
        let (received, draft) = match done {
            Ok(done) => done,
            Err(cause) => {
                queue.clear();
                return Err(cause);
            }
        };
        for (key, head) in draft.heads {
            let before = self.heads.insert(key, head);
            assert!(before.is_none_or(|before| before.seq <= head.seq), "a vector never falls");
        }
        self.parked.extend(draft.parked);
        self.clock.observe(now, draft.newest);
        if draft.allow_changed {
            self.learn_who_counts()?;
            self.retry_parked()?;
        }
        Ok(received)
    }

    /// Hardly any slice parks an entry, so none is made ready to take one back: SQLite keeps a copy of
    /// every page that changes after a savepoint. A slice that must park is undone and begun again,
    /// with care from that frame on.
    fn receive_slice<P: Clone>(
        &mut self,
        now: Millis,
        queue: &mut VecDeque<Incoming<P>>,
        slice: Slice,
    ) -> rusqlite::Result<(Vec<Received<P>>, Draft)> {
        let mut careful_from = usize::MAX;
        let deaf = self.hook.deaf();
        let (tx, taken) = loop {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let inner = Inner {
                db: &tx,
                tables: &self.tables,
                parked: &self.parked,
                heads: &self.heads,
                known: &self.known,
                now,
            };
            match inner.take_slice(queue, slice, careful_from)? {
                Taken::Slice { received, frames, draft } => break (tx, (received, frames, draft)),
                Taken::MustPark { frame } => {
                    assert!(frame < careful_from, "a careful run parks what it cannot apply");
                    careful_from = frame;
                    tx.rollback()?;
                }
            }
        };
        let (received, frames, draft) = taken;
        if planted::is(Fault::VectorBeforeCommit) {
            self.heads.extend(draft.heads.iter().map(|(key, head)| (*key, *head)));
        }
        let committed = tx.commit();
        drop(deaf);
        if let Err(cause) = &committed
            && cause.sqlite_error_code() != Some(ErrorCode::DiskFull)
        {
            self.halt(format!("a received frame is in doubt: {cause}"));
        }
        queue.drain(..frames);
        committed.map(|()| (received, draft))
    }

    /// Tries parked entries again, oldest first: after an update, or when the allow-list has changed.
    pub fn retry_parked(&mut self) -> rusqlite::Result<()> {
        let parked: Vec<(Stream, Origin, u64)> = self
            .db
            .prepare_cached(
                "SELECT stream, origin, seq FROM sync_parked ORDER BY origin, stream, seq",
            )?
            .query_map([], |row| {
                let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
                let origin = Origin::new(row.get(1)?).expect("only origins are kept");
                Ok((stream, origin, row.get::<_, i64>(2)?.cast_unsigned()))
            })?
            .collect::<Result<_, _>>()?;
        self.parked.clear();
        if parked.is_empty() {
            return Ok(());
        }
        let (tables, known) = (self.tables.clone(), self.known.clone());
        let mut still = ParkedKeys::new();
        self.keep_house(|tx| {
            for (stream, origin, seq) in parked {
                let Some(bytes) = changelog::read(tx, stream, origin, seq, 1, u64::MAX)?.pop() else {
                    continue;
                };
                let Some(writer) = known.get(&origin) else {
                    still.extend(apply::wanted_keys(&tables, origin, &bytes));
                    continue;
                };
                let scope = Scope { db: tx, tables: &tables, parked: &[&still] };
                match careful(&scope, &mut Prepared::new(tx), writer, stream, &bytes)? {
                    Ok(_) => {
                        tx.execute(
                            "DELETE FROM sync_parked WHERE origin = ?1 AND stream = ?2 AND seq = ?3",
                            (origin.get(), stream.number(), seq.cast_signed()),
                        )?;
                    }
                    Err(_) => still.extend(apply::wanted_keys(&tables, origin, &bytes)),
                }
            }
            Ok(())
        })?;
        self.parked = still;
        Ok(())
    }
}

/// What became of a slice.
enum Taken<P> {
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

struct Inner<'a> {
    db: &'a Connection,
    tables: &'a Tables,
    parked: &'a ParkedKeys,
    heads: &'a BTreeMap<(Stream, Origin), LogHead>,
    known: &'a BTreeMap<Origin, Row>,
    now: Millis,
}

impl Inner<'_> {
    fn take_slice<P: Clone>(
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
            let believed = self.known.values().find(|_| planted::is(Fault::StrangerBelieved));
            let outcome = match self.known.get(&key.1).or(believed) {
                None => Outcome::UnknownOrigin,
                Some(writer) => {
                    let careful = frames >= careful_from;
                    match self.take(incoming, writer, head, slice, careful, &mut draft)? {
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
            let scope = Scope { db: self.db, tables: self.tables, parked: &[self.parked] };
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
        if incoming.chains.is_empty() {
            if !apply::may_speak(self.tables, writer, frame.stream()) {
                return Ok(Some(Outcome::ForeignStream));
            }
            match self.verify(frame, writer, &head)? {
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
        let verified = frame.verify(&previous, &writer.key);
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
        let done = index(work.head.seq + 1 - work.incoming.frame.first());
        for (at, entry) in work.incoming.frame.entries().enumerate().skip(done) {
            if draft.rows >= slice.rows {
                break;
            }
            let behind = [self.parked, &draft.parked];
            let scope = Scope { db: self.db, tables: self.tables, parked: &behind };
            let done = if careful_run {
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
                bytes: work.head.bytes + entry.len() as u64,
            };
            log.append(&work.head, entry, None)?;
            match done {
                Ok(done) => {
                    draft.rows += done.rows.max(1);
                    draft.allow_changed |= done.allow_changed;
                }
                Err(reason) => {
                    draft.parked.extend(apply::wanted_keys(self.tables, origin, entry));
                    draft.rows += 1;
                    work.parked += 1;
                    self.park(stream, origin, seq, &reason)?;
                }
            }
        }
        Ok(true)
    }

    fn park(&self, stream: Stream, origin: Origin, seq: u64, why: &Parked) -> rusqlite::Result<()> {
        self.db
            .prepare_cached(
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
                self.now.0,
            ))?;
        Ok(())
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

/// Applies an entry whole, or undoes it whole and says why.
fn careful(
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
