//! The publisher: a thread of each app that makes releases of what the projector has reached.
//!
//! One release is these steps, in this order; a crash between any two leaves the previous release whole:
//!
//! 1. copy the read database to `snapshots/new.tmp`, sync it, hash its pages;
//! 2. rename it to `snapshots/<root>.db`;
//! 3. sign the manifest and write `releases/<epoch.seq>.json`: from here on it is the release;
//! 4. tell who waits, and delete what no kept release refers to.

use std::{
    path::Path,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    thread::JoinHandle,
    time::Instant,
};

use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    limits,
    release::{FORMAT, Manifest, ReleaseId, SignedManifest, fingerprint},
    voucher::AppVoucher,
};
use tokio::sync::{oneshot, watch};

use crate::{
    app_version::AppVersion,
    objects::{ObjectError, Objects},
    pace::{Pace, Pending},
    projector::Projected,
    snapshot::{self, Snapshot, SnapshotError},
    writer::now_ms,
};

const PACE: Pace = Pace { quiet: limits::PUBLISH_DEBOUNCE, latest: limits::PUBLISH_LATEST };

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
}

/// What releases are made of and signed with.
pub struct Press {
    pub app: String,
    pub objects: Objects,
    pub key: SecretKey,
}

impl Press {
    /// Makes a release of the read database, unless it would be the one there is.
    pub fn publish(
        &self,
        read_database: &Path,
        version: &AppVersion,
        head: Option<&Manifest>,
    ) -> Result<Option<Manifest>, PublishError> {
        let file = self.objects.new_snapshot_path();
        let snapshot = snapshot::take(read_database, &file)?;
        if head.is_some_and(|head| is_same(head, &snapshot, version)) {
            let _ = std::fs::remove_file(&file);
            return Ok(None);
        }
        let manifest = self.manifest(&snapshot, version, head)?;
        self.objects.put_snapshot(&file, &snapshot.root)?;
        self.objects.put_release(manifest.release, &SignedManifest::sign(&manifest, &self.key))?;
        Ok(Some(manifest))
    }

    fn manifest(
        &self,
        snapshot: &Snapshot,
        version: &AppVersion,
        head: Option<&Manifest>,
    ) -> Result<Manifest, PublishError> {
        // The next number after any there ever was, readable or not: a number is never used twice.
        let taken =
            self.objects.releases()?.into_iter().chain(head.map(|head| head.release)).map(|release| release.seq).max();
        let release = ReleaseId { epoch: snapshot.position.epoch, seq: taken.unwrap_or(0) + 1 };
        Ok(Manifest {
            format: FORMAT,
            app: self.app.clone(),
            database: snapshot.position.database.clone(),
            release,
            parent: head.map(|head| head.release),
            created_at_ms: now_ms(),
            applied_commit: snapshot.position.commit,
            page_count: snapshot.page_count,
            root: snapshot.root,
            rolled_back_to: None,
            deltas: vec![],
            base: None,
            app_digest: version.digest,
            app_archive_bytes: version.archive_bytes,
            app_vouched: AppVoucher::sign(&self.app, &version.digest, &self.key),
            variables: version.variables.clone(),
            secrets: version.secrets_digest(),
            fingerprint: fingerprint(
                &version.digest,
                &version.variables,
                version.secrets_digest().as_ref(),
                &snapshot.schema,
                &sqlite_build(),
            ),
        })
    }
}

fn is_same(head: &Manifest, snapshot: &Snapshot, version: &AppVersion) -> bool {
    // The commit is noted in the pages, so one that changed nothing mirrored moves the root all the same: the release
    // that contains it is what a visitor's receipt waits for.
    head.root == snapshot.root
        && head.app_digest == version.digest
        && head.variables == version.variables
        && head.secrets == version.secrets_digest()
        && head.database == snapshot.position.database
        && head.release.epoch == snapshot.position.epoch
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

enum Job {
    /// There is something new to publish, when it suits.
    Wake,
    /// Now.
    Publish(oneshot::Sender<Result<ReleaseId, String>>),
    Stop,
}

pub struct Publisher {
    jobs: SyncSender<Job>,
    head: watch::Receiver<Option<Manifest>>,
    error: watch::Receiver<Option<String>>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts the thread. `released` is called from it after each release.
    pub fn start(
        press: Press,
        head: Option<Manifest>,
        projected: watch::Receiver<Projected>,
        released: Box<dyn Fn(ReleaseId) + Send>,
    ) -> std::io::Result<Publisher> {
        let (jobs, queue) = sync_channel(limits::ORIGIN_QUEUE);
        let (head_out, head) = watch::channel(head);
        let (error_out, error) = watch::channel(None);
        let worker = Worker { press, projected, head: head_out, error: error_out, released };
        let thread = std::thread::Builder::new().name("nearside-publisher".into()).spawn(move || worker.run(queue))?;
        Ok(Publisher { jobs, head, error, thread: Some(thread) })
    }

    pub fn head(&self) -> Option<Manifest> {
        self.head.borrow().clone()
    }

    pub fn error(&self) -> Option<String> {
        self.error.borrow().clone()
    }

    /// Something new can be published. Never waits: when the queue is full, a job in it will find it.
    pub fn waker(&self) -> impl Fn() + Send + use<> {
        let jobs = self.jobs.clone();
        move || {
            let _ = jobs.try_send(Job::Wake);
        }
    }

    /// Publishes what the projector has reached by now; gives the release that holds it.
    pub async fn publish(&self) -> Result<ReleaseId, String> {
        let (answer, reply) = oneshot::channel();
        match self.jobs.try_send(Job::Publish(answer)) {
            Ok(()) => reply.await.unwrap_or_else(|_| Err("the publisher has stopped".into())),
            Err(TrySendError::Full(_)) => Err("too many releases are waiting to be made; try again".into()),
            Err(TrySendError::Disconnected(_)) => Err("the publisher has stopped".into()),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    press: Press,
    projected: watch::Receiver<Projected>,
    head: watch::Sender<Option<Manifest>>,
    error: watch::Sender<Option<String>>,
    released: Box<dyn Fn(ReleaseId) + Send>,
}

impl Worker {
    fn run(self, queue: Receiver<Job>) {
        let mut pending: Option<Pending> = None;
        let mut retry_at: Option<Instant> = None;
        loop {
            let next = pending.map(|pending| pending.due(PACE)).into_iter().chain(retry_at).min();
            let job = match next {
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(next) => queue.recv_timeout(next.saturating_duration_since(Instant::now())),
            };
            let published = match job {
                Ok(Job::Wake) => {
                    pending = Some(Pending::asked(pending, Instant::now()));
                    // Wakes that keep coming must not keep the release from being made.
                    if pending.is_some_and(|pending| pending.due(PACE) > Instant::now()) {
                        continue;
                    }
                    self.publish()
                }
                Ok(Job::Publish(answer)) => {
                    let published = self.publish();
                    let _ = answer.send(published.clone());
                    published
                }
                Err(RecvTimeoutError::Timeout) => self.publish(),
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return,
            };
            pending = None;
            retry_at = published.is_err().then(|| Instant::now() + limits::RELEASE_RETRY);
        }
    }

    fn publish(&self) -> Result<ReleaseId, String> {
        let Projected { version, file, .. } = self.projected.borrow().clone();
        let head = self.head.borrow().clone();
        match self.press.publish(&file, &version, head.as_ref()) {
            Err(error) => {
                let error = error.to_string();
                tracing::error!(app = self.press.app, cause = error, "no release could be made");
                self.error.send_replace(Some(error.clone()));
                Err(error)
            }
            Ok(made) => {
                self.error.send_if_modified(|error| error.take().is_some());
                let manifest = made.or(head).expect("BUG: without a head, every snapshot is a release");
                if self.head.borrow().as_ref().map(|head| head.release) != Some(manifest.release) {
                    self.announce(&manifest);
                }
                Ok(manifest.release)
            }
        }
    }

    fn announce(&self, manifest: &Manifest) {
        let Manifest { release, applied_commit, page_count, .. } = manifest;
        tracing::info!(app = self.press.app, %release, applied_commit, page_count, "released");
        self.head.send_replace(Some(manifest.clone()));
        (self.released)(*release);
        if let Err(error) = self.press.objects.retain(limits::RELEASES_KEPT_ORIGIN) {
            tracing::warn!(app = self.press.app, cause = %error, "old releases are not tidied away");
        }
    }
}

#[cfg(test)]
mod tests;
