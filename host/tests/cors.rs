//! Pages of other sites: what they may ask of a route, and what their browsers are told.

mod support;

use support::{Changed, Node, http::Answer};

const FRIEND: &str = "https://friend.example";
const OTHER: &str = "https://other.example";

fn site() -> (Node, tempfile::TempDir) {
    Changed::probe()
        .with_route("/hello", "cors = { origins = [\"*\"], expose = [\"nearside-release\"] }")
        .with_route("/pair", "cors = { origins = [\"https://friend.example\"], credentials = true }")
        .with_route("/trap", "cors = { origins = [\"https://friend.example\"] }")
        .with_route(
            "/echo",
            "cors = { origins = [\"https://friend.example\"], headers = [\"X-Mine\", \"content-type\"], max_age_s = 60 }",
        )
        .with(
            "[[routes]]\npath = \"/all-of-it\"\ncomponent = \"probe\"\nmethods = [\"POST\"]\n\
             cors = { origins = [\"*\"] }\n\
             [[routes]]\npath = \"/hello\"\ncomponent = \"probe\"\nmethods = [\"PUT\"]\n",
        )
        .start()
}

fn from(node: &Node, method: &str, path: &str, origin: &str) -> Answer {
    node.request(method, path, &[("Origin", origin), ("Sec-Fetch-Site", "cross-site")], "")
}

fn preflight(node: &Node, path: &str, origin: &str, method: &str) -> Answer {
    node.request("OPTIONS", path, &[("Origin", origin), ("Access-Control-Request-Method", method)], "")
}

#[test]
fn a_grant_is_added_to_what_is_sent_and_entries_stay_shared() {
    let (node, _folder) = site();
    let any = from(&node, "GET", "/hello", OTHER);
    assert_eq!((any.status, any.header("access-control-allow-origin"), any.header("vary")), (200, "*", ""));
    assert_eq!(any.header("access-control-expose-headers"), "nearside-release");
    assert_eq!(any.header("access-control-allow-credentials"), "");
    let nobody = node.get("/hello");
    assert_eq!((nobody.cache(), nobody.header("access-control-allow-origin")), ("nearside; hit", ""));

    let friend = from(&node, "GET", "/pair", FRIEND);
    assert_eq!((friend.header("access-control-allow-origin"), friend.header("vary")), (FRIEND, "origin"));
    assert_eq!(friend.header("access-control-allow-credentials"), "true");
    let stranger = from(&node, "GET", "/pair", OTHER);
    assert_eq!((stranger.status, stranger.cache(), stranger.header("vary")), (200, "nearside; hit", "origin"));
    assert_eq!(stranger.header("access-control-allow-origin"), "");
    assert_eq!(stranger.header("access-control-allow-credentials"), "");
    assert_eq!(node.get("/pair").header("vary"), "origin", "caches behind must know, whoever asks");

    let etag = friend.header("etag");
    let unchanged = node.request("GET", "/pair", &[("Origin", FRIEND), ("If-None-Match", etag)], "");
    assert_eq!((unchanged.status, unchanged.header("access-control-allow-origin")), (304, FRIEND));
    let head = from(&node, "HEAD", "/pair", FRIEND);
    assert_eq!((head.status, head.header("access-control-allow-origin")), (200, FRIEND));
    let failed = from(&node, "GET", "/trap", FRIEND);
    assert_eq!((failed.status, failed.header("access-control-allow-origin")), (500, FRIEND));
    assert_eq!(from(&node, "GET", "/trap", OTHER).header("access-control-allow-origin"), "");
    assert_eq!(from(&node, "GET", "/version", FRIEND).header("access-control-allow-origin"), "");
    for origin in ["null", "https://friend.example.evil", "http://friend.example", "https://friend.example:444", ""] {
        assert_eq!(from(&node, "GET", "/pair", origin).header("access-control-allow-origin"), "", "{origin}");
    }
}

#[test]
fn a_preflight_is_answered_for_the_route_it_is_about() {
    let (node, _folder) = site();
    let varies = "origin, access-control-request-method, access-control-request-headers";
    let yes = preflight(&node, "/echo", FRIEND, "POST");
    assert_eq!((yes.status, yes.body.len(), yes.header("vary")), (204, 0, varies));
    assert_eq!(yes.header("access-control-allow-origin"), FRIEND);
    assert_eq!(yes.header("access-control-allow-methods"), "POST, OPTIONS");
    assert_eq!(yes.header("access-control-allow-headers"), "x-mine, content-type");
    assert_eq!((yes.header("access-control-max-age"), yes.header("access-control-allow-credentials")), ("60", ""));
    assert_eq!(yes.header("allow"), "POST, OPTIONS");

    let any = preflight(&node, "/hello", OTHER, "GET");
    assert_eq!((any.header("access-control-allow-origin"), any.header("access-control-max-age")), ("*", "600"));
    assert_eq!(any.header("access-control-allow-methods"), "GET, HEAD, OPTIONS", "PUT there has no rules of its own");
    assert_eq!(preflight(&node, "/hello", OTHER, "HEAD").header("access-control-allow-origin"), "*");
    let with = preflight(&node, "/pair", FRIEND, "GET");
    assert_eq!(with.header("access-control-allow-credentials"), "true");

    for (path, origin, method) in
        [("/echo", OTHER, "POST"), ("/echo", FRIEND, "DELETE"), ("/hello", OTHER, "PUT"), ("/hello", OTHER, "BREW")]
    {
        let no = preflight(&node, path, origin, method);
        assert_eq!((no.status, no.header("vary")), (204, varies));
        for name in ["origin", "methods", "headers", "credentials"] {
            assert_eq!(no.header(&format!("access-control-allow-{name}")), "", "{path} {origin} {method}");
        }
    }
    let without = preflight(&node, "/version", FRIEND, "GET");
    assert_eq!((without.status, without.header("vary"), without.header("allow")), (204, "", "GET, HEAD, OPTIONS"));
    assert_eq!(preflight(&node, "/nowhere", FRIEND, "GET").status, 404);
    let plain = node.request("OPTIONS", "/echo", &[("Origin", FRIEND)], "");
    assert_eq!((plain.status, plain.header("access-control-allow-methods")), (204, ""));
}

#[test]
fn who_is_admitted_may_write_and_nobody_else() {
    let (node, _folder) = site();
    let write = |path: &str, origin: &str| {
        let headers = [("Origin", origin), ("Sec-Fetch-Site", "cross-site"), ("Cookie", "session=1")];
        node.request("POST", path, &headers, "12345")
    };
    let friend = write("/echo", FRIEND);
    assert_eq!((friend.status, friend.text().trim(), friend.header("access-control-allow-origin")), (200, "5", FRIEND));
    let other = write("/echo", OTHER);
    assert_eq!((other.status, other.header("access-control-allow-origin"), other.header("vary")), (403, "", "origin"));
    assert_eq!(write("/command?name=bump", FRIEND).status, 403, "another route, without rules");
    assert_eq!(write("/all-of-it", "null").header("access-control-allow-origin"), "*");
    assert_eq!(node.request("POST", "/echo", &[("Sec-Fetch-Site", "cross-site")], "x").status, 403, "no origin at all");
}
