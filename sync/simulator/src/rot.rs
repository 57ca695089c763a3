//! Bits that flip while a device runs, and that it must notice
//!
//! What has rotted must never be served, and the device must come back with all that it has promised. So rot spares what
//! is nowhere else: the log and its seals, from which a database is built anew, and sealed blobs that came nowhere yet.

use crate::device::FILE;
use crate::stage::{Stage, Verdict};
use crate::swarm::Mishap;
use selvedge_sync::page_check::{self, PageState};
use selvedge_sync::page_sum::PAGE_BYTES;
use std::collections::BTreeSet;

/// Whose page it is, by SQLite's own account; nobody's, if it is free.
const OWNER: &str = "SELECT name FROM dbstat WHERE pageno = ?1";

/// Tables of the engine that are made again. All others of its own are spared: the log, its seals, and who counts.
const MADE_AGAIN: [&str; 6] =
    ["sync_head", "sync_mark", "sync_parked", "sync_ahead", "sync_lost", "sync_overwritten"];

impl Stage {
    /// Whether a read at a device was refused because of rot.
    pub fn has_met_rot(&self, device: usize) -> bool {
        let running = self.devices[device].running.as_ref();
        running.is_some_and(|running| page_check::has_met_rot(running.replica.db()))
    }

    /// Looks at every page of a device at once, and ends its program where one has rotted.
    pub fn look_for_rot(&mut self, device: usize) {
        if self.is_rotten(device) {
            self.devices[device].rotten = true;
            self.end(device, 0);
        }
    }

    /// Whether any page of a device that runs has rotted.
    pub fn is_rotten(&self, device: usize) -> bool {
        let Some(running) = &self.devices[device].running else { return false };
        let (db, drive) = (running.replica.db(), &self.devices[device].drive);
        let gave_wrong = drive.touch(|platter| platter.gave_wrong());
        let is_rotten = (1..)
            .map(|page| page_check::look(db, page))
            .take_while(|page| *page != PageState::Absent)
            .any(|page| page == PageState::Rotten);
        // Nobody was served what only the judge has looked at.
        drive.touch(|platter| platter.note_wrong(gave_wrong));
        is_rotten
    }

    /// I16: whatever a device was given from a page in which a bit has flipped, it has noticed.
    pub fn look_at_served(&self, device: usize) -> Verdict {
        let Some(running) = &self.devices[device].running else { return Ok(()) };
        let gave_wrong = self.devices[device].drive.touch(|platter| platter.gave_wrong());
        if gave_wrong && !running.replica.is_rotten() && !self.has_met_rot(device) {
            let what = "a bit that had flipped was read and served".to_owned();
            return Err(self.violation("I16", device, what));
        }
        Ok(())
    }

    /// Whether a device has a sealed blob that nobody else has, as far as others are sure of what they have.
    fn has_sole_blobs(&self, device: usize) -> rusqlite::Result<bool> {
        let mut sole = self.blobs_of(device)?;
        for other in (0..self.devices.len()).filter(|other| *other != device) {
            if self.devices[other].flipped.is_empty() && !self.devices[other].rotten {
                let there = self.blobs_of(other)?;
                sole.retain(|hash| !there.contains(hash));
            }
        }
        Ok(!sole.is_empty())
    }

    fn blobs_of(&self, device: usize) -> rusqlite::Result<BTreeSet<Vec<u8>>> {
        let Some(running) = &self.devices[device].running else { return Ok(BTreeSet::new()) };
        let mut select = running.replica.db().prepare_cached("SELECT hash FROM private_blob")?;
        select.query_map([], |row| row.get(0))?.collect()
    }

    /// Flips a bit of a database under the hands of its device.
    pub fn rot(&mut self, device: usize) {
        let luck = &mut self.luck[Mishap::Rot.index()];
        let stricken = &self.devices[device];
        let name = stricken.file(FILE);
        let bytes = stricken
            .drive
            .touch(|platter| platter.find(&name).map_or(0, |file| platter.length(file)));
        let Some(running) = stricken.running.as_ref().filter(|_| bytes > 0) else { return };
        let bit = luck.below(bytes as u64 * 8) as usize;
        let page = (bit / 8 / PAGE_BYTES + 1) as i64;
        let owner: rusqlite::Result<Vec<String>> = running
            .replica
            .db()
            .prepare_cached(OWNER)
            .and_then(|mut owner| owner.query_map([page], |row| row.get(0))?.collect());
        let Ok(owners) = owner else { return };
        // Where the log does not reach back to the first entry, tables are nowhere else either. Others give blobs back.
        let sql = "SELECT count(*) FROM sync_floor";
        let floors: rusqlite::Result<i64> =
            running.replica.db().query_row(sql, [], |row| row.get(0));
        let is_blobs = |owner: &String| owner.contains("private_blob");
        if floors.is_ok_and(|floors| floors > 0) && !owners.iter().all(is_blobs) {
            return;
        }
        let is_spared = |owner: &String| {
            let owner = owner.strip_prefix("sqlite_autoindex_").unwrap_or(owner);
            owner == "sqlite_schema"
                || owner.starts_with("sync_")
                    && !MADE_AGAIN.iter().any(|made| owner.starts_with(made))
        };
        let holds_blobs = owners.iter().any(|owner| owner.contains("private_blob"));
        if holds_blobs && self.has_sole_blobs(device).unwrap_or(true) {
            return;
        }
        let stricken = &self.devices[device];
        if page > 1 && !owners.iter().any(is_spared) {
            let flips = stricken.drive.touch(|platter| platter.flip(&name, bit));
            self.figures.flips += u64::from(flips);
            self.devices[device].flipped.push(bit);
        }
    }
}
