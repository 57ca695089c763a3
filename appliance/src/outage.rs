//! Since when the line is away, and the sentence that says so

use std::sync::{Mutex, PoisonError};

use chrono_tz::Tz;
use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_domain::receipts;
use selvedge_sync::origin::Role;

use crate::amounts::moment;
use crate::database::Database;
use crate::standing::{self, Line};

/// How long a parent that was never heard is waited for before it is called away.
const FIRST_WORD_MS: i64 = 5_000;

/// How long HQ may lag before the screen says that it is out of reach.
const HQ_LAG_MS: i64 = 30_000;

/// How far the clock may stand behind the last receipt before the screen says so.
const CLOCK_BACK_MS: i64 = 10 * 60 * 1_000;

/// How long the screen says that the database was built anew, when nothing else is to be said.
const REBUILT_MS: i64 = 24 * 60 * 60 * 1_000;

/// How many receipts the clock is compared with.
const RECEIPTS_COMPARED: u32 = 16;

/// What a person at the screen is told of it.
const REBUILT: &str =
    "The data of this device was damaged and is restored: have its disk looked at.";

/// What was seen of the line so far.
#[derive(Debug)]
pub struct Outage {
    started: i64,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    away_since: Option<i64>,
    behind_since: Option<(i64, u64)>,
}

impl Outage {
    /// Nothing was seen yet.
    pub fn starting(now: i64) -> Outage {
        Outage { started: now, seen: Mutex::default() }
    }

    /// The one sentence of this moment, or nothing.
    pub fn sentence(
        &self,
        database: &Database,
        db: &Connection,
        acts: &[u64],
        now: Moment,
        zone: Tz,
    ) -> rusqlite::Result<String> {
        let stopped = standing::stopped(database.status().writer);
        if !stopped.is_empty() {
            return Ok(stopped.to_owned());
        }
        let newest = receipts::latest_own(db, RECEIPTS_COMPARED)?;
        let latest = newest.iter().map(|receipt| receipt.at.0).max();
        if let Some(latest) = latest.filter(|latest| now.0 < latest - CLOCK_BACK_MS) {
            let bears = moment(latest, 0, zone);
            return Ok(format!("Check the clock: an earlier sale bears {bears}. Selling goes on."));
        }
        let (kept_here, not_at_hq) = standing::counts(acts, database.marks());
        let line = self.line(database, now.0, kept_here, not_at_hq);
        let said = standing::sentence(&line, now.0, zone);
        let rebuilt = database.rebuilt().filter(|rebuilt| now.0 - rebuilt.at.0 < REBUILT_MS);
        Ok(match rebuilt {
            Some(_) if said.is_empty() => REBUILT.to_owned(),
            _ => said,
        })
    }

    fn line(&self, database: &Database, now: i64, kept_here: u64, not_at_hq: u64) -> Line {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let status = database.status();
        let hq_has = status.hq_has;
        if status.parent_up {
            seen.away_since = None;
        } else {
            let heard = status.parent_heard_ms.map_or(self.started, |age| now - age);
            seen.away_since.get_or_insert(heard);
        }
        let waits = status.own_head > hq_has;
        match seen.behind_since {
            Some((_, had)) if waits && had == hq_has => {}
            _ if waits => seen.behind_since = Some((now, hq_has)),
            _ => seen.behind_since = None,
        }
        let never_heard = status.parent_heard_ms.is_none() && now - self.started < FIRST_WORD_MS;
        let behind = seen.behind_since.map(|behind| behind.0);
        Line {
            has_parent: database.has_parent(),
            parent_is_hq: database.identity().role == Role::BackOffice,
            away_since_ms: seen.away_since.filter(|_| !never_heard),
            behind_since_ms: behind.filter(|since| now - since >= HQ_LAG_MS),
            kept_here,
            not_at_hq,
        }
    }
}
