//! Random histories of a database, released by a real origin and pulled by nodes that see all of it, some of it, or come
//! late: every page of every node is the origin's, and what is in them is what was written.
//!
//! `NEARSIDE_HISTORIES` says how many histories, `NEARSIDE_HISTORIES_SEED` which is the first.

mod apps;
mod edits;
mod random;
mod site;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use nearside_host::engine::Engine;
use nearside_protocol::{release::ReleaseId, wire::Pushed};
use rusqlite::Connection;

use crate::{
    random::Random,
    site::{Node, Site, Way},
};

const HISTORIES_UNASKED: u64 = 10;
const SEED_UNASKED: u64 = 1;
/// Enough for a delta from eight releases back, which is offered at every eighth.
const EDITS: u64 = 17;
/// Histories side by side: they wait for the disk, mostly.
const AT_ONCE: usize = 4;

/// Where the rows of a history are written.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Into the store, of which the origin makes the read database.
    Mirrored,
    /// Into a file that is pushed.
    Pushed,
}

/// What was seen of all histories.
#[derive(Default)]
struct Seen {
    releases: u64,
    pages: u64,
    pulls: u64,
    ways: BTreeMap<Way, u64>,
    /// By how a release came to be the smallest.
    costs: BTreeMap<String, u64>,
}

struct History<'a> {
    seed: u64,
    kind: Kind,
    random: Random,
    site: Site,
    /// The rows as they must be.
    rows: Connection,
    folder: &'a Path,
    version: u64,
    seen: Seen,
}

impl<'a> History<'a> {
    async fn begin(seed: u64, folder: &'a Path, engine: &Engine) -> History<'a> {
        let kind = if seed.is_multiple_of(2) { Kind::Mirrored } else { Kind::Pushed };
        let rows = Connection::open(folder.join("rows.db")).unwrap();
        rows.execute_batch(edits::TABLES).unwrap();
        let site = Site::start(folder, engine).await;
        let random = Random::new(seed);
        let history = History { seed, kind, random, site, rows, folder, version: 0, seen: Seen::default() };
        history.push_app().await;
        history
    }

    async fn push_app(&self) -> Pushed {
        let packed = match self.kind {
            Kind::Mirrored => apps::mirrored(self.version),
            Kind::Pushed => apps::pushed(self.version),
        };
        self.site.put("archive", packed).await
    }

    /// One edit, or another version of the app; gives the release it made, if anything changed.
    async fn edit(&mut self) -> Option<ReleaseId> {
        if self.random.one_in(6) {
            self.version += 1;
            let pushed = self.push_app().await;
            return self.note(pushed);
        }
        let sql = edits::some(&mut self.random, &self.rows);
        self.rows.execute_batch(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
        let pushed = match self.kind {
            Kind::Mirrored => self.site.origin.seed("shop", "edit.sql", &sql).await.unwrap(),
            Kind::Pushed => {
                if self.random.one_in(3) {
                    edits::rebuild(&mut self.random, &self.rows);
                }
                self.site.put("data", fs::read(self.folder.join("rows.db")).unwrap()).await
            }
        };
        self.note(pushed)
    }

    fn note(&mut self, pushed: Pushed) -> Option<ReleaseId> {
        let cost = pushed.cost.as_deref().and_then(|cost| cost.split_once(':')).map(|(chosen, _)| chosen.to_owned());
        cost.into_iter().for_each(|chosen| *self.seen.costs.entry(chosen).or_default() += 1);
        pushed.release
    }

    /// The origin's own pages of a release, which hold the rows as they were written.
    async fn exported(&mut self, release: ReleaseId) -> (nearside_protocol::release::Manifest, Vec<u8>) {
        let manifest = self.site.manifest(release).await;
        let exported = self.site.exported(&manifest).await;
        assert_eq!(exported.len() as u64, manifest.database_bytes());
        let file = self.folder.join("exported.db");
        fs::write(&file, &exported).unwrap();
        let database = Connection::open(&file).unwrap();
        assert_eq!(edits::one::<String>(&database, "PRAGMA integrity_check"), "ok");
        assert!(edits::rows(&database) == edits::rows(&self.rows), "the rows of release {release} are other ones");
        if edits::one::<bool>(&database, "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'item_text')") {
            let check = "INSERT INTO item_text (item_text, rank) VALUES ('integrity-check', 1)";
            database.execute_batch(check).expect("the full-text index is that of the rows");
        }
        self.seen.releases += 1;
        self.seen.pages += manifest.page_count;
        (manifest, exported)
    }

    async fn run(mut self) -> Seen {
        let every = Node::new("every", &self.site, None).await;
        let some = Node::new("some", &self.site, None).await;
        let mut near = Node::new("near", &self.site, Some(&every)).await;
        let mut newest = None;
        for at in 1..=EDITS {
            let Some(release) = self.edit().await.filter(|release| Some(*release) != newest) else { continue };
            newest = Some(release);
            let (manifest, exported) = self.exported(release).await;
            // The one that goes by its sibling is now and then a new one, and now and then ahead of the others.
            if self.random.one_in(5) {
                near = Node::new("near", &self.site, Some(&every)).await;
            }
            let last = at == EDITS;
            let mut pulling = vec![&every];
            // In half of the histories one sees just the releases that offer a delta from the one it saw before.
            let sees = if self.seed % 4 < 2 { release.seq.is_multiple_of(8) } else { self.random.one_in(4) };
            if last || sees {
                pulling.push(&some);
            }
            if last || self.random.one_in(3) {
                let first = if self.random.one_in(3) { 0 } else { pulling.len() };
                pulling.insert(first, &near);
            }
            for node in pulling {
                let ways = node.pull(&self.site, &manifest, &exported).await;
                self.seen.pulls += 1;
                ways.into_iter().for_each(|way| *self.seen.ways.entry(way).or_default() += 1);
            }
        }
        // Whoever is behind, and two that have nothing, come to the same.
        let newest = newest.unwrap_or_else(|| panic!("nothing was released by history {}", self.seed));
        let (manifest, exported) = self.exported(newest).await;
        let fresh = Node::new("fresh", &self.site, None).await;
        let beside = Node::new("beside", &self.site, Some(&every)).await;
        for node in [&every, &some, &near, &fresh, &beside] {
            if node.has() != Some(newest) {
                let ways = node.pull(&self.site, &manifest, &exported).await;
                self.seen.pulls += 1;
                ways.into_iter().for_each(|way| *self.seen.ways.entry(way).or_default() += 1);
            }
        }
        self.site.origin.stop().await;
        self.seen
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn whatever_was_written_every_node_has_the_origins_pages() {
    let histories = number("NEARSIDE_HISTORIES").unwrap_or(HISTORIES_UNASKED);
    let first = number("NEARSIDE_HISTORIES_SEED").unwrap_or(SEED_UNASKED);
    println!("{histories} histories from NEARSIDE_HISTORIES_SEED={first} on");
    let compiled = tempfile::tempdir().unwrap();
    let engine = Engine::start(compiled.path()).unwrap();
    let (next, all) = (AtomicU64::new(0), Mutex::new(Seen::default()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= histories {
                break;
            }
            let seed = first + at;
            let one = || {
                let folder = tempfile::tempdir().unwrap();
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.unwrap().block_on(async { History::begin(seed, folder.path(), &engine).await.run().await })
            };
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(one));
            let seen = ran.unwrap_or_else(|_| panic!("history NEARSIDE_HISTORIES_SEED={seed}, see above"));
            let mut all = all.lock().unwrap();
            all.releases += seen.releases;
            all.pages += seen.pages;
            all.pulls += seen.pulls;
            seen.ways.into_iter().for_each(|(way, count)| *all.ways.entry(way).or_default() += count);
            seen.costs.into_iter().for_each(|(cost, count)| *all.costs.entry(cost).or_default() += count);
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE).for_each(|_| drop(scope.spawn(work))));
    let Seen { releases, pages, pulls, ways, costs } = all.into_inner().unwrap();
    println!("{releases} releases of {pages} pages, {pulls} pulls: {ways:?}; made as {costs:?}");
    if histories >= HISTORIES_UNASKED {
        let all = [Way::Delta, Way::SkipDelta, Way::MadeDelta, Way::Chain, Way::Base, Way::Sibling];
        all.iter().for_each(|way| assert!(ways.contains_key(way), "no node went by a {way:?}"));
        ["page delta", "moved pages", "base"].iter().for_each(|way| assert!(costs.contains_key(*way), "no {way}"));
    }
}
