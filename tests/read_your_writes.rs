//! Who writes sees it at once, at every node; everyone else soon.
//!
//! `NEARSIDE_PAIRS` says how many pairs of a write and a read there are among nodes of which one is behind; a few hundred when
//! it is not set.

mod support;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use support::{
    Node, Site, eventually,
    http::{self, Answer},
    mirror::{Fate, Mirror},
    probe::{self, Bumped},
};

/// Written at one node, shown at every other.
const EVERYWHERE: Duration = Duration::from_secs(2);
const VISITORS: usize = 8;
const WRITES_EACH: usize = 25;
const PAIRS_UNASKED: usize = 400;
const HOPPERS: usize = 16;
/// How late one of three nodes hears of releases.
const BEHIND: Duration = Duration::from_secs(2);
/// Between a write and its read: some find the release there, some wait for it, some are too early for it.
const PAUSES_MS: [u64; 5] = [0, 20, 150, 400, 1_500];

fn pairs() -> usize {
    let asked = std::env::var("NEARSIDE_PAIRS");
    asked.map_or(PAIRS_UNASKED, |count| count.parse().expect("NEARSIDE_PAIRS is a number"))
}

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

/// How reads with a receipt were answered.
#[derive(Default, Debug)]
struct Shares {
    locally: AtomicUsize,
    waited: AtomicUsize,
    origin: AtomicUsize,
    /// Behind, and told so: the origin was too busy to render.
    told: AtomicUsize,
}

impl Shares {
    /// The number that is shown to whoever holds this receipt, in the end; what is less than they wrote must say so.
    fn read(&self, node: SocketAddr, bumped: &Bumped, by_header: bool) -> i64 {
        let cookie = bumped.cookie();
        let shows = if by_header { ("Nearside-Receipt", bumped.receipt.as_str()) } else { ("Cookie", cookie.as_str()) };
        eventually("the page has the visitor's own write", || {
            let answer = http::request(node, probe::SITE, "GET", "/pair", &[shows], "").unwrap();
            let shown = probe::pair(&answer);
            let share = match () {
                () if !answer.header("nearside-behind").is_empty() => &self.told,
                () if answer.cache().contains("detail=receipt") => &self.origin,
                () if answer.headers().iter().any(|(name, at)| name == "server-timing" && at.contains("receipt;")) => {
                    &self.waited
                }
                () => &self.locally,
            };
            share.fetch_add(1, Ordering::Relaxed);
            let is_told = std::ptr::eq(share, &self.told);
            assert!(is_told || shown >= bumped.n, "wrote {}, was shown {shown}: {answer:?}", bumped.n);
            (shown >= bumped.n).then_some(shown)
        })
    }
}

#[test]
fn nobody_reads_less_than_they_wrote_though_a_node_is_behind() {
    let site = Site::probe(&["a", "b"]);
    let slow = Mirror::of(site.origin.address);
    slow.chooses(|path| if path == "/v1/heads" { Fate::After(BEHIND) } else { Fate::Passes });
    let url = format!("http://{}", slow.address);
    let c = Node::start_at(site.folder.path(), "c", &url, &site.origin.token_file());
    c.wait_for_apps(1);
    let nodes = [site.nodes[0].address, site.nodes[1].address, c.address];
    let (started, shares, pairs) = (Instant::now(), Shares::default(), pairs());
    std::thread::scope(|scope| {
        for hopper in 0..HOPPERS {
            let shares = &shares;
            scope.spawn(move || {
                let mut seen = 0;
                for at in (hopper..pairs).step_by(HOPPERS) {
                    let bumped = probe::bump_once(nodes[at % 3], &format!("pair-{at}"));
                    assert!(bumped.n > seen);
                    let pause = PAUSES_MS[(at / HOPPERS + hopper) % PAUSES_MS.len()];
                    std::thread::sleep(Duration::from_millis(pause));
                    // At one of the other two; the one that is behind has its turn at each.
                    seen = shares.read(nodes[(at + 1 + at / 3 % 2) % 3], &bumped, at % 2 == 0);
                }
            });
        }
    });
    let [locally, waited, origin, told] =
        [&shares.locally, &shares.waited, &shares.origin, &shares.told].map(|share| share.load(Ordering::Relaxed));
    println!(
        "{pairs} pairs in {} s, 0 below the receipt: {locally} served locally, {waited} waited, {origin} taken from the origin, {told} told that they are behind",
        started.elapsed().as_secs()
    );
    assert_eq!(locally + waited + origin, pairs);
    assert!(locally > 0 && origin > 0, "the pauses do not meet all ways");
    assert_eq!(probe::bump_once(nodes[0], "last").n, pairs as i64 + 1);
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
