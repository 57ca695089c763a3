//! What HQ decides about devices that it has admitted
//!
//! Each decision is a row of the allow-list that HQ's authority signs. What ends an origin says up to where its entries
//! count, so it is drawn up and written in one act of the replica.

use std::sync::Arc;

use rusqlite::Transaction;
use selvedge_domain::catalogue;
use selvedge_sync::allow_list::{self, Cut, Row, RowError, State};
use selvedge_sync::allow_row::PARENTS_MAX;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::hlc::Millis;
use selvedge_sync::origin::{DeviceId, Role};
use selvedge_sync::replica::Replica;
use serde::{Deserialize, Serialize};

use crate::database::{Database, DatabaseError};
use crate::enrolment;

/// The most spare origins that one command signs.
const SPARES_MAX: u32 = 100;

/// What an operator decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decision {
    /// Ends a device whose machine is gone or replaced.
    Close(Whose),
    /// Ends a device that is no longer trusted.
    Revoke(Whose),
    /// Signs origins in advance, which a back office hands to a device that needs another one.
    Spare {
        /// Of which store.
        store: u32,
        /// For `pos` or `back-office`.
        role: String,
        /// How many.
        count: u32,
    },
    /// Says to whom a device reports, the first one first.
    Parents {
        /// The device.
        id: String,
        /// Its parents; none: to the back office of its store, and that to HQ.
        to: Vec<String>,
    },
    /// Gives origins that were handed out to their devices for good, and closes those that they replace.
    Confirm {
        /// Only of this device.
        id: Option<String>,
    },
}

/// Whose entries are to end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    /// The device.
    pub id: String,
    /// One of its origins; left out, all that are not over yet.
    pub origin: Option<u32>,
}

/// Why nothing was decided. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    /// It cannot be so.
    #[error("{0}")]
    Refused(String),
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<rusqlite::Error> for DecisionError {
    fn from(why: rusqlite::Error) -> DecisionError {
        DecisionError::Database(why.into())
    }
}

/// Carries a decision out, and says what it means.
pub fn carry_out(
    database: &Database,
    authority: &Arc<SoftwareKeys>,
    decision: &Decision,
) -> Result<String, DecisionError> {
    let (authority, decision) = (Arc::clone(authority), decision.clone());
    database.act(move |replica, now| {
        let mut desk = Desk { replica, now, authority: authority.as_ref() };
        match decision {
            Decision::Close(whose) => desk.end(&whose, State::Closed),
            Decision::Revoke(whose) => desk.end(&whose, State::Revoked),
            Decision::Spare { store, role, count } => desk.sign_spares(store, &role, count),
            Decision::Parents { id, to } => desk.set_parents(&id, &to),
            Decision::Confirm { id } => desk.confirm(id.as_deref()),
        }
    })?
}

/// Where a decision is carried out.
struct Desk<'a> {
    replica: &'a mut Replica,
    now: Millis,
    authority: &'a SoftwareKeys,
}

fn refused<T>(why: impl Into<String>) -> Result<T, DecisionError> {
    Err(DecisionError::Refused(why.into()))
}

impl Desk<'_> {
    /// The rows of a device that is admitted and not over, oldest first.
    fn rows_of(&self, id: &str) -> Result<Vec<Row>, DecisionError> {
        let of_device = |row: &&Row| row.device.as_str() == id;
        let all: Vec<&Row> = self.replica.all_known().filter(of_device).collect();
        if all.iter().any(|row| row.role == Role::Hq) {
            return refused(
                "HQ cannot be ended or moved like a device; when its machine is lost, see `hq-bridge succeed`",
            );
        }
        if all.is_empty() {
            return refused(format!(
                "there is no device {id}; `hq-bridge devices list` names all of them"
            ));
        }
        let left: Vec<Row> = all.into_iter().filter(|row| !row.state.is_over()).cloned().collect();
        if left.is_empty() {
            return refused(format!("{id} is closed or revoked already; nothing was changed"));
        }
        Ok(left)
    }

    fn end(&mut self, whose: &Whose, state: State) -> Result<String, DecisionError> {
        let mut rows = self.rows_of(&whose.id)?;
        if let Some(number) = whose.origin {
            rows.retain(|row| row.origin.get() == number);
            if rows.is_empty() {
                return refused(format!(
                    "{} has no origin {number} that is not over yet; `hq-bridge devices list` shows its origins",
                    whose.id
                ));
            }
        }
        let ended: Vec<Row> = rows
            .iter()
            .map(|row| self.replica.ended(row, state, self.authority))
            .collect::<Result<_, _>>()?;
        self.write(ended.clone())?;
        let mut said = String::new();
        for row in &ended {
            said += &format!("{}\n", end_in_words(row));
        }
        said += "What it writes after that is kept as proof and does not count: `hq-bridge forks` shows it.\n";
        Ok(said)
    }

    fn sign_spares(&mut self, store: u32, role: &str, count: u32) -> Result<String, DecisionError> {
        let role = match Role::parse(role) {
            Ok(role @ (Role::Pos | Role::BackOffice)) => role,
            _ => {
                return refused(format!(
                    "a spare is for a `pos` or a `back-office`, not for {role:?}"
                ));
            }
        };
        if !(1..=SPARES_MAX).contains(&count) {
            return refused(format!("sign 1 to {SPARES_MAX} spare origins at once, not {count}"));
        }
        let authority = self.authority;
        let signed = self.write_with(move |tx| {
            if catalogue::store(tx, i64::from(store))?.is_none() {
                return Ok(Err(format!(
                    "store {store} is not known; import it first: `hq-bridge import stores FILE.csv`"
                )));
            }
            let mut rows = allow_list::all(tx, &authority.public())?;
            let before = rows.len();
            for _ in 0..count {
                let (origin, label) = match enrolment::spare_place(&rows, store) {
                    Ok(place) => place,
                    Err(why) => return Ok(Err(why)),
                };
                rows.push(Row::spare(origin, store, role, &label, authority));
            }
            let signed = rows.split_off(before);
            signed.iter().try_for_each(|row| allow_list::insert(tx, row))?;
            Ok(Ok(signed))
        })?;
        let signed = signed.map_err(DecisionError::Refused)?;
        let names: Vec<String> =
            signed.iter().map(|row| format!("{} ({})", row.origin, row.label)).collect();
        Ok(format!(
            "store {store} has {} spare origins for a {} now; new: {}\nIts back office hands one to a device that needs it, also while HQ is out of reach.\n",
            self.replica.spares_left(store, role),
            role.as_str(),
            names.join(", ")
        ))
    }

    fn set_parents(&mut self, id: &str, to: &[String]) -> Result<String, DecisionError> {
        let row = self.rows_of(id)?.pop().expect("a device that is not over has a row");
        if to.len() > PARENTS_MAX {
            return refused(format!(
                "a device reports to at most {PARENTS_MAX} others, one at a time"
            ));
        }
        let mut parents = Vec::new();
        for name in to {
            let parent =
                DeviceId::new(name).map_err(|why| DecisionError::Refused(why.to_string()))?;
            let fits = |other: &&Row| {
                other.device == parent
                    && !other.state.is_over()
                    && (other.role == Role::Hq || other.store == row.store)
            };
            if !self.replica.all_known().any(|other| fits(&other)) {
                return refused(format!(
                    "{id} cannot report to {name}: name HQ or a device of store {}",
                    row.store
                ));
            }
            if parents.contains(&parent) {
                return refused(format!("{name} stands twice in the list; name each parent once"));
            }
            parents.push(parent);
        }
        let order = match to {
            [] => "the back office of its store, then HQ".to_owned(),
            to => to.join(", then "),
        };
        self.write(vec![row.with_parents(parents, self.authority)])?;
        Ok(format!("{id} reports to {order}. It needs lines to them: `parents` in its settings.\n"))
    }

    fn confirm(&mut self, id: Option<&str>) -> Result<String, DecisionError> {
        let mut rows = self.replica.rows_to_confirm(self.authority)?;
        rows.retain(|row| id.is_none_or(|id| row.device.as_str() == id));
        if rows.is_empty() {
            return Ok("There is nothing to confirm.\n".to_owned());
        }
        rows.sort_by_key(|row| (row.store, row.origin));
        let mut said = String::new();
        for of_store in rows.chunk_by(|a, b| a.store == b.store) {
            self.write(of_store.to_vec())?;
            for row in of_store {
                said += &match row.state.is_over() {
                    true => format!("{}\n", end_in_words(row)),
                    false => {
                        format!("{} is origin {} ({}) now.\n", row.device, row.origin, row.label)
                    }
                };
            }
        }
        Ok(said)
    }

    /// Writes rows of one store.
    fn write(&mut self, rows: Vec<Row>) -> Result<(), DecisionError> {
        self.write_with(move |tx| rows.iter().try_for_each(|row| allow_list::insert(tx, row)))
    }

    fn write_with<T>(
        &mut self,
        deed: impl FnOnce(&Transaction<'_>) -> Result<T, RowError>,
    ) -> Result<T, DecisionError> {
        let done = self.replica.write(self.now, deed).map_err(DatabaseError::of_write)?;
        Ok(done.value)
    }
}

/// Up to where what an origin wrote counts.
fn end_in_words(row: &Row) -> String {
    let what =
        format!("{} (origin {}, {}) is {}", row.device, row.origin, row.label, row.state.as_str());
    let place = |cut: &Cut| {
        let stream = if cut.stream.number() == 0 { "the chain" } else { "its store" };
        format!("entry {} for {stream}", cut.seq)
    };
    let places: Vec<String> = row.cut.iter().map(place).collect();
    match places.is_empty() {
        true => format!("{what}: HQ has heard nothing of it, so nothing of it counts."),
        false => format!("{what}: what it wrote counts up to {}.", places.join(" and ")),
    }
}
