//! Server-sent events go out one by one, and are never kept.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use support::{Node, probe};

const WAIT: Duration = Duration::from_millis(800);

/// What has come when the first event is there, and what comes after it.
fn listen(node: &Node) -> (String, Duration, String) {
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let asked =
        format!("GET /events?ms={} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n\r\n", WAIT.as_millis());
    stream.write_all(asked.as_bytes()).unwrap();
    let mut first = Vec::new();
    while !String::from_utf8_lossy(&first).contains("data: first\n\n") {
        let mut piece = [0; 4_096];
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "it ended with {}", String::from_utf8_lossy(&first));
        first.extend_from_slice(&piece[..length]);
    }
    let came = Instant::now();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    (String::from_utf8(first).unwrap(), came.elapsed(), rest)
}

#[test]
fn the_first_event_is_there_before_the_last_one_happens() {
    let (node, _folder) = probe();
    for _ in 0..2 {
        let (first, until_the_end, rest) = listen(&node);
        assert!(first.starts_with("HTTP/1.1 200") && !first.contains("second"), "{first}");
        assert!(until_the_end > WAIT / 2, "the first came {until_the_end:?} before the end");
        assert!(rest.contains("data: second\n\n") && rest.ends_with("0\r\n\r\n"), "{rest}");
        let first = first.to_lowercase();
        assert!(first.contains("cache-status: nearside; fwd=miss; detail=event-stream"), "{first}");
        assert!(first.contains("cache-control: no-cache") && !first.contains("content-length"), "{first}");
    }
}

#[test]
fn listeners_do_not_wait_for_one_another() {
    let (node, _folder) = probe();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(listen(&node).2.contains("second")));
        }
    });
    assert!(started.elapsed() < WAIT * 5, "{:?}", started.elapsed());
    assert_eq!(node.request("HEAD", "/events", &[], "").header("content-type"), "text/event-stream");
}
