//! The task table: due -> running -> done, or due again, or dead.
//!
//! Each claim gives a task a new lease number, and an attempt may end a task only under the lease it was claimed with:
//! whoever was believed lost and comes back late changes nothing. The process that runs tasks is the one that owns the
//! table, so a lease needs no clock: it ends with the attempt, or with the process.

use std::collections::BTreeMap;

use nearside_protocol::limits;
use rusqlite::{Connection, OptionalExtension, params};

use crate::store;

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
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Ending {
    Done,
    /// Again later, while there are attempts left.
    Retry(String),
    /// Never again: to the dead letters.
    Dead(String),
}

/// Inside a write transaction: queues a task, due at once. Ids are never given twice.
pub(crate) fn add(
    connection: &Connection,
    name: &str,
    payload: &str,
    attempts: u32,
    now_ms: u64,
) -> rusqlite::Result<u64> {
    let id = store::grow(connection, "task")?;
    let sql = "INSERT INTO _nearside_task (id, name, payload, state, attempts, due_at_ms, created_at_ms)
        VALUES (?1, ?2, ?3, 'due', ?4, ?5, ?5)";
    connection.execute(sql, params![id, name, payload, attempts, now_ms])?;
    Ok(id)
}

/// How many more tasks may be queued.
pub(crate) fn room(connection: &Connection) -> rusqlite::Result<usize> {
    let sql = "SELECT count(*) FROM _nearside_task WHERE state IN ('due', 'running')";
    let waiting: usize = connection.query_row(sql, [], |row| row.get(0))?;
    Ok(limits::TASKS_WAITING.saturating_sub(waiting))
}

/// Takes due tasks, those due longest first.
pub(crate) fn claim(connection: &Connection, most: usize, now_ms: u64) -> rusqlite::Result<Vec<Claimed>> {
    let due = "SELECT id FROM _nearside_task WHERE state = 'due' AND due_at_ms <= ?1 ORDER BY due_at_ms, id LIMIT ?2";
    let ids: Vec<u64> =
        connection.prepare(due)?.query_map(params![now_ms, most], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let take = "UPDATE _nearside_task SET state = 'running', attempt = attempt + 1, lease = lease + 1
        WHERE id = ?1 AND state = 'due' RETURNING id, name, payload, attempt, lease";
    let mut take = connection.prepare(take)?;
    let claimed = |row: &rusqlite::Row<'_>| {
        Ok(Claimed {
            id: row.get(0)?,
            name: row.get(1)?,
            payload: row.get(2)?,
            attempt: row.get(3)?,
            lease: row.get(4)?,
        })
    };
    ids.into_iter().map(|id| take.query_row([id], claimed)).collect()
}

pub(crate) fn next_due_at_ms(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    connection.query_row("SELECT min(due_at_ms) FROM _nearside_task WHERE state = 'due'", [], |row| row.get(0))
}

/// Ends an attempt; false when the task is no longer under that lease. `chance` spreads the retries.
pub(crate) fn finish(
    connection: &Connection,
    id: u64,
    lease: u64,
    ending: &Ending,
    now_ms: u64,
    chance: u64,
) -> rusqlite::Result<bool> {
    let under_lease = "SELECT attempt, attempts FROM _nearside_task WHERE id = ?1 AND lease = ?2 AND state = 'running'";
    let attempts: Option<(u32, u32)> =
        connection.query_row(under_lease, params![id, lease], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((attempt, attempts)) = attempts else { return Ok(false) };
    let (state, error, due_at_ms) = match ending {
        Ending::Done => ("done", None, None),
        Ending::Retry(why) if attempt < attempts => ("due", Some(why), Some(now_ms + backoff_ms(attempt, chance))),
        Ending::Retry(why) | Ending::Dead(why) => ("dead", Some(why), None),
    };
    let sql = "UPDATE _nearside_task SET state = ?3, last_error = ?4, due_at_ms = coalesce(?5, due_at_ms),
        ended_at_ms = CASE WHEN ?3 = 'due' THEN NULL ELSE ?6 END WHERE id = ?1 AND lease = ?2 AND state = 'running'";
    Ok(connection.execute(sql, params![id, lease, state, error, due_at_ms, now_ms])? == 1)
}

/// At the start: what was running when the process ended is due again, or dead if that was its last attempt. The
/// attempt counts, and the pause grows, so that a task which takes the process down does so a few times only.
pub(crate) fn recover(connection: &Connection, now_ms: u64, chance: u64) -> rusqlite::Result<usize> {
    let running = "SELECT id, lease FROM _nearside_task WHERE state = 'running'";
    let running: Vec<(u64, u64)> =
        connection.prepare(running)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let ending = Ending::Retry("the origin stopped during this attempt".into());
    for (index, (id, lease)) in running.iter().enumerate() {
        finish(connection, *id, *lease, &ending, now_ms, chance.rotate_left(index as u32 * 7))?;
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

/// Forgets tasks done long ago, some at a time.
pub(crate) fn purge(connection: &Connection, now_ms: u64) -> rusqlite::Result<usize> {
    let before = now_ms.saturating_sub(limits::TASK_DONE_KEPT.as_millis() as u64);
    let sql = "DELETE FROM _nearside_task WHERE id IN
        (SELECT id FROM _nearside_task WHERE state = 'done' AND ended_at_ms < ?1 LIMIT ?2)";
    connection.execute(sql, params![before, limits::PURGE_ROWS])
}

/// The pause after an attempt: anything up to a bound that doubles ("full jitter"), so that what failed together does
/// not come back together.
fn backoff_ms(attempt: u32, chance: u64) -> u64 {
    let doubled = limits::TASK_BACKOFF_FIRST_MS.saturating_mul(1 << attempt.saturating_sub(1).min(40));
    chance % (doubled.min(limits::TASK_BACKOFF_MOST_MS) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        store::prepare(&connection).unwrap();
        connection
    }

    fn state(connection: &Connection, id: u64) -> String {
        connection.query_row("SELECT state FROM _nearside_task WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    }

    #[test]
    fn an_attempt_ends_only_under_its_own_lease() {
        let store = store();
        let id = add(&store, "mail", "{}", 3, 0).unwrap();
        let first = claim(&store, 8, 0).unwrap().remove(0);
        assert_eq!((first.id, first.attempt, first.lease), (id, 1, 1));
        assert!(claim(&store, 8, 0).unwrap().is_empty(), "it runs already");
        recover(&store, 0, 0).unwrap();
        let second = claim(&store, 8, u64::MAX >> 1).unwrap().remove(0);
        assert_eq!((second.attempt, second.lease), (2, 2));
        assert!(!finish(&store, id, first.lease, &Ending::Done, 0, 0).unwrap(), "the first one comes back late");
        assert_eq!(state(&store, id), "running");
        assert!(finish(&store, id, second.lease, &Ending::Done, 0, 0).unwrap());
        assert!(!finish(&store, id, second.lease, &Ending::Dead("x".into()), 0, 0).unwrap(), "it has ended");
        assert_eq!(state(&store, id), "done");
    }

    #[test]
    fn retries_end_with_the_dead() {
        let store = store();
        let id = add(&store, "mail", "{}", 2, 0).unwrap();
        for (attempt, expected) in [(1, "due"), (2, "dead")] {
            let task = claim(&store, 8, 1_000_000).unwrap().remove(0);
            assert_eq!(task.attempt, attempt);
            assert!(finish(&store, id, task.lease, &Ending::Retry("no".into()), 0, 499).unwrap());
            assert_eq!(state(&store, id), expected);
        }
        let other = add(&store, "mail", "{}", 9, 0).unwrap();
        let task = claim(&store, 8, 0).unwrap().remove(0);
        finish(&store, other, task.lease, &Ending::Dead("gone".into()), 0, 0).unwrap();
        let counts = counts(&store).unwrap();
        assert_eq!((counts["dead"], counts["due"], counts["done"]), (2, 0, 0));
    }

    #[test]
    fn crashes_cost_attempts_so_a_poison_task_dies() {
        let store = store();
        let id = add(&store, "poison", "{}", 2, 0).unwrap();
        for expected in ["due", "dead"] {
            assert_eq!(claim(&store, 1, 1_000_000).unwrap().len(), 1);
            assert_eq!(recover(&store, 0, 7).unwrap(), 1);
            assert_eq!(state(&store, id), expected);
        }
    }

    #[test]
    fn a_retry_waits_and_does_not_hold_up_others() {
        let store = store();
        let first = add(&store, "a", "{}", 9, 0).unwrap();
        let task = claim(&store, 1, 0).unwrap().remove(0);
        finish(&store, first, task.lease, &Ending::Retry("x".into()), 100, 400).unwrap();
        let second = add(&store, "b", "{}", 9, 100).unwrap();
        assert_eq!(claim(&store, 8, 100).unwrap().iter().map(|task| task.id).collect::<Vec<_>>(), [second]);
        assert_eq!(next_due_at_ms(&store).unwrap(), Some(500));
        assert_eq!(claim(&store, 8, 500).unwrap().len(), 1);
        assert_eq!(next_due_at_ms(&store).unwrap(), None);
    }

    #[test]
    fn ids_are_not_given_twice_and_old_ones_go() {
        let store = store();
        let id = add(&store, "a", "{}", 1, 0).unwrap();
        let task = claim(&store, 1, 0).unwrap().remove(0);
        finish(&store, id, task.lease, &Ending::Done, 10, 0).unwrap();
        let later = limits::TASK_DONE_KEPT.as_millis() as u64 + 10;
        assert_eq!((purge(&store, later).unwrap(), purge(&store, later + 1).unwrap()), (0, 1));
        assert_eq!(add(&store, "a", "{}", 1, 0).unwrap(), id + 1);
    }

    #[test]
    fn pauses_double_up_to_their_bound() {
        assert!(backoff_ms(1, u64::MAX) <= limits::TASK_BACKOFF_FIRST_MS);
        assert_eq!(backoff_ms(1, limits::TASK_BACKOFF_FIRST_MS), limits::TASK_BACKOFF_FIRST_MS);
        assert_eq!(backoff_ms(3, 4 * limits::TASK_BACKOFF_FIRST_MS), 4 * limits::TASK_BACKOFF_FIRST_MS);
        for attempt in [20, 64, u32::MAX] {
            assert_eq!(backoff_ms(attempt, limits::TASK_BACKOFF_MOST_MS), limits::TASK_BACKOFF_MOST_MS);
        }
    }
}
