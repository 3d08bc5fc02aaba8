//! What visitors sent: stored at the origin, shown by nodes, never run by a browser.

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use nearside_host::{
    replica::Replica,
    switch::load,
    upstream::{NotPut, Sending, Unreachable, Upstream, Visitor},
};
use nearside_protocol::{
    digest::Digest,
    limits,
    write::{Delivered, Delivery, Outcome, Receipt, Taken, Unsure},
};
use support::{Node, PAIR, Shelf, app, probe};

/// An origin for blobs, in memory.
#[derive(Default)]
struct Store {
    blobs: Mutex<HashMap<(String, Digest), Bytes>>,
    is_away: AtomicBool,
    is_full: AtomicBool,
    pulls: AtomicUsize,
}

impl Store {
    fn reach(&self) -> Result<(), Unreachable> {
        if self.is_away.load(Ordering::Relaxed) { Err(Unreachable::unsent("it is away")) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Upstream for Store {
    async fn find_out(&self, _: &str, _: Unsure) -> Result<Taken, Unreachable> {
        Err(Unreachable::unsent("it has blobs only"))
    }

    async fn submit(&self, _: Sending<'_>) -> Result<Outcome, Unreachable> {
        Err(Unreachable::unsent("it has blobs only"))
    }

    async fn enqueue(&self, _: Sending<'_>) -> Result<u64, Unreachable> {
        Err(Unreachable::unsent("it has blobs only"))
    }

    async fn deliver(&self, _: &str, _: Delivery) -> Result<Delivered, Unreachable> {
        Err(Unreachable::unsent("it has blobs only"))
    }

    async fn render(
        &self,
        _: &str,
        _: &Digest,
        _: &str,
        _: &Visitor,
        _: &Receipt,
    ) -> Result<http::Response<Bytes>, Unreachable> {
        Err(Unreachable::unsent("it has blobs only"))
    }

    async fn put_blob(&self, app: &str, content: Bytes) -> Result<Digest, NotPut> {
        self.reach()?;
        if self.is_full.load(Ordering::Relaxed) {
            return Err(NotPut::Refused("it is full".into()));
        }
        let digest = Digest::of(&content);
        self.blobs.lock().unwrap().insert((app.to_owned(), digest), content);
        Ok(digest)
    }

    async fn blob(&self, app: &str, digest: &Digest) -> Result<Option<Bytes>, Unreachable> {
        self.reach()?;
        self.pulls.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(self.blobs.lock().unwrap().get(&(app.to_owned(), *digest)).cloned())
    }
}

fn site() -> (Node, Arc<Store>, Shelf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    let store = Arc::new(Store::default());
    let node = Node::with(&shelf, "probe.localhost", 64, store.clone());
    (node, store, shelf, folder)
}

#[test]
fn what_is_put_is_shown_and_kept_for_ever() {
    let (node, store, ..) = site();
    let put = node.request("POST", "/blob", &[], "a picture, say");
    assert_eq!(put.cache(), "nearside; fwd=method");
    let hash = put.text();
    assert_eq!(hash, Digest::of(b"a picture, say").to_string());
    let path = format!("/_blob/{hash}.png");
    let answer = node.get(&path);
    assert_eq!((answer.status, answer.text().as_str()), (200, "a picture, say"));
    for (name, value) in [
        ("content-type", "image/png"),
        ("content-length", "14"),
        ("cache-control", "public, max-age=31536000, immutable"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("accept-ranges", "bytes"),
        ("content-disposition", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let unchanged = node.request("GET", &path, &[("If-None-Match", answer.header("etag"))], "");
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = node.request("GET", &path, &[("Range", "bytes=2-8")], "");
    assert_eq!((part.status, part.text().as_str(), part.header("content-range")), (206, "picture", "bytes 2-8/14"));
    assert_eq!(node.request("GET", &path, &[("Range", "bytes=14-")], "").status, 416);
    let head = node.request("HEAD", &path, &[], "");
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, "14"));
    let options = node.request("OPTIONS", &path, &[], "");
    assert_eq!((options.status, options.header("allow")), (204, "GET, HEAD, OPTIONS"));
    assert_eq!(node.request("POST", &path, &[], "x").status, 405);
    assert_eq!(store.pulls.load(Ordering::Relaxed), 1, "all but the first came from the node's disk");
}

#[test]
fn a_browser_is_given_nothing_to_run() {
    let (node, ..) = site();
    let hash = node.request("POST", "/blob", &[], "<script>alert(1)</script>").text();
    for extension in ["html", "svg", "js", "xml", "css", "PNG", "", "png.html"] {
        assert_eq!(node.get(&format!("/_blob/{hash}.{extension}")).status, 404, "{extension}");
    }
    for (path, why) in [
        (format!("/_blob/{hash}"), "no extension"),
        (format!("/_blob/{}.png", hash.to_uppercase()), "another spelling"),
        (format!("/_blob/{}.png", &hash[1..]), "too short"),
        (format!("/_blob/x/{hash}.png"), "another folder"),
        ("/_blob/".into(), "nothing"),
    ] {
        assert_eq!(node.get(&path).status, 404, "{why}");
    }
    for extension in ["pdf", "zip", "bin"] {
        let answer = node.get(&format!("/_blob/{hash}.{extension}"));
        assert_eq!((answer.status, answer.header("content-disposition")), (200, "attachment"), "{extension}");
    }
}

#[test]
fn a_crowd_for_one_blob_is_one_pull() {
    let (node, store, ..) = site();
    let content = "0123456789abcdef".repeat(100_000);
    let hash = node.request("POST", "/blob", &[], &content).text();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| assert_eq!(node.get(&format!("/_blob/{hash}.bin")).text(), content));
        }
    });
    assert_eq!(store.pulls.load(Ordering::Relaxed), 1);
    let last = node.request("GET", &format!("/_blob/{hash}.bin"), &[("Range", "bytes=-20")], "");
    assert_eq!(last.text(), content[content.len() - 20..]);
}

#[test]
fn a_node_without_its_origin_shows_what_it_has() {
    let (node, store, shelf, folder) = site();
    let [one, two] = ["one", "two"].map(|text| node.request("POST", "/blob", &[], text).text());
    assert_eq!(node.get(&format!("/_blob/{one}.txt")).status, 200);
    let nothing = Digest::of(b"nothing");
    assert_eq!(node.get(&format!("/_blob/{nothing}.txt")).status, 404);
    store.is_away.store(true, Ordering::Relaxed);
    let away = node.get(&format!("/_blob/{two}.txt"));
    assert_eq!((away.status, away.header("retry-after")), (503, "1"), "{}", away.text());
    assert_eq!(away.header("content-type"), "application/problem+json");
    drop(node);

    let node = Node::with(&shelf, "probe.localhost", 64, store.clone());
    assert_eq!(node.get(&format!("/_blob/{one}.txt")).text(), "one", "after a start");
    drop(node);
    let file = folder.path().join("blobs/probe").join(&one);
    std::fs::write(&file, "onx").unwrap();
    let node = Node::with(&shelf, "probe.localhost", 64, store.clone());
    assert_eq!(node.get(&format!("/_blob/{one}.txt")).status, 503, "damaged, and nobody to ask");
    store.is_away.store(false, Ordering::Relaxed);
    assert_eq!(node.get(&format!("/_blob/{one}.txt")).text(), "one");
    assert_eq!(std::fs::read(&file).unwrap(), b"one");
}

#[test]
fn what_the_origin_sends_is_checked() {
    let (node, store, ..) = site();
    let digest = Digest::of(b"true");
    store.blobs.lock().unwrap().insert(("probe".into(), digest), Bytes::from_static(b"false"));
    assert_eq!(node.get(&format!("/_blob/{digest}.txt")).status, 503);
    store.blobs.lock().unwrap().insert(("other".into(), Digest::of(b"theirs")), Bytes::from_static(b"theirs"));
    assert_eq!(node.get(&format!("/_blob/{}.txt", Digest::of(b"theirs"))).status, 404, "another app's");
}

#[test]
fn a_handler_is_told_why_nothing_was_stored() {
    let (node, store, ..) = site();
    let put = |bytes: usize| node.request("POST", "/blob", &[], &"x".repeat(bytes)).text();
    assert_eq!(put(limits::BLOB_BYTES + 1), format!("too large: over {}", limits::BLOB_BYTES));
    assert_eq!(put(limits::BLOB_BYTES).len(), 64);
    store.is_full.store(true, Ordering::Relaxed);
    assert_eq!(put(1), "refused: it is full");
    store.is_away.store(true, Ordering::Relaxed);
    assert!(put(1).starts_with("unavailable: "), "{}", put(1));
    let (alone, _folder) = probe();
    assert!(alone.request("POST", "/blob", &[], "x").text().starts_with("unavailable: "));
}

#[test]
fn a_blob_that_is_not_there_is_asked_for_once_in_a_while() {
    let (node, store, mut shelf, _folder) = site();
    let digest = Digest::of(b"later");
    let status = || node.get(&format!("/_blob/{digest}.txt")).status;
    let pulls = || store.pulls.load(Ordering::Relaxed);
    assert_eq!([status(), status(), status()], [404; 3]);
    assert_eq!(pulls(), 1);

    // Put at another node, and named by the next release.
    store.blobs.lock().unwrap().insert(("probe".into(), digest), Bytes::from_static(b"later"));
    assert_eq!((status(), pulls()), (404, 1));
    let manifest = shelf.put(&app("probe"), PAIR);
    let disk = Replica::open(&shelf.data).unwrap().app("probe").unwrap();
    let release = load(&node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
    node.host.switch(release).unwrap();
    assert_eq!((status(), pulls()), (200, 2));

    // Put at this one.
    let digest = Digest::of(b"mine");
    let status = || node.get(&format!("/_blob/{digest}.txt")).status;
    assert_eq!(status(), 404);
    assert_eq!(node.request("POST", "/blob", &[], "mine").text(), digest.to_string());
    assert_eq!(status(), 200);

    // And without a word of it.
    let digest = Digest::of(b"at last");
    let status = || node.get(&format!("/_blob/{digest}.txt")).status;
    assert_eq!(status(), 404);
    store.blobs.lock().unwrap().insert(("probe".into(), digest), Bytes::from_static(b"at last"));
    std::thread::sleep(limits::BLOB_MISSING_FOR);
    assert_eq!(status(), 200);
}
