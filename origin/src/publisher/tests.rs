use std::{collections::BTreeMap, fs, sync::Arc, sync::mpsc, time::Duration};

use nearside_host::{
    archive::Archive,
    disk::Disk,
    pages::{Keep, PageStore, Table},
};
use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    limits::PAGE_BYTES,
    page_object::{Page, Reader, Snapshot},
    release::{FORMAT, FORMAT_OF_CANDIDATES, SignedManifest},
};
use rusqlite::Connection;

use super::*;
use crate::{
    app_version::AppVersion, bucket::Bucket, change_log, config::AppConfig, objects::Objects, projector::Projector,
    pushed_file, snapshot::open_immutable, store, vouchers::Vouchers,
};

const SNAPSHOT: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body TEXT);
    CREATE VIRTUAL TABLE item_text USING fts5(name, content = 'item', content_rowid = 'id');
    CREATE TRIGGER item_insert AFTER INSERT ON item BEGIN
      INSERT INTO item_text (rowid, name) VALUES (new.id, new.name);
    END;";
const MIRRORED: &str = "[mirror]\nitem = [\"id\", \"name\", \"body\"]\n";
const PUSHED: &str = "";

/// An app's folder with a store, as it outlives the process.
struct Fixture {
    folder: tempfile::TempDir,
    store: Connection,
    keep: Option<Keep>,
}

/// The parts that a process runs.
struct Parts {
    objects: Objects,
    pages: PageStore,
    projector: Projector,
    publisher: Publisher,
    heard: mpsc::Receiver<ReleaseId>,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(&folder.path().join(store::FILE_NAME)).unwrap();
    store.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body TEXT)").unwrap();
    let columns = ["id", "name", "body"].map(str::to_owned).to_vec();
    let mirror = BTreeMap::from([("item".to_owned(), columns)]);
    change_log::make_triggers(&store, &change_log::wanted(&mirror)).unwrap();
    Fixture { folder, store, keep: None }
}

fn version(objects: &Objects, rest: &str, variable: &str) -> Arc<AppVersion> {
    let folder = tempfile::tempdir().unwrap();
    let source = if rest == PUSHED { "database = \"pushed\"\n" } else { "" };
    let text = format!("name = \"shop\"\nhosts = [\"shop\"]\n{source}[variables]\nV = \"0\"\n{rest}");
    fs::write(folder.path().join("nearside.toml"), text).unwrap();
    if rest == MIRRORED {
        fs::write(folder.path().join("snapshot.sql"), SNAPSHOT).unwrap();
    }
    packed(objects, folder.path(), variable)
}

/// Other code on the same read database.
fn other_version(objects: &Objects) -> Arc<AppVersion> {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("name = \"shop\"\nhosts = [\"shop\", \"other\"]\n[variables]\nV = \"0\"\n{MIRRORED}");
    fs::write(folder.path().join("nearside.toml"), text).unwrap();
    fs::write(folder.path().join("snapshot.sql"), SNAPSHOT).unwrap();
    packed(objects, folder.path(), "1")
}

fn packed(objects: &Objects, folder: &std::path::Path, variable: &str) -> Arc<AppVersion> {
    let archive = Archive::collect(folder).unwrap();
    let packed = archive.pack().unwrap();
    let settings = AppConfig { variables: [("V".into(), variable.into())].into(), ..AppConfig::default() };
    Arc::new(AppVersion::pushed(objects, &packed, archive.into(), &settings).unwrap())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

impl Fixture {
    fn bucket(&self) -> Bucket {
        Bucket::folder(&self.folder.path().join("objects")).unwrap().of("shop")
    }

    fn run(&self) -> Parts {
        self.run_with(self.bucket(), MIRRORED)
    }

    fn run_with(&self, bucket: Bucket, rest: &str) -> Parts {
        let plain = Objects::open(self.folder.path(), Disk::real(), self.bucket()).unwrap();
        let version = version(&plain, rest, "1");
        let objects = Objects::open(self.folder.path(), Disk::real(), bucket).unwrap();
        let pages = PageStore::open(&self.folder.path().join("pages"), Disk::real()).unwrap();
        let mut press = Press::new(
            "shop".into(),
            objects.clone(),
            pages.clone(),
            SecretKey::from_seed([1; 32]),
            Vouchers::new(self.folder.path(), Disk::real()),
        );
        press.keep = self.keep.unwrap_or(press.keep);
        let store = self.folder.path().join(store::FILE_NAME);
        let projector = Projector::start(self.folder.path(), &store, version, Box::new(|_| ())).unwrap();
        let (told, heard) = mpsc::channel();
        let released = Box::new(move |out: Out, _: &Manifest, _| {
            let _ = told.send(out.stable);
        });
        let publisher = Publisher::start(press, projector.capturer(), projector.projected(), None, released).unwrap();
        Parts { objects, pages, projector, publisher, heard }
    }

    fn commit(&self, sql: &str) {
        self.store.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.store.execute_batch(sql).unwrap();
        store::count_commit(&self.store).unwrap();
        self.store.execute_batch("COMMIT").unwrap();
    }

    fn insert(&self, name: &str) {
        self.commit(&format!("INSERT INTO item (name, body) VALUES ('{name}', hex(randomblob(700)))"));
    }

    /// Manifests in the object store, by number.
    fn manifests(&self) -> BTreeMap<u64, Manifest> {
        let files = fs::read_dir(self.folder.path().join("objects/shop/releases")).into_iter().flatten();
        let read = files.map(|file| {
            let signed: SignedManifest = serde_json::from_slice(&fs::read(file.unwrap().path()).unwrap()).unwrap();
            let manifest = signed.own(&SecretKey::from_seed([1; 32]).public()).unwrap();
            (manifest.release.seq, manifest)
        });
        read.collect()
    }

    fn objects(&self, kind: &str) -> usize {
        fs::read_dir(self.folder.path().join("objects/shop").join(kind)).map_or(0, Iterator::count)
    }

    /// Everything each manifest names is there and makes what it says.
    fn assert_whole(&self, pages: &PageStore) {
        for manifest in self.manifests().values() {
            let Some(to) = pages.find(&manifest.root) else { panic!("{} is not kept", manifest.release) };
            for offer in &manifest.deltas {
                let Some(from) = pages.find(&offer.from) else { continue };
                let name = Name::Delta { from: offer.from, to: manifest.root };
                let bytes = block_on(self.bucket().get(name, u64::MAX)).unwrap().expect("a delta is offered");
                assert_eq!(bytes.len() as u64, offer.bytes);
                assert_eq!(applied(pages, Some(&from.table), &to.table, &bytes), manifest.root);
            }
            let base = manifest.base.as_ref().expect("a base is offered");
            let bytes = block_on(self.bucket().get(Name::Base(base.root), u64::MAX)).unwrap().expect("there is a base");
            assert_eq!(bytes.len() as u64, base.bytes);
            if let Some(of) = pages.find(&base.root) {
                assert_eq!(applied(pages, None, &of.table, &bytes), base.root);
            }
        }
    }
}

fn snapshot(table: &Table) -> Snapshot {
    Snapshot { root: table.root(), pages: table.pages() }
}

/// The root of what an object makes.
pub(super) fn applied(pages: &PageStore, from: Option<&Arc<Table>>, to: &Table, bytes: &[u8]) -> Digest {
    let mut draft = pages.draft(from);
    draft.resize(to.pages());
    let mut made: Vec<(u32, Page)> = Vec::new();
    let mut reader = Reader::new(from.map(|from| snapshot(from)), snapshot(to));
    reader
        .take(
            bytes,
            |number, page| from.unwrap().read(number, page).map_err(|error| panic!("{error}")),
            |number, page| {
                made.push((number, *page));
                Ok::<_, nearside_protocol::page_object::Broken>(())
            },
        )
        .unwrap();
    reader.finish().unwrap();
    for (number, page) in &made {
        draft.put(*number, page).unwrap();
    }
    draft.root()
}

impl Parts {
    fn publish(&self) -> Result<Published, String> {
        block_on(async {
            self.projector.update().await.unwrap();
            self.publisher.publish().await
        })
    }

    fn names(&self) -> Vec<String> {
        names(&self.pages.newest().unwrap().table)
    }
}

fn opened(table: &Table) -> (tempfile::NamedTempFile, Connection) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    table.export(&mut file).unwrap();
    let connection = open_immutable(file.path()).unwrap();
    assert_eq!(connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    (file, connection)
}

fn names(table: &Table) -> Vec<String> {
    let (_file, connection) = opened(table);
    let mut statement = connection.prepare("SELECT name FROM item ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

fn seqs(parts: &Parts) -> Vec<u64> {
    parts.pages.kept().iter().map(|kept| kept.release.seq).collect()
}

#[test]
fn a_release_proves_itself_and_the_next_costs_what_changed() {
    let fixture = fixture();
    fixture.commit(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO item (name, body) SELECT 'name ' || i, hex(randomblob(700)) FROM n",
    );
    let parts = fixture.run();
    let first = parts.publish().unwrap();
    assert_eq!(first.release.to_string(), "1.1");
    assert!(first.cost.unwrap().starts_with("base: "));
    assert_eq!(
        parts.publish().unwrap(),
        Published { release: first.release, candidate: None, cost: None },
        "the same is no release"
    );

    fixture.commit("UPDATE item SET body = 'other' WHERE id = 1000");
    let second = parts.publish().unwrap();
    let manifest = &fixture.manifests()[&2];
    assert_eq!((manifest.parent, manifest.applied_commit), (Some(first.release), 2));
    let [delta] = &manifest.deltas[..] else { panic!("{manifest:?}") };
    assert!(delta.pages <= 6 && delta.bytes < 4_096, "{delta:?}");
    assert!(second.cost.unwrap().starts_with("page delta: "));
    assert_eq!(manifest.base.as_ref().map(|base| base.release), Some(first.release));
    fixture.assert_whole(&parts.pages);

    let (_file, connection) = opened(&parts.pages.newest().unwrap().table);
    let found = "SELECT count(*) FROM item_text WHERE item_text MATCH '1999'";
    assert_eq!(connection.query_row(found, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!([parts.heard.recv().unwrap(), parts.heard.recv().unwrap()], [first.release, second.release]);
    assert_eq!(fs::read_to_string(fixture.folder.path().join("objects/shop/head")).unwrap(), "1.2");

    // A commit that changed nothing mirrored: a visitor's receipt waits for the release that contains it.
    fixture.commit("SELECT 1");
    assert_eq!(parts.publish().unwrap().release.seq, 3);
    assert_eq!(fixture.manifests()[&3].applied_commit, 3);
}

#[test]
fn another_version_of_the_same_pages_moves_no_page() {
    let fixture = fixture();
    fixture.insert("one");
    let parts = fixture.run();
    parts.publish().unwrap();
    block_on(parts.projector.adopt(version(&parts.objects, MIRRORED, "2"))).unwrap();
    let second = parts.publish().unwrap();
    assert!(second.cost.unwrap().starts_with("no pages: 0 of"));
    let manifests = fixture.manifests();
    assert_eq!((manifests[&2].root, &manifests[&2].deltas[..]), (manifests[&1].root, &[][..]));
    assert_ne!(manifests[&2].fingerprint, manifests[&1].fingerprint);
}

#[test]
fn a_write_waits_for_company_and_for_the_release_before_but_not_for_those_after_it() {
    let start = Instant::now();
    let at = |ms: u64| start + Duration::from_millis(ms);
    assert_eq!(due(at(5_000), None), at(5_250));
    assert_eq!(due(at(5_000), Some(at(1_000))), at(5_250));
    assert_eq!(due(at(5_000), Some(at(4_900))), at(5_900));
}

#[test]
fn a_wake_is_answered_after_the_pause_once() {
    let fixture = fixture();
    let parts = fixture.run();
    parts.publish().unwrap();
    parts.heard.recv().unwrap();
    fixture.insert("last");
    block_on(parts.projector.update()).unwrap();
    let asked = Instant::now();
    let wake = parts.publisher.waker();
    (0..5).for_each(|_| wake());
    parts.heard.recv_timeout(limits::PUBLISH_APART * 4).unwrap();
    assert!(asked.elapsed() >= limits::PUBLISH_COMPANY);
    assert!(parts.heard.recv_timeout(limits::PUBLISH_COMPANY * 2).is_err());
}

#[test]
fn a_crash_after_any_change_of_the_object_store_leaves_whole_releases_and_a_clean_next() {
    let mut changes = 0;
    loop {
        let fixture = Fixture { keep: Some(Keep { releases: 3, strides: &[], bytes: u64::MAX }), ..fixture() };
        let before = fixture.run();
        for name in ["one", "two", "three"] {
            fixture.insert(name);
            before.publish().unwrap();
        }
        drop(before);
        fixture.insert("four");
        // The start itself writes the hint.
        let crashing = fixture.run_with(fixture.bucket().fused(changes), MIRRORED);
        let published = crashing.publish();
        let recorded = crashing.pages.newest().unwrap().release.seq;
        drop(crashing);
        let in_store = *fixture.manifests().keys().last().unwrap();
        assert!(in_store == recorded || in_store + 1 == recorded, "{in_store} in the store, {recorded} recorded");

        let parts = fixture.run();
        parts.publisher.waker()();
        let done = parts.publish().unwrap();
        assert_eq!(parts.names(), ["one", "two", "three", "four"]);
        assert_eq!(done.release.seq, 4, "after {changes} changes: a release that was recorded is not made again");
        fixture.insert("five");
        parts.publish().unwrap();
        assert_eq!(parts.names().len(), 5);
        assert_eq!(fixture.manifests().keys().copied().collect::<Vec<_>>(), [3, 4, 5], "after {changes} changes");
        assert_eq!(seqs(&parts), [3, 4, 5]);
        fixture.assert_whole(&parts.pages);
        if published.is_ok() && changes > 8 {
            return;
        }
        changes += 1;
    }
}

#[test]
fn what_cannot_be_put_is_put_when_the_store_is_back() {
    let fixture = fixture();
    let parts = fixture.run();
    parts.publish().unwrap();
    let deltas = fixture.folder.path().join("objects/shop/deltas");
    fs::write(&deltas, "in the way").unwrap();
    fixture.insert("one");
    let error = parts.publish().unwrap_err();
    assert!(error.contains("the object store file://") && error.contains("shop/deltas/"), "{error}");
    assert_eq!(parts.publisher.error(), Some(error));
    fixture.insert("two");
    assert!(parts.publish().is_err());
    fs::remove_file(&deltas).unwrap();
    assert_eq!(parts.publish().unwrap().release.seq, 2);
    assert_eq!(parts.names(), ["one", "two"]);
    assert_eq!(parts.publisher.error(), None);
    fixture.assert_whole(&parts.pages);
}

#[test]
fn old_releases_go_with_what_only_they_needed() {
    let fixture = Fixture { keep: Some(Keep { releases: 10, strides: &[], bytes: u64::MAX }), ..fixture() };
    let parts = fixture.run();
    for number in 1..=26 {
        fixture.insert(&number.to_string());
        parts.publish().unwrap();
    }
    assert_eq!(seqs(&parts), (17..=26).collect::<Vec<u64>>());
    let manifests = fixture.manifests();
    assert_eq!(manifests.keys().copied().collect::<Vec<_>>(), (17..=26).collect::<Vec<u64>>());
    let skips: Vec<_> = manifests[&24].deltas.iter().map(|offer| offer.from_release.seq).collect();
    assert_eq!(skips, [23, 16]);
    assert_eq!(fixture.objects("deltas"), 11);
    assert_eq!(fixture.objects("archives"), 1);
    assert!((1..=4).contains(&fixture.objects("bases")), "{} bases", fixture.objects("bases"));
    fixture.assert_whole(&parts.pages);
    drop(parts);
    // What a crash between letting go and deleting left.
    let leftover = fixture.folder.path().join("objects/shop/releases/1.16.json");
    fs::copy(fixture.folder.path().join("objects/shop/releases/1.17.json"), &leftover).unwrap();
    let parts = fixture.run();
    fixture.insert("27");
    parts.publish().unwrap();
    assert!(!leftover.exists());
    fixture.assert_whole(&parts.pages);
}

#[test]
fn numbers_that_are_taken_are_not_used_again() {
    let fixture = fixture();
    fixture.insert("one");
    let parts = fixture.run();
    (0..3).for_each(|number| {
        fixture.insert(&number.to_string());
        parts.publish().unwrap();
    });
    drop(parts);
    // The origin's own pages are lost, or from an old backup; the object store is not.
    fs::remove_dir_all(fixture.folder.path().join("pages")).unwrap();
    let parts = fixture.run();
    let next = parts.publish().unwrap();
    assert_eq!(next.release.seq, 4);
    assert!(next.cost.unwrap().starts_with("base: "));
    assert_eq!(parts.names().len(), 4);
}

#[test]
fn a_rollback_publishes_old_content_and_holds_until_it_is_resumed() {
    let fixture = fixture();
    let parts = fixture.run();
    for name in ["one", "two", "three"] {
        fixture.insert(name);
        parts.publish().unwrap();
    }
    let rollback =
        |parts: &Parts, to: Option<u64>| block_on(parts.publisher.rollback(to.map(|seq| ReleaseId { epoch: 1, seq })));
    for (to, expected) in [(9, "release 1.9 is not kept: 1.1 to 1.3 are"), (3, "release 1.3 has the content")] {
        assert!(rollback(&parts, Some(to)).unwrap_err().contains(expected));
    }
    assert_eq!(parts.publisher.hold(), None, "what was refused holds nothing");

    // Without a number: the one before; and once more: the one before that.
    assert_eq!(rollback(&parts, None).unwrap().release.seq, 4);
    assert_eq!(parts.names(), ["one", "two"]);
    let manifest = &fixture.manifests()[&4];
    assert_eq!((manifest.rolled_back_to.map(|to| to.seq), manifest.applied_commit), (Some(2), 2));
    assert_eq!(manifest.root, fixture.manifests()[&2].root);
    assert_eq!(rollback(&parts, None).unwrap().release.seq, 5);
    assert_eq!(parts.names(), ["one"]);
    fixture.assert_whole(&parts.pages);

    // Held, for everyone, over a restart too; writes are taken all the same.
    fixture.insert("four");
    assert!(parts.publish().unwrap_err().contains("releases are held since the rollback to 1.1"));
    drop(parts);
    let parts = fixture.run();
    assert_eq!(parts.publisher.hold().map(|hold| hold.rolled_back_to.seq), Some(1));
    block_on(parts.projector.update()).unwrap();
    parts.publisher.waker()();
    assert!(parts.heard.recv_timeout(limits::PUBLISH_APART).is_err());
    assert_eq!((parts.names().len(), parts.publisher.error()), (1, None));

    let resumed = block_on(parts.publisher.resume()).unwrap();
    assert_eq!(resumed.release.seq, 6);
    assert_eq!(parts.names(), ["one", "two", "three", "four"]);
    assert_eq!((parts.publisher.hold(), fixture.manifests()[&6].rolled_back_to), (None, None));
    fixture.insert("five");
    parts.publish().unwrap();
    assert_eq!(parts.names().len(), 5);
    // Forward again, to what was rolled back.
    assert_eq!(rollback(&parts, Some(3)).unwrap().release.seq, 8);
    assert_eq!(parts.names(), ["one", "two", "three"]);
}

#[test]
fn a_pushed_file_is_the_database() {
    let fixture = fixture();
    let parts = fixture.run_with(fixture.bucket(), PUSHED);
    assert!(parts.publish().unwrap_err().contains("no database has been pushed yet"));
    let made = fixture.folder.path().join("made.db");
    let push = |sql: &str| {
        Connection::open(&made).unwrap().execute_batch(sql).unwrap();
        let came = fixture.folder.path().join("incoming-1");
        fs::copy(&made, &came).unwrap();
        pushed_file::import(&came).unwrap().keep(fixture.folder.path(), &Disk::real()).unwrap();
        parts.publish().unwrap()
    };
    let first = push(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, body BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
         INSERT INTO item SELECT i, 'name ' || i, randomblob(900) FROM n",
    );
    assert!(first.cost.unwrap().starts_with("base: "));
    assert_eq!(fs::metadata(&made).unwrap().len(), fixture.manifests()[&1].database_bytes());
    assert_eq!(parts.publish().unwrap().cost, None);
    let second = push("UPDATE item SET name = 'other' WHERE id = 500");
    assert!(second.cost.unwrap().starts_with("page delta: "));
    assert!(fixture.manifests()[&2].deltas[0].pages <= 3);
    assert_eq!(parts.names()[499], "other");
    // A write that no page shows: its receipt is satisfied by a release that costs nothing.
    fixture.insert("unseen");
    assert!(parts.publish().unwrap().cost.unwrap().starts_with("no pages"));
    // Other content altogether.
    let rebuilt = push("UPDATE item SET body = randomblob(901); VACUUM");
    assert_eq!(parts.names().len(), 1_000);
    assert!(rebuilt.cost.is_some());
    fixture.assert_whole(&parts.pages);
    // And back to rows.
    drop(parts);
    let parts = fixture.run();
    parts.publish().unwrap();
    assert_eq!(parts.names(), ["unseen"]);
    let page_count = parts.pages.newest().unwrap().table.pages() as usize;
    assert!(page_count * PAGE_BYTES < 1 << 20);
}

fn trying(parts: &Parts) -> Trying {
    let canary = Candidacy { since_ms: 7, nodes: vec!["a".into()] };
    Trying { canary, version: other_version(&parts.objects), rows: TriedRows::Same }
}

#[test]
fn a_candidate_comes_with_every_release_of_the_same_pages_and_is_never_the_last() {
    let fixture = fixture();
    fixture.insert("one");
    let parts = fixture.run();
    parts.publish().unwrap();
    let trying = trying(&parts);
    let tried = block_on(parts.publisher.try_out(Some(trying.clone()))).unwrap();
    assert_eq!((tried.release.seq, tried.candidate.map(|it| it.seq)), (1, Some(2)));
    assert_eq!(parts.publisher.candidate(), tried.candidate);
    assert_eq!(parts.publish().unwrap().candidate, tried.candidate, "the same again is no release");

    // Rows go to both, and lead on from what was for everyone.
    fixture.insert("two");
    let both = parts.publish().unwrap();
    assert_eq!((both.release.seq, both.candidate.map(|it| it.seq)), (3, Some(4)));
    let manifests = fixture.manifests();
    for (stable, candidate) in [(1, 2), (3, 4)] {
        let (stable, candidate) = (&manifests[&stable], &manifests[&candidate]);
        assert_eq!((candidate.format, candidate.candidate.as_ref()), (FORMAT_OF_CANDIDATES, Some(&trying.canary)));
        assert_eq!((candidate.root, candidate.applied_commit), (stable.root, stable.applied_commit));
        assert_eq!((candidate.parent, &candidate.deltas[..]), (Some(stable.release), &[][..]));
        assert_eq!((stable.format, &stable.candidate), (FORMAT, &None));
        assert!(candidate.app_digest == trying.version.digest && candidate.fingerprint != stable.fingerprint);
    }
    assert_eq!(manifests[&3].parent, Some(manifests[&1].release), "not the candidate");
    assert_eq!(manifests[&3].deltas[0].from_release, manifests[&1].release);
    fixture.assert_whole(&parts.pages);

    // Halted: what is for everyone comes again, once.
    let ended = block_on(parts.publisher.try_out(None)).unwrap();
    assert_eq!((ended.release.seq, ended.candidate), (5, None));
    assert_eq!(parts.publish().unwrap().release.seq, 5);
    let manifests = fixture.manifests();
    assert_eq!((manifests[&5].root, manifests[&5].app_digest), (manifests[&3].root, manifests[&3].app_digest));
    // And no way leads back to what was only tried out.
    let no_way = block_on(parts.publisher.rollback(Some(both.candidate.unwrap()))).unwrap_err();
    assert!(no_way.contains("is not kept"), "{no_way}");
    assert_eq!(block_on(parts.publisher.rollback(None)).unwrap().release.seq, 6);
    assert_eq!(fixture.manifests()[&6].rolled_back_to.map(|to| to.seq), Some(1));
}

#[test]
fn what_is_promoted_is_the_same_content_under_the_next_number() {
    let fixture = fixture();
    fixture.insert("one");
    let parts = fixture.run();
    parts.publish().unwrap();
    let trying = trying(&parts);
    block_on(parts.publisher.try_out(Some(trying.clone()))).unwrap();
    block_on(parts.projector.adopt(trying.version.clone())).unwrap();
    // Whether the publisher hears of the version first, or that nothing is tried out any more.
    let first = parts.publish().unwrap();
    let promoted = block_on(parts.publisher.try_out(None)).unwrap();
    assert_eq!((first.release, promoted.release.seq, promoted.candidate), (promoted.release, 3, None));
    let manifests = fixture.manifests();
    let (candidate, stable) = (&manifests[&2], &manifests[&3]);
    assert_eq!(
        (stable.root, stable.app_digest, stable.fingerprint),
        (candidate.root, candidate.app_digest, candidate.fingerprint)
    );
    assert_eq!((stable.format, &stable.candidate), (FORMAT, &None));
}

#[test]
fn a_start_publishes_what_is_for_everyone_after_a_candidate_that_nobody_tries_out_any_more() {
    let fixture = fixture();
    fixture.insert("one");
    let parts = fixture.run();
    parts.publish().unwrap();
    block_on(parts.publisher.try_out(Some(trying(&parts)))).unwrap();
    drop(parts);
    let parts = fixture.run();
    assert_eq!(parts.publisher.head().unwrap().release.seq, 1, "the candidate is not what is for everyone");
    parts.publisher.waker()();
    let heard = parts.heard.recv_timeout(limits::PUBLISH_APART * 4).unwrap();
    assert_eq!((heard.seq, fixture.manifests()[&3].candidate.clone()), (3, None));
    assert_eq!(parts.names(), ["one"]);
}
