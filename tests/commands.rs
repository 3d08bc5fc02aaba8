//! A command that goes wrong answers for itself, and for nobody else; one that goes well is applied once.

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use support::{Site, eventually, probe};

/// A node waits 1.5 s for the origin and 2 s for a page; the rest is for a machine that does other things as well.
const DEADLINE: Duration = Duration::from_secs(6);

#[test]
fn a_command_that_goes_wrong_says_why_and_leaves_nothing_behind() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let large = format!(r#"{{"text":"{}"}}"#, "x".repeat(300 << 10));
    let wrong = [
        ("loop", "{}", "error origin: failed: "),
        ("trap", "{}", "error origin: failed: it trapped"),
        ("hog", "{}", "error origin: failed: it used more than its 64 MiB of memory"),
        ("sql-runaway", "{}", "error origin: unavailable: sql: over a limit: the statement ran longer than it may"),
        ("bad-sql", "{}", "error origin: unavailable: sql: no such table: nowhere"),
        ("reject", "{}", "rejected asked to reject"),
        ("big-reply", r#"{"bytes":100000}"#, "error origin: failed: its reply has 100002 bytes; at most 65536"),
        ("big-reply", r#"{"bytes":1000000000}"#, "error origin: failed: it used more than its 64 MiB of memory"),
        ("nowhere", "{}", "error origin: unknown name: nowhere"),
        (
            "bump",
            r#"{"by":0}"#,
            "error origin: invalid payload: the payload does not fit the schema: at /by: 0 is less",
        ),
        ("bump", "[]", "error origin: invalid payload: the payload does not fit the schema: at the whole: "),
        ("bump", "{by:", "error origin: invalid payload: the payload is not JSON"),
        ("bump", &large, "error origin: invalid payload: the payload has 307211 bytes; at most 262144 are taken"),
    ];
    for (bumps, (name, payload, expected)) in (1..).zip(wrong) {
        let told = settled(a, name, payload, &format!("wrong-{bumps}"));
        assert!(told.starts_with(expected), "{name} {}: {told}", &payload[..payload.len().min(40)]);
        assert!(name != "loop" || is_endless(&told), "{told}");
        let bumped = probe::bump_once(a, &format!("after-{bumps}"));
        assert_eq!(bumped.n, bumps, "after {name}");
        assert_eq!(probe::own_pair(a, &bumped), bumps, "after {name}");
    }

    let log = site.origin.process.log_text();
    for (name, cause) in [("loop", " ms"), ("trap", "it trapped"), ("hog", "64 MiB"), ("bad-sql", "nowhere")] {
        let tells = |line: &str| {
            [" WARN ", &format!(" probe {name} "), " a command failed ", cause].iter().all(|word| line.contains(word))
        };
        assert!(log.lines().any(tells), "nothing of {name} in the log:\n{log}");
    }
}

/// A command that never ends is ended by its CPU budget, or by the clock when a busy machine gives it no CPU.
fn is_endless(told: &str) -> bool {
    ["it used more than its 1000 ms of CPU", "it was not done within its 2000 ms"].iter().any(|end| told.contains(end))
}

#[test]
fn a_body_over_the_limit_is_refused_before_anything_runs() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let answer = probe::command(a, "bump", &"x".repeat(1_100_000), &[("Accept", "application/json")]);
    assert_eq!((answer.status, answer.header("content-type")), (413, "application/problem+json"), "{answer:?}");
    assert_eq!(probe::bump(a).n, 1);
}

#[test]
fn a_key_stands_for_one_write() {
    let site = Site::probe(&["a", "b"]);
    let [a, b] = [site.nodes[0].address, site.nodes[1].address];
    let first = settled(a, "bump", r#"{"by":5}"#, "mine");
    assert!(first.contains(r#"{"n":5}"#), "{first}");
    for node in [a, b, a] {
        assert_eq!(settled(node, "bump", r#"{"by":5}"#, "mine"), first, "the first answer, wherever it is asked for");
    }
    for (name, payload) in [("bump", r#"{"by":6}"#), ("reject", r#"{"by":5}"#)] {
        let told = settled(b, name, payload, "mine");
        assert!(told.starts_with("error origin: the idempotency key was used with another payload"), "{told}");
    }
    let rejected = settled(a, "reject", "{}", "refused once");
    assert_eq!(settled(b, "reject", "{}", "refused once"), rejected);
    assert_eq!(probe::bump(b).n, 6, "only the first counted");

    let answer = probe::try_bump(a, &"k".repeat(129)).unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(probe::bump(b).n, 7);
}

#[test]
fn writes_that_come_together_are_each_applied_once() {
    let site = Site::probe(&["a", "b"]);
    let nodes = [site.nodes[0].address, site.nodes[1].address];
    let before = probe::bump(nodes[0]).n;
    // One that never ends is among them: it costs the others its time, and nothing else.
    let endless = std::thread::spawn(move || settled(nodes[1], "loop", "{}", "endless"));
    let bumps: Vec<_> = (0..50)
        .map(|at| std::thread::spawn(move || probe::bump_once(nodes[at % 2], &format!("bump-{at}")).n))
        .collect();
    let mut shown: Vec<i64> = bumps.into_iter().map(|bump| bump.join().unwrap()).collect();
    shown.sort();
    assert_eq!(shown, (before + 1..=before + 50).collect::<Vec<_>>(), "each saw a number of its own");
    assert!(is_endless(&endless.join().unwrap()));
    let last = probe::bump_once(nodes[0], "last");
    assert_eq!((last.n, probe::own_pair(nodes[1], &last)), (before + 51, before + 51));
}

/// What became of a command in the end: a client that is told to come again does so, under the same key.
fn settled(node: SocketAddr, name: &str, payload: &str, key: &str) -> String {
    eventually(&format!("{name} comes to an end"), || {
        let started = Instant::now();
        let answer = probe::command(node, name, payload, &[("Idempotency-Key", &key.replace(' ', "-"))]);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(started.elapsed() < DEADLINE, "{name} took {:?}", started.elapsed());
        // On a busy machine a node may have had enough of waiting; under the same key it is told what became of it.
        let is_late = |text: &String| text.contains("no answer within") || text.starts_with("deferred ");
        Some(answer.text()).filter(|text| !is_late(text))
    })
}
