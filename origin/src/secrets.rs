//! The origin's own secrets, each in a file that only its user can read: the first token and the signing key.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use nearside_host::disk::Disk;
use nearside_protocol::key::{KeyError, SecretKey};

const TOKEN: &str = "token";
const KEY: &str = "signing.key";
const TOKEN_BYTES_LEAST: usize = 16;

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("{file}: {error}", file = file.display())]
    Io { file: PathBuf, error: io::Error },
    #[error("{file}: {error}; restore it from a backup: nodes trust no other key", file = file.display())]
    Key { file: PathBuf, error: KeyError },
    #[error("{file}: a token is at least {TOKEN_BYTES_LEAST} visible ASCII characters on one line", file = file.display())]
    Token { file: PathBuf },
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
}

/// Who may ask: whoever shows this. Compared by digest, so that the time it takes says nothing about it.
#[derive(Clone)]
pub struct Token {
    text: String,
    digest: blake3::Hash,
}

impl Token {
    /// Reads the operator's token; makes `data/token` when there is none and no other file is named.
    pub fn load(data: &Path, file: Option<&Path>) -> Result<Token, SecretError> {
        let text = match file {
            Some(file) => read(file)?,
            None => read_or_make(&data.join(TOKEN))?,
        };
        let text = text.trim().to_owned();
        if text.len() < TOKEN_BYTES_LEAST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SecretError::Token { file: file.map_or_else(|| data.join(TOKEN), Path::to_owned) });
        }
        Ok(Token { digest: blake3::hash(text.as_bytes()), text })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn is(&self, shown: &str) -> bool {
        // `blake3::Hash` compares in constant time.
        blake3::hash(shown.as_bytes()) == self.digest
    }
}

/// Reads the key that signs releases; makes one at the first start.
pub fn signing_key(data: &Path) -> Result<SecretKey, SecretError> {
    let file = data.join(KEY);
    read_or_make(&file)?.parse().map_err(|error| SecretError::Key { file, error })
}

fn read(file: &Path) -> Result<String, SecretError> {
    let io = |error| SecretError::Io { file: file.to_owned(), error };
    let mode = fs::metadata(file).map_err(io)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %file.display(), "others on this machine can read this secret: chmod 600");
    }
    fs::read_to_string(file).map_err(io)
}

/// 64 random hexadecimal digits, made when the file is not there.
fn read_or_make(file: &Path) -> Result<String, SecretError> {
    if file.exists() {
        return read(file);
    }
    let text = random().map_err(SecretError::Random)?;
    let written = Disk::real().write_private(file, format!("{text}\n").as_bytes());
    written.map_err(|error| SecretError::Io { file: file.to_owned(), error })?;
    Ok(text)
}

/// 64 hexadecimal digits that nobody can guess; else what the operating system says.
pub(crate) fn random() -> Result<String, String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_made_once_and_for_one_reader() {
        let folder = tempfile::tempdir().unwrap();
        let key = signing_key(folder.path()).unwrap().to_hex();
        let token = Token::load(folder.path(), None).unwrap();
        assert_eq!(signing_key(folder.path()).unwrap().to_hex(), key);
        assert!(Token::load(folder.path(), None).unwrap().is(token.text()));
        assert!(!token.is("") && !token.is(&key));
        for name in [TOKEN, KEY] {
            let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        fs::write(folder.path().join(KEY), "").unwrap();
        assert!(signing_key(folder.path()).is_err(), "a damaged key is not replaced by another");
        fs::write(folder.path().join("short"), "secret").unwrap();
        assert!(Token::load(folder.path(), Some(&folder.path().join("short"))).is_err());
    }
}
