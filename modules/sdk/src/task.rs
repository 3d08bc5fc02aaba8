//! Tasks: named work at the origin, after the visitor has had the answer.

use serde::de::DeserializeOwned;

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
