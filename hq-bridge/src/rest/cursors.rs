//! Places in a list, as texts that say nothing
//!
//! A list is in the order in which head office learned of its rows, and a cursor is the place after the last row that was
//! given. Rows that arrive later stand behind it, so none is skipped and none comes twice.

use crate::rest::answers::ApiError;

/// Bytes by which a cursor that was cut, typed or taken from another list is known.
const CHECK_BYTES: usize = 4;

/// Numbers in a cursor.
const PLACE_NUMBERS: usize = 2;

/// Which list a cursor belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Receipts by arrival.
    Receipts,
    /// Exceptions by arrival and end.
    Exceptions,
    /// Products by change.
    Products,
    /// Balances by change.
    Stock,
    /// Balances of given SKUs, by SKU and store.
    StockOfSkus,
    /// Stores and all that is kept for each store, by number.
    Stores,
    /// Devices by origin.
    Devices,
}

/// A place: after this row.
pub type Place = [i64; PLACE_NUMBERS];

/// The beginning of every list.
pub const BEGINNING: Place = [-1; PLACE_NUMBERS];

/// The text of a place.
pub fn text(list: List, place: Place) -> String {
    let mut bytes = check(list, place).to_vec();
    bytes.extend(place.iter().flat_map(|number| number.to_be_bytes()));
    hex::encode(bytes)
}

/// The place of a text.
pub fn parse(list: List, field: &str, text: &str) -> Result<Place, ApiError> {
    let mut bytes = [0; CHECK_BYTES + 8 * PLACE_NUMBERS];
    let read = hex::decode_to_slice(text, &mut bytes).is_ok();
    let (given, numbers) = bytes.split_at(CHECK_BYTES);
    let mut place = BEGINNING;
    for (number, bytes) in place.iter_mut().zip(numbers.chunks_exact(8)) {
        *number = bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
    }
    if read && given == check(list, place) {
        return Ok(place);
    }
    let message = format!(
        "{field} is not a cursor of this list: give a next_cursor of an earlier answer, or leave it out to begin"
    );
    Err(ApiError::bad(field, message))
}

fn check(list: List, place: Place) -> [u8; CHECK_BYTES] {
    let hash = blake3::hash(format!("{list:?} {place:?}").as_bytes());
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&hash.as_bytes()[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_its_list_and_to_nobody_elses() {
        for place in [BEGINNING, [0, 0], [i64::MAX, i64::MIN], [1 << 53, 7]] {
            let cursor = text(List::Receipts, place);
            assert_eq!(parse(List::Receipts, "cursor", &cursor).unwrap(), place);
            assert!(parse(List::Stock, "cursor", &cursor).is_err());
            assert!(parse(List::Receipts, "cursor", &cursor[1..]).is_err());
        }
        for text in ["", "0", "' OR 1=1 --", &"00".repeat(20), &"f".repeat(4_000), "\u{1F9F5}"] {
            assert!(parse(List::Receipts, "cursor", text).is_err(), "{text}");
        }
    }
}
