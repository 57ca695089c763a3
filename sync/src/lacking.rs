//! Sealed blobs that should be here and are not
//!
//! An entry may come without what it commits to: whoever passed it on had lost it with a rotten page, or its person was
//! erased. The two look the same from here. So what is missing is listed, and asked for until somebody gives it. A blob
//! is known by its hash: it counts whoever gives it, and nothing counts that is not in the list.

use crate::{
    commitment::{commitment, committed},
    entry::{Op, columns},
    entry_reader::Reader,
    origin::{Origin, Stream},
    planted::{self, Fault},
    private,
    rule::StreamRule,
    tables::Tables,
    value::{Borrowed, Kind},
    wire::{Given, Hash},
};
use rusqlite::{Connection, OptionalExtension};

/// The hashes of what is missing, each with the entry that commits to it.
pub const SCHEMA: &str = "
CREATE TABLE sync_lacking (
    hash   BLOB    NOT NULL PRIMARY KEY,
    origin INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    seq    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

/// So many are asked for at once.
pub const ASKED_MAX: usize = 64;

/// What the blobs of one answer may come to, in bytes. One of them always goes.
pub const GIVEN_BYTES_MAX: usize = 32 * 1024;

/// Lists what an entry commits to and what is not here.
pub(crate) fn note(
    db: &Connection,
    tables: &Tables,
    (origin, stream, seq): (Origin, Stream, u64),
    entry: &[u8],
) -> rusqlite::Result<()> {
    let mut missing = Vec::new();
    for hash in committed(entry) {
        let here = "SELECT 1 FROM private_blob WHERE hash = ?1";
        if !db.prepare_cached(here)?.exists([hash])? {
            missing.push(hash);
        }
    }
    if missing.is_empty() || planted::is(Fault::LackingForgotten) {
        return Ok(());
    }
    let named = commitments(tables, origin, entry);
    for hash in missing {
        if named.as_ref().is_none_or(|named| named.contains(&hash)) {
            db.prepare_cached(
                "INSERT OR IGNORE INTO sync_lacking (hash, origin, stream, seq) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((hash, origin.get(), stream.number(), seq.cast_signed()))?;
        }
    }
    Ok(())
}

/// Lists what rows name and what is not here: of what was trimmed no entry says it any more. Such a blob belongs to no
/// entry of this log, so it travels in no frame, and its place is entry 0 of the device itself.
pub(crate) fn note_rows(
    db: &Connection,
    tables: &Tables,
    (own, store): (Origin, u32),
) -> rusqlite::Result<()> {
    for table in tables.all() {
        let key = table.layout.key.first().map(|at| &table.columns[*at]);
        let of_writer = key.map(|key| {
            format!("ifnull((SELECT store FROM allow_list WHERE origin = \"{key}\" >> 40), 0)")
        });
        let stream = match table.stream {
            StreamRule::Chain => "0".to_owned(),
            StreamRule::By(column) => format!("\"{}\"", table.columns[column]),
            // At HQ the number of the row tells who wrote it.
            StreamRule::Store if store == 0 => of_writer.unwrap_or_else(|| "0".to_owned()),
            StreamRule::Store => store.to_string(),
        };
        let live = (0..table.columns.len()).filter(|at| table.places[*at].is_some());
        for column in live.filter(|at| table.layout.kinds[*at] == Kind::Private) {
            let (name, column) = (&table.name, &table.columns[column]);
            db.execute(
                &format!(
                    "INSERT OR IGNORE INTO sync_lacking (hash, origin, stream, seq)
                     SELECT \"{column}\", ?1, {stream}, 0 FROM \"{name}\" WHERE length(\"{column}\") = 32
                     AND \"{column}\" NOT IN (SELECT hash FROM private_blob)"
                ),
                [own.get()],
            )?;
        }
    }
    Ok(())
}

/// What stands in the private columns of an entry. None where a newer schema wrote it: then any hash may be one.
fn commitments(tables: &Tables, origin: Origin, entry: &[u8]) -> Option<Vec<Hash>> {
    let mut reader = Reader::open(entry, origin).ok()?;
    if reader.header().epoch > tables.epoch() {
        return None;
    }
    let (mut found, mut values) = (Vec::new(), Vec::new());
    while let Some(run) = reader.next_run().ok()? {
        let Some(table) = tables.numbered(run.table) else { continue };
        if !table.layout.kinds.contains(&Kind::Private) {
            continue;
        }
        while let Some(mask) = reader.next_row(&table.layout, &mut values).ok()? {
            let keys = table.layout.key.len();
            let (from, mask) = match run.op {
                Op::Insert => (0, (1 << values.len()) - 1),
                Op::Update => (keys, mask),
                Op::Delete => (keys, 0),
            };
            for (column, value) in columns(mask).zip(&values[from..]) {
                if table.layout.kinds[column] == Kind::Private
                    && let Borrowed::Bytes(hash) = value
                {
                    found.extend(Hash::try_from(*hash).ok());
                }
            }
        }
    }
    Some(found)
}

/// The next hashes of what is missing in some streams, ascending.
pub(crate) fn asked(
    db: &Connection,
    streams: &[Stream],
    after: Option<Hash>,
) -> rusqlite::Result<Vec<Hash>> {
    let mut select =
        db.prepare_cached("SELECT hash, stream FROM sync_lacking WHERE hash > ?1 ORDER BY hash")?;
    let mut rows = select.query([after.as_ref().map_or(&[][..], |after| &after[..])])?;
    let mut found = Vec::new();
    while found.len() < ASKED_MAX
        && let Some(row) = rows.next()?
    {
        if Stream::from_number(row.get(1)?).is_some_and(|stream| streams.contains(&stream)) {
            found.push(row.get(0)?);
        }
    }
    Ok(found)
}

/// Looks for blobs that somebody lacks who takes these streams; None when nothing was asked.
pub(crate) fn look_for(
    db: &Connection,
    streams: &[Stream],
    hashes: &[Hash],
) -> rusqlite::Result<Option<Given>> {
    let mut select = db.prepare_cached("SELECT bytes, stream FROM private_blob WHERE hash = ?1")?;
    let (mut given, mut bytes): (Option<Given>, _) = (None, 0);
    for hash in hashes {
        let found: Option<(Vec<u8>, Option<u32>)> =
            select.query_row([hash], |row| row.try_into()).optional()?;
        let (blob, stream) = found.unzip();
        let may = stream.flatten().and_then(Stream::from_number);
        let gives = may.is_some_and(|stream| streams.contains(&stream));
        let blob = blob.filter(|_| gives && !planted::is(Fault::SideNotPassedOn));
        bytes += blob.as_ref().map_or(0, Vec::len);
        if bytes > GIVEN_BYTES_MAX && given.as_ref().is_some_and(|given| !given.blobs.is_empty()) {
            break;
        }
        let given = given.get_or_insert_with(|| Given { through: *hash, blobs: Vec::new() });
        given.through = *hash;
        given.blobs.extend(blob);
    }
    Ok(given)
}

/// What is here is not missing any more.
pub(crate) fn settle(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM sync_lacking WHERE hash IN (SELECT hash FROM private_blob)", [])?;
    Ok(())
}

/// Keeps those of the blobs that are missing here.
pub(crate) fn take(db: &Connection, blobs: &[Vec<u8>]) -> rusqlite::Result<()> {
    for blob in blobs {
        let sql = "DELETE FROM sync_lacking WHERE hash = ?1 RETURNING origin, stream, seq";
        let of: Option<(u32, u32, i64)> = db
            .prepare_cached(sql)?
            .query_row([commitment(blob)], |row| row.try_into())
            .optional()?;
        let Some((origin, stream, seq)) = of else { continue };
        if let (Some(origin), Some(stream)) = (Origin::new(origin), Stream::from_number(stream)) {
            private::keep(db, stream, origin, seq.cast_unsigned(), blob)?;
        }
    }
    Ok(())
}
