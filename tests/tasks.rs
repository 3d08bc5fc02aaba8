//! Tasks run after the answer, as often as it takes and not more often than declared, and reach only what was granted.

mod support;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use support::{App, Node, Origin, Site, eventually, http, module, probe, process::Run};

#[test]
fn a_task_is_tried_until_it_works_or_its_attempts_are_spent() {
    let site = Site::probe(&["a"]);
    let a = &site.nodes[0];
    for name in ["ok", "fail-twice", "always-fail"] {
        enqueue(a, name, "{}");
    }
    wait_for(&site.origin, &[("done", 2), ("dead", 1), ("due", 0), ("running", 0)]);
    let log = site.origin.process.log_text();
    let failures =
        |name: &str| log.lines().filter(|line| line.contains("a task failed") && line.contains(name)).count();
    assert_eq!((failures(" ok "), failures(" fail-twice "), failures(" always-fail ")), (0, 2, 3), "{log}");
}

#[test]
fn a_task_that_cannot_be_is_refused_when_it_is_asked_for() {
    let site = Site::probe(&["a"]);
    let a = &site.nodes[0];
    assert_eq!(asked(a, "nowhere", "{}"), "error origin: unknown name: nowhere\n");
    assert!(asked(a, "ok", "{not JSON").starts_with("error origin: invalid payload"));
    assert_eq!(counts(&site.origin, "done") + counts(&site.origin, "due") + counts(&site.origin, "dead"), 0);
}

#[test]
fn a_command_enqueues_tasks_if_it_is_applied() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let told = probe::command(a, "enqueue", r#"{"task":"ok","payload":{"n":1}}"#, &[]).text();
    assert!(told.starts_with("applied "), "{told}");
    let refused = probe::command(a, "enqueue", r#"{"task":"nowhere","payload":{}}"#, &[]).text();
    assert!(!refused.starts_with("applied "), "{refused}");
    wait_for(&site.origin, &[("done", 1), ("due", 0), ("running", 0), ("dead", 0)]);
}

#[test]
fn a_private_address_is_reached_only_with_the_operators_grant() {
    let (sink, delivered) = sink();
    let (stranger, received_by_stranger) = self::sink();
    let settings = format!("[apps.probe]\nvariables = {{ FETCH_URL = \"http://{sink}/\" }}\n");
    let mut site = Site::configured(&settings, &[&module("probe")], &["a"]);
    let fetch = |site: &Site, address: SocketAddr| {
        enqueue(&site.nodes[0], "fetch", &format!(r#"{{"url":"http://{address}/x"}}"#));
    };
    fetch(&site, sink);
    wait_for(&site.origin, &[("dead", 1)]);
    assert_eq!(delivered.load(Ordering::SeqCst), 0, "nobody granted it");

    site.origin.process.kill();
    site.origin.start_again(&format!("{settings}allow_private = [\"{sink}\", \"{stranger}\"]\n"));
    fetch(&site, sink);
    wait_for(&site.origin, &[("done", 1), ("dead", 1)]);
    assert_eq!(delivered.load(Ordering::SeqCst), 1);

    fetch(&site, stranger);
    wait_for(&site.origin, &[("done", 1), ("dead", 2)]);
    assert_eq!(received_by_stranger.load(Ordering::SeqCst), 0, "the manifest does not name it");
}

#[test]
fn tasks_outlive_the_origin() {
    const TASKS: u64 = 20;
    let mut site = Site::probe(&["a"]);
    for _ in 0..TASKS {
        enqueue(&site.nodes[0], "fail-twice", "{}");
    }
    site.origin.process.kill();
    site.origin.start_again("");
    wait_for(&site.origin, &[("done", TASKS), ("due", 0), ("running", 0), ("dead", 0)]);
}

#[test]
fn poison_dies_and_what_hangs_delays_no_one() {
    let site = Site::probe(&["a"]);
    let a = &site.nodes[0];
    for _ in 0..5 {
        enqueue(a, "poison", "{}");
        enqueue(a, "hang", "{}");
    }
    for _ in 0..20 {
        enqueue(a, "ok", "{}");
    }
    wait_for(&site.origin, &[("done", 20), ("dead", 5), ("running", 1), ("due", 4)]);
    let shown = shown(&site.origin, first_of(&site.origin, "poison"));
    let history = shown["history"].as_array().unwrap();
    let how: Vec<&str> = history.iter().map(|attempt| attempt["how"].as_str().unwrap()).collect();
    assert_eq!(how, ["retry", "retry", "dead"], "{shown}");
    assert!(history.iter().all(|attempt| attempt["message"].as_str().unwrap().contains("trapped")), "{shown}");
}

#[test]
fn an_operator_sees_and_steers_tasks() {
    let site = Site::probe(&["a"]);
    let (a, origin) = (&site.nodes[0], &site.origin);
    steered(origin, &["pause", "ok"], "`ok` is paused");
    steered(origin, &["pause", "ok"], "`ok` was paused already");
    enqueue(a, "ok", "{\"n\":1}");
    enqueue(a, "tell", "{}");
    wait_for(origin, &[("due", 1), ("dead", 1), ("done", 0)]);
    let listed = origin.operator(&["tasks", "list", "--app", "probe"]);
    listed.went_well();
    assert!(listed.out.contains("paused ") && listed.out.contains("told enough"), "{}", listed.out);

    let told = first_of(origin, "tell");
    let text = operator(origin, &["show", &told.to_string()]);
    text.went_well();
    for expected in ["tell`: dead, 2 of 2 attempts", "told enough", "progress: 2 of 2", "| attempt 1", "| attempt 2"] {
        assert!(text.out.contains(expected), "no `{expected}` in {}", text.out);
    }
    let id = told.to_string();
    steered(origin, &["retry", &id], "1 task tried again");
    eventually("it is dead again", || (shown(origin, told)["history"].as_array()?.len() == 4).then_some(()));
    wait_for(origin, &[("dead", 1), ("running", 0)]);
    steered(origin, &["discard", "tell"], "1 task discarded");
    operator(origin, &["show", &id]).failed_with(&["there is no task"]);
    operator(origin, &["retry", "nonesuch"]).failed_with(&["the app declares no task `nonesuch`"]);
    let waiting = first_of(origin, "ok");
    operator(origin, &["retry", &waiting.to_string()]).failed_with(&["only a dead one can be tried again"]);

    steered(origin, &["resume", "ok"], "`ok` is resumed");
    wait_for(origin, &[("due", 0), ("done", 1), ("dead", 0)]);
    let log = origin.process.log_text();
    let acted =
        |line: &&str| line.contains("an operator acted") && line.contains("_tasks") && line.contains("went_well=true");
    assert_eq!(log.lines().filter(acted).count(), 5, "{log}");
    let stranger = http::request(origin.address, "origin", "POST", "/v1/apps/probe/tasks/ok/pause", &[], "").unwrap();
    assert_eq!(stranger.status, 401);
}

#[test]
fn crons_are_run_once_each_though_the_origin_dies_and_its_clock_jumps() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("probe", &folder.path().join("app"));
    app.append("nearside.toml", "\n[[crons]]\nname = \"tick\"\nevery = \"1s\"\ntask = \"ok\"\n");
    let mut site = Site::start(&[app.path()], &[]);
    let done = |site: &Site| counts(&site.origin, "done");
    for kill in 1..=3 {
        eventually("it ticks", || (done(&site) > kill).then_some(()));
        site.origin.process.kill();
        site.origin.start_again("");
    }
    site.origin.process.kill();
    let store = rusqlite::Connection::open(site.origin.data().join("apps/probe/store.db")).unwrap();
    // Each is queued in the very second in which it is due.
    let seconds = "SELECT count(*), count(DISTINCT created_at_ms / 1000) FROM _nearside_task";
    let (ticks, seconds): (u64, u64) = store.query_row(seconds, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(ticks >= 4 && ticks == seconds, "{ticks} ticks in {seconds} seconds");

    // As if the clock had been an hour ahead, and is right again: what is done stays done.
    let jump = |hours: i64| {
        let sql = "UPDATE _nearside_cron SET done_at_ms = done_at_ms + ?1";
        store.execute(sql, [hours * 3_600_000]).unwrap();
    };
    jump(1);
    site.origin.start_again("");
    eventually("it has looked", || (site.origin.status()["uptime_s"].as_u64()? >= 3).then_some(()));
    wait_for(&site.origin, &[("done", ticks), ("due", 0), ("running", 0)]);
    site.origin.process.kill();
    // As if it had been away for a day: 86,400 times were missed, and are run once.
    jump(-25);
    let before: u64 = store.query_row("SELECT max(id) FROM _nearside_task", [], |row| row.get(0)).unwrap();
    site.origin.start_again("");
    eventually("it ticks again", || (done(&site) > ticks + 2).then_some(()));
    site.origin.process.kill();
    let sql = "SELECT count(*), count(DISTINCT created_at_ms / 1000) FROM _nearside_task WHERE id > ?1";
    let (ticks, seconds): (u64, u64) = store.query_row(sql, [before], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(ticks, seconds);
}

/// `nearside tasks …` of the probe.
fn operator(origin: &Origin, arguments: &[&str]) -> Run {
    origin.operator(&[&["tasks"], arguments, &["--app", "probe"]].concat())
}

fn steered(origin: &Origin, arguments: &[&str], expected: &str) {
    let run = operator(origin, arguments);
    run.went_well();
    assert_eq!(run.out.trim(), expected);
}

fn shown(origin: &Origin, id: u64) -> serde_json::Value {
    let run = operator(origin, &["show", &id.to_string(), "--json"]);
    run.went_well();
    serde_json::from_str(&run.out).unwrap()
}

/// The id of the oldest task of a kind.
fn first_of(origin: &Origin, kind: &str) -> u64 {
    let run = operator(origin, &["list", "--kind", kind, "--json"]);
    run.went_well();
    serde_json::from_str::<serde_json::Value>(&run.out).unwrap()["tasks"][0]["id"].as_u64().unwrap()
}

fn asked(node: &Node, task: &str, payload: &str) -> String {
    node.request(probe::SITE, "POST", &format!("/task?name={task}"), &[], payload).text()
}

/// Sent again until it is taken: a node whose origin has just come back may have to find it first.
fn enqueue(node: &Node, task: &str, payload: &str) {
    eventually("a task is queued", || asked(node, task, payload).starts_with("queued ").then_some(()));
}

fn counts(origin: &Origin, state: &str) -> u64 {
    origin.status()["apps"]["probe"]["tasks"][state].as_u64().unwrap()
}

/// Waits until `nearside status` counts exactly these.
fn wait_for(origin: &Origin, expected: &[(&str, u64)]) {
    eventually(&format!("tasks are {expected:?}"), || {
        let tasks = origin.status()["apps"]["probe"]["tasks"].take();
        expected.iter().all(|(state, count)| tasks[state].as_u64() == Some(*count)).then_some(())
    });
}

/// A server that says yes to everything, and how many requests it has had.
fn sink() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let read = stream.read(&mut [0; 4_096]).unwrap_or(0);
            if read > 0 {
                count.fetch_add(1, Ordering::SeqCst);
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    // It answers: what is not delivered was not sent.
    assert_eq!(http::request(address, "sink", "GET", "/", &[], "").unwrap().status, 200);
    received.store(0, Ordering::SeqCst);
    (address, received)
}
