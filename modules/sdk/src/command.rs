//! Commands: named writes, each applied in one transaction at the origin.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::command::exports::nearside::edge::command_handler as host;
use crate::{log, panics, sql};

/// A command to apply.
#[derive(Debug, Clone)]
pub struct Command {
    name: String,
    payload: String,
}

impl Command {
    /// Its name in the manifest.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its payload, which has passed the command's schema.
    ///
    /// # Errors
    /// A rejection when it does not read as a `T`: the schema allows more than the code does.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_str(&self.payload).map_err(|error| {
            log(format_args!("{}: payload: {error}", self.name));
            Refusal::rejected("What was sent cannot be used as it is.")
        })
    }
}

/// Why a command was not applied. Everything it did is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// A rule said no, with a message for the person who asked; the same key gets the same answer again.
    Rejected(String),
    /// Something passing went wrong; not recorded, the caller may try again.
    Retry(String),
    /// It cannot be done, however often it is tried. Recorded; the reason is for the operator.
    Failed(String),
}

impl Refusal {
    /// A rule said no.
    #[must_use]
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::Rejected(message.into())
    }

    /// Something of ours broke, and may be whole again soon: the reason goes to the log.
    #[must_use]
    pub fn broken(reason: &impl Display) -> Self {
        log(reason);
        Self::Retry("This could not be saved.".to_owned())
    }
}

/// What would be the same at every try is not tried again: a deferred command that is would hold up all behind it.
impl From<sql::Error> for Refusal {
    fn from(error: sql::Error) -> Self {
        if error.may_pass() { Self::broken(&error) } else { Self::Failed(error.to_string()) }
    }
}

/// What a command answers: JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(String);

impl Reply {
    /// Any value that serialises.
    ///
    /// # Errors
    /// When `value` cannot be JSON.
    pub fn json(value: &impl Serialize) -> Result<Self, Refusal> {
        serde_json::to_string(value).map(Self).map_err(|error| Refusal::broken(&error))
    }
}

/// What `command!` runs.
///
/// # Errors
/// Those of `apply`.
pub fn run(apply: fn(&Command) -> Result<Reply, Refusal>, command: host::Command) -> Result<String, host::Refusal> {
    panics::to_log();
    match apply(&Command { name: command.name, payload: command.payload }) {
        Ok(Reply(json)) => Ok(json),
        Err(Refusal::Rejected(message)) => Err(host::Refusal::Rejected(message)),
        Err(Refusal::Retry(message)) => Err(host::Refusal::Retry(message)),
        Err(Refusal::Failed(reason)) => Err(host::Refusal::Failed(reason)),
    }
}
