//! Who stands before the screen
//!
//! One person at a time, known by a cookie that the browser cannot read. Wrong
//! tries of one badge are answered later and later, but nothing is ever locked:
//! a store must not be shut by somebody who types nonsense.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::baskets::{Baskets, KeptSignOn};

/// How long the first slow answer to a wrong try takes; each next one doubles it.
const DELAY_MS_FIRST: u64 = 250;

/// The longest that a try is held back.
const DELAY_MS_MAX: u64 = 4_000;

/// Wrong tries that cost nothing: fingers slip.
const FREE_TRIES: u32 = 2;

/// How long a wrong try is held against a badge.
const TRIES_KEPT_MS: i64 = 15 * 60 * 1_000;

/// How many badges with wrong tries are remembered.
const BADGES_MAX: usize = 1_000;

/// The person who is signed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOn {
    /// What each form must carry.
    pub csrf: String,
    /// The number of the employee.
    pub employee: i64,
}

#[derive(Debug)]
struct Kept {
    cookie: [u8; 32],
    signed_on: SignedOn,
    active_ms: i64,
}

/// The sign-on of this device and the wrong tries.
#[derive(Debug, Default)]
pub struct SignOns {
    kept: Mutex<Option<Kept>>,
    tries: Mutex<HashMap<String, Tries>>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    wrong: u32,
    last_ms: i64,
}

/// A random number; `None` when the system has no random bytes.
pub fn random_number() -> Option<u32> {
    let mut bytes = [0_u8; 4];
    getrandom::fill(&mut bytes).ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// A random word of 32 hex digits; `None` when the system has no random bytes.
pub fn random_word() -> Option<String> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

fn hashed(cookie: &str) -> [u8; 32] {
    Sha256::digest(cookie.as_bytes()).into()
}

impl SignOns {
    /// Signs a person on and says the cookie. It is kept in the file of the
    /// baskets: a restart of the program signs nobody off.
    pub fn sign_on(
        &self,
        baskets: &mut Baskets,
        employee: i64,
        wall_ms: i64,
        steady_ms: i64,
    ) -> rusqlite::Result<Option<String>> {
        let (Some(cookie), Some(csrf)) = (random_word(), random_word()) else { return Ok(None) };
        let hash = hashed(&cookie);
        baskets.keep_sign_on(&hash, &KeptSignOn { csrf: csrf.clone(), employee }, wall_ms)?;
        let signed_on = SignedOn { csrf, employee };
        *self.lock() = Some(Kept { cookie: hash, signed_on, active_ms: steady_ms });
        Ok(Some(cookie))
    }

    /// Signs everybody off.
    pub fn sign_off(&self, baskets: &mut Baskets) -> rusqlite::Result<()> {
        *self.lock() = None;
        baskets.sign_off()
    }

    /// Takes up the sign-on that a restart of the program interrupted.
    pub fn resume(&self, baskets: &Baskets, cookie: &str, steady_ms: i64) -> rusqlite::Result<()> {
        let mut kept = self.lock();
        let hash = hashed(cookie);
        if kept.is_none()
            && let Some(found) = baskets.sign_on(&hash)?
        {
            let signed_on = SignedOn { csrf: found.csrf, employee: found.employee };
            *kept = Some(Kept { cookie: hash, signed_on, active_ms: steady_ms });
        }
        Ok(())
    }

    /// Whether a sign-on is known at all.
    pub fn is_empty(&self) -> bool {
        self.lock().is_none()
    }

    /// Who holds this cookie, unless the screen has been still for too long.
    pub fn who(&self, cookie: &str, steady_ms: i64, lock_after_ms: i64) -> Option<SignedOn> {
        let kept = self.lock();
        let kept = kept.as_ref().filter(|kept| kept.cookie == hashed(cookie))?;
        (steady_ms - kept.active_ms <= lock_after_ms).then(|| kept.signed_on.clone())
    }

    /// Whether the sign-on is of this cookie, however long the screen has been still.
    pub fn is_of(&self, cookie: &str) -> bool {
        self.lock().as_ref().is_some_and(|kept| kept.cookie == hashed(cookie))
    }

    /// Notes a tap or a scan.
    pub fn touch(&self, steady_ms: i64) {
        if let Some(kept) = self.lock().as_mut() {
            kept.active_ms = steady_ms;
        }
    }

    /// How long the answer to a try of this badge is held back.
    pub fn delay_ms(&self, badge: &str, steady_ms: i64) -> u64 {
        let tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        match tries.get(badge.trim()) {
            Some(tries)
                if steady_ms - tries.last_ms < TRIES_KEPT_MS && tries.wrong >= FREE_TRIES =>
            {
                let doublings = (tries.wrong - FREE_TRIES).min(16);
                (DELAY_MS_FIRST << doublings).min(DELAY_MS_MAX)
            }
            _ => 0,
        }
    }

    /// Notes a wrong try of a badge.
    pub fn wrong(&self, badge: &str, steady_ms: i64) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= BADGES_MAX {
            tries.clear();
        }
        let entry = tries.entry(badge.trim().to_owned()).or_insert(Tries { wrong: 0, last_ms: 0 });
        entry.wrong = entry.wrong.saturating_add(1);
        entry.last_ms = steady_ms;
    }

    /// Forgets the wrong tries of a badge.
    pub fn right(&self, badge: &str) {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(badge.trim());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_tries_are_answered_later_but_never_locked_out() {
        let sign_ons = SignOns::default();
        let mut delays = Vec::new();
        for _ in 0..8 {
            delays.push(sign_ons.delay_ms("952", 10));
            sign_ons.wrong("952", 10);
        }
        assert_eq!(delays, [0, 0, 250, 500, 1_000, 2_000, 4_000, 4_000]);
        assert_eq!(sign_ons.delay_ms("953", 10), 0, "another badge is not held back");
        assert_eq!(sign_ons.delay_ms("952", 10 + TRIES_KEPT_MS), 0);
        sign_ons.right("952");
        assert_eq!(sign_ons.delay_ms("952", 10), 0);
    }

    #[test]
    fn a_still_screen_asks_again_and_a_restart_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut baskets = Baskets::open(&folder.path().join("baskets.sqlite")).unwrap();
        let sign_ons = SignOns::default();
        let cookie = sign_ons.sign_on(&mut baskets, 7, 0, 0).unwrap().unwrap();
        assert_eq!(sign_ons.who(&cookie, 50, 90).unwrap().employee, 7);
        assert!(sign_ons.who(&cookie, 91, 90).is_none());
        assert!(sign_ons.who("guessed", 50, 90).is_none());
        let restarted = SignOns::default();
        restarted.resume(&baskets, &cookie, 1_000).unwrap();
        assert_eq!(restarted.who(&cookie, 1_001, 90).unwrap().employee, 7);
        restarted.sign_off(&mut baskets).unwrap();
        restarted.resume(&baskets, &cookie, 1_000).unwrap();
        assert!(restarted.is_empty());
    }
}
