//! What proves who speaks for HQ, carried by a message
//!
//! A store cannot believe a new generation of HQ before it has its row, and the entry that brings the row is one of that
//! generation. So each `need` carries the rows and statements of later generations: signed by the authority, they prove
//! themselves, whoever hands them on.

use rusqlite::Transaction;

use crate::{
    allow_list::Row,
    generations::End,
    origin::{Origin, Role, Stream},
    replica::Replica,
    succession::{self, Kept, Succession, is_successor},
    wire::{PAPER_ROW, PAPER_SUCCESSION, Paper},
};

/// Papers take at most so many bytes of a message.
const PAPERS_BYTES_MAX: usize = 60 * 1024;

impl Replica {
    /// The papers of HQ's later generations, the newest first, for one who takes these streams.
    pub(crate) fn papers(&self, streams: &[Stream]) -> Vec<Paper> {
        let is_later = |row: &&Row| row.role == Role::Hq && is_successor(row.origin);
        let mut later: Vec<&Row> = self.origins.known.values().filter(is_later).collect();
        later.sort_by_key(|row| std::cmp::Reverse(row.origin));
        let (mut papers, mut bytes) = (Vec::new(), 0);
        for row in later {
            let statements = self.lineage.generations.of(row.origin, streams);
            let own = std::iter::once((PAPER_ROW, row.to_bytes()))
                .chain(statements.map(|one| (PAPER_SUCCESSION, one.to_bytes())));
            for paper in own {
                bytes += paper.1.len();
                if bytes > PAPERS_BYTES_MAX {
                    return papers;
                }
                papers.push(paper);
            }
        }
        papers
    }

    /// Learns from papers that came with a message; true when anything was new. What HQ's authority has not signed is
    /// passed over.
    pub(crate) fn learn_papers(&mut self, papers: &[Paper]) -> rusqlite::Result<bool> {
        let authority = self.identity().authority;
        let (mut rows, mut statements) = (Vec::new(), Vec::new());
        for (kind, bytes) in papers {
            match *kind {
                PAPER_ROW => rows.extend(self.new_row(bytes)),
                PAPER_SUCCESSION if !self.lineage.generations.knows(bytes) => {
                    statements.extend(Succession::from_bytes(bytes, &authority).ok());
                }
                _ => {}
            }
        }
        if rows.is_empty() && statements.is_empty() {
            return Ok(false);
        }
        self.keep_house(|tx| {
            statements.iter().try_for_each(|one| succession::insert(tx, one, Kept::Here))
        })?;
        self.admit(&rows)?;
        Ok(true)
    }

    /// A row of HQ that is not known yet. Our own number with another key was used before us: nothing may be written
    /// under it.
    fn new_row(&mut self, bytes: &[u8]) -> Option<Row> {
        let row = Row::from_bytes(bytes).ok()?;
        let known = self.origins.known.get(&row.origin);
        if row.role != Role::Hq
            || known.is_some_and(|known| known.version >= row.version && known.key == row.key)
        {
            return None;
        }
        row.verify(&self.identity().authority).ok()?;
        if known.is_some_and(|known| known.key != row.key) {
            if row.origin == self.identity().origin {
                let (number, next) = (row.origin, succession::generation_of(row.origin) + 1);
                self.lineage.stale = Some(format!(
                    "the origin {number} was HQ's before: restore the copy again and succeed as generation {next}"
                ));
            }
            return None;
        }
        Some(row)
    }

    /// Reads again which generation of HQ counts, and keeps as evidence what older ones wrote past their end.
    pub(crate) fn learn_generations(&mut self) -> rusqlite::Result<()> {
        let listed =
            self.origins.known.values().filter(|row| row.role == Role::Hq).map(|row| row.origin);
        let statements = succession::all(&self.db, &self.identity().authority)?;
        let generations = crate::generations::Generations::new(statements, listed);
        if generations == self.lineage.generations {
            return Ok(());
        }
        let past: Vec<(Stream, Origin, u64)> = self
            .heads
            .iter()
            .filter_map(|((stream, origin), head)| match generations.end(*stream, *origin) {
                End::Open => None,
                end => end.is_before(head.seq).then_some((*stream, *origin, end.seq())),
            })
            .collect();
        if !past.is_empty() {
            self.keep_house(|tx| past.iter().try_for_each(|place| keep_past_end(tx, *place)))?;
        }
        // Only now: what was not kept as evidence is not known either, and is learnt again.
        self.lineage.generations = generations;
        self.lineage.tail = true;
        if let Some(newest) = self.lineage.generations.newest()
            && self.lineage.generations.is_over(self.identity().origin)
        {
            self.lineage.stale = Some(format!(
                "HQ goes on as origin {newest}, and this generation is over: end it, and keep its disk"
            ));
        }
        Ok(())
    }
}

/// Marks entries that were applied before their end was known.
fn keep_past_end(
    tx: &Transaction<'_>,
    (stream, origin, end): (Stream, Origin, u64),
) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO sync_parked (origin, stream, seq, reason, table_id, detail, parked_at)
         SELECT origin, stream, seq, 'Ended', 0, 'it was applied before another generation of HQ took over', 0
         FROM sync_entry WHERE origin = ?1 AND stream = ?2 AND seq > ?3
         ON CONFLICT DO UPDATE SET reason = 'Ended'",
    )?
    .execute((origin.get(), stream.number(), end.cast_signed()))?;
    Ok(())
}
