//! How one generation of HQ follows another, signed
//!
//! HQ is an origin like any other, and after a restore or a failover it writes under a new one. What it signs first says
//! whom it follows and up to which entry it knows its predecessor. Past that point nothing of the predecessor counts:
//! two generations never write at once, whatever an old machine that comes back to life may send.

use rusqlite::{Connection, Transaction};

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::{DeviceKeys, verify};
use crate::origin::{Origin, STREAM_MAX, Stream};
use crate::version::{Head, SEQ_MAX};

/// The table, and that it replicates. HQ alone writes it, for everybody.
pub const SCHEMA: &str = "
CREATE TABLE succession (
    origin    INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    statement BLOB    NOT NULL,
    PRIMARY KEY (origin, first)
) STRICT, WITHOUT ROWID;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4030, 'succession', 'owner', 'chain');
CREATE TABLE sync_adopted (
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (stream, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_succession (
    origin    INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    statement BLOB    NOT NULL,
    PRIMARY KEY (origin, first)
) STRICT, WITHOUT ROWID;
";

/// Origins of one generation of HQ: its writer has the first of its block, its devices the others. So an HQ that was
/// restored, and does not know what it gave away since, gives others.
pub const ORIGINS_PER_GENERATION: u32 = 65_536;

/// The most streams that one statement names. With more there are several, each for its range of streams.
pub const HEADS_MAX: usize = 400;

const TAG: &[u8] = b"selvedge/succession/1";
const FIELDS: usize = 6;

/// HQ's writer of a generation, counted from 0, as long as there are numbers left.
pub fn writer_of(generation: u32) -> Option<Origin> {
    generation.checked_mul(ORIGINS_PER_GENERATION)?.checked_add(1).and_then(Origin::new)
}

/// The generation whose block an origin lies in, counted from 0.
pub fn generation_of(origin: Origin) -> u32 {
    (origin.get() - 1) / ORIGINS_PER_GENERATION
}

/// Whether this is the number of HQ's writer in a generation that follows another.
pub fn is_successor(origin: Origin) -> bool {
    let generation = generation_of(origin);
    generation > 0 && writer_of(generation) == Some(origin)
}

/// Whom a generation follows, and where that one's entries end, for a range of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Succession {
    /// HQ's new writer.
    pub origin: Origin,
    /// Whom it follows.
    pub predecessor: Origin,
    /// The first stream that this statement speaks of.
    pub first: Stream,
    /// The last one.
    pub last: Stream,
    /// Where the predecessor ends in each stream, by ascending stream. In a stream of the range that is not named it
    /// wrote nothing that counts.
    pub heads: Vec<(Stream, Head)>,
    /// The authority's signature over all of the above.
    pub signature: [u8; 64],
}

impl Succession {
    /// Signs what a generation knows of the one before, whose heads come by ascending stream. One statement, or several.
    pub fn sign(
        origin: Origin,
        predecessor: Origin,
        heads: &[(Stream, Head)],
        authority: &dyn DeviceKeys,
    ) -> Vec<Succession> {
        assert!(is_successor(origin) && predecessor < origin, "a generation follows an older one");
        let mut parts: Vec<&[(Stream, Head)]> = heads.chunks(HEADS_MAX).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        let mut statements = Vec::new();
        let mut first = Stream::CHAIN;
        for (at, part) in parts.iter().enumerate() {
            let last = match parts.get(at + 1).and_then(|next| next.first()) {
                Some((next, _)) => next.number() - 1,
                None => STREAM_MAX,
            };
            let last = Stream::from_number(last).expect("streams come in order");
            let unsigned = Succession {
                origin,
                predecessor,
                first,
                last,
                heads: part.to_vec(),
                signature: [0; 64],
            };
            let signature = authority.sign(unsigned.signed_part(TAG.to_vec()).so_far());
            statements.push(Succession { signature, ..unsigned });
            first = Stream::from_number(last.number() + 1).unwrap_or(last);
        }
        statements
    }

    /// Where the predecessor ends in a stream; None when this statement does not speak of it.
    pub fn end(&self, stream: Stream) -> Option<Option<Head>> {
        (self.first..=self.last).contains(&stream).then(|| {
            let place = self.heads.binary_search_by_key(&stream, |head| head.0);
            place.ok().map(|place| self.heads[place].1)
        })
    }

    /// The statement as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut statement = self.signed_part(Vec::new());
        statement.bytes(&self.signature);
        statement.finish()
    }

    /// Reads such bytes, if the authority signed them.
    pub fn from_bytes(bytes: &[u8], authority: &[u8; 32]) -> Result<Succession, SuccessionError> {
        let mut reader = Reader::new(bytes);
        if reader.list()? != FIELDS {
            return Err(Malformed { at: 0, why: "another number of fields" }.into());
        }
        let origin = reader.origin()?;
        let predecessor = reader.origin()?;
        let (first, last) = (reader.stream()?, reader.stream()?);
        let at = reader.position();
        let parts = reader.list()?;
        if !parts.is_multiple_of(3) || parts > HEADS_MAX * 3 {
            return Err(Malformed { at, why: "a list of heads" }.into());
        }
        let mut heads: Vec<(Stream, Head)> = Vec::new();
        for _ in 0..parts / 3 {
            let stream = reader.stream()?;
            let seq = reader.uint_up_to(SEQ_MAX)?;
            let chain = reader.bytes_of()?;
            let before = heads.last().map(|head| head.0);
            if seq == 0 || stream < first || stream > last || before >= Some(stream) {
                return Err(Malformed { at, why: "a list of heads" }.into());
            }
            heads.push((stream, Head { seq, chain }));
        }
        let signature = reader.bytes_of()?;
        reader.end()?;
        let statement = Succession { origin, predecessor, first, last, heads, signature };
        let message = statement.signed_part(TAG.to_vec());
        let in_order = is_successor(origin) && predecessor < origin && first <= last;
        if in_order && verify(authority, message.so_far(), &signature) {
            Ok(statement)
        } else {
            Err(SuccessionError::NotSigned { origin })
        }
    }

    fn signed_part(&self, before: Vec<u8>) -> Writer {
        let mut part = Writer::after(before);
        part.list(FIELDS)
            .uint(self.origin.get())
            .uint(self.predecessor.get())
            .uint(self.first.number())
            .uint(self.last.number())
            .list(self.heads.len() * 3);
        for (stream, head) in &self.heads {
            part.uint(stream.number()).uint(head.seq).bytes(&head.chain);
        }
        part
    }
}

/// Where a statement is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// In the replicated table: HQ's own deed.
    Replicated,
    /// Here alone: it came with a message, before the entry that holds it.
    Here,
}

/// Keeps a statement.
pub fn insert(tx: &Transaction<'_>, statement: &Succession, kept: Kept) -> rusqlite::Result<()> {
    let sql = match kept {
        Kept::Replicated => "INSERT INTO succession VALUES (?1, ?2, ?3)",
        Kept::Here => "INSERT OR REPLACE INTO sync_succession VALUES (?1, ?2, ?3)",
    };
    let place = (statement.origin.get(), statement.first.number(), statement.to_bytes());
    tx.prepare_cached(sql)?.execute(place)?;
    Ok(())
}

/// Every statement that is kept, wherever. One that the authority did not sign as it is does not count.
pub fn all(db: &Connection, authority: &[u8; 32]) -> rusqlite::Result<Vec<Succession>> {
    let kept: Vec<Vec<u8>> = db
        .prepare_cached(
            "SELECT statement FROM succession UNION SELECT statement FROM sync_succession",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(kept.iter().filter_map(|bytes| Succession::from_bytes(bytes, authority).ok()).collect())
}

/// Why bytes are no statement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// The bytes are damaged.
    #[error("the succession cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// HQ's authority did not sign it.
    #[error(
        "the succession of origin {origin} is not signed by the authority of this chain: it does not count"
    )]
    NotSigned {
        /// Who claims to follow.
        origin: Origin,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_keys::SoftwareKeys;

    fn authority() -> SoftwareKeys {
        SoftwareKeys::from_seed([1; 32])
    }

    fn head(seq: u64) -> Head {
        Head { seq, chain: [seq as u8; 32] }
    }

    fn stream(number: u32) -> Stream {
        Stream::from_number(number).unwrap()
    }

    fn first() -> Origin {
        Origin::new(1).unwrap()
    }

    #[test]
    fn each_generation_has_a_block_of_origins_and_its_writer_the_first_of_it() {
        assert_eq!(writer_of(0), Origin::new(1));
        assert_eq!(writer_of(1), Origin::new(65_537));
        assert_eq!(writer_of(128), None, "23 bits are used up");
        assert_eq!(generation_of(Origin::new(65_536).unwrap()), 0);
        assert!(is_successor(Origin::new(65_537).unwrap()));
        assert!(!is_successor(first()) && !is_successor(Origin::new(65_538).unwrap()));
    }

    #[test]
    fn a_statement_says_where_the_predecessor_ends_and_what_it_does_not_name_ended_before_it_began()
    {
        let heads = [(Stream::CHAIN, head(9)), (stream(4), head(2))];
        let [statement] =
            &Succession::sign(writer_of(1).unwrap(), first(), &heads, &authority())[..]
        else {
            panic!("one is enough")
        };
        assert_eq!(statement.end(Stream::CHAIN), Some(Some(head(9))));
        assert_eq!(statement.end(stream(5)), Some(None));
        let read = Succession::from_bytes(&statement.to_bytes(), &authority().public());
        assert_eq!(read.as_ref(), Ok(statement));
    }

    #[test]
    fn many_stores_take_several_statements_and_each_stream_is_in_one() {
        let heads: Vec<_> = (0..1_000).map(|number| (stream(number * 2), head(1))).collect();
        let statements = Succession::sign(writer_of(2).unwrap(), first(), &heads, &authority());
        assert_eq!(statements.len(), 3);
        for number in [0, 1, 799, 800, 801, 1_998, 1_999, STREAM_MAX] {
            let speak: Vec<_> =
                statements.iter().filter_map(|one| one.end(stream(number))).collect();
            assert_eq!(speak.len(), 1, "stream {number}");
            assert_eq!(speak[0].is_some(), number < 2_000 && number % 2 == 0, "stream {number}");
        }
        assert!(statements.iter().all(|one| one.to_bytes().len() < 24 * 1024));
    }

    #[test]
    fn no_flipped_bit_and_no_cut_of_a_statement_passes() {
        let heads = [(Stream::CHAIN, head(9))];
        let whole =
            Succession::sign(writer_of(1).unwrap(), first(), &heads, &authority())[0].to_bytes();
        let passes = |bytes: &[u8]| Succession::from_bytes(bytes, &authority().public()).is_ok();
        assert!(passes(&whole));
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(!passes(&damaged), "bit {bit} flipped");
        }
        assert!((0..whole.len()).all(|cut| !passes(&whole[..cut])));
    }
}
