//! Which due tasks get places.
//!
//! A kind never has more places than its concurrency. One place is each kind's own, so that no other kind, however many
//! or slow its tasks, keeps it from going on; further ones are among [`limits::TASKS_AT_ONCE`] that all kinds of an app
//! share, by priority, and within it by who has waited longest.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use nearside_protocol::{app::TaskDecl, limits};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Claimed, Moment, expire, history};

/// Tasks taken, each under a lease, and the moment the next one may be.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    pub(crate) tasks: Vec<Claimed>,
    /// None: not before one that runs has ended, or another is queued.
    pub(crate) next_at_ms: Option<u64>,
    /// Whether anything was changed.
    pub(crate) wrote: bool,
}

impl Claims {
    pub(crate) fn not_later_than(&mut self, at_ms: u64) {
        self.next_at_ms = Some(self.next_at_ms.map_or(at_ms, |next| next.min(at_ms)));
    }
}

/// A kind that has a place for another one.
struct Open<'a> {
    name: &'a str,
    declared: &'a TaskDecl,
    running: usize,
    /// Of the one that has waited longest.
    due_at_ms: u64,
}

/// Takes what there are places for.
pub(crate) fn claim(
    connection: &Connection,
    kinds: &BTreeMap<String, TaskDecl>,
    at: Moment,
    chance: u64,
) -> rusqlite::Result<Claims> {
    let expired = expire(connection, at, chance)?;
    let mut claims = Claims { wrote: expired > 0, ..Claims::default() };
    let running = running(connection)?;
    let mut shared = limits::TASKS_AT_ONCE.saturating_sub(running.values().map(|count| count.saturating_sub(1)).sum());
    let mut open = open(connection, kinds, &running)?;
    open.sort_by_key(|kind| (Reverse(kind.declared.priority), kind.due_at_ms));
    for kind in open {
        if kind.due_at_ms > at.now_ms {
            claims.not_later_than(kind.due_at_ms);
            continue;
        }
        let own = usize::from(kind.running == 0);
        let places = (kind.declared.concurrency - kind.running).min(own + shared);
        let pace = Pace::of(connection, &kind, at.now_ms)?;
        let taken = take(connection, &kind, places.min(pace.room()), at)?;
        shared -= taken.len().saturating_sub(own);
        if taken.len() < places {
            // Short of tasks, or of the right to begin them: either may change by itself.
            let next = next_due_at_ms(connection, kind.name)?;
            next.into_iter().for_each(|due| claims.not_later_than(due.max(pace.after(taken.len()))));
        }
        pace.keep(connection, kind.name, taken.len())?;
        claims.wrote |= !taken.is_empty();
        claims.tasks.extend(taken);
    }
    Ok(claims)
}

fn running(connection: &Connection) -> rusqlite::Result<BTreeMap<String, usize>> {
    let sql = "SELECT name, count(*) FROM _nearside_task WHERE state = 'running' GROUP BY name";
    connection.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn open<'a>(
    connection: &Connection,
    kinds: &'a BTreeMap<String, TaskDecl>,
    running: &BTreeMap<String, usize>,
) -> rusqlite::Result<Vec<Open<'a>>> {
    let paused = "SELECT name FROM _nearside_task_kind WHERE paused_at_ms IS NOT NULL";
    let paused: BTreeSet<String> =
        connection.prepare(paused)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut open = Vec::new();
    for (name, declared) in kinds {
        let running = running.get(name).copied().unwrap_or(0);
        if running < declared.concurrency
            && !paused.contains(name)
            && let Some(due_at_ms) = next_due_at_ms(connection, name)?
        {
            open.push(Open { name, declared, running, due_at_ms });
        }
    }
    Ok(open)
}

fn next_due_at_ms(connection: &Connection, kind: &str) -> rusqlite::Result<Option<u64>> {
    let sql = "SELECT min(due_at_ms) FROM _nearside_task WHERE name = ?1 AND state = 'due'";
    connection.query_row(sql, [kind], |row| row.get(0))
}

/// Of one kind, those due longest first.
fn take(connection: &Connection, kind: &Open<'_>, most: usize, at: Moment) -> rusqlite::Result<Vec<Claimed>> {
    let take = "UPDATE _nearside_task SET state = 'running', attempt = attempt + 1, lease = lease + 1,
        started_at_ms = ?2, lease_until_ms = ?4 WHERE id IN
        (SELECT id FROM _nearside_task WHERE name = ?1 AND state = 'due' AND due_at_ms <= ?2
        ORDER BY due_at_ms, id LIMIT ?3) RETURNING id, name, payload, attempt, lease, traced";
    let claimed = |row: &rusqlite::Row<'_>| {
        Ok(Claimed {
            id: row.get(0)?,
            name: row.get(1)?,
            payload: row.get(2)?,
            attempt: row.get(3)?,
            lease: row.get(4)?,
            steps: BTreeMap::new(),
            traced: row.get::<_, Option<String>>(5)?.and_then(|text| text.parse().ok()),
        })
    };
    let until_ms = at.up_ms + kind.declared.lease_ms;
    let mut taken: Vec<Claimed> = connection
        .prepare(take)?
        .query_map(params![kind.name, at.now_ms, most, until_ms], claimed)?
        .collect::<Result<_, _>>()?;
    for task in taken.iter_mut().filter(|task| task.attempt > 1) {
        task.steps = history::steps(connection, task.id)?;
    }
    Ok(taken)
}

/// How fast a kind may go: a virtual clock that each attempt moves on by its share of a second. It stands in the store,
/// so that a restart does not begin anew.
struct Pace {
    /// None where no rate is declared.
    interval_us: Option<u64>,
    burst_us: u64,
    now_us: u64,
    /// What the virtual clock shows; not before now.
    paced_at_us: u64,
}

impl Pace {
    fn of(connection: &Connection, kind: &Open<'_>, now_ms: u64) -> rusqlite::Result<Pace> {
        let now_us = now_ms * 1_000;
        let Some(rate) = kind.declared.rate_per_s else {
            return Ok(Pace { interval_us: None, burst_us: 0, now_us, paced_at_us: now_us });
        };
        let interval_us = ((1e6 / rate) as u64).max(1);
        let burst_us = interval_us.max(limits::TASK_RATE_BURST_MS * 1_000);
        let sql = "SELECT paced_at_us FROM _nearside_task_kind WHERE name = ?1";
        let kept: Option<Option<u64>> = connection.query_row(sql, [kind.name], |row| row.get(0)).optional()?;
        // It is never ahead by more than a burst, unless the time of day was set back.
        let paced_at_us = kept.flatten().unwrap_or(0).clamp(now_us, now_us + burst_us);
        Ok(Pace { interval_us: Some(interval_us), burst_us, now_us, paced_at_us })
    }

    /// How many may begin now.
    fn room(&self) -> usize {
        match self.interval_us {
            None => usize::MAX >> 1,
            Some(interval_us) => ((self.now_us + self.burst_us - self.paced_at_us) / interval_us) as usize,
        }
    }

    /// When another one may, once so many have begun.
    fn after(&self, begun: usize) -> u64 {
        match self.interval_us {
            None => 0,
            Some(interval_us) => {
                (self.paced_at_us + (begun as u64 + 1) * interval_us).saturating_sub(self.burst_us).div_ceil(1_000)
            }
        }
    }

    fn keep(&self, connection: &Connection, kind: &str, begun: usize) -> rusqlite::Result<()> {
        let Some(interval_us) = self.interval_us.filter(|_| begun > 0) else { return Ok(()) };
        let paced_at_us = self.paced_at_us + begun as u64 * interval_us;
        let sql = "INSERT INTO _nearside_task_kind (name, paced_at_us) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET paced_at_us = excluded.paced_at_us";
        connection.execute(sql, params![kind, paced_at_us]).map(drop)
    }
}
