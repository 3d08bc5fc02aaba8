//! A route whose instances are reused: what they remember, what ends them, and what is kept of their answers.

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::{replica::Replica, switch::load};
use nearside_protocol::key::SecretKey;
use support::{Node, PAIR, Shelf, app, probe, release};

/// An instance waits there that has served two.
fn visited_twice() -> (Node, Shelf, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    let node = Node::start(&shelf, "probe.localhost");
    assert_eq!((visits(&node), visits(&node)), (1, 2));
    (node, shelf, folder)
}

fn visits(node: &Node) -> u32 {
    let answer = node.get("/visits");
    assert_eq!(
        (answer.status, answer.cache()),
        (200, "nearside; fwd=miss; detail=reuses-instance"),
        "{}",
        answer.text()
    );
    answer.text().trim().parse().unwrap()
}

#[test]
fn one_instance_serves_one_visitor_after_another_and_nothing_is_kept_that_it_does_not_say() {
    let (node, _folder) = probe();
    assert_eq!((1..=20).map(|_| visits(&node)).collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    let kept = node.get("/visits?do=keep");
    assert_eq!((kept.text(), kept.cache()), ("21\n".into(), "nearside; fwd=miss; stored"));
    assert_eq!(node.get("/visits?do=keep").cache(), "nearside; hit");
    assert_eq!(visits(&node), 22);
}

#[test]
fn an_instance_that_failed_or_waited_long_is_not_used_again() {
    let (node, _folder) = probe();
    assert_eq!((visits(&node), visits(&node)), (1, 2));
    assert_eq!(node.get("/visits?do=trap").status, 500);
    assert_eq!((visits(&node), visits(&node)), (1, 2));
    assert_eq!(node.get("/visits?do=spin").status, 504);
    assert_eq!((visits(&node), visits(&node)), (1, 2));

    let began = Instant::now();
    while visits(&node) > 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "it is still there");
        std::thread::sleep(Duration::from_millis(12_600));
    }
}

#[test]
fn those_who_come_at_once_have_an_instance_each() {
    let (node, _folder) = probe();
    let counts: Vec<u32> = std::thread::scope(|scope| {
        let visitors: Vec<_> = (0..8).map(|_| scope.spawn(|| (0..50).map(|_| visits(&node)).max())).collect();
        visitors.into_iter().filter_map(|visitor| visitor.join().unwrap()).collect()
    });
    // None has lost or shared a visit: an instance that two were in at once would have trapped.
    assert!(counts.iter().all(|count| (1..=400).contains(count)), "{counts:?}");
    assert!(counts.iter().any(|count| *count > 1), "{counts:?}");
}

#[test]
fn an_instance_stays_when_rows_change_and_does_not_hold_the_release_it_served() {
    let (node, mut shelf, _folder) = visited_twice();
    let before = Arc::downgrade(&node.host.by_name("probe").unwrap().current().unwrap());

    let manifest = shelf.put(&app("probe"), "INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);");
    let disk = Replica::open(&shelf.data).unwrap().app("probe").unwrap();
    let release = load(&node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
    node.host.switch(release).unwrap();
    let began = Instant::now();
    while before.upgrade().is_some() {
        assert!(began.elapsed() < Duration::from_secs(5), "the release before is held");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(visits(&node), 3);
}

#[test]
fn an_instance_that_began_with_other_variables_is_not_used_again() {
    let (node, shelf, folder) = visited_twice();
    let app = app("probe");
    let disk = Replica::open(&shelf.data).unwrap().app("probe").unwrap();
    let (file, key) = (folder.path().join("seed.db"), SecretKey::from_seed([9; 32]));
    let push = |seq: u64, value: &str| {
        let manifest = release(&disk, &app, &file, PAIR, seq, &key, |manifest| {
            manifest.variables.insert("V".into(), value.into());
        });
        let next = load(&node.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
        node.host.switch(next).unwrap();
        (visits(&node), visits(&node))
    };
    assert_eq!(push(2, "one"), (1, 2));
    assert_eq!(push(3, "two"), (1, 2));
    assert_eq!(push(4, "two"), (3, 4));
}
