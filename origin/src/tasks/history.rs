//! What each attempt of a task came to and has told, and the named steps that are done: they go with the task's row.

use std::collections::BTreeMap;

use nearside_protocol::limits;
use rusqlite::{Connection, OptionalExtension, params};

use crate::kept::Kept;

/// What an attempt tells of itself while it runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Notes {
    /// How far it has come, in its own words.
    pub(crate) progress: Option<String>,
    /// The newest of the lines it has printed.
    pub(crate) log: String,
}

/// Why a step is not recorded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum StepRefused {
    #[error("a step's name has 1 to {} bytes", limits::TASK_STEP_NAME_BYTES)]
    Name,
    #[error("the result of a step has at most {} bytes", limits::TASK_STEP_RESULT_BYTES)]
    Result,
    #[error(
        "a task has at most {} steps, with results of {} bytes together",
        limits::TASK_STEPS,
        limits::TASK_STEPS_BYTES
    )]
    TooMany,
    #[error("the lease is lost: this attempt was given up")]
    Lost,
}

const ENDED: &str =
    "INSERT INTO _nearside_attempt (task, number, started_at_ms, ended_at_ms, how, message, progress, log)
    SELECT id, ?2, coalesce(started_at_ms, ?3), ?3, ?4, ?5, ?6, ?7 FROM _nearside_task WHERE id = ?1
    ON CONFLICT (task, number) DO UPDATE SET ended_at_ms = excluded.ended_at_ms, how = excluded.how,
    message = excluded.message, progress = coalesce(excluded.progress, progress),
    log = CASE excluded.log WHEN '' THEN log ELSE excluded.log END";

pub(super) fn ended(
    connection: &Connection,
    task: u64,
    number: u32,
    how: &str,
    message: Option<&str>,
    notes: &Notes,
    now_ms: u64,
) -> rusqlite::Result<()> {
    connection.kept(ENDED)?.execute(params![task, number, now_ms, how, message, notes.progress, notes.log])?;
    if let Some(oldest) = number.checked_sub(limits::TASK_HISTORY_ATTEMPTS as u32) {
        connection.execute("DELETE FROM _nearside_attempt WHERE task = ?1 AND number <= ?2", (task, oldest))?;
    }
    Ok(())
}

/// While the attempt runs, so that a crash does not take what it has told.
pub(super) fn noted(connection: &Connection, task: u64, number: u32, notes: &Notes) -> rusqlite::Result<()> {
    let sql = "INSERT INTO _nearside_attempt (task, number, started_at_ms, progress, log)
        SELECT id, ?2, coalesce(started_at_ms, 0), ?3, ?4 FROM _nearside_task WHERE id = ?1
        ON CONFLICT (task, number) DO UPDATE SET progress = excluded.progress, log = excluded.log";
    connection.execute(sql, params![task, number, notes.progress, notes.log]).map(drop)
}

/// Inside a write transaction: records the result of a named step, if the task is still under that lease. The first
/// result stands.
pub(crate) fn step(
    connection: &Connection,
    (task, lease): (u64, u64),
    name: &str,
    result: &str,
    now_ms: u64,
) -> rusqlite::Result<Result<(), StepRefused>> {
    if let Err(refused) = fits(name, result) {
        return Ok(Err(refused));
    }
    let under_lease = "SELECT 1 FROM _nearside_task WHERE id = ?1 AND lease = ?2 AND state = 'running'";
    if connection.kept(under_lease)?.query_row((task, lease), |_| Ok(())).optional()?.is_none() {
        return Ok(Err(StepRefused::Lost));
    }
    let sizes = "SELECT count(*), coalesce(sum(length(CAST(result AS BLOB))), 0) FROM _nearside_step WHERE task = ?1";
    let (count, bytes): (usize, usize) =
        connection.kept(sizes)?.query_row([task], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if count == limits::TASK_STEPS || bytes + result.len() > limits::TASK_STEPS_BYTES {
        return Ok(Err(StepRefused::TooMany));
    }
    let sql = "INSERT OR IGNORE INTO _nearside_step (task, name, result, at_ms) VALUES (?1, ?2, ?3, ?4)";
    connection.kept(sql)?.execute(params![task, name, result, now_ms])?;
    Ok(Ok(()))
}

fn fits(name: &str, result: &str) -> Result<(), StepRefused> {
    match (name.len(), result.len()) {
        (0, _) => Err(StepRefused::Name),
        (name, _) if name > limits::TASK_STEP_NAME_BYTES => Err(StepRefused::Name),
        (_, result) if result > limits::TASK_STEP_RESULT_BYTES => Err(StepRefused::Result),
        _ => Ok(()),
    }
}

/// The steps of a task that are done, with their results.
pub(super) fn steps(connection: &Connection, task: u64) -> rusqlite::Result<BTreeMap<String, String>> {
    let mut statement = connection.prepare("SELECT name, result FROM _nearside_step WHERE task = ?1")?;
    statement.query_map([task], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
