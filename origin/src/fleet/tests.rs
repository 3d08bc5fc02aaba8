use nearside_protocol::{
    fleet::Health,
    heartbeat::{Answers, AppBeat, Declared, Load, Totals, Way},
    release::ReleaseId,
};

use super::*;

fn nodes() -> Nodes {
    Nodes::open(tempfile::tempdir().unwrap().path()).unwrap()
}

/// From a process that has been up for an hour, unless a test says otherwise.
fn beat(node: &str, process: &str, hits: u64, renders: u64) -> Heartbeat {
    let answers = |count, bucket| Answers {
        count,
        times: (0..=bucket).map(|at| if at == bucket { count } else { 0 }).collect(),
        ..Answers::default()
    };
    let results = [("hit".to_owned(), hits), ("rendered_first".to_owned(), renders)];
    Heartbeat {
        node: node.into(),
        process: process.into(),
        declared: Declared { place: Some("fra".into()), ..Declared::default() },
        version: "1".into(),
        uptime_ms: 3_600_000,
        unready: None,
        apps: [("shop".to_owned(), app(1))].into(),
        load: Load { cores: 2, ..Load::default() },
        totals: Totals {
            results: results.into(),
            answers: [(Way::AtOnce, answers(hits, 3)), (Way::Longer, answers(renders, 12))].into(),
            renders,
            ..Totals::default()
        },
        outbox: None,
    }
}

fn app(seq: u64) -> AppBeat {
    let release = ReleaseId { epoch: 1, seq };
    AppBeat { release, behind_at_most_ms: Some(1), refused: None, pulled_permille: None, served: None, refusal: None }
}

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

#[test]
fn totals_become_windows_and_a_long_life_before_is_no_traffic() {
    let nodes = nodes();
    let start = nodes.began;
    let heads = BTreeMap::new();
    nodes.take(beat("a", "1", 1_000_000, 500), start).unwrap();
    nodes.take(beat("a", "1", 1_000_090, 510), start + seconds(2)).unwrap();
    // The same again counts nothing.
    nodes.take(beat("a", "1", 1_000_090, 510), start + seconds(4)).unwrap();
    let young = Heartbeat { uptime_ms: 900, ..beat("b", "2", 7, 1) };
    nodes.take(young, start + seconds(4)).unwrap();
    let fleet = nodes.view(&heads, start + seconds(5));
    assert_eq!((fleet.minute.answers, fleet.hour.answers, fleet.minute.renders), (108, 108, 11));
    assert_eq!(fleet.minute.hits().ratio().map(|ratio| (ratio * 100.0).round()), Some(90.0));
    assert_eq!((fleet.nodes[0].minute.answers, fleet.nodes[1].minute.answers), (100, 8));
    assert!(fleet.minute.ttfb_p50_us.unwrap() <= 8 && fleet.minute.ttfb_p99_us.unwrap() >= 2_048, "{:?}", fleet.minute);
    assert!(fleet.nodes[0].minute.seconds == 5 && fleet.nodes[1].minute.seconds == 1);

    // A minute later the minute is empty, and the hour is not.
    nodes.take(beat("a", "1", 1_000_090, 510), start + seconds(90)).unwrap();
    let fleet = nodes.view(&heads, start + seconds(90));
    assert_eq!((fleet.minute.answers, fleet.hour.answers), (0, 108));
    assert_eq!(fleet.trend.len(), 9);
    assert_eq!(fleet.trend[0].answers, 108);
    let later = nodes.view(&heads, start + seconds(3_600 + 100));
    assert_eq!((later.hour.answers, later.trend.len(), later.trend_step_s), (0, 60, 60));
}

#[test]
fn what_comes_after_a_silence_is_spread_over_it() {
    let nodes = nodes();
    let start = nodes.began;
    nodes.take(beat("a", "1", 0, 0), start).unwrap();
    nodes.take(beat("a", "1", 1_003, 0), start + seconds(100)).unwrap();
    let fleet = nodes.view(&BTreeMap::new(), start + seconds(100));
    assert_eq!(fleet.hour.answers, 1_003);
    let answers: Vec<u64> = fleet.trend.iter().map(|point| point.answers).collect();
    assert!(answers[1..].iter().all(|count| (80..=100).contains(count)), "{answers:?}");
}

#[test]
fn a_process_that_begins_anew_begins_from_nothing() {
    let nodes = nodes();
    let start = nodes.began;
    nodes.take(beat("a", "1", 500, 0), start).unwrap();
    nodes.take(beat("a", "1", 520, 0), start + seconds(2)).unwrap();
    nodes.take(Heartbeat { uptime_ms: 1_000, ..beat("a", "2", 5, 0) }, start + seconds(4)).unwrap();
    nodes.take(Heartbeat { uptime_ms: 3_000, ..beat("a", "2", 9, 0) }, start + seconds(6)).unwrap();
    let told = |at| nodes.view(&BTreeMap::new(), at).nodes.remove(0).told.unwrap();
    assert_eq!(nodes.view(&BTreeMap::new(), start + seconds(6)).minute.answers, 29);
    assert!(!told(start + seconds(6)).is_twin, "it was only started anew");

    // Two of one name take turns: that is told, and is no traffic.
    nodes.take(beat("a", "1", 530, 0), start + seconds(7)).unwrap();
    assert!(told(start + seconds(7)).is_twin);
    assert_eq!(nodes.view(&BTreeMap::new(), start + seconds(8)).minute.answers, 29);
}

#[test]
fn a_silent_node_is_missed_also_after_the_origin_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = Nodes::open(folder.path()).unwrap();
    let (start, heads) = (nodes.began, BTreeMap::new());
    nodes.take(beat("a", "1", 1, 0), start).unwrap();
    let health = |nodes: &Nodes, at| nodes.view(&heads, at).nodes.remove(0).health;
    assert_eq!(health(&nodes, start + limits::SILENT_AFTER), Health::Serving);
    let silent = health(&nodes, start + limits::SILENT_AFTER + seconds(1));
    assert!(matches!(silent, Health::Silent { .. }), "{silent:?}");
    assert!(!nodes.forget("a", start), "it is heard");
    nodes.note(folder.path(), &Disk::real(), start).unwrap();

    let again = Nodes::open(folder.path()).unwrap();
    assert_eq!(health(&again, again.began), Health::Unknown);
    let missed = health(&again, again.began + limits::SILENT_AFTER + seconds(1));
    assert!(matches!(missed, Health::Silent { .. }), "{missed:?}");
    assert_eq!(again.view(&heads, again.began).nodes[0].declared.place.as_deref(), Some("fra"));
    assert!(again.forget("a", again.began));
    again.note(folder.path(), &Disk::real(), again.began).unwrap();
    assert!(Nodes::open(folder.path()).unwrap().view(&heads, again.began).nodes.is_empty());

    std::fs::write(folder.path().join("nodes.json"), "{").unwrap();
    assert!(
        Nodes::open(folder.path()).unwrap().view(&heads, again.began).nodes.is_empty(),
        "damaged, and no more than that"
    );
}

#[test]
fn siblings_are_those_that_are_heard_the_nearest_and_idlest_first() {
    let nodes = nodes();
    let start = nodes.began;
    let at = |node: &str, place: &str, running| {
        let mut beat = beat(node, node, 0, 0);
        (beat.declared.place, beat.load.renders_running) = (Some(place.into()), running);
        beat
    };
    nodes.take(at("gone", "fra", 0), start).unwrap();
    let now = start + limits::SILENT_AFTER + seconds(1);
    for beat in [at("far", "ams", 0), at("busy", "fra", 9), at("idle", "fra", 1)] {
        nodes.take(beat, now).unwrap();
    }
    let told = nodes.take(at("me", "fra", 0), now).unwrap();
    let names: Vec<&str> = told.siblings.iter().map(|sibling| sibling.node.as_str()).collect();
    assert_eq!(names, ["idle", "busy", "far"]);
    assert_eq!(told.siblings[0].releases["shop"], ReleaseId { epoch: 1, seq: 1 });
    assert!(told.siblings[0].is_serving);
}

#[test]
fn what_is_remembered_is_bounded() {
    let nodes = nodes();
    let start = nodes.began;
    for n in 0..limits::FLEET_NODES + 3 {
        nodes.take(beat(&format!("n{n}"), "1", 1, 0), start + Duration::from_millis(n as u64)).unwrap();
    }
    let known = nodes.view(&BTreeMap::new(), start).nodes;
    assert_eq!(known.len(), limits::FLEET_NODES);
    assert!(!known.iter().any(|node| node.node == "n2") && known.iter().any(|node| node.node == "n3"));
    assert!(nodes.take(beat("", "1", 1, 0), start).is_err());

    let mut odd = beat("n5", "1", 1, 0);
    odd.totals.results = (0..limits::FLEET_RESULTS as u64).map(|n| (format!("r{n}"), n)).collect();
    nodes.take(odd, start).unwrap();
    assert_eq!(nodes.known().names.place("one more"), None);
    for slot in 0..500 {
        nodes.take(beat("n5", "1", slot, 0), start + limits::FLEET_SLOT * slot as u32).unwrap();
    }
    assert!(nodes.known().nodes["n5"].slots.len() <= limits::FLEET_SLOTS);
}
