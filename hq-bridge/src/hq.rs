//! What the rooms of a running HQ share

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use tokio::sync::{Mutex, Notify};

use crate::condition::{self, Condition};
use crate::contacts::Contacts;
use crate::control_totals::{self, Checked, ControlTotal};
use crate::database::{Database, DatabaseError, now};
use crate::derived;
use crate::door::Door;
use crate::enrolment;
use crate::fleet::{self, Fleet};
use crate::freshness::{self, Look};

/// A running HQ, shared by its pages and its tasks.
pub struct Hq {
    /// HQ's device id.
    pub name: String,
    /// The data directory.
    pub data: PathBuf,
    /// The replica.
    pub database: Database,
    /// Connections that only read and are free.
    pub readers: std::sync::Mutex<Vec<Connection>>,
    /// Signs allow-list rows.
    pub authority: Arc<SoftwareKeys>,
    /// What a request that changes something must bear.
    pub door: Door,
    /// One import at a time: two files at once would each think they came first.
    pub importing: Mutex<()>,
    /// Wakes the check of the control totals before its time.
    pub look_again: Notify,
    /// Asks what the lines to the stores tell.
    pub contacts: Box<dyn Fn(&Database) -> Contacts + Send + Sync>,
    /// What the last check of each device's control total found.
    pub checked: std::sync::Mutex<Checked>,
    /// The allow-list as it was verified last, and what it was known by.
    pub admitted: std::sync::Mutex<(AdmittedKey, Arc<Vec<Row>>)>,
    /// Whether the pages are dark.
    pub night: bool,
}

/// By what a changed allow-list is recognised: how many rows, the newest origin, and a sum over the states.
pub type AdmittedKey = (i64, i64, i64);

/// Why a room did not get its answer.
#[derive(Debug, thiserror::Error)]
pub enum HqError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The thread that asked it is gone.
    #[error("the question to the database was broken off: {0}")]
    BrokenOff(String),
}

impl Hq {
    /// Asks the database on a thread that may wait.
    pub async fn ask<T, F>(self: &Arc<Hq>, question: F) -> Result<T, HqError>
    where
        T: Send + 'static,
        F: FnOnce(&Hq, &Connection) -> Result<T, DatabaseError> + Send + 'static,
    {
        let hq = Arc::clone(self);
        let asked = move || {
            let idle = hq.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let reader = match idle {
                Some(reader) => reader,
                None => hq.database.reader()?,
            };
            let answer = question(&hq, &reader);
            hq.database.look_for_rot(&reader);
            hq.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            answer
        };
        match tokio::task::spawn_blocking(asked).await {
            Ok(answer) => Ok(answer?),
            Err(why) => Err(HqError::BrokenOff(why.to_string())),
        }
    }

    /// As `ask`, with all that the question reads from one moment of the database. What is derived has caught up with
    /// what came, or says its age.
    pub async fn answer<T, F>(self: &Arc<Hq>, question: F) -> Result<T, HqError>
    where
        T: Send + 'static,
        F: FnOnce(&Hq, &Connection) -> Result<T, DatabaseError> + Send + 'static,
    {
        self.ask(move |hq, reader| {
            if let Err(why) = hq.catch_up(reader) {
                tracing::error!(%why, "sums and stock did not catch up with the receipts");
            }
            let moment = reader.unchecked_transaction()?;
            question(hq, &moment)
        })
        .await
    }

    /// Lets sums and stock catch up with the receipts, where any wait.
    pub fn catch_up(&self, db: &Connection) -> Result<(), DatabaseError> {
        match derived::waits_since(db)? {
            Some(_) => self.database.catch_up(),
            None => Ok(()),
        }
    }

    /// How fresh every store is now.
    pub fn look(&self, db: &Connection) -> Result<Look, DatabaseError> {
        let now = Moment(now().0);
        let rows = self.rows(db)?;
        let contacts = (self.contacts)(&self.database);
        let mut look = freshness::look(db, rows, &contacts, now)?;
        if let Some(since) = derived::waits_since(db)? {
            look.knows_until(since);
        }
        Ok(look)
    }

    /// The allow-list. To verify all its signatures takes longer than an answer may, so it is done when it has changed.
    fn rows(&self, db: &Connection) -> Result<Arc<Vec<Row>>, DatabaseError> {
        let key: AdmittedKey = db
            .prepare_cached(
                "SELECT count(*), coalesce(max(origin), 0),
                     coalesce(sum(origin * version), 0) + (SELECT count(*) FROM spare_claim)
                 FROM allow_list",
            )?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let known = self.admitted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.0 == key {
            return Ok(known.1);
        }
        let rows = Arc::new(enrolment::list(db, &self.authority.public())?);
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        *admitted = (key, Arc::clone(&rows));
        Ok(rows)
    }

    /// What the last check of the control totals found.
    pub fn checked(&self) -> Checked {
        self.checked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers what a check of control totals found.
    pub fn remember(&self, totals: &[ControlTotal]) {
        let at = Moment(now().0);
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.extend(totals.iter().map(|total| (total.origin, (at, total.clone()))));
    }

    /// How HQ itself is now.
    pub async fn condition(self: &Arc<Hq>) -> Result<Condition, HqError> {
        let hq = Arc::clone(self);
        let asked = move || condition::of(&hq.database, &hq.authority, &hq.data);
        match tokio::task::spawn_blocking(asked).await {
            Ok(found) => Ok(found?),
            Err(why) => Err(HqError::BrokenOff(why.to_string())),
        }
    }

    /// The whole chain as HQ sees it now.
    pub async fn fleet(self: &Arc<Hq>) -> Result<Fleet, HqError> {
        self.answer(|hq, reader| {
            let look = hq.look(reader)?;
            Ok(fleet::of(reader, look, &hq.checked())?)
        })
        .await
    }

    /// The control totals of all devices, added up anew. Where one differs, its exception is written soon after.
    pub async fn totals(self: &Arc<Hq>) -> Result<Vec<ControlTotal>, HqError> {
        let totals = self.ask(|hq, reader| totals(reader, &hq.authority.public())).await?;
        self.remember(&totals);
        if totals.iter().any(ControlTotal::differs) {
            self.look_again.notify_one();
        }
        Ok(totals)
    }
}

/// The control totals of all devices.
pub fn totals(db: &Connection, authority: &[u8; 32]) -> Result<Vec<ControlTotal>, DatabaseError> {
    let devices = enrolment::list(db, authority).map_err(DatabaseError::of)?;
    control_totals::all(db, &devices).map_err(DatabaseError::of)
}

/// Compares all, and writes an exception for every disagreement that begins, changes or ends; returns the totals.
pub fn check_totals(
    database: &Database,
    authority: &[u8; 32],
) -> Result<Vec<ControlTotal>, DatabaseError> {
    let reader = database.reader()?;
    let totals = totals(&reader, authority)?;
    tell(database, &reader, &totals)?;
    Ok(totals)
}

/// As `check_totals`, for the devices that have signed anew since they were seen last; returns those.
pub fn check_new_totals(
    database: &Database,
    authority: &[u8; 32],
    seen: &mut HashMap<u32, i64>,
) -> Result<Vec<ControlTotal>, DatabaseError> {
    let reader = database.reader()?;
    let devices = enrolment::list(&reader, authority).map_err(DatabaseError::of)?;
    let totals = control_totals::since(&reader, &devices, seen).map_err(DatabaseError::of)?;
    tell(database, &reader, &totals)?;
    seen.extend(totals.iter().filter_map(|total| Some((total.origin, total.signed?.id))));
    Ok(totals)
}

fn tell(
    database: &Database,
    reader: &Connection,
    totals: &[ControlTotal],
) -> Result<(), DatabaseError> {
    if totals.is_empty() {
        return Ok(());
    }
    let news = control_totals::news(reader, totals).map_err(DatabaseError::of)?;
    // One write for each store: an entry belongs to one stream.
    for piece in news.chunk_by(|a, b| a.0 == b.0) {
        let piece = piece.to_vec();
        database.write(move |tx, at| control_totals::write(tx, &piece, at))?;
    }
    Ok(())
}
