//! CPU time of the thread that asks

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Microseconds of CPU that this thread has used, user and system.
pub fn thread_us() -> i64 {
    used_us(UsageWho::RUSAGE_THREAD)
}

/// Microseconds of CPU that this process has used, user and system.
pub fn process_us() -> i64 {
    used_us(UsageWho::RUSAGE_SELF)
}

/// What a piece of work costs this thread, and what it came to.
pub fn of<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, f64), E> {
    let before = thread_us();
    let done = work()?;
    Ok((done, (thread_us() - before) as f64))
}

fn used_us(who: UsageWho) -> i64 {
    let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    // The call fails only for a bad argument.
    getrusage(who).map(|usage| micros(usage.user_time()) + micros(usage.system_time())).unwrap_or(0)
}
