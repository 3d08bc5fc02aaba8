//! Tokens with names and roles: a node goes on while its token is exchanged, nodes with tokens of their own know each other, and
//! what is taken back opens nothing any more.

mod support;

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use support::{
    Node, Origin, eventually, http,
    mirror::Mirror,
    module, probe,
    process::{Run, run, text},
};

fn token(origin: &Origin, arguments: &[&str]) -> Run {
    origin.operator(&[&["token"], arguments].concat())
}

/// Adds a token, and puts it into a file.
fn add(origin: &Origin, name: &str, role: &str, file: &Path) {
    token(origin, &["add", name, "--role", role, "--out", text(file)]).went_well();
}

fn listed(origin: &Origin) -> Vec<serde_json::Value> {
    let run = token(origin, &["list", "--json"]);
    run.went_well();
    serde_json::from_str::<serde_json::Value>(&run.out).unwrap()["tokens"].as_array().unwrap().clone()
}

#[test]
fn a_node_goes_on_while_its_token_is_exchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut origin = Origin::start(folder.path(), "");
    let url = origin.url();
    add(&origin, "ci", "publisher", &path("ci"));
    add(&origin, "a", "node", &path("first"));
    let push = |app: &Path| run(&["push", text(app), "--origin", &url, "--token-file", text(&path("ci"))]);
    let app = probe::taking_data(&path("app"));
    let first = push(app.path()).release();
    fs::copy(path("first"), path("own")).unwrap();
    let node = Node::start_at(folder.path(), "a", &url, &path("own"));
    node.wait_for(first, "probe");
    let bump = || node.request(probe::SITE, "POST", "/bump", &[], "").text();
    assert!(bump().starts_with("applied "));

    // A publisher retries no tasks, and a node pushes nothing.
    let steer = ["tasks", "retry", "echo", "--app", "probe", "--origin", &url, "--token-file"];
    run(&[&steer[..], &[text(&path("ci"))]].concat())
        .failed_with(&["the token `ci` is for a publisher, and this takes that of an operator"]);
    run(&["push", text(app.path()), "--origin", &url, "--token-file", text(&path("own"))])
        .failed_with(&["the token `a` is for a node, and this takes that of a publisher or an operator"]);

    // The second is good beside the first; when the first is not used any more, it goes.
    add(&origin, "a", "node", &path("second"));
    let of_a = || listed(&origin).into_iter().filter(|token| token["name"] == "a").collect::<Vec<_>>();
    let (old, new) = (of_a()[0].clone(), of_a()[1].clone());
    assert!(old["used_at_ms"].is_u64() && new["used_at_ms"].is_null(), "{old} {new}");
    fs::copy(path("second"), path("own")).unwrap();
    eventually("the node shows the second", || of_a()[1]["used_at_ms"].is_u64().then_some(()));
    token(&origin, &["remove", "a"]).failed_with(&["several have this name"]);
    token(&origin, &["remove", "a", "--id", old["id"].as_str().unwrap()]).went_well();
    assert_eq!(of_a().len(), 1);
    assert!(bump().starts_with("applied "));
    app.replace("queries.sql", "SELECT", "SELECT ");
    node.wait_for(push(app.path()).release(), "probe");
    let refused = |why: &str| origin.status()["refused_calls"][why].as_u64().unwrap();
    assert_eq!(refused("unknown_token"), 0, "no call of the node's was refused meanwhile");

    // They are there after a start. What is taken back opens nothing; the node serves what it has.
    origin.process.ask_to_stop();
    origin.process.end();
    origin.start_again("");
    assert_eq!(listed(&origin).len(), 2);
    token(&origin, &["remove", "a"]).went_well();
    let why = eventually("the node is let in no more", || {
        node.status()["origin"]["last_error"].as_str().filter(|why| why.contains("Unauthorized")).map(str::to_owned)
    });
    assert!(why.contains("this takes the token of a"), "{why}");
    assert_eq!(node.get(probe::SITE, "/pair").status, 200);
    assert!(origin.status()["refused_calls"]["unknown_token"].as_u64().unwrap() > 0);
}

#[test]
fn nodes_with_tokens_of_their_own_give_releases_to_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(folder.path(), "");
    origin.push(&module("probe")).went_well();
    let start = |name: &str, more: &[&str]| {
        let file = folder.path().join(format!("{name}.token"));
        add(&origin, name, "node", &file);
        let access = ["--origin", &origin.url(), "--token-file", text(&file)];
        Node::start_with(folder.path(), name, &[&access[..], more].concat())
    };
    let a = start("a", &[]);
    a.wait_for_apps(1);
    // Somebody between who notes what is asked and answered.
    let between = Mirror::of(a.admin);
    let seen: Arc<Mutex<Vec<(String, u16)>>> = Arc::default();
    let noted = seen.clone();
    between.lies(move |path, answer| {
        noted.lock().unwrap().push((path.to_owned(), answer.status));
        None
    });
    let b = start("b", &["--sibling", &format!("http://{}", between.address)]);
    b.wait_for_apps(1);
    let seen = seen.lock().unwrap().clone();
    assert!(seen.iter().all(|(_, status)| *status == 200), "{seen:?}");
    assert!(seen.iter().any(|(path, _)| path.contains("/bases/")), "{seen:?}");
    let stranger = http::request(a.admin, "admin", "GET", &seen[0].0, &[("authorization", "Bearer x")], "").unwrap();
    assert_eq!(stranger.status, 401);
}

#[test]
fn a_token_is_told_once_and_what_is_no_token_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(folder.path(), "");
    let added = token(&origin, &["add", "looks", "--role", "reader", "--expires-days", "30"]);
    added.went_well();
    let text = added.out.trim();
    assert!(text.starts_with("nearside_") && text.len() == 73 && !added.err.contains(text), "{added:?}");
    let list = token(&origin, &["list"]);
    assert!(list.out.starts_with("looks  reader  id ") && list.out.contains("  ends ") && !list.out.contains(text));
    for entry in ["origin/tokens.json", "origin/actions.db", "origin.log"] {
        let kept = fs::read(folder.path().join(entry)).unwrap();
        assert!(!kept.windows(text.len()).any(|part| part == text.as_bytes()), "{entry} holds the token");
    }
    token(&origin, &["add", "looks", "--role", "admin"]).err.contains("`admin` is no role").then_some(()).unwrap();
    token(&origin, &["add", "looks", "--role", "node"]).failed_with(&["is the name of a token for a reader"]);
    token(&origin, &["add", "x", "--role", "node", "--expires-days", "0"]).failed_with(&["1 to 3650 make sense"]);
    token(&origin, &["remove", "nobody"]).failed_with(&["there is no token `nobody`"]);
    let there = folder.path().join("there");
    fs::write(&there, "something").unwrap();
    let there = there.to_str().unwrap();
    token(&origin, &["add", "x", "--role", "node", "--out", there]).failed_with(&["cannot be made"]);
    assert_eq!(listed(&origin).len(), 1, "what cannot be given to anybody is not kept");
}
