//! What outlives HQ's machine: backups, the second copy, a key

use crate::platter::Platter;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::identity::Identity;
use selvedge_sync::origin::{Origin, Stream};
use selvedge_sync::succession::{self, writer_of};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A copy of HQ's disk, and who HQ was then.
pub struct Image {
    /// The disk.
    pub platter: Platter,
    /// Who it was.
    pub identity: Identity,
    /// Its keys.
    pub keys: Arc<dyn DeviceKeys>,
}

/// What outlives HQ's machine: backups, the second copy, the key of its authority.
pub struct Vault {
    /// Signs who counts.
    pub authority: SoftwareKeys,
    /// Whether every signature is computed.
    pub earnest_keys: bool,
    /// How often HQ was restored.
    pub generation: u32,
    /// The newest backup.
    pub image: Option<Image>,
    /// Bytes of the second copy that are durable.
    pub copy: Vec<u8>,
    /// What they hold.
    pub copied: BTreeMap<(Stream, Origin), u64>,
    /// Whether the second copy was read when HQ was last restored.
    pub reads_copy: bool,
}

impl Vault {
    /// Nothing was copied yet.
    pub fn new(authority: SoftwareKeys, earnest_keys: bool) -> Vault {
        Vault {
            authority,
            earnest_keys,
            generation: 0,
            image: None,
            copy: Vec::new(),
            copied: BTreeMap::new(),
            reads_copy: false,
        }
    }
}

/// Whether HQ wrote under this number in some generation.
pub fn is_hq(origin: Origin) -> bool {
    writer_of(succession::generation_of(origin)) == Some(origin)
}
