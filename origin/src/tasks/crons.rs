//! Tasks that are queued when they are due.
//!
//! The last due time that is done stands in the store and moves in the transaction that queues the task, so each is done
//! once, whatever becomes of the process. It never moves back: a clock that is set back repeats nothing. Of several times
//! that were missed the last one is done, and the others are not made up for.

use std::collections::BTreeMap;

use nearside_protocol::app::{CronDecl, TaskDecl};
use rusqlite::{Connection, params};

use super::add;

/// What was due.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Rung {
    /// Crons whose time had come.
    pub(crate) queued: usize,
    pub(crate) wrote: bool,
    pub(crate) next_at_ms: Option<u64>,
}

impl Rung {
    fn not_later_than(&mut self, at_ms: u64) {
        self.next_at_ms = Some(self.next_at_ms.map_or(at_ms, |next| next.min(at_ms)));
    }
}

/// Inside a write transaction: queues what is due. One that is seen for the first time, or with another schedule, begins
/// now.
pub(crate) fn ring(
    connection: &Connection,
    crons: &[CronDecl],
    kinds: &BTreeMap<String, TaskDecl>,
    now_ms: u64,
) -> rusqlite::Result<Rung> {
    let mut rung = Rung::default();
    if crons.is_empty() {
        return Ok(rung);
    }
    let mut known = known(connection)?;
    for cron in crons {
        let schedule = cron.schedule.to_string();
        let before = known.remove(&cron.name).filter(|(kept, _)| *kept == schedule).map(|(_, done_at_ms)| done_at_ms);
        let due = before.and_then(|before| cron.schedule.last_due(before, now_ms));
        if due.is_some() && !queue(connection, cron, kinds, now_ms)? {
            // No more tasks are taken: it is tried again, and still done once.
            rung.not_later_than(now_ms + AGAIN_MS);
            continue;
        }
        rung.queued += usize::from(due.is_some());
        let done_at_ms = due.or(before).unwrap_or(now_ms);
        if before != Some(done_at_ms) {
            note(connection, cron, &schedule, done_at_ms)?;
            rung.wrote = true;
        }
        rung.not_later_than(cron.schedule.next_after(done_at_ms.max(now_ms)));
    }
    // Of those the app declares no more; should they come back, they begin then.
    for name in known.into_keys() {
        connection.execute("DELETE FROM _nearside_cron WHERE name = ?1", [name])?;
        rung.wrote = true;
    }
    Ok(rung)
}

const AGAIN_MS: u64 = 10_000;

fn queue(
    connection: &Connection,
    cron: &CronDecl,
    kinds: &BTreeMap<String, TaskDecl>,
    now_ms: u64,
) -> rusqlite::Result<bool> {
    let declared = kinds.get(&cron.task).expect("BUG: a manifest's crons name tasks it has");
    Ok(add(connection, &cron.task, declared, &cron.payload, now_ms)?.is_some())
}

/// By name: the schedule it had, and the last due time that is done.
pub(super) fn known(connection: &Connection) -> rusqlite::Result<BTreeMap<String, (String, u64)>> {
    let mut statement = connection.prepare("SELECT name, schedule, done_at_ms FROM _nearside_cron")?;
    statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?.collect()
}

fn note(connection: &Connection, cron: &CronDecl, schedule: &str, done_at_ms: u64) -> rusqlite::Result<()> {
    let sql = "REPLACE INTO _nearside_cron (name, schedule, done_at_ms) VALUES (?1, ?2, ?3)";
    connection.execute(sql, params![cron.name, schedule, done_at_ms]).map(drop)
}
