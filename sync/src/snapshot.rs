//! A snapshot on the line: manifest, chunks and the wish
//!
//! The manifest is signed by the maker and carries the maker's own row, signed
//! by HQ: a device that has never met its back office can check it with HQ's
//! key alone. A chunk is not signed. It leads to the root in the manifest, so
//! it may come from anywhere, in any order, also from a stick.

use crate::{
    allow_list::Row,
    canonical::{Malformed, Reader, Writer},
    device_keys::DeviceKeys,
    frame::FRAME_BYTES_MAX,
    hlc::Stamp,
    merkle::{self, Hash},
    origin::{Origin, Role, Stream},
    packing::{pack, unpack},
    signed::{Mark, Unproven, WireError, open, read_list, read_marks, signed, write_marks},
};

/// The largest body of a chunk. A single row may make it so large; most are packed to less than half.
pub const CHUNK_BYTES_MAX: usize = 80 * 1024;

/// The most chunks of a snapshot.
pub const CHUNKS_MAX: u64 = 1 << 20;

/// The most chunks that are asked for at once.
pub const ASKED_MAX: usize = 16;

/// Names one snapshot.
pub type SnapshotId = [u8; 16];

const MANIFEST: u64 = 0;
const CHUNK: u64 = 1;
const WISH: u64 = 2;
const RAW: u64 = 0;
const ZSTD: u64 = 1;

/// What a snapshot is, and who vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its name.
    pub id: SnapshotId,
    /// The store that it is for: it holds the chain's stream and this one's.
    pub store: u32,
    /// Schema epoch of the maker.
    pub epoch: u16,
    /// When it was made, for people.
    pub stamp: Stamp,
    /// How many chunks there are.
    pub chunks: u64,
    /// The root over all chunks.
    pub root: Hash,
    /// How far it goes: the maker's vector in these streams.
    pub marks: Vec<Mark>,
    /// The row of the maker, as HQ has signed it.
    pub maker: Vec<u8>,
    /// Whose key signs.
    pub signer: Origin,
}

impl Manifest {
    const TAG: &[u8] = b"selvedge/snapshot/1";
    const FIELDS: usize = 11;

    /// The bytes for the line, signed.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let mut message = Writer::after(Vec::new());
        message.list(Manifest::FIELDS).uint(MANIFEST).bytes(&self.id).uint(self.store);
        message.uint(self.epoch).uint(self.stamp.0).uint(self.chunks).bytes(&self.root);
        write_marks(&mut message, &self.marks);
        message.bytes(&self.maker).uint(self.signer.get());
        signed(message, Manifest::TAG, keys)
    }

    fn decode(bytes: &[u8]) -> Result<Unproven<'_, Manifest>, WireError> {
        let (mut reader, unknown) = open(bytes, Manifest::FIELDS)?;
        reader.uint_up_to(MANIFEST)?;
        let manifest = Manifest {
            id: reader.bytes_of()?,
            store: reader.uint32()?,
            epoch: reader.uint_up_to(u64::from(u16::MAX))? as u16,
            stamp: Stamp(reader.uint()?),
            chunks: reader.uint_up_to(CHUNKS_MAX)?,
            root: reader.bytes_of()?,
            marks: read_marks(&mut reader)?,
            maker: reader.bytes()?.to_vec(),
            signer: reader.origin()?,
        };
        let signer = manifest.signer;
        Unproven::close(bytes, reader, unknown, Manifest::TAG, signer, manifest)
    }

    /// Reads a manifest that was kept, and checks all that can be checked with HQ's key alone: the
    /// row of the maker, and the maker's signature. The answer says who made it.
    pub fn prove(
        bytes: &[u8],
        authority: &[u8; 32],
        keys: &dyn DeviceKeys,
    ) -> Result<(Manifest, Row), String> {
        let unproven = Manifest::decode(bytes).map_err(|cause| cause.to_string())?;
        let row = Row::from_bytes(&unproven.message().maker).map_err(|cause| cause.to_string())?;
        row.verify(authority).map_err(|cause| cause.to_string())?;
        if row.origin != unproven.signer() {
            return Err("the snapshot is signed by another than its maker".to_owned());
        }
        let manifest = unproven.proven_with(keys, &row.key).map_err(|cause| cause.to_string())?;
        if manifest.chunks == 0 {
            return Err("a snapshot has at least one chunk".to_owned());
        }
        Ok((manifest, row))
    }

    /// How far it goes with one origin's entries.
    pub fn mark(&self, stream: Stream, origin: Origin) -> u64 {
        let found = self.marks.iter().find(|mark| (mark.0, mark.1) == (stream, origin));
        found.map_or(0, |mark| mark.2)
    }
}

/// Whether this device may make snapshots for a store: HQ, and whoever may be a parent there.
pub fn may_make(maker: &Row, store: u32) -> bool {
    maker.role == Role::Hq || maker.role == Role::BackOffice && maker.store == store
}

/// One piece of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Its number, from 1 on.
    pub number: u64,
    /// Its rows, packed or not, behind a byte that says so.
    pub body: Vec<u8>,
    /// The path to the root.
    pub path: Vec<Hash>,
}

impl Chunk {
    const FIELDS: usize = 5;

    /// The bytes for the line.
    pub fn encode(&self) -> Vec<u8> {
        let mut message = Writer::after(Vec::with_capacity(self.body.len() + 128));
        message.list(Chunk::FIELDS).uint(CHUNK).bytes(&self.id).uint(self.number);
        message.bytes(&self.body).bytes(&self.path.concat());
        message.finish()
    }

    fn decode(bytes: &[u8]) -> Result<Chunk, WireError> {
        let (mut reader, unknown) = open(bytes, Chunk::FIELDS)?;
        reader.uint_up_to(CHUNK)?;
        let (id, number) = (reader.bytes_of()?, reader.uint_up_to(CHUNKS_MAX)?);
        let (body, at) = (reader.bytes()?.to_vec(), reader.position());
        let (path, rest) = reader.bytes()?.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(Malformed { at, why: "a hash cut in the middle" }.into());
        }
        let chunk = Chunk { id, number, body, path: path.to_vec() };
        for _ in 0..unknown {
            reader.pass_over()?;
        }
        reader.end()?;
        Ok(chunk)
    }

    /// Whether it is the piece of this snapshot that it says it is.
    pub fn belongs_to(&self, manifest: &Manifest) -> bool {
        let leaf = merkle::leaf(self.number, &self.body);
        let Some(place) = self.number.checked_sub(1) else { return false };
        self.id == manifest.id
            && merkle::leads(&manifest.root, &leaf, place, manifest.chunks, &self.path)
    }
}

/// The body of a chunk from its rows.
pub fn packed(rows: &[u8]) -> Vec<u8> {
    let (enc, body) = match pack(rows) {
        Some(packed) => (ZSTD, packed),
        None => (RAW, rows.to_vec()),
    };
    [&[enc as u8][..], &body].concat()
}

/// The rows in the body of a chunk.
pub fn unpacked(body: &[u8]) -> Result<Vec<u8>, String> {
    match body.split_first() {
        Some((enc, rows)) if u64::from(*enc) == RAW => Ok(rows.to_vec()),
        Some((enc, rows)) if u64::from(*enc) == ZSTD => {
            unpack(rows).map_err(|cause| cause.to_string())
        }
        _ => Err("the chunk is packed in a way that this build does not know".to_owned()),
    }
}

/// Which chunks somebody would like to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// Of which snapshot.
    pub id: SnapshotId,
    /// Their numbers.
    pub chunks: Vec<u64>,
    /// Whose key signs.
    pub signer: Origin,
}

impl Wish {
    const TAG: &[u8] = b"selvedge/wish/1";
    const FIELDS: usize = 5;

    /// The bytes for the line, signed.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let mut message = Writer::after(Vec::new());
        message.list(Wish::FIELDS).uint(WISH).bytes(&self.id).list(self.chunks.len());
        for number in &self.chunks {
            message.uint(*number);
        }
        message.uint(self.signer.get());
        signed(message, Wish::TAG, keys)
    }

    fn decode(bytes: &[u8]) -> Result<Unproven<'_, Wish>, WireError> {
        let (mut reader, unknown) = open(bytes, Wish::FIELDS)?;
        reader.uint_up_to(WISH)?;
        let id = reader.bytes_of()?;
        let mut chunks = read_list(&mut reader, 1, |r| r.uint_up_to(CHUNKS_MAX))?;
        chunks.truncate(ASKED_MAX);
        let signer = reader.origin()?;
        let wish = Wish { id, chunks, signer };
        Unproven::close(bytes, reader, unknown, Wish::TAG, signer, wish)
    }
}

/// Any message about a snapshot.
#[derive(Debug)]
pub enum Snap<'b> {
    /// What there is, not proven yet: `Manifest::prove` does that with the same bytes.
    Manifest,
    /// A piece, not compared with its manifest yet.
    Chunk(Chunk),
    /// A wish, not proven yet.
    Wish(Unproven<'b, Wish>),
}

/// Reads a message about a snapshot.
pub fn decode(bytes: &[u8]) -> Result<Snap<'_>, WireError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(WireError::TooLarge { bytes: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    reader.list()?;
    match reader.uint()? {
        MANIFEST => Manifest::decode(bytes).map(|_| Snap::Manifest),
        CHUNK => Chunk::decode(bytes).map(Snap::Chunk),
        WISH => Wish::decode(bytes).map(Snap::Wish),
        _ => Err(Malformed { at: 1, why: "no message about a snapshot" }.into()),
    }
}
