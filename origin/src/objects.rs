//! One app's published objects: signed manifests, snapshots and archives, each a file named by what it is.
//!
//! | path | what |
//! |---|---|
//! | `releases/<epoch.seq>.json` | a signed manifest; once there, never changed: writing it is what makes a release |
//! | `snapshots/<root>.db` | the SQLite file a manifest names by the root of its page tree |
//! | `archives/<digest>.app` | the app a manifest names by its digest |
//! | `secrets/<digest>.json` | the app's secrets, which a manifest names by their digest; for this user alone |
//! | `*.tmp` | something a crash left unfinished; removed at the start |
//!
//! Only one process has the folder (`Origin` holds its lock), so looking whether a file is there and then writing it is
//! create-only.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    digest::Digest,
    key::PublicKey,
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    secrets::Secrets,
};

const RELEASES: &str = "releases";
const SNAPSHOTS: &str = "snapshots";
const ARCHIVES: &str = "archives";
const SECRETS: &str = "secrets";
const TEMPORARY: &str = "tmp";

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("release {0} is there already and a release never changes")]
    Taken(ReleaseId),
    #[error("{path}: its bytes are not what its name says; restore it from a backup, or push the app again", path = path.display())]
    Damaged { path: PathBuf },
    #[error("the manifest of release {0} is over {max} bytes: its variables are too long", max = limits::MANIFEST_BYTES)]
    ManifestTooLarge(ReleaseId),
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> ObjectError {
    let path = path.to_owned();
    move |error| ObjectError::Io { path, error }
}

/// The folder of one app's objects.
#[derive(Clone)]
pub struct Objects {
    folder: PathBuf,
    disk: Disk,
    pinned: Arc<Mutex<BTreeMap<Digest, usize>>>,
}

/// Keeps an archive, or secrets, that no release refers to yet from being tidied away.
pub struct Pin {
    digest: Digest,
    pinned: Arc<Mutex<BTreeMap<Digest, usize>>>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pinned.lock().expect("BUG: nothing panics while holding the pins");
        if let Some(count) = pinned.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                pinned.remove(&self.digest);
            }
        }
    }
}

impl Objects {
    /// Makes the folders and removes what a crash left unfinished.
    pub fn open(folder: &Path, disk: Disk) -> Result<Objects, ObjectError> {
        for name in [RELEASES, SNAPSHOTS, ARCHIVES, SECRETS] {
            let path = folder.join(name);
            disk.folder(&path).map_err(fault(&path))?;
            for file in files_in(&path)? {
                if file.extension().is_some_and(|extension| extension == TEMPORARY) {
                    fs::remove_file(&file).map_err(fault(&file))?;
                }
            }
        }
        Ok(Objects { folder: folder.to_owned(), disk, pinned: Arc::default() })
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    pub fn release_path(&self, release: ReleaseId) -> PathBuf {
        self.folder.join(RELEASES).join(format!("{release}.json"))
    }

    pub fn snapshot_path(&self, root: &Digest) -> PathBuf {
        self.folder.join(SNAPSHOTS).join(format!("{root}.db"))
    }

    pub fn archive_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(ARCHIVES).join(format!("{digest}.app"))
    }

    /// Where a snapshot is made before its root, and so its name, is known.
    pub fn new_snapshot_path(&self) -> PathBuf {
        self.folder.join(SNAPSHOTS).join(format!("new.{TEMPORARY}"))
    }

    pub fn pin(&self, digest: Digest) -> Pin {
        *self.pinned.lock().expect("BUG: nothing panics while holding the pins").entry(digest).or_default() += 1;
        Pin { digest, pinned: self.pinned.clone() }
    }

    /// Stores a packed app; it stays at least as long as the pin.
    pub fn put_archive(&self, packed: &[u8]) -> Result<(Digest, Pin), ObjectError> {
        let digest = Digest::of(packed);
        let pin = self.pin(digest);
        let path = self.archive_path(&digest);
        self.disk.write(&path, packed).map_err(fault(&path))?;
        Ok((digest, pin))
    }

    pub fn secrets_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(SECRETS).join(format!("{digest}.json"))
    }

    /// Stores secrets; they stay at least as long as the pin.
    pub fn put_secrets(&self, secrets: &Secrets) -> Result<(Digest, Pin), ObjectError> {
        let digest = secrets.digest();
        let pin = self.pin(digest);
        let path = self.secrets_path(&digest);
        if !path.exists() {
            self.disk.write_private(&path, &secrets.to_bytes()).map_err(fault(&path))?;
        }
        Ok((digest, pin))
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn read_archive(&self, digest: &Digest) -> Result<Vec<u8>, ObjectError> {
        let path = self.archive_path(digest);
        let packed = fs::read(&path).map_err(fault(&path))?;
        if Digest::of(&packed) == *digest { Ok(packed) } else { Err(ObjectError::Damaged { path }) }
    }

    /// Gives a finished, synced snapshot file its name.
    pub fn put_snapshot(&self, file: &Path, root: &Digest) -> Result<(), ObjectError> {
        let path = self.snapshot_path(root);
        self.disk.rename(file, &path).map_err(fault(&path))
    }

    /// The commit point: when this returns, the release is.
    pub fn put_release(&self, release: ReleaseId, signed: &SignedManifest) -> Result<(), ObjectError> {
        let path = self.release_path(release);
        if path.exists() {
            return Err(ObjectError::Taken(release));
        }
        let text = serde_json::to_vec(signed).expect("BUG: a signed manifest is plain data");
        if text.len() > limits::MANIFEST_BYTES {
            return Err(ObjectError::ManifestTooLarge(release));
        }
        self.disk.write(&path, &text).map_err(fault(&path))
    }

    /// The numbers of all releases there are, in order.
    pub fn releases(&self) -> Result<Vec<ReleaseId>, ObjectError> {
        let number = |path: PathBuf| path.file_name()?.to_str()?.strip_suffix(".json")?.parse().ok();
        let mut releases: Vec<ReleaseId> =
            files_in(&self.folder.join(RELEASES))?.into_iter().filter_map(number).collect();
        releases.sort();
        Ok(releases)
    }

    /// The newest release that is whole: signed by our key, its objects there in their full length.
    pub fn head(&self, key: &PublicKey) -> Result<Option<Manifest>, ObjectError> {
        for release in self.releases()?.into_iter().rev() {
            match self.whole(release, key) {
                Ok(manifest) => return Ok(Some(manifest)),
                Err(why) => tracing::warn!(%release, why, "a release is passed over"),
            }
        }
        Ok(None)
    }

    fn whole(&self, release: ReleaseId, key: &PublicKey) -> Result<Manifest, String> {
        let signed = self.read_release(release).ok_or("its manifest is not readable")?;
        let manifest = signed.own(key).map_err(|error| error.to_string())?;
        if manifest.release != release {
            return Err(format!("its manifest is that of release {}", manifest.release));
        }
        let has = |path: &Path, bytes: u64| fs::metadata(path).is_ok_and(|file| file.len() == bytes);
        if !has(&self.snapshot_path(&manifest.root), manifest.database_bytes()) {
            return Err("its snapshot is missing or cut short".into());
        }
        if !has(&self.archive_path(&manifest.app_digest), manifest.app_archive_bytes) {
            return Err("its archive is missing or cut short".into());
        }
        if manifest.secrets.is_some_and(|digest| !self.secrets_path(&digest).exists()) {
            return Err("its secrets are missing".into());
        }
        Ok(manifest)
    }

    fn read_release(&self, release: ReleaseId) -> Option<SignedManifest> {
        serde_json::from_slice(&fs::read(self.release_path(release)).ok()?).ok()
    }

    /// Keeps the newest releases and what they and the pins refer to; deletes the rest.
    ///
    /// Manifests go first: a crash in between leaves objects nobody names, and the next call finds those.
    pub fn retain(&self, newest: usize) -> Result<(), ObjectError> {
        let releases = self.releases()?;
        let (old, kept) = releases.split_at(releases.len().saturating_sub(newest));
        for release in old {
            let path = self.release_path(*release);
            fs::remove_file(&path).map_err(fault(&path))?;
        }
        let kept: Vec<Manifest> = kept
            .iter()
            .filter_map(|release| serde_json::from_str(&self.read_release(*release)?.manifest).ok())
            .collect();
        let snapshots = kept.iter().map(|manifest| manifest.root).collect();
        self.sweep(SNAPSHOTS, "db", &snapshots)?;
        let pinned = self.pinned.lock().expect("BUG: nothing panics while holding the pins");
        let archives = kept.iter().map(|manifest| manifest.app_digest).chain(pinned.keys().copied()).collect();
        self.sweep(ARCHIVES, "app", &archives)?;
        let secrets = kept.iter().filter_map(|manifest| manifest.secrets).chain(pinned.keys().copied()).collect();
        self.sweep(SECRETS, "json", &secrets)
    }

    fn sweep(&self, folder: &str, extension: &str, kept: &BTreeSet<Digest>) -> Result<(), ObjectError> {
        for file in files_in(&self.folder.join(folder))? {
            let ours = file.extension().is_some_and(|found| found == extension);
            let digest = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<Digest>().ok());
            if ours && digest.is_some_and(|digest| !kept.contains(&digest)) {
                fs::remove_file(&file).map_err(fault(&file))?;
            }
        }
        Ok(())
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ObjectError> {
    let entries = fs::read_dir(folder).map_err(fault(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(fault(folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_protocol::{
        key::SecretKey,
        limits::PAGE_BYTES,
        release::{DatabaseId, FORMAT},
        voucher::AppVoucher,
    };

    struct Fixture {
        _folder: tempfile::TempDir,
        objects: Objects,
        key: SecretKey,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let objects = Objects::open(folder.path(), Disk::real()).unwrap();
        Fixture { _folder: folder, objects, key: SecretKey::from_seed([1; 32]) }
    }

    impl Fixture {
        /// A release whose app and snapshot are made of the given bytes.
        fn release(&self, seq: u64, app: &[u8], page: u8) -> Manifest {
            let (app_digest, _pin) = self.objects.put_archive(app).unwrap();
            let root = Digest::of(&[page]);
            let file = self.objects.new_snapshot_path();
            fs::write(&file, vec![page; PAGE_BYTES]).unwrap();
            self.objects.put_snapshot(&file, &root).unwrap();
            let manifest = Manifest {
                format: FORMAT,
                app: "shop".into(),
                database: DatabaseId("d".into()),
                release: ReleaseId { epoch: 1, seq },
                parent: None,
                created_at_ms: 0,
                applied_commit: seq,
                page_count: 1,
                root,
                rolled_back_to: None,
                deltas: vec![],
                base: None,
                app_digest,
                app_archive_bytes: app.len() as u64,
                app_vouched: AppVoucher::sign("shop", &app_digest, &self.key),
                variables: BTreeMap::new(),
                secrets: None,
                fingerprint: Digest::of(b""),
            };
            self.objects.put_release(manifest.release, &SignedManifest::sign(&manifest, &self.key)).unwrap();
            manifest
        }

        fn head(&self) -> Option<u64> {
            self.objects.head(&self.key.public()).unwrap().map(|manifest| manifest.release.seq)
        }
    }

    #[test]
    fn the_head_is_the_newest_release_that_is_whole() {
        let fixture = fixture();
        assert_eq!(fixture.head(), None);
        fixture.release(9, b"app", 1);
        let last = fixture.release(10, b"app", 2);
        assert_eq!(fixture.head(), Some(10), "numbers are compared as numbers");
        fs::write(fixture.objects.snapshot_path(&last.root), b"short").unwrap();
        assert_eq!(fixture.head(), Some(9));
        fs::write(fixture.objects.release_path(ReleaseId { epoch: 2, seq: 1 }), b"{\"half\":").unwrap();
        assert_eq!(fixture.head(), Some(9));
        assert_eq!(fixture.objects.head(&SecretKey::from_seed([2; 32]).public()).unwrap(), None, "a stranger's key");
    }

    #[test]
    fn a_release_is_written_once() {
        let fixture = fixture();
        let manifest = fixture.release(1, b"app", 1);
        let again = fixture.objects.put_release(manifest.release, &SignedManifest::sign(&manifest, &fixture.key));
        assert!(matches!(again, Err(ObjectError::Taken(_))));
    }

    #[test]
    fn old_releases_go_and_shared_or_pinned_objects_stay() {
        let fixture = fixture();
        let first = fixture.release(1, b"one", 1);
        let second = fixture.release(2, b"two", 2);
        let third = fixture.release(3, b"two", 3);
        let (pushed, pin) = fixture.objects.put_archive(b"on its way").unwrap();
        fixture.objects.retain(2).unwrap();
        let archived = |digest| fixture.objects.archive_path(digest).exists();
        assert_eq!(fixture.objects.releases().unwrap().len(), 2);
        assert!(!archived(&first.app_digest) && archived(&second.app_digest) && archived(&pushed));
        assert!(
            !fixture.objects.snapshot_path(&first.root).exists() && fixture.objects.snapshot_path(&third.root).exists()
        );
        drop(pin);
        fixture.objects.retain(2).unwrap();
        assert!(!archived(&pushed));
    }

    #[test]
    fn what_a_crash_left_unfinished_is_removed() {
        let fixture = fixture();
        fixture.release(1, b"app", 1);
        let folder = fixture.objects.folder.clone();
        let leftovers =
            [fixture.objects.new_snapshot_path(), folder.join("releases/1.2.tmp"), folder.join("archives/x.tmp")];
        leftovers.iter().for_each(|path| fs::write(path, b"half").unwrap());
        Objects::open(&folder, Disk::real()).unwrap();
        assert!(leftovers.iter().all(|path| !path.exists()));
        assert_eq!(fixture.head(), Some(1));
    }

    #[test]
    fn a_damaged_archive_is_not_given_out() {
        let fixture = fixture();
        let (digest, _pin) = fixture.objects.put_archive(b"app").unwrap();
        fs::write(fixture.objects.archive_path(&digest), b"apq").unwrap();
        assert!(matches!(fixture.objects.read_archive(&digest), Err(ObjectError::Damaged { .. })));
    }
}
