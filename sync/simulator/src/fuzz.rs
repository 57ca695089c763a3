//! Feeds parsers with mutants, and holds them to their word
//!
//! No coverage is measured: what a parser takes joins the messages from which the next mutants are made, so they wander
//! away from the golden ones and stay readable. A round is decided by its number alone.

use crate::dice::Dice;
use crate::grammar;
use crate::parsers::{self, Parser, Read};
use selvedge_sync::admission::Admission;
use selvedge_sync::allow_list::Row;
use selvedge_sync::canonical::Reader;
use selvedge_sync::device_keys::{DeviceKeys, SoftwareKeys};
use selvedge_sync::origin::{DeviceId, Origin, Role};
use selvedge_sync::packing;
use selvedge_sync::register::{Mark, Marks};
use selvedge_sync::snapshot_rows::RowWriter;
use selvedge_sync::value::Borrowed;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};

/// Messages from which the next mutants of a parser are made.
const POOL_MAX: usize = 64;

/// The largest of them.
const BYTES_MAX: usize = 128 * 1024;

/// What was tried, over all parsers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fuzzed {
    /// Inputs.
    pub tried: u64,
    /// Of these, what was refused.
    pub refused: u64,
    /// What was taken and written again as the same bytes.
    pub same: u64,
    /// What was taken and reads as the same thing after it was written again.
    pub alike: u64,
    /// Where a parser did not keep to its word, with the input.
    pub broken: Vec<String>,
}

impl Fuzzed {
    /// Adds what was tried elsewhere.
    pub fn add(&mut self, other: Fuzzed) {
        self.tried += other.tried;
        self.refused += other.refused;
        self.same += other.same;
        self.alike += other.alike;
        self.broken.extend(other.broken);
    }
}

impl fmt::Display for Fuzzed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fuzzed { tried, refused, same, alike, broken } = self;
        write!(f, "{tried} inputs: {refused} refused, {same} written again as the same bytes, ")?;
        write!(f, "{alike} as the same thing, {} broke a promise", broken.len())
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: u8| (digit as char).to_digit(16).unwrap_or(0) as u8;
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | value(*digit)))
        .collect()
}

/// What a parser is first fed with: its golden messages, and things made here where there are none.
fn seeds(parser: &Parser) -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = parser.golden.iter().map(|text| unhex(text)).collect();
    let mark = |version, origin| Mark { version, origin: Origin::new(origin).expect("an origin") };
    match parser.name {
        "view head" => {
            let part = unhex(include_str!("../../tests/golden/view_part.hex"));
            let mut reader = Reader::new(&part);
            let head = reader.list().and_then(|_| reader.uint()).and_then(|_| reader.bytes());
            seeds.push(head.expect("a golden message reads").to_vec());
        }
        "snapshot rows" => {
            let mut rows = RowWriter::default();
            for (no, text) in (0..9).zip(["shirt", "trousers", "socks"].iter().cycle()) {
                let row = [Borrowed::Int(7 << 40 | no), Borrowed::Text(text), Borrowed::Null];
                rows.row(2 + no as u32 / 4, row.into_iter());
            }
            seeds.push(rows.finish());
        }
        "mark" => seeds.push(mark(3, 7).to_bytes().to_vec()),
        "marks of a row" => {
            let mut marks = Marks::of_row(mark(1, 7));
            marks.write(1, mark(2, 8));
            marks.write(5, mark(4, 300));
            seeds.push(marks.to_bytes());
        }
        "packed body" => {
            for size in [40, 300, 70_000] {
                let body = b"row of a table ".repeat(size / 15);
                seeds.extend(packing::pack(&body));
            }
        }
        "admission" => {
            let authority = SoftwareKeys::from_seed([1; 32]);
            let device = DeviceId::new("s0001-p01").expect("a device");
            let origin = Origin::new(12).expect("an origin");
            let row = Row::sign(origin, &device, 1, Role::Pos, "T1", [3; 32], &authority);
            let authority = authority.public();
            seeds.push(Admission { authority, rows: vec![row] }.to_text().into_bytes());
        }
        "topic" => seeds.push(b"sv1/down/s0001-p01/bulk".to_vec()),
        _ => assert!(!seeds.is_empty(), "{} has nothing to begin with", parser.name),
    }
    seeds
}

/// Reads bytes; None when the parser panics, or does not keep to its word.
fn tried(parser: &Parser, bytes: &[u8]) -> Option<Read> {
    panic::catch_unwind(AssertUnwindSafe(|| (parser.read)(bytes))).ok()
}

fn count(fuzzed: &mut Fuzzed, parser: &Parser, bytes: &[u8]) -> bool {
    fuzzed.tried += 1;
    match tried(parser, bytes) {
        Some(Read::Refused) => {
            fuzzed.refused += 1;
            return false;
        }
        Some(Read::Same) => fuzzed.same += 1,
        Some(Read::Alike) => fuzzed.alike += 1,
        None => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            fuzzed.broken.push(format!("{}: {digits}", parser.name));
        }
    }
    true
}

/// So many mutants for one parser. Every seed must be taken, or mutants of it would show nothing.
pub fn parser(parser: &Parser, inputs: u64, dice: &mut Dice) -> Fuzzed {
    let (mut fuzzed, mut pool) = (Fuzzed::default(), seeds(parser));
    let first = pool.len();
    for seed in &pool {
        assert!(tried(parser, seed).is_some_and(|read| read != Read::Refused), "{}", parser.name);
    }
    while fuzzed.tried < inputs {
        let from = dice.below(pool.len() as u64) as usize;
        let mut bytes = grammar::mutated(&pool[from], dice);
        // A packed body and a text have no items; they are changed byte by byte by the same call.
        bytes.truncate(BYTES_MAX);
        if !count(&mut fuzzed, parser, &bytes) || bytes.len() > 4_096 {
            continue;
        }
        if pool.len() < POOL_MAX {
            pool.push(bytes);
        } else {
            let place = first + dice.below((POOL_MAX - first) as u64) as usize;
            pool[place] = bytes;
        }
    }
    fuzzed
}

/// So many mutants for each parser, by the number of the round.
pub fn round(number: u64, inputs: u64) -> Vec<(&'static str, Fuzzed)> {
    let dice = Dice::new(number);
    parsers::ALL
        .iter()
        .map(|one| (one.name, parser(one, inputs, &mut dice.split(one.name))))
        .collect()
}

/// The most memory that this process had reserved at any time, in KiB.
pub fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let digits = line.and_then(|line| line.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
