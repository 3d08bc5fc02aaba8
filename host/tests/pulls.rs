//! A node pulling from an origin that may be gone, slow, broken, or lying.

mod support;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;
use nearside_host::{
    credential::Credential,
    engine::Engine,
    follow,
    host::Host,
    origin_client::{NoOrigin, OriginClient},
    peer::Peer,
    pull::sources::Sources,
    replica::Replica,
    serve,
};
use nearside_protocol::{
    canary::Candidacy,
    digest::Digest,
    heads::{HeadsAsked, Newest, SignedHeads},
    key::SecretKey,
    limits::{self, PAGE_BYTES},
    release::{BaseOffer, DatabaseId, DeltaOffer, FORMAT_OF_CANDIDATES, Manifest, ReleaseId},
    status::NodeStatus,
    wire::Heads,
};
use support::{app, release};

const TOKEN: &str = "a-token-of-the-tests";
const PATIENCE: Duration = Duration::from_secs(20);

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// What an origin does to what it sends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    Honest,
    /// One bit of each object is wrong.
    Flips,
    /// Each answer ends after so many bytes, though more was said.
    Breaks(usize),
    /// Sends what was not asked for at the end.
    Grows,
    /// Nothing of an object comes before this.
    Slow(Duration),
    /// Says once of each object that it is on its way, to who would wait.
    Later,
    Gone,
}

/// Serves what its replica keeps, as the origin and siblings do.
struct Origin {
    address: SocketAddr,
    replica: Replica,
    folder: tempfile::TempDir,
    key: SecretKey,
    heads: Arc<Mutex<Heads>>,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Origin {
    fn start() -> Origin {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::open(folder.path()).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let key = SecretKey::from_seed([5; 32]);
        let (heads, manner, asked) = (Arc::default(), Arc::new(Mutex::new(Manner::Honest)), Arc::default());
        let answering = Arc::new(Answering {
            peer: Peer::new(replica.clone(), Some(TOKEN)),
            key: SecretKey::from_seed([5; 32]),
            heads: Arc::clone(&heads),
            manner: Arc::clone(&manner),
            asked: Arc::clone(&asked),
        });
        let answer = move |request, _| {
            let answering = answering.clone();
            async move { answering.answer(request).await }
        };
        runtime.spawn(serve::accept(listener, answer, std::future::pending()));
        Origin { address, replica, folder, key, heads, manner, asked, _runtime: runtime }
    }

    fn release(&self, seq: u64, rows: &str) -> Manifest {
        self.release_as(seq, rows, |_| {})
    }

    fn release_as(&self, seq: u64, rows: &str, change: impl FnOnce(&mut Manifest)) -> Manifest {
        let disk = self.replica.app("probe").unwrap();
        let file = self.folder.path().join("seed.db");
        let manifest = release(&disk, &app("probe"), &file, rows, seq, &self.key, change);
        self.name(manifest.release);
        manifest
    }

    fn name(&self, release: ReleaseId) {
        self.heads.lock().unwrap().insert("probe".into(), release);
    }

    fn is(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// How often something with this in its path was asked for.
    fn asked_for(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }

    fn client(&self) -> Arc<OriginClient> {
        Arc::new(OriginClient::new(&format!("http://{}", self.address), Some(TOKEN.into())).unwrap())
    }
}

struct Answering {
    peer: Peer,
    key: SecretKey,
    heads: Arc<Mutex<Heads>>,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Answering {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let manner = *self.manner.lock().unwrap();
        if manner == Manner::Gone {
            return status(503);
        }
        let (head, body) = request.into_parts();
        let prefers = head.headers.get("prefer").map(|value| format!(" {}", value.to_str().unwrap()));
        let asked = format!("{}{}", head.uri, prefers.clone().unwrap_or_default());
        let is_first = !self.asked.lock().unwrap().contains(&asked);
        self.asked.lock().unwrap().push(asked);
        if manner == Manner::Later && is_first && prefers.is_some() {
            return status(202);
        }
        match head.uri.path() {
            "/v1/key" => whole(Bytes::from(self.key.public().to_string())),
            "/v1/heads" => {
                let asked: HeadsAsked = serde_json::from_slice(&body.collect().await.unwrap().to_bytes()).unwrap();
                let until = Instant::now() + Duration::from_millis(300);
                while *self.heads.lock().unwrap() == asked.have && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let newest = Newest { heads: self.heads.lock().unwrap().clone(), ..Newest::default() };
                let signed = SignedHeads::sign(asked.nonce, &newest, &self.key);
                whole(serde_json::to_vec(&signed).unwrap().into())
            }
            path => {
                let response = self.peer.answer(&head.uri, &head.headers).await;
                let is_object = path.contains("/deltas/") || path.contains("/bases/");
                let (mut parts, body) = response.into_parts();
                let mut bytes = body.collect().await.unwrap().to_bytes().to_vec();
                match manner {
                    Manner::Flips if is_object && !bytes.is_empty() => {
                        let middle = bytes.len() / 2;
                        bytes[middle] ^= 1;
                    }
                    Manner::Grows if is_object => {
                        bytes.extend_from_slice(&[0; 100]);
                        parts.headers.remove("content-length");
                    }
                    Manner::Breaks(after) if is_object && bytes.len() > after => {
                        let pieces = vec![
                            Ok(http_body::Frame::data(Bytes::copy_from_slice(&bytes[..after]))),
                            Err(std::io::Error::other("the line broke")),
                        ];
                        return Response::from_parts(parts, Pieces(pieces.into()).boxed_unsync());
                    }
                    Manner::Slow(time) if is_object => tokio::time::sleep(time).await,
                    _ => {}
                }
                Response::from_parts(parts, Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync())
            }
        }
    }
}

struct Pieces(std::collections::VecDeque<Result<http_body::Frame<Bytes>, std::io::Error>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

fn whole(bytes: Bytes) -> Response<Body> {
    Response::new(Full::new(bytes).map_err(|never| match never {}).boxed_unsync())
}

fn status(code: u16) -> Response<Body> {
    let mut response = whole(Bytes::new());
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}

/// A node that follows.
struct Node {
    address: SocketAddr,
    host: Arc<Host>,
    replica: Replica,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl Node {
    fn start(origin: &Origin, siblings: &[&Origin]) -> Node {
        Node::start_in(tempfile::tempdir().unwrap(), origin, siblings)
    }

    fn start_in(folder: tempfile::TempDir, origin: &Origin, siblings: &[&Origin]) -> Node {
        Node::start_at(None, folder, origin, siblings)
    }

    /// One that its siblings reach there.
    fn start_at(url: Option<&str>, folder: tempfile::TempDir, origin: &Origin, siblings: &[&Origin]) -> Node {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let replica = Replica::open(folder.path()).unwrap();
        let engine = Engine::start(&replica.compiled()).unwrap();
        let host = Host::new("test", engine, 16, Arc::new(NoOrigin)).unwrap();
        follow::start_from_disk(&host, &replica).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve::serve(host.clone(), listener, std::future::pending()));
        let siblings = siblings.iter().map(|sibling| sibling.client()).collect();
        let sources = Sources::new(siblings, origin.client()).reached_at(url);
        runtime.spawn(follow::follow(host.clone(), replica.clone(), sources, std::future::pending()));
        Node { address, host, replica, folder, _runtime: runtime }
    }

    /// Where it gives to siblings what it has.
    fn gives(&self) -> SocketAddr {
        let peer = Arc::new(Peer::among_siblings(self.replica.clone(), Credential::of(TOKEN), self.host.clone()));
        let answer = move |request: Request<Incoming>, _| {
            let peer = peer.clone();
            async move { peer.answer(request.uri(), request.headers()).await }
        };
        let listener = self._runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        self._runtime.spawn(serve::accept(listener, answer, std::future::pending()));
        address
    }

    fn stop(self) -> tempfile::TempDir {
        let Node { folder, host, replica, _runtime, .. } = self;
        drop((_runtime, host, replica));
        folder
    }

    fn get(&self, path: &str) -> support::http::Answer {
        support::http::request(self.address, "probe.localhost", "GET", path, &[], "").unwrap()
    }

    fn status(&self) -> NodeStatus {
        self.host.status(None)
    }

    fn until(&self, what: &str, holds: impl Fn(&NodeStatus) -> bool) {
        let began = Instant::now();
        while !holds(&self.status()) {
            assert!(began.elapsed() < PATIENCE, "{what}: {:#?}", self.status());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn until_serves(&self, manifest: &Manifest) {
        self.until("the release is served", |status| {
            status.apps.get("probe").is_some_and(|app| app.release == manifest.release)
        });
        let kept = self.replica.app("probe").unwrap().pages().newest().unwrap();
        assert_eq!((kept.release, kept.table.root()), (manifest.release, manifest.root));
    }

    fn until_refused(&self, reason: &str) {
        self.until(reason, |status| status.refusals.contains_key(reason));
    }
}

/// Many rows, so that a database has many pages, and one pair to look at.
fn rows(pair: u32) -> String {
    format!(
        "INSERT INTO \"left\" VALUES (1, {pair}); INSERT INTO \"right\" VALUES (1, {pair});
         WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 300)
         INSERT INTO anything SELECT hex(zeroblob(1500)) || n FROM n;"
    )
}

#[test]
fn first_a_whole_copy_then_only_what_changed() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    assert!(node.get("/pair").text().contains("7 7"));
    let (pulled, written) = (node.status().pulled_bytes, node.replica.pages_written_bytes());
    assert!(written >= first.database_bytes());

    let second = origin.release(2, &rows(8));
    node.until_serves(&second);
    assert!(node.get("/pair").text().contains("8 8"));
    assert_eq!((origin.asked_for("/bases/"), origin.asked_for("/deltas/")), (1, 1));
    assert!(
        node.status().pulled_bytes - pulled < first.database_bytes() / 20,
        "{}",
        node.status().pulled_bytes - pulled
    );
    assert!(node.replica.pages_written_bytes() - written < first.database_bytes() / 10);
    assert!(node.status().refusals.is_empty(), "{:?}", node.status().refusals);
}

#[test]
fn a_node_that_was_away_takes_one_delta_and_starts_from_its_disk() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let folder = node.stop();

    let second = origin.release(2, &rows(8));
    let node = Node::start_in(folder, &origin, &[]);
    assert!(node.get("/pair").text().contains("7 7") || node.get("/pair").text().contains("8 8"));
    node.until_serves(&second);
    assert_eq!(origin.asked_for("/bases/"), 1);
}

#[test]
fn a_broken_line_is_taken_up_where_it_broke() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    origin.is(Manner::Breaks(300_000));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let parts = (first.database_bytes() / 300_000) as usize;
    assert!(origin.asked_for("/bases/") >= parts, "{parts} parts, {}", origin.asked_for("/bases/"));
    // Each byte came once, the archive's and the manifest's besides.
    assert!(node.status().pulled_bytes < first.database_bytes() + first.app_archive_bytes + 64 * 1024);
}

#[test]
fn what_is_not_as_signed_is_refused_and_the_release_before_goes_on() {
    for (manner, reasons) in
        [(Manner::Flips, &["wrong_hash", "broken_object"][..]), (Manner::Grows, &["broken_object", "oversized"])]
    {
        let origin = Origin::start();
        let first = origin.release(1, &rows(7));
        let node = Node::start(&origin, &[]);
        node.until_serves(&first);
        origin.is(manner);
        origin.release(2, &rows(8));
        node.until("refused", |status| reasons.iter().any(|reason| status.refusals.contains_key(*reason)));
        node.until("said so", |status| status.apps["probe"].refused.is_some());
        assert!(node.get("/pair").text().contains("7 7"));
        let source = node.status().last_refusal.unwrap().message;
        assert!(source.contains("the origin http://"), "{source}");
    }
}

#[test]
fn a_node_never_goes_back_nor_over_to_another_database() {
    let origin = Origin::start();
    origin.release(1, &rows(7));
    let second = origin.release(2, &rows(8));
    let node = Node::start(&origin, &[]);
    node.until_serves(&second);

    origin.release_as(3, &rows(9), |manifest| manifest.database = DatabaseId("another".into()));
    node.until_refused("other_database");
    // Refused for good: it is not pulled again and again.
    let asked = origin.asked_for("/releases/1.3");
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!((asked, origin.asked_for("/releases/1.3")), (1, 1));
    assert!(node.get("/pair").text().contains("8 8"));

    // An origin that was put back to an older state.
    origin.name(ReleaseId { epoch: 1, seq: 1 });
    node.until_refused("older_release");
    assert_eq!(node.status().apps["probe"].release, second.release);
    assert!(node.get("/pair").text().contains("8 8"));

    let fourth = origin.release(4, &rows(10));
    node.until_serves(&fourth);
    assert_eq!(node.status().apps["probe"].refused, None);
}

#[test]
fn a_query_that_cannot_be_prepared_any_more_stops_the_switch() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    origin.release(2, &format!("{} DROP TABLE \"left\";", rows(8)));
    node.until_refused("query_not_prepared");
    assert!(node.status().apps["probe"].refused.as_ref().unwrap().contains("queries.sql"));
    assert!(node.get("/pair").text().contains("7 7"));
}

#[test]
fn a_query_that_newly_reads_a_whole_table_stops_the_switch() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let without_key = "DROP TABLE \"left\"; CREATE TABLE \"left\" (id INTEGER, n INTEGER);
        WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1500)
        INSERT INTO \"left\" SELECT n, 8 FROM n;";
    origin.release(2, &format!("{}{without_key}", rows(8)));
    node.until_refused("new_scan");
    let refused = node.status().apps["probe"].refused.clone().unwrap();
    assert!(refused.contains("query `left`") && refused.contains("`left`"), "{refused}");
    assert!(node.get("/pair").text().contains("7 7"));

    let third = origin.release(3, &rows(9));
    node.until_serves(&third);
}

#[test]
fn a_node_that_missed_releases_goes_by_what_their_manifests_offer() {
    for first_delta_is_kept in [true, false] {
        let origin = Origin::start();
        let first = origin.release(1, &rows(1));
        let node = Node::start(&origin, &[]);
        node.until_serves(&first);
        let folder = node.stop();

        let offering = |seq: u64, last: &Manifest| {
            let offer = DeltaOffer { from_release: last.release, from: last.root, pages: 9, bytes: 60_000 };
            origin.release_as(seq, &rows(seq as u32), |manifest| manifest.deltas = vec![offer])
        };
        let second = offering(2, &first);
        if first_delta_is_kept {
            // Once made, it is there after the first release is gone. Nobody makes one from the first to the third.
            let path = format!("/v1/apps/probe/deltas/{}.{}", first.root, second.root);
            let token = format!("Bearer {TOKEN}");
            let headers = [("authorization", token.as_str())];
            let made = support::http::request(origin.address, "origin", "GET", &path, &headers, "").unwrap();
            assert_eq!(made.status, 200);
        }
        let third = offering(3, &second);
        let node = Node::start_in(folder, &origin, &[]);
        node.until_serves(&third);
        assert!(node.get("/pair").text().contains("3 3"));
        assert!(origin.asked_for("/releases/1.2") > 0);
        assert_eq!(origin.asked_for("/bases/"), if first_delta_is_kept { 1 } else { 2 });
    }
}

#[test]
fn a_sibling_is_asked_first_and_a_lying_one_does_no_harm() {
    let (origin, sibling) = (Origin::start(), Origin::start());
    for from in [&origin, &sibling] {
        from.release(1, &rows(7));
    }
    let node = Node::start(&origin, &[&sibling]);
    node.until("served", |status| status.apps.contains_key("probe"));
    assert_eq!((origin.asked_for("/bases/"), sibling.asked_for("/bases/")), (0, 1));

    sibling.is(Manner::Flips);
    sibling.release(2, &rows(8));
    let second = origin.release(2, &rows(8));
    node.until_serves(&second);
    assert!(node.get("/pair").text().contains("8 8"));
    let refused: u64 = node.status().refusals.values().sum();
    assert_eq!(refused, 1, "{:?}", node.status().refusals);
    assert!(node.status().last_refusal.unwrap().message.contains("the sibling http://"));

    sibling.is(Manner::Gone);
    let third = origin.release(3, &rows(9));
    node.until_serves(&third);
}

#[test]
fn a_node_with_nothing_takes_the_newest_from_a_sibling_that_has_no_older_release() {
    for sibling_is in [Manner::Honest, Manner::Flips] {
        let (origin, sibling) = (Origin::start(), Origin::start());
        let first = origin.release(1, &rows(7));
        let base =
            BaseOffer { release: first.release, root: first.root, page_count: first.page_count, bytes: 4_000_000 };
        let delta = DeltaOffer { from_release: first.release, from: first.root, pages: 9, bytes: 60_000 };
        let second = origin.release_as(2, &rows(8), |manifest| {
            manifest.base = Some(base);
            manifest.deltas = vec![delta];
        });
        assert_eq!(sibling.release(2, &rows(8)).root, second.root);
        sibling.is(sibling_is);
        let node = Node::start(&origin, &[&sibling]);
        node.until_serves(&second);
        assert!(node.get("/pair").text().contains("8 8"));
        let of_origin = origin.asked_for("/bases/") + origin.asked_for("/deltas/");
        let refused: u64 = node.status().refusals.values().sum();
        match sibling_is {
            Manner::Honest => assert_eq!((of_origin, sibling.asked_for("/bases/"), refused), (0, 1, 0)),
            _ => assert!(of_origin == 2 && refused == 1, "{of_origin} {:?}", node.status().refusals),
        }
    }
}

#[test]
fn who_drew_a_better_lot_is_asked_until_it_has_the_delta() {
    let (origin, sibling) = (Origin::start(), Origin::start());
    let first = origin.release(1, &rows(7));
    sibling.release(1, &rows(7));
    let second = sibling.release(2, &rows(8));
    let delta = format!("/v1/apps/probe/deltas/{}.{}", first.root, second.root);
    let lot = |url: &str| Digest::of(format!("{url} {delta}").as_bytes());
    let theirs = lot(&format!("http://{}", sibling.address));
    let worse = (0..).map(|n| format!("http://node-{n}")).find(|url| lot(url) < theirs).unwrap();
    let node = Node::start_at(Some(&worse), tempfile::tempdir().unwrap(), &origin, &[&sibling]);
    node.until_serves(&first);
    sibling.is(Manner::Later);
    origin.release(2, &rows(8));
    node.until_serves(&second);
    assert_eq!((sibling.asked_for(&delta), origin.asked_for(&delta)), (2, 0), "{:?}", sibling.asked);
}

#[test]
fn a_delta_that_is_on_its_way_is_waited_for_by_who_would_wait() {
    let (origin, elsewhere) = (Origin::start(), Origin::start());
    let first = origin.release(1, &rows(7));
    elsewhere.release(1, &rows(7));
    let second = elsewhere.release(2, &rows(8));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let address = node.gives();
    let token = format!("Bearer {TOKEN}");
    let delta = format!("/v1/apps/probe/deltas/{}.{}", first.root, second.root);
    let ask = |wait: &str| {
        let began = Instant::now();
        let shown = [("authorization", token.as_str()), ("prefer", wait)];
        let answer = support::http::request(address, "node", "GET", &delta, &shown, "").unwrap();
        (answer.status, began.elapsed())
    };
    // It might only not have heard of it yet.
    let (status, took) = ask("wait=2");
    assert!(status == 404 && took >= limits::SIBLING_HEARS, "{status} {took:?}");

    let slow = Duration::from_secs(1);
    origin.is(Manner::Slow(slow));
    origin.release(2, &rows(8));
    node.until("it comes", |status| !status.pulls.is_empty());
    assert_eq!(ask("respond-async").0, 404);
    assert_eq!(ask("wait=2").0, 200);
    node.until_serves(&second);
    assert_eq!(origin.asked_for("/deltas/"), 1);
}

#[test]
fn a_damaged_page_is_never_served_and_is_made_whole() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let folder = node.stop();

    let slots = folder.path().join("apps/probe/pages/slots");
    let mut bytes = std::fs::read(&slots).unwrap();
    // All pages but the schema's: without that, there is nothing to start from.
    (1..first.page_count as usize).for_each(|page| bytes[page * PAGE_BYTES + 2_000] ^= 1);
    std::fs::write(&slots, bytes).unwrap();
    let node = Node::start_in(folder, &origin, &[]);
    let began = Instant::now();
    loop {
        let answer = node.get("/pair");
        match answer.status {
            200 => break assert!(answer.text().contains("7 7")),
            500..600 | 404 => assert!(began.elapsed() < PATIENCE, "{:?}", node.replica.health().status()),
            other => panic!("{other}: {}", answer.text()),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let health = node.replica.health().status();
    assert!(health.damaged_pages > 0 && health.repaired_pages > 0, "{health:?}");
}

#[test]
fn siblings_are_served_to_whoever_shows_the_token() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let manifest = format!("/v1/apps/probe/releases/{}", first.release);
    let get = |path: &str, headers: &[(&str, &str)]| {
        support::http::request(origin.address, "origin", "GET", path, headers, "").unwrap()
    };
    let token = format!("Bearer {TOKEN}");
    let shown = ("authorization", token.as_str());
    assert_eq!(get(&manifest, &[]).status, 401);
    assert_eq!(get(&manifest, &[("authorization", "Bearer another")]).status, 401);
    assert_eq!(get(&manifest, &[shown]).status, 200);
    assert_eq!(get("/v1/apps/probe/secrets/abc", &[shown]).status, 404);

    let base = format!("/v1/apps/probe/bases/{}", first.root);
    let whole = get(&base, &[shown]);
    let part = get(&base, &[shown, ("range", "bytes=5000-5099")]);
    assert_eq!((part.status, &part.body[..]), (206, &whole.body[5_000..5_100]));
    assert_eq!(part.header("etag"), whole.header("etag"));
    let pages = get(&format!("/v1/apps/probe/pages/{}?numbers=2,0", first.root), &[shown]);
    // The object's head, the first record's, and its list.
    let begins = 88 + 10 + 3;
    let page = |number: usize| &whole.body[begins + number * PAGE_BYTES..][..PAGE_BYTES];
    assert_eq!(pages.body, [page(2), page(0)].concat());
    assert_eq!(get(&format!("/v1/apps/probe/pages/{}?numbers=x", first.root), &[shown]).status, 400);
}

#[test]
fn the_bound_on_staleness_grows_while_the_origin_is_gone() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    node.until("heard", |status| status.apps["probe"].behind_at_most_ms.is_some_and(|behind| behind < 1_000));
    origin.is(Manner::Gone);
    std::thread::sleep(Duration::from_millis(1_500));
    let behind = node.status().apps["probe"].behind_at_most_ms.unwrap();
    assert!((1_500..4_000).contains(&behind), "{behind}");
    assert!(node.get("/pair").header("nearside-behind-at-most").is_empty(), "it is little as yet");
    std::thread::sleep(Duration::from_secs(4));
    let said: u64 = node.get("/pair").header("nearside-behind-at-most").parse().unwrap();
    assert!((4..9).contains(&said), "{said}");

    origin.is(Manner::Honest);
    node.until("heard again", |status| status.apps["probe"].behind_at_most_ms.is_some_and(|behind| behind < 1_000));
}

/// Makes a release one that these nodes try out.
fn tried_out_at(nodes: &[&str]) -> impl FnOnce(&mut Manifest) {
    let nodes = nodes.iter().map(|&node| node.to_owned()).collect();
    move |manifest| {
        manifest.format = FORMAT_OF_CANDIDATES;
        manifest.candidate = Some(Candidacy { since_ms: 7, nodes });
    }
}

#[test]
fn what_others_are_to_try_out_is_not_taken_whoever_says_that_it_is_the_newest() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    origin.release_as(2, &rows(8), tried_out_at(&["another"]));
    node.until_refused("other_nodes");
    assert!(node.get("/pair").text().contains("7 7"));
    let refused = node.status().apps["probe"].refused.clone().unwrap();
    assert!(refused.contains("tried out at other nodes: `test` is not one of them"), "{refused}");

    // Nor does it stay behind for that.
    let third = origin.release(3, &rows(9));
    node.until_serves(&third);
    assert!(node.get("/pair").text().contains("9 9"));
}

#[test]
fn who_is_to_try_something_out_takes_it_and_goes_on_from_there() {
    let origin = Origin::start();
    let first = origin.release(1, &rows(7));
    let node = Node::start(&origin, &[]);
    node.until_serves(&first);
    let second = origin.release_as(2, &rows(8), tried_out_at(&["another", "test"]));
    node.until_serves(&second);
    assert!(node.get("/pair").text().contains("8 8"));
    let counts = node.host.by_name("probe").unwrap().current().unwrap().counts.served();
    assert_eq!((counts.canary_ms, counts.served.requests), (Some(7), 1), "counted apart from what it served before");

    // A node that is started anew serves it from its disk; one that has another name by then does not.
    let folder = node.stop();
    origin.is(Manner::Gone);
    let node = Node::start_in(folder, &origin, &[]);
    assert!(node.get("/pair").text().contains("8 8"));
    origin.is(Manner::Honest);
    let third = origin.release(3, &rows(7));
    node.until_serves(&third);
}
