use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::*;
use crate::restore::{self, Known, RestoreError};

const ALL: Chosen = Chosen { keys: true, blobs: true };

/// A data folder with one app that has a row in its store for each number counted.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Data {
        let data = Data(tempfile::tempdir().unwrap());
        let app = data.app();
        fs::create_dir_all(app.join("blobs/ab")).unwrap();
        fs::write(app.join("blobs/ab/abcd"), "a blob").unwrap();
        fs::write(app.join("blobs/ab/half.tmp"), "half a blob").unwrap();
        fs::write(app.join("secrets.json"), "{}").unwrap();
        fs::write(data.path().join("signing.key"), "key").unwrap();
        let store = store::open(&app.join(store::FILE_NAME)).unwrap();
        store.execute_batch("CREATE TABLE line (n INTEGER PRIMARY KEY)").unwrap();
        let archive = b"an archive";
        let running = RunningVersion { app_digest: Digest::of(archive), app_archive_bytes: archive.len() as u64 };
        running.store(&app, &Disk::real()).unwrap();
        let bucket = data.bucket().of("shop");
        bucket.wait(bucket.put(Name::Archive(running.app_digest), archive.to_vec())).unwrap();
        data
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn app(&self) -> PathBuf {
        self.path().join("apps/shop")
    }

    fn bucket(&self) -> Bucket {
        Bucket::folder(&self.path().join("objects")).unwrap()
    }

    fn store(&self) -> Connection {
        store::open(&self.app().join(store::FILE_NAME)).unwrap()
    }

    fn dest(&self) -> PathBuf {
        self.0.path().join("backup")
    }

    fn back_up(&self, chosen: Chosen) -> Result<Made, BackupError> {
        back_up(&self.path(), &self.bucket(), &self.dest(), chosen)
    }
}

fn commit(store: &Connection) -> u64 {
    let commit = || {
        store.execute_batch("BEGIN IMMEDIATE")?;
        let number = store::count_commit(store)?;
        store.execute("INSERT INTO line (n) VALUES (?1)", [number])?;
        store.execute_batch("COMMIT")?;
        Ok::<_, rusqlite::Error>(number)
    };
    commit().unwrap()
}

/// Every number up to the commit, once each.
fn assert_whole(store: &Connection) -> u64 {
    let commit = store::meta(store).unwrap().commit;
    let sql = "SELECT count(*), coalesce(max(n), 0) FROM line";
    let found: (u64, u64) = store.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(found, (commit, commit));
    commit
}

#[test]
fn what_was_acknowledged_before_a_backup_under_load_is_in_it_and_comes_back_in_another_epoch() {
    let data = Data::new();
    let (done, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (store, done, acknowledged) = (data.store(), done.clone(), acknowledged.clone());
        std::thread::spawn(move || {
            while !done.load(Ordering::Relaxed) {
                acknowledged.store(commit(&store), Ordering::SeqCst);
            }
        })
    };
    while acknowledged.load(Ordering::SeqCst) < 20 {
        std::thread::yield_now();
    }
    let before = acknowledged.load(Ordering::SeqCst);
    let made = data.back_up(ALL).unwrap();
    let app = &made.manifest.apps["shop"];
    assert!(app.commit >= before, "{} of {before}", app.commit);
    assert_eq!(made.warnings, Vec::<String>::new());
    let mark = store::watermark(&store::open_again(&data.app().join(store::FILE_NAME)).unwrap()).unwrap();
    assert!(mark.covers(1, app.commit) && !mark.covers(1, app.commit + 1), "{mark:?}");
    done.store(true, Ordering::Relaxed);
    writer.join().unwrap();
    let lost = acknowledged.load(Ordering::SeqCst);

    let into = data.0.path().join("new/data");
    let report = restore::restore(&data.dest(), &into, Known { bucket: None, epoch: 6 }).unwrap();
    let store = store::open(&into.join("apps/shop/store.db")).unwrap();
    assert_eq!(assert_whole(&store), app.commit);
    let mark = store::watermark(&store).unwrap();
    assert_eq!(mark, report.apps[0].mark);
    assert_eq!((mark.epoch, mark.commit), (7, app.commit));
    assert!(mark.covers(1, app.commit) && !mark.has(1, app.commit + 1), "{mark:?}");
    assert_eq!(fs::read(into.join("apps/shop/blobs/ab/abcd")).unwrap(), b"a blob");
    assert!(!into.join("apps/shop/blobs/ab/half.tmp").exists());
    assert_eq!(fs::read(into.join("signing.key")).unwrap(), b"key");
    let bucket = Bucket::folder(&into.join("objects")).unwrap().of("shop");
    assert_eq!(bucket.wait(bucket.length(Name::Archive(app.app_digest.unwrap()))).unwrap(), Some(10));
    println!("{before} acknowledged before, {} in the backup, {lost} in the end", app.commit);
}

#[test]
fn a_backup_overwrites_nothing_and_leaves_out_what_it_says() {
    let data = Data::new();
    let made = data.back_up(Chosen { keys: false, blobs: false }).unwrap();
    assert_eq!(made.warnings.len(), 2, "{:?}", made.warnings);
    let names: Vec<&String> = made.manifest.files.keys().collect();
    assert_eq!(names, ["apps/shop/archive", "apps/shop/running.json", "apps/shop/store.db"]);
    assert!(matches!(data.back_up(ALL), Err(BackupError::There { .. })));
    // Neither do halves of one stay.
    let left: Vec<_> = fs::read_dir(data.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    let elsewhere = data.0.path().join("elsewhere");
    assert!(matches!(back_up(&elsewhere, &data.bucket(), &elsewhere, ALL), Err(BackupError::NotAnOrigin { .. })));
}

#[test]
fn a_damaged_backup_is_not_restored_and_neither_is_one_over_something() {
    let data = Data::new();
    commit(&data.store());
    data.back_up(ALL).unwrap();
    let into = data.0.path().join("into");
    let try_it = || restore::restore(&data.dest(), &into, Known::default());

    fs::create_dir(&into).unwrap();
    fs::write(into.join("something"), "there").unwrap();
    assert!(matches!(try_it(), Err(RestoreError::NotEmpty { .. })));
    fs::remove_dir_all(&into).unwrap();

    let file = data.dest().join("apps/shop/blobs/ab/abcd");
    let damage = |path: &Path, from: &str, to: &str| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace(from, to)).unwrap();
    };
    damage(&file, "a blob", "a blub");
    let error = try_it().err().unwrap().to_string();
    assert!(error.contains("damaged: apps/shop/blobs/ab/abcd"), "{error}");
    damage(&file, "a blub", "a blob");
    damage(&data.dest().join(MANIFEST), "\"blobs\": true", "\"blobs\": false");
    assert!(matches!(try_it(), Err(RestoreError::Damaged { .. })));
    damage(&data.dest().join(MANIFEST), "\"blobs\": false", "\"blobs\": true");
    assert!(!into.exists());
    try_it().unwrap();
    assert!(matches!(try_it(), Err(RestoreError::NotEmpty { .. })));
}

#[test]
fn names_stay_below_the_backup() {
    for (name, stays) in [("a/b", true), ("/a", false), ("../a", false), ("a/../b", false), ("", false)] {
        assert_eq!(stays_below(name), stays, "{name}");
    }
}
