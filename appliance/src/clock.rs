//! Reads the wall clock and the steady clock
//!
//! The only file of this program that does. The wall clock is for people and
//! may jump by years; whatever must run forward takes the steady one.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970, as this device believes.
pub fn wall_ms() -> i64 {
    let ms = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

/// Milliseconds since this program first asked; never jumps.
pub fn steady_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed().as_millis();
    i64::try_from(passed).unwrap_or(i64::MAX)
}
