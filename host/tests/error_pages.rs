//! An app's own pages for what the host refuses.

mod support;

use support::Changed;

const HTML: (&str, &str) = ("Accept", "text/html,*/*;q=0.8");

#[test]
fn people_see_the_apps_page_and_programs_a_problem() {
    let (node, _folder) = Changed::probe()
        .with_static(&[("gone.html", b"<h1>gone</h1>"), ("sorry.html", b"<h1>sorry</h1>")])
        .with("[errors]\n404 = \"/static/gone.html\"\n5xx = \"/static/sorry.html\"")
        .start();
    let gone = node.request("GET", "/nowhere", &[HTML], "");
    assert_eq!((gone.status, gone.text().as_str()), (404, "<h1>gone</h1>"));
    assert_eq!((gone.header("cache-control"), gone.header("content-type")), ("no-store", "text/html; charset=utf-8"));
    assert_eq!((gone.header("etag"), gone.header("accept-ranges"), gone.header("nearside-release")), ("", "", "1.1"));
    let head = node.request("HEAD", "/nowhere", &[HTML], "");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (404, 0, "13"));
    assert_eq!(node.request("GET", "/static/none.css", &[HTML], "").text(), "<h1>gone</h1>");
    let failed = node.request("GET", "/trap", &[HTML], "");
    assert_eq!((failed.status, failed.text().as_str()), (500, "<h1>sorry</h1>"));

    for accept in ["application/json", "application/problem+json"] {
        let problem = node.request("GET", "/nowhere", &[("Accept", accept)], "");
        assert_eq!((problem.status, problem.header("content-type")), (404, "application/problem+json"));
    }
    assert_eq!(node.get("/nowhere").header("content-type"), "application/problem+json");
    let plain = node.request("DELETE", "/hello", &[HTML], "");
    assert!(plain.status == 405 && plain.text().contains("This address answers"), "there is no page for it");
    let stranger = node.request("GET", "/", &[("Host", "stranger.example"), HTML], "");
    assert!(stranger.status == 404 && stranger.text().contains("No site of this name"));
}

#[test]
fn a_page_may_be_rendered_and_the_refusals_own_headers_stay() {
    let (node, _folder) = Changed::probe().with("[errors]\n4xx = \"/hello\"\n416 = \"/clock\"").start();
    let page = node.request("DELETE", "/hello", &[HTML, ("Cookie", "a=b")], "");
    assert_eq!((page.status, page.text().as_str(), page.header("allow")), (405, "hello\n", "GET, HEAD, OPTIONS"));
    assert_eq!((page.header("cache-control"), page.header("etag")), ("no-store", ""));
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(page.header("content-length"), "6");
    assert_eq!(node.get("/hello").cache(), "nearside; hit", "it went through the same cache");
    assert_eq!(node.request("GET", "/nowhere", &[HTML], "").text(), "hello\n");
    let cross = node.request("POST", "/echo", &[HTML, ("Sec-Fetch-Site", "cross-site")], "x");
    assert_eq!((cross.status, cross.text().as_str()), (403, "hello\n"));
}

#[test]
fn a_page_that_fails_gives_way_to_the_plain_one() {
    for page in ["/trap", "/static/none.html", "/nowhere-either", "/all", "/big?bytes=600000", "/bump", "/events"] {
        let (node, _folder) = Changed::probe().with(&format!("[errors]\n404 = \"{page}\"")).start();
        let plain = node.request("GET", "/nowhere", &[HTML], "");
        assert_eq!((plain.status, plain.header("content-type")), (404, "text/html; charset=utf-8"), "{page}");
        assert!(plain.text().contains("There is no page at this address"), "{page}: {}", plain.text());
    }
}

#[test]
fn what_a_handler_answers_is_its_own() {
    let (node, _folder) = Changed::probe()
        .with_static(&[("gone.html", b"<h1>gone</h1>")])
        .with("[errors]\n404 = \"/static/gone.html\"\n[[routes]]\npath = \"/unknown-to-it\"\ncomponent = \"probe\"")
        .start();
    let answer = node.request("GET", "/unknown-to-it", &[HTML], "");
    assert_eq!(answer.status, 404);
    assert!(!answer.text().contains("gone"), "{}", answer.text());
}
