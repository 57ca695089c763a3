//! A snapshot on a stick: the same bytes, the same checks
//!
//! A line of text for people, then the manifest and the chunks as they go over
//! the line, each behind its length.

use crate::{
    frame::FRAME_BYTES_MAX,
    hlc::Millis,
    install::{InstallError, Installed},
    open::OpenError,
    replica::Replica,
    snapshot::{self, Manifest, Snap},
    snapshot_maker::{CHUNK_ROWS_BYTES, MakeError, Making, Step},
    snapshot_rack::Rack,
};
use std::io::{self, Read, Write};

const FIRST_LINE: &[u8] =
    b"Selvedge snapshot 1. Nothing in here is secret from the store that it is for.\n";

/// Why a file was not written or not taken.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file or the stick failed.
    #[error("the file was not read or written to its end ({0}): try another stick")]
    Io(#[from] io::Error),
    /// It is no snapshot.
    #[error("the file is no snapshot of this build: copy it again")]
    NoSnapshot,
    /// Nobody whom this device may believe has made it.
    #[error("the snapshot is refused: {0}")]
    Refused(String),
    /// It was not made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// It was not taken in.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The rack beside the replica did not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The rack beside the replica failed.
    #[error("the snapshot could not be kept beside the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
}

impl Replica {
    /// Makes a snapshot for a store and writes it into a file; says how many bytes it has.
    pub fn write_snapshot(&self, store: u32, out: &mut dyn Write) -> Result<u64, FileError> {
        let rack = Rack::open(self.path(), self.vfs())?;
        let mut making = Making::begin(self, &rack, store)?;
        while let Step::More = making.step(self, &rack, CHUNK_ROWS_BYTES)? {}
        let made = rack.made(store)?.ok_or(FileError::NoSnapshot)?;
        out.write_all(FIRST_LINE)?;
        let mut bytes = FIRST_LINE.len() as u64 + write_part(out, &made.manifest)?;
        for number in 1.. {
            let Some(chunk) = rack.chunk(&made, number)? else { break };
            bytes += write_part(out, &chunk.encode())?;
        }
        out.flush()?;
        Ok(bytes)
    }

    /// Takes a snapshot in from a file. Every byte is checked before any row is written.
    pub fn take_snapshot(
        &mut self,
        now: Millis,
        input: &mut dyn Read,
    ) -> Result<Installed, FileError> {
        let mut first = [0; FIRST_LINE.len()];
        input.read_exact(&mut first)?;
        if first != FIRST_LINE {
            return Err(FileError::NoSnapshot);
        }
        let bytes = read_part(input)?.ok_or(FileError::NoSnapshot)?;
        let (manifest, maker) =
            Manifest::prove(&bytes, &self.identity().authority, self.keys().as_ref())
                .map_err(FileError::Refused)?;
        if manifest.store != self.identity().store || !snapshot::may_make(&maker, manifest.store) {
            return Err(FileError::Refused("it is for another store".to_owned()));
        }
        let rack = Rack::open(self.path(), self.vfs())?;
        rack.expect(&bytes)?;
        while let Some(bytes) = read_part(input)? {
            match snapshot::decode(&bytes) {
                Ok(Snap::Chunk(chunk)) if chunk.belongs_to(&manifest) => {
                    rack.keep(chunk.number, &chunk.body)?;
                }
                _ => return Err(FileError::NoSnapshot),
            }
        }
        let done = self.install(now, &rack, &manifest)?;
        rack.expect_none()?;
        Ok(done)
    }
}

fn write_part(out: &mut dyn Write, part: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(part.len()).expect("a message has at most 96 KiB");
    out.write_all(&length.to_be_bytes())?;
    out.write_all(part)?;
    Ok(u64::from(length) + 4)
}

/// The next part; None at the end of the file.
fn read_part(input: &mut dyn Read) -> Result<Option<Vec<u8>>, FileError> {
    let mut length = Vec::new();
    input.take(4).read_to_end(&mut length)?;
    let length = match length[..] {
        [] => return Ok(None),
        [a, b, c, d] => u32::from_be_bytes([a, b, c, d]) as usize,
        _ => return Err(FileError::NoSnapshot),
    };
    if length > FRAME_BYTES_MAX {
        return Err(FileError::NoSnapshot);
    }
    let mut part = vec![0; length];
    input.read_exact(&mut part)?;
    Ok(Some(part))
}
