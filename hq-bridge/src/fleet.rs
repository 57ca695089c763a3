//! Stores and their devices, with what HQ holds of each

use std::collections::HashMap;

use rusqlite::Connection;
use selvedge_domain::catalogue::{self, Store};
use selvedge_domain::exceptions::{self, Exception};
use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::Row;
use selvedge_sync::origin::Role;

use crate::control_totals::{self, ControlTotal};
use crate::database::DatabaseError;
use crate::enrolment;

/// How many of the newest exceptions are shown.
const EXCEPTIONS_SHOWN: u32 = 20;

/// The whole chain as HQ sees it.
pub struct Fleet {
    /// When it was looked at.
    pub at: Moment,
    /// Every store, by number.
    pub stores: Vec<StoreView>,
    /// The newest exceptions of all stores.
    pub exceptions: Vec<Exception>,
}

/// A store with its devices.
pub struct StoreView {
    /// The store.
    pub store: Store,
    /// Its devices, by origin.
    pub devices: Vec<DeviceView>,
}

/// One incarnation of a device.
pub struct DeviceView {
    /// Its row of the allow-list.
    pub row: Row,
    /// Milliseconds since HQ heard of it, itself or by its newest statement.
    pub heard_ms: Option<i64>,
    /// Whether a newer incarnation has taken its place.
    pub replaced: bool,
    /// What HQ holds of it against what it signed.
    pub total: ControlTotal,
}

/// Looks at everything. The contacts come from the lines, all else from the database.
pub fn look(
    db: &Connection,
    authority: &[u8; 32],
    heard: &HashMap<String, i64>,
    at: Moment,
) -> Result<Fleet, DatabaseError> {
    let rows = enrolment::list(db, authority).map_err(DatabaseError::of)?;
    let totals = control_totals::all(db, &rows).map_err(DatabaseError::of)?;
    let selling: Vec<&Row> = rows.iter().filter(|row| row.role != Role::Hq).collect();
    assert_eq!(selling.len(), totals.len(), "every device that can sell has a control total");
    let mut devices: HashMap<u32, Vec<DeviceView>> = HashMap::new();
    for (row, total) in selling.iter().zip(totals) {
        let replaced =
            selling.iter().any(|other| other.device == row.device && other.origin > row.origin);
        let stated = total.signed.map(|statement| (at.0 - statement.at.0).max(0));
        let spoken = heard.get(row.device.as_str()).copied().filter(|_| !replaced);
        let heard_ms = [spoken, stated].into_iter().flatten().min();
        let view = DeviceView { row: (*row).clone(), heard_ms, replaced, total };
        devices.entry(row.store).or_default().push(view);
    }
    let stores = catalogue::stores(db).map_err(DatabaseError::of)?;
    let stores = stores.into_iter().map(|store| {
        let number = u32::try_from(store.id).unwrap_or_default();
        StoreView { store, devices: devices.remove(&number).unwrap_or_default() }
    });
    let stores = stores.collect();
    let exceptions = exceptions::latest(db, EXCEPTIONS_SHOWN).map_err(DatabaseError::of)?;
    Ok(Fleet { at, stores, exceptions })
}
