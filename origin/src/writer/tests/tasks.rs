//! Tasks at the writer: what rides in one commit, and what outlives it.

use nearside_protocol::limits;
use tokio::task::JoinSet;

use super::*;
use crate::tasks::{Claimed, End};

impl Fixture {
    /// The same app with more in its manifest.
    async fn declare(&self, writer: &Writer, more: &str) {
        let app = self.folder.path().join("app");
        self.archive(&[("1.sql", TABLES)]).unwrap();
        let manifest = fs::read_to_string(app.join("nearside.toml")).unwrap();
        fs::write(app.join("nearside.toml"), manifest + more).unwrap();
        let archive = Arc::new(Archive::collect(&app).unwrap());
        writer.install(archive, BTreeMap::new()).await.unwrap();
    }

    fn start_again(&self) -> Writer {
        Writer::start(&self.folder.path().join("store.db"), self.engine.clone()).unwrap()
    }
}

const WIDE: &str = "[tasks.wide]\ncomponent = \"tasks\"\nconcurrency = 32\n";

/// Ends all of these attempts at once, as tasks do that run side by side.
async fn end_all(writer: &Writer, claimed: Vec<Claimed>) {
    let mut ends = JoinSet::new();
    for task in claimed {
        let writer = writer.clone();
        ends.spawn(async move { writer.finish(task.id, task.lease, End::from(Ending::Done)).await });
    }
    while let Some(ended) = ends.join_next().await {
        assert_eq!(ended.unwrap(), Ok(true));
    }
}

#[tokio::test]
async fn claims_and_ends_ride_in_few_commits() {
    const TASKS: usize = 1_024;
    let Some(app) = Fixture::start().await else { return };
    app.declare(&app.writer, WIDE).await;
    let mut queue = JoinSet::new();
    for number in 0..TASKS {
        let writer = app.writer.clone();
        queue.spawn(async move { writer.enqueue_task("wide", "{}", &key(&format!("w{number}"))).await });
    }
    while let Some(queued) = queue.join_next().await {
        assert!(matches!(queued.unwrap(), Ok(Queued::Inserted(_))));
    }
    let before = app.writer.transactions();
    let (mut claimed, mut claims) = (0, 0);
    loop {
        let tasks = app.writer.claim_at(now_ms()).await.unwrap().tasks;
        if tasks.is_empty() {
            break;
        }
        claims += 1;
        claimed += tasks.len();
        end_all(&app.writer, tasks).await;
    }
    let commits = app.writer.transactions() - before;
    println!("{claimed} tasks claimed, in {claims} claims, and ended: {commits} commits");
    assert_eq!((claimed, claims), (TASKS, TASKS / limits::TASKS_AT_ONCE));
    // One by one they would be two commits each. How many ends meet in one is the machine's to say.
    assert!(commits * 4 < 2 * TASKS as u64, "{commits} commits");
    counts_become(&app, &[("done", TASKS as u64), ("due", 0), ("running", 0)]).await;
}

#[tokio::test]
async fn a_step_that_is_kept_outlives_the_process_and_a_late_one_is_refused() {
    let Some(app) = Fixture::start().await else { return };
    app.declare(&app.writer, WIDE).await;
    app.writer.enqueue_task("wide", "{}", &key("w")).await.unwrap();
    let lost = app.writer.claim_at(now_ms()).await.unwrap().tasks.remove(0);
    assert_eq!(app.writer.step((lost.id, lost.lease), "a".into(), "1".into()).await, Ok(Ok(())));

    let again = app.start_again();
    app.declare(&again, WIDE).await;
    let next = again.claim_at(now_ms() + limits::TASK_BACKOFF_FIRST_MS).await.unwrap().tasks.remove(0);
    assert_eq!((next.attempt, next.steps), (2, [("a".to_owned(), "1".to_owned())].into()));
    let late = app.writer.step((lost.id, lost.lease), "b".into(), "1".into()).await.unwrap();
    assert_eq!(late, Err(StepRefused::Lost));
}

#[tokio::test]
async fn crons_are_run_once_each_across_a_restart_and_a_clock_that_jumps() {
    const MINUTE_MS: u64 = 60_000;
    const CRON: &str = "[[crons]]\nname = \"c\"\nschedule = \"*/5 * * * *\"\ntask = \"ok\"\npayload = { n = 1 }\n";
    let Some(app) = Fixture::start().await else { return };
    let mut writer = app.writer.clone();
    app.declare(&writer, CRON).await;
    let mut now: i64 = 1_795_305_600_000;
    let mut done = Vec::new();
    // Each step of the clock, and whether the process is another one afterwards.
    for (step_minutes, restarts, expected) in [
        (0, false, 0),
        (5, false, 1),
        (0, true, 0),
        (-60, false, 0),
        (30, true, 0),
        (30, false, 0),
        (4, true, 0),
        (1, false, 1),
        (7 * 24 * 60 + 2, true, 1),
        (2, true, 0),
        (1, true, 1),
    ] {
        now += step_minutes * MINUTE_MS as i64;
        if restarts {
            writer = app.start_again();
            app.declare(&writer, CRON).await;
        }
        let claims = writer.claim_at(now as u64).await.unwrap();
        assert_eq!(claims.tasks.len(), expected, "{step_minutes} minutes on");
        assert!(claims.tasks.iter().all(|task| task.payload == "{\"n\":1}"));
        assert!(claims.next_at_ms.is_some_and(|next| next > now as u64), "it is waited for");
        done.extend(claims.tasks.iter().map(|_| now as u64 / (5 * MINUTE_MS)));
        end_all(&writer, claims.tasks).await;
    }
    let times = done.len();
    done.dedup();
    assert_eq!((times, done.len()), (4, 4), "each due time once");
}
