//! What operators push to an app, and how it is published: code, data, older content.

use std::{path::Path, sync::Arc};

use nearside_host::archive::{Archive, ArchiveError};
use nearside_protocol::{
    app::DatabaseSource,
    digest::Digest,
    release::{Manifest, ReleaseId},
    wire::Pushed,
};

use super::{Running, Site, SiteError, blocking};
use crate::{
    app_version::AppVersion,
    canary::{NotTried, Wanted},
    check::{self, Finding},
    hold::{Hold, RunningVersion},
    host_names::HostTaken,
    merge::MergeError,
    publisher::Published,
    pushed_file::{self, Imported, PushedError, PushedFile},
    rehearsal::{self, RehearsalError},
    seed::SeedError,
    store,
};

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error("the archive cannot be read: {0}")]
    Archive(#[from] ArchiveError),
    #[error("the archive is of the app `{found}`, and was pushed to `{expected}`")]
    OtherApp { expected: String, found: String },
    #[error("{}", .0.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n"))]
    Findings(Vec<Finding>),
    #[error(transparent)]
    Rehearsal(#[from] RehearsalError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error(transparent)]
    Site(#[from] SiteError),
    #[error("nothing runs here yet: push the app first")]
    NoApp,
    #[error("it is in the store, and no release holds it yet: {0}")]
    Unreleased(String),
    #[error(transparent)]
    Pushed(#[from] PushedError),
    #[error(
        "releases are held since the rollback to {}, and a push would be published: push it with --resume to end the hold, or \
        `nearside resume` first",
        .0.rolled_back_to
    )]
    Held(Hold),
    #[error("{0}")]
    NotRolledBack(String),
    #[error(transparent)]
    NotTried(#[from] NotTried),
    #[error(transparent)]
    HostTaken(#[from] HostTaken),
}

/// How something is pushed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct How {
    /// It ends the hold after a rollback.
    pub resume: bool,
    /// Some nodes are to try it out first.
    pub canary: Option<Wanted>,
}

impl Site {
    /// Takes an app's archive: checks it, tries it out, installs it, and publishes it. On any error what was running
    /// goes on. While releases are held it is taken only with `resume`, which ends the hold; while a canary runs, not at all.
    pub async fn push_archive(&self, packed: Vec<u8>, how: How) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running();
        self.assert_free(running.as_deref(), how.resume)?;
        self.assert_untried()?;
        let (version, report) = self.examined(packed, running.as_deref(), how.canary.is_some()).await?;
        self.common.host_names.claim(&self.name, &version.archive.app.hosts)?;
        let pushed = self.installed(running, version, how, report).await;
        self.hold_host_names();
        pushed
    }

    /// What was examined, running, or tried out; and published.
    async fn installed(
        &self,
        running: Option<Arc<Running>>,
        version: Arc<AppVersion>,
        how: How,
        mut report: Vec<String>,
    ) -> Result<Pushed, PushError> {
        if let Some(wanted) = how.canary {
            let running = running.ok_or(NotTried::NothingReleased)?;
            report.extend(running.prepare_for(&version).await?);
            return self.try_out(&running, version, false, wanted, report).await;
        }
        let ran = RunningVersion { app_digest: version.digest, app_archive_bytes: version.archive_bytes };
        let running = match running {
            Some(running) => {
                report.extend(running.adopt(version).await?);
                running
            }
            None => {
                let (running, installed) = self.start(version, None).await?;
                report.extend(installed);
                running
            }
        };
        ran.store(&self.folder, self.objects.disk()).map_err(|error| self.io(error))?;
        self.published(&running, how.resume, report).await
    }

    /// An archive that can be installed, as far as that can be known beforehand; and what is to be said of it.
    async fn examined(
        &self,
        packed: Vec<u8>,
        running: Option<&Running>,
        is_canary: bool,
    ) -> Result<(Arc<AppVersion>, Vec<String>), PushError> {
        let (engine, expected) = (self.common.engine.clone(), self.name.clone());
        let (objects, settings) = (self.objects.clone(), self.settings.clone());
        let folder = self.folder.clone();
        let (before, head) = (running.map(|running| running.version()), running.and_then(|running| running.head()));
        let version = blocking(move || {
            let archive = Archive::unpack(&packed)?;
            if archive.app.name != expected {
                return Err(PushError::OtherApp { expected, found: archive.app.name });
            }
            if is_canary {
                let (Some(before), Some(head)) = (&before, head) else { return Err(NotTried::NothingReleased.into()) };
                can_be_tried(before, &archive, &packed, &head)?;
            }
            let mut findings = check::check(&archive, &engine);
            if archive.app.database == DatabaseSource::Pushed
                && let Some(file) = PushedFile::in_folder(&folder)?
            {
                findings.extend(check::queries_on(&archive, file.open()?));
            }
            let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(Finding::is_error);
            if !errors.is_empty() {
                return Err(PushError::Findings(errors));
            }
            let tried =
                before.map(|before| rehearsal::is_needed(&before.archive, &archive)).transpose()?.unwrap_or(true);
            if tried && folder.join(store::FILE_NAME).exists() {
                rehearsal::rehearse(&folder, &archive)?;
            }
            let version = AppVersion::pushed(&objects, &packed, Arc::new(archive), &settings)
                .map_err(SiteError::from)
                .map_err(PushError::from)?;
            Ok((version, warnings))
        });
        let (version, warnings) = version.await?;
        let mut report: Vec<String> = warnings.iter().map(Finding::to_string).collect();
        report.extend(self.undeclared(&version));
        Ok((Arc::new(version), report))
    }

    /// Takes a SQLite file: makes the tables of `[data]` equal to its own, or makes it the database; and publishes it.
    ///
    /// While a canary runs, rows are merged as ever: it is on the same rows. Another database is not taken.
    pub async fn push_data(&self, file: &Path, how: How) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        self.assert_free(Some(&running), how.resume)?;
        let report = match (running.version().archive.app.database, how.canary) {
            (DatabaseSource::Mirrored, Some(_)) => return Err(NotTried::MergedData.into()),
            (DatabaseSource::Mirrored, None) => running.writer.merge(file).await?,
            (DatabaseSource::Pushed, canary) => {
                self.assert_untried()?;
                let (imported, report) = self.imported(&running, file).await?;
                let (folder, disk) = (self.folder.clone(), self.objects.disk().clone());
                if let Some(wanted) = canary {
                    if running.head().is_none() {
                        return Err(NotTried::NothingReleased.into());
                    }
                    blocking(move || Ok::<_, PushError>(imported.keep_to_be_tried(&folder, &disk)?)).await?;
                    return self.try_out(&running, running.version(), true, wanted, report).await;
                }
                blocking(move || Ok::<_, PushError>(imported.keep(&folder, &disk)?)).await?;
                report
            }
        };
        running.projector.update().await.map_err(PushError::Unreleased)?;
        self.published(&running, how.resume, report).await
    }

    /// A pushed file made ready to be the app's database, on which every named query can be prepared.
    async fn imported(&self, running: &Running, file: &Path) -> Result<(Imported, Vec<String>), PushError> {
        let file = file.to_owned();
        let version = running.version();
        let work = move || {
            let imported = pushed_file::import(&file)?;
            let findings = check::queries_on(&version.archive, imported.open()?);
            let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(Finding::is_error);
            if !errors.is_empty() {
                return Err(PushError::Findings(errors));
            }
            let report = imported.report.iter().cloned().chain(warnings.iter().map(Finding::to_string)).collect();
            Ok((imported, report))
        };
        blocking(work).await
    }

    fn assert_free(&self, running: Option<&Running>, resume: bool) -> Result<(), PushError> {
        match running.and_then(|running| running.publisher.hold()) {
            Some(hold) if !resume => Err(PushError::Held(hold)),
            _ => Ok(()),
        }
    }

    /// Publishes what was pushed, and says at what cost.
    async fn published(&self, running: &Running, resume: bool, mut report: Vec<String>) -> Result<Pushed, PushError> {
        let lacks_database = running.version().archive.app.database == DatabaseSource::Pushed
            && PushedFile::in_folder(&self.folder)?.is_none();
        if lacks_database {
            report.push(format!("it is released with its database: nearside push FILE.db --app {}", self.name));
            return Ok(Pushed { release: None, report, cost: None });
        }
        let published = match resume {
            true => running.publisher.resume().await,
            false => running.publisher.publish().await,
        };
        let Published { release, cost, .. } = published.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report, cost })
    }

    /// Publishes the content of an older release again, and holds releases until [`Site::go_on`].
    pub async fn rollback(&self, to: Option<ReleaseId>) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        self.assert_untried()?;
        let Published { release, cost, .. } = running.publisher.rollback(to).await.map_err(PushError::NotRolledBack)?;
        let to = running.publisher.hold().map_or(release, |hold| hold.rolled_back_to);
        let report = vec![
            format!("the content of release {to} is published again, as {release}"),
            format!(
                "nothing else is published until `nearside resume --app {}`; writes go on being committed",
                self.name
            ),
        ];
        Ok(Pushed { release: Some(release), report, cost })
    }

    /// Ends the hold after a rollback, and publishes what has come since.
    pub async fn go_on(&self) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        let mut report = Vec::new();
        if running.publisher.hold().is_none() {
            report.push("releases were not held".to_owned());
        }
        running.projector.update().await.map_err(PushError::Unreleased)?;
        self.published(&running, true, report).await
    }

    /// Takes rows from an SQL file, and publishes them. `file` is what messages call it.
    pub async fn seed(&self, file: &str, sql: &str) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        self.assert_free(Some(&running), false)?;
        running.writer.seed(file, sql).await?;
        running.publish().await
    }

    /// Makes a release of everything that has been written by now.
    pub async fn publish(&self) -> Result<Pushed, PushError> {
        self.running().ok_or(PushError::NoApp)?.publish().await
    }

    fn undeclared(&self, version: &AppVersion) -> Vec<String> {
        let app = &version.archive.app;
        let line = |name: &String, place: &str| {
            format!("the origin's configuration sets `{name}`, which {place} does not declare: ignored")
        };
        let variables = self.settings.variables.keys().filter(|name| !app.variables.contains_key(*name));
        let secrets = self.settings.secrets.keys().filter(|name| !app.secrets.contains(*name));
        variables.map(|name| line(name, "[variables]")).chain(secrets.map(|name| line(name, "`secrets`"))).collect()
    }
}

/// What can be tried out beside a version that runs: another one, on a database of the same kind.
fn can_be_tried(before: &AppVersion, archive: &Archive, packed: &[u8], head: &Manifest) -> Result<(), PushError> {
    if archive.app.database != before.archive.app.database {
        return Err(NotTried::OtherDatabase.into());
    }
    if Digest::of(packed) == before.digest {
        return Err(NotTried::Same(head.release).into());
    }
    Ok(())
}
