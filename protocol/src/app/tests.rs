use super::*;
use crate::{
    limits,
    route::{Inputs, Query},
};

const GOOD: &str = r#"
name = "shop"
hosts = ["Shop.Example"]

[components]
pages = "pages.wasm"

[[routes]]
path = "/search"
component = "pages"
query = ["q", "page", "q"]
"#;

#[test]
fn a_good_manifest_is_normalised() {
    let app = App::parse(GOOD).unwrap();
    assert_eq!(app.hosts, ["shop.example"]);
    let Inputs::Declared(declared) = &app.routes[0].inputs else { panic!() };
    assert_eq!(declared.query, Query::Named(vec!["page".into(), "q".into()]));
    assert_eq!(app.routes[0].deadline_ms, limits::ROUTE_DEADLINE_MS);
}

#[test]
fn each_fault_is_named_with_its_line() {
    let broken = |from: &str, to: &str| App::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
    for (from, to, expected) in [
        ("name = \"shop\"", "name = \"Shop!\"", "nearside.toml:2: name `Shop!`"),
        ("hosts = [\"Shop.Example\"]", "hosts = []", "nearside.toml:3: hosts: name at least one"),
        ("hosts = [\"Shop.Example\"]", "hosts = [\"http://x\"]", "nearside.toml:3: host `http://x`"),
        ("component = \"pages\"", "component = \"page\"", "nearside.toml:8: component `page` is not in [components]"),
        ("path = \"/search\"", "path = \"search\"", "nearside.toml:8: path `search`: it must begin with `/`"),
        ("path = \"/search\"", "path = \"/_x\"", "are the host's own"),
        ("path = \"/search\"", "path = \"/a/{*r}/b\"", "must come last"),
        ("query = [", "quarry = [", "nearside.toml:11: unknown field `quarry`"),
        ("query = [", "inputs = \"all\"\nquery = [", "cannot stand beside"),
        ("query = [\"q\", \"page\", \"q\"]", "headers = [\"Cookie\"]", "declare single cookies"),
        ("query = [\"q\", \"page\", \"q\"]", "methods = [\"FETCH\"]", "method `FETCH`"),
        ("query = [\"q\", \"page\", \"q\"]", "deadline_ms = 0", "deadline_ms 0 is out of bounds"),
        (
            "query = [\"q\", \"page\", \"q\"]",
            "[[routes]]\npath = \"/search\"\ncomponent = \"pages\"",
            "another route answers GET there already",
        ),
        ("[components]", "[mirror]\nitem = [\"name\"]\n[components]", "the first column must be `id`"),
        ("[components]", "[mirror]\nitem = [\"id\", \"a b\"]\n[components]", "`a b`"),
        ("[components]", "[data]\n_nearside_x = [\"id\"]\n[components]", "_nearside_"),
        ("[components]", "[tasks.t]\ncomponent = \"pages\"\noutbound = [\"$U\"]\n[components]", "no such variable"),
        ("name = \"shop\"", "database = \"own\"\nname = \"shop\"", "nearside.toml:2: database `own`: `mirrored` or"),
        (
            "name = \"shop\"",
            "database = \"pushed\"\nmirror.item = [\"id\"]\nname = \"shop\"",
            "nearside.toml:2: database = \"pushed\" is the file as it is pushed",
        ),
        ("name = \"shop\"", "name = ", "nearside.toml:2:"),
        ("name = \"shop\"", "secrets = [\"key\"]\nname = \"shop\"", "nearside.toml:2: secret `key`"),
        ("query = [", "body_kib = 100_000\nquery = [", "body_kib 100000 is out of bounds"),
        ("query = [", "stale_ms = 60_001\nquery = [", "stale_ms 60001 is out of bounds"),
        ("query = [\"q\", \"page\", \"q\"]", "stale_ms = 5\ninputs = \"all\"", "stale_ms is for pages that are kept"),
        ("query = [", "cors = { origins = [\"a.example\"] }\nquery = [", "cors: origin `a.example`"),
        ("[components]", "[errors]\n500 = \"/sorry\"\n[components]", "nearside.toml:6: errors.500: "),
        ("[components]", "[[redirects]]\nfrom = \"/a/{x}\"\nto = \"/b/{y}\"\n[components]", "`{y}`"),
        (
            "[components]",
            "[[redirects]]\nfrom = \"/search\"\nto = \"/find\"\n[components]",
            "nearside.toml:11: path `/search`: a redirect takes every request there",
        ),
    ] {
        let message = broken(from, to);
        assert!(message.contains(expected), "{to:?}: {message}");
    }
}

#[test]
fn the_authority_of_a_url_is_what_an_allow_list_means() {
    assert_eq!(authority_of("https://a.example/x?y"), Some("a.example"));
    assert_eq!(authority_of("http://127.0.0.1:90"), Some("127.0.0.1:90"));
    assert_eq!(authority_of("ftp://a"), None);
    assert_eq!(authority_of("http://user@a/"), None);
}
