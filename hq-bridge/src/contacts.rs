//! What the line to the stores tells

use std::collections::HashMap;

use selvedge_sync::origin::DeviceId;
use selvedge_sync::standing::HubStatus;
use serde::Serialize;

/// How the line stands, and whom it hears.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Contacts {
    /// Whether HQ is connected to its broker and listens.
    pub line_up: bool,
    /// Process number of HQ's own broker, while it lives.
    pub broker_pid: Option<u32>,
    /// How often HQ's own broker was started again.
    pub broker_restarts: u64,
    /// HQ's own newest entry in `chain`.
    pub own_head: u64,
    /// Entries that were kept aside because they could not be applied.
    pub parked: u64,
    /// Frames and messages that were refused since the start.
    pub refused: u64,
    /// Origins whose frames wait because no row of the allow-list names them.
    pub waiting_origins: Vec<String>,
    /// Entries that the second copy does not have yet; none where no second copy is kept.
    pub kept_once: Option<u64>,
    /// What is behind, and why.
    pub reason: String,
    /// Milliseconds since HQ heard from a device, by device id.
    pub heard_ms: HashMap<String, i64>,
    /// Milliseconds since HQ heard from a device while it had all that was known of it, by device id.
    pub complete_ms: HashMap<String, i64>,
    /// Entries that are known to be at a store and not here, by origin.
    pub missing: HashMap<u32, u64>,
    /// The build of a device that speaks to HQ itself, by device id.
    pub builds: HashMap<String, String>,
}

impl Contacts {
    /// What the engine says of the devices below; the line is the caller's.
    pub fn of(status: &HubStatus) -> Contacts {
        let name = |device: &DeviceId| device.as_str().to_string();
        let heard = status.children.iter().filter_map(|(device, ms)| Some((name(device), (*ms)?)));
        let complete = status.complete.iter().map(|(device, ms)| (name(device), *ms));
        Contacts {
            own_head: status.own_head,
            parked: status.parked,
            refused: status.refused,
            kept_once: status.kept_once,
            waiting_origins: status
                .waiting_origins
                .iter()
                .map(|one| one.get().to_string())
                .collect(),
            heard_ms: youngest(heard),
            complete_ms: youngest(complete),
            missing: status.missing.iter().map(|(origin, more)| (origin.get(), *more)).collect(),
            builds: status
                .builds
                .iter()
                .map(|(device, build)| (name(device), build.clone()))
                .collect(),
            ..Contacts::default()
        }
    }
}

/// A device that is heard on two ways is as old as the younger one.
fn youngest(ages: impl Iterator<Item = (String, i64)>) -> HashMap<String, i64> {
    let mut youngest = HashMap::new();
    for (device, ms) in ages {
        let known = youngest.entry(device).or_insert(ms);
        *known = ms.min(*known);
    }
    youngest
}
