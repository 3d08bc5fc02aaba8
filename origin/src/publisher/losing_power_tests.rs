//! A publisher whose disk loses what was not synced, at every step of some publishes, its object store a folder on the same
//! disk: no release is torn, and none that was said to be published is lost.

use std::{
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use nearside_host::{
    disk::{
        Disk, Step, Watcher,
        losing::{LosingDisk, Luck},
    },
    pages::{Keep, PageStore},
};
use nearside_protocol::{
    digest::Digest,
    key::SecretKey,
    limits::PAGE_BYTES,
    page_object::Page,
    release::{DatabaseId, Manifest, SignedManifest},
};

use super::tests::applied;
use crate::{
    bucket::{Bucket, Name},
    objects::Objects,
    press::{Again, Content, Press},
    vouchers::Vouchers,
};

const PAGES: u32 = 24;
const PUBLISHES: u64 = 5;
const KEEP: Keep = Keep { releases: 3, strides: &[4], bytes: u64::MAX };
/// What of the un-synced is lost, for each crash point: all, nothing, and twice some of it.
const WAYS: u32 = 4;
/// They wait for the disk, mostly.
const THREADS: usize = 8;

#[derive(Default)]
struct Steps(Mutex<Vec<Step>>);

impl Watcher for Steps {
    fn saw(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

/// What is wrong with what was found.
type Found<T> = Result<T, String>;

fn told(error: impl Display) -> String {
    error.to_string()
}

fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn press(folder: &Path, disk: Disk, bucket: Bucket) -> Found<Press> {
    let objects = Objects::open(folder, Disk::real(), bucket).map_err(told)?;
    let pages = PageStore::open(&folder.join("pages"), disk).map_err(told)?;
    let mut press = Press::new("shop".into(), objects, pages, key(), Vouchers::new(folder, Disk::real()));
    press.keep = KEEP;
    Ok(press)
}

fn bucket(folder: &Path) -> Bucket {
    Bucket::folder(&folder.join("objects")).unwrap().of("shop")
}

/// What the page of a release is: a few are other ones in each.
fn page(number: u32, seq: u64) -> Page {
    let since = (1..=seq).rev().find(|seq| *seq == 1 || (u64::from(number) + seq).is_multiple_of(5)).unwrap_or(1);
    let mut page = [number as u8; PAGE_BYTES];
    page[..8].copy_from_slice(&since.to_le_bytes());
    page
}

fn publish(press: &mut Press, content_of: u64) -> Found<()> {
    let newest = press.newest().map(|(kept, _)| kept.table);
    let mut draft = press.pages.draft(newest.as_ref());
    draft.resize(PAGES);
    for number in 0..PAGES {
        draft.put(number, &page(number, content_of)).map_err(told)?;
    }
    let content = Content {
        database: DatabaseId("d".into()),
        epoch: 1,
        applied_commit: content_of,
        rolled_back_to: None,
        candidate: None,
        app_digest: Digest::of(b"app"),
        app_archive_bytes: 3,
        variables: Default::default(),
        secrets: None,
        fingerprint: Digest::of(b"all of it"),
    };
    let made = press.publish(draft, content, Again::AfterACandidate).map_err(told)?;
    made.map(drop).ok_or_else(|| "nothing is published, though the pages are other ones".into())
}

/// Manifests in a folder's object store: whole and signed, or that is what is wrong.
fn manifests(folder: &Path) -> Found<Vec<Manifest>> {
    let files = fs::read_dir(folder.join("objects/shop/releases")).into_iter().flatten();
    let named = files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|end| end == "json"));
    let read = |file: PathBuf| {
        let signed: SignedManifest = serde_json::from_slice(&fs::read(&file).unwrap())
            .map_err(|error| format!("the manifest {} is torn: {error}", file.display()))?;
        signed.own(&key().public()).map_err(told)
    };
    let mut manifests = named.map(read).collect::<Found<Vec<Manifest>>>()?;
    manifests.sort_by_key(|manifest| manifest.release);
    Ok(manifests)
}

fn newest_in_store(folder: &Path) -> Found<u64> {
    Ok(manifests(folder)?.last().map_or(0, |manifest| manifest.release.seq))
}

/// The page store's releases are what was published, and whatever a manifest of one of them names makes what it says.
fn is_whole(press: &Press, folder: &Path) -> Found<()> {
    for kept in press.pages.kept() {
        for number in 0..PAGES {
            let mut found = [0; PAGE_BYTES];
            kept.table.read(number, &mut found).map_err(told)?;
            ensure(found == page(number, kept.release.seq), || format!("page {number} of {} is wrong", kept.release))?;
        }
    }
    let bucket = bucket(folder);
    let get = |name: Name| {
        bucket.wait(bucket.get(name, u64::MAX)).map_err(told)?.ok_or_else(|| format!("{name} is named, and not there"))
    };
    for manifest in manifests(folder)? {
        let Some(to) = press.pages.find(&manifest.root) else { continue };
        for offer in &manifest.deltas {
            let Some(from) = press.pages.find(&offer.from) else { continue };
            let object = get(Name::Delta { from: offer.from, to: manifest.root })?;
            ensure(object.len() as u64 == offer.bytes, || format!("a delta to {} is torn", manifest.release))?;
            let made = applied(&press.pages, Some(&from.table), &to.table, &object);
            ensure(made == manifest.root, || format!("a delta to {} makes something else", manifest.release))?;
        }
        let base = manifest.base.ok_or("a manifest names no base")?;
        let object = get(Name::Base(base.root))?;
        ensure(object.len() as u64 == base.bytes, || format!("the base of {} is torn", base.release))?;
        if let Some(of) = press.pages.find(&base.root) {
            let made = applied(&press.pages, None, &of.table, &object);
            ensure(made == base.root, || format!("the base of {} makes something else", base.release))?;
        }
    }
    Ok(())
}

fn ensure(holds: bool, or_else: impl FnOnce() -> String) -> Found<()> {
    if holds { Ok(()) } else { Err(or_else()) }
}

/// Some publishes, step by step.
struct Recorded {
    folder: tempfile::TempDir,
    steps: Vec<Step>,
    /// How many steps were done when each was said to be published; none before the first.
    acknowledged: Vec<usize>,
}

fn record() -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let steps = Arc::new(Steps::default());
    let watched = bucket(folder.path()).watched(folder.path().join("objects"), steps.clone());
    let mut acknowledged = Vec::new();
    let mut press = press(folder.path(), Disk::watched(steps.clone()), watched).unwrap();
    for seq in 1..=PUBLISHES {
        publish(&mut press, seq).unwrap();
        acknowledged.push(steps.0.lock().unwrap().len());
    }
    drop(press);
    let steps = std::mem::take(&mut *steps.0.lock().unwrap());
    Recorded { folder, steps, acknowledged }
}

impl Recorded {
    /// Loses power after every step, in each of the ways; gives how many states were found, and fails with the first that is
    /// wrong. Steps that are `left_out` are not taken by the disk: a sync that is forgotten.
    fn replay(&self, left_out: impl Fn(&Step) -> bool) -> Found<usize> {
        let mut disk = LosingDisk::default();
        let mut disks = Vec::new();
        for step in &self.steps {
            if !left_out(step) {
                disk.take(step);
            }
            disks.push(disk.clone());
        }
        let (next, states) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let wrong: Mutex<Option<String>> = Mutex::default();
        let work = || {
            while wrong.lock().unwrap().is_none() {
                let done = next.fetch_add(1, Ordering::Relaxed);
                let Some(disk) = disks.get(done) else { break };
                for way in 0..WAYS {
                    states.fetch_add(1, Ordering::Relaxed);
                    if let Err(why) = self.come_back(disk, done, way) {
                        let what: String = format!("{:?}", self.steps[done]).chars().take(120).collect();
                        *wrong.lock().unwrap() = Some(format!("after step {done}, {what}, way {way}: {why}"));
                    }
                }
            }
        };
        std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
        wrong.into_inner().unwrap().map_or(Ok(states.into_inner()), Err)
    }

    /// The publisher starts from what the disk has, and goes on.
    fn come_back(&self, disk: &LosingDisk, done: usize, way: u32) -> Found<()> {
        let least = self.acknowledged.iter().filter(|steps| **steps <= done + 1).count() as u64;
        let found = tempfile::tempdir().unwrap();
        disk.found(self.folder.path(), found.path(), Luck::new(way, done as u64)).map_err(told)?;
        let in_store = newest_in_store(found.path())?;
        ensure(in_store == least || in_store == least + 1, || {
            format!("{in_store} in the store, {least} acknowledged")
        })?;
        let mut press = press(found.path(), Disk::real(), bucket(found.path()))?;
        let kept = press.newest().map_or(0, |(kept, _)| kept.release.seq);
        ensure(kept >= in_store && kept <= least + 1, || format!("{kept} kept, {in_store} in the store"))?;
        press.finish().map_err(told)?;
        is_whole(&press, found.path())?;
        ensure(newest_in_store(found.path())? == kept, || format!("{kept} is kept, and not finished"))?;
        publish(&mut press, kept + 1)?;
        ensure(newest_in_store(found.path())? == kept + 1, || "the next publish is not there".into())?;
        is_whole(&press, found.path())
    }
}

#[test]
fn a_publisher_whose_disk_loses_what_was_not_synced_tears_no_release() {
    let recorded = record();
    let states = recorded.replay(|_| false).unwrap();
    println!("{} crash points of {PUBLISHES} publishes, {states} states", recorded.steps.len());
    assert_eq!(states, recorded.steps.len() * WAYS as usize);
    assert!(recorded.steps.len() > 100);
}

/// The same replay finds out about each sync that is forgotten, so it would find one that is missing.
#[test]
fn every_sync_of_a_publish_is_needed() {
    let recorded = record();
    let file = |step: &Step, part: &str| matches!(step, Step::SyncFile(path) if path.to_string_lossy().contains(part));
    let folder = |step: &Step, end: &str| matches!(step, Step::SyncFolder(path) if path.ends_with(end));
    type LeftOut<'a> = &'a dyn Fn(&Step) -> bool;
    let forgotten: [(&str, LeftOut<'_>); 9] = [
        ("the slots", &|step| file(step, "/pages/slots")),
        ("the book", &|step| matches!(step, Step::SyncFile(path) if path.ends_with("pages/book-1"))),
        ("a new book", &|step| matches!(step, Step::SyncFile(path) if path.ends_with("pages/book-1.tmp"))),
        ("the page store's folder", &|step| folder(step, "pages")),
        ("a manifest", &|step| file(step, "/shop/releases/")),
        ("the folder of manifests", &|step| folder(step, "shop/releases")),
        ("a delta", &|step| file(step, "/shop/deltas/")),
        ("the folder of deltas", &|step| folder(step, "shop/deltas")),
        ("the folder of bases", &|step| folder(step, "shop/bases")),
    ];
    for (what, left_out) in forgotten {
        let left = recorded.steps.iter().filter(|step| left_out(step)).count();
        assert!(left > 0, "{what} is never synced");
        let wrong = recorded.replay(left_out).expect_err(&format!("{what}: nobody notices"));
        println!("{what}, {left} syncs left out: {wrong}");
    }
}
