//! How old HQ's knowledge of each store is, hop by hop
//!
//! An age is counted by one machine and added to the next one's: the back office says how many seconds ago it heard a pos,
//! and HQ adds how long ago it heard the back office. No two clocks are ever compared, so a wrong one makes nothing fresh.
//!
//! After a restart HQ has heard nobody. It says "unknown" then, and not the age of before: that could have been a week.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::{Row, State};
use selvedge_sync::origin::Role;

use crate::contacts::Contacts;
use crate::database::{Database, DatabaseError};

/// The age from which on a store that nobody knows would be stale.
const STALE_AFTER_MS: i64 = 20_000;

/// How fresh one device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFreshness {
    /// Its row of the allow-list.
    pub row: Row,
    /// Milliseconds since its newest beat; `None` when none was heard since HQ started.
    pub age_ms: Option<i64>,
    /// When HQ last knew all that it had written, by HQ's clock; `None` when never.
    pub complete_at: Option<Moment>,
    /// Entries of it that are known to be at the store and not here.
    pub missing: u64,
    /// Its build, where it speaks to HQ itself.
    pub build: Option<String>,
    /// Whether its age is within the limit of its store.
    pub synced: bool,
    /// Whether its age counts for the store.
    pub counts: bool,
}

/// How fresh one store is: as its oldest device that counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFreshness {
    /// The store's number.
    pub store: i64,
    /// Whether HQ has such a store.
    pub known: bool,
    /// Milliseconds since the oldest beat; `None` when a device that counts was not heard since HQ started.
    pub age_ms: Option<i64>,
    /// When HQ last knew all that its devices had written, by HQ's clock.
    pub complete_at: Option<Moment>,
    /// From which age on it is stale.
    pub stale_after_ms: i64,
    /// Whether its age is within that.
    pub synced: bool,
    /// Its devices that are admitted and not replaced, by origin.
    pub devices: Vec<DeviceFreshness>,
}

/// How fresh every store was at one moment.
pub struct Look {
    /// When HQ looked.
    pub now: Moment,
    /// Everybody who was ever admitted, by store and origin.
    pub rows: Arc<Vec<Row>>,
    /// Every store, by number.
    pub stores: BTreeMap<i64, StoreFreshness>,
}

impl Look {
    /// What came from this moment on is not in the figures yet.
    pub fn knows_until(&mut self, since: Moment) {
        let cap = |at: &mut Option<Moment>| *at = at.map(|at| at.min(since));
        for store in self.stores.values_mut() {
            cap(&mut store.complete_at);
            store.devices.iter_mut().for_each(|device| cap(&mut device.complete_at));
        }
    }
}

impl StoreFreshness {
    /// Why it is not synced, as a sentence; empty when it is.
    pub fn reason(&self) -> String {
        let seconds = self.stale_after_ms / 1_000;
        let late: Vec<&str> = (self.devices.iter())
            .filter(|device| device.counts && !device.synced)
            .map(|device| device.row.label.as_str())
            .collect();
        match (self.synced, self.known, self.devices.is_empty()) {
            (true, ..) => String::new(),
            (_, false, _) => format!("there is no store {}", self.store),
            (_, _, true) => "no device is admitted here".to_string(),
            _ if self.age_ms.is_none() => {
                format!("{} was not heard since head office started", late.join(", "))
            }
            _ => format!("{} was not heard for more than {seconds} s", late.join(", ")),
        }
    }
}

/// Looks at every store now.
pub fn look(
    db: &Connection,
    rows: Arc<Vec<Row>>,
    contacts: &Contacts,
    now: Moment,
) -> rusqlite::Result<Look> {
    let kept = kept(db)?;
    let mut stores = BTreeMap::new();
    let mut limits = db.prepare_cached("SELECT id, stale_after_ms FROM store ORDER BY id")?;
    let limits = limits.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))?;
    for limit in limits {
        let (store, stale_after_ms) = limit?;
        let current = current(&rows, store);
        let has_pos = current.iter().any(|row| row.role == Role::Pos);
        let devices = current.into_iter().map(|row| {
            let counts = row.role == Role::Pos || !has_pos;
            device(row, counts, stale_after_ms, contacts, &kept, now)
        });
        stores.insert(store, of_devices(store, stale_after_ms, devices.collect()));
    }
    Ok(Look { now, rows, stores })
}

/// What is known of a store that HQ does not have: nothing.
pub fn unknown(store: i64) -> StoreFreshness {
    StoreFreshness { known: false, ..of_devices(store, STALE_AFTER_MS, Vec::new()) }
}

/// The devices of a store that are admitted and that no newer incarnation has replaced.
fn current(rows: &[Row], store: i64) -> Vec<&Row> {
    let of_store = || {
        let here = move |row: &&Row| i64::from(row.store) == store && row.role != Role::Hq;
        rows.iter().filter(here)
    };
    let newer =
        |row: &Row| of_store().any(|other| other.device == row.device && other.origin > row.origin);
    let mut current: Vec<&Row> =
        of_store().filter(|row| row.state == State::Active && !newer(row)).collect();
    current.sort_by_key(|row| row.origin);
    current
}

fn device(
    row: &Row,
    counts: bool,
    stale_after_ms: i64,
    contacts: &Contacts,
    kept: &HashMap<String, Moment>,
    now: Moment,
) -> DeviceFreshness {
    let name = row.device.as_str();
    let age_ms = contacts.heard_ms.get(name).copied();
    let heard = contacts.complete_ms.get(name).map(|ms| Moment(now.0 - ms));
    DeviceFreshness {
        row: row.clone(),
        age_ms,
        complete_at: heard.or_else(|| kept.get(name).copied()),
        missing: contacts.missing.get(&row.origin.get()).copied().unwrap_or(0),
        build: contacts.builds.get(name).cloned(),
        synced: age_ms.is_some_and(|ms| ms <= stale_after_ms),
        counts,
    }
}

/// The oldest device that counts speaks for the store: a pos that nobody hears may be selling.
fn of_devices(store: i64, stale_after_ms: i64, devices: Vec<DeviceFreshness>) -> StoreFreshness {
    let counting = || devices.iter().filter(|device| device.counts);
    let ages: Option<Vec<i64>> = counting().map(|device| device.age_ms).collect();
    let moments: Option<Vec<Moment>> = counting().map(|device| device.complete_at).collect();
    let age_ms = ages.and_then(|ages| ages.into_iter().max());
    StoreFreshness {
        store,
        known: true,
        age_ms,
        complete_at: moments.and_then(|moments| moments.into_iter().min()),
        stale_after_ms,
        synced: age_ms.is_some_and(|ms| ms <= stale_after_ms),
        devices,
    }
}

/// When each device was last complete, as it was kept before HQ started.
fn kept(db: &Connection) -> rusqlite::Result<HashMap<String, Moment>> {
    db.prepare_cached("SELECT device, at FROM hq_device_complete")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Keeps when each device was last complete. It is written as HQ's clock has it now: a wrong clock that was put right
/// does not stay in it.
pub fn keep(database: &Database, contacts: &Contacts) -> Result<(), DatabaseError> {
    if contacts.complete_ms.is_empty() {
        return Ok(());
    }
    let ages = contacts.complete_ms.clone();
    let write = move |tx: &rusqlite::Transaction<'_>, now: Moment| -> rusqlite::Result<()> {
        let mut known = tx.prepare_cached("SELECT at FROM hq_device_complete WHERE device = ?1")?;
        let mut set = tx.prepare_cached(
            "INSERT OR REPLACE INTO hq_device_complete (device, at) VALUES (?1, ?2)",
        )?;
        for (device, ms) in &ages {
            let at = now.0 - ms;
            let before: Option<i64> = known.query_row([device], |row| row.get(0)).optional()?;
            // An age has no finer grain than a second where it came over a hop.
            if before.is_none_or(|before| (at - before).abs() >= 1_000) {
                set.execute((device, at))?;
            }
        }
        Ok(())
    };
    database.write(write).map(|_| ())
}
