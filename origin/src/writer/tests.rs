//! The write side as a whole, with the components of `modules/probe` over tables that fail in chosen ways.

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::{Arc, LazyLock},
    time::Duration,
};

use nearside_host::{archive::Archive, disk::Disk, engine::Engine, spans::OFF};
use nearside_protocol::write::{IdempotencyKey, Outcome};
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::{
    blobs::Blobs,
    dedupe::{self, Known},
    task_runner::{Desk, Reach, TaskRunner},
    tasks::Ending,
};

/// `bump` adds to both tables; some amounts meet a trigger that does something terrible.
const TABLES: &str = "
CREATE TABLE \"left\" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n < 100000));
CREATE TABLE \"right\" (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
INSERT INTO \"left\" VALUES (1, 0);
INSERT INTO \"right\" VALUES (1, 0);
CREATE TABLE child (parent INTEGER REFERENCES \"left\" (id) DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER tear AFTER UPDATE ON \"right\" WHEN new.n - old.n = 700 BEGIN SELECT RAISE(ROLLBACK, 'torn'); END;
CREATE TABLE heap (n);
CREATE TABLE digit (n);
INSERT INTO digit VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TRIGGER runaway AFTER UPDATE ON \"right\" WHEN new.n - old.n = 800 BEGIN
  INSERT INTO heap VALUES (1);
  INSERT INTO heap SELECT 1 FROM digit a, digit b, digit c, digit d, digit e, digit f, digit g, digit h, digit i, digit j WHERE a.n + j.n < 0;
END;
CREATE TRIGGER orphan AFTER UPDATE ON \"right\" WHEN new.n - old.n = 900 BEGIN INSERT INTO child VALUES (77); END;
";

mod power;
mod tasks;

struct Fixture {
    folder: TempDir,
    engine: Engine,
    writer: Writer,
}

impl Fixture {
    /// An app of the probe's components; nothing if they are not built.
    async fn start() -> Option<Fixture> {
        Fixture::start_in(tempfile::tempdir().unwrap()).await
    }

    async fn start_in(folder: TempDir) -> Option<Fixture> {
        static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
            let compiled = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/test-components");
            fs::create_dir_all(&compiled).unwrap();
            Engine::start(&compiled).unwrap()
        });
        let engine = ENGINE.clone();
        let writer = Writer::start(&folder.path().join("store.db"), engine.clone()).unwrap();
        let fixture = Fixture { folder, engine, writer };
        let archive = fixture.archive(&[("1.sql", TABLES)])?;
        fixture.writer.install(archive, BTreeMap::new()).await.unwrap();
        Some(fixture)
    }

    fn archive(&self, migrations: &[(&str, &str)]) -> Option<Arc<Archive>> {
        let probe = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../modules/probe");
        let built = probe.join("../target/wasm32-wasip2/release");
        let app = self.folder.path().join("app");
        let _ = fs::remove_dir_all(&app);
        fs::create_dir_all(app.join("migrations")).unwrap();
        fs::create_dir_all(app.join("schemas")).unwrap();
        for name in ["probe_commands.wasm", "probe_tasks.wasm"] {
            if fs::copy(built.join(name), app.join(name)).is_err() {
                eprintln!("skipped: {name} is not built (cargo build --release in modules/)");
                return None;
            }
        }
        for entry in fs::read_dir(probe.join("schemas")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), app.join("schemas").join(entry.file_name())).unwrap();
        }
        for (name, sql) in migrations {
            fs::write(app.join("migrations").join(name), sql).unwrap();
        }
        let mut manifest = String::from(
            "name = \"probe\"\nhosts = [\"probe\"]\n[components]\ncommands = \"probe_commands.wasm\"\ntasks = \"probe_tasks.wasm\"\n[mirror]\nleft = [\"id\", \"n\"]\n[data]\nleft = [\"id\"]\n",
        );
        for (command, schema) in [("bump", "bump"), ("enqueue", "enqueue"), ("big-reply", "big-reply")]
            .into_iter()
            .chain(["loop", "trap", "hog", "sql-runaway", "bad-sql", "reject"].map(|name| (name, "object")))
        {
            manifest +=
                &format!("[commands.{command}]\ncomponent = \"commands\"\nschema = \"schemas/{schema}.json\"\n");
        }
        for (task, attempts) in [("ok", 3), ("fail-twice", 5), ("always-fail", 2), ("unknown-to-it", 3)] {
            manifest += &format!("[tasks.{task}]\ncomponent = \"tasks\"\nattempts = {attempts}\n");
        }
        fs::write(app.join("nearside.toml"), manifest).unwrap();
        Some(Arc::new(Archive::collect(&app).unwrap()))
    }

    fn store(&self) -> Connection {
        Connection::open(self.folder.path().join("store.db")).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        self.store().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn desk(&self, writer: &Writer) -> Desk {
        let blobs = Blobs::open(self.folder.path(), Disk::real(), 0).unwrap();
        Desk { writer: writer.clone(), blobs: Arc::new(blobs), reach: Reach::Nobody, tracer: Tracer::default() }
    }

    async fn submit(&self, command: &str, payload: &str, key: &str) -> Outcome {
        self.writer.submit(command, payload, &self::key(key)).await
    }

    /// Left and right, which a half-done command would tell apart.
    fn both(&self) -> (i64, i64) {
        (self.number("SELECT n FROM \"left\""), self.number("SELECT n FROM \"right\""))
    }
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::try_from(text.to_owned()).unwrap()
}

fn commit_of(outcome: &Outcome) -> u64 {
    let Outcome::Applied { receipt, .. } = outcome else { panic!("{outcome:?}") };
    receipt.commit
}

#[tokio::test]
async fn a_key_stands_for_one_write() {
    let Some(app) = Fixture::start().await else { return };
    let first = app.submit("bump", "{\"by\":2}", "k").await;
    let Outcome::Applied { receipt, reply } = &first else { panic!("{first:?}") };
    assert_eq!((reply.as_str(), receipt.commit, receipt.epoch), ("{\"n\":2}", 2, 1));
    assert_eq!(&receipt.database, app.writer.database());
    assert_eq!(app.submit("bump", "{\"by\":2}", "k").await, first);
    assert_eq!(app.submit("bump", "{\"by\":3}", "k").await, Outcome::KeyConflict);
    assert_eq!(app.submit("reject", "{\"by\":2}", "k").await, Outcome::KeyConflict);
    assert_eq!(app.both(), (2, 2));
    assert_eq!(*app.writer.commits().borrow(), 2);
    assert_eq!(app.number("SELECT count(*) FROM _nearside_change WHERE commit_no = 2 AND table_name = 'left'"), 1);

    let path = app.folder.path().join("store.db");
    let again = Writer::start(&path, app.engine.clone()).unwrap();
    assert_eq!(again.submit("bump", "{\"by\":2}", &key("k")).await, first, "after a restart, before any install");
    assert!(matches!(again.submit("bump", "{}", &key("new")).await, Outcome::Retry { .. }));
}

#[tokio::test]
async fn what_became_of_a_write_that_was_not_answered_is_told_once_and_for_all() {
    let Some(app) = Fixture::start().await else { return };
    const MINUTE_MS: u64 = 60_000;
    let ask = |command: &str, payload: &str, text: &str, minutes_ago: u64| {
        let (command, payload, key) = (command.to_owned(), payload.to_owned(), key(text));
        let sent_at_ms = now_ms() - minutes_ago * MINUTE_MS;
        app.writer.find_out(Unsure { command, payload, key, sent_at_ms, sent_after: 0, traced: None }, &OFF)
    };
    let settled = |outcome: &Outcome| Taken::Settled { outcome: outcome.clone() };

    // It came, and only the answer was lost: however long ago.
    let first = app.submit("bump", "{}", "came").await;
    for minutes_ago in [0, 11, 72 * 60 + 1] {
        assert_eq!(ask("bump", "{}", "came", minutes_ago).await, settled(&first));
    }
    assert_eq!(ask("bump", "{\"by\":2}", "came", 0).await, settled(&Outcome::KeyConflict));
    // It never came: it is applied now, and a late copy finds it.
    let Taken::Settled { outcome } = ask("bump", "{}", "lost", 9).await else { panic!("it is settled") };
    assert_eq!((commit_of(&outcome), app.both()), (3, (2, 2)));
    assert_eq!(app.submit("bump", "{}", "lost").await, outcome);
    // Nobody counts on it any more.
    assert_eq!(ask("bump", "{}", "late", 11).await, settled(&Outcome::Closed));
    assert_eq!(app.submit("bump", "{}", "late").await, Outcome::Closed);
    // Nobody can know: it was sent before what was forgotten.
    app.store().execute("INSERT INTO _nearside_meta (key, value) VALUES ('forgotten', 1)", []).unwrap();
    assert_eq!(ask("bump", "{}", "too-late", 0).await, Taken::Forgotten);
    app.store().execute("DELETE FROM _nearside_meta WHERE key = 'forgotten'", []).unwrap();
    // What fits no schema now is not taken by the next version either; what may pass stays open.
    let Taken::Settled { outcome } = ask("bump", "[]", "unfit", 0).await else { panic!("it is settled") };
    assert!(matches!(outcome, Outcome::Invalid { .. }) && app.submit("bump", "[]", "unfit").await == outcome);
    assert_eq!(app.number("SELECT count(*) FROM _nearside_dedupe WHERE key = 'unfit'"), 1);
    assert!(matches!(ask("bad-sql", "{}", "passing", 0).await, Taken::Retry { .. }));
    assert_eq!(app.both(), (2, 2));
}

#[tokio::test]
async fn what_an_app_refuses_or_cannot_do_is_recorded_and_leaves_nothing() {
    let Some(app) = Fixture::start().await else { return };
    let rejected = Outcome::Rejected { message: "asked to reject".into() };
    assert_eq!(app.submit("reject", "{}", "r").await, rejected);
    assert_eq!(app.submit("reject", "{}", "r").await, rejected);
    for (command, payload, expected) in [
        ("trap", "{}", "trap"),
        ("loop", "{}", " ms"),
        ("hog", "{}", "64 MiB of memory"),
        ("big-reply", "{\"bytes\":70000}", "its reply has 70002 bytes"),
    ] {
        let outcome = app.submit(command, payload, command).await;
        assert!(
            matches!(&outcome, Outcome::Failed { message } if message.contains(expected)),
            "{command}: {outcome:?}"
        );
        assert!(command != "loop" || is_endless(&outcome), "{outcome:?}");
        assert_eq!(app.submit(command, payload, command).await, outcome);
    }
    assert_eq!(app.both(), (0, 0));
    assert_eq!(app.number("SELECT count(*) FROM _nearside_dedupe"), 5);
    assert_eq!(*app.writer.commits().borrow(), 1, "no commit of the app's");
}

/// Ended by its CPU budget, or by the clock when a busy machine gives it no CPU.
fn is_endless(outcome: &Outcome) -> bool {
    let Outcome::Failed { message } = outcome else { return false };
    ["1000 ms of CPU", "it was not done within its 2000 ms"].iter().any(|end| message.contains(end))
}

#[tokio::test]
async fn passing_faults_and_invalid_payloads_are_not_recorded() {
    let Some(app) = Fixture::start().await else { return };
    for command in ["bad-sql", "sql-runaway"] {
        let outcome = app.submit(command, "{}", command).await;
        assert!(matches!(outcome, Outcome::Retry { .. }), "{command}: {outcome:?}");
    }
    for (command, payload, expected) in
        [("bump", "{\"by\":0}", "/by"), ("bump", "{\"by\":", "not JSON"), ("nothing", "{}", "no command `nothing`")]
    {
        let outcome = app.submit(command, payload, "i").await;
        assert!(matches!(&outcome, Outcome::Invalid { message } if message.contains(expected)), "{outcome:?}");
    }
    assert_eq!(app.number("SELECT count(*) FROM _nearside_dedupe"), 0);
    commit_of(&app.submit("bump", "{}", "i").await);
}

/// Sends commands that will share a group: a slow one holds the thread while the others queue.
async fn together(app: &Fixture, commands: &[(&str, &str)]) -> Vec<Outcome> {
    let mut sent = Vec::new();
    for (index, (command, payload)) in [("loop", "{}")].iter().chain(commands).enumerate() {
        let (writer, command, payload) = (app.writer.clone(), command.to_string(), payload.to_string());
        sent.push(tokio::spawn(async move { writer.submit(&command, &payload, &key(&format!("t{index}"))).await }));
        if index == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let mut outcomes = Vec::new();
    for task in sent {
        outcomes.push(task.await.unwrap());
    }
    outcomes.split_off(1)
}

#[tokio::test]
async fn one_command_goes_down_alone() {
    for (payload, expected) in
        [("{\"by\":700}", "constraint: torn"), ("{\"by\":900}", "point to rows that are not there")]
    {
        let Some(app) = Fixture::start().await else { return };
        let outcomes = together(
            &app,
            &[("bump", "{\"by\":1}"), ("trap", "{}"), ("bump", payload), ("reject", "{}"), ("bump", "{\"by\":10}")],
        )
        .await;
        assert!(matches!(&outcomes[2], Outcome::Failed { message } if message.contains(expected)), "{:?}", outcomes[2]);
        assert!(matches!(outcomes[1], Outcome::Failed { .. }) && matches!(outcomes[3], Outcome::Rejected { .. }));
        let same_commit = commit_of(&outcomes[0]) == commit_of(&outcomes[4]);
        assert_eq!(same_commit, payload.contains("700"), "only what the commit itself refuses costs commits");
        assert_eq!(app.both(), (11, 11));
        assert_eq!(app.submit("bump", payload, "t3").await, outcomes[2], "it is recorded");
        assert_eq!(app.number("SELECT count(*) FROM child"), 0);
    }
}

#[tokio::test]
async fn a_change_that_runs_too_long_is_undone_with_its_command_only() {
    let Some(app) = Fixture::start().await else { return };
    let outcomes = together(&app, &[("bump", "{\"by\":1}"), ("bump", "{\"by\":800}"), ("bump", "{\"by\":10}")]).await;
    assert!(matches!(&outcomes[1], Outcome::Failed { .. }), "{:?}", outcomes[1]);
    assert_eq!((commit_of(&outcomes[0]), app.both()), (2, (11, 11)));
    assert_eq!(app.number("SELECT count(*) FROM heap"), 0);
}

#[tokio::test]
async fn what_is_not_committed_is_not_acknowledged() {
    let Some(app) = Fixture::start().await else { return };
    let stranger = app.store();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let task = key("task");
    let answers = tokio::join!(app.submit("bump", "{}", "a"), app.writer.enqueue_task("ok", "{}", &task));
    assert!(matches!(answers, (Outcome::Retry { .. }, Err(EnqueueError::Retry(_)))), "{answers:?}");
    stranger.execute_batch("ROLLBACK").unwrap();
    assert_eq!(commit_of(&app.submit("bump", "{}", "a").await), 2);
    assert_eq!(app.both(), (1, 1));
}

#[tokio::test]
async fn many_writers_share_commits() {
    let Some(app) = Fixture::start().await else { return };
    let started = std::time::Instant::now();
    let sent: Vec<_> = (0..600)
        .map(|index| {
            let writer = app.writer.clone();
            tokio::spawn(async move { writer.submit("bump", "{}", &key(&format!("m{index}"))).await })
        })
        .collect();
    let mut commits = std::collections::BTreeSet::new();
    for task in sent {
        commits.insert(commit_of(&task.await.unwrap()));
    }
    println!("600 commands in {} commits, {:?}", commits.len(), started.elapsed());
    assert_eq!(app.both(), (600, 600));
    assert!(commits.len() < 200, "{} commits", commits.len());
    assert_eq!(*app.writer.commits().borrow(), *commits.last().unwrap());
}

#[tokio::test]
async fn a_bad_version_changes_nothing_and_a_good_one_takes_over() {
    let Some(app) = Fixture::start().await else { return };
    let bad = app.archive(&[("1.sql", TABLES), ("2.sql", "CREATE TABLE t (x);\nCREATE TABLE t (y);")]).unwrap();
    let error = app.writer.install(bad, BTreeMap::new()).await.unwrap_err().to_string();
    assert!(error.contains("migrations/2.sql:2: table t already exists"), "{error}");
    commit_of(&app.submit("bump", "{}", "a").await);
    let good = app
        .archive(&[("1.sql", TABLES), ("2.sql", "UPDATE \"left\" SET n = 40; UPDATE \"right\" SET n = 40;")])
        .unwrap();
    let report = app.writer.install(good.clone(), BTreeMap::new()).await.unwrap();
    assert_eq!(report, ["migrations/2.sql: applied"]);
    assert_eq!(*app.writer.commits().borrow(), 3);
    assert_eq!(commit_of(&app.submit("bump", "{}", "b").await), 4);
    assert_eq!(app.both(), (41, 41));
    assert!(app.writer.install(good, BTreeMap::new()).await.unwrap().is_empty());
    assert_eq!(*app.writer.commits().borrow(), 4);
}

#[tokio::test]
async fn projected_changes_are_forgotten_and_a_merge_is_a_commit() {
    let Some(app) = Fixture::start().await else { return };
    commit_of(&app.submit("bump", "{}", "a").await);
    commit_of(&app.submit("bump", "{}", "b").await);
    app.writer.projected(2);
    app.writer.task_counts().await.unwrap();
    assert_eq!(app.number("SELECT min(commit_no) FROM _nearside_change"), 3);

    let file = app.folder.path().join("pushed.db");
    let pushed = Connection::open(&file).unwrap();
    pushed
        .execute_batch("CREATE TABLE \"left\" (id INTEGER PRIMARY KEY, n); INSERT INTO \"left\" VALUES (1, 2), (5, 9)")
        .unwrap();
    drop(pushed);
    assert_eq!(app.writer.merge(&file).await.unwrap(), ["left: 1 inserted, 0 updated, 0 deleted, 1 unchanged"]);
    assert_eq!(*app.writer.commits().borrow(), 4);
    app.writer.merge(&file).await.unwrap();
    assert_eq!(*app.writer.commits().borrow(), 4, "nothing changed");
    assert_eq!(commit_of(&app.submit("bump", "{}", "c").await), 5);
}

async fn counts_become(app: &Fixture, expected: &[(&str, u64)]) {
    let mut seen = BTreeMap::new();
    for _ in 0..500 {
        seen = app.writer.task_counts().await.unwrap();
        if expected.iter().all(|(state, count)| seen[*state] == *count) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{expected:?} never came: {seen:?}");
}

#[tokio::test]
async fn tasks_are_queued_once_with_what_queued_them() {
    let Some(app) = Fixture::start().await else { return };
    let queued = app.writer.enqueue_task("ok", "{}", &key("e")).await.unwrap();
    assert_eq!(queued, Queued::Inserted(1));
    assert_eq!(app.writer.enqueue_task("ok", "{}", &key("e")).await, Ok(queued));
    assert_eq!(app.writer.enqueue_task("ok", "[]", &key("e")).await, Err(EnqueueError::KeyConflict));
    assert_eq!(app.writer.enqueue_task("no", "[]", &key("n")).await, Err(EnqueueError::UnknownTask("no".into())));
    assert!(matches!(app.writer.enqueue_task("ok", "{", &key("j")).await, Err(EnqueueError::InvalidPayload(_))));
    let reply = app.submit("enqueue", "{\"task\":\"ok\",\"payload\":{}}", "c").await;
    assert!(matches!(&reply, Outcome::Applied { reply, .. } if reply.contains("\"task\":2")), "{reply:?}");
    let unknown = app.submit("enqueue", "{\"task\":\"no\",\"payload\":{}}", "d").await;
    assert!(!matches!(unknown, Outcome::Applied { .. }), "{unknown:?}");
    counts_become(&app, &[("due", 2), ("running", 0), ("done", 0), ("dead", 0)]).await;
}

#[tokio::test]
async fn tasks_run_retry_and_die() {
    let Some(app) = Fixture::start().await else { return };
    let runner = TaskRunner::start(app.desk(&app.writer));
    for (index, task) in ["ok", "fail-twice", "always-fail", "unknown-to-it"].into_iter().enumerate() {
        app.writer.enqueue_task(task, "{}", &key(&format!("q{index}"))).await.unwrap();
    }
    counts_become(&app, &[("due", 0), ("running", 0), ("done", 2), ("dead", 2)]).await;
    let attempts = |name: &str| app.number(&format!("SELECT attempt FROM _nearside_task WHERE name = '{name}'"));
    assert_eq!(
        [attempts("ok"), attempts("fail-twice"), attempts("always-fail"), attempts("unknown-to-it")],
        [1, 3, 2, 1]
    );
    runner.drain().await;
}

#[tokio::test]
async fn what_ran_when_the_origin_died_runs_again() {
    let Some(app) = Fixture::start().await else { return };
    app.writer.enqueue_task("ok", "{}", &key("e")).await.unwrap();
    let lost = app.writer.claim_at(now_ms()).await.unwrap().tasks.remove(0);
    assert!(app.writer.claim_at(now_ms()).await.unwrap().tasks.is_empty());

    let again = Writer::start(&app.folder.path().join("store.db"), app.engine.clone()).unwrap();
    again.install(app.archive(&[("1.sql", TABLES)]).unwrap(), BTreeMap::new()).await.unwrap();
    let runner = TaskRunner::start(app.desk(&again));
    counts_become(&app, &[("done", 1), ("due", 0), ("running", 0)]).await;
    assert_eq!(app.number("SELECT attempt FROM _nearside_task"), 2);
    assert_eq!(app.writer.finish(lost.id, lost.lease, Ending::Dead("late".into()).into()).await, Ok(false));
    runner.drain().await;
}
