//! Which bits of a file are not what was last written there
//!
//! The judge of rot. It looks at no sum of a page and at nothing that the engine says: it knows which bits were flipped,
//! and forgets one when somebody writes there. Where it cannot know what a power cut left, it forgets too.

use std::collections::BTreeMap;

/// Bits of a file that have flipped, by their place.
#[derive(Debug, Clone, Default)]
pub struct WrongBits {
    bits: BTreeMap<usize, Wrong>,
}

#[derive(Debug, Clone, Copy)]
struct Wrong {
    /// Whether the same byte stood there for readers and for after a power cut.
    settled: bool,
    over: Over,
}

/// Whether a wrong bit was written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It stands there.
    Not,
    /// By a write that a power cut may take back.
    Unsynced,
    /// By a write that was thrown away below: readers see it until the power goes.
    ThrownAway,
}

impl WrongBits {
    /// A bit flips, or flips back. `settled` says that no write of this place waits to become durable.
    pub fn flip(&mut self, bit: usize, settled: bool) {
        match self.bits.get(&bit) {
            Some(wrong) if wrong.over == Over::Not => self.bits.remove(&bit),
            _ => self.bits.insert(bit, Wrong { settled, over: Over::Not }),
        };
    }

    /// Somebody writes so many bytes from here on.
    pub fn write(&mut self, at: usize, bytes: usize) {
        for (_, wrong) in self.bits.range_mut(at * 8..(at + bytes) * 8) {
            wrong.over = Over::Unsynced;
        }
    }

    /// The file ends here.
    pub fn end(&mut self, length: usize) {
        self.bits.split_off(&(length * 8));
    }

    /// What was written is durable.
    pub fn sync(&mut self) {
        self.bits.retain(|_, wrong| wrong.over != Over::Unsynced);
    }

    /// What was written is thrown away, though readers still see it.
    pub fn throw_away(&mut self) {
        for wrong in self.bits.values_mut().filter(|wrong| wrong.over == Over::Unsynced) {
            wrong.over = Over::ThrownAway;
        }
    }

    /// Whether a reader of so many bytes from here on is given a wrong bit.
    pub fn are_in(&self, at: usize, bytes: usize) -> bool {
        !self.bits.is_empty()
            && self.bits.range(at * 8..(at + bytes) * 8).any(|bit| bit.1.over == Over::Not)
    }

    /// What is wrong after a power cut that left a file of this length.
    pub fn after_cut(&self, length: usize) -> WrongBits {
        let stays = |bit: &usize, wrong: &Wrong| {
            wrong.settled && wrong.over != Over::Unsynced && bit / 8 < length
        };
        let bits = self.bits.iter().filter(|(bit, wrong)| stays(bit, wrong));
        let again = Wrong { settled: true, over: Over::Not };
        WrongBits { bits: bits.map(|(bit, _)| (*bit, again)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flipped() -> WrongBits {
        let mut wrong = WrongBits::default();
        wrong.flip(8 * 100 + 3, true);
        wrong
    }

    #[test]
    fn a_wrong_bit_is_given_to_whoever_reads_its_byte_until_somebody_writes_there() {
        let mut wrong = flipped();
        assert!(wrong.are_in(100, 1) && wrong.are_in(0, 101) && !wrong.are_in(0, 100));
        wrong.write(101, 50);
        assert!(wrong.are_in(100, 1));
        wrong.write(90, 20);
        assert!(!wrong.are_in(100, 1));
    }

    #[test]
    fn a_bit_that_flips_back_is_right_again() {
        let mut wrong = flipped();
        wrong.flip(8 * 100 + 3, true);
        assert!(!wrong.are_in(100, 1));
    }

    #[test]
    fn after_a_power_cut_it_stands_there_again_unless_it_was_durably_written_over() {
        assert!(flipped().after_cut(4_096).are_in(100, 1));
        assert!(!flipped().after_cut(50).are_in(100, 1), "the file is shorter");
        let (mut thrown, mut kept) = (flipped(), flipped());
        for wrong in [&mut thrown, &mut kept] {
            wrong.write(100, 1);
        }
        thrown.throw_away();
        assert!(!thrown.are_in(100, 1) && thrown.after_cut(4_096).are_in(100, 1));
        kept.sync();
        assert!(!kept.after_cut(4_096).are_in(100, 1));
    }
}
