//! Feeds the readers of people's texts with mutants

use crate::bench_desk::Fault;
use crate::text_mutants::mutated;
use crate::text_readers::{self, Reader};
use selvedge_simulator::dice::Dice;
use selvedge_simulator::fuzz::{self, Fuzzed};
use selvedge_simulator::parsers::Read;
use selvedge_simulator::sums::{Sums, cpu_seconds};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

/// Texts from which the next mutants of a reader are made.
const POOL_MAX: usize = 48;

/// Mutants of a round for the readers that are quick.
const EACH: u64 = 4_000;

/// No reader may have more memory reserved than this beyond the first round.
pub const GROWTH_KIB_MAX: u64 = 64 * 1024;

/// So many mutants for each reader, or fewer for one that takes long, by the number of the round.
pub fn round(number: u64, inputs: u64) -> Result<Vec<(&'static str, Fuzzed)>, Fault> {
    let dice = Dice::new(number);
    let (_folder, readers) = text_readers::all()?;
    let fed = readers.into_iter().map(|mut reader| {
        let inputs = (inputs / reader.one_in).max(1);
        let mut dice = dice.split(reader.name);
        (reader.name, feed(&mut reader, inputs, &mut dice))
    });
    Ok(fed.collect())
}

fn feed(reader: &mut Reader, inputs: u64, dice: &mut Dice) -> Fuzzed {
    let mut fuzzed = Fuzzed::default();
    let mut pool: Vec<Vec<u8>> =
        reader.texts.iter().map(|text| text.clone().into_bytes()).collect();
    let first = pool.len();
    for text in &pool {
        assert_ne!(
            (reader.read)(text),
            Read::Refused,
            "{} does not read its own text",
            reader.name
        );
    }
    while fuzzed.tried < inputs {
        // Half of them are made of a text that is in order, or hardly anything would be taken any more.
        let of = if dice.chance(500) { first } else { pool.len() };
        let bytes = mutated(&pool[dice.below(of as u64) as usize], dice);
        fuzzed.tried += 1;
        match panic::catch_unwind(AssertUnwindSafe(|| (reader.read)(&bytes))) {
            Ok(Read::Refused) => fuzzed.refused += 1,
            Ok(Read::Same) => fuzzed.same += 1,
            Ok(Read::Alike) => fuzzed.alike += 1,
            Err(_) => fuzzed.broken.push(broken(reader.name, &bytes)),
        }
        // What is refused wanders too: most of a file may still be taken.
        if bytes.len() > 4_096 {
            continue;
        }
        if pool.len() < POOL_MAX {
            pool.push(bytes);
        } else if dice.chance(300) {
            let place = first + dice.below((POOL_MAX - first) as u64) as usize;
            pool[place] = bytes;
        }
    }
    fuzzed
}

fn broken(name: &str, bytes: &[u8]) -> String {
    format!("{name}: {:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(2_000)]))
}

/// Goes on, round after round, until it is stopped, the seconds are over or a word is broken; adds up per build.
pub fn go_on(folder: &Path, seconds: Option<u64>) -> Result<bool, Fault> {
    panic::set_hook(Box::new(|_| {}));
    let mut sums = Sums::open(folder, "texts", 4)?;
    round(0, 50)?;
    let before = fuzz::peak_kib();
    loop {
        let mut all = Fuzzed::default();
        for (_, fuzzed) in round(sums.numbers[0] + 1, EACH)? {
            all.add(fuzzed);
        }
        let broken = all.broken.len() as u64;
        sums.add(&[1, all.tried, all.same + all.alike, broken])?;
        all.broken.iter().take(20).for_each(|found| println!("{found}"));
        let grown = fuzz::peak_kib().saturating_sub(before);
        println!(
            "build {}: {} rounds, {} texts, {} taken at least in part, {} broke a promise, {grown} KiB of memory more",
            sums.build, sums.numbers[0], sums.numbers[1], sums.numbers[2], sums.numbers[3]
        );
        let is_well = broken == 0 && grown < GROWTH_KIB_MAX;
        if !is_well || seconds.is_some_and(|seconds| cpu_seconds() >= seconds) {
            return Ok(is_well);
        }
    }
}
