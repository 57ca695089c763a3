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
    /// Entries of it that are applied or were known before.
    done: usize,
}

impl<P> Incoming<P> {
    /// A frame as it came in.
    pub fn new(from: P, frame: Frame) -> Incoming<P> {
        Incoming { from, frame, chains: Vec::new(), done: 0 }
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
    parked: Vec<apply::ParkedKey>,
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
        let mut draft = Draft::default();
        let done = self.receive_slice(now, queue, slice, &mut draft);
        hold(&self.capture).enter(Mode::Outside);
        let received = match done {
            Ok(received) => received,
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

    fn receive_slice<P: Clone>(
        &mut self,
        now: Millis,
        queue: &mut VecDeque<Incoming<P>>,
        slice: Slice,
        draft: &mut Draft,
    ) -> rusqlite::Result<Vec<Received<P>>> {
        let mut received = Vec::new();
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let inner = Inner { db: &tx, tables: &self.tables, parked: &self.parked, now };
        while draft.rows < slice.rows
            && let Some(incoming) = queue.front_mut()
        {
            let key = (incoming.frame.stream(), incoming.frame.origin());
            let head = draft.heads.get(&key).or_else(|| self.heads.get(&key)).copied();
            let head = head.unwrap_or_else(|| LogHead::none(key.1, key.0));
            let believed = self.known.values().find(|_| planted::is(Fault::StrangerBelieved));
            let outcome = match self.known.get(&key.1).or(believed) {
                None => Outcome::UnknownOrigin,
                Some(writer) => inner.take(incoming, writer, head, slice, draft)?,
            };
            let more = matches!(outcome, Outcome::Applied { .. })
                && incoming.done < incoming.frame.count();
            let from = incoming.from.clone();
            received.push(Received { from, origin: key.1, stream: key.0, outcome });
            if more {
                break;
            }
            queue.pop_front();
        }
        if planted::is(Fault::VectorBeforeCommit) {
            self.heads.extend(draft.heads.iter().map(|(key, head)| (*key, *head)));
        }
        let committed = tx.commit();
        if let Err(cause) = &committed
            && cause.sqlite_error_code() != Some(ErrorCode::DiskFull)
        {
            self.halt(format!("a received frame is in doubt: {cause}"));
        }
        committed.map(|()| received)
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
                let scope = Scope { db: tx, tables: &tables, parked: &still };
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

struct Inner<'a> {
    db: &'a Connection,
    tables: &'a Tables,
    parked: &'a ParkedKeys,
    now: Millis,
}

impl Inner<'_> {
    /// Verifies a frame once, then applies as much of it as the slice allows.
    fn take<P>(
        &self,
        incoming: &mut Incoming<P>,
        writer: &Row,
        head: LogHead,
        slice: Slice,
        draft: &mut Draft,
    ) -> rusqlite::Result<Outcome> {
        let frame = &incoming.frame;
        let mut head = head;
        if planted::is(Fault::GapAccepted) && frame.first() > head.seq + 1 {
            head.seq = frame.first() - 1;
            incoming.chains = frame.chains(&head.chain);
        }
        if incoming.chains.is_empty() {
            if planted::is(Fault::DuplicateApplied) && frame.last() <= head.seq {
                let scope = Scope { db: self.db, tables: self.tables, parked: self.parked };
                for entry in frame.entries() {
                    let _ = careful(
                        &scope,
                        &mut Prepared::new(self.db),
                        writer,
                        frame.stream(),
                        entry,
                    )?;
                }
            }
            if frame.last() <= head.seq {
                return Ok(Outcome::Known { seq: head.seq });
            }
            if frame.first() > head.seq + 1 {
                return Ok(Outcome::Gap { have: head.seq });
            }
            if !apply::may_speak(self.tables, writer, frame.stream()) {
                return Ok(Outcome::ForeignStream);
            }
            let chains = match self.verify(frame, writer, &head)? {
                Ok(chains) => chains,
                Err(cause) => return Ok(Outcome::Refused(cause)),
            };
            incoming.chains = chains;
        }
        // Other frames may have brought a part of it since it was verified.
        incoming.done = incoming.done.max(index(head.seq + 1 - frame.first()));
        if incoming.done >= frame.count() {
            return Ok(Outcome::Known { seq: head.seq });
        }
        if head.lane == 0 {
            head.lane = changelog::lane(self.db, incoming.frame.stream(), incoming.frame.origin())?;
        }
        let rows_before = draft.rows;
        let parked_before = draft.parked.len();
        let mut work = Work { incoming, head, parked: 0 };
        self.db.prepare_cached("SAVEPOINT sync_frame")?.execute([])?;
        let quick = self.run(&mut work, writer, slice, draft, false)?;
        if !quick {
            self.db.prepare_cached("ROLLBACK TO sync_frame")?.execute([])?;
            draft.rows = rows_before;
            draft.parked.truncate(parked_before);
            work.head = head;
            work.incoming.done = index(head.seq + 1 - work.incoming.frame.first());
            let done = self.run(&mut work, writer, slice, draft, true)?;
            assert!(done, "a careful run parks what it cannot apply");
        }
        self.db.prepare_cached("RELEASE sync_frame")?.execute([])?;
        self.close(&work, draft)?;
        let whole = work.head.seq == work.incoming.frame.last();
        let bytes = if whole { work.incoming.frame.body_bytes() as u64 } else { 0 };
        Ok(Outcome::Applied { seq: work.head.seq, parked: work.parked, bytes })
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
        let known: ParkedKeys;
        let mut parked = self.parked;
        if !draft.parked.is_empty() {
            known = self.parked.iter().cloned().chain(draft.parked.iter().cloned()).collect();
            parked = &known;
        }
        let mut late = ParkedKeys::new();
        let mut log = Appender::new(self.db)?;
        let mut prepared = Prepared::new(self.db);
        for (at, entry) in work.incoming.frame.entries().enumerate().skip(work.incoming.done) {
            if draft.rows >= slice.rows {
                break;
            }
            let with_late: ParkedKeys;
            let behind = if late.is_empty() {
                parked
            } else {
                with_late = parked.union(&late).cloned().collect();
                &with_late
            };
            let scope = Scope { db: self.db, tables: self.tables, parked: behind };
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
                    let keys = apply::wanted_keys(self.tables, origin, entry);
                    late.extend(keys.iter().cloned());
                    draft.parked.extend(keys);
                    draft.rows += 1;
                    work.parked += 1;
                    self.park(stream, origin, seq, &reason)?;
                }
            }
            work.incoming.done = at + 1;
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

    /// Moves the head, and keeps the seal once the whole frame is in.
    fn close<P>(&self, work: &Work<'_, P>, draft: &mut Draft) -> rusqlite::Result<()> {
        let frame = &work.incoming.frame;
        let (stream, origin, head) = (frame.stream(), frame.origin(), work.head);
        if !planted::is(Fault::VectorInMemoryOnly) {
            changelog::set_head(self.db, stream, origin, &head)?;
        }
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
