//! Imports point down, so nothing runs in a circle
//!
//! The order of the `pub mod` lines in lib.rs is the order of the floors: a file uses only what stands above it in that
//! list. Below a parent file the same holds for its children, and a child never uses its parent. No circle fits in there.

use crate::code;
use lab::sources::{Package, Source};
use std::collections::BTreeMap;

/// Modules of one parent, in reading order. The parent of the floors is the empty name.
type Floors = BTreeMap<String, Vec<String>>;

/// One package's own sources, by module path: `screens::checkout`, and nothing for lib.rs.
struct Rooms<'a> {
    files: Vec<(String, &'a Source)>,
    floors: Floors,
}

impl Rooms<'_> {
    fn of<'a>(package: &Package, files: &'a [Source]) -> Rooms<'a> {
        let folder = format!("{}/src/", package.folder);
        let inside = files.iter().filter_map(|file| Some((file.path.strip_prefix(&folder)?, file)));
        let files: Vec<_> = inside
            .filter(|(path, _)| !path.starts_with("main.rs") && !path.starts_with("bin/"))
            .map(|(path, file)| (module_path(path), file))
            .collect();
        let floors =
            files.iter().map(|(module, file)| (module.clone(), declared(&file.text))).collect();
        Rooms { files, floors }
    }

    fn height(&self, parent: &str, child: &str) -> Option<usize> {
        self.floors.get(parent)?.iter().position(|name| name == child)
    }

    /// Why one use is wrong, when it is.
    fn fault(&self, user: &str, used: &[String]) -> Option<String> {
        let mut parent = String::new();
        for (depth, step) in user.split("::").enumerate() {
            let Some(other) = used.get(depth) else {
                return Some("a child uses its parent".into());
            };
            if step != other {
                return match (self.height(&parent, step), self.height(&parent, other)) {
                    (Some(own), Some(theirs)) if theirs < own => None,
                    (Some(_), Some(_)) => Some(format!("`{other}` stands above `{step}`")),
                    _ if parent.is_empty() => Some(format!("`{other}` is no module of lib.rs")),
                    _ => Some("a child uses its parent".into()),
                };
            }
            parent = if parent.is_empty() { step.into() } else { format!("{parent}::{step}") };
        }
        None
    }
}

fn module_path(path: &str) -> String {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    if path == "lib" { String::new() } else { path.replace('/', "::") }
}

/// The child modules that a file declares, in their order.
fn declared(text: &str) -> Vec<String> {
    let lines = code::without_tests(&code::bare(text));
    let name = |line: &str| {
        let line = line.trim().strip_suffix(';')?;
        let line = line.strip_prefix("pub ").or(line.strip_prefix("pub(crate) ")).unwrap_or(line);
        line.strip_prefix("mod ").map(String::from)
    };
    lines.lines().filter_map(name).collect()
}

/// Every path that starts at `crate::`, groups taken apart, with its line.
fn uses(bare: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for at in code::word_places(bare, "crate") {
        if let Some(rest) = bare[at..].strip_prefix("crate::") {
            let line = code::line_of(bare, at);
            found.extend(paths(rest).into_iter().map(|path| (line, path)));
        }
    }
    found
}

/// The paths behind `crate::`, as lists of their steps.
fn paths(rest: &str) -> Vec<Vec<String>> {
    if let Some(group) = rest.strip_prefix('{') {
        return members(group).iter().flat_map(|member| paths(member.trim())).collect();
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return Vec::new();
    }
    match rest[name.len()..].strip_prefix("::") {
        Some(deeper) => {
            let tails = paths(deeper);
            if tails.is_empty() {
                return vec![vec![name]];
            }
            tails.into_iter().map(|tail| [vec![name.clone()], tail].concat()).collect()
        }
        None => vec![vec![name]],
    }
}

/// The members of a group up to its closing brace, split at the commas of its own depth.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&group[start..at]);
                return found;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

fn import_faults(package: &Package, files: &[Source]) -> Vec<String> {
    let rooms = Rooms::of(package, files);
    let mut faults = Vec::new();
    for (module, file) in rooms.files.iter().filter(|(module, _)| !module.is_empty()) {
        let bare = code::without_tests(&code::bare(&file.text));
        for (line, used) in uses(&bare) {
            if let Some(why) = rooms.fault(module, &used) {
                faults.push(format!("{}:{line}: crate::{}: {why}", file.path, used.join("::")));
            }
        }
        for at in code::word_places(&bare, "super") {
            faults.push(format!(
                "{}:{}: super:: across files",
                file.path,
                code::line_of(&bare, at)
            ));
        }
    }
    faults
}

/// lib.rs holds a first sentence and the list of rooms.
fn lib_faults(file: &Source) -> Vec<String> {
    let is_fine = |line: &str| {
        let mod_line = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
        let is_mod =
            mod_line.is_some_and(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        line.is_empty() || line.starts_with("//") || line.starts_with("#[cfg(") || is_mod
    };
    let lines = file.text.lines().zip(1..);
    lines
        .filter(|(line, _)| !is_fine(line))
        .map(|(line, no)| format!("{}:{no}: `{line}` is no `pub mod` line", file.path))
        .collect()
}

#[test]
fn every_import_points_down() {
    let files = crate::rust();
    crate::none(crate::all_packages().iter().flat_map(|p| import_faults(p, &files)).collect());
}

#[test]
fn every_lib_is_a_list_of_rooms() {
    let files = crate::rust();
    let libs = files.iter().filter(|file| file.path.ends_with("src/lib.rs"));
    crate::none(libs.flat_map(lib_faults).collect());
}

#[cfg(test)]
fn faults_of(files: &[(&str, &str)]) -> Vec<String> {
    let package = Package::parse("a", "[package]\nname = \"a\"\n").expect("a package");
    let files: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    import_faults(&package, &files)
}

#[test]
fn an_upward_import_is_caught() {
    let lib = ("a/src/lib.rs", "//! A\n\npub mod low;\npub mod high;\n");
    let down = (
        "a/src/high.rs",
        "use crate::low::Low;\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n",
    );
    assert!(faults_of(&[lib, down, ("a/src/low.rs", "use std::fmt;\n")]).is_empty());
    let up = ("a/src/low.rs", "use std::fmt;\nuse crate::{high::{High, Higher}};\n");
    let faults = faults_of(&[lib, down, up]);
    assert_eq!(faults.len(), 2);
    assert_eq!(faults[0], "a/src/low.rs:2: crate::high::High: `high` stands above `low`");
    let inline = ("a/src/low.rs", "fn f() {\n    crate::high::f()\n}\n");
    assert_eq!(
        faults_of(&[lib, down, inline]),
        ["a/src/low.rs:2: crate::high::f: `high` stands above `low`"]
    );
}

#[test]
fn a_child_that_uses_its_parent_is_caught() {
    let lib = ("a/src/lib.rs", "pub mod page;\npub mod screens;\n");
    let page = ("a/src/page.rs", "");
    let parent =
        ("a/src/screens.rs", "pub mod one;\npub mod two;\nuse crate::screens::one::One;\n");
    let one = ("a/src/screens/one.rs", "use crate::page::Page;\n");
    let two = ("a/src/screens/two.rs", "use crate::screens::one::One;\n");
    assert!(faults_of(&[lib, page, parent, one, two]).is_empty());
    let bad = ("a/src/screens/one.rs", "use crate::screens::Screen;\n");
    assert_eq!(faults_of(&[lib, page, parent, bad, two]).len(), 1);
    let bad = ("a/src/screens/one.rs", "use crate::screens::two::Two;\n");
    assert_eq!(faults_of(&[lib, page, parent, bad, two]).len(), 1);
    let bad = ("a/src/screens/one.rs", "use super::Screen;\n");
    assert_eq!(
        faults_of(&[lib, page, parent, bad, two]),
        ["a/src/screens/one.rs:1: super:: across files"]
    );
}

#[test]
fn an_import_through_lib_is_caught() {
    let lib = ("a/src/lib.rs", "pub mod low;\n");
    let faults = faults_of(&[lib, ("a/src/low.rs", "use crate::Thing;\n")]);
    assert_eq!(faults, ["a/src/low.rs:1: crate::Thing: `Thing` is no module of lib.rs"]);
}

#[test]
fn a_lib_that_defines_something_is_caught() {
    let faults = |text: &str| lib_faults(&Source::new("a/src/lib.rs", text)).len();
    assert_eq!(faults("//! A\n\n// Values.\npub mod low;\n"), 0);
    assert_eq!(faults("pub use low::Low;\n"), 1);
    assert_eq!(faults("mod low;\n"), 1);
    assert_eq!(faults("pub fn f() {}\n"), 1);
}
