//! Printed trade numbers and their check digit
//!
//! A GTIN is a number, not a text: a 12-digit UPC and the same number written
//! with 13 or 14 digits name the same goods, and as an integer they are equal.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use std::fmt;

/// A trade number whose check digit is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gtin(u64);

/// Why a text is no GTIN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GtinError {
    /// Something other than 8, 12, 13 or 14 digits.
    #[error("\"{text}\" is no GTIN: scan or type 8, 12, 13 or 14 digits")]
    Shape {
        /// What was scanned, cut to 20 characters.
        text: String,
    },
    /// A digit is wrong, or two are swapped.
    #[error("the check digit of {text} is wrong: it should end in {expected}; scan it again")]
    CheckDigit {
        /// What was scanned.
        text: String,
        /// What the last digit would be if the others were right.
        expected: u64,
    },
}

impl Gtin {
    /// Reads a scanned or typed number.
    pub fn parse(text: &str) -> Result<Gtin, GtinError> {
        let text = text.trim();
        let shape = || GtinError::Shape { text: text.chars().take(20).collect() };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || !matches!(text.len(), 8 | 12 | 13 | 14) {
            return Err(shape());
        }
        let number: u64 = text.parse().map_err(|_| shape())?;
        if number == 0 {
            return Err(shape());
        }
        let expected = check_digit(number / 10);
        if number % 10 != expected {
            return Err(GtinError::CheckDigit { text: text.to_owned(), expected });
        }
        Ok(Gtin(number))
    }

    /// A number from the database or from another program.
    pub fn from_number(number: u64) -> Option<Gtin> {
        let in_range = (10..100_000_000_000_000).contains(&number);
        (in_range && check_digit(number / 10) == number % 10).then_some(Gtin(number))
    }

    /// Completes a number without its check digit, as makers of demo goods need.
    pub fn complete(without_check_digit: u64) -> Option<Gtin> {
        let in_range = (1..10_000_000_000_000).contains(&without_check_digit);
        in_range.then(|| Gtin(without_check_digit * 10 + check_digit(without_check_digit)))
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl ToSql for Gtin {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        // 14 digits are far below 63 bits.
        Ok((self.0 as i64).into())
    }
}

/// The shortest printed form: 8, 12, 13 or 14 digits.
impl FromSql for Gtin {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Gtin> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Gtin).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

impl fmt::Display for Gtin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.0 {
            0..100_000_000 => 8,
            100_000_000..1_000_000_000_000 => 12,
            1_000_000_000_000..10_000_000_000_000 => 13,
            _ => 14,
        };
        out.pad(&format!("{:0digits$}", self.0))
    }
}

/// Weights 3, 1, 3 ... from the right, filled up to a multiple of ten.
fn check_digit(body: u64) -> u64 {
    let (mut rest, mut weight, mut sum) = (body, 3, 0);
    while rest > 0 {
        sum += rest % 10 * weight;
        rest /= 10;
        weight = 4 - weight;
    }
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let said = match Gtin::parse(text) {
            Ok(gtin) => gtin.to_string(),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn a_gtin_keeps_its_shortest_printed_form() {
        check("96385074", expect!["96385074"]);
        check(" 036000291452 ", expect!["036000291452"]);
        check("0036000291452", expect!["036000291452"]);
        check("9520000000028", expect!["9520000000028"]);
        check("19520000000025", expect!["19520000000025"]);
    }

    #[test]
    fn a_wrong_check_digit_says_which_one_was_expected() {
        check(
            "9520000000027",
            expect!["the check digit of 9520000000027 is wrong: it should end in 8; scan it again"],
        );
        check(
            "96385047",
            expect!["the check digit of 96385047 is wrong: it should end in 3; scan it again"],
        );
    }

    #[test]
    fn what_is_no_gtin_is_refused_with_a_sentence() {
        check("", expect![[r#""" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]]);
        check(
            "123456789",
            expect![[r#""123456789" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]],
        );
        check(
            "00000000",
            expect![[r#""00000000" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]],
        );
        check(
            "９６３８５０７４",
            expect![[r#""９６３８５０７４" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]],
        );
        check(
            "952000000002x8952000000002x8",
            expect![[r#""952000000002x8952000" is no GTIN: scan or type 8, 12, 13 or 14 digits"#]],
        );
    }

    #[test]
    fn a_completed_number_is_a_gtin_again() {
        for body in [1, 952_000_000_000, 952_000_000_002, 9_999_999_999_999] {
            let gtin = Gtin::complete(body).unwrap();
            assert_eq!(Gtin::parse(&gtin.to_string()), Ok(gtin));
            assert_eq!(Gtin::from_number(gtin.number()), Some(gtin));
            assert_eq!(Gtin::from_number(gtin.number() ^ 1), None);
        }
        assert_eq!(Gtin::complete(10_000_000_000_000), None);
    }
}
