//! Stores and devices, and what HQ knows of each

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension};
use selvedge_domain::catalogue::{self, Store};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_domain::receipts;
use selvedge_sync::allow_list::Row;
use selvedge_sync::origin::Role;

use crate::control_totals::{Checked, ControlTotal};
use crate::freshness::{self, DeviceFreshness, Look, StoreFreshness};
use crate::open_exceptions;
use crate::sums::{self, Sum};
use crate::trouble::{Trouble, Troubles};

/// The whole chain as HQ sees it.
pub struct Fleet {
    /// When it was looked at.
    pub at: Moment,
    /// Every store: the stale ones first, oldest first, then the fresh ones by number.
    pub stores: Vec<StoreView>,
}

/// A store with its devices.
pub struct StoreView {
    /// The store.
    pub store: Store,
    /// How fresh it is.
    pub freshness: StoreFreshness,
    /// Its devices, the replaced ones included, by origin.
    pub devices: Vec<DeviceView>,
    /// Exceptions that nobody has looked at.
    pub open_exceptions: i64,
}

/// One incarnation of a device.
pub struct DeviceView {
    /// Its row of the allow-list.
    pub row: Row,
    /// How fresh it is; `None` for one that was replaced or dismissed.
    pub freshness: Option<DeviceFreshness>,
    /// Its receipts of today, by UTC.
    pub today: Sum,
    /// All its receipts.
    pub ever: Sum,
    /// The newest of them.
    pub newest: Option<Newest>,
    /// Whether it writes as it should.
    pub trouble: Trouble,
    /// What the last check of its control total found, and when that was.
    pub checked: Option<(Moment, ControlTotal)>,
}

/// The newest receipt of a device.
pub struct Newest {
    /// Its printed number.
    pub number: String,
    /// What it came to.
    pub total: Money,
    /// When, by the device's clock.
    pub at: Moment,
}

impl Fleet {
    /// Every incarnation of every device.
    pub fn devices(&self) -> impl Iterator<Item = &DeviceView> {
        self.stores.iter().flat_map(|store| &store.devices)
    }
}

impl StoreView {
    /// What all its devices sold today, by UTC.
    pub fn today(&self) -> Sum {
        self.devices.iter().fold(Sum::default(), |sum, device| sum.and(device.today))
    }

    /// What all its devices ever sold.
    pub fn ever(&self) -> Sum {
        self.devices.iter().fold(Sum::default(), |sum, device| sum.and(device.ever))
    }

    /// How many control totals differ.
    pub fn differing(&self) -> usize {
        self.devices.iter().filter(|device| device.differs()).count()
    }

    /// Entries that are known to be at the store and not here.
    pub fn missing(&self) -> u64 {
        self.freshness.devices.iter().map(|device| device.missing).sum()
    }
}

impl DeviceView {
    /// Whether its control total differed when it was checked last.
    pub fn differs(&self) -> bool {
        self.checked.as_ref().is_some_and(|(_, total)| total.differs())
    }
}

/// All that HQ knows, from sums that are kept as receipts come in: it takes as long with one receipt as with millions.
pub fn of(db: &Connection, look: Look, checked: &Checked) -> rusqlite::Result<Fleet> {
    let (today, ever) = (sums::on_day(db, look.now)?, sums::ever(db)?);
    let (open, troubles) = (open_exceptions::by_store(db)?, Troubles::read(db)?);
    let mut devices: HashMap<i64, Vec<DeviceView>> = HashMap::new();
    for row in look.rows.iter().filter(|row| row.role != Role::Hq) {
        let origin = row.origin.get();
        let store = i64::from(row.store);
        let sum = |of: &HashMap<u32, Sum>| of.get(&origin).copied().unwrap_or_default();
        let fresh = look
            .stores
            .get(&store)
            .and_then(|store| store.devices.iter().find(|device| device.row.origin == row.origin));
        devices.entry(store).or_default().push(DeviceView {
            row: row.clone(),
            freshness: fresh.cloned(),
            today: sum(&today),
            ever: sum(&ever),
            trouble: troubles.of(row),
            newest: newest(db, row, sum(&ever).newest)?,
            checked: checked.get(&origin).cloned(),
        });
    }
    let mut stores = Vec::new();
    for store in catalogue::stores(db)? {
        stores.push(StoreView {
            freshness: look.stores.get(&store.id).cloned().unwrap_or(freshness::unknown(store.id)),
            devices: devices.remove(&store.id).unwrap_or_default(),
            open_exceptions: open.get(&store.id).copied().unwrap_or(0),
            store,
        });
    }
    stores.sort_by_key(|view| {
        // Among the fresh ones the oldest changes with every beat: they keep their places.
        let age = view.freshness.age_ms.unwrap_or(i64::MAX);
        (view.freshness.synced, if view.freshness.synced { 0 } else { -age }, view.store.id)
    });
    Ok(Fleet { at: look.now, stores })
}

fn newest(db: &Connection, row: &Row, receipt: i64) -> rusqlite::Result<Option<Newest>> {
    db.prepare_cached("SELECT no, total_minor, at FROM receipt WHERE id = ?1")?
        .query_row([receipt], |found| {
            Ok(Newest {
                number: receipts::number(&row.label, found.get(0)?),
                total: found.get(1)?,
                at: found.get(2)?,
            })
        })
        .optional()
}
