//! Where a page is, with everything that it depends on
//!
//! The kiosk keeps no session. Language and letter size travel in the address,
//! so leaving an address leaves nothing behind.

use std::fmt;

use form_urlencoded::{Serializer, parse};

/// Where the kiosk begins, and where everything of a person ends.
pub const KIOSK: &str = "/kiosk";

/// The pairs that each link takes along.
const LOOK: [&str; 2] = ["lang", "larger"];

/// The longest value that is taken from an address, in letters.
const VALUE_CHARS_MAX: usize = 200;

/// A path of the kiosk and the pairs behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Address {
    /// What was asked for: a path with `/kiosk` before it, and its query.
    pub fn new(path: &str, query: &str) -> Address {
        let short = |text: &str| text.chars().take(VALUE_CHARS_MAX).collect();
        let pairs = parse(query.as_bytes()).take(16);
        Address {
            path: path.to_owned(),
            pairs: pairs.map(|(name, value)| (short(&name), short(&value))).collect(),
        }
    }

    /// The address in a text, if it is a page of the kiosk and of nobody else.
    pub fn own(text: &str) -> Option<Address> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let plain = |letter: u8| letter.is_ascii_alphanumeric() || b"/-".contains(&letter);
        let below = path.strip_prefix(KIOSK)?;
        let is_own = (below.is_empty() || below.starts_with('/')) && !path.contains("//");
        (is_own && path.bytes().all(plain)).then(|| Address::new(path, query))
    }

    /// What stands behind a name, or nothing.
    pub fn get(&self, name: &str) -> &str {
        let found = self.pairs.iter().find(|pair| pair.0 == name);
        found.map_or("", |pair| pair.1.as_str())
    }

    /// The same page with one pair changed; an empty value takes it away.
    pub fn with(&self, name: &str, value: &str) -> Address {
        let mut address = self.clone();
        address.pairs.retain(|pair| pair.0 != name);
        if !value.is_empty() {
            address.pairs.push((name.to_owned(), value.to_owned()));
        }
        address
    }

    /// Another page with the same pairs.
    pub fn moved(&self, path: &str) -> Address {
        Address { path: path.to_owned(), pairs: self.pairs.clone() }
    }

    /// Another page that only looks the same.
    pub fn to(&self, path: &str) -> Address {
        let mut address = self.moved(path);
        address.pairs.retain(|pair| LOOK.contains(&pair.0.as_str()));
        address
    }

    /// The pairs that a form must carry to look the same, as hidden fields.
    pub fn look(&self) -> Vec<(String, String)> {
        self.to("").pairs
    }
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.path)?;
        if self.pairs.is_empty() {
            return Ok(());
        }
        let pairs = self.pairs.iter().map(|pair| (&pair.0, &pair.1));
        write!(out, "?{}", Serializer::new(String::new()).extend_pairs(pairs).finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_takes_the_look_along_and_nothing_else() {
        let here = Address::new("/kiosk/browse", "lang=de&department=Tea+%26+coffee&page=2");
        assert_eq!(here.get("department"), "Tea & coffee");
        assert_eq!(here.to("/kiosk/p/7").to_string(), "/kiosk/p/7?lang=de");
        let next = here.with("page", "3").to_string();
        assert_eq!(next, "/kiosk/browse?lang=de&department=Tea+%26+coffee&page=3");
        assert_eq!(here.with("lang", "").to(KIOSK).to_string(), "/kiosk");
    }

    #[test]
    fn the_way_back_leads_nowhere_else() {
        for own in ["/kiosk", "/kiosk/p/7?lang=de", "/kiosk/browse?department=a%2F%2Fb"] {
            assert_eq!(Address::own(own).unwrap().to_string(), own);
        }
        for foreign in [
            "",
            "/",
            "/checkout",
            "/kiosks",
            "//evil.test/kiosk",
            "/kiosk//evil.test",
            "/kiosk/../signon",
            "https://evil.test/kiosk",
            "/kiosk/\\evil",
            "javascript:alert(1)",
        ] {
            assert_eq!(Address::own(foreign), None, "{foreign}");
        }
    }
}
