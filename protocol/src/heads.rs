//! Which releases are the newest: asked with a nonce and answered with a signature, so that nobody between can pass off an
//! old answer as news. How fresh a node is counts from the last of these that it verified.
//!
//! A node that says its name is told of the candidates it is to try out, too ([`crate::canary`]). One of an earlier version says
//! none, and is answered as ever.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

use crate::{
    digest::decode_hex,
    key::{KeyId, SecretKey},
    trust::{self, Role, TrustedKey, Unsigned, Untrusted},
    wire::Heads,
};

/// Signed text begins with this, so that a signature over heads can stand for nothing else.
const SIGNING_CONTEXT: &[u8] = b"nearside heads v1\n";

/// What makes one question unlike any other: random, 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// `bytes` are from the operating system's randomness.
    pub fn from_bytes(bytes: [u8; 16]) -> Nonce {
        Nonce(bytes)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a nonce: 32 hexadecimal digits expected")]
pub struct NotANonce(String);

impl FromStr for Nonce {
    type Err = NotANonce;

    fn from_str(text: &str) -> Result<Nonce, NotANonce> {
        decode_hex(text).map(Nonce).ok_or_else(|| NotANonce(text.to_owned()))
    }
}

impl Serialize for Nonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Nonce, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a node asks: answered as soon as the origin has other releases than these.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HeadsAsked {
    pub nonce: Nonce,
    pub have: Heads,
    /// Who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The candidates it was told of last.
    #[serde(default, skip_serializing_if = "Heads::is_empty")]
    pub candidates: Heads,
}

/// The newest releases, as one node is told them.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Newest {
    pub heads: Heads,
    /// Of apps that this node tries one out of.
    pub candidates: Heads,
}

impl Newest {
    /// What this node is to serve of each app.
    pub fn wanted(&self) -> Heads {
        let mut wanted = self.heads.clone();
        wanted.extend(self.candidates.iter().map(|(app, release)| (app.clone(), *release)));
        wanted
    }
}

/// The answer's exact text with its signature.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedHeads {
    pub key: KeyId,
    pub signature: String,
    /// `{"nonce": …, "heads": {app: release}, "candidates": {app: release}}` as JSON text: the signature is over these very bytes.
    pub heads: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    nonce: Nonce,
    heads: Heads,
    /// Left out where there are none, for readers that know of none.
    #[serde(default, skip_serializing_if = "Heads::is_empty")]
    candidates: Heads,
}

impl SignedHeads {
    pub fn sign(nonce: Nonce, newest: &Newest, key: &SecretKey) -> SignedHeads {
        let Newest { heads, candidates } = newest.clone();
        let answer = Answer { nonce, heads, candidates };
        let heads = serde_json::to_string(&answer).expect("BUG: heads are plain data");
        SignedHeads { key: key.public().id(), signature: key.sign(&signed_bytes(&heads)), heads }
    }

    /// The heads, if a key that is trusted for data gave them as the answer to this very question.
    pub fn verify(&self, trusted: &[TrustedKey], nonce: Nonce) -> Result<Newest, Untrusted> {
        trust::check(trusted, &self.key, Role::Data, &signed_bytes(&self.heads), &self.signature).map_err(|why| {
            match why {
                Unsigned::UnknownKey => Untrusted::UnknownKey(self.key.clone()),
                Unsigned::KeyWithoutRole => Untrusted::KeyWithoutRole(self.key.clone()),
                Unsigned::WrongSignature => Untrusted::WrongSignature,
            }
        })?;
        let answer: Answer =
            serde_json::from_str(&self.heads).map_err(|error| Untrusted::Malformed(error.to_string()))?;
        let Answer { nonce: answered, heads, candidates } = answer;
        if answered == nonce { Ok(Newest { heads, candidates }) } else { Err(Untrusted::WrongNonce) }
    }
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [SIGNING_CONTEXT, text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{release::ReleaseId, trust::Roles};

    #[test]
    fn only_the_answer_to_this_question_counts() {
        let key = SecretKey::from_seed([1; 32]);
        let trusted = |roles| [TrustedKey { key: key.public(), roles }];
        let heads: Heads = [("shop".to_owned(), ReleaseId { epoch: 1, seq: 7 })].into();
        let newest = Newest { heads, ..Newest::default() };
        let (nonce, other) = (Nonce::from_bytes([1; 16]), Nonce::from_bytes([2; 16]));

        let signed = SignedHeads::sign(nonce, &newest, &key);
        assert!(!signed.heads.contains("candidates"), "as it ever was: {}", signed.heads);
        assert_eq!(signed.verify(&trusted(Roles::Data), nonce), Ok(newest));
        assert_eq!(signed.verify(&trusted(Roles::Data), other), Err(Untrusted::WrongNonce));
        assert_eq!(signed.verify(&trusted(Roles::App), nonce).unwrap_err().name(), "key_without_role");
        assert_eq!(signed.verify(&[], nonce).unwrap_err().name(), "unknown_key");

        let mut touched = signed;
        touched.heads = touched.heads.replace("1.7", "1.8");
        assert_eq!(touched.verify(&trusted(Roles::Both), nonce), Err(Untrusted::WrongSignature));
    }

    #[test]
    fn a_node_wants_the_candidate_it_is_told_of_whatever_is_out_besides() {
        let release = |seq| ReleaseId { epoch: 1, seq };
        let heads = |of: &[(&str, u64)]| of.iter().map(|&(app, seq)| (app.to_owned(), release(seq))).collect::<Heads>();
        let newest = Newest { heads: heads(&[("shop", 9), ("blog", 3)]), candidates: heads(&[("shop", 8)]) };
        assert_eq!(newest.wanted(), heads(&[("shop", 8), ("blog", 3)]));
        let key = SecretKey::from_seed([1; 32]);
        let nonce = Nonce::from_bytes([1; 16]);
        let trusted = [TrustedKey { key: key.public(), roles: Roles::Data }];
        assert_eq!(SignedHeads::sign(nonce, &newest, &key).verify(&trusted, nonce), Ok(newest));
        // The question of an earlier version.
        let asked: HeadsAsked = serde_json::from_str(&format!("{{\"nonce\":\"{nonce}\",\"have\":{{}}}}")).unwrap();
        assert_eq!((asked.node, asked.candidates), (None, Heads::new()));
    }

    #[test]
    fn a_nonce_is_32_digits() {
        let nonce = Nonce::from_bytes([0xab; 16]);
        assert_eq!(nonce.to_string().parse::<Nonce>().unwrap(), nonce);
        assert!("ab".parse::<Nonce>().is_err());
    }
}
