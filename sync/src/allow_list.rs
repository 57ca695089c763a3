//! Rows signed by HQ: which device, key, origin and role count
//!
//! Each row bears its own signature by HQ's authority key, beside the seal of the entry that brings it: rows also travel
//! alone, in a file on a stick, and a database that somebody changed by hand admits nobody.

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::{DeviceKeys, verify};
use crate::origin::{
    DEVICE_ID_CHARS_MAX, DeviceId, DeviceIdError, Origin, Role, Stream, UnknownRole,
};

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
    signature BLOB    NOT NULL
) STRICT;
INSERT INTO replicated (table_id, name, rule, stream) VALUES (4000, 'allow_list', 'owner', 'by:store');
";

/// The longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 16;

const TAG: &[u8] = b"selvedge/allow/1";
const FIELDS: usize = 8;
const COLUMNS: &str = "origin, store, device, role, label, key, state, signature";

/// Whether an origin counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It may write.
    Active,
    /// Its incarnation is over. What it wrote holds.
    Closed,
    /// It was dismissed.
    Revoked,
}

impl State {
    const ALL: [State; 3] = [State::Active, State::Closed, State::Revoked];

    /// The word that stands in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Closed => "closed",
            State::Revoked => "revoked",
        }
    }
}

/// One incarnation of one device, admitted by HQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number under which it writes.
    pub origin: Origin,
    /// Its name.
    pub device: DeviceId,
    /// Its store. 0 is HQ.
    pub store: u32,
    /// What it is there.
    pub role: Role,
    /// A short text that the trade above gives it and reads. Nothing in this package does.
    pub label: String,
    /// The public key that seals what it writes.
    pub key: [u8; 32],
    /// Whether it counts.
    pub state: State,
    /// HQ's signature over all of the above.
    pub signature: [u8; 64],
}

impl Row {
    /// Admits a device: a row that is active, signed by HQ's authority.
    pub fn sign(
        origin: Origin,
        device: &DeviceId,
        store: u32,
        role: Role,
        label: &str,
        key: [u8; 32],
        authority: &dyn DeviceKeys,
    ) -> Row {
        let (device, label) = (device.clone(), label.to_owned());
        let state = State::Active;
        Row { origin, device, store, role, label, key, state, signature: [0; 64] }.signed(authority)
    }

    /// The same row in another state, signed anew.
    pub fn in_state(&self, state: State, authority: &dyn DeviceKeys) -> Row {
        Row { state, ..self.clone() }.signed(authority)
    }

    /// Whether the authority signed this row as it is.
    pub fn verify(&self, authority: &[u8; 32]) -> Result<(), RowError> {
        self.check_place()?;
        let message = self.signed_part(TAG.to_vec());
        if verify(authority, message.so_far(), &self.signature) {
            Ok(())
        } else {
            Err(RowError::NotSigned { origin: self.origin, device: self.device.clone() })
        }
    }

    /// The stream of its own store. HQ's is the chain.
    pub fn stream(&self) -> Option<Stream> {
        Stream::from_number(self.store)
    }

    /// The row as bytes, to travel alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut row = self.signed_part(Vec::new());
        row.bytes(&self.signature);
        row.finish()
    }

    /// Reads such bytes. Whether HQ signed them is for `verify` to say.
    pub fn from_bytes(bytes: &[u8]) -> Result<Row, RowError> {
        let mut reader = Reader::new(bytes);
        if reader.list()? != FIELDS {
            return Err(Malformed { at: 0, why: "another number of fields" }.into());
        }
        let origin = reader.origin()?;
        let store = reader.uint32()?;
        let device = DeviceId::new(reader.text_up_to(DEVICE_ID_CHARS_MAX)?)?;
        let role = Role::parse(reader.text_up_to(LABEL_BYTES_MAX)?)?;
        let label = reader.text_up_to(LABEL_BYTES_MAX)?.to_owned();
        let key = reader.bytes_of()?;
        let state = read_state(reader.text_up_to(LABEL_BYTES_MAX)?)?;
        let signature = reader.bytes_of()?;
        reader.end()?;
        let row = Row { origin, device, store, role, label, key, state, signature };
        row.check_place()?;
        Ok(row)
    }

    fn signed(self, authority: &dyn DeviceKeys) -> Row {
        assert!(self.label.len() <= LABEL_BYTES_MAX, "a label is short");
        assert!(self.check_place().is_ok(), "HQ is no store, and no other device is at HQ");
        let signature = authority.sign(self.signed_part(TAG.to_vec()).so_far());
        Row { signature, ..self }
    }

    /// All but the signature, behind what is already there.
    fn signed_part(&self, before: Vec<u8>) -> Writer {
        let mut part = Writer::after(before);
        part.list(FIELDS)
            .uint(self.origin.get())
            .uint(self.store)
            .text(self.device.as_str())
            .text(self.role.as_str())
            .text(&self.label)
            .bytes(&self.key)
            .text(self.state.as_str());
        part
    }

    fn check_place(&self) -> Result<(), RowError> {
        if self.stream().is_some() && (self.role == Role::Hq) == (self.store == 0) {
            return Ok(());
        }
        Err(RowError::Place { origin: self.origin, role: self.role, store: self.store })
    }
}

fn read_state(word: &str) -> Result<State, RowError> {
    let unknown = || RowError::State { word: word.to_owned() };
    State::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(unknown)
}

/// Writes a row, or the newer state of one that is there. An origin never passes to another device or key.
pub fn insert(tx: &Transaction, row: &Row) -> Result<(), RowError> {
    let sql = format!(
        "INSERT INTO allow_list ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (origin) DO UPDATE
         SET label = excluded.label, state = excluded.state, signature = excluded.signature
         WHERE (store, device, role, key) = (excluded.store, excluded.device, excluded.role, excluded.key)"
    );
    let changed = tx.prepare_cached(&sql)?.execute((
        row.origin.get(),
        row.store,
        row.device.as_str(),
        row.role.as_str(),
        &row.label,
        row.key,
        row.state.as_str(),
        row.signature,
    ))?;
    if changed == 1 { Ok(()) } else { Err(RowError::OriginTaken { origin: row.origin }) }
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
        signature: row.get(7)?,
    })
}

impl RawRow {
    fn checked(self, authority: &[u8; 32]) -> Result<Row, RowError> {
        let damaged = || RowError::Damaged { origin: self.origin };
        let origin = u32::try_from(self.origin).ok().and_then(Origin::new).ok_or_else(damaged)?;
        let row = Row {
            origin,
            device: DeviceId::new(&self.device)?,
            store: u32::try_from(self.store).map_err(|_| damaged())?,
            role: Role::parse(&self.role)?,
            label: self.label.clone(),
            key: self.key[..].try_into().map_err(|_| damaged())?,
            state: read_state(&self.state)?,
            signature: self.signature[..].try_into().map_err(|_| damaged())?,
        };
        row.verify(authority)?;
        Ok(row)
    }
}

/// Why a row does not count.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The bytes are damaged.
    #[error("the row cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// The device has no proper name.
    #[error("the row has no proper device: {0}")]
    Device(#[from] DeviceIdError),
    /// The role is unknown.
    #[error("the row has no proper role: {0}")]
    Role(#[from] UnknownRole),
    /// The state is unknown.
    #[error("the row has the state '{word}', which this build does not know: update this device")]
    State {
        /// The word that stands there.
        word: String,
    },
    /// Role and store do not fit.
    #[error(
        "the row of origin {origin} names a {role} of store {store}: HQ has store 0, and only HQ"
    )]
    Place {
        /// Whose row.
        origin: Origin,
        /// Its role.
        role: Role,
        /// Its store.
        store: u32,
    },
    /// HQ's authority did not sign the row as it is.
    #[error("the row of origin {origin} ({device}) is not signed by the authority of this chain")]
    NotSigned {
        /// Whose row.
        origin: Origin,
        /// The device that it names.
        device: DeviceId,
    },
    /// A number or key in the table is out of range.
    #[error("the row of origin {origin} in the database is damaged: admit the device anew")]
    Damaged {
        /// The number that stands there.
        origin: i64,
    },
    /// The origin already belongs to another device, key, store or role.
    #[error("origin {origin} is already given to another device or key: take the next free one")]
    OriginTaken {
        /// Which.
        origin: Origin,
    },
    /// The database refused.
    #[error("the allow-list was not reached in the database")]
    Database(#[from] rusqlite::Error),
}
