//! The outbox's thread: all that came while the last commit waited for the disk goes into the next one.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_protocol::{limits, unix_time::now_ms};
use rusqlite::ErrorCode;
use tokio::sync::{mpsc, oneshot};

use super::{
    Class, NotTaken, Settled, Shared, StoreError, Ticket, ToTake, Took, Waiting,
    room::{Room, count},
    settling::Settling,
    store::{self, Known, Store},
    unsure,
};
use crate::working_clock::WorkingClock;

const GROUP: usize = 128;
const PURGE_EVERY: Duration = Duration::from_secs(60);

pub(super) enum Job {
    Take {
        class: Class,
        take: ToTake,
        answer: oneshot::Sender<Result<Took, NotTaken>>,
    },
    /// What the origin said; answered when it is recorded.
    Settle {
        app: String,
        settled: Vec<(u64, Settled)>,
        answer: oneshot::Sender<bool>,
    },
    /// What became of those that were unsure.
    SettleUnsure {
        settled: Vec<(u64, Settled)>,
        answer: oneshot::Sender<bool>,
    },
    /// The origin lacks all from this number on.
    Unsettle {
        app: String,
        from: u64,
        answer: oneshot::Sender<bool>,
    },
}

/// What a job will be answered once it is durable.
enum Done {
    Took(oneshot::Sender<Result<Took, NotTaken>>, Result<Took, NotTaken>),
    Recorded(oneshot::Sender<bool>),
    Settled(Vec<(Ticket, Settled)>, oneshot::Sender<bool>),
}

pub(super) struct Thread {
    store: Store,
    shared: Arc<Shared>,
    /// As they are with the group that is under way: others are to see what is committed.
    waiting: BTreeMap<String, Waiting>,
    unsure: BTreeMap<String, Waiting>,
    clock: WorkingClock,
    purged: Option<Instant>,
}

impl Thread {
    pub(super) fn start(store: Store, shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>) -> Result<(), StoreError> {
        let clock = store.clock()?;
        let (waiting, unsure) = (BTreeMap::new(), BTreeMap::new());
        let mut thread = Thread { store, shared, waiting, unsure, clock, purged: None };
        std::thread::Builder::new()
            .name("nearside-outbox".into())
            .spawn(move || {
                while let Some(first) = queue.blocking_recv() {
                    thread.group(first, &mut queue);
                }
            })
            .map(drop)
            .expect("BUG: a node that cannot start a thread cannot serve");
        Ok(())
    }

    fn group(&mut self, first: Job, queue: &mut mpsc::Receiver<Job>) {
        if let Some(why) = self.shared.closed().clone() {
            return refuse(first, NotTaken::Closed(why));
        }
        (self.waiting, self.unsure) = (self.shared.waiting().clone(), self.shared.unsure().clone());
        let mut done = Vec::new();
        let mut fault = self.store.connection.execute_batch("BEGIN IMMEDIATE").err();
        let mut next = Some(first);
        let mut left = Vec::new();
        while let Some(job) = next.take() {
            match fault {
                None => match self.run(job) {
                    Ok(this) => done.push(this),
                    Err((this, error)) => {
                        done.push(this);
                        fault = Some(error);
                    }
                },
                Some(_) => left.push(job),
            }
            if done.len() + left.len() < GROUP {
                next = queue.try_recv().ok();
            }
        }
        let committed = match fault {
            Some(error) => Err((error, false)),
            None => self.commit().map_err(|error| (error, true)),
        };
        match committed {
            Ok(()) => {
                *self.shared.waiting() = std::mem::take(&mut self.waiting);
                let unsure_before = std::mem::replace(&mut *self.shared.unsure(), self.unsure.clone());
                done.into_iter().for_each(|done| done.tell(&self.shared.settling));
                self.shared.due.notify_one();
                if self.unsure != unsure_before {
                    self.shared.asked.notify_one();
                }
            }
            Err((error, at_commit)) => {
                tracing::error!(cause = %error, "the outbox has saved nothing of a group, and acknowledged none of it");
                // Where the disk failed, nobody knows what it holds; where it is only full, all is as it was.
                let is_full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                if !self.store.connection.is_autocommit() && self.store.connection.execute_batch("ROLLBACK").is_err()
                    || (at_commit && !is_full)
                {
                    *self.shared.closed() = Some(error.to_string());
                }
                done.into_iter().for_each(|done| done.refuse(&error));
                left.into_iter().for_each(|job| refuse(job, NotTaken::Disk(error.to_string())));
            }
        }
    }

    fn run(&mut self, job: Job) -> Result<Done, (Done, rusqlite::Error)> {
        match job {
            Job::Take { class, take, answer } => match self.take(class, &take) {
                Ok(took) => Ok(Done::Took(answer, took)),
                Err(error) => Err((Done::Took(answer, Err(NotTaken::Disk(error.to_string()))), error)),
            },
            Job::SettleUnsure { settled, answer } => match self.settle_unsure(&settled) {
                Ok(()) => Ok(Done::Recorded(answer)),
                Err(error) => Err((Done::Recorded(answer), error)),
            },
            Job::Settle { app, settled, answer } => match self.settle(&app, settled) {
                Ok(settled) => Ok(Done::Settled(settled, answer)),
                Err(error) => Err((Done::Recorded(answer), error)),
            },
            Job::Unsettle { app, from, answer } => match self.unsettle(&app, from) {
                Ok(()) => Ok(Done::Recorded(answer)),
                Err(error) => Err((Done::Recorded(answer), error)),
            },
        }
    }

    fn take(&mut self, class: Class, take: &ToTake) -> rusqlite::Result<Result<Took, NotTaken>> {
        let connection = &self.store.connection;
        let (known, waiting) = match class {
            Class::Saved => (store::look_up(connection, take)?, &mut self.waiting),
            Class::Unsure => (unsure::look_up(connection, take)?, &mut self.unsure),
        };
        match known {
            Known::Same(ticket) => return Ok(Ok(Took::Saved(ticket))),
            Known::Other => return Ok(Ok(Took::KeyConflict)),
            Known::Nothing => {}
        }
        if let Some(what) = Room::of(class).lacks(waiting, take) {
            return Ok(Err(NotTaken::Full { what }));
        }
        let now_ms = now_ms();
        let ticket = match class {
            Class::Saved => store::insert(connection, take, now_ms)?,
            Class::Unsure => unsure::insert(connection, take, now_ms)?,
        };
        count(waiting, take, now_ms);
        Ok(Ok(Took::Saved(ticket)))
    }

    fn settle(&mut self, app: &str, settled: Vec<(u64, Settled)>) -> rusqlite::Result<Vec<(Ticket, Settled)>> {
        let connection = &self.store.connection;
        let (worked_ms, mut bytes, mut told) = (self.clock.now_ms(), 0, Vec::with_capacity(settled.len()));
        for (n, settled) in settled {
            if let Some((ticket, weight)) = store::settle(connection, app, n, &settled, worked_ms)? {
                bytes += weight;
                told.push((ticket, settled));
            }
        }
        let oldest_at_ms = store::oldest_at_ms(connection, app)?;
        if let Some(of_app) = self.waiting.get_mut(app) {
            of_app.writes = of_app.writes.saturating_sub(told.len() as u64);
            of_app.bytes = of_app.bytes.saturating_sub(bytes);
            of_app.oldest_at_ms = oldest_at_ms;
        }
        // That nothing waits is for the file to say, not for a sum.
        if oldest_at_ms.is_none() {
            self.waiting.remove(app);
        }
        Ok(told)
    }

    fn unsettle(&mut self, app: &str, from: u64) -> rusqlite::Result<()> {
        let count = store::unsettle(&self.store.connection, app, from)?;
        tracing::warn!(%app, count, from, "the origin lacks deferred writes it had: they are delivered again");
        self.waiting = self.store.waiting().map_err(StoreError::into_sqlite)?;
        Ok(())
    }

    fn settle_unsure(&mut self, settled: &[(u64, Settled)]) -> rusqlite::Result<()> {
        let connection = &self.store.connection;
        let worked_ms = self.clock.now_ms();
        settled.iter().try_for_each(|(n, settled)| unsure::settle(connection, *n, settled, worked_ms))?;
        self.unsure = unsure::waiting(connection)?;
        Ok(())
    }

    fn commit(&mut self) -> rusqlite::Result<()> {
        if self.purged.is_none_or(|at| at.elapsed() > PURGE_EVERY) {
            let (connection, before) = (&self.store.connection, self.clock.ago_ms(limits::OUTBOX_SETTLED_KEPT));
            store::note_worked_ms(connection, self.clock.now_ms())?;
            store::purge(connection, before)?;
            unsure::purge(connection, before)?;
            self.purged = Some(Instant::now());
        }
        self.store.connection.execute_batch("COMMIT")
    }
}

fn refuse(job: Job, why: NotTaken) {
    match job {
        Job::Take { answer, .. } => drop(answer.send(Err(why))),
        Job::Settle { answer, .. } | Job::SettleUnsure { answer, .. } | Job::Unsettle { answer, .. } => {
            let _ = answer.send(false);
        }
    }
}

impl Done {
    fn tell(self, settling: &Settling) {
        match self {
            Done::Settled(settled, answer) => {
                settled.iter().for_each(|(ticket, settled)| settling.tell(ticket, settled));
                let _ = answer.send(true);
            }
            Done::Took(answer, took) => drop(answer.send(took)),
            Done::Recorded(answer) => drop(answer.send(true)),
        }
    }

    fn refuse(self, error: &rusqlite::Error) {
        match self {
            Done::Took(answer, _) => drop(answer.send(Err(NotTaken::Disk(error.to_string())))),
            Done::Recorded(answer) | Done::Settled(_, answer) => drop(answer.send(false)),
        }
    }
}
