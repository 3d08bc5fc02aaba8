//! The task table: due -> running -> done, or due again, or dead.
//!
//! Each claim gives a task a new lease number, and an attempt may end a task only under the lease it was claimed with:
//! whoever was believed lost and comes back late changes nothing. A lease is renewed while its attempt lives and ends
//! with the process, so its clock is the process' own, which nobody can set.
//!
//! | file | what it holds |
//! |---|---|
//! | [`claim`] | which tasks get places: concurrency, rate and priority of their kinds |
//! | [`crons`] | tasks that are queued when they are due |
//! | [`history`] | what each attempt came to, what it told, and the steps that are done |
//! | [`steer`] | what an operator changes |
//! | [`report`] | what an operator is shown |
//! | [`unique`] | whether two tasks are the same one |

pub(crate) mod claim;
pub(crate) mod crons;
pub(crate) mod history;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod steer;
mod unique;

use std::collections::BTreeMap;

use nearside_protocol::{app::TaskDecl, limits, trace_context::TraceContext, write::Enqueued};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{kept::Kept, store};
use history::Notes;

/// What the clocks show: the time of day, which may be set, and for how long this process has been up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub(crate) now_ms: u64,
    pub(crate) up_ms: u64,
}

/// A task under a lease.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claimed {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// JSON.
    pub(crate) payload: String,
    /// Counts from 1; a crash costs one too.
    pub(crate) attempt: u32,
    pub(crate) lease: u64,
    /// Named steps that earlier attempts have done, with their results.
    pub(crate) steps: BTreeMap<String, String>,
    /// Whose trace it goes on with, if that is sampled.
    pub(crate) traced: Option<TraceContext>,
}

/// What became of a task that was to be queued. Either way one is there that will be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    Inserted(u64),
    /// Its kind is declared `unique`, and one like it waits or runs already.
    Existing(u64),
}

impl Queued {
    pub fn id(self) -> u64 {
        match self {
            Queued::Inserted(id) | Queued::Existing(id) => id,
        }
    }
}

impl From<Queued> for Enqueued {
    fn from(queued: Queued) -> Enqueued {
        Enqueued { task: queued.id(), existing: matches!(queued, Queued::Existing(_)) }
    }
}

impl From<Enqueued> for Queued {
    fn from(Enqueued { task, existing }: Enqueued) -> Queued {
        match existing {
            true => Queued::Existing(task),
            false => Queued::Inserted(task),
        }
    }
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Done,
    /// Again later, while there are attempts left.
    Retry(String),
    /// Never again: to the dead letters.
    Dead(String),
    /// Nobody knows how it went: it ended with its process, or its lease. As if it had failed.
    Lost(String),
    /// It did not begin, and not by its own fault: again later, and it does not count.
    Untried(String),
}

impl Ending {
    /// As spans call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Retry(_) => "retry",
            Ending::Dead(_) => "dead",
            Ending::Lost(_) => "lost",
            Ending::Untried(_) => "untried",
        }
    }

    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Ending::Done => None,
            Ending::Retry(why) | Ending::Dead(why) | Ending::Lost(why) | Ending::Untried(why) => Some(why),
        }
    }
}

/// An attempt's end, and what it has told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) ending: Ending,
    pub(crate) notes: Notes,
}

impl From<Ending> for End {
    fn from(ending: Ending) -> End {
        End { ending, notes: Notes::default() }
    }
}

/// A running attempt's sign of life.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sign {
    pub(crate) id: u64,
    pub(crate) lease: u64,
    pub(crate) lease_ms: u64,
    /// What it has told since the last one, if anything.
    pub(crate) notes: Option<Notes>,
}

/// Inside a write transaction: queues a task, due after its kind's delay. Ids are never given twice. None when too many
/// wait.
pub(crate) fn add(
    connection: &Connection,
    kind: &str,
    declared: &TaskDecl,
    payload: &str,
    now_ms: u64,
) -> rusqlite::Result<Option<Queued>> {
    add_traced(connection, kind, declared, payload, now_ms, None)
}

/// The same for one that goes on with a trace, in all its attempts.
pub(crate) fn add_traced(
    connection: &Connection,
    kind: &str,
    declared: &TaskDecl,
    payload: &str,
    now_ms: u64,
    traced: Option<TraceContext>,
) -> rusqlite::Result<Option<Queued>> {
    let unique_key = declared.unique.as_ref().map(|fields| unique::key(fields, payload));
    if let Some(key) = &unique_key {
        let like = "SELECT id FROM _nearside_task WHERE name = ?1 AND unique_key = ?2 AND state IN ('due', 'running')";
        let like: Option<u64> = connection.kept(like)?.query_row([kind, key], |row| row.get(0)).optional()?;
        if let Some(id) = like {
            return Ok(Some(Queued::Existing(id)));
        }
    }
    if waiting(connection)? >= limits::TASKS_WAITING as u64 {
        return Ok(None);
    }
    let id = store::grow(connection, "task")?;
    now_wait(connection, 1)?;
    let sql = "INSERT INTO _nearside_task
        (id, name, payload, state, attempts, backoff_first_ms, backoff_most_ms, due_at_ms, created_at_ms, unique_key, traced)
        VALUES (?1, ?2, ?3, 'due', ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let (retry, due_at_ms) = (declared.retry, now_ms.saturating_add(declared.delay_ms));
    let (first_ms, most_ms) = (retry.backoff_first_ms, retry.backoff_most_ms);
    let (attempts, traced) = (retry.attempts, traced.map(|context| context.to_string()));
    let values = params![id, kind, payload, attempts, first_ms, most_ms, due_at_ms, now_ms, unique_key, traced];
    connection.kept(sql)?.execute(values)?;
    Ok(Some(Queued::Inserted(id)))
}

/// How many are due or running: counted as they come and go, for looking through all of them would be slow.
fn waiting(connection: &Connection) -> rusqlite::Result<u64> {
    connection.kept("SELECT value FROM _nearside_meta WHERE key = 'task_waiting'")?.query_row([], |row| row.get(0))
}

fn now_wait(connection: &Connection, more: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE _nearside_meta SET value = value + ?1 WHERE key = 'task_waiting'";
    connection.kept(sql)?.execute([more]).map(drop)
}

/// Ends an attempt; false when the task is no longer under that lease. `chance` spreads the retries.
pub(crate) fn finish(
    connection: &Connection,
    id: u64,
    lease: u64,
    end: &End,
    now_ms: u64,
    chance: u64,
) -> rusqlite::Result<bool> {
    let under_lease = "SELECT attempt, attempts, backoff_first_ms, backoff_most_ms FROM _nearside_task
        WHERE id = ?1 AND lease = ?2 AND state = 'running'";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    let found: Option<(u32, u32, u64, u64)> =
        connection.kept(under_lease)?.query_row(params![id, lease], row).optional()?;
    let Some((attempt, attempts, first_ms, most_ms)) = found else { return Ok(false) };
    let later = now_ms + backoff_ms(attempt, first_ms, most_ms, chance);
    let (state, how, error, due_at_ms) = match &end.ending {
        Ending::Done => ("done", "done", None, None),
        Ending::Untried(why) => ("due", "untried", Some(why), Some(later)),
        Ending::Retry(why) if attempt < attempts => ("due", "retry", Some(why), Some(later)),
        Ending::Lost(why) if attempt < attempts => ("due", "lost", Some(why), Some(later)),
        Ending::Lost(why) => ("dead", "lost", Some(why), None),
        Ending::Retry(why) | Ending::Dead(why) => ("dead", "dead", Some(why), None),
    };
    let error = error.map(|why| cut(why, limits::TASK_MESSAGE_BYTES));
    if how == "untried" {
        let sql = "UPDATE _nearside_task SET state = 'due', last_error = ?2, due_at_ms = ?3, attempt = attempt - 1
            WHERE id = ?1";
        connection.execute(sql, params![id, error, due_at_ms])?;
        return Ok(true);
    }
    history::ended(connection, id, attempt, how, error, &end.notes, now_ms)?;
    let sql = "UPDATE _nearside_task SET state = ?2, last_error = ?3, due_at_ms = coalesce(?4, due_at_ms),
        ended_at_ms = CASE WHEN ?2 = 'due' THEN NULL ELSE ?5 END WHERE id = ?1";
    connection.kept(sql)?.execute(params![id, state, error, due_at_ms, now_ms])?;
    if state != "due" {
        now_wait(connection, -1)?;
    }
    Ok(true)
}

/// Renews leases, and notes what their attempts have told. Gives the place of each that is not under its lease any more.
pub(crate) fn sign(connection: &Connection, signs: &[Sign], at: Moment) -> rusqlite::Result<Vec<usize>> {
    let mut lost = Vec::new();
    let sql = "UPDATE _nearside_task SET lease_until_ms = ?3 WHERE id = ?1 AND lease = ?2 AND state = 'running'
        RETURNING attempt";
    let mut renew = connection.kept(sql)?;
    for (place, sign) in signs.iter().enumerate() {
        let until_ms = at.up_ms + sign.lease_ms;
        let attempt: Option<u32> =
            renew.query_row(params![sign.id, sign.lease, until_ms], |row| row.get(0)).optional()?;
        match (attempt, &sign.notes) {
            (None, _) => lost.push(place),
            (Some(attempt), Some(notes)) => history::noted(connection, sign.id, attempt, notes)?,
            (Some(_), None) => {}
        }
    }
    Ok(lost)
}

/// At the start: what was running when the process ended is due again, or dead if that was its last attempt. The
/// attempt counts, and the pause grows, so that a task which takes the process down does so a few times only.
pub(crate) fn recover(connection: &Connection, now_ms: u64, chance: u64) -> rusqlite::Result<usize> {
    lose(connection, u64::MAX >> 1, "the origin stopped during this attempt", now_ms, chance)
}

/// The same for those whose leases have ended.
fn expire(connection: &Connection, at: Moment, chance: u64) -> rusqlite::Result<usize> {
    let lost = lose(connection, at.up_ms, "there was no sign of life for as long as its lease", at.now_ms, chance)?;
    if lost > 0 {
        tracing::warn!(tasks = lost, "leases have ended; their tasks are due again");
    }
    Ok(lost)
}

fn lose(connection: &Connection, until_ms: u64, why: &str, now_ms: u64, chance: u64) -> rusqlite::Result<usize> {
    let running = "SELECT id, lease FROM _nearside_task
        WHERE state = 'running' AND coalesce(lease_until_ms, 0) < ?1 ORDER BY id";
    let running: Vec<(u64, u64)> = connection
        .prepare(running)?
        .query_map([until_ms], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let end = Ending::Lost(why.into()).into();
    for (index, (id, lease)) in running.iter().enumerate() {
        finish(connection, *id, *lease, &end, now_ms, chance.rotate_left(index as u32 * 7))?;
    }
    Ok(running.len())
}

/// Tasks by state; each state is there, if only with 0.
pub(crate) fn counts(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, u64> =
        ["due", "running", "done", "dead"].map(|state| (state.to_owned(), 0)).into();
    let mut statement = connection.prepare("SELECT state, count(*) FROM _nearside_task GROUP BY state")?;
    for row in statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (state, count): (String, u64) = row?;
        counts.insert(state, count);
    }
    Ok(counts)
}

/// Forgets tasks done long ago, and of those there are too many of the oldest; some at a time. Gives how many: when they
/// are [`limits::PURGE_ROWS`], there may be more.
pub(crate) fn purge(connection: &Connection, now_ms: u64) -> rusqlite::Result<usize> {
    let before = now_ms.saturating_sub(limits::TASK_DONE_KEPT.as_millis() as u64);
    let sql = "DELETE FROM _nearside_task WHERE id IN
        (SELECT id FROM _nearside_task WHERE state = 'done' AND ended_at_ms < ?1 LIMIT ?2)";
    let old = connection.execute(sql, params![before, limits::PURGE_ROWS])?;
    let done = keep_newest(connection, "done", limits::TASKS_DONE_KEPT, limits::PURGE_ROWS - old)?;
    let dead = keep_newest(connection, "dead", limits::TASKS_DEAD_KEPT, limits::PURGE_ROWS - old - done)?;
    if dead > 0 {
        tracing::warn!(tasks = dead, kept = limits::TASKS_DEAD_KEPT, "the oldest dead letters are forgotten");
    }
    Ok(old + done + dead)
}

/// Forgets the oldest of a state, at most so many.
fn keep_newest(connection: &Connection, state: &str, kept: usize, most: usize) -> rusqlite::Result<usize> {
    let there = "SELECT count(*) FROM _nearside_task WHERE state = ?1";
    let there: usize = connection.query_row(there, [state], |row| row.get(0))?;
    let sql = "DELETE FROM _nearside_task WHERE id IN
        (SELECT id FROM _nearside_task WHERE state = ?1 ORDER BY ended_at_ms LIMIT ?2)";
    match there.saturating_sub(kept).min(most) {
        0 => Ok(0),
        too_many => connection.execute(sql, params![state, too_many]),
    }
}

/// The pause after an attempt: anything up to a bound that doubles ("full jitter"), so that what failed together does
/// not come back together.
fn backoff_ms(attempt: u32, first_ms: u64, most_ms: u64, chance: u64) -> u64 {
    let doubled = first_ms.saturating_mul(1 << attempt.saturating_sub(1).min(40));
    chance % (doubled.min(most_ms) + 1)
}

fn cut(text: &str, most_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(most_bytes)]
}

#[cfg(test)]
pub(crate) mod tests;
