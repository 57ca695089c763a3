//! What stands in an entry in the place of a sealed blob

/// The head of a byte string of 32 bytes.
const HEAD: [u8; 2] = [0x58, 32];

/// The hash that an entry holds in the place of a blob.
pub fn commitment(blob: &[u8]) -> [u8; 32] {
    *blake3::hash(blob).as_bytes()
}

/// Whatever in an entry may be such a hash: each byte string of that length. Knows no table, so that a relay of an older
/// build can tell what belongs to an entry that it cannot read.
pub fn committed(entry: &[u8]) -> impl Iterator<Item = [u8; 32]> + '_ {
    let heads = entry.windows(HEAD.len()).enumerate().filter(|(_, two)| **two == HEAD);
    heads.filter_map(|(at, _)| entry[at + HEAD.len()..].first_chunk::<32>().copied())
}
