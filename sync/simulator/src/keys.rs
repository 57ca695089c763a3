//! Keys of virtual devices that remember what they signed
//!
//! A frame is verified by everybody whom it reaches, and each time that costs more than all else that is done with it.
//! So in most runs a signature that some device of the run has made is known to hold and is not computed again; any other
//! is looked at in earnest. One seed in eight computes them all.

use selvedge_sync::device_keys::{self, DeviceKeys, KeyClass, SoftwareKeys};
use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

thread_local! {
    /// Hashes of key, message and signature that belong together.
    static MADE: RefCell<HashSet<[u8; 32]>> = RefCell::new(HashSet::new());
}

/// Forgets the signatures of the run before.
pub fn forget_all() {
    MADE.with_borrow_mut(HashSet::clear);
}

/// Keys that grow from a seed. Earnest ones compute every signature that they look at.
pub fn from_seed(seed: [u8; 32], earnest: bool) -> Arc<dyn DeviceKeys> {
    let keys = SoftwareKeys::from_seed(seed);
    if earnest { Arc::new(keys) } else { Arc::new(Remembering { public: keys.public(), keys }) }
}

struct Remembering {
    public: [u8; 32],
    keys: SoftwareKeys,
}

fn token(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> [u8; 32] {
    blake3::Hasher::new().update(public).update(signature).update(message).finalize().into()
}

impl DeviceKeys for Remembering {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let signature = self.keys.sign(message);
        MADE.with_borrow_mut(|made| made.insert(token(&self.public, message, &signature)));
        signature
    }

    fn class(&self) -> KeyClass {
        KeyClass::SoftwareInsecure
    }

    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        MADE.with_borrow(|made| made.contains(&token(public, message, signature)))
            || device_keys::verify(public, message, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_signature_holds_for_its_message_and_key_only() {
        let (one, other) = (from_seed([1; 32], false), from_seed([2; 32], false));
        let signature = one.sign(b"a message");
        assert!(other.verify(&one.public(), b"a message", &signature));
        assert!(!other.verify(&one.public(), b"a message.", &signature));
        assert!(!other.verify(&other.public(), b"a message", &signature));
        forget_all();
        assert!(other.verify(&one.public(), b"a message", &signature), "it holds by itself too");
    }

    #[test]
    fn both_kinds_of_keys_sign_alike() {
        let (one, other) = (from_seed([3; 32], false), from_seed([3; 32], true));
        assert_eq!(one.public(), other.public());
        assert_eq!(one.sign(b"a message"), other.sign(b"a message"));
    }
}
