//! The projector: a thread of each app that brings the read database up to the store after every commit.
//!
//! It alone writes to the read database. What it has reached, and which app version the file was made for, go out
//! together as one [`Projected`], so that no release can pair one version's code with another's tables.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nearside_host::{
    pages::{Draft, PagesError},
    priority,
};
use nearside_protocol::limits;
use tokio::sync::{oneshot, watch};

use crate::{
    app_version::AppVersion,
    moved::{CaptureError, Moved, Since},
    pace::{Pace, Pending},
    read_database::{self, Position, ReadDatabase, ReadError},
};

/// What readers of the read database may rely on.
#[derive(Clone)]
pub struct Projected {
    pub version: Arc<AppVersion>,
    pub file: PathBuf,
    pub position: Position,
}

/// Called when everything up to a commit is in the file, durably: the change log can go.
pub type OnDurable = Box<dyn Fn(u64) + Send>;

/// One moment of the read database, laid over a draft.
pub struct Captured {
    pub draft: Draft,
    pub projected: Projected,
    /// What a response depends on and no page tells.
    pub schema: String,
}

#[derive(Debug, thiserror::Error)]
pub enum NotCaptured {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error("the read database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the projector has stopped")]
    Stopped,
}

enum Job {
    /// The store has moved.
    Wake,
    Update(oneshot::Sender<Result<Projected, String>>),
    Adopt(Arc<AppVersion>, oneshot::Sender<Result<Projected, String>>),
    Capture(Since, Box<Draft>, std::sync::mpsc::Sender<Result<Captured, NotCaptured>>),
    Stop,
}

/// Asks the projector for captures, from the publisher's thread.
#[derive(Clone)]
pub struct Capturer(SyncSender<Job>);

impl Capturer {
    /// Lays what moved since the last capture over a draft. Waits for the projector.
    pub fn capture(&self, since: Since, draft: Draft) -> Result<Captured, NotCaptured> {
        let (answer, reply) = std::sync::mpsc::channel();
        self.0.send(Job::Capture(since, Box::new(draft), answer)).map_err(|_| NotCaptured::Stopped)?;
        reply.recv().unwrap_or(Err(NotCaptured::Stopped))
    }
}

const CHECKPOINT: Pace = Pace { quiet: Duration::from_secs(1), latest: Duration::from_secs(10) };

pub struct Projector {
    jobs: SyncSender<Job>,
    projected: watch::Receiver<Projected>,
    error: watch::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Projector {
    /// Opens the read database in `folder`, or makes it, brings it up to the store, and starts the thread.
    pub fn start(
        folder: &Path,
        store: &Path,
        version: Arc<AppVersion>,
        on_durable: OnDurable,
    ) -> Result<Projector, ReadError> {
        let files = Files { folder: folder.to_owned(), store: store.to_owned() };
        let (file, mut database) = files.open(&version)?;
        let position = database.update()?;
        let moved = Moved::follow_from(database.connection(), &file)?;
        files.remove_all_but(&file);
        let (projected_out, projected) = watch::channel(Projected { version, file, position });
        let (error_out, error) = watch::channel(None);
        let (jobs, queue) = sync_channel(limits::ORIGIN_QUEUE);
        let worker = Worker {
            files,
            moved,
            database,
            projected: projected_out,
            error: error_out,
            on_durable,
            undurable: None,
            retry_at: None,
        };
        let thread = std::thread::Builder::new()
            .name("nearside-projector".into())
            .spawn(move || {
                priority::is_patient();
                worker.run(queue)
            })
            .map_err(|error| ReadError::Io { file: folder.to_owned(), error })?;
        Ok(Projector { jobs, projected, error, thread: Some(thread) })
    }

    pub fn capturer(&self) -> Capturer {
        Capturer(self.jobs.clone())
    }

    pub fn projected(&self) -> watch::Receiver<Projected> {
        self.projected.clone()
    }

    /// Why the read database does not follow the store, when it does not.
    pub fn error(&self) -> Option<String> {
        self.error.borrow().clone()
    }

    /// Something to wake the projector by when the store has moved. Never waits: when the queue is full, a job in it will
    /// see the store as it is now.
    pub fn waker(&self) -> impl Fn() + Send + use<> {
        let jobs = self.jobs.clone();
        move || {
            let _ = jobs.try_send(Job::Wake);
        }
    }

    /// Brings the read database up to the store as it is when this is called, or later.
    pub async fn update(&self) -> Result<Projected, String> {
        self.ask(Job::Update).await
    }

    /// Makes the read database that of another app version. On an error the old one stays.
    pub async fn adopt(&self, version: Arc<AppVersion>) -> Result<Projected, String> {
        self.ask(|answer| Job::Adopt(version, answer)).await
    }

    async fn ask(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<Projected, String>>) -> Job,
    ) -> Result<Projected, String> {
        let (answer, reply) = oneshot::channel();
        match self.jobs.try_send(job(answer)) {
            Ok(()) => reply.await.unwrap_or_else(|_| Err("the projector has stopped".into())),
            Err(TrySendError::Full(_)) => Err("too much is waiting for the read database; try again".into()),
            Err(TrySendError::Disconnected(_)) => Err("the projector has stopped".into()),
        }
    }
}

impl Drop for Projector {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    files: Files,
    database: ReadDatabase,
    /// Of the same file, and dropped after its connection.
    moved: Moved,
    projected: watch::Sender<Projected>,
    error: watch::Sender<Option<String>>,
    on_durable: OnDurable,
    /// Updates since the last checkpoint.
    undurable: Option<Pending>,
    /// The last update failed: again then, whether or not the store moves.
    retry_at: Option<Instant>,
}

impl Worker {
    fn run(mut self, queue: Receiver<Job>) {
        loop {
            let checkpoint_at = self.undurable.map(|pending| pending.due(CHECKPOINT));
            let job = match checkpoint_at.into_iter().chain(self.retry_at).min() {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => queue.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::Wake) => {
                    let _ = self.update();
                }
                Ok(Job::Update(answer)) => {
                    let _ = answer.send(self.update());
                }
                Ok(Job::Adopt(version, answer)) => {
                    let _ = answer.send(self.adopt(version));
                }
                Ok(Job::Capture(since, draft, answer)) => {
                    let _ = answer.send(self.capture(since, *draft));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = Instant::now();
            if self.retry_at.is_some_and(|at| at <= now) {
                let _ = self.update();
            }
            let is_long = self.moved.log_frames() > limits::READ_LOG_FRAMES && self.undurable.is_some();
            if is_long || self.undurable.is_some_and(|pending| pending.due(CHECKPOINT) <= now) {
                self.checkpoint();
            }
        }
    }

    fn update(&mut self) -> Result<Projected, String> {
        let updated = self.database.update();
        self.follow();
        let version = self.projected.borrow().version.clone();
        self.tell(updated, version, None)
    }

    fn adopt(&mut self, version: Arc<AppVersion>) -> Result<Projected, String> {
        let current = self.projected.borrow().clone();
        if current.version.shape == version.shape {
            let updated = self.database.update();
            self.follow();
            return self.tell(updated, version, None);
        }
        let file = self.files.after(&current.file);
        match ReadDatabase::build(&file, &self.files.store, &version.shape) {
            Err(error) => Err(error.to_string()),
            Ok(mut database) => {
                let moved = database
                    .update()
                    .and_then(|position| Ok((position, Moved::follow_from(database.connection(), &file)?)));
                let updated = moved.map(|(position, moved)| {
                    self.database = database;
                    self.moved = moved;
                    position
                });
                let told = self.tell(updated, version, Some(file.clone()));
                self.files.remove_all_but(&self.projected.borrow().file);
                told
            }
        }
    }

    /// Notes which pages were written. What keeps it from that makes the next capture compare all of them.
    fn follow(&mut self) {
        if let Err(error) = self.moved.follow(self.database.connection()) {
            tracing::warn!(cause = %error, "the read database's log cannot be followed; every page will be compared");
        }
    }

    fn capture(&mut self, since: Since, mut draft: Draft) -> Result<Captured, NotCaptured> {
        // Should the last time have failed: what is read now must be of now.
        self.moved.follow(self.database.connection())?;
        let schema = read_database::schema(self.database.connection())?;
        let capture = self.moved.capture(since);
        draft.resize(capture.page_count());
        capture.each(|number, page| draft.put(number, page).map(drop).map_err(NotCaptured::from))?;
        Ok(Captured { draft, projected: self.projected.borrow().clone(), schema })
    }

    /// Lets everyone know what was reached, or why nothing was.
    fn tell(
        &mut self,
        updated: Result<Position, ReadError>,
        version: Arc<AppVersion>,
        file: Option<PathBuf>,
    ) -> Result<Projected, String> {
        match updated {
            Ok(position) => {
                let before = self.projected.borrow().clone();
                let moved = before.position != position;
                let projected = Projected { version, file: file.unwrap_or(before.file), position };
                let changed = moved || !Arc::ptr_eq(&before.version, &projected.version);
                self.retry_at = None;
                self.error.send_if_modified(|error| error.take().is_some());
                if changed {
                    self.projected.send_replace(projected.clone());
                    self.undurable = Some(Pending::asked(self.undurable, Instant::now()));
                }
                Ok(projected)
            }
            Err(error) => {
                let error = error.to_string();
                tracing::error!(cause = error, "the read database does not follow the store");
                self.retry_at = Some(Instant::now() + limits::RELEASE_RETRY);
                self.error.send_replace(Some(error.clone()));
                Err(error)
            }
        }
    }

    fn checkpoint(&mut self) {
        self.undurable = None;
        let commit = self.projected.borrow().position.commit;
        let moved = self.database.checkpoint();
        self.follow();
        match moved {
            Ok(true) => (self.on_durable)(commit),
            // A reader holds on to older pages: later, then.
            Ok(false) => self.undurable = Some(Pending::asked(None, Instant::now())),
            Err(error) => tracing::warn!(cause = %error, "the read database is not checkpointed; its change log grows"),
        }
    }
}

/// The read database's file, `read-<n>.db`: a new shape is a new file, so that readers of the old one can finish.
struct Files {
    folder: PathBuf,
    store: PathBuf,
}

impl Files {
    fn open(&self, version: &AppVersion) -> Result<(PathBuf, ReadDatabase), ReadError> {
        let mut numbers = self.numbers();
        numbers.sort();
        for number in numbers.iter().rev() {
            let file = self.numbered(*number);
            if let Some(database) = ReadDatabase::open(&file, &self.store, &version.shape)? {
                return Ok((file, database));
            }
        }
        let file = self.numbered(numbers.last().map_or(1, |last| last + 1));
        let database = ReadDatabase::build(&file, &self.store, &version.shape)?;
        Ok((file, database))
    }

    fn after(&self, file: &Path) -> PathBuf {
        self.numbered(number_of(file).map_or(1, |number| number + 1))
    }

    fn numbered(&self, number: u64) -> PathBuf {
        self.folder.join(format!("read-{number}.db"))
    }

    fn numbers(&self) -> Vec<u64> {
        self.entries()
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "db"))
            .filter_map(|path| number_of(path))
            .collect()
    }

    fn entries(&self) -> Vec<PathBuf> {
        std::fs::read_dir(&self.folder)
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default()
    }

    /// Also the write-ahead logs of the others, and what was left half-made. Readers that have a file open keep it.
    fn remove_all_but(&self, file: &Path) {
        for path in self.entries() {
            if number_of(&path).is_some()
                && number_of(&path) != number_of(file)
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(file = %path.display(), cause = %error, "an old read database cannot be removed");
            }
        }
    }
}

/// `n` of `read-<n>.…`.
fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix("read-")?.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
