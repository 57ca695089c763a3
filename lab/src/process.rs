//! One real process of the chain, from its start to its end

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end when it is asked.
const STOP_S_MAX: u64 = 10;
/// How often a condition is looked at while it is waited for.
pub const LOOK_MS: u64 = 20;
/// Lines of a log that an error quotes.
const QUOTED_LINES: usize = 6;

/// Why a process did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The program is not there.
    #[error("{0} is not there: build it with `cargo build --workspace --bins`")]
    Missing(PathBuf),
    /// It could not be started, or not be waited for.
    #[error("{0} could not be run: {1}")]
    Run(PathBuf, io::Error),
    /// It ended with an error.
    #[error("`{command}` failed: {said}")]
    Failed {
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
}

/// Where the programs of the chain lie.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The program of stores.
    pub appliance: PathBuf,
    /// The program of HQ.
    pub hq_bridge: PathBuf,
    /// This program, which ties the others to itself.
    pub lab: PathBuf,
}

impl Programs {
    /// The programs in the folder of this lab.
    pub fn beside(lab: &Path) -> Result<Programs, ProcessError> {
        let found = |name: &str| {
            let path = lab.with_file_name(name);
            if path.is_file() { Ok(path) } else { Err(ProcessError::Missing(path)) }
        };
        Ok(Programs {
            appliance: found("appliance")?,
            hq_bridge: found("hq-bridge")?,
            lab: lab.to_owned(),
        })
    }

    /// The programs in the folder of the running lab.
    pub fn beside_this_one() -> Result<Programs, ProcessError> {
        let lab =
            std::env::current_exe().map_err(|error| ProcessError::Run("lab".into(), error))?;
        Programs::beside(&lab)
    }
}

/// A running process. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Where its words go.
    pub log: PathBuf,
}

impl Process {
    /// Starts a program whose words go to the end of a log file, with a library in front of its others if one is given.
    pub fn start(
        programs: &Programs,
        program: &Path,
        arguments: &[&str],
        log: &Path,
        preload: Option<&Path>,
    ) -> Result<Process, ProcessError> {
        let failed = |error| ProcessError::Run(program.to_owned(), error);
        let words = OpenOptions::new().create(true).append(true).open(log).map_err(failed)?;
        let errors = words.try_clone().map_err(failed)?;
        let mut command = Command::new(&programs.lab);
        command
            .args(["hold", "--parent", &std::process::id().to_string(), "--"])
            .arg(program)
            .args(arguments);
        command.stdin(Stdio::null()).stdout(words).stderr(errors);
        if let Some(library) = preload {
            command.env("LD_PRELOAD", library);
        }
        let child = start_from_a_lasting_thread(command).map_err(failed)?;
        Ok(Process { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it the hard way, as a power cut does, and waits until it is gone.
    pub fn kill(&mut self) {
        // Both fail only for a process that is gone, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Asks it to end, and ends it the hard way when it does not.
    pub fn stop(&mut self) {
        let asked = i32::try_from(self.pid()).map(|pid| kill(Pid::from_raw(pid), Signal::SIGTERM));
        if matches!(asked, Ok(Ok(()))) && wait_for(Duration::from_secs(STOP_S_MAX), || !self.runs())
        {
            return;
        }
        self.kill();
    }

    /// Its children whose command line has this word.
    pub fn children_with(&self, word: &str) -> Vec<u32> {
        children_of(self.pid())
            .into_iter()
            .filter(|pid| command_line(*pid).contains(word))
            .collect()
    }

    /// The last lines of its log, for an error.
    pub fn last_words(&self) -> String {
        last_lines(&self.log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            self.kill();
        }
    }
}

/// Runs a program to its end and gives what it printed.
pub fn run(program: &Path, arguments: &[&str]) -> Result<String, ProcessError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| ProcessError::Run(program.to_owned(), error))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let said = format!("{}{}", printed, String::from_utf8_lossy(&output.stderr));
    Err(ProcessError::Failed {
        command: format!("{name} {}", arguments.join(" ")),
        said: told(output.status, &said),
    })
}

/// Ends any process by its id the hard way.
pub fn kill_by_id(pid: u32) -> io::Result<()> {
    let pid = i32::try_from(pid).map_err(io::Error::other)?;
    Ok(kill(Pid::from_raw(pid), Signal::SIGKILL)?)
}

/// Looks again and again until it is so or the time is over.
pub fn wait_for(at_most: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + at_most;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

/// CPU seconds and bytes written to disk of a live process, as the kernel counts them.
pub fn spent(pid: u32) -> Spent {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in brackets may hold blanks, so fields are counted behind it: user and system time are 12th and 13th.
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks =
        |place: usize| fields.get(place).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written =
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok()).unwrap_or(0);
    Spent { cpu_ms: (ticks(11) + ticks(12)) * 10, written_bytes: written }
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// CPU time, user and system.
    pub cpu_ms: u64,
    /// Bytes it made the disk write.
    pub written_bytes: u64,
}

/// The kernel ends a tied process with the thread that started it, so one thread starts them all and never ends.
fn start_from_a_lasting_thread(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static STARTER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (jobs_in, jobs) = mpsc::channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, answer) in jobs {
                // Who asked may have gone; then the child ends as it is dropped with the answer.
                answer.send(command.spawn()).ok();
            }
        });
        jobs_in
    });
    let (answer_in, answer) = mpsc::channel();
    let gone = |_| io::Error::other("the thread that starts processes has ended");
    starter
        .send((command, answer_in))
        .map_err(|_| io::Error::other("the thread that starts processes has ended"))?;
    answer.recv().map_err(gone)?
}

fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    lists
        .flat_map(|list| list.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

fn command_line(pid: u32) -> String {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .unwrap_or_default()
}

fn told(status: ExitStatus, said: &str) -> String {
    let lines: Vec<&str> = said.lines().collect();
    let last = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n");
    if last.is_empty() { format!("it ended with {status} and said nothing") } else { last }
}

fn last_lines(log: &Path) -> String {
    let text = File::open(log).and_then(io::read_to_string).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_says_what_it_said() {
        let error =
            run(Path::new("/bin/sh"), &["-c", "echo no such badge >&2; exit 3"]).unwrap_err();
        assert!(error.to_string().ends_with("failed: no such badge"), "{error}");
    }

    #[test]
    fn a_missing_program_says_how_to_build_it() {
        let error = Programs::beside(Path::new("/nowhere/lab")).unwrap_err();
        assert!(error.to_string().contains("cargo build"), "{error}");
    }

    #[test]
    fn what_a_process_spends_is_read_from_the_kernel() {
        let mut sum = 0_u64;
        let spends = wait_for(Duration::from_secs(20), || {
            sum = (0..20_000_000_u64).fold(sum, |sum, step| sum ^ step.wrapping_mul(sum | 1));
            spent(std::process::id()).cpu_ms > 0
        });
        assert!(spends, "no CPU time was counted, {sum}");
    }
}
