//! One app at the origin: its writer, its projector, its publisher, its tasks, and the version they all run.
//!
//! | module | what it holds |
//! |---|---|
//! | `running` | the parts that work while it has a version |
//! | `pushing` | what operators push, and how it is published |
//! | `trying`, `aside` | a candidate that some nodes try out; the read database of one that makes its own |

mod aside;
mod pushing;
mod running;
mod trying;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, RwLock},
};

use nearside_host::{
    disk::Disk,
    engine::Engine,
    host::Host,
    pages::{PageStore, PagesError, Table},
    spans::Tracer,
};
use nearside_protocol::{
    key::SecretKey,
    limits,
    release::Manifest,
    status::{Audited, Held, OriginApp},
    task_report::{TaskShown, Tasks},
    unix_time::now_ms,
    watermark::Watermark,
};
use rusqlite::{Connection, OpenFlags};
use tokio::sync::watch;

use self::{aside::Aside, running::forward, trying::Standing};
pub use self::{
    pushing::{How, PushError},
    running::Running,
};
use crate::{
    app_version::{AppVersion, VersionError},
    audit,
    blobs::{BlobError, Blobs},
    bucket::{Bucket, BucketError},
    config::AppConfig,
    gathered::Gathered,
    hold::RunningVersion,
    host_names::HostNames,
    install::InstallError,
    made::Made,
    objects::{ObjectError, Objects},
    out::{Out, Outs},
    press::{Press, newest_for_all},
    projector::Projector,
    publisher::{Publisher, TriedRows, Trying},
    pushed_file::PushedError,
    read_database::ReadError,
    render::Live,
    store::{self, StoreError},
    task_runner::{Desk, Reach, TaskRunner},
    tasks, trial,
    trim::Trim,
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
    #[error(transparent)]
    Pushed(#[from] PushedError),
    #[error("work was lost: the origin is stopping")]
    Lost,
}

/// What all sites share.
#[derive(Clone)]
pub struct Common {
    pub engine: Engine,
    pub host: Arc<Host>,
    pub key: SecretKey,
    pub bucket: Bucket,
    pub outs: watch::Sender<Outs>,
    pub host_names: Arc<HostNames>,
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
    /// What some nodes try out, or tried out last.
    standing: Mutex<Standing>,
    /// One push at a time.
    pushing: tokio::sync::Mutex<()>,
}

/// The newest release, with the app that it names.
pub(crate) struct Released {
    pub(crate) manifest: Manifest,
    pub(crate) table: Arc<Table>,
    pub(crate) version: Arc<AppVersion>,
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
            standing: Mutex::default(),
            pushing: tokio::sync::Mutex::default(),
        })
    }

    /// Runs the version that ran, or that of the newest release. What keeps it from running is noted for `status`: the
    /// release can be pulled all the same.
    pub async fn resume(&self) -> Result<(), SiteError> {
        let _one = self.pushing.lock().await;
        let head = self.head();
        // What was decided before a crash is done first: it may be another version that runs since.
        let loaded = self.load_canary();
        if let Some(head) = &head {
            self.announce(Out { stable: head.release, candidate: self.candidate() });
        }
        let started = async {
            loaded?;
            let ran = RunningVersion::load(&self.folder).map_err(|error| self.io(error))?;
            let of_head = |head: Manifest| RunningVersion {
                app_digest: head.app_digest,
                app_archive_bytes: head.app_archive_bytes,
            };
            let Some(ran) = ran.or(head.map(of_head)) else { return Ok(()) };
            let (objects, settings) = (self.objects.clone(), self.settings.clone());
            let version = blocking(move || Ok::<_, SiteError>(AppVersion::stored(&objects, &ran, &settings)?)).await?;
            let version = Arc::new(version);
            let trying = self.trying_beside(&version).await?;
            self.start(version, trying).await.map(drop)
        };
        let started = started.await;
        self.hold_host_names();
        if let Err(error) = &started {
            *self.fault.lock().expect("BUG: nothing panics while holding the fault") = Some(error.to_string());
        }
        started
    }

    /// The newest release for everyone.
    pub fn head(&self) -> Option<Manifest> {
        newest_for_all(&self.pages).map(|(_, manifest)| manifest)
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
            canary: self.canary(),
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

    /// What nodes are given now, but for those that try something out; none when there is no release. Blocks.
    pub(crate) fn released(&self) -> Result<Option<Released>, SiteError> {
        let Some((kept, manifest)) = newest_for_all(&self.pages) else { return Ok(None) };
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

    async fn start(
        &self,
        version: Arc<AppVersion>,
        mut trying: Option<Trying>,
    ) -> Result<(Arc<Running>, Vec<String>), SiteError> {
        let store = self.folder.join(store::FILE_NAME);
        let (path, engine) = (store.clone(), self.common.engine.clone());
        let writer = blocking(move || Ok::<_, SiteError>(Writer::start(&path, engine)?)).await?;
        // A version that is tried out may make a read database of its own: the change log is for both from the first commit on.
        let own = trying
            .as_ref()
            .filter(|trying| matches!(trying.rows, TriedRows::Same) && trying.version.shape != version.shape);
        let own = own.map(|trying| trying.version.clone());
        let report = match &own {
            None => writer.install(version.archive.clone(), version.environment()).await?,
            Some(tried) => running::prepare(&writer, &version, tried).await?,
        };
        let durable = writer.clone();
        let trim = Arc::new(Trim::new(own.is_some(), Box::new(move |commit| durable.projected(commit))));

        let (folder, of_main) = (self.folder.clone(), trim.clone());
        let projector = blocking(move || {
            let on_durable = Box::new(move |commit| of_main.main(commit));
            Ok::<_, SiteError>(Projector::start(&folder, &store, version, on_durable)?)
        });
        let projector = projector.await?;
        let mut aside = match own {
            None => None,
            Some(tried) => match Aside::start(&self.folder, tried, trim.clone()).await {
                Ok(aside) => Some(aside),
                Err(error) => {
                    self.halt_at_start(&error)?;
                    trim.end_aside();
                    trying = None;
                    None
                }
            },
        };
        if let (Some(trying), Some(aside)) = (&mut trying, &aside) {
            trying.rows = TriedRows::Own(aside.capturer());
        }

        let (objects, pages) = (self.objects.clone(), self.pages.clone());
        let press = Press::new(self.name.clone(), objects, pages, self.common.key.clone(), self.vouchers());
        let (name, outs, trail) = (self.name.clone(), self.common.outs.clone(), writer.trail().clone());
        let released = Box::new(move |out, manifest: &Manifest, cost| {
            trail.released(manifest, cost);
            announce(&outs, &name, out);
        });
        let publisher = Publisher::start(press, projector.capturer(), projector.projected(), trying, released)
            .map_err(SiteError::Thread)?;

        let forwarding = forward(&writer, &projector, &publisher);
        if let Some(aside) = &mut aside {
            aside.follow(&writer, &publisher);
        }
        let (blobs, tracer) = (self.blobs.clone(), self.common.tracer.clone());
        let desk = Desk { writer: writer.clone(), blobs, reach: self.reach(), tracer };
        let tasks = TaskRunner::start(desk);
        let (tasks, aside) = (Mutex::new(Some(tasks)), Mutex::new(aside));
        let running = Arc::new(Running { writer, projector, publisher, tasks, forwarding, trim, aside });
        *self.running.write().expect("BUG: nothing panics while holding the parts") = Some(running.clone());
        *self.fault.lock().expect("BUG: nothing panics while holding the fault") = None;
        Ok((running, report))
    }

    /// Those of the version that runs, and of one that is tried out.
    fn hold_host_names(&self) {
        let running = self.running().map(|running| running.version());
        let all =
            running.iter().chain(&self.version_tried()).flat_map(|version| version.archive.app.hosts.clone()).collect();
        self.common.host_names.hold(&self.name, all);
    }

    fn announce(&self, out: Out) {
        announce(&self.common.outs, &self.name, out);
    }

    fn reach(&self) -> Reach {
        match self.settings.offline {
            true => Reach::Nobody,
            false => Reach::Declared { private: self.settings.allow_private.clone() },
        }
    }
}

fn announce(outs: &watch::Sender<Outs>, app: &str, out: Out) {
    outs.send_if_modified(|outs| outs.set(app, out));
}

/// Runs what blocks where that is fine.
async fn blocking<T: Send + 'static, E: From<SiteError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(SiteError::Lost.into()))
}
