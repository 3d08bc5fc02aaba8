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
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\nconcurrency = 33\n[components]",
            "nearside.toml:5: concurrency 33 is out of bounds: 1 to 32",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\nrate_per_s = 0.0\n[components]",
            "rate_per_s 0 is out of bounds: 0.001 to 10000",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\nlease_ms = 2_999\n[components]",
            "lease_ms 2999 is out of bounds: 3000 to",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\nattempts = 101\n[components]",
            "attempts 101 is out of bounds: 1 to 100",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\npriority = -101\n[components]",
            "priority -101 is out of bounds: -100 to 100",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\ndelay_ms = 2_592_000_001\n[components]",
            "delay_ms 2592000001 is out",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\nbackoff_first_ms = 9\nbackoff_most_ms = 8\n[components]",
            "backoff_most_ms 8 is less than",
        ),
        (
            "[components]",
            "[[crons]]\nname = \"c\"\nevery = \"1h\"\ntask = \"t\"\n[components]",
            "nearside.toml:5: cron `c`: there is no task `t`",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\n[[crons]]\nname = \"c\"\ntask = \"t\"\n[components]",
            "nearside.toml:7: cron `c`: either `schedule` or `every` expected",
        ),
        (
            "[components]",
            "[tasks.t]\ncomponent = \"pages\"\n[[crons]]\nname = \"c\"\ntask = \"t\"\nschedule = \"61 * * * *\"\n[components]",
            "cron `c`: schedule: minute `61`",
        ),
        ("name = \"shop\"", "database = \"own\"\nname = \"shop\"", "nearside.toml:2: database `own`: `mirrored` or"),
        (
            "name = \"shop\"",
            "database = \"pushed\"\nmirror.item = [\"id\"]\nname = \"shop\"",
            "nearside.toml:2: database = \"pushed\" is the file as it is pushed",
        ),
        ("name = \"shop\"", "name = ", "nearside.toml:2:"),
        ("name = \"shop\"", "secrets = [\"key\"]\nname = \"shop\"", "nearside.toml:2: secret `key`"),
        ("query = [", "body_kib = 100_000\nquery = [", "body_kib 100000 is out of bounds"),
        ("query = [", "class = \"refresh\"\nquery = [", "class `refresh`: `page`, `search` or `command` expected"),
        ("query = [", "stale_ms = 60_001\nquery = [", "stale_ms 60001 is out of bounds"),
        ("query = [\"q\", \"page\", \"q\"]", "stale_ms = 5\ninputs = \"all\"", "stale_ms is for pages that are kept"),
        ("query = [", "reuse = true\ncookies = [\"who\"]\nquery = [", "reuse keeps what a request left in memory"),
        ("query = [", "reuse = true\nheaders = [\"authorization\"]\nquery = [", "reuse keeps what a request left"),
        ("query = [", "reuse = true\nclient_ip = true\nquery = [", "reuse keeps what a request left"),
        ("query = [", "reuse = true\nmethods = [\"GET\", \"POST\"]\nquery = [", "reuse keeps what a request left"),
        ("query = [\"q\", \"page\", \"q\"]", "reuse = true\ninputs = \"all\"", "reuse keeps what a request left"),
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

#[test]
fn a_kind_of_task_has_bounds_where_it_declares_none() {
    let with = |more: &str| App::parse(&GOOD.replace("[components]", &format!("{more}[components]"))).unwrap();
    let app = with("[tasks.t]\ncomponent = \"pages\"\n");
    let expected = TaskDecl {
        component: "pages".into(),
        retry: Retry { attempts: 8, backoff_first_ms: 500, backoff_most_ms: 900_000 },
        timeout_ms: 30_000,
        memory_mib: 64,
        lease_ms: 60_000,
        concurrency: 4,
        rate_per_s: None,
        priority: 0,
        delay_ms: 0,
        unique: None,
        outbound: Vec::new(),
    };
    assert_eq!(app.tasks["t"], expected);
    // A first pause longer than the usual longest one raises that.
    let app = with("[tasks.t]\ncomponent = \"pages\"\nbackoff_first_ms = 1_000_000\n");
    assert_eq!(app.tasks["t"].retry.backoff_most_ms, 1_000_000);
    let app = with(
        "[tasks.t]\ncomponent = \"pages\"\n[[crons]]\nname = \"c\"\nevery = \"15m\"\ntask = \"t\"\npayload = { n = 1 }\n",
    );
    assert_eq!((app.crons[0].payload.as_str(), app.crons[0].schedule.to_string()), ("{\"n\":1}", "every 15m".into()));
}
