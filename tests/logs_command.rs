//! `nearside logs`: what a node and the origin have logged, from another terminal.

mod support;

use std::net::SocketAddr;

use support::{
    Site, eventually, probe,
    process::{self, Process, text},
};

#[test]
fn a_guests_line_is_followed_from_another_terminal() {
    let mut site = Site::probe(&["a"]);
    let (admin, address) = (url(site.nodes[0].admin), site.nodes[0].address);
    let arguments = ["logs", "-f", "--node", &admin, "--kind", "guest", "--kind", "panic", "--app", "probe"];
    let mut logs = Process::start(&site.folder.path().join("logs.log"), &arguments);

    let mut printed = Vec::new();
    eventually("a guest's line and a panic are shown", || {
        assert_eq!(probe::get(address, &format!("/looks?declared={}", printed.len())).text(), "looked\n");
        assert_eq!(probe::get(address, "/panic").status, 500);
        printed.extend(logs.printed());
        printed.iter().any(|line| line.contains("misbehave::panic")).then_some(())
    });
    let said = printed.iter().find(|line| line.ends_with(" looking for inputs")).unwrap();
    assert!(said.contains("  INFO guest probe /looks 1.1 "), "{said}");
    let panic = printed.iter().find(|line| line.contains("ERROR panic probe /panic")).unwrap();
    let trace = panic.split(' ').nth(6).unwrap();
    assert_eq!(trace.len(), 8, "{panic}");
    let beneath: Vec<_> = printed.iter().filter(|line| line.contains("misbehave::panic")).collect();
    assert!(beneath.iter().all(|line| line.starts_with("    ")), "{beneath:?}");

    // The short trace finds the request again.
    let found = process::run(&["logs", "--node", &admin, "--trace", trace, "--json"]);
    found.went_well();
    let entries: Vec<serde_json::Value> = found.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(entries.iter().any(|entry| entry["kind"] == "panic" && entry["from"] == admin[7..]), "{}", found.out);
    assert!(entries.iter().all(|entry| entry["trace"].as_str().unwrap().starts_with(trace)), "{}", found.out);

    // On stderr it reads the same, but for the whole trace.
    let log = site.nodes[0].process.log_text();
    let long = entries[0]["trace"].as_str().unwrap();
    assert!(log.contains(&format!("ERROR panic probe /panic 1.1 {long} it trapped")), "{log}");

    // The node comes back at another port, so this one stays away; the follower waits, and ends well when told to.
    site.nodes[0].process.kill();
    eventually("it is told that the node is away", || logs.log_text().contains("trying again").then_some(()));
    logs.ask_to_stop();
    assert_eq!(logs.end().code(), Some(0), "{}", logs.log_text());
}

#[test]
fn a_node_and_the_origin_are_merged_and_each_names_itself() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    assert_eq!(probe::get(a, "/trap").status, 500);
    probe::command(a, "trap", "{}", &[]);
    let (admin, origin, token) = (url(site.nodes[0].admin), site.origin.url(), site.origin.token_file());
    let of_both = ["logs", "--node", &admin, "--origin", &origin, "--token-file", text(&token)];
    let run = process::run(&[&of_both[..], &["--kind", "panic"]].concat());
    run.went_well();
    let panics: Vec<_> = run.out.lines().filter(|line| line.contains(" ERROR ")).collect();
    let [at_node, at_origin] = panics[..] else { panic!("not two: {run:?}") };
    assert!(at_node.contains(&format!(" {} panic probe /trap ", &admin[7..])), "{at_node}");
    assert!(at_origin.contains(&format!(" {} panic probe trap ", &origin[7..])), "{at_origin}");
}

#[test]
fn what_cannot_be_asked_is_named() {
    process::run(&["logs", "--node", "http://127.0.0.1:9"]).failed_with(&["127.0.0.1:9", "does not answer"]);
    process::run(&["logs", "--origin", "http://127.0.0.1:9"]).failed_with(&["--token-file"]);
    let run = process::run(&["logs", "--kind", "loud"]);
    assert!(run.code == Some(2) && run.err.contains("undeclared-input"), "{run:?}");
}

fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}
