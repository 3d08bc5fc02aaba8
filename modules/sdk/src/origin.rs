//! Writing: commands now, tasks later, both at the origin.

use std::fmt;

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::nearside::edge::origin as host;
use crate::{Request, Response};

pub use host::Receipt;

/// How a command ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is durable.
    Applied {
        /// Where it stands in the origin's history.
        receipt: Receipt,
        /// What the command answered.
        reply: Reply,
    },
    /// The app itself said no, with this message for the person who asked.
    Rejected(String),
    /// The origin is away; the command is saved at this node and will be applied, if it is declared `deferrable`. Or the
    /// origin did not answer for another one in time, and the node finds out whether it was applied.
    Deferred(Deferred),
}

/// A command that is saved and not yet applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred(String);

impl Deferred {
    /// Where on this site it is told what became of it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.0
    }

    /// 202, which leads there: a page for people, JSON for programs that ask for it. Where nobody knows whether the command was
    /// applied, the node puts words of its own in its place.
    #[must_use]
    pub fn response(&self, request: &Request) -> Response {
        let path = self.path();
        let mut response = if request.prefers_json() {
            Response::new("application/json", format!("{{\"state\":\"waiting\",\"status\":\"{path}\"}}"))
        } else {
            Response::html(self.page())
        };
        response.status = StatusCode::ACCEPTED;
        response
    }

    fn page(&self) -> Markup {
        let path = self.path();
        html! {
            (DOCTYPE)
            html lang="en" {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta http-equiv="refresh" content={ "5; url=" (path) };
                title { "Saved" }
                body {
                    h1 { "Saved" }
                    p role="status" { "What you sent is saved and will appear soon. There is no need to send it again." }
                    p { a href=(path) { "What has become of it" } }
                }
            }
        }
    }
}

/// What a command answered, JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply(String);

impl Reply {
    /// As it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a value.
    ///
    /// # Errors
    /// When it does not read as a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.0).map_err(|error| Error::Json(error.to_string()))
    }
}

/// Applies a command, exactly once: under the request's `Idempotency-Key`, or one the host mints.
///
/// # Errors
/// See [`Error`]; after any of them nothing was done, and after [`Error::Unavailable`] the same may be sent again under its key.
pub fn submit(command: &str, payload: &impl Serialize) -> Result<Outcome, Error> {
    submit_json(command, &to_json(payload)?, None)
}

/// Applies a command under a key of the caller's. A second call with the same key gets the first one's answer.
///
/// # Errors
/// As [`submit`].
pub fn submit_once(command: &str, payload: &impl Serialize, key: &str) -> Result<Outcome, Error> {
    submit_json(command, &to_json(payload)?, Some(key))
}

/// [`submit`] for a payload that is JSON already.
///
/// # Errors
/// As [`submit`].
pub fn submit_json(command: &str, payload: &str, key: Option<&str>) -> Result<Outcome, Error> {
    match host::submit(command, payload, key)? {
        host::Outcome::Applied((receipt, reply)) => Ok(Outcome::Applied { receipt, reply: Reply(reply) }),
        host::Outcome::Rejected(message) => Ok(Outcome::Rejected(message)),
        host::Outcome::Deferred(path) => Ok(Outcome::Deferred(Deferred(path))),
    }
}

/// Queues a task, and gives its id. It runs after the answer has gone out.
///
/// # Errors
/// As [`submit`].
pub fn enqueue(task: &str, payload: &impl Serialize) -> Result<u64, Error> {
    enqueue_json(task, &to_json(payload)?)
}

/// [`enqueue`] for a payload that is JSON already.
///
/// # Errors
/// As [`submit`].
pub fn enqueue_json(task: &str, payload: &str) -> Result<u64, Error> {
    Ok(host::enqueue(task, payload)?)
}

fn to_json(payload: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(payload).map_err(|error| Error::Json(error.to_string()))
}

/// Why there is no outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The manifest declares no such command or task.
    UnknownName(String),
    /// The payload does not fit the command's schema; the text says where.
    InvalidPayload(String),
    /// The idempotency key was used before with another payload.
    KeyConflict,
    /// The origin was not reached in time; the same key may be sent again.
    Unavailable(String),
    /// The command ran into a limit or trapped; nothing of it was kept.
    Failed(String),
    /// The payload or the reply is not JSON of the expected shape.
    Json(String),
}

impl From<host::SubmitError> for Error {
    fn from(error: host::SubmitError) -> Self {
        match error {
            host::SubmitError::UnknownName(text) => Self::UnknownName(text),
            host::SubmitError::InvalidPayload(text) => Self::InvalidPayload(text),
            host::SubmitError::KeyConflict => Self::KeyConflict,
            host::SubmitError::Unavailable(text) => Self::Unavailable(text),
            host::SubmitError::Failed(text) => Self::Failed(text),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownName(text) => write!(f, "origin: unknown name: {text}"),
            Self::InvalidPayload(text) => write!(f, "origin: invalid payload: {text}"),
            Self::KeyConflict => write!(f, "origin: the idempotency key was used with another payload"),
            Self::Unavailable(text) => write!(f, "origin: unavailable: {text}"),
            Self::Failed(text) => write!(f, "origin: failed: {text}"),
            Self::Json(text) => write!(f, "origin: {text}"),
        }
    }
}

impl std::error::Error for Error {}

/// What a visitor is told when an app says nothing better.
impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        let answer = match &error {
            Error::InvalidPayload(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "What was sent cannot be used as it is.")
            }
            Error::KeyConflict => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "This key was used before for something else.")
            }
            Error::Unavailable(_) => {
                Self::unavailable("This cannot be saved just now. Nothing was lost here; please try again.", 5)
            }
            Error::UnknownName(_) | Error::Failed(_) | Error::Json(_) => return Self::internal(error.to_string()),
        };
        answer.with_detail(error.to_string())
    }
}
