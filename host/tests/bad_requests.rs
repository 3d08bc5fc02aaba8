//! What a visitor may get wrong, over real sockets: the right 4xx, and the node goes on.

mod support;

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::Duration,
};

use support::probe;

#[test]
fn bad_addresses_hosts_and_methods() {
    let (node, _folder) = probe();
    for (path, status) in [
        ("/nowhere", 404),
        ("/static/nothing.css", 404),
        ("/static/../nearside.toml", 400),
        ("/hello/%2e%2e/pair", 400),
        ("/a%2fb", 400),
        ("/%00", 400),
        ("/%zz", 400),
        ("/%ff", 400),
        ("//hello", 404),
    ] {
        let answer = node.get(path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    assert_eq!(node.get(&format!("/hello?{}", "x".repeat(9_000))).status, 414);

    for host in ["other.example", "", "probe.localhost.evil"] {
        assert_eq!(node.request("GET", "/hello", &[("Host", host)], "").status, 404, "{host}");
    }
    assert_eq!(node.request("GET", "/hello", &[("Host", "PROBE.localhost:8080")], "").status, 200);
    let two_hosts =
        node.raw(b"GET /hello HTTP/1.1\r\nHost: probe.localhost\r\nHost: evil\r\nConnection: close\r\n\r\n");
    assert!((400..500).contains(&two_hosts.status), "{two_hosts:?}");

    let wrong = node.request("DELETE", "/hello", &[], "");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD, OPTIONS"));
    assert_eq!(node.request("GET", "/bump", &[], "").header("allow"), "POST, OPTIONS");
    assert_eq!(node.request("BREW", "/hello", &[], "").status, 405);
    let options = node.request("OPTIONS", "/hello", &[], "");
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
}

#[test]
fn people_get_a_page_and_programs_a_problem() {
    let (node, _folder) = probe();
    let page = node.request("GET", "/nowhere", &[("Accept", "text/html,*/*;q=0.8")], "");
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(page.text().contains("There is no page at this address"));
    let problem = node.request("GET", "/nowhere", &[("Accept", "application/json")], "");
    assert!(problem.text().contains("\"status\":404"), "{}", problem.text());
}

#[test]
fn heads_and_bodies_have_limits() {
    let (node, _folder) = probe();
    let huge = "x".repeat(64 << 10);
    assert_eq!(node.request("GET", "/hello", &[("X-Huge", &huge)], "").status, 431);
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("X-{n}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(node.request("GET", "/hello", &many, "").status, 431);

    assert_eq!(node.request("POST", "/echo", &[], "12345").text().trim(), "5");
    let declared = node
        .raw(b"POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\nContent-Length: 99999999\r\n\r\n");
    assert_eq!(declared.status, 413);
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 18, "x".repeat(1 << 18));
    let chunked = format!(
        "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
        chunk.repeat(5)
    );
    assert_eq!(node.raw(chunked.as_bytes()).status, 413);

    for smuggled in [
        "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n123456",
        "POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nContent-Length: -1\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHost : probe.localhost\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        assert!(matches!(node.raw(smuggled.as_bytes()).status, 0 | 400), "{smuggled:?}");
    }
    assert_eq!(node.get("/hello").status, 200);
}

#[test]
fn a_slow_body_is_given_up_and_holds_nobody() {
    let (node, _folder) = probe();
    let mut slow = TcpStream::connect(node.address).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    slow.write_all(b"POST /echo HTTP/1.1\r\nHost: probe.localhost\r\nContent-Length: 10\r\n\r\n123").unwrap();
    for _ in 0..20 {
        assert_eq!(node.get("/hello").status, 200);
    }
    let mut answer = [0; 64];
    let read = slow.read(&mut answer).unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer[..read]));
}

#[test]
fn posts_from_other_sites_are_refused() {
    let (node, _folder) = probe();
    for (headers, allowed) in [
        (vec![("Sec-Fetch-Site", "same-origin")], true),
        (vec![("Sec-Fetch-Site", "none")], true),
        (vec![], true),
        (vec![("Origin", "http://probe.localhost")], true),
        (vec![("Sec-Fetch-Site", "cross-site")], false),
        (vec![("Sec-Fetch-Site", "same-site")], false),
        (vec![("Origin", "https://evil.example")], false),
        (vec![("Origin", "null")], false),
        (vec![("Sec-Fetch-Site", "cross-site"), ("Origin", "http://probe.localhost")], false),
    ] {
        let answer = node.request("POST", "/echo", &headers, "x");
        assert_eq!(answer.status == 200, allowed, "{headers:?}: {}", answer.text());
        assert!(allowed || answer.status == 403);
    }
    let bad_key = node.request("POST", "/echo", &[("Idempotency-Key", "a b")], "x");
    assert_eq!(bad_key.status, 400);
}

#[test]
fn a_write_without_an_origin_says_so() {
    let (node, _folder) = probe();
    let answer = node.request("POST", "/command?name=bump", &[], "{}");
    assert!(answer.text().to_lowercase().contains("unavailable"), "{} {}", answer.status, answer.text());
    assert_eq!(answer.cache(), "nearside; fwd=method");
    let unknown = node.request("POST", "/command?name=nothing", &[], "{}");
    assert!(unknown.text().to_lowercase().contains("unknown"), "{}", unknown.text());
}
