//! Files that visitors send: stored once at the origin, named by their content, served by every node. Handlers and tasks
//! store them, and tasks read them.

use std::fmt;

use http::StatusCode;

use crate::bindings::nearside::edge::{blob as host, blob_content};

/// The name of what was stored: 64 hexadecimal digits, made of its content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hash(String);

/// Stores `content` durably. The same bytes have the same hash, and are stored once.
///
/// # Errors
/// See [`Error`].
pub fn put(content: &[u8]) -> Result<Hash, Error> {
    host::put(content).map(Hash).map_err(|reason| match reason {
        host::PutError::TooLarge(max_bytes) => Error::TooLarge { max_bytes },
        host::PutError::Refused(text) => Error::Refused(text),
        host::PutError::Unavailable(text) => Error::Unavailable(text),
    })
}

/// What is stored under a hash; none when the app has no such blob. For tasks alone: a handler that reads is not linked.
///
/// # Errors
/// [`Error::Unavailable`] when it cannot be read now.
pub fn get(hash: &Hash) -> Result<Option<Vec<u8>>, Error> {
    blob_content::get(hash.as_str()).map_err(Error::Unavailable)
}

impl Hash {
    /// A hash that was kept, such as in a column. None when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_hash = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hash.then(|| Self(text.to_owned()))
    }

    /// As it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its address. The extension says what it is served as: choose it by what the bytes are, never by what a visitor
    /// says they are. Anything but letters and digits is left out of it.
    #[must_use]
    pub fn url(&self, extension: &str) -> String {
        let extension: String = extension.chars().filter(char::is_ascii_alphanumeric).collect();
        format!("/_blob/{}.{extension}", self.0)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// More bytes than one file may have.
    TooLarge {
        /// That many it may.
        max_bytes: u64,
    },
    /// The app has stored as many bytes as it may, or the origin refuses for another reason.
    Refused(String),
    /// The origin was not reached in time, or its disk fails; the same again does no harm.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { max_bytes } => write!(f, "blob: at most {max_bytes} bytes can be stored as one"),
            Self::Refused(text) => write!(f, "blob: refused: {text}"),
            Self::Unavailable(text) => write!(f, "blob: unavailable: {text}"),
        }
    }
}

impl std::error::Error for Error {}

/// What a visitor is told when an app says nothing better.
impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        let answer = match error {
            Error::TooLarge { max_bytes } => {
                return Self::too_large(usize::try_from(max_bytes).unwrap_or(usize::MAX));
            }
            Error::Refused(_) => Self::new(StatusCode::INSUFFICIENT_STORAGE, "There is no room for this file."),
            Error::Unavailable(_) => Self::unavailable("This cannot be saved just now; please try again.", 5),
        };
        answer.with_detail(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_made_of_a_hash_and_an_extension() {
        let hash = Hash::parse(&"0f".repeat(32)).unwrap();
        assert_eq!(hash.url("png"), format!("/_blob/{hash}.png"));
        assert_eq!(hash.url("../p n?g"), format!("/_blob/{hash}.png"));
        assert!(Hash::parse("0f").is_none() && Hash::parse(&"0F".repeat(32)).is_none());
    }

    #[test]
    fn each_failure_has_its_status() {
        let status = |error: Error| crate::Error::from(error).status().as_u16();
        assert_eq!(status(Error::TooLarge { max_bytes: 10 }), 413);
        assert_eq!(status(Error::Refused("full".into())), 507);
        assert_eq!(status(Error::Unavailable("timeout".into())), 503);
    }
}
