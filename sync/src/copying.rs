//! Hands what is committed to the second copy in batches
//!
//! While one batch is being made durable the next gathers, so a slow disk makes batches larger and not more. The mark
//! moves only when the shell has said that the bytes are durable; told twice, it changes nothing.

use crate::{
    hub::Hub,
    marks::KEPT_TWICE,
    planted::{self, Fault},
    replica::Replica,
    second_copy::AGAIN_MS,
    session::Key,
    signed::Mark,
    talk::{Event, Now, Output},
};

impl Hub {
    /// Our own writes are committed too.
    pub(crate) fn copy_own(&mut self, replica: &Replica) {
        let own = replica.identity().origin;
        if let Some(copying) = &mut self.copying {
            copying.waiting.extend(replica.heads.keys().filter(|key| key.1 == own));
        }
    }

    /// The next batch, unless one is under way.
    pub(crate) fn copy(&mut self, replica: &Replica, now: Now, outputs: &mut Vec<Output>) {
        let Some(copying) = &mut self.copying else { return };
        let rests = copying.again_at.is_some_and(|at| now.steady.0 < at);
        if copying.under_way || copying.waiting.is_empty() || rests {
            return;
        }
        copying.again_at = None;
        let marks = &self.marks;
        let behind = copying.waiting.iter().map(|key| (*key, marks.seq(KEPT_TWICE, *key)));
        match replica.batch(behind) {
            Ok(batch) => {
                if !batch.more {
                    // An entry whose seal has not come waits for it: its arrival names its origin again.
                    copying.waiting.clear();
                }
                if batch.bytes.is_empty() {
                    return;
                }
                copying.under_way = true;
                if planted::is(Fault::CopyCountedUnsynced) {
                    let marks = batch.marks.clone();
                    self.mark_at(now, KEPT_TWICE, &marks);
                }
                outputs.push(Output::Copy(batch));
            }
            Err(cause) => {
                let reason = format!("what is to be kept twice could not be read: {cause}");
                copying.again_at = Some(now.steady.0 + AGAIN_MS);
                outputs.push(Output::Event(Event::NotKept { reason }));
            }
        }
    }

    /// A batch is durable.
    pub(crate) fn copied(&mut self, now: Now, marks: &[Mark]) {
        if let Some(copying) = &mut self.copying {
            copying.under_way = false;
        }
        self.mark_at(now, KEPT_TWICE, marks);
    }

    /// A batch was not made durable: all of it waits again.
    pub(crate) fn not_copied(&mut self, now: Now, marks: &[Mark]) {
        if let Some(copying) = &mut self.copying {
            copying.under_way = false;
            copying.again_at = Some(now.steady.0 + AGAIN_MS);
            copying.waiting.extend(marks.iter().map(|mark| (mark.0, mark.1)));
        }
    }

    /// Entries here that are not kept twice; None where no second copy is kept.
    pub(crate) fn kept_once(&self, replica: &Replica) -> Option<u64> {
        self.copying.as_ref()?;
        let behind = |(key, head): (&Key, &crate::changelog::LogHead)| {
            head.seq.saturating_sub(self.marks.seq(KEPT_TWICE, *key))
        };
        Some(replica.heads.iter().map(behind).sum())
    }
}
