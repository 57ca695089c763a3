//! What others cost who hear the changes of the same checkout
//!
//! A small C program writes checkouts into the machine's own SQLite, whose build has the session extension: bare, with row
//! triggers that log each row as JSON, with a session for each transaction, and with sqlite-sync where its file is there
//! (`make bench` fetches it). Each run stands beside a bare one. What Selvedge costs is the bench `capture`, against the
//! SQLite that it carries itself.

use crate::bench_desk::{Fault, SKUS};
use crate::figure::{Figure, median, short};
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = include_str!("../rivals.c");
const PAIRS: u64 = 7;
const CHECKOUTS: u64 = 2_000;
const EXTENSION: &str = "tools/cloudsync.so";
/// What the licence of sqlite-sync does not grant: to carry its payload over another network layer than its own.
const ITS_LICENCE: &str =
    "its wire and apply are not measured: its licence grants no other network layer";

/// What one run of the program says.
struct Run {
    cpu_us: f64,
    disk_bytes: f64,
    form_bytes: f64,
    apply_us: f64,
}

/// The figures of the others.
pub fn measure() -> Result<Vec<Figure>, Fault> {
    let folder = tempfile::tempdir()?;
    let program = match built(folder.path()) {
        Ok(program) => program,
        Err(why) => {
            let what = format!("NOT MEASURED: {why}");
            return Ok(vec![Figure::beside("other ways to hear changes", what)]);
        }
    };
    let mut figures = Vec::new();
    figures.extend(beside_bare("row triggers", &program, "triggers", None)?);
    figures.extend(beside_bare("SQLite's session extension", &program, "session", None)?);
    match extension() {
        Some(file) => {
            figures.extend(beside_bare("sqlite-sync 1.1.4", &program, "loaded", Some(&file))?);
            figures.push(Figure::beside("  sqlite-sync", ITS_LICENCE.to_owned()));
        }
        None => figures.push(Figure::beside("sqlite-sync", "NOT MEASURED: not fetched".to_owned())),
    }
    Ok(figures)
}

fn beside_bare(
    name: &str,
    program: &Path,
    mode: &str,
    extension: Option<&Path>,
) -> Result<Vec<Figure>, Fault> {
    let (mut ratios, mut bytes, mut form, mut apply) = (vec![], vec![], vec![], vec![]);
    for seed in 0..PAIRS {
        let bare = run(program, "bare", seed, None)?;
        let other = run(program, mode, seed, extension)?;
        ratios.push(other.cpu_us / bare.cpu_us);
        bytes.push(other.disk_bytes / bare.disk_bytes);
        form.push(other.form_bytes / CHECKOUTS as f64);
        apply.push(bare.cpu_us / other.apply_us);
    }
    let least = ratios.iter().fold(f64::MAX, |least, ratio| least.min(*ratio));
    let most = ratios.iter().fold(0.0_f64, |most, ratio| most.max(*ratio));
    let range = format!("{}x ({} to {})", short(median(&ratios)), short(least), short(most));
    let mut figures = vec![
        Figure::beside(&format!("{name}: CPU of a checkout against bare"), range),
        Figure::beside("  bytes to disk against bare", format!("{}x", short(median(&bytes)))),
    ];
    if median(&form) > 0.0 {
        let size = format!("{} B, not packed, not signed", short(median(&form)));
        figures.push(Figure::beside("  changes of a checkout", size));
        let speed = format!("{}x", short(median(&apply)));
        figures.push(Figure::beside("  apply against plain statements", speed));
    }
    Ok(figures)
}

fn run(program: &Path, mode: &str, seed: u64, extension: Option<&Path>) -> Result<Run, Fault> {
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.arg(mode).arg(folder.path().join("rival.db"));
    command.args([CHECKOUTS.to_string(), SKUS.to_string(), seed.to_string()]).args(extension);
    let said = command.output()?;
    let text = String::from_utf8(said.stdout)?;
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    match numbers[..] {
        [cpu_us, disk_bytes, form_bytes, apply_us] => {
            Ok(Run { cpu_us, disk_bytes, form_bytes, apply_us })
        }
        _ => Err(format!("{mode}: {}", String::from_utf8_lossy(&said.stderr)).into()),
    }
}

/// Builds the program with the C compiler of this machine, against its SQLite.
fn built(folder: &Path) -> Result<PathBuf, Fault> {
    let (source, program) = (folder.join("rivals.c"), folder.join("rivals"));
    std::fs::write(&source, SOURCE)?;
    let mut compiler = Command::new("cc");
    compiler.arg("-O2").arg("-o").args([&program, &source]).args(["-lsqlite3", "-lm"]);
    if compiler.output()?.status.success() {
        Ok(program)
    } else {
        Err("SQLite's header and library are missing (libsqlite3-dev)".into())
    }
}

fn extension() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    program.ancestors().map(|folder| folder.join(EXTENSION)).find(|file| file.is_file())
}
