//! What HQ's local interface says, as JSON
//!
//! Ids are text: a row id above 2^53 would be rounded by JavaScript, spreadsheets and pandas. Counts and sums are numbers.

use selvedge_domain::moment::Moment;
use selvedge_sync::allow_list::Row;
use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::contacts::Contacts;
use crate::control_totals::ControlTotal;
use crate::fleet::Fleet;
use crate::import::rows::{Refusal, Summary};

/// One row of the allow-list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Its origin.
    pub origin: String,
    /// The device.
    pub device: String,
    /// Its store; 0 is HQ.
    pub store: String,
    /// `pos`, `back-office` or `hq`.
    pub role: String,
    /// Checkout code and series letter.
    pub label: String,
    /// `active`, `suspended`, `closed` or `revoked`.
    #[serde(default)]
    pub state: String,
    /// To whom it reports, as HQ has signed it; empty: to the back office of its store, and that to HQ.
    #[serde(default)]
    pub parents: Vec<String>,
    /// Its public key in hex.
    pub key: String,
}

/// What HQ says of itself and of its devices.
#[derive(Debug, Serialize)]
pub struct StatusFigures {
    /// HQ's device id.
    pub name: String,
    /// HQ's origin.
    pub origin: String,
    /// When this was said, in milliseconds since 1970.
    pub as_of: i64,
    /// How many stores there are.
    pub stores: usize,
    /// How many receipts HQ holds.
    pub receipts: i64,
    /// Every device.
    pub devices: Vec<ContactFigures>,
    /// The line to the stores.
    pub line: Contacts,
    /// How HQ itself is.
    pub hq: Condition,
}

/// How a device is known.
#[derive(Debug, Serialize)]
pub struct ContactFigures {
    /// The device.
    pub device: String,
    /// Its origin.
    pub origin: String,
    /// Its store.
    pub store: String,
    /// Checkout code and series letter.
    pub label: String,
    /// Milliseconds since HQ heard of it.
    pub heard_ms: Option<i64>,
    /// How many of its receipts HQ holds.
    pub receipts: i64,
}

/// The control totals of all devices.
#[derive(Debug, Serialize, Deserialize)]
pub struct TotalsFigures {
    /// When they were taken, in milliseconds since 1970.
    pub as_of: i64,
    /// Whether all agree.
    pub agrees: bool,
    /// One for each device that can sell.
    pub devices: Vec<TotalFigures>,
}

/// The control total of one device.
#[derive(Debug, Serialize, Deserialize)]
pub struct TotalFigures {
    /// Its origin.
    pub origin: String,
    /// The device.
    pub device: String,
    /// Checkout code and series letter.
    pub label: String,
    /// Its store.
    pub store: String,
    /// How many receipts HQ holds.
    pub receipts: i64,
    /// What these come to, in minor units.
    pub gross_minor: i64,
    /// Number of the last receipt of the newest statement; 0 when there is none.
    pub signed_to: i64,
    /// What HQ holds up to there.
    pub gross_held_minor: i64,
    /// What the device signed.
    pub gross_signed_minor: Option<i64>,
    /// Held less signed.
    pub difference_minor: i64,
    /// Whether sums, taxes or counts differ.
    pub differs: bool,
    /// What differs, as a sentence.
    pub finding: Option<String>,
    /// Milliseconds since the statement.
    pub age_ms: Option<i64>,
}

/// One line of the answer to an import.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ImportLine {
    /// A row that was refused.
    Refused(Refusal),
    /// The sums at the end.
    Done(Summary),
    /// The import stopped.
    Stopped {
        /// Why.
        error: String,
    },
}

/// A row of the allow-list.
pub fn device(row: &Row) -> DeviceFigures {
    DeviceFigures {
        origin: row.origin.get().to_string(),
        device: row.device.as_str().to_string(),
        store: row.store.to_string(),
        role: row.role.as_str().to_string(),
        label: row.label.clone(),
        state: row.state.as_str().to_string(),
        parents: row.parents.iter().map(ToString::to_string).collect(),
        key: hex::encode(row.key),
    }
}

/// What HQ says of itself.
pub fn status(fleet: &Fleet, line: Contacts, hq: Condition) -> StatusFigures {
    let devices = fleet.devices().map(|view| ContactFigures {
        device: view.row.device.as_str().to_string(),
        origin: view.row.origin.get().to_string(),
        store: view.row.store.to_string(),
        label: view.row.label.clone(),
        heard_ms: view.freshness.as_ref().and_then(|fresh| fresh.age_ms),
        receipts: view.ever.receipts,
    });
    let devices: Vec<ContactFigures> = devices.collect();
    StatusFigures {
        name: hq.name.clone(),
        origin: hq.origin.clone(),
        as_of: fleet.at.0,
        stores: fleet.stores.len(),
        receipts: devices.iter().map(|device| device.receipts).sum(),
        devices,
        line,
        hq,
    }
}

/// The control totals.
pub fn totals(totals: &[ControlTotal], now: Moment) -> TotalsFigures {
    let devices = totals.iter().map(|total| TotalFigures {
        origin: total.origin.to_string(),
        device: total.device.clone(),
        label: total.label.clone(),
        store: total.store.to_string(),
        receipts: total.receipts,
        gross_minor: total.gross.0,
        signed_to: total.signed.map_or(0, |statement| statement.totals.last_no),
        gross_held_minor: total.gross_held().0,
        gross_signed_minor: total.gross_signed().map(|signed| signed.0),
        difference_minor: total.difference().0,
        differs: total.differs(),
        finding: total.finding(),
        age_ms: total.signed.map(|statement| (now.0 - statement.at.0).max(0)),
    });
    TotalsFigures {
        as_of: now.0,
        agrees: !totals.iter().any(ControlTotal::differs),
        devices: devices.collect(),
    }
}

/// The totals as a table for a terminal.
pub fn table(totals: &TotalsFigures) -> String {
    let mut text = line(
        ["device", "label", "receipts", "gross held", "gross signed", "difference", "age"]
            .map(String::from),
    );
    for total in &totals.devices {
        let signed = total.gross_signed_minor.map_or("-".to_string(), amount);
        text += &line([
            total.device.clone(),
            total.label.clone(),
            total.receipts.to_string(),
            amount(total.gross_held_minor),
            signed,
            amount(total.difference_minor),
            total.age_ms.map_or("-".to_string(), age),
        ]);
    }
    for finding in totals.devices.iter().filter_map(|total| total.finding.as_ref()) {
        text += finding;
        text.push('\n');
    }
    text
}

fn line(cells: [String; 7]) -> String {
    let [device, label, receipts, held, signed, difference, age] = cells;
    format!(
        "{device:<16} {label:<6} {receipts:>9} {held:>16} {signed:>16} {difference:>12} {age:>8}\n"
    )
}

/// Minor units as hundredths: HQ's tables mix currencies, so none is named.
pub fn amount(minor: i64) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", minor.unsigned_abs() / 100, minor.unsigned_abs() % 100)
}

/// How long ago, in the largest unit that fits.
pub fn age(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s @ 7_200..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}
