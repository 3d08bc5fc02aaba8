//! A publisher whose disk loses what was not synced, at every step of some publishes, its object store a folder on the same
//! disk: no release is torn, and none that was said to be published is lost.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use nearside_host::{
    disk::{Disk, Step, Watcher, losing::LosingDisk},
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
    press::{Content, Press},
    vouchers::Vouchers,
};

const PAGES: u32 = 24;
const PUBLISHES: u64 = 5;
const KEEP: Keep = Keep { releases: 3, bytes: u64::MAX };

#[derive(Default)]
struct Steps(Mutex<Vec<Step>>);

impl Watcher for Steps {
    fn saw(&self, step: Step) {
        self.0.lock().unwrap().push(step);
    }
}

fn key() -> SecretKey {
    SecretKey::from_seed([1; 32])
}

fn press(folder: &Path, disk: Disk, bucket: Bucket) -> Press {
    let objects = Objects::open(folder, Disk::real(), bucket).unwrap();
    let pages = PageStore::open(&folder.join("pages"), disk).unwrap();
    let mut press = Press::new("shop".into(), objects, pages, key(), Vouchers::new(folder, Disk::real()));
    press.keep = KEEP;
    press
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

fn publish(press: &mut Press, content_of: u64) {
    let newest = press.newest().map(|(kept, _)| kept.table);
    let mut draft = press.pages.draft(newest.as_ref());
    draft.resize(PAGES);
    (0..PAGES).for_each(|number| drop(draft.put(number, &page(number, content_of)).unwrap()));
    let content = Content {
        database: DatabaseId("d".into()),
        epoch: 1,
        applied_commit: content_of,
        rolled_back_to: None,
        app_digest: Digest::of(b"app"),
        app_archive_bytes: 3,
        variables: Default::default(),
        secrets: None,
        fingerprint: Digest::of(b"all of it"),
    };
    press.publish(draft, content).unwrap().expect("other pages");
}

/// Manifests in a folder's object store, whole and signed.
fn manifests(folder: &Path) -> Vec<Manifest> {
    let files =
        fs::read_dir(folder.join("objects/shop/releases")).into_iter().flatten().map(|file| file.unwrap().path());
    let named = files.filter(|file| file.extension().is_some_and(|extension| extension == "json"));
    let read = |file| serde_json::from_slice::<SignedManifest>(&fs::read(file).unwrap()).unwrap().own(&key().public());
    let mut manifests: Vec<Manifest> = named.map(|file| read(file).unwrap()).collect();
    manifests.sort_by_key(|manifest| manifest.release);
    manifests
}

/// The page store's releases are what was published, and whatever a manifest of one of them names makes what it says.
fn assert_whole(press: &Press, folder: &Path, when: &str) {
    for kept in press.pages.kept() {
        for number in 0..PAGES {
            let mut found = [0; PAGE_BYTES];
            kept.table.read(number, &mut found).unwrap();
            assert!(found == page(number, kept.release.seq), "{when}: page {number} of {}", kept.release);
        }
    }
    let bucket = bucket(folder);
    let get = |name| bucket.wait(bucket.get(name, u64::MAX)).unwrap();
    for manifest in manifests(folder) {
        let Some(to) = press.pages.find(&manifest.root) else { continue };
        for offer in &manifest.deltas {
            let Some(from) = press.pages.find(&offer.from) else { continue };
            let object =
                get(Name::Delta { from: offer.from, to: manifest.root }).unwrap_or_else(|| panic!("{when}: no delta"));
            assert_eq!(applied(&press.pages, Some(&from.table), &to.table, &object), manifest.root, "{when}");
        }
        let base = manifest.base.expect("each names one");
        let object = get(Name::Base(base.root)).unwrap_or_else(|| panic!("{when}: no base"));
        assert_eq!(object.len() as u64, base.bytes, "{when}");
        if let Some(of) = press.pages.find(&base.root) {
            assert_eq!(applied(&press.pages, None, &of.table, &object), base.root, "{when}");
        }
    }
}

#[test]
fn a_publisher_whose_disk_loses_what_was_not_synced_tears_no_release() {
    let folder = tempfile::tempdir().unwrap();
    let steps = Arc::new(Steps::default());
    let watched = bucket(folder.path()).watched(folder.path().join("objects"), steps.clone());
    let mut acknowledged = vec![0];
    let mut before = press(folder.path(), Disk::watched(steps.clone()), watched);
    for seq in 1..=PUBLISHES {
        publish(&mut before, seq);
        acknowledged.push(steps.0.lock().unwrap().len());
    }
    drop(before);

    let steps = steps.0.lock().unwrap();
    let mut disk = LosingDisk::default();
    let (mut random, mut states) = (0x9e37_79b9_7f4a_7c15_u64, 0);
    for (done, step) in steps.iter().enumerate() {
        disk.take(step);
        let least = acknowledged.iter().filter(|steps| **steps <= done + 1).count() as u64 - 1;
        for way in 0..4 {
            let mut choice = || match way {
                0 => false,
                1 => true,
                _ => {
                    random ^= random << 13;
                    random ^= random >> 7;
                    random ^= random << 17;
                    random & 1 == 1
                }
            };
            let what: String = format!("{step:?}").chars().take(60).collect();
            let when = format!("after step {done}, {what}, way {way}");
            let found = tempfile::tempdir().unwrap();
            disk.found(folder.path(), found.path(), &mut choice).unwrap();
            let in_store = manifests(found.path()).last().map_or(0, |manifest| manifest.release.seq);
            assert!(
                in_store == least || in_store == least + 1,
                "{when}: {in_store} in the store, {least} acknowledged"
            );
            let mut press = press(found.path(), Disk::real(), bucket(found.path()));
            let kept = press.newest().map_or(0, |(kept, _)| kept.release.seq);
            assert!(kept >= in_store && kept <= least + 1, "{when}: {kept} kept, {in_store} in the store");
            assert_whole(&press, found.path(), &when);
            press.finish().unwrap();
            assert_eq!(manifests(found.path()).last().map_or(0, |manifest| manifest.release.seq), kept, "{when}");
            publish(&mut press, kept + 1);
            assert_whole(&press, found.path(), &when);
            states += 1;
        }
    }
    println!("{states} states after {} steps", steps.len());
    assert!(states > 200);
}
