//! More than a node can make: what is stored goes out all the same, what may be late does, and the rest is told to come again.

mod support;

use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use nearside_host::{
    origin_client::NoOrigin,
    queue::{Load, Place},
    replica::Replica,
    switch::load,
    upstream::{NotPut, Sending, Unreachable, Upstream, Visitor},
};
use nearside_protocol::{
    class::Class,
    digest::Digest,
    key::SecretKey,
    limits,
    release::DatabaseId,
    write::{Delivered, Delivery, Outcome, Receipt, Taken, Unsure},
};
use support::{Changed, Node, PAIR, Shelf, http::Answer, release};

/// Counts up to `p`: some milliseconds of a core that nobody can interrupt.
const BURN: &str = "-- name: burn\n\
    WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 60000) SELECT max(x) + ?1 AS n FROM c;\n";

fn site() -> Changed {
    let queries =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/probe/queries.sql")).unwrap();
    Changed::probe()
        .with_route("/pair", "stale_ms = 60_000")
        .with_route("/random", "class = \"search\"")
        .with_files(&[("queries.sql", &format!("{queries}\n{BURN}"))])
}

fn one_core() -> Load {
    Load { cores: 1, ..Load::default() }
}

fn start(load: Load, upstream: Arc<dyn Upstream>) -> (Node, Shelf, tempfile::TempDir) {
    start_of(&site(), load, upstream)
}

fn start_of(site: &Changed, load: Load, upstream: Arc<dyn Upstream>) -> (Node, Shelf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&site.archive(), PAIR);
    (Node::under(load, &shelf, "probe.localhost", 64, upstream), shelf, folder)
}

/// Until this is dropped every place that a page could have is taken.
fn all_places(node: &Node) -> Vec<Arc<Place>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let place = || runtime.block_on(node.host.queue.place(Class::Page, Duration::ZERO)).ok();
    std::iter::from_fn(place).collect()
}

/// A guest is gone a moment after its response.
fn until_idle(node: &Node) {
    let began = Instant::now();
    loop {
        let queue = node.host.status(None).queue;
        if (queue.running, queue.under_way) == (0, 0) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{queue:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn shed(node: &Node, class: &str, reason: &str) -> u64 {
    node.host.status(None).shed[class][reason]
}

fn seconds(answer: &Answer) -> u64 {
    answer.header("retry-after").parse().unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn what_is_stored_goes_out_and_the_rest_is_told_to_come_again() {
    let (node, _shelf, _folder) = start(one_core(), Arc::new(NoOrigin));
    assert_eq!(node.get("/hello").status, 200);
    let etag = node.get("/hello").header("etag").to_owned();
    let places = all_places(&node);
    assert_eq!(places.len(), limits::RENDERS_A_CORE);
    let before = shed(&node, "page", "delay");

    assert_eq!((node.get("/hello").status, node.get("/hello").cache()), (200, "nearside; hit"));
    assert_eq!(node.request("GET", "/hello", &[("if-none-match", &etag)], "").status, 304);
    let began = Instant::now();
    let refused = node.request("GET", "/version", &[("accept", "text/html")], "");
    assert_eq!((refused.status, refused.cache()), (503, "nearside; fwd=miss; detail=shed-delay"));
    assert!(began.elapsed() >= limits::RENDERS_STAND, "a rush is waited out: {:?}", began.elapsed());
    assert!((1..=u64::from(limits::RETRY_AFTER_MOST_S)).contains(&seconds(&refused)));
    assert_eq!(
        (refused.header("cache-control"), refused.header("content-type")),
        ("no-store", "text/html; charset=utf-8")
    );
    assert!(refused.header("nearside-release").starts_with("1."), "{refused:?}");
    let told = node.request("GET", "/version", &[("accept", "application/json")], "");
    assert_eq!((told.status, told.header("content-type")), (503, "application/problem+json"));
    assert!(told.text().contains("\"status\":503") && told.text().contains("try again"), "{}", told.text());
    assert_eq!(node.request("HEAD", "/version", &[], "").body, b"");
    assert_eq!(shed(&node, "page", "delay") - before, 3);
    // A route may say that its pages are of another class, and the host says the same of what it counts.
    assert_eq!((node.get("/random").status, shed(&node, "search", "delay")), (503, 1));
    // Commands have a place of their own.
    let echo = node.request("POST", "/echo", &[], "four");
    assert_eq!((echo.status, echo.text().as_str()), (200, "4\n"));

    drop(places);
    assert_eq!(node.get("/version").status, 200);
    until_idle(&node);
}

#[test]
fn people_are_told_by_the_apps_own_page_however_short_the_way() {
    let own = Changed::probe()
        .with_static(&[("sorry.html", b"<h1>soon</h1>")])
        .with("[errors]\n5xx = \"/static/sorry.html\"");
    let (node, _shelf, _folder) = start_of(&own, one_core(), Arc::new(NoOrigin));
    let _places = all_places(&node);
    // The first of them wait; once enough do, those who come are refused where they are read.
    let ask = |accept| {
        let ask = |n: usize| node.request("GET", &format!("/wait?ms=1&keep=1&n={n}"), &[("accept", accept)], "");
        std::thread::scope(|threads| {
            let all: Vec<_> = (0..24).map(|n| threads.spawn(move || ask(n))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<Vec<_>>()
        })
    };
    for told in ask("text/html") {
        assert_eq!((told.status, told.text().as_str(), told.header("content-length")), (503, "<h1>soon</h1>", "13"));
        assert_eq!((told.header("cache-control"), told.cache()), ("no-store", "nearside; fwd=miss; detail=shed-delay"));
        assert_eq!((told.header("content-type"), told.header("etag")), ("text/html; charset=utf-8", ""));
        assert!(seconds(&told) >= 1 && told.header("nearside-release").starts_with("1."), "{told:?}");
    }
    for told in ask("application/json") {
        assert_eq!((told.status, told.header("content-type")), (503, "application/problem+json"));
    }
}

#[test]
fn a_page_that_may_be_late_is_shown_and_made_when_there_is_room() {
    let (node, shelf, _folder) = start(one_core(), Arc::new(NoOrigin));
    assert_eq!(node.get("/pair").text(), "7 7\n");
    let disk = Replica::open(&shelf.data).unwrap().app("probe").unwrap();
    let places = (all_places(&node), std::iter::from_fn(|| node.host.spare_place()).collect::<Vec<_>>());
    let pair = "INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);";
    let key = SecretKey::from_seed([9; 32]);
    let manifest = release(&disk, &site().archive(), &shelf.data.join("seed.db"), pair, 9, &key, |manifest| {
        manifest.fingerprint = Digest::of(PAIR.as_bytes());
    });
    let next = load(&node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
    node.host.switch(next).unwrap();

    let stale = node.get("/pair");
    assert_eq!((stale.status, stale.text().as_str()), (200, "7 7\n"));
    assert!(stale.cache().ends_with("detail=stale"), "{}", stale.cache());
    // Never to who has written.
    let receipt = node.request("GET", "/pair", &[("nearside-receipt", "d0.1.9")], "");
    assert_eq!(receipt.status, 503, "{receipt:?}");
    drop(places);
    let began = Instant::now();
    while node.get("/pair").text() != "8 8\n" {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
}

#[test]
fn a_client_that_asks_for_too_much_is_told_so_and_still_gets_what_is_stored() {
    let load = Load { renders_per_client_s: Some(1.0), ..Load::default() };
    let (node, _shelf, _folder) = start(load, Arc::new(NoOrigin));
    assert_eq!((node.get("/hello").status, node.get("/version").status), (200, 200));
    let refused = node.get("/pair");
    assert_eq!((refused.status, refused.cache()), (429, "nearside; fwd=miss; detail=shed-client"));
    assert!(seconds(&refused) >= 1);
    assert_eq!(node.request("POST", "/echo", &[], "four").status, 429);
    for _ in 0..20 {
        assert_eq!(node.get("/hello").status, 200);
    }
    assert_eq!((shed(&node, "page", "client"), shed(&node, "command", "client")), (1, 1));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(node.get("/pair").status, 200);
}

#[test]
fn nobody_renders_for_who_has_hung_up() {
    let (node, _shelf, _folder) = start(one_core(), Arc::new(NoOrigin));
    let renders = || node.host.counts.totals().get("probe").map_or(0, |counts| counts.work.renders);
    assert_eq!(node.get("/hello").status, 200);
    let before = renders();
    let places = all_places(&node);
    let waiting = || node.host.status(None).queue.waiting["page"];
    let asks = |path: &str| {
        let mut stream = TcpStream::connect(node.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: probe.localhost\r\n\r\n").unwrap();
        stream
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_millis(90), "{what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    // A queue that stood would refuse them while they are counted; each time is short enough.
    let (alone, first) = (asks("/pair"), asks("/version"));
    until("both wait", &|| waiting() == 2);
    drop(alone);
    until("one has left", &|| waiting() == 1);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| node.get("/version"));
        std::thread::sleep(Duration::from_millis(20));
        // Who waits for the same goes on in its place.
        drop(first);
        std::thread::sleep(Duration::from_millis(10));
        drop(places);
        assert_eq!(second.join().unwrap().status, 200);
    });
    assert_eq!(renders(), before + 1, "one page, once");
}

/// An origin that takes its time and remembers what it was given.
#[derive(Default)]
struct Slow(Mutex<HashSet<String>>);

#[async_trait::async_trait]
impl Upstream for Slow {
    async fn submit(&self, command: Sending<'_>) -> Result<Outcome, Unreachable> {
        let key = command.key;
        tokio::time::sleep(Duration::from_millis(30)).await;
        let mut applied = self.0.lock().unwrap();
        assert!(applied.insert(key.to_string()), "{key} came twice");
        let receipt = Receipt { database: DatabaseId("d0".into()), epoch: 1, commit: applied.len() as u64 };
        Ok(Outcome::Applied { receipt, reply: "{}".into() })
    }

    async fn find_out(&self, _: &str, _: Unsure) -> Result<Taken, Unreachable> {
        Err(Unreachable::unsent("it takes commands only"))
    }

    async fn enqueue(&self, _: Sending<'_>) -> Result<u64, Unreachable> {
        Err(Unreachable::unsent("it takes commands only"))
    }

    async fn deliver(&self, _: &str, _: Delivery) -> Result<Delivered, Unreachable> {
        Err(Unreachable::unsent("it takes commands only"))
    }

    async fn render(
        &self,
        _: &str,
        _: &Digest,
        _: &str,
        _: &Visitor,
        _: &Receipt,
    ) -> Result<http::Response<Bytes>, Unreachable> {
        Err(Unreachable::unsent("it takes commands only"))
    }

    async fn put_blob(&self, _: &str, _: Bytes) -> Result<Digest, NotPut> {
        Err(Unreachable::unsent("it takes commands only").into())
    }

    async fn blob(&self, _: &str, _: &Digest) -> Result<Option<Bytes>, Unreachable> {
        Err(Unreachable::unsent("it takes commands only"))
    }
}

/// What visitors were answered.
#[derive(Default)]
struct Seen {
    made: AtomicUsize,
    refused: AtomicUsize,
    stored: AtomicUsize,
    written: AtomicUsize,
    not_written: AtomicUsize,
}

#[test]
fn under_a_flood_hits_go_out_commands_are_done_and_the_rest_is_refused_in_time() {
    let origin = Arc::new(Slow::default());
    let (node, _shelf, _folder) = start(one_core(), origin.clone());
    assert_eq!(node.get("/hello").status, 200);
    let (seen, number, over) = (Seen::default(), AtomicUsize::new(0), AtomicBool::new(false));
    let one_more = |counter: &AtomicUsize| counter.fetch_add(1, Ordering::Relaxed);
    let asks = || {
        while !over.load(Ordering::Relaxed) {
            let answer = node.get(&format!("/ask/burn?p={}", one_more(&number)));
            match answer.status {
                200 => one_more(&seen.made),
                503 => {
                    assert!(seconds(&answer) >= 1 && answer.cache().contains("detail=shed-"), "{answer:?}");
                    one_more(&seen.refused)
                }
                _ => panic!("{answer:?}"),
            };
        }
    };
    let browses = || {
        while !over.load(Ordering::Relaxed) {
            let answer = node.get("/hello");
            assert_eq!((answer.status, answer.cache()), (200, "nearside; hit"));
            one_more(&seen.stored);
        }
    };
    let writes = || {
        while !over.load(Ordering::Relaxed) {
            let answer = node.request("POST", "/bump", &[], "");
            match answer.status {
                200 => {
                    assert!(answer.text().starts_with("applied"), "{}", answer.text());
                    one_more(&seen.written);
                }
                503 => {
                    one_more(&seen.not_written);
                }
                _ => panic!("{answer:?}"),
            }
        }
    };
    std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..40).map(|_| scope.spawn(asks)).collect();
        let others = [scope.spawn(browses), scope.spawn(writes), scope.spawn(writes)];
        std::thread::sleep(Duration::from_secs(2));
        over.store(true, Ordering::Relaxed);
        visitors.into_iter().chain(others).for_each(|visitor| visitor.join().unwrap());
    });
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{} made, {} refused, {} from the store, {} written, {} not",
        count(&seen.made),
        count(&seen.refused),
        count(&seen.stored),
        count(&seen.written),
        count(&seen.not_written)
    );
    assert!(count(&seen.made) > 10 && count(&seen.refused) > 10 && count(&seen.stored) > 100);
    assert_eq!(origin.0.lock().unwrap().len(), count(&seen.written), "each acknowledged write, and no other, was done");
    assert!(count(&seen.written) > 10 && count(&seen.written) > 10 * count(&seen.not_written));
    until_idle(&node);
    assert_eq!(node.get("/version").status, 200);
}
