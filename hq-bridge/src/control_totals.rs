//! What HQ holds of each device against what the device signed
//!
//! Every device states the running sum of its receipts as a fact of its own. HQ adds up the receipts that it holds up to
//! the number which that fact names. They were written in this order, so both are here or neither is: a difference is
//! never a delay. It is a receipt that was lost, doubled or altered, and becomes an exception that a person will read.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction};
use selvedge_domain::exceptions::{self, NewException, TOTALS_DIFFER};
use selvedge_domain::grand_totals::{self, Statement, Totals};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::Money;
use selvedge_sync::allow_list::Row;
use selvedge_sync::origin::Role;

/// What the control totals were when they were compared last, by origin, and when that was.
pub type Checked = HashMap<u32, (Moment, ControlTotal)>;

/// The control total of one incarnation of a device.
#[derive(Debug, Clone)]
pub struct ControlTotal {
    /// Its origin.
    pub origin: u32,
    /// The device.
    pub device: String,
    /// Checkout code and series letter.
    pub label: String,
    /// Its store.
    pub store: u32,
    /// How many receipts HQ holds, those after the statement included.
    pub receipts: i64,
    /// What these come to.
    pub gross: Money,
    /// How many receipts HQ holds up to the statement.
    pub counted: i64,
    /// What these come to.
    pub held: Totals,
    /// What the device signed, when it has.
    pub signed: Option<Statement>,
}

impl ControlTotal {
    /// What the device signed: sales less returns.
    pub fn gross_signed(&self) -> Option<Money> {
        self.signed.map(|statement| gross(&statement.totals))
    }

    /// What HQ holds up to the statement: sales less returns.
    pub fn gross_held(&self) -> Money {
        gross(&self.held)
    }

    /// What HQ holds up to the statement less what the device signed.
    pub fn difference(&self) -> Money {
        Money(self.gross_signed().map_or(0, |signed| gross(&self.held).0.saturating_sub(signed.0)))
    }

    /// Whether anything differs: sums, taxes, or the count, which must be the last number as numbers have no gap.
    pub fn differs(&self) -> bool {
        self.signed.is_some_and(|statement| {
            statement.totals != self.held || self.counted != statement.totals.last_no
        })
    }

    /// What differs, as a sentence that stays the same as long as the disagreement does.
    pub fn finding(&self) -> Option<String> {
        let signed = self.signed.filter(|_| self.differs())?.totals;
        let held = &self.held;
        let part = |what: &str, held: i64, signed: i64| {
            (held != signed)
                .then(|| format!("{what} by {:+}", i128::from(held) - i128::from(signed)))
        };
        let parts = [
            part("receipts", self.counted, signed.last_no),
            part("sales", held.sales.0, signed.sales.0),
            part("returns", held.returns.0, signed.returns.0),
            part("tax", held.tax.0, signed.tax.0),
            part("last number", held.last_no, signed.last_no),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        Some(format!(
            "{}HQ's sums differ from the signed ones in {}",
            self.prefix(),
            parts.join(", ")
        ))
    }

    fn prefix(&self) -> String {
        format!("{} of {}: ", self.label, self.device)
    }
}

fn gross(totals: &Totals) -> Money {
    Money(totals.sales.0.saturating_add(totals.returns.0))
}

/// The control total of every device that can sell, by store and origin.
pub fn all(db: &Connection, devices: &[Row]) -> rusqlite::Result<Vec<ControlTotal>> {
    of_those(db, devices, |_| true)
}

/// As `all`, for the devices with another newest statement than the one seen last. Adding up is what takes long.
pub fn since(
    db: &Connection,
    devices: &[Row],
    seen: &HashMap<u32, i64>,
) -> rusqlite::Result<Vec<ControlTotal>> {
    let is_new = |statement: &Statement| {
        let origin = u32::try_from(statement.device).unwrap_or_default();
        seen.get(&origin) != Some(&statement.id)
    };
    of_those(db, devices, |signed| signed.is_some_and(|statement| is_new(&statement)))
}

fn of_those(
    db: &Connection,
    devices: &[Row],
    wanted: impl Fn(Option<Statement>) -> bool,
) -> rusqlite::Result<Vec<ControlTotal>> {
    let statements = grand_totals::latest(db)?;
    let by_device: HashMap<i64, Statement> =
        statements.into_iter().map(|statement| (statement.device, statement)).collect();
    let selling = devices.iter().filter(|row| row.role != Role::Hq);
    let signed = selling.map(|row| (row, by_device.get(&i64::from(row.origin.get())).copied()));
    signed
        .filter(|(_, signed)| wanted(*signed))
        .map(|(row, signed)| of_device(db, row, signed))
        .collect()
}

fn of_device(
    db: &Connection,
    row: &Row,
    signed: Option<Statement>,
) -> rusqlite::Result<ControlTotal> {
    let device = i64::from(row.origin.get());
    let (receipts, everything) = grand_totals::held(db, device, i64::MAX)?;
    let (counted, held) = match signed {
        Some(statement) => grand_totals::held(db, device, statement.totals.last_no)?,
        None => (0, Totals::default()),
    };
    Ok(ControlTotal {
        origin: row.origin.get(),
        device: row.device.as_str().to_string(),
        label: row.label.clone(),
        store: row.store,
        receipts,
        gross: gross(&everything),
        counted,
        held,
        signed,
    })
}

/// What to write down of the totals as they are now: one exception when a disagreement begins, changes or ends.
pub fn news(db: &Connection, totals: &[ControlTotal]) -> rusqlite::Result<Vec<(u32, String, i64)>> {
    let told = told(db)?;
    let mut news = Vec::new();
    for total in totals {
        let last = told
            .iter()
            .rev()
            .find(|(store, note)| *store == total.store && note.starts_with(&total.prefix()));
        let now = total.finding();
        let agreed = format!("{}HQ's sums agree with the signed ones again", total.prefix());
        let note = match (last.map(|(_, note)| note), now) {
            (None, None) => continue,
            (Some(last), None) if *last == agreed => continue,
            (Some(_), None) => agreed,
            (Some(last), Some(now)) if *last == now => continue,
            (_, Some(now)) => now,
        };
        news.push((total.store, note, total.difference().0));
    }
    Ok(news)
}

/// Writes the exceptions of one store.
pub fn write(
    tx: &Transaction<'_>,
    news: &[(u32, String, i64)],
    at: Moment,
) -> rusqlite::Result<()> {
    for (store, note, difference) in news {
        let store = i64::from(*store);
        let exception = NewException {
            store,
            at,
            kind: TOTALS_DIFFER,
            amount: Some(*difference),
            note: Some(note),
            ..NewException::default()
        };
        exceptions::write(tx, &exception)?;
    }
    Ok(())
}

/// What was written down before, oldest first.
fn told(db: &Connection) -> rusqlite::Result<Vec<(u32, String)>> {
    db.prepare_cached(
        "SELECT store, note FROM exception WHERE kind = ?1 AND note IS NOT NULL ORDER BY id",
    )?
    .query_map([TOTALS_DIFFER], |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}
