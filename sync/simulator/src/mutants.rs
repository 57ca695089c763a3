//! Small changes to the engine's source, to be noticed
//!
//! Planted faults are breaks that somebody thought of. These are drawn by dice: an operator or a constant is turned, the
//! engine is built in a tree beside this one, its tests run and then some seeds. What nothing notices is written down for
//! a person to look at. The list goes on where it stopped.

use crate::dice::Dice;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What is turned into what.
const TURNS: [(&str, &str); 16] = [
    (" == ", " != "),
    (" != ", " == "),
    (" < ", " <= "),
    (" <= ", " < "),
    (" > ", " >= "),
    (" >= ", " > "),
    (" && ", " || "),
    (" || ", " && "),
    (" + 1", " + 2"),
    (" - 1", " - 0"),
    (".max(", ".min("),
    (".min(", ".max("),
    ("if !", "if "),
    ("true", "false"),
    ("false", "true"),
    (" |= ", " = "),
];

/// Nothing is turned in lines with these: what they hold cannot be noticed, or is there to notice.
const LEFT_ALONE: [&str; 7] = ["//", "#[", "assert", "expect(", "use ", "planted", "where"];

/// A test or a build that takes longer stands still, which is noticed too.
const SECONDS_MAX: &str = "900";

/// One small change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// In which file, from the root of the project.
    pub path: String,
    /// In which line, from 1.
    pub line: usize,
    /// The line as it is.
    pub before: String,
    /// The line as it becomes.
    pub after: String,
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mutant { path, line, before, after } = self;
        write!(f, "{path}:{line}: {} => {}", before.trim(), after.trim())
    }
}

/// What became of a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does not build, so it is none.
    NoProgram,
    /// A test noticed it.
    KilledByTests,
    /// A seed noticed it.
    KilledBySeeds,
    /// Nothing noticed it.
    Survived,
}

const FATES: [(Fate, &str); 4] = [
    (Fate::NoProgram, "no-program"),
    (Fate::KilledByTests, "killed-by-tests"),
    (Fate::KilledBySeeds, "killed-by-seeds"),
    (Fate::Survived, "survived"),
];

/// All small changes of a source, without its tests.
pub fn of_source(path: &str, text: &str) -> Vec<Mutant> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let mut mutants = Vec::new();
    for (line, number) in code.lines().zip(1..) {
        if LEFT_ALONE.iter().any(|word| line.contains(word)) {
            continue;
        }
        for (from, to) in TURNS {
            let is_whole = |at: usize| {
                let is_part =
                    |sign: Option<char>| sign.is_some_and(|s| s.is_alphanumeric() || s == '_');
                let begins_a_word = from.starts_with(char::is_alphabetic);
                let goes_on = is_part(line[at + from.len()..].chars().next());
                let came_before = begins_a_word && is_part(line[..at].chars().next_back());
                !goes_on && !came_before
            };
            let places = line
                .match_indices(from)
                .filter(|(at, _)| is_whole(*at) || from.ends_with([' ', '(', '!']));
            mutants.extend(places.map(|(at, _)| Mutant {
                path: path.to_owned(),
                line: number,
                before: line.to_owned(),
                after: format!("{}{to}{}", &line[..at], &line[at + from.len()..]),
            }));
        }
    }
    mutants
}

/// How many were tried, how many of them killed, and those that were not.
pub fn count(text: &str) -> (u64, u64, Vec<String>) {
    let (mut tried, mut killed, mut survivors) = (0, 0, Vec::new());
    for (word, mutant) in text.lines().filter_map(|line| line.split_once(' ')) {
        match FATES.iter().find(|fate| fate.1 == word).map(|fate| fate.0) {
            Some(Fate::KilledByTests | Fate::KilledBySeeds) => {
                (tried, killed) = (tried + 1, killed + 1)
            }
            Some(Fate::Survived) => {
                tried += 1;
                survivors.push(mutant.to_owned());
            }
            Some(Fate::NoProgram) | None => {}
        }
    }
    (tried, killed, survivors)
}

/// Tries so many further mutants of the engine, each in a tree in this folder, and says what the folder then holds.
pub fn go_on(folder: &Path, more: u64) -> Result<String, String> {
    let said = |cause: std::io::Error| format!("no mutant was tried: {cause}");
    fs::create_dir_all(folder).map_err(said)?;
    let folder = folder.canonicalize().map_err(said)?;
    let (tree, list) = (folder.join("tree"), folder.join("mutants.txt"));
    if !tree.exists() {
        let add = ["worktree", "add", "--detach"];
        let done = Command::new("git").args(add).arg(&tree).status().map_err(said)?;
        if !done.success() {
            return Err("git made no tree for the mutants: start this in a clone".to_owned());
        }
    }
    let mutants = all(&tree).map_err(said)?;
    let text = fs::read_to_string(&list).unwrap_or_default();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&list).map_err(said)?;
    // The dice are the same each time: what was tried is passed over.
    let mut dice = Dice::new(1).split("mutants");
    let mut drawn = Vec::new();
    let wanted = text.lines().count() + more as usize;
    while drawn.len() < wanted.min(mutants.len()) {
        let at = dice.below(mutants.len() as u64) as usize;
        if !drawn.contains(&at) {
            drawn.push(at);
        }
    }
    for at in drawn.into_iter().skip(text.lines().count()) {
        let fate = fate_of(&mutants[at], &tree, &folder).map_err(said)?;
        let word = FATES.iter().find(|known| known.0 == fate).map_or("", |known| known.1);
        println!("{word} {}", mutants[at]);
        writeln!(file, "{word} {}", mutants[at]).map_err(said)?;
    }
    let (tried, killed, survivors) = count(&fs::read_to_string(&list).map_err(said)?);
    Ok(format!("{killed} of {tried} mutants killed\n{}", survivors.join("\n")))
}

fn all(tree: &Path) -> std::io::Result<Vec<Mutant>> {
    let mut files: Vec<PathBuf> = fs::read_dir(tree.join("sync/src"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()?;
    files.sort();
    let mut mutants = Vec::new();
    for file in files {
        let name = format!("sync/src/{}", file.file_name().unwrap_or_default().to_string_lossy());
        mutants.extend(of_source(&name, &fs::read_to_string(&file)?));
    }
    Ok(mutants)
}

fn fate_of(mutant: &Mutant, tree: &Path, folder: &Path) -> std::io::Result<Fate> {
    let path = tree.join(&mutant.path);
    let text = fs::read_to_string(&path)?;
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| if number == mutant.line { mutant.after.as_str() } else { line });
    fs::write(&path, lines.collect::<Vec<_>>().join("\n") + "\n")?;
    let goes = |arguments: &str| {
        let command = Command::new("timeout")
            .args([SECONDS_MAX, "cargo"])
            .args(arguments.split(' '))
            .env("CARGO_TARGET_DIR", folder.join("target"))
            .current_dir(tree)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        command.map(|status| status.success())
    };
    let fate = if !goes("check --locked -p selvedge-sync")? {
        Fate::NoProgram
    } else if !goes("test --locked -p selvedge-sync")? {
        Fate::KilledByTests
    } else if !goes("run --locked -p selvedge-simulator -- --seeds 40")? {
        Fate::KilledBySeeds
    } else {
        Fate::Survived
    };
    fs::write(&path, text)?;
    Ok(fate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_and_constants_are_turned_and_comments_and_tests_are_not() {
        let text = "let a = b + 1 == c; // x == y\nlet a = b + 10;\nif !a && is_true {\n// 1 < 2\n#[cfg(test)]\nlet x = true;\n";
        let after: Vec<String> =
            of_source("sync/src/a.rs", text).into_iter().map(|mutant| mutant.after).collect();
        assert_eq!(after, ["if !a || is_true {", "if a && is_true {"], "{after:?}");
        let plain: Vec<String> =
            of_source("a", "a + 1 == c\n").into_iter().map(|mutant| mutant.after).collect();
        assert_eq!(plain, ["a + 1 != c", "a + 2 == c"]);
    }

    #[test]
    fn what_does_not_build_counts_for_nothing() {
        let text =
            "killed-by-tests a:1: x\nno-program b:2: y\nsurvived c:3: z\nkilled-by-seeds d:4: w\n";
        assert_eq!(count(text), (3, 2, vec!["c:3: z".to_owned()]));
    }
}
