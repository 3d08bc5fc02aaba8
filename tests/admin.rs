//! The operator's listener: from this machine it is open, from elsewhere it takes a token.
//! SKIPPED, and said so, where the machine has no address but loopback.

mod support;

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
};

use support::{
    Node, eventually, http, probe,
    process::{run, text},
};

/// This machine's own address: who connects to it comes from it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Nothing is sent: it only finds the way. The address is one that is nobody's.
    socket.connect("198.51.100.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}

#[test]
fn whoever_comes_from_elsewhere_shows_a_token() {
    let Some(own) = own_address() else {
        eprintln!("SKIPPED: this machine has no address but loopback");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let start = |name: &str, more: &[&str]| Node::start_admin(folder.path(), name, "0.0.0.0:0", more);
    let ask = |node: &Node, method: &str, path: &str, headers: &[(&str, &str)]| {
        http::request(SocketAddr::new(own, node.admin.port()), "admin", method, path, headers, "").unwrap()
    };
    let closed = [
        ("GET", "/status"),
        ("GET", "/metrics"),
        ("GET", "/logs"),
        ("GET", "/cache"),
        ("DELETE", "/cache"),
        ("GET", "/outbox"),
        ("POST", "/outbox/retry"),
        ("GET", "/"),
    ];

    // Without a token nobody is let in from elsewhere, and is told how that is changed.
    let bare = start("bare", &[]);
    for (method, path) in closed {
        let answer = ask(&bare, method, path, &[("authorization", "Bearer x")]);
        assert_eq!(answer.status, 403, "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text().contains("--admin-token-file"), "{}", answer.text());
    }
    assert_eq!(ask(&bare, "GET", "/livez", &[]).status, 200, "health is no secret");
    assert_eq!(ask(&bare, "GET", "/readyz", &[]).status, 503);
    let at = format!("http://{}", SocketAddr::new(own, bare.admin.port()));
    run(&["health", &at, "--live"]).went_well();
    run(&["health", &at]).failed_with(&["nearside: no release is loaded yet"]);
    assert_eq!(bare.status()["refused_calls"]["no_token"], closed.len(), "from this machine it is open");

    let token = folder.path().join("admin-token");
    fs::write(&token, "an-operators-token\n").unwrap();
    let node = start("a", &["--admin-token-file", text(&token)]);
    let shown = |token: &str| format!("Bearer {token}");
    let (right, wrong, next) = (shown("an-operators-token"), shown("another"), shown("the-next-token"));
    for (method, path) in closed {
        for headers in [&[][..], &[("authorization", wrong.as_str())]] {
            let answer = ask(&node, method, path, headers);
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{method} {path}");
        }
        assert!(!matches!(ask(&node, method, path, &[("authorization", &right)]).status, 401 | 403), "{method} {path}");
    }
    let metrics = ask(&node, "GET", "/metrics", &[("authorization", &right)]).text();
    let refused = format!("nearside_refused_calls_total{{why=\"unknown_token\"}} {}", closed.len());
    assert!(metrics.lines().any(|line| line == refused), "{metrics}");

    // The command line shows it.
    let url = format!("http://{}", SocketAddr::new(own, node.admin.port()));
    run(&["cache", "list", "--node", &url]).failed_with(&["from another machine this takes the token"]);
    run(&["cache", "list", "--node", &url, "--admin-token-file", text(&token)]).went_well();
    run(&["logs", "--node", &url, "--admin-token-file", text(&token)]).went_well();

    // Another token takes its place without a restart.
    fs::write(&token, "the-next-token\n").unwrap();
    eventually("the next token opens it", || {
        (ask(&node, "GET", "/status", &[("authorization", &next)]).status == 200).then_some(())
    });
    assert_eq!(ask(&node, "GET", "/status", &[("authorization", &right)]).status, 401);
    assert_eq!(node.get(probe::SITE, "/hello").status, 404, "visitors are no concern of it");
}
