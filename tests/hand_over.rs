//! One node of three gets more than it can render: its siblings make what it has no place for, and nobody is refused while one of
//! them has room. When none has, visitors are told so after one hop.

mod support;

use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use support::{Node, Origin, eventually, http::Connection, probe, process::text};

/// Counts up to `p`: some milliseconds of a core.
const BURN: &str = "\n-- name: burn\n\
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 60000) SELECT max(x) + ?1 AS n FROM c;\n";

struct Fleet {
    origin: Origin,
    nodes: Vec<Node>,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// Nodes a, b, c; so many cores they believe to have.
    fn start(cores: [usize; 3]) -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let app = probe::taking_data(&folder.path().join("app"));
        app.append("queries.sql", BURN);
        let origin = Origin::start(folder.path(), "");
        origin.push(app.path()).went_well();
        let nodes: Vec<Node> = ["a", "b", "c"]
            .iter()
            .zip(cores)
            .map(|(name, cores)| node(folder.path(), name, cores, &origin, &[]))
            .collect();
        let fleet = Fleet { origin, nodes, folder };
        fleet.nodes.iter().for_each(|node| node.wait_for_apps(1));
        for node in &fleet.nodes {
            eventually("each hears that the others serve", || {
                let siblings = node.status()["siblings"].as_array().unwrap().clone();
                let serve = siblings.iter().filter(|it| it["is_serving"] == true && !it["releases"]["probe"].is_null());
                (serve.count() == 2).then_some(())
            });
        }
        fleet
    }

    /// What became of renders that were handed over or taken, at all nodes.
    fn all(&self, kind: &str, outcomes: &[&str]) -> u64 {
        self.nodes.iter().map(|node| counted(node, kind, outcomes)).sum()
    }
}

fn node(folder: &Path, name: &str, cores: usize, origin: &Origin, more: &[&str]) -> Node {
    let (url, token, cores) = (origin.url(), origin.token_file(), cores.to_string());
    let usual = ["--origin", url.as_str(), "--token-file", text(&token), "--cores", &cores, "--place", "fra"];
    Node::start_reachable(folder, name, &[&usual[..], more].concat())
}

fn counted(node: &Node, kind: &str, outcomes: &[&str]) -> u64 {
    let status = node.status();
    outcomes.iter().map(|outcome| status[kind][outcome].as_u64().unwrap_or(0)).sum()
}

/// How often pages have waited for a place in vain.
fn shed(node: &Node) -> u64 {
    let shed = &node.status()["shed"]["page"];
    ["delay", "full"].iter().map(|reason| shed[reason].as_u64().unwrap()).sum()
}

/// What visitors were answered.
#[derive(Default, Debug)]
struct Seen {
    made: AtomicUsize,
    by_sibling: AtomicUsize,
    refused: AtomicUsize,
    broken: AtomicUsize,
}

impl Seen {
    fn counts(&self) -> [usize; 4] {
        [&self.made, &self.by_sibling, &self.refused, &self.broken].map(|count| count.load(Ordering::Relaxed))
    }
}

/// So many visitors ask a node for one page after another, each for a new one; `meanwhile` happens in the middle.
fn flood(nodes: &[&Node], visitors: usize, lasting: Duration, meanwhile: impl FnOnce()) -> Seen {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let (seen, over) = (Seen::default(), Instant::now() + lasting);
    let one_more = |count: &AtomicUsize| count.fetch_add(1, Ordering::Relaxed);
    let asks = |node: &Node| {
        let mut connection = Connection::open(node.address).unwrap();
        while Instant::now() < over {
            let path = format!("/ask/burn?p={}", one_more(&NUMBER));
            match connection.get(probe::SITE, &path) {
                Ok(answer) if answer.status == 200 => {
                    one_more(if answer.cache().contains("sibling") { &seen.by_sibling } else { &seen.made })
                }
                Ok(answer) if answer.status == 503 => {
                    assert!(answer.cache().contains("detail=shed-"), "{answer:?}");
                    std::thread::sleep(Duration::from_millis(20));
                    one_more(&seen.refused)
                }
                other => {
                    println!("{other:?}");
                    one_more(&seen.broken)
                }
            };
        }
    };
    let asks = &asks;
    std::thread::scope(|scope| {
        for node in nodes.iter().copied() {
            (0..visitors).for_each(|_| drop(scope.spawn(move || asks(node))));
        }
        std::thread::sleep(lasting / 2);
        meanwhile();
    });
    println!("made, by a sibling, refused, broken: {:?}", seen.counts());
    seen
}

#[test]
fn siblings_make_what_one_node_has_no_place_for() {
    let mut fleet = Fleet::start([1, 16, 16]);
    let lonely = node(fleet.folder.path(), "d", 1, &fleet.origin, &["--no-hand-over"]);
    lonely.wait_for_apps(1);

    // Without them visitors are refused; with them nobody is.
    let [_, by_sibling, refused, broken] = flood(&[&lonely], 12, Duration::from_secs(2), || {}).counts();
    assert!(refused > 0 && by_sibling == 0 && broken == 0);
    drop(lonely);
    let [made, by_sibling, refused, broken] = flood(&[&fleet.nodes[0]], 12, Duration::from_secs(3), || {}).counts();
    assert!(made > 0 && by_sibling > 0, "{made} {by_sibling}");
    assert_eq!((refused, broken), (0, 0));
    let a = fleet.nodes[0].status();
    assert_eq!(a["requests"]["by_sibling"], by_sibling, "{a}");
    // Each of them is counted once where it was made, and went to both.
    let taken = [1, 2].map(|at| counted(&fleet.nodes[at], "taken", &["made"]));
    assert_eq!(taken.iter().sum::<u64>(), by_sibling as u64);
    assert!(taken.iter().all(|count| *count > 0), "{taken:?}");
    assert_eq!(counted(&fleet.nodes[0], "handed", &["made"]), by_sibling as u64);

    // A sibling dies in the middle.
    let (a, rest) = fleet.nodes.split_first_mut().unwrap();
    let seen = flood(&[&*a], 12, Duration::from_secs(4), || rest[0].process.kill());
    let [made, by_sibling, refused, broken] = seen.counts();
    assert_eq!(broken, 0);
    assert!(refused * 100 < made + by_sibling, "{seen:?}");
    assert!(counted(a, "handed", &["away"]) > 0, "it was missed");
}

#[test]
fn when_all_have_too_much_to_do_nothing_goes_further_than_one_hop() {
    let fleet = Fleet::start([1, 1, 1]);
    let nodes: Vec<&Node> = fleet.nodes.iter().collect();
    let [made, by_sibling, refused, broken] = flood(&nodes, 8, Duration::from_secs(4), || {}).counts();
    assert_eq!(broken, 0);
    assert!(made > 0 && refused > 0);
    // What was asked of siblings is what siblings were asked: nobody asks on behalf of another.
    const ASKED: &[&str] = &["made", "failed", "busy", "other_release", "not_here", "streams"];
    const TAKEN: &[&str] = &["made", "stored", "failed", "busy", "other_release", "not_here", "streams"];
    let (asked, away) = (fleet.all("handed", ASKED), fleet.all("handed", &["away"]));
    let taken = fleet.all("taken", TAKEN);
    println!("asked {asked}, away {away}, taken {taken}");
    assert!((asked..=asked + away).contains(&taken), "{asked} {away} {taken}");
    // Whoever siblings have no place for waits once more, and may be made here after all.
    let in_vain: u64 = nodes.iter().map(|node| shed(node)).sum();
    assert!((by_sibling + refused) as u64 <= in_vain, "{by_sibling} {refused} {in_vain}");
    let without_place = in_vain.min((made + by_sibling + refused) as u64);
    assert!(asked + away <= without_place * 2, "each asks two at most: {asked} {away} {without_place}");
    assert_eq!(fleet.all("handed", &["made"]), by_sibling as u64);
}

#[test]
fn a_sibling_at_an_older_release_is_not_asked() {
    let fleet = Fleet::start([1, 16, 16]);
    // It trusts nobody any more, so it takes nothing that is new.
    std::fs::write(fleet.nodes[1].data().join("trusted.keys"), "").unwrap();
    fleet.origin.push_data(&probe::data(fleet.folder.path(), 7), "probe").went_well();
    let a = &fleet.nodes[0];
    eventually("a and c serve it, and a knows that b does not", || {
        let status = a.status();
        let serves = |name: &str| {
            let siblings = status["siblings"].as_array().unwrap();
            siblings.iter().find(|it| it["node"] == name).map(|it| it["releases"]["probe"].clone())
        };
        let own = status["apps"]["probe"]["release"].clone();
        let before = fleet.nodes[1].status()["apps"]["probe"]["release"].clone();
        (own != before && serves("c")? == own && serves("b")? == before).then_some(())
    });
    let [_, by_sibling, _, broken] = flood(&[a], 12, Duration::from_secs(2), || {}).counts();
    assert!(by_sibling > 0 && broken == 0);
    assert_eq!(counted(&fleet.nodes[2], "taken", &["made"]), by_sibling as u64);
    let of_b = fleet.nodes[1].status()["taken"].clone();
    assert!(of_b.as_object().unwrap().values().all(|count| count == 0), "{of_b}");
}
