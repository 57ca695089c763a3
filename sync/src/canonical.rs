//! Reads and writes CBOR that has only one form
//!
//! What is signed must have one form: of two forms of the same number one would verify and the other not, or both, and
//! then a copy in another form would pass for another message. So lengths are definite, integers are as short as they
//! can be, and nothing follows the end. The CBOR library writes so by itself but also reads the longer forms.

use minicbor::Decoder;
use minicbor::data::Type;

use crate::origin::{Origin, Stream};

/// How deep lists may lie in one another in a part that is passed over.
const DEPTH_MAX: u32 = 16;

/// Why bytes are not in the one form, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct Malformed {
    /// The position of the first byte of the part that is wrong.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// What a part of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held<'b> {
    /// Null.
    Nothing,
    /// A whole number.
    Number(i64),
    /// A text.
    Text(&'b str),
    /// Bytes.
    Bytes(&'b [u8]),
}

/// Walks through CBOR from front to back.
pub struct Reader<'b> {
    cbor: Decoder<'b>,
}

impl<'b> Reader<'b> {
    /// Starts at the first byte.
    pub fn new(bytes: &'b [u8]) -> Reader<'b> {
        Reader { cbor: Decoder::new(bytes) }
    }

    /// The position of the next byte.
    pub fn position(&self) -> usize {
        self.cbor.position()
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.cbor.input().len() - self.position()
    }

    /// A whole number, not negative.
    pub fn uint(&mut self) -> Result<u64, Malformed> {
        let at = self.position();
        let number = self.cbor.u64().map_err(|_| Malformed { at, why: "no whole number" })?;
        self.shortest(at, number, 0)?;
        Ok(number)
    }

    /// A whole number, negative or not.
    pub fn int(&mut self) -> Result<i64, Malformed> {
        let at = self.position();
        let number = self.cbor.i64().map_err(|_| Malformed { at, why: "no whole number" })?;
        let size = if number < 0 { -1 - number } else { number };
        self.shortest(at, size.cast_unsigned(), 0)?;
        Ok(number)
    }

    /// What a row can hold: nothing, a number, a text or bytes.
    pub fn held(&mut self) -> Result<Held<'b>, Malformed> {
        let at = self.position();
        match self.cbor.datatype().map_err(|_| Malformed { at, why: "the bytes end too early" })? {
            Type::Null => {
                self.cbor.null().map_err(|_| Malformed { at, why: "no null" })?;
                Ok(Held::Nothing)
            }
            Type::String => self.text_up_to(usize::MAX).map(Held::Text),
            Type::Bytes => self.bytes().map(Held::Bytes),
            _ => self.int().map(Held::Number),
        }
    }

    /// A whole number up to a limit.
    pub fn uint_up_to(&mut self, largest: u64) -> Result<u64, Malformed> {
        let at = self.position();
        let number = self.uint()?;
        if number > largest { Err(Malformed { at, why: "a number too large" }) } else { Ok(number) }
    }

    /// A whole number of 32 bits.
    pub fn uint32(&mut self) -> Result<u32, Malformed> {
        self.uint_up_to(u64::from(u32::MAX)).map(|number| number as u32)
    }

    /// An origin.
    pub fn origin(&mut self) -> Result<Origin, Malformed> {
        let at = self.position();
        let number = self.uint32()?;
        Origin::new(number).ok_or(Malformed { at, why: "no origin" })
    }

    /// A stream.
    pub fn stream(&mut self) -> Result<Stream, Malformed> {
        let at = self.position();
        let number = self.uint32()?;
        Stream::from_number(number).ok_or(Malformed { at, why: "no stream" })
    }

    /// True or false.
    pub fn truth(&mut self) -> Result<bool, Malformed> {
        let at = self.position();
        self.cbor.bool().map_err(|_| Malformed { at, why: "neither true nor false" })
    }

    /// Whether null comes next; passes over it if so.
    pub fn nothing(&mut self) -> bool {
        self.cbor.datatype().is_ok_and(|kind| kind == Type::Null) && self.cbor.null().is_ok()
    }

    /// A byte string.
    pub fn bytes(&mut self) -> Result<&'b [u8], Malformed> {
        let at = self.position();
        let bytes = self.cbor.bytes().map_err(|_| Malformed { at, why: "no byte string" })?;
        self.shortest(at, bytes.len() as u64, bytes.len())?;
        Ok(bytes)
    }

    /// A byte string of a fixed length.
    pub fn bytes_of<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let at = self.position();
        let wrong = |_| Malformed { at, why: "a byte string of the wrong length" };
        self.bytes()?.try_into().map_err(wrong)
    }

    /// A text of at most so many bytes.
    pub fn text_up_to(&mut self, bytes_max: usize) -> Result<&'b str, Malformed> {
        let at = self.position();
        let text = self.cbor.str().map_err(|_| Malformed { at, why: "no text" })?;
        self.shortest(at, text.len() as u64, text.len())?;
        if text.len() > bytes_max {
            Err(Malformed { at, why: "a text too long" })
        } else {
            Ok(text)
        }
    }

    /// The head of a list: how many parts follow. Never more than there are bytes left.
    pub fn list(&mut self) -> Result<usize, Malformed> {
        let at = self.position();
        let len = self.cbor.array().map_err(|_| Malformed { at, why: "no list" })?;
        let len = len.ok_or(Malformed { at, why: "a list without its length" })?;
        self.shortest(at, len, 0)?;
        if len > self.left() as u64 {
            return Err(Malformed { at, why: "a list longer than the message" });
        }
        Ok(len as usize)
    }

    /// The head of a map: how many pairs follow.
    pub fn map(&mut self) -> Result<usize, Malformed> {
        let at = self.position();
        let len = self.cbor.map().map_err(|_| Malformed { at, why: "no map" })?;
        let len = len.ok_or(Malformed { at, why: "a map without its length" })?;
        self.shortest(at, len, 0)?;
        if len > self.left() as u64 / 2 {
            return Err(Malformed { at, why: "a map longer than the message" });
        }
        Ok(len as usize)
    }

    /// So many bytes, whatever they are.
    pub fn take(&mut self, len: usize) -> Result<&'b [u8], Malformed> {
        let at = self.position();
        if len > self.left() {
            return Err(Malformed { at, why: "the bytes end too early" });
        }
        self.cbor.set_position(at + len);
        Ok(&self.cbor.input()[at..at + len])
    }

    /// Passes over one part that a newer build has added.
    pub fn pass_over(&mut self) -> Result<(), Malformed> {
        self.pass_over_within(DEPTH_MAX)
    }

    /// Makes sure that nothing follows.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.left() == 0 {
            return Ok(());
        }
        Err(Malformed { at: self.position(), why: "bytes after the end" })
    }

    fn pass_over_within(&mut self, depth: u32) -> Result<(), Malformed> {
        let at = self.position();
        let wrong = |why| move |_| Malformed { at, why };
        if depth == 0 {
            return Err(Malformed { at, why: "lists too deep" });
        }
        match self.cbor.datatype().map_err(wrong("the bytes end too early"))? {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => self.uint().map(drop),
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
                let number = self.cbor.int().map_err(wrong("no whole number"))?;
                self.shortest(at, (-1 - i128::from(number)) as u64, 0)
            }
            Type::Bytes => self.bytes().map(drop),
            Type::String => self.text_up_to(usize::MAX).map(drop),
            Type::Bool => self.truth().map(drop),
            Type::Null => self.cbor.null().map_err(wrong("no null")),
            Type::Array => {
                let len = self.list()?;
                (0..len).try_for_each(|_| self.pass_over_within(depth - 1))
            }
            _ => Err(Malformed { at, why: "a form that no message uses" }),
        }
    }

    /// The part began at `at` with a head for `number`, and `beyond` more bytes: was the head as short as it can be?
    fn shortest(&self, at: usize, number: u64, beyond: usize) -> Result<(), Malformed> {
        let head = match number {
            0..=23 => 1,
            24..=0xff => 2,
            0x100..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        };
        if self.position() - at - beyond == head {
            return Ok(());
        }
        Err(Malformed { at, why: "a number that is not in its shortest form" })
    }
}

/// Writes CBOR in the one form.
pub struct Writer {
    bytes: Vec<u8>,
}

/// The upper three bits of a head: what kind of part follows.
const UINT: u8 = 0 << 5;
const NEGATIVE: u8 = 1 << 5;
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const LIST: u8 = 4 << 5;
const MAP: u8 = 5 << 5;
const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;

impl Writer {
    /// Writes after what is already there.
    pub fn after(bytes: Vec<u8>) -> Writer {
        Writer { bytes }
    }

    /// The head of a list of so many parts.
    pub fn list(&mut self, parts: usize) -> &mut Writer {
        self.head(LIST, parts as u64)
    }

    /// The head of a map of so many pairs; their keys are uints, ascending.
    pub fn map(&mut self, pairs: usize) -> &mut Writer {
        self.head(MAP, pairs as u64)
    }

    /// A whole number, not negative.
    pub fn uint(&mut self, number: impl Into<u64>) -> &mut Writer {
        self.head(UINT, number.into())
    }

    /// A whole number, negative or not.
    pub fn int(&mut self, number: i64) -> &mut Writer {
        match u64::try_from(number) {
            Ok(number) => self.head(UINT, number),
            Err(_) => self.head(NEGATIVE, (-1 - number).cast_unsigned()),
        }
    }

    /// Null.
    pub fn null(&mut self) -> &mut Writer {
        self.raw(&[NULL])
    }

    /// True or false.
    pub fn truth(&mut self, truth: bool) -> &mut Writer {
        self.raw(&[if truth { TRUE } else { FALSE }])
    }

    /// A byte string.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        self.head(BYTES, bytes.len() as u64).raw(bytes)
    }

    /// A text.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        self.head(TEXT, text.len() as u64).raw(text.as_bytes())
    }

    /// Bytes as they are, without a head.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// What is written so far.
    pub fn so_far(&self) -> &[u8] {
        &self.bytes
    }

    /// Hands over what is written.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// A kind and its number, in as few bytes as can be: every part begins so.
    fn head(&mut self, kind: u8, number: u64) -> &mut Writer {
        let [.., e, f, g, h] = number.to_be_bytes();
        match number {
            0..=23 => self.bytes.push(kind | h),
            24..=0xff => self.bytes.extend([kind | 24, h]),
            0x100..=0xffff => self.bytes.extend([kind | 25, g, h]),
            0x1_0000..=0xffff_ffff => self.bytes.extend([kind | 26, e, f, g, h]),
            _ => {
                self.bytes.push(kind | 27);
                self.bytes.extend(number.to_be_bytes());
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    use crate::canonical::{Malformed, Reader, Writer};

    #[test]
    fn a_longer_form_of_a_number_is_refused() {
        check(&[0x17], expect!["23"]);
        check(&[0x18, 0x17], expect!["a number that is not in its shortest form at byte 0"]);
        check(&[0x19, 0, 0xff], expect!["a number that is not in its shortest form at byte 0"]);
        check(
            &[0x1a, 0, 0, 0xff, 0xff],
            expect!["a number that is not in its shortest form at byte 0"],
        );
        check(
            &[0x1b, 0, 0, 0, 0, 1, 0, 0, 0],
            expect!["a number that is not in its shortest form at byte 0"],
        );
        check(&[0x1b, 0, 0, 0, 1, 0, 0, 0, 0], expect!["4294967296"]);
    }

    #[test]
    fn what_is_no_number_or_ends_early_or_late_is_refused() {
        check(&[], expect!["no whole number at byte 0"]);
        check(&[0x19, 1], expect!["no whole number at byte 0"]);
        check(&[0x20], expect!["no whole number at byte 0"]);
        check(&[0x05, 0x05], expect!["bytes after the end at byte 1"]);
    }

    #[test]
    fn a_number_is_written_as_another_encoder_writes_it() {
        let edges = [0, 23, 24, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000];
        for edge in edges.into_iter().chain([i64::MAX]) {
            for number in [edge, -1 - edge] {
                let mut writer = Writer::after(Vec::new());
                writer.int(number).uint(edge.cast_unsigned()).null();
                let mut other = minicbor::Encoder::new(Vec::new());
                other.i64(number).unwrap().u64(edge.cast_unsigned()).unwrap().null().unwrap();
                assert_eq!(writer.finish(), other.into_writer(), "{number}");
            }
        }
    }

    fn check(bytes: &[u8], says: Expect) {
        let mut reader = Reader::new(bytes);
        let number = reader.uint().and_then(|number| reader.end().map(|()| number));
        says.assert_eq(&number.map_or_else(|why| why.to_string(), |number| number.to_string()));
    }

    #[test]
    fn a_list_never_promises_more_than_there_are_bytes() {
        let huge = [0x9b, 0, 0, 0, 1, 0, 0, 0, 0, 1];
        let refused = Reader::new(&huge).list().unwrap_err();
        assert_eq!(refused, Malformed { at: 0, why: "a list longer than the message" });
        assert_eq!(Reader::new(&[0x9f, 0xff]).list().unwrap_err().why, "a list without its length");
        assert!(Reader::new(&[0x5f, 0x41, 1, 0xff]).bytes().is_err());
        assert!(Reader::new(&[0x58, 0x01, 7]).bytes().is_err());
        assert!(
            Reader::new(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).bytes().is_err()
        );
        assert!(Reader::new(&[1, 2]).take(3).is_err());
    }

    #[test]
    fn an_unknown_part_is_passed_over_when_it_has_the_one_form() {
        let known = [0x84, 0x01, 0x21, 0x82, 0x41, 7, 0x61, b'a', 0xf6];
        let mut reader = Reader::new(&known);
        reader.pass_over().unwrap();
        reader.end().unwrap();
        for other in
            [&[0x9f, 0xff][..], &[0xc1, 0x00], &[0xfa, 0, 0, 0, 0], &[0x38, 0x17], &[0x81; 40]]
        {
            assert!(Reader::new(other).pass_over().is_err(), "{other:02x?}");
        }
        for cut in 0..known.len() {
            assert!(Reader::new(&known[..cut]).pass_over().is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            number: u64, bytes: Vec<u8>, text: String, truth: bool, small in 0u64..300
        ) {
            let mut writer = Writer::after(Vec::new());
            writer.list(5).uint(number).bytes(&bytes).text(&text).truth(truth).uint(small);
            let written = writer.finish();
            let mut reader = Reader::new(&written);
            prop_assert_eq!(reader.list().unwrap(), 5);
            prop_assert_eq!(reader.uint().unwrap(), number);
            prop_assert_eq!(reader.bytes().unwrap(), &bytes[..]);
            prop_assert_eq!(reader.text_up_to(usize::MAX).unwrap(), &text);
            prop_assert_eq!(reader.truth().unwrap(), truth);
            prop_assert_eq!(reader.uint().unwrap(), small);
            reader.end().unwrap();
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes).pass_over();
            let _ = Reader::new(&bytes).list();
            let _ = Reader::new(&bytes).bytes();
            let _ = Reader::new(&bytes).text_up_to(10);
        }
    }
}
