//! Damages messages in every way, and counts what passes

use crate::dice::Dice;
use crate::letters::Scene;
use selvedge_sync::topics::Kind;
use std::fmt;

/// What was tried on receivers, and what they took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// Single flipped bits.
    pub flips: u64,
    /// Truncations, and bytes too many.
    pub cuts: u64,
    /// Whole messages under another kind of topic.
    pub moved: u64,
    /// Messages with several faults.
    pub mutants: u64,
    /// Damaged packed bodies that open to what was sealed: a packed body can say the same in two ways.
    pub same: u64,
    /// What was taken, and how to see it again.
    pub accepted: Vec<String>,
}

impl Tried {
    /// Adds what was tried elsewhere.
    pub fn add(&mut self, other: Tried) {
        self.flips += other.flips;
        self.cuts += other.cuts;
        self.moved += other.moved;
        self.mutants += other.mutants;
        self.same += other.same;
        self.accepted.extend(other.accepted);
    }

    /// How many messages there were.
    pub fn all(&self) -> u64 {
        self.flips + self.cuts + self.moved + self.mutants
    }

    /// Hands a damaged message to its receiver, unless it is a frame that reads as the very one that was sealed.
    fn look(&mut self, scene: &mut Scene, kind: Kind, bytes: &[u8], what: &dyn Fn() -> String) {
        if scene.reads_the_same(bytes) {
            self.same += 1;
        } else if scene.takes(kind, bytes) {
            self.accepted.push(format!("{}: {}", scene.name, what()));
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tried { flips, cuts, moved, mutants, same, accepted } = self;
        write!(f, "{flips} flips, {cuts} truncations, {moved} under another topic, ")?;
        write!(f, "{mutants} random mutants ({same} packed otherwise): {} accepted", accepted.len())
    }
}

/// Every flipped bit, every cut, a byte too many, and the whole message under each other topic.
pub fn all_of(scene: &mut Scene) -> Tried {
    let (whole, kind) = (scene.whole.clone(), scene.kind);
    let mut tried = Tried::default();
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        tried.look(scene, kind, &damaged, &|| format!("bit {bit} flipped"));
    }
    for cut in 0..whole.len() {
        tried.look(scene, kind, &whole[..cut], &|| format!("cut to {cut} bytes"));
    }
    tried.look(scene, kind, &[&whole[..], &[0]].concat(), &|| "a byte too many".to_owned());
    // Both kinds of frame are read alike: the topic says only how soon it is wanted.
    let frames = [Kind::Live, Kind::Bulk];
    for other in Kind::ALL {
        if !scene.is_paper()
            && other != kind
            && !(frames.contains(&other) && frames.contains(&kind))
        {
            tried.moved += 1;
            if scene.takes(other, &whole) {
                tried.accepted.push(format!("{}: as {}", scene.name, other.as_str()));
            }
        }
    }
    tried.flips = whole.len() as u64 * 8;
    tried.cuts = whole.len() as u64 + 1;
    tried
}

/// Bytes with one to eight faults: bits flipped, bytes changed, taken out, put in, doubled or swapped.
pub fn mutated(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=dice.below(8) {
        if bytes.is_empty() {
            break;
        }
        let place = |dice: &mut Dice, bytes: &[u8]| dice.below(bytes.len() as u64) as usize;
        let at = place(dice, &bytes);
        match dice.below(8) {
            0..=2 => bytes[at] ^= 1 << dice.below(8),
            3 => bytes[at] = dice.below(256) as u8,
            4 => {
                bytes.remove(at);
            }
            5 => bytes.insert(at, dice.below(256) as u8),
            6 => {
                let end = (at + 1 + dice.below(16) as usize).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = place(dice, &bytes);
                bytes.splice(to..to, piece);
            }
            _ => {
                let other = place(dice, &bytes);
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

/// So many random mutants of one message. One that came out as the message itself is none.
pub fn some_of(scene: &mut Scene, count: u64, dice: &mut Dice) -> Tried {
    let whole = scene.whole.clone();
    let mut tried = Tried::default();
    while tried.mutants < count {
        let bytes = mutated(&whole, dice);
        if bytes == whole {
            continue;
        }
        tried.mutants += 1;
        let digits = || bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        tried.look(scene, scene.kind, &bytes, &digits);
    }
    tried
}
