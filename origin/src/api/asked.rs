//! What a request asks the origin for, as the table in [`nearside_protocol::wire`] has it, and who may.

use http::Method;
use nearside_protocol::{action::Deed, app, digest::Digest, release::ReleaseId, token::Duty};

use crate::{
    actions,
    api_error::ApiError,
    bucket::Name,
    operate,
    tasks::steer::{Order, Which},
};

/// What a method and a path ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    Key,
    Heads,
    Status,
    Logs,
    Releases(String),
    Release(String, ReleaseId),
    Object(String, Name),
    Pages(String, Digest),
    Snapshot(String, Digest),
    Diff(String, ReleaseId, ReleaseId),
    Rollback(String),
    Resume(String),
    Canary(String),
    Promote(String),
    Halt(String),
    Secrets(String, Digest),
    Blob(String, Digest),
    PutBlob(String, Digest),
    PushArchive(String),
    PushData(String),
    Command(String, String),
    Deferred(String),
    Unsure(String),
    Task(String, String),
    Tasks(String),
    TaskShown(String, u64),
    Steer(String, Order),
    Queries(String),
    Counted(String),
    Advise(String),
    Render(String),
    Audit(String),
    Watermark(String),
    Metrics,
    Heartbeat,
    Fleet,
    Actions,
    Tokens,
    AddToken,
    RemoveToken(String),
}

impl Asked {
    /// What it is; or why it is nothing.
    pub(super) fn of(method: &Method, path: &str) -> Result<Asked, ApiError> {
        let nothing = || ApiError::not_found("there is nothing at this path");
        let only = |wanted: Method, allow: &'static str, asked: Asked| {
            if *method == wanted { Ok(asked) } else { Err(ApiError::method(allow)) }
        };
        let path = path.strip_prefix("/v1/").ok_or_else(nothing)?;
        let parts: Vec<&str> = path.split('/').collect();
        let name = |name: &str| {
            if app::is_name(name) {
                Ok(name.to_owned())
            } else {
                Err(ApiError::not_found(format!("`{name}` is not a name")))
            }
        };
        match parts[..] {
            ["key"] => only(Method::GET, "GET", Asked::Key),
            ["heads"] => only(Method::POST, "POST", Asked::Heads),
            ["logs"] => only(Method::GET, "GET", Asked::Logs),
            ["heartbeat"] => only(Method::POST, "POST", Asked::Heartbeat),
            ["fleet"] => only(Method::GET, "GET", Asked::Fleet),
            ["actions"] => only(Method::GET, "GET", Asked::Actions),
            ["tokens"] => match *method {
                Method::GET => Ok(Asked::Tokens),
                Method::POST => Ok(Asked::AddToken),
                _ => Err(ApiError::method("GET, POST")),
            },
            ["tokens", id] => only(Method::DELETE, "DELETE", Asked::RemoveToken(token_id(id).ok_or_else(nothing)?)),
            ["status"] => only(Method::GET, "GET", Asked::Status),
            ["apps", app, "releases", id] => {
                let id = id.parse().map_err(|error| ApiError::not_found(format!("{error}")))?;
                only(Method::GET, "GET", Asked::Release(name(app)?, id))
            }
            ["apps", app, "releases"] => only(Method::GET, "GET", Asked::Releases(name(app)?)),
            ["apps", app, kind @ ("snapshots" | "archives" | "secrets" | "bases" | "pages"), digest] => {
                let digest = digest_in(digest)?;
                let app = name(app)?;
                let asked = match kind {
                    "archives" => Asked::Object(app, Name::Archive(digest)),
                    "bases" => Asked::Object(app, Name::Base(digest)),
                    "pages" => Asked::Pages(app, digest),
                    "secrets" => Asked::Secrets(app, digest),
                    _ => Asked::Snapshot(app, digest),
                };
                only(Method::GET, "GET", asked)
            }
            ["apps", app, "deltas", roots] => {
                let (from, to) = roots.split_once('.').ok_or_else(nothing)?;
                let delta = Name::Delta { from: digest_in(from)?, to: digest_in(to)? };
                only(Method::GET, "GET", Asked::Object(name(app)?, delta))
            }
            ["apps", app, "diff", from, to] => {
                let id = |text: &str| text.parse().map_err(|error| ApiError::not_found(format!("{error}")));
                only(Method::GET, "GET", Asked::Diff(name(app)?, id(from)?, id(to)?))
            }
            ["apps", app, "rollback"] => only(Method::POST, "POST", Asked::Rollback(name(app)?)),
            ["metrics"] => only(Method::GET, "GET", Asked::Metrics),
            ["apps", app, "audit"] => only(Method::POST, "POST", Asked::Audit(name(app)?)),
            ["apps", app, "watermark"] => only(Method::GET, "GET", Asked::Watermark(name(app)?)),
            ["apps", app, "resume"] => only(Method::POST, "POST", Asked::Resume(name(app)?)),
            ["apps", app, "canary"] => only(Method::GET, "GET", Asked::Canary(name(app)?)),
            ["apps", app, "promote"] => only(Method::POST, "POST", Asked::Promote(name(app)?)),
            ["apps", app, "halt"] => only(Method::POST, "POST", Asked::Halt(name(app)?)),
            ["apps", app, "blobs", digest] => {
                let digest = digest_in(digest)?;
                let app = name(app)?;
                match *method {
                    Method::GET => Ok(Asked::Blob(app, digest)),
                    Method::PUT => Ok(Asked::PutBlob(app, digest)),
                    _ => Err(ApiError::method("GET, PUT")),
                }
            }
            ["apps", app, "archive"] => only(Method::PUT, "PUT", Asked::PushArchive(name(app)?)),
            ["apps", app, "data"] => only(Method::PUT, "PUT", Asked::PushData(name(app)?)),
            ["apps", app, "commands", command] => {
                only(Method::POST, "POST", Asked::Command(name(app)?, name(command)?))
            }
            ["apps", app, "deferred"] => only(Method::POST, "POST", Asked::Deferred(name(app)?)),
            ["apps", app, "unsure"] => only(Method::POST, "POST", Asked::Unsure(name(app)?)),
            ["apps", app, "tasks"] => only(Method::GET, "GET", Asked::Tasks(name(app)?)),
            ["apps", app, "tasks", id] if is_number(id) => {
                only(Method::GET, "GET", Asked::TaskShown(name(app)?, id.parse().map_err(|_| nothing())?))
            }
            ["apps", app, "tasks", which, order] => {
                let (app, which) = (name(app)?, which_in(which)?);
                let order = match (order, which) {
                    ("pause", Which::DeadOf(kind)) => Order::Pause(kind),
                    ("resume", Which::DeadOf(kind)) => Order::Resume(kind),
                    ("retry", which) => Order::Retry(which),
                    ("discard", which) => Order::Discard(which),
                    _ => return Err(nothing()),
                };
                only(Method::POST, "POST", Asked::Steer(app, order))
            }
            ["apps", app, "tasks", task] => only(Method::POST, "POST", Asked::Task(name(app)?, name(task)?)),
            ["apps", app, "queries"] => {
                let app = name(app)?;
                match *method {
                    Method::GET => Ok(Asked::Queries(app)),
                    Method::POST => Ok(Asked::Counted(app)),
                    _ => Err(ApiError::method("GET, POST")),
                }
            }
            ["apps", app, "queries", "advise"] => only(Method::POST, "POST", Asked::Advise(name(app)?)),
            ["apps", app, "render"] => only(Method::GET, "GET", Asked::Render(name(app)?)),
            _ => Err(nothing()),
        }
    }

    /// What whoever asks has to be let do.
    pub(super) fn duty(&self) -> Duty {
        match self {
            Asked::Key
            | Asked::Status
            | Asked::Metrics
            | Asked::Fleet
            | Asked::Actions
            | Asked::Releases(_)
            | Asked::Diff(..)
            | Asked::Canary(_)
            | Asked::Tasks(_)
            | Asked::Watermark(_) => Duty::Look,
            // Queries are told with what visitors asked for: no more than what is in the data.
            Asked::Heads
            | Asked::Release(..)
            | Asked::Object(..)
            | Asked::Pages(..)
            | Asked::Snapshot(..)
            | Asked::Queries(_) => Duty::Pull,
            Asked::Heartbeat
            | Asked::Secrets(..)
            | Asked::Blob(..)
            | Asked::PutBlob(..)
            | Asked::Command(..)
            | Asked::Deferred(_)
            | Asked::Unsure(_)
            | Asked::Task(..)
            | Asked::Counted(_)
            | Asked::Render(_) => Duty::Serve,
            Asked::Rollback(_)
            | Asked::Resume(_)
            | Asked::Promote(_)
            | Asked::Halt(_)
            | Asked::PushArchive(_)
            | Asked::PushData(_) => Duty::Publish,
            Asked::Logs
            | Asked::TaskShown(..)
            | Asked::Steer(..)
            | Asked::Advise(_)
            | Asked::Audit(_)
            | Asked::Tokens
            | Asked::AddToken
            | Asked::RemoveToken(_) => Duty::Operate,
        }
    }

    /// What is written down of it where it is refused.
    pub(super) fn deed(&self) -> Option<actions::Asked> {
        let of = |deed, app: &str, what: Option<String>| Some(actions::Asked { deed, app: Some(app.to_owned()), what });
        match self {
            Asked::Rollback(app) => of(Deed::Rollback, app, None),
            Asked::Resume(app) => of(Deed::Resume, app, None),
            Asked::Promote(app) => of(Deed::PromoteCanary, app, None),
            Asked::Halt(app) => of(Deed::HaltCanary, app, None),
            Asked::PushArchive(app) => of(Deed::PushApp, app, None),
            Asked::PushData(app) => of(Deed::PushData, app, None),
            Asked::Advise(app) => of(Deed::TryIndexes, app, None),
            Asked::Steer(app, order) => {
                let (deed, what) = operate::deed(order);
                of(deed, app, Some(what))
            }
            Asked::AddToken => Some(actions::Asked { deed: Deed::AddToken, app: None, what: None }),
            Asked::RemoveToken(id) => {
                Some(actions::Asked { deed: Deed::RemoveToken, app: None, what: Some(id.clone()) })
            }
            _ => None,
        }
    }
}

fn token_id(text: &str) -> Option<String> {
    let is_id = (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| text.to_owned())
}

/// Names begin with a letter.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A task by its id, or those of a kind.
fn which_in(text: &str) -> Result<Which, ApiError> {
    if is_number(text) {
        return text.parse().map(Which::One).map_err(|_| ApiError::not_found(format!("there is no task {text}")));
    }
    match app::is_name(text) {
        true => Ok(Which::DeadOf(text.to_owned())),
        false => Err(ApiError::not_found(format!("`{text}` is not a name"))),
    }
}

fn digest_in(text: &str) -> Result<Digest, ApiError> {
    text.parse().map_err(|error| ApiError::not_found(format!("{error}")))
}
