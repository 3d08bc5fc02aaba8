//! What an operator changes: kinds are paused and resumed, dead tasks tried again or discarded.

use std::collections::BTreeMap;

use nearside_protocol::{app::TaskDecl, limits, task_report::Steered};
use rusqlite::{Connection, OptionalExtension, params};

use super::now_wait;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Order {
    /// Its tasks are queued, and none begins; those that run go on.
    Pause(String),
    Resume(String),
    Retry(Which),
    Discard(Which),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Which {
    One(u64),
    /// All dead ones of a kind.
    DeadOf(String),
}

/// Why an order was not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotSteered {
    #[error("there is no task {0}")]
    NoTask(u64),
    #[error("the app declares no task `{0}`, and none of that name is left")]
    NoKind(String),
    #[error("task {0} is {1}: only a dead one can be tried again")]
    NotDead(u64, String),
    #[error("task {0} is {1}: one that waits or is dead can be discarded")]
    NotIdle(u64, String),
    #[error("task {0} is `unique`, and one like it waits or runs already")]
    Twin(u64),
}

/// Inside a write transaction: follows an order.
pub(crate) fn follow(
    connection: &Connection,
    order: &Order,
    kinds: &BTreeMap<String, TaskDecl>,
    now_ms: u64,
) -> rusqlite::Result<Result<Steered, NotSteered>> {
    if let Order::Pause(kind)
    | Order::Resume(kind)
    | Order::Retry(Which::DeadOf(kind))
    | Order::Discard(Which::DeadOf(kind)) = order
        && !kinds.contains_key(kind)
        && !is_left(connection, kind)?
    {
        return Ok(Err(NotSteered::NoKind(kind.clone())));
    }
    let one = |changed: usize| Steered { changed: changed as u64, more: false };
    let some = |changed: usize| Steered { changed: changed as u64, more: changed == limits::TASKS_STEERED };
    match order {
        Order::Pause(kind) => {
            let sql = "INSERT INTO _nearside_task_kind (name, paused_at_ms) VALUES (?1, ?2)
                ON CONFLICT (name) DO UPDATE SET paused_at_ms = excluded.paused_at_ms WHERE paused_at_ms IS NULL";
            Ok(Ok(one(connection.execute(sql, params![kind, now_ms])?)))
        }
        Order::Resume(kind) => {
            let sql = "UPDATE _nearside_task_kind SET paused_at_ms = NULL WHERE name = ?1 AND paused_at_ms IS NOT NULL";
            Ok(Ok(one(connection.execute(sql, [kind])?)))
        }
        Order::Retry(Which::One(id)) => Ok(match found(connection, *id)? {
            None => Err(NotSteered::NoTask(*id)),
            Some((_, state)) if state != "dead" => Err(NotSteered::NotDead(*id, state)),
            Some((kind, _)) => match again(connection, &[*id], kinds.get(&kind), now_ms)? {
                0 => Err(NotSteered::Twin(*id)),
                changed => Ok(one(changed)),
            },
        }),
        Order::Retry(Which::DeadOf(kind)) => {
            let sql = "SELECT id FROM _nearside_task AS dead WHERE state = 'dead' AND name = ?1 AND NOT EXISTS
                (SELECT 1 FROM _nearside_task AS twin WHERE twin.name = ?1 AND twin.unique_key = dead.unique_key
                AND twin.state IN ('due', 'running')) ORDER BY id LIMIT ?2";
            let ids: Vec<u64> = connection
                .prepare(sql)?
                .query_map(params![kind, limits::TASKS_STEERED], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let changed = again(connection, &ids, kinds.get(kind), now_ms)?;
            Ok(Ok(Steered { changed: changed as u64, more: ids.len() == limits::TASKS_STEERED }))
        }
        Order::Discard(Which::One(id)) => Ok(match found(connection, *id)? {
            None => Err(NotSteered::NoTask(*id)),
            Some((_, state)) if state == "dead" || state == "due" => {
                if state == "due" {
                    now_wait(connection, -1)?;
                }
                Ok(one(connection.execute("DELETE FROM _nearside_task WHERE id = ?1", [id])?))
            }
            Some((_, state)) => Err(NotSteered::NotIdle(*id, state)),
        }),
        Order::Discard(Which::DeadOf(kind)) => {
            let sql = "DELETE FROM _nearside_task WHERE id IN
                (SELECT id FROM _nearside_task WHERE state = 'dead' AND name = ?1 LIMIT ?2)";
            Ok(Ok(some(connection.execute(sql, params![kind, limits::TASKS_STEERED])?)))
        }
    }
}

/// Dead tasks become due, with as many attempts as their kind has now; the history goes on where it ended.
fn again(connection: &Connection, ids: &[u64], declared: Option<&TaskDecl>, now_ms: u64) -> rusqlite::Result<usize> {
    let sql = "UPDATE OR IGNORE _nearside_task SET state = 'due', due_at_ms = ?2, ended_at_ms = NULL,
        attempts = attempt + coalesce(?3, attempts) WHERE id = ?1 AND state = 'dead'";
    let mut statement = connection.prepare(sql)?;
    let attempts = declared.map(|declared| declared.retry.attempts);
    let mut changed = 0;
    for id in ids {
        changed += statement.execute(params![id, now_ms, attempts])?;
    }
    now_wait(connection, changed as i64)?;
    Ok(changed)
}

fn found(connection: &Connection, id: u64) -> rusqlite::Result<Option<(String, String)>> {
    let sql = "SELECT name, state FROM _nearside_task WHERE id = ?1";
    connection.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).optional()
}

/// Whether something of a kind is here that the app declares no more.
fn is_left(connection: &Connection, kind: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM _nearside_task WHERE name = ?1)
        OR EXISTS (SELECT 1 FROM _nearside_task_kind WHERE name = ?1)";
    connection.query_row(sql, [kind], |row| row.get(0))
}
