//! Webhooks whose receiver can tell who sent them: signed as the [Standard Webhooks] specification says, with HMAC-SHA256.
//!
//! ```ignore
//! let signer = webhook::Signer::from_secret("WEBHOOK_KEY")?;
//! let answer = signer.post(url, &format!("task-{}", job.id()), SystemTime::now(), body).send()?;
//! ```
//!
//! Three headers go along. `webhook-id` is the message's and stays the same however often it is sent: whoever has dealt
//! with it before, answers 200 and does nothing. `webhook-timestamp` is when it was sent, in seconds since 1970: what is
//! old is somebody's recording. `webhook-signature` is `v1,` and base64 of the keyed hash of `id.timestamp.body`.
//!
//! The secret is what is shared with the receiver: `whsec_` and the key in base64, or any other text of at least 24
//! characters, whose bytes are the key then. It may be several, separated by commas: all of them sign, so that a receiver
//! may go over to the new one when it likes.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use sha2::Sha256;

use crate::outgoing::{self, Call};
use crate::variable;

/// The header that says which message it is.
pub const ID: &str = "webhook-id";
/// The header that says when it was sent.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header that proves both, and the body.
pub const SIGNATURE: &str = "webhook-signature";

/// How far the sender's clock and the receiver's may be apart, the way between them included.
pub const TOLERANCE: Duration = Duration::from_secs(5 * 60);

const MIN_KEY_BYTES: usize = 24;
const KEY_PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";

/// Signs what is sent, and verifies what comes.
#[derive(Clone)]
pub struct Signer {
    /// Never empty. Each has taken in its key.
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// With the secret that the manifest names.
    ///
    /// # Errors
    /// When it is not there, or is no key.
    pub fn from_secret(name: &'static str) -> Result<Self, Error> {
        Self::new(&variable(name).ok_or(Error::Missing { name })?).ok_or(Error::NoKey { name })
    }

    /// With keys separated by commas; none when one of them is too short, or is no base64 where it says that it is.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let key = |text: &str| {
            let bytes = match text.strip_prefix(KEY_PREFIX) {
                Some(encoded) => STANDARD.decode(encoded).ok()?,
                None => text.as_bytes().to_vec(),
            };
            if bytes.len() < MIN_KEY_BYTES { None } else { Hmac::new_from_slice(&bytes).ok() }
        };
        Some(Self { keys: secret.split(',').map(|text| key(text.trim())).collect::<Option<_>>()? })
    }

    /// A POST of JSON with the three headers: the message `id`, sent `now`.
    #[must_use]
    pub fn post(&self, url: impl Into<String>, id: &str, now: SystemTime, body: impl Into<Vec<u8>>) -> Call {
        let body = body.into();
        let timestamp = seconds(now).to_string();
        let signature = self.sign(id, &timestamp, &body);
        outgoing::post(url, body)
            .with_header("content-type", "application/json")
            .with_header(ID, id)
            .with_header(TIMESTAMP, timestamp)
            .with_header(SIGNATURE, signature)
    }

    /// The value of `webhook-signature`: one for each key, with spaces between them.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let one = |key| format!("{VERSION}{}", STANDARD.encode(told(key, id, timestamp, body).finalize().into_bytes()));
        self.keys.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    /// The id of a message that came, if one of our keys signed it and it was sent [not long ago](TOLERANCE). `body` is as
    /// it came: JSON that was read and written again has other bytes.
    ///
    /// # Errors
    /// See [`Forged`]. The answer to all of them is 401.
    pub fn verify<'a>(&self, headers: &'a HeaderMap, body: &[u8], now: SystemTime) -> Result<&'a str, Forged> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(timestamp), Some(signatures)) = (text(ID), text(TIMESTAMP), text(SIGNATURE)) else {
            return Err(Forged::Unsigned);
        };
        let sent: u64 = timestamp.parse().map_err(|_| Forged::Unsigned)?;
        let ours = |signature: &str| {
            let mac = signature.strip_prefix(VERSION).and_then(|mac| STANDARD.decode(mac).ok()).unwrap_or_default();
            // In a time that does not tell how much of it is right.
            self.keys.iter().any(|key| told(key, id, timestamp, body).verify_slice(&mac).is_ok())
        };
        if !signatures.split(' ').any(ours) {
            return Err(Forged::OtherKey);
        }
        // Last, so that nobody without a key learns what this clock says.
        if seconds(now).abs_diff(sent) > TOLERANCE.as_secs() {
            return Err(Forged::Old);
        }
        Ok(id)
    }
}

fn told(key: &Hmac<Sha256>, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

fn seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

impl fmt::Debug for Signer {
    /// Without its keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({} keys)", self.keys.len())
    }
}

/// Why there is no signer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// No such secret.
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// Too short to be one, or no base64.
    NoKey {
        /// The secret's name.
        name: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(
                f,
                "webhook: there is no secret {name}: add `secrets = [\"{name}\"]` to nearside.toml; the origin makes its \
                 value, unless the operator sets one"
            ),
            Self::NoKey { name } => write!(
                f,
                "webhook: a key in the secret {name} is none: `{KEY_PREFIX}` and {MIN_KEY_BYTES} bytes or more in base64 \
                 expected, such as `echo {KEY_PREFIX}$(openssl rand -base64 32)` makes; or a text of as many characters"
            ),
        }
    }
}

impl std::error::Error for Error {}

/// Why a message that came is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    /// A header is missing, or is not what it should be.
    Unsigned,
    /// None of our keys made one of its signatures.
    OtherKey,
    /// It was sent too long ago, or will be.
    Old,
}

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unsigned => "webhook: it is not signed",
            Self::OtherKey => "webhook: none of our keys signed it",
            Self::Old => "webhook: it was not sent in these minutes",
        })
    }
}

impl std::error::Error for Forged {}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old-old-old-old-old-old-old";
    const NEW: &str = "whsec_YSBrZXkgb2YgdHdvIGRvemVuIGJ5dGVz";
    const BODY: &[u8] = br#"{"review":7,"stars":5}"#;

    fn signer(secret: &str) -> Signer {
        Signer::new(secret).unwrap()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn headers(id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        let pairs = [(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signature)];
        pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_signature_is_the_one_that_others_make() {
        // Made by `printf 'task-7.1770000000.%s' "$BODY" | openssl dgst -sha256 -hmac "$KEY" -binary | base64`.
        let expected = "v1,opag69iSOFj7peuWLiSfO5of8WFlIMPa8hwb5gaLjpQ=";
        assert_eq!(signer(NEW).sign("task-7", "1770000000", BODY), expected);
    }

    #[test]
    fn what_is_signed_verifies_for_some_minutes_and_as_it_was_sent_only() {
        let signature = signer(NEW).sign("task-7", "1000", BODY);
        let verify = |headers: &HeaderMap, body, now| signer(NEW).verify(headers, body, at(now)).map(str::to_owned);
        let sent = headers("task-7", "1000", &signature);
        for now in [700, 1000, 1300] {
            assert_eq!(verify(&sent, BODY, now).as_deref(), Ok("task-7"));
        }
        for now in [699, 1301] {
            assert_eq!(verify(&sent, BODY, now), Err(Forged::Old));
        }
        assert_eq!(verify(&sent, b"{}", 1000), Err(Forged::OtherKey));
        for forged in [headers("task-8", "1000", &signature), headers("task-7", "1001", &signature)] {
            assert_eq!(verify(&forged, BODY, 1000), Err(Forged::OtherKey));
        }
        for signature in ["", "v1,", "v1,AAAA", &signature[3..], &signature.replace("v1", "v2")] {
            assert_eq!(verify(&headers("task-7", "1000", signature), BODY, 1000), Err(Forged::OtherKey), "{signature}");
        }
        assert_eq!(verify(&headers("task-7", "noon", &signature), BODY, 1000), Err(Forged::Unsigned));
        assert_eq!(verify(&HeaderMap::new(), BODY, 1000), Err(Forged::Unsigned));
    }

    #[test]
    fn a_receiver_may_change_its_key_later_than_the_sender() {
        let signature = signer(&format!("{NEW}, {OLD}")).sign("a", "1000", BODY);
        let sent = headers("a", "1000", &signature);
        for key in [NEW, OLD] {
            assert_eq!(signer(key).verify(&sent, BODY, at(1000)), Ok("a"));
        }
        let other = signer("other-other-other-other-other");
        assert_eq!(other.verify(&sent, BODY, at(1000)), Err(Forged::OtherKey));
    }

    #[test]
    fn keys_that_are_none_are_refused_and_none_is_shown() {
        for secret in ["", "short", "whsec_", "whsec_AAAA", "whsec_not base64 at all, not at all", &format!("{OLD},")] {
            assert!(Signer::new(secret).is_none(), "{secret}");
        }
        assert!(Signer::from_secret("NO_SUCH_SECRET").unwrap_err().to_string().contains("add `secrets ="));
        assert_eq!(format!("{:?}", signer(NEW)), "Signer(1 keys)");
    }
}
