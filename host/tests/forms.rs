//! Stored responses in each coding: made once, true to their page, and never older than it.

mod support;

use std::{
    io::Read,
    path::PathBuf,
    time::{Duration, Instant},
};

use nearside_host::{
    archive::Archive,
    replica::{AppReplica, Replica},
    switch::load,
};
use nearside_protocol::{digest::Digest, key::SecretKey};
use support::{Changed, Node, PAIR, Shelf, http::Answer, probe, release};

/// `page` and `calm` are long texts, each of a table of its own; `short` is not worth compressing.
const QUERIES: &str = "
-- name: page
-- allow: scan
SELECT digit.d, 'a line that stands here often enough to be worth something' AS t, \"left\".n
FROM digit JOIN digit AS other JOIN \"left\" ON \"left\".id = 1;

-- name: calm
-- allow: scan
SELECT digit.d, 'another line that stands here often enough' AS t, \"right\".n
FROM digit JOIN digit AS other JOIN \"right\" ON \"right\".id = 1;

-- name: short
SELECT n FROM \"left\" WHERE id = 1;
";
const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];
const PATIENCE: Duration = Duration::from_secs(20);

/// A node, and a way to push to it.
struct Site {
    node: Node,
    app: Archive,
    disk: AppReplica,
    seq: u64,
    folder: tempfile::TempDir,
}

impl Site {
    fn start() -> Site {
        let folder = tempfile::tempdir().unwrap();
        let app = Changed::probe().with_files(&[("queries.sql", QUERIES)]).archive();
        let node = Node::start(&Shelf::new(folder.path()), "probe.localhost");
        let disk = Replica::open(folder.path()).unwrap().app(&app.app.name).unwrap();
        let mut site = Site { node, app, disk, seq: 0, folder };
        site.push(PAIR);
        site
    }

    fn push(&mut self, seed: &str) {
        self.seq += 1;
        let file: PathBuf = self.folder.path().join("seed.db");
        let key = SecretKey::from_seed([9; 32]);
        let manifest = release(&self.disk, &self.app, &file, seed, self.seq, &key, |manifest| {
            manifest.fingerprint = Digest::of(b"the same schema");
        });
        let table = self.disk.pages().newest().unwrap().table;
        self.node.host.switch(load(&self.node.host, &self.disk, manifest, table).unwrap()).unwrap();
    }

    fn ask(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.node.request("GET", path, headers, "")
    }

    fn takes(&self, path: &str, accept: &str) -> Answer {
        self.ask(path, &[("Accept-Encoding", accept)])
    }

    fn encoded(&self, path: &str, coding: &str) -> Answer {
        encoded(&self.node, path, coding)
    }

    fn made(&self) -> u64 {
        self.node.host.forms.counts()["made"]
    }
}

/// Asks until the answer comes in this coding. Until it does, it comes as it stands.
fn encoded(node: &Node, path: &str, coding: &str) -> Answer {
    let by = Instant::now() + PATIENCE;
    loop {
        let answer = node.request("GET", path, &[("Accept-Encoding", coding)], "");
        assert_eq!((answer.status, answer.header("vary")), (200, "accept-encoding"));
        match answer.header("content-encoding") {
            "" => assert_eq!(answer.header("etag"), node.get(path).header("etag")),
            found => {
                assert_eq!(found, coding);
                return answer;
            }
        }
        assert!(Instant::now() < by, "{coding} of {path} is not made");
    }
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        "br" => brotli::Decompressor::new(&answer.body[..], 4_096).read_to_end(&mut plain),
        "zstd" => zstd::Decoder::new(&answer.body[..]).unwrap().read_to_end(&mut plain),
        "gzip" => flate2::bufread::GzDecoder::new(&answer.body[..]).read_to_end(&mut plain),
        other => panic!("`{other}`"),
    }
    .unwrap();
    plain
}

#[test]
fn each_coding_is_of_its_page_and_has_a_tag_of_its_own() {
    let site = Site::start();
    let first = site.takes("/ask/page", "gzip, deflate, br, zstd");
    assert_eq!(first.cache(), "nearside; fwd=miss; stored");
    assert_eq!((first.header("content-encoding"), first.header("vary")), ("", "accept-encoding"));
    assert_eq!(first.header("accept-ranges"), "bytes");
    assert!(first.body.len() > 4_000, "{}", first.text());
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(site.made(), 0, "what is asked for once is not compressed");

    let mut etags = vec![first.header("etag").to_owned()];
    for coding in CODINGS {
        let answer = site.encoded("/ask/page", coding);
        assert_eq!(decoded(&answer), first.body, "{coding}");
        assert!(answer.body.len() < first.body.len() / 4);
        assert_eq!(answer.header("content-length"), answer.body.len().to_string());
        assert_eq!((answer.header("accept-ranges"), answer.header("cache-control")), ("", "no-cache"));
        assert_eq!(answer.header("content-type"), first.header("content-type"));
        assert!(answer.header("etag").starts_with('"'), "strong: {}", answer.header("etag"));
        etags.push(answer.header("etag").to_owned());
    }
    assert_eq!(site.made(), 3);
    etags.sort();
    etags.dedup();
    assert_eq!(etags.len(), 4, "a tag each: {etags:?}");

    let smallest = CODINGS.map(|coding| site.encoded("/ask/page", coding).body.len()).into_iter().min().unwrap();
    assert_eq!(site.takes("/ask/page", "gzip, br, zstd").body.len(), smallest);
    for (accept, expected) in [
        ("br;q=0.1, gzip;q=0.2", "gzip"),
        ("zstd, br;q=0.9", "zstd"),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("br;q=0, zstd;q=0, gzip;q=0", ""),
        ("identity, br;q=0.5", ""),
        ("deflate", ""),
    ] {
        assert_eq!(site.takes("/ask/page", accept).header("content-encoding"), expected, "{accept}");
    }
    assert_eq!(site.made(), 3, "nothing is made twice");
}

#[test]
fn whoever_holds_a_coding_is_told_so_even_by_a_node_that_has_not_made_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut shelf = Shelf::new(folder.path());
    shelf.put(&Changed::probe().with_files(&[("queries.sql", QUERIES)]).archive(), PAIR);
    let (plain, etags) = {
        let node = Node::start(&shelf, "probe.localhost");
        (node.get("/ask/page"), CODINGS.map(|coding| encoded(&node, "/ask/page", coding).header("etag").to_owned()))
    };
    // A node that has just started.
    let node = Node::start(&shelf, "probe.localhost");
    let conditional = |accept: &str, tags: &str| {
        node.request("GET", "/ask/page", &[("Accept-Encoding", accept), ("If-None-Match", tags)], "")
    };
    for round in ["not made", "made"] {
        if round == "not made" {
            let first = conditional("br, gzip", &etags[0]);
            assert_eq!((first.status, first.header("etag")), (304, etags[0].as_str()), "its first render");
            assert_eq!(first.cache(), "nearside; fwd=miss; stored");
        }
        for (coding, etag) in CODINGS.into_iter().zip(&etags) {
            for tags in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), format!("\"other\" ,{etag}")]
            {
                let answer = conditional("gzip, br, zstd", &tags);
                assert_eq!((answer.status, answer.body.len()), (304, 0), "{round}: {tags}");
                assert_eq!((answer.header("etag"), answer.header("vary")), (etag.as_str(), "accept-encoding"));
                assert_eq!((answer.header("content-length"), answer.header("content-encoding")), ("", ""));
                assert_eq!(answer.header("cache-control"), "no-cache");
            }
            let other = CODINGS.into_iter().find(|other| *other != coding).unwrap();
            let not_taken = conditional(other, etag);
            assert_eq!(not_taken.status, 200, "{round}: {coding} is not taken");
            assert_eq!(conditional(&format!("*, {coding};q=0"), etag).status, 200);
        }
        let has_plain = conditional("gzip, br, zstd", plain.header("etag"));
        assert_eq!((has_plain.status, has_plain.header("etag")), (304, plain.header("etag")), "{round}");
        assert_eq!(conditional("gzip, br", "*").status, 304);
        assert_eq!(conditional("gzip, br", "\"other\"").status, 200);
        CODINGS.iter().for_each(|coding| drop(encoded(&node, "/ask/page", coding)));
    }
    let refuses_plain = conditional("identity;q=0, br", plain.header("etag"));
    assert_eq!((refuses_plain.status, refuses_plain.header("content-encoding")), (200, "br"));
    let has_both = conditional("br", &format!("{}, {}", plain.header("etag"), etags[0]));
    assert_eq!((has_both.status, has_both.header("etag")), (304, etags[0].as_str()), "the one it would be sent");
}

#[test]
fn forms_last_as_long_as_their_page_and_no_longer() {
    let mut site = Site::start();
    for path in ["/ask/page", "/ask/calm"] {
        CODINGS.iter().for_each(|coding| drop(site.encoded(path, coding)));
    }
    assert_eq!(site.made(), 6);
    let before = CODINGS.map(|coding| site.encoded("/ask/page", coding));
    let in_all_codings = |site: &Site, path: &str, cache: &str| {
        for coding in CODINGS {
            let answer = site.takes(path, coding);
            assert_eq!((answer.cache(), answer.header("content-encoding")), (cache, coding), "{path}");
        }
    };

    // A row is added that neither page shows.
    site.push(&format!("{PAIR} INSERT INTO \"left\" VALUES (2, 9);"));
    in_all_codings(&site, "/ask/calm", "nearside; hit; detail=pages-untouched");
    in_all_codings(&site, "/ask/page", "nearside; hit; detail=same-rows");
    assert_eq!(site.made(), 6, "nothing is compressed again");
    assert_eq!(site.takes("/ask/page", "br").header("nearside-release"), "1.2");

    site.push(&PAIR.replace("7", "8"));
    let fresh = site.ask("/ask/page", &[]);
    assert!(fresh.text().contains("|8") && !fresh.text().contains("|7"), "{}", fresh.text());
    for (coding, old) in CODINGS.into_iter().zip(&before) {
        let asks_again = [("Accept-Encoding", coding), ("If-None-Match", old.header("etag"))];
        assert_eq!(site.ask("/ask/page", &asks_again).status, 200, "{coding}");
        let answer = site.encoded("/ask/page", coding);
        assert_eq!(decoded(&answer), fresh.body, "{coding}");
        assert_ne!(answer.header("etag"), old.header("etag"));
    }
}

#[test]
fn parts_are_those_of_the_page_as_it_stands() {
    let site = Site::start();
    let whole = site.ask("/ask/page", &[]);
    let length = whole.body.len();
    let brotli = site.encoded("/ask/page", "br");
    let tag = whole.header("etag");
    for accept in ["identity", "br", "gzip, br, zstd"] {
        let ask = |range: &str, more: &[(&str, &str)]| {
            let headers = [&[("Accept-Encoding", accept), ("Range", range)], more].concat();
            site.ask("/ask/page", &headers)
        };
        for (range, from, to) in [
            ("bytes=0-9", 0, 10),
            ("bytes=100-", 100, length),
            ("bytes=-5", length - 5, length),
            ("bytes=7-99999", 7, length),
        ] {
            for more in [&[][..], &[("If-Range", tag)], &[("If-None-Match", "\"other\"")]] {
                let part = ask(range, more);
                assert_eq!((part.status, &part.body[..]), (206, &whole.body[from..to]), "{accept}, {range}");
                assert_eq!(part.header("content-range"), format!("bytes {from}-{}/{length}", to - 1));
                assert_eq!(part.header("content-length"), (to - from).to_string());
                assert_eq!((part.header("etag"), part.header("content-encoding")), (tag, ""));
                assert_eq!((part.header("vary"), part.header("accept-ranges")), ("accept-encoding", "bytes"));
                assert!(part.cache().starts_with("nearside; hit"));
            }
        }
        let beyond = ask(&format!("bytes={length}-"), &[]);
        assert_eq!((beyond.status, beyond.header("content-range")), (416, format!("bytes */{length}").as_str()));
        // The whole, in whatever form this client would be sent it without a range.
        let expected = if accept == "identity" { &whole } else { &brotli };
        for (range, more) in [
            ("bytes=0-1,4-5", &[][..]),
            ("bytes=5-2", &[]),
            ("lines=1-2", &[]),
            ("bytes=0-9", &[("If-Range", "\"other\"")]),
            ("bytes=0-9", &[("If-Range", brotli.header("etag"))]),
            ("bytes=0-9", &[("If-Range", &format!("W/{tag}"))]),
            ("bytes=0-9", &[("If-Range", "Wed, 21 Oct 2015 07:28:00 GMT")]),
        ] {
            let answer = ask(range, more);
            assert_eq!((answer.status, &answer.body), (200, &expected.body), "{accept}: {range} {more:?}");
            assert_eq!((answer.header("content-range"), answer.header("etag")), ("", expected.header("etag")));
        }
        assert_eq!(ask("bytes=0-9", &[("If-None-Match", tag)]).status, 304);
    }
    let refused = [("Accept-Encoding", "identity;q=0, br"), ("Range", "bytes=0-9")];
    let answer = site.ask("/ask/page", &refused);
    assert_eq!((answer.status, answer.header("content-encoding")), (200, "br"), "parts of what it refuses");
}

#[test]
fn head_says_what_get_would() {
    let site = Site::start();
    site.ask("/ask/page", &[]);
    CODINGS.iter().for_each(|coding| drop(site.encoded("/ask/page", coding)));
    let tag = site.encoded("/ask/page", "zstd").header("etag").to_owned();
    for path in ["/ask/page", "/ask/short", "/big?bytes=5000", "/ask/none"] {
        site.ask(path, &[]);
        for headers in [
            &[][..],
            &[("Accept-Encoding", "br")],
            &[("Accept-Encoding", "zstd")],
            &[("Accept-Encoding", "gzip;q=0.2, br;q=0.1")],
            &[("Accept-Encoding", "gzip, zstd"), ("If-None-Match", &tag)],
            &[("If-None-Match", "*")],
        ] {
            let (get, head) = (site.ask(path, headers), site.node.request("HEAD", path, headers, ""));
            assert_eq!((head.status, head.body.len()), (get.status, 0), "{path} {headers:?}");
            for name in [
                "accept-ranges",
                "cache-control",
                "cache-status",
                "content-encoding",
                "content-length",
                "content-type",
                "etag",
                "nearside-release",
                "vary",
            ] {
                assert_eq!(head.header(name), get.header(name), "{name} of {path} {headers:?}");
            }
        }
        let range = [("Range", "bytes=0-0"), ("Accept-Encoding", "br")];
        let (get, head) = (site.ask(path, &range[1..]), site.node.request("HEAD", path, &range, ""));
        assert_eq!((head.status, head.header("content-length")), (get.status, get.header("content-length")), "{path}");
    }
}

#[test]
fn not_everything_is_compressed() {
    let site = Site::start();
    let (node, _folder) = probe();
    let long = format!("/echo-inputs?a={}", "abc".repeat(1_000));
    // Too short, of a type that does not compress, of one visitor, of none but this moment, and streamed.
    for (node, path, shared) in [
        (&site.node, "/ask/short", true),
        (&site.node, "/big?bytes=5000", true),
        (&node, long.as_str(), true),
        (&node, "/clock", false),
        (&node, "/all?a=b", false),
        (&node, "/big?bytes=2000000", false),
    ] {
        let first = node.get(path);
        for _ in 0..3 {
            let answer = node.request("GET", path, &[("Accept-Encoding", "br, gzip, zstd")], "");
            assert_eq!((answer.status, answer.header("content-encoding")), (200, ""), "{path}");
            assert_eq!(answer.cache() == "nearside; hit", shared, "{path}: {}", answer.cache());
            assert!(!answer.header("vary").contains("accept-encoding"), "{path}: {}", answer.header("vary"));
            assert_eq!(answer.header("accept-ranges"), if shared { "bytes" } else { "" }, "{path}");
            let tag = first.header("etag").replace("\"", "");
            let tags = format!("\"{tag}-br\"");
            let conditional = [("Accept-Encoding", "br"), ("If-None-Match", tags.as_str())];
            assert_eq!(node.request("GET", path, &conditional, "").status, 200, "{path}");
            let range = node.request("GET", path, &[("Range", "bytes=0-0")], "");
            assert_eq!(range.status, if shared { 206 } else { 200 }, "{path}");
        }
        assert_eq!(node.host.forms.counts()["made"], 0, "{path}");
    }
    let private = node.request("GET", &long, &[("Cookie", "seen=1")], "");
    assert_eq!((private.status, private.header("vary")), (200, "cookie, x-seen"));
    assert!(private.body.len() > 3_000 && private.header("cache-control").contains("private"));
}
