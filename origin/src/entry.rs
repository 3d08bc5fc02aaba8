//! One job inside a group's transaction.

use std::{collections::BTreeMap, sync::Arc};

use nearside_host::{
    spans::{Kind, Traced, within},
    sql::Guarded,
    working_clock::WorkingClock,
};
use nearside_protocol::{
    digest::{Digest, PartsHasher},
    limits,
    release::DatabaseId,
    unix_time::now_ms,
    write::{Enqueued, Outcome, Receipt, Taken},
};
use rusqlite::Connection;

use crate::{
    change_log,
    command::{self, Applied, Call},
    dedupe::{self, Known},
    deferred::{self, Standing},
    group::chance,
    install::Version,
    job::{Answer, Command, Enqueue, Job, Place},
    kept::Kept,
    tasks::{self, Moment, claim::Claims, crons, history, steer},
    writer::EnqueueError,
};

/// What jobs are done with.
pub(crate) struct Entries {
    /// Away only while a command has it.
    pub(crate) guarded: Option<Guarded>,
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) database: DatabaseId,
    pub(crate) epoch: u64,
    pub(crate) secret: [u8; 32],
    pub(crate) clock: WorkingClock,
    pub(crate) version: Option<Arc<Version>>,
}

/// Around each command, whatever it does is undone alone.
const SAVEPOINT: &str = "SAVEPOINT _nearside_command";
const UNDO: &str = "ROLLBACK TO _nearside_command";
const RELEASE: &str = "RELEASE _nearside_command";

/// How a job went inside the transaction.
pub(crate) enum Step {
    Done(Done),
    /// SQLite rolled the whole transaction back. The verdict is what this command will be told.
    Torn(Outcome),
}

pub(crate) struct Done {
    pub(crate) answer: Answer,
    /// Something is to be made durable,
    pub(crate) wrote: bool,
    /// and it is the app's: the group gets a commit number.
    pub(crate) counts: bool,
    pub(crate) queued_task: bool,
}

impl Done {
    fn read(answer: Answer) -> Step {
        Step::Done(Done { answer, wrote: false, counts: false, queued_task: false })
    }

    fn kept(answer: Answer, wrote: bool) -> Step {
        Step::Done(Done { answer, wrote, counts: false, queued_task: false })
    }
}

impl Entries {
    /// The store, for statements of the origin's own; those that are to stay prepared go through [`Kept`].
    pub(crate) fn trusted<T>(&mut self, work: impl FnOnce(&Connection) -> T) -> T {
        let guarded = self.guarded.as_mut().expect("BUG: commands give the connection back");
        guarded.trusted(|connection| work(connection))
    }

    /// Does one job. `number` is the commit's if it counts; `verdict` stands for a command that has torn this group's
    /// transaction before.
    pub(crate) fn run(&mut self, job: &Job, number: u64, verdict: Option<&Outcome>) -> rusqlite::Result<Step> {
        match job {
            Job::Command { command, .. } => self.command(command, number, verdict),
            Job::Deferred { place, command, .. } => self.deferred(place, command, number, verdict),
            Job::Unsure { sent_at_ms, sent_after, command, .. } => {
                self.unsure(*sent_at_ms, *sent_after, command, number, verdict)
            }
            Job::Enqueue(enqueue) => self.enqueue(enqueue, number),
            Job::Claim { now_ms, .. } => self.claim(*now_ms),
            Job::Finish { id, lease, end, .. } => self.trusted(|connection| {
                let ended = tasks::finish(connection, *id, *lease, end, now_ms(), chance())?;
                Ok(Done::kept(Answer::Finish(ended), ended))
            }),
            Job::Sign { signs, .. } => {
                let at = self.moment(now_ms());
                self.trusted(|connection| {
                    let lost = tasks::sign(connection, signs, at)?;
                    let wrote = lost.len() < signs.len();
                    Ok(Done::kept(Answer::Sign(lost), wrote))
                })
            }
            Job::Step { id, lease, name, result, .. } => self.trusted(|connection| {
                let kept = history::step(connection, (*id, *lease), name, result, now_ms())?;
                let wrote = kept.is_ok();
                Ok(Done::kept(Answer::Step(kept), wrote))
            }),
            Job::Steer { order, .. } => self.steer(order),
            Job::Projected { commit } => self.trusted(|connection| {
                let trimmed = change_log::trim(connection, *commit)?;
                Ok(Done::kept(Answer::Projected, trimmed > 0))
            }),
            Job::TaskCounts { .. } => {
                self.trusted(|connection| Ok(Done::read(Answer::TaskCounts(tasks::counts(connection)?))))
            }
            Job::Install { .. } | Job::Merge { .. } | Job::Seed { .. } => {
                unreachable!("BUG: these are not part of a group")
            }
        }
    }

    fn claim(&mut self, now_ms: u64) -> rusqlite::Result<Step> {
        let Some(version) = self.version.clone() else {
            return Ok(Done::read(Answer::Claim(Claims::default())));
        };
        let (app, at) = (&version.app, self.moment(now_ms));
        self.trusted(|connection| {
            let rung = crons::ring(connection, &app.crons, &app.tasks, now_ms)?;
            let mut claims = tasks::claim::claim(connection, &app.tasks, at, chance())?;
            rung.next_at_ms.into_iter().for_each(|next| claims.not_later_than(next));
            let wrote = claims.wrote || rung.wrote;
            Ok(Done::kept(Answer::Claim(claims), wrote))
        })
    }

    fn moment(&self, now_ms: u64) -> Moment {
        Moment { now_ms, up_ms: self.clock.elapsed_ms() }
    }

    fn steer(&mut self, order: &steer::Order) -> rusqlite::Result<Step> {
        let version = self.version.clone();
        let none = BTreeMap::new();
        let kinds = version.as_ref().map_or(&none, |version| &version.app.tasks);
        let steered = self.trusted(|connection| steer::follow(connection, order, kinds, now_ms()))?;
        let wrote = steered.as_ref().is_ok_and(|steered| steered.changed > 0);
        // Whatever has changed, there may be something to begin.
        Ok(Step::Done(Done { answer: Answer::Steer(steered), wrote, counts: false, queued_task: wrote }))
    }

    fn command(&mut self, job: &Command, number: u64, verdict: Option<&Outcome>) -> rusqlite::Result<Step> {
        match self.trusted(|connection| dedupe::look_up(connection, &job.key, &job.fingerprint))? {
            Known::Answered(outcome) => return Ok(Done::read(Answer::Command(outcome))),
            Known::Conflict => return Ok(Done::read(Answer::Command(Outcome::KeyConflict))),
            Known::Nothing => {}
        }
        if let Some(verdict) = verdict {
            return self.conclude(job, verdict.clone(), number, false);
        }
        let Some(version) = self.version.clone() else {
            let message = "no version of the app is installed yet".to_owned();
            return Ok(Done::read(Answer::Command(Outcome::Retry { message })));
        };
        let fits = match &job.checked {
            Some((checked_by, fits)) if Arc::ptr_eq(checked_by, &version) => fits.clone(),
            _ => version.check_command(&job.name, &job.payload),
        };
        if let Err(message) = fits {
            return Ok(Done::read(Answer::Command(Outcome::Invalid { message })));
        }

        self.trusted(|connection| connection.kept(SAVEPOINT)?.execute([]))?;
        let (applied, queued_task) = self.apply(job, &version);
        let outcome = match applied {
            Applied::Reply(reply) => {
                let receipt = Receipt { database: self.database.clone(), epoch: self.epoch, commit: number };
                Outcome::Applied { receipt, reply }
            }
            Applied::Rejected(message) => Outcome::Rejected { message },
            Applied::Retry(message) => Outcome::Retry { message },
            Applied::Failed(message) => Outcome::Failed { message },
        };
        if self.trusted(|connection| connection.is_autocommit()) {
            return Ok(Step::Torn(outcome));
        }
        let applied = matches!(outcome, Outcome::Applied { .. });
        self.trusted(|connection| {
            if !applied {
                connection.kept(UNDO)?.execute([])?;
            }
            connection.kept(RELEASE)?.execute([])
        })?;
        self.conclude(job, outcome, number, queued_task)
    }

    fn apply(&mut self, job: &Command, version: &Arc<Version>) -> (Applied, bool) {
        let mut span = job.traced.as_ref().map(|waits| {
            let span = waits.traced.span(Kind::Internal, format!("apply {}", job.name));
            let span = span.with("nearside.app", version.app.name.clone()).with("nearside.command", job.name.clone());
            span.with("nearside.waited_us", waits.since.elapsed().as_micros() as u64)
                .with("nearside.log.trace", job.key.to_string())
        });
        let call = Call {
            name: &job.name,
            payload: &job.payload,
            key: &job.key,
            accepted_at_ms: job.accepted_at_ms,
            seed: seed(&self.secret, job),
            traced: within(&span),
        };
        let guarded = self.guarded.take().expect("BUG: commands give the connection back");
        let ended = self.runtime.block_on(command::apply(version, call, guarded));
        self.guarded = Some(ended.guarded);
        if let Some(span) = &mut span {
            span.set("nearside.outcome", ended.applied.name());
            if let Applied::Failed(cause) = &ended.applied {
                span.fail(cause.clone());
            }
        }
        if let Applied::Failed(cause) | Applied::Retry(cause) = &ended.applied {
            tracing::warn!(app = %version.app.name, place = %job.name, trace = %job.key, %cause, "a command failed");
        }
        (ended.applied, ended.queued_task)
    }

    /// Records what a command came to, except that it should come again.
    fn conclude(&mut self, job: &Command, outcome: Outcome, number: u64, queued_task: bool) -> rusqlite::Result<Step> {
        let counts = matches!(outcome, Outcome::Applied { .. });
        let wrote = !matches!(outcome, Outcome::Retry { .. });
        if wrote {
            let worked_ms = self.clock.now_ms();
            self.trusted(|connection| {
                dedupe::record(connection, &job.key, &job.fingerprint, &outcome, number, worked_ms)
            })?;
        }
        Ok(Step::Done(Done { answer: Answer::Command(outcome), wrote, counts, queued_task: counts && queued_task }))
    }

    /// A command out of an outbox: in its order, and once, whatever has become of the one who sent it.
    fn deferred(
        &mut self,
        place: &Place,
        job: &Command,
        number: u64,
        verdict: Option<&Outcome>,
    ) -> rusqlite::Result<Step> {
        let taken = |taken| Ok(Done::read(Answer::Deferred(taken)));
        match self.trusted(|connection| deferred::standing(connection, &place.outbox, place.n, place.oldest))? {
            Standing::Next => {}
            Standing::Gap { next } => return taken(Taken::Gap { next }),
            Standing::Before => {
                let known = self.trusted(|connection| dedupe::look_up(connection, &job.key, &job.fingerprint))?;
                return taken(match known {
                    Known::Answered(outcome) => Taken::Settled { outcome },
                    Known::Conflict => Taken::Settled { outcome: Outcome::KeyConflict },
                    Known::Nothing => Taken::Forgotten,
                });
            }
        }
        let forgotten = self.trusted(dedupe::forgotten)?;
        let too_old = place.sent_after.is_some_and(|commit| commit < forgotten);
        let message = "it waited so long that nobody knows any more whether it was applied when it was first sent";
        let verdict = if too_old { Some(&Outcome::Failed { message: message.to_owned() }) } else { verdict };
        let step = self.command(job, number, verdict)?;
        let Step::Done(Done { answer: Answer::Command(outcome), counts, queued_task, .. }) = step else {
            return Ok(step);
        };
        if let Outcome::Retry { message } = outcome {
            return taken(Taken::Retry { message });
        }
        self.trusted(|connection| deferred::settle(connection, &place.outbox, place.n))?;
        let answer = Answer::Deferred(Taken::Settled { outcome });
        Ok(Step::Done(Done { answer, wrote: true, counts, queued_task }))
    }

    /// A command that was sent and not answered. What is not known of its key is applied now: that is once, because the key
    /// is recorded in the same commit, and a late copy of the first request finds it. After a while nobody counts on it any
    /// more, and the key is closed instead, for that copy as well.
    fn unsure(
        &mut self,
        sent_at_ms: u64,
        sent_after: u64,
        job: &Command,
        number: u64,
        verdict: Option<&Outcome>,
    ) -> rusqlite::Result<Step> {
        let taken = |taken| Ok(Done::read(Answer::Deferred(taken)));
        let known = self.trusted(|connection| dedupe::look_up::<Outcome>(connection, &job.key, &job.fingerprint))?;
        let forgotten = self.trusted(dedupe::forgotten)?;
        if matches!(known, Known::Nothing) && sent_after < forgotten {
            return taken(Taken::Forgotten);
        }
        let is_late = self.clock.day_ms().saturating_sub(sent_at_ms) > limits::UNSURE_APPLIED.as_millis() as u64;
        let verdict = if is_late { Some(&Outcome::Closed) } else { verdict };
        let step = self.command(job, number, verdict)?;
        let Step::Done(Done { answer: Answer::Command(outcome), mut wrote, counts, queued_task }) = step else {
            return Ok(step);
        };
        match &outcome {
            Outcome::Retry { message } => return taken(Taken::Retry { message: message.clone() }),
            // For that copy too, whichever version of the app it meets.
            Outcome::Invalid { .. } if matches!(known, Known::Nothing) => {
                self.conclude(job, outcome.clone(), number, false)?;
                wrote = true;
            }
            _ => {}
        }
        let answer = Answer::Deferred(Taken::Settled { outcome });
        Ok(Step::Done(Done { answer, wrote, counts, queued_task }))
    }

    fn enqueue(&mut self, job: &Enqueue, number: u64) -> rusqlite::Result<Step> {
        match self.trusted(|connection| dedupe::look_up(connection, &job.key, &job.fingerprint))? {
            Known::Answered(queued) => return Ok(Done::read(Answer::Enqueue(Ok(Enqueued::into(queued))))),
            Known::Conflict => return Ok(Done::read(Answer::Enqueue(Err(EnqueueError::KeyConflict)))),
            Known::Nothing => {}
        }
        let version = match self.check_task(job) {
            Ok(version) => version,
            Err(error) => return Ok(Done::read(Answer::Enqueue(Err(error)))),
        };
        let worked_ms = self.clock.now_ms();
        self.trusted(|connection| {
            let declared = &version.app.tasks[&job.name];
            let traced = job.traced.as_ref().map(Traced::context);
            let queued = tasks::add_traced(connection, &job.name, declared, &job.payload, now_ms(), traced)?;
            let Some(queued) = queued else {
                return Ok(Done::read(Answer::Enqueue(Err(EnqueueError::Full))));
            };
            dedupe::record(connection, &job.key, &job.fingerprint, &Enqueued::from(queued), number, worked_ms)?;
            let answer = Answer::Enqueue(Ok(queued));
            Ok(Step::Done(Done { answer, wrote: true, counts: false, queued_task: true }))
        })
    }

    /// The version that declares the task.
    fn check_task(&self, job: &Enqueue) -> Result<Arc<Version>, EnqueueError> {
        let version = self.version.as_ref().ok_or_else(EnqueueError::not_yet)?;
        if !version.app.tasks.contains_key(&job.name) {
            return Err(EnqueueError::UnknownTask(job.name.clone()));
        }
        command::check_task_payload(&job.payload).map_err(EnqueueError::InvalidPayload)?;
        Ok(version.clone())
    }
}

/// The same command sees the same chance each time it is applied; who chose its key cannot foresee it.
fn seed(secret: &[u8; 32], job: &Command) -> Digest {
    PartsHasher::default().part(secret).part(job.key.to_string().as_bytes()).part(job.fingerprint.as_bytes()).finish()
}
