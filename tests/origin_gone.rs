//! Processes die. Reads go on, what was acknowledged stays, and whoever comes back catches up.

mod support;

use std::{
    fs,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use support::{
    Node, Site, eventually,
    http::{self, Connection},
    module, packages, probe,
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
        write_is_saved(node);
    }
    let told = probe::command(site.nodes[0].address, "bump", "{}", &[]).text();
    assert!(told.starts_with("error origin: unavailable: "), "{told}");

    // One starts again looking for its origin, the other with none: both have what they serve on their disks.
    for (node, origin) in site.nodes.iter_mut().zip([Some(&site.origin), None]) {
        node.process.kill();
        node.start_again(origin);
        assert!(read(node, "/package/saw").contains("saw"), "from disk");
        assert_eq!(probe::pair(&probe::get(node.address, "/pair")), bumped.n);
    }
    // Who has no origin has nobody to deliver to.
    write_is_saved(&site.nodes[0]);
    write_is_not_taken(&site.nodes[1]);

    site.origin.start_again("");
    site.nodes[1].process.kill();
    site.nodes[1].start_again(Some(&site.origin));
    let next = probe::bump_once(site.nodes[0].address, "next");
    assert_eq!(next.n, bumped.n + 1, "what was acknowledged is there");
    for node in &site.nodes {
        eventually("nodes follow again", || (probe::pair(&probe::get(node.address, "/pair")) == next.n).then_some(()));
    }
}

/// A review may be deferred: it is taken, and whoever wrote it is told where to look.
fn write_is_saved(node: &Node) {
    let headers = [("Accept", "application/json"), ("Content-Type", "application/x-www-form-urlencoded")];
    let form = "author=Ada&rating=5&body=Good.";
    let answer = node.request(packages::SITE, "POST", "/package/saw/reviews", &headers, form);
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.header("location").starts_with("/_write/"), "{answer:?}");
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

/// Whatever page it is: with its origin away, a node answers rightly or not at all; with it, the page is fetched again.
#[test]
fn a_page_damaged_on_disk_is_never_served_and_is_fetched_again() {
    let mut site = Site::probe(&["a"]);
    let bumped = probe::bump(site.nodes[0].address);
    let node = &mut site.nodes[0];
    let settled = |node: &Node| {
        eventually("the bump is there", || {
            let answer = probe::get(node.address, "/pair");
            (answer.status == 200 && probe::pair(&answer) == bumped.n).then_some(())
        });
    };
    settled(node);
    let (mut refused, mut repaired) = (0, 0);
    for slot in 0..used_slots(node) {
        stop(node);
        flip(node, slot);
        node.start_again(None);
        let answer = probe::get(node.address, "/pair");
        match answer.status {
            200 => assert_eq!(probe::pair(&answer), bumped.n, "slot {slot}"),
            _ => refused += 1,
        }
        stop(node);
        node.start_again(Some(&site.origin));
        settled(node);
        repaired += node.status()["scrub"]["repaired_pages"].as_u64().unwrap();
        assert_eq!(node.get(probe::SITE, "/version").status, 200, "slot {slot}");
    }
    println!("{refused} times no answer, {repaired} pages repaired");
    assert!(refused > 0, "no page that was damaged was needed for this answer");
}

#[test]
fn a_node_with_nothing_whole_on_its_disk_serves_nothing_until_its_origin_is_there() {
    let mut site = Site::probe(&["a"]);
    let node = &mut site.nodes[0];
    let bumped = probe::bump(node.address);
    eventually("it is published", || (probe::pair(&probe::get(node.address, "/pair")) == bumped.n).then_some(()));
    stop(node);
    (0..used_slots(node)).for_each(|slot| flip(node, slot));
    node.start_again(None);
    let ready = |node: &Node| http::request(node.admin, "admin", "GET", "/readyz", &[], "").unwrap().status;
    assert!(matches!(probe::get(node.address, "/pair").status, 404 | 503));
    assert_eq!(ready(node), 503);
    stop(node);
    node.start_again(Some(&site.origin));
    eventually("it is ready again, and all that this page needs is repaired", || {
        let answer = probe::get(node.address, "/pair");
        (ready(node) == 200 && answer.status == 200 && probe::pair(&answer) == bumped.n).then_some(())
    });
}

fn stop(node: &mut Node) {
    node.process.ask_to_stop();
    assert_eq!(node.process.end().code(), Some(0), "{}", node.process.log_text());
}

const PAGE_BYTES: u64 = 4_096;

fn slots(node: &Node) -> fs::File {
    let path = node.data().join("apps/probe/pages/slots");
    fs::OpenOptions::new().read(true).write(true).open(path).unwrap()
}

/// Slots up to the last one that something was ever written to.
fn used_slots(node: &Node) -> u64 {
    let file = slots(node);
    let mut page = [0; PAGE_BYTES as usize];
    let is_used = |slot: &u64| {
        file.read_exact_at(&mut page, slot * PAGE_BYTES).unwrap();
        page.iter().any(|byte| *byte != 0)
    };
    (0..64).filter(is_used).last().unwrap() + 1
}

fn flip(node: &Node, slot: u64) {
    let (file, at) = (slots(node), slot * PAGE_BYTES + 4_000);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}
