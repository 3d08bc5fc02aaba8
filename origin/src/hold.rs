//! Releases held: after a rollback nothing is published by itself until the operator says so.

use std::{fs, io, path::Path};

use nearside_host::disk::Disk;
use nearside_protocol::{digest::Digest, release::ReleaseId};
use serde::{Deserialize, Serialize};

const HOLD: &str = "hold.json";
const RUNNING: &str = "running.json";

/// Why nothing is published, kept in `hold.json` in the app's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The release whose content was published again.
    pub rolled_back_to: ReleaseId,
    /// Unix time, milliseconds.
    pub since_ms: u64,
}

/// The version that runs at the origin, kept in `running.json`: while releases are held, nodes serve another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningVersion {
    pub app_digest: Digest,
    pub app_archive_bytes: u64,
}

impl Hold {
    pub fn load(folder: &Path) -> io::Result<Option<Hold>> {
        load(folder, HOLD)
    }

    pub fn store(&self, folder: &Path, disk: &Disk) -> io::Result<()> {
        store(self, folder, HOLD, disk)
    }

    pub fn remove(folder: &Path, disk: &Disk) -> io::Result<()> {
        // Written over rather than removed: that is durable at once.
        if folder.join(HOLD).exists() { disk.write(&folder.join(HOLD), b"null") } else { Ok(()) }
    }
}

impl RunningVersion {
    pub fn load(folder: &Path) -> io::Result<Option<RunningVersion>> {
        load(folder, RUNNING)
    }

    pub fn store(&self, folder: &Path, disk: &Disk) -> io::Result<()> {
        if RunningVersion::load(folder).is_ok_and(|there| there.as_ref() == Some(self)) {
            return Ok(());
        }
        store(self, folder, RUNNING, disk)
    }
}

pub(crate) fn load<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> io::Result<Option<T>> {
    let path = folder.join(name);
    let told = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| told(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

pub(crate) fn store(value: &impl Serialize, folder: &Path, name: &str, disk: &Disk) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(value).expect("BUG: a few numbers are plain data");
    disk.write(&folder.join(name), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_there_until_it_is_removed_and_a_damaged_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, disk) = (folder.path(), Disk::real());
        assert_eq!(Hold::load(folder).unwrap(), None);
        Hold::remove(folder, &disk).unwrap();
        let hold = Hold { rolled_back_to: ReleaseId { epoch: 1, seq: 4 }, since_ms: 5 };
        hold.store(folder, &disk).unwrap();
        assert_eq!(Hold::load(folder).unwrap(), Some(hold));
        fs::write(folder.join(HOLD), "{").unwrap();
        assert!(Hold::load(folder).unwrap_err().to_string().contains("hold.json"));
        Hold::remove(folder, &disk).unwrap();
        assert_eq!(Hold::load(folder).unwrap(), None);
    }
}
