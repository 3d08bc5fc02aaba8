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

use support::{Node, Origin, Site, eventually, http, module, probe};

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
