//! Where a running HQ answers, and the token that opens it
//!
//! A command has to know whether an HQ runs on its data directory: two writers on one database would be refused by the
//! lock. The running HQ leaves a file there with its address and a token. Who can read the file may act for HQ, and that
//! is who could read the database anyway.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// File in the data directory.
const DOOR_FILE: &str = "door.json";

/// How a command reaches the running HQ.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Door {
    /// Where it listens.
    pub address: SocketAddr,
    /// What a request that changes something must bear.
    pub token: String,
}

/// The file of a running HQ, removed when it ends.
pub struct OpenDoor {
    path: PathBuf,
}

/// Why the door file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the file {path}, by which commands find this HQ, could not be written: {why}")]
pub struct DoorError {
    path: String,
    why: std::io::Error,
}

impl Door {
    /// A door with a new token.
    pub fn new(address: SocketAddr) -> Result<Door, getrandom::Error> {
        let mut token = [0; 32];
        getrandom::fill(&mut token)?;
        Ok(Door { address, token: hex::encode(token) })
    }

    /// Whether a request may change something. Takes the same time for every wrong token of this length.
    pub fn opens_to(&self, token: &str) -> bool {
        let pairs = self.token.bytes().zip(token.bytes());
        token.len() == self.token.len()
            && pairs.fold(0, |differ, (own, given)| differ | (own ^ given)) == 0
    }

    /// Leaves the file for the commands.
    pub fn open(&self, data: &Path) -> Result<OpenDoor, DoorError> {
        let path = data.join(DOOR_FILE);
        let failed = |why: std::io::Error| DoorError { path: path.display().to_string(), why };
        let beside = data.join("door.new");
        let text = serde_json::to_string(self).map_err(|why| failed(why.into()))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        fs::rename(&beside, &path).map_err(failed)?;
        Ok(OpenDoor { path })
    }
}

/// The door that a running HQ left, or one that died.
pub fn found(data: &Path) -> Option<Door> {
    let text = fs::read_to_string(data.join(DOOR_FILE)).ok()?;
    serde_json::from_str(&text).ok()
}

impl Drop for OpenDoor {
    fn drop(&mut self) {
        // A file that stays does no harm: nobody answers at its address.
        let _ = fs::remove_file(&self.path);
    }
}
