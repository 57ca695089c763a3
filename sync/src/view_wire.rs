//! Messages about views: what one has, and what is newer
//!
//! A child says which versions it has; its parent answers with a stretch of the first that is newer, and the child asks
//! for the next. So one stretch is under way, a line that is cut loses no more than that, and a parent needs no memory
//! of whom it has sent what.

use crate::canonical::{Malformed, Reader, Writer};
use crate::device_keys::DeviceKeys;
use crate::origin::Origin;
use crate::packing::{pack, unpack};
use crate::signed::{Unproven, WireError, open, read_list, signed};
use crate::view::{Edition, KEY_BYTES_MAX, NAME_BYTES_MAX, ROW_BYTES_MAX, Stretch, ViewHead};

/// What the rows of one stretch come to, before they are packed.
pub const STRETCH_BYTES_MAX: usize = 48 * 1024;

/// How far a child is with one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HasView {
    /// The name.
    pub view: String,
    /// Which version it has; (0, 0) for none.
    pub has: Edition,
    /// Which version it is fetching; (0, 0) for none.
    pub fetches: Edition,
    /// The last key of that version that it has.
    pub after: Vec<u8>,
}

/// Which views a child has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewAsk {
    /// The number of this conversation, drawn by its shell.
    pub nonce: u64,
    /// Views that it has, or fetches. Of others it has nothing.
    pub views: Vec<HasView>,
    /// Whose key signs this message.
    pub signer: Origin,
}

/// A stretch of a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewPart {
    /// The number of this conversation, drawn by its shell.
    pub nonce: u64,
    /// The rows.
    pub stretch: Stretch,
    /// Whose key signs this message. The version itself is signed by HQ.
    pub signer: Origin,
}

impl ViewAsk {
    const TAG: &[u8] = b"selvedge/view-ask/1";
    const FIELDS: usize = 4;

    /// The bytes for the line, signed.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let mut message = Writer::after(Vec::new());
        message.list(ViewAsk::FIELDS).uint(self.nonce).list(self.views.len() * 6);
        for one in &self.views {
            message.text(&one.view).uint(one.has.0).uint(one.has.1);
            message.uint(one.fetches.0).uint(one.fetches.1).bytes(&one.after);
        }
        message.uint(self.signer.get());
        signed(message, ViewAsk::TAG, keys)
    }

    /// Reads such a message, which counts only when it is proven.
    pub fn decode(bytes: &[u8]) -> Result<Unproven<'_, ViewAsk>, WireError> {
        let (mut reader, unknown) = open(bytes, ViewAsk::FIELDS)?;
        let ask = ViewAsk {
            nonce: reader.uint()?,
            views: read_list(&mut reader, 6, |r| {
                Ok(HasView {
                    view: r.text_up_to(NAME_BYTES_MAX)?.to_owned(),
                    has: (r.uint32()?, r.uint()?),
                    fetches: (r.uint32()?, r.uint()?),
                    after: key(r)?,
                })
            })?,
            signer: reader.origin()?,
        };
        Unproven::close(bytes, reader, unknown, ViewAsk::TAG, ask.signer, ask)
    }
}

impl ViewPart {
    const TAG: &[u8] = b"selvedge/view-part/1";
    const FIELDS: usize = 9;

    /// The bytes for the line, signed.
    pub fn encode(&self, keys: &dyn DeviceKeys) -> Vec<u8> {
        let Stretch { head, base, after, rows, last } = &self.stretch;
        let mut body = Writer::after(Vec::new());
        body.list(rows.len() * 2);
        for (key, row) in rows {
            body.bytes(key);
            match row {
                Some(row) => body.bytes(row),
                None => body.null(),
            };
        }
        let body = body.finish();
        let packed = pack(&body);
        let mut message = Writer::after(Vec::new());
        message.list(ViewPart::FIELDS).uint(self.nonce).bytes(&head.to_bytes()).uint(*base);
        message.bytes(after).truth(*last).uint(u64::from(packed.is_some()));
        message.bytes(packed.as_deref().unwrap_or(&body)).uint(self.signer.get());
        signed(message, ViewPart::TAG, keys)
    }

    /// Reads such a message, which counts only when it is proven.
    pub fn decode(bytes: &[u8]) -> Result<Unproven<'_, ViewPart>, WireError> {
        let (mut reader, unknown) = open(bytes, ViewPart::FIELDS)?;
        let nonce = reader.uint()?;
        let head = ViewHead::from_bytes(reader.bytes()?)?;
        let (base, after, last) = (reader.uint()?, key(&mut reader)?, reader.truth()?);
        let packed = reader.uint_up_to(1)? == 1;
        let at = reader.position();
        let body = reader.bytes()?;
        let unpacked = if packed {
            unpack(body).map_err(|_| Malformed { at, why: "rows that do not unpack" })?
        } else {
            body.to_vec()
        };
        let mut rows = Reader::new(&unpacked);
        let list = read_list(&mut rows, 2, |r| Ok((key(r)?, row(r)?)))?;
        rows.end()?;
        if !list.is_sorted_by(|one, next| one.0 < next.0)
            || list.first().is_some_and(|first| first.0 <= after)
        {
            return Err(Malformed { at, why: "rows that do not ascend" }.into());
        }
        let signer = reader.origin()?;
        let part =
            ViewPart { nonce, stretch: Stretch { head, base, after, rows: list, last }, signer };
        Unproven::close(bytes, reader, unknown, ViewPart::TAG, signer, part)
    }
}

fn key(reader: &mut Reader) -> Result<Vec<u8>, Malformed> {
    bytes_up_to(reader, KEY_BYTES_MAX)
}

fn row(reader: &mut Reader) -> Result<Option<Vec<u8>>, Malformed> {
    if reader.nothing() { Ok(None) } else { bytes_up_to(reader, ROW_BYTES_MAX).map(Some) }
}

fn bytes_up_to(reader: &mut Reader, most: usize) -> Result<Vec<u8>, Malformed> {
    let at = reader.position();
    let bytes = reader.bytes()?;
    if bytes.len() > most {
        Err(Malformed { at, why: "too many bytes" })
    } else {
        Ok(bytes.to_vec())
    }
}
