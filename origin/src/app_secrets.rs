//! The secrets of one app at the origin: what the operator sets, and what is made for those nobody set.
//!
//! A secret that is only declared gets 256 random bits at the first push, kept in `secrets.json` in the app's folder: a
//! key for signing cookies needs nobody to think of one. It stays the same as long as that file does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use nearside_host::disk::Disk;
use nearside_protocol::{limits, secrets::Secrets};
use serde::{Deserialize, Serialize};

use crate::secrets::random;

const FILE_NAME: &str = "secrets.json";

#[derive(Debug, thiserror::Error)]
pub enum AppSecretsError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}: {error}; restore it from a backup, or remove it to have new secrets made", path = path.display())]
    Malformed { path: PathBuf, error: serde_json::Error },
    #[error("the secrets are {0} bytes together; at most {most}", most = limits::SECRETS_BYTES)]
    TooLarge(usize),
    #[error("the operating system gives no randomness: {0}")]
    Random(String),
}

/// What `secrets.json` keeps.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    salt: String,
    made: BTreeMap<String, String>,
}

/// The values of what a manifest declares; none when it declares nothing. Makes what is missing, durably.
pub fn load(
    folder: &Path,
    disk: &Disk,
    declared: &BTreeSet<String>,
    set: &BTreeMap<String, String>,
) -> Result<Option<Secrets>, AppSecretsError> {
    if declared.is_empty() {
        return Ok(None);
    }
    let path = folder.join(FILE_NAME);
    let mut kept = match fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| AppSecretsError::Malformed { path: path.clone(), error })?
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Kept { salt: random().map_err(AppSecretsError::Random)?, made: BTreeMap::new() }
        }
        Err(error) => return Err(AppSecretsError::Io { path, error }),
    };
    let mut values = BTreeMap::new();
    let mut made = Vec::new();
    for name in declared {
        let value = match (set.get(name), kept.made.get(name)) {
            (Some(value), _) | (None, Some(value)) => value.clone(),
            (None, None) => {
                let value = random().map_err(AppSecretsError::Random)?;
                kept.made.insert(name.clone(), value.clone());
                made.push(name.as_str());
                value
            }
        };
        values.insert(name.clone(), value);
    }
    // The salt alone must stay as well: with another one, the same values would be a new release.
    if !made.is_empty() || !path.exists() {
        let bytes = serde_json::to_vec_pretty(&kept).expect("BUG: names and values are plain data");
        disk.write_private(&path, &bytes).map_err(|error| AppSecretsError::Io { path: path.clone(), error })?;
    }
    if !made.is_empty() {
        tracing::info!(file = %path.display(), secrets = made.join(", "), "made secrets that nobody had set");
    }
    let secrets = Secrets { salt: kept.salt, values };
    let bytes = secrets.to_bytes().len();
    if bytes <= limits::SECRETS_BYTES { Ok(Some(secrets)) } else { Err(AppSecretsError::TooLarge(bytes)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_nobody_sets_is_made_once_and_what_is_set_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let declared = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        let set = BTreeMap::from([("B".to_owned(), "mine".to_owned()), ("C".to_owned(), "not declared".to_owned())]);
        let load = |set| load(folder.path(), &Disk::real(), &declared, set).unwrap().unwrap();
        let first = load(&set);
        assert_eq!(first.values.len(), 2);
        assert_eq!((first.values["A"].len(), first.values["B"].as_str()), (64, "mine"));
        assert_eq!(load(&set), first);
        assert_eq!(load(&BTreeMap::new()).values["A"], first.values["A"]);
        let mode = fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_file_is_not_replaced_by_new_secrets() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE_NAME), "{").unwrap();
        let declared = BTreeSet::from(["A".to_owned()]);
        let error = load(folder.path(), &Disk::real(), &declared, &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("restore it from a backup"), "{error}");
    }
}
