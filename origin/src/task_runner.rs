//! Runs due tasks: takes what there are places for, shows signs of life while they run, and tells the writer how each
//! attempt went.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::spans::{Kind, Span, Tracer, within};
use nearside_protocol::{limits, unix_time::now_ms};
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, Id, JoinError, JoinHandle, JoinSet},
};

use crate::{
    blobs::Blobs,
    install::Version,
    task_diary::Diary,
    task_guest,
    task_threads::threads,
    tasks::{Claimed, End, Ending, Sign},
    writer::{Busy, Writer},
};

/// Pause before the writer is asked again after it could not commit.
const PAUSE: Duration = Duration::from_secs(1);
/// For the tasks of all apps. An attempt that waits for one has been claimed, and shows that it is alive like any other.
static PLACES: Semaphore = Semaphore::const_new(limits::TASK_GUESTS_AT_ONCE);
/// A clock that is set must not hold up tasks for longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Whom an app's tasks may talk to.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// The hosts of the manifest; those in `private` also where their addresses are private.
    Declared {
        private: Vec<String>,
    },
    Nobody,
}

/// What an app's tasks work with.
pub struct Desk {
    pub writer: Writer,
    pub blobs: Arc<Blobs>,
    pub reach: Reach,
    pub tracer: Tracer,
}

/// Runs an app's tasks until it is dropped or drained.
pub struct TaskRunner {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl TaskRunner {
    /// Starts on the current tokio runtime.
    pub fn start(desk: Desk) -> TaskRunner {
        let (stop, stopped) = watch::channel(false);
        let writer = desk.writer.clone();
        let runner = Runner { writer, desk: Arc::new(desk), attempts: JoinSet::new(), running: HashMap::new() };
        TaskRunner { stop, running: tokio::spawn(runner.run(stopped)) }
    }

    /// Takes no more tasks and waits for those that run, up to [`limits::DRAIN`]. Those cut off run again at the next
    /// start.
    pub async fn drain(mut self) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(limits::DRAIN, &mut self.running).await.is_err() {
            tracing::warn!("tasks are still running; they are cut off and run again at the next start");
        }
    }
}

impl Drop for TaskRunner {
    fn drop(&mut self) {
        self.running.abort();
    }
}

struct Runner {
    writer: Writer,
    desk: Arc<Desk>,
    attempts: JoinSet<()>,
    running: HashMap<Id, Running>,
}

/// An attempt that runs.
struct Running {
    claimed: Claimed,
    lease_ms: u64,
    signed_at: Instant,
    diary: Arc<Diary>,
    handle: AbortHandle,
}

impl Runner {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut version = self.writer.version();
        let mut signs = tokio::time::interval(limits::TASK_NOTES_EVERY);
        signs.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_stopping = false;
        while !(is_stopping && self.attempts.is_empty()) {
            let current = version.borrow_and_update().clone();
            let wait = match current.filter(|_| !is_stopping) {
                Some(version) => self.take(&version).await,
                None => LONGEST_WAIT,
            };
            let wake_at = tokio::time::Instant::now() + wait;
            // What matters to those that run and not to those that wait: nothing is taken for it.
            loop {
                tokio::select! {
                    Some(ended) = self.attempts.join_next_with_id() => {
                        self.ended(ended).await;
                        // Whoever ended meanwhile makes room in the same breath.
                        while let Some(ended) = self.attempts.try_join_next_with_id() {
                            self.ended(ended).await;
                        }
                    }
                    _ = signs.tick(), if !self.attempts.is_empty() => {
                        self.sign().await;
                        continue;
                    }
                    _ = stopped.changed(), if !is_stopping => is_stopping = true,
                    () = self.writer.tasks_due().notified(), if !is_stopping => {}
                    () = tokio::time::sleep_until(wake_at), if !is_stopping => {}
                    changed = version.changed(), if !is_stopping => is_stopping |= changed.is_err(),
                }
                break;
            }
        }
    }

    /// Begins what there are places for; gives how long it is until there is more to do.
    async fn take(&mut self, version: &Arc<Version>) -> Duration {
        let claims = match self.writer.claim_at(now_ms()).await {
            Ok(claims) => claims,
            Err(Busy(why)) => {
                tracing::warn!(cause = %why, "no tasks can be taken now");
                return PAUSE;
            }
        };
        for claimed in claims.tasks {
            let lease_ms = version.app.tasks.get(&claimed.name).map_or(limits::TASK_LEASE_MS, |task| task.lease_ms);
            let diary = Arc::new(Diary::default());
            let attempt = Attempt {
                desk: self.desk.clone(),
                version: version.clone(),
                claimed: claimed.clone(),
                diary: diary.clone(),
            };
            let handle = self.attempts.spawn_on(attempt.run(), &threads());
            let id = handle.id();
            self.running.insert(id, Running { claimed, lease_ms, signed_at: Instant::now(), diary, handle });
        }
        let until = |due: u64| Duration::from_millis(due.saturating_sub(now_ms()));
        claims.next_at_ms.map_or(LONGEST_WAIT, until).min(LONGEST_WAIT)
    }

    /// Renews leases a third of which has gone, and has what attempts have told written down. An attempt that has lost
    /// its lease is cut off: the task is someone else's.
    async fn sign(&mut self) {
        let (mut ids, mut signs) = (Vec::new(), Vec::new());
        for (id, running) in &mut self.running {
            let notes = running.diary.news();
            let third = Duration::from_millis(running.lease_ms / 3);
            if notes.is_some() || running.signed_at.elapsed() + limits::TASK_NOTES_EVERY > third {
                running.signed_at = Instant::now();
                let Claimed { id: task, lease, .. } = running.claimed;
                ids.push(*id);
                signs.push(Sign { id: task, lease, lease_ms: running.lease_ms, notes });
            }
        }
        if signs.is_empty() {
            return;
        }
        match self.writer.sign(signs).await {
            Ok(lost) => lost.into_iter().for_each(|place| self.cut_off(ids[place])),
            Err(Busy(why)) => tracing::warn!(cause = %why, "leases of tasks are not renewed now"),
        }
    }

    fn cut_off(&mut self, id: Id) {
        // One that has just ended has no lease any more, either: then there is nothing to cut off.
        if self.running.get(&id).is_none_or(|running| running.diary.is_over()) {
            return;
        }
        let Some(Running { claimed, handle, .. }) = self.running.remove(&id) else { return };
        tracing::warn!(task = claimed.id, place = %claimed.name, "an attempt has lost its lease and is cut off");
        handle.abort();
    }

    async fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = ended.as_ref().map_or_else(|error| error.id(), |(id, ())| *id);
        if let (Err(error), Some(Running { claimed, diary, .. })) = (ended, self.running.remove(&id)) {
            tracing::error!(task = claimed.id, place = %claimed.name, cause = %error, "a task took its runner down");
            let end = End { ending: Ending::Lost("the host failed".into()), notes: diary.notes() };
            finish(&self.writer, &claimed, end).await;
        }
    }
}

struct Attempt {
    desk: Arc<Desk>,
    version: Arc<Version>,
    claimed: Claimed,
    diary: Arc<Diary>,
}

impl Attempt {
    async fn run(self) {
        let Attempt { desk, version, claimed, diary } = self;
        let _place = PLACES.acquire().await;
        let mut span = begin_span(&desk.tracer, &version.app.name, &claimed);
        let ending = task_guest::run(&desk, &version, &claimed, &diary, within(&span)).await;
        diary.close();
        if let Some(span) = &mut span {
            span.set("nearside.outcome", ending.name());
            ending.why().into_iter().for_each(|why| span.fail(why));
        }
        drop(span);
        let (app, place, trace) = (&version.app.name, &claimed.name, task_guest::trace(&claimed));
        match &ending {
            Ending::Done => {}
            Ending::Untried(why) => {
                tracing::warn!(%app, %place, %trace, task = claimed.id, %why, "a task could not begin");
            }
            Ending::Retry(why) | Ending::Dead(why) | Ending::Lost(why) => {
                tracing::warn!(%app, %place, %trace, task = claimed.id, attempt = claimed.attempt, %why, "a task failed");
            }
        }
        finish(&desk.writer, &claimed, End { ending, notes: diary.notes() }).await;
    }
}

/// In the trace of what has queued it; if that is none, perhaps in one of its own.
fn begin_span(tracer: &Tracer, app: &str, claimed: &Claimed) -> Option<Span> {
    let name = || format!("task {}", claimed.name);
    let span = match tracer.continued(claimed.traced) {
        Some(traced) => traced.span(Kind::Consumer, name()),
        None => tracer.root(Kind::Consumer, name)?,
    };
    Some(
        span.with("nearside.app", app.to_owned())
            .with("nearside.task", claimed.id)
            .with("nearside.attempt", claimed.attempt)
            .with("nearside.log.trace", task_guest::trace(claimed)),
    )
}

/// Tells the writer how an attempt went, as often as it takes.
async fn finish(writer: &Writer, claimed: &Claimed, end: End) {
    while let Err(Busy(why)) = writer.finish(claimed.id, claimed.lease, end.clone()).await {
        if writer.is_stopped() {
            return;
        }
        tracing::warn!(task = claimed.id, cause = %why, "a task's end is not recorded yet");
        tokio::time::sleep(PAUSE).await;
    }
}
