//! Whole minor units with their currency
//!
//! No float comes near money, and no sum wraps round: arithmetic that leaves
//! 64 bits is an error. Where a share is taken (a discount, a tax), it is
//! rounded in `Money::share` and nowhere else.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use std::fmt;

/// An amount in whole minor units: 1234 is 12.34 in a currency of two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(pub i64);

/// Why an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// A sum left what 64 bits can hold.
    #[error("the amount is too large to be counted: check quantity and price")]
    TooLarge,
    /// The text is no amount.
    #[error("\"{text}\" is no amount: write it like 1,234.50")]
    NoAmount {
        /// What was typed, cut to 20 characters.
        text: String,
    },
    /// More decimals than the currency has.
    #[error("\"{text}\" has parts smaller than {code} counts: it has {digits} decimals")]
    PartOfMinor {
        /// What was typed.
        text: String,
        /// The currency.
        code: &'static str,
        /// How many decimals it has.
        digits: u32,
    },
    /// A currency that we do not know.
    #[error("\"{code}\" is no currency known here: use one of {}", known_codes())]
    UnknownCurrency {
        /// What was typed, cut to 20 characters.
        code: String,
    },
}

impl Money {
    /// Nothing.
    pub const ZERO: Money = Money(0);

    /// The sum of two amounts.
    pub fn plus(self, other: Money) -> Result<Money, MoneyError> {
        self.0.checked_add(other.0).map(Money).ok_or(MoneyError::TooLarge)
    }

    /// The difference of two amounts.
    pub fn minus(self, other: Money) -> Result<Money, MoneyError> {
        self.0.checked_sub(other.0).map(Money).ok_or(MoneyError::TooLarge)
    }

    /// A whole multiple.
    pub fn times(self, count: i64) -> Result<Money, MoneyError> {
        self.0.checked_mul(count).map(Money).ok_or(MoneyError::TooLarge)
    }

    /// `numerator / denominator` of the amount, rounded half away from zero.
    ///
    /// This is the one rounding rule: 0.5 becomes 1 and -0.5 becomes -1, so a
    /// return rounds exactly as its sale did.
    pub fn share(self, numerator: i64, denominator: i64) -> Result<Money, MoneyError> {
        assert!(numerator >= 0, "a share is not negative, the amount may be");
        assert!(denominator > 0, "a share is a part of something");
        let product = i128::from(self.0) * i128::from(numerator);
        let denominator = i128::from(denominator);
        let away = (product.abs() * 2 + denominator) / (denominator * 2);
        i64::try_from(away * product.signum()).map(Money).map_err(|_| MoneyError::TooLarge)
    }

    /// The sum of many amounts.
    pub fn total(amounts: impl IntoIterator<Item = Money>) -> Result<Money, MoneyError> {
        amounts.into_iter().try_fold(Money::ZERO, Money::plus)
    }
}

impl ToSql for Money {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Money {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Money> {
        value.as_i64().map(Money)
    }
}

/// A currency: its ISO 4217 code and how many decimals it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    code: &'static str,
    digits: u32,
    sign: &'static str,
}

impl ToSql for Currency {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.code.into())
    }
}

impl FromSql for Currency {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Currency> {
        Currency::parse(value.as_str()?).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// The currencies that a store may have.
const CURRENCIES: &[Currency] = &[
    Currency { code: "EUR", digits: 2, sign: "€" },
    Currency { code: "GBP", digits: 2, sign: "£" },
    Currency { code: "USD", digits: 2, sign: "$" },
    Currency { code: "CAD", digits: 2, sign: "" },
    Currency { code: "CHF", digits: 2, sign: "" },
    Currency { code: "CZK", digits: 2, sign: "" },
    Currency { code: "DKK", digits: 2, sign: "" },
    Currency { code: "HUF", digits: 2, sign: "" },
    Currency { code: "JPY", digits: 0, sign: "" },
    Currency { code: "KWD", digits: 3, sign: "" },
    Currency { code: "NOK", digits: 2, sign: "" },
    Currency { code: "PLN", digits: 2, sign: "" },
    Currency { code: "SEK", digits: 2, sign: "" },
];

fn known_codes() -> String {
    CURRENCIES.iter().map(|currency| currency.code).collect::<Vec<_>>().join(", ")
}

fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

impl Currency {
    /// The euro.
    pub const EUR: Currency = CURRENCIES[0];
    /// The pound sterling.
    pub const GBP: Currency = CURRENCIES[1];
    /// The dollar of the United States.
    pub const USD: Currency = CURRENCIES[2];

    /// Finds a currency by its code.
    pub fn parse(code: &str) -> Result<Currency, MoneyError> {
        let found = CURRENCIES.iter().find(|currency| currency.code == code.trim());
        found.copied().ok_or_else(|| MoneyError::UnknownCurrency { code: start(code) })
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.code
    }

    /// How many decimals an amount has.
    pub fn digits(self) -> u32 {
        self.digits
    }

    /// The sign that stands before an amount, or nothing.
    pub fn sign(self) -> &'static str {
        self.sign
    }

    /// An amount without sign or code: "1,234.50".
    pub fn plain(self, money: Money) -> String {
        let minus = if money.0 < 0 { "\u{2212}" } else { "" };
        format!("{minus}{}", self.unsigned(money))
    }

    /// An amount as people read it: "€1,234.50", "−£2.00", "CHF 12.00".
    pub fn show(self, money: Money) -> String {
        let minus = if money.0 < 0 { "\u{2212}" } else { "" };
        let amount = self.unsigned(money);
        match self.sign {
            "" => format!("{} {minus}{amount}", self.code),
            sign => format!("{minus}{sign}{amount}"),
        }
    }

    fn unsigned(self, money: Money) -> String {
        let unit = 10_u64.pow(self.digits);
        let whole = (money.0.unsigned_abs() / unit).to_string();
        let mut text = String::with_capacity(whole.len() + 8);
        for (place, digit) in whole.chars().enumerate() {
            if place > 0 && (whole.len() - place).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        if self.digits > 0 {
            let decimals = money.0.unsigned_abs() % unit;
            text.push_str(&format!(".{decimals:0width$}", width = self.digits as usize));
        }
        text
    }

    /// Reads a typed amount such as "12", "12.5", "1,234.50" or "−£2.00".
    ///
    /// A comma only ever groups thousands: "12,50" is refused, because it would
    /// be 1,250 to one reader and 12.50 to the next.
    pub fn parse_amount(self, text: &str) -> Result<Money, MoneyError> {
        let typed = text.trim();
        let refused = || MoneyError::NoAmount { text: start(typed) };
        let unsigned = typed.strip_prefix(['-', '\u{2212}']);
        let bare = unsigned.unwrap_or(typed).trim_start();
        let bare =
            if self.sign.is_empty() { bare } else { bare.strip_prefix(self.sign).unwrap_or(bare) };
        let (whole, decimals) = bare.split_once('.').unwrap_or((bare, ""));
        let decimals_shape = !(bare.contains('.') && decimals.is_empty());
        if !decimals_shape || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused());
        }
        let whole = ungroup(whole).ok_or_else(refused)?;
        let kept = decimals.trim_end_matches('0');
        if kept.len() > self.digits as usize {
            let (code, digits) = (self.code, self.digits);
            return Err(MoneyError::PartOfMinor { text: start(typed), code, digits });
        }
        let digits = format!("{whole}{kept:0<width$}", width = self.digits as usize);
        let minor: i64 = digits.parse().map_err(|_| MoneyError::TooLarge)?;
        Ok(Money(if unsigned.is_some() { -minor } else { minor }))
    }
}

/// "1,234" and "1234" become "1234"; "12,34" is nothing.
fn ungroup(whole: &str) -> Option<String> {
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let digits = |group: &str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    let grouped = whole.contains(',');
    if !digits(first) || (grouped && first.len() > 3) {
        return None;
    }
    groups.all(|group| group.len() == 3 && digits(group)).then(|| whole.replace(',', ""))
}

/// An amount that knows its currency, for sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub Money, pub Currency);

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.1.show(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(currency: &str, text: &str, expected: Expect) {
        let currency = Currency::parse(currency).unwrap();
        let said = match currency.parse_amount(text) {
            Ok(money) => format!("{} = {}", money.0, Amount(money, currency)),
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&said);
    }

    #[test]
    fn a_typed_amount_becomes_minor_units_and_reads_back() {
        check("EUR", "12", expect!["1200 = €12.00"]);
        check("EUR", "€1,234.5", expect!["123450 = €1,234.50"]);
        check("GBP", "-0.07", expect!["-7 = −£0.07"]);
        check("GBP", "−£1,000,000.00", expect!["-100000000 = −£1,000,000.00"]);
        check("USD", "2.550", expect!["255 = $2.55"]);
        check("JPY", "1234567", expect!["1234567 = JPY 1,234,567"]);
        check("KWD", "-1.5", expect!["-1500 = KWD −1.500"]);
    }

    #[test]
    fn what_is_no_amount_is_refused_with_a_sentence() {
        check("EUR", "", expect![[r#""" is no amount: write it like 1,234.50"#]]);
        check("EUR", "12,50", expect![[r#""12,50" is no amount: write it like 1,234.50"#]]);
        check("EUR", "1234,567", expect![[r#""1234,567" is no amount: write it like 1,234.50"#]]);
        check("EUR", "5.", expect![[r#""5." is no amount: write it like 1,234.50"#]]);
        check("EUR", "--5", expect![[r#""--5" is no amount: write it like 1,234.50"#]]);
        check("EUR", "1e308", expect![[r#""1e308" is no amount: write it like 1,234.50"#]]);
        check("EUR", "NaN", expect![[r#""NaN" is no amount: write it like 1,234.50"#]]);
        check(
            "GBP",
            "0.001",
            expect![[r#""0.001" has parts smaller than GBP counts: it has 2 decimals"#]],
        );
        check(
            "JPY",
            "1.5",
            expect![[r#""1.5" has parts smaller than JPY counts: it has 0 decimals"#]],
        );
        check(
            "EUR",
            "99999999999999999999",
            expect!["the amount is too large to be counted: check quantity and price"],
        );
        expect![[r#""XYZ" is no currency known here: use one of EUR, GBP, USD, CAD, CHF, CZK, DKK, HUF, JPY, KWD, NOK, PLN, SEK"#]]
            .assert_eq(&Currency::parse("XYZ").unwrap_err().to_string());
    }

    #[test]
    fn a_share_is_rounded_half_away_from_zero() {
        let cases = [
            (1, 1, 2, 1),
            (-1, 1, 2, -1),
            (5, 1, 10, 1),
            (4, 1, 10, 0),
            (-5, 1, 10, -1),
            (-4, 1, 10, 0),
            (119, 190_000, 1_190_000, 19),
            (i64::MAX, 1, 1, i64::MAX),
            (i64::MIN, 1, 1, i64::MIN),
            (i64::MAX, 999_999, 1_000_000, 9_223_362_813_482_738_952),
        ];
        for (amount, numerator, denominator, expected) in cases {
            assert_eq!(
                Money(amount).share(numerator, denominator),
                Ok(Money(expected)),
                "{amount}"
            );
        }
        assert_eq!(Money(i64::MAX).share(2, 1), Err(MoneyError::TooLarge));
    }

    #[test]
    fn a_sum_that_leaves_64_bits_is_refused() {
        assert_eq!(Money(i64::MAX).plus(Money(1)), Err(MoneyError::TooLarge));
        assert_eq!(Money(i64::MIN).minus(Money(1)), Err(MoneyError::TooLarge));
        assert_eq!(Money(i64::MAX).times(2), Err(MoneyError::TooLarge));
        assert_eq!(Money::total([Money(i64::MAX), Money(1), Money(-1)]), Err(MoneyError::TooLarge));
        assert_eq!(Money::total([Money(3), Money(-1)]), Ok(Money(2)));
    }

    #[test]
    fn the_largest_amounts_can_be_shown() {
        expect!["€92,233,720,368,547,758.07"].assert_eq(&Currency::EUR.show(Money(i64::MAX)));
        expect!["−92,233,720,368,547,758.08"].assert_eq(&Currency::EUR.plain(Money(i64::MIN)));
    }
}
