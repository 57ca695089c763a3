//! What happened in a run, counted
//!
//! A run without violations means little when nothing happened in it.

use std::fmt;

/// What was counted. All of it is a part of the trace: two runs of one seed agree on every number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs that were added up.
    pub runs: u64,
    /// Things that happened.
    pub happenings: u64,
    /// Entries that were acknowledged to their writer.
    pub acknowledged: u64,
    /// Entries of others that replicas hold at the end.
    pub applied: u64,
    /// Entries that are parked at the end.
    pub parked: u64,
    /// Messages with frames that arrived.
    pub frames: u64,
    /// Power cuts.
    pub cuts: u64,
    /// Power cuts after which an entry was there that nobody was told of.
    pub doubts: u64,
    /// Restarts of the program alone.
    pub restarts: u64,
    /// Lines that were cut or held.
    pub partitions: u64,
    /// Messages that were lost, repeated or damaged.
    pub mishaps: u64,
    /// Disk errors and full disks.
    pub disk_troubles: u64,
    /// Bits that flipped in databases.
    pub flips: u64,
    /// Databases that were built anew because a flipped bit was noticed.
    pub rebuilt: u64,
    /// Lies told.
    pub lies: u64,
    /// Times that HQ was restored from an old copy.
    pub restored: u64,
    /// Old messages that came once more.
    pub replays: u64,
    /// Checkouts that were acknowledged.
    pub checkouts: u64,
    /// Stores times days of at least so many checkouts as a store-day has.
    pub store_days: u64,
    /// Snapshots that were taken in.
    pub snapshots: u64,
    /// The most entries that the log of one device of a store had lost to trimming.
    pub trimmed: u64,
    /// Times that all was healed and everybody had to agree.
    pub agreements: u64,
    /// Devices that were brought up to a newer schema.
    pub upgrades: u64,
    /// Operations on all disks.
    pub operations: u64,
    /// Syncs of all disks.
    pub syncs: u64,
}

impl Figures {
    fn all(&self) -> [(&'static str, u64); 25] {
        [
            ("runs", self.runs),
            ("happenings", self.happenings),
            ("acknowledged", self.acknowledged),
            ("applied", self.applied),
            ("parked", self.parked),
            ("frames", self.frames),
            ("power cuts", self.cuts),
            ("in doubt", self.doubts),
            ("restarts", self.restarts),
            ("partitions", self.partitions),
            ("messages harmed", self.mishaps),
            ("disk troubles", self.disk_troubles),
            ("bits flipped", self.flips),
            ("databases built anew", self.rebuilt),
            ("lies", self.lies),
            ("restored", self.restored),
            ("replays", self.replays),
            ("checkouts", self.checkouts),
            ("store-days", self.store_days),
            ("snapshots", self.snapshots),
            ("trimmed", self.trimmed),
            ("agreements", self.agreements),
            ("upgrades", self.upgrades),
            ("disk operations", self.operations),
            ("syncs", self.syncs),
        ]
    }

    fn all_mut(&mut self) -> [&mut u64; 25] {
        [
            &mut self.runs,
            &mut self.happenings,
            &mut self.acknowledged,
            &mut self.applied,
            &mut self.parked,
            &mut self.frames,
            &mut self.cuts,
            &mut self.doubts,
            &mut self.restarts,
            &mut self.partitions,
            &mut self.mishaps,
            &mut self.disk_troubles,
            &mut self.flips,
            &mut self.rebuilt,
            &mut self.lies,
            &mut self.restored,
            &mut self.replays,
            &mut self.checkouts,
            &mut self.store_days,
            &mut self.snapshots,
            &mut self.trimmed,
            &mut self.agreements,
            &mut self.upgrades,
            &mut self.operations,
            &mut self.syncs,
        ]
    }

    /// Adds the figures of another run.
    pub fn add(&mut self, other: &Figures) {
        for (mine, (_, theirs)) in self.all_mut().into_iter().zip(other.all()) {
            *mine += theirs;
        }
    }

    /// The numbers alone, for another process to read.
    pub fn to_line(&self) -> String {
        self.all().map(|(_, number)| number.to_string()).join(" ")
    }

    /// Reads the numbers back.
    pub fn parse(line: &str) -> Option<Figures> {
        let mut figures = Figures::default();
        let mut words = line.split_whitespace();
        for number in figures.all_mut() {
            *number = words.next()?.parse().ok()?;
        }
        words.next().is_none().then_some(figures)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.all().map(|(name, number)| format!("{number} {name}")).join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_add_up_and_read_back() {
        let mut figures = Figures { runs: 1, cuts: 3, syncs: 7, ..Figures::default() };
        figures.add(&Figures { runs: 1, cuts: 2, ..Figures::default() });
        assert_eq!((figures.runs, figures.cuts, figures.syncs), (2, 5, 7));
        assert_eq!(Figures::parse(&figures.to_line()), Some(figures));
        assert_eq!(Figures::parse("1 2 three"), None);
    }
}
