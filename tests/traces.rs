//! Traces: one leads from a posted review to the page that shows it, over node, origin, task, release and node again, whatever
//! dies meanwhile; and a collector that is away slows nobody down.

#[path = "traces/collector.rs"]
mod collector;
mod support;

use std::{
    net::TcpListener,
    path::Path,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use collector::{Collector, Told, Tree};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use support::{
    Node, Origin, eventually,
    http::{Answer, Connection},
    module, packages, probe,
    process::text,
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const VISITORS_SPAN: &str = "00f067aa0ba902b7";

fn parent() -> String {
    format!("00-{TRACE}-{VISITORS_SPAN}-01")
}

/// Nothing is traced that nobody has asked for.
fn origin(folder: &Path, collector: &Collector) -> Origin {
    let settings = settings(collector);
    let origin = Origin::start(folder, &settings);
    origin.push(&module("packages")).went_well();
    origin
}

fn settings(collector: &Collector) -> String {
    let (url, address) = (collector.url(), collector.address);
    format!(
        "otlp_endpoint = \"{url}\"\ntrace_ratio = 0.0\n
        [apps.packages]\nvariables = {{ WEBHOOK_URL = \"{url}/hook\" }}\nallow_private = [\"{address}\"]\n"
    )
}

/// `ratio` of the requests that come without a trace are sampled.
fn node(folder: &Path, origin: &Origin, collector_url: &str, ratio: &str) -> Node {
    let (url, token) = (origin.url(), origin.token_file());
    let access = ["--origin", url.as_str(), "--token-file", text(&token)];
    let traced = ["--otlp-endpoint", collector_url, "--trace-ratio", ratio];
    Node::start_with(folder, "zurich", &[access, traced].concat())
}

/// The package directory with one package at one node, all of it traced where that is asked for.
/// Taken apart in this order, the folder is the last to go.
struct Stage {
    folder: tempfile::TempDir,
    collector: Collector,
    origin: Origin,
    node: Node,
}

impl Stage {
    fn start() -> Stage {
        let (folder, collector) = (tempfile::tempdir().unwrap(), Collector::start());
        let origin = origin(folder.path(), &collector);
        let node = node(folder.path(), &origin, &collector.url(), "0");
        let catalogue = packages::catalogue(folder.path(), &["saw"]);
        node.wait_for(origin.push_data(&catalogue, "packages").release(), "packages");
        Stage { folder, collector, origin, node }
    }
}

fn post(node: &Node, words: &str) -> Answer {
    post_as(node, words, &parent())
}

fn post_as(node: &Node, words: &str, parent: &str) -> Answer {
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("traceparent", parent)];
    let form = format!("author=Ada&rating=5&body={words}");
    node.request(packages::SITE, "POST", "/package/saw/reviews", &headers, &form)
}

/// What somebody sees who has sent no trace.
fn page(node: &Node) -> String {
    node.get(packages::SITE, "/package/saw").text()
}

const WRITE: [&str; 3] = ["POST /package/{name}/reviews", "render /package/{name}/reviews", "submit post-review"];
const TAKEN: &str = "POST /v1/apps/{app}/commands/{name}";
const SHOWN: [&str; 6] =
    ["commit *", "release *", "pull *", "switch", "show /package/{name}", "render /package/{name}"];

#[test]
fn one_trace_leads_from_a_posted_review_to_the_page_that_shows_it() {
    let Stage { folder: _folder, collector, origin: _origin, node } = Stage::start();
    assert!(!page(&node).contains("Cuts well"), "it is kept from here on");

    let posted = post(&node, "Cuts+well");
    assert_eq!(posted.status, 303, "{posted:?}");
    eventually("somebody else sees it", || page(&node).contains("Cuts well").then_some(()));

    let shown = [&WRITE[..], &[TAKEN], &SHOWN].concat();
    let task = [&WRITE[..], &[TAKEN, "apply post-review", "task announce-review"]].concat();
    let tree = eventually("the trace has come whole", || {
        let tree = collector.trace(TRACE);
        (tree.find(&shown).is_some() && tree.find(&[&task[..], &["POST"]].concat()).is_some()).then_some(tree)
    });
    println!("{}", tree.text());

    // One tree: it begins where the visitor's own span is.
    let roots = tree.roots();
    assert_eq!(roots.len(), 1, "{}", tree.text());
    assert_eq!((roots[0].parent.as_str(), roots[0].kind), (VISITORS_SPAN, SpanKind::Server));
    let said = |told: &Told, name: &str| told.attributes.get(name).cloned().unwrap_or_default();
    assert_eq!(said(roots[0], "http.request.method"), "POST");
    assert_eq!(said(roots[0], "http.route"), "/package/{name}/reviews");
    assert_eq!(said(roots[0], "http.response.status_code"), "303");
    assert_eq!(said(roots[0], "server.address"), packages::SITE);

    // Who did what.
    let at = |names: &[&str]| tree.find(names).unwrap_or_else(|| panic!("no {names:?} in\n{}", tree.text())).clone();
    let who = |told: &Told| (told.service.clone(), told.instance.clone());
    let taken = at(&[&WRITE[..], &[TAKEN]].concat());
    assert_eq!(who(&at(&WRITE)), ("nearside-node".to_owned(), "zurich".to_owned()));
    assert_eq!(who(&taken), ("nearside-origin".to_owned(), String::new()));
    assert_eq!((said(&taken, "http.response.status_code"), taken.kind), ("200".to_owned(), SpanKind::Server));
    let applied = at(&[&WRITE[..], &[TAKEN, "apply post-review"]].concat());
    assert_eq!(said(&applied, "nearside.outcome"), "applied");
    let insert = at(&[&WRITE[..], &[TAKEN, "apply post-review", "INSERT"]].concat());
    assert_eq!(said(&insert, "db.system.name"), "sqlite");
    assert!(said(&insert, "db.query.text").contains("review") && !said(&insert, "db.query.text").contains("Cuts"));

    // The release is linked to the commit it carries; the node's part goes on from it.
    let (commit, release) = (at(&shown[..5]), at(&shown[..6]));
    assert_eq!(release.links, [(TRACE.to_owned(), commit.span.clone())]);
    assert_eq!(said(&release, "nearside.applied_commit"), said(&commit, "nearside.commit"));
    let pulled = at(&shown[..7]);
    assert_eq!(who(&pulled), who(&roots[0].clone()));
    assert_eq!(said(&pulled, "nearside.release"), said(&release, "nearside.release"));
    assert_eq!(said(&at(&shown[..9]), "nearside.because"), "rows-changed");

    // The webhook was told whose trace it is.
    let task = at(&task);
    let asked = tree.children(&task).find(|told| told.name == "POST").unwrap();
    let hook = eventually("the webhook was asked", || collector.hooks().pop());
    assert_eq!(hook, format!("00-{TRACE}-{}-01", asked.span));

    // What nobody asked to be traced was not: pages were read all the while, and releases made.
    assert!(collector.all().iter().all(|told| told.trace == TRACE), "{:?}", collector.all());
    assert!(collector.all().iter().all(|told| !told.has_failed), "{:?}", collector.all());
    assert!(in_order(&tree), "{}", tree.text());
}

/// What is within something begins after it: all clocks are the same here.
fn in_order(tree: &Tree) -> bool {
    const SLACK_NS: u64 = 2_000_000;
    fn holds(tree: &Tree, told: &Told) -> bool {
        tree.children(told).all(|child| child.start_ns + SLACK_NS >= told.start_ns && holds(tree, child))
    }
    tree.roots().into_iter().all(|root| holds(tree, root))
}

#[test]
fn a_release_is_linked_to_all_the_writes_that_it_carries() {
    let Stage { folder: _folder, collector, origin: _origin, node } = Stage::start();

    // Soon after one another, again and again: until two have gone into one release.
    let until_release = [&WRITE[..], &[TAKEN, "commit *", "release *"]].concat();
    let mut posted = 0_u32;
    let (one, other) = eventually("two writes go into one release", || {
        let ids = [1, 2].map(|more| format!("{:032x}", posted + more));
        posted += 2;
        ids.iter().for_each(|id| drop(post_as(&node, "Twice", &format!("00-{id}-{VISITORS_SPAN}-01"))));
        let trees = eventually("both traces have come", || {
            let trees = ids.each_ref().map(|id| collector.trace(id));
            trees.iter().all(|tree| tree.find(&until_release).is_some()).then_some(trees)
        });
        let release = |tree: &Tree| tree.find(&until_release).unwrap().attributes["nearside.release"].clone();
        let [one, other] = trees;
        (release(&one) == release(&other)).then_some((one, other))
    });
    let (release, beside) = (one.find(&until_release).unwrap(), other.find(&until_release).unwrap());
    let commits = [&one, &other].map(|tree| {
        let commit = tree.find(&until_release[..5]).unwrap();
        (commit.trace.clone(), commit.span.clone())
    });
    assert_eq!(release.links, commits, "of the first one it is the release, and linked to all");
    assert_eq!(beside.links, [(release.trace.clone(), release.span.clone())], "the others lead to it");
}

#[test]
fn a_write_that_waited_in_the_outbox_goes_on_with_its_trace() {
    let Stage { folder, collector, mut origin, node: mut zurich } = Stage::start();
    page(&zurich);

    origin.process.kill();
    let posted = post(&zurich, "Cuts+in+the+dark");
    assert_eq!(posted.status, 202, "{posted:?}");
    eventually("what the node did so far has come", || collector.trace(TRACE).find(&WRITE).map(|_| ()));
    // What is on the disk is all that is left of it.
    zurich.process.kill();
    zurich = node(folder.path(), &origin, &collector.url(), "0");
    origin.start_again(&settings(&collector));

    eventually("it is shown", || page(&zurich).contains("Cuts in the dark").then_some(()));
    let delivered = [&WRITE[..], &["deliver post-review"]].concat();
    let tree = eventually("the trace has come whole", || {
        let tree = collector.trace(TRACE);
        tree.find(&[&delivered[..], &SHOWN[..4]].concat())?;
        tree.find(&[&delivered[..], &["apply post-review", "task announce-review"]].concat())?;
        Some(tree)
    });
    println!("{}", tree.text());
    assert_eq!(tree.roots().len(), 1, "{}", tree.text());
    assert_eq!(tree.find(&WRITE).unwrap().attributes["nearside.outcome"], "deferred");
    assert_eq!(tree.find(&delivered).unwrap().attributes["nearside.outcome"], "applied");
}

#[test]
fn a_collector_that_is_away_slows_nobody_down_and_what_is_lost_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(folder.path(), "");
    origin.push(&module("probe")).went_well();
    // It takes connections, and never says a word.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let mute_url = format!("http://{}", mute.local_addr().unwrap());
    let mut node = node(folder.path(), &origin, &mute_url, "1");
    node.wait_for_apps(1);

    const REQUESTS: usize = 8_000;
    let mut connection = Connection::open(node.address).unwrap();
    for _ in 0..REQUESTS {
        assert_eq!(connection.get(probe::SITE, "/hello").unwrap().status, 200);
    }
    let spans = &node.status()["spans"];
    println!("{REQUESTS} requests, all answered; of their spans: {spans}");
    assert!(spans["dropped_full"].as_u64().unwrap() > 0 && spans["sent"] == 0, "{spans}");
    let metrics = support::http::request(node.admin, "admin", "GET", "/metrics", &[], "").unwrap().text();
    assert!(metrics.contains("nearside_spans_total{outcome=\"dropped_full\"}"), "{metrics}");

    // Nor does it keep the node from leaving.
    drop(connection);
    let asked = Instant::now();
    node.process.ask_to_stop();
    assert!(node.process.end().success());
    println!("it left after {} ms", asked.elapsed().as_millis());
    drop(mute);
}

#[test]
fn a_collector_that_is_full_for_a_while_gets_it_all_later() {
    let folder = tempfile::tempdir().unwrap();
    let origin = Origin::start(folder.path(), "");
    origin.push(&module("probe")).went_well();
    let collector = Collector::start();
    let node = node(folder.path(), &origin, &collector.url(), "1");
    node.wait_for_apps(1);
    collector.is_full.store(true, Ordering::Relaxed);
    for _ in 0..10 {
        assert_eq!(probe::get(node.address, "/hello").status, 200);
    }
    thread::sleep(Duration::from_millis(1_200));
    collector.is_full.store(false, Ordering::Relaxed);
    let hits = eventually("all have come", || {
        let all = collector.all();
        let asked = all.iter().filter(|told| told.name == "GET /hello").count();
        (asked == 10).then(|| {
            all.iter()
                .filter(|told| told.attributes.get("nearside.cache").is_some_and(|cache| cache.contains("; hit")))
                .count()
        })
    });
    assert_eq!(hits, 9, "stored pages are told, too, where they are sampled");
}
