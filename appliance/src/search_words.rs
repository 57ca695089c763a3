//! What somebody typed, as a question to the index

/// Words that are looked for; what is typed beyond them is not.
const WORDS_MAX: usize = 8;

/// Letters of one word that are looked at: no word of a catalogue is longer.
const LETTERS_MAX: usize = 40;

/// The question that finds what holds words beginning with those typed.
///
/// Each word is quoted, so nothing that a person types is ever read as a sign
/// of the query language. `None` when no letter and no digit was typed.
pub fn question(text: &str) -> Option<String> {
    let mut asked = String::new();
    for word in words(text).take(WORDS_MAX) {
        if !asked.is_empty() {
            asked.push(' ');
        }
        asked.push('"');
        asked.extend(word.chars().filter(|sign| *sign != '"').take(LETTERS_MAX));
        asked.push_str("\"*");
    }
    (!asked.is_empty()).then_some(asked)
}

/// The words that hold at least one letter or digit. What stands inside a word
/// ("t-shirt", "o'neill") stays there: the index cuts it as it cut the names.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|sign: char| sign.is_whitespace() || sign.is_control() || sign == '"');
    parts.filter(|word| word.chars().take(LETTERS_MAX).any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_quoted_and_may_go_on() {
        assert_eq!(question("merino cr").as_deref(), Some("\"merino\"* \"cr\"*"));
        assert_eq!(question("T-shirt").as_deref(), Some("\"T-shirt\"*"));
        assert_eq!(question("a OR b*").as_deref(), Some("\"a\"* \"OR\"* \"b*\"*"));
    }

    #[test]
    fn no_quote_of_a_person_ends_ours() {
        assert_eq!(
            question("a\"b\" NEAR(\"c\"").as_deref(),
            Some("\"a\"* \"b\"* \"NEAR(\"* \"c\"*")
        );
        assert_eq!(question("\" * - ^ \0 \u{1} ()"), None);
        assert_eq!(question("a\0b").as_deref(), Some("\"a\"* \"b\"*"));
    }

    #[test]
    fn a_book_is_no_longer_question_than_a_sentence() {
        let book = "word ".repeat(10_000);
        assert_eq!(question(&book).map(|asked| asked.len()), Some(8 * 8 - 1));
        let word = "x".repeat(10_000);
        assert_eq!(question(&word).map(|asked| asked.len()), Some(LETTERS_MAX + 3));
    }
}
