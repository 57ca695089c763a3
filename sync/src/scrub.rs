//! Reads every page of a database in turn, a few at a time
//!
//! A page that nobody asks for can rot for months, and its twin elsewhere meanwhile too. So all of them are read within a
//! day, in steps between other work.

use crate::hlc::Millis;
use crate::page_check::{self, PageState};
use rusqlite::Connection;

/// How long a round over all pages takes at most.
pub const ROUND_MS: i64 = 24 * 60 * 60 * 1_000;

/// Where a scrub stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrub {
    step_ms: i64,
    due: Millis,
    /// The page to read next; none before the round may begin.
    next: Option<u32>,
    /// Pages of a step in this round.
    pages: u32,
    rounds: u64,
}

/// What a step has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing wrong, so far.
    Nothing,
    /// This page is not what was written.
    Rot {
        /// Its number, from 1.
        page: u32,
    },
}

impl Scrub {
    /// A scrub that makes a step this often.
    pub fn new(step_ms: i64) -> Scrub {
        assert!(step_ms > 0, "steps take time");
        Scrub { step_ms, due: Millis(i64::MIN), next: None, pages: 1, rounds: 0 }
    }

    /// When the next step is due, in steady time.
    pub fn due(&self) -> Millis {
        self.due
    }

    /// Rounds that are done.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Makes a step if one is due. Outside of transactions only.
    pub fn step(&mut self, db: &Connection, now: Millis) -> rusqlite::Result<Found> {
        if now.0 < self.due.0 {
            return Ok(Found::Nothing);
        }
        self.due = Millis(now.0.saturating_add(self.step_ms));
        let Some(first) = self.begun(db)? else { return Ok(Found::Nothing) };
        for page in first..first.saturating_add(self.pages) {
            match page_check::look(db, page) {
                PageState::Whole => self.next = Some(page + 1),
                PageState::Rotten => return Ok(Found::Rot { page }),
                PageState::Absent => {
                    (self.next, self.rounds) = (None, self.rounds + 1);
                    break;
                }
            }
        }
        Ok(Found::Nothing)
    }

    /// The page to begin with; none while the log is not yet all in the file.
    ///
    /// A checkpoint that power has cut leaves torn pages, whose true ones stand in the log. So a round begins only after
    /// a checkpoint that was done to its end; those that come later leave no torn pages while the power stays.
    fn begun(&mut self, db: &Connection) -> rusqlite::Result<Option<u32>> {
        if self.next.is_none() {
            let (busy, logged, done): (i64, i64, i64) =
                db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.try_into())?;
            if busy == 0 && logged == done {
                let all: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
                let a_round = (ROUND_MS / self.step_ms).max(1);
                self.pages = u32::try_from(all / a_round + 1).unwrap_or(u32::MAX);
                self.next = Some(1);
            }
        }
        Ok(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open;
    use crate::page_sum::PAGE_BYTES;
    use std::os::unix::fs::FileExt;

    fn filled(path: &std::path::Path) -> Connection {
        let db = open::local(path, None, &[]).unwrap();
        db.execute_batch("CREATE TABLE a (b BLOB); INSERT INTO a VALUES (zeroblob(40000))")
            .unwrap();
        db
    }

    #[test]
    fn all_pages_are_read_within_a_day() {
        let dir = tempfile::tempdir().unwrap();
        let db = filled(&dir.path().join("a.db"));
        let mut scrub = Scrub::new(ROUND_MS / 4);
        for step in 0..4 {
            assert_eq!(scrub.rounds(), 0);
            assert_eq!(scrub.step(&db, Millis(step * ROUND_MS / 4)), Ok(Found::Nothing));
            assert_eq!(
                scrub.step(&db, Millis(step * ROUND_MS / 4 + 1)),
                Ok(Found::Nothing),
                "not due"
            );
        }
        assert_eq!(scrub.rounds(), 1);
    }

    #[test]
    fn a_page_that_nobody_asks_for_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let db = filled(&path);
        let mut scrub = Scrub::new(1_000);
        assert_eq!(scrub.step(&db, Millis(0)), Ok(Found::Nothing));
        let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let mut byte = [0];
        let at = 5 * PAGE_BYTES as u64 + 77;
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 4], at).unwrap();
        let found =
            (1..100).find_map(|step| match scrub.step(&db, Millis(step * 1_000)).unwrap() {
                Found::Nothing => None,
                Found::Rot { page } => Some((step, page)),
            });
        assert_eq!(found, Some((5, 6)));
    }
}
