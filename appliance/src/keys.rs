//! The device key in a file, and its label
//!
//! Who can read the file can be the device, so the label says so everywhere:
//! `software-INSECURE`. A TPM takes this place later.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use selvedge_sync::device_keys::SoftwareKeys;

/// Name of the key file in the data folder.
pub const FILE_NAME: &str = "device.key";

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or its folder could not be read or made.
    #[error("the key file {} cannot be used ({cause}); check its folder and owner", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file holds something else.
    #[error("the key file {} does not hold 64 hex digits; restore it, or remove it and have the device admitted anew", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("the key file {} can be read by others; run chmod 600 on it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes, so no key was made")]
    NoRandom,
}

/// The keys in the data folder, made when there are none yet.
pub fn load_or_make(data: &Path) -> Result<SoftwareKeys, KeyError> {
    let path = data.join(FILE_NAME);
    let at = |cause| KeyError::File { path: path.clone(), cause };
    match OpenOptions::new().read(true).open(&path) {
        Ok(mut file) => {
            if file.metadata().map_err(at)?.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Open { path });
            }
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(at)?;
            let mut seed = [0_u8; 32];
            match hex::decode_to_slice(text.trim(), &mut seed) {
                Ok(()) => Ok(SoftwareKeys::from_seed(seed)),
                Err(_) => Err(KeyError::Malformed { path }),
            }
        }
        Err(missing) if missing.kind() == ErrorKind::NotFound => make(data, &path),
        Err(cause) => Err(at(cause)),
    }
}

/// Makes the key file; the name appears only when its bytes are on disk.
fn make(data: &Path, path: &Path) -> Result<SoftwareKeys, KeyError> {
    let at = |cause| KeyError::File { path: path.to_owned(), cause };
    std::fs::create_dir_all(data).map_err(at)?;
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|_| KeyError::NoRandom)?;
    let draft = path.with_extension("draft");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)
        .map_err(at)?;
    file.write_all(hex::encode(seed).as_bytes()).map_err(at)?;
    file.write_all(b"\n").map_err(at)?;
    file.sync_all().map_err(at)?;
    std::fs::rename(&draft, path).map_err(at)?;
    std::fs::File::open(data).and_then(|folder| folder.sync_all()).map_err(at)?;
    Ok(SoftwareKeys::from_seed(seed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge_sync::device_keys::DeviceKeys;

    #[test]
    fn the_key_is_made_once_and_is_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_make(folder.path()).unwrap();
        let again = load_or_make(folder.path()).unwrap();
        assert_eq!(first.public(), again.public());
        let path = folder.path().join(FILE_NAME);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_make(folder.path()), Err(KeyError::Open { .. })));
    }

    #[test]
    fn a_damaged_key_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        load_or_make(folder.path()).unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "half a key").unwrap();
        let said = load_or_make(folder.path()).err().unwrap().to_string();
        assert!(said.contains("does not hold 64 hex digits"), "{said}");
    }
}
