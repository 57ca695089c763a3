//! What the tree as a whole must not hold

use crate::code;
use lab::sources::{self, Source};
use std::process::Command;

/// How the folders of one machine begin. A file that names one works nowhere else.
const MACHINE_PATHS: [&str; 3] = ["/home/", "/root/", "/Users/"];

fn machine_path_faults(file: &Source) -> Vec<String> {
    let places = MACHINE_PATHS.iter().flat_map(|path| file.text.match_indices(path));
    places
        .map(|(at, path)| format!("{}:{}: {path}", file.path, code::line_of(&file.text, at)))
        .collect()
}

fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok()
}

/// The files under version control. None where this is no clone or git is missing, as in an unpacked archive.
fn versioned() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(crate::root()).output();
    let names = listed.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&names)
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

#[test]
fn no_file_names_a_folder_of_one_machine() {
    let files =
        sources::files(crate::root(), &[".rs", ".md", ".toml", ".sql", ".html", "Makefile"]);
    let files = files.expect("the tree can be read").into_iter();
    let others = files.filter(|file| file.path != "lab/tests/structure/tree.rs");
    crate::none(others.flat_map(|file| machine_path_faults(&file)).collect());
}

#[test]
fn every_file_is_text() {
    let is_bad =
        |name: &String| std::fs::read(crate::root().join(name)).is_ok_and(|bytes| !is_text(&bytes));
    crate::none(
        versioned().into_iter().filter(is_bad).map(|name| format!("{name} is no text")).collect(),
    );
}

#[test]
fn a_folder_of_one_machine_is_caught() {
    let faults = |text: &str| machine_path_faults(&Source::new("a.md", text)).len();
    assert_eq!(faults("see /home/anna/notes\n"), 1);
    assert_eq!(faults("see /etc/selvedge and $HOME\n"), 0);
}

#[test]
fn a_picture_is_no_text() {
    assert!(is_text("naïve\n".as_bytes()));
    assert!(!is_text(b"\x89PNG\r\n"));
    assert!(!is_text(b"a\0b"));
}
