//! One app at the origin: its writer, its projector, its publisher, its tasks, and the version they all run.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use nearside_host::{
    archive::{Archive, ArchiveError},
    disk::Disk,
    engine::Engine,
    host::Host,
    pages::{PageStore, PagesError, Table},
    spans::Tracer,
};
use nearside_protocol::{
    app::DatabaseSource,
    key::SecretKey,
    limits,
    release::{Manifest, ReleaseId},
    status::{Audited, Held, OriginApp},
    task_report::{TaskShown, Tasks},
    unix_time::now_ms,
    watermark::Watermark,
    wire::{Heads, Pushed},
};
use rusqlite::{Connection, OpenFlags};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    app_version::{AppVersion, VersionError},
    audit,
    blobs::{BlobError, Blobs},
    bucket::{Bucket, BucketError},
    check::{self, Finding},
    config::AppConfig,
    gathered::Gathered,
    hold::{Hold, RunningVersion},
    install::InstallError,
    made::Made,
    merge::MergeError,
    objects::{ObjectError, Objects},
    press::{Press, manifest_of},
    projector::{Projected, Projector},
    publisher::{Published, Publisher},
    pushed_file::{self, PushedError, PushedFile},
    read_database::ReadError,
    rehearsal::{self, RehearsalError},
    render::Live,
    seed::SeedError,
    store::{self, StoreError},
    task_runner::{Desk, Reach, TaskRunner},
    tasks, trial,
    vouchers::Vouchers,
    writer::Writer,
};

/// Files that come in are kept under this name until they have been taken; a start removes what a crash left.
const INCOMING: &str = "incoming-";
const PAGES: &str = "pages";
const MADE: &str = "made";

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: std::io::Error },
    #[error(transparent)]
    Blobs(#[from] BlobError),
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a thread does not start: {0}")]
    Thread(std::io::Error),
    #[error("work was lost: the origin is stopping")]
    Lost,
}

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
}

/// What all sites share.
#[derive(Clone)]
pub struct Common {
    pub engine: Engine,
    pub host: Arc<Host>,
    pub key: SecretKey,
    pub bucket: Bucket,
    pub heads: watch::Sender<Heads>,
    pub tracer: Tracer,
}

pub struct Site {
    name: String,
    folder: PathBuf,
    common: Common,
    settings: AppConfig,
    pub objects: Objects,
    /// The pages of the releases that are kept here.
    pub pages: PageStore,
    /// Objects made for those who asked.
    pub(crate) made: Made,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) live: Live,
    /// What nodes say that queries cost.
    pub(crate) gathered: Gathered,
    running: RwLock<Option<Arc<Running>>>,
    /// Why nothing runs though there is a release.
    fault: Mutex<Option<String>>,
    /// One push at a time.
    pushing: tokio::sync::Mutex<()>,
}

/// The newest release, with the app that it names.
pub(crate) struct Released {
    pub(crate) manifest: Manifest,
    pub(crate) table: Arc<Table>,
    pub(crate) version: Arc<AppVersion>,
}

/// The parts that work while the app has a version.
pub struct Running {
    pub writer: Writer,
    projector: Projector,
    publisher: Publisher,
    tasks: Mutex<Option<TaskRunner>>,
    forwarding: AbortHandle,
}

impl Site {
    /// Makes the app's folder ready. Nothing runs yet.
    pub fn open(folder: &Path, name: &str, settings: AppConfig, common: Common) -> Result<Site, SiteError> {
        let objects = Objects::open(folder, Disk::real(), common.bucket.of(name))?;
        let pages = PageStore::open(&folder.join(PAGES), Disk::real())?;
        let made = Made::open(&folder.join(MADE), pages.clone())?;
        let blobs = Arc::new(Blobs::open(folder, Disk::real(), limits::BLOB_APP_BYTES)?);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(INCOMING) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        let _ = std::fs::remove_dir_all(folder.join(trial::FOLDER));
        Ok(Site {
            name: name.to_owned(),
            folder: folder.to_owned(),
            common,
            settings,
            objects,
            pages,
            made,
            blobs,
            live: Live::default(),
            gathered: Gathered::default(),
            running: RwLock::default(),
            fault: Mutex::default(),
            pushing: tokio::sync::Mutex::default(),
        })
    }

    /// Runs the version that ran, or that of the newest release. What keeps it from running is noted for `status`: the
    /// release can be pulled all the same.
    pub async fn resume(&self) -> Result<(), SiteError> {
        let _one = self.pushing.lock().await;
        let head = self.head();
        if let Some(head) = &head {
            self.announce(head.release);
        }
        let started = async {
            let ran = RunningVersion::load(&self.folder).map_err(|error| self.io(error))?;
            let of_head = |head: Manifest| RunningVersion {
                app_digest: head.app_digest,
                app_archive_bytes: head.app_archive_bytes,
            };
            let Some(ran) = ran.or(head.map(of_head)) else { return Ok(()) };
            let (objects, settings) = (self.objects.clone(), self.settings.clone());
            let version = blocking(move || Ok::<_, SiteError>(AppVersion::stored(&objects, &ran, &settings)?)).await?;
            self.start(Arc::new(version)).await.map(drop)
        };
        let started = started.await;
        if let Err(error) = &started {
            *self.fault.lock().expect("BUG: nothing panics while holding the fault") = Some(error.to_string());
        }
        started
    }

    /// The newest release.
    pub fn head(&self) -> Option<Manifest> {
        manifest_of(&self.pages.newest()?)
    }

    /// The same, without reading it from the disk where something runs.
    pub(crate) fn newest(&self) -> Option<Manifest> {
        match self.running() {
            Some(running) => running.head(),
            None => self.head(),
        }
    }

    fn io(&self, error: std::io::Error) -> SiteError {
        SiteError::Io { path: self.folder.clone(), error }
    }

    pub fn running(&self) -> Option<Arc<Running>> {
        self.running.read().expect("BUG: nothing panics while holding the parts").clone()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.common.engine
    }

    pub(crate) fn host(&self) -> &Arc<Host> {
        &self.common.host
    }

    pub(crate) fn vouchers(&self) -> Vouchers {
        Vouchers::new(&self.folder, Disk::real())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Removes the folder of an app that has neither a store nor a release.
    pub fn remove_if_empty(&self) -> bool {
        let empty = self.running().is_none()
            && !self.folder.join(store::FILE_NAME).exists()
            && self.blobs.is_empty()
            && self.pages.newest().is_none();
        empty && std::fs::remove_dir_all(&self.folder).is_ok()
    }

    /// A name for a file that is coming in, in the app's own folder.
    pub fn incoming(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{INCOMING}{number}"))
    }

    /// Takes an app's archive: checks it, tries it out, installs it, and publishes it. On any error what was running
    /// goes on. While releases are held it is taken only with `resume`, which ends the hold.
    pub async fn push_archive(&self, packed: Vec<u8>, resume: bool) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let (engine, expected, running) = (self.common.engine.clone(), self.name.clone(), self.running());
        self.assert_free(running.as_deref(), resume)?;
        let (objects, settings) = (self.objects.clone(), self.settings.clone());
        let folder = self.folder.clone();
        let before = running.as_ref().map(|running| running.version());
        let version = blocking(move || {
            let archive = Archive::unpack(&packed)?;
            if archive.app.name != expected {
                return Err(PushError::OtherApp { expected, found: archive.app.name });
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
        let version = Arc::new(version);
        let ran = RunningVersion { app_digest: version.digest, app_archive_bytes: version.archive_bytes };

        let mut report: Vec<String> = warnings.iter().map(Finding::to_string).collect();
        report.extend(self.undeclared(&version));
        let running = match running {
            Some(running) => {
                report.extend(running.adopt(version).await?);
                running
            }
            None => {
                let (running, installed) = self.start(version).await?;
                report.extend(installed);
                running
            }
        };
        ran.store(&self.folder, self.objects.disk()).map_err(|error| self.io(error))?;
        self.published(&running, resume, report).await
    }

    /// Takes a SQLite file: makes the tables of `[data]` equal to its own, or makes it the database; and publishes it.
    pub async fn push_data(&self, file: &Path, resume: bool) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        self.assert_free(Some(&running), resume)?;
        let report = match running.version().archive.app.database {
            DatabaseSource::Mirrored => running.writer.merge(file).await?,
            DatabaseSource::Pushed => self.take_database(&running, file).await?,
        };
        running.projector.update().await.map_err(PushError::Unreleased)?;
        self.published(&running, resume, report).await
    }

    /// Makes a pushed file the app's database, once every named query can be prepared on it.
    async fn take_database(&self, running: &Running, file: &Path) -> Result<Vec<String>, PushError> {
        let (file, folder, disk) = (file.to_owned(), self.folder.clone(), self.objects.disk().clone());
        let version = running.version();
        let work = move || {
            let imported = pushed_file::import(&file)?;
            let findings = check::queries_on(&version.archive, imported.open()?);
            let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(Finding::is_error);
            if !errors.is_empty() {
                return Err(PushError::Findings(errors));
            }
            imported.keep(&folder, &disk)?;
            Ok(imported.report.iter().cloned().chain(warnings.iter().map(Finding::to_string)).collect())
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
        let Published { release, cost } = published.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report, cost })
    }

    /// Publishes the content of an older release again, and holds releases until [`Site::go_on`].
    pub async fn rollback(&self, to: Option<ReleaseId>) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        let Published { release, cost } = running.publisher.rollback(to).await.map_err(PushError::NotRolledBack)?;
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

    pub async fn status(&self) -> OriginApp {
        let running = self.running();
        let head = self.newest();
        let mut status = OriginApp {
            release: head.as_ref().map(|head| head.release),
            app_digest: head.as_ref().map(|head| head.app_digest),
            commit: 0,
            applied_commit: head.as_ref().map_or(0, |head| head.applied_commit),
            page_count: head.as_ref().map_or(0, |head| head.page_count),
            tasks: Default::default(),
            transactions: 0,
            held: None,
            audit: audit::last(&self.folder),
            backed_up: None,
            last_error: self.fault.lock().expect("BUG: nothing panics while holding the fault").clone(),
        };
        status.backed_up = self.watermark().await.ok().flatten().and_then(|mark| mark.backed_up);
        if let Some(running) = running {
            status.commit = *running.writer.commits().borrow();
            status.transactions = running.writer.transactions();
            status.tasks = running.writer.task_counts().await.unwrap_or_default();
            status.last_error = running.projector.error().or_else(|| running.publisher.error());
            status.held = running
                .publisher
                .hold()
                .map(|hold| Held { rolled_back_to: hold.rolled_back_to, since_ms: hold.since_ms });
        }
        status
    }

    /// The tasks asked for, with all kinds and crons; none when nothing runs.
    pub(crate) async fn tasks(&self, asked: tasks::report::Asked) -> Result<Option<Tasks>, SiteError> {
        let Some(running) = self.running() else { return Ok(None) };
        let (path, version) = (self.folder.join(store::FILE_NAME), running.version());
        let read = move || {
            let connection = tasks::report::open(&path)?;
            tasks::report::list(&connection, &version.archive.app, &asked, now_ms())
        };
        blocking(move || Ok::<_, SiteError>(Some(read().map_err(StoreError::from)?))).await
    }

    /// One task with its history; none when there is no such task.
    pub(crate) async fn task(&self, id: u64) -> Result<Option<TaskShown>, SiteError> {
        let path = self.folder.join(store::FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        let read = move || tasks::report::show(&tasks::report::open(&path)?, id);
        blocking(move || Ok::<_, SiteError>(read().map_err(StoreError::from)?)).await
    }

    /// What nodes are given now; none when there is no release. Blocks.
    pub(crate) fn released(&self) -> Result<Option<Released>, SiteError> {
        let Some(kept) = self.pages.newest() else { return Ok(None) };
        let Some(manifest) = manifest_of(&kept) else { return Ok(None) };
        let running = self.running().map(|running| running.version());
        // While releases are held since a rollback, nodes have another version than runs here.
        let version = match running.filter(|version| version.digest == manifest.app_digest) {
            Some(version) => version,
            None => {
                let of =
                    RunningVersion { app_digest: manifest.app_digest, app_archive_bytes: manifest.app_archive_bytes };
                Arc::new(AppVersion::stored(&self.objects, &of, &self.settings)?)
            }
        };
        Ok(Some(Released { manifest, table: kept.table, version }))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// How far the store and its backups have come; none when there is no store yet.
    pub async fn watermark(&self) -> Result<Option<Watermark>, SiteError> {
        let path = self.folder.join(store::FILE_NAME);
        let read = move || {
            if !path.exists() {
                return Ok(None);
            }
            let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)
                .map_err(|error| StoreError::Open { file: path.display().to_string(), error })?;
            Ok::<_, SiteError>(Some(store::watermark(&connection)?))
        };
        blocking(read).await
    }

    /// Whether the read database is what it would be if it were made anew. None when nothing runs.
    pub async fn audit(&self) -> Option<Audited> {
        let projected = self.running()?.projected().borrow().clone();
        Some(audit::run(&self.name, &self.folder, projected, self.objects.disk()).await)
    }

    /// The same, when the last one was long ago.
    pub(crate) async fn audit_if_due(&self) {
        if audit::is_due(audit::last(&self.folder).as_ref(), now_ms()) {
            self.audit().await;
        }
    }

    /// Lets tasks that run finish, and ends the app's threads. What is not published yet is, after the next start.
    pub async fn stop(&self) {
        let running = self.running.write().expect("BUG: nothing panics while holding the parts").take();
        let Some(running) = running else { return };
        let tasks = running.tasks.lock().expect("BUG: nothing panics while holding the tasks").take();
        if let Some(tasks) = tasks {
            tasks.drain().await;
        }
        let _ = tokio::task::spawn_blocking(move || drop(running)).await;
    }

    async fn start(&self, version: Arc<AppVersion>) -> Result<(Arc<Running>, Vec<String>), SiteError> {
        let store = self.folder.join(store::FILE_NAME);
        let (path, engine) = (store.clone(), self.common.engine.clone());
        let writer = blocking(move || Ok::<_, SiteError>(Writer::start(&path, engine)?)).await?;
        let report = writer.install(version.archive.clone(), version.environment()).await?;

        let durable = writer.clone();
        let folder = self.folder.clone();
        let projector = blocking(move || {
            let on_durable = Box::new(move |commit| durable.projected(commit));
            Ok::<_, SiteError>(Projector::start(&folder, &store, version, on_durable)?)
        });
        let projector = projector.await?;

        let (objects, pages) = (self.objects.clone(), self.pages.clone());
        let press = Press::new(self.name.clone(), objects, pages, self.common.key.clone(), self.vouchers());
        let (name, heads, trail) = (self.name.clone(), self.common.heads.clone(), writer.trail().clone());
        let released = move |manifest: &Manifest, cost| {
            trail.released(manifest, cost);
            announce(&heads, &name, manifest.release);
        };
        let publisher = Publisher::start(press, projector.capturer(), projector.projected(), Box::new(released))
            .map_err(SiteError::Thread)?;

        let forwarding = forward(&writer, &projector, &publisher);
        let (blobs, tracer) = (self.blobs.clone(), self.common.tracer.clone());
        let desk = Desk { writer: writer.clone(), blobs, reach: self.reach(), tracer };
        let tasks = TaskRunner::start(self.common.engine.clone(), desk);
        let running = Arc::new(Running { writer, projector, publisher, tasks: Mutex::new(Some(tasks)), forwarding });
        *self.running.write().expect("BUG: nothing panics while holding the parts") = Some(running.clone());
        *self.fault.lock().expect("BUG: nothing panics while holding the fault") = None;
        Ok((running, report))
    }

    fn announce(&self, release: ReleaseId) {
        announce(&self.common.heads, &self.name, release);
    }

    fn reach(&self) -> Reach {
        match self.settings.offline {
            true => Reach::Nobody,
            false => Reach::Declared { private: self.settings.allow_private.clone() },
        }
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

impl Running {
    pub(crate) fn head(&self) -> Option<Manifest> {
        self.publisher.head()
    }

    pub(crate) fn hold(&self) -> Option<Hold> {
        self.publisher.hold()
    }

    /// Whether nodes serve something else than what the read database holds.
    pub(crate) fn is_held(&self) -> bool {
        self.hold().is_some()
    }

    pub(crate) fn projected(&self) -> watch::Receiver<Projected> {
        self.projector.projected()
    }

    pub fn version(&self) -> Arc<AppVersion> {
        self.projector.projected().borrow().version.clone()
    }

    async fn publish(&self) -> Result<Pushed, PushError> {
        self.projector.update().await.map_err(PushError::Unreleased)?;
        let published = self.publisher.publish().await.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(published.release), report: Vec::new(), cost: published.cost })
    }

    /// Goes over to another version; back to the one before if its read database cannot be made.
    async fn adopt(&self, version: Arc<AppVersion>) -> Result<Vec<String>, PushError> {
        let before = self.version();
        let install = |version: &AppVersion| self.writer.install(version.archive.clone(), version.environment());
        let report = install(&version).await.map_err(SiteError::from)?;
        match self.projector.adopt(version).await {
            Ok(_) => Ok(report),
            Err(why) => {
                // Rare: it went well on the copy a moment ago.
                install(&before).await.map_err(SiteError::from)?;
                Err(PushError::Unreleased(why))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

/// Carries news from one part to the next: commits to the projector, what it has reached to the publisher.
fn forward(writer: &Writer, projector: &Projector, publisher: &Publisher) -> AbortHandle {
    let (mut commits, mut projected) = (writer.commits(), projector.projected());
    let (wake_projector, wake_publisher) = (projector.waker(), publisher.waker());
    // What was committed, or projected, before anyone listened.
    wake_projector();
    wake_publisher();
    let forwarding = tokio::spawn(async move {
        loop {
            tokio::select! {
                moved = commits.changed() => match moved { Ok(()) => wake_projector(), Err(_) => return },
                moved = projected.changed() => match moved { Ok(()) => wake_publisher(), Err(_) => return },
            }
        }
    });
    forwarding.abort_handle()
}

fn announce(heads: &watch::Sender<Heads>, app: &str, release: ReleaseId) {
    heads.send_if_modified(|heads| heads.insert(app.to_owned(), release) != Some(release));
}

/// Runs what blocks where that is fine.
async fn blocking<T: Send + 'static, E: From<SiteError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(SiteError::Lost.into()))
}
