//! How far our entries are known to have come

use crate::{
    origin::{Origin, Stream},
    session::Key,
};
use std::collections::BTreeMap;

/// Entries known to be elsewhere, by origin and stream.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    seqs: BTreeMap<(&'static str, Key), u64>,
    dirty: bool,
}

/// The parent has it.
pub const AT_PARENT: &str = "parent";
/// HQ has committed it.
pub const AT_HQ: &str = "hq";
/// HQ has it in its second copy too.
pub const KEPT_TWICE: &str = "twice";

impl Marks {
    /// Reads what was known before the last stop.
    pub fn load(db: &rusqlite::Connection) -> rusqlite::Result<Marks> {
        let mut marks = Marks::default();
        let mut select = db.prepare("SELECT mark, stream, origin, seq FROM sync_mark")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let mark: String = row.get(0)?;
            let name = [AT_PARENT, AT_HQ, KEPT_TWICE].into_iter().find(|name| *name == mark);
            if let (Some(name), Some(stream), Some(origin)) =
                (name, Stream::from_number(row.get(1)?), Origin::new(row.get(2)?))
            {
                let seq = row.get::<_, i64>(3)?.cast_unsigned();
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

    /// What has to be kept, once after each change.
    pub fn take_dirty(&mut self) -> Option<Vec<(&'static str, Key, u64)>> {
        std::mem::take(&mut self.dirty)
            .then(|| self.seqs.iter().map(|((mark, key), seq)| (*mark, *key, *seq)).collect())
    }
}
