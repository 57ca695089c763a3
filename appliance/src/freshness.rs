//! How old a figure from elsewhere is, in words

use crate::amounts::age;

/// An age as it stands beside a figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freshness {
    /// "12 s ago"; past the limit "3 h ago, stale".
    pub words: String,
    /// Past the limit, or never heard.
    pub is_stale: bool,
}

impl Freshness {
    /// The class that draws it.
    pub fn class(&self) -> &'static str {
        if self.is_stale { "age stale" } else { "age" }
    }
}

/// The freshness of what was heard so long ago. Ages are added hop by hop; no clocks are compared.
pub fn of(heard_ms: Option<i64>, stale_after_ms: i64) -> Freshness {
    match heard_ms {
        None => Freshness { words: "not heard yet".to_owned(), is_stale: true },
        Some(ms) if ms > stale_after_ms => {
            Freshness { words: format!("{}, stale", age(ms)), is_stale: true }
        }
        Some(ms) => Freshness { words: age(ms), is_stale: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Proves IM-10.
    #[test]
    fn a_figure_past_its_limit_is_stale_in_word_and_colour() {
        let words = |heard| {
            let fresh = of(heard, 20_000);
            format!("{} [{}]", fresh.words, fresh.class())
        };
        assert_eq!(words(Some(20_000)), "20 s ago [age]");
        assert_eq!(words(Some(20_001)), "20 s ago, stale [age stale]");
        assert_eq!(words(None), "not heard yet [age stale]");
    }
}
