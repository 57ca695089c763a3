//! Cuts and faults at every operation of a transaction
//!
//! A trial is a prepared disk, an act on it, and a look at what is left. The act is filmed once: what the disk held before
//! each operation. From each picture come images of what a power cut may leave, and each is looked at. Faults change what
//! comes after them, so for these the act is run anew.

use crate::dice::Dice;
use crate::drive::Drive;
use crate::memory;
use crate::platter::{Failure, Loss, Platter, Refusal};
use std::collections::HashSet;
use std::fmt;

/// What becomes of the writes that were not synced, in the images of one point: all kept, all dropped, and each one for
/// itself kept, dropped or torn, so that later ones survive earlier ones.
pub const IMAGES: [Loss; 8] = [
    Loss::Nothing,
    Loss::Everything,
    Loss::Torn,
    Loss::Torn,
    Loss::Torn,
    Loss::Torn,
    Loss::Torn,
    Loss::Torn,
];

/// What can go wrong at an operation: an error or no room, once or from there on.
const FAULTS: [(Refusal, bool); 4] =
    [(Refusal::Io, false), (Refusal::Io, true), (Refusal::Full, false), (Refusal::Full, true)];

/// Tells a promise as soon as it was made.
pub type Tell<'a, P> = dyn FnMut(P) + 'a;

/// Does something on a disk, and tells what it was promised.
pub type Act<P> = Box<dyn Fn(&Drive, &mut Tell<'_, P>)>;

/// Says what is wrong with what a disk holds after these promises.
pub type Look<P> = Box<dyn Fn(&Drive, &[P]) -> Result<(), String>>;

/// One transaction and all that can happen to it.
pub struct Trial<P> {
    /// What is done.
    pub name: String,
    /// What the disk holds before.
    pub start: Platter,
    /// Does it.
    pub act: Act<P>,
    /// Looks at what is left.
    pub look: Look<P>,
}

/// What was tried, and what was lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Disk operations at which the power went.
    pub points: u64,
    /// Images of disks that were looked at.
    pub images: u64,
    /// Errors, full disks and lost syncs.
    pub faults: u64,
    /// Allocations that failed.
    pub allocations: u64,
    /// What was wrong, and how to see it again.
    pub lost: Vec<String>,
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: Tally) {
        self.points += other.points;
        self.images += other.images;
        self.faults += other.faults;
        self.allocations += other.allocations;
        self.lost.extend(other.lost);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { points, images, faults, allocations, lost } = self;
        let lost = lost.len();
        write!(
            f,
            "{points} points, {images} images, {faults} faults, {allocations} allocations failed, {lost} lost"
        )
    }
}

/// The name of the disk of every trial.
pub const DISK: &str = "box";

impl<P: Clone> Trial<P> {
    /// Cuts the power at each operation, or at every so many-th, and looks at the images.
    pub fn cut(&self, every: usize, dice: &mut Dice) -> Tally {
        let (film, promises) = self.film();
        let (mut tally, mut seen) = (Tally::default(), HashSet::new());
        for (point, picture) in film.iter().enumerate().step_by(every) {
            let made: Vec<P> = promises
                .iter()
                .filter(|(after, _)| *after <= point)
                .map(|(_, promise)| promise.clone())
                .collect();
            tally.points += 1;
            for loss in IMAGES {
                let image = picture.survivors(loss, dice);
                tally.images += 1;
                // Many cuts leave the same bytes, and what was right about them once is right again.
                if !seen.insert((image.digest(), made.len())) {
                    continue;
                }
                let found = (self.look)(&Drive::mount_copy(DISK, image), &made);
                tally.lost.extend(found.err().map(|what| {
                    format!("{}, cut at operation {point}, {loss:?}: {what}", self.name)
                }));
            }
        }
        tally
    }

    /// The disk before each operation and at the end, and each promise with the operations before it.
    fn film(&self) -> (Vec<Platter>, Vec<(usize, P)>) {
        let drive = Drive::mount_copy(DISK, self.start.clone());
        drive.touch(Platter::film);
        let mut promises = Vec::new();
        let filmed = || drive.touch(|platter| platter.filmed());
        (self.act)(&drive, &mut |promise| promises.push((filmed(), promise)));
        (drive.touch(Platter::take_film), promises)
    }

    /// How many promises it makes when nothing goes wrong.
    pub fn promises(&self) -> usize {
        self.film().1.len()
    }

    /// How many operations it has.
    pub fn operations(&self) -> u64 {
        let drive = Drive::mount_copy(DISK, self.start.clone());
        let before = drive.counts().operations;
        (self.act)(&drive, &mut |_| {});
        drive.counts().operations - before
    }

    /// Lets each operation, or every so many-th, fail in every way, then cuts the power and looks.
    pub fn fail(&self, every: usize, dice: &mut Dice) -> Tally {
        let mut tally = Tally::default();
        let first = dice.below(every as u64) + 1;
        for operation in (first..=self.operations()).step_by(every) {
            for (refusal, lasting) in FAULTS {
                let drive = Drive::mount_copy(DISK, self.start.clone());
                let at = drive.counts().operations + operation;
                drive.plan(Some(Failure { at, refusal, lasting }));
                let what = format!("{refusal:?} at operation {operation}, lasting: {lasting}");
                tally.faults += 1;
                tally.lost.extend(self.run_and_look(drive, &what, dice));
            }
        }
        tally
    }

    /// Lets each allocation, or every so many-th, fail once, then cuts the power and looks.
    pub fn starve(&self, every: u64, dice: &mut Dice) -> Tally {
        let mut tally = Tally::default();
        for allocation in (dice.below(every)..).step_by(every as usize) {
            let drive = Drive::mount_copy(DISK, self.start.clone());
            memory::fail_after(Some(allocation));
            let what = format!("allocation {allocation} failed");
            let lost = self.run_and_look(drive, &what, dice);
            if !memory::has_failed() {
                break;
            }
            tally.allocations += 1;
            tally.lost.extend(lost);
        }
        tally
    }

    fn run_and_look(&self, mut drive: Drive, what: &str, dice: &mut Dice) -> Option<String> {
        let mut promises = Vec::new();
        (self.act)(&drive, &mut |promise| promises.push(promise));
        memory::fail_after(None);
        drive.plan(None);
        drive.cut(Loss::Torn, dice);
        let found = (self.look)(&drive, &promises);
        found.err().map(|lost| format!("{}, {what}: {lost}", self.name))
    }
}
