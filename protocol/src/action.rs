//! What operators did at the origin, as it is kept and shown.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/actions?limit=…` | [`Actions`], new to old |
//!
//! There is one token, so who did it is what they say of themselves, and the address they came from. That helps colleagues
//! find each other; it proves nothing.

use serde::{Deserialize, Serialize};

/// On a request of an operator's: who asks, in their own words.
pub const OPERATOR_HEADER: &str = "nearside-operator";

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Actions {
    pub actions: Vec<Action>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Action {
    pub id: u64,
    /// Unix time, milliseconds.
    pub at_ms: u64,
    /// In their own words.
    pub who: String,
    /// The address they came from, and whether by the fleet page or by a program.
    pub from: Option<String>,
    pub by: By,
    pub deed: Deed,
    pub app: Option<String>,
    /// What of it: a release, a task, a node.
    pub what: Option<String>,
    pub went_well: bool,
    /// What it came to, or why it did not.
    pub outcome: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    Page,
    Program,
    /// Nobody: the origin itself, as it was told to.
    Origin,
}

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    PushApp,
    PushData,
    Rollback,
    Resume,
    PromoteCanary,
    HaltCanary,
    PauseTasks,
    ResumeTasks,
    RetryTasks,
    DiscardTasks,
    TryIndexes,
    ForgetNode,
    SignIn,
}

impl Deed {
    pub const ALL: [Deed; 13] = [
        Deed::PushApp,
        Deed::PushData,
        Deed::Rollback,
        Deed::Resume,
        Deed::PromoteCanary,
        Deed::HaltCanary,
        Deed::PauseTasks,
        Deed::ResumeTasks,
        Deed::RetryTasks,
        Deed::DiscardTasks,
        Deed::TryIndexes,
        Deed::ForgetNode,
        Deed::SignIn,
    ];

    /// As files and programs have it.
    pub fn name(self) -> &'static str {
        match self {
            Deed::PushApp => "push_app",
            Deed::PushData => "push_data",
            Deed::Rollback => "rollback",
            Deed::Resume => "resume",
            Deed::PromoteCanary => "promote_canary",
            Deed::HaltCanary => "halt_canary",
            Deed::PauseTasks => "pause_tasks",
            Deed::ResumeTasks => "resume_tasks",
            Deed::RetryTasks => "retry_tasks",
            Deed::DiscardTasks => "discard_tasks",
            Deed::TryIndexes => "try_indexes",
            Deed::ForgetNode => "forget_node",
            Deed::SignIn => "sign_in",
        }
    }

    /// For a person.
    pub fn words(self) -> &'static str {
        match self {
            Deed::PushApp => "pushed the app",
            Deed::PushData => "pushed data",
            Deed::Rollback => "rolled back",
            Deed::Resume => "resumed releases",
            Deed::PromoteCanary => "promoted the canary",
            Deed::HaltCanary => "halted the canary",
            Deed::PauseTasks => "paused tasks",
            Deed::ResumeTasks => "resumed tasks",
            Deed::RetryTasks => "retried",
            Deed::DiscardTasks => "discarded",
            Deed::TryIndexes => "tried indexes",
            Deed::ForgetNode => "forgot the node",
            Deed::SignIn => "signed in",
        }
    }

    pub fn named(name: &str) -> Option<Deed> {
        Deed::ALL.into_iter().find(|deed| deed.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deed_has_one_name() {
        for deed in Deed::ALL {
            assert_eq!(Deed::named(deed.name()), Some(deed));
            assert_eq!(serde_json::to_value(deed).unwrap(), deed.name());
        }
        assert_eq!(Deed::named("nothing"), None);
    }
}
