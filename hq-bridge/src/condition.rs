//! How HQ itself is, and what needs a person

use std::path::Path;
use std::sync::Arc;

use selvedge_sync::allow_list::Row;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::origin::{Role, Stream};
use selvedge_sync::rebuilt;
use selvedge_sync::replica::Replica;
use selvedge_sync::succession::generation_of;
use selvedge_sync::writer::WriterState;
use serde::{Deserialize, Serialize};

use crate::database::{DATABASE_FILE, Database, DatabaseError, STOPPED};
use crate::forks;

/// How HQ itself is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Condition {
    /// HQ's device id.
    pub name: String,
    /// HQ's origin.
    pub origin: String,
    /// Its generation, counted from 0.
    pub generation: u32,
    /// The schema epoch of this build.
    pub schema_epoch: u16,
    /// HQ's own newest entry in `chain`.
    pub own_head: u64,
    /// Up to where its log was trimmed; 0 when it is whole.
    pub trimmed_to: u64,
    /// Why HQ writes nothing, and what to do; empty when it writes.
    pub stopped: String,
    /// That its database was damaged and built anew; empty when it never was.
    pub rebuilt: String,
    /// Entries that the second copy does not have yet; absent where none is kept, or none is known to a command.
    pub kept_once: Option<u64>,
    /// Devices with two pasts, by name: `hq-bridge forks`.
    pub forked: Vec<String>,
    /// Devices that go on under a spare origin which HQ has not confirmed: `hq-bridge devices confirm`.
    pub unconfirmed: Vec<String>,
    /// Spare origins that are left, by store and role; where none was ever signed nothing is said.
    pub spares: Vec<Spares>,
}

/// Spare origins of one store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spares {
    /// The store.
    pub store: String,
    /// For which role.
    pub role: String,
    /// How many nobody has yet.
    pub left: usize,
}

/// Looks now.
pub fn of(
    database: &Database,
    authority: &Arc<SoftwareKeys>,
    data: &Path,
) -> Result<Condition, DatabaseError> {
    let authority = Arc::clone(authority);
    let found = database.act(move |replica, _| look(replica, authority.as_ref()))??;
    let rebuilt = rebuilt::read(&data.join(DATABASE_FILE));
    Ok(Condition {
        rebuilt: rebuilt.map(|rebuilt| rebuilt.sentence).unwrap_or_default(),
        kept_once: database.contacts().kept_once,
        ..found
    })
}

fn look(replica: &Replica, authority: &dyn DeviceKeys) -> Result<Condition, DatabaseError> {
    let identity = replica.identity();
    let own = identity.origin;
    let stopped = match replica.writer_state() {
        WriterState::Ready => {
            replica.stale().map(|why| unwilling(replica, why)).unwrap_or_default()
        }
        _ => STOPPED.to_owned(),
    };
    let confirms = replica.rows_to_confirm(authority)?;
    let mut unconfirmed: Vec<String> = confirms.iter().map(|row| row.device.to_string()).collect();
    unconfirmed.dedup();
    let known = |origin: u32| replica.all_known().find(|row| row.origin.get() == origin);
    let forked = forks::forked(replica.db())?.into_iter().filter_map(known);
    let mut forked: Vec<String> = forked.filter(|row| !row.state.is_over()).map(name).collect();
    forked.sort();
    Ok(Condition {
        name: identity.device.to_string(),
        origin: own.to_string(),
        generation: generation_of(own),
        schema_epoch: replica.tables().epoch(),
        own_head: replica.head(Stream::CHAIN, own).seq,
        trimmed_to: replica.floor(Stream::CHAIN, own),
        stopped,
        forked,
        unconfirmed,
        spares: spares(replica),
        ..Condition::default()
    })
}

fn name(row: &Row) -> String {
    row.device.to_string()
}

/// A restored HQ waits for its stores; one that is over stays so.
fn unwilling(replica: &Replica, why: &str) -> String {
    if replica.recalls().is_none() {
        return format!("This HQ writes nothing any more: {why}");
    }
    format!(
        "{why}, so it writes nothing yet; `hq-bridge succeed --now` ends that, while HQ does not run"
    )
}

fn spares(replica: &Replica) -> Vec<Spares> {
    let mut places: Vec<(u32, Role)> =
        replica.origins().spares.iter().map(|row| (row.store, row.role)).collect();
    places.sort_by_key(|(store, role)| (*store, role.as_str()));
    places.dedup();
    let of = |(store, role): (u32, Role)| Spares {
        store: store.to_string(),
        role: role.as_str().to_owned(),
        left: replica.spares_left(store, role),
    };
    places.into_iter().map(of).collect()
}

impl Condition {
    /// What a person should know now, a sentence each; nothing when all is well.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = Vec::new();
        if !self.stopped.is_empty() {
            said.push(format!("{}.", self.stopped));
        }
        if !self.rebuilt.is_empty() {
            said.push(self.rebuilt.clone());
        }
        for device in &self.forked {
            said.push(format!(
                "Two machines have written as {device}, or an old copy of it was put back: `hq-bridge forks` says what to do."
            ));
        }
        for device in &self.unconfirmed {
            said.push(format!(
                "{device} goes on under a new number: `hq-bridge devices confirm` makes that final."
            ));
        }
        for spares in self.spares.iter().filter(|spares| spares.left == 0) {
            said.push(format!(
                "Store {} has no spare number left for a {}: `hq-bridge devices spare` signs more.",
                spares.store, spares.role
            ));
        }
        said
    }

    /// All of it for a terminal.
    pub fn text(&self) -> String {
        let kept_once = match self.kept_once {
            None => "no second copy is known here".to_owned(),
            Some(0) => "the second copy has everything".to_owned(),
            Some(more) => format!("{more} entries are not in the second copy yet"),
        };
        let mut text = format!(
            "HQ {} (origin {}, generation {}, schema epoch {})\nits newest entry {}, log trimmed up to {}\n{kept_once}\n",
            self.name,
            self.origin,
            self.generation,
            self.schema_epoch,
            self.own_head,
            self.trimmed_to
        );
        for spares in &self.spares {
            text += &format!(
                "store {} has {} spare origins for a {}\n",
                spares.store, spares.left, spares.role
            );
        }
        let sentences = self.sentences();
        if sentences.is_empty() {
            text += "HQ writes, and nothing needs you.\n";
        }
        sentences.iter().for_each(|sentence| text += &format!("! {sentence}\n"));
        text
    }
}
