//! A query without its index is found by what nodes count, an index is tried and proposed, and an app that follows it is
//! served by it.

mod support;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use support::{
    App, Site, eventually, http, packages,
    process::{Run, text},
};

/// How many packages the catalogue has; `NEARSIDE_PACKAGES` says another number, from 1,000.
const PACKAGES: u32 = 3_000;
const VISITED: u32 = 40;
const INDEX: &str = "CREATE INDEX dependency_by_target ON dependency (target, package);\n";

/// An invented catalogue.
fn catalogue(folder: &Path) -> PathBuf {
    let import = Path::new(env!("CARGO_BIN_EXE_nearside")).with_file_name("packages-import");
    if !import.is_file() {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap());
        build.args(["build", "--quiet", "-p", "packages-import"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        assert!(build.status().unwrap().success());
    }
    let packages = std::env::var("NEARSIDE_PACKAGES").unwrap_or_else(|_| PACKAGES.to_string());
    let out = folder.join("catalogue.db");
    let mut invent = Command::new(import);
    invent.args(["invent", "--packages", &packages, "--seed", "1", "--out", text(&out)]);
    assert!(invent.status().unwrap().success());
    out
}

/// The same with one dependency more, of the first package, which nobody visits. Whoever looks through all of them begins where
/// it is, however large the catalogue is, and finds what was found before.
fn with_one_more(catalogue: &Path) -> PathBuf {
    let out = catalogue.with_file_name("edited.db");
    std::fs::copy(catalogue, &out).unwrap();
    let insert = "INSERT INTO dependency (package, target) SELECT min(package), 'nobody-visits-this' FROM dependency";
    assert_eq!(rusqlite::Connection::open(&out).unwrap().execute(insert, []).unwrap(), 1);
    out
}

/// Names from all over the catalogue.
fn names(catalogue: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(catalogue).unwrap();
    let sql = "SELECT name FROM package ORDER BY name LIMIT ?1 OFFSET (SELECT count(*) / 3 FROM package)";
    let mut statement = database.prepare(sql).unwrap();
    statement.query_map([VISITED], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn json(run: &Run) -> Value {
    run.went_well();
    serde_json::from_str(&run.out).unwrap()
}

fn listed(site: &Site, more: &[&str]) -> Value {
    json(&site.origin.operator(&[&["queries", "--app", "packages", "--json"], more].concat()))
}

fn query<'a>(listed: &'a Value, name: &str) -> &'a Value {
    let queries = listed["queries"].as_array().unwrap();
    queries.iter().find(|query| query["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {listed}"))
}

fn number(of: &Value, path: &str) -> f64 {
    of.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no {path} in {of}"))
}

fn a_run(tally: &Value, what: &str) -> f64 {
    number(tally, what) / number(tally, "/runs")
}

/// The list, once it tells of all that the test did: a node tells every few seconds, and may do so in the midst of it.
fn told(site: &Site, tells_all: impl Fn(&Value) -> bool) -> Value {
    eventually("the node tells what was counted", || {
        let listed = listed(site, &["--by", "pages"]);
        tells_all(&listed).then_some(listed)
    })
}

#[test]
fn a_query_without_its_index_is_found_and_served_by_the_index_that_is_proposed() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("packages", &folder.path().join("app"));
    app.replace("snapshot.sql", INDEX, "");
    let site = Site::start(&[app.path()], &["a"]);
    let node = &site.nodes[0];
    let catalogue_file = catalogue(folder.path());
    node.wait_for(site.origin.push_data(&catalogue_file, "packages").release(), "packages");
    let empty = listed(&site, &[]);
    assert_eq!(number(query(&empty, "dependents"), "/counts/rendering/runs"), 0.0);

    let names = names(&catalogue_file);
    let visit = || {
        for name in &names {
            let answer = node.get(packages::SITE, &format!("/package/{name}"));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    };
    visit();
    visit();
    let visited = f64::from(VISITED);

    // Found: it stands first, with its plan and what is costly in it; hits are requests that led to nothing.
    let found = told(&site, |listed| number(listed, "/work/requests") >= visited * 2.0);
    let worst = &found["queries"][0];
    assert_eq!(worst["name"], "dependents", "{found}");
    assert!(worst["plan"].as_str().unwrap().contains("SCAN dependency"), "{worst}");
    assert_eq!(worst["costly"][0], "reads every row of dependency", "{worst}");
    let counts = &worst["counts"];
    assert_eq!((number(counts, "/rendering/runs"), number(counts, "/renders")), (visited, visited), "{worst}");
    let scanned = a_run(&counts["rendering"], "/scanned_rows");
    assert!(scanned > 1_000.0, "{worst}");
    assert_eq!(
        (number(&found, "/work/requests"), number(&found, "/work/renders")),
        (visited * 2.0, visited),
        "{found}"
    );
    assert_eq!(query(&listed(&site, &["--since", "hour", "--node", "a"]), "dependents")["counts"], *counts);
    let plain = site.origin.operator(&["queries", "--app", "packages"]);
    plain.went_well();
    for words in ["80 requests led to 40 renders", "a request: 0.50 renders", "! reads every row of dependency"] {
        assert!(plain.out.contains(words), "no `{words}` in {}", plain.out);
    }
    let explained = site.origin.operator(&["queries", "explain", "dependents"]);
    explained.went_well();
    assert!(explained.out.contains("ran in 40 of 40 renders (100.0%)"), "{}", explained.out);
    assert!(explained.out.contains("sampled ('"), "{}", explained.out);

    // A push after which each of the pages is asked again, and that is counted apart.
    let edited = with_one_more(&catalogue_file);
    node.wait_for(site.origin.push_data(&edited, "packages").release(), "packages");
    visit();
    let again = told(&site, |listed| {
        number(listed, "/work/requests") >= visited * 3.0 && number(listed, "/work/asked_again") >= visited
    });
    assert!(number(query(&again, "dependents"), "/counts/again/runs") > 0.0, "{again}");

    // Proposed: tried on a copy, with what visitors asked for.
    let advice = json(&site.origin.operator(&["queries", "advise", "--app", "packages", "--json"]));
    let advised = advice["advised"].as_array().unwrap();
    let advised = advised.iter().find(|one| one["query"] == "dependents").unwrap_or_else(|| panic!("{advice}"));
    let (before, after) = (&advised["before"], &advised["index"]["after"]);
    assert_eq!(advice["place"], "snapshot.sql");
    let sql = advised["index"]["sql"].as_str().unwrap_or_else(|| panic!("{advised}"));
    assert_eq!(sql, "CREATE INDEX dependency_by_target_package ON dependency (target, package)");
    assert!(number(after, "/pages") * 2.0 <= number(before, "/pages"), "{advised}");
    assert!(number(after, "/time_us") < number(before, "/time_us"), "{advised}");
    assert_eq!(number(after, "/rows"), number(before, "/rows"));
    let printed = site.origin.operator(&["queries", "advise", "dependents"]);
    printed.went_well();
    assert!(
        printed.out.contains("add to snapshot.sql:") && printed.out.contains(&format!("{sql};")),
        "{}",
        printed.out
    );
    println!("{}", printed.out);

    // Followed: the app is pushed with it, and the node counts anew.
    app.append("snapshot.sql", &format!("\n{sql};\n"));
    let pushed = site.origin.push(app.path());
    assert!(!pushed.out.contains("`dependents`"), "{pushed:?}");
    node.wait_for(pushed.release(), "packages");
    visit();
    let followed = told(&site, |listed| number(listed, "/work/requests") >= visited);
    let followed = query(&followed, "dependents");
    let now = &followed["counts"]["rendering"];
    assert!(a_run(now, "/pages") * 2.0 <= a_run(&followed["before"], "/pages"), "{followed}");
    assert_eq!(number(now, "/scanned_rows"), 0.0, "{followed}");
    assert!(followed["costly"].as_array().unwrap().is_empty(), "{followed}");
    println!(
        "`dependents` at the node: {:.1} pages and {:.0} scanned rows a run, then {:.1} and {:.0}",
        a_run(&followed["before"], "/pages"),
        a_run(&followed["before"], "/scanned_rows"),
        a_run(now, "/pages"),
        a_run(now, "/scanned_rows")
    );

    // What monitoring reads goes on over both versions, and says what a request leads to.
    let metrics = http::request(node.admin, "admin", "GET", "/metrics", &[], "").unwrap().text();
    let metric = |name: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {metrics}"))
    };
    let runs = metric("nearside_queries_total{app=\"packages\",query=\"dependents\",for=\"render\"}");
    assert!(runs >= visited + number(now, "/runs"), "{runs}");
    assert_eq!(metric("nearside_app_requests_total{app=\"packages\"}"), visited * 4.0);
    assert!(metric("nearside_app_queries_total{app=\"packages\"}") > runs);
    assert!(metric("nearside_app_rows_total{app=\"packages\"}") > 0.0);
}

#[test]
fn parameters_are_sampled_of_routes_that_see_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("probe", &folder.path().join("app"));
    let pair = "path = \"/pair\"\ncomponent = \"probe\"\nquery = []\n";
    for (declared, is_sampled) in [("cookies = [\"who\"]\n", false), ("headers = [\"x-who\"]\n", false), ("", true)] {
        let app = app.copy_to(&folder.path().join(format!("app-{}", declared.len())));
        app.replace("nearside.toml", pair, &format!("{pair}{declared}"));
        let site = Site::start(&[app.path()], &["a"]);
        assert_eq!(support::probe::get(site.nodes[0].address, "/pair").status, 200);
        let listed = eventually("the node tells what was counted", || {
            let listed = json(&site.origin.operator(&["queries", "--json"]));
            (number(query(&listed, "left"), "/counts/rendering/runs") > 0.0).then_some(listed)
        });
        let samples = query(&listed, "left")["samples"].as_array().unwrap().len();
        assert_eq!(samples > 0, is_sampled, "{declared}: {listed}");
    }
}

#[test]
fn what_cannot_be_answered_says_what_to_do() {
    let site = Site::probe(&["a"]);
    let ask = |arguments: &[&str]| site.origin.operator(&[&["queries"], arguments].concat());
    let silent = ask(&["--app", "probe"]);
    silent.went_well();
    assert!(silent.out.contains("no node has told anything of this version yet"), "{silent:?}");
    ask(&["--app", "nowhere"]).failed_with(&["no app `nowhere` here"]);
    ask(&["explain", "rihgt"]).failed_with(&["`probe` has no query `rihgt`", "left, overflow"]);
    ask(&["advise", "rihgt"]).failed_with(&["`probe` has no query `rihgt`", "left, overflow"]);
    ask(&["advise"]).failed_with(&["no node has told yet", "`probe`"]);
    ask(&["advise", "left"]).failed_with(&["no parameters of `left` are known", "--parameters"]);
    ask(&["advise", "left", "--parameters", "Ada"]).failed_with(&["JSON array"]);
    ask(&["advise", "left", "--parameters", "[1, 2]"]).failed_with(&["`left` cannot be run", "parameters expected"]);
    ask(&["--node", "b"]).failed_with(&["no node `b`", "none has"]);
    let nobody = support::process::run(&["queries", "--app", "probe", "--origin", "http://127.0.0.1:9"]);
    nobody.failed_with(&["127.0.0.1:9"]);

    // It reads a page or two, so there is nothing to find; given its parameters, it is tried all the same.
    assert_eq!(support::probe::get(site.nodes[0].address, "/pair").status, 200);
    eventually("the node tells", || ask(&["--node", "a"]).out.contains("a request:").then_some(()));
    let nothing = ask(&["advise"]);
    nothing.went_well();
    assert!(nothing.out.contains("no query of probe"), "{nothing:?}");
    let tried = ask(&["advise", "left", "--parameters", "[]"]);
    tried.went_well();
    assert!(tried.out.contains("no index was found"), "{tried:?}");
}
