//! How safe the sales are, in stitches and a sentence
//!
//! Everything here follows from marks that others sent after their COMMIT. The
//! screen never guesses.

use chrono_tz::Tz;
use selvedge_sync::writer::WriterState;

use crate::amounts::{counted, moment};

/// How far one act of a device has travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stitch {
    /// Kept on this device only.
    Open,
    /// The back office has it too.
    Half,
    /// HQ has acknowledged it.
    Full,
}

impl Stitch {
    /// The class that draws it.
    pub fn class(&self) -> &'static str {
        match self {
            Stitch::Open => "open",
            Stitch::Half => "half",
            Stitch::Full => "full",
        }
    }
}

/// How far a stream of this device has travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks {
    /// The newest entry here.
    pub head: u64,
    /// What the parent has committed.
    pub parent_has: u64,
    /// What HQ has committed.
    pub hq_has: u64,
}

impl Marks {
    /// The stitch of an entry.
    pub fn stitch(&self, seq: u64) -> Stitch {
        if seq <= self.hq_has {
            Stitch::Full
        } else if seq <= self.parent_has {
            Stitch::Half
        } else {
            Stitch::Open
        }
    }
}

/// The selvedge as it is drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Band {
    /// Newest first.
    pub stitches: Vec<Stitch>,
    /// How many open ones do not fit.
    pub more: u64,
    /// What a screen reader says.
    pub words: String,
    /// Moves with each change.
    pub rev: String,
}

/// Draws the band of a device: `seqs` newest first, at most `fit` stitches.
pub fn band(seqs: &[u64], marks: Marks, fit: usize) -> Band {
    let stitch = |seq: &u64| marks.stitch(*seq);
    let open = kept_here(seqs, marks);
    // The number takes the place of the stitches that it counts.
    let room = if open as usize > fit { fit.saturating_sub(1) } else { fit };
    let stitches: Vec<Stitch> = seqs.iter().take(room).map(stitch).collect();
    let drawn = stitches.iter().filter(|stitch| **stitch == Stitch::Open).count() as u64;
    let words = format!(
        "{} kept here only, {} of the newest at head office",
        counted(open, "act", "acts"),
        stitches.iter().filter(|stitch| **stitch == Stitch::Full).count()
    );
    let newest = seqs.first().copied().unwrap_or(0);
    let rev = format!("{newest}.{}.{}", marks.parent_has, marks.hq_has);
    Band { stitches, more: open - drawn, words, rev }
}

/// How many acts neither the parent nor HQ has. Where the list ends before the
/// marks do, the entries beyond it are counted instead.
fn kept_here(seqs: &[u64], marks: Marks) -> u64 {
    let open = seqs.iter().filter(|seq| marks.stitch(**seq) == Stitch::Open).count();
    let oldest = seqs.last().copied().unwrap_or(0);
    if open < seqs.len() || seqs.len() < ACTS_READ / 2 {
        return open as u64;
    }
    open as u64 + (oldest - 1).saturating_sub(marks.parent_has.max(marks.hq_has))
}

/// How many entries are looked at for the band.
pub const ACTS_READ: usize = 200;

/// What the sentence is made of.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// A parent is set up.
    pub has_parent: bool,
    /// The parent is HQ itself: this is a back office.
    pub parent_is_hq: bool,
    /// Since when the line is away, if it is.
    pub away_since_ms: Option<i64>,
    /// Since when HQ has acknowledged nothing although something waits.
    pub behind_since_ms: Option<i64>,
    /// How many sales nobody else has.
    pub kept_here: u64,
    /// How many sales HQ has not acknowledged.
    pub not_at_hq: u64,
}

/// One sentence on the state of the world, or nothing when all is well.
pub fn sentence(line: &Line, now_ms: i64, zone: Tz) -> String {
    if !line.has_parent {
        return String::new();
    }
    if let Some(since) = line.away_since_ms {
        let since = moment(since, now_ms, zone);
        if line.parent_is_hq {
            return format!("Head office is out of reach since {since}. The store works on.");
        }
        return match line.kept_here {
            0 => format!("Working offline since {since}. Selling goes on."),
            kept => {
                format!(
                    "Working offline since {since}. {} kept here.",
                    counted(kept, "sale", "sales")
                )
            }
        };
    }
    match line.behind_since_ms {
        Some(since) if line.not_at_hq > 0 => format!(
            "Head office is out of reach since {}. {} safe in this store.",
            moment(since, now_ms, zone),
            counted_acts(line)
        ),
        _ => String::new(),
    }
}

/// Why nothing can be sold or booked on this device, as people are told; empty when it can. Each fits into the banner of a
/// panel of 1366 pixels.
pub fn stopped(state: WriterState) -> &'static str {
    match state {
        WriterState::Ready => "",
        WriterState::Returning => {
            "Earlier sales are still on their way here: it sells and books again when all have come."
        }
        WriterState::Stale => {
            "Set back to old data: it sells and books nothing until head office gives it a new number."
        }
        WriterState::Forked => {
            "Used on two machines: it sells and books nothing until head office gives it a new number."
        }
        WriterState::Over => {
            "Closed by head office: this device sells and books nothing until it is admitted again."
        }
    }
}

fn counted_acts(line: &Line) -> String {
    let (one, many) = if line.parent_is_hq { ("act", "acts") } else { ("sale", "sales") };
    counted(line.not_at_hq, one, many)
}

/// Counts the sales that the band and the sentence speak of.
pub fn counts(seqs: &[u64], marks: Marks) -> (u64, u64) {
    let at_hq = Marks { parent_has: marks.hq_has, ..marks };
    (kept_here(seqs, marks), kept_here(seqs, at_hq))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stitch::{Full, Half, Open};

    #[test]
    fn a_stitch_closes_when_head_office_has_acknowledged_it() {
        let marks = Marks { head: 5, parent_has: 4, hq_has: 2 };
        let drawn = band(&[5, 4, 3, 2, 1], marks, 52);
        assert_eq!(drawn.stitches, [Open, Half, Half, Full, Full]);
        assert_eq!(drawn.more, 0);
        assert_eq!(counts(&[5, 4, 3, 2, 1], marks), (1, 3));
    }

    #[test]
    fn a_number_stands_for_open_stitches_that_do_not_fit() {
        let seqs: Vec<u64> = (1..=75).rev().collect();
        let marks = Marks { head: 75, parent_has: 0, hq_has: 0 };
        let drawn = band(&seqs, marks, 52);
        assert_eq!((drawn.stitches.len(), drawn.more), (51, 24));
        let long: Vec<u64> = (1_801..=2_000).rev().collect();
        let marks = Marks { head: 2_000, parent_has: 0, hq_has: 0 };
        assert_eq!(band(&long, marks, 52).more, 1_949);
    }

    #[test]
    fn one_sentence_says_the_state_of_the_world() {
        let zone = Tz::UTC;
        let now = 1_700_000_000_000;
        let quiet = Line {
            has_parent: true,
            parent_is_hq: false,
            away_since_ms: None,
            behind_since_ms: None,
            kept_here: 0,
            not_at_hq: 0,
        };
        let since = Some(now - 40 * 60_000);
        let away = Line { away_since_ms: since, kept_here: 6, ..quiet };
        let behind = Line { behind_since_ms: since, not_at_hq: 1, ..quiet };
        let alone = Line { has_parent: false, ..away };
        let office = Line { parent_is_hq: true, ..away };
        let said = "Head office is out of reach since 21:33. The store works on.";
        assert_eq!(sentence(&office, now, zone), said);
        assert_eq!(sentence(&quiet, now, zone), "");
        assert_eq!(sentence(&alone, now, zone), "");
        assert_eq!(sentence(&away, now, zone), "Working offline since 21:33. 6 sales kept here.");
        let behind = sentence(&behind, now, zone);
        assert_eq!(behind, "Head office is out of reach since 21:33. 1 sale safe in this store.");
    }
}
