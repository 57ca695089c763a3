//! The devices of a store side by side, and how fresh each is

use selvedge_domain::catalogue;
use selvedge_domain::receipts;
use selvedge_sync::allow_list::{Row, State};

use crate::amounts::{counted, moment, sentence};
use crate::database::Reader;
use crate::freshness::{self, Freshness};
use crate::page::{PageError, Shared};
use crate::standing::{self, Marks, Stitch};

/// How many stitches one device shows.
const STITCHES_SHOWN: usize = 40;

/// What the page says of the store as a whole, and of each device.
#[derive(Debug)]
pub struct StoreView {
    /// What is on its way to HQ.
    pub reason: String,
    /// When HQ was last heard.
    pub hq: Freshness,
    /// Figures with their words.
    pub facts: Vec<Fact>,
    /// This device first.
    pub devices: Vec<DeviceView>,
}

/// A figure with its words.
#[derive(Debug)]
pub struct Fact {
    /// The figure.
    pub figure: String,
    /// What it counts.
    pub words: &'static str,
}

/// One device.
#[derive(Debug)]
pub struct DeviceView {
    /// The label on its receipts.
    pub label: String,
    /// Its name.
    pub name: String,
    /// When it was last heard here.
    pub heard: Freshness,
    /// The version of its program, as it says; a word while it has not said.
    pub version: String,
    /// Its newest receipt.
    pub newest: String,
    /// Its selvedge, newest first.
    pub stitches: Vec<Stitch>,
    /// The same in words.
    pub words: String,
}

/// How the store stands.
pub fn view(shared: &Shared, db: &Reader) -> Result<StoreView, PageError> {
    let status = shared.database.status();
    let waits = shared.database.not_at_hq(db)?;
    let limit = catalogue::stale_after_ms(db, shared.store())?;
    let reason = match (waits, status.parent_up, shared.database.has_parent()) {
        (0, ..) => "Everything that this store has written is at head office.".to_owned(),
        (_, _, false) => format!("{} kept in this store.", counted(waits, "entry", "entries")),
        (_, true, _) => {
            format!("{} on the way to head office.", counted(waits, "entry", "entries"))
        }
        (_, false, _) => sentence(&format!("to head office: {}", status.reason)),
    };
    let mut devices = vec![own(shared, db)?];
    for row in shared.database.devices(db) {
        if row.state == State::Active {
            devices.push(device(shared, db, &row, limit)?);
        }
    }
    let stale = devices.iter().filter(|device| device.heard.is_stale).count();
    Ok(StoreView {
        reason,
        hq: freshness::of(status.parent_heard_ms, limit),
        facts: vec![
            Fact { figure: waits.to_string(), words: "entries of this store wait" },
            Fact { figure: stale.to_string(), words: "devices are stale" },
            Fact { figure: status.parked.to_string(), words: "entries parked" },
        ],
        devices,
    })
}

/// This device: whatever it writes is here at once.
fn own(shared: &Shared, db: &Reader) -> Result<DeviceView, PageError> {
    let acts = shared.database.own_acts(db)?;
    let band = standing::band(&acts, shared.database.marks(), STITCHES_SHOWN);
    let heard = Freshness { words: "this device".to_owned(), is_stale: false };
    Ok(DeviceView {
        label: shared.database.label().to_owned(),
        name: shared.config.device.clone(),
        heard,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        newest: "sells nothing".to_owned(),
        stitches: band.stitches,
        words: band.words,
    })
}

fn device(shared: &Shared, db: &Reader, row: &Row, limit: i64) -> Result<DeviceView, PageError> {
    let status = shared.database.status();
    let acts = shared.database.acts(db, row.origin)?;
    let has = status.vector.iter().filter(|place| place.1 == row.origin).map(|place| place.2);
    let head = has.max().unwrap_or(0);
    // What is here is with the back office; what HQ has of others it does not say yet.
    let marks = Marks { head, parent_has: head, hq_has: shared.database.hq_has(db, row.origin)? };
    let band = standing::band(&acts, marks, STITCHES_SHOWN);
    let newest = shared.database.newest_receipt(db, row.origin)?.map(|receipt| {
        let at = moment(receipt.at.0, shared.now().0, shared.config.time_zone);
        format!("{} · {at}", receipts::number(&row.label, receipt.no))
    });
    let heard =
        status.children.iter().find(|child| child.0 == row.device).and_then(|child| child.1);
    let build = status.builds.iter().find(|build| build.0 == row.device);
    Ok(DeviceView {
        label: row.label.clone(),
        name: row.device.as_str().to_owned(),
        heard: freshness::of(heard, limit),
        version: build.map_or_else(|| "not told".to_owned(), |build| build.1.clone()),
        newest: newest.unwrap_or_else(|| "none yet".to_owned()),
        stitches: band.stitches,
        words: band.words,
    })
}
