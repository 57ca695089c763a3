//! Makes mutants of texts that people write

use selvedge_simulator::dice::Dice;

/// Changes of one mutant at most.
const CHANGES: u64 = 4;

/// A mutant is cut here.
const BYTES_MAX: usize = 200 * 1024;

/// What a careful reader falls over: numbers at their ends, signs, spaces, quotes, other scripts, control characters.
const ODD: [&str; 40] = [
    "",
    " ",
    "0",
    "-0",
    "-1",
    "1",
    "+1",
    "00",
    "1e9",
    "0x10",
    "1,5",
    "1.005",
    ".5",
    "5.",
    "NaN",
    "inf",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "2147483648",
    "4294967296",
    "99999999999999999999999999",
    "0.000000000000000001",
    "2026-02-30",
    "2026-13-45T25:61:61Z",
    "0000-00-00",
    "yes",
    "YES",
    "\"",
    "\"\"",
    "\"a\"\"b\"",
    "=1+1",
    "'; --",
    "\u{0}",
    "\u{202e}",
    "\u{1F9F5}",
    "\u{661}\u{662}",
    "e\u{301}",
    "\t",
];

/// A text with one to four changes. It need not be UTF-8 any more.
pub fn mutated(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    let is_word =
        |byte: &u8| byte.is_ascii_alphanumeric() || *byte >= 0x80 || b"-_.".contains(byte);
    let mut tokens: Vec<Vec<u8>> =
        text.chunk_by(|one, next| is_word(one) && is_word(next)).map(<[u8]>::to_vec).collect();
    for _ in 0..=dice.below(CHANGES) {
        change(&mut tokens, dice);
    }
    let mut bytes = tokens.concat();
    bytes.truncate(BYTES_MAX);
    bytes
}

fn change(tokens: &mut Vec<Vec<u8>>, dice: &mut Dice) {
    if tokens.is_empty() {
        tokens.push(b"\n".to_vec());
    }
    let count = tokens.len() as u64;
    let at = dice.below(count) as usize;
    let other = dice.below(count) as usize;
    match dice.below(11) {
        0..3 => tokens[at] = odd(dice),
        3 => drop(tokens.remove(at)),
        4 => tokens.insert(at, odd(dice)),
        5 => tokens.swap(at, other),
        6 => tokens[at] = tokens[other].clone(),
        7 => flip(&mut tokens[at], dice),
        8 => tokens.truncate(at),
        9 => again(tokens, at.min(other), at.max(other), dice),
        _ => {
            let byte = dice.below(256) as u8;
            tokens[at].push(byte);
        }
    }
}

fn odd(dice: &mut Dice) -> Vec<u8> {
    if dice.chance(20) {
        // Longer than a line may be.
        return vec![b'x'; 66_000];
    }
    ODD[dice.below(ODD.len() as u64) as usize].as_bytes().to_vec()
}

fn flip(token: &mut [u8], dice: &mut Dice) {
    if let Some(byte) = token.get_mut(dice.below(64) as usize % token.len().max(1)) {
        *byte ^= 1 << dice.below(8);
    }
}

/// A stretch comes once more, or many times.
fn again(tokens: &mut Vec<Vec<u8>>, from: usize, to: usize, dice: &mut Dice) {
    let stretch = tokens[from..=to.min(from + 40)].concat();
    let times = if dice.chance(100) { 700 } else { 1 };
    tokens.insert(from, stretch.repeat(times));
}
