//! How far our entries are known to have come

use crate::{
    origin::{Origin, Stream},
    planted::{self, Fault},
    session::Key,
};
use std::collections::BTreeMap;

/// Entries known to be elsewhere, by origin and stream.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    seqs: BTreeMap<(&'static str, Key), u64>,
    /// The generation of HQ that has said what HQ has; 0 before any has.
    generation: u32,
    dirty: bool,
}

/// The parent has it.
pub const AT_PARENT: &str = "parent";
/// HQ has committed it.
pub const AT_HQ: &str = "hq";
/// HQ has it in its second copy too.
pub const KEPT_TWICE: &str = "twice";

/// Under this name the generation is kept, as if it were the seq of a mark.
const GENERATION: &str = "generation";
/// The place of that row.
const GENERATION_KEY: Key = (Stream::CHAIN, Origin::new(1).expect("1 is an origin"));

impl Marks {
    /// Reads what was known before the last stop.
    pub fn load(db: &rusqlite::Connection) -> rusqlite::Result<Marks> {
        let mut marks = Marks::default();
        let mut select = db.prepare("SELECT mark, stream, origin, seq FROM sync_mark")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let mark: String = row.get(0)?;
            let seq = row.get::<_, i64>(3)?.cast_unsigned();
            if mark == GENERATION {
                marks.generation = u32::try_from(seq).unwrap_or(0);
                continue;
            }
            let name = [AT_PARENT, AT_HQ, KEPT_TWICE].into_iter().find(|name| *name == mark);
            if let (Some(name), Some(stream), Some(origin)) =
                (name, Stream::from_number(row.get(1)?), Origin::new(row.get(2)?))
            {
                marks.seqs.insert((name, (stream, origin)), seq);
            }
        }
        Ok(marks)
    }

    /// The newest seq under a mark.
    pub fn seq(&self, mark: &'static str, key: Key) -> u64 {
        self.seqs.get(&(mark, key)).copied().unwrap_or(0)
    }

    /// Moves a mark forward; true when it moved.
    pub fn advance(&mut self, mark: &'static str, key: Key, seq: u64) -> bool {
        let known = self.seqs.entry((mark, key)).or_default();
        let moves = seq > *known;
        if moves {
            *known = seq;
            self.dirty = true;
        }
        moves
    }

    /// Takes back all that was known under a mark, in these streams or in all.
    pub fn clear(&mut self, mark: &'static str, streams: Option<&[Stream]>) {
        for ((of, key), seq) in &mut self.seqs {
            if *of == mark && *seq > 0 && streams.is_none_or(|among| among.contains(&key.0)) {
                *seq = 0;
                self.dirty = true;
            }
        }
    }

    /// The generation of HQ whose word the marks are: the origin under which it writes, 0 before any was heard.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether the word of this generation of HQ counts. That of a newer one takes back what an older one had
    /// committed: it may have been restored from an old copy. What is kept twice has outlived the older one.
    pub fn heed(&mut self, generation: Origin) -> bool {
        if generation.get() > self.generation {
            if !planted::is(Fault::OldMarksBelieved) {
                self.clear(AT_HQ, None);
            }
            self.generation = generation.get();
            self.dirty = true;
        }
        generation.get() == self.generation
    }

    /// What has to be kept, once after each change.
    pub fn take_dirty(&mut self) -> Option<Vec<(&'static str, Key, u64)>> {
        std::mem::take(&mut self.dirty).then(|| {
            let seqs = self.seqs.iter().map(|((mark, key), seq)| (*mark, *key, *seq));
            seqs.chain([(GENERATION, GENERATION_KEY, u64::from(self.generation))]).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        (Stream::store(1).unwrap(), Origin::new(7).unwrap())
    }

    fn generation(number: u32) -> Origin {
        Origin::new(number * 65_536 + 1).unwrap()
    }

    #[test]
    fn a_newer_generation_takes_back_what_the_older_had_committed_but_not_what_is_kept_twice() {
        let mut marks = Marks::default();
        assert!(marks.heed(generation(0)));
        marks.advance(AT_HQ, key(), 500);
        marks.advance(KEPT_TWICE, key(), 400);
        assert!(marks.heed(generation(1)));
        assert_eq!((marks.seq(AT_HQ, key()), marks.seq(KEPT_TWICE, key())), (0, 400));
        assert!(!marks.heed(generation(0)), "a late word of the older one");
        marks.advance(AT_HQ, key(), 300);
        assert_eq!(marks.seq(AT_HQ, key()), 300);
    }
}
