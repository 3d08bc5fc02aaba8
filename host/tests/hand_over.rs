//! A node that has no place for a render has a sibling make it: for everybody's pages only, one hop, and as exactly as if it had
//! made them itself.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use nearside_host::{
    admin::{self, Admin},
    archive::Archive,
    engine::Engine,
    follow,
    gate::Gate,
    hand_over::HandOver,
    host::Host,
    logbook::Logbook,
    logs::Logs,
    origin_client::NoOrigin,
    peer::Peer,
    queue::{Load, Place},
    replica::Replica,
    serve,
    switch::load,
};
use nearside_protocol::{
    canary::Candidacy,
    class::Class,
    digest::Digest,
    hand_over::{self as wire, Asked, NotTaken, Outcome, SealKey, Told},
    heartbeat::{Declared, Sibling, SiblingSecret, Siblings},
    key::SecretKey,
    limits,
    release::{DatabaseId, FORMAT_OF_CANDIDATES, Manifest, ReleaseId},
    trust::TrustedKey,
};
use support::{Changed, PAIR, http, http::Answer, release};

const SITE: &str = "probe.localhost";
const TOKEN: &str = "the-token";

/// A node of a fleet, in this process.
struct Member {
    name: &'static str,
    visitors: SocketAddr,
    admin: SocketAddr,
    host: Arc<Host>,
    archive: Archive,
    seq: u64,
    folder: tempfile::TempDir,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Member {
    fn start(name: &'static str, token: &str) -> Member {
        Member::serving(name, token, Changed::probe().archive())
    }

    fn serving(name: &'static str, token: &str, archive: Archive) -> Member {
        let folder = tempfile::tempdir().unwrap();
        let replica = Replica::open(folder.path()).unwrap();
        let key = SecretKey::from_seed([9; 32]);
        replica.trusted().add(&TrustedKey::with_both(key.public())).unwrap();
        let engine = Engine::start(&replica.compiled()).unwrap();
        let cores = Load { cores: 1, ..Load::default() };
        let host = Host::under(cores, name, engine, 64, Arc::new(NoOrigin)).unwrap();
        let host = host.with_hand_over(HandOver::default());
        host.in_fleet.heard(Siblings { secret: Some(SiblingSecret(token.into())), ..Siblings::default() });
        follow::start_from_disk(&host, &replica).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let bind = || runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let (for_visitors, for_operators) = (bind(), bind());
        let (visitors, admin) = (for_visitors.local_addr().unwrap(), for_operators.local_addr().unwrap());
        runtime.spawn(serve::serve(host.clone(), for_visitors, std::future::pending()));
        let operators = Admin {
            host: host.clone(),
            origin: None,
            logs: Logs::new(Logbook::new()),
            replica: replica.clone(),
            peer: Peer::new(replica, Some(token)),
            gate: Gate::default(),
            max_staleness: None,
        };
        runtime.spawn(admin::serve(Arc::new(operators), for_operators, std::future::pending()));
        let mut member = Member { name, visitors, admin, host, archive, seq: 0, folder, runtime: Some(runtime) };
        member.push(PAIR);
        member
    }

    fn push(&mut self, seed: &str) {
        self.push_as(seed, |_| {});
    }

    /// Serves the next release, its database filled by `seed`.
    fn push_as(&mut self, seed: &str, change: impl FnOnce(&mut Manifest)) {
        self.seq += 1;
        let disk = Replica::open(self.folder.path()).unwrap().app("probe").unwrap();
        let (file, key) = (self.folder.path().join("seed.db"), SecretKey::from_seed([9; 32]));
        let manifest = release(&disk, &self.archive, &file, seed, self.seq, &key, |manifest| {
            manifest.fingerprint = Digest::of(b"the same tables");
            change(manifest);
        });
        let next = load(&self.host, &disk, manifest, disk.pages().newest().unwrap().table).unwrap();
        self.host.switch(next).unwrap();
    }

    /// As the origin tells others of it.
    fn as_sibling(&self) -> Sibling {
        Sibling {
            node: self.name.into(),
            declared: Declared { admin: Some(format!("http://{}", self.admin)), ..Declared::default() },
            is_serving: true,
            heard_ms_ago: 0,
            load: self.host.load(),
            cpu_share: None,
            releases: self.host.heads(),
        }
    }

    fn hears_of(&self, siblings: Vec<Sibling>) {
        self.host.in_fleet.heard(Siblings { siblings, secret: None });
    }

    fn get(&self, path: &str) -> Answer {
        self.request(path, &[])
    }

    fn request(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        http::request(self.visitors, SITE, "GET", path, headers, "").unwrap()
    }

    /// Until this is dropped every place that a page could have is taken.
    fn full(&self) -> Vec<Arc<Place>> {
        // A guest is gone a moment after its response.
        let began = Instant::now();
        while self.host.status(None).queue.under_way > 0 {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(1));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let place = || runtime.block_on(self.host.queue.place(Class::Page, Duration::ZERO)).ok();
        let places: Vec<_> = std::iter::from_fn(place).collect();
        assert!(!places.is_empty());
        places
    }

    fn handed(&self) -> BTreeMap<String, u64> {
        counted(self.host.status(None).handed)
    }

    fn taken(&self) -> BTreeMap<String, u64> {
        counted(self.host.status(None).taken)
    }

    /// Puts a question to it as a sibling does; the status, and what is told.
    fn put(&self, body: &[u8], seal: Option<&str>) -> (u16, Option<Told>) {
        let mut head = format!("POST {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", wire::PATH);
        if let Some(seal) = seal {
            head += &format!("{}: {seal}\r\n", wire::SEAL_HEADER);
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let answer = http::raw(self.admin, &[head.as_bytes(), body].concat()).unwrap();
        let told = (answer.status == 200).then(|| wire::decode(&answer.body).unwrap().0);
        (answer.status, told)
    }

    fn question(&self, path: &str, headers: &[(&str, &str)]) -> Asked {
        let manifest = self.host.by_name("probe").unwrap().current().unwrap().manifest.clone();
        Asked {
            nonce: [1; 16],
            from: "a".into(),
            to: self.name.into(),
            app: "probe".into(),
            release: manifest.release,
            database: manifest.database,
            app_digest: manifest.app_digest,
            applied_commit: manifest.applied_commit,
            path: path.into(),
            query: None,
            headers: headers.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect(),
            trace: "0123456789abcdef0123456789abcdef".into(),
        }
    }

    /// The same from one who holds the token.
    fn ask(&self, asked: &Asked) -> Outcome {
        let body = wire::encode(asked, &[]);
        let seal = SealKey::of_secret(&SiblingSecret(TOKEN.into())).of_question(&body).to_hex();
        self.put(&body, Some(&seal)).1.unwrap().outcome
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Without those there are none of.
fn counted(mut counts: BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    counts.retain(|_, count| *count > 0);
    counts
}

fn counts(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn two() -> (Member, Member) {
    let (a, b) = (Member::start("a", TOKEN), Member::start("b", TOKEN));
    a.hears_of(vec![b.as_sibling()]);
    b.hears_of(vec![a.as_sibling()]);
    (a, b)
}

fn not_made(outcome: Outcome) -> NotTaken {
    match outcome {
        Outcome::NotTaken(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_there_is_no_place_for_is_made_by_a_sibling_and_kept_by_both_exactly() {
    let (mut a, mut b) = two();
    let places = a.full();
    let made = a.get("/pair");
    assert_eq!((made.status, made.text().as_str()), (200, "7 7\n"));
    assert_eq!(made.cache(), "nearside; fwd=miss; detail=sibling; stored");
    assert_eq!(made.header("nearside-release"), "1.1");
    let timing = made.header("server-timing");
    assert!(timing.starts_with("sibling;dur=") && timing.contains(", render;dur="), "{timing}");
    assert_eq!((a.handed(), b.taken()), (counts(&[("made", 1)]), counts(&[("made", 1)])));
    assert_eq!((a.taken(), b.handed()), (counts(&[]), counts(&[])));

    // Both have it, and to a visitor it is one page: a tag of one is good at the other.
    let (here, there) = (a.get("/pair"), b.get("/pair"));
    assert_eq!((here.cache(), there.cache()), ("nearside; hit", "nearside; hit"));
    assert_eq!((here.header("etag"), here.text()), (there.header("etag"), there.text()));
    let again = a.request("/pair", &[("if-none-match", there.header("etag"))]);
    assert_eq!((again.status, made.header("etag")), (304, there.header("etag")));

    // What it was computed from came along: it outlives pushes as if it had been made here, and no further.
    a.push(&format!("{PAIR} INSERT INTO anything VALUES (1);"));
    assert_eq!(a.get("/pair").cache(), "nearside; hit; detail=pages-untouched");
    a.push(&format!("{PAIR} INSERT INTO \"left\" VALUES (2, 9);"));
    drop(places);
    let same = a.get("/pair");
    assert_eq!((same.cache(), same.text().as_str()), ("nearside; hit; detail=same-rows", "7 7\n"));
    a.push("INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);");
    assert_eq!(a.get("/pair").text(), "8 8\n");

    // What a sibling has stored, it gives without rendering.
    (1..4).for_each(|_| b.push("INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);"));
    assert_eq!((a.seq, b.seq), (4, 4));
    assert_eq!(b.get("/hello").status, 200);
    a.hears_of(vec![b.as_sibling()]);
    let _places = a.full();
    let given = a.get("/hello");
    assert_eq!((given.status, given.cache()), (200, "nearside; fwd=miss; detail=sibling; stored"));
    assert_eq!(b.taken(), counts(&[("made", 1), ("stored", 1)]));
    assert!(!given.header("server-timing").contains("render"), "{given:?}");
    let listed = a.host.status(None);
    assert_eq!(listed.requests["by_sibling"], 2);
}

#[test]
fn a_page_of_a_newer_release_is_shown_to_all_who_wait_and_not_kept() {
    let (a, mut b) = two();
    b.push("INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);");
    a.hears_of(vec![b.as_sibling()]);
    let places = a.full();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..3).map(|_| scope.spawn(|| a.get("/pair"))).collect();
        for answer in all.into_iter().map(|one| one.join().unwrap()) {
            assert_eq!((answer.status, answer.text().as_str()), (200, "8 8\n"), "{answer:?}");
            assert_eq!(answer.header("nearside-release"), "1.2");
            assert!(!answer.cache().contains("stored"), "{}", answer.cache());
        }
    });
    assert_eq!(a.handed(), counts(&[("made", 1)]));
    drop(places);
    let own = a.get("/pair");
    assert_eq!((own.text().as_str(), own.header("nearside-release")), ("7 7\n", "1.1"));
}

#[test]
fn a_page_of_a_newer_release_that_is_not_to_be_kept_is_for_who_asked_alone() {
    let (a, mut b) = two();
    b.push("INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);");
    a.hears_of(vec![b.as_sibling()]);
    let _places = a.full();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..3).map(|_| scope.spawn(|| a.get("/random"))).collect();
        let answers: Vec<Answer> = all.into_iter().map(|one| one.join().unwrap()).collect();
        assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
        let different: BTreeSet<String> = answers.iter().map(Answer::text).collect();
        assert_eq!(different.len(), answers.len(), "{different:?}");
    });
}

#[test]
fn what_a_sibling_only_tries_out_is_for_its_own_visitors() {
    let (a, _) = two();
    let mut b = Member::start("b", TOKEN);
    b.push_as("INSERT INTO \"left\" VALUES (1, 8); INSERT INTO \"right\" VALUES (1, 8);", |manifest| {
        manifest.candidate = Some(Candidacy { since_ms: 7, nodes: vec!["b".to_owned()] });
        manifest.format = FORMAT_OF_CANDIDATES;
    });
    assert_eq!(b.get("/pair").text(), "8 8\n");
    a.hears_of(vec![b.as_sibling()]);
    let _places = a.full();
    assert_eq!((a.get("/pair").status, b.taken()), (503, counts(&[("other_release", 1)])));
}

#[test]
fn one_that_is_behind_or_serves_other_code_or_less_makes_nothing() {
    let (mut a, b) = two();
    a.push(PAIR);
    let _places = a.full();
    // By what is heard it is behind: it is not asked.
    assert_eq!(a.get("/pair").status, 503);
    assert_eq!((a.handed(), b.taken()), (counts(&[("nobody", 1)]), counts(&[])));
    // What was heard is wrong: it says so, and is left alone for a moment.
    let ours = a.host.heads();
    a.hears_of(vec![Sibling { releases: ours, ..b.as_sibling() }]);
    assert_eq!(a.get("/pair").status, 503);
    assert_eq!(
        (a.handed(), b.taken()),
        (counts(&[("nobody", 1), ("other_release", 1)]), counts(&[("other_release", 1)]))
    );
    // Newer, but rolled back to before what was written.
    let mut less = Member::start("b", TOKEN);
    (0..2).for_each(|_| less.push_as(PAIR, |manifest| manifest.applied_commit = 1));
    a.hears_of(vec![less.as_sibling()]);
    assert_eq!((a.get("/pair").status, less.taken()), (503, counts(&[("other_release", 1)])));
    let archive = Changed::probe().with_route("/pair", "stale_ms = 60_000").archive();
    let mut other = Member::serving("b", TOKEN, archive);
    other.push(PAIR);
    a.hears_of(vec![other.as_sibling()]);
    assert_eq!((a.get("/pair").status, other.taken()), (503, counts(&[("other_release", 1)])));
    // Of another database.
    let mut asked = b.question("/pair", &[]);
    asked.database = DatabaseId("another".into());
    assert_eq!(not_made(b.ask(&asked)), NotTaken::OtherRelease);
    let asked = Asked { release: ReleaseId { epoch: 2, seq: 1 }, ..b.question("/pair", &[]) };
    assert_eq!(not_made(b.ask(&asked)), NotTaken::OtherRelease);
}

#[test]
fn whoever_does_not_hold_the_token_gets_nothing_and_no_header_helps_a_visitor() {
    let (a, b) = two();
    let body = wire::encode(&b.question("/pair", &[]), &[]);
    let seal = SealKey::of_secret(&SiblingSecret(TOKEN.into())).of_question(&body).to_hex();
    assert_eq!(b.put(&body, Some(&seal)).0, 200);
    let mut damaged = body.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let wrong = SealKey::of_secret(&SiblingSecret("another".into())).of_question(&body).to_hex();
    for (body, seal) in
        [(&body, None), (&body, Some(wrong.as_str())), (&damaged, Some(seal.as_str())), (&body, Some("x"))]
    {
        assert_eq!(b.put(body, seal).0, 401);
    }
    assert_eq!(b.taken(), counts(&[("made", 1), ("unsealed", 4)]));
    assert_eq!(b.put(&vec![0; limits::HANDED_QUESTION_BYTES + 1], Some(&seal)).0, 400);
    let sealed_nonsense = SealKey::of_secret(&SiblingSecret(TOKEN.into())).of_question(b"nonsense").to_hex();
    assert_eq!(b.put(b"nonsense", Some(&sealed_nonsense)).0, 400);

    // At the visitors' address there is no such thing: not for a right seal, and a page is a page whatever is said of it.
    let at_the_door = http::request(b.visitors, SITE, "POST", wire::PATH, &[(wire::SEAL_HEADER, &seal)], "x").unwrap();
    assert_eq!(at_the_door.status, 404, "{at_the_door:?}");
    b.hears_of(Vec::new());
    let _places = b.full();
    let marked = b.request("/version", &[(wire::SEAL_HEADER, &seal), ("nearside-hand-over", "a"), ("via", "nearside")]);
    assert_eq!((marked.status, marked.cache()), (503, "nearside; fwd=miss; detail=shed-delay"));
    assert_eq!(b.taken()["made"], 1);

    // A sibling with another token is not believed, and says that it does not believe.
    let stranger = Member::start("c", "another");
    a.hears_of(vec![stranger.as_sibling()]);
    let _places = a.full();
    assert_eq!(a.get("/pair").status, 503);
    assert_eq!((a.handed(), stranger.taken()), (counts(&[("away", 1)]), counts(&[("unsealed", 1)])));
}

#[test]
fn only_what_is_for_everybody_is_asked_and_given() {
    let (a, b) = two();
    let _places = a.full();
    assert_eq!(a.request("/account/x", &[("cookie", "seen=1")]).status, 503);
    assert_eq!(a.request("/echo-inputs?a=1", &[("x-seen", "1")]).status, 503);
    assert_eq!(a.get("/all").status, 503);
    assert_eq!(
        http::request(a.visitors, SITE, "POST", "/echo", &[], "four").unwrap().status,
        200,
        "commands have a place"
    );
    assert_eq!((a.handed(), b.taken()), (counts(&[]), counts(&[])));
    // Nor is it given to one who asks all the same, or asks with more than the route declares.
    for asked in [
        b.question("/account/x", &[("cookie", "seen=1")]),
        b.question("/all", &[]),
        b.question("/pair", &[("cookie", "seen=1")]),
        b.question("/nowhere", &[]),
        b.question("/../pair", &[]),
        Asked { to: "c".into(), ..b.question("/pair", &[]) },
        Asked { app: "other".into(), ..b.question("/pair", &[]) },
        Asked { query: Some("x=1".into()), ..b.question("/pair", &[]) },
    ] {
        assert_eq!(not_made(b.ask(&asked)), NotTaken::NotHere, "{asked:?}");
    }
    b.host.leaving.begin();
    assert_eq!(not_made(b.ask(&b.question("/pair", &[]))), NotTaken::NotHere);
}

#[test]
fn when_all_are_full_visitors_are_told_so_in_time_after_one_hop() {
    let (a, b) = two();
    let _full = (a.full(), b.full());
    let began = Instant::now();
    let refused = a.get("/pair");
    let took = began.elapsed();
    assert_eq!((refused.status, refused.cache()), (503, "nearside; fwd=miss; detail=shed-delay"));
    assert!(!refused.header("retry-after").is_empty());
    assert!(took < limits::RENDERS_STAND + limits::HANDED_WAIT + Duration::from_secs(1), "{took:?}");
    assert_eq!((a.handed(), b.taken()), (counts(&[("busy", 1)]), counts(&[("busy", 1)])));
    assert_eq!((b.handed(), a.taken()), (counts(&[]), counts(&[])), "and no further");
    // One that says it is hot is not asked.
    let mut hot = b.as_sibling();
    hot.load.is_hot = true;
    std::thread::sleep(Duration::from_millis(5));
    a.hears_of(vec![hot]);
    assert_eq!(a.get("/pair").status, 503);
    assert_eq!(a.handed(), counts(&[("busy", 1), ("nobody", 1)]));
}

#[test]
fn whoever_finds_no_place_at_a_sibling_either_waits_here_once_more() {
    let (a, b) = two();
    let (here, _there) = (a.full(), b.full());
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| a.get("/pair"));
        while !b.taken().contains_key("busy") {
            assert!(!asks.is_finished(), "it was told before its sibling was asked");
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(here);
        let answer = asks.join().unwrap();
        assert_eq!((answer.status, answer.cache()), (200, "nearside; fwd=miss; stored"));
    });
    assert_eq!((a.handed(), b.taken()), (counts(&[("busy", 1)]), counts(&[("busy", 1)])));
}

#[test]
fn one_that_is_gone_is_left_alone_and_another_one_asked() {
    let (a, b) = two();
    let c = Member::start("c", TOKEN);
    a.hears_of(vec![b.as_sibling(), c.as_sibling()]);
    drop(b);
    let _places = a.full();
    for path in ["/pair", "/hello", "/hashmap", "/version"] {
        assert_eq!(a.get(path).status, 200, "{path}");
    }
    let handed = a.handed();
    assert_eq!(handed["made"], 4, "{handed:?}");
    assert!(handed.get("away").is_none_or(|away| *away <= 3), "{handed:?}");
    drop(c);
    let gone = a.get("/secret");
    assert_eq!((gone.status, gone.cache()), (503, "nearside; fwd=miss; detail=shed-delay"));
}

#[test]
fn a_handler_that_fails_there_fails_and_what_may_not_be_kept_is_not() {
    let (a, b) = two();
    let _places = a.full();
    assert_eq!((a.get("/trap").status, a.handed()), (500, counts(&[("failed", 1)])));
    let (one, two) = (a.get("/random"), a.get("/random"));
    assert_eq!((one.status, one.cache()), (200, "nearside; fwd=miss; detail=sibling"));
    assert_ne!(one.body, two.body);
    assert_eq!(a.host.status(None).requests["by_sibling_not_stored"], 2);
    // What streams does so where it is asked for, and a sibling is asked for it once.
    for _ in 0..2 {
        assert_eq!(a.get("/big?bytes=3000000").status, 503);
    }
    assert_eq!(a.handed(), counts(&[("failed", 1), ("made", 2), ("streams", 1)]));
    assert_eq!(b.taken(), counts(&[("failed", 1), ("made", 2), ("streams", 1)]));
}
