//! The origin knows how its nodes are: one that dies is missed, one that is behind says why, windows go on over the origin's
//! restart, and nodes hear of each other.

mod support;

use std::time::{Duration, Instant};

use nearside_protocol::limits;
use serde_json::Value;
use support::{Node, Origin, eventually, http, module, probe, process::text};

fn node(folder: &std::path::Path, name: &str, place: &str, origin: &Origin) -> Node {
    let (url, token) = (origin.url(), origin.token_file());
    let access = ["--origin", url.as_str(), "--token-file", text(&token)];
    let declared = ["--place", place, "--public-url", "http://probe.localhost", "--admin-url", "http://10.0.0.1:8081"];
    Node::start_with(folder, name, &[&access[..], &declared[..]].concat())
}

/// What the command line says of the fleet.
fn fleet(origin: &Origin) -> Value {
    let run = origin.operator(&["top", "--once", "--json"]);
    run.went_well();
    serde_json::from_str(&run.out).unwrap()
}

fn of<'a>(fleet: &'a Value, name: &str) -> &'a Value {
    let nodes = fleet["nodes"].as_array().unwrap();
    nodes.iter().find(|node| node["node"] == name).unwrap_or(&Value::Null)
}

fn until(origin: &Origin, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || Some(fleet(origin)).filter(&holds))
}

#[test]
fn a_fleet_is_known_by_its_heartbeats() {
    let folder = tempfile::tempdir().unwrap();
    let app = probe::taking_data(folder.path());
    let mut origin = Origin::start(folder.path(), "");
    origin.push(app.path()).went_well();
    let (mut a, b) = (node(folder.path(), "a", "fra", &origin), node(folder.path(), "b", "ams", &origin));
    [&a, &b].iter().for_each(|node| node.wait_for_apps(1));

    // Both are there, with what was declared, and what they serve.
    let serving = |name: &'static str| move |fleet: &Value| of(fleet, name)["health"]["state"] == "serving";
    let both = until(&origin, "both serve", |fleet| serving("a")(fleet) && serving("b")(fleet));
    assert_eq!(
        (&of(&both, "a")["place"], &of(&both, "a")["public"]),
        (&"fra".into(), &"http://probe.localhost".into())
    );
    assert_eq!(of(&both, "b")["told"]["apps"]["probe"]["release"], both["heads"]["probe"]);

    // Traffic: hits and renders, each counted once, and errors apart.
    const HITS: u64 = 40;
    for _ in 0..=HITS {
        assert_eq!(a.get(probe::SITE, "/pair").status, 200);
    }
    assert_eq!(a.get(probe::SITE, "/nowhere").status, 404);
    assert_eq!(a.get(probe::SITE, "/trap").status, 500);
    let told = until(&origin, "the node tells of its traffic", |fleet| of(fleet, "a")["hour"]["answers"] == HITS + 3);
    let hour = &of(&told, "a")["hour"];
    assert_eq!((&hour["results"]["hit"], &hour["results"]["rendered_first"]), (&HITS.into(), &1.into()), "{hour}");
    assert_eq!((&hour["client_errors"], &hour["server_errors"]), (&1.into(), &1.into()), "{hour}");
    assert!(hour["ttfb_p50_us"].as_u64().unwrap() < hour["ttfb_p99_us"].as_u64().unwrap(), "{hour}");
    assert_eq!(told["hour"]["answers"], HITS + 3, "b has none");
    let plain = origin.operator(&["status"]);
    plain.went_well();
    assert!(plain.out.contains("2 of 2 nodes serve") && plain.out.contains("fra"), "{}", plain.out);

    // Each hears of the other.
    let sibling = eventually("a hears of b", || Some(a.status()["siblings"][0].clone()).filter(|it| !it.is_null()));
    assert_eq!((&sibling["node"], &sibling["place"]), (&"b".into(), &"ams".into()), "{sibling}");
    assert_eq!((&sibling["releases"]["probe"], &sibling["is_serving"]), (&both["heads"]["probe"], &true.into()));

    // A new release is told at once.
    let pushed = Instant::now();
    origin.push_data(&probe::data(folder.path(), 7), "probe").went_well();
    let newest =
        |fleet: &Value, name: &str| of(fleet, name)["told"]["apps"]["probe"]["release"] == fleet["heads"]["probe"];
    until(&origin, "the push has arrived at both", |fleet| {
        fleet["heads"] != both["heads"] && newest(fleet, "a") && newest(fleet, "b")
    });
    println!("a push was known to have reached both nodes after {} ms", pushed.elapsed().as_millis());

    // One dies: it is missed in time, with the reason; the other is as before.
    a.process.kill();
    let killed = Instant::now();
    let missed = until(&origin, "a is missed", |fleet| of(fleet, "a")["health"]["state"] == "silent");
    let after = killed.elapsed();
    println!("a killed node was silent after {} ms", after.as_millis());
    assert!(after < limits::SILENT_AFTER + limits::HEARTBEAT_EVERY + Duration::from_secs(5), "{after:?}");
    assert!(of(&missed, "a")["health"]["since_ms"].as_u64().is_some(), "{missed}");
    assert_eq!(of(&missed, "b")["health"]["state"], "serving");
    let shown = origin.operator(&["top", "--once"]);
    shown.went_well();
    assert!(shown.out.contains("1 of 2 nodes serve") && shown.out.contains("silent"), "{}", shown.out);
    let alone = eventually("b hears that a is gone", || {
        Some(b.status()["siblings"].clone()).filter(|it| it == &Value::Array(Vec::new()))
    });
    drop(alone);

    // While the origin is away the last word stands; when it is back, what b has counted before is no new traffic, what it
    // counts from then on is, and a is missed though this origin has never heard it.
    for _ in 0..HITS {
        b.get(probe::SITE, "/pair");
    }
    until(&origin, "b has told of it", |fleet| of(fleet, "b")["hour"]["answers"] == HITS);
    // Who there is is written down every few seconds.
    eventually("both are written down", || {
        let noted = std::fs::read_to_string(origin.data().join("nodes.json")).ok()?;
        (noted.contains("\"a\"") && noted.contains("\"b\"")).then_some(())
    });
    origin.process.kill();
    origin.start_again("");
    let back = until(&origin, "b is heard again", |fleet| of(fleet, "b")["health"]["state"] == "serving");
    assert_eq!(of(&back, "b")["hour"]["answers"], 0, "{back}");
    for _ in 0..7 {
        b.get(probe::SITE, "/pair");
    }
    until(&origin, "b's window goes on", |fleet| of(fleet, "b")["hour"]["answers"] == 7);
    let missed = until(&origin, "a is missed still", |fleet| of(fleet, "a")["health"]["state"] == "silent");
    assert_eq!(of(&missed, "a")["place"], "fra");

    // Started anew it is there again.
    a = node(folder.path(), "a", "fra", &origin);
    until(&origin, "a is back", serving("a"));
    drop(a);
}

#[test]
fn a_node_that_does_not_take_a_release_is_behind_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let app = probe::taking_data(folder.path());
    let origin = Origin::start(folder.path(), "");
    origin.push(app.path()).went_well();
    let a = node(folder.path(), "a", "fra", &origin);
    a.wait_for_apps(1);
    // It trusts nobody any more, so it takes nothing that is new.
    std::fs::write(a.data().join("trusted.keys"), "").unwrap();
    origin.push_data(&probe::data(folder.path(), 7), "probe").went_well();
    let behind = until(&origin, "a is behind", |fleet| of(fleet, "a")["health"]["state"] == "behind");
    let health = &of(&behind, "a")["health"];
    assert_eq!((&health["app"], &health["newest"]), (&"probe".into(), &behind["heads"]["probe"]), "{health}");
    assert!(health["serves"] != health["newest"] && !health["why"].is_null(), "{health}");
}

#[test]
fn what_operators_do_is_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let mut origin = Origin::start(folder.path(), "");
    origin.push(&module("probe")).went_well();
    origin.operator(&["rollback", "--app", "probe"]).failed_with(&[]);
    origin.process.kill();
    origin.start_again("");
    let token = std::fs::read_to_string(origin.token_file()).unwrap();
    let bearer = format!("Bearer {}", token.trim());
    let ask =
        |path: &str| http::request(origin.address, "origin", "GET", path, &[("Authorization", &bearer)], "").unwrap();
    let told: Value = serde_json::from_slice(&ask("/v1/actions").body).unwrap();
    let deeds: Vec<(&str, bool)> = told["actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| (action["deed"].as_str().unwrap(), action["went_well"].as_bool().unwrap()))
        .collect();
    assert_eq!(deeds, [("rollback", false), ("push_app", true)], "{told}");
    assert!(told["actions"][1]["outcome"].as_str().unwrap().starts_with("release "), "{told}");
    assert_eq!((&told["actions"][1]["from"], &told["actions"][1]["by"]), (&"127.0.0.1".into(), &"program".into()));
    assert_eq!(ask("/v1/actions?limit=x").status, 400);
}
