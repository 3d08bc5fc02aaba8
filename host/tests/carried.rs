//! What becomes of stored responses at a push: which are kept, which are made ahead, what is shown meanwhile, and what a
//! failure does to those who wait.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::{archive::Archive, queue::Place, replica::Replica, switch::load};
use nearside_protocol::{digest::Digest, key::SecretKey, release::Manifest};
use support::{Changed, Node, PAIR, Shelf, app, http::Answer, release};

/// One app on a node, to which release after release is pushed.
struct Site {
    app: Archive,
    shelf: Shelf,
    node: Node,
    seq: u64,
    _folder: tempfile::TempDir,
}

impl Site {
    fn start(app: Archive, seed: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let mut shelf = Shelf::new(folder.path());
        shelf.put(&app, "");
        let node = Node::start(&shelf, &app.app.hosts[0]);
        let mut site = Site { app, shelf, node, seq: 1, _folder: folder };
        site.push(seed, |_| {});
        site
    }

    /// The next release: the same app with a database filled by `seed`.
    fn push(&mut self, seed: &str, change: impl FnOnce(&mut Manifest)) {
        let manifest = self.record(seed, change);
        let disk = Replica::open(&self.shelf.data).unwrap().app(&self.app.app.name).unwrap();
        let release = load(&self.node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
        self.node.host.switch(release).unwrap();
    }

    fn record(&mut self, seed: &str, change: impl FnOnce(&mut Manifest)) -> Manifest {
        self.seq += 1;
        let disk = Replica::open(&self.shelf.data).unwrap().app(&self.app.app.name).unwrap();
        let key = SecretKey::from_seed([9; 32]);
        let fingerprint = |manifest: &mut Manifest| manifest.fingerprint = Digest::of(b"the same tables");
        release(&disk, &self.app, &self.shelf.data.join("seed.db"), seed, self.seq, &key, |manifest| {
            fingerprint(manifest);
            change(manifest);
        })
    }

    fn get(&self, path: &str) -> Answer {
        self.node.get(path)
    }

    /// Asked for often enough to be hot.
    fn warm(&self, path: &str) {
        (0..3).for_each(|_| assert!(self.get(path).status < 500, "{path}"));
        assert!(self.get(path).cache().starts_with("nearside; hit"), "{path}: {}", self.get(path).cache());
    }

    /// Until this is dropped so many renders are under way that nothing is made for nobody.
    fn busy(&self) -> Vec<Arc<Place>> {
        std::iter::from_fn(|| self.node.host.spare_place()).collect()
    }

    /// What was left at the last switch is made without anybody asking.
    fn wait_for_the_rest(&self) {
        let started = Instant::now();
        while self.carried()["afterwards"] < self.carried()["on_demand"] {
            assert!(started.elapsed() < Duration::from_secs(30), "{:?}", self.carried());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn carried(&self) -> BTreeMap<String, u64> {
        self.node.host.status(None).carried
    }
}

fn pair(n: u32) -> String {
    format!("INSERT INTO \"left\" VALUES (1, {n}); INSERT INTO \"right\" VALUES (1, {n});")
}

#[test]
fn what_is_hot_is_there_with_the_switch_and_the_rest_soon_after() {
    let mut site = Site::start(Changed::probe().archive(), PAIR);
    site.warm("/pair");
    site.warm("/hello");
    assert_eq!(site.get("/version").cache(), "nearside; fwd=miss; stored");
    let etag = site.get("/hello").header("etag").to_owned();

    site.push(&pair(8), |_| {});
    let ahead = site.get("/pair");
    assert_eq!((ahead.cache(), ahead.text().as_str()), ("nearside; hit; detail=rendered-ahead", "8 8\n"));
    assert_eq!(ahead.header("nearside-release"), format!("1.{}", site.seq));
    let kept = site.get("/hello");
    assert_eq!((kept.cache(), kept.header("etag")), ("nearside; hit; detail=pages-untouched", etag.as_str()));
    site.wait_for_the_rest();
    let cold = site.get("/version");
    assert_eq!((cold.cache(), cold.text().as_str()), ("nearside; hit", "probe 1 8\n"));
    let carried = site.carried();
    let expected =
        [("pages_untouched", 1), ("rendered_ahead", 1), ("on_demand", 1), ("afterwards", 1), ("same_rows", 0)];
    expected.iter().for_each(|(how, count)| assert_eq!(carried[*how], *count, "{how}: {carried:?}"));

    // Another row of the same page: asked again, with the same answer.
    site.warm("/pair");
    site.push(&format!("{} INSERT INTO \"left\" VALUES (2, 1); INSERT INTO \"right\" VALUES (2, 1);", pair(8)), |_| {});
    assert_eq!(site.get("/pair").cache(), "nearside; hit; detail=same-rows");
    // Both have answered since.
    assert_eq!(site.carried()["same_rows"], 2);
}

#[test]
fn only_what_was_touched_is_asked_again() {
    let mut site = Site::start(Changed::probe().archive(), PAIR);
    site.warm("/pair");
    let again = |site: &Site, query: &str| site.node.host.counts.totals()["probe"].queries[query].again.runs;
    // A row more on the page that one of its two queries reads.
    site.push(&format!("{PAIR} INSERT INTO \"left\" VALUES (2, 1);"), |_| {});
    assert_eq!(site.get("/pair").cache(), "nearside; hit; detail=same-rows");
    assert_eq!((again(&site, "left"), again(&site, "right")), (1, 0));
    // And on the other: what was not asked is remembered all the same.
    site.push(&format!("{PAIR} INSERT INTO \"left\" VALUES (2, 1); INSERT INTO \"right\" VALUES (2, 1);"), |_| {});
    assert_eq!(site.get("/pair").cache(), "nearside; hit; detail=same-rows");
    assert_eq!((again(&site, "left"), again(&site, "right")), (1, 1));
    site.push(&pair(8), |_| {});
    assert_eq!(site.get("/pair").text(), "8 8\n");
}

#[test]
fn another_app_is_rendered_again_and_says_so() {
    let mut site = Site::start(Changed::probe().archive(), PAIR);
    site.warm("/hello");
    assert_eq!(site.get("/version").status, 200);
    let variables = |manifest: &mut Manifest| drop(manifest.variables.insert("FETCH_URL".into(), "http://b".into()));
    site.push(PAIR, variables);
    assert_eq!(site.get("/hello").cache(), "nearside; hit; detail=rendered-ahead");
    site.wait_for_the_rest();
    assert_eq!(site.get("/version").cache(), "nearside; hit");
    let requests = site.node.host.status(None).requests;
    assert_eq!((requests["hit_rendered_ahead"], requests["rendered_first"]), (1, 2), "{requests:?}");
}

#[test]
fn a_release_that_is_not_switched_to_leaves_nothing() {
    let mut site = Site::start(Changed::probe().archive(), PAIR);
    site.warm("/pair");
    let older = |manifest: &mut Manifest| manifest.release.epoch = 0;
    let manifest = site.record(&pair(8), |_| {});
    let disk = Replica::open(&site.shelf.data).unwrap().app("probe").unwrap();
    let table = disk.pages().newest().unwrap().table;
    let mut refused = manifest.clone();
    older(&mut refused);
    site.node.host.switch(load(&site.node.host, &disk, refused, table.clone()).unwrap()).unwrap_err();
    assert_eq!((site.get("/pair").text().as_str(), site.get("/pair").cache()), ("7 7\n", "nearside; hit"));
    site.node.host.switch(load(&site.node.host, &disk, manifest, table).unwrap()).unwrap();
    assert_eq!(site.get("/pair").text(), "8 8\n");
}

#[test]
fn a_page_may_be_shown_a_moment_longer_and_never_to_who_has_written() {
    let app = Changed::probe().with_route("/pair", "stale_ms = 60_000").with_route("/version", "stale_ms = 1");
    let mut site = Site::start(app.archive(), PAIR);
    assert_eq!(site.get("/pair").cache(), "nearside; fwd=miss; stored");
    assert_eq!(site.get("/version").cache(), "nearside; fwd=miss; stored");
    let before = format!("1.{}", site.seq);

    let busy = site.busy();
    site.push(&pair(8), |_| {});
    let stale = site.get("/pair");
    assert_eq!((stale.cache(), stale.text().as_str()), ("nearside; hit; ttl=-1; detail=stale", "7 7\n"));
    assert_eq!(stale.header("nearside-release"), before);
    let fresh = (0..500).map(|_| site.get("/pair")).find(|answer| answer.text() == "8 8\n");
    assert!(fresh.unwrap().cache().starts_with("nearside; hit"));
    // Its time is over.
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(site.get("/version").text(), "probe 1 8\n");
    drop(busy);

    site.push(&pair(9), |_| {});
    let receipt = format!("d0.1.{}", site.seq);
    let own = site.node.request("GET", "/pair", &[("nearside-receipt", &receipt)], "");
    assert_eq!((own.text().as_str(), own.header("nearside-behind")), ("9 9\n", ""), "{}", own.cache());

    // What another version of the app made is never shown.
    site.push(&pair(9), |manifest| drop(manifest.variables.insert("FETCH_URL".into(), "http://b".into())));
    assert!(!site.get("/pair").cache().contains("stale;") && !site.get("/pair").cache().contains("detail=stale"));
}

#[test]
fn a_missing_row_is_kept_as_missing_until_the_push_that_adds_it() {
    let book = |id: u32| format!("INSERT INTO book VALUES ({id}, 'Title {id}', 'Author', 1900, 'About.');");
    let mut site = Site::start(app("shelf"), &book(1));
    assert_eq!(site.get("/book/1").status, 200, "{}", site.get("/book/1").text());
    let missing = site.get("/book/3");
    assert_eq!((missing.status, missing.cache()), (404, "nearside; fwd=miss; stored"));
    assert_eq!((site.get("/book/3").status, site.get("/book/3").cache()), (404, "nearside; hit"));
    site.push(&format!("{}{}", book(1), book(2)), |_| {});
    let still = site.get("/book/3");
    assert_eq!(still.status, 404);
    assert!(still.cache().starts_with("nearside; hit; detail="), "{}", still.cache());
    site.push(&format!("{}{}{}", book(1), book(2), book(3)), |_| {});
    assert_eq!(site.get("/book/3").status, 200);
    assert_eq!(site.get("/book/1").status, 200);
}

#[test]
fn when_the_one_who_leads_fails_one_other_tries_for_all() {
    let site = Site::start(Changed::probe().with_route("/loop", "deadline_ms = 700").archive(), PAIR);
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let crowd: Vec<_> = (0..20).map(|_| scope.spawn(|| site.get("/loop"))).collect();
        crowd.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 504), "{:?}", answers[0]);
    // A failure names the trace of its render.
    let text = |answer: &Answer| answer.text();
    let renders: BTreeSet<String> = answers.iter().map(text).collect();
    assert_eq!(renders.len(), 2, "{renders:?}");
}

/// What judging costs and what is made ahead adds to a switch: `cargo test --release --test carried -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn a_switch_with_ten_thousand_entries() {
    use std::time::Instant;
    const ROWS: u32 = 10_000;
    const ONE_IN: u32 = 50;
    let tables = "CREATE TABLE item (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, big TEXT NOT NULL);";
    let queries = "-- name: item\nSELECT a, length(big) AS l FROM item WHERE id = ?1;\n";
    let app = Changed::probe().with_files(&[("snapshot.sql", tables), ("queries.sql", queries)]).archive();
    // A row has a page of its own.
    let seed = |a: u32| {
        format!(
            "INSERT INTO item WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {ROWS})
             SELECT x, iif(x % {ONE_IN} = 0, {a}, 2), hex(zeroblob(1800)) FROM c"
        )
    };
    let mut site = Site::start(app, &seed(2));
    let address = site.node.address;
    let ask = |times: usize| {
        let mut connection = support::http::Connection::open(address).unwrap();
        let started = Instant::now();
        for _ in 0..times {
            for id in 1..=ROWS {
                let answer = connection.get("probe.localhost", &format!("/ask/item?p={id}")).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
            }
        }
        started.elapsed()
    };
    ask(3);
    let mut last = site.carried();
    for step in 1..=65 {
        if step == 65 {
            println!("asked once again after 64 switches: {:?} for {ROWS} answers", ask(1));
            println!("and as hits: {:?}", ask(2));
        }
        let manifest = site.record(&seed(2 + step % 100), |_| {});
        let disk = Replica::open(&site.shelf.data).unwrap().app("probe").unwrap();
        let release = load(&site.node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
        let started = Instant::now();
        site.node.host.switch(release).unwrap();
        let took = started.elapsed();
        let now = site.carried();
        let more: Vec<_> = now.iter().map(|(how, count)| (how, count - last[how])).collect();
        if [1, 2, 3, 8, 16, 32, 64, 65].contains(&step) {
            println!("switch {step:2}: {took:?} {more:?}");
        }
        last = now;
    }
}
