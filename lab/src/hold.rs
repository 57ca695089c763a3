//! Ties a process to the lab that started it
//!
//! `lab hold -- PROGRAM ...` asks the kernel to end it with its parent and then becomes the program. The process id
//! stays the same, and nothing is orphaned even if the lab is killed.

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Becomes the program. Returns only with the reason why it could not.
pub fn become_program(parent: i32, program: &OsString, arguments: &[OsString]) -> io::Error {
    if let Err(errno) = set_pdeathsig(Signal::SIGKILL) {
        return errno.into();
    }
    // Whoever started us may have died before the line above.
    if getppid().as_raw() != parent {
        return io::Error::other("the lab that started this has ended");
    }
    Command::new(program).args(arguments).exec()
}
