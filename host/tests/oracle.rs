//! The oracle: random data, random edits, random requests through real handlers. Whatever a node answers after a push, from
//! its cache or not, or made before the release was served, is what a node without a cache renders on that release.
//!
//! `NEARSIDE_ORACLE` says how many answers to compare, `NEARSIDE_ORACLE_SEED` which ones.

mod support;

use std::{collections::BTreeMap, fmt::Write, sync::atomic::Ordering, time::Duration};

use nearside_host::{
    archive::Archive,
    pages::reads,
    replica::{AppReplica, Replica},
    switch::load,
};
use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    limits,
    release::{DatabaseId, FORMAT, Manifest, ReleaseId, SignedManifest},
    voucher::AppVoucher,
};
use rusqlite::Connection;
use support::{Changed, Node, Shelf, http};

const COMPARISONS_UNASKED: usize = 2_500;
const SEED_UNASKED: u64 = 20_261_121;
/// Databases, one after the other: each has another shape.
const WORLDS: usize = 5;
const REQUESTS_PER_PUSH: usize = 60;
/// What most visitors of a world ask for; the others ask for anything.
const HOT: usize = 90;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.next() >> 11) as i64 % end
    }

    fn one_in(&mut self, count: i64) -> bool {
        self.below(count) == 0
    }

    fn word(&mut self) -> String {
        // A few are common, many are rare.
        let number = self.below(30) * self.below(30);
        format!("w{number}")
    }

    fn words(&mut self, count: i64) -> String {
        (0..count).map(|_| self.word()).collect::<Vec<_>>().join(" ")
    }

    /// So much that what a full-text index says of its segments stands on other pages than most of what is in them.
    fn prose(&mut self) -> String {
        let count = 40 + self.below(80);
        self.words(count)
    }
}

const SCHEMA: &str = "
CREATE TABLE item (id INTEGER PRIMARY KEY, a INTEGER NOT NULL, b TEXT NOT NULL, c REAL, big TEXT);
CREATE TABLE link (item INTEGER NOT NULL, tag TEXT NOT NULL, weight INTEGER NOT NULL, PRIMARY KEY (item, tag)) WITHOUT ROWID;
CREATE TABLE part (id INTEGER PRIMARY KEY, item INTEGER NOT NULL, n INTEGER NOT NULL);
CREATE VIRTUAL TABLE text USING fts5(b);
CREATE TABLE page (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, tags TEXT NOT NULL,
  size INTEGER AS (length(body) + id % 7));
CREATE TRIGGER page_added AFTER INSERT ON page BEGIN
  INSERT INTO page_search (rowid, title, body, tags, size)
  VALUES (new.id, new.title, new.body, new.tags, new.size);
END;
CREATE TRIGGER page_gone AFTER DELETE ON page BEGIN
  INSERT INTO page_search (page_search, rowid, title, body, tags, size)
  VALUES ('delete', old.id, old.title, old.body, old.tags, old.size);
END;
CREATE TRIGGER page_changed AFTER UPDATE OF title, body, tags ON page
WHEN new.title IS NOT old.title OR new.body IS NOT old.body OR new.tags IS NOT old.tags BEGIN
  INSERT INTO page_search (page_search, rowid, title, body, tags, size)
  VALUES ('delete', old.id, old.title, old.body, old.tags, old.size);
  INSERT INTO page_search (rowid, title, body, tags, size)
  VALUES (new.id, new.title, new.body, new.tags, new.size);
END;
";

/// A world has one of these: with places, or without and with lists that are long sooner, as all words stand in one column.
const SEARCHES: [&str; 2] = [
    "CREATE VIRTUAL TABLE page_search USING nearside_search(title, body, tags, size,
       content='page', content_rowid='id', weights='3,1', tags='tags', numbers='size');",
    "CREATE VIRTUAL TABLE page_search USING nearside_search(title UNINDEXED, body, tags, size,
       content='page', content_rowid='id', tags='tags', numbers='size', detail='column', tokenize='porter unicode61');",
];
/// Enough for lists of the commonest words to be long ones, with heads and chunks of their own.
const PAGES: i64 = 900;

/// Some worlds have these, some have not: the same queries go other ways.
const INDEXES: [&str; 4] = [
    "CREATE INDEX item_by_a ON item (a);",
    "CREATE INDEX item_by_b ON item (b, a);",
    "CREATE INDEX part_by_item ON part (item, n);",
    "CREATE INDEX link_by_tag ON link (tag, weight);",
];

/// Name, what its parameters are, statement.
const QUERIES: &[(&str, &str, &str)] = &[
    // Shown on /version, beside the number of the build.
    ("left", "", "SELECT count(*) AS n FROM item"),
    ("point", "i", "SELECT * FROM item WHERE id = ?1"),
    ("by-a", "a", "SELECT id, b FROM item WHERE a = ?1 ORDER BY id"),
    ("by-b", "w", "SELECT id, a FROM item WHERE b >= ?1 ORDER BY b, id LIMIT 7"),
    ("range", "aa", "SELECT id, a FROM item WHERE a BETWEEN ?1 AND ?1 + ?2 % 20 ORDER BY a, id LIMIT 15"),
    ("count", "", "SELECT count(*) AS n FROM part"),
    ("sums", "", "SELECT count(*), sum(a), max(b), min(c), avg(c) FROM item"),
    ("newest", "", "SELECT id, a FROM item ORDER BY id DESC LIMIT 5"),
    ("join", "i", "SELECT i.id, p.id, p.n FROM item i JOIN part p ON p.item = i.id WHERE i.id = ?1 ORDER BY p.n, p.id"),
    (
        "left-join",
        "a",
        "SELECT i.id, l.tag FROM item i LEFT JOIN link l ON l.item = i.id WHERE i.a = ?1 ORDER BY i.id, l.tag",
    ),
    ("groups", "", "SELECT a % 7 AS g, count(*), sum(a) FROM item GROUP BY g ORDER BY g"),
    ("tags", "w", "SELECT tag, count(*), sum(weight) FROM link WHERE tag >= ?1 GROUP BY tag ORDER BY tag LIMIT 6"),
    (
        "window",
        "a",
        "SELECT id, row_number() OVER (ORDER BY a, id), sum(a) OVER (ORDER BY id ROWS 3 PRECEDING) FROM item WHERE a < ?1 ORDER BY id LIMIT 9",
    ),
    ("exists", "i", "SELECT EXISTS (SELECT 1 FROM link WHERE item = ?1) AS e"),
    ("nothing", "i", "SELECT id FROM item WHERE id = -1 - ?1"),
    (
        "union",
        "ia",
        "SELECT id AS x FROM item WHERE id < ?1 % 9 UNION SELECT a FROM item WHERE a > 90 + ?2 % 9 ORDER BY x LIMIT 20",
    ),
    ("big", "i", "SELECT id, length(big) AS l, substr(big, 9000, 8) AS s FROM item WHERE id = ?1"),
    ("search", "w", "SELECT rowid FROM text WHERE text MATCH ?1 ORDER BY rank, rowid LIMIT 8"),
    (
        "phrase",
        "ww",
        "SELECT rowid, snippet(text, 0, '<', '>', '', 6) AS s FROM text WHERE text MATCH ?1 || ' OR ' || ?2 ORDER BY rowid LIMIT 8",
    ),
    ("found", "w", "SELECT count(*) AS n FROM text WHERE text MATCH ?1"),
    ("ranked", "w", "SELECT rowid, round(bm25(text), 6) AS r FROM text WHERE text MATCH ?1 ORDER BY r, rowid LIMIT 5"),
    ("pages", "w", "SELECT rowid, rank FROM page_search WHERE page_search MATCH ?1 ORDER BY rank LIMIT 6"),
    (
        "pages-both",
        "ww",
        "SELECT rowid, rank FROM page_search WHERE page_search MATCH ?1 || ' ' || ?2 ORDER BY rank LIMIT 6 OFFSET 2",
    ),
    (
        "pages-either",
        "ww",
        "SELECT rowid FROM page_search WHERE page_search MATCH ?1 || ' OR ' || ?2 || '*' ORDER BY rank LIMIT 5",
    ),
    (
        "pages-tagged",
        "wt",
        "SELECT rowid, rank FROM page_search WHERE page_search MATCH 'body:' || ?1 || '* tags:' || ?2 ORDER BY rank LIMIT 6",
    ),
    (
        "pages-but",
        "ww",
        "SELECT rowid FROM page_search WHERE page_search MATCH ?1 || ' NOT ' || ?2 ORDER BY rank LIMIT 6",
    ),
    ("pages-longest", "w", "SELECT rowid FROM page_search WHERE page_search MATCH ?1 ORDER BY size DESC LIMIT 6"),
    (
        "pages-shortest",
        "ww",
        "SELECT rowid FROM page_search WHERE page_search MATCH ?1 || 's OR ' || ?2 || ' size:>40' ORDER BY size LIMIT 5",
    ),
    ("pages-found", "w", "SELECT count(*) AS n FROM page_search WHERE page_search MATCH ?1"),
    (
        "pages-shown",
        "w",
        "SELECT p.id, hit.rank, search_snippet(p.body, ?1, '<', '>', '', 6) AS s
         FROM (SELECT rowid, rank FROM page_search WHERE page_search MATCH ?1 ORDER BY rank LIMIT 3) AS hit
         JOIN page AS p ON p.id = hit.rowid ORDER BY hit.rank, p.id",
    ),
    (
        "recursive",
        "i",
        "WITH RECURSIVE c(x) AS (SELECT ?1 UNION SELECT p.n FROM c JOIN part p ON p.item = c.x) SELECT x FROM c ORDER BY x LIMIT 12",
    ),
];

fn parameters(kinds: &str, random: &mut Random) -> String {
    let one = |kind: char, random: &mut Random| match kind {
        // Some that are not there yet.
        'i' => random.below(260).to_string(),
        'a' => random.below(100).to_string(),
        't' => format!("t{}", random.below(9)),
        _ => random.word(),
    };
    kinds.chars().map(|kind| one(kind, random)).collect::<Vec<_>>().join(",")
}

fn request(random: &mut Random) -> String {
    if random.one_in(12) {
        return "/version".to_owned();
    }
    let (name, kinds, _) = QUERIES[random.below(QUERIES.len() as i64) as usize];
    // A composed page hands its parameter on to another query: without one, that part of it fails, and what met a failure is
    // rightly not stored.
    let way = if !kinds.is_empty() && random.one_in(6) { "compose" } else { "ask" };
    format!("/{way}/{name}?p={}", parameters(kinds, random))
}

fn edit(database: &Connection, random: &mut Random) {
    let id = random.below(240);
    let (a, c) = (random.below(100), random.below(1_000) as f64 / 8.0);
    let (b, prose) = (random.words(1 + id % 9), random.prose());
    let done = match random.below(18) {
        0..=2 => {
            let big = if random.one_in(3) { Some(random.words(6_000)) } else { None };
            database
                .execute("INSERT OR REPLACE INTO item VALUES (?1, ?2, ?3, ?4, ?5)", (id, a, &b, c, big))
                .and_then(|_| database.execute("DELETE FROM text WHERE rowid = ?1", [id]))
                .and_then(|_| database.execute("INSERT INTO text (rowid, b) VALUES (?1, ?2)", (id, &prose)))
        }
        3 | 4 => database.execute("UPDATE item SET a = ?2 WHERE id = ?1", (id, a)),
        5 => database
            .execute("UPDATE item SET b = ?2 WHERE id = ?1", (id, &b))
            .and_then(|_| database.execute("UPDATE text SET b = ?2 WHERE rowid = ?1", (id, &prose))),
        6 => database
            .execute("DELETE FROM item WHERE id = ?1", [id])
            .and_then(|_| database.execute("DELETE FROM text WHERE rowid = ?1", [id])),
        7 | 8 => database.execute("INSERT OR REPLACE INTO link VALUES (?1, ?2, ?3)", (id, random.word(), a)),
        9 => database.execute("DELETE FROM link WHERE tag = ?1", [random.word()]),
        10 | 11 => database.execute("INSERT INTO part (item, n) VALUES (?1, ?2)", (id, random.below(240))),
        12 => database.execute("DELETE FROM part WHERE item = ?1", [id]),
        13 | 14 => {
            // Some are new, most are there.
            let (id, tag) = (random.below(PAGES + 40), random.below(9));
            let body = if random.one_in(20) { random.words(400) } else { random.words(2 + id % 30) };
            let page = (id, random.words(3), body, format!("t{tag} all"));
            let sql = "INSERT INTO page VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (id) DO UPDATE SET title = excluded.title, body = excluded.body, tags = excluded.tags";
            database.execute(sql, page)
        }
        15 => database.execute("DELETE FROM page WHERE id = ?1", [random.below(PAGES)]),
        16 => database.execute("UPDATE page SET tags = ?2 WHERE id = ?1", (id, format!("t{}", random.below(9)))),
        // What nobody sees: rows that are written as they were.
        _ => database.execute("UPDATE item SET a = a, c = c WHERE a = ?1", [a]),
    };
    done.unwrap();
    if random.one_in(25) {
        database.execute("INSERT INTO text (text) VALUES ('optimize')", []).unwrap();
    }
    if random.one_in(60) {
        let command = ["optimize", "rebuild"][random.below(2) as usize];
        database.execute("INSERT INTO page_search (page_search) VALUES (?1)", [command]).unwrap();
    }
}

/// One database and the two nodes that serve its releases: with a cache, and without.
struct World {
    /// Two builds of its components.
    builds: [Build; 2],
    build: usize,
    disk: AppReplica,
    key: SecretKey,
    database: Connection,
    file: std::path::PathBuf,
    cached: Node,
    fresh: Node,
    seq: u64,
    /// What an operator sets; another value is another app.
    setting: u64,
    _folder: tempfile::TempDir,
}

struct Build {
    app: Archive,
    packed: Vec<u8>,
    digest: Digest,
}

impl Build {
    fn of(app: Changed) -> Build {
        let app = app.archive();
        let packed = app.pack().unwrap();
        Build { digest: Digest::of(&packed), app, packed }
    }
}

impl World {
    fn new(random: &mut Random) -> World {
        let folder = tempfile::tempdir().unwrap();
        let mut snapshot = SCHEMA.to_owned();
        snapshot.push_str(SEARCHES[random.below(2) as usize]);
        INDEXES.iter().filter(|_| random.one_in(2)).for_each(|index| snapshot.push_str(index));
        let mut queries = String::new();
        for (name, _, statement) in QUERIES {
            writeln!(queries, "-- name: {name}\n{statement};").unwrap();
        }
        let build = || Changed::probe().with_files(&[("snapshot.sql", &snapshot), ("queries.sql", &queries)]);
        let other = build().patched("probe_handlers.wasm", "probe 1", "probe 2");
        let builds = [Build::of(build()), Build::of(other)];
        let file = folder.path().join("read.db");
        let database = Connection::open(&file).unwrap();
        nearside_search::register(&database).unwrap();
        database.execute_batch(&snapshot).unwrap();
        // In pieces this small there are so many that the list of them takes several pages as well.
        database.execute("INSERT INTO text (text, rank) VALUES ('pgsz', 40)", []).unwrap();
        database.execute_batch("BEGIN").unwrap();
        for id in 0..PAGES {
            let page = (id, random.words(3), random.words(2 + id % 30), format!("t{} all", random.below(9)));
            database.execute("INSERT INTO page VALUES (?1, ?2, ?3, ?4)", page).unwrap();
        }
        database.execute_batch("COMMIT").unwrap();
        for id in 0..120 {
            let b = random.words(1 + id % 9);
            database.execute("INSERT INTO item VALUES (?1, ?2, ?3, 1.5, NULL)", (id, random.below(100), &b)).unwrap();
            database.execute("INSERT INTO text (rowid, b) VALUES (?1, ?2)", (id, random.prose())).unwrap();
        }
        let shelf = Shelf::new(folder.path());
        let disk = Replica::open(folder.path()).unwrap().app(&builds[0].app.app.name).unwrap();
        let node = |cache_mib| {
            Node::with_cache(
                &Shelf::new(&folder.path().join(format!("node-{cache_mib}"))),
                "probe.localhost",
                cache_mib,
            )
        };
        let (cached, fresh) = (node(64), node(0));
        let key = SecretKey::from_seed([9; 32]);
        drop(shelf);
        let (seq, setting, build) = (0, 0, 0);
        let mut world =
            World { builds, build, disk, key, database, file, cached, fresh, seq, setting, _folder: folder };
        world.push();
        world
    }

    /// A release of the database as it is now, at both nodes.
    fn push(&mut self) {
        self.seq += 1;
        let newest = self.disk.pages().newest();
        let mut draft = self.disk.pages().draft(newest.as_ref().map(|kept| &kept.table));
        let bytes = std::fs::read(&self.file).unwrap();
        let (pages, _) = bytes.as_chunks::<{ limits::PAGE_BYTES }>();
        draft.resize(pages.len() as u32);
        for (number, page) in (0..).zip(pages) {
            draft.put(number, page).unwrap();
        }
        let Build { app, packed, digest } = &self.builds[self.build];
        let digest = *digest;
        let manifest = Manifest {
            format: FORMAT,
            app: app.app.name.clone(),
            database: DatabaseId("d0".into()),
            release: ReleaseId { epoch: 1, seq: self.seq },
            parent: None,
            created_at_ms: 0,
            applied_commit: self.seq,
            page_count: draft.pages().into(),
            root: draft.root(),
            rolled_back_to: None,
            candidate: None,
            deltas: vec![],
            base: None,
            app_digest: digest,
            app_archive_bytes: packed.len() as u64,
            app_vouched: AppVoucher::sign(&app.app.name, &digest, &self.key),
            variables: BTreeMap::from([("SETTING".to_owned(), self.setting.to_string())]),
            secrets: None,
            // Of the tables and what reads them: it stands with most pushes of an app.
            fingerprint: Digest::of(&(self.setting / 2).to_le_bytes()),
        };
        self.disk.put_archive(&digest, packed).unwrap();
        let signed = SignedManifest::sign(&manifest, &self.key);
        let kept = self.disk.commit(draft, manifest.release, signed).unwrap();
        for node in [&self.cached, &self.fresh] {
            let release = load(&node.host, &self.disk, manifest.clone(), kept.table.clone()).unwrap();
            node.host.switch(release).unwrap();
        }
    }
}

/// What became of the answers of a run.
#[derive(Default, Debug)]
struct Tally {
    compared: usize,
    wrong: Vec<String>,
    by: BTreeMap<String, usize>,
    /// Stored responses by what became of them at switches.
    carried: BTreeMap<String, u64>,
}

/// Asks both nodes, the one that keeps answers and the one that renders each.
fn compare(
    tally: &mut Tally,
    world: &World,
    connections: &mut (http::Connection, http::Connection),
    hot: &[String],
    random: &mut Random,
) {
    for _ in 0..REQUESTS_PER_PUSH {
        let path = match random.one_in(8) {
            true => request(random),
            false => hot[random.below(HOT as i64) as usize].clone(),
        };
        let answer = connections.0.get("probe.localhost", &path).unwrap();
        let right = connections.1.get("probe.localhost", &path).unwrap();
        assert_eq!(right.status, 200, "{path}: {}", right.text());
        tally.compared += 1;
        *tally.by.entry(answer.cache().to_owned()).or_default() += 1;
        if (answer.status, &answer.body) != (right.status, &right.body) {
            tally.wrong.push(format!(
                "{path} on release {}: {} {}\nis {}",
                world.seq,
                answer.cache(),
                answer.text(),
                right.text()
            ));
        }
        assert_eq!(answer.header("nearside-release"), right.header("nearside-release"), "{path}");
    }
}

fn run(comparisons: usize, seed: u64) -> Tally {
    let mut random = Random(seed | 1);
    let mut tally = Tally::default();
    for _ in 0..WORLDS {
        let mut world = World::new(&mut random);
        let open = |node: &Node| http::Connection::open(node.address).unwrap();
        let mut connections = (open(&world.cached), open(&world.fresh));
        let hot: Vec<String> = (0..HOT).map(|_| request(&mut random)).collect();
        let until = tally.compared + comparisons.div_ceil(WORLDS);
        while tally.compared < until {
            compare(&mut tally, &world, &mut connections, &hot, &mut random);
            let edits = random.below(6);
            (0..edits).for_each(|_| edit(&world.database, &mut random));
            // Pushes of the app that change nothing of the data: another setting, another build of its code.
            world.setting += u64::from(random.one_in(20));
            if random.one_in(12) {
                world.build = 1 - world.build;
            }
            world.push();
        }
        // A release that stands for a while: what is cold is made right, too.
        std::thread::sleep(limits::CARRY_COLD_AFTER + Duration::from_millis(500));
        compare(&mut tally, &world, &mut connections, &hot, &mut random);
        for (how, count) in world.cached.host.status(None).carried {
            *tally.carried.entry(how).or_default() += count;
        }
    }
    tally
}

fn asked() -> (usize, u64) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let comparisons = number("NEARSIDE_ORACLE").map_or(COMPARISONS_UNASKED, |count| count as usize);
    (comparisons, number("NEARSIDE_ORACLE_SEED").unwrap_or(SEED_UNASKED))
}

/// Both in one test: what is broken, is broken for the whole process.
#[test]
fn every_answer_is_that_of_a_fresh_render_and_a_broken_tracker_would_show() {
    let (comparisons, seed) = asked();
    let tally = run(comparisons, seed);
    println!("seed {seed}: {} answers compared, {} wrong", tally.compared, tally.wrong.len());
    for (by, count) in &tally.by {
        println!("{count:7}  {:5.2} %  {by}", *count as f64 * 100.0 / tally.compared as f64);
    }
    println!("entries at switches: {:?}", tally.carried);
    assert!(tally.wrong.is_empty(), "seed {seed}: {} wrong, the first:\n{}", tally.wrong.len(), tally.wrong[0]);
    let carried =
        |detail: &str| tally.by.iter().filter(|(by, _)| by.contains(detail)).map(|(_, count)| count).sum::<usize>();
    for step in ["pages-untouched", "same-rows", "rendered-ahead"] {
        assert!(carried(step) > 0, "never {step}: {:?}", tally.by);
    }
    // What is left at a switch is made afterwards, or by who asks first.
    assert!(tally.carried["afterwards"] > 0, "never afterwards: {:?}", tally.carried);
    assert_eq!(carried("met-failure"), 0, "a page failed: {:?}", tally.by);

    reads::BROKEN_FOR_TESTS.store(true, Ordering::Relaxed);
    let broken = run(COMPARISONS_UNASKED, seed);
    reads::BROKEN_FOR_TESTS.store(false, Ordering::Relaxed);
    println!("with a tracker that forgets pages: {} of {} wrong", broken.wrong.len(), broken.compared);
    assert!(!broken.wrong.is_empty(), "a tracker that forgets pages went unnoticed: the oracle sees nothing");
}
