//! Nodes and origins killed without a word at any moment: what they had is whole, and they go on from there.
//!
//! `NEARSIDE_KILLS` says how often; a few times when it is not set.

mod support;

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use nearside_host::{disk::Disk, pages::PageStore};
use support::{Node, Site, app::module, eventually, node::Release, packages, probe, process};

const KILLS_UNASKED: usize = 8;
/// From the start of a killed node to its first answer.
const BACK_WITHIN: Duration = Duration::from_secs(1);

fn kills() -> usize {
    std::env::var("NEARSIDE_KILLS")
        .ok()
        .map_or(KILLS_UNASKED, |count| count.parse().expect("NEARSIDE_KILLS is a number"))
}

/// Moments that are others each time and the same in each run.
struct Moments(u64);

impl Moments {
    fn below(&mut self, most: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        most.mul_f64((self.0 >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// Hashes every page of every release a store keeps, in a copy, so that whoever starts next finds what the kill left.
/// Gives the newest release.
fn intact(store: &Path) -> Option<Release> {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(store).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let store = PageStore::open(copy.path(), Disk::real()).unwrap();
    let kept = store.kept();
    for release in &kept {
        (0..release.table.pages()).for_each(|page| release.table.scrub(page).unwrap());
    }
    kept.last().map(|kept| Release(kept.release.epoch, kept.release.seq))
}

#[test]
fn a_killed_node_is_back_at_once_with_an_intact_release() {
    let folder = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..3_000).map(|number| format!("package-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let catalogue = packages::catalogue(folder.path(), &names);
    let mut site = Site::start(&[&module("packages")], &[]);
    let first = site.origin.push_data(&catalogue, "packages").release();
    let mut node = Node::start(site.folder.path(), "a", Some(&site.origin));
    node.wait_for_apps(1);
    node.wait_for(first, "packages");
    let whole_copy = node.status()["pulled_bytes"].as_u64().unwrap();

    let done = Arc::new(AtomicBool::new(false));
    let pusher = {
        let (done, url, token) = (done.clone(), site.origin.url(), site.origin.token_file());
        std::thread::spawn(move || {
            let mut pushes = 0;
            while !done.load(Ordering::Relaxed) {
                pushes += 1;
                let rows = "UPDATE package SET version = ?1 WHERE rowid % 15 = ?2";
                rusqlite::Connection::open(&catalogue).unwrap().execute(rows, (pushes, pushes % 15)).unwrap();
                let file = process::text(&catalogue);
                let arguments =
                    ["push", file, "--app", "packages", "--origin", &url, "--token-file", process::text(&token)];
                process::run(&arguments).went_well();
            }
            pushes
        })
    };

    let mut moments = Moments(0x2545_f491_4f6c_dd1d);
    let (mut slowest, mut most_pulled, mut seen) = (Duration::ZERO, 0, first);
    for kill in 0..kills() {
        std::thread::sleep(moments.below(Duration::from_millis(250)));
        let served = node.release("packages").unwrap_or(seen);
        most_pulled =
            most_pulled.max(node.status()["pulled_bytes"].as_u64().unwrap_or(0).saturating_sub(if kill == 0 {
                whole_copy
            } else {
                0
            }));
        node.process.kill();
        let kept = intact(&node.data().join("apps/packages/pages"));
        assert!(kept >= Some(served.max(seen)), "kill {kill}: {kept:?} is kept, {served:?} was served");
        let started = Instant::now();
        node.start_again(Some(&site.origin));
        let answer = node.get(packages::SITE, "/package/package-7");
        let took = started.elapsed();
        assert_eq!(answer.status, 200, "kill {kill}: {answer:?}");
        assert!(Some(Release::of(&answer)) >= kept, "kill {kill}: {kept:?} was kept");
        assert!(took < BACK_WITHIN, "kill {kill}: {took:?}");
        (slowest, seen) = (slowest.max(took), Release::of(&answer));
    }
    done.store(true, Ordering::Relaxed);
    let pushes = pusher.join().unwrap();
    let last = site.origin.push(&module("packages")).release();
    node.wait_for(last, "packages");
    let status = node.status();
    assert_eq!(status["refusals"], serde_json::json!({}), "{status}");
    assert!(most_pulled < whole_copy / 2, "{most_pulled} bytes pulled after a start; a whole copy has {whole_copy}");
    println!(
        "{} kills among {pushes} pushes, the last release {last:?}: back within {} ms, at most {most_pulled} bytes pulled after a start (a whole copy: {whole_copy})",
        kills(),
        slowest.as_millis()
    );
    site.origin.process.kill();
}

#[test]
fn a_killed_origin_leaves_no_torn_release_and_no_lost_write() {
    let mut site = Site::probe(&["a"]);
    let done = Arc::new(AtomicBool::new(false));
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..2)
        .map(|writer| {
            let (done, acknowledged, node) = (done.clone(), acknowledged.clone(), site.nodes[0].address);
            std::thread::spawn(move || {
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    // Again under the same key until it is taken: each is done once.
                    let key = format!("writer-{writer}-{number}");
                    while !probe::try_bump(node, &key).is_ok_and(|answer| probe::read_bump(&answer).is_some()) {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();

    // Publishes at once whatever was written, over and over, so that a kill meets a publish.
    let publisher = {
        let (done, url, token) = (done.clone(), site.origin.url(), site.origin.token_file());
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                process::run(&["resume", "--app", "probe", "--origin", &url, "--token-file", process::text(&token)]);
            }
        })
    };

    let mut moments = Moments(0x9e37_79b9_7f4a_7c15);
    let mut newest = None;
    for kill in 0..kills() {
        std::thread::sleep(moments.below(Duration::from_millis(400)));
        site.origin.process.kill();
        let kept = intact(&site.origin.data().join("apps/probe/pages"));
        assert!(kept >= newest, "kill {kill}: {kept:?} is kept, {newest:?} was");
        newest = kept;
        site.origin.start_again("");
        probe::pair(&probe::get(site.nodes[0].address, "/pair"));
    }
    done.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    publisher.join().unwrap();
    assert!(newest > Some(Release(1, kills() as u64 / 2)), "{newest:?}: kills met too few publishes");

    let last = probe::bump_once(site.nodes[0].address, "last");
    assert_eq!(last.n as usize, acknowledged.load(Ordering::Relaxed) + 1, "each acknowledged write is there, once");
    let fresh = Node::start(site.folder.path(), "fresh", Some(&site.origin));
    fresh.wait_for_apps(1);
    for node in [&site.nodes[0], &fresh] {
        eventually("the last write is at every node", || {
            (probe::pair(&probe::get(node.address, "/pair")) == last.n).then_some(())
        });
        assert_eq!(node.status()["refusals"], serde_json::json!({}), "{}", node.status());
    }
    println!("{} kills, {} acknowledged writes, the last release {:?}", kills(), last.n, fresh.release("probe"));
}
