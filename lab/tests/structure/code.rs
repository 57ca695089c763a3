//! Reads Rust well enough to count and to search
//!
//! A real parser would be a dependency and a second opinion. These few rules are enough for what is asked: where comments
//! and texts end, where a function ends, and which lines are tests.

/// One function and where it stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    pub lines: usize,
}

/// The same text, line by line, with blanks for comments and for what stands inside quotes.
pub fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => end_of_line(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => end_of_comment(&chars, at),
            '"' => end_of_text(&chars, at),
            'r' if starts_raw(&chars, at) => end_of_raw(&chars, at),
            '\'' => end_of_char(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Bare text without anything that is compiled for tests only.
pub fn without_tests(bare: &str) -> String {
    let mut rest = bare.to_string();
    while let Some(start) = rest.find("#[cfg(test)]") {
        let end = start + item_end(&rest[start..]);
        let blank: String =
            rest[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        rest.replace_range(start..end, &blank);
    }
    rest
}

/// Every function with a body in a bare text.
pub fn functions(bare: &str) -> Vec<Function> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(hit) = bare[at..].find("fn ") {
        let start = at + hit;
        at = start + 3;
        let is_word =
            bare[..start].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let name: String =
            bare[at..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !is_word || name.is_empty() || !has_body(&bare[start..]) {
            continue;
        }
        let end = start + item_end(&bare[start..]);
        let lines = bare[start..end].matches('\n').count() + 1;
        found.push(Function { name, first_line: line_of(bare, start), lines });
    }
    found
}

/// The line on which a place in a text stands, counted from one.
pub fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every place where a word stands by itself, not as a part of a longer name.
pub fn word_places(text: &str, word: &str) -> Vec<usize> {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let whole = |at: &usize| {
        !is_part(text[..*at].chars().next_back())
            && !is_part(text[at + word.len()..].chars().next())
    };
    text.match_indices(word).map(|(at, _)| at).filter(whole).collect()
}

/// Where an item ends: behind its closing brace, or behind its semicolon when it has no body.
fn item_end(bare: &str) -> usize {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (at, c) in bare.char_indices() {
        match c {
            '(' | '[' => round += 1,
            ')' | ']' => round -= 1,
            '{' => curly += 1,
            '}' => {
                curly -= 1;
                if curly == 0 && round == 0 {
                    return at + 1;
                }
            }
            ';' if round == 0 && curly == 0 => return at + 1,
            _ => {}
        }
    }
    bare.len()
}

fn has_body(bare: &str) -> bool {
    bare[..item_end(bare)].ends_with('}')
}

fn end_of_line(chars: &[char], at: usize) -> usize {
    (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len())
}

fn end_of_comment(chars: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut i = at;
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => (depth, i) = (depth - 1, i + 2),
            _ => i += 1,
        }
        if depth == 0 {
            return i;
        }
    }
    chars.len()
}

fn end_of_text(chars: &[char], at: usize) -> usize {
    let mut i = at + 1;
    while i < chars.len() {
        match chars[i] {
            '\\' => i += 2,
            '"' => return i + 1,
            _ => i += 1,
        }
    }
    chars.len()
}

fn starts_raw(chars: &[char], at: usize) -> bool {
    let is_part = |c: &char| (c.is_alphanumeric() && *c != 'b') || *c == '_';
    let before = at.checked_sub(1).and_then(|i| chars.get(i));
    !before.is_some_and(is_part) && chars[at + 1..].iter().find(|c| **c != '#') == Some(&'"')
}

fn end_of_raw(chars: &[char], at: usize) -> usize {
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    let closes = |i: &usize| {
        chars[*i] == '"'
            && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    let first = at + hashes + 2;
    (first..chars.len()).find(closes).map_or(chars.len(), |i| i + 1 + hashes)
}

/// A quoted character. A lifetime is none, and ends where it starts.
fn end_of_char(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => {
            (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |i| i + 1)
        }
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

#[test]
fn comments_and_quotes_are_blank() {
    let text =
        "a // b\n\"c \\\" { d\" 'e' '\\'' '{' &'f str /* g /* h */ i */ r#\"j \" k\"# b\"l\" m";
    assert_eq!(bare(text).split_whitespace().collect::<Vec<_>>(), ["a", "&'f", "str", "b", "m"]);
    assert_eq!(bare(text).chars().count(), text.chars().count());
}

#[test]
fn a_name_that_ends_in_r_opens_no_raw_text() {
    assert_eq!(bare("for x in r { our#\"a\" }").trim_end(), "for x in r { our#    }");
}

#[test]
fn what_is_for_tests_only_is_left_out() {
    let text = "use a;\n#[cfg(test)]\nuse b;\nfn c() {}\n#[cfg(test)]\nmod tests {\n    fn d() {}\n}\nfn e() {}\n";
    let left = without_tests(text);
    assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), "use a; fn c() {} fn e() {}");
    assert_eq!(left.lines().count(), text.lines().count());
}

#[test]
fn functions_are_measured_from_their_first_line_to_their_brace() {
    let text = "fn one() {}\n\npub fn two<T>(a: [u8; 2]) -> T\nwhere\n    T: From<u8>,\n{\n    if a {\n    }\n}\ntrait T {\n    fn none(&self);\n}\ntype F = fn (u8);\n";
    let found: Vec<_> =
        functions(text).into_iter().map(|f| (f.name, f.first_line, f.lines)).collect();
    assert_eq!(found, [("one".into(), 1, 1), ("two".into(), 3, 7)]);
}

#[test]
fn a_word_stands_by_itself() {
    assert_eq!(word_places("unsafe unsafe_code not_unsafe (unsafe)", "unsafe"), [0, 31]);
}
