//! What a release says besides its pages.

use std::collections::BTreeMap;

use nearside_protocol::{
    canary::Candidacy,
    digest::Digest,
    release::{DatabaseId, Manifest, ReleaseId, fingerprint},
};

use crate::{app_version::AppVersion, read_database::Position};

#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    pub database: DatabaseId,
    pub epoch: u64,
    pub applied_commit: u64,
    pub rolled_back_to: Option<ReleaseId>,
    /// For whom it is, when it is not for everyone.
    pub candidate: Option<Candidacy>,
    pub app_digest: Digest,
    pub app_archive_bytes: u64,
    pub variables: BTreeMap<String, String>,
    pub secrets: Option<Digest>,
    pub fingerprint: Digest,
}

impl Content {
    pub fn of(position: &Position, version: &AppVersion, schema: &str) -> Content {
        Content {
            database: position.database.clone(),
            epoch: position.epoch,
            applied_commit: position.commit,
            rolled_back_to: None,
            candidate: None,
            app_digest: version.digest,
            app_archive_bytes: version.archive_bytes,
            variables: version.variables.clone(),
            secrets: version.secrets_digest(),
            fingerprint: fingerprint(
                &version.digest,
                &version.variables,
                version.secrets_digest().as_ref(),
                schema,
                &sqlite_build(),
            ),
        }
    }

    /// An old release's content, to be published once more in this epoch.
    pub fn again(old: &Manifest, epoch: u64) -> Content {
        Content {
            database: old.database.clone(),
            epoch,
            applied_commit: old.applied_commit,
            // What was published again is named by what it was first.
            rolled_back_to: Some(old.rolled_back_to.unwrap_or(old.release)),
            candidate: None,
            app_digest: old.app_digest,
            app_archive_bytes: old.app_archive_bytes,
            variables: old.variables.clone(),
            secrets: old.secrets,
            fingerprint: old.fingerprint,
        }
    }

    pub(super) fn is_that_of(&self, head: &Manifest) -> bool {
        self.database == head.database
            && self.epoch == head.release.epoch
            // A commit that changed no page: a visitor's receipt waits for the release that contains it.
            && self.applied_commit == head.applied_commit
            && self.rolled_back_to == head.rolled_back_to
            && self.candidate == head.candidate
            && self.app_digest == head.app_digest
            && self.variables == head.variables
            && self.secrets == head.secrets
    }
}

/// Which SQLite this is, and how it was built: what it makes of the same pages.
fn sqlite_build() -> String {
    let options = || -> rusqlite::Result<Vec<String>> {
        let connection = rusqlite::Connection::open_in_memory()?;
        let mut options = vec![connection.query_row("SELECT sqlite_source_id()", [], |row| row.get(0))?];
        let mut statement = connection.prepare("PRAGMA compile_options")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        options.extend(rows.collect::<Result<Vec<String>, _>>()?);
        Ok(options)
    };
    options().map_or_else(
        |_| rusqlite::version().to_owned(),
        |options| Digest::of(options.join("\n").as_bytes()).to_string(),
    )
}
