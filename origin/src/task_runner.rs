//! Runs due tasks: takes as many as there are places, and tells the writer how each attempt went.

use std::{collections::HashMap, sync::Arc, time::Duration};

use nearside_host::engine::Engine;
use nearside_protocol::{limits, unix_time::now_ms};
use tokio::{
    sync::watch,
    task::{Id, JoinHandle, JoinSet},
};

use crate::{
    install::Version,
    task_guest,
    tasks::{Claimed, Ending},
    writer::{Busy, Writer},
};

/// Pause before the writer is asked again after it could not commit.
const PAUSE: Duration = Duration::from_secs(1);
/// A clock that is set back must not hold up tasks for longer than this.
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

/// Runs an app's tasks until it is dropped or drained.
pub struct TaskRunner {
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

impl TaskRunner {
    /// Starts on the current tokio runtime.
    pub fn start(writer: Writer, engine: Engine, reach: Reach) -> TaskRunner {
        let (stop, stopped) = watch::channel(false);
        let runner =
            Runner { writer, engine, reach: Arc::new(reach), attempts: JoinSet::new(), leases: HashMap::new() };
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
    engine: Engine,
    reach: Arc<Reach>,
    attempts: JoinSet<()>,
    /// Which task an attempt is of, should it panic.
    leases: HashMap<Id, Claimed>,
}

impl Runner {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut version = self.writer.version();
        loop {
            let current = version.borrow_and_update().clone();
            let wait = match current {
                Some(version) if self.attempts.len() < limits::TASKS_AT_ONCE => self.take(&version).await,
                _ => LONGEST_WAIT,
            };
            let full = self.attempts.len() >= limits::TASKS_AT_ONCE;
            tokio::select! {
                _ = stopped.changed() => break,
                Some(ended) = self.attempts.join_next_with_id() => self.ended(ended).await,
                () = self.writer.tasks_due().notified(), if !full => {}
                () = tokio::time::sleep(wait), if !full => {}
                changed = version.changed() => if changed.is_err() { break },
            }
        }
        while let Some(ended) = self.attempts.join_next_with_id().await {
            self.ended(ended).await;
        }
    }

    /// Fills the free places; gives how long it is until there is more to do.
    async fn take(&mut self, version: &Arc<Version>) -> Duration {
        let claims = match self.writer.claim(limits::TASKS_AT_ONCE - self.attempts.len()).await {
            Ok(claims) => claims,
            Err(Busy(why)) => {
                tracing::warn!(cause = %why, "no tasks can be taken now");
                return PAUSE;
            }
        };
        for claimed in claims.tasks {
            let attempt =
                attempt(self.engine.clone(), self.writer.clone(), version.clone(), claimed.clone(), self.reach.clone());
            let handle = self.attempts.spawn(attempt);
            self.leases.insert(handle.id(), claimed);
        }
        let until = |due: u64| Duration::from_millis(due.saturating_sub(now_ms()));
        claims.next_due_at_ms.map_or(LONGEST_WAIT, until).min(LONGEST_WAIT)
    }

    async fn ended(&mut self, ended: Result<(Id, ()), tokio::task::JoinError>) {
        let id = ended.as_ref().map_or_else(|error| error.id(), |(id, ())| *id);
        let claimed = self.leases.remove(&id);
        if let (Err(error), Some(claimed)) = (ended, claimed) {
            tracing::error!(task = claimed.id, place = %claimed.name, cause = %error, "a task took its runner down");
            finish(&self.writer, &claimed, Ending::Retry("the host failed".into())).await;
        }
    }
}

async fn attempt(engine: Engine, writer: Writer, version: Arc<Version>, claimed: Claimed, reach: Arc<Reach>) {
    let ending = task_guest::run(&engine, &writer, &version, &claimed, &reach).await;
    if let Ending::Retry(why) | Ending::Dead(why) = &ending {
        let (app, place, trace) = (&version.app.name, &claimed.name, task_guest::trace(&claimed));
        tracing::warn!(%app, %place, %trace, task = claimed.id, attempt = claimed.attempt, %why, "a task failed");
    }
    finish(&writer, &claimed, ending).await;
}

/// Tells the writer how an attempt went, as often as it takes: only a new start would find the task again.
async fn finish(writer: &Writer, claimed: &Claimed, ending: Ending) {
    while let Err(Busy(why)) = writer.finish(claimed.id, claimed.lease, ending.clone()).await {
        if writer.is_stopped() {
            return;
        }
        tracing::warn!(task = claimed.id, cause = %why, "a task's end is not recorded yet");
        tokio::time::sleep(PAUSE).await;
    }
}
