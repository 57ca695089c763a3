//! A row signed by HQ: an origin, its device, if it counts
//!
//! Each row bears its own signature by HQ's authority key, beside the seal of the entry that brings it: rows also travel
//! alone, in a file on a stick, and a database that somebody changed by hand admits nobody. A newer row of an origin has
//! a higher version, and an older one never replaces it, whoever brings it.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::{DeviceKeys, verify};
use crate::origin::{
    DEVICE_ID_CHARS_MAX, DeviceId, DeviceIdError, Origin, Role, Stream, UnknownRole,
};

/// The longest label, in bytes.
pub const LABEL_BYTES_MAX: usize = 16;

/// The most parents that a row names.
pub const PARENTS_MAX: usize = 8;

/// The most streams that a cut names.
pub const CUTS_MAX: usize = 1_024;

/// Signatures of rows that are remembered, at most: half a MiB.
const REMEMBERED_MAX: usize = 16_384;

thread_local! {
    /// What was found to be signed, by a hash over key, signature and message. All rows are looked at again whenever one
    /// of them changes, and a chain has thousands.
    static SIGNED: RefCell<HashSet<[u8; 32]>> = RefCell::new(HashSet::new());
}

fn is_signed(authority: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let mut hasher = blake3::Hasher::new();
    let name = *hasher.update(authority).update(signature).update(message).finalize().as_bytes();
    if SIGNED.with_borrow(|signed| signed.contains(&name)) {
        return true;
    }
    let is = verify(authority, message, signature);
    if is {
        SIGNED.with_borrow_mut(|signed| {
            if signed.len() == REMEMBERED_MAX {
                signed.clear();
            }
            signed.insert(name);
        });
    }
    is
}

const TAG: &[u8] = b"selvedge/allow/2";
const FIELDS: usize = 11;

/// The key of an origin that no device has yet.
const NO_KEY: [u8; 32] = [0; 32];

/// Whether an origin counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It may write.
    Active,
    /// It may not write for now: its entries wait at their sender.
    Suspended,
    /// No device has it yet: a back office may give it to a device of its store.
    Spare,
    /// Its incarnation is over. What it wrote up to the cut holds.
    Closed,
    /// It was dismissed. What it wrote up to the cut holds.
    Revoked,
}

impl State {
    const ALL: [State; 5] =
        [State::Active, State::Suspended, State::Spare, State::Closed, State::Revoked];

    /// The word that stands in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Active => "active",
            State::Suspended => "suspended",
            State::Spare => "spare",
            State::Closed => "closed",
            State::Revoked => "revoked",
        }
    }

    /// Whether its entries end at a cut.
    pub const fn is_over(self) -> bool {
        matches!(self, State::Closed | State::Revoked)
    }
}

/// The last entry of a stream that counts of an origin that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// Which stream. One that no cut names ends before its first entry.
    pub stream: Stream,
    /// Number of its last entry that counts, at least 1.
    pub seq: u64,
    /// First bytes of the chain value up to it: of two branches it says which one counts.
    pub chain8: [u8; 8],
}

/// One incarnation of one device, admitted by HQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The number under which it writes.
    pub origin: Origin,
    /// Its name; nobody's as long as it is spare.
    pub device: DeviceId,
    /// Its store. 0 is HQ.
    pub store: u32,
    /// What it is there.
    pub role: Role,
    /// A short text that the trade above gives it and reads. Nothing in this package does.
    pub label: String,
    /// The public key that seals what it writes; zeros as long as it is spare.
    pub key: [u8; 32],
    /// Whether it counts.
    pub state: State,
    /// Grows with every new row of this origin.
    pub version: u32,
    /// To whom it reports, the first one first. Empty: to the back office of its store, and that to HQ.
    pub parents: Vec<DeviceId>,
    /// Where its entries end when it is over, by ascending stream. Empty in any other state.
    pub cut: Vec<Cut>,
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
        Row {
            origin,
            device: device.clone(),
            store,
            role,
            label: label.to_owned(),
            key,
            state: State::Active,
            version: 1,
            parents: Vec::new(),
            cut: Vec::new(),
            signature: [0; 64],
        }
        .signed(authority)
    }

    /// An origin that a back office may give to a device of its store while HQ is out of reach.
    pub fn spare(
        origin: Origin,
        store: u32,
        role: Role,
        label: &str,
        authority: &dyn DeviceKeys,
    ) -> Row {
        let (device, label) = (DeviceId::nobody(), label.to_owned());
        let (state, version, key) = (State::Spare, 1, NO_KEY);
        let (parents, cut, signature) = (Vec::new(), Vec::new(), [0; 64]);
        Row { origin, device, store, role, label, key, state, version, parents, cut, signature }
            .signed(authority)
    }

    /// The next row of this origin, in a state without a cut.
    pub fn in_state(&self, state: State, authority: &dyn DeviceKeys) -> Row {
        Row { state, cut: Vec::new(), ..self.clone() }.next(authority)
    }

    /// The next row of this origin, which is over: what it wrote counts up to this cut.
    pub fn ended(&self, state: State, cut: Vec<Cut>, authority: &dyn DeviceKeys) -> Row {
        assert!(state.is_over(), "only what is over has a cut");
        Row { state, cut, ..self.clone() }.next(authority)
    }

    /// The next row of this origin, which reports to these.
    pub fn with_parents(&self, parents: Vec<DeviceId>, authority: &dyn DeviceKeys) -> Row {
        Row { parents, ..self.clone() }.next(authority)
    }

    /// The next row of a spare origin, which now belongs to this device.
    pub fn given_to(&self, device: &DeviceId, key: [u8; 32], authority: &dyn DeviceKeys) -> Row {
        assert_eq!(self.state, State::Spare, "an origin never passes to another device");
        Row { device: device.clone(), key, state: State::Active, ..self.clone() }.next(authority)
    }

    /// Whether the authority signed this row as it is.
    pub fn verify(&self, authority: &[u8; 32]) -> Result<(), RowError> {
        self.check()?;
        let message = self.signed_part(TAG.to_vec());
        if is_signed(authority, message.so_far(), &self.signature) {
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
        let device = read_device(reader.text_up_to(DEVICE_ID_CHARS_MAX)?)?;
        let role = Role::parse(reader.text_up_to(LABEL_BYTES_MAX)?)?;
        let label = reader.text_up_to(LABEL_BYTES_MAX)?.to_owned();
        let key = reader.bytes_of()?;
        let state = read_state(reader.text_up_to(LABEL_BYTES_MAX)?)?;
        let version = reader.uint32()?;
        let parents = (0..reader.list()?)
            .map(|_| Ok(DeviceId::new(reader.text_up_to(DEVICE_ID_CHARS_MAX)?)?))
            .collect::<Result<_, RowError>>()?;
        let cut = read_cut(&mut reader)?;
        let signature = reader.bytes_of()?;
        reader.end()?;
        let row = Row {
            origin,
            device,
            store,
            role,
            label,
            key,
            state,
            version,
            parents,
            cut,
            signature,
        };
        row.check()?;
        Ok(row)
    }

    fn next(self, authority: &dyn DeviceKeys) -> Row {
        let version = self.version.checked_add(1).expect("nobody signs 2^32 rows of an origin");
        Row { version, ..self }.signed(authority)
    }

    fn signed(self, authority: &dyn DeviceKeys) -> Row {
        assert!(self.label.len() <= LABEL_BYTES_MAX, "a label is short");
        if let Err(why) = self.check() {
            panic!("only a row that makes sense is signed: {why}");
        }
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
            .text(self.state.as_str())
            .uint(self.version)
            .list(self.parents.len());
        for parent in &self.parents {
            part.text(parent.as_str());
        }
        write_cut(&mut part, &self.cut);
        part
    }

    /// Whether what stands in it goes together.
    fn check(&self) -> Result<(), RowError> {
        if self.stream().is_none() || (self.role == Role::Hq) != (self.store == 0) {
            return Err(RowError::Place {
                origin: self.origin,
                role: self.role,
                store: self.store,
            });
        }
        let spare = self.state == State::Spare;
        let why = if self.device.is_nobody() != spare || (self.key == NO_KEY) != spare {
            "a spare origin has no device and no key yet, every other one has both"
        } else if !self.cut.is_empty() && !self.state.is_over() {
            "only an origin that is closed or revoked has a cut"
        } else if self.cut.len() > CUTS_MAX
            || !self.cut.is_sorted_by(|one, next| one.stream < next.stream)
            || self.cut.iter().any(|cut| cut.seq == 0)
        {
            "a cut names each stream once, in order, and an entry of it"
        } else if self.parents.len() > PARENTS_MAX
            || (1..self.parents.len()).any(|at| self.parents[..at].contains(&self.parents[at]))
        {
            "it names a parent twice, or too many"
        } else {
            return Ok(());
        };
        Err(RowError::Shape { origin: self.origin, why })
    }
}

/// Nobody's name is empty.
pub(crate) fn read_device(text: &str) -> Result<DeviceId, DeviceIdError> {
    if text.is_empty() { Ok(DeviceId::nobody()) } else { DeviceId::new(text) }
}

/// Stream, seq and chain value, and so on, flat.
pub(crate) fn write_cut(part: &mut Writer, cut: &[Cut]) {
    part.list(cut.len() * 3);
    for Cut { stream, seq, chain8 } in cut {
        part.uint(stream.number()).uint(*seq).bytes(chain8);
    }
}

pub(crate) fn read_cut(reader: &mut Reader<'_>) -> Result<Vec<Cut>, Malformed> {
    let at = reader.position();
    let parts = reader.list()?;
    if !parts.is_multiple_of(3) || parts > CUTS_MAX * 3 {
        return Err(Malformed { at, why: "no list of cuts" });
    }
    let mut one =
        || Ok(Cut { stream: reader.stream()?, seq: reader.uint()?, chain8: reader.bytes_of()? });
    (0..parts / 3).map(|_| one()).collect()
}

pub(crate) fn read_state(word: &str) -> Result<State, RowError> {
    let unknown = || RowError::State { word: word.to_owned() };
    State::ALL.into_iter().find(|state| state.as_str() == word).ok_or_else(unknown)
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
    /// Its parts do not go together.
    #[error("the row of origin {origin} makes no sense: {why}")]
    Shape {
        /// Whose row.
        origin: Origin,
        /// What is wrong.
        why: &'static str,
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
    /// A newer row of this origin is there, or another one of the same version.
    #[error(
        "version {version} of the row of origin {origin} is not newer than version {there}: read the list again and sign the next one"
    )]
    Older {
        /// Whose row.
        origin: Origin,
        /// Its version.
        version: u32,
        /// The version that is there.
        there: u32,
    },
    /// The database refused.
    #[error("the allow-list was not reached in the database")]
    Database(#[from] rusqlite::Error),
}
