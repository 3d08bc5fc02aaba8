//! What a client shows to be let in, and what it may be exchanged for while connections stay.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderValue, header};
use nearside_protocol::limits;

#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    #[error("the token file {}: {error}", file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("{} holds no token: one line of visible characters, of {most} bytes at most", .0.display(), most = limits::TOKEN_FILE_BYTES)]
    NoToken(PathBuf),
}

/// A token, or none yet; all clones of it are one.
#[derive(Clone, Default)]
pub struct Credential(Arc<ArcSwapOption<Shown>>);

struct Shown {
    header: HeaderValue,
    /// Compared by it, so that the time it takes says nothing about the token.
    digest: blake3::Hash,
}

impl Credential {
    pub fn of(token: &str) -> Credential {
        let credential = Credential::default();
        credential.set(token);
        credential
    }

    /// Shown from now on. What does not fit in a header is shown nowhere.
    pub fn set(&self, token: &str) {
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok();
        let shown = header.map(|mut header| {
            header.set_sensitive(true);
            Arc::new(Shown { header, digest: blake3::hash(token.as_bytes()) })
        });
        self.0.store(shown);
    }

    pub(crate) fn header(&self) -> Option<HeaderValue> {
        self.0.load().as_ref().map(|shown| shown.header.clone())
    }

    pub fn is_some(&self) -> bool {
        self.0.load().is_some()
    }

    /// Whether a request shows this very token.
    pub(crate) fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let (Some(shown), Some(own)) = (bearer(headers), &*self.0.load()) else { return false };
        blake3::hash(shown.as_bytes()) == own.digest
    }
}

/// The token that a request shows.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A file with a token, which may be exchanged for another one at any time.
pub struct TokenFile {
    file: PathBuf,
    seen: String,
    credential: Credential,
    /// That it cannot be read.
    is_told: bool,
}

impl TokenFile {
    pub fn read(file: &Path) -> Result<TokenFile, CredentialError> {
        let seen = read(file)?;
        Ok(TokenFile { file: file.to_owned(), credential: Credential::of(&seen), seen, is_told: false })
    }

    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Looks at the file for as long as this runs.
    pub async fn follow(mut self) {
        loop {
            tokio::time::sleep(limits::TOKEN_FILE_EVERY).await;
            self.look().await;
        }
    }

    /// What cannot be read is told once, and what was read before goes on being shown.
    async fn look(&mut self) {
        let file = self.file.clone();
        match tokio::task::spawn_blocking(move || read(&file)).await {
            Ok(Ok(token)) => {
                self.is_told = false;
                if token != self.seen {
                    tracing::info!(file = %self.file.display(), "the token is read again: it is another one");
                    self.credential.set(&token);
                    self.seen = token;
                }
            }
            Ok(Err(error)) if !self.is_told => {
                self.is_told = true;
                tracing::error!(cause = %error, "the token is not read again: the one before is shown");
            }
            Ok(Err(_)) | Err(_) => {}
        }
    }
}

/// A token from its file.
pub fn read(file: &Path) -> Result<String, CredentialError> {
    let fault = |error| CredentialError::Io { file: file.to_owned(), error };
    let none = || CredentialError::NoToken(file.to_owned());
    if fs::metadata(file).map_err(fault)?.len() > limits::TOKEN_FILE_BYTES {
        return Err(none());
    }
    let text = fs::read_to_string(file).map_err(fault)?;
    let token = text.trim();
    match token.is_empty() || token.bytes().any(|byte| !byte.is_ascii_graphic()) {
        true => Err(none()),
        false => Ok(token.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn showing(text: &str) -> HeaderMap {
        [(header::AUTHORIZATION, HeaderValue::from_str(text).unwrap())].into_iter().collect()
    }

    #[test]
    fn only_the_token_itself_is_it() {
        let credential = Credential::of("token");
        assert!(credential.is_shown_by(&showing("bearer token")) && credential.is_shown_by(&showing("Bearer  token ")));
        for wrong in ["Bearer token2", "Bearer toke", "Basic token", "token", "Bearer", "Bearer "] {
            assert!(!credential.is_shown_by(&showing(wrong)), "{wrong}");
        }
        assert!(!credential.is_shown_by(&HeaderMap::new()));
        assert!(!Credential::default().is_shown_by(&showing("Bearer token")));
        assert!(!Credential::default().is_shown_by(&showing("Bearer ")));
    }

    #[tokio::test]
    async fn another_token_in_the_file_is_shown_from_then_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, " one\n").unwrap();
        let mut file = TokenFile::read(&path).unwrap();
        let credential = file.credential().clone();
        assert_eq!(credential.header().unwrap(), "Bearer one");
        for (text, expected) in [("two\n", "Bearer two"), ("", "Bearer two"), ("three", "Bearer three")] {
            fs::write(&path, text).unwrap();
            file.look().await;
            assert_eq!(credential.header().unwrap(), expected);
        }
        for nonsense in ["", "two words", "über", &"x".repeat(5_000)] {
            fs::write(&path, nonsense).unwrap();
            assert!(matches!(TokenFile::read(&path), Err(CredentialError::NoToken(_))), "{nonsense}");
        }
        assert!(matches!(TokenFile::read(&folder.path().join("none")), Err(CredentialError::Io { .. })));
    }
}
