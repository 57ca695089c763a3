//! Takes frames in: verifies each, applies a slice at a time
//!
//! Chain and seal are checked over the raw bytes before anything is decoded.
//! What then cannot be applied is parked and the stream goes on; only a broken
//! chain or a bad seal stops an origin. One call is one transaction, so HQ
//! takes many frames with one sync and a local write is never held up for long.

use crate::{
    ahead,
    apply::{self, ParkedKeys, Prepared, Scope},
    capture::{Mode, hold},
    changelog,
    hlc::Millis,
    incoming::{Incoming, Received, Slice},
    origin::{Origin, Stream},
    planted::{self, Fault},
    replica::Replica,
    take_in::{Draft, Inner, Taken, careful},
};
use rusqlite::{ErrorCode, TransactionBehavior};
use std::collections::VecDeque;

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
                self.notice_rot();
                return Err(cause);
            }
        };
        for (key, head) in draft.heads {
            let beyond = self.limit(key.0, key.1).is_some_and(|limit| head.seq > limit);
            self.beyond_is_stated &= !beyond;
            let before = self.heads.insert(key, head);
            assert!(before.is_none_or(|before| before.seq <= head.seq), "a vector never falls");
        }
        self.parked.extend(draft.parked);
        for (key, last) in draft.evidence {
            let end = self.evidence_ends.entry(key).or_default();
            *end = (*end).max(last);
        }
        self.clock.observe(now, draft.newest);
        self.lineage.tail |= draft.ended;
        if draft.allow_changed {
            self.learn_who_counts()?;
        }
        if draft.allow_changed || draft.unlocks {
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
        let own = self.identity().origin;
        let (tx, taken) = loop {
            let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let inner = Inner {
                db: &tx,
                tables: &self.tables,
                parked: &self.parked,
                heads: &self.heads,
                keys: self.keys.as_ref(),
                origins: &self.origins,
                own,
                generations: &self.lineage.generations,
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

    /// Tries parked entries again, oldest first: after an update, when the allow-list has changed, or when a row came
    /// for which one waited. What is applied may be what another waited for, so they are tried until nothing moves.
    pub fn retry_parked(&mut self) -> rusqlite::Result<()> {
        while self.retry_parked_once()? {}
        Ok(())
    }

    /// One round; true when an entry was applied for which others may have waited.
    fn retry_parked_once(&mut self) -> rusqlite::Result<bool> {
        let parked: Vec<(Stream, Origin, u64)> = self
            .db
            .prepare_cached(
                "SELECT stream, origin, seq FROM sync_parked WHERE reason <> 'Ended'
                 ORDER BY origin, stream, seq",
            )?
            .query_map([], |row| {
                let stream = Stream::from_number(row.get(0)?).expect("only streams are kept");
                let origin = Origin::new(row.get(1)?).expect("only origins are kept");
                Ok((stream, origin, row.get::<_, i64>(2)?.cast_unsigned()))
            })?
            .collect::<Result<_, _>>()?;
        self.parked.clear();
        if parked.is_empty() {
            return Ok(false);
        }
        let (tables, known) = (self.tables.clone(), self.origins.known.clone());
        let (mut still, mut applied) = (ParkedKeys::new(), false);
        self.keep_house(|tx| {
            for (stream, origin, seq) in parked {
                let Some(bytes) = changelog::read(tx, stream, origin, seq, 1, u64::MAX)?.pop() else {
                    continue;
                };
                let Some(writer) = known.get(&origin) else {
                    still.extend(apply::wanted_keys(&tables, origin, &bytes));
                    continue;
                };
                let behind = [&still];
                let scope = Scope { db: tx, tables: &tables, parked: &behind, now: Millis(0) };
                match careful(&scope, &mut Prepared::new(tx), writer, stream, &bytes)? {
                    Ok(done) => {
                        applied |= done.rows > 0;
                        tx.execute(
                            "DELETE FROM sync_parked WHERE origin = ?1 AND stream = ?2 AND seq = ?3",
                            (origin.get(), stream.number(), seq.cast_signed()),
                        )?;
                        if done.ahead {
                            ahead::list(tx, stream, origin, seq, tables.epoch())?;
                        }
                    }
                    Err(_) => still.extend(apply::wanted_keys(&tables, origin, &bytes)),
                }
            }
            Ok(())
        })?;
        applied &= !still.is_empty();
        self.parked = still;
        Ok(applied)
    }
}
