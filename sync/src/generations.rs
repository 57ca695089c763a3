//! Which generation of HQ counts, and up to which entry
//!
//! Generations are taken in order. What an older one wrote past its end is kept and never applied; a newer one has to
//! wait, stream by stream, until all that counts of the older ones is here.

use crate::{
    origin::{Origin, Stream},
    succession::{Succession, is_successor},
    version::Head,
};
use std::collections::BTreeSet;

/// All that is known of HQ's generations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generations {
    statements: Vec<Succession>,
    /// Every origin that HQ ever wrote under, as far as is known.
    writers: BTreeSet<Origin>,
}

/// How a replica stands to HQ's generations.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// All that is known of them.
    pub(crate) generations: Generations,
    /// Older generations may have written past their end: the newest looks.
    pub(crate) tail: bool,
    /// Why no write is taken for now, though the database is well.
    pub(crate) stale: Option<String>,
    /// Whose entries a restored HQ is taking back.
    pub(crate) recalls: Option<Origin>,
}

/// Where the entries of an origin end in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It goes on, as far as is known.
    Open,
    /// Before its first entry.
    BeforeFirst,
    /// With this entry.
    At(Head),
}

impl End {
    /// Whether an entry of this number lies past the end.
    pub fn is_before(self, seq: u64) -> bool {
        match self {
            End::Open => false,
            End::BeforeFirst => true,
            End::At(head) => seq > head.seq,
        }
    }

    /// Number of the last entry that counts; 0 where none does, or no end is known.
    pub fn seq(self) -> u64 {
        match self {
            End::At(head) => head.seq,
            End::Open | End::BeforeFirst => 0,
        }
    }
}

impl Generations {
    /// What these statements say, and all of HQ's writers that are on the allow-list.
    pub fn new(statements: Vec<Succession>, listed: impl Iterator<Item = Origin>) -> Generations {
        let said = statements.iter().flat_map(|one| [one.origin, one.predecessor]);
        let writers = said.chain(listed).collect();
        Generations { statements, writers }
    }

    /// Whether this very statement is known.
    pub fn knows(&self, statement: &[u8]) -> bool {
        self.statements.iter().any(|one| one.to_bytes() == statement)
    }

    /// The newest generation that has said whom it follows.
    pub fn newest(&self) -> Option<Origin> {
        self.statements.iter().map(|one| one.origin).max()
    }

    /// HQ's writers, the oldest first.
    pub fn writers(&self) -> impl Iterator<Item = Origin> + '_ {
        self.writers.iter().copied()
    }

    /// Whether another generation has taken over from this one.
    pub fn is_over(&self, origin: Origin) -> bool {
        self.writers.contains(&origin) && self.newest().is_some_and(|newest| origin < newest)
    }

    /// Where the entries of an origin end in a stream. When several have followed it, the earliest end counts; when
    /// nobody has, though another generation has taken over, none of its entries does.
    pub fn end(&self, stream: Stream, origin: Origin) -> End {
        if !self.is_over(origin) {
            return End::Open;
        }
        let mut followed =
            self.statements.iter().filter(|one| one.predecessor == origin).peekable();
        if followed.peek().is_none() {
            return End::BeforeFirst;
        }
        let ends = followed.filter_map(|one| one.end(stream));
        let ends = ends.map(|end| end.map_or(End::BeforeFirst, End::At));
        ends.min_by_key(|end| end.seq()).unwrap_or(End::Open)
    }

    /// All statements of a generation.
    pub fn all_of(&self, origin: Origin) -> impl Iterator<Item = &Succession> {
        self.statements.iter().filter(move |one| one.origin == origin)
    }

    /// The statements of a generation that speak of one of these streams.
    pub fn of<'s>(
        &'s self,
        origin: Origin,
        streams: &'s [Stream],
    ) -> impl Iterator<Item = &'s Succession> {
        let own = self.statements.iter().filter(move |one| one.origin == origin);
        own.filter(move |one| streams.iter().any(|stream| one.end(*stream).is_some()))
    }

    /// Whether entries of this origin may be taken in a stream where so much of each older generation is here.
    ///
    /// A generation that follows another waits for its statement, and for all that counts of those before it.
    pub fn is_next(&self, stream: Stream, origin: Origin, here: impl Fn(Origin) -> u64) -> bool {
        let mut at = origin;
        while is_successor(at) && self.writers.contains(&at) {
            let own = self.statements.iter().filter(|one| one.origin == at);
            let Some(statement) = own.into_iter().find(|one| one.end(stream).is_some()) else {
                return false;
            };
            at = statement.predecessor;
            if here(at) < self.end(stream, at).seq() {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_keys::SoftwareKeys;
    use crate::succession::writer_of;

    fn writer(generation: u32) -> Origin {
        writer_of(generation).unwrap()
    }

    fn follows(generation: u32, predecessor: u32, seqs: &[u64]) -> Vec<Succession> {
        let heads = seqs.iter().zip(0..).filter(|(seq, _)| **seq > 0).map(|(seq, number)| {
            (Stream::from_number(number).unwrap(), Head { seq: *seq, chain: [0; 32] })
        });
        let heads: Vec<_> = heads.collect();
        let authority = SoftwareKeys::from_seed([1; 32]);
        Succession::sign(writer(generation), writer(predecessor), &heads, &authority)
    }

    fn of(statements: &[Vec<Succession>]) -> Generations {
        Generations::new(statements.concat(), [writer(0)].into_iter())
    }

    #[test]
    fn what_a_predecessor_wrote_past_its_end_does_not_count() {
        let one = of(&[follows(1, 0, &[5])]);
        assert!(one.is_over(writer(0)) && !one.is_over(writer(1)));
        let end = one.end(Stream::CHAIN, writer(0));
        assert!(!end.is_before(5) && end.is_before(6));
        assert!(one.end(Stream::store(1).unwrap(), writer(0)).is_before(1), "not named");
        assert_eq!(one.end(Stream::CHAIN, writer(1)), End::Open);
    }

    #[test]
    fn a_generation_waits_for_all_that_counts_of_those_before_it() {
        let two = of(&[follows(1, 0, &[5]), follows(2, 1, &[3])]);
        let here =
            |first: u64, second: u64| {
                two.is_next(Stream::CHAIN, writer(2), |origin| {
                    if origin == writer(0) { first } else { second }
                })
            };
        assert!(here(5, 3) && here(9, 9));
        assert!(!here(4, 3) && !here(5, 2));
    }

    #[test]
    fn a_generation_without_its_statement_waits_and_the_first_needs_none() {
        let listed = Generations::new(Vec::new(), [writer(0), writer(1)].into_iter());
        assert!(!listed.is_next(Stream::CHAIN, writer(1), |_| 100));
        assert!(listed.is_next(Stream::CHAIN, writer(0), |_| 0));
        assert!(!listed.is_over(writer(0)), "nobody has taken over yet");
    }

    #[test]
    fn a_generation_that_was_passed_over_counts_for_nothing() {
        let passed = of(&[follows(1, 0, &[5]), follows(2, 0, &[7])]);
        assert!(passed.end(Stream::CHAIN, writer(1)).is_before(1));
        assert!(passed.end(Stream::CHAIN, writer(0)).is_before(6), "the earliest end counts");
    }
}
