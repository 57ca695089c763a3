//! Rows signed by HQ: which device, key and role count

use rusqlite::{Connection, OptionalExtension, Transaction};

pub use crate::allow_row::{Cut, Row, RowError, State};
use crate::allow_row::{read_cut, read_device, read_state, write_cut};
use crate::canonical::{Reader, Writer};
use crate::origin::{DeviceId, Origin, Role};

/// The table, and that it replicates. HQ alone writes it, in the stream of the store that the row is about.
pub const SCHEMA: &str = "
CREATE TABLE allow_list (
    origin    INTEGER NOT NULL PRIMARY KEY,
    store     INTEGER NOT NULL,
    device    TEXT    NOT NULL,
    role      TEXT    NOT NULL,
    label     TEXT    NOT NULL,
    key       BLOB    NOT NULL,
    state     TEXT    NOT NULL,
    version   INTEGER NOT NULL,
    parents   TEXT    NOT NULL,
    cut       BLOB    NOT NULL,
    signature BLOB    NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4000, 'allow_list', 'owner', 'by:store');
";

const COLUMNS: &str =
    "origin, store, device, role, label, key, state, version, parents, cut, signature";

/// Writes a row, or a newer one of an origin that is there. An origin never passes to another device or key, unless it
/// was spare. A row that is there already changes nothing.
pub fn insert(tx: &Transaction, row: &Row) -> Result<(), RowError> {
    let sql = format!(
        "INSERT INTO allow_list ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
         ON CONFLICT (origin) DO UPDATE
         SET device = excluded.device, label = excluded.label, key = excluded.key, state = excluded.state,
             version = excluded.version, parents = excluded.parents, cut = excluded.cut,
             signature = excluded.signature
         WHERE (store, role) = (excluded.store, excluded.role) AND version < excluded.version
           AND (state = 'spare' OR (device, key) = (excluded.device, excluded.key))"
    );
    let parents: Vec<&str> = row.parents.iter().map(DeviceId::as_str).collect();
    let mut cut = Writer::after(Vec::new());
    write_cut(&mut cut, &row.cut);
    let changed = tx.prepare_cached(&sql)?.execute((
        row.origin.get(),
        row.store,
        row.device.as_str(),
        row.role.as_str(),
        &row.label,
        row.key,
        row.state.as_str(),
        row.version,
        parents.join(" "),
        cut.finish(),
        row.signature,
    ))?;
    if changed == 1 {
        return Ok(());
    }
    let there: (u32, Vec<u8>) = tx
        .prepare_cached("SELECT version, signature FROM allow_list WHERE origin = ?1")?
        .query_row([row.origin.get()], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match there {
        (_, signature) if signature == row.signature => Ok(()),
        (version, _) if version >= row.version => {
            Err(RowError::Older { origin: row.origin, version: row.version, there: version })
        }
        _ => Err(RowError::OriginTaken { origin: row.origin }),
    }
}

/// The row of one origin. One that HQ did not sign as it is does not count, and the error says so.
pub fn by_origin(
    db: &Connection,
    origin: Origin,
    authority: &[u8; 32],
) -> Result<Option<Row>, RowError> {
    let found = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM allow_list WHERE origin = ?1"))?
        .query_row([origin.get()], raw_row)
        .optional()?;
    found.map(|raw| raw.checked(authority)).transpose()
}

/// Every row that HQ signed as it is, by ascending origin. Others do not count and are left out.
pub fn all(db: &Connection, authority: &[u8; 32]) -> Result<Vec<Row>, RowError> {
    let found: Vec<RawRow> = db
        .prepare_cached(&format!("SELECT {COLUMNS} FROM allow_list ORDER BY origin"))?
        .query_map((), raw_row)?
        .collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter_map(|raw| raw.checked(authority).ok()).collect())
}

/// A row as it lies in the table, not believed yet.
struct RawRow {
    origin: i64,
    store: i64,
    device: String,
    role: String,
    label: String,
    key: Vec<u8>,
    state: String,
    version: i64,
    parents: String,
    cut: Vec<u8>,
    signature: Vec<u8>,
}

fn raw_row(row: &rusqlite::Row) -> rusqlite::Result<RawRow> {
    Ok(RawRow {
        origin: row.get(0)?,
        store: row.get(1)?,
        device: row.get(2)?,
        role: row.get(3)?,
        label: row.get(4)?,
        key: row.get(5)?,
        state: row.get(6)?,
        version: row.get(7)?,
        parents: row.get(8)?,
        cut: row.get(9)?,
        signature: row.get(10)?,
    })
}

impl RawRow {
    fn checked(self, authority: &[u8; 32]) -> Result<Row, RowError> {
        let damaged = || RowError::Damaged { origin: self.origin };
        let origin = u32::try_from(self.origin).ok().and_then(Origin::new).ok_or_else(damaged)?;
        let mut cut = Reader::new(&self.cut);
        let row = Row {
            origin,
            device: read_device(&self.device)?,
            store: u32::try_from(self.store).map_err(|_| damaged())?,
            role: Role::parse(&self.role)?,
            label: self.label.clone(),
            key: self.key[..].try_into().map_err(|_| damaged())?,
            state: read_state(&self.state)?,
            version: u32::try_from(self.version).map_err(|_| damaged())?,
            parents: self
                .parents
                .split_terminator(' ')
                .map(DeviceId::new)
                .collect::<Result<_, _>>()?,
            cut: read_cut(&mut cut)?,
            signature: self.signature[..].try_into().map_err(|_| damaged())?,
        };
        cut.end()?;
        row.verify(authority)?;
        Ok(row)
    }
}
