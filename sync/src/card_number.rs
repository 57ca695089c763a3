//! Digits that may be the number of a payment card
//!
//! Card numbers exist nowhere in a replica: a log cannot forget. A terminal keeps them to itself, but people type things
//! into notes. So a text that holds such digits is refused before it is written, and the form comes back.

/// The shortest and the longest card number.
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether a text holds 13 to 19 digits in one row that fulfil the check rule of cards, alone or in groups with single
/// spaces or dashes between them.
pub fn is_in(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < *DIGITS.start() {
        return false;
    }
    let mut run: Vec<u8> = Vec::new();
    let mut gap = false;
    for byte in bytes.iter().copied().chain([b'.']) {
        match byte {
            b'0'..=b'9' => {
                run.push(byte - b'0');
                gap = false;
            }
            b' ' | b'-' if !gap && !run.is_empty() => gap = true,
            _ => {
                if looks_like_one(&run) {
                    return true;
                }
                run.clear();
                gap = false;
            }
        }
    }
    false
}

fn looks_like_one(digits: &[u8]) -> bool {
    DIGITS.contains(&digits.len()) && digits[0] != 0 && passes_luhn(digits)
}

/// Every second digit from the right is doubled; the sum of all digits is a multiple of ten.
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip(0..)
        .map(|(digit, place)| match place % 2 {
            0 => u32::from(*digit),
            _ => u32::from(digit * 2 / 10 + digit * 2 % 10),
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_found_however_people_write_it() {
        for text in [
            "4111111111111111",
            "4111 1111 1111 1111",
            "paid with 5500-0000-0000-0004, thanks",
            "378282246310005",
            "6304000000000000",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_are_left_alone() {
        for text in [
            "",
            "4111111111111112",
            "411111111111",
            "call 0049 30 1234567",
            "0000000000000000",
            "4111  1111  1111  1111",
            "12345678901234567890",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
