use std::{collections::BTreeMap, fs, path::PathBuf};

use nearside_host::{archive::Archive, disk::Disk};
use nearside_protocol::{limits, release::Manifest};
use rusqlite::Connection;

use super::*;
use crate::{
    change_log,
    config::AppConfig,
    read_database::{ReadDatabase, Shape},
    snapshot::{open_immutable, root_of},
    store,
};

const SNAPSHOT: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT);
    CREATE VIRTUAL TABLE item_text USING fts5(name, content = 'item', content_rowid = 'id');
    CREATE TRIGGER item_insert AFTER INSERT ON item BEGIN
      INSERT INTO item_text (rowid, name) VALUES (new.id, new.name);
    END;";

/// An app with a store, a read database that follows it, and a press.
struct Fixture {
    folder: tempfile::TempDir,
    store: Connection,
    read: ReadDatabase,
    press: Press,
    version: AppVersion,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(&folder.path().join(store::FILE_NAME)).unwrap();
    store.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
    let mirror = BTreeMap::from([("item".to_owned(), vec!["id".to_owned(), "name".to_owned()])]);
    change_log::make_triggers(&store, &change_log::wanted(&mirror)).unwrap();
    let shape = Shape::new(mirror, SNAPSHOT.to_owned());
    let read =
        ReadDatabase::build(&folder.path().join("read-1.db"), &folder.path().join(store::FILE_NAME), &shape).unwrap();
    let objects = Objects::open(folder.path(), Disk::real()).unwrap();
    let version = version(&objects, "1");
    let vouchers = Vouchers::new(folder.path(), Disk::real());
    let press = Press { app: "shop".into(), objects, key: SecretKey::from_seed([1; 32]), vouchers };
    Fixture { folder, store, read, press, version }
}

fn version(objects: &Objects, variable: &str) -> AppVersion {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nearside.toml"), "name = \"shop\"\nhosts = [\"shop\"]\n[variables]\nV = \"0\"\n")
        .unwrap();
    let archive = Archive::collect(folder.path()).unwrap();
    let packed = archive.pack().unwrap();
    let settings = AppConfig { variables: [("V".into(), variable.into())].into(), ..AppConfig::default() };
    AppVersion::pushed(objects, &packed, archive.into(), &settings).unwrap()
}

impl Fixture {
    fn read_path(&self) -> PathBuf {
        self.folder.path().join("read-1.db")
    }

    fn commit(&mut self, name: &str) {
        self.store.execute("INSERT INTO item (name) VALUES (?1)", [name]).unwrap();
        store::count_commit(&self.store).unwrap();
        self.read.update().unwrap();
    }

    fn head(&self) -> Option<Manifest> {
        self.press.objects.head(&self.press.key.public()).unwrap()
    }

    fn publish(&self) -> Option<Manifest> {
        self.press.publish(&self.read_path(), &self.version, self.head().as_ref()).unwrap()
    }

    fn open(&self, manifest: &Manifest) -> Connection {
        open_immutable(&self.press.objects.snapshot_path(&manifest.root)).unwrap()
    }
}

fn names(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT name FROM item ORDER BY id").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn a_release_proves_itself_and_opens_immutable() {
    let mut fixture = fixture();
    fixture.commit("edge cache");
    let manifest = fixture.publish().unwrap();
    assert_eq!(fixture.head(), Some(manifest.clone()), "what is on disk verifies with the key");
    assert_eq!((manifest.release.to_string().as_str(), manifest.parent, manifest.applied_commit), ("1.1", None, 1));
    assert_eq!(manifest.variables["V"], "1");

    let path = fixture.press.objects.snapshot_path(&manifest.root);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[18..20], [1, 1], "no write-ahead log is looked for");
    assert_eq!(&bytes[16..18], &(limits::PAGE_BYTES as u16).to_be_bytes());
    assert_eq!(bytes.len() as u64, manifest.database_bytes());
    assert_eq!(root_of(&path, &fs::File::open(&path).unwrap()).unwrap(), (manifest.root, manifest.page_count));

    let snapshot = fixture.open(&manifest);
    assert_eq!(names(&snapshot), ["edge cache"]);
    let found = "SELECT count(*) FROM item_text WHERE item_text MATCH 'cache'";
    assert_eq!(snapshot.query_row(found, [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    assert_eq!(snapshot.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
    drop(snapshot);
    let beside: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "nothing is left beside the snapshot");
}

#[test]
fn the_same_again_is_no_release() {
    let mut fixture = fixture();
    let first = fixture.publish().unwrap();
    assert_eq!(first.applied_commit, 0, "an app without rows is released all the same");
    assert_eq!(fixture.publish(), None);
    fixture.commit("one");
    let second = fixture.publish().unwrap();
    assert_eq!(second.parent, Some(first.release));
    assert_eq!(second.fingerprint, first.fingerprint);

    fixture.version = version(&fixture.press.objects, "2");
    let third = fixture.publish().unwrap();
    assert_eq!((third.root, third.release.seq), (second.root, 3));
    assert_ne!(third.fingerprint, second.fingerprint);
    assert_eq!(names(&fixture.open(&first)).len(), 0, "older releases stay as they were");

    // A commit that changed nothing mirrored: a visitor's receipt waits for the release that contains it.
    store::count_commit(&fixture.store).unwrap();
    fixture.read.update().unwrap();
    assert_eq!(fixture.publish().unwrap().applied_commit, 2);
}

#[test]
fn a_crash_between_any_two_steps_leaves_the_release_before() {
    let mut fixture = fixture();
    fixture.commit("one");
    let first = fixture.publish().unwrap();
    fixture.commit("two");
    let objects = &fixture.press.objects;
    let snapshot = snapshot::take(&fixture.read_path(), &objects.new_snapshot_path()).unwrap();

    // Step 1 done: a whole file without a name.
    Objects::open(fixture.folder.path(), Disk::real()).unwrap();
    assert!(!objects.new_snapshot_path().exists());
    assert_eq!(fixture.head(), Some(first.clone()));

    // Step 2 done: a snapshot nobody names.
    let snapshot_again = snapshot::take(&fixture.read_path(), &objects.new_snapshot_path()).unwrap();
    assert_eq!(snapshot_again, snapshot, "the same moment gives the same bytes");
    objects.put_snapshot(&objects.new_snapshot_path(), &snapshot.root).unwrap();
    assert_eq!(fixture.head(), Some(first.clone()));

    // Half of step 3: a manifest being written. Then all of it, damaged: its number is used, and is not used again.
    fs::write(objects.release_path(first.release).with_file_name("1.2.tmp"), "{").unwrap();
    fs::write(objects.release_path(ReleaseId { epoch: 1, seq: 2 }), "{").unwrap();
    Objects::open(fixture.folder.path(), Disk::real()).unwrap();
    assert_eq!(fixture.head(), Some(first.clone()));
    let next = fixture.publish().unwrap();
    assert_eq!((next.release.seq, next.parent, next.root), (3, Some(first.release), snapshot.root));
    assert_eq!(names(&fixture.open(&next)), ["one", "two"]);
}

#[test]
fn the_publisher_announces_and_tidies() {
    let mut fixture = fixture();
    fixture.commit("one");
    let version = std::sync::Arc::new(version(&fixture.press.objects, "1"));
    let projected = |fixture: &Fixture| Projected {
        version: version.clone(),
        file: fixture.read_path(),
        position: fixture.read.position().unwrap().unwrap(),
    };
    let (moved, watched) = watch::channel(projected(&fixture));
    let objects = fixture.press.objects.clone();
    let press = Press { app: "shop".into(), objects: objects.clone(), key: fixture.press.key.clone() };
    let (told, heard) = std::sync::mpsc::channel();
    let publisher = Publisher::start(press, None, watched, Box::new(move |id| told.send(id).unwrap())).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for n in 0..limits::RELEASES_KEPT_ORIGIN + 3 {
        fixture.commit(&n.to_string());
        moved.send_replace(projected(&fixture));
        let release = runtime.block_on(publisher.publish()).unwrap();
        assert_eq!(heard.recv().unwrap(), release);
        assert_eq!(publisher.head().unwrap().release, release);
    }
    let again = runtime.block_on(publisher.publish()).unwrap();
    assert_eq!(Some(again), publisher.head().map(|head| head.release));
    assert!(heard.try_recv().is_err(), "nothing new is not announced");

    // A wake alone is answered after the pause, once.
    let wake = publisher.waker();
    fixture.commit("last");
    moved.send_replace(projected(&fixture));
    let asked = Instant::now();
    (0..5).for_each(|_| wake());
    heard.recv_timeout(limits::PUBLISH_LATEST * 4).unwrap();
    assert!(asked.elapsed() >= limits::PUBLISH_DEBOUNCE);
    drop(publisher);
    let count = |folder: &str| fs::read_dir(fixture.folder.path().join(folder)).unwrap().count();
    assert_eq!(count("releases"), limits::RELEASES_KEPT_ORIGIN);
    assert_eq!(count("snapshots"), limits::RELEASES_KEPT_ORIGIN);
    assert_eq!(objects.releases().unwrap().last().map(|id| id.seq), Some(limits::RELEASES_KEPT_ORIGIN as u64 + 4));
    assert!(heard.try_recv().is_err());
}
