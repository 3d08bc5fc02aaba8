//! Tasks claimed and finished a second: by the origin, whose commits take whatever has queued, and by a worker that has
//! one commit a task; on the same disk, in turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rusqlite::Connection;
use tokio::time::sleep;

use super::Measured;
use super::stage::{programs, scratch, slower_disk};
use crate::args::Run;
use crate::columns::Kind;
use crate::limits::{TASKS, TASKS_ALONE_SHARE, TASKS_QUEUED_AT_ONCE, TASKS_TIMEOUT};
use crate::nearside::{Cluster, POLL, Setup};
use crate::report::{CaseReport, Described, Sample, Settings};
use crate::value::Metric;

pub(super) const ABOUT: &str = "Tasks that wait in the store are claimed, run and finished: by the origin, whose commits \
                                take whatever has queued, beside a worker that has one commit a task.";

const APP: &str = "modules/probe";
const NAME: &str = "probe";
const KIND: &str = "quick";

const NEARSIDE: &str = "nearside";
const ONE_BY_ONE: &str = "one by one";

pub(super) async fn measure(args: &Run, settings: &Settings) -> Result<Measured> {
    let scratch = scratch()?;
    let (app, program) = (args.root.join(APP), programs()?.join("nearside"));
    let setup = Setup {
        program: &program,
        app: &app,
        name: NAME,
        data: None,
        scratch: scratch.path(),
        cache_mib: None,
        webhook: None,
    };
    let mut cluster = Cluster::start(&setup).await?;
    let tasks = args.tasks.unwrap_or(TASKS);
    let mut samples = Vec::new();
    for round in 1..=settings.rounds {
        // Whoever is first in one round is second in the next.
        let both = if round % 2 == 1 { [NEARSIDE, ONE_BY_ONE] } else { [ONE_BY_ONE, NEARSIDE] };
        for contender in both {
            let values = match contender {
                NEARSIDE => grouped(&mut cluster, round, tasks).await,
                // So slow that fewer of them tell as much.
                _ => one_by_one(scratch.path(), (tasks as f64 * TASKS_ALONE_SHARE).ceil() as usize),
            };
            let values = values.with_context(|| format!("{contender}, round {round}"))?;
            progress(contender, round, &values);
            let (case, contender) = (KIND.to_owned(), contender.to_owned());
            samples.push(Sample { case, contender, round, closed_requests: None, open_requests: None, values });
        }
    }
    samples.sort_by_key(|sample| sample.contender != NEARSIDE);
    let describe =
        |name: &str, about: &str| Described { name: name.to_owned(), about: about.to_owned(), missing: None };
    let case = CaseReport {
        name: KIND.to_owned(),
        about: format!(
            "{tasks} tasks wait; from the first claim to the last end, each durable before the next step.{}",
            slower_disk()
        ),
        kind: Kind::Tasks,
        limit: ONE_BY_ONE.to_owned(),
        contenders: vec![
            describe(NEARSIDE, "the origin, which runs each as a fresh instance of a component, 32 at once"),
            describe(
                ONE_BY_ONE,
                "SQLite alone, with the same two updates and the row of history in one commit a task, and no work in between",
            ),
        ],
        load: None,
    };
    Ok((vec![case], samples))
}

/// Queues tasks of a kind that is paused, resumes it, and waits until none is left.
async fn grouped(cluster: &mut Cluster, round: usize, tasks: usize) -> Result<BTreeMap<Metric, f64>> {
    let origin = cluster.origin.clone();
    origin.steer_tasks(KIND, "pause").await?;
    let done_before = counts(&origin.tasks().await?, "done")?;
    for first in (0..tasks).step_by(TASKS_QUEUED_AT_ONCE) {
        let some = first..tasks.min(first + TASKS_QUEUED_AT_ONCE);
        let queued: Vec<_> = some
            .map(|number| {
                let origin = origin.clone();
                tokio::spawn(async move { origin.queue_task(KIND, &format!("{KIND}-{round}-{number}")).await })
            })
            .collect();
        for queued in queued {
            queued.await.context("queueing a task")??;
        }
    }
    ensure!(counts(&origin.tasks().await?, "due")? == tasks as u64, "not all tasks wait");
    let (commits, cpu_us) = (origin.transactions().await?, crate::cpu::microseconds(cluster.origin_process())?);
    let began = Instant::now();
    origin.steer_tasks(KIND, "resume").await?;
    let ends_at = began + TASKS_TIMEOUT;
    loop {
        let now = origin.tasks().await?;
        if counts(&now, "due")? + counts(&now, "running")? == 0 {
            let done = counts(&now, "done")? - done_before;
            ensure!(done == tasks as u64, "{done} of {tasks} tasks are done");
            break;
        }
        ensure!(Instant::now() < ends_at, "tasks are left after {TASKS_TIMEOUT:?}");
        cluster.still_running()?;
        sleep(POLL).await;
    }
    let took = began.elapsed();
    let cpu_us = crate::cpu::microseconds(cluster.origin_process())? - cpu_us;
    let commits = origin.transactions().await? - commits;
    Ok(BTreeMap::from([
        (Metric::Tasks, tasks as f64),
        (Metric::TasksPerSecond, tasks as f64 / took.as_secs_f64()),
        (Metric::TasksPerCommit, tasks as f64 / commits as f64),
        (Metric::CpuTask, cpu_us as f64 / tasks as f64),
    ]))
}

fn counts(kinds: &serde_json::Value, state: &str) -> Result<u64> {
    kinds["kinds"][KIND][state].as_u64().with_context(|| format!("the origin does not say how many are {state}"))
}

/// The best a worker can do that commits for each task: what ends one claims the next.
fn one_by_one(scratch: &Path, tasks: usize) -> Result<BTreeMap<Metric, f64>> {
    let path = scratch.join("one-by-one.db");
    let _ = fs::remove_file(&path);
    let store = Connection::open(&path).context("opening a store")?;
    store.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE task (id INTEGER PRIMARY KEY, name TEXT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL,
          attempt INTEGER NOT NULL DEFAULT 0, due_at_ms INTEGER NOT NULL, lease INTEGER NOT NULL DEFAULT 0,
          ended_at_ms INTEGER);
        CREATE INDEX task_due ON task (name, due_at_ms, id) WHERE state = 'due';
        CREATE INDEX task_state ON task (state, ended_at_ms);
        CREATE TABLE attempt (task INTEGER NOT NULL, number INTEGER NOT NULL, ended_at_ms INTEGER, how TEXT,
          PRIMARY KEY (task, number)) WITHOUT ROWID;",
    )?;
    let fill = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < ?1)
        INSERT INTO task (id, name, payload, state, due_at_ms) SELECT id, 'quick', '{}', 'due', 0 FROM n";
    store.execute(fill, [i64::try_from(tasks)?])?;
    let cpu_us = crate::cpu::microseconds(std::process::id())?;
    let began = Instant::now();
    let mut running: Option<(i64, i64)> = None;
    let mut commits = 0;
    loop {
        store.execute_batch("BEGIN IMMEDIATE")?;
        if let Some((id, lease)) = running.take() {
            let mut note = store.prepare_cached("INSERT INTO attempt VALUES (?1, 1, 1, 'done')")?;
            note.execute([id])?;
            let end =
                "UPDATE task SET state = 'done', ended_at_ms = 1 WHERE id = ?1 AND lease = ?2 AND state = 'running'";
            ensure!(store.prepare_cached(end)?.execute((id, lease))? == 1, "a lease was lost");
        }
        let claim = "UPDATE task SET state = 'running', attempt = attempt + 1, lease = lease + 1 WHERE id =
            (SELECT id FROM task WHERE name = 'quick' AND state = 'due' AND due_at_ms <= 1 ORDER BY due_at_ms, id LIMIT 1)
            RETURNING id, lease";
        let mut claim = store.prepare_cached(claim)?;
        running = claim.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.next().transpose()?;
        drop(claim);
        store.execute_batch("COMMIT")?;
        commits += 1;
        if running.is_none() {
            break;
        }
        ensure!(began.elapsed() < TASKS_TIMEOUT, "tasks are left after {TASKS_TIMEOUT:?}");
    }
    let took: Duration = began.elapsed();
    let cpu_us = crate::cpu::microseconds(std::process::id())? - cpu_us;
    Ok(BTreeMap::from([
        (Metric::Tasks, tasks as f64),
        (Metric::TasksPerSecond, tasks as f64 / took.as_secs_f64()),
        (Metric::TasksPerCommit, tasks as f64 / f64::from(commits)),
        (Metric::CpuTask, cpu_us as f64 / tasks as f64),
    ]))
}

fn progress(contender: &str, round: usize, values: &BTreeMap<Metric, f64>) {
    let value = |metric| values.get(&metric).copied().unwrap_or(f64::NAN);
    eprintln!(
        "  {round}: {contender:<10} {:>7.0} tasks  {:>7.0} a second  {:>5.1} a commit  {:>6.0} us of CPU a task",
        value(Metric::Tasks),
        value(Metric::TasksPerSecond),
        value(Metric::TasksPerCommit),
        value(Metric::CpuTask),
    );
}
