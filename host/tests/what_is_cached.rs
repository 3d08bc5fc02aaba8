//! What a response was computed from decides whether it is kept.

mod support;

use nearside_protocol::limits::{self, PAGE_BYTES};
use support::{Changed, Node, PAIR, Shelf, app, probe};

#[test]
fn a_hashmap_does_not_switch_the_cache_off_and_the_wall_clock_does() {
    let (node, _folder) = probe();
    let first = node.get("/hashmap");
    let second = node.get("/hashmap");
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!((first.cache(), second.cache()), ("nearside; fwd=miss; stored", "nearside; hit"));
    assert_eq!(first.text(), second.text());

    for (path, reason) in [("/clock", "reads-clock"), ("/random", "reads-random")] {
        for _ in 0..2 {
            let answer = node.get(path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(answer.cache(), format!("nearside; fwd=miss; detail={reason}"));
        }
    }
    assert_eq!(node.get("/all").cache(), "nearside; fwd=miss; detail=sees-all-inputs");
}

#[test]
fn a_handler_sees_what_its_route_declares_and_the_key_has_no_more() {
    let (node, _folder) = probe();
    let secret = [
        ("Cookie", "seen=1; session=secret"),
        ("Authorization", "Bearer secret"),
        ("X-Seen", "yes"),
        ("X-Forwarded-Host", "evil"),
    ];
    let first = node.request("GET", "/echo-inputs?b=2&a=1&utm=x", &secret, "");
    assert_eq!(first.status, 200, "{}", first.text());
    for hidden in ["secret", "evil", "utm", "b=2"] {
        assert!(!first.text().contains(hidden), "{hidden} is seen: {}", first.text());
    }
    assert!(first.text().contains("a=1") && first.text().contains("yes"), "{}", first.text());
    assert!(first.header("cache-control").contains("private"), "{}", first.header("cache-control"));
    assert_eq!(first.header("vary"), "cookie, x-seen");

    let again = [("Cookie", "seen=1; other=5"), ("X-Seen", "yes"), ("User-Agent", "z")];
    assert_eq!(node.request("GET", "/echo-inputs?a=%31", &again, "").cache(), "nearside; hit");
    let other = [("Cookie", "seen=2"), ("X-Seen", "yes")];
    assert_eq!(node.request("GET", "/echo-inputs?a=1", &other, "").cache(), "nearside; fwd=miss; stored");
}

#[test]
fn etags_validate_and_head_has_no_body() {
    let (node, _folder) = probe();
    let whole = node.get("/pair");
    let etag = whole.header("etag").to_owned();
    assert!(etag.starts_with('"') && whole.header("cache-control") == "no-cache");
    let unchanged = node.request("GET", "/pair", &[("If-None-Match", &etag)], "");
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    assert_eq!(unchanged.header("etag"), etag);
    let head = node.request("HEAD", "/pair", &[], "");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), whole.body.len().to_string());
    assert_eq!(node.request("GET", "/pair", &[("If-None-Match", "\"other\"")], "").status, 200);
}

#[test]
fn a_node_without_a_cache_does_not_say_that_it_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    let node = Node::with_cache(&shelf, "probe.localhost", 0);
    for _ in 0..2 {
        assert_eq!(node.get("/hello").cache(), "nearside; fwd=miss; detail=cache-off");
    }
}

#[test]
fn fragments_are_shared_through_the_same_cache() {
    let (node, _folder) = probe();
    let page = node.get("/include");
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("hello") && page.text().contains("7 7"), "{}", page.text());
    assert_eq!(node.get("/hello").cache(), "nearside; hit");
    assert_eq!(node.get("/include").cache(), "nearside; hit");
}

#[test]
fn a_crowd_for_one_page_is_one_render() {
    let (node, _folder) = probe();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let one = || scope.spawn(|| node.get("/slow?ms=300"));
        let crowd: Vec<_> = (0..30).map(|_| one()).collect();
        crowd.into_iter().map(|visitor| visitor.join().unwrap()).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 200));
    let stored = answers.iter().filter(|answer| answer.cache().contains("stored")).count();
    assert_eq!(stored, 1, "{:?}", answers.iter().map(|answer| answer.cache().to_owned()).collect::<Vec<_>>());
}

#[test]
fn a_node_starts_from_its_disk_and_a_damaged_page_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&app("probe"), PAIR);
    shelf.put(&app("probe"), "INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);");
    let pair = |shelf: &Shelf| Node::start(shelf, "probe.localhost").get("/pair");
    assert_eq!(pair(&shelf).header("nearside-release"), "1.2");
    assert!(pair(&shelf).text().contains("8 8"));

    let slots = shelf.data.join("apps/probe/pages/slots");
    let whole = std::fs::read(&slots).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap() / PAGE_BYTES + 1;
    let mut refused = 0;
    for page in 0..used {
        let mut flipped = whole.clone();
        flipped[page * PAGE_BYTES + PAGE_BYTES / 2] ^= 1;
        std::fs::write(&slots, flipped).unwrap();
        let answer = pair(&shelf);
        match answer.status {
            // Right, from whichever of the two can be read.
            200 if answer.header("nearside-release") == "1.2" => assert!(answer.text().contains("8 8"), "page {page}"),
            200 => assert!(answer.text().contains("7 7"), "page {page}"),
            404 | 500..600 => refused += 1,
            other => panic!("page {page}: {other}"),
        }
    }
    assert!(refused > 0, "some of {used} pages are read for it");
    std::fs::write(&slots, whole).unwrap();
    assert_eq!(pair(&shelf).header("nearside-release"), "1.2");
}

#[test]
fn what_is_good_for_a_while_says_how_much_of_that_is_over() {
    let (node, _folder) = probe();
    let first = node.get("/wait?keep=1");
    assert_eq!((first.cache(), first.header("age")), ("nearside; fwd=miss; stored", "0"));
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let again = node.get("/wait?keep=1");
    assert_eq!((again.cache(), again.header("age")), ("nearside; hit", "1"));
    let unchanged = node.request("GET", "/wait?keep=1", &[("If-None-Match", again.header("etag"))], "");
    assert_eq!((unchanged.status, unchanged.header("age")), (304, "1"));
    // As long as its release stands it is as good as new.
    for _ in 0..2 {
        assert_eq!(node.get("/hello").header("age"), "");
    }
}

#[test]
fn a_page_whose_fragment_is_too_large_is_not_kept_without_it() {
    let large = "SELECT printf('%.*c', 1200000 + ?1, 'x') AS x";
    let queries =
        format!("-- name: count\nSELECT 1 AS n;\n-- name: small\nSELECT ?1 AS n;\n-- name: point\n{large};\n");
    let (node, _folder) = Changed::probe().with_files(&[("queries.sql", &queries)]).start();
    for _ in 0..2 {
        let page = node.get("/compose/small?p=7");
        assert_eq!((page.status, page.text().as_str()), (200, "n\n7\nn\n1\n"));
        assert_eq!(page.cache(), "nearside; fwd=miss; detail=met-failure");
    }
}

#[test]
fn pages_include_each_other_so_deep_and_no_deeper() {
    let (node, _folder) = probe();
    assert_eq!(node.get("/include-loop").status, 500);
    let counts = &node.host.by_name("probe").unwrap().current().unwrap().counts;
    let work = counts.counts().work;
    assert_eq!((work.renders, work.included_renders), (1, limits::INCLUDE_DEPTH as u64));
}
