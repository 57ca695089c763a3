//! What the rooms of a running HQ share

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use rusqlite::Connection;
use selvedge_domain::moment::Moment;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use tokio::sync::{Mutex, Notify};

use crate::control_totals::{self, ControlTotal};
use crate::database::{Database, DatabaseError, now};
use crate::door::Door;
use crate::enrolment;
use crate::fleet::{self, Fleet};

/// A running HQ, shared by its pages and its tasks.
pub struct Hq {
    /// HQ's device id.
    pub name: String,
    /// HQ's origin.
    pub origin: u32,
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
}

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
            hq.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
            answer
        };
        match tokio::task::spawn_blocking(asked).await {
            Ok(answer) => Ok(answer?),
            Err(why) => Err(HqError::BrokenOff(why.to_string())),
        }
    }

    /// The whole chain as HQ sees it now.
    pub async fn fleet(self: &Arc<Hq>) -> Result<Fleet, HqError> {
        self.ask(|hq, reader| {
            fleet::look(
                reader,
                &hq.authority.public(),
                &hq.database.contacts().heard_ms,
                Moment(now().0),
            )
        })
        .await
    }

    /// The control totals of all devices. Where one differs, its exception is written soon after.
    pub async fn totals(self: &Arc<Hq>) -> Result<Vec<ControlTotal>, HqError> {
        let totals = self.ask(|hq, reader| totals(reader, &hq.authority.public())).await?;
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

/// As `check_totals`, for the devices that have signed anew since they were seen last.
pub fn check_new_totals(
    database: &Database,
    authority: &[u8; 32],
    seen: &mut HashMap<u32, i64>,
) -> Result<(), DatabaseError> {
    let reader = database.reader()?;
    let devices = enrolment::list(&reader, authority).map_err(DatabaseError::of)?;
    let totals = control_totals::since(&reader, &devices, seen).map_err(DatabaseError::of)?;
    tell(database, &reader, &totals)?;
    seen.extend(totals.iter().filter_map(|total| Some((total.origin, total.signed?.id))));
    Ok(())
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
