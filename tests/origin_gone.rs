//! Processes die. Reads go on, what was acknowledged stays, and whoever comes back catches up.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use support::{
    Node, Site, eventually,
    http::{self, Connection},
    module,
    node::Release,
    packages, probe,
};

#[test]
fn without_its_origin_every_node_goes_on_reading_and_says_that_it_cannot_write() {
    let mut site = Site::start(&[&module("packages"), &module("probe")], &["a", "b"]);
    let catalogue = packages::catalogue(site.folder.path(), &["hammer", "saw"]);
    let release = site.origin.push_data(&catalogue, "packages").release();
    site.nodes.iter().for_each(|node| node.wait_for(release, "packages"));
    let read = |node: &Node, path: &str| {
        let answer = node.get(packages::SITE, path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.text()
    };
    site.nodes.iter().for_each(|node| drop(read(node, "/package/hammer")));
    let bumped = probe::bump(site.nodes[0].address);
    site.nodes.iter().for_each(|node| {
        eventually("the bump is at every node", || {
            (probe::pair(&probe::get(node.address, "/pair")) == bumped.n).then_some(())
        })
    });

    site.origin.process.kill();
    for node in &site.nodes {
        assert!(read(node, "/package/hammer").contains("hammer"), "kept");
        assert!(read(node, "/package/saw").contains("saw"), "never rendered before");
        assert!(read(node, "/search?q=saw").contains("saw"), "never asked before");
        assert_eq!(probe::own_pair(node.address, &bumped), bumped.n);
        write_is_not_taken(node);
    }
    let told = probe::command(site.nodes[0].address, "bump", "{}", &[]).text();
    assert!(told.starts_with("error origin: unavailable: "), "{told}");

    // One starts again looking for its origin, the other with none: both have what they serve on their disks.
    for (node, origin) in site.nodes.iter_mut().zip([Some(&site.origin), None]) {
        node.process.kill();
        node.start_again(origin);
        assert!(read(node, "/package/saw").contains("saw"), "from disk");
        assert_eq!(probe::pair(&probe::get(node.address, "/pair")), bumped.n);
        write_is_not_taken(node);
    }

    site.origin.start_again("");
    site.nodes[1].process.kill();
    site.nodes[1].start_again(Some(&site.origin));
    let next = probe::bump_once(site.nodes[0].address, "next");
    assert_eq!(next.n, bumped.n + 1, "what was acknowledged is there");
    for node in &site.nodes {
        eventually("nodes follow again", || (probe::pair(&probe::get(node.address, "/pair")) == next.n).then_some(()));
    }
}

/// A program that writes is told by a problem document, a person by a page; both are told when to come again.
fn write_is_not_taken(node: &Node) {
    let form = "author=Ada&rating=5&body=Good.";
    let review = |accept: &str| {
        let headers = [("Accept", accept), ("Content-Type", "application/x-www-form-urlencoded")];
        let answer = node.request(packages::SITE, "POST", "/package/saw/reviews", &headers, form);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").parse::<u32>().is_ok(), "{answer:?}");
        assert_eq!(answer.header("nearside-receipt"), "", "nothing was written");
        answer
    };
    let problem = review("application/json");
    assert_eq!(problem.header("content-type"), "application/problem+json");
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&problem.body).unwrap()["status"], 503);
    let page = review("text/html");
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
    assert!(page.text().contains("Good."), "the words are still in the form");
}

#[test]
fn who_wrote_what_the_node_lacks_is_told_so_while_the_origin_is_gone() {
    let mut site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    probe::bump(a);
    // Killed before it publishes, most times; when it was quicker, there is nothing to be told.
    let bumped = probe::bump(a);
    site.origin.process.kill();
    let answer = http::request(a, probe::SITE, "GET", "/pair", &[("Cookie", &bumped.cookie())], "").unwrap();
    let behind = if probe::pair(&answer) < bumped.n { "receipt" } else { "" };
    assert_eq!(answer.header("nearside-behind"), behind, "{answer:?}");

    site.origin.start_again("");
    eventually("the author sees it again", || {
        let answer = http::request(a, probe::SITE, "GET", "/pair", &[("Cookie", &bumped.cookie())], "").unwrap();
        (probe::pair(&answer) == bumped.n && answer.header("nearside-behind").is_empty()).then_some(())
    });
}

#[test]
fn what_was_acknowledged_is_applied_once_whenever_the_origin_dies() {
    const WRITERS: usize = 4;
    let mut site = Site::probe(&["a", "b"]);
    let nodes = [site.nodes[0].address, site.nodes[1].address];
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| (writer, done.clone()))
        .map(|(writer, done)| {
            std::thread::spawn(move || {
                let write = |at: usize| probe::bump_once(nodes[(writer + at) % 2], &format!("{writer}-{at}")).n;
                (0..).take_while(|_| !done.load(Ordering::Relaxed)).map(write).collect::<Vec<i64>>()
            })
        })
        .collect();
    for pause_ms in [300, 50, 150, 400] {
        std::thread::sleep(Duration::from_millis(pause_ms));
        site.origin.process.kill();
        site.origin.start_again("");
    }
    std::thread::sleep(Duration::from_millis(300));
    done.store(true, Ordering::Relaxed);
    let mut told: Vec<i64> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
    told.sort();
    assert!(told.len() > 4 * WRITERS, "{} writes only", told.len());
    assert_eq!(told, (1..=told.len() as i64).collect::<Vec<_>>(), "each was applied once, none is missing");
    assert_eq!(probe::bump_once(nodes[0], "last").n, told.len() as i64 + 1);
}

#[test]
fn a_node_killed_in_the_middle_of_pushes_serves_a_whole_release_when_it_is_back() {
    const KILLS: u64 = 10;
    let folder = tempfile::tempdir().unwrap();
    let app = probe::taking_data(&folder.path().join("app"));
    // Some megabytes, so that a pull takes a moment.
    app.append("snapshot.sql", FILLER);
    let mut site = Site::start(&[app.path()], &["a"]);
    let (origin, node) = (&site.origin, &mut site.nodes[0]);
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        // A failure ends the pushes too.
        let stop = Stop(&done);
        let pushes = scope.spawn(|| {
            let push = |n: i64| origin.push_data(&probe::data(folder.path(), n), "probe").release();
            (1..).take_while(|_| !done.load(Ordering::Relaxed)).map(push).last()
        });
        for round in 0..KILLS {
            let started = Instant::now();
            let mut newest = Release(0, 0);
            // At times in the middle of a pull, at times whenever.
            while if round % 2 == 0 { !is_pulling(node) } else { started.elapsed() < Duration::from_millis(40 * round) }
            {
                let answer = probe::get(node.address, "/pair");
                probe::pair(&answer);
                newest = newest.max(Release::of(&answer));
                assert!(started.elapsed() < support::PATIENCE, "nothing is pulled");
            }
            node.process.kill();
            node.start_again(Some(origin));
            let answer = probe::get(node.address, "/pair");
            probe::pair(&answer);
            assert!(Release::of(&answer) >= newest, "it served {newest:?} before: {answer:?}");
        }
        drop(stop);
        pushes.join().unwrap().unwrap()
    });
    node.wait_for(last, "probe");
    let left = fs::read_dir(node.data().join("apps/probe/snapshots")).unwrap().count();
    assert!(left <= 2, "{left} snapshots are kept");
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

const FILLER: &str = "
    CREATE TABLE filler (id INTEGER PRIMARY KEY, text TEXT);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
    INSERT INTO filler SELECT i, hex(zeroblob(1900)) FROM n;
";

fn is_pulling(node: &Node) -> bool {
    let snapshots = fs::read_dir(node.data().join("apps/probe/snapshots")).unwrap();
    snapshots.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "tmp"))
}

#[test]
fn who_is_asked_to_stop_finishes_what_is_under_way() {
    let mut site = Site::probe(&["a", "b"]);
    let node = &mut site.nodes[0];
    let mut busy = Connection::open(node.address).unwrap();
    let mut idle = Connection::open(node.address).unwrap();
    for connection in [&mut busy, &mut idle] {
        assert_eq!(connection.get(probe::SITE, "/hello").unwrap().status, 200);
    }
    let slow = std::thread::spawn(move || busy.get(probe::SITE, "/slow?ms=1000").unwrap());
    std::thread::sleep(Duration::from_millis(400));
    let asked = Instant::now();
    node.process.ask_to_stop();
    let answer = slow.join().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "slept 1000 ms\n"));
    assert_eq!(node.process.end().code(), Some(0), "{}", node.process.log_text());
    // It would wait ten seconds for a connection that does not end.
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?}", asked.elapsed());

    let asked = Instant::now();
    site.origin.process.ask_to_stop();
    assert_eq!(site.origin.process.end().code(), Some(0), "{}", site.origin.process.log_text());
    assert!(asked.elapsed() < Duration::from_secs(8), "it took {:?} with a node waiting for news", asked.elapsed());
}

type Damage = fn(&Path);

#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before_until_it_is_pulled_again() {
    let mut site = Site::probe(&["a"]);
    let damages: [(&str, Damage); 4] = [
        ("a byte is another", |file| change(file, |bytes| bytes[5_000] ^= 1)),
        ("it ends early", |file| change(file, |bytes| bytes.truncate(bytes.len() - 4_096))),
        ("it ends within a page", |file| change(file, |bytes| bytes.truncate(100))),
        ("it is gone", |file| fs::remove_file(file).unwrap()),
    ];
    for (what, damage) in damages {
        let node = &mut site.nodes[0];
        // Two releases that are not alike.
        let n = [(); 2].map(|()| {
            let bumped = probe::bump(node.address);
            eventually("it is published", || {
                (probe::pair(&probe::get(node.address, "/pair")) == bumped.n).then_some(())
            });
            bumped.n
        });
        stop(node);
        let [newest, before] = &snapshots(node)[..] else { panic!("two releases expected") };
        damage(&newest.1);

        node.start_again(None);
        let answer = probe::get(node.address, "/pair");
        assert_eq!((probe::pair(&answer), Release::of(&answer)), (n[0], before.0), "{what}");
        assert!(node.process.log_text().contains("trying the one before"), "{}", node.process.log_text());

        stop(node);
        node.start_again(Some(&site.origin));
        eventually(what, || (Release::of(&probe::get(node.address, "/pair")) >= newest.0).then_some(()));
        assert_eq!(probe::pair(&probe::get(node.address, "/pair")), n[1], "{what}");
    }
}

#[test]
fn a_node_with_nothing_whole_on_its_disk_serves_nothing_until_its_origin_is_there() {
    let mut site = Site::probe(&["a"]);
    let node = &mut site.nodes[0];
    let bumped = probe::bump(node.address);
    eventually("it is published", || (probe::pair(&probe::get(node.address, "/pair")) == bumped.n).then_some(()));
    stop(node);
    snapshots(node).iter().for_each(|(_, file)| change(file, |bytes| bytes.fill(0)));
    node.start_again(None);
    let ready = |node: &Node| http::request(node.admin, "admin", "GET", "/readyz", &[], "").unwrap().status;
    assert!(matches!(probe::get(node.address, "/pair").status, 404 | 503));
    assert_eq!(ready(node), 503);
    stop(node);
    node.start_again(Some(&site.origin));
    eventually("it is ready again", || (ready(node) == 200).then_some(()));
    assert_eq!(probe::pair(&probe::get(node.address, "/pair")), bumped.n);
}

fn stop(node: &mut Node) {
    node.process.ask_to_stop();
    assert_eq!(node.process.end().code(), Some(0), "{}", node.process.log_text());
}

/// The probe's releases on a node's disk and their snapshots, the newest first.
fn snapshots(node: &Node) -> Vec<(Release, PathBuf)> {
    let app = node.data().join("apps/probe");
    let mut found: Vec<(Release, PathBuf)> = fs::read_dir(app.join("releases"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let signed: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let manifest: serde_json::Value = serde_json::from_str(signed["manifest"].as_str().unwrap()).unwrap();
            let release = Release::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
            (release, app.join(format!("snapshots/{}.db", manifest["root"].as_str().unwrap())))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found
}

fn change(file: &Path, how: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    how(&mut bytes);
    fs::write(file, bytes).unwrap();
}
