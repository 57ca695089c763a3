//! Dies at any disk operation, and comes back
//!
//! A cut is planned in two steps: a moment, and then a number of disk operations from there. So cuts fall inside
//! transactions and checkpoints and not only between them. After each fault a device has a calm time: restart without
//! one hides the bugs of catching up, and no restart at all hides those of coming back.

use crate::dice::Dice;
use crate::platter::Loss;

/// How a device loses and gets back its power.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Disk operations that still succeed.
    pub after_operations: u64,
    /// What is left of unsynced writes.
    pub loss: Loss,
    /// How long the device stays dark.
    pub dark_ms: i64,
}

/// How often power fails, and how long a device is left alone afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supply {
    /// Mean time between two cuts of one device.
    pub between_ms: i64,
    /// Calm after a restart: at least a quarter of this, at most this.
    pub calm_ms: i64,
}

impl Supply {
    /// When the next cut may come, from the moment that the device is up.
    pub fn next_ms(&self, dice: &mut Dice) -> i64 {
        dice.between(self.calm_ms / 4, self.calm_ms) + dice.between(0, 2 * self.between_ms)
    }

    /// What the cut will be like.
    pub fn cut(&self, dice: &mut Dice) -> Cut {
        let after_operations = match dice.below(4) {
            0 => dice.below(4),
            1 => dice.below(40),
            _ => dice.below(400),
        };
        let loss = match dice.below(4) {
            0 => Loss::Nothing,
            1 => Loss::Everything,
            _ => Loss::Torn,
        };
        Cut { after_operations, loss, dark_ms: dice.between(1_000, 1_000 + 2 * self.calm_ms) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_left_alone_after_a_restart() {
        let (supply, mut dice) = (Supply { between_ms: 0, calm_ms: 40_000 }, Dice::new(1));
        assert!((0..100).all(|_| (10_000..=40_000).contains(&supply.next_ms(&mut dice))));
    }

    #[test]
    fn cuts_meet_every_policy_and_short_and_long_ways() {
        let (supply, mut dice) = (Supply { between_ms: 1, calm_ms: 1 }, Dice::new(1));
        let cuts: Vec<Cut> = (0..200).map(|_| supply.cut(&mut dice)).collect();
        for loss in [Loss::Nothing, Loss::Everything, Loss::Torn] {
            assert!(cuts.iter().any(|cut| cut.loss == loss));
        }
        assert!(cuts.iter().any(|cut| cut.after_operations == 0));
        assert!(cuts.iter().any(|cut| cut.after_operations > 200));
    }
}
