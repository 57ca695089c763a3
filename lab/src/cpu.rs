//! CPU time of the thread that asks

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

/// Microseconds of CPU that this thread has used, user and system. The scheduler's own clock: what `getrusage` says of a
/// thread moves by whole ticks, which are longer than many a piece of work.
pub fn thread_us() -> f64 {
    // The call fails only where the system has no such clock.
    let used = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
    used.map_or(0.0, |used| used.tv_sec() as f64 * 1e6 + used.tv_nsec() as f64 / 1e3)
}

/// Microseconds of CPU that this process has used, user and system.
pub fn process_us() -> i64 {
    used_us(UsageWho::RUSAGE_SELF)
}

/// What a piece of work costs this thread, and what it came to.
pub fn of<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<(T, f64), E> {
    let before = thread_us();
    let done = work()?;
    Ok((done, thread_us() - before))
}

fn used_us(who: UsageWho) -> i64 {
    let micros = |time: TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    // The call fails only for a bad argument.
    getrusage(who).map(|usage| micros(usage.user_time()) + micros(usage.system_time())).unwrap_or(0)
}
