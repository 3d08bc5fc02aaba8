//! `nearside cache`: what a node keeps and why, from another terminal.

mod support;

use serde_json::Value;
use support::{
    Site, probe,
    process::{self, Run},
};

#[test]
fn what_is_kept_is_listed_explained_and_purged() {
    let site = Site::probe(&["a"]);
    let node = &site.nodes[0];
    let admin = format!("http://{}", node.admin);
    let cache = |arguments: &[&str]| process::run(&[&["cache"], arguments, &["--node", &admin]].concat());
    let json = |arguments: &[&str]| -> Value {
        let run = cache(&[arguments, &["--json"]].concat());
        run.went_well();
        serde_json::from_str(&run.out).unwrap()
    };

    (0..3).for_each(|_| drop(probe::get(node.address, "/pair")));
    (0..2).for_each(|_| drop(probe::get(node.address, "/hello")));
    assert_eq!(probe::get(node.address, "/clock").status, 200);
    let listed = json(&["list"]);
    assert_eq!(listed["of"], 2, "{listed}");
    let first = &listed["responses"][0];
    assert_eq!((&first["target"], &first["hits"]), (&"/pair".into(), &2.into()), "{first}");
    assert_eq!((&first["because"], &first["questions"]), (&"first".into(), &2.into()), "{first}");
    assert_eq!(
        json(&["list", "--limit", "1", "--by", "bytes", "--app", "probe"])["responses"].as_array().unwrap().len(),
        1
    );
    let table = cache(&["list"]);
    table.went_well();
    assert!(table.out.contains("probe /pair") && table.out.ends_with("2 of 2\n"), "{}", table.out);

    let explained = json(&["explain", "http://probe.localhost:1/pair?not=declared"]);
    let response = &explained["responses"][0];
    assert_eq!((&explained["route"], &explained["target"]), (&"/pair".into(), &"/pair".into()), "{explained}");
    assert_eq!((&response["verdict"], &response["is_kept"]), (&"right".into(), &true.into()), "{explained}");
    assert_eq!(response["questions"][0]["query"], "left", "{explained}");
    let unstorable = cache(&["explain", "/clock"]);
    assert!(unstorable.out.contains("could not be (reads-clock)"), "{unstorable:?}");

    // A write changes rows of one of them; nobody has asked since. It is hot, so it is rendered ahead if there is time.
    let bumped = probe::bump(node.address);
    let whole = || cache(&["explain", "/pair"]);
    support::eventually("the write is there", || {
        let out = whole().out;
        let rendered_ahead = out.contains("rendered-ahead") && out.contains("rows-changed");
        (rendered_ahead || out.contains("`left` answers otherwise")).then_some(())
    });
    assert_eq!(probe::own_pair(node.address, &bumped), bumped.n);

    let purged = cache(&["purge", "/pa"]);
    assert_eq!(purged.out, "1 responses purged\n", "{purged:?}");
    assert!(whole().out.contains("nothing is kept"), "{:?}", whole());
    assert_eq!(json(&["purge", "/"])["purged"], 1);
    assert_eq!(json(&["list"])["of"], 0);
}

#[test]
fn what_cannot_be_answered_says_what_to_do() {
    let site = Site::probe(&["a"]);
    let admin = format!("http://{}", site.nodes[0].admin);
    let cache = |arguments: &[&str]| -> Run { process::run(&[&["cache"], arguments, &["--node", &admin]].concat()) };
    cache(&["list", "--app", "nobody"]).failed_with(&["no app `nobody`", "probe"]);
    cache(&["list", "--limit", "100000"]).failed_with(&["from 1 to 1000"]);
    cache(&["explain", "http://elsewhere/"]).failed_with(&["`elsewhere`", "--app"]);
    cache(&["explain", "/nowhere"]).failed_with(&["no route of `probe` answers GET /nowhere"]);
    cache(&["explain", "/all"]).failed_with(&["inputs = \"all\""]);
    cache(&["purge", "pair"]).failed_with(&["with a slash"]);
    process::run(&["cache", "list", "--node", "127.0.0.1"]).failed_with(&["http://host:port"]);
    process::run(&["cache", "list", "--node", "http://127.0.0.1:9"]).failed_with(&["127.0.0.1:9"]);
}
