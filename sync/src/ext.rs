//! What an entry says about itself as a whole
//!
//! A map behind the rows, absent when there is nothing to say. Its keys are numbers, ascending. What a newer build has
//! put there stays in the bytes of the entry and is passed on: nothing here re-encodes an entry.

use crate::canonical::{Malformed, Reader, Writer};

/// Pairs of one map.
pub const PAIRS_MAX: usize = 8;

/// Key of the business act.
const XID: u64 = 1;
/// Key of the trace.
const TRACE: u64 = 2;

/// What an entry says about itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ext {
    /// The business act that this entry is a part of: the entries of one act in two streams share it.
    pub xid: Option<[u8; 16]>,
    /// What led to this write, for people who look for the cause of something.
    pub trace: Option<[u8; 8]>,
}

impl Ext {
    /// Nothing to say.
    pub const NONE: Ext = Ext { xid: None, trace: None };

    /// True when there is nothing to say.
    pub fn is_empty(&self) -> bool {
        *self == Ext::NONE
    }

    /// Writes the map.
    pub fn write(&self, out: &mut Writer) {
        out.map(usize::from(self.xid.is_some()) + usize::from(self.trace.is_some()));
        if let Some(xid) = &self.xid {
            out.uint(XID).bytes(xid);
        }
        if let Some(trace) = &self.trace {
            out.uint(TRACE).bytes(trace);
        }
    }

    /// Reads a map. Keys that are not known here are passed over.
    pub fn read(input: &mut Reader<'_>) -> Result<Ext, Malformed> {
        let at = input.position();
        let pairs = input.map()?;
        if pairs == 0 || pairs > PAIRS_MAX {
            return Err(Malformed { at, why: "a map of one to eight pairs is allowed" });
        }
        let (mut ext, mut before) = (Ext::NONE, None);
        for _ in 0..pairs {
            let at = input.position();
            let key = input.uint()?;
            if before.is_some_and(|before| key <= before) {
                return Err(Malformed { at, why: "keys of a map ascend" });
            }
            before = Some(key);
            match key {
                XID => ext.xid = Some(input.bytes_of()?),
                TRACE => ext.trace = Some(input.bytes_of()?),
                _ => input.pass_over()?,
            }
        }
        Ok(ext)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(bytes: &str, says: Expect) {
        let bytes = hex::decode(bytes).unwrap();
        let mut input = Reader::new(&bytes);
        let found = Ext::read(&mut input).and_then(|ext| input.end().map(|()| ext));
        says.assert_eq(&found.map_or_else(|why| why.to_string(), |ext| format!("{ext:?}")));
    }

    #[test]
    fn a_map_keeps_its_bytes() {
        let ext = Ext { xid: Some([1; 16]), trace: Some([2; 8]) };
        let mut out = Writer::after(Vec::new());
        ext.write(&mut out);
        let bytes = out.finish();
        expect!["a201500101010101010101010101010101010102480202020202020202"]
            .assert_eq(&hex::encode(&bytes));
        assert_eq!(Ext::read(&mut Reader::new(&bytes)).unwrap(), ext);
    }

    #[test]
    fn a_key_of_a_newer_build_is_passed_over_and_a_second_form_is_refused() {
        check(
            "a2024801010101010101010983010203",
            expect!["Ext { xid: None, trace: Some([1, 1, 1, 1, 1, 1, 1, 1]) }"],
        );
        check("a0", expect!["a map of one to eight pairs is allowed at byte 0"]);
        check("a209010901", expect!["keys of a map ascend at byte 3"]);
        check("a2090102480101010101010101", expect!["keys of a map ascend at byte 3"]);
        check("bf0901ff", expect!["a map without its length at byte 0"]);
        check("a1024101", expect!["a byte string of the wrong length at byte 2"]);
        check("a1180901", expect!["a number that is not in its shortest form at byte 1"]);
        check("a90901", expect!["a map longer than the message at byte 0"]);
    }
}
