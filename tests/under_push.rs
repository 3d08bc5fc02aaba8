//! Visitors notice nothing of pushes: no request fails, no answer mixes two releases, nobody goes back.

mod support;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use support::{Site, http::Connection, node::Release, probe};

const ROUNDS: u8 = 10;
/// Kept with its release, all of them; the last is made anew for each visitor.
const PAGES: [&str; 5] = ["/pair", "/version", "/hello", "/include", "/clock"];
const VISITORS_PER_NODE: usize = 2;

type Seen = BTreeMap<(Release, &'static str), String>;

#[test]
fn nobody_notices_ten_pushes_of_the_app_and_ten_of_data() {
    let folder = tempfile::tempdir().unwrap();
    let app = probe::taking_data(&folder.path().join("app"));
    let site = Site::start(&[app.path()], &["a", "b"]);
    let done = Arc::new(AtomicBool::new(false));
    let visitors: Vec<JoinHandle<(Seen, usize)>> = site
        .nodes
        .iter()
        .flat_map(|node| std::iter::repeat_n(node.address, VISITORS_PER_NODE))
        .map(|node| (node, done.clone()))
        .map(|(node, done)| std::thread::spawn(move || visit(node, &done)))
        .collect();

    let mut versions = BTreeMap::from([(Release(1, 1), "probe 1".to_owned())]);
    let mut before = "probe 1".to_owned();
    for round in 0..ROUNDS {
        probe::bump_once(site.nodes[0].address, &format!("bump-{round}"));
        let version = format!("probe {}", char::from(b'a' + round));
        app.patch("probe_handlers.wasm", &before, &version);
        versions.insert(site.origin.push(app.path()).release(), version.clone());
        before = version;
        probe::bump_once(site.nodes[1].address, &format!("bump-again-{round}"));
        let data = probe::data(folder.path(), 1_000 * (i64::from(round) + 1));
        let release = site.origin.push_data(&data, "probe").release();
        site.nodes.iter().for_each(|node| node.wait_for(release, "probe"));
    }
    done.store(true, Ordering::Relaxed);

    let mut seen = Seen::new();
    for visitor in visitors {
        let (theirs, answers) = visitor.join().unwrap();
        assert!(answers > 200, "one visitor got {answers} answers only");
        for ((release, page), body) in theirs {
            let one = seen.entry((release, page)).or_insert_with(|| body.clone());
            assert_eq!(*one, body, "two answers for {page} of {release:?}");
        }
    }
    let releases: Vec<Release> =
        seen.keys().filter(|(_, page)| *page == "/version").map(|(release, _)| *release).collect();
    assert!(releases.len() >= usize::from(ROUNDS), "only these were seen: {releases:?}");
    for release in releases {
        let (_, version) = versions.range(..=release).next_back().unwrap();
        let number = seen.get(&(release, "/pair")).and_then(|body| body.split(' ').next().map(str::to_owned));
        let body = &seen[&(release, "/version")];
        assert!(body.starts_with(version.as_str()), "{release:?} has {version} and said {body}");
        assert!(number.is_none_or(|number| body.ends_with(&format!(" {number}\n"))), "{release:?}: {body}");
    }
    let last = probe::bump_once(site.nodes[0].address, "last");
    assert_eq!(last.n, 1_000 * i64::from(ROUNDS) + 1);
}

/// One visitor on one connection: what each page was in each release, and how many answers there were.
fn visit(node: SocketAddr, done: &AtomicBool) -> (Seen, usize) {
    let mut connection = Connection::open(node).unwrap();
    let mut seen = Seen::new();
    let mut newest = Release(0, 0);
    let mut answers = 0;
    while !done.load(Ordering::Relaxed) {
        for page in PAGES {
            let answer = connection.get(probe::SITE, page).unwrap();
            assert_eq!(answer.status, 200, "{page}: {answer:?}");
            let release = Release::of(&answer);
            assert!(release >= newest, "{page} of {release:?} after {newest:?}");
            newest = release;
            answers += 1;
            if page == "/pair" {
                probe::pair(&answer);
            }
            if page != "/clock" {
                let body = answer.text();
                let one = seen.entry((release, page)).or_insert_with(|| body.clone());
                assert_eq!(*one, body, "two answers for {page} of {release:?}");
            }
        }
    }
    (seen, answers)
}
