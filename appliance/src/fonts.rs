//! The face of all screens, when this device has it
//!
//! Atkinson Hyperlegible Next, in two files by what they hold. A folder named in the settings goes before what this build
//! carries; with neither, the style sheets name the system's faces next.

use std::borrow::Cow;
use std::path::Path;

/// Each file of the face, and the characters that it holds.
const FACES: [(&str, &str); 2] = [
    (
        "latin.woff2",
        "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2190-2193, U+2212, U+2215, U+FEFF, U+FFFD",
    ),
    (
        "latin-ext.woff2",
        "U+0100-02BA, U+02BD-02C5, U+02C7-02CC, U+02CE-02D7, U+02DD-02FF, U+0304, U+0308, U+0329, U+1D00-1DBF, U+1E00-1E9F, U+1EF2-1EFF, U+2020, U+20A0-20AB, U+20AD-20C0, U+2113, U+2C60-2C7F, U+A720-A7FF",
    ),
];

/// The licence of the face, shown to whoever asks for it.
const LICENCE: &str = "LICENSE";

/// What this build carries: file names and bytes.
const EMBEDDED: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/fonts.rs"));

/// One file as it is served.
#[derive(Debug)]
pub struct FontFile {
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
}

/// The rules of a style sheet that name each file that is there; empty without any.
pub fn rules(folder: Option<&Path>) -> String {
    let there = FACES.iter().filter(|(name, _)| is_there(folder, name));
    let rule = |(name, range): &(&str, &str)| {
        format!(
            "@font-face {{ font-family: \"Atkinson Hyperlegible Next\"; src: url(/fonts/{name}) format(\"woff2\"); font-weight: 200 800; font-display: swap; unicode-range: {range}; }}\n"
        )
    };
    there.map(rule).collect()
}

/// One file by its name; `None` when this device does not have it.
pub fn file(folder: Option<&Path>, name: &str) -> Option<FontFile> {
    let known = FACES.iter().map(|face| face.0).chain([LICENCE]).find(|known| *known == name)?;
    let kind = if known == LICENCE { "text/plain; charset=utf-8" } else { "font/woff2" };
    let read = folder.and_then(|folder| std::fs::read(folder.join(known)).ok()).map(Cow::Owned);
    let bytes = read.or_else(|| embedded(known).map(Cow::Borrowed))?;
    Some(FontFile { kind, bytes })
}

fn is_there(folder: Option<&Path>, name: &str) -> bool {
    folder.is_some_and(|folder| folder.join(name).is_file()) || embedded(name).is_some()
}

fn embedded(name: &str) -> Option<&'static [u8]> {
    EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_before_the_build_and_only_known_names_are_read_from_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("latin.woff2"), b"face").unwrap();
        std::fs::write(folder.path().join("secret"), b"no").unwrap();
        let here = Some(folder.path());
        assert_eq!(&*file(here, "latin.woff2").unwrap().bytes, b"face");
        assert!(rules(here).contains("url(/fonts/latin.woff2)"));
        for name in ["secret", "../secret", ""] {
            assert!(file(here, name).is_none(), "{name}");
        }
    }

    #[test]
    fn what_this_build_carries_is_served_and_named_and_nothing_else() {
        for (name, _) in FACES {
            let carried = EMBEDDED.iter().any(|(known, _)| *known == name);
            assert_eq!(file(None, name).is_some(), carried, "{name}");
            assert_eq!(rules(None).contains(name), carried, "{name}");
        }
    }
}
