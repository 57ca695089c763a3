//! HQ's two keys: one admits devices, one signs what HQ writes
//!
//! They are apart because they are used apart. The authority key signs allow-list rows and one day the succession of a
//! restored HQ; the writer key signs frames all day. Both are of the software class: whoever copies the files has the
//! keys, and `hq-bridge` says so where it names them.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use selvedge_sync::device_keys::SoftwareKeys;

/// File of the key that signs allow-list rows.
pub const AUTHORITY_FILE: &str = "authority.key";

/// File of the key that signs HQ's frames.
pub const WRITER_FILE: &str = "writer.key";

/// HQ's keys, read from the data directory.
pub struct Keys {
    /// Signs allow-list rows.
    pub authority: Arc<SoftwareKeys>,
    /// Signs what HQ writes.
    pub writer: Arc<SoftwareKeys>,
}

/// What `make` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// New keys were written.
    New,
    /// Both keys were there already and were left alone.
    AlreadyThere,
}

/// Why HQ has no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There is no key file.
    #[error("HQ has no key at {0}; run `hq-bridge init` once, or put the file back from its copy")]
    Missing(String),
    /// Others may read the key.
    #[error("the key file {path} may be read by others (mode {mode:o}); run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The file holds something else.
    #[error("the key file {0} does not hold 64 hex digits; put it back from its copy")]
    Garbled(String),
    /// A database without the key that wrote it.
    #[error(
        "{0} holds HQ's database but not its keys; put the key files back from their copy, new ones would not fit"
    )]
    Lost(String),
    /// The disk or the random generator refused.
    #[error("{what} failed: {why}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        why: String,
    },
}

/// Makes the keys that are missing. `database` is the file that old keys would have signed.
pub fn make(data: &Path, database: &Path) -> Result<Made, KeysError> {
    let files = [data.join(AUTHORITY_FILE), data.join(WRITER_FILE)];
    if files.iter().all(|file| file.exists()) {
        return Ok(Made::AlreadyThere);
    }
    if database.exists() {
        return Err(KeysError::Lost(data.display().to_string()));
    }
    fs::create_dir_all(data).map_err(|why| system("making", data, &why))?;
    fs::set_permissions(data, Permissions::from_mode(0o700))
        .map_err(|why| system("closing", data, &why))?;
    for file in files.iter().filter(|file| !file.exists()) {
        write_new(file)?;
    }
    File::open(data)
        .and_then(|folder| folder.sync_all())
        .map_err(|why| system("syncing", data, &why))?;
    Ok(Made::New)
}

/// Reads both keys.
pub fn read(data: &Path) -> Result<Keys, KeysError> {
    Ok(Keys {
        authority: read_one(&data.join(AUTHORITY_FILE))?,
        writer: read_one(&data.join(WRITER_FILE))?,
    })
}

fn read_one(path: &Path) -> Result<Arc<SoftwareKeys>, KeysError> {
    let shown = path.display().to_string();
    let kind = fs::metadata(path).map_err(|_| KeysError::Missing(shown.clone()))?;
    let mode = kind.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Open { path: shown, mode });
    }
    let text = fs::read_to_string(path).map_err(|_| KeysError::Garbled(shown.clone()))?;
    let mut seed = [0; 32];
    hex::decode_to_slice(text.trim(), &mut seed).map_err(|_| KeysError::Garbled(shown))?;
    Ok(Arc::new(SoftwareKeys::from_seed(seed)))
}

/// Writes a new key. A key file that came into being meanwhile is never overwritten.
fn write_new(path: &Path) -> Result<(), KeysError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|why| KeysError::System {
        what: "drawing a key".to_string(),
        why: why.to_string(),
    })?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|why| system("writing", path, &why))?;
    let text = format!("{}\n", hex::encode(seed));
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|why| system("writing", path, &why))
}

fn system(what: &str, path: &Path, why: &std::io::Error) -> KeysError {
    KeysError::System { what: format!("{what} {}", path.display()), why: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge_sync::device_keys::DeviceKeys;

    #[test]
    fn keys_are_made_once_and_stay_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (data, database) = (folder.path().join("hq"), folder.path().join("hq/hq.db"));
        assert_eq!(make(&data, &database).unwrap(), Made::New);
        let first = read(&data).unwrap();
        assert_eq!(make(&data, &database).unwrap(), Made::AlreadyThere);
        assert_eq!(read(&data).unwrap().authority.public(), first.authority.public());
        assert_ne!(first.authority.public(), first.writer.public());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path(), &folder.path().join("hq.db")).unwrap();
        let file = folder.path().join(WRITER_FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(read(folder.path()).err().unwrap().to_string().contains("chmod 600"));
    }

    #[test]
    fn a_database_whose_keys_are_lost_gets_no_new_ones() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("hq.db");
        fs::write(&database, "x").unwrap();
        assert!(matches!(make(folder.path(), &database), Err(KeysError::Lost(_))));
        assert!(read(folder.path()).err().unwrap().to_string().contains("hq-bridge init"));
    }
}
