//! What a card terminal is asked, and what it may answer
//!
//! Whoever asks has written the payment intent down before, and names it by its
//! key in every question. So a second question about the same intent can be told
//! from a second payment, by the terminal and by us.

use std::fmt::Debug;

use selvedge_domain::money::Amount;

/// The longest reference of a terminal that is kept. Fewer digits than a card
/// number has, so that none can be mistaken for one or hide behind one.
pub const REFERENCE_MAX: usize = 12;

/// What a terminal answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Yes, and the reference by which the terminal knows it.
    Approved(String),
    /// No: nothing was charged, or nothing was given back.
    Declined,
    /// The terminal knows nothing of this intent. It may have charged the card all the same.
    NotKnown,
    /// No answer came; asking again may bring one.
    NoAnswer(String),
}

/// A box beside the checkout that charges cards. Each question waits for its answer.
pub trait CardTerminal: Debug + Send + Sync {
    /// Charges a card for an intent. For an intent that it knows it gives the answer of before.
    fn charge(&self, intent: &str, amount: Amount) -> Heard;

    /// What became of an intent. Charges nobody.
    fn outcome(&self, intent: &str) -> Heard;

    /// Gives the money of an intent back to its card, once however often it is asked.
    fn give_back(&self, intent: &str) -> Heard;
}

/// A reference as it is kept: letters, digits and dashes, the last of them where there are too many.
pub fn kept_reference(reference: &str) -> String {
    let fits = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '-';
    let all: Vec<char> = reference.chars().filter(fits).collect();
    all[all.len().saturating_sub(REFERENCE_MAX)..].iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_never_as_long_as_a_card_number() {
        assert_eq!(kept_reference("A-17 <b>"), "A-17b");
        assert_eq!(kept_reference("4111 1111 1111 1111"), "111111111111");
    }
}
