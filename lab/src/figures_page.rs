//! The head of the page of figures: when, and on which machine

use crate::bench_desk::Fault;
use std::process::Command;

/// Says how the page was written, when, and where.
pub fn head(names: &[String]) -> Result<String, Fault> {
    let benches = names.iter().fold(String::new(), |all, name| format!("{all} {name}"));
    let processors = std::thread::available_parallelism()?;
    let processor = field("/proc/cpuinfo", "model name")?;
    let kib: f64 = field("/proc/meminfo", "MemTotal")?.trim_end_matches(" kB").parse()?;
    let load = std::fs::read_to_string("/proc/loadavg")?;
    let load: Vec<&str> = load.split(' ').take(3).collect();
    let (date, system) = (said("date", &["-u", "+%Y-%m-%d %H:%M UTC"])?, said("uname", &["-sr"])?);
    Ok(format!(
        "# Figures

Written by `lab bench{benches} --write docs/figures.md` on {date}. {processor}, {processors} processors, {} GB of memory,
{system}. The machine's load over the last 1, 5 and 15 minutes was {}: where it is above the number of processors, times
on the wall and the CPU times of one bench alone are too long; ratios of pairs in one run hold.
[lab.md](lab.md) says how each is measured.
",
        (kib / 1e6).round(),
        load.join(", "),
    ))
}

/// The first line of a file of the kernel that begins so, behind its colon.
fn field(file: &str, name: &str) -> Result<String, Fault> {
    let text = std::fs::read_to_string(file)?;
    let line = text.lines().find(|line| line.starts_with(name));
    let value =
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned());
    value.ok_or_else(|| format!("{file} says no {name}").into())
}

fn said(program: &str, arguments: &[&str]) -> Result<String, Fault> {
    Ok(String::from_utf8(Command::new(program).args(arguments).output()?.stdout)?.trim().to_owned())
}
