//! A message and the signature that ends it

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::{DeviceKeys, verify};
use crate::origin::{Origin, Stream};
use crate::version::SEQ_MAX;

/// The largest message. It is the limit of a frame too.
pub const MESSAGE_BYTES_MAX: usize = 96 * 1024;

/// The most parts in a message, those of newer builds included.
const FIELDS_MAX: usize = 64;

/// How far one origin has come in one stream.
pub type Mark = (Stream, Origin, u64);

/// A message that was read, but whose signature was not checked yet.
#[derive(Debug)]
pub struct Unproven<'b, M> {
    message: M,
    signer: Origin,
    tag: &'static [u8],
    signed: &'b [u8],
    signature: [u8; 64],
}

impl<'b, M> Unproven<'b, M> {
    /// Who is said to have signed it.
    pub fn signer(&self) -> Origin {
        self.signer
    }

    /// The message as it reads, not believed yet: for what in it tells how to prove it.
    pub fn message(&self) -> &M {
        &self.message
    }

    /// The message, if it was signed by this key, which must be the one of the signer.
    pub fn proven_by(self, public: &[u8; 32]) -> Result<M, WireError> {
        self.proven(|message, signature| verify(public, message, signature))
    }

    /// As `proven_by`, verified by these keys.
    pub fn proven_with(self, keys: &dyn DeviceKeys, public: &[u8; 32]) -> Result<M, WireError> {
        self.proven(|message, signature| keys.verify(public, message, signature))
    }

    fn proven(self, holds: impl Fn(&[u8], &[u8; 64]) -> bool) -> Result<M, WireError> {
        if holds(&[self.tag, self.signed].concat(), &self.signature) {
            Ok(self.message)
        } else {
            Err(WireError::Signature { signer: self.signer })
        }
    }

    pub(crate) fn close(
        bytes: &'b [u8],
        mut reader: Reader,
        unknown: usize,
        tag: &'static [u8],
        signer: Origin,
        message: M,
    ) -> Result<Unproven<'b, M>, WireError> {
        for _ in 0..unknown {
            reader.pass_over()?;
        }
        let signed = &bytes[..reader.position()];
        let signature = reader.bytes_of()?;
        reader.end()?;
        Ok(Unproven { message, signer, tag, signed, signature })
    }
}

/// Starts to read a message, and says how many parts it has that this build does not know.
pub(crate) fn open(bytes: &[u8], known: usize) -> Result<(Reader<'_>, usize), WireError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLarge { bytes: bytes.len() });
    }
    let mut reader = Reader::new(bytes);
    let fields = reader.list()?;
    if !(known..=FIELDS_MAX).contains(&fields) {
        return Err(Malformed { at: 0, why: "another number of fields" }.into());
    }
    Ok((reader, fields - known))
}

pub(crate) fn signed(mut message: Writer, tag: &[u8], keys: &dyn DeviceKeys) -> Vec<u8> {
    let signature = keys.sign(&[tag, message.so_far()].concat());
    message.bytes(&signature);
    message.finish()
}

/// Marks lie flat, three numbers each: a list per mark would cost a byte more for each.
pub(crate) fn write_marks(message: &mut Writer, marks: &[Mark]) {
    message.list(marks.len() * 3);
    for (stream, origin, seq) in marks {
        message.uint(stream.number()).uint(origin.get()).uint(*seq);
    }
}

pub(crate) fn read_marks(reader: &mut Reader) -> Result<Vec<Mark>, Malformed> {
    read_list(reader, 3, |r| Ok((r.stream()?, r.origin()?, r.uint_up_to(SEQ_MAX)?)))
}

/// Reads a flat list of things of so many parts each. Grows with what is really there, not with what is promised.
pub(crate) fn read_list<T>(
    reader: &mut Reader,
    parts_each: usize,
    read: impl Fn(&mut Reader) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let at = reader.position();
    let parts = reader.list()?;
    if !parts.is_multiple_of(parts_each) {
        return Err(Malformed { at, why: "a list cut in the middle" });
    }
    let mut list = Vec::new();
    for _ in 0..parts / parts_each {
        list.push(read(reader)?);
    }
    Ok(list)
}

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It is larger than any replica sends.
    #[error("a message of {bytes} bytes is refused: at most {MESSAGE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The bytes are damaged, or come from something that is no replica.
    #[error("the message cannot be read: {0}")]
    Malformed(#[from] Malformed),
    /// Somebody else signed it, or somebody changed it.
    #[error("the message is not signed by origin {signer}: it was changed, or another key made it")]
    Signature {
        /// Who is said to have signed it.
        signer: Origin,
    },
}
