//! Every sentence in every language, and none that nobody says

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{
    CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement,
};
use fluent_syntax::parser;

/// How keys of the texts begin. A quoted word that begins so is a key, wherever it stands.
const PREFIXES: [&str; 5] = ["kiosk-", "food-", "stock-", "keyboard-", "number-"];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(folder: &Path, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            found.extend(files(&path, endings));
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Each key of a language with the names of what is filled in.
fn keys(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let read = parser::parse(text).unwrap_or_else(|(_, faults)| panic!("{faults:?}"));
    let mut found = BTreeMap::new();
    for entry in read.body {
        let Entry::Message(message) = entry else { continue };
        let mut names = BTreeSet::new();
        message.value.iter().for_each(|pattern| names_in(pattern, &mut names));
        let twice = found.insert(message.id.name.to_owned(), names);
        assert!(twice.is_none(), "{} stands there twice", message.id.name);
    }
    found
}

fn names_in(pattern: &Pattern<&str>, names: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            match expression {
                Expression::Inline(inline) => names_of(inline, names),
                Expression::Select { selector, variants } => {
                    names_of(selector, names);
                    variants.iter().for_each(|variant| names_in(&variant.value, names));
                }
            }
        }
    }
}

fn names_of(inline: &InlineExpression<&str>, names: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => drop(names.insert(id.name.to_owned())),
        InlineExpression::FunctionReference { arguments, .. } => {
            let CallArguments { positional, .. } = arguments;
            positional.iter().for_each(|argument| names_of(argument, names));
        }
        InlineExpression::Placeable { expression } => {
            if let Expression::Inline(inner) = expression.as_ref() {
                names_of(inner, names);
            }
        }
        _ => {}
    }
}

fn languages() -> BTreeMap<String, BTreeMap<String, BTreeSet<String>>> {
    let read = files(&folder("texts"), &[".ftl"]);
    read.into_iter().map(|(name, text)| (name, keys(&text))).collect()
}

/// Every quoted word of the sources and templates.
fn quoted() -> BTreeSet<String> {
    let mut texts = files(&folder("src"), &[".rs"]);
    texts.extend(files(&folder("templates/kiosk"), &[".html"]));
    let words = texts.iter().flat_map(|(_, text)| text.split('"'));
    words.map(str::to_owned).collect()
}

// Proves TS-09.
#[test]
fn every_language_says_everything_and_fills_in_the_same() {
    let languages = languages();
    assert!(languages.len() >= 2, "{:?}", languages.keys());
    let (first, all) = languages.first_key_value().unwrap();
    for (name, keys) in &languages {
        let missing: Vec<_> = all.keys().filter(|key| !keys.contains_key(*key)).collect();
        let extra: Vec<_> = keys.keys().filter(|key| !all.contains_key(*key)).collect();
        assert!(
            missing.is_empty() && extra.is_empty(),
            "{name} beside {first}: lacks {missing:?}, has more {extra:?}"
        );
        for (key, names) in keys {
            assert_eq!(names, &all[key], "{name}: {key}");
        }
    }
}

#[test]
fn every_sentence_is_said_and_every_key_is_known() {
    let (languages, quoted) = (languages(), quoted());
    let keys = languages.first_key_value().unwrap().1;
    let silent: Vec<_> = keys.keys().filter(|key| !quoted.contains(*key)).collect();
    assert!(silent.is_empty(), "nobody says {silent:?}");
    let is_key = |word: &&String| {
        PREFIXES.iter().any(|prefix| word.starts_with(prefix) && word.len() > prefix.len())
            && word.bytes().all(|letter| letter.is_ascii_lowercase() || letter == b'-')
    };
    let unknown: Vec<_> =
        quoted.iter().filter(is_key).filter(|word| !keys.contains_key(*word)).collect();
    assert!(unknown.is_empty(), "no language has {unknown:?}");
}
