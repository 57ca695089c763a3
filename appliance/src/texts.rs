//! What screens say, in every language that has a file
//!
//! One Fluent file per language in `appliance/texts/`, embedded when the
//! program is built. Plural forms, the marks in numbers and the place of the
//! currency sign all stand in the file: a language is added by adding a file.

use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use selvedge_domain::money::{Currency, Money};

/// Each file's name without its ending, and its text.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/languages.rs"));

/// The language whose words stand in where another one lacks them.
pub const FALLBACK: &str = "en";

static LANGUAGES: LazyLock<Vec<Language>> =
    LazyLock::new(|| FILES.iter().map(|(code, text)| Language::read(code, text)).collect());

/// One language and everything it says.
pub struct Language {
    code: &'static str,
    name: String,
    direction: String,
    marks: Marks,
    bundle: FluentBundle<FluentResource>,
}

/// How a language writes numbers.
#[derive(Debug, Clone, Default)]
struct Marks {
    decimal: String,
    group: String,
}

/// What is filled into a sentence.
#[derive(Debug, Clone, Copy)]
pub enum Word<'a> {
    /// A whole number, which also chooses the plural form.
    Count(i64),
    /// Letters as they are.
    Text(&'a str),
}

impl From<i64> for Word<'_> {
    fn from(count: i64) -> Self {
        Word::Count(count)
    }
}

impl<'a> From<&'a str> for Word<'a> {
    fn from(text: &'a str) -> Self {
        Word::Text(text)
    }
}

impl<'a> From<&'a String> for Word<'a> {
    fn from(text: &'a String) -> Self {
        Word::Text(text)
    }
}

impl std::fmt::Debug for Language {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Language").field("code", &self.code).finish_non_exhaustive()
    }
}

/// All languages, by their codes.
pub fn languages() -> &'static [Language] {
    &LANGUAGES
}

/// The language of a code such as "de".
pub fn language(code: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.code == code)
}

/// The language that stands in for others.
pub fn fallback() -> &'static Language {
    language(FALLBACK).unwrap_or(&LANGUAGES[0])
}

impl Language {
    fn read(code: &'static str, text: &str) -> Language {
        // What cannot be read is left out; a test reads every file.
        let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(read, _)| read);
        let mut bundle = FluentBundle::new_concurrent(code.parse().into_iter().collect());
        bundle.add_resource_overriding(resource);
        let mut language = Language {
            code,
            name: String::new(),
            direction: String::new(),
            marks: Marks::default(),
            bundle,
        };
        language.name = language.own("language-name", None).unwrap_or_else(|| code.to_owned());
        language.direction = language.own("direction", None).unwrap_or_else(|| "ltr".to_owned());
        let mark = |key| language.own(key, None).unwrap_or_default();
        let marks = Marks { decimal: mark("number-decimal"), group: mark("number-group") };
        language.marks = marks.clone();
        // Where letters of both directions meet, what is filled in must not turn its neighbours.
        language.bundle.set_use_isolating(language.direction == "rtl");
        // A second function of the same name is the only thing that could be refused.
        let _ = language.bundle.add_function("NUMBER", move |given, _| match given.first() {
            Some(FluentValue::Number(number)) => {
                FluentValue::from(grouped(number.value as i64, 0, &marks))
            }
            other => other.cloned().unwrap_or(FluentValue::Error),
        });
        language
    }

    /// Its code, for `lang` on the page: "de".
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Its name in itself: "Deutsch".
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its lines begin, for `dir` on the page: "ltr" or "rtl".
    pub fn direction(&self) -> &str {
        &self.direction
    }

    /// A sentence without anything to fill in.
    pub fn say(&self, key: &str) -> String {
        self.tell(key, &[])
    }

    /// A sentence with what is filled in.
    pub fn tell(&self, key: &str, words: &[(&str, Word)]) -> String {
        let mut arguments = FluentArgs::new();
        for (name, word) in words {
            match word {
                Word::Count(count) => arguments.set(*name, *count),
                Word::Text(text) => arguments.set(*name, *text),
            }
        }
        self.own(key, Some(&arguments))
            .or_else(|| fallback().own(key, Some(&arguments)))
            .unwrap_or_else(|| key.to_owned())
    }

    /// `value` counts parts of 10 to the power of `decimals`: 12345 with two is "123.45".
    pub fn number(&self, value: i64, decimals: u32) -> String {
        grouped(value, decimals, &self.marks)
    }

    /// An amount as people read it: "€79.00", "79,00 €".
    pub fn money(&self, currency: Currency, money: Money) -> String {
        let amount = self.number(money.0, currency.digits());
        match currency.sign() {
            "" => self.tell(
                "money-code",
                &[("code", currency.code().into()), ("amount", (&amount).into())],
            ),
            sign => self.tell("money", &[("sign", sign.into()), ("amount", (&amount).into())]),
        }
    }

    fn own(&self, key: &str, arguments: Option<&FluentArgs>) -> Option<String> {
        let pattern = self.bundle.get_message(key)?.value()?;
        let mut faults = Vec::new();
        let text = self.bundle.format_pattern(pattern, arguments, &mut faults).into_owned();
        debug_assert!(faults.is_empty(), "{} {key}: {faults:?}", self.code);
        Some(text)
    }
}

fn grouped(value: i64, decimals: u32, marks: &Marks) -> String {
    let unit = 10_u64.pow(decimals);
    let whole = (value.unsigned_abs() / unit).to_string();
    let mut text = String::from(if value < 0 { "\u{2212}" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push_str(&marks.group);
        }
        text.push(digit);
    }
    if decimals > 0 {
        text.push_str(&marks.decimal);
        text.push_str(&format!(
            "{:0width$}",
            value.unsigned_abs() % unit,
            width = decimals as usize
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_writes_amounts_and_counts_its_own_way() {
        let (en, de) = (language("en").unwrap(), language("de").unwrap());
        assert_eq!(en.money(Currency::EUR, Money(123_450)), "€1,234.50");
        assert_eq!(de.money(Currency::EUR, Money(123_450)), "1.234,50\u{a0}€");
        let yen = Currency::parse("JPY").unwrap();
        assert_eq!(en.money(yen, Money(1_200)), "JPY\u{a0}1,200");
        assert_eq!(de.money(yen, Money(1_200)), "1.200\u{a0}JPY");
        assert_eq!(en.tell("stock-here", &[("count", 1_200.into())]), "1,200 here");
        assert_eq!(de.tell("stock-here", &[("count", 1_200.into())]), "1.200 hier");
        assert_eq!(en.number(-5, 2), "\u{2212}0.05");
    }

    #[test]
    fn a_word_that_no_language_knows_is_shown_as_its_key() {
        assert_eq!(language("de").unwrap().say("no-such-key"), "no-such-key");
        assert!(language("xx").is_none());
    }
}
