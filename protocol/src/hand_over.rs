//! A page that one node has another make, because it has no place to make it in.
//!
//! | request, at a node's admin address | body | answer |
//! |---|---|---|
//! | `POST /v1/hand-over` | [`Asked`] | [`Told`], then the page's own bytes |
//!
//! Both bodies are a message in postcard's format (1.x) after its length in four bytes, little-endian; what follows the message is
//! the page. Each has a seal in [`SEAL_HEADER`]: 64 hexadecimal digits of BLAKE3, keyed by what is derived from the secret that
//! the origin tells its nodes ([`crate::heartbeat::SiblingSecret`]), which never travels between them. The answer's seal covers the
//! question's, and the question has a nonce: an answer is to this question, from somebody who holds the secret, and as it was
//! sent. Without a right seal the answer is 401.
//!
//! Only what anybody may see is asked for so, and whoever is asked asks nobody else: there is nothing to be marked, because this
//! is the only way in, and nothing leads on from it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    digest::Digest,
    heartbeat::{Load, SiblingSecret},
    release::{DatabaseId, ReleaseId},
};

pub const PATH: &str = "/v1/hand-over";
pub const SEAL_HEADER: &str = "nearside-seal";

/// What is to be made.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub nonce: [u8; 16],
    /// The nodes' names: who asks, and who is meant. An address may have come to belong to another one.
    pub from: String,
    pub to: String,
    pub app: String,
    /// On what it would have been made: it is to be made on this, or on a later release of the same code that lacks none of
    /// its commits.
    pub release: ReleaseId,
    pub database: DatabaseId,
    pub app_digest: Digest,
    pub applied_commit: u64,
    /// What its handler sees, and nothing else.
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub trace: String,
}

/// How it went, and how busy that node is at this moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Told {
    pub load: Load,
    pub outcome: Outcome,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Outcome {
    Made(Box<Page>),
    /// Its handler fails, there as anywhere.
    Failed {
        was_late: bool,
    },
    NotTaken(NotTaken),
}

/// Why it is not made there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NotTaken {
    /// That node has enough to do.
    Busy,
    /// It serves an older release, or one of other code.
    OtherRelease,
    /// It is leaving, is another node, or has no such page for everybody.
    NotHere,
    /// The response has no end that is waited for, or is too large.
    Streams,
}

/// A response, and what it was computed from.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Page {
    pub release: ReleaseId,
    pub status: u16,
    pub headers: Vec<(String, Vec<u8>)>,
    pub kept: Kept,
    /// How long it took to make.
    pub took_us: u64,
    /// The pages of the database it was computed from, ascending; none if there were too many.
    pub pages: Option<Vec<u32>>,
    /// What was asked of it, if that was not too much to ask again.
    pub questions: Option<Vec<Question>>,
    /// It was there already.
    pub was_stored: bool,
    /// What `Server-Timing` says of the render.
    pub timing: Option<String>,
}

/// Whether it may be kept.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Kept {
    AsLongAsItStands,
    ForMs(u64),
    /// Not, by the name `Cache-Status` has for the reason.
    Not(String),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Question {
    pub query: String,
    pub parameters: Vec<Value>,
    pub rows: Digest,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Value {
    Null,
    Integer(i64),
    /// Its bits: there is more than one zero, and what is no number has many forms.
    Real(u64),
    Text(String),
    Blob(Vec<u8>),
}

/// A message that does not read.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it is no message of a hand-over")]
pub struct Unreadable;

/// A message, and what follows it.
pub fn encode(message: &impl Serialize, rest: &[u8]) -> Vec<u8> {
    let head = postcard::to_allocvec(message).expect("BUG: plain data goes into memory");
    let mut bytes = Vec::with_capacity(4 + head.len() + rest.len());
    bytes.extend_from_slice(&(head.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(rest);
    bytes
}

/// The message, and where what follows it begins.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), Unreadable> {
    let (length, after) = bytes.split_first_chunk::<4>().ok_or(Unreadable)?;
    let length = u32::from_le_bytes(*length) as usize;
    let head = after.get(..length).ok_or(Unreadable)?;
    let (message, left) = postcard::take_from_bytes(head).map_err(|_| Unreadable)?;
    if left.is_empty() { Ok((message, 4 + length)) } else { Err(Unreadable) }
}

/// What seals are made with.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

/// Proof of whoever holds the secret. Two are compared in a time that says nothing of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seal(blake3::Hash);

impl SealKey {
    pub fn of_secret(secret: &SiblingSecret) -> SealKey {
        SealKey(blake3::derive_key("nearside 1 hand-over between nodes", secret.0.as_bytes()))
    }

    pub fn of_question(&self, body: &[u8]) -> Seal {
        self.of(&[&b"asked"[..], body])
    }

    pub fn of_answer(&self, question: &Seal, body: &[u8]) -> Seal {
        self.of(&[&b"told_"[..], question.0.as_bytes(), body])
    }

    fn of(&self, parts: &[&[u8]]) -> Seal {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        parts.iter().for_each(|part| {
            hasher.update(part);
        });
        Seal(hasher.finalize())
    }
}

impl Seal {
    pub fn parse(text: &str) -> Option<Seal> {
        blake3::Hash::from_hex(text).ok().map(Seal)
    }

    pub fn to_hex(self) -> String {
        self.0.to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked() -> Asked {
        Asked {
            nonce: [7; 16],
            from: "a".into(),
            to: "b".into(),
            app: "shop".into(),
            release: ReleaseId { epoch: 1, seq: 2 },
            database: DatabaseId("d".into()),
            app_digest: Digest::of(b"app"),
            applied_commit: 3,
            path: "/search".into(),
            query: Some("q=1".into()),
            headers: vec![("accept".into(), b"text/html".to_vec())],
            trace: "t".into(),
        }
    }

    fn told() -> Told {
        let question = Question {
            query: "q".into(),
            parameters: vec![
                Value::Null,
                Value::Integer(-1),
                Value::Real((-0.0_f64).to_bits()),
                Value::Text("é".into()),
                Value::Blob(vec![0, 255]),
            ],
            rows: Digest::of(b"rows"),
        };
        let page = Page {
            release: ReleaseId { epoch: 1, seq: 3 },
            status: 200,
            headers: vec![("x".into(), vec![0xe9])],
            kept: Kept::ForMs(5),
            took_us: 6,
            pages: Some(vec![1, 300, 70_000]),
            questions: Some(vec![question]),
            was_stored: true,
            timing: None,
        };
        Told { load: Load { cores: 2, ..Load::default() }, outcome: Outcome::Made(Box::new(page)) }
    }

    #[test]
    fn messages_travel_with_what_follows_them() {
        assert_eq!(decode::<Asked>(&encode(&asked(), b"")).unwrap().0, asked());
        let bytes = encode(&told(), b"page");
        let (message, at) = decode::<Told>(&bytes).unwrap();
        assert_eq!((message, &bytes[at..]), (told(), &b"page"[..]));
        for end in 0..bytes.len() - 4 {
            assert_eq!(decode::<Told>(&bytes[..end]), Err(Unreadable));
        }
    }

    #[test]
    fn a_seal_is_of_one_secret_one_question_and_all_bytes() {
        let key_of = |secret: &str| SealKey::of_secret(&SiblingSecret(secret.into()));
        let (key, other) = (key_of("secret"), key_of("another"));
        let seal = key.of_question(b"body");
        assert_eq!(Seal::parse(&seal.to_hex()), Some(seal));
        assert_ne!(seal, other.of_question(b"body"));
        assert_ne!(seal, key.of_question(b"bodz"));
        let answer = key.of_answer(&seal, b"body");
        assert_ne!(answer, seal);
        assert_ne!(answer, key.of_answer(&key.of_question(b"another"), b"body"));
        assert_eq!(Seal::parse("beef"), None);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = (decode::<Asked>(&bytes), decode::<Told>(&bytes));
        }

        #[test]
        fn a_damaged_message_is_read_or_refused(at in 0_usize..300, byte in any::<u8>()) {
            let mut bytes = encode(&told(), b"page");
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = decode::<Told>(&bytes);
        }
    }
}
