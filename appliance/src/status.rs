//! Queue, last contact, vector, and why this device is behind

use chrono::DateTime;
use selvedge_sync::identity::Identity;
use selvedge_sync::rebuilt::Rebuilt;
use selvedge_sync::standing::HubStatus;
use selvedge_sync::succession::generation_of;
use serde::Serialize;

use crate::amounts::age;
use crate::standing;

/// The status as JSON names it.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The device.
    pub device: String,
    /// What it is in its store.
    pub role: &'static str,
    /// Its store.
    pub store: u32,
    /// Its incarnation.
    pub origin: u32,
    /// The label on its receipts.
    pub label: String,
    /// Where its key lives.
    pub key_class: &'static str,
    /// The line to the parent is there.
    pub parent_up: bool,
    /// Milliseconds since the parent was heard.
    pub parent_heard_ms: Option<i64>,
    /// Its newest entry.
    pub head: u64,
    /// What the parent has of it.
    pub parent_has: u64,
    /// What HQ has committed of it.
    pub hq_has: u64,
    /// What HQ has twice.
    pub kept_twice: u64,
    /// Entries that HQ has not committed.
    pub queue: u64,
    /// Entries that could not be applied here.
    pub parked: u64,
    /// Frames and messages refused since the start.
    pub refused: u64,
    /// Writers whose frames wait to be admitted.
    pub waiting_origins: Vec<u32>,
    /// Why it is behind; empty when it is not.
    pub reason: String,
    /// Whether it may write: `ready`, `returning`, `stale`, `forked` or `over`.
    pub writer: &'static str,
    /// Why nothing can be sold or booked, as a sentence; empty when it can.
    pub stopped: String,
    /// The generation of HQ that was heard last, counted from 0.
    pub hq_generation: Option<u32>,
    /// The schema epoch of this build.
    pub schema_epoch: u16,
    /// Up to where its own log was trimmed; 0 when it is whole.
    pub trimmed_to: u64,
    /// That the database was damaged and built anew; empty when it never was.
    pub rebuilt: String,
    /// When that was, in milliseconds since 1970.
    pub rebuilt_at: Option<i64>,
    /// Devices below this one.
    pub children: Vec<Child>,
    /// Newest seq per stream and origin.
    pub vector: Vec<Mark>,
}

/// A device below this one.
#[derive(Debug, Clone, Serialize)]
pub struct Child {
    /// Its name.
    pub device: String,
    /// Milliseconds since it was heard.
    pub heard_ms: Option<i64>,
}

/// One place of the vector.
#[derive(Debug, Clone, Serialize)]
pub struct Mark {
    /// 0 is the chain, else the store.
    pub stream: u32,
    /// Who wrote.
    pub origin: u32,
    /// Up to where.
    pub seq: u64,
}

/// The status of a device.
pub fn of(
    identity: &Identity,
    label: &str,
    key_class: &'static str,
    hub: &HubStatus,
    rebuilt: Option<&Rebuilt>,
) -> Status {
    let mark = |place: &(selvedge_sync::origin::Stream, selvedge_sync::origin::Origin, u64)| Mark {
        stream: place.0.number(),
        origin: place.1.get(),
        seq: place.2,
    };
    Status {
        device: identity.device.as_str().to_owned(),
        role: identity.role.as_str(),
        store: identity.store,
        origin: identity.origin.get(),
        label: label.to_owned(),
        key_class,
        parent_up: hub.parent_up,
        parent_heard_ms: hub.parent_heard_ms,
        head: hub.own_head,
        parent_has: hub.parent_has,
        hq_has: hub.hq_has,
        kept_twice: hub.kept_twice,
        queue: hub.own_head.saturating_sub(hub.hq_has),
        parked: hub.parked,
        refused: hub.refused,
        waiting_origins: hub.waiting_origins.iter().map(|origin| origin.get()).collect(),
        reason: hub.reason.clone(),
        writer: hub.writer.as_str(),
        stopped: standing::stopped(hub.writer).to_owned(),
        hq_generation: hub.generation.map(generation_of),
        schema_epoch: hub.epoch,
        trimmed_to: hub.floor,
        rebuilt: rebuilt.map(|rebuilt| rebuilt.sentence.clone()).unwrap_or_default(),
        rebuilt_at: rebuilt.map(|rebuilt| rebuilt.at.0),
        children: hub
            .children
            .iter()
            .map(|child| Child { device: child.0.as_str().to_owned(), heard_ms: child.1 })
            .collect(),
        vector: hub.vector.iter().map(mark).collect(),
    }
}

/// The status in sentences.
pub fn text(status: &Status) -> String {
    let heard = status.parent_heard_ms.map_or_else(|| "never since the start".to_owned(), age);
    let why = if status.reason.is_empty() { "it is not behind" } else { &status.reason };
    let mut text = format!(
        "device {} ({}, store {}, origin {}, receipts {}-)\nkey class {}\nqueue {} of {} entries not at HQ\n\
         parent has {}, HQ has {}, kept twice {}\nlast contact {heard}{}\nwhy behind: {why}\n\
         parked {}, refused {}\n",
        status.device,
        status.role,
        status.store,
        status.origin,
        status.label,
        status.key_class,
        status.queue,
        status.head,
        status.parent_has,
        status.hq_has,
        status.kept_twice,
        if status.parent_up { "" } else { " (the line is away)" },
        status.parked,
        status.refused,
    );
    let generation = status.hq_generation.map_or("not heard".to_owned(), |one| one.to_string());
    text.push_str(&format!(
        "may write: {}\nHQ generation {generation}, schema epoch {}, log trimmed up to {}\n",
        if status.stopped.is_empty() { "yes" } else { &status.stopped },
        status.schema_epoch,
        status.trimmed_to
    ));
    if !status.rebuilt.is_empty() {
        let at = status.rebuilt_at.and_then(DateTime::from_timestamp_millis);
        let at =
            at.map_or_else(String::new, |at| format!(" at {}", at.format("%Y-%m-%d %H:%M UTC")));
        text.push_str(&format!("database built anew{at}: {}\n", status.rebuilt));
    }
    for child in &status.children {
        let heard = child.heard_ms.map_or_else(|| "not yet".to_owned(), age);
        text.push_str(&format!("child {} heard {heard}\n", child.device));
    }
    for mark in &status.vector {
        text.push_str(&format!(
            "vector stream {} origin {} seq {}\n",
            mark.stream, mark.origin, mark.seq
        ));
    }
    text
}
