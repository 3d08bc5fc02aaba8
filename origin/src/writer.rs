//! The one way into an app's write store: a thread owns the connection, and everyone else sends it jobs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nearside_host::{
    archive::Archive,
    beside::beside,
    engine::Engine,
    spans::{Traced, Tracer},
};
use nearside_protocol::{
    digest::{Digest, PartsHasher},
    limits,
    release::DatabaseId,
    task_report::Steered,
    unix_time::now_ms,
    write::{Deferred, Delivery, IdempotencyKey, Outcome, Taken, Unsure},
};
use rusqlite::Connection;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::{
    group,
    install::{InstallError, Version},
    job::{Command, Enqueue, Job, Place, Waits},
    merge::{MergeError, Merging},
    seed::SeedError,
    store::{self, Meta, StoreError},
    tasks::{
        End, Queued, Sign,
        claim::Claims,
        history::StepRefused,
        steer::{NotSteered, Order},
    },
    trail::Trail,
};

/// The writer cannot take more, or is gone. Nothing was done; asking again is safe.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Busy(pub String);

impl Busy {
    fn full() -> Busy {
        Busy(format!("{} writes are waiting already; try again", limits::WRITER_QUEUE))
    }

    fn stopped() -> Busy {
        Busy("the writer has stopped".into())
    }
}

/// Why a task was not queued.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EnqueueError {
    #[error("the app has no task `{0}`")]
    UnknownTask(String),
    #[error("{0}")]
    InvalidPayload(String),
    #[error("the idempotency key was used before, with something else")]
    KeyConflict,
    #[error("{0} tasks are waiting already; no more are taken until some are done", limits::TASKS_WAITING)]
    Full,
    #[error(transparent)]
    Retry(#[from] Busy),
}

impl EnqueueError {
    pub(crate) fn not_yet() -> EnqueueError {
        EnqueueError::Retry(Busy("no version of the app is installed yet".into()))
    }
}

/// A handle to the writer's thread of one app; the thread ends when the last handle is gone.
#[derive(Clone)]
pub struct Writer {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
    commits: watch::Receiver<u64>,
    version: watch::Receiver<Option<Arc<Version>>>,
    engine: Engine,
    tasks_due: Arc<Notify>,
    transactions: Arc<AtomicU64>,
    trail: Arc<Trail>,
    database: DatabaseId,
    epoch: u64,
}

impl Writer {
    /// Opens the store and starts its thread. Tasks that ran when the origin last stopped become due again.
    ///
    /// Until [`Writer::install`] has been called with the app's current archive, commands are answered `Retry`.
    pub fn start(path: &Path, engine: Engine) -> Result<Writer, StoreError> {
        Writer::over(path, store::open(path)?, engine)
    }

    /// The same on a store that is open already.
    pub(crate) fn over(path: &Path, connection: Connection, engine: Engine) -> Result<Writer, StoreError> {
        let meta = store::meta(&connection)?;
        let (jobs, queue) = mpsc::channel(limits::WRITER_QUEUE);
        let (commits_out, commits) = watch::channel(meta.commit);
        let (version_out, version) = watch::channel(None);
        let tasks_due = Arc::new(Notify::new());
        let transactions = Arc::new(AtomicU64::new(0));
        let trail = Arc::new(Trail::default());
        let seats = group::Seats {
            commits: commits_out,
            version: version_out,
            tasks_due: tasks_due.clone(),
            transactions: transactions.clone(),
            trail: trail.clone(),
        };
        group::start(path, connection, queue, seats)?;
        let Meta { database, epoch, .. } = meta;
        let path = path.to_owned();
        Ok(Writer { path, jobs, commits, version, engine, tasks_due, transactions, trail, database, epoch })
    }

    pub fn database(&self) -> &DatabaseId {
        &self.database
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of the last commit, as it moves.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// How often it has waited for the disk since it started. A group of any size that keeps something waits once.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Of writes that are traced.
    pub(crate) fn trail(&self) -> &Arc<Trail> {
        &self.trail
    }

    /// The app version that commands and tasks run, as it changes.
    pub(crate) fn version(&self) -> watch::Receiver<Option<Arc<Version>>> {
        self.version.clone()
    }

    /// Rings when a task may have become due.
    pub(crate) fn tasks_due(&self) -> &Notify {
        &self.tasks_due
    }

    /// Applies a command exactly once for its key; answers when it is durable.
    pub async fn submit(&self, name: &str, payload: &str, key: &IdempotencyKey) -> Outcome {
        self.submit_at(name, payload, key, now_ms()).await
    }

    /// The same for one that is traced.
    pub(crate) async fn submit_traced(
        &self,
        name: &str,
        payload: &str,
        key: &IdempotencyKey,
        traced: Option<Traced>,
    ) -> Outcome {
        self.submit_command(self.command(name, payload, key, now_ms(), traced)).await
    }

    /// The same, with the moment the command takes for now.
    pub(crate) async fn submit_at(
        &self,
        name: &str,
        payload: &str,
        key: &IdempotencyKey,
        accepted_at_ms: u64,
    ) -> Outcome {
        self.submit_command(self.command(name, payload, key, accepted_at_ms, None)).await
    }

    async fn submit_command(&self, command: Command) -> Outcome {
        let (answer, reply) = oneshot::channel();
        match self.jobs.try_send(Job::Command { command, answer }) {
            Err(mpsc::error::TrySendError::Full(_)) => Outcome::Retry { message: Busy::full().0 },
            Err(mpsc::error::TrySendError::Closed(_)) => Outcome::Retry { message: Busy::stopped().0 },
            Ok(()) => reply.await.unwrap_or_else(|_| Outcome::Retry { message: Busy::stopped().0 }),
        }
    }

    /// Applies what a node has deferred, in its order, up to the first that is not settled.
    pub async fn deliver(&self, delivery: Delivery, tracer: &Tracer) -> Vec<Taken> {
        let mut replies = Vec::with_capacity(delivery.writes.len());
        for Deferred { n, command, payload, key, accepted_at_ms, sent_after, traced } in delivery.writes {
            // A node's clock may be ahead.
            let at_ms = accepted_at_ms.min(now_ms());
            let command = self.command(&command, &payload, &key, at_ms, tracer.continued(traced));
            let place = Place { outbox: delivery.outbox.clone(), n, oldest: delivery.oldest, sent_after };
            let (answer, reply) = oneshot::channel();
            // A node that is behind can wait; those who wait for an answer go first.
            let Ok(room) = self.jobs.try_reserve() else { break };
            room.send(Job::Deferred { place, command, answer });
            replies.push(reply);
        }
        let mut taken = Vec::with_capacity(replies.len());
        for reply in replies {
            let this = reply.await.unwrap_or_else(|_| Taken::Retry { message: Busy::stopped().0 });
            let is_settled = matches!(this, Taken::Settled { .. } | Taken::Forgotten);
            taken.push(this);
            if !is_settled {
                break;
            }
        }
        if taken.is_empty() {
            taken.push(Taken::Retry { message: Busy::full().0 });
        }
        taken
    }

    /// What became of a command that a node sent and had no answer for.
    pub async fn find_out(&self, unsure: Unsure, tracer: &Tracer) -> Taken {
        let Unsure { command, payload, key, sent_at_ms, sent_after, traced } = unsure;
        let command = self.command(&command, &payload, &key, now_ms(), tracer.continued(traced));
        let (answer, reply) = oneshot::channel();
        match self.jobs.try_send(Job::Unsure { sent_at_ms, sent_after, command, answer }) {
            Err(mpsc::error::TrySendError::Full(_)) => Taken::Retry { message: Busy::full().0 },
            Err(mpsc::error::TrySendError::Closed(_)) => Taken::Retry { message: Busy::stopped().0 },
            Ok(()) => reply.await.unwrap_or_else(|_| Taken::Retry { message: Busy::stopped().0 }),
        }
    }

    fn command(
        &self,
        name: &str,
        payload: &str,
        key: &IdempotencyKey,
        accepted_at_ms: u64,
        traced: Option<Traced>,
    ) -> Command {
        let version = self.version.borrow().clone();
        let checked = version.map(|version| {
            let verdict = version.check_command(name, payload);
            (version, verdict)
        });
        Command {
            name: name.to_owned(),
            payload: payload.to_owned(),
            key: key.clone(),
            fingerprint: fingerprint("command", name, payload),
            checked,
            accepted_at_ms,
            traced: Waits::from_now(traced),
        }
    }

    /// Queues a task once for its key; answers when it is durable.
    pub async fn enqueue_task(&self, name: &str, payload: &str, key: &IdempotencyKey) -> Result<Queued, EnqueueError> {
        self.enqueue_traced(name, payload, key, None).await
    }

    /// The same for one that is traced.
    pub(crate) async fn enqueue_traced(
        &self,
        name: &str,
        payload: &str,
        key: &IdempotencyKey,
        traced: Option<Traced>,
    ) -> Result<Queued, EnqueueError> {
        let (answer, reply) = oneshot::channel();
        let enqueue = Enqueue {
            name: name.to_owned(),
            payload: payload.to_owned(),
            key: key.clone(),
            fingerprint: fingerprint("task", name, payload),
            traced,
            answer,
        };
        self.jobs.try_send(Job::Enqueue(enqueue)).map_err(refused)?;
        reply.await.unwrap_or_else(|_| Err(Busy::stopped().into()))
    }

    /// Makes an archive the version that commands and tasks run: its new migrations and the change log's triggers, in
    /// one transaction. Doing it again with the same archive changes nothing. Gives a report, a line for each thing done.
    pub async fn install(
        &self,
        archive: Arc<Archive>,
        variables: BTreeMap<String, String>,
    ) -> Result<Vec<String>, InstallError> {
        let engine = self.engine.clone();
        let load = move || Version::load(&engine, &archive, variables);
        let version = tokio::task::spawn_blocking(load).await.map_err(|_| InstallError::stopped())??;
        self.install_version(Arc::new(version)).await
    }

    /// The same version again, once the migrations of one that is tried out beside it have run; the change log is for what both
    /// mirror.
    pub(crate) async fn install_beside(
        &self,
        archive: Arc<Archive>,
        variables: BTreeMap<String, String>,
        migrations: Vec<(String, String)>,
        mirror: BTreeMap<String, Vec<String>>,
    ) -> Result<Vec<String>, InstallError> {
        let engine = self.engine.clone();
        let load =
            move || Ok::<_, InstallError>(Version::load(&engine, &archive, variables)?.beside(migrations, mirror));
        let version = tokio::task::spawn_blocking(load).await.map_err(|_| InstallError::stopped())??;
        self.install_version(Arc::new(version)).await
    }

    pub(crate) async fn install_version(&self, version: Arc<Version>) -> Result<Vec<String>, InstallError> {
        let (answer, reply) = oneshot::channel();
        let job = Job::Install { version, answer };
        self.jobs.send(job).await.map_err(|_| InstallError::stopped())?;
        reply.await.map_err(|_| InstallError::stopped())?
    }

    /// Makes the tables of `[data]` equal to those of a SQLite file, row by row, in one commit; or changes nothing and
    /// says why. Gives a report, a line for each table.
    pub async fn merge(&self, file: &Path) -> Result<Vec<String>, MergeError> {
        // Said before anybody looks through the file.
        let takes_data = self.version.borrow().as_ref().map(|version| !version.app.data.is_empty());
        match takes_data {
            None => return Err(MergeError::NoApp),
            Some(false) => return Err(MergeError::TakesNone),
            Some(true) => {}
        }
        let (store, file) = (self.path.clone(), file.to_owned());
        let merging = beside(move || Merging::open(&store, &file)).await.map_err(|_| MergeError::Stopped)??;
        let (answer, reply) = oneshot::channel();
        self.jobs.send(Job::Merge { merging, answer }).await.map_err(|_| MergeError::Stopped)?;
        let (merged, merging) = reply.await.map_err(|_| MergeError::Stopped)?;
        drop(beside(move || drop(merging)));
        merged
    }

    /// Runs an SQL file that brings rows, in one commit; or changes nothing and says why.
    pub async fn seed(&self, file: &str, sql: &str) -> Result<(), SeedError> {
        let (answer, reply) = oneshot::channel();
        let job = Job::Seed { file: file.to_owned(), sql: sql.to_owned(), answer };
        self.jobs.send(job).await.map_err(|_| SeedError::Stopped)?;
        reply.await.map_err(|_| SeedError::Stopped)?
    }

    /// Tells the writer that the read database holds, durably, everything up to `commit`, so that the change log up to
    /// there can go. Losing this message is harmless: the next one covers it.
    pub fn projected(&self, commit: u64) {
        let _ = self.jobs.try_send(Job::Projected { commit });
    }

    /// Tasks by state: due, running, done, dead.
    pub async fn task_counts(&self) -> Result<BTreeMap<String, u64>, Busy> {
        self.ask(|answer| Job::TaskCounts { answer }).await
    }

    /// Queues what is due by a cron at this moment, and takes the tasks there are places for.
    pub(crate) async fn claim_at(&self, now_ms: u64) -> Result<Claims, Busy> {
        self.ask(|answer| Job::Claim { now_ms, answer }).await
    }

    /// Ends an attempt; false when the lease is no longer the one it ran under, and nothing was done.
    pub(crate) async fn finish(&self, id: u64, lease: u64, end: End) -> Result<bool, Busy> {
        self.ask(|answer| Job::Finish { id, lease, end, answer }).await
    }

    /// Renews leases; gives the places of those that are lost.
    pub(crate) async fn sign(&self, signs: Vec<Sign>) -> Result<Vec<usize>, Busy> {
        self.ask(|answer| Job::Sign { signs, answer }).await
    }

    /// Records a named step of a task; answers when it is durable.
    pub(crate) async fn step(
        &self,
        (id, lease): (u64, u64),
        name: String,
        result: String,
    ) -> Result<Result<(), StepRefused>, Busy> {
        self.ask(|answer| Job::Step { id, lease, name, result, answer }).await
    }

    /// Follows an operator's order.
    pub(crate) async fn steer(&self, order: Order) -> Result<Result<Steered, NotSteered>, Busy> {
        self.ask(|answer| Job::Steer { order, answer }).await
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.jobs.is_closed()
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Result<T, Busy>>) -> Job) -> Result<T, Busy> {
        let (answer, reply) = oneshot::channel();
        self.jobs.send(job(answer)).await.map_err(|_| Busy::stopped())?;
        reply.await.map_err(|_| Busy::stopped())?
    }
}

fn refused(error: mpsc::error::TrySendError<Job>) -> EnqueueError {
    EnqueueError::Retry(match error {
        mpsc::error::TrySendError::Full(_) => Busy::full(),
        mpsc::error::TrySendError::Closed(_) => Busy::stopped(),
    })
}

/// What a key stands for: the same key with another fingerprint is a conflict.
fn fingerprint(kind: &str, name: &str, payload: &str) -> Digest {
    PartsHasher::default().part(kind.as_bytes()).part(name.as_bytes()).part(payload.as_bytes()).finish()
}

#[cfg(test)]
mod tests;
