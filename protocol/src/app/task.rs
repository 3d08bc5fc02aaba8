//! `[tasks.NAME]` and `[[crons]]`: what runs at the origin after the answer, how often, and when.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::names::is_name;
use crate::{
    limits,
    route::bounded,
    schedule::{BadSchedule, Schedule},
};

/// A kind of task. Tasks are queued under their kind's name.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskDecl {
    pub component: String,
    pub retry: Retry,
    /// Of each attempt.
    pub timeout_ms: u64,
    /// Of each attempt.
    pub memory_mib: u64,
    /// For how long an attempt that shows no sign of life is believed in.
    pub lease_ms: u64,
    /// At once.
    pub concurrency: usize,
    /// Attempts begun a second, at most; none: no bound.
    pub rate_per_s: Option<f64>,
    /// Kinds with more of it are given places first.
    pub priority: i64,
    /// Between being queued and being due.
    pub delay_ms: u64,
    /// Fields of the payload that tell whether two tasks are the same: one of each waits or runs at a time.
    pub unique: Option<Vec<String>>,
    pub outbound: Vec<Outbound>,
}

/// How often, and after which pauses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    pub attempts: u32,
    /// Bounds of the pauses: the first one's, which doubles, and what it never exceeds.
    pub backoff_first_ms: u64,
    pub backoff_most_ms: u64,
}

/// A host a task may talk to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outbound {
    /// `host` or `host:port`.
    Host(String),
    /// `$NAME`: the host of that variable's URL.
    Variable(String),
}

/// A task that is queued again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct CronDecl {
    pub name: String,
    pub schedule: Schedule,
    pub task: String,
    /// JSON.
    pub payload: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTask {
    pub(super) component: String,
    attempts: Option<u64>,
    backoff_first_ms: Option<u64>,
    backoff_most_ms: Option<u64>,
    timeout_ms: Option<u64>,
    memory_mib: Option<u64>,
    lease_ms: Option<u64>,
    concurrency: Option<u64>,
    rate_per_s: Option<f64>,
    priority: Option<i64>,
    delay_ms: Option<u64>,
    unique: Option<Vec<String>>,
    #[serde(default)]
    outbound: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCron {
    name: String,
    schedule: Option<String>,
    every: Option<String>,
    task: String,
    payload: Option<toml::Value>,
}

impl TaskDecl {
    pub(super) fn checked(raw: RawTask, variables: &BTreeMap<String, String>) -> Result<TaskDecl, String> {
        let number =
            |what: &str, value, default, most| bounded(value, default, most).map_err(|why| format!("{what} {why}"));
        let attempts =
            number("attempts", raw.attempts, limits::TASK_ATTEMPTS.into(), limits::TASK_ATTEMPTS_MOST.into())? as u32;
        let (first, most) = (limits::TASK_BACKOFF_FIRST_MS, limits::TASK_BACKOFF_MOST_MS);
        let backoff_first_ms =
            number("backoff_first_ms", raw.backoff_first_ms, first, limits::TASK_BACKOFF_FIRST_MS_MOST)?;
        let backoff_most_ms = number(
            "backoff_most_ms",
            raw.backoff_most_ms,
            most.max(backoff_first_ms),
            limits::TASK_BACKOFF_MOST_MS_MOST,
        )?;
        if backoff_most_ms < backoff_first_ms {
            return Err(format!("backoff_most_ms {backoff_most_ms} is less than backoff_first_ms {backoff_first_ms}"));
        }
        let timeout_ms = number("timeout_ms", raw.timeout_ms, limits::TASK_TIMEOUT_MS, limits::TASK_TIMEOUT_MS_MOST)?;
        let memory_mib = number("memory_mib", raw.memory_mib, limits::GUEST_MEMORY_MIB, limits::GUEST_MEMORY_MIB_MOST)?;
        let lease_ms = raw.lease_ms.unwrap_or(limits::TASK_LEASE_MS);
        if !(limits::TASK_LEASE_MS_LEAST..=limits::TASK_LEASE_MS_MOST).contains(&lease_ms) {
            let (least, most) = (limits::TASK_LEASE_MS_LEAST, limits::TASK_LEASE_MS_MOST);
            return Err(format!("lease_ms {lease_ms} is out of bounds: {least} to {most}"));
        }
        let concurrency =
            number("concurrency", raw.concurrency, limits::TASK_CONCURRENCY as u64, limits::TASKS_AT_ONCE as u64)?;
        if let Some(rate) = raw.rate_per_s
            && !(limits::TASK_RATE_PER_S_LEAST..=limits::TASK_RATE_PER_S_MOST).contains(&rate)
        {
            let (least, most) = (limits::TASK_RATE_PER_S_LEAST, limits::TASK_RATE_PER_S_MOST);
            return Err(format!("rate_per_s {rate} is out of bounds: {least} to {most}"));
        }
        let priority = raw.priority.unwrap_or(0);
        if !(-limits::TASK_PRIORITY_MOST..=limits::TASK_PRIORITY_MOST).contains(&priority) {
            let most = limits::TASK_PRIORITY_MOST;
            return Err(format!("priority {priority} is out of bounds: -{most} to {most}"));
        }
        let delay_ms = raw.delay_ms.unwrap_or(0);
        if delay_ms > limits::TASK_DELAY_MS_MOST {
            return Err(format!("delay_ms {delay_ms} is out of bounds: 0 to {}", limits::TASK_DELAY_MS_MOST));
        }
        if raw.unique.as_ref().is_some_and(|fields| fields.len() > limits::TASK_UNIQUE_FIELDS) {
            return Err(format!("unique: at most {} fields of the payload", limits::TASK_UNIQUE_FIELDS));
        }
        let outbound = raw.outbound.iter().map(|host| Outbound::checked(host, variables)).collect::<Result<_, _>>()?;
        Ok(TaskDecl {
            component: raw.component,
            retry: Retry { attempts, backoff_first_ms, backoff_most_ms },
            timeout_ms,
            memory_mib,
            lease_ms,
            concurrency: concurrency as usize,
            rate_per_s: raw.rate_per_s,
            priority,
            delay_ms,
            unique: raw.unique,
            outbound,
        })
    }
}

impl Outbound {
    fn checked(host: &str, variables: &BTreeMap<String, String>) -> Result<Outbound, String> {
        match host.strip_prefix('$') {
            Some(name) if variables.contains_key(name) => Ok(Outbound::Variable(name.to_owned())),
            Some(name) => Err(format!("outbound `${name}`: no such variable in [variables]")),
            None if host.is_empty() || host.contains(['/', '@', '*']) => {
                Err(format!("outbound `{host}`: a host, host:port or $VARIABLE expected"))
            }
            None => Ok(Outbound::Host(host.to_ascii_lowercase())),
        }
    }
}

impl CronDecl {
    pub(super) fn checked(raw: RawCron, tasks: &BTreeMap<String, TaskDecl>) -> Result<CronDecl, String> {
        let RawCron { name, schedule, every, task, payload } = raw;
        if !is_name(&name) {
            return Err(format!("cron `{name}`: a-z, 0-9 and `-` expected"));
        }
        let of = |why: BadSchedule| format!("cron `{name}`: {why}");
        let schedule = match (schedule, every) {
            (Some(fields), None) => fields.parse().map_err(of)?,
            (None, Some(length)) => Schedule::every(&length).map_err(of)?,
            _ => return Err(format!("cron `{name}`: either `schedule` or `every` expected")),
        };
        if !tasks.contains_key(&task) {
            return Err(format!("cron `{name}`: there is no task `{task}`: add [tasks.{task}]"));
        }
        let payload = match payload {
            None => "{}".to_owned(),
            Some(value) => serde_json::to_string(&value).map_err(|why| format!("cron `{name}`: payload: {why}"))?,
        };
        if payload.len() > limits::COMMAND_PAYLOAD_BYTES {
            return Err(format!("cron `{name}`: its payload has {} bytes", payload.len()));
        }
        Ok(CronDecl { name, schedule, task, payload })
    }
}
