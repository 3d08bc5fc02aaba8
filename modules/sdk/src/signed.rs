//! Values that visitors keep and cannot change: cookies with a keyed hash of their content, HMAC-SHA256.
//!
//! ```ignore
//! let signer = Signer::from_secret("SESSION_KEY")?;
//! let visitor = signer.read(&request.cookies(), "visitor");
//! Ok(response.with_cookie(signer.cookie("visitor", &id)))
//! ```
//!
//! A value is signed, not hidden: its visitor can read it. It is bound to the name of its cookie, so that one cookie's
//! value is no good in another.
//!
//! The manifest says `secrets = ["SESSION_KEY"]`, and the origin makes one, unless its operator sets it. It may be several
//! keys, separated by commas: the first one signs, and all of them verify. So a key is changed by putting a new one in
//! front, and taking the old one away when what it signed may be forgotten.
//!
//! What is signed by [`Signer::sign`] is good for as long as its key. What must end sooner is signed by
//! [`Signer::sign_until`] and verified by [`Signer::verify_at`], which wants to know the time: asking for it makes a page
//! that is not kept, so most pages should not have to.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{Cookies, SetCookie, hex, variable};

/// What a key must have at least: as many characters as the hash has bytes.
const MIN_SECRET_BYTES: usize = 32;

const MAC_BYTES: usize = 32;

/// What separates what was signed for ever from what was signed for a time: neither verifies as the other.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Lasting = 1,
    Until = 2,
}

/// Signs and verifies with the keys of one secret.
#[derive(Clone)]
pub struct Signer {
    /// Never empty. Each has taken in its key.
    keys: Vec<Hmac<Sha256>>,
}

impl Signer {
    /// With the secret that the manifest names.
    ///
    /// # Errors
    /// When it is not there, or is too short to be one.
    pub fn from_secret(name: &'static str) -> Result<Self, Error> {
        Self::new(&variable(name).ok_or(Error::Missing { name })?).ok_or(Error::Short { name })
    }

    /// With keys separated by commas; none when one of them has less than 32 characters.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let key = |text: &str| {
            let bytes = Some(text.trim().as_bytes()).filter(|bytes| bytes.len() >= MIN_SECRET_BYTES)?;
            Hmac::new_from_slice(bytes).ok()
        };
        Some(Self { keys: secret.split(',').map(key).collect::<Option<_>>()? })
    }

    /// `value`, signed as the value of the cookie `name`.
    #[must_use]
    pub fn sign(&self, name: &str, value: &str) -> String {
        format!("{}.{value}", self.mac(Kind::Lasting, name, value))
    }

    /// What was signed for this name by [`sign`](Self::sign); none when it was not.
    #[must_use]
    pub fn verify<'a>(&self, name: &str, signed: &'a str) -> Option<&'a str> {
        self.content(Kind::Lasting, name, signed)
    }

    /// `value`, signed until a moment, in whole seconds.
    #[must_use]
    pub fn sign_until(&self, name: &str, value: &str, until: SystemTime) -> String {
        let until = until.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let content = format!("{until}.{value}");
        format!("{}.{content}", self.mac(Kind::Until, name, &content))
    }

    /// What was signed for this name by [`sign_until`](Self::sign_until), if that is still good `now`. Looking at the clock
    /// - `SystemTime::now()` - makes a page that is not kept.
    #[must_use]
    pub fn verify_at<'a>(&self, name: &str, signed: &'a str, now: SystemTime) -> Option<&'a str> {
        let (until, value) = self.content(Kind::Until, name, signed)?.split_once('.')?;
        let until = UNIX_EPOCH.checked_add(Duration::from_secs(until.parse().ok()?))?;
        (now < until).then_some(value)
    }

    /// A cookie with a signed value.
    #[must_use]
    pub fn cookie(&self, name: &str, value: &str) -> SetCookie {
        SetCookie::new(name, self.sign(name, value))
    }

    /// The value of the first cookie of this name that is ours. Others may be there: a sibling domain can set one, too.
    #[must_use]
    pub fn read<'a>(&self, cookies: &'a Cookies, name: &str) -> Option<&'a str> {
        cookies.all(name).find_map(|signed| self.verify(name, signed))
    }

    fn mac(&self, kind: Kind, name: &str, content: &str) -> String {
        let key = self.keys.first().expect("BUG: a signer has a key");
        hex::encode(&told(key, kind, name, content).finalize().into_bytes())
    }

    fn content<'a>(&self, kind: Kind, name: &str, signed: &'a str) -> Option<&'a str> {
        let (mac, content) = signed.split_once('.')?;
        let mac: [u8; MAC_BYTES] = hex::decode(mac)?;
        // In a time that does not tell how much of it is right.
        let is_right = |key| told(key, kind, name, content).verify_slice(&mac).is_ok();
        self.keys.iter().any(is_right).then_some(content)
    }
}

/// The length of the name says where the content begins: "ab" and "c" are not "a" and "bc".
fn told(key: &Hmac<Sha256>, kind: Kind, name: &str, content: &str) -> Hmac<Sha256> {
    let mut mac = key.clone();
    mac.update(&[kind as u8]);
    mac.update(&(name.len() as u64).to_le_bytes());
    mac.update(name.as_bytes());
    mac.update(content.as_bytes());
    mac
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
    /// A key that could be guessed.
    Short {
        /// The secret's name.
        name: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(
                f,
                "signed: there is no secret {name}: add `secrets = [\"{name}\"]` to nearside.toml; the origin makes its \
                 value, unless the operator sets one"
            ),
            Self::Short { name } => write!(
                f,
                "signed: a key in the secret {name} has less than {MIN_SECRET_BYTES} characters: `openssl rand -hex 32` \
                 makes a good one"
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        Self::internal(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old-old-old-old-old-old-old-old-old";
    const NEW: &str = "new-new-new-new-new-new-new-new-new";

    fn signer(secret: &str) -> Signer {
        Signer::new(secret).unwrap()
    }

    #[test]
    fn what_is_signed_is_hmac_sha256() {
        // Made by `printf '\1\2\0\0\0\0\0\0\0idAda' | openssl dgst -sha256 -hmac "$NEW"`.
        let expected = "c4c0f5ec712b7fcf04ff023d33840529689a09c7f352300dd56b0ae6bb68b3b6.Ada";
        assert_eq!(signer(NEW).sign("id", "Ada"), expected);
    }

    #[test]
    fn a_value_verifies_under_its_name_and_key_only() {
        let signed = signer(OLD).sign("id", "Ada.7");
        assert_eq!(signer(OLD).verify("id", &signed), Some("Ada.7"));
        assert_eq!(signer(OLD).verify("di", &signed), None);
        assert_eq!(signer(NEW).verify("id", &signed), None);
        let (mac, _) = signed.split_once('.').unwrap();
        for forged in
            ["", ".", "Ada.7", &format!("{mac}.Ada.8"), &format!("{mac}."), &signed[1..], &signed.to_uppercase()]
        {
            assert_eq!(signer(OLD).verify("id", forged), None, "{forged}");
        }
    }

    #[test]
    fn the_name_does_not_run_into_the_value() {
        let signed = signer(OLD).sign("ab", "c");
        assert_eq!(signer(OLD).verify("a", &signed.replace(".c", ".bc")), None);
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let rotating = signer(&format!("{NEW}, {OLD}"));
        assert_eq!(rotating.verify("id", &signer(OLD).sign("id", "x")), Some("x"));
        assert_eq!(signer(NEW).verify("id", &rotating.sign("id", "x")), Some("x"));
        assert_eq!(signer(OLD).verify("id", &rotating.sign("id", "x")), None);
    }

    #[test]
    fn a_moment_ends_and_is_not_forgotten() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let signer = signer(NEW);
        let signed = signer.sign_until("id", "a.b", at(100));
        assert_eq!(signer.verify_at("id", &signed, at(99)), Some("a.b"));
        assert_eq!(signer.verify_at("id", &signed, at(100)), None);
        assert_eq!(signer.verify("id", &signed), None, "its end would go unseen");
        assert_eq!(signer.verify_at("id", &signer.sign("id", "200.a"), at(99)), None);
        assert_eq!(signer.verify_at("id", &signed.replace(".100.", ".900."), at(99)), None);
    }

    #[test]
    fn a_cookie_is_found_among_strangers() {
        let ours = signer(NEW).cookie("id", "ü; x").to_header();
        let sent = format!("id=1; id=bad.x; {}", ours.to_str().unwrap().split(';').next().unwrap());
        assert_eq!(signer(NEW).read(&Cookies::parse(&sent), "id"), Some("ü; x"));
    }

    #[test]
    fn keys_that_could_be_guessed_are_refused() {
        for secret in ["", "short", &format!("{NEW},"), &format!("{NEW},short")] {
            assert!(Signer::new(secret).is_none(), "{secret}");
        }
        let error = crate::Error::from(Signer::from_secret("NO_SUCH_SECRET").unwrap_err());
        assert!(error.detail().unwrap().contains("add `secrets = [\"NO_SUCH_SECRET\"]` to nearside.toml"));
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", signer(NEW)), "Signer(1 keys)");
    }
}
