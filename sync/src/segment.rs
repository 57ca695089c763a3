//! Old entries of HQ's log, packed, under a signed root
//!
//! What is trimmed from the log is still proof. A segment holds the raw entries
//! with the chain values around them, so it continues the segment before; and
//! the root over its entries lets anybody check one of them without the others.

use crate::{
    canonical::{Reader, Writer},
    changelog,
    device_keys::verify,
    frame::ENTRY_BYTES_MAX,
    merkle::{self, Hash},
    open::{self, Migration, OpenError},
    origin::{Origin, Stream},
    replica::Replica,
    seal,
    session::Key,
    snapshot::{packed, unpacked},
};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// Ending of the file's name, in place of the replica's.
const ENDING: &str = "segments";

/// A segment is closed at so many bytes of entries.
const SEGMENT_BYTES_MAX: u64 = 512 * 1024;

const TAG: &[u8] = b"selvedge/segment/1";

const SCHEMA: Migration = Migration {
    name: "0001_segments",
    sql: "
CREATE TABLE segment (
    stream    INTEGER NOT NULL,
    origin    INTEGER NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    before    BLOB NOT NULL,
    after     BLOB NOT NULL,
    root      BLOB NOT NULL,
    signer    INTEGER NOT NULL,
    signature BLOB NOT NULL,
    body      BLOB NOT NULL,
    PRIMARY KEY (stream, origin, first)
) STRICT;
",
};

/// What HQ signs of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHead {
    /// The stream.
    pub stream: Stream,
    /// Whose entries.
    pub origin: Origin,
    /// The first entry.
    pub first: u64,
    /// The last entry.
    pub last: u64,
    /// The chain value before the first.
    pub before: [u8; 32],
    /// The chain value after the last.
    pub after: [u8; 32],
    /// The root over the entries.
    pub root: Hash,
    /// Whose key signs.
    pub signer: Origin,
    /// The signature.
    pub signature: [u8; 64],
}

impl SegmentHead {
    fn signed_part(&self) -> Vec<u8> {
        let mut part = Writer::after(TAG.to_vec());
        part.list(8).uint(self.stream.number()).uint(self.origin.get());
        part.uint(self.first).uint(self.last).bytes(&self.before).bytes(&self.after);
        part.bytes(&self.root).uint(self.signer.get());
        part.finish()
    }

    /// Whether the writer with this key signed it.
    pub fn verify(&self, key: &[u8; 32]) -> bool {
        verify(key, &self.signed_part(), &self.signature)
    }
}

/// One entry out of a segment, and all that proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The segment.
    pub head: SegmentHead,
    /// The number of the entry.
    pub seq: u64,
    /// Its bytes.
    pub entry: Vec<u8>,
    /// The path to the root.
    pub path: Vec<Hash>,
}

impl Proof {
    /// Whether the entry is the one that HQ has sealed, given the key of its signer.
    pub fn holds(&self, key: &[u8; 32]) -> bool {
        let SegmentHead { first, last, root, .. } = &self.head;
        let inside = (*first..=*last).contains(&self.seq);
        let leaf = merkle::leaf(self.seq, &self.entry);
        inside
            && self.head.verify(key)
            && merkle::leads(root, &leaf, self.seq - first, last + 1 - first, &self.path)
    }
}

/// The file of the segments.
pub struct Segments {
    db: Connection,
}

impl Segments {
    /// Opens the file beside a replica, made when there is none.
    pub fn open(replica: &Path, vfs: Option<&str>) -> Result<Segments, OpenError> {
        let db = open::local(&replica.with_extension(ENDING), vfs, &[SCHEMA])?;
        Ok(Segments { db })
    }

    /// Seals whole segments of a log from its floor on, durable before it returns; says up to where
    /// they go. What is too little for a segment waits.
    pub fn seal(
        &self,
        replica: &Replica,
        (stream, origin): Key,
        floor: u64,
        to: u64,
        entries: u64,
    ) -> rusqlite::Result<u64> {
        let mut done = floor;
        while to - done >= entries {
            let body = changelog::read(
                replica.db(),
                stream,
                origin,
                done + 1,
                entries,
                SEGMENT_BYTES_MAX,
            )?;
            assert!(!body.is_empty(), "entries below a watermark are in the log");
            let (first, last) = (done + 1, done + body.len() as u64);
            let before = changelog::chain_at(replica.db(), stream, origin, done)?;
            let after = body
                .iter()
                .zip(first..)
                .fold(before, |chain, (entry, seq)| seal::next(&chain, origin, stream, seq, entry));
            let leaves: Vec<Hash> =
                body.iter().zip(first..).map(|(entry, seq)| merkle::leaf(seq, entry)).collect();
            let signer = replica.identity().origin;
            let root = merkle::root(&leaves);
            let signature = [0; 64];
            let mut head =
                SegmentHead { stream, origin, first, last, before, after, root, signer, signature };
            head.signature = replica.keys().sign(&head.signed_part());
            self.put(&head, &body)?;
            done = last;
        }
        Ok(done)
    }

    fn put(&self, head: &SegmentHead, entries: &[Vec<u8>]) -> rusqlite::Result<()> {
        let mut body = Writer::after(Vec::new());
        for entry in entries {
            body.bytes(entry);
        }
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO segment VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute((
                head.stream.number(),
                head.origin.get(),
                head.first.cast_signed(),
                head.last.cast_signed(),
                head.before,
                head.after,
                head.root,
                head.signer.get(),
                head.signature,
                packed(&body.finish()),
            ))?;
        Ok(())
    }

    /// The segment that holds an entry, with its entries.
    pub fn read(
        &self,
        (stream, origin): Key,
        seq: u64,
    ) -> rusqlite::Result<Option<(SegmentHead, Vec<Vec<u8>>)>> {
        let found = self
            .db
            .prepare_cached(
                "SELECT first, last, before, after, root, signer, signature, body FROM segment
                 WHERE stream = ?1 AND origin = ?2 AND first <= ?3 ORDER BY first DESC LIMIT 1",
            )?
            .query_row((stream.number(), origin.get(), seq.cast_signed()), |row| {
                let head = SegmentHead {
                    stream,
                    origin,
                    first: row.get::<_, i64>(0)?.cast_unsigned(),
                    last: row.get::<_, i64>(1)?.cast_unsigned(),
                    before: row.get(2)?,
                    after: row.get(3)?,
                    root: row.get(4)?,
                    signer: Origin::new(row.get(5)?).unwrap_or(origin),
                    signature: row.get(6)?,
                };
                Ok((head, row.get::<_, Vec<u8>>(7)?))
            })
            .optional()?;
        let Some((head, body)) = found.filter(|(head, _)| seq <= head.last) else {
            return Ok(None);
        };
        Ok(entries_of(&body).map(|entries| (head, entries)))
    }

    /// The proof of one entry.
    pub fn prove(&self, key: Key, seq: u64) -> rusqlite::Result<Option<Proof>> {
        let Some((head, entries)) = self.read(key, seq)? else { return Ok(None) };
        let leaves: Vec<Hash> =
            entries.iter().zip(head.first..).map(|(entry, at)| merkle::leaf(at, entry)).collect();
        let place = usize::try_from(seq - head.first).unwrap_or(usize::MAX);
        let Some(entry) = entries.get(place).cloned() else { return Ok(None) };
        Ok(Some(Proof { head, seq, entry, path: merkle::path(&leaves, place) }))
    }
}

fn entries_of(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let body = unpacked(body).ok()?;
    let (mut reader, mut entries) = (Reader::new(&body), Vec::new());
    while reader.left() > 0 {
        let entry = reader.bytes().ok().filter(|entry| entry.len() <= ENTRY_BYTES_MAX)?;
        entries.push(entry.to_vec());
    }
    Some(entries)
}
