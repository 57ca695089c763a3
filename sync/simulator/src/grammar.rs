//! Mutates CBOR by its grammar: items are changed, not bytes
//!
//! A byte changed at random is mostly refused at the first head. So a message is taken apart into its items, some are
//! changed, moved, nested or given huge lengths, and it is put together again. Byte strings that hold items themselves are
//! taken apart too. In one of four cases bytes are changed at random afterwards.

use crate::damage;
use crate::dice::Dice;

/// How deep items may lie in a message that is taken apart.
const DEPTH_MAX: u32 = 24;

/// Numbers at which something changes: heads, types, limits of the engine.
const EDGES: [u64; 28] = [
    0,
    1,
    22,
    23,
    24,
    62,
    63,
    64,
    255,
    256,
    1_000,
    1_001,
    4_096,
    65_535,
    65_536,
    (1 << 20) - 1,
    1 << 20,
    (1 << 23) - 1,
    1 << 23,
    (1 << 31) - 1,
    1 << 31,
    (1 << 32) - 1,
    1 << 32,
    1 << 40,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX - 1,
    u64::MAX,
];

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A kind of head and its number: whole numbers, and what has no content.
    Number(u8, u64),
    /// Bytes or a text, as they are.
    Bytes(u8, Vec<u8>),
    /// Bytes that are items themselves.
    Within(u8, Vec<Item>),
    /// A list or a map, with what it holds.
    List(u8, Vec<Item>),
    /// A head with a number of 1, 2, 4 or 8 bytes (0 to 3), whether or not that is short, and whatever follows.
    Promise(u8, u64, u8),
    /// Items that count as one, without a head.
    Loose(Vec<Item>),
    /// Bytes without a head.
    Raw(Vec<u8>),
}

const TEXT: u8 = 3;

/// Takes items apart that lie behind one another; None when they are none.
pub fn parse(bytes: &[u8]) -> Option<Vec<Item>> {
    let (mut items, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        items.push(item(bytes, &mut at, DEPTH_MAX)?);
    }
    Some(items)
}

fn head(bytes: &[u8], at: &mut usize) -> Option<(u8, u64)> {
    let first = *bytes.get(*at)?;
    *at += 1;
    let size = match first & 31 {
        low @ 0..24 => return Some((first >> 5, u64::from(low))),
        low @ 24..28 => 1_usize << (low - 24),
        _ => return None,
    };
    let digits = bytes.get(*at..*at + size)?;
    *at += size;
    Some((first >> 5, digits.iter().fold(0, |number, digit| number << 8 | u64::from(*digit))))
}

fn item(bytes: &[u8], at: &mut usize, depth: u32) -> Option<Item> {
    let (kind, number) = head(bytes, at)?;
    let left = (bytes.len() - *at) as u64;
    if depth == 0 || matches!(kind, 2..6) && number > left {
        return None;
    }
    match kind {
        2 | 3 => {
            let content = &bytes[*at..*at + number as usize];
            *at += content.len();
            let within = if kind == TEXT || content.len() < 4 { None } else { parse(content) };
            Some(within.map_or_else(
                || Item::Bytes(kind, content.to_vec()),
                |items| Item::Within(kind, items),
            ))
        }
        4 | 5 => {
            let count = number * if kind == 5 { 2 } else { 1 };
            let items = (0..count).map(|_| item(bytes, at, depth - 1)).collect::<Option<_>>()?;
            Some(Item::List(kind, items))
        }
        _ => Some(Item::Number(kind, number)),
    }
}

fn write_head(out: &mut Vec<u8>, kind: u8, number: u64) {
    let digits = number.to_be_bytes();
    let (low, size) = match number {
        0..24 => (number as u8, 0),
        24..0x100 => (24, 1),
        0x100..0x1_0000 => (25, 2),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 8),
    };
    out.push(kind << 5 | low);
    out.extend(&digits[8 - size..]);
}

/// Puts items together, each in its shortest form but for promises.
pub fn write(items: &[Item], out: &mut Vec<u8>) {
    for item in items {
        match item {
            Item::Number(kind, number) => write_head(out, *kind, *number),
            Item::Bytes(kind, bytes) => {
                write_head(out, *kind, bytes.len() as u64);
                out.extend(bytes);
            }
            Item::Within(kind, items) => {
                let mut bytes = Vec::new();
                write(items, &mut bytes);
                write_head(out, *kind, bytes.len() as u64);
                out.extend(bytes);
            }
            Item::List(kind, items) => {
                let each = if *kind == 5 { 2 } else { 1 };
                write_head(out, *kind, items.len() as u64 / each);
                write(items, out);
            }
            Item::Loose(items) => write(items, out),
            Item::Raw(bytes) => out.extend(bytes),
            Item::Promise(kind, number, size) => {
                out.push((kind << 5) | (24 + size));
                out.extend(&number.to_be_bytes()[8 - (1 << size)..]);
            }
        }
    }
}

fn edge(dice: &mut Dice) -> u64 {
    let number = EDGES[dice.below(EDGES.len() as u64) as usize];
    if dice.chance(700) { number } else { dice.number() >> dice.below(64) }
}

fn noise(dice: &mut Dice) -> Vec<u8> {
    let longest = [8, 33, 65, 300][dice.below(4) as usize];
    let mut bytes = vec![0; dice.below(longest) as usize];
    dice.fill(&mut bytes);
    bytes
}

/// Any item, for a place where another stood.
fn any(dice: &mut Dice) -> Item {
    match dice.below(9) {
        0 | 1 => Item::Number(dice.below(2) as u8, edge(dice)),
        2 => Item::Bytes(2, noise(dice)),
        3 => Item::Bytes(TEXT, noise(dice)),
        4 => Item::Number(7, 20 + dice.below(4)),
        5 => Item::List(4, Vec::new()),
        6 => Item::Promise(2 + dice.below(4) as u8, edge(dice), dice.below(4) as u8),
        7 => (0..dice.below(40)).fold(Item::Number(0, 1), |item, _| Item::List(4, vec![item])),
        _ => Item::Number(6, dice.below(30)),
    }
}

/// Changes one of these items, or one that lies in them.
fn change(items: &mut Vec<Item>, dice: &mut Dice) {
    if items.is_empty() {
        items.push(any(dice));
        return;
    }
    let at = dice.below(items.len() as u64) as usize;
    if let Item::List(_, inner) | Item::Within(_, inner) = &mut items[at]
        && dice.chance(800)
    {
        return change(inner, dice);
    }
    match dice.below(10) {
        0 => {
            items.remove(at);
        }
        1 => items.insert(at, any(dice)),
        2 => {
            let again = items[at].clone();
            items.insert(at, again);
        }
        3 => {
            let other = dice.below(items.len() as u64) as usize;
            items.swap(at, other);
        }
        4 => items[at] = any(dice),
        5 => {
            let item = items.remove(at);
            items.insert(at, long(item, dice));
        }
        _ => alter(&mut items[at], dice),
    }
}

/// Changes an item a little: it stays of its kind.
fn alter(item: &mut Item, dice: &mut Dice) {
    match item {
        Item::Number(_, number) => {
            *number = match dice.below(4) {
                0 => number.wrapping_add(1),
                1 => number.wrapping_sub(1),
                2 => *number ^ 1 << dice.below(64),
                _ => edge(dice),
            }
        }
        Item::Bytes(_, bytes) if dice.chance(500) => *bytes = noise(dice),
        Item::Bytes(_, bytes) => *bytes = damage::mutated(bytes, dice),
        Item::List(kind, items) => {
            let number = (items.len() as u64).wrapping_add(dice.below(3)).wrapping_sub(1);
            let promise = Item::Promise(*kind, number, dice.below(4) as u8);
            *item = promise;
        }
        _ => *item = any(dice),
    }
}

/// The same item behind a head that is longer than it need be, most of the time.
fn long(item: Item, dice: &mut Dice) -> Item {
    let size = dice.below(4) as u8;
    match item {
        Item::Number(kind, number) => Item::Promise(kind, number, size),
        Item::Bytes(kind, bytes) => {
            Item::Loose(vec![Item::Promise(kind, bytes.len() as u64, size), Item::Raw(bytes)])
        }
        Item::List(kind, items) => {
            let count = items.len() as u64 / if kind == 5 { 2 } else { 1 };
            Item::Loose(vec![Item::Promise(kind, count, size), Item::Loose(items)])
        }
        other => other,
    }
}

/// A message that is like this one and not quite.
pub fn mutated(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let Some(mut items) = parse(whole).filter(|_| dice.chance(850)) else {
        return damage::mutated(whole, dice);
    };
    for _ in 0..=dice.below(4) {
        change(&mut items, dice);
    }
    let mut bytes = Vec::new();
    write(&items, &mut bytes);
    if dice.chance(250) { damage::mutated(&bytes, dice) } else { bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_apart_comes_together_again() {
        let bytes =
            [0x83, 0x18, 0x64, 0x45, 0x82, 0x01, 0x02, 0x61, b'a', 0xf6, 0xa1, 0x01, 0x38, 0x63];
        let items = parse(&bytes).unwrap();
        let mut again = Vec::new();
        write(&items, &mut again);
        assert_eq!(again, bytes);
        assert!(parse(&bytes[..3]).is_none());
    }

    #[test]
    fn mutants_differ_and_the_same_dice_make_the_same() {
        let bytes = [0x83, 0x01, 0x42, 7, 8, 0x82, 0x03, 0x04];
        let made = |seed| {
            let mut dice = Dice::new(seed);
            (0..50).map(|_| mutated(&bytes, &mut dice)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert!(made(1).iter().filter(|mutant| **mutant != bytes).count() > 40);
    }
}
