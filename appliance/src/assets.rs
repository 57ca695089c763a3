//! Style sheet, script and icon, named by their hash
//!
//! A name with its hash may be kept by the browser for a year: other bytes
//! have another name. Fonts are no part of the program; they are served from
//! a folder when the settings name one.

use std::sync::LazyLock;

/// One embedded file.
#[derive(Debug)]
pub struct Asset {
    /// Its path with the hash in it.
    pub path: String,
    /// Its media type.
    pub kind: &'static str,
    /// Its bytes.
    pub text: &'static str,
}

/// The embedded files by their use.
#[derive(Debug)]
pub struct Assets {
    /// Path of the style sheet.
    pub style: String,
    /// Path of the script.
    pub script: String,
    /// Path of the icon.
    pub icon: String,
    /// All of them.
    pub all: [Asset; 3],
}

/// The files that this build carries.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let style = asset("css", "text/css; charset=utf-8", include_str!("../static/selvedge.css"));
    let script =
        asset("js", "text/javascript; charset=utf-8", include_str!("../static/selvedge.js"));
    let icon = asset("svg", "image/svg+xml", include_str!("../static/icon.svg"));
    Assets {
        style: style.path.clone(),
        script: script.path.clone(),
        icon: icon.path.clone(),
        all: [style, script, icon],
    }
});

fn asset(ending: &str, kind: &'static str, text: &'static str) -> Asset {
    Asset { path: format!("/static/selvedge-{:016x}.{ending}", fingerprint(text)), kind, text }
}

/// FNV-1a: tells texts apart, protects nothing.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Names of the font files that a folder may hold, and what they are for.
pub const FONTS: [(&str, &str); 2] = [
    (
        "latin.woff2",
        "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+2000-206F, U+20AC, U+2122, U+2190-2193, U+2212, U+2215, U+FEFF, U+FFFD",
    ),
    (
        "latin-ext.woff2",
        "U+0100-02BA, U+02BD-02C5, U+02C7-02CC, U+02CE-02D7, U+02DD-02FF, U+0304, U+0308, U+0329, U+1D00-1DBF, U+1E00-1E9F, U+1EF2-1EFF, U+2020, U+20A0-20AB, U+20AD-20C0, U+2113, U+2C60-2C7F, U+A720-A7FF",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_holds_its_limit_and_pages_nothing_foreign() {
        let script = include_str!("../static/selvedge.js");
        assert!(script.len() <= 6 * 1_024, "the script has {} bytes", script.len());
        for asset in &ASSETS.all {
            let foreign = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("//cdn") && !foreign.contains("http"), "{}", asset.path);
        }
    }
}
