//! Who writes sees it at once, at every node; everyone else soon.

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use support::{
    Site, eventually,
    http::{self, Answer},
    probe,
};

/// Written at one node, shown at every other.
const EVERYWHERE: Duration = Duration::from_secs(2);
const VISITORS: usize = 8;
const WRITES_EACH: usize = 25;

#[test]
fn a_write_is_shown_to_its_author_at_once_and_to_everyone_soon() {
    let site = Site::probe(&["a", "b"]);
    let [a, b] = [site.nodes[0].address, site.nodes[1].address];
    let mut took: Vec<Duration> = (0..5)
        .map(|_| {
            let written = Instant::now();
            let bumped = probe::bump(a);
            assert_eq!(probe::own_pair(a, &bumped), bumped.n);
            assert_eq!(probe::own_pair(b, &bumped), bumped.n);
            let shown = || (probe::pair(&probe::get(b, "/pair")) >= bumped.n).then_some(());
            eventually("others see it at b", shown);
            written.elapsed()
        })
        .collect();
    took.sort();
    assert!(took[2] < EVERYWHERE, "most writes took longer: {took:?}");
}

#[test]
fn a_browser_gets_the_receipt_as_a_cookie_and_a_program_as_a_header() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let answer = probe::try_bump(a, "k").unwrap();
    let receipt = answer.header("nearside-receipt").to_owned();
    let cookie = answer.header("set-cookie");
    assert!(!receipt.is_empty() && cookie.starts_with(&format!("nearside-receipt={receipt};")), "{answer:?}");
    for attribute in ["Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let by_header = http::request(a, probe::SITE, "GET", "/pair", &[("Nearside-Receipt", &receipt)], "").unwrap();
    assert_eq!((probe::pair(&by_header), by_header.header("nearside-behind")), (1, ""));
}

#[test]
fn visitors_who_hop_between_nodes_never_see_less_than_they_wrote() {
    let site = Site::probe(&["a", "b"]);
    let nodes = [site.nodes[0].address, site.nodes[1].address];
    let visitors: Vec<_> = (0..VISITORS).map(|visitor| std::thread::spawn(move || hop(nodes, visitor))).collect();
    visitors.into_iter().for_each(|visitor| visitor.join().unwrap());
    let last = probe::bump_once(nodes[0], "last");
    assert_eq!(last.n, (VISITORS * WRITES_EACH) as i64 + 1);
}

/// Writes at one node and reads at the other, then the other way round; between two writes nothing gets older.
fn hop(nodes: [SocketAddr; 2], visitor: usize) {
    let mut seen = 0;
    for at in 0..WRITES_EACH {
        let (here, there) = (nodes[(visitor + at) % 2], nodes[(visitor + at + 1) % 2]);
        let bumped = probe::bump_once(here, &format!("{visitor}-{at}"));
        for node in [there, here] {
            let shown = probe::own_pair(node, &bumped);
            assert!(shown >= bumped.n && shown > seen, "wrote {}, was shown {shown}, had seen {seen}", bumped.n);
        }
        seen = bumped.n;
    }
}

#[test]
fn a_receipt_that_fits_nothing_is_answered_and_told_so() {
    let site = Site::probe(&["a"]);
    let a = site.nodes[0].address;
    let own = probe::bump(a).receipt;
    let (own, _) = own.rsplit_once('.').unwrap();
    let (database, _) = own.split_once('.').unwrap();
    for (receipt, behind) in [
        ("elsewhere.1.1".to_owned(), "lost-receipt"),
        (format!("{database}.99.1"), "lost-receipt"),
        (format!("{database}.0.1"), "lost-receipt"),
        (format!("{own}.999999999"), "receipt"),
        (format!("{own}.18446744073709551615"), "receipt"),
        (format!("{own}.18446744073709551616"), ""),
        ("nonsense".to_owned(), ""),
        ("..".to_owned(), ""),
        (format!("{own}.1.1"), ""),
        ("x".repeat(8_000), ""),
    ] {
        let cookie = format!("a=b; nearside-receipt={receipt}; c=d");
        for header in [("Nearside-Receipt", receipt.as_str()), ("Cookie", &cookie)] {
            let answer = http::request(a, probe::SITE, "GET", "/pair", &[header], "").unwrap();
            assert_eq!(answer.header("nearside-behind"), behind, "{header:?}: {answer:?}");
            assert!(is_whole(&answer), "{header:?}: {answer:?}");
        }
    }
}

fn is_whole(answer: &Answer) -> bool {
    (0..=1).contains(&probe::pair(answer))
}
