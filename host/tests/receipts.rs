//! Receipts are shown by whoever likes to: what they lead to at a node that does not hold what they speak of.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::Full;
use nearside_host::{origin_client::OriginClient, queue::Load, replica::Replica, serve, switch::load};
use nearside_protocol::limits;
use support::{Node, PAIR, Shelf, app, http::Answer};

/// An origin that has made no such commit, and counts how often it is asked for a page.
struct Origin {
    asked: Arc<AtomicUsize>,
    client: Arc<OriginClient>,
    _runtime: tokio::runtime::Runtime,
}

impl Origin {
    fn start() -> Origin {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let client = OriginClient::new(&format!("http://{}", listener.local_addr().unwrap()), None).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        let answer = move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            async { http::Response::builder().status(409).body(Full::<Bytes>::from("no such commit")).unwrap() }
        };
        runtime.spawn(serve::accept(listener, answer, std::future::pending()));
        Origin { asked, client: Arc::new(client), _runtime: runtime }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn site(load: Load) -> (Node, Origin, Shelf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    let origin = Origin::start();
    let node = Node::under(load, &shelf, "probe.localhost", 64, origin.client.clone());
    (node, origin, shelf, folder)
}

/// Shows a receipt of this commit; the newest there is is the first.
fn shows(node: &Node, path: &str, commit: u64) -> Answer {
    let answer = node.request("GET", path, &[("Nearside-Receipt", &format!("d0.1.{commit}"))], "");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

#[test]
fn a_receipt_of_no_commit_leads_to_the_origin_once_in_a_while() {
    let (node, origin, ..) = site(Load::default());
    for _ in 0..4 {
        assert_eq!(shows(&node, "/pair", 99).header("nearside-behind"), "receipt");
    }
    assert_eq!(origin.asked(), 1);
    assert_eq!(shows(&node, "/pair", 98).header("nearside-behind"), "receipt");
    assert_eq!(origin.asked(), 2, "another one may be true");
    std::thread::sleep(limits::RECEIPT_REFUSED_FOR);
    shows(&node, "/pair", 99);
    assert_eq!(origin.asked(), 3, "by now this one may be true as well");
}

#[test]
fn a_client_that_asks_for_too_much_has_nothing_asked_of_the_origin() {
    let (node, origin, ..) = site(Load { renders_per_client_s: Some(1.0), ..Load::default() });
    // One of the two that a client may have at once; from now on it is stored.
    assert_eq!(node.get("/pair").status, 200);
    let answers: Vec<_> = (90..96).map(|commit| shows(&node, "/pair", commit)).collect();
    assert!(answers.iter().all(|answer| answer.header("nearside-behind") == "receipt"));
    // Another one a second later.
    assert!((1..=2).contains(&origin.asked()), "{}", origin.asked());
}

#[test]
fn a_page_that_sees_everything_waits_for_the_release_or_says_that_it_is_behind() {
    let (node, origin, mut shelf, _folder) = site(Load::default());
    let behind = shows(&node, "/all", 2);
    assert_eq!((behind.header("nearside-behind"), behind.header("cache-control")), ("receipt", "no-store"));
    assert_eq!(shows(&node, "/all", 1).header("nearside-behind"), "");

    let manifest = shelf.put(&app("probe"), PAIR);
    let disk = Replica::open(&shelf.data).unwrap().app("probe").unwrap();
    let release = load(&node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| shows(&node, "/all", 2));
        std::thread::sleep(Duration::from_millis(100));
        node.host.switch(release).unwrap();
        let answer = waits.join().unwrap();
        assert_eq!((answer.header("nearside-behind"), answer.header("nearside-release")), ("", "1.2"));
    });
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(origin.asked(), 0, "it makes no such pages");
}
