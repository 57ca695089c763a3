//! Compresses a body, and unpacks one that a stranger sent
//!
//! A few hundred bytes can unpack to gigabytes. So the size is declared, read first, and bounded; and only one form of
//! compressed body is taken, in which no memory is asked for beside that size.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

/// The largest body that is unpacked.
pub const UNPACKED_BYTES_MAX: usize = 1024 * 1024;

/// Above 3 the time grows much faster than the bytes shrink.
const ZSTD_LEVEL: i32 = 3;

/// The byte in a compressed body that says which fields its head has.
const FLAGS_AT: usize = 4;
/// Of these flags, the two that say how long the field of the size is.
const SIZE_FIELD_FLAGS: u8 = 0b1100_0000;
/// The rest of the flags of a body that was compressed in one piece: no window, no checksum, no dictionary.
const ONE_PIECE: u8 = 0b0010_0000;

thread_local! {
    /// Their working memory is asked for once: for a small body that costs more than all the packing.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The body compressed, if that is smaller.
pub fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let packed = PACKER.with_borrow_mut(|kept| {
        if kept.is_none() {
            *kept = Compressor::new(ZSTD_LEVEL).ok();
        }
        kept.as_mut()?.compress(body).ok()
    })?;
    (packed.len() < body.len() && declared_bytes(&packed).is_ok()).then_some(packed)
}

/// The body that was packed.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, PackingError> {
    let bytes = declared_bytes(packed)?;
    let body = UNPACKER.with_borrow_mut(|kept| {
        let unpacker = match kept {
            Some(unpacker) => unpacker,
            None => kept.insert(Decompressor::new()?),
        };
        unpacker.decompress(packed, bytes)
    });
    let body = body.map_err(PackingError::Damaged)?;
    if body.len() == bytes { Ok(body) } else { Err(PackingError::Size) }
}

/// The size that a packed body declares, read before any of it is unpacked.
fn declared_bytes(packed: &[u8]) -> Result<usize, PackingError> {
    if packed.get(FLAGS_AT).is_none_or(|flags| flags & !SIZE_FIELD_FLAGS != ONE_PIECE) {
        return Err(PackingError::Form);
    }
    let Ok(Some(bytes)) = zstd_safe::get_frame_content_size(packed) else {
        return Err(PackingError::Form);
    };
    if bytes == 0 || bytes > UNPACKED_BYTES_MAX as u64 {
        return Err(PackingError::TooLarge { bytes });
    }
    if zstd_safe::find_frame_compressed_size(packed) != Ok(packed.len()) {
        return Err(PackingError::Form);
    }
    Ok(bytes as usize)
}

/// Why a packed body was refused.
#[derive(Debug, thiserror::Error)]
pub enum PackingError {
    /// It is not in the one form that is taken.
    #[error("it is not one piece that declares its size")]
    Form,
    /// It would fill the memory.
    #[error("it would unpack to {bytes} bytes, it must be 1 to {UNPACKED_BYTES_MAX}")]
    TooLarge {
        /// The size that it declares.
        bytes: u64,
    },
    /// It is damaged.
    #[error("it is damaged")]
    Damaged(#[source] io::Error),
    /// It has not the size that it declares.
    #[error("it has not the size that it declares")]
    Size,
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use crate::packing::{UNPACKED_BYTES_MAX, pack, unpack};

    #[test]
    fn what_would_not_shrink_is_not_packed() {
        assert_eq!(pack(b"selvedge"), None);
        assert!(pack(&[7; 500]).is_some_and(|packed| packed.len() < 30));
    }

    #[test]
    fn a_body_that_would_fill_the_memory_is_refused_unopened() {
        let bomb = zstd::bulk::compress(&vec![0; UNPACKED_BYTES_MAX + 1], 3).unwrap();
        check(&bomb, expect!["it would unpack to 1048577 bytes, it must be 1 to 1048576"]);
        let largest = zstd::bulk::compress(&vec![0; UNPACKED_BYTES_MAX], 3).unwrap();
        check(&largest, expect!["1048576 bytes"]);
    }

    #[test]
    fn only_one_piece_that_declares_its_size_is_taken() {
        let one = zstd::bulk::compress(&[0; 500], 3).unwrap();
        check(&one, expect!["500 bytes"]);
        check(&[], expect!["it is not one piece that declares its size"]);
        check(
            &[&one[..], &one[..]].concat(),
            expect!["it is not one piece that declares its size"],
        );
        let streamed = zstd::stream::encode_all(&[0; 500][..], 3).unwrap();
        check(&streamed, expect!["it is not one piece that declares its size"]);
    }

    fn check(packed: &[u8], says: Expect) {
        let unpacked = unpack(packed).map(|body| format!("{} bytes", body.len()));
        says.assert_eq(&unpacked.unwrap_or_else(|refused| refused.to_string()));
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks(body in proptest::collection::vec(0u8..3, 100..3_000)) {
            let packed = pack(&body).unwrap();
            prop_assert_eq!(unpack(&packed).unwrap(), body);
        }

        #[test]
        fn damage_never_unpacks_to_more_than_was_declared(
            body in proptest::collection::vec(0u8..3, 100..3_000),
            at: proptest::sample::Index,
            other: u8,
        ) {
            let mut packed = pack(&body).unwrap();
            let at = at.index(packed.len());
            packed[at] = other;
            if let Ok(unpacked) = unpack(&packed) {
                prop_assert!(unpacked.len() <= UNPACKED_BYTES_MAX);
            }
        }
    }
}
