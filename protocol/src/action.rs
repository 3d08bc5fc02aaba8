//! What operators did at the origin, as it is kept and shown.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/actions?limit=…` | [`Actions`], new to old |
//!
//! Who did it is what they say of themselves, which proves nothing but helps colleagues find each other; the address they came
//! from; and the name of the token they showed, which is proof of whoever it was given to.

use serde::{Deserialize, Serialize};

use crate::token::Duty;

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
    /// The name of the token they showed; what was kept before tokens had names has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
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
    AddToken,
    RemoveToken,
}

impl Deed {
    pub const ALL: [Deed; 15] = [
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
        Deed::AddToken,
        Deed::RemoveToken,
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
            Deed::AddToken => "add_token",
            Deed::RemoveToken => "remove_token",
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
            Deed::AddToken => "added the token",
            Deed::RemoveToken => "removed the token",
        }
    }

    /// What whoever does it has to be let do.
    pub fn duty(self) -> Duty {
        match self {
            Deed::PushApp | Deed::PushData | Deed::Rollback | Deed::Resume | Deed::PromoteCanary | Deed::HaltCanary => {
                Duty::Publish
            }
            Deed::PauseTasks
            | Deed::ResumeTasks
            | Deed::RetryTasks
            | Deed::DiscardTasks
            | Deed::TryIndexes
            | Deed::ForgetNode
            | Deed::AddToken
            | Deed::RemoveToken => Duty::Operate,
            Deed::SignIn => Duty::Look,
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
