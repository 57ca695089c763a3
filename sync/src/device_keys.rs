//! The key that a device signs with, and how it is kept
//!
//! Where a TPM keeps the key, nobody can copy it off the disk. Where there is none, the key is software, and every
//! screen and log that names its class says so. The engine only ever asks for a signature, so it cannot tell them apart.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Where the key of a device is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyClass {
    /// In a TPM of the machine.
    TpmHardware,
    /// In a TPM that is a program.
    TpmEmulated,
    /// In a file. Whoever copies the disk has the key.
    SoftwareInsecure,
}

impl KeyClass {
    /// The label that stands wherever the class is shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            KeyClass::TpmHardware => "tpm",
            KeyClass::TpmEmulated => "tpm-emulated",
            KeyClass::SoftwareInsecure => "software-INSECURE",
        }
    }
}

impl fmt::Display for KeyClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Signs with the Ed25519 key of this device.
pub trait DeviceKeys: Send + Sync {
    /// The public key.
    fn public(&self) -> [u8; 32];

    /// The signature of a message.
    fn sign(&self, message: &[u8]) -> [u8; 64];

    /// Where the key is kept.
    fn class(&self) -> KeyClass;

    /// Whether a signature of this message is by that key. A device that has a verifier of its own, or remembers what
    /// it has verified, may answer in another way, never with another answer.
    fn verify(&self, public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
        verify(public, message, signature)
    }
}

/// A key that lies in memory and in a file: for development and for machines without a TPM.
pub struct SoftwareKeys {
    key: SigningKey,
}

impl SoftwareKeys {
    /// The key that grows from a seed. The seed comes from outside: this package draws no random numbers.
    pub fn from_seed(seed: [u8; 32]) -> SoftwareKeys {
        SoftwareKeys { key: SigningKey::from_bytes(&seed) }
    }
}

impl DeviceKeys for SoftwareKeys {
    fn public(&self) -> [u8; 32] {
        self.key.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    fn class(&self) -> KeyClass {
        KeyClass::SoftwareInsecure
    }
}

/// Never prints the seed: such a line would end in a log.
impl fmt::Debug for SoftwareKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareKeys(")?;
        for byte in self.public() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Whether the signature of this message is by this key.
///
/// Strict: a weak key, or a second form of a signature that some libraries take, is refused. So all replicas agree.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(public) else { return false };
    key.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
}

#[cfg(test)]
mod tests {
    use crate::device_keys::{DeviceKeys, KeyClass, SoftwareKeys, verify};

    #[test]
    fn a_signature_holds_for_its_message_and_key_only() {
        let keys = SoftwareKeys::from_seed([7; 32]);
        let signature = keys.sign(b"a message");
        assert!(verify(&keys.public(), b"a message", &signature));
        assert!(!verify(&keys.public(), b"a message.", &signature));
        assert!(!verify(&SoftwareKeys::from_seed([8; 32]).public(), b"a message", &signature));
    }

    #[test]
    fn a_public_key_that_is_no_point_verifies_nothing() {
        let signature = SoftwareKeys::from_seed([7; 32]).sign(b"a message");
        assert!(!verify(&[0xff; 32], b"a message", &signature));
        assert!(!verify(&[0; 32], b"a message", &[0; 64]), "a weak key signs everything");
    }

    #[test]
    fn a_software_key_says_that_it_is_insecure() {
        assert_eq!(SoftwareKeys::from_seed([7; 32]).class().to_string(), "software-INSECURE");
        assert_eq!(KeyClass::TpmHardware.to_string(), "tpm");
        assert_eq!(KeyClass::TpmEmulated.to_string(), "tpm-emulated");
    }

    #[test]
    fn a_key_in_a_log_line_never_shows_its_seed() {
        let shown = format!("{:?}", SoftwareKeys::from_seed([0xab; 32]));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}
