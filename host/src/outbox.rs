//! The outbox: commands this node has taken while its origin was away, durable on its own disk until the origin has them.
//!
//! ```text
//! taken       the handler submitted it, and the origin did not answer: written and synced, then acknowledged
//! delivered   in the order they were taken, app by app; the origin counts them, so that each is applied once
//! settled     the origin has said what became of it, durably; kept a while for those who ask
//! ```
//!
//! One thread writes the file and makes one commit of all that came while it waited for the disk. A commit that fails
//! is not tried again: what the disk then holds nobody knows, so nothing more is taken until the node starts anew.

mod delivery;
mod listing;
mod page;
mod room;
mod settling;
mod store;
mod thread;
mod unsure;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nearside_protocol::{
    digest::{Digest, PartsHasher},
    limits,
    status::OutboxStatus,
    trace_context::TraceContext,
    write::{IdempotencyKey, OutboxId, Outcome},
};
use tokio::sync::{Notify, mpsc, oneshot};

pub use self::{
    delivery::deliver,
    listing::{After, NotAfter, OutboxPage},
    page::{WRITE, answer, unsure as unsure_page},
    store::{Settled, StoreError, Written},
};
use self::{
    settling::Settling,
    store::Store,
    thread::{Job, Thread},
};
use crate::spans::{Traced, Tracer};

/// What is to be taken.
#[derive(Clone, Debug)]
pub struct ToTake {
    pub app: String,
    pub command: String,
    pub payload: String,
    pub key: IdempotencyKey,
    /// It was sent already, and may arrive yet: after this commit of the origin's.
    pub sent_after: Option<u64>,
    /// Whose trace it goes on with, if that is sampled.
    pub traced: Option<TraceContext>,
}

/// Where what was taken can be asked for: unguessable, so that only who wrote it can.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ticket(pub String);

impl Ticket {
    pub fn path(&self) -> String {
        format!("{WRITE}{}", self.0)
    }
}

/// How it stands with what the origin did not answer for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Class {
    /// Durable here, and will be applied.
    Saved,
    /// It was sent, and is not deferrable: it is being found out whether it was applied.
    Unsure,
}

/// A write whose outcome is told elsewhere, and later.
#[derive(Clone, Debug, PartialEq)]
pub struct Deferral {
    pub ticket: Ticket,
    pub class: Class,
}

/// What came of taking one.
#[derive(Clone, Debug, PartialEq)]
pub enum Took {
    /// It is durable; or was before, under the same key.
    Saved(Ticket),
    /// The key stands for something else.
    KeyConflict,
}

/// Why a command is not taken. Nothing of it was kept.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NotTaken {
    #[error("the outbox holds {what} for the origin already, and takes no more")]
    Full { what: &'static str },
    #[error("so many writes are being saved at once; try again")]
    Busy,
    #[error("the outbox cannot write: {0}")]
    Disk(String),
    #[error("the outbox takes nothing until the node is started again: {0}")]
    Closed(String),
}

/// What waits for the origin, of one app.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waiting {
    pub writes: u64,
    pub bytes: u64,
    /// Unix time, milliseconds.
    pub oldest_at_ms: Option<u64>,
}

pub struct Outbox {
    id: OutboxId,
    jobs: mpsc::Sender<Job>,
    shared: Arc<Shared>,
    reads: Mutex<Store>,
    tracer: OnceLock<Tracer>,
}

/// What the thread and those who ask both see.
#[derive(Default)]
struct Shared {
    waiting: Mutex<BTreeMap<String, Waiting>>,
    /// Sent and not answered.
    unsure: Mutex<BTreeMap<String, Waiting>>,
    closed: Mutex<Option<String>>,
    /// The last delivery reached the origin, and it took what it got.
    is_delivering: AtomicBool,
    settling: Settling,
    /// Something was taken, or is to be tried again at once.
    due: Notify,
    /// Somebody would not have it wait until it is tried again.
    hurried: Notify,
    /// Something is unsure, and somebody wants to know.
    asked: Notify,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.waiting.lock().expect("BUG: nothing panics while holding what waits")
    }

    fn unsure(&self) -> MutexGuard<'_, BTreeMap<String, Waiting>> {
        self.unsure.lock().expect("BUG: nothing panics while holding what is unsure")
    }

    fn closed(&self) -> MutexGuard<'_, Option<String>> {
        self.closed.lock().expect("BUG: nothing panics while holding why it is closed")
    }
}

impl Outbox {
    /// Takes up what the file holds, or makes it, and starts its thread. Blocks.
    pub fn open(path: &Path) -> Result<Arc<Outbox>, StoreError> {
        let store = Store::open(path)?;
        let shared = Arc::new(Shared::default());
        *shared.waiting() = store.waiting()?;
        *shared.unsure() = store.unsure()?;
        let (jobs, queue) = mpsc::channel(limits::OUTBOX_QUEUE);
        let (id, reads) = (store.id()?, Mutex::new(Store::open(path)?));
        Thread::start(store, shared.clone(), queue)?;
        Ok(Arc::new(Outbox { id, jobs, shared, reads, tracer: OnceLock::new() }))
    }

    /// Deliveries of what was traced go on with it. Called once, before anything is delivered.
    pub fn trace_with(&self, tracer: Tracer) {
        let _ = self.tracer.set(tracer);
    }

    /// Goes on with what a write was kept with.
    fn traced(&self, context: Option<TraceContext>) -> Option<Traced> {
        self.tracer.get()?.continued(context)
    }

    pub fn id(&self) -> &OutboxId {
        &self.id
    }

    /// Whether something of this app waits: what comes now must not overtake it.
    pub fn has_waiting(&self, app: &str) -> bool {
        self.shared.waiting().contains_key(app)
    }

    pub fn waiting(&self) -> BTreeMap<String, Waiting> {
        self.shared.waiting().clone()
    }

    /// Makes a command durable; answers when it is.
    pub async fn take(&self, class: Class, take: ToTake) -> Result<Took, NotTaken> {
        if let Some(why) = self.shared.closed().clone() {
            return Err(NotTaken::Closed(why));
        }
        let (answer, taken) = oneshot::channel();
        self.jobs.try_send(Job::Take { class, take, answer }).map_err(|_| NotTaken::Busy)?;
        taken.await.unwrap_or_else(|_| Err(NotTaken::Closed("its thread has ended".into())))
    }

    /// What became of one that was taken just now, if it does not take longer than this; at once nothing while the origin
    /// is away. So whoever comes while others wait is answered as if nobody did, and no faster than the origin applies.
    pub async fn outcome(self: &Arc<Outbox>, app: &str, ticket: &Ticket, wait: Duration) -> Option<Outcome> {
        if !self.shared.is_delivering.load(Ordering::Relaxed) {
            return None;
        }
        let settling = self.shared.settling.wait_for(ticket);
        // It may be settled already.
        let (outbox, of_app, known) = (self.clone(), app.to_owned(), ticket.clone());
        let read = tokio::task::spawn_blocking(move || outbox.written(&of_app, &known)).await;
        let settled = match read.ok()?.ok()??.settled {
            Some(settled) => Some(settled),
            None => tokio::time::timeout(wait, settling.settled()).await.ok()?,
        };
        match settled? {
            Settled::As(outcome) => Some(outcome),
            Settled::Forgotten => None,
        }
    }

    /// The origin was asked for something else, and did not answer, or could not do it.
    pub fn origin_is_away(&self) {
        self.shared.is_delivering.store(false, Ordering::Relaxed);
    }

    /// Tries to deliver at once, whatever failed before.
    pub fn retry(&self) {
        self.shared.due.notify_one();
        self.shared.hurried.notify_one();
        self.shared.asked.notify_one();
    }

    /// What became of one.
    pub fn written(&self, app: &str, ticket: &Ticket) -> Result<Option<Written>, StoreError> {
        let written = self.reads().by_ticket(app, ticket)?;
        if written.as_ref().is_some_and(|written| written.is_unsure && written.settled.is_none()) {
            self.shared.asked.notify_one();
        }
        Ok(written)
    }

    pub fn status(&self) -> OutboxStatus {
        let waiting = self.waiting();
        OutboxStatus {
            id: self.id.to_string(),
            waiting_writes: waiting.values().map(|waiting| waiting.writes).sum(),
            waiting_bytes: waiting.values().map(|waiting| waiting.bytes).sum(),
            oldest_at_ms: waiting.values().filter_map(|waiting| waiting.oldest_at_ms).min(),
            unsure_writes: self.shared.unsure().values().map(|unsure| unsure.writes).sum(),
            closed: self.shared.closed().clone(),
        }
    }

    fn reads(&self) -> MutexGuard<'_, Store> {
        self.reads.lock().expect("BUG: nothing panics while reading the outbox")
    }
}

/// What a key stands for: the same key with another fingerprint is a conflict.
fn fingerprint(take: &ToTake) -> Digest {
    PartsHasher::default().part(take.command.as_bytes()).part(take.payload.as_bytes()).finish()
}

/// 32 hexadecimal digits nobody can guess.
pub(crate) fn unguessable() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("BUG: an operating system without randomness cannot serve");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod power_tests;
#[cfg(test)]
mod tests;
