//! What people are told of a database that was built anew
//!
//! The device works on, and whoever looks after it must know all the same: a disk that has lost a page may lose more. The
//! words lie in a file beside the database, so that they outlive a restart.

use crate::{hlc::Millis, rebuild::Salvage, rot::beside};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// That a database was built anew, as people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// When, by the clock of the device.
    pub at: Millis,
    /// What was lost and what becomes of it, in one sentence.
    pub sentence: String,
}

impl Salvage {
    /// What was lost and what becomes of it, in one sentence.
    pub fn sentence(&self) -> String {
        let whole = !self.is_blind && self.missing.is_empty() && self.torn_tables.is_empty();
        let what = if self.is_torn {
            "it takes no writes until its parent has given it another origin and all that it needs"
        } else if whole {
            "nothing of it was lost"
        } else {
            "what could not be read comes from the other devices"
        };
        format!(
            "The database was damaged and has been built anew, {what}. Have the disk of this machine looked at."
        )
    }
}

/// Keeps the words beside the database.
pub fn keep(path: &Path, now: Millis, salvage: &Salvage) -> io::Result<()> {
    fs::write(place(path), format!("{}\n{}\n", now.0, salvage.sentence()))
}

/// The words that were kept last, as long as nobody has removed them.
pub fn read(path: &Path) -> Option<Rebuilt> {
    let text = fs::read_to_string(place(path)).ok()?;
    let (at, sentence) = text.split_once('\n')?;
    Some(Rebuilt { at: Millis(at.parse().ok()?), sentence: sentence.trim_end().to_owned() })
}

fn place(path: &Path) -> PathBuf {
    beside(path, ".rebuilt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{origin::Origin, origin::Stream, rebuild::Missing};

    #[test]
    fn the_words_outlive_a_restart_until_somebody_removes_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sqlite");
        assert_eq!(read(&path), None);
        keep(&path, Millis(5), &Salvage::default()).unwrap();
        let kept = read(&path).unwrap();
        assert_eq!(kept.at, Millis(5));
        assert!(kept.sentence.contains("nothing of it was lost"), "{}", kept.sentence);
        fs::remove_file(place(&path)).unwrap();
        assert_eq!(read(&path), None);
    }

    #[test]
    fn whoever_has_lost_something_is_told_where_it_comes_from() {
        let (origin, stream) = (Origin::new(2).unwrap(), Stream::CHAIN);
        let missing = vec![Missing { origin, stream, from: 7 }];
        let said = Salvage { missing, ..Salvage::default() }.sentence();
        assert!(said.contains("comes from the other devices"), "{said}");
    }
}
