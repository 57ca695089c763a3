//! Sizes in the order in which people think of them

use std::cmp::Ordering;

/// Sizes that are words.
const WORDS: [&str; 14] =
    ["XXXS", "XXS", "XS", "S", "M", "L", "XL", "XXL", "2XL", "XXXL", "3XL", "4XL", "5XL", "6XL"];

/// Small before large: words first, then numbers by their value, then what remains by its letters.
pub fn in_order(one: &str, other: &str) -> Ordering {
    let word = |size: &str| WORDS.iter().position(|word| size.eq_ignore_ascii_case(word));
    let rank = |size: &str| match (word(size), number(size)) {
        (Some(place), _) => (0, place as u64),
        (None, Some(number)) => (1, number),
        (None, None) => (2, 0),
    };
    rank(one).cmp(&rank(other)).then_with(|| one.cmp(other))
}

/// Thousandths of the number that a size begins with: "42.5" and "100 ml" have one.
fn number(size: &str) -> Option<u64> {
    let end = size.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let (whole, part) = size[..end.unwrap_or(size.len())]
        .split_once('.')
        .unwrap_or((&size[..end.unwrap_or(size.len())], ""));
    let part: String = part.chars().chain("000".chars()).take(3).collect();
    format!("{whole}{part}").parse().ok().filter(|_| !whole.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_comes_before_large() {
        let mut sizes = ["XL", "10", "one size", "S", "9", "42.5", "100 ml", "42", "xs", "M", "L"];
        sizes.sort_by(|one, other| in_order(one, other));
        assert_eq!(
            sizes,
            ["xs", "S", "M", "L", "XL", "9", "10", "42", "42.5", "100 ml", "one size"]
        );
    }
}
