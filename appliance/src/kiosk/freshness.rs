//! How old the store's stock figures are, in words
//!
//! The balance of this device holds what the other devices of the store have
//! sold, as far as their entries have come through the back office. So its age
//! is the time since the back office was heard.

use crate::kiosk::sight::{KioskError, Scene};
use crate::texts::Language;
use selvedge_domain::catalogue;

/// An age beside a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// "as of 10 s ago", "may have changed: last heard 3 min ago".
    pub words: String,
    /// The figure may be wrong by now.
    pub is_stale: bool,
}

/// The age of what this device knows of its own store.
pub fn of(scene: &Scene) -> Result<Age, KioskError> {
    let limit = catalogue::stale_after_ms(scene.db, scene.sight.store)?;
    let heard = scene.sight.standing.borrow().parent_heard_ms;
    Ok(words(scene.t, scene.sight.has_parent, heard, limit))
}

fn words(t: &Language, has_parent: bool, heard_ms: Option<i64>, limit_ms: i64) -> Age {
    let told = |key, ms| t.tell(key, &[("ago", (&ago(t, ms)).into())]);
    match heard_ms {
        _ if !has_parent => Age { words: t.say("fresh-alone"), is_stale: false },
        None => Age { words: t.say("stale-unheard"), is_stale: true },
        Some(ms) if ms > limit_ms => Age { words: told("stale", ms), is_stale: true },
        Some(ms) => Age { words: told("fresh", ms), is_stale: false },
    }
}

fn ago(t: &Language, ms: i64) -> String {
    let seconds = ms.max(0) / 1_000;
    let (unit, count) = match seconds {
        0..=1 => ("now", 0),
        2..=119 => ("second", seconds),
        120..=7_199 => ("minute", seconds / 60),
        7_200..=172_799 => ("hour", seconds / 3_600),
        _ => ("day", seconds / 86_400),
    };
    t.tell("ago", &[("unit", unit.into()), ("count", count.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::language;

    // Proves TS-13, TS-14.
    #[test]
    fn a_figure_is_stale_past_the_limit_of_its_store_and_says_so() {
        let en = language("en").unwrap();
        let say = |heard, limit| words(en, true, heard, limit);
        let fresh = Age { words: "as of 10 s ago".to_owned(), is_stale: false };
        assert_eq!(say(Some(10_000), 20_000), fresh);
        assert_eq!(say(Some(20_000), 20_000).words, "as of 20 s ago");
        let stale = say(Some(180_000), 20_000);
        assert_eq!(stale.words, "may have changed: last heard 3 min ago");
        assert!(stale.is_stale);
        assert!(!say(Some(180_000), 600_000).is_stale, "the store says what is old");
        assert!(say(None, 20_000).is_stale, "never heard is not fresh");
        assert!(!words(en, false, None, 20_000).is_stale, "a device alone knows all there is");
    }

    #[test]
    fn ages_are_words_in_both_languages() {
        let (en, de) = (language("en").unwrap(), language("de").unwrap());
        let day = 86_400_000;
        assert_eq!((ago(en, 900).as_str(), ago(en, 3 * day).as_str()), ("just now", "3 days ago"));
        assert_eq!(
            words(de, true, Some(180_000), 1).words,
            "vielleicht überholt: zuletzt gehört vor 3 min"
        );
        assert_eq!(ago(de, 3 * day), "vor 3 Tagen");
    }
}
