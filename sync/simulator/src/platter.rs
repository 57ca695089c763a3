//! What a disk remembers: durable bytes and unsynced writes
//!
//! Each file has the bytes that a reader sees, the bytes that survive, and the writes between the two in their order.
//! Names in the directory are the same: a created or deleted name survives only after a sync of the directory.

use crate::dice::Dice;
use crate::surface::Surface;
use crate::wrong_bits::WrongBits;
use std::cell::Cell;
use std::collections::BTreeMap;

/// Disks keep or lose whole sectors.
const SECTOR_BYTES: usize = 512;

/// What a power cut takes of the writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them survive.
    Nothing,
    /// None survives.
    Everything,
    /// Each survives, is lost, or is torn at sector borders.
    Torn,
}

/// Which call on the disk is meant. Reads are not counted: they change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Bytes written to a file.
    Write,
    /// A file cut to a length.
    Truncate,
    /// A file made durable.
    Sync,
    /// A name created or deleted.
    Name,
}

/// Why the disk did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No power, or a broken sector.
    Io,
    /// No room.
    Full,
    /// No such name.
    Absent,
}

/// A fault that comes at one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// At which operation, as `Counts::operations` counts them.
    pub at: u64,
    /// What the caller hears.
    pub refusal: Refusal,
    /// Whether all later operations fail too.
    pub lasting: bool,
}

/// What the disk has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, truncations, syncs and changes of names.
    pub operations: u64,
    /// Syncs alone.
    pub syncs: u64,
    /// Bytes written.
    pub bytes: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes { at: usize, bytes: Box<[u8]> },
    Length(usize),
}

impl Change {
    fn apply(&self, file: &mut Surface) {
        match self {
            Change::Bytes { at, bytes } => file.write(*at, bytes),
            Change::Length(length) => file.resize(*length),
        }
    }

    fn apply_torn(&self, file: &mut Surface, dice: &mut Dice) {
        let Change::Bytes { at, bytes } = self else {
            if dice.chance(500) {
                self.apply(file);
            }
            return;
        };
        match dice.below(4) {
            0 => {}
            1 => self.apply(file),
            _ => {
                let mut done = 0;
                while done < bytes.len() {
                    let border = ((at + done) / SECTOR_BYTES + 1) * SECTOR_BYTES - at;
                    let end = border.min(bytes.len());
                    if dice.chance(500) {
                        file.write(at + done, &bytes[done..end]);
                    }
                    done = end;
                }
            }
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct File {
    pub(crate) seen: Surface,
    pub(crate) durable: Surface,
    unsynced: Vec<Change>,
    /// Whether writes were thrown away that readers still see.
    differs: bool,
    /// Bits that have flipped.
    pub(crate) wrong: WrongBits,
}

#[derive(Debug, Clone)]
enum NameChange {
    Created(String, usize),
    Deleted(String),
}

/// Names a file of one platter, also after its name is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub(crate) usize);

/// Everything that one disk holds.
#[derive(Debug, Clone, Default)]
pub struct Platter {
    pub(crate) files: Vec<File>,
    pub(crate) names: BTreeMap<String, usize>,
    pub(crate) durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    counts: Counts,
    cut_at: Option<u64>,
    failure: Option<Failure>,
    capacity_bytes: Option<usize>,
    dark: bool,
    lies: bool,
    pub(crate) film: Option<Vec<Platter>>,
    /// Whether anybody was given a bit that had flipped.
    pub(crate) gave_wrong: Cell<bool>,
}

impl Platter {
    /// From now on syncs say that they are done and keep nothing, until the power goes.
    pub fn lie(&mut self) {
        self.lies = true;
    }

    /// The power goes after this many further operations: that one and all later fail.
    pub fn cut_after(&mut self, operations: u64) {
        self.cut_at = Some(self.counts.operations + operations + 1);
    }

    /// Takes back a planned cut that has not come yet.
    pub fn spare(&mut self) {
        self.cut_at = None;
    }

    /// The power goes now.
    pub fn cut_now(&mut self) {
        self.dark = true;
    }

    /// Whether the power is gone.
    pub fn is_dark(&self) -> bool {
        self.dark
    }

    /// Plans a fault, or takes it back.
    pub fn plan(&mut self, failure: Option<Failure>) {
        self.failure = failure;
    }

    /// Gives the disk an end.
    pub fn limit(&mut self, capacity_bytes: Option<usize>) {
        self.capacity_bytes = capacity_bytes;
    }

    /// What was done.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes that named files take.
    pub fn used_bytes(&self) -> usize {
        self.names.values().map(|&file| self.files[file].seen.len()).sum()
    }

    /// What a power cut leaves. Counts go on, plans are forgotten, capacity stays.
    pub fn survivors(&self, loss: Loss, dice: &mut Dice) -> Platter {
        let mut names = self.durable_names.clone();
        let kept = match loss {
            Loss::Nothing => self.unsynced_names.len(),
            Loss::Everything => 0,
            Loss::Torn => dice.below(self.unsynced_names.len() as u64 + 1) as usize,
        };
        for change in &self.unsynced_names[..kept] {
            rename(&mut names, change);
        }
        let mut files = Vec::new();
        for file in names.values_mut() {
            let bytes = self.files[*file].after_cut(loss, dice);
            let wrong = self.files[*file].wrong.after_cut(bytes.len());
            *file = files.len();
            files.push(File { seen: bytes.clone(), durable: bytes, wrong, ..File::default() });
        }
        Platter {
            files,
            durable_names: names.clone(),
            names,
            counts: self.counts,
            capacity_bytes: self.capacity_bytes,
            ..Platter::default()
        }
    }

    fn step(&mut self, operation: Operation) -> Result<(), Refusal> {
        if self.dark {
            return Err(Refusal::Io);
        }
        if let Some(mut film) = self.film.take() {
            film.push(self.clone());
            self.film = Some(film);
        }
        self.counts.operations += 1;
        let now = self.counts.operations;
        if self.cut_at.is_some_and(|at| now >= at) {
            self.dark = true;
            return Err(Refusal::Io);
        }
        match self.failure {
            Some(failure) if now == failure.at || (failure.lasting && now > failure.at) => {
                // Only what takes room can fail for want of it.
                let needs_room = matches!(operation, Operation::Write | Operation::Name);
                if failure.refusal == Refusal::Full && !needs_room {
                    Ok(())
                } else {
                    Err(failure.refusal)
                }
            }
            _ => Ok(()),
        }
    }

    /// Finds a file by its name.
    pub fn find(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied().map(FileId)
    }

    /// Creates an empty file.
    pub fn create(&mut self, name: &str) -> Result<FileId, Refusal> {
        self.step(Operation::Name)?;
        let file = self.files.len();
        self.files.push(File::default());
        self.names.insert(name.to_owned(), file);
        self.unsynced_names.push(NameChange::Created(name.to_owned(), file));
        Ok(FileId(file))
    }

    /// Deletes a name.
    pub fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        self.step(Operation::Name)?;
        self.names.remove(name).ok_or(Refusal::Absent)?;
        self.unsynced_names.push(NameChange::Deleted(name.to_owned()));
        Ok(())
    }

    /// Makes all names durable.
    pub fn sync_names(&mut self) {
        if self.lies {
            return;
        }
        for change in std::mem::take(&mut self.unsynced_names) {
            rename(&mut self.durable_names, &change);
        }
    }

    /// Reads into `out` and says how many bytes were there.
    pub fn read(&self, file: FileId, at: usize, out: &mut [u8]) -> Result<usize, Refusal> {
        if self.dark {
            return Err(Refusal::Io);
        }
        let file = &self.files[file.0];
        if file.wrong.are_in(at, out.len()) {
            self.gave_wrong.set(true);
        }
        Ok(file.seen.read(at, out))
    }

    /// Length of a file.
    pub fn length(&self, file: FileId) -> usize {
        self.files[file.0].seen.len()
    }

    /// Writes bytes; they are not durable yet.
    pub fn write(&mut self, file: FileId, at: usize, bytes: &[u8]) -> Result<(), Refusal> {
        self.step(Operation::Write)?;
        let growth = (at + bytes.len()).saturating_sub(self.length(file));
        if growth > 0
            && self.capacity_bytes.is_some_and(|capacity| self.used_bytes() + growth > capacity)
        {
            return Err(Refusal::Full);
        }
        self.counts.bytes += bytes.len() as u64;
        self.files[file.0].change(Change::Bytes { at, bytes: bytes.into() });
        Ok(())
    }

    /// Cuts a file; the cut is not durable yet.
    pub fn truncate(&mut self, file: FileId, length: usize) -> Result<(), Refusal> {
        self.step(Operation::Truncate)?;
        self.files[file.0].change(Change::Length(length));
        Ok(())
    }

    /// Makes a file durable. A sync that fails throws the waiting writes away, as kernels do: a second try would
    /// succeed and keep nothing.
    pub fn sync(&mut self, file: FileId) -> Result<(), Refusal> {
        let done = self.step(Operation::Sync);
        let synced = &mut self.files[file.0];
        match done {
            Ok(()) if self.lies => {}
            Ok(()) => synced.sync(),
            Err(_) if !self.dark => {
                synced.differs |= !synced.unsynced.is_empty();
                synced.unsynced.clear();
                synced.wrong.throw_away();
            }
            Err(_) => {}
        }
        self.counts.syncs += u64::from(done.is_ok());
        done
    }
}

impl File {
    fn change(&mut self, change: Change) {
        match &change {
            Change::Bytes { at, bytes } => self.wrong.write(*at, bytes.len()),
            Change::Length(length) => self.wrong.end(*length),
        }
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    fn sync(&mut self) {
        self.wrong.sync();
        for change in self.unsynced.drain(..) {
            match &change {
                // What came later in the same blocks becomes durable with it, or is cut off below.
                Change::Bytes { at, bytes }
                    if !self.differs && at + bytes.len() <= self.seen.len() =>
                {
                    self.durable.take_over(&self.seen, *at, bytes.len());
                }
                change => change.apply(&mut self.durable),
            }
        }
    }

    /// Whether no write of this place waits to become durable.
    pub(crate) fn is_settled(&self, place: usize) -> bool {
        let waits = |change: &Change| match change {
            Change::Bytes { at, bytes } => (*at..at + bytes.len()).contains(&place),
            Change::Length(length) => place >= *length,
        };
        !self.differs && !self.unsynced.iter().any(waits)
    }

    fn after_cut(&self, loss: Loss, dice: &mut Dice) -> Surface {
        let mut bytes = self.durable.clone();
        for change in &self.unsynced {
            match loss {
                Loss::Nothing => change.apply(&mut bytes),
                Loss::Everything => {}
                Loss::Torn => change.apply_torn(&mut bytes, dice),
            }
        }
        bytes
    }
}

fn rename(names: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Created(name, file) => names.insert(name.clone(), *file),
        NameChange::Deleted(name) => names.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(platter: &Platter, name: &str) -> Option<Vec<u8>> {
        let file = platter.find(name)?;
        let mut bytes = vec![0; platter.length(file)];
        platter.read(file, 0, &mut bytes).unwrap();
        Some(bytes)
    }

    /// A file with `old` durable and `new` written over it, not synced.
    fn half_written() -> Platter {
        let mut platter = Platter::default();
        let file = platter.create("a").unwrap();
        platter.write(file, 0, &[1; 2_048]).unwrap();
        platter.sync(file).unwrap();
        platter.sync_names();
        platter.write(file, 0, &[2; 2_048]).unwrap();
        platter
    }

    #[test]
    fn a_cut_takes_all_nothing_or_some_sectors() {
        let (platter, mut dice) = (half_written(), Dice::new(1));
        assert_eq!(read(&platter.survivors(Loss::Nothing, &mut dice), "a"), Some(vec![2; 2_048]));
        assert_eq!(
            read(&platter.survivors(Loss::Everything, &mut dice), "a"),
            Some(vec![1; 2_048])
        );
        let mut torn = 0;
        for _ in 0..50 {
            let bytes = read(&platter.survivors(Loss::Torn, &mut dice), "a").unwrap();
            assert!(
                bytes
                    .chunks(SECTOR_BYTES)
                    .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
            );
            torn += usize::from(bytes.contains(&1) && bytes.contains(&2));
        }
        assert!(torn > 10, "{torn} of 50 were torn");
    }

    #[test]
    fn a_name_survives_only_after_a_sync_of_names() {
        let mut platter = Platter::default();
        let file = platter.create("a").unwrap();
        platter.write(file, 0, &[1; 8]).unwrap();
        platter.sync(file).unwrap();
        assert_eq!(read(&platter.survivors(Loss::Everything, &mut Dice::new(1)), "a"), None);
        platter.sync_names();
        assert_eq!(
            read(&platter.survivors(Loss::Everything, &mut Dice::new(1)), "a"),
            Some(vec![1; 8])
        );
        platter.delete("a").unwrap();
        assert_eq!(
            read(&platter.survivors(Loss::Everything, &mut Dice::new(1)), "a"),
            Some(vec![1; 8])
        );
        assert_eq!(read(&platter.survivors(Loss::Nothing, &mut Dice::new(1)), "a"), None);
    }

    #[test]
    fn a_cut_comes_at_its_operation_and_stays() {
        let mut platter = half_written();
        let file = platter.find("a").unwrap();
        platter.cut_after(1);
        assert_eq!(platter.write(file, 0, &[3; 8]), Ok(()));
        assert_eq!(platter.write(file, 0, &[4; 8]), Err(Refusal::Io));
        assert_eq!((platter.sync(file), platter.is_dark()), (Err(Refusal::Io), true));
    }

    #[test]
    fn a_full_disk_refuses_growth_only() {
        let mut platter = half_written();
        let file = platter.find("a").unwrap();
        platter.limit(Some(2_100));
        assert_eq!(platter.write(file, 2_048, &[0; 64]), Err(Refusal::Full));
        assert_eq!(platter.write(file, 0, &[0; 64]), Ok(()));
    }

    #[test]
    fn a_failed_sync_throws_the_waiting_writes_away() {
        let mut platter = half_written();
        let file = platter.find("a").unwrap();
        let at = platter.counts().operations + 1;
        platter.plan(Some(Failure { at, refusal: Refusal::Io, lasting: false }));
        assert_eq!(platter.sync(file), Err(Refusal::Io));
        assert_eq!(platter.sync(file), Ok(()));
        assert_eq!(
            read(&platter.survivors(Loss::Nothing, &mut Dice::new(1)), "a"),
            Some(vec![1; 2_048])
        );
    }
}
