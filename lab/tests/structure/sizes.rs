//! Captions, file sizes and function sizes

use crate::code;
use lab::sources::Source;

/// A file that does not fit on a desk is two files.
const FILE_LINES_MAX: usize = 500;
/// A function that does not fit on a screen is two functions.
const FUNCTION_LINES_MAX: usize = 70;
/// A caption is read in the tree, beside its file's name.
const CAPTION_CHARS_MAX: usize = 60;

fn caption_faults(file: &Source) -> Vec<String> {
    let fault = |text: &str| vec![format!("{}: {text}", file.path)];
    let Some(caption) = file.text.lines().next().and_then(|line| line.strip_prefix("//! ")) else {
        return fault("the first line is no caption (`//! One plain sentence`)");
    };
    let inside = caption.strip_suffix('.').unwrap_or(caption);
    if caption.chars().count() >= CAPTION_CHARS_MAX {
        fault("the caption has 60 characters or more")
    } else if inside.trim().is_empty() || inside.contains(['.', ';']) {
        fault("the caption is not one sentence")
    } else {
        Vec::new()
    }
}

fn size_faults(file: &Source) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        faults.push(format!("{}: {lines} lines, {FILE_LINES_MAX} are allowed", file.path));
    }
    for function in code::functions(&code::bare(&file.text)) {
        if function.lines > FUNCTION_LINES_MAX {
            let place = format!("{}:{}", file.path, function.first_line);
            faults.push(format!(
                "{place}: fn {} has {} lines, {FUNCTION_LINES_MAX} are allowed",
                function.name, function.lines
            ));
        }
    }
    faults
}

#[test]
fn every_file_opens_with_one_plain_sentence() {
    crate::none(crate::rust().iter().flat_map(caption_faults).collect());
}

#[test]
fn files_and_functions_stay_small() {
    crate::none(crate::rust().iter().flat_map(size_faults).collect());
}

#[test]
fn a_bad_caption_is_caught() {
    let faults = |text: &str| caption_faults(&Source::new("a.rs", text)).len();
    assert_eq!(faults("//! One plain sentence\nuse a;\n"), 0);
    assert_eq!(faults("//! One plain sentence.\n"), 0);
    assert_eq!(faults("use a;\n"), 1);
    assert_eq!(faults("// One plain sentence\n"), 1);
    assert_eq!(faults("//! One. Two\n"), 1);
    assert_eq!(faults("//! One; two\n"), 1);
    assert_eq!(faults("//! \n"), 1);
    assert_eq!(faults(&format!("//! {}\n", "long ".repeat(12))), 1);
}

#[test]
fn a_long_file_and_a_long_function_are_caught() {
    let body = "    a();\n".repeat(69);
    let sample = format!(
        "//! Long\nfn fits() {{\n{}}}\nfn too_long() {{\n{body}}}\n",
        "    a();\n".repeat(68)
    );
    let faults = size_faults(&Source::new("a.rs", &sample));
    assert_eq!(faults, ["a.rs:72: fn too_long has 71 lines, 70 are allowed"]);
    let faults = size_faults(&Source::new("a.rs", &"use a;\n".repeat(501)));
    assert_eq!(faults, ["a.rs: 501 lines, 500 are allowed"]);
}
