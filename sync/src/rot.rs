//! A replica whose database has rotted takes no write more
//!
//! It cannot go on: what it would write next might stand on what nobody can read. It is built anew at the next start
//! (`rebuild.rs`), for which a mark beside the file is left: a page deep in a table need not be read by an opening.

use crate::{
    hlc::Millis,
    origin::Origin,
    page_check,
    replica::Replica,
    scrub::{Found, Scrub},
};
use std::path::{Path, PathBuf};

/// The mark beside a database that has rotted.
pub fn mark_beside(path: &Path) -> PathBuf {
    beside(path, ".rotten")
}

/// A file beside a database whose name goes on like this.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

impl Replica {
    /// Ends all writing if a read was refused because of rot; called after what has failed.
    pub(crate) fn notice_rot(&mut self) {
        if page_check::has_met_rot(self.db()) {
            self.has_rotted("a page of it that was asked for");
        }
    }

    /// Ends all writing because a connection that only reads was refused a page.
    pub fn a_reader_met_rot(&mut self) {
        if !self.is_rotten() {
            self.has_rotted("a page of it that was asked for");
        }
    }

    /// Reads the next pages, if it is time for it; true when rot was found.
    pub fn scrub(&mut self, scrub: &mut Scrub, now: Millis) -> rusqlite::Result<bool> {
        if self.halted().is_some() {
            return Ok(false);
        }
        if page_check::has_met_rot(self.db()) {
            self.notice_rot();
            return Ok(true);
        }
        match scrub.step(self.db(), now) {
            Ok(Found::Nothing) => Ok(false),
            Ok(Found::Rot { page }) => {
                self.has_rotted(&format!("its page {page}"));
                Ok(true)
            }
            Err(cause) if page_check::is_rot(&cause) => {
                self.has_rotted("a page of it or of its log");
                Ok(true)
            }
            Err(cause) => Err(cause),
        }
    }

    fn has_rotted(&mut self, what: &str) {
        let own = (self.path().to_owned(), self.identity().origin);
        self.end_for(own, what);
    }

    /// Ends all writing because the database of an earlier origin of this device has rotted, of which something is still
    /// to be written anew.
    pub(crate) fn one_before_has_rotted(&mut self, database: (PathBuf, Origin)) {
        self.end_for(database, "a page of it that was asked for");
    }

    fn end_for(&mut self, (path, origin): (PathBuf, Origin), what: &str) {
        let reason = format!(
            "the database {} has rotted ({what} is not what was written): start again, it is then built anew",
            path.display()
        );
        if self.lies_on_files() {
            // Without the mark the rot is found again, only later.
            let _ = std::fs::write(mark_beside(&path), &reason);
        }
        self.halt(reason);
        self.rotten = Some((path, origin));
    }

    /// Whether a database must be built anew.
    pub fn is_rotten(&self) -> bool {
        self.rotten.is_some()
    }

    /// Which one, and whose it is: ours, or that of an earlier origin of this device.
    pub fn rotten_file(&self) -> Option<(&Path, Origin)> {
        self.rotten.as_ref().map(|(path, origin)| (path.as_path(), *origin))
    }
}
