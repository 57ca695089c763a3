//! Up to where a log may be trimmed, signed by HQ
//!
//! A row says: everybody who is waited for has these entries, and HQ has them
//! twice. It carries the chain value there, so it is also HQ's word on the past
//! of an origin: whoever has another past trims nothing and is noticed.

use crate::{
    canonical::Writer,
    device_keys::DeviceKeys,
    origin::{Origin, Stream},
};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// The table, and that it replicates. HQ alone writes it, each row in the stream that it is about.
pub const SCHEMA: &str = "
CREATE TABLE watermark (
    stream    INTEGER NOT NULL,
    origin    INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    chain     BLOB NOT NULL,
    signer    INTEGER NOT NULL,
    signature BLOB NOT NULL,
    PRIMARY KEY (stream, origin)
) STRICT, WITHOUT ROWID;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4011, 'watermark', 'owner', 'by:stream');
";

const TAG: &[u8] = b"selvedge/watermark/1";

/// HQ's word on the past of one origin in one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// The stream.
    pub stream: Stream,
    /// Whose entries.
    pub origin: Origin,
    /// Up to here they may be trimmed.
    pub seq: u64,
    /// The chain value there.
    pub chain: [u8; 32],
    /// Which origin of HQ says so.
    pub signer: Origin,
    /// Its signature over all of the above.
    pub signature: [u8; 64],
}

impl Watermark {
    /// A row signed by HQ's writer.
    pub fn sign(
        stream: Stream,
        origin: Origin,
        seq: u64,
        chain: [u8; 32],
        signer: Origin,
        keys: &dyn DeviceKeys,
    ) -> Watermark {
        let mut row = Watermark { stream, origin, seq, chain, signer, signature: [0; 64] };
        row.signature = keys.sign(&row.signed_part());
        row
    }

    /// Whether the writer with this key signed the row as it is, verified by our keys.
    pub fn verify(&self, keys: &dyn DeviceKeys, key: &[u8; 32]) -> bool {
        keys.verify(key, &self.signed_part(), &self.signature)
    }

    fn signed_part(&self) -> Vec<u8> {
        let mut part = Writer::after(TAG.to_vec());
        part.list(5).uint(self.stream.number()).uint(self.origin.get()).uint(self.seq);
        part.bytes(&self.chain).uint(self.signer.get());
        part.finish()
    }
}

/// Writes a row in the place of an older one.
pub fn put(tx: &Transaction<'_>, row: &Watermark) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO watermark (stream, origin, seq, chain, signer, signature)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (stream, origin) DO UPDATE SET seq = excluded.seq, chain = excluded.chain,
         signer = excluded.signer, signature = excluded.signature",
    )?
    .execute((
        row.stream.number(),
        row.origin.get(),
        row.seq.cast_signed(),
        row.chain,
        row.signer.get(),
        row.signature,
    ))?;
    Ok(())
}

/// The row of an origin in a stream, not verified yet.
pub fn of(db: &Connection, stream: Stream, origin: Origin) -> rusqlite::Result<Option<Watermark>> {
    let found = db
        .prepare_cached(
            "SELECT seq, chain, signer, signature FROM watermark WHERE stream = ?1 AND origin = ?2",
        )?
        .query_row((stream.number(), origin.get()), |row| {
            let signer = Origin::new(row.get(2)?);
            Ok(signer.map(|signer| (row.get::<_, i64>(0), row.get(1), signer, row.get(3))))
        })
        .optional()?;
    let Some((seq, chain, signer, signature)) = found.flatten() else { return Ok(None) };
    let (seq, chain, signature) = (seq?.cast_unsigned(), chain?, signature?);
    Ok(Some(Watermark { stream, origin, seq, chain, signer, signature }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device_keys::SoftwareKeys;

    #[test]
    fn a_row_that_somebody_changed_is_not_hqs_word() {
        let keys = SoftwareKeys::from_seed([3; 32]);
        let origin = |number| Origin::new(number).unwrap();
        let row = Watermark::sign(Stream::CHAIN, origin(7), 90, [1; 32], origin(1), &keys);
        assert!(row.verify(&keys, &keys.public()));
        for changed in [
            Watermark { stream: Stream::store(1).unwrap(), ..row.clone() },
            Watermark { origin: origin(8), ..row.clone() },
            Watermark { seq: 91, ..row.clone() },
            Watermark { chain: [2; 32], ..row.clone() },
            Watermark { signer: origin(2), ..row.clone() },
        ] {
            assert!(!changed.verify(&keys, &keys.public()), "{changed:?}");
        }
    }
}
