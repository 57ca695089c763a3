//! The columns of a row, and how their text becomes a value
//!
//! Every function takes text from outside and either gives a value inside its bounds or a sentence that names the
//! column and shows what stood there.

use chrono::{DateTime, NaiveDate};
use selvedge_domain::moment::Moment;
use selvedge_domain::money::{Currency, Money};

/// The longest name that a row may bring. A receipt prints 48 letters of it.
pub const NAME_CHARS_MAX: usize = 120;

/// A moment lies before the year 2200: later ones are typing mistakes.
pub const MOMENT_MS_MAX: i64 = 7_258_118_400_000;

/// The columns of one row, already known to be as many as the header has.
pub struct Fields<'a> {
    header: &'a [&'static str],
    texts: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Pairs the texts of a row with the header.
    pub fn new(header: &'a [&'static str], texts: Vec<&'a str>) -> Result<Fields<'a>, String> {
        if texts.len() != header.len() {
            return Err(format!(
                "{} columns were found, but {} are expected",
                texts.len(),
                header.len()
            ));
        }
        Ok(Fields { header, texts })
    }

    /// The text of a column, without spaces around it.
    pub fn text(&self, column: &str) -> &'a str {
        let found = self.header.iter().position(|name| *name == column);
        self.texts[found.expect("a column that is asked for stands in the header")].trim()
    }

    /// Whether the file has this column, which it may leave out.
    pub fn has(&self, column: &str) -> bool {
        self.header.contains(&column)
    }

    /// A name: not empty, of a length that fits a screen, and without control characters.
    pub fn name(&self, column: &str) -> Result<String, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Err(format!("{column} is empty"));
        }
        self.optional_name(column).map(Option::unwrap_or_default)
    }

    /// A name that may be left out.
    pub fn optional_name(&self, column: &str) -> Result<Option<String>, String> {
        let text = self.text(column);
        if text.chars().count() > NAME_CHARS_MAX {
            return Err(format!("{column} has more than {NAME_CHARS_MAX} letters"));
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{column} holds a control character"));
        }
        Ok((!text.is_empty()).then(|| text.to_string()))
    }

    /// A whole number inside a range.
    pub fn number(&self, column: &str, first: i64, last: i64) -> Result<i64, String> {
        let text = self.text(column);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<i64>() {
            Ok(number) if whole && (first..=last).contains(&number) => Ok(number),
            _ => Err(format!(
                "{column} is {}, but a whole number from {first} to {last} is expected",
                shown(text)
            )),
        }
    }

    /// An amount of money, with no more decimals than its currency has.
    pub fn price(&self, column: &str, currency: Currency) -> Result<Money, String> {
        let text = self.text(column);
        let price = currency.parse_amount(text).map_err(|why| format!("{column}: {why}"))?;
        if price < Money::ZERO {
            return Err(format!("{column} is {}, but a price is never negative", shown(text)));
        }
        Ok(price)
    }

    /// A moment: a day, which begins at midnight UTC, or a time with its offset. Left out, it is since ever.
    pub fn moment(&self, column: &str) -> Result<Moment, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(Moment(0));
        }
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d")
            .ok()
            .and_then(|day| day.and_hms_opt(0, 0, 0));
        let day = day.map(|midnight| midnight.and_utc().timestamp_millis());
        let time = || DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
        match day.or_else(time) {
            Some(ms) if (0..MOMENT_MS_MAX).contains(&ms) => Ok(Moment(ms)),
            _ => Err(format!(
                "{column} is {}, but a day such as 2026-11-20 or a time such as 2026-11-20T06:00:00+01:00 is expected",
                shown(text)
            )),
        }
    }

    /// A rate in per cent with at most four decimals, as parts per million.
    pub fn rate_ppm(&self, column: &str) -> Result<i64, String> {
        let text = self.text(column);
        decimal(text, 4).filter(|rate| *rate <= 1_000_000).ok_or_else(|| {
            format!(
                "{column} is {}, but per cent from 0 to 100 such as 8.875 are expected",
                shown(text)
            )
        })
    }

    /// A per cent with at most two decimals, as hundredths of a per cent.
    pub fn discount_points(&self, column: &str) -> Result<i64, String> {
        let text = self.text(column);
        decimal(text, 2).filter(|points| *points <= 10_000).ok_or_else(|| {
            format!(
                "{column} is {}, but per cent from 0 to 100 such as 7.5 are expected",
                shown(text)
            )
        })
    }

    /// Grams in 100 g with at most three decimals, as mg. Left out, nothing is declared.
    pub fn grams_mg(&self, column: &str) -> Result<Option<i64>, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        let mg = decimal(text, 3).filter(|mg| *mg <= 100_000);
        mg.map(Some).ok_or_else(|| {
            format!(
                "{column} is {}, but grams from 0 to 100 such as 3.125 are expected",
                shown(text)
            )
        })
    }

    /// A whole number inside a range that may be left out.
    pub fn optional_number(
        &self,
        column: &str,
        first: i64,
        last: i64,
    ) -> Result<Option<i64>, String> {
        if self.text(column).is_empty() {
            return Ok(None);
        }
        self.number(column, first, last).map(Some)
    }

    /// "yes" or "no".
    pub fn yes_or_no(&self, column: &str) -> Result<bool, String> {
        match self.text(column) {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => {
                Err(format!("{column} is {}, but \"yes\" or \"no\" is expected", shown(other)))
            }
        }
    }
}

/// A plain decimal of at most four whole digits and this many decimals, counted in its last decimal. Never a float.
fn decimal(text: &str, decimals_max: usize) -> Option<i64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str, max: usize| {
        (1..=max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 4) || !digits(decimals, decimals_max) {
        return None;
    }
    format!("{whole}{decimals:0<decimals_max$}").parse().ok()
}

/// A text as it is shown in a refusal: quoted, escaped, and cut short.
pub fn shown(text: &str) -> String {
    shown_up_to(text, 40)
}

/// As `shown`, for a text of which more is wanted.
pub fn shown_up_to(text: &str, letters: usize) -> String {
    let mut start: String = text.chars().take(letters).collect();
    if start.len() < text.len() {
        start.push_str("...");
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(column: &'static str, text: &str, expected: Expect) {
        const HEADER: &[&str] = &["price", "from", "rate", "sku", "active", "fat", "discount"];
        let fields = Fields::new(HEADER, vec![text; HEADER.len()]).unwrap();
        let said = match column {
            "price" => fields.price(column, Currency::GBP).map(|price| price.0.to_string()),
            "from" => fields.moment(column).map(|from| from.0.to_string()),
            "rate" => fields.rate_ppm(column).map(|rate| rate.to_string()),
            "sku" => fields.number(column, 1, 9).map(|sku| sku.to_string()),
            "fat" => fields.grams_mg(column).map(|mg| format!("{mg:?}")),
            "discount" => fields.discount_points(column).map(|points| points.to_string()),
            _ => fields.yes_or_no(column).map(|yes| yes.to_string()),
        };
        expected.assert_eq(&said.unwrap_or_else(|why| why));
    }

    #[test]
    fn a_price_is_whole_minor_units_or_is_refused() {
        check("price", " 12.99 ", expect!["1299"]);
        check("price", "1.500", expect!["150"]);
        check(
            "price",
            "1.505",
            expect![[r#"price: "1.505" has parts smaller than GBP counts: it has 2 decimals"#]],
        );
        check("price", "-3.00", expect![[r#"price is "-3.00", but a price is never negative"#]]);
        check(
            "price",
            "1e308",
            expect![[r#"price: "1e308" is no amount: write it like 1,234.50"#]],
        );
        check(
            "price",
            "99999999999999999999",
            expect!["price: the amount is too large to be counted: check quantity and price"],
        );
    }

    #[test]
    fn a_moment_is_a_day_or_a_time_or_since_ever() {
        check("from", "", expect!["0"]);
        check("from", "1970-01-02", expect!["86400000"]);
        check("from", "1970-01-01T01:00:01+01:00", expect!["1000"]);
        check(
            "from",
            "20.11.2026",
            expect![[
                r#"from is "20.11.2026", but a day such as 2026-11-20 or a time such as 2026-11-20T06:00:00+01:00 is expected"#
            ]],
        );
        check(
            "from",
            "9999-01-01",
            expect![[
                r#"from is "9999-01-01", but a day such as 2026-11-20 or a time such as 2026-11-20T06:00:00+01:00 is expected"#
            ]],
        );
    }

    #[test]
    fn a_rate_is_per_cent_with_four_decimals() {
        check("rate", "20", expect!["200000"]);
        check("rate", "8.875", expect!["88750"]);
        check(
            "rate",
            "100.0001",
            expect![[
                r#"rate is "100.0001", but per cent from 0 to 100 such as 8.875 are expected"#
            ]],
        );
        check(
            "rate",
            "-5",
            expect![[r#"rate is "-5", but per cent from 0 to 100 such as 8.875 are expected"#]],
        );
        check(
            "rate",
            "5.00001",
            expect![[
                r#"rate is "5.00001", but per cent from 0 to 100 such as 8.875 are expected"#
            ]],
        );
    }

    #[test]
    fn grams_and_discounts_are_exact_or_are_refused() {
        check("fat", "", expect!["None"]);
        check("fat", "0.001", expect!["Some(1)"]);
        check("fat", "100.000", expect!["Some(100000)"]);
        for text in ["3.1255", "100.001", "-1", "1e1", ".5", "5.", "0x10", "\u{661}"] {
            assert!(Fields::new(&["fat"], vec![text]).unwrap().grams_mg("fat").is_err(), "{text}");
        }
        check("discount", "7.5", expect!["750"]);
        check(
            "discount",
            "100.01",
            expect![[
                r#"discount is "100.01", but per cent from 0 to 100 such as 7.5 are expected"#
            ]],
        );
    }

    #[test]
    fn a_number_stays_inside_its_range() {
        check("sku", " 7", expect!["7"]);
        check("sku", "+5", expect![[r#"sku is "+5", but a whole number from 1 to 9 is expected"#]]);
        check("sku", "10", expect![[r#"sku is "10", but a whole number from 1 to 9 is expected"#]]);
        check("active", "true", expect![[r#"active is "true", but "yes" or "no" is expected"#]]);
    }

    #[test]
    fn a_long_text_is_cut_short_in_its_refusal() {
        let long = "x".repeat(60_000);
        assert!(shown(&long).len() < 60);
    }
}
