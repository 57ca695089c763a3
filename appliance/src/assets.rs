//! Style sheet, scripts and icon, named by their hash
//!
//! A name with its hash may be kept by the browser for a year: other bytes
//! have another name.

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
    /// Path of the style sheet of a back office.
    pub office_style: String,
    /// Path of the script.
    pub script: String,
    /// Path of the script of the pad of digits: on the screens that have one.
    pub pad: String,
    /// Path of the icon.
    pub icon: String,
    /// Path of the kiosk's style sheet.
    pub kiosk_style: String,
    /// Path of the kiosk's script.
    pub kiosk_script: String,
    /// All of them.
    pub all: Vec<Asset>,
}

/// The files that this build carries.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    let (css, js) = ("text/css; charset=utf-8", "text/javascript; charset=utf-8");
    let style = asset("selvedge", "css", css, include_str!("../static/selvedge.css"));
    let office = asset("office", "css", css, include_str!("../static/office.css"));
    let script = asset("selvedge", "js", js, include_str!("../static/selvedge.js"));
    let pad = asset("pad", "js", js, include_str!("../static/pad.js"));
    let icon = asset("selvedge", "svg", "image/svg+xml", include_str!("../static/icon.svg"));
    let kiosk_style = asset("kiosk", "css", css, include_str!("../static/kiosk.css"));
    let kiosk_script = asset("kiosk", "js", js, include_str!("../static/kiosk.js"));
    Assets {
        style: style.path.clone(),
        office_style: office.path.clone(),
        script: script.path.clone(),
        pad: pad.path.clone(),
        icon: icon.path.clone(),
        kiosk_style: kiosk_style.path.clone(),
        kiosk_script: kiosk_script.path.clone(),
        all: vec![style, office, script, pad, icon, kiosk_style, kiosk_script],
    }
});

fn asset(name: &str, ending: &str, kind: &'static str, text: &'static str) -> Asset {
    Asset { path: format!("/static/{name}-{:016x}.{ending}", fingerprint(text)), kind, text }
}

/// FNV-1a: tells texts apart, protects nothing.
pub fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_hold_their_limits_and_page_nothing_foreign() {
        // The pad is a file of its own: the checkout has none, and needs the room to find while somebody types.
        let (script, pad) =
            (include_str!("../static/selvedge.js"), include_str!("../static/pad.js"));
        assert!(script.len() <= 6 * 1_024, "the script has {} bytes", script.len());
        assert!(pad.len() <= 1_024, "the script of the pad has {} bytes", pad.len());
        let kiosk = include_str!("../static/kiosk.js");
        assert!(kiosk.len() <= 3 * 1_024, "the kiosk's script has {} bytes", kiosk.len());
        for asset in &ASSETS.all {
            let foreign = asset.text.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("//cdn") && !foreign.contains("http"), "{}", asset.path);
        }
    }
}
