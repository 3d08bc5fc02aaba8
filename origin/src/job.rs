//! What is asked of the writer's thread. Each answer goes out after the commit that makes it true.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use nearside_host::spans::Traced;
use nearside_protocol::{
    digest::Digest,
    task_report::Steered,
    write::{IdempotencyKey, OutboxId, Outcome, Taken},
};
use tokio::sync::oneshot::Sender;

use crate::{
    install::{InstallError, Version},
    merge::{Ended, MergeError, Merging},
    seed::SeedError,
    tasks::{
        End, Queued, Sign,
        claim::Claims,
        history::StepRefused,
        steer::{NotSteered, Order},
    },
    writer::{Busy, EnqueueError},
};

pub(crate) enum Job {
    Command {
        command: Command,
        answer: Sender<Outcome>,
    },
    /// A command out of a node's outbox.
    Deferred {
        place: Place,
        command: Command,
        answer: Sender<Taken>,
    },
    /// A command that a node sent at this time (Unix, milliseconds) and after this commit, and had no answer for.
    Unsure {
        sent_at_ms: u64,
        sent_after: u64,
        command: Command,
        answer: Sender<Taken>,
    },
    Enqueue(Enqueue),
    /// Queues what is due by a cron, and takes the tasks there are places for.
    Claim {
        /// What is taken for now.
        now_ms: u64,
        answer: Sender<Result<Claims, Busy>>,
    },
    Finish {
        id: u64,
        lease: u64,
        end: End,
        answer: Sender<Result<bool, Busy>>,
    },
    /// Signs of life of attempts that run; the answer names the places of those that have lost their leases.
    Sign {
        signs: Vec<Sign>,
        answer: Sender<Result<Vec<usize>, Busy>>,
    },
    /// A named step of a task is done.
    Step {
        id: u64,
        lease: u64,
        name: String,
        result: String,
        answer: Sender<Result<Result<(), StepRefused>, Busy>>,
    },
    /// An operator's order.
    Steer {
        order: Order,
        answer: Sender<Result<Result<Steered, NotSteered>, Busy>>,
    },
    /// The read database holds everything up to this commit: the log of it can go.
    Projected {
        commit: u64,
    },
    TaskCounts {
        answer: Sender<Result<BTreeMap<String, u64>, Busy>>,
    },
    /// The three that have the store for themselves.
    Install {
        version: Arc<Version>,
        answer: Sender<Result<Vec<String>, InstallError>>,
    },
    Merge {
        merging: Merging,
        answer: Sender<Ended>,
    },
    Seed {
        /// What the text is called in messages.
        file: String,
        sql: String,
        answer: Sender<Result<(), SeedError>>,
    },
}

pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) payload: String,
    pub(crate) key: IdempotencyKey,
    pub(crate) fingerprint: Digest,
    /// The app version this was checked against, and what came of it; checked anew if the version has changed since.
    pub(crate) checked: Option<(Arc<Version>, Result<(), String>)>,
    pub(crate) accepted_at_ms: u64,
    pub(crate) traced: Option<Waits>,
}

/// Where the spans of a write go that is sampled, and since when it waits for the writer.
#[derive(Clone)]
pub(crate) struct Waits {
    pub(crate) traced: Traced,
    pub(crate) since: Instant,
}

impl Waits {
    pub(crate) fn from_now(traced: Option<Traced>) -> Option<Waits> {
        traced.map(|traced| Waits { traced, since: Instant::now() })
    }
}

/// A deferred command's place in its outbox.
pub(crate) struct Place {
    pub(crate) outbox: OutboxId,
    pub(crate) n: u64,
    /// The oldest that the outbox still has.
    pub(crate) oldest: u64,
    /// It was sent before it was deferred, and may have been applied then: after this commit.
    pub(crate) sent_after: Option<u64>,
}

pub(crate) struct Enqueue {
    pub(crate) name: String,
    pub(crate) payload: String,
    pub(crate) key: IdempotencyKey,
    pub(crate) fingerprint: Digest,
    pub(crate) traced: Option<Traced>,
    pub(crate) answer: Sender<Result<Queued, EnqueueError>>,
}

/// What a job of a group came to.
#[derive(Debug)]
pub(crate) enum Answer {
    Command(Outcome),
    Deferred(Taken),
    Enqueue(Result<Queued, EnqueueError>),
    Claim(Claims),
    Finish(bool),
    Sign(Vec<usize>),
    Step(Result<(), StepRefused>),
    Steer(Result<Steered, NotSteered>),
    Projected,
    TaskCounts(BTreeMap<String, u64>),
}

impl Job {
    /// Where the spans of a write go, if it is sampled.
    pub(crate) fn traced(&self) -> Option<&Traced> {
        match self {
            Job::Command { command, .. } | Job::Deferred { command, .. } | Job::Unsure { command, .. } => {
                command.traced.as_ref().map(|waits| &waits.traced)
            }
            Job::Enqueue(enqueue) => enqueue.traced.as_ref(),
            _ => None,
        }
    }

    /// Tells whoever asked; one who has gone meanwhile is not missed.
    pub(crate) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Job::Command { answer, .. }, Answer::Command(outcome)) => drop(answer.send(outcome)),
            (Job::Deferred { answer, .. } | Job::Unsure { answer, .. }, Answer::Deferred(taken)) => {
                drop(answer.send(taken))
            }
            (Job::Enqueue(enqueue), Answer::Enqueue(result)) => drop(enqueue.answer.send(result)),
            (Job::Claim { answer, .. }, Answer::Claim(claims)) => drop(answer.send(Ok(claims))),
            (Job::Finish { answer, .. }, Answer::Finish(ended)) => drop(answer.send(Ok(ended))),
            (Job::Sign { answer, .. }, Answer::Sign(lost)) => drop(answer.send(Ok(lost))),
            (Job::Step { answer, .. }, Answer::Step(kept)) => drop(answer.send(Ok(kept))),
            (Job::Steer { answer, .. }, Answer::Steer(steered)) => drop(answer.send(Ok(steered))),
            (Job::TaskCounts { answer }, Answer::TaskCounts(counts)) => drop(answer.send(Ok(counts))),
            (Job::Projected { .. }, Answer::Projected) => {}
            _ => unreachable!("BUG: a job is answered by an answer of its own kind"),
        }
    }

    /// Nothing was kept; the same may be asked again.
    pub(crate) fn refuse(self, busy: Busy) {
        match self {
            Job::Command { answer, .. } => drop(answer.send(Outcome::Retry { message: busy.0 })),
            Job::Deferred { answer, .. } | Job::Unsure { answer, .. } => {
                drop(answer.send(Taken::Retry { message: busy.0 }))
            }
            Job::Enqueue(enqueue) => drop(enqueue.answer.send(Err(busy.into()))),
            Job::Claim { answer, .. } => drop(answer.send(Err(busy))),
            Job::Finish { answer, .. } => drop(answer.send(Err(busy))),
            Job::Sign { answer, .. } => drop(answer.send(Err(busy))),
            Job::Step { answer, .. } => drop(answer.send(Err(busy))),
            Job::Steer { answer, .. } => drop(answer.send(Err(busy))),
            Job::TaskCounts { answer } => drop(answer.send(Err(busy))),
            Job::Install { answer, .. } => drop(answer.send(Err(InstallError::Stopped))),
            Job::Merge { answer, .. } => drop(answer.send((Err(MergeError::Stopped), None))),
            Job::Seed { answer, .. } => drop(answer.send(Err(SeedError::Stopped))),
            Job::Projected { .. } => {}
        }
    }
}
