//! Adds up what a build has tried, over many starts
//!
//! A folder holds one file for each build, named by a hash of the program: what an earlier build has shown is no proof of
//! this one. A program that is killed loses the round it was at and nothing else.

use std::io;
use std::path::{Path, PathBuf};

/// Numbers that only grow, and the file that keeps them.
#[derive(Debug)]
pub struct Sums {
    path: PathBuf,
    /// Name of the build.
    pub build: String,
    /// The numbers.
    pub numbers: Vec<u64>,
}

impl Sums {
    /// The sums of this build that a folder holds under a word, so many numbers.
    pub fn open(folder: &Path, word: &str, count: usize) -> io::Result<Sums> {
        std::fs::create_dir_all(folder)?;
        let build = build()?;
        let path = folder.join(format!("{word}-{build}.txt"));
        let mut numbers = match std::fs::read_to_string(&path) {
            Ok(text) => text.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
            Err(_) => Vec::new(),
        };
        numbers.resize(count, 0);
        Ok(Sums { path, build, numbers })
    }

    /// Adds to each number, durable when it returns.
    pub fn add(&mut self, more: &[u64]) -> io::Result<()> {
        self.numbers.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        let words: Vec<String> = self.numbers.iter().map(u64::to_string).collect();
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, words.join(" "))?;
        std::fs::rename(&beside, &self.path)
    }
}

/// A name for this build.
fn build() -> io::Result<String> {
    let program = std::fs::read(std::env::current_exe()?)?;
    Ok(blake3::hash(&program).to_hex()[..16].to_owned())
}

/// Seconds of processor time that this process has used. The simulator has no clock.
pub fn cpu_seconds() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum();
    ticks / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_go_on_where_they_stopped() {
        let folder = tempfile::tempdir().unwrap();
        Sums::open(folder.path(), "things", 2).unwrap().add(&[1, 10]).unwrap();
        let mut sums = Sums::open(folder.path(), "things", 3).unwrap();
        sums.add(&[1, 5, 7]).unwrap();
        let again = Sums::open(folder.path(), "things", 3).unwrap();
        assert_eq!(again.numbers, [2, 15, 7]);
        assert_eq!(Sums::open(folder.path(), "others", 1).unwrap().numbers, [0]);
    }
}
