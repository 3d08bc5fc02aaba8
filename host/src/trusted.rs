//! `trusted.keys`: whose signatures this node believes, and for what. A line a key:
//!
//! ```text
//! # the origin in Zurich
//! 6c1f…e0 data
//! 9b77…41 app        # releases are built here
//! ```
//!
//! 64 hexadecimal digits and roles, `app`, `data` or `app,data`; without roles, both. Without the file, the node trusts
//! the first key it hears, for both; with the file, no other than those in it, so a file without keys trusts nobody.
//! Whoever runs the node may edit it, by hand or by `nearside key`: a running node reads it again when it has changed.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nearside_protocol::{
    key::{KeyError, KeyId},
    trust::{NotARole, Role, Roles, TrustedKey},
};

use crate::disk::Disk;

pub const FILE_NAME: &str = "trusted.keys";

#[derive(Debug, thiserror::Error)]
pub enum TrustedError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path}:{line}: {fault}; mend the line or take it out, nothing is believed until then", path = path.display())]
    Line { path: PathBuf, line: usize, fault: LineFault },
    #[error("{path}: key {id} is not in it: `nearside key list` shows those that are", path = path.display())]
    NoSuchKey { path: PathBuf, id: String },
    #[error(
        "{path}: key {id} is the last one trusted for data, and without one no release is taken any more: add the next \
         one first, or say --force",
        path = path.display()
    )]
    LastDataKey { path: PathBuf, id: KeyId },
}

/// What is wrong with one line.
#[derive(Debug, thiserror::Error)]
pub enum LineFault {
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Role(#[from] NotARole),
    #[error("`{0}` stands after the roles: a comment begins with `#`")]
    Rest(String),
}

/// The file; cheap to clone.
#[derive(Clone)]
pub struct Trusted {
    path: PathBuf,
    disk: Disk,
    read: Arc<Mutex<Option<Read>>>,
}

/// What stood in the file when it looked like this.
struct Read {
    stamp: Stamp,
    keys: Arc<[TrustedKey]>,
}

/// Another file, or the same one written again, has another one of these.
#[derive(PartialEq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Trusted {
    /// The file in a node's data folder.
    pub fn new(data: &Path, disk: Disk) -> Trusted {
        Trusted { path: data.join(FILE_NAME), disk, read: Arc::default() }
    }

    /// The keys as the file has them now; none when there is no file yet. A file with a fault trusts nobody.
    pub fn keys(&self) -> Result<Option<Arc<[TrustedKey]>>, TrustedError> {
        let mut read = self.read.lock().expect("BUG: nothing panics while holding what was read");
        let stamp = match fs::metadata(&self.path) {
            Ok(file) => Stamp { inode: file.ino(), bytes: file.len(), changed: (file.ctime(), file.ctime_nsec()) },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(error)),
        };
        if let Some(read) = read.as_ref().filter(|read| read.stamp == stamp) {
            return Ok(Some(read.keys.clone()));
        }
        let lines = self.lines()?.unwrap_or_default();
        let keys: Arc<[TrustedKey]> = lines.into_iter().filter_map(|line| line.key).collect();
        *read = Some(Read { stamp, keys: keys.clone() });
        Ok(Some(keys))
    }

    /// Trusts a key for these roles, besides those it has already.
    pub fn add(&self, key: &TrustedKey) -> Result<(), TrustedError> {
        let mut lines = self.lines()?.unwrap_or_default();
        match lines.iter_mut().find(|line| line.is(&key.key.id())) {
            Some(line) => line.grant(key.roles),
            None => lines.push(Line { text: format!("{} {}", key.key, key.roles), key: Some(key.clone()) }),
        }
        self.write(&lines)
    }

    /// Trusts a key no more. `force` takes out the last one for data, too.
    pub fn remove(&self, id: &str, force: bool) -> Result<TrustedKey, TrustedError> {
        let lines = self.lines()?.unwrap_or_default();
        let is_it = |line: &Line| line.key.as_ref().is_some_and(|trusted| trusted.key.id().to_string() == id);
        let (gone, kept): (Vec<Line>, Vec<Line>) = lines.into_iter().partition(is_it);
        let Some(key) = gone.iter().find_map(|line| line.key.clone()) else {
            return Err(TrustedError::NoSuchKey { path: self.path.clone(), id: id.to_owned() });
        };
        let for_data = |lines: &[Line]| lines.iter().any(|line| line.has(Role::Data));
        if !force && for_data(&gone) && !for_data(&kept) {
            return Err(TrustedError::LastDataKey { path: self.path.clone(), id: key.key.id() });
        }
        self.write(&kept)?;
        Ok(key)
    }

    /// None when there is no file.
    fn lines(&self) -> Result<Option<Vec<Line>>, TrustedError> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.fault(error)),
        };
        let line = |(at, text)| {
            Line::parse(text).map_err(|fault| TrustedError::Line { path: self.path.clone(), line: at + 1, fault })
        };
        text.lines().enumerate().map(line).collect::<Result<_, _>>().map(Some)
    }

    fn write(&self, lines: &[Line]) -> Result<(), TrustedError> {
        let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
        self.disk.write(&self.path, text.as_bytes()).map_err(|error| self.fault(error))
    }

    fn fault(&self, error: io::Error) -> TrustedError {
        TrustedError::Io { path: self.path.clone(), error }
    }
}

/// One line as it stands in the file; comments stay what they are.
struct Line {
    text: String,
    key: Option<TrustedKey>,
}

impl Line {
    fn parse(text: &str) -> Result<Line, LineFault> {
        let said = text.split('#').next().unwrap_or_default();
        let mut words = said.split_ascii_whitespace();
        let key = match words.next() {
            None => None,
            Some(key) => {
                let key = key.parse()?;
                let roles = words.next().map_or(Ok(Roles::Both), str::parse)?;
                Some(TrustedKey { key, roles })
            }
        };
        match words.next() {
            None => Ok(Line { text: text.to_owned(), key }),
            Some(rest) => Err(LineFault::Rest(rest.to_owned())),
        }
    }

    fn is(&self, id: &KeyId) -> bool {
        self.key.as_ref().is_some_and(|trusted| trusted.key.id() == *id)
    }

    fn has(&self, role: Role) -> bool {
        self.key.as_ref().is_some_and(|trusted| trusted.roles.has(role))
    }

    fn grant(&mut self, roles: Roles) {
        let Some(trusted) = &mut self.key else { return };
        let granted = [Role::App, Role::Data].into_iter().filter(|role| roles.has(*role));
        trusted.roles = granted.fold(trusted.roles, Roles::with);
        let comment = self.text.split_once('#').map(|(_, comment)| format!(" #{comment}")).unwrap_or_default();
        self.text = format!("{} {}{comment}", trusted.key, trusted.roles);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_protocol::key::SecretKey;

    fn key(seed: u8, roles: Roles) -> TrustedKey {
        TrustedKey { key: SecretKey::from_seed([seed; 32]).public(), roles }
    }

    #[test]
    fn keys_come_and_go_and_comments_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let (one, two) = (key(1, Roles::Both), key(2, Roles::App));
        let trusted = Trusted::new(folder.path(), Disk::real());
        let running = trusted.clone();
        assert!(running.keys().unwrap().is_none(), "no file");

        fs::write(&path, format!("# ours\n\n{} # Zurich\n", one.key)).unwrap();
        assert_eq!(running.keys().unwrap().unwrap()[..], *std::slice::from_ref(&one), "no roles: both");
        trusted.add(&two).unwrap();
        assert_eq!(running.keys().unwrap().unwrap()[..], [one.clone(), two.clone()]);
        trusted.add(&key(2, Roles::App)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("# ours\n\n{} # Zurich\n{} app\n", one.key, two.key));

        let id = |key: &TrustedKey| key.key.id().to_string();
        assert!(matches!(trusted.remove("none", false), Err(TrustedError::NoSuchKey { .. })));
        assert!(matches!(trusted.remove(&id(&one), false), Err(TrustedError::LastDataKey { .. })));
        trusted.add(&key(2, Roles::Data)).unwrap();
        trusted.remove(&id(&one), false).unwrap();
        assert_eq!(running.keys().unwrap().unwrap()[..], [key(2, Roles::Both)]);
        trusted.remove(&id(&two), true).unwrap();
        assert_eq!(running.keys().unwrap().unwrap()[..], [], "a file without keys trusts nobody");
        assert_eq!(fs::read_to_string(&path).unwrap(), "# ours\n\n");
    }

    #[test]
    fn a_fault_is_told_with_its_line_and_trusts_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let good = key(1, Roles::Both).key;
        for (line, expected) in [
            ("xyz".to_owned(), "trusted.keys:2: a key is 64 hexadecimal digits"),
            (format!("{good} admin"), "trusted.keys:2: `admin` is not a role: `app`, `data`"),
            (format!("{good} app data"), "trusted.keys:2: `data` stands after the roles"),
            ("0".repeat(63) + "1", "trusted.keys:2: these digits are not an ed25519 key"),
        ] {
            fs::write(folder.path().join(FILE_NAME), format!("{good}\n{line}\n")).unwrap();
            let trusted = Trusted::new(folder.path(), Disk::real());
            let error = trusted.keys().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(trusted.add(&key(2, Roles::Both)).is_err(), "and is not written over");
        }
    }
}
