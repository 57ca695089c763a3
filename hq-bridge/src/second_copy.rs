//! A folder beside the database, with every entry once more
//!
//! Put it on another disk or another machine's share. A file is begun at each start and when one has grown full; nothing
//! in the folder is ever changed, so a copy of it is good at any time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use selvedge_sync::frame::Frame;
use selvedge_sync::second_copy;

/// A file is full at this size.
const FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Says whose folder it is.
const OWNER_FILE: &str = "authority";

/// Why there is no second copy.
#[derive(Debug, thiserror::Error)]
pub enum SecondCopyError {
    /// It holds entries of another chain.
    #[error("{0} holds the second copy of another chain: name another folder in `second_copy`")]
    OtherChain(String),
    /// The system refused.
    #[error(
        "the second copy in {path} cannot be used ({why}): mend the folder, or name another in `second_copy`"
    )]
    System {
        /// The folder.
        path: String,
        /// What the system said.
        why: io::Error,
    },
}

/// The folder, ready to take more.
#[derive(Debug)]
pub struct SecondCopy {
    folder: PathBuf,
    number: u64,
    file: File,
    bytes: u64,
}

impl SecondCopy {
    /// Opens or makes the folder of this chain, and begins a file.
    pub fn open(folder: &Path, authority: &[u8; 32]) -> Result<SecondCopy, SecondCopyError> {
        let failed = |why| SecondCopyError::System { path: folder.display().to_string(), why };
        fs::create_dir_all(folder).map_err(failed)?;
        let owner = folder.join(OWNER_FILE);
        let text = hex::encode(authority);
        match fs::read_to_string(&owner) {
            Ok(found) if found.trim() == text => {}
            Ok(_) => return Err(SecondCopyError::OtherChain(folder.display().to_string())),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                fs::write(&owner, format!("{text}\n")).map_err(failed)?;
            }
            Err(why) => return Err(failed(why)),
        }
        let number = files(folder).map_err(failed)?.last().map_or(0, |(number, _)| *number) + 1;
        let file = begin(folder, number).map_err(failed)?;
        Ok(SecondCopy { folder: folder.to_owned(), number, file, bytes: 0 })
    }

    /// Makes records durable. After an error a new file is begun: whatever is left of them ends the old one.
    pub fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(records).and_then(|()| self.file.sync_data());
        self.bytes += records.len() as u64;
        if written.is_err() || self.bytes >= FILE_BYTES {
            self.file = begin(&self.folder, self.number + 1)?;
            self.number += 1;
            self.bytes = 0;
        }
        written
    }
}

/// Begins a file whose name is durable too.
fn begin(folder: &Path, number: u64) -> io::Result<File> {
    let path = folder.join(format!("entries-{number:06}.log"));
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    File::open(folder)?.sync_all()?;
    Ok(file)
}

/// The files by number.
fn files(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix("entries-").and_then(|name| name.strip_suffix(".log"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads the folder file by file, the oldest first.
pub fn read(folder: &Path, mut each: impl FnMut(Vec<Frame>)) -> Result<(), SecondCopyError> {
    let failed = |why| SecondCopyError::System { path: folder.display().to_string(), why };
    for (_, path) in files(folder).map_err(failed)? {
        let bytes = fs::read(path).map_err(failed)?;
        each(second_copy::read(&bytes).0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_chain_and_each_start_begins_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = SecondCopy::open(folder.path(), &[1; 32]).unwrap();
        first.append(b"torn").unwrap();
        drop(SecondCopy::open(folder.path(), &[1; 32]).unwrap());
        assert_eq!(files(folder.path()).unwrap().len(), 2);
        let refused = SecondCopy::open(folder.path(), &[2; 32]).unwrap_err();
        assert!(refused.to_string().contains("of another chain"), "{refused}");
        let mut frames = 0;
        read(folder.path(), |found| frames += found.len()).unwrap();
        assert_eq!(frames, 0, "what is no record is passed over");
    }
}
