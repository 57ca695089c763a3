//! Who a replica is, and what it is opened with

use crate::{
    admission::Admission,
    device_keys::DeviceKeys,
    open::Migration,
    origin::{DeviceId, Origin, Role},
    rights::Holder,
};
use std::{path::PathBuf, sync::Arc};

/// Who this replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The device.
    pub device: DeviceId,
    /// Its incarnation.
    pub origin: Origin,
    /// What it is in its store.
    pub role: Role,
    /// Its store; 0 is HQ.
    pub store: u32,
    /// HQ's public key, which signs the allow-list.
    pub authority: [u8; 32],
}

impl Identity {
    /// As the holder of rights that it is.
    pub fn holder(&self) -> Holder {
        Holder { store: self.store, device: self.device.clone() }
    }

    /// The identity that an admission gives.
    pub fn admitted(admission: &Admission) -> Identity {
        let own = admission.own();
        Identity {
            device: own.device.clone(),
            origin: own.origin,
            role: own.role,
            store: own.store,
            authority: admission.authority,
        }
    }
}

/// What a replica is opened with.
pub struct Settings {
    /// The database file.
    pub path: PathBuf,
    /// The file layer; None is SQLite's own.
    pub vfs: Option<String>,
    /// Who this replica is.
    pub identity: Identity,
    /// Signs what it sends.
    pub keys: Arc<dyn DeviceKeys>,
    /// The trade's schema, in order.
    pub migrations: Vec<Migration>,
    /// Page cache of the writer in KiB.
    pub cache_kib: u32,
}
