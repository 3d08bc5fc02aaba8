//! Tasks: named work at the origin, after the visitor has had the answer.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::nearside::edge::{progress as told, step as kept};
use crate::bindings::task::exports::nearside::edge::task_handler as host;
use crate::panics;

/// A task to run.
#[derive(Debug, Clone)]
pub struct Job {
    id: u64,
    name: String,
    payload: String,
    attempt: u32,
}

impl Job {
    /// The same over all attempts: hand it on, so that a repeated delivery can be told.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its name in the manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Its payload as it was queued, JSON.
    #[must_use]
    pub fn payload_json(&self) -> &str {
        &self.payload
    }

    /// Its payload.
    ///
    /// # Errors
    /// A discard when it does not read as a `T`: it will not read better later.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_str(&self.payload).map_err(|error| Failure::Discard(format!("payload: {error}")))
    }

    /// Does a part of the task once: its result is kept with the task, and later attempts get it without doing the part
    /// again. A crash between the part's end and the keeping of its result does it again, so tell the other side a key
    /// that stays the same. Names stay what they are for as long as a task may be waiting.
    ///
    /// # Errors
    /// The part's own; a retry when its result cannot be kept just now, or reads otherwise than it was written.
    pub fn step<T, F>(&self, name: &str, part: F) -> Result<T, Failure>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Result<T, Failure>,
    {
        let unreadable = |error: serde_json::Error| Failure::Retry(format!("step {name}: {error}"));
        if let Some(done) = kept::begin(name) {
            return serde_json::from_str(&done).map_err(unreadable);
        }
        let value = part()?;
        let text = serde_json::to_string(&value).map_err(unreadable)?;
        kept::finish(name, &text).map_err(|why| Failure::Retry(format!("step {name}: {why}")))?;
        Ok(value)
    }

    /// Tells the operator how far it has come, in place of what it told before: `nearside tasks show`.
    pub fn progress(&self, how_far: impl Display) {
        told::tell(&how_far.to_string());
    }
}

/// Why a task did not succeed. The text is for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Try again later, with growing pauses, as often as the manifest allows.
    Retry(String),
    /// Trying again would not help.
    Discard(String),
}

impl Failure {
    /// It may pass.
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Self::Retry(reason.into())
    }

    /// It will not pass.
    #[must_use]
    pub fn discard(reason: impl Into<String>) -> Self {
        Self::Discard(reason.into())
    }
}

/// What `task!` runs.
///
/// # Errors
/// Those of `perform`.
pub fn run(perform: fn(&Job) -> Result<(), Failure>, job: host::Job) -> Result<(), host::Failure> {
    panics::to_log();
    let job = Job { id: job.id, name: job.name, payload: job.payload, attempt: job.attempt };
    perform(&job).map_err(|failure| match failure {
        Failure::Retry(reason) => host::Failure::Retry(reason),
        Failure::Discard(reason) => host::Failure::Discard(reason),
    })
}
