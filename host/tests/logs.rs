//! What handlers print and how they fail is in the logbook: with whose it was, where it was, and what to do about it.

mod support;

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
};

use nearside_host::{
    admin::{self, Admin},
    gate::Gate,
    logbook::{Entry, Filter, Kind, Level, Logbook},
    logs::Logs,
    peer::Peer,
    replica::Replica,
};
use support::{Node, http::Answer, probe};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

/// Of all tests of this process: guests run on threads of their own.
static LOGBOOK: LazyLock<Logbook> = LazyLock::new(|| {
    let logbook = Logbook::new();
    tracing_subscriber::registry().with(logbook.layer()).init();
    logbook
});

fn traced(node: &Node, path: &str, trace: &str) -> (Answer, Vec<Arc<Entry>>) {
    LazyLock::force(&LOGBOOK);
    let header = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = node.request("GET", path, &[("traceparent", &header)], "");
    (answer, LOGBOOK.of_trace(trace))
}

/// The only entry of this kind, which names whose it is.
fn only<'a>(entries: &'a [Arc<Entry>], kind: Kind, place: &str) -> &'a Entry {
    let [entry] = &entries.iter().filter(|entry| entry.kind == kind).collect::<Vec<_>>()[..] else {
        panic!("not one {kind}: {entries:#?}");
    };
    assert_eq!((entry.app.as_deref(), entry.place.as_deref()), (Some("probe"), Some(place)));
    assert_eq!(entry.release.as_deref(), Some("1.1"));
    entry
}

#[test]
fn a_panic_tells_what_it_said_and_where_it_was() {
    let (node, _folder) = probe();
    let trace = "00000000000000000000000000000001";
    let (answer, entries) = traced(&node, "/panic", trace);
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains(trace), "{}", answer.text());
    assert_eq!(answer.header("server-timing"), format!("trace;desc=\"{trace}\""));

    let panic = only(&entries, Kind::Panic, "/panic");
    assert_eq!((panic.level, panic.trace.as_deref()), (Level::Error, Some(trace)));
    assert!(panic.message.contains("unreachable"), "{}", panic.message);
    assert!(panic.message.lines().count() > 2, "{}", panic.message);
    assert!(panic.message.contains("probe_handlers::misbehave::panic"), "{}", panic.message);
    assert!(panic.fields["said"].contains("asked to panic"), "{:?}", panic.fields);
    assert!(entries.iter().any(|entry| entry.kind == Kind::Guest && entry.message.contains("asked to panic")));
    assert!(entries.iter().all(|entry| entry.app.as_deref() == Some("probe")), "{entries:#?}");
}

#[test]
fn a_trap_in_the_middle_of_a_stream_is_told_too() {
    let (node, _folder) = probe();
    let (_, entries) = traced(&node, "/half", "00000000000000000000000000000002");
    assert!(only(&entries, Kind::Panic, "/half").message.contains("nearside_sdk::serve"), "{entries:#?}");
}

#[test]
fn an_overrun_names_the_budget_its_size_and_the_setting_that_raises_it() {
    let (node, _folder) = probe();
    for (number, path, place, budgets, value, raised_by) in [
        (1, "/slow?ms=60000", "/slow", &["deadline"][..], "2000 ms", "deadline_ms of the route"),
        (2, "/loop", "/loop", &["deadline", "cpu"], "2000 ms", "deadline_ms of the route"),
        (3, "/hog", "/hog", &["memory"], "64 MiB", "memory_mib of the route"),
        (4, "/cross", "/cross", &["query-time"], "1000 ms", "no setting"),
        (5, "/randomblob", "/randomblob", &["value-bytes"], "4194304 bytes", "no setting"),
    ] {
        let (_, entries) = traced(&node, path, &format!("{:032x}", 0x10 + number));
        let limit = only(&entries, Kind::Limit, place);
        assert!(budgets.contains(&limit.fields["budget"].as_str()), "{path}: {limit:?}");
        assert_eq!(limit.fields["value"], value, "{path}: {limit:?}");
        assert!(limit.fields["raised_by"].starts_with(raised_by), "{path}: {limit:?}");
        assert_eq!(limit.level, Level::Warn);
    }
}

#[test]
fn a_failed_query_is_named_with_its_line() {
    let (node, _folder) = probe();
    let (answer, entries) = traced(&node, "/overflow", "00000000000000000000000000000020");
    assert_eq!(answer.status, 503);
    let timing = answer.header("server-timing");
    assert!(timing.starts_with("render;dur=") && timing.ends_with("trace;desc=\"00000000000000000000000000000020\""));
    let failed = only(&entries, Kind::Sql, "/overflow");
    assert!(failed.message.contains("integer overflow"), "{failed:?}");
    assert_eq!(failed.fields["query"], "overflow");
    let queries = support::app("probe").text("queries.sql").unwrap();
    let line = queries.lines().position(|line| line == "-- name: overflow").unwrap() + 2;
    assert_eq!(failed.fields["at"], format!("queries.sql:{line}"));
}

#[test]
fn an_undeclared_input_is_told_once() {
    let (node, _folder) = probe();
    // The route's answer would come out of the cache without a second render.
    let (answer, entries) = traced(&node, "/looks?declared=1", "00000000000000000000000000000030");
    assert_eq!(answer.text(), "looked\n");
    let mut missed: Vec<_> = entries.iter().filter(|entry| entry.kind == Kind::UndeclaredInput).collect();
    missed.sort_by_key(|entry| entry.fields["setting"].clone());
    let settings = missed.iter().map(|entry| (entry.fields["setting"].as_str(), entry.fields["name"].as_str()));
    let expected = [("cookies", "undeclared"), ("languages", "accept-language"), ("query", "undeclared")];
    assert_eq!(settings.collect::<Vec<_>>(), expected, "{entries:#?}");
    assert!(missed.iter().all(|entry| entry.place.as_deref() == Some("/looks")));

    let (answer, entries) = traced(&node, "/looks?declared=2", "00000000000000000000000000000031");
    assert_eq!(answer.text(), "looked\n");
    assert_eq!(only(&entries, Kind::Guest, "/looks").message, "looking for inputs");
    assert!(!entries.iter().any(|entry| entry.kind == Kind::UndeclaredInput), "{entries:#?}");
}

#[test]
fn the_log_is_asked_for_and_followed_over_a_socket() {
    let (node, folder) = probe();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let replica = Replica::open(folder.path()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let admin = Arc::new(Admin {
        host: node.host.clone(),
        origin: None,
        logs: Logs::new(LOGBOOK.clone()),
        peer: Peer::new(replica.clone(), None),
        gate: Gate::default(),
        replica,
        max_staleness: None,
    });
    let served = runtime.spawn(admin::serve(admin, listener, async move { drop(stopped.await) }));

    let trace = "00000000000000000000000000000040";
    traced(&node, "/panic", trace);
    let get = |target: &str| support::http::request(address, "admin", "GET", target, &[], "").unwrap();
    let answer = get(&format!("/logs?trace={trace}&kind=panic"));
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"));
    let entry: Entry = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(vec![entry], [LOGBOOK.recent(&of(trace, Kind::Panic), 9)[0].as_ref().clone()]);
    let answer = get("/logs?kind=loud");
    assert!(answer.status == 400 && answer.text().contains("undeclared-input"), "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");

    let later = "00000000000000000000000000000041";
    let mut follower = follow(address, &format!("/logs?trace={later}&kind=panic&follow=1&last=0"));
    traced(&node, "/trap", later);
    let line = next_line(&mut follower);
    assert!(line.contains("misbehave") && line.contains("\"place\":\"/trap\""), "{line}");

    let started = Instant::now();
    stop.send(()).unwrap();
    runtime.block_on(served).unwrap();
    assert!(started.elapsed() < Duration::from_secs(5), "a follower was waited for: {:?}", started.elapsed());
}

fn of(trace: &str, kind: Kind) -> Filter {
    Filter { trace: Some(trace.into()), kinds: vec![kind], ..Filter::default() }
}

/// A request whose head has been answered.
fn follow(server: SocketAddr, target: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: admin\r\n\r\n").unwrap();
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        stream.read_line(&mut line).unwrap();
    }
    stream
}

/// The next line that is an object, without the chunks' lengths.
fn next_line(stream: &mut BufReader<TcpStream>) -> String {
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "it has ended");
        if line.starts_with('{') {
            return line;
        }
    }
}
