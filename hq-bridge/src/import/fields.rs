//! The columns of a row, and how their text becomes a value
//!
//! Every function takes text from outside and either gives a value inside its bounds or a sentence that names the
//! column and shows what stood there.

/// The longest name that a row may bring. A receipt prints 48 letters of it.
pub const NAME_CHARS_MAX: usize = 200;

/// The largest price: 10 million in the currency's main unit. A typing mistake stops here, not at the checkout.
pub const PRICE_MINOR_MAX: i64 = 1_000_000_000;

/// The largest quantity of one row.
pub const QUANTITY_MAX: i64 = 1_000_000_000;

/// The columns of one row, already known to be as many as the header has.
pub struct Fields<'a> {
    header: &'static [&'static str],
    texts: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// Pairs the texts of a row with the header.
    pub fn new(header: &'static [&'static str], texts: Vec<&'a str>) -> Result<Fields<'a>, String> {
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

    /// An amount of money in minor units, written with at most two decimals and a point.
    pub fn price(&self, column: &str) -> Result<i64, String> {
        let text = self.text(column);
        minor_units(text).map_err(|why| format!("{column} is {}, {why}", shown(text)))
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

/// A text as it is shown in a refusal: quoted, escaped, and cut short.
pub fn shown(text: &str) -> String {
    let mut letters: String = text.chars().take(40).collect();
    if letters.len() < text.len() {
        letters.push_str("...");
    }
    format!("{letters:?}")
}

/// Minor units of an amount with at most two decimals.
fn minor_units(text: &str) -> Result<i64, String> {
    const HOW: &str = "but a price such as 12.99 is expected";
    if text
        .strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
    {
        return Err("but a price is never negative".to_string());
    }
    let (major, minor) = text.split_once('.').unwrap_or((text, "00"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return Err(HOW.to_string());
    }
    // "1.50" and "1.500" are the same price; "1.505" would need half a penny.
    let minor = minor.trim_end_matches('0');
    if minor.len() > 2 {
        return Err("but a price has no parts of a penny".to_string());
    }
    let too_large = || format!("but a price is at most {}.00", PRICE_MINOR_MAX / 100);
    let whole: i64 = major.parse().map_err(|_| too_large())?;
    let part: i64 = format!("{minor:0<2}").parse().map_err(|_| HOW.to_string())?;
    let amount =
        whole.checked_mul(100).and_then(|minor| minor.checked_add(part)).ok_or_else(too_large)?;
    if amount > PRICE_MINOR_MAX { Err(too_large()) } else { Ok(amount) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(price: &str, expected: Expect) {
        let fields = Fields::new(&["price"], vec![price]).unwrap();
        expected.assert_eq(&match fields.price("price") {
            Ok(minor) => minor.to_string(),
            Err(why) => why,
        });
    }

    #[test]
    fn a_price_is_whole_minor_units_or_is_refused() {
        check("12.99", expect!["1299"]);
        check("12", expect!["1200"]);
        check(" 0.5 ", expect!["50"]);
        check("1.500", expect!["150"]);
        check("1.505", expect![[r#"price is "1.505", but a price has no parts of a penny"#]]);
        check("-3.00", expect![[r#"price is "-3.00", but a price is never negative"#]]);
        check("1e308", expect![[r#"price is "1e308", but a price such as 12.99 is expected"#]]);
        check("NaN", expect![[r#"price is "NaN", but a price such as 12.99 is expected"#]]);
        check("", expect![[r#"price is "", but a price such as 12.99 is expected"#]]);
        check("12,99", expect![[r#"price is "12,99", but a price such as 12.99 is expected"#]]);
        check(
            "99999999999999999999",
            expect![[r#"price is "99999999999999999999", but a price is at most 10000000.00"#]],
        );
        check(
            "10000000.01",
            expect![[r#"price is "10000000.01", but a price is at most 10000000.00"#]],
        );
    }

    #[test]
    fn a_number_stays_inside_its_range() {
        let fields = Fields::new(&["sku"], vec!["+5"]).unwrap();
        expect![[r#"sku is "+5", but a whole number from 1 to 9 is expected"#]]
            .assert_eq(&fields.number("sku", 1, 9).unwrap_err());
        assert_eq!(Fields::new(&["sku"], vec![" 7"]).unwrap().number("sku", 1, 9), Ok(7));
    }

    #[test]
    fn a_long_text_is_cut_short_in_its_refusal() {
        let long = "x".repeat(60_000);
        assert!(shown(&long).len() < 60);
    }

    #[test]
    fn too_few_columns_are_counted() {
        let why = Fields::new(&["sku", "price"], vec!["1"]).err().unwrap();
        expect!["1 columns were found, but 2 are expected"].assert_eq(&why);
    }
}
