//! The receiver's half of a signed webhook: who sent it, and when. Standard Webhooks, as `docs/tasks.md` shows it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::hmac;

/// Longer ago, and it is somebody's recording.
const TOLERANCE: Duration = Duration::from_secs(5 * 60);

/// What sender and receiver share.
pub struct Key {
    bytes: [u8; 32],
}

/// The three headers, as they came.
#[derive(Default)]
pub struct Signed {
    pub id: String,
    pub timestamp: String,
    pub signature: String,
}

impl Key {
    /// One that nobody had before.
    pub fn made() -> anyhow::Result<Key> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        Ok(Key { bytes })
    }

    /// As the sender's operator writes it down.
    pub fn secret(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.bytes))
    }

    /// Whether it was signed with this key, a moment ago, over exactly this body.
    pub fn verify(&self, signed: &Signed, body: &[u8]) -> Result<(), &'static str> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.bytes);
        let told = [signed.id.as_bytes(), b".", signed.timestamp.as_bytes(), b".", body].concat();
        let is_ours = |signature: &str| {
            let mac = signature.strip_prefix("v1,").and_then(|mac| STANDARD.decode(mac).ok());
            mac.is_some_and(|mac| hmac::verify(&key, &told, &mac).is_ok())
        };
        if !signed.signature.split(' ').any(is_ours) {
            return Err("its signature is not made with our key");
        }
        let sent = signed.timestamp.parse().map_err(|_| "its timestamp is no number")?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(sent) > TOLERANCE.as_secs() {
            return Err("it was sent too long ago");
        }
        Ok(())
    }
}
