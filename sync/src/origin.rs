//! Names and numbers of devices, origins and streams
//!
//! A device id names a machine in its place and stays with it. An origin numbers one incarnation of it: whoever is
//! imaged or restored anew writes under a new origin, so that no two devices ever continue the same numbering.

use std::fmt;

/// The largest origin: 23 bits, so that an origin and a counter of 40 bits fit a positive row id.
pub const ORIGIN_MAX: u32 = (1 << 23) - 1;

/// The largest stream number: 31 bits.
pub const STREAM_MAX: u32 = (1 << 31) - 1;

/// The longest device id, in characters.
pub const DEVICE_ID_CHARS_MAX: usize = 16;

/// The number of one incarnation of a device, from 1 to 8,388,607. Given by HQ, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u32);

impl Origin {
    /// An origin, unless the number is 0 or has more than 23 bits.
    pub const fn new(number: u32) -> Option<Origin> {
        if number == 0 || number > ORIGIN_MAX { None } else { Some(Origin(number)) }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whom an entry is for: the whole chain, or one store and HQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream(u32);

impl Stream {
    /// The stream that every device takes.
    pub const CHAIN: Stream = Stream(0);

    /// The stream of one store, unless the number is 0 or has more than 31 bits.
    pub const fn store(number: u32) -> Option<Stream> {
        if number == 0 { None } else { Stream::from_number(number) }
    }

    /// The stream with this number (0 is the chain), unless it has more than 31 bits.
    pub const fn from_number(number: u32) -> Option<Stream> {
        if number > STREAM_MAX { None } else { Some(Stream(number)) }
    }

    /// 0 for the chain, else the number of the store.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Writes `chain` or `store/12`.
impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("chain"),
            store => write!(f, "store/{store}"),
        }
    }
}

/// What a device is in its store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A worker of the chain's centre.
    Hq,
    /// The device that runs the broker of a store.
    BackOffice,
    /// A device where people buy.
    Pos,
}

impl Role {
    /// Every role, in the order from the centre to the edge.
    pub const ALL: [Role; 3] = [Role::Hq, Role::BackOffice, Role::Pos];

    /// The word that stands in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Hq => "hq",
            Role::BackOffice => "back-office",
            Role::Pos => "pos",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Result<Role, UnknownRole> {
        Role::ALL
            .into_iter()
            .find(|role| role.as_str() == word)
            .ok_or_else(|| UnknownRole(word.chars().take(32).collect()))
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no role: write hq, back-office or pos")]
pub struct UnknownRole(pub String);

/// The name of one device, such as `s0042-p01`. It is never given to other hardware.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId(String);

impl DeviceId {
    /// A device id of 1 to 16 lower-case letters, digits and dashes.
    pub fn new(text: &str) -> Result<DeviceId, DeviceIdError> {
        if text.is_empty() {
            return Err(DeviceIdError::Empty);
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(DeviceIdError::Character { found });
        }
        if text.len() > DEVICE_ID_CHARS_MAX {
            return Err(DeviceIdError::TooLong { chars: text.len() });
        }
        Ok(DeviceId(text.to_owned()))
    }

    /// The name that stands where there is no device (yet): empty, and no device has it.
    pub const fn nobody() -> DeviceId {
        DeviceId(String::new())
    }

    /// Whether it is nobody's name.
    pub const fn is_nobody(&self) -> bool {
        self.0.is_empty()
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no device id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceIdError {
    /// Nothing was written.
    #[error("a device id is empty: write one such as s0042-p01")]
    Empty,
    /// More than sixteen characters.
    #[error("a device id has {chars} characters: write at most 16, such as s0042-p01")]
    TooLong {
        /// How many there were.
        chars: usize,
    },
    /// A character that is neither a lower-case letter nor a digit nor a dash.
    #[error("a device id holds {found:?}: write only lower-case letters, digits and dashes")]
    Character {
        /// The first such character.
        found: char,
    },
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use crate::origin::{DeviceId, ORIGIN_MAX, Origin, Role, STREAM_MAX, Stream};

    #[test]
    fn an_origin_is_never_0_and_has_23_bits() {
        assert_eq!(Origin::new(0), None);
        assert_eq!(Origin::new(ORIGIN_MAX + 1), None);
        assert_eq!(Origin::new(ORIGIN_MAX).map(Origin::get), Some(8_388_607));
    }

    #[test]
    fn the_largest_row_id_of_the_largest_origin_is_positive() {
        let row_id = (i64::from(ORIGIN_MAX) << 40) | ((1 << 40) - 1);
        assert_eq!(row_id, i64::MAX);
    }

    #[test]
    fn the_chain_is_no_store() {
        assert_eq!(Stream::store(0), None);
        assert_eq!(Stream::from_number(0), Some(Stream::CHAIN));
        assert_eq!(Stream::from_number(STREAM_MAX + 1), None);
        assert_eq!(Stream::CHAIN.to_string(), "chain");
        assert_eq!(Stream::store(12).unwrap().to_string(), "store/12");
    }

    #[test]
    fn a_role_reads_back_from_its_word() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Ok(role));
        }
        let refused = Role::parse("POS").unwrap_err();
        assert_eq!(refused.to_string(), "'POS' is no role: write hq, back-office or pos");
    }

    #[test]
    fn a_device_id_says_what_is_wrong_with_it() {
        check("s0042-p01", expect!["s0042-p01"]);
        check("hq-w1", expect!["hq-w1"]);
        check("0123456789abcdef", expect!["0123456789abcdef"]);
        check("", expect!["a device id is empty: write one such as s0042-p01"]);
        check(
            "0123456789abcdefg",
            expect!["a device id has 17 characters: write at most 16, such as s0042-p01"],
        );
        check(
            "S0042",
            expect!["a device id holds 'S': write only lower-case letters, digits and dashes"],
        );
        check(
            "s1/#",
            expect!["a device id holds '/': write only lower-case letters, digits and dashes"],
        );
        check(
            "käse",
            expect!["a device id holds 'ä': write only lower-case letters, digits and dashes"],
        );
    }

    fn check(text: &str, says: Expect) {
        let shown = match DeviceId::new(text) {
            Ok(device) => device.to_string(),
            Err(refused) => refused.to_string(),
        };
        says.assert_eq(&shown);
    }
}
