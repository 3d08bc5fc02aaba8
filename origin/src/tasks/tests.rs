use nearside_protocol::app::{App, CronDecl};

use super::{
    claim::{Claims, claim},
    steer::{NotSteered, Order, Which, follow},
    *,
};

/// `text` is what a manifest says of tasks and crons, without components.
pub(crate) fn app(text: &str) -> App {
    let line = |line: &str| {
        if line.starts_with("[tasks.") { format!("{line}\ncomponent = \"c\"\n") } else { format!("{line}\n") }
    };
    let text: String = text.lines().map(line).collect();
    App::parse(&format!("name = \"a\"\nhosts = [\"a\"]\n[components]\nc = \"c.wasm\"\n{text}")).unwrap()
}

struct Table {
    connection: Connection,
    app: App,
    now_ms: u64,
    up_ms: u64,
}

impl Table {
    fn new(text: &str) -> Table {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
        store::prepare(&connection).unwrap();
        Table { connection, app: app(text), now_ms: 1_795_305_600_000, up_ms: 0 }
    }

    fn add(&self, kind: &str) -> u64 {
        match self.queue(kind, "{}") {
            Queued::Inserted(id) => id,
            Queued::Existing(id) => panic!("{kind} is there: {id}"),
        }
    }

    fn queue(&self, kind: &str, payload: &str) -> Queued {
        add(&self.connection, kind, &self.app.tasks[kind], payload, self.now_ms).unwrap().unwrap()
    }

    fn claims(&self) -> Claims {
        claim(&self.connection, &self.app.tasks, Moment { now_ms: self.now_ms, up_ms: self.up_ms }, 0).unwrap()
    }

    fn claim(&self) -> Vec<Claimed> {
        self.claims().tasks
    }

    fn claimed_ids(&self) -> Vec<u64> {
        self.claim().iter().map(|task| task.id).collect()
    }

    fn end(&self, task: &Claimed, ending: Ending, chance: u64) -> bool {
        finish(&self.connection, task.id, task.lease, &ending.into(), self.now_ms, chance).unwrap()
    }

    fn state(&self, id: u64) -> String {
        self.connection.query_row("SELECT state FROM _nearside_task WHERE id = ?1", [id], |row| row.get(0)).unwrap()
    }

    fn history(&self, id: u64) -> Vec<(u32, String)> {
        let shown = report::show(&self.connection, id).unwrap().unwrap();
        shown.history.into_iter().map(|attempt| (attempt.number, attempt.how.unwrap_or_default())).collect()
    }

    fn steer(&self, order: Order) -> Result<u64, NotSteered> {
        follow(&self.connection, &order, &self.app.tasks, self.now_ms).unwrap().map(|steered| steered.changed)
    }

    fn ring(&self) -> usize {
        crons::ring(&self.connection, &self.app.crons, &self.app.tasks, self.now_ms).unwrap().queued
    }

    /// What is counted as tasks come and go is what there is.
    fn is_counted(&self) {
        let counts = counts(&self.connection).unwrap();
        assert_eq!(waiting(&self.connection).unwrap(), counts["due"] + counts["running"], "{counts:?}");
    }
}

#[test]
fn an_attempt_ends_only_under_its_own_lease() {
    let mut table = Table::new("[tasks.mail]\nattempts = 3\n");
    let id = table.add("mail");
    let first = table.claim().remove(0);
    assert_eq!((first.id, first.attempt, first.lease), (id, 1, 1));
    assert!(table.claim().is_empty(), "it runs already");
    recover(&table.connection, table.now_ms, 0).unwrap();
    table.now_ms += 10_000;
    let second = table.claim().remove(0);
    assert_eq!((second.attempt, second.lease), (2, 2));
    assert!(!table.end(&first, Ending::Done, 0), "the first one comes back late");
    assert_eq!(table.state(id), "running");
    let late = history::step(&table.connection, (id, first.lease), "s", "1", 0).unwrap();
    assert_eq!(late, Err(history::StepRefused::Lost));
    assert!(table.end(&second, Ending::Done, 0));
    assert!(!table.end(&second, Ending::Dead("x".into()), 0), "it has ended");
    assert_eq!((table.state(id).as_str(), table.history(id)), ("done", vec![(1, "lost".into()), (2, "done".into())]));
    table.is_counted();
}

#[test]
fn a_lease_ends_without_a_sign_of_life_and_is_renewed_by_one() {
    let mut table = Table::new("[tasks.mail]\nlease_ms = 3_000\n");
    let id = table.add("mail");
    let first = table.claim().remove(0);
    let sign = |lease| Sign { id, lease, lease_ms: 3_000, notes: None };
    let sign = |table: &Table, lease| {
        let at = Moment { now_ms: table.now_ms, up_ms: table.up_ms };
        super::sign(&table.connection, &[sign(lease)], at).unwrap().is_empty()
    };
    for _ in 0..3 {
        table.up_ms += 2_900;
        assert!(sign(&table, first.lease));
        assert!(table.claim().is_empty());
    }
    // The time of day may be set as one likes: leases go by the time since the start.
    table.now_ms += 400 * 24 * 3_600_000;
    assert!(table.claim().is_empty());
    table.up_ms += 3_001;
    let again = table.claim().remove(0);
    assert_eq!((again.id, again.attempt), (id, 2));
    assert!(!sign(&table, first.lease), "the first one is told that it has been given up");
    assert_eq!(table.history(id)[0], (1, "lost".into()));
}

#[test]
fn retries_end_with_the_dead_and_their_whole_history() {
    let mut table = Table::new("[tasks.mail]\nattempts = 2\n");
    let id = table.add("mail");
    for (attempt, expected) in [(1, "due"), (2, "dead")] {
        table.now_ms += 1_000;
        let task = table.claim().remove(0);
        assert_eq!(task.attempt, attempt);
        let end = End {
            ending: Ending::Retry(format!("no {attempt}")),
            notes: Notes { progress: Some("half".into()), log: format!("line {attempt}\n") },
        };
        assert!(finish(&table.connection, id, task.lease, &end, table.now_ms + 5, 499).unwrap());
        assert_eq!(table.state(id), expected);
    }
    let shown = report::show(&table.connection, id).unwrap().unwrap();
    assert_eq!(shown.task.last_error.as_deref(), Some("no 2"));
    let [first, second] = &shown.history[..] else { panic!("{shown:?}") };
    assert_eq!((first.how.as_deref(), first.message.as_deref()), (Some("retry"), Some("no 1")));
    assert_eq!((second.how.as_deref(), second.log.as_str()), (Some("dead"), "line 2\n"));
    assert_eq!(
        (second.progress.as_deref(), second.started_at_ms, second.ended_at_ms),
        (Some("half"), table.now_ms, Some(table.now_ms + 5))
    );

    let other = table.add("mail");
    let task = table.claim().remove(0);
    table.end(&task, Ending::Dead("gone".into()), 0);
    assert_eq!((table.state(other).as_str(), table.history(other)), ("dead", vec![(1, "dead".into())]));
    let counts = counts(&table.connection).unwrap();
    assert_eq!((counts["dead"], counts["due"], counts["done"]), (2, 0, 0));
    table.is_counted();
}

#[test]
fn crashes_cost_attempts_so_a_poison_task_dies_and_what_it_told_is_kept() {
    let mut table = Table::new("[tasks.poison]\nattempts = 2\n");
    let id = table.add("poison");
    for expected in ["due", "dead"] {
        table.now_ms += 10_000;
        let task = table.claim().remove(0);
        let notes = Some(Notes { progress: None, log: "last words\n".into() });
        let at = Moment { now_ms: table.now_ms, up_ms: 0 };
        sign(&table.connection, &[Sign { id, lease: task.lease, lease_ms: 60_000, notes }], at).unwrap();
        assert_eq!(recover(&table.connection, table.now_ms, 7).unwrap(), 1);
        assert_eq!(table.state(id), expected);
    }
    let shown = report::show(&table.connection, id).unwrap().unwrap();
    assert_eq!(shown.history.iter().map(|attempt| attempt.log.as_str()).collect::<Vec<_>>(), ["last words\n"; 2]);
    assert_eq!(table.history(id), [(1, "lost".into()), (2, "lost".into())]);
    table.is_counted();
}

#[test]
fn an_attempt_that_could_not_begin_does_not_count() {
    let mut table = Table::new("[tasks.a]\nattempts = 1\n");
    let id = table.add("a");
    for _ in 0..5 {
        let task = table.claim().remove(0);
        assert_eq!(task.attempt, 1);
        assert!(table.end(&task, Ending::Untried("no room".into()), 0));
        table.now_ms += 1;
    }
    assert_eq!((table.state(id).as_str(), table.history(id).len()), ("due", 0));
    table.is_counted();
}

#[test]
fn a_retry_waits_and_does_not_hold_up_others() {
    let mut table = Table::new("[tasks.a]\n[tasks.b]\n");
    table.add("a");
    let task = table.claim().remove(0);
    table.now_ms += 100;
    table.end(&task, Ending::Retry("x".into()), 400);
    let second = table.add("b");
    let claims = table.claims();
    assert_eq!(claims.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), [second]);
    assert_eq!(claims.next_at_ms, Some(table.now_ms + 400));
    table.now_ms += 400;
    assert_eq!((table.claim().len(), table.claims().next_at_ms), (1, None));
}

#[test]
fn no_kind_takes_all_places_and_priority_shares_the_rest() {
    let table = Table::new(
        "[tasks.flood]\nconcurrency = 32\n[tasks.urgent]\nconcurrency = 32\npriority = 5\n[tasks.slow]\nconcurrency = 2\n",
    );
    (0..100).for_each(|_| _ = table.add("flood"));
    let flood = table.claim();
    assert_eq!(flood.len(), 32, "one of its own, and 31 of the 32 that are shared");
    (0..9).for_each(|_| _ = (table.add("urgent"), table.add("slow")));
    let of = |tasks: &[Claimed], kind: &str| tasks.iter().filter(|task| task.name == kind).count();
    let others = table.claim();
    assert_eq!(
        (of(&others, "urgent"), of(&others, "slow"), of(&others, "flood")),
        (2, 1, 0),
        "their own, and the last"
    );
    // Places that are free again go to the most urgent.
    flood.iter().take(4).for_each(|task| assert!(table.end(task, Ending::Done, 0)));
    let next = table.claim();
    assert_eq!((of(&next, "urgent"), of(&next, "slow"), of(&next, "flood")), (4, 0, 0));
    assert!(table.claim().is_empty());
    table.is_counted();
}

#[test]
fn a_slow_kind_has_its_concurrency_and_the_others_go_on() {
    let table = Table::new("[tasks.hang]\nconcurrency = 1\n[tasks.quick]\n");
    let first = table.add("hang");
    (0..50).for_each(|_| _ = table.add("hang"));
    assert_eq!(table.claimed_ids(), [first]);
    for _ in 0..20 {
        let quick = table.add("quick");
        let claimed = table.claim();
        assert_eq!(claimed.iter().map(|task| task.id).collect::<Vec<_>>(), [quick]);
        table.end(&claimed[0], Ending::Done, 0);
    }
}

#[test]
fn a_rate_holds_over_any_second_and_across_a_restart() {
    let mut table = Table::new("[tasks.mail]\nconcurrency = 32\nrate_per_s = 20.0\n");
    (0..100).for_each(|_| _ = table.add("mail"));
    let (start, mut begun) = (table.now_ms, Vec::new());
    while table.now_ms < start + 2_000 {
        let claims = table.claims();
        claims.tasks.iter().for_each(|task| assert!(table.end(task, Ending::Done, 0)));
        begun.extend(claims.tasks.iter().map(|_| table.now_ms - start));
        let next = claims.next_at_ms.unwrap();
        assert!(next > table.now_ms && next <= table.now_ms + 50, "it says when it may go on");
        table.now_ms = next;
        // The rows of the last one are all there is to know of the pace.
        recover(&table.connection, table.now_ms, 0).unwrap();
    }
    for from in &begun {
        let within = begun.iter().filter(|at| (*from..from + 1_000).contains(*at)).count();
        assert!(within <= 22, "{within} in the second from {from}: {begun:?}");
    }
    assert!((40..=44).contains(&begun.len()), "{}", begun.len());
    // A clock that is set back by a day does not stop the kind for a day.
    table.now_ms -= 24 * 3_600_000;
    table.connection.execute("UPDATE _nearside_task SET due_at_ms = 0", []).unwrap();
    let next = table.claims().next_at_ms.unwrap();
    assert!(next <= table.now_ms + 100, "{next}");
}

#[test]
fn a_delay_is_waited_for() {
    let mut table = Table::new("[tasks.later]\ndelay_ms = 5_000\n");
    let id = table.add("later");
    let claims = table.claims();
    assert_eq!((claims.tasks.len(), claims.next_at_ms), (0, Some(table.now_ms + 5_000)));
    table.now_ms += 5_000;
    assert_eq!(table.claimed_ids(), [id]);
}

#[test]
fn one_of_those_that_are_the_same_waits_or_runs_at_a_time() {
    let mut table = Table::new("[tasks.sync]\nunique = [\"user\"]\nattempts = 1\n[tasks.free]\n");
    let first = table.queue("sync", r#"{"user":1}"#);
    assert_eq!(first, Queued::Inserted(1));
    assert_eq!(table.queue("sync", r#"{"user":1,"at":5}"#), Queued::Existing(1));
    assert_eq!(table.queue("sync", r#"{"user":2}"#), Queued::Inserted(2));
    assert_ne!(table.queue("free", "{}"), table.queue("free", "{}"));
    let running = table.claim();
    assert_eq!(table.queue("sync", r#"{"user":1}"#), Queued::Existing(1), "it runs");
    table.end(&running.iter().find(|task| task.id == 1).unwrap().clone(), Ending::Dead("x".into()), 0);
    let again = table.queue("sync", r#"{"user":1}"#);
    assert!(matches!(again, Queued::Inserted(_)), "the dead one waits for nobody");
    assert_eq!(table.steer(Order::Retry(Which::One(1))), Err(NotSteered::Twin(1)));
    assert_eq!(table.steer(Order::Retry(Which::DeadOf("sync".into()))), Ok(0));
    table.now_ms += 1;
    let twin = table.claim().remove(0);
    assert_eq!(twin.id, again.id());
    table.end(&twin, Ending::Dead("y".into()), 0);
    assert_eq!(table.steer(Order::Retry(Which::DeadOf("sync".into()))), Ok(1), "one of the two");
    table.is_counted();
}

#[test]
fn no_more_wait_than_may() {
    let table = Table::new("[tasks.a]\n");
    table.add("a");
    table
        .connection
        .execute("UPDATE _nearside_meta SET value = ?1 WHERE key = 'task_waiting'", [limits::TASKS_WAITING])
        .unwrap();
    assert_eq!(add(&table.connection, "a", &table.app.tasks["a"], "{}", 0).unwrap(), None);
}

#[test]
fn a_kind_is_paused_and_goes_on_where_it_was() {
    let table = Table::new("[tasks.a]\n[tasks.b]\n");
    let (first, second) = (table.add("a"), table.add("b"));
    assert_eq!((table.steer(Order::Pause("a".into())), table.steer(Order::Pause("a".into()))), (Ok(1), Ok(0)));
    let claims = table.claims();
    assert_eq!((claims.tasks[0].id, claims.tasks.len(), claims.next_at_ms), (second, 1, None));
    let listed = report::list(&table.connection, &table.app, &report::Asked::default(), 0).unwrap();
    assert!(listed.kinds["a"].paused_at_ms.is_some() && listed.kinds["b"].paused_at_ms.is_none());
    assert_eq!(table.steer(Order::Resume("a".into())), Ok(1));
    assert_eq!(table.claimed_ids(), [first]);
    assert_eq!(table.steer(Order::Pause("x".into())), Err(NotSteered::NoKind("x".into())));
}

#[test]
fn the_dead_are_tried_again_or_discarded() {
    let mut table = Table::new("[tasks.a]\nattempts = 2\nconcurrency = 8\n");
    let ids: Vec<u64> = (0..4).map(|_| table.add("a")).collect();
    for task in table.claim() {
        assert_eq!(history::step(&table.connection, (task.id, task.lease), "s", "1", 0).unwrap(), Ok(()));
        table.end(&task, Ending::Dead("x".into()), 0);
    }
    assert_eq!(table.steer(Order::Retry(Which::One(ids[0]))), Ok(1));
    assert_eq!(table.steer(Order::Retry(Which::One(ids[0]))), Err(NotSteered::NotDead(ids[0], "due".into())));
    assert_eq!(table.steer(Order::Discard(Which::One(ids[1]))), Ok(1));
    assert_eq!(table.steer(Order::Discard(Which::One(ids[1]))), Err(NotSteered::NoTask(ids[1])));
    let left: (u64, u64) = table
        .connection
        .query_row(
            "SELECT (SELECT count(*) FROM _nearside_attempt), (SELECT count(*) FROM _nearside_step)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!(left, (3, 3), "what is discarded takes its history along");
    // It has its attempts anew, its history goes on, and its steps stay done.
    for attempt in [2, 3] {
        table.now_ms += 1_000;
        let task = table.claim().remove(0);
        assert_eq!((task.id, task.attempt, task.steps.len()), (ids[0], attempt, 1));
        assert_eq!(table.steer(Order::Discard(Which::One(ids[0]))), Err(NotSteered::NotIdle(ids[0], "running".into())));
        table.end(&task, Ending::Retry("y".into()), 0);
    }
    assert_eq!((table.state(ids[0]).as_str(), table.history(ids[0]).len()), ("dead", 3));
    assert_eq!(table.steer(Order::Retry(Which::DeadOf("a".into()))), Ok(3));
    assert_eq!(table.steer(Order::Discard(Which::One(ids[2]))), Ok(1), "one that waits may go, too");
    table.is_counted();
    for task in table.claim() {
        table.end(&task, Ending::Dead("z".into()), 0);
    }
    assert_eq!(table.steer(Order::Discard(Which::DeadOf("a".into()))), Ok(2));
    table.is_counted();
}

#[test]
fn tasks_that_are_not_declared_any_more_wait_for_a_version_that_does() {
    let mut table = Table::new("[tasks.a]\n[tasks.b]\n");
    let id = table.add("a");
    let with_it = std::mem::replace(&mut table.app, app("[tasks.b]\n"));
    assert!(table.claim().is_empty());
    let listed = report::list(&table.connection, &table.app, &report::Asked::default(), 0).unwrap();
    assert_eq!((listed.kinds["a"].due, listed.kinds["a"].is_declared), (1, false));
    table.app = with_it;
    assert_eq!(table.claimed_ids(), [id]);
}

#[test]
fn steps_are_kept_once_and_bounded() {
    let table = Table::new("[tasks.a]\n");
    table.add("a");
    let task = table.claim().remove(0);
    let step =
        |name: &str, result: &str| history::step(&table.connection, (task.id, task.lease), name, result, 0).unwrap();
    assert_eq!((step("one", "1"), step("one", "2")), (Ok(()), Ok(())));
    assert_eq!(history::steps(&table.connection, task.id).unwrap(), [("one".into(), "1".into())].into());
    use history::StepRefused::{Name, Result, TooMany};
    assert_eq!((step("", "1"), step(&"n".repeat(129), "1")), (Err(Name), Err(Name)));
    assert_eq!(step("big", &"x".repeat(limits::TASK_STEP_RESULT_BYTES + 1)), Err(Result));
    (0..3).for_each(|n| assert_eq!(step(&format!("big{n}"), &"x".repeat(limits::TASK_STEP_RESULT_BYTES)), Ok(())));
    assert_eq!(step("big3", &"x".repeat(limits::TASK_STEP_RESULT_BYTES)), Err(TooMany), "of the first one is a byte");
    (0..limits::TASK_STEPS - 4).for_each(|n| assert_eq!(step(&n.to_string(), ""), Ok(())));
    assert_eq!(step("more", ""), Err(TooMany));
}

#[test]
fn ids_are_not_given_twice_and_old_ones_go() {
    let mut table = Table::new("[tasks.a]\n");
    let id = table.add("a");
    let task = table.claim().remove(0);
    table.end(&task, Ending::Done, 0);
    let later = limits::TASK_DONE_KEPT.as_millis() as u64 + table.now_ms;
    assert_eq!((purge(&table.connection, later).unwrap(), purge(&table.connection, later + 1).unwrap()), (0, 1));
    table.now_ms = later;
    assert_eq!(table.add("a"), id + 1);
    let attempts: u64 =
        table.connection.query_row("SELECT count(*) FROM _nearside_attempt", [], |row| row.get(0)).unwrap();
    assert_eq!(attempts, 0);
}

#[test]
fn of_too_many_the_oldest_go() {
    let table = Table::new("[tasks.a]\nattempts = 1\n");
    for (index, ending) in
        [Ending::Done, Ending::Done, Ending::Dead("x".into()), Ending::Dead("y".into())].iter().enumerate()
    {
        table.add("a");
        let task = table.claim().remove(0);
        finish(&table.connection, task.id, task.lease, &ending.clone().into(), table.now_ms + index as u64, 0).unwrap();
    }
    assert_eq!(keep_newest(&table.connection, "done", 1, 9).unwrap(), 1);
    assert_eq!(
        (keep_newest(&table.connection, "dead", 0, 1).unwrap(), keep_newest(&table.connection, "dead", 2, 9).unwrap()),
        (1, 0)
    );
    let left: Vec<u64> = (1..=4).filter(|id| report::show(&table.connection, *id).unwrap().is_some()).collect();
    assert_eq!(left, [2, 4]);
}

#[test]
fn pauses_double_up_to_their_bound() {
    let backoff = |attempt, chance| backoff_ms(attempt, 500, 900_000, chance);
    assert!(backoff(1, u64::MAX) <= 500);
    assert_eq!((backoff(1, 500), backoff(3, 2_000)), (500, 2_000));
    for attempt in [20, 64, u32::MAX] {
        assert_eq!(backoff(attempt, 900_000), 900_000);
    }
}

#[test]
fn each_due_time_is_done_once_whatever_becomes_of_clock_and_process() {
    const MINUTE_MS: u64 = 60_000;
    let mut table = Table::new("[tasks.a]\n[[crons]]\nname = \"c\"\nschedule = \"*/5 * * * *\"\ntask = \"a\"\n");
    assert_eq!(table.ring(), 0, "what was before it was known is not made up for");
    table.now_ms += 5 * MINUTE_MS;
    assert_eq!((table.ring(), table.ring()), (1, 0));
    // Set back by an hour, and there again: nothing is done twice.
    table.now_ms -= 60 * MINUTE_MS;
    let mut rung = 0;
    for _ in 0..60 {
        rung += table.ring();
        table.now_ms += MINUTE_MS;
    }
    assert_eq!(rung, 0);
    table.now_ms += 4 * MINUTE_MS;
    assert_eq!(table.ring(), 0);
    table.now_ms += MINUTE_MS;
    assert_eq!(table.ring(), 1);
    // Set ahead, or away for a week: once, and then as ever.
    table.now_ms += 7 * 24 * 60 * MINUTE_MS + MINUTE_MS;
    assert_eq!((table.ring(), table.ring()), (1, 0));
    table.now_ms += 4 * MINUTE_MS;
    assert_eq!((table.ring(), table.ring()), (1, 0));
    // A transaction that is rolled back has not done it.
    table.now_ms += 5 * MINUTE_MS;
    table.connection.execute_batch("BEGIN").unwrap();
    assert_eq!(table.ring(), 1);
    table.connection.execute_batch("ROLLBACK").unwrap();
    assert_eq!((table.ring(), table.ring()), (1, 0));
    assert_eq!(counts(&table.connection).unwrap()["due"], 5);
}

#[test]
fn a_cron_with_another_schedule_or_one_that_comes_back_begins_then() {
    let every = |length: &str| CronDecl {
        name: "c".into(),
        schedule: nearside_protocol::schedule::Schedule::every(length).unwrap(),
        task: "a".into(),
        payload: "{}".into(),
    };
    let mut table = Table::new(
        "[tasks.a]\n[[crons]]\nname = \"c\"\nevery = \"10s\"\ntask = \"a\"\n[[crons]]\nname = \"d\"\nevery = \"1d\"\ntask = \"a\"\n",
    );
    table.ring();
    table.now_ms += 10_000;
    assert_eq!(table.ring(), 1);
    table.app.crons[0] = every("7s");
    table.now_ms += 10_000;
    assert_eq!(table.ring(), 0);
    table.now_ms += 7_000;
    assert_eq!(table.ring(), 1);
    let gone = table.app.crons.remove(0);
    table.ring();
    table.now_ms += 100_000;
    table.app.crons.push(gone);
    assert_eq!(table.ring(), 0);
    let listed = report::list(&table.connection, &table.app, &report::Asked::default(), table.now_ms).unwrap();
    assert_eq!(listed.crons[1].next_at_ms, (table.now_ms / 7_000 + 1) * 7_000);
}

#[test]
fn tasks_are_listed_by_state_and_kind_a_page_at_a_time() {
    let table = Table::new("[tasks.a]\nconcurrency = 1\n[tasks.b]\n");
    for _ in 0..3 {
        table.add("a");
        table.add("b");
    }
    table.claim();
    let ids = |query: &str| {
        let asked = report::Asked::of(query).unwrap();
        let listed = report::list(&table.connection, &table.app, &asked, 0).unwrap();
        (listed.tasks.iter().map(|task| task.id).collect::<Vec<_>>(), listed.more)
    };
    assert_eq!(ids("kind=a&state=due"), (vec![3, 5], false));
    assert_eq!((ids("limit=4"), ids("limit=4&after=4")), ((vec![1, 2, 3, 4], true), (vec![5, 6], false)));
    for bad in ["state=lost", "limit=x", "after=", "page=2", "kind"] {
        assert!(report::Asked::of(bad).is_err(), "{bad}");
    }
}
