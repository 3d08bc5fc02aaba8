//! What the origin reports about an app's tasks, and how an operator steers them, below `/v1/apps/{app}/tasks`.
//!
//! | request | answer |
//! |---|---|
//! | `GET tasks?state=…&kind=…&limit=…&after=…` | [`Tasks`], old to new |
//! | `GET tasks/{id}` | [`TaskShown`] |
//! | `POST tasks/{kind}/pause`, `POST tasks/{kind}/resume` | [`Steered`] |
//! | `POST tasks/{id or kind}/retry`, `POST tasks/{id or kind}/discard` | [`Steered`]; of a kind its dead letters are meant |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Tasks {
    pub kinds: BTreeMap<String, Kind>,
    pub crons: Vec<Cron>,
    pub tasks: Vec<TaskInfo>,
    /// There are more, after the last one.
    pub more: bool,
}

#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
pub struct Kind {
    pub due: u64,
    pub running: u64,
    pub done: u64,
    pub dead: u64,
    /// Since when: Unix time, milliseconds.
    pub paused_at_ms: Option<u64>,
    /// False of one whose tasks are left from another version of the app; they wait until one declares it again.
    pub is_declared: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Cron {
    pub name: String,
    pub schedule: String,
    pub task: String,
    /// The due time that was done last; at first, when the cron was first seen.
    pub done_at_ms: Option<u64>,
    pub next_at_ms: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskInfo {
    pub id: u64,
    pub kind: String,
    /// due, running, done or dead.
    pub state: String,
    /// Attempts begun, and how many there may be.
    pub attempt: u32,
    pub attempts: u32,
    pub created_at_ms: u64,
    pub due_at_ms: u64,
    pub ended_at_ms: Option<u64>,
    pub unique_key: Option<String>,
    pub last_error: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TaskShown {
    #[serde(flatten)]
    pub task: TaskInfo,
    /// JSON.
    pub payload: String,
    /// Old to new.
    pub history: Vec<Attempt>,
    /// Named steps that are done, and will not run again.
    pub steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    /// Counts from 1.
    pub number: u32,
    pub started_at_ms: u64,
    /// None while it runs.
    pub ended_at_ms: Option<u64>,
    /// done, retry, dead, or lost with its process or lease.
    pub how: Option<String>,
    pub message: Option<String>,
    pub progress: Option<String>,
    /// The newest lines.
    pub log: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    pub done_at_ms: u64,
    pub bytes: u64,
}

/// What an operator's order came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Steered {
    /// Tasks, or kinds.
    pub changed: u64,
    /// There are more of them: order it again.
    pub more: bool,
}
