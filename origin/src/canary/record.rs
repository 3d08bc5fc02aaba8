//! A canary that is under way, or how the last one ended: `canary.json` in the app's folder.

use std::{io, path::Path};

use nearside_host::disk::Disk;
use nearside_protocol::{
    canary::{Candidacy, Halted, Promoted, Rules},
    digest::Digest,
};
use serde::{Deserialize, Serialize};

use crate::{hold::RunningVersion, state_file};

const CANARY: &str = "canary.json";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) canary: Candidacy,
    pub(crate) app_digest: Digest,
    pub(crate) app_archive_bytes: u64,
    /// It is the database in `tried.db`, with the version of the app that runs.
    pub(crate) is_data: bool,
    pub(crate) rules: Rules,
    /// When all its nodes that are heard were first seen to serve it: Unix time, milliseconds.
    pub(crate) served_since_ms: Option<u64>,
    pub(crate) decided: Option<Decided>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Decided {
    pub(crate) outcome: Outcome,
    /// Unix time, milliseconds.
    pub(crate) at_ms: u64,
    /// Whether all that follows from it is durable, but for the release, which the publisher makes by itself.
    pub(crate) is_done: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Promoted(Promoted),
    Halted(Halted),
}

impl Record {
    pub(crate) fn load(folder: &Path) -> io::Result<Option<Record>> {
        state_file::load(folder, CANARY)
    }

    pub(crate) fn store(&self, folder: &Path, disk: &Disk) -> io::Result<()> {
        state_file::store(self, folder, CANARY, disk)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.decided.is_none()
    }

    pub(crate) fn version(&self) -> RunningVersion {
        RunningVersion { app_digest: self.app_digest, app_archive_bytes: self.app_archive_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_outlives_the_origin_with_what_was_decided() {
        let folder = tempfile::tempdir().unwrap();
        let (folder, disk) = (folder.path(), Disk::real());
        assert_eq!(Record::load(folder).unwrap(), None);
        let running = Record {
            canary: Candidacy { since_ms: 5, nodes: vec!["a".into()] },
            app_digest: Digest::of(b"app"),
            app_archive_bytes: 3,
            is_data: false,
            rules: Rules::default(),
            served_since_ms: None,
            decided: None,
        };
        running.store(folder, &disk).unwrap();
        assert!(Record::load(folder).unwrap().unwrap().is_running());
        let why = Halted::Slow { canaries_us: 9, rest_us: 1 };
        let decided = Some(Decided { outcome: Outcome::Halted(why), at_ms: 7, is_done: false });
        let halted = Record { decided, ..running };
        halted.store(folder, &disk).unwrap();
        assert_eq!(Record::load(folder).unwrap(), Some(halted));
    }
}
