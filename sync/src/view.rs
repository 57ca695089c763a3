//! Tables of which only the newest version counts
//!
//! What all other stores hold changes every second; as entries, each change would be one at every store. Nobody asks
//! for yesterday's, so HQ signs the table as it stands now, with a version and the time it is true of. It is not
//! in the log and in no chain: whoever has an older version gets what differs, and forgets what was before.

use crate::{
    canonical::{Malformed, Reader, Writer},
    device_keys::DeviceKeys,
    hlc::Millis,
    origin::{Origin, Role, Stream},
    planted::{self, Fault},
    replica::Replica,
};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::BTreeMap;

/// The longest name of a view, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// The longest key of a row.
pub const KEY_BYTES_MAX: usize = 64;
/// The longest row.
pub const ROW_BYTES_MAX: usize = 4 * 1024;
/// Rows that were removed are remembered for so many versions. Who is further behind gets the whole view.
const REMOVED_VERSIONS: u64 = 1_000;

const TAG: &[u8] = b"selvedge/view/1";
const ROWS_TAG: &[u8] = b"selvedge/view-rows/1";
const FIELDS: usize = 7;

/// Keys and rows of a view, ascending by key.
pub type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// What HQ signs of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewHead {
    /// The name of the view.
    pub view: String,
    /// Who gets it: everybody, or one store.
    pub stream: Stream,
    /// The incarnation of HQ that made it. A later one's versions are newer than all of those before.
    pub origin: Origin,
    /// Which version.
    pub version: u64,
    /// What time it is true of.
    pub as_of: Millis,
    /// Hash of all its rows.
    pub digest: [u8; 32],
    /// HQ's signature over all of the above.
    pub signature: [u8; 64],
}

/// Which version somebody has of a view: by which incarnation of HQ (0 for none), and which of its versions.
pub type Edition = (u32, u64);

impl ViewHead {
    /// Which version it is. The greater one is the newer one.
    pub fn edition(&self) -> Edition {
        (self.origin.get(), self.version)
    }

    /// The bytes for line and table.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.signed_part(Vec::new());
        bytes.bytes(&self.signature);
        bytes.finish()
    }

    /// Reads such bytes. Who signed them is for `verify` to say.
    pub fn from_bytes(bytes: &[u8]) -> Result<ViewHead, Malformed> {
        let mut reader = Reader::new(bytes);
        if reader.list()? != FIELDS {
            return Err(Malformed { at: 0, why: "another number of fields" });
        }
        let head = ViewHead {
            view: reader.text_up_to(NAME_BYTES_MAX)?.to_owned(),
            stream: reader.stream()?,
            origin: reader.origin()?,
            version: reader.uint()?,
            as_of: Millis(reader.int()?),
            digest: reader.bytes_of()?,
            signature: reader.bytes_of()?,
        };
        reader.end()?;
        Ok(head)
    }

    /// Whether this key signed it, as these keys verify.
    pub fn verify(&self, keys: &dyn DeviceKeys, public: &[u8; 32]) -> bool {
        keys.verify(public, self.signed_part(TAG.to_vec()).so_far(), &self.signature)
    }

    /// The same head, signed.
    pub fn signed_by(mut self, keys: &dyn DeviceKeys) -> ViewHead {
        self.signature = keys.sign(self.signed_part(TAG.to_vec()).so_far());
        self
    }

    fn signed_part(&self, before: Vec<u8>) -> Writer {
        let mut part = Writer::after(before);
        part.list(FIELDS)
            .text(&self.view)
            .uint(self.stream.number())
            .uint(self.origin.get())
            .uint(self.version)
            .int(self.as_of.0)
            .bytes(&self.digest);
        part
    }
}

/// A key and its row, or none where it was removed.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// A stretch of the rows of a version, or of what differs from an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// Of which version.
    pub head: ViewHead,
    /// From which version on the rows differ; 0 where these are all rows.
    pub base: u64,
    /// Rows after this key.
    pub after: Vec<u8>,
    /// The rows, ascending by key.
    pub rows: Vec<Change>,
    /// Whether nothing comes after them.
    pub last: bool,
}

/// What became of a stretch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It is kept, more is to come.
    Part,
    /// The version is whole and has taken the place of the one before.
    Whole,
    /// It is not newer, or does not follow what is here.
    Useless,
    /// The rows are not those that HQ signed: fetch all of them.
    Wrong,
}

/// Why a view was not published.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// Only HQ makes views.
    #[error("only HQ publishes views, this is a {0}")]
    NotHq(Role),
    /// A name, key or row is too long.
    #[error(
        "a view has names of up to {NAME_BYTES_MAX}, keys of {KEY_BYTES_MAX} and rows of {ROW_BYTES_MAX} bytes: {0} has more"
    )]
    TooLarge(String),
    /// The database refused.
    #[error("the view was not kept, the database refused: {0}")]
    Database(#[from] rusqlite::Error),
    /// What is kept of it does not read.
    #[error("what is kept of the view does not read: {0}")]
    Damaged(#[from] Malformed),
}

/// The hash of all rows of a view.
pub fn digest<'r>(rows: impl Iterator<Item = (&'r [u8], &'r [u8])>) -> [u8; 32] {
    let mut hash = blake3::Hasher::new();
    hash.update(ROWS_TAG);
    for (key, row) in rows {
        for part in [key, row] {
            hash.update(&(part.len() as u32).to_be_bytes()).update(part);
        }
    }
    *hash.finalize().as_bytes()
}

/// The newest version of a view that is here.
pub fn head(db: &Connection, view: &str) -> Result<Option<ViewHead>, ViewError> {
    let found: Option<Vec<u8>> = db
        .prepare_cached("SELECT head FROM sync_view WHERE view = ?1")?
        .query_row([view], |row| row.get(0))
        .optional()?;
    Ok(found.map(|bytes| ViewHead::from_bytes(&bytes)).transpose()?)
}

/// All views that are here.
pub fn heads(db: &Connection) -> Result<Vec<ViewHead>, ViewError> {
    let found: Vec<Vec<u8>> = db
        .prepare_cached("SELECT head FROM sync_view ORDER BY view")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    found.iter().map(|bytes| Ok(ViewHead::from_bytes(bytes)?)).collect()
}

/// One row of a view.
pub fn row(db: &Connection, view: &str, key: &[u8]) -> rusqlite::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT row FROM sync_view_row WHERE view = ?1 AND key = ?2")?
        .query_row((view, key), |found| found.get(0))
        .optional()
        .map(Option::flatten)
}

/// All rows of a view.
pub fn rows(db: &Connection, view: &str) -> rusqlite::Result<Rows> {
    db.prepare_cached("SELECT key, row FROM sync_view_row WHERE view = ?1 AND row IS NOT NULL")?
        .query_map([view], |found| Ok((found.get(0)?, found.get(1)?)))?
        .collect()
}

impl Replica {
    /// Publishes the rows of a view as its newest version, at HQ. Whoever has the version before gets what differs.
    pub fn publish_view(
        &mut self,
        now: Millis,
        view: &str,
        stream: Stream,
        rows: &Rows,
    ) -> Result<ViewHead, ViewError> {
        if self.identity().role != Role::Hq {
            return Err(ViewError::NotHq(self.identity().role));
        }
        let long = |(key, row): (&Vec<u8>, &Vec<u8>)| {
            key.len() > KEY_BYTES_MAX || row.len() > ROW_BYTES_MAX
        };
        if view.len() > NAME_BYTES_MAX || rows.iter().any(long) {
            return Err(ViewError::TooLarge(view.to_owned()));
        }
        let origin = self.identity().origin;
        let before = head(self.db(), view)?.filter(|head| head.origin == origin);
        let version = before.map_or(1, |head| head.version + 1);
        let digest = digest(rows.iter().map(|(key, row)| (&key[..], &row[..])));
        let (view, signature) = (view.to_owned(), [0; 64]);
        let head = ViewHead { view, stream, origin, version, as_of: now, digest, signature };
        let head = head.signed_by(self.keys().as_ref());
        self.keep_house(|tx| {
            let old = self::rows(tx, &head.view)?;
            for (key, row) in rows.iter().filter(|(key, row)| old.get(*key) != Some(row)) {
                put(tx, &head, key, Some(row))?;
            }
            for key in old.keys().filter(|key| !rows.contains_key(*key)) {
                put(tx, &head, key, None)?;
            }
            let floor = if version == 1 { 1 } else { version.saturating_sub(REMOVED_VERSIONS) };
            take_place(tx, &head, floor)
        })?;
        Ok(head)
    }

    /// Keeps a stretch that came, and puts the new version in the place of the old once it is whole.
    pub fn fetch_view(&mut self, part: &Stretch) -> Result<Fetched, ViewError> {
        let new = &part.head;
        let have = head(self.db(), &new.view)?;
        let edition = have.as_ref().map_or((0, 0), ViewHead::edition);
        let newer = new.edition() > edition || planted::is(Fault::OlderViewTaken);
        if !newer || (part.base > 0 && (new.origin.get(), part.base) != edition) {
            return Ok(Fetched::Useless);
        }
        let pull = pulling(self.db(), &new.view)?;
        let follows = match &pull {
            Some((head, base, after)) if !part.after.is_empty() => {
                head == new && (*base, after) == (part.base, &part.after)
            }
            _ => part.after.is_empty(),
        };
        if !follows {
            return Ok(Fetched::Useless);
        }
        self.keep_house(|tx| {
            if part.after.is_empty() {
                forget_pull(tx, &new.view)?;
            }
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO sync_view_new (view, key, row) VALUES (?1, ?2, ?3)",
            )?;
            for (key, row) in &part.rows {
                insert.execute((&new.view, key, row))?;
            }
            let after = part.rows.last().map_or(&part.after, |(key, _)| key);
            tx.prepare_cached("INSERT OR REPLACE INTO sync_view_pull VALUES (?1, ?2, ?3, ?4)")?
                .execute((&new.view, new.to_bytes(), part.base.cast_signed(), after))?;
            if !part.last {
                return Ok(Fetched::Part);
            }
            install(tx, new, part.base)
        })
        .map_err(ViewError::from)
    }
}

/// The version that is being fetched of a view: its head, from which version on, and the last key that is here.
pub(crate) type Pull = (ViewHead, u64, Vec<u8>);

/// What is being fetched of a view.
pub(crate) fn pulling(db: &Connection, view: &str) -> Result<Option<Pull>, ViewError> {
    let found: Option<(Vec<u8>, i64, Vec<u8>)> = db
        .prepare_cached("SELECT head, base, after FROM sync_view_pull WHERE view = ?1")?
        .query_row([view], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    found
        .map(|(head, base, after)| Ok((ViewHead::from_bytes(&head)?, base.cast_unsigned(), after)))
        .transpose()
}

/// Names of all views of which something is being fetched.
pub(crate) fn pulls(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached("SELECT view FROM sync_view_pull ORDER BY view")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The next stretch for somebody who has this version: what differs where that is known here, else all rows.
pub fn stretch(
    db: &Connection,
    head: &ViewHead,
    has: Edition,
    after: &[u8],
    bytes: usize,
) -> rusqlite::Result<Stretch> {
    let floor: i64 = db
        .prepare_cached("SELECT floor FROM sync_view WHERE view = ?1")?
        .query_row([&head.view], |row| row.get(0))?;
    let known = has.0 == head.origin.get() && has.1 >= floor.cast_unsigned();
    let base = if known { has.1 } else { 0 };
    let mut select = db.prepare_cached(
        "SELECT key, row FROM sync_view_row
         WHERE view = ?1 AND key > ?2 AND version > ?3 AND (?3 > 0 OR row IS NOT NULL) ORDER BY key",
    )?;
    let mut found = select.query((&head.view, after, base.cast_signed()))?;
    let (mut rows, mut size) = (Vec::new(), 0);
    let (head, after) = (head.clone(), after.to_vec());
    while let Some(row) = found.next()? {
        let (key, row): Change = (row.get(0)?, row.get(1)?);
        size += key.len() + row.as_ref().map_or(0, Vec::len) + 6;
        if size > bytes && !rows.is_empty() {
            return Ok(Stretch { head, base, after, rows, last: false });
        }
        rows.push((key, row));
    }
    Ok(Stretch { head, base, after, rows, last: true })
}

fn put(
    tx: &Transaction<'_>,
    head: &ViewHead,
    key: &[u8],
    row: Option<&Vec<u8>>,
) -> rusqlite::Result<()> {
    tx.prepare_cached("INSERT OR REPLACE INTO sync_view_row VALUES (?1, ?2, ?3, ?4)")?
        .execute((&head.view, key, row, head.version.cast_signed()))?;
    Ok(())
}

/// Makes this head the newest, and forgets what was removed before the floor.
fn take_place(tx: &Transaction<'_>, head: &ViewHead, floor: u64) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO sync_view VALUES (?1, ?2, ?3) ON CONFLICT (view) DO UPDATE
         SET head = excluded.head, floor = max(floor, excluded.floor)",
    )?
    .execute((&head.view, head.to_bytes(), floor.cast_signed()))?;
    tx.prepare_cached(
        "DELETE FROM sync_view_row WHERE view = ?1 AND row IS NULL
         AND version <= (SELECT floor FROM sync_view WHERE view = ?1)",
    )?
    .execute([&head.view])?;
    Ok(())
}

/// Puts the version that was fetched in its place, if its rows are those that HQ signed.
fn install(tx: &Transaction<'_>, head: &ViewHead, base: u64) -> rusqlite::Result<Fetched> {
    let view = &head.view;
    let all = "SELECT key, row FROM sync_view_new WHERE view = ?1 AND row IS NOT NULL";
    let kept = "SELECT key, row FROM sync_view_row o WHERE view = ?1 AND row IS NOT NULL AND ?2 > 0
                AND NOT EXISTS (SELECT 1 FROM sync_view_new n WHERE n.view = ?1 AND n.key = o.key)";
    let mut select = tx.prepare_cached(&format!("{all} UNION ALL {kept} ORDER BY key"))?;
    let mut rows = select.query((view, base.cast_signed()))?;
    let mut hash = blake3::Hasher::new();
    hash.update(ROWS_TAG);
    while let Some(row) = rows.next()? {
        for column in 0..2 {
            let part = row.get_ref(column)?.as_blob()?;
            hash.update(&(part.len() as u32).to_be_bytes()).update(part);
        }
    }
    if *hash.finalize().as_bytes() != head.digest && !planted::is(Fault::ViewNotVerified) {
        forget_pull(tx, view)?;
        return Ok(Fetched::Wrong);
    }
    if base == 0 {
        tx.prepare_cached("DELETE FROM sync_view_row WHERE view = ?1")?.execute([view])?;
        tx.prepare_cached("DELETE FROM sync_view WHERE view = ?1")?.execute([view])?;
    }
    tx.prepare_cached(
        "INSERT OR REPLACE INTO sync_view_row SELECT view, key, row, ?2 FROM sync_view_new WHERE view = ?1",
    )?
    .execute((view, head.version.cast_signed()))?;
    let floor =
        if base == 0 { head.version } else { head.version.saturating_sub(REMOVED_VERSIONS) };
    take_place(tx, head, floor)?;
    forget_pull(tx, view)?;
    Ok(Fetched::Whole)
}

fn forget_pull(tx: &Transaction<'_>, view: &str) -> rusqlite::Result<()> {
    tx.prepare_cached("DELETE FROM sync_view_new WHERE view = ?1")?.execute([view])?;
    tx.prepare_cached("DELETE FROM sync_view_pull WHERE view = ?1")?.execute([view])?;
    Ok(())
}
