//! Every random choice comes from here, split by purpose
//!
//! One seed makes the whole run. Each purpose has a stream of its own, so that a draw more in one place does not shift
//! the choices of all others. Ranges are cut here and not by a library: what a seed means must not change with a
//! version of somebody else's code.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A source of choices that two runs with the same seed share.
#[derive(Debug, Clone)]
pub struct Dice {
    key: [u8; 32],
    rolls: ChaCha8Rng,
}

impl Dice {
    /// The dice of one run.
    pub fn new(seed: u64) -> Dice {
        Dice::from_key(blake3::derive_key("selvedge/simulator/seed/1", &seed.to_be_bytes()))
    }

    /// Dice for one purpose. They depend on the seed and the purpose, never on what was rolled before.
    pub fn split(&self, purpose: &str) -> Dice {
        Dice::from_key(*blake3::keyed_hash(&self.key, purpose.as_bytes()).as_bytes())
    }

    fn from_key(key: [u8; 32]) -> Dice {
        Dice { key, rolls: ChaCha8Rng::from_seed(key) }
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.rolls.next_u64()
    }

    /// A number from 0 to `limit - 1`. The bias of the multiplication is below one in 2^32.
    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "there is nothing to choose from");
        ((u128::from(self.rolls.next_u64()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        assert!(low <= high, "a range runs upward");
        low + self.below((high - low) as u64 + 1) as i64
    }

    /// True in `per_mille` of a thousand rolls.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// Fills a buffer.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.rolls.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let rolls = |seed| {
            let mut dice = Dice::new(seed).split("power");
            (0..8).map(|_| dice.number()).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn a_purpose_does_not_hear_the_rolls_of_another() {
        let mut dice = Dice::new(7);
        let before = dice.split("network").number();
        dice.number();
        assert_eq!(dice.split("network").number(), before);
        assert_ne!(dice.split("power").number(), before);
    }

    #[test]
    fn a_range_keeps_both_its_ends() {
        let mut dice = Dice::new(1);
        let rolls: Vec<i64> = (0..200).map(|_| dice.between(-1, 1)).collect();
        for end in [-1, 0, 1] {
            assert!(rolls.contains(&end));
        }
        assert!(rolls.iter().all(|roll| (-1..=1).contains(roll)));
    }

    #[test]
    fn chance_is_about_right() {
        let mut dice = Dice::new(1);
        let hits = (0..10_000).filter(|_| dice.chance(50)).count();
        assert!((400..600).contains(&hits), "{hits} of 10,000 at 5 %");
    }
}
