//! A long proof that goes on where it stopped, per build
//!
//! A folder holds one file for each build of the engine, named by a hash of the program. Each line is a stretch of seeds
//! that is done. A program that is killed loses the stretch it was at and nothing else; a half line is left out.

use crate::coverage::Coverage;
use crate::crew::{self, Heard, Share};
use crate::figures::Figures;
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What a long proof wants: store-days, power cuts, and how often each kind of fault meets each state.
pub const WANTED: [u64; 3] = [100_000, 1_000_000, 1_000];

/// Seeds in one stretch and process.
const STRETCH: u64 = 8;

/// What one build has shown so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The first seed that is not done.
    pub next: u64,
    /// What was counted.
    pub figures: Figures,
    /// Which fault met which state.
    pub coverage: Coverage,
    /// Lines of the seeds that broke something.
    pub broken: Vec<String>,
}

impl Proof {
    /// Adds up the lines of a file.
    pub fn read(text: &str) -> Proof {
        let mut proof = Proof { next: 1, ..Proof::default() };
        for line in text.lines() {
            proof.add(line);
        }
        proof
    }

    fn add(&mut self, line: &str) -> Option<()> {
        let (word, rest) = line.split_once(' ')?;
        match word {
            "broken" => self.broken.push(rest.to_owned()),
            "done" => {
                let (next, numbers) = rest.split_once(' ')?;
                let (figures, coverage) = numbers.split_once(';')?;
                let figures = Figures::parse(figures)?;
                self.coverage.add(&Coverage::parse(coverage.strip_suffix('.')?)?);
                self.figures.add(&figures);
                self.next = next.parse().ok()?;
            }
            _ => {}
        }
        Some(())
    }
}

/// The lines that a stretch adds. The last ends in a full stop, so that a half one is seen.
fn lines(next: u64, heard: &Heard) -> String {
    let broken = heard.broken.values().map(|(_, line)| format!("broken {line}\n"));
    let (figures, coverage) = (heard.figures.to_line(), heard.coverage.to_line());
    broken.collect::<String>() + &format!("done {next} {figures};{coverage}.\n")
}

/// The file of this program in a folder.
pub fn file_of(folder: &Path) -> std::io::Result<PathBuf> {
    let program = fs::read(std::env::current_exe()?)?;
    let build = crew::hex(&blake3::hash(&program).as_bytes()[..6]);
    Ok(folder.join(format!("proof-{build}.txt")))
}

/// Runs so many further seeds, in stretches, and says what this build has shown so far.
pub fn go_on(folder: &Path, seeds: u64, jobs: u64, options: &[String]) -> Result<Proof, String> {
    let said = |cause: std::io::Error| format!("the proof is not kept: {cause}");
    fs::create_dir_all(folder).map_err(said)?;
    let path = file_of(folder).map_err(said)?;
    let text = if path.exists() { fs::read_to_string(&path).map_err(said)? } else { String::new() };
    let mut proof = Proof::read(&text);
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(said)?;
    if !text.is_empty() && !text.ends_with('\n') {
        writeln!(file).map_err(said)?;
    }
    let end = proof.next + seeds;
    while proof.next < end {
        let (from, seeds) = (proof.next, (STRETCH * jobs).min(end - proof.next));
        let heard = crew::share_out(Share { from, seeds, jobs }, options)?;
        let added = lines(from + seeds, &heard);
        file.write_all(added.as_bytes()).and_then(|()| file.sync_data()).map_err(said)?;
        added.lines().for_each(|line| {
            proof.add(line);
        });
        let (_, _, met) = proof.coverage.rarest();
        let Figures { store_days, cuts, .. } = proof.figures;
        println!(
            "up to seed {}: {store_days} store-days, {cuts} power cuts, the rarest pair met {met} times, {} broken",
            proof.next - 1,
            proof.broken.len()
        );
    }
    Ok(proof)
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mishap, phase, met) = self.coverage.rarest();
        let rarest = format!("{} met {}", mishap.name(), phase.name());
        let reached = [self.figures.store_days, self.figures.cuts, met];
        writeln!(f, "{}\n{}", self.figures, self.coverage)?;
        for (what, (found, wanted)) in
            ["store-days", "power cuts", rarest.as_str()].iter().zip(reached.iter().zip(WANTED))
        {
            let word = if *found >= wanted { "reached" } else { "not yet" };
            writeln!(f, "{what}: {found} of {wanted}, {word}")?;
        }
        for line in &self.broken {
            writeln!(f, "broken: {line}")?;
        }
        write!(f, "{} of {} seeds broke an invariant", self.broken.len(), self.next - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(cuts: u64) -> Heard {
        let figures = Figures { runs: 8, cuts, ..Figures::default() };
        Heard { figures, ..Heard::default() }
    }

    #[test]
    fn stretches_add_up_and_the_next_one_follows() {
        let mut broken = stretch(5);
        broken.broken.insert(11, ("a story".to_owned(), "11 : I1 at hq-w1, gone".to_owned()));
        let proof = Proof::read(&(lines(9, &stretch(3)) + &lines(17, &broken)));
        assert_eq!((proof.next, proof.figures.runs, proof.figures.cuts), (17, 16, 8));
        assert_eq!(proof.broken, ["11 : I1 at hq-w1, gone"]);
        assert!(proof.to_string().contains("power cuts: 8 of 1000000, not yet"));
    }

    #[test]
    fn a_half_line_is_left_out() {
        let whole = lines(9, &stretch(3)) + &lines(17, &stretch(5));
        let proof = Proof::read(&whole[..whole.len() - 2]);
        assert_eq!((proof.next, proof.figures.cuts), (9, 3));
    }
}
