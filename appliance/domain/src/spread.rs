//! Spreads a discount over lines so that no cent is lost
//!
//! Each line gets its part rounded down, and the cents that are left go to the
//! largest remainders. A tie goes to the lower tax class, then to the lower line.
//! By the line alone, a cent would move from one class to another with the order
//! of the scans, and the tax on top with it.

use crate::money::Money;

/// A line that takes a part of a discount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// What the line comes to; 0 or more.
    pub amount: Money,
    /// How it is taxed.
    pub tax_class: i64,
}

/// The part of each line, in the order of the lines. No part is more than its line.
pub fn spread(off: Money, lines: &[Share]) -> Vec<Money> {
    let sum: i128 = lines.iter().map(|line| i128::from(line.amount.0)).sum();
    assert!(off >= Money::ZERO, "a discount takes nothing back");
    assert!(i128::from(off.0) <= sum, "no more is taken off than there is");
    if off == Money::ZERO {
        return vec![Money::ZERO; lines.len()];
    }
    let product = |line: &Share| i128::from(off.0) * i128::from(line.amount.0);
    let mut parts: Vec<i128> = lines.iter().map(|line| product(line) / sum).collect();
    let left = i128::from(off.0) - parts.iter().sum::<i128>();
    let mut places: Vec<usize> = (0..lines.len()).collect();
    places.sort_by_key(|&place| (-(product(&lines[place]) % sum), lines[place].tax_class, place));
    for (place, _) in places.into_iter().zip(0..left) {
        parts[place] += 1;
    }
    let parts: Vec<Money> = parts
        .into_iter()
        .map(|part| Money(i64::try_from(part).expect("a part is not more than its line")))
        .collect();
    assert_eq!(Money::total(parts.iter().copied()), Ok(off), "no cent is lost");
    assert!(parts.iter().zip(lines).all(|(part, line)| *part <= line.amount), "a part fits");
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    /// "10/1 20/2" are two lines of 10 and 20 in the tax classes 1 and 2.
    fn check(off: i64, lines: &str, expected: Expect) {
        let lines: Vec<Share> = lines
            .split_whitespace()
            .map(|line| line.split_once('/').unwrap())
            .map(|(amount, class)| Share {
                amount: Money(amount.parse().unwrap()),
                tax_class: class.parse().unwrap(),
            })
            .collect();
        let parts = spread(Money(off), &lines);
        let parts: Vec<String> = parts.iter().map(|part| part.0.to_string()).collect();
        expected.assert_eq(&parts.join(" "));
    }

    #[test]
    fn cents_that_are_left_go_to_the_largest_remainders() {
        check(10, "100/1 100/1 100/1", expect!["4 3 3"]);
        check(10, "300/1 500/1 202/1", expect!["3 5 2"]);
        check(2, "1/1 1/1 1/1", expect!["1 1 0"]);
        check(100, "99/1 1/1 0/1", expect!["99 1 0"]);
        check(0, "99/1 1/1", expect!["0 0"]);
        check(0, "0/1", expect!["0"]);
        check(i64::MAX, "9223372036854775806/1 1/2", expect!["9223372036854775806 1"]);
    }

    #[test]
    fn a_tie_goes_to_the_lower_tax_class_then_to_the_lower_line() {
        check(1, "100/2 100/1 100/1", expect!["0 1 0"]);
        check(2, "100/2 100/1 100/1", expect!["0 1 1"]);
    }
}
