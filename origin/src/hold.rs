//! Releases held: after a rollback nothing is published by itself until the operator says so.

use std::{io, path::Path};

use nearside_host::disk::Disk;
use nearside_protocol::{digest::Digest, release::ReleaseId};
use serde::{Deserialize, Serialize};

use crate::state_file;

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
        state_file::load(folder, HOLD)
    }

    pub fn store(&self, folder: &Path, disk: &Disk) -> io::Result<()> {
        state_file::store(self, folder, HOLD, disk)
    }

    pub fn remove(folder: &Path, disk: &Disk) -> io::Result<()> {
        // Written over rather than removed: that is durable at once.
        if folder.join(HOLD).exists() { disk.write(&folder.join(HOLD), b"null") } else { Ok(()) }
    }
}

impl RunningVersion {
    pub fn load(folder: &Path) -> io::Result<Option<RunningVersion>> {
        state_file::load(folder, RUNNING)
    }

    pub fn store(&self, folder: &Path, disk: &Disk) -> io::Result<()> {
        if RunningVersion::load(folder).is_ok_and(|there| there.as_ref() == Some(self)) {
            return Ok(());
        }
        state_file::store(self, folder, RUNNING, disk)
    }
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
        std::fs::write(folder.join(HOLD), "{").unwrap();
        assert!(Hold::load(folder).unwrap_err().to_string().contains("hold.json"));
        Hold::remove(folder, &disk).unwrap();
        assert_eq!(Hold::load(folder).unwrap(), None);
    }
}
