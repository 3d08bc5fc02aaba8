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
};
use nearside_protocol::{
    key::SecretKey,
    limits,
    release::{Manifest, ReleaseId},
    status::OriginApp,
    wire::{Heads, Pushed},
};
use tokio::{sync::watch, task::AbortHandle};

use crate::{
    app_version::{AppVersion, VersionError},
    blobs::{BlobError, Blobs},
    check::{self, Finding},
    config::AppConfig,
    install::InstallError,
    merge::MergeError,
    objects::{ObjectError, Objects},
    projector::{Projected, Projector},
    publisher::{Press, Publisher},
    read_database::ReadError,
    rehearsal::{self, RehearsalError},
    render::Live,
    seed::SeedError,
    store::{self, StoreError},
    task_runner::{Reach, TaskRunner},
    vouchers::Vouchers,
    writer::Writer,
};

/// Files that come in are kept under this name until they have been taken; a start removes what a crash left.
const INCOMING: &str = "incoming-";

#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    #[error(transparent)]
    Objects(#[from] ObjectError),
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
}

/// What all sites share.
#[derive(Clone)]
pub struct Common {
    pub engine: Engine,
    pub host: Arc<Host>,
    pub key: SecretKey,
    pub heads: watch::Sender<Heads>,
}

pub struct Site {
    name: String,
    folder: PathBuf,
    common: Common,
    settings: AppConfig,
    pub objects: Objects,
    pub(crate) blobs: Blobs,
    pub(crate) live: Live,
    running: RwLock<Option<Arc<Running>>>,
    /// Why nothing runs though there is a release.
    fault: Mutex<Option<String>>,
    /// One push at a time.
    pushing: tokio::sync::Mutex<()>,
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
        let objects = Objects::open(folder, Disk::real())?;
        let blobs = Blobs::open(folder, Disk::real(), limits::BLOB_APP_BYTES)?;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(INCOMING) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Site {
            name: name.to_owned(),
            folder: folder.to_owned(),
            common,
            settings,
            objects,
            blobs,
            live: Live::default(),
            running: RwLock::default(),
            fault: Mutex::default(),
            pushing: tokio::sync::Mutex::default(),
        })
    }

    /// Runs the version of the newest release, if there is one. What keeps it from running is noted for `status`: the
    /// release can be pulled all the same.
    pub async fn resume(&self) -> Result<(), SiteError> {
        let _one = self.pushing.lock().await;
        let Some(head) = self.objects.head(&self.common.key.public())? else { return Ok(()) };
        self.announce(head.release);
        let (objects, settings) = (self.objects.clone(), self.settings.clone());
        let of = head.clone();
        let version = blocking(move || Ok(AppVersion::released(&objects, &of, &settings)?)).await;
        let started = match version {
            Ok(version) => self.start(Arc::new(version), Some(head)).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = &started {
            *self.fault.lock().expect("BUG: nothing panics while holding the fault") = Some(error.to_string());
        }
        started
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
            && self.objects.releases().is_ok_and(|releases| releases.is_empty());
        empty && std::fs::remove_dir_all(&self.folder).is_ok()
    }

    /// A name for a file that is coming in, in the app's own folder.
    pub fn incoming(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{INCOMING}{number}"))
    }

    /// Takes an app's archive: checks it, tries it out, installs it, and publishes it. On any error what was running
    /// goes on.
    pub async fn push_archive(&self, packed: Vec<u8>) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let (engine, expected, running) = (self.common.engine.clone(), self.name.clone(), self.running());
        let (objects, settings) = (self.objects.clone(), self.settings.clone());
        let folder = self.folder.clone();
        let before = running.as_ref().map(|running| running.version());
        let version = blocking(move || {
            let archive = Archive::unpack(&packed)?;
            if archive.app.name != expected {
                return Err(PushError::OtherApp { expected, found: archive.app.name });
            }
            let (errors, warnings): (Vec<_>, Vec<_>) =
                check::check(&archive, &engine).into_iter().partition(Finding::is_error);
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

        let mut report: Vec<String> = warnings.iter().map(Finding::to_string).collect();
        report.extend(self.undeclared(&version));
        let running = match running {
            Some(running) => {
                report.extend(running.adopt(version).await?);
                running
            }
            None => {
                let head = self.objects.head(&self.common.key.public()).map_err(SiteError::from)?;
                let (running, installed) = self.start(version, head).await?;
                report.extend(installed);
                running
            }
        };
        let release = running.publisher.publish().await.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report })
    }

    /// Takes a SQLite file: makes the tables of `[data]` equal to its own, and publishes them.
    pub async fn push_data(&self, file: &Path) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        let report = running.writer.merge(file).await?;
        running.projector.update().await.map_err(PushError::Unreleased)?;
        let release = running.publisher.publish().await.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report })
    }

    /// Takes rows from an SQL file, and publishes them. `file` is what messages call it.
    pub async fn seed(&self, file: &str, sql: &str) -> Result<Pushed, PushError> {
        let _one = self.pushing.lock().await;
        let running = self.running().ok_or(PushError::NoApp)?;
        running.writer.seed(file, sql).await?;
        running.publish().await
    }

    /// Makes a release of everything that has been written by now.
    pub async fn publish(&self) -> Result<Pushed, PushError> {
        self.running().ok_or(PushError::NoApp)?.publish().await
    }

    pub async fn status(&self) -> OriginApp {
        let running = self.running();
        let head = match &running {
            Some(running) => running.publisher.head(),
            None => self.objects.head(&self.common.key.public()).ok().flatten(),
        };
        let mut status = OriginApp {
            release: head.as_ref().map(|head| head.release),
            app_digest: head.as_ref().map(|head| head.app_digest),
            commit: 0,
            applied_commit: head.as_ref().map_or(0, |head| head.applied_commit),
            page_count: head.as_ref().map_or(0, |head| head.page_count),
            tasks: Default::default(),
            last_error: self.fault.lock().expect("BUG: nothing panics while holding the fault").clone(),
        };
        if let Some(running) = running {
            status.commit = *running.writer.commits().borrow();
            status.tasks = running.writer.task_counts().await.unwrap_or_default();
            status.last_error = running.projector.error().or_else(|| running.publisher.error());
        }
        status
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

    async fn start(
        &self,
        version: Arc<AppVersion>,
        head: Option<Manifest>,
    ) -> Result<(Arc<Running>, Vec<String>), SiteError> {
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

        let press = Press {
            app: self.name.clone(),
            objects: self.objects.clone(),
            key: self.common.key.clone(),
            vouchers: self.vouchers(),
        };
        let (name, heads) = (self.name.clone(), self.common.heads.clone());
        let released = move |release| announce(&heads, &name, release);
        let publisher =
            Publisher::start(press, head, projector.projected(), Box::new(released)).map_err(SiteError::Thread)?;

        let forwarding = forward(&writer, &projector, &publisher);
        let tasks = TaskRunner::start(writer.clone(), self.common.engine.clone(), self.reach());
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

    pub(crate) fn projected(&self) -> watch::Receiver<Projected> {
        self.projector.projected()
    }

    pub fn version(&self) -> Arc<AppVersion> {
        self.projector.projected().borrow().version.clone()
    }

    async fn publish(&self) -> Result<Pushed, PushError> {
        self.projector.update().await.map_err(PushError::Unreleased)?;
        let release = self.publisher.publish().await.map_err(PushError::Unreleased)?;
        Ok(Pushed { release: Some(release), report: Vec::new() })
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
