//! Some nodes try a release out before all take it: one that answers with errors, is slow, or cannot be served is halted by
//! itself, and the others never see it; a good one is promoted; an operator may decide either.

mod support;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use nearside_protocol::limits;
use serde_json::Value;
use support::{
    App, Node, Origin, Site, eventually, http,
    node::Release,
    probe,
    process::{Run, text},
};

/// Each `p` is a page of its own, so that it has to be made.
const TOUCH: &str = "SELECT n + ?1 AS n FROM \"left\" WHERE id = 1";
/// It can be prepared, and cannot be run.
const FAILS: &str = "SELECT abs(-9223372036854775807 - 1) + ?1 AS n";
const SLOW: &str =
    "SELECT n + ?1 + 0 * (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 400000)
    SELECT max(i) FROM c) AS n FROM \"left\" WHERE id = 1";
const SCANS: &str = "SELECT sum(n) + ?1 AS n FROM \"left\" WHERE n > 0";

/// The probe app with one more query, at three nodes.
struct Fleet {
    site: Site,
    app: App,
}

impl Fleet {
    fn start() -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let app = probe::taking_data(&folder.path().join("app"));
        app.append("queries.sql", &format!("\n-- name: touch\n{TOUCH};\n"));
        let origin = Origin::start(folder.path(), "");
        origin.push(app.path()).went_well();
        let nodes: Vec<Node> = ["a", "b", "c"].map(|name| Node::start(folder.path(), name, Some(&origin))).into();
        nodes.iter().for_each(|node| node.wait_for_apps(1));
        let fleet = Fleet { site: Site { origin, nodes, folder }, app };
        eventually("all nodes are heard", || {
            let heard = fleet.operator(&["top", "--once", "--json"]);
            let told: Value = serde_json::from_str(&heard.out).ok()?;
            (told["nodes"].as_array()?.iter().filter(|node| node["health"]["state"] == "serving").count() == 3)
                .then_some(())
        });
        fleet
    }

    fn operator(&self, arguments: &[&str]) -> Run {
        self.site.origin.operator(arguments)
    }

    /// Another version of the app, that asks this.
    fn version(&self, query: &str) -> App {
        let folder = tempfile::Builder::new().prefix("version").tempdir_in(self.site.folder.path()).unwrap().keep();
        let version = self.app.copy_to(&folder);
        version.replace("queries.sql", TOUCH, query);
        version
    }

    fn push(&self, version: &App, more: &[&str]) -> Run {
        self.operator(&[&["push", text(version.path())], more].concat())
    }

    /// Begins a canary that is not promoted by itself.
    fn try_out(&self, version: &App, at: &str) -> Release {
        self.push(version, &["--canary", at, "--canary-for", "3600"]).release()
    }

    fn canary(&self) -> Value {
        self.site.origin.status()["apps"]["probe"]["canary"].clone()
    }

    fn until(&self, state: &str) -> Value {
        eventually(&format!("the canary is {state}"), || {
            Some(self.canary()).filter(|canary| canary["stands"]["state"] == state)
        })
    }

    fn head(&self) -> Release {
        Release::parse(self.site.origin.status()["apps"]["probe"]["release"].as_str().unwrap()).unwrap()
    }

    fn until_all_serve(&self, release: Release) {
        self.site.nodes.iter().for_each(|node| node.wait_for(release, "probe"));
    }

    /// What the log says was done, new to old.
    fn deeds(&self) -> Vec<(String, String, String)> {
        let token = std::fs::read_to_string(self.site.origin.token_file()).unwrap();
        let bearer = format!("Bearer {}", token.trim());
        let asked = [("Authorization", bearer.as_str())];
        let answer = http::request(self.site.origin.address, "origin", "GET", "/v1/actions", &asked, "").unwrap();
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let actions = told["actions"].as_array().unwrap();
        actions.iter().map(|action| (words(&action["deed"]), words(&action["by"]), words(&action["what"]))).collect()
    }
}

/// Asks a node for one page after another, each of which has to be made.
struct Visitors {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    seen: Arc<Mutex<BTreeSet<(Release, u16)>>>,
    thread: Option<JoinHandle<()>>,
}

static PAGE: AtomicU64 = AtomicU64::new(1);

impl Visitors {
    fn of(node: SocketAddr) -> Visitors {
        let (stop, asked) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let seen = Arc::<Mutex<BTreeSet<(Release, u16)>>>::default();
        let (until, count, notes) = (stop.clone(), asked.clone(), seen.clone());
        let visit = move || {
            while !until.load(Ordering::Relaxed) {
                let page = PAGE.fetch_add(1, Ordering::Relaxed);
                let answer = probe::get(node, &format!("/ask/touch?p={page}"));
                notes.lock().unwrap().insert((Release::of(&answer), answer.status));
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        Visitors { stop, asked, seen, thread: Some(std::thread::spawn(visit)) }
    }

    /// Releases and statuses, each once.
    fn seen(&self) -> Vec<(Release, u16)> {
        self.seen.lock().unwrap().iter().copied().collect()
    }
}

impl Drop for Visitors {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The canary at `a` is halted for this reason, its node goes on to what all have, and the others have seen nothing of it.
fn halted_by_itself(fleet: &Fleet, version: &App, why: &str) -> (Value, Vec<(Release, u16)>) {
    let nodes = &fleet.site.nodes;
    let before = fleet.head();
    let visitors: Vec<Visitors> = nodes.iter().map(|node| Visitors::of(node.address)).collect();
    eventually("there is something to compare with", || {
        visitors.iter().all(|of| of.asked.load(Ordering::Relaxed) > limits::CANARY_PAGES_LEAST).then_some(())
    });
    let pushed = Instant::now();
    let candidate = fleet.try_out(version, "a");
    let canary = fleet.until("halted");
    println!("{why}: halted {} ms after its push began", pushed.elapsed().as_millis());
    assert!(before < candidate, "{before:?} {candidate:?}");
    // It is decided before the release is made that follows.
    let after = eventually("what all have comes again", || Some(fleet.head()).filter(|head| *head > candidate));
    nodes[0].wait_for(after, "probe");
    println!("{why}: its node was back after {} ms", pushed.elapsed().as_millis());
    fleet.until_all_serve(after);
    assert!(canary["stands"]["why"].as_object().unwrap().contains_key(why), "{canary}");
    eventually("it is written down", || {
        (fleet.deeds()[0] == ("halt_canary".into(), "origin".into(), why.into())).then_some(())
    });
    for rest in &visitors[1..] {
        let seen = rest.seen();
        assert!(seen.iter().all(|(release, status)| *release != candidate && *status == 200), "{seen:?}");
    }
    assert_eq!(fleet.site.nodes[0].get(probe::SITE, "/ask/touch?p=0").status, 200);
    let seen = visitors[0].seen();
    (canary, seen.into_iter().filter(|(release, _)| *release == candidate).collect())
}

#[test]
fn one_that_answers_with_errors_is_halted_and_the_rest_never_saw_it() {
    let fleet = Fleet::start();
    let (canary, seen) = halted_by_itself(&fleet, &fleet.version(FAILS), "errors");
    assert!(seen.iter().all(|(_, status)| *status == 500) && !seen.is_empty(), "{seen:?}");
    let why = &canary["stands"]["why"]["errors"];
    assert!(why["errors"].as_u64().unwrap() >= limits::CANARY_ERRORS_LEAST && why["rest"] == 0.0, "{why}");

    // It is told wherever an operator looks.
    let shown = fleet.operator(&["status"]);
    assert!(shown.out.contains("halted: ") && shown.out.contains("server errors"), "{}", shown.out);
    let listed = fleet.operator(&["releases", "--app", "probe"]);
    assert!(listed.out.contains("tried out at a"), "{}", listed.out);
    // What was tried out was never for everyone: a rollback does not lead there.
    fleet
        .operator(&["rollback", &format!("{}.{}", seen[0].0.0, seen[0].0.1), "--app", "probe"])
        .failed_with(&["is not kept"]);
}

#[test]
fn one_that_answers_slowly_is_halted_and_the_rest_never_saw_it() {
    let fleet = Fleet::start();
    let (canary, seen) = halted_by_itself(&fleet, &fleet.version(SLOW), "slow");
    assert!(!seen.is_empty());
    let why = &canary["stands"]["why"]["slow"];
    let (slow, usual) = (why["canaries_us"].as_u64().unwrap(), why["rest_us"].as_u64().unwrap());
    println!("nine of ten pages took up to {slow} µs, and {usual} µs at the others");
    assert!(slow >= 2 * usual, "{why}");
}

#[test]
fn one_whose_query_newly_scans_is_halted_before_a_visitor_saw_it() {
    let fleet = Fleet::start();
    let many = fleet.site.folder.path().join("many.db");
    let database = rusqlite::Connection::open(&many).unwrap();
    database
        .execute_batch(
            "CREATE TABLE \"left\" (id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE \"right\" (id INTEGER PRIMARY KEY, n INTEGER);
             WITH RECURSIVE i(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM i WHERE i < 2000) INSERT INTO \"left\" SELECT i, 7 FROM i;
             INSERT INTO \"right\" VALUES (1, 7);",
        )
        .unwrap();
    drop(database);
    fleet.until_all_serve(fleet.site.origin.push_data(&many, "probe").release());
    let (canary, seen) = halted_by_itself(&fleet, &fleet.version(SCANS), "refused");
    assert!(seen.is_empty(), "{seen:?}");
    let why = &canary["stands"]["why"]["refused"];
    assert_eq!((why["node"].as_str(), why["reason"].as_str()), (Some("a"), Some("new_scan")), "{why}");

    // Whoever waits for it is told by the exit code.
    let waited = fleet.push(&fleet.version(&SCANS.replace("> 0", "> 1")), &["--canary", "b", "--wait"]);
    assert_eq!(waited.code, Some(1), "{waited:?}");
    assert!(waited.out.contains("tried out at b") && waited.out.contains("halted: b does not serve it"), "{waited:?}");
}

#[test]
fn a_good_one_is_promoted_by_itself() {
    let fleet = Fleet::start();
    let before = fleet.head();
    let visitors: Vec<Visitors> = fleet.site.nodes.iter().map(|node| Visitors::of(node.address)).collect();
    let better = fleet.version(&TOUCH.replace("?1", "?1 + 1000"));
    let pushed = Instant::now();
    let run = fleet.push(&better, &["--canary", "10%", "--canary-for", "2", "--canary-requests", "40", "--wait"]);
    run.went_well();
    println!("promoted {} ms after its push began", pushed.elapsed().as_millis());
    assert!(run.out.contains("promoted: nothing was wrong with it"), "{run:?}");
    let canary = fleet.canary();
    assert_eq!(canary["nodes"].as_array().unwrap().len(), 1, "{canary}");
    assert!(canary["canaries"]["requests"].as_u64().unwrap() >= 40, "{canary}");
    let after = eventually("it is the release of all", || Some(fleet.head()).filter(|head| *head > before));
    fleet.until_all_serve(after);
    println!("and at all nodes after {} ms", pushed.elapsed().as_millis());
    eventually("it is written down", || {
        (fleet.deeds()[0] == ("promote_canary".into(), "origin".into(), "healthy".into())).then_some(())
    });
    drop(visitors);
    for node in &fleet.site.nodes {
        let answer = node.get(probe::SITE, "/ask/touch?p=1");
        assert!(answer.status == 200 && answer.text().contains("\n1001\n"), "{answer:?}");
    }
    // The version that was promoted is the one that runs, after a restart too; and there is a way back to the one before.
    fleet.operator(&["rollback", "--app", "probe"]).went_well();
    let back = eventually("the content before is served again", || {
        let answer = fleet.site.nodes[1].get(probe::SITE, "/ask/touch?p=1");
        answer.text().contains("\n1\n").then_some(answer)
    });
    assert_eq!(back.status, 200);
}

#[test]
fn with_too_few_requests_it_waits_for_a_hand() {
    let fleet = Fleet::start();
    let better = fleet.version(&TOUCH.replace("?1", "?1 + 1000"));
    let candidate = fleet.push(&better, &["--canary", "a,b", "--canary-for", "0"]).release();
    fleet.site.nodes[..2].iter().for_each(|node| node.wait_for(candidate, "probe"));
    fleet.site.nodes[0].get(probe::SITE, "/ask/touch?p=1");
    let waits = eventually("it waits for requests", || {
        let waits = fleet.canary()["stands"]["waits"]["requests"].clone();
        (waits["have"] == 1).then_some(waits)
    });
    assert_eq!(waits["of"], limits::CANARY_REQUESTS);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(fleet.canary()["stands"]["state"], "running", "nobody has decided");
    let shown = fleet.operator(&["status"]);
    assert!(shown.out.contains("it waits for more, or for a hand"), "{}", shown.out);

    // A page that is stored on the candidate stays stored when that is promoted: for its nodes nothing changes.
    let again = fleet.site.nodes[0].get(probe::SITE, "/ask/touch?p=1");
    assert!(again.header("cache-status").contains("hit"), "{again:?}");
    let promoted = fleet.operator(&["promote", "--app", "probe"]).release();
    fleet.until_all_serve(promoted);
    let again = fleet.site.nodes[0].get(probe::SITE, "/ask/touch?p=1");
    assert!(again.header("cache-status").contains("hit") && Release::of(&again) == promoted, "{again:?}");
    assert_eq!(fleet.deeds()[0], ("promote_canary".into(), "program".into(), "by_hand".into()));
    fleet.operator(&["promote", "--app", "probe"]).failed_with(&["no canary runs"]);
    fleet.operator(&["halt", "--app", "probe"]).failed_with(&["no canary runs"]);
}

#[test]
fn rows_reach_its_nodes_with_the_others_and_a_visitor_sees_their_own_writes_there() {
    let fleet = Fleet::start();
    let [a, b, _] = [0, 1, 2].map(|at| fleet.site.nodes[at].address);
    let better = fleet.version(&TOUCH.replace("?1", "?1 + 1000"));
    let candidate = fleet.try_out(&better, "a");
    fleet.site.nodes[0].wait_for(candidate, "probe");
    for _ in 0..5 {
        let bumped = probe::bump(a);
        // Whoever makes it, the node or the origin: of the candidate, with the visitor's own write.
        let page = format!("/ask/touch?p={}", PAGE.fetch_add(1, Ordering::Relaxed) + 500_000);
        let own = fleet.site.nodes[0].request(probe::SITE, "GET", &page, &[("Cookie", &bumped.cookie())], "");
        let p: i64 = page.rsplit_once('=').unwrap().1.parse().unwrap();
        assert!(own.text().contains(&format!("\n{}\n", bumped.n + p + 1_000)), "{own:?}");
        assert_eq!(probe::own_pair(a, &bumped), bumped.n);
        assert_eq!(probe::own_pair(b, &bumped), bumped.n);
    }
    let bumped = probe::bump(b);
    eventually("everybody sees it at both", || {
        [a, b].iter().all(|node| probe::pair(&probe::get(*node, "/pair")) == bumped.n).then_some(())
    });
    let pair = [a, b].map(|node| Release::of(&probe::get(node, "/pair")));
    assert!(pair[0] > candidate && pair[0] != pair[1], "each of its own release: {pair:?}");
    assert!(
        probe::get(a, "/ask/touch?p=1").text().contains(&(bumped.n + 1_001).to_string()),
        "and a has the candidate"
    );
    // Pushed rows, too.
    fleet.site.origin.push_data(&probe::data(fleet.site.folder.path(), 77), "probe").went_well();
    eventually("pushed rows are at both", || {
        [a, b].iter().all(|node| probe::pair(&probe::get(*node, "/pair")) == 77).then_some(())
    });
    let halted = fleet.operator(&["halt", "--app", "probe"]).release();
    fleet.until_all_serve(halted);
    assert!(probe::get(a, "/ask/touch?p=1").text().contains("\n78\n"));
}

#[test]
fn a_canary_goes_on_over_the_origins_death_and_nothing_comes_in_between() {
    let mut fleet = Fleet::start();
    let better = fleet.version(&TOUCH.replace("?1", "?1 + 1000"));
    let candidate = fleet.try_out(&better, "a");
    fleet.site.nodes[0].wait_for(candidate, "probe");
    fleet.site.origin.process.kill();
    fleet.site.origin.start_again("");
    let canary = fleet.until("running");
    assert_eq!(canary["release"], format!("{}.{}", candidate.0, candidate.1), "{canary}");
    // A node that is started anew takes part as before; another takes what is for all.
    fleet.site.nodes[0].process.kill();
    let Site { origin, nodes, .. } = &mut fleet.site;
    nodes[0].start_again(Some(origin));
    nodes[0].wait_for(candidate, "probe");
    assert!(nodes[1].release("probe").unwrap() < candidate);
    let bumped = probe::bump(nodes[0].address);
    let nodes = &fleet.site.nodes;
    eventually("rows go on to both", || {
        nodes[..2].iter().all(|node| probe::pair(&node.get(probe::SITE, "/pair")) == bumped.n).then_some(())
    });

    // Another push, and a rollback, are refused with what runs; or take its place.
    let other = fleet.version(&TOUCH.replace("?1", "?1 + 2000"));
    fleet.push(&other, &[]).failed_with(&["a canary runs at a", "--replace"]);
    fleet.push(&other, &["--canary", "b"]).failed_with(&["a canary runs at a"]);
    fleet.operator(&["rollback", "--app", "probe"]).failed_with(&["a canary runs at a"]);
    let replacing = fleet.push(&other, &["--replace", "--canary", "b", "--canary-for", "3600"]).release();
    fleet.site.nodes[1].wait_for(replacing, "probe");
    let a = &fleet.site.nodes[0];
    eventually("a has what all have again", || {
        a.get(probe::SITE, "/ask/touch?p=1").text().contains(&format!("\n{}\n", bumped.n + 1)).then_some(())
    });
    assert_eq!(fleet.deeds()[1], ("halt_canary".into(), "program".into(), "replaced".into()));
    assert_eq!(fleet.canary()["nodes"][0], "b");

    // Killed between a decision and its release: whatever it had done by then, the next start finishes it.
    std::thread::scope(|scope| {
        let halting = scope.spawn(|| fleet.operator(&["halt", "--app", "probe"]));
        eventually("it is decided", || {
            let record = std::fs::read_to_string(fleet.site.origin.data().join("apps/probe/canary.json")).ok()?;
            record.contains("by_hand").then_some(())
        });
        fleet.site.origin.process.signal("-KILL");
        let _ = halting.join();
    });
    let _ = fleet.site.origin.process.end();
    fleet.site.origin.start_again("");
    fleet.until("halted");
    let b = &fleet.site.nodes[1];
    eventually("b has what all have again", || {
        b.get(probe::SITE, "/ask/touch?p=1").text().contains(&format!("\n{}\n", bumped.n + 1)).then_some(())
    });
}

#[test]
fn what_cannot_be_tried_out_is_refused_with_what_to_do() {
    let fleet = Fleet::start();
    let same = fleet.version(TOUCH);
    fleet.push(&same, &["--canary", "a"]).failed_with(&["there is nothing to try out"]);
    let better = fleet.version(&TOUCH.replace("?1", "?1 + 1000"));
    fleet.push(&better, &["--canary", "nobody"]).failed_with(&["no node `nobody` is heard; heard are: a, b, c"]);
    let file = probe::data(fleet.site.folder.path(), 5);
    let merged = fleet.operator(&["push", text(&file), "--app", "probe", "--canary", "a"]);
    merged.failed_with(&["data of a mirrored app is pushed without --canary"]);
    assert!(fleet.canary().is_null());
    let shares = fleet.operator(&["push", text(better.path()), "--canary", "100%"]);
    assert!(shares.code == Some(2) && shares.err.contains("1% to 99% expected"), "{shares:?}");
}

/// What the two numbers come to, kept by triggers: a read database that is made another way.
const SUM: &str = "
CREATE TABLE sum (id INTEGER PRIMARY KEY, n INTEGER NOT NULL);
CREATE TRIGGER left_made AFTER INSERT ON \"left\" BEGIN REPLACE INTO sum VALUES (new.id, new.n * 2); END;
CREATE TRIGGER left_changed AFTER UPDATE ON \"left\" BEGIN REPLACE INTO sum VALUES (new.id, new.n * 2); END;
";

#[test]
fn one_that_makes_another_read_database_is_kept_up_to_date_beside_the_other() {
    let mut fleet = Fleet::start();
    let summed = |n: i64| format!("\n{n}\n");
    let version = fleet.version("SELECT n + ?1 AS n FROM sum WHERE id = 1");
    version.append("snapshot.sql", SUM);
    let candidate = fleet.try_out(&version, "a");
    fleet.site.nodes[0].wait_for(candidate, "probe");
    let shows = |fleet: &Fleet, at: usize, n: i64| {
        eventually(&format!("node {at} shows {n}"), || {
            let node = &fleet.site.nodes[at];
            let page = PAGE.fetch_add(1, Ordering::Relaxed) + 500_000;
            let answer = node.get(probe::SITE, &format!("/ask/touch?p={page}"));
            answer.text().contains(&summed(n + page as i64)).then_some(())
        });
    };
    let bumped = probe::bump(fleet.site.nodes[0].address);
    shows(&fleet, 0, bumped.n * 2);
    shows(&fleet, 1, bumped.n);

    // Over a restart, and with writes before and after it.
    let bumped = probe::bump(fleet.site.nodes[1].address);
    fleet.site.origin.process.kill();
    fleet.site.origin.start_again("");
    shows(&fleet, 0, bumped.n * 2);
    let bumped = probe::bump(fleet.site.nodes[1].address);
    shows(&fleet, 0, bumped.n * 2);
    shows(&fleet, 1, bumped.n);
    assert!(fleet.site.origin.data().join("apps/probe/tried").is_dir());

    // Halted, nothing is left of it; the same again is promoted.
    let halted = fleet.operator(&["halt", "--app", "probe"]).release();
    fleet.until_all_serve(halted);
    shows(&fleet, 0, bumped.n);
    assert!(!fleet.site.origin.data().join("apps/probe/tried").exists());
    let bumped = probe::bump(fleet.site.nodes[1].address);
    let candidate = fleet.try_out(&version, "a,b");
    fleet.site.nodes[..2].iter().for_each(|node| node.wait_for(candidate, "probe"));
    shows(&fleet, 1, bumped.n * 2);
    let promoted = fleet.operator(&["promote", "--app", "probe"]).release();
    fleet.until_all_serve(promoted);
    let bumped = probe::bump(fleet.site.nodes[1].address);
    (0..3).for_each(|at| shows(&fleet, at, bumped.n * 2));
    assert_eq!(fleet.site.origin.operator(&["audit", "--app", "probe"]).code, Some(0));
}

#[test]
fn another_database_is_tried_out_and_halted_or_promoted() {
    let folder = tempfile::tempdir().unwrap();
    let app = App::copy("probe", &folder.path().join("app"));
    let manifest = app.read("nearside.toml");
    let (own, _) = manifest.split_once("[mirror]").unwrap();
    app.write("nearside.toml", own.replacen("hosts = ", "database = \"pushed\"\nhosts = ", 1));
    app.write("snapshot.sql", "");
    let site = Site::start(&[], &[]);
    site.origin.push(app.path()).went_well();
    let file = |n: i64| {
        let file = probe::data(folder.path(), n);
        let database = rusqlite::Connection::open(&file).unwrap();
        database.execute_batch("CREATE TABLE digit (d INTEGER PRIMARY KEY); INSERT INTO digit VALUES (1);").unwrap();
        file
    };
    let push =
        |n: i64, more: &[&str]| site.origin.operator(&[&["push", text(&file(n)), "--app", "probe"][..], more].concat());
    push(1, &[]).went_well();
    let nodes = ["a", "b"].map(|name| Node::start(site.folder.path(), name, Some(&site.origin)));
    nodes.iter().for_each(|node| node.wait_for_apps(1));
    let shows = |at: usize, n: i64| {
        eventually("a node shows what it is to show", || {
            (probe::pair(&nodes[at].get(probe::SITE, "/pair")) == n).then_some(())
        });
    };
    let try_out = |n: i64| {
        eventually("its node is heard", || {
            let pushed = push(n, &["--canary", "a", "--canary-for", "3600"]);
            (pushed.code == Some(0)).then_some(())
        });
    };
    try_out(2);
    shows(0, 2);
    push(3, &[]).failed_with(&["a canary runs at a"]);
    site.origin.operator(&["halt", "--app", "probe"]).went_well();
    shows(0, 1);
    try_out(4);
    shows(0, 4);
    shows(1, 1);
    site.origin.operator(&["promote", "--app", "probe"]).went_well();
    shows(0, 4);
    shows(1, 4);
}
