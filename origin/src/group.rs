//! The writer's thread: it takes whatever has queued, does it in one transaction, and answers after the commit.
//!
//! A commit costs one wait for the disk, however much is in it. So there is no timer: while one group is being made
//! durable, the next one queues. Each command has a savepoint of its own, so that what one does wrong is undone alone.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use nearside_host::{
    spans::{Kind, Traced},
    sql::{Grant, Guarded},
    working_clock::WorkingClock,
};
use nearside_protocol::{limits, unix_time::now_ms, write::Outcome};
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    dedupe,
    entry::{Done, Entries, Step},
    install::{self, InstallError, Version},
    job::Job,
    merge::{MergeError, Merging},
    seed::{self, SeedError},
    store::{self, StoreError},
    tasks,
    trail::Trail,
    writer::Busy,
};

/// Where the thread tells others what it has done.
pub(crate) struct Seats {
    pub(crate) commits: watch::Sender<u64>,
    pub(crate) version: watch::Sender<Option<Arc<Version>>>,
    pub(crate) tasks_due: Arc<Notify>,
    /// Waits for the disk since the start: one for each group that kept anything.
    pub(crate) transactions: Arc<AtomicU64>,
    /// Of writes that are traced.
    pub(crate) trail: Arc<Trail>,
}

/// Starts the thread. It ends when the queue's last sender is gone and the queue is empty.
pub(crate) fn start(
    path: &Path,
    connection: Connection,
    queue: mpsc::Receiver<Job>,
    seats: Seats,
) -> Result<(), StoreError> {
    tasks::recover(&connection, now_ms(), chance())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StoreError::Thread)?;
    let meta = store::meta(&connection)?;
    let secret = store::secret(&connection)?;
    let clock = WorkingClock::start(store::worked_ms(&connection)?);
    let entries = Entries {
        guarded: Some(Guarded::new(connection, Grant::Write)?),
        runtime,
        database: meta.database,
        epoch: meta.epoch,
        secret,
        clock,
        version: None,
    };
    let thread = Thread { path: path.to_owned(), entries, commit: meta.commit, seats, purged_at: None };
    std::thread::Builder::new()
        .name("nearside-writer".into())
        .spawn(move || thread.run(queue))
        .map(drop)
        .map_err(StoreError::Thread)
}

struct Thread {
    path: PathBuf,
    entries: Entries,
    commit: u64,
    seats: Seats,
    purged_at: Option<Instant>,
}

impl Thread {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut next = queue.blocking_recv();
        while let Some(job) = next.take() {
            match job {
                Job::Install { version, answer } => {
                    let _ = answer.send(self.install(version));
                }
                Job::Merge { mut merging, answer } => {
                    let merged = self.merge(&mut merging);
                    // Closed by whoever asked.
                    let _ = answer.send((merged, Some(merging)));
                }
                Job::Seed { file, sql, answer } => {
                    let _ = answer.send(self.seed(&file, &sql));
                }
                job => next = self.group(job, &mut queue),
            }
            if next.is_none() {
                next = queue.blocking_recv();
            }
        }
    }

    /// One group, beginning with `first`; gives back a job that must have the store for itself, if one came.
    fn group(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) -> Option<Job> {
        let mut group = Group::new(self.commit + 1);
        let started = Instant::now();
        let mut held = None;
        let mut next = Some(first);
        let mut fault = self.begin().err();
        while let Some(job) = next.take() {
            group.jobs.push(job);
            if fault.is_none() {
                fault = self.add(&mut group).err();
            }
            if group.jobs.len() == limits::COMMIT_GROUP || started.elapsed() > limits::COMMIT_GROUP_WORK {
                break;
            }
            match queue.try_recv() {
                Ok(job @ (Job::Install { .. } | Job::Merge { .. } | Job::Seed { .. })) => held = Some(job),
                Ok(job) => next = Some(job),
                Err(_) => {}
            }
        }
        match fault.or_else(|| self.commit(&group).err()) {
            None => self.answer(group),
            Some(fault) if fault.is_constraint() => self.one_by_one(group),
            Some(fault) => self.refuse(group, &fault),
        }
        held
    }

    fn begin(&mut self) -> Result<(), Fault> {
        Ok(self.entries.trusted(|connection| connection.execute_batch("BEGIN IMMEDIATE"))?)
    }

    /// Does the group's last job. If that tears the transaction, all of them are done again in a new one, the culprit
    /// with its verdict: nothing has been answered yet.
    fn add(&mut self, group: &mut Group) -> Result<(), Fault> {
        let at = group.done.len();
        match self.entries.run(&group.jobs[at], group.number, None)? {
            Step::Done(done) => group.done.push(done),
            Step::Torn(verdict) => {
                group.verdicts.insert(at, verdict);
                self.again(group)?;
            }
        }
        Ok(())
    }

    fn again(&mut self, group: &mut Group) -> Result<(), Fault> {
        group.done.clear();
        self.begin()?;
        for (at, job) in group.jobs.iter().enumerate() {
            match self.entries.run(job, group.number, group.verdicts.get(&at))? {
                Step::Done(done) => group.done.push(done),
                Step::Torn(_) => return Err(Fault::TornAgain),
            }
        }
        Ok(())
    }

    /// A deferred foreign key is judged at the commit, for the whole group at once. So each job gets a commit of its
    /// own, and the one that cannot have it has failed.
    fn one_by_one(&mut self, mut group: Group) {
        self.roll_back();
        for (at, job) in group.jobs.into_iter().enumerate() {
            let mut alone = Group::new(self.commit + 1);
            alone.jobs.push(job);
            alone.verdicts.extend(group.verdicts.remove(&at).map(|verdict| (0, verdict)));
            let mut fault = self.again(&mut alone).and_then(|()| self.commit(&alone)).err();
            if fault.as_ref().is_some_and(Fault::is_constraint) {
                self.roll_back();
                let message = "it leaves rows that point to rows that are not there".to_owned();
                alone.verdicts.insert(0, Outcome::Failed { message });
                fault = self.again(&mut alone).and_then(|()| self.commit(&alone)).err();
            }
            match fault {
                None => self.answer(alone),
                Some(fault) => self.refuse(alone, &fault),
            }
        }
    }

    fn commit(&mut self, group: &Group) -> Result<(), Fault> {
        let began = Instant::now();
        let counts = group.done.iter().any(|done| done.counts);
        let purge = self.purged_at.is_none_or(|at| at.elapsed() > limits::PURGE_EVERY);
        if !group.done.iter().any(|done| done.wrote) {
            return Ok(self.entries.trusted(|connection| connection.execute_batch("ROLLBACK"))?);
        }
        let clock = self.entries.clock;
        let purged = self.entries.trusted(|connection| {
            if counts {
                store::count_commit(connection)?;
            }
            let mut purged = 0;
            if purge {
                store::note_worked_ms(connection, clock.now_ms())?;
                purged = dedupe::purge(connection, clock.ago_ms(limits::DEDUPE_KEPT))?;
                purged = purged.max(tasks::purge(connection, now_ms())?);
            }
            connection.execute_batch("COMMIT").map(|()| purged)
        })?;
        self.seats.transactions.fetch_add(1, Ordering::Relaxed);
        // Where keys and tasks end faster than a turn forgets them, the next group goes on.
        if purge && purged < limits::PURGE_ROWS {
            self.purged_at = Some(Instant::now());
        }
        if counts {
            self.commit = group.number;
        }
        group.trace(began, &self.seats.trail);
        Ok(())
    }

    fn answer(&mut self, group: Group) {
        self.seats.commits.send_if_modified(|commit| std::mem::replace(commit, self.commit) != self.commit);
        if group.done.iter().any(|done| done.queued_task) {
            self.seats.tasks_due.notify_one();
        }
        for (job, done) in group.jobs.into_iter().zip(group.done) {
            job.answer(done.answer);
        }
    }

    /// Nothing of the group is kept, and all are told so.
    fn refuse(&mut self, group: Group, fault: &Fault) {
        tracing::error!(cause = %fault, jobs = group.jobs.len(), "a group was not committed; its senders may try again");
        self.roll_back();
        let busy = Busy("the store failed to commit; nothing was kept".into());
        group.jobs.into_iter().for_each(|job| job.refuse(busy.clone()));
    }

    fn roll_back(&mut self) {
        self.entries.trusted(|connection| {
            if !connection.is_autocommit()
                && let Err(error) = connection.execute_batch("ROLLBACK")
            {
                tracing::error!(cause = %error, "a failed group is not rolled back");
            }
        });
    }

    fn install(&mut self, version: Arc<Version>) -> Result<Vec<String>, InstallError> {
        let installed = install::apply(&self.path, &version)?;
        // Plans of statements prepared under the old schema show its columns.
        self.entries.trusted(|connection| connection.flush_prepared_statement_cache());
        self.entries.version = Some(version.clone());
        self.seats.version.send_replace(Some(version));
        self.seats.tasks_due.notify_one();
        self.committed(installed.commit);
        Ok(installed.report)
    }

    fn merge(&mut self, merging: &mut Merging) -> Result<Vec<String>, MergeError> {
        let version = self.entries.version.as_ref().ok_or(MergeError::NoApp)?;
        let merged = merging.run(&version.app.data)?;
        self.committed(merged.commit);
        Ok(merged.report)
    }

    fn seed(&mut self, file: &str, sql: &str) -> Result<(), SeedError> {
        if self.entries.version.is_none() {
            return Err(SeedError::NoApp);
        }
        let commit = seed::run(&self.path, file, sql)?;
        self.committed(Some(commit));
        Ok(())
    }

    fn committed(&mut self, commit: Option<u64>) {
        if let Some(commit) = commit {
            self.commit = commit;
            self.seats.commits.send_replace(commit);
        }
    }
}

/// Jobs of one commit, and what came of those done so far.
struct Group {
    number: u64,
    jobs: Vec<Job>,
    done: Vec<Done>,
    /// Of the commands that cannot be in a transaction with others, by place.
    verdicts: BTreeMap<usize, Outcome>,
}

impl Group {
    fn new(number: u64) -> Group {
        Group { number, jobs: Vec::new(), done: Vec::new(), verdicts: BTreeMap::new() }
    }

    /// Notes the commit in the trace of each that has one. What it shares the commit with is linked.
    fn trace(&self, began: Instant, trail: &Trail) {
        let kept = self.jobs.iter().zip(&self.done).filter(|(_, done)| done.wrote);
        let traced: Vec<(&Traced, bool)> = kept.filter_map(|(job, done)| Some((job.traced()?, done.counts))).collect();
        for (own, counts) in &traced {
            let mut span = own.span(Kind::Internal, format!("commit {}", self.number)).since(began);
            span.set("nearside.commit", self.number);
            span.set("nearside.commit.jobs", self.jobs.len());
            let others = traced.iter().map(|(other, _)| other.context()).filter(|other| *other != own.context());
            others.take(limits::SPAN_LINKS).for_each(|other| span.link(other));
            if *counts {
                trail.committed(self.number, span.traced());
            }
        }
    }
}

/// Why a group was not committed.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("a command that went well at first tore the transaction when it was done again")]
    TornAgain,
}

impl Fault {
    fn is_constraint(&self) -> bool {
        matches!(self, Fault::Sqlite(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation))
    }
}

/// Eight bytes of the operating system's randomness.
pub(crate) fn chance() -> u64 {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("BUG: an operating system without randomness cannot serve");
    u64::from_le_bytes(bytes)
}
