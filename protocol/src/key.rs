//! ed25519 keys: who may say what a release is.

use ed25519_dalek::Signer;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::digest::{Digest, decode_hex};

/// Names a key in a few digits: the start of its BLAKE3 digest.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub struct KeyId(String);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a key is 64 hexadecimal digits")]
    NotHex,
    #[error("these digits are not an ed25519 key")]
    NotAKey,
}

/// The half that signs; stays at the origin.
#[derive(Clone)]
pub struct SecretKey(ed25519_dalek::SigningKey);

impl SecretKey {
    pub fn from_seed(seed: [u8; 32]) -> SecretKey {
        SecretKey(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    pub fn to_hex(&self) -> String {
        hex(&self.0.to_bytes())
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub fn sign(&self, message: &[u8]) -> String {
        hex(&self.0.sign(message).to_bytes())
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<SecretKey, KeyError> {
        decode_hex(text.trim()).map(SecretKey::from_seed).ok_or(KeyError::NotHex)
    }
}

/// The half that checks; nodes trust a list of these.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    pub fn id(&self) -> KeyId {
        KeyId(Digest::of(self.0.as_bytes()).to_string()[..16].to_owned())
    }

    /// Strictly: one message has one signature by a key, and one way to write it.
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let is_plain = signature.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let verifies = |bytes| self.0.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&bytes)).is_ok();
        is_plain && decode_hex::<64>(signature).is_some_and(verifies)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<PublicKey, KeyError> {
        let bytes = decode_hex(text.trim()).ok_or(KeyError::NotHex)?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAKey)?;
        // For a weak key there are signatures that fit any message.
        if key.is_weak() { Err(KeyError::NotAKey) } else { Ok(PublicKey(key)) }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
