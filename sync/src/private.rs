//! Personal data: sealed beside the log, named by their hash
//!
//! A chained log cannot forget. So an entry never holds a name or an address: it holds the hash of a sealed blob, and
//! the blob lies beside the log, locked with a key of that person. When the key is destroyed nobody can read the blob
//! any more, wherever copies of it lie, and chain and seals hold as before.

use crate::{
    card_number,
    commitment::{commitment, committed},
    entry::{Op, RowChange, columns},
    origin::{Origin, Stream},
    planted::{self, Fault},
    tables::{Table, Tables},
    value::{Kind, Value},
};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// Number of the table of those who were erased.
pub const ERASED: u32 = 4_009;
/// Number of the table of replicas that have obeyed.
pub const ERASURE_DONE: u32 = 4_010;

/// The sealed blobs, each with the entry that commits to it; who was erased, and what of that is still to be done.
pub const SCHEMA: &str = "
CREATE TABLE private_blob (
    hash    BLOB    NOT NULL UNIQUE,
    subject INTEGER NOT NULL,
    bytes   BLOB    NOT NULL,
    origin  INTEGER,
    stream  INTEGER,
    seq     INTEGER
) STRICT;
CREATE INDEX private_blob_subject ON private_blob (subject);
CREATE INDEX private_blob_entry ON private_blob (origin, stream, seq);
CREATE TABLE erased (
    subject INTEGER NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream, writers) VALUES (4009, 'erased', 'fact', 'chain', 'hq');
CREATE TABLE erasure_done (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id >> 40 > 0),
    store   INTEGER NOT NULL,
    subject INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4010, 'erasure_done', 'fact', 'by:store');
INSERT INTO replicated_column (table_id, name, kind) VALUES
    (4009, 'at', 'time'), (4010, 'id', 'id'), (4010, 'at', 'time');
CREATE TABLE sync_to_erase (
    subject   INTEGER PRIMARY KEY,
    destroyed INTEGER NOT NULL
) STRICT;
CREATE TRIGGER erased_is_to_be_done AFTER INSERT ON erased BEGIN
    INSERT OR IGNORE INTO sync_to_erase VALUES (new.subject, 0);
END;
";

/// What the blobs of one write may come to, in bytes.
pub const WRITE_BYTES_MAX: usize = 32 * 1024;

/// A nonce that is never used twice: random bytes from the caller.
pub const NONCE_BYTES: usize = 24;

const SUBJECT_BYTES: usize = 8;
const TAG_BYTES: usize = 16;
const DOMAIN: &[u8] = b"selvedge/private/1";

/// Whose data stand where. All of it is sealed in: a blob fits no other field and no other person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The person, as a number of the trade.
    pub subject: i64,
    /// Number of the table.
    pub table: u32,
    /// The row's key.
    pub row: i64,
    /// The column's number.
    pub column: u32,
}

/// What a private field shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The data.
    Clear(Vec<u8>),
    /// The blob has not come here.
    NotHere,
    /// The blob is here, the person's key is not.
    Locked,
    /// The person was erased.
    Erased,
}

/// Why personal data were not written.
#[derive(Debug, thiserror::Error)]
pub enum PrivateError {
    /// A private column would have held something else than a commitment.
    #[error("the private column {column} of {table} takes commitments only: seal the value first")]
    NotSealed {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A text holds what may be the number of a card.
    #[error("a text of {table}.{column} holds what may be a card number: leave it out")]
    CardNumber {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// Too many or too large blobs.
    #[error(
        "one write may hold {WRITE_BYTES_MAX} bytes of personal data, this one has {found}: split it"
    )]
    TooLarge {
        /// How many bytes.
        found: usize,
    },
    /// The person was erased: nothing more is written of them.
    #[error("person {subject} was erased: nothing more is kept of them")]
    Erased {
        /// Whom.
        subject: i64,
    },
    /// The database refused.
    #[error("personal data were not kept, the database refused: {0}")]
    Database(#[from] rusqlite::Error),
}

fn bound_to(field: &Field) -> Vec<u8> {
    let Field { subject, table, row, column } = field;
    [
        DOMAIN,
        &subject.to_be_bytes(),
        &table.to_be_bytes(),
        &row.to_be_bytes(),
        &column.to_be_bytes(),
    ]
    .concat()
}

/// A sealed blob: subject (8), nonce (24), ciphertext and tag (16).
pub fn lock(key: &[u8; 32], field: &Field, clear: &[u8], nonce: [u8; NONCE_BYTES]) -> Vec<u8> {
    let bound = bound_to(field);
    let payload = Payload { msg: clear, aad: &bound };
    let cipher = XChaCha20Poly1305::new(key.into());
    let sealed = cipher.encrypt(&XNonce::from(nonce), payload);
    let mut sealed = sealed.expect("memory holds what a row can hold");
    if planted::is(Fault::BlobInClear) {
        sealed = [clear, &[0; TAG_BYTES]].concat();
    }
    [&field.subject.to_be_bytes()[..], &nonce, &sealed].concat()
}

/// What is in a blob; None when it is not of this field, or the key is another person's.
pub fn unlock(key: &[u8; 32], field: &Field, blob: &[u8]) -> Option<Vec<u8>> {
    let (subject, rest) = blob.split_first_chunk::<SUBJECT_BYTES>()?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_BYTES>()?;
    if i64::from_be_bytes(*subject) != field.subject {
        return None;
    }
    let bound = bound_to(field);
    let payload = Payload { msg: sealed, aad: &bound };
    XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload).ok()
}

/// Seals a value in a write, and gives what its column takes. The nonce is random and used once.
pub fn seal(
    tx: &Transaction<'_>,
    key: &[u8; 32],
    field: &Field,
    clear: &[u8],
    nonce: [u8; NONCE_BYTES],
) -> Result<[u8; 32], PrivateError> {
    if is_erased(tx, field.subject)? {
        return Err(PrivateError::Erased { subject: field.subject });
    }
    let blob = lock(key, field, clear, nonce);
    let hash = commitment(&blob);
    tx.prepare_cached(
        "INSERT OR IGNORE INTO private_blob (hash, subject, bytes) VALUES (?1, ?2, ?3)",
    )?
    .execute((hash, field.subject, blob))?;
    Ok(hash)
}

/// Whether HQ has erased a person, as far as is known here.
pub fn is_erased(db: &Connection, subject: i64) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM erased WHERE subject = ?1")?.exists([subject])
}

/// What a field shows, given the person's key where it is here.
pub fn show(
    db: &Connection,
    key: Option<&[u8; 32]>,
    field: &Field,
    hash: &[u8; 32],
) -> rusqlite::Result<Shown> {
    if is_erased(db, field.subject)? {
        return Ok(Shown::Erased);
    }
    let blob: Option<Vec<u8>> = db
        .prepare_cached("SELECT bytes FROM private_blob WHERE hash = ?1")?
        .query_row([hash], |row| row.get(0))
        .optional()?;
    Ok(match (blob, key) {
        (None, _) => Shown::NotHere,
        (Some(_), None) => Shown::Locked,
        (Some(blob), Some(key)) => unlock(key, field, &blob).map_or(Shown::Locked, Shown::Clear),
    })
}

/// Looks at the values of a write: no clear text in a private column, no card number in any text.
pub(crate) fn check_write(
    tx: &Transaction<'_>,
    tables: &Tables,
    rows: &[RowChange<'_>],
) -> Result<(), PrivateError> {
    for row in rows.iter().filter(|row| row.op != Op::Delete) {
        let table = tables.numbered(row.table).expect("captured tables are declared");
        for (column, value) in named_values(table, row) {
            let at = || (table.name.clone(), table.columns[column].clone());
            let sealed = table.layout.kinds[column] == Kind::Private;
            if sealed && *value != Value::Null && !is_kept(tx, value)? {
                let (table, column) = at();
                return Err(PrivateError::NotSealed { table, column });
            }
            if let Value::Text(text) = value
                && card_number::is_in(text)
                && !planted::is(Fault::CardNumberTaken)
            {
                let (table, column) = at();
                return Err(PrivateError::CardNumber { table, column });
            }
        }
    }
    Ok(())
}

/// The changed values of a row with their columns; the key of an update is not among them.
fn named_values<'r>(
    table: &Table,
    row: &'r RowChange<'_>,
) -> impl Iterator<Item = (usize, &'r Value)> {
    let (from, mask) = match row.op {
        Op::Insert => (0, (1 << table.columns.len()) - 1),
        Op::Update | Op::Delete => (table.layout.key.len(), row.mask),
    };
    columns(mask).zip(&row.values[from..])
}

fn is_kept(tx: &Transaction<'_>, value: &Value) -> rusqlite::Result<bool> {
    match value {
        Value::Bytes(hash) if hash.len() == 32 => {
            tx.prepare_cached("SELECT 1 FROM private_blob WHERE hash = ?1")?.exists([hash])
        }
        _ => Ok(false),
    }
}

/// Ties the new blobs of a write to its entry. A blob that the entry does not commit to goes.
pub(crate) fn bind(
    tx: &Transaction<'_>,
    stream: Stream,
    origin: Origin,
    seq: u64,
    entry: &[u8],
) -> Result<(), PrivateError> {
    let new: Vec<(i64, [u8; 32], i64)> = tx
        .prepare_cached("SELECT rowid, hash, length(bytes) FROM private_blob WHERE origin IS NULL")?
        .query_map([], |row| row.try_into())?
        .collect::<Result<_, _>>()?;
    let mut found = 0;
    for (row, hash, bytes) in new {
        if !committed(entry).any(|found| found == hash) {
            tx.prepare_cached("DELETE FROM private_blob WHERE rowid = ?1")?.execute([row])?;
            continue;
        }
        found += bytes.unsigned_abs() as usize;
        tx.prepare_cached(
            "UPDATE private_blob SET origin = ?2, stream = ?3, seq = ?4 WHERE rowid = ?1",
        )?
        .execute((row, origin.get(), stream.number(), seq.cast_signed()))?;
    }
    if found > WRITE_BYTES_MAX { Err(PrivateError::TooLarge { found }) } else { Ok(()) }
}

/// Brings the blobs that an entry commits to from the database that it was first written in. Those of the erased are gone
/// there, or stay there.
pub(crate) fn bring(tx: &Transaction<'_>, from: &Connection, entry: &[u8]) -> rusqlite::Result<()> {
    let mut select =
        from.prepare_cached("SELECT subject, bytes FROM private_blob WHERE hash = ?1")?;
    for hash in committed(entry) {
        let found: Option<(i64, Vec<u8>)> =
            select.query_row([hash], |row| row.try_into()).optional()?;
        let Some((subject, bytes)) = found else { continue };
        if !is_erased(tx, subject)? {
            tx.prepare_cached(
                "INSERT OR IGNORE INTO private_blob (hash, subject, bytes) VALUES (?1, ?2, ?3)",
            )?
            .execute((hash, subject, bytes))?;
        }
    }
    Ok(())
}

/// Keeps a blob that came with an entry, unless its person was erased.
pub(crate) fn keep(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    seq: u64,
    blob: &[u8],
) -> rusqlite::Result<()> {
    let Some((subject, _)) = blob.split_first_chunk::<SUBJECT_BYTES>() else { return Ok(()) };
    let subject = i64::from_be_bytes(*subject);
    if is_erased(db, subject)? && !planted::is(Fault::ErasedBlobKept) {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT OR IGNORE INTO private_blob (hash, subject, bytes, origin, stream, seq)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        commitment(blob),
        subject,
        blob,
        origin.get(),
        stream.number(),
        seq.cast_signed(),
    ))?;
    Ok(())
}

/// Blobs of persons who were erased go: whoever made a snapshot may not have known of it yet.
pub(crate) fn drop_erased(db: &Connection) -> rusqlite::Result<()> {
    if planted::is(Fault::ErasedBlobKept) {
        return Ok(());
    }
    db.execute("DELETE FROM private_blob WHERE subject IN (SELECT subject FROM erased)", [])?;
    Ok(())
}

/// The blobs that entries of a range commit to and that are here, by entry.
pub(crate) fn blobs(
    db: &Connection,
    stream: Stream,
    origin: Origin,
    first: u64,
    last: u64,
) -> rusqlite::Result<Vec<(u64, Vec<u8>)>> {
    db.prepare_cached(
        "SELECT seq, bytes FROM private_blob
         WHERE origin = ?1 AND stream = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq, rowid",
    )?
    .query_map((origin.get(), stream.number(), first.cast_signed(), last.cast_signed()), |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?))
    })?
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field = Field { subject: 5, table: 9, row: 7, column: 2 };

    #[test]
    fn a_blob_opens_for_its_field_and_its_person_alone() {
        let blob = lock(&[1; 32], &FIELD, b"Ada", [2; NONCE_BYTES]);
        assert_eq!(unlock(&[1; 32], &FIELD, &blob), Some(b"Ada".to_vec()));
        assert_eq!(unlock(&[3; 32], &FIELD, &blob), None);
        for other in [
            Field { subject: 6, ..FIELD },
            Field { table: 8, ..FIELD },
            Field { row: 8, ..FIELD },
            Field { column: 3, ..FIELD },
        ] {
            assert_eq!(unlock(&[1; 32], &other, &blob), None, "{other:?}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_blob_opens() {
        let blob = lock(&[1; 32], &FIELD, b"Ada", [2; NONCE_BYTES]);
        for bit in 0..blob.len() * 8 {
            let mut damaged = blob.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unlock(&[1; 32], &FIELD, &damaged), None, "bit {bit}");
            assert_ne!(commitment(&damaged), commitment(&blob));
        }
    }

    // Pins the form of a blob: a change here makes all that was sealed before unreadable.
    #[test]
    fn a_blob_keeps_its_bytes() {
        let blob = lock(&[1; 32], &FIELD, b"Ada", [2; NONCE_BYTES]);
        assert_eq!(blob.len(), SUBJECT_BYTES + NONCE_BYTES + 3 + TAG_BYTES);
        expect_test::expect!["00000000000000050202020202020202020202020202020202020202020202028d02576985de5d453a493a9c10132e153f6cd8"].assert_eq(&hex::encode(&blob));
    }
}
