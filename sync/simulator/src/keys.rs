//! Keys of virtual devices that cost next to nothing
//!
//! A device signs several times for each sale, and each signature costs more than writing the sale. So in most runs a
//! signature is a hash under a secret, which the verifier looks up: whoever does not hold the secret can make none, as
//! with the real thing. One seed in sixteen is in earnest. The authority of the chain always is.
//!
//! This works because the engine verifies through the keys of its device (`DeviceKeys::verify`).

use selvedge_sync::device_keys::{self, DeviceKeys, KeyClass, SoftwareKeys};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

thread_local! {
    /// The secret of each light key of the run, by its public key.
    static SECRETS: RefCell<HashMap<[u8; 32], [u8; 32]>> = RefCell::new(HashMap::new());
}

/// Forgets the keys of the run before.
pub fn forget_all() {
    SECRETS.with_borrow_mut(HashMap::clear);
}

/// Keys that grow from a seed: light ones, or real ones under the same public key.
pub fn from_seed(seed: [u8; 32], earnest: bool) -> Arc<dyn DeviceKeys> {
    let keys = SoftwareKeys::from_seed(seed);
    if earnest {
        return Arc::new(keys);
    }
    let public = keys.public();
    SECRETS.with_borrow_mut(|secrets| secrets.insert(public, seed));
    Arc::new(LightKeys { public, secret: seed })
}

struct LightKeys {
    public: [u8; 32],
    secret: [u8; 32],
}

fn hash(secret: &[u8; 32], message: &[u8]) -> [u8; 64] {
    let mut signature = [0; 64];
    let mut hasher = blake3::Hasher::new_keyed(secret);
    hasher.update(message).finalize_xof().fill(&mut signature);
    signature
}

impl DeviceKeys for LightKeys {
    fn public(&self) -> [u8; 32] {
        self.public
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        hash(&self.secret, message)
    }

    fn class(&self) -> KeyClass {
        KeyClass::SoftwareInsecure
    }

    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        let secret = SECRETS.with_borrow(|secrets| secrets.get(public).copied());
        match secret {
            Some(secret) => hash(&secret, message) == *signature,
            None => device_keys::verify(public, message, signature),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_signature_holds_for_its_message_and_key_only() {
        let (one, other) = (from_seed([1; 32], false), from_seed([2; 32], false));
        let signature = one.sign(b"a message");
        assert!(other.verify(&one.public(), b"a message", &signature));
        assert!(!other.verify(&one.public(), b"a message.", &signature));
        assert!(!other.verify(&other.public(), b"a message", &signature));
        forget_all();
        assert!(!other.verify(&one.public(), b"a message", &signature), "no key of this run");
    }

    #[test]
    fn a_light_key_still_knows_real_signatures() {
        let (light, real) = (from_seed([1; 32], false), from_seed([3; 32], true));
        let signature = real.sign(b"a message");
        assert!(light.verify(&real.public(), b"a message", &signature));
        assert!(!light.verify(&real.public(), b"a message.", &signature));
    }
}
