//! Addresses that have moved, answered by the host.

mod support;

use support::Changed;

const MOVED: &str = r#"
[[redirects]]
from = "/p/{name}"
to = "/package/{name}"

[[redirects]]
from = "/old/{*rest}"
to = "/{rest}"
status = 301

[[redirects]]
from = "/away"
to = "https://other.example/there?a=1#top"
status = 302
"#;

#[test]
fn whoever_asks_is_sent_on_with_what_they_asked() {
    let (node, _folder) = Changed::probe().with(MOVED).start();
    for (path, status, location) in [
        ("/p/g%2B%2b", 308, "/package/g++"),
        ("/p/a%20b?q=x&y=%20", 308, "/package/a%20b?q=x&y=%20"),
        ("/p/%C3%BC", 308, "/package/%C3%BC"),
        ("/old/a/b?c", 301, "/a/b?c"),
        ("/old//evil.example", 301, "/evil.example"),
        ("/away", 302, "https://other.example/there?a=1#top"),
        ("/away?b=2", 302, "https://other.example/there?a=1&b=2#top"),
    ] {
        for method in ["GET", "HEAD", "POST", "OPTIONS", "BREW"] {
            let answer = node.request(method, path, &[("Sec-Fetch-Site", "cross-site")], "");
            assert_eq!((answer.status, answer.header("location")), (status, location), "{method} {path}");
            assert_eq!((answer.header("cache-control"), answer.header("nearside-release")), ("no-cache", "1.1"));
            assert!(answer.body.is_empty() && !answer.broken);
        }
    }
    assert_eq!(node.get("/p/..").status, 400);
    assert_eq!(node.get("/p/").status, 404);
    assert_eq!(node.get("/hello").status, 200);
    let utf8 = node.raw("GET /away?\u{fc} HTTP/1.1\r\nHost: probe.localhost\r\nConnection: close\r\n\r\n".as_bytes());
    assert!(utf8.status == 400 || utf8.header("location").ends_with("?a=1&%C3%BC#top"), "{utf8:?}");
}
