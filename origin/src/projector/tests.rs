use std::{collections::BTreeMap, fs, sync::mpsc};

use nearside_host::{archive::Archive, disk::Disk};
use rusqlite::Connection;

use super::*;
use crate::{bucket::Bucket, change_log, config::AppConfig, objects::Objects, snapshot::open_immutable, store};

struct Fixture {
    folder: tempfile::TempDir,
    store: Connection,
    objects: Objects,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let store = store::open(&folder.path().join(store::FILE_NAME)).unwrap();
    store.execute_batch("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
    let mirror = BTreeMap::from([("item".to_owned(), vec!["id".to_owned(), "name".to_owned()])]);
    change_log::make_triggers(&store, &change_log::wanted(&mirror)).unwrap();
    let bucket = Bucket::folder(&folder.path().join("objects")).unwrap().of("shop");
    let objects = Objects::open(folder.path(), Disk::real(), bucket).unwrap();
    Fixture { folder, store, objects }
}

impl Fixture {
    fn version(&self, snapshot_sql: &str) -> Arc<AppVersion> {
        let folder = tempfile::tempdir().unwrap();
        let manifest = "name = \"shop\"\nhosts = [\"shop\"]\n[mirror]\nitem = [\"id\", \"name\"]\n";
        fs::write(folder.path().join("nearside.toml"), manifest).unwrap();
        fs::write(folder.path().join("snapshot.sql"), snapshot_sql).unwrap();
        let archive = Archive::collect(folder.path()).unwrap();
        let packed = archive.pack().unwrap();
        Arc::new(AppVersion::pushed(&self.objects, &packed, archive.into(), &AppConfig::default()).unwrap())
    }

    fn start(&self, version: &Arc<AppVersion>) -> (Projector, mpsc::Receiver<u64>) {
        let (told, durable) = mpsc::channel();
        let on_durable = Box::new(move |commit| told.send(commit).unwrap());
        let store = self.folder.path().join(store::FILE_NAME);
        (Projector::start(self.folder.path(), &store, version.clone(), on_durable).unwrap(), durable)
    }

    fn commit(&self, name: &str) {
        self.store.execute_batch("BEGIN IMMEDIATE").unwrap();
        self.store.execute("INSERT INTO item (name) VALUES (?1)", [name]).unwrap();
        store::count_commit(&self.store).unwrap();
        self.store.execute_batch("COMMIT").unwrap();
    }

    fn read_databases(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name.starts_with("read-") && name.ends_with(".db")).collect();
        names.sort();
        names
    }
}

fn count(projected: &Projected, table: &str) -> i64 {
    let connection = Connection::open(&projected.file).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

const ITEM: &str = "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'bad'));";

#[test]
fn the_read_database_follows_and_tells_when_it_is_durable() {
    let fixture = fixture();
    let version = fixture.version(ITEM);
    let (projector, durable) = fixture.start(&version);
    let mut projected = projector.projected();
    fixture.commit("a");
    fixture.commit("b");
    projector.waker()();
    let reached = block_on(async { projected.wait_for(|reached| reached.position.commit == 2).await.unwrap().clone() });
    assert_eq!(count(&reached, "item"), 2);
    assert_eq!(durable.recv_timeout(CHECKPOINT.latest).unwrap(), 2);
    // All of it is in the file itself, without its log.
    let copy = fixture.folder.path().join("copy.db");
    fs::copy(&reached.file, &copy).unwrap();
    let copied = open_immutable(&copy).unwrap();
    assert_eq!(copied.query_row("SELECT count(*) FROM item", [], |row| row.get::<_, i64>(0)).unwrap(), 2);

    // The log may go now, and a start finds the same file.
    fixture.store.execute_batch("DELETE FROM _nearside_change").unwrap();
    drop(projector);
    fixture.commit("c");
    let (projector, _durable) = fixture.start(&version);
    let again = projector.projected().borrow().clone();
    assert_eq!((again.file.clone(), again.position.commit, count(&again, "item")), (reached.file, 3, 3));
}

#[test]
fn another_shape_is_another_file_or_nothing_changes() {
    let fixture = fixture();
    let first = fixture.version(ITEM);
    let (projector, _durable) = fixture.start(&first);
    fixture.commit("a");
    assert_eq!(fixture.read_databases(), ["read-1.db"]);

    let broken = fixture.version("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT CHECK (name <> 'a'));");
    assert!(block_on(projector.adopt(broken)).is_err_and(|why| why.contains("CHECK constraint failed")));
    let kept = block_on(projector.update()).unwrap();
    assert!(Arc::ptr_eq(&kept.version, &first));
    assert_eq!((projector.error(), count(&kept, "item")), (None, 1));

    let more = fixture.version(&format!("{ITEM} CREATE TABLE more (x);"));
    let adopted = block_on(projector.adopt(more.clone())).unwrap();
    assert!(Arc::ptr_eq(&adopted.version, &more));
    assert_eq!((count(&adopted, "item"), count(&adopted, "more")), (1, 0));
    assert_eq!(fixture.read_databases(), ["read-2.db"]);

    // A new version of the same shape stays in the file.
    let same = fixture.version(&format!("{ITEM} CREATE TABLE more (x);"));
    assert_eq!(block_on(projector.adopt(same)).unwrap().file, adopted.file);
    drop(projector);
    fs::write(fixture.folder.path().join("read-3.tmp"), "half").unwrap();
    fs::write(fixture.folder.path().join("read-4.db"), "not a database at all").unwrap();
    let (projector, _durable) = fixture.start(&more);
    assert_eq!(count(&projector.projected().borrow(), "item"), 1);
    assert_eq!(fixture.read_databases(), ["read-2.db"]);
}

#[test]
fn what_keeps_it_from_following_is_told_until_it_is_over() {
    let fixture = fixture();
    let (projector, _durable) = fixture.start(&fixture.version(ITEM));
    fixture.commit("bad");
    assert!(block_on(projector.update()).is_err());
    assert!(projector.error().is_some_and(|why| why.contains("mirrored table `item`: CHECK")));
    assert_eq!(projector.projected().borrow().position.commit, 0);
    fixture.store.execute_batch("BEGIN; UPDATE item SET name = 'good'; UPDATE _nearside_meta SET value = value + 1 WHERE key = 'commit'; COMMIT").unwrap();
    // Without being woken: it tries again by itself.
    let mut projected = projector.projected();
    let wait = async {
        tokio::time::timeout(limits::RELEASE_RETRY * 2, projected.wait_for(|it| it.position.commit == 2)).await.is_ok()
    };
    assert!(block_on(wait));
    assert_eq!(projector.error(), None);
}
