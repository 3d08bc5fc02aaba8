//! What an operator is shown of an app's tasks: read beside the writer, from the store as it is committed.

use std::{collections::BTreeMap, path::Path};

use nearside_protocol::{
    app::App,
    limits,
    task_report::{Attempt, Cron, Kind, Step, TaskInfo, TaskShown, Tasks},
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::crons;

/// Which tasks to list.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Asked {
    pub(crate) state: Option<String>,
    pub(crate) kind: Option<String>,
    /// At most [`limits::TASKS_LISTED`].
    pub(crate) limit: Option<usize>,
    pub(crate) after: u64,
}

/// Why a query string is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAsked {
    #[error("`{0}` is not known here: state, kind, limit and after are")]
    Unknown(String),
    #[error("{0}: a number expected")]
    Number(&'static str),
    #[error("state: due, running, done or dead expected")]
    State,
}

impl Asked {
    pub(crate) fn of(query: &str) -> Result<Asked, BadAsked> {
        let mut asked = Asked::default();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            // Names, states and numbers need no percent-encoding.
            match part.split_once('=') {
                Some(("state", state @ ("due" | "running" | "done" | "dead"))) => asked.state = Some(state.to_owned()),
                Some(("state", _)) => return Err(BadAsked::State),
                Some(("kind", kind)) => asked.kind = Some(kind.to_owned()),
                Some(("limit", number)) => {
                    asked.limit = Some(number.parse().map_err(|_| BadAsked::Number("limit"))?);
                }
                Some(("after", number)) => asked.after = number.parse().map_err(|_| BadAsked::Number("after"))?,
                _ => return Err(BadAsked::Unknown(part.to_owned())),
            }
        }
        Ok(asked)
    }
}

pub(crate) fn open(store: &Path) -> rusqlite::Result<Connection> {
    // Read only would do, but for a log that nobody has written to yet.
    Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

pub(crate) fn list(connection: &Connection, app: &App, asked: &Asked, now_ms: u64) -> rusqlite::Result<Tasks> {
    let transaction = connection.unchecked_transaction()?;
    let limit = asked.limit.unwrap_or(limits::TASKS_LISTED_UNASKED).min(limits::TASKS_LISTED);
    let sql = format!(
        "{INFO} WHERE id > ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR name = ?3) ORDER BY id LIMIT ?4"
    );
    let mut tasks: Vec<TaskInfo> = transaction
        .prepare(&sql)?
        .query_map(params![asked.after, asked.state, asked.kind, limit + 1], info)?
        .collect::<Result<_, _>>()?;
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    Ok(Tasks { kinds: kinds(&transaction, app)?, crons: all_crons(&transaction, app, now_ms)?, tasks, more })
}

pub(crate) fn show(connection: &Connection, id: u64) -> rusqlite::Result<Option<TaskShown>> {
    let transaction = connection.unchecked_transaction()?;
    let Some(task) = transaction.query_row(&format!("{INFO} WHERE id = ?1"), [id], info).optional()? else {
        return Ok(None);
    };
    let payload = transaction.query_row("SELECT payload FROM _nearside_task WHERE id = ?1", [id], |row| row.get(0))?;
    let mut history = transaction.prepare(HISTORY)?.query_map([id], attempt)?.collect::<Result<Vec<_>, _>>()?;
    if task.state == "running" && history.last().is_none_or(|last| last.number < task.attempt) {
        let sql = "SELECT started_at_ms FROM _nearside_task WHERE id = ?1";
        let started_at_ms = transaction.query_row(sql, [id], |row| row.get(0))?;
        let (number, log) = (task.attempt, String::new());
        let running =
            Attempt { number, started_at_ms, ended_at_ms: None, how: None, message: None, progress: None, log };
        history.push(running);
    }
    let steps =
        "SELECT name, at_ms, length(CAST(result AS BLOB)) FROM _nearside_step WHERE task = ?1 ORDER BY at_ms, name";
    let step = |row: &rusqlite::Row<'_>| Ok(Step { name: row.get(0)?, done_at_ms: row.get(1)?, bytes: row.get(2)? });
    let steps = transaction.prepare(steps)?.query_map([id], step)?.collect::<Result<_, _>>()?;
    Ok(Some(TaskShown { task, payload, history, steps }))
}

const INFO: &str =
    "SELECT id, name, state, attempt, attempts, created_at_ms, due_at_ms, ended_at_ms, unique_key, last_error
    FROM _nearside_task";
const HISTORY: &str = "SELECT number, started_at_ms, ended_at_ms, how, message, progress, log FROM _nearside_attempt
    WHERE task = ?1 ORDER BY number";

fn info(row: &rusqlite::Row<'_>) -> rusqlite::Result<TaskInfo> {
    Ok(TaskInfo {
        id: row.get(0)?,
        kind: row.get(1)?,
        state: row.get(2)?,
        attempt: row.get(3)?,
        attempts: row.get(4)?,
        created_at_ms: row.get(5)?,
        due_at_ms: row.get(6)?,
        ended_at_ms: row.get(7)?,
        unique_key: row.get(8)?,
        last_error: row.get(9)?,
    })
}

fn attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt {
        number: row.get(0)?,
        started_at_ms: row.get(1)?,
        ended_at_ms: row.get(2)?,
        how: row.get(3)?,
        message: row.get(4)?,
        progress: row.get(5)?,
        log: row.get(6)?,
    })
}

fn kinds(connection: &Connection, app: &App) -> rusqlite::Result<BTreeMap<String, Kind>> {
    let declared = |name: &String| (name.clone(), Kind { is_declared: true, ..Kind::default() });
    let mut kinds: BTreeMap<String, Kind> = app.tasks.keys().map(declared).collect();
    let mut statement = connection.prepare("SELECT name, state, count(*) FROM _nearside_task GROUP BY name, state")?;
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))? {
        let (name, state, count): (String, String, u64) = row?;
        let kind = kinds.entry(name).or_default();
        match state.as_str() {
            "due" => kind.due = count,
            "running" => kind.running = count,
            "done" => kind.done = count,
            _ => kind.dead = count,
        }
    }
    let paused = "SELECT name, paused_at_ms FROM _nearside_task_kind WHERE paused_at_ms IS NOT NULL";
    for row in connection.prepare(paused)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (name, paused_at_ms): (String, u64) = row?;
        kinds.entry(name).or_default().paused_at_ms = Some(paused_at_ms);
    }
    Ok(kinds)
}

fn all_crons(connection: &Connection, app: &App, now_ms: u64) -> rusqlite::Result<Vec<Cron>> {
    let known = crons::known(connection)?;
    let cron = |cron: &nearside_protocol::app::CronDecl| {
        let done_at_ms = known.get(&cron.name).map(|(_, done_at_ms)| *done_at_ms);
        Cron {
            name: cron.name.clone(),
            schedule: cron.schedule.to_string(),
            task: cron.task.clone(),
            done_at_ms,
            next_at_ms: cron.schedule.next_after(done_at_ms.unwrap_or(now_ms).max(now_ms)),
        }
    };
    Ok(app.crons.iter().map(cron).collect())
}
