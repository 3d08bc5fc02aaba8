//! A node's own disk: the releases it can serve without asking anyone.
//!
//! ```text
//! DATA/apps/<app>/CURRENT               the release being served, `epoch.seq`
//! DATA/apps/<app>/releases/<id>.json    signed manifests
//! DATA/apps/<app>/snapshots/<root>.db   snapshots, by the root of their page tree
//! DATA/apps/<app>/archives/<digest>.app app archives, by digest
//! DATA/apps/<app>/secrets/<digest>.json the app's secrets, by digest; for this user alone
//! DATA/trusted.keys                     whose signatures count here (`trusted.rs`)
//! DATA/compiled/                        machine code made from components
//! DATA/blobs/                           what visitors sent, as far as it was asked for here (`blobs.rs`)
//! ```
//!
//! A release becomes the current one in this order: archive, secrets and snapshot, each synced and renamed; its manifest;
//! CURRENT.
//! A crash anywhere leaves the one before.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use nearside_protocol::{
    digest::{Digest, PageTree},
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    secrets::Secrets,
    trust::{TrustedKey, Untrusted},
};

use crate::{disk::Disk, trusted::Trusted};

#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("release {0} is not trusted: {1}")]
    Untrusted(String, Untrusted),
    #[error("{0} is damaged: its hash is not the one its signed manifest names")]
    Damaged(PathBuf),
    #[error("{0} is not a manifest: {1}")]
    Malformed(PathBuf, serde_json::Error),
}

const FOLDERS: [&str; 4] = ["releases", "snapshots", "archives", "secrets"];

#[derive(Clone)]
pub struct Replica {
    data: PathBuf,
    disk: Disk,
    trusted: Trusted,
}

impl Replica {
    pub fn open(data: &Path) -> Result<Replica, ReplicaError> {
        let disk = Disk::real();
        let replica = Replica { data: data.to_owned(), trusted: Trusted::new(data, disk.clone()), disk };
        for folder in ["apps", "compiled"] {
            let folder = data.join(folder);
            replica.disk.folder(&folder).map_err(|error| ReplicaError::Io(folder, error))?;
        }
        Ok(replica)
    }

    pub fn compiled(&self) -> PathBuf {
        self.data.join("compiled")
    }

    pub fn blobs(&self) -> PathBuf {
        self.data.join("blobs")
    }

    pub fn trusted(&self) -> &Trusted {
        &self.trusted
    }

    /// The apps of which there is anything here.
    pub fn apps(&self) -> Result<Vec<String>, ReplicaError> {
        let folder = self.data.join("apps");
        let names = fs::read_dir(&folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
        });
        names.map_err(|error| ReplicaError::Io(folder, error))
    }

    pub fn app(&self, name: &str) -> Result<AppReplica, ReplicaError> {
        let app = AppReplica { folder: self.data.join("apps").join(name), disk: self.disk.clone() };
        for folder in FOLDERS {
            let folder = app.folder.join(folder);
            self.disk.folder(&folder).map_err(|error| ReplicaError::Io(folder, error))?;
        }
        app.sweep();
        Ok(app)
    }
}

/// One app's part of the disk.
#[derive(Clone)]
pub struct AppReplica {
    folder: PathBuf,
    disk: Disk,
}

impl AppReplica {
    /// Releases on disk, the current one first, then the others from new to old.
    pub fn candidates(&self) -> Vec<ReleaseId> {
        let mut ids: Vec<ReleaseId> = fs::read_dir(self.folder.join("releases"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.strip_suffix(".json")?.parse().ok())
            .collect();
        ids.sort_by(|one, other| other.cmp(one));
        let current = fs::read_to_string(self.folder.join("CURRENT")).ok().and_then(|text| text.trim().parse().ok());
        // A manifest above CURRENT belongs to an install that was cut short; it is pulled again.
        ids.retain(|id| current.is_none_or(|current: ReleaseId| *id <= current));
        ids
    }

    /// A release's manifest, its parts checked against it to the last page.
    pub fn verified(&self, id: ReleaseId, trusted: &[TrustedKey]) -> Result<Manifest, ReplicaError> {
        let path = self.manifest_path(id);
        let bytes = fs::read(&path).map_err(|error| ReplicaError::Io(path.clone(), error))?;
        let signed: SignedManifest =
            serde_json::from_slice(&bytes).map_err(|error| ReplicaError::Malformed(path, error))?;
        let manifest = signed.verify(trusted).map_err(|error| ReplicaError::Untrusted(id.to_string(), error))?;
        self.archive(&manifest.app_digest)?;
        self.secrets(&manifest)?;
        self.verify_snapshot(&manifest)?;
        Ok(manifest)
    }

    pub fn snapshot_path(&self, root: &Digest) -> PathBuf {
        self.folder.join("snapshots").join(format!("{root}.db"))
    }

    /// An archive's bytes, checked.
    pub fn archive(&self, digest: &Digest) -> Result<Vec<u8>, ReplicaError> {
        let path = self.archive_path(digest);
        let bytes = fs::read(&path).map_err(|error| ReplicaError::Io(path.clone(), error))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ReplicaError::Damaged(path)) }
    }

    pub fn put_archive(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ReplicaError> {
        let path = self.archive_path(digest);
        if Digest::of(bytes) != *digest {
            return Err(ReplicaError::Damaged(path));
        }
        self.disk.write(&path, bytes).map_err(|error| ReplicaError::Io(path, error))
    }

    /// The secrets a release names, checked; none if it names none.
    pub fn secrets(&self, manifest: &Manifest) -> Result<Option<Secrets>, ReplicaError> {
        let Some(digest) = &manifest.secrets else { return Ok(None) };
        let path = self.secrets_path(digest);
        let bytes = fs::read(&path).map_err(|error| ReplicaError::Io(path.clone(), error))?;
        Secrets::read(&bytes, digest).map(Some).ok_or(ReplicaError::Damaged(path))
    }

    pub fn put_secrets(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ReplicaError> {
        let path = self.secrets_path(digest);
        if Secrets::read(bytes, digest).is_none() {
            return Err(ReplicaError::Damaged(path));
        }
        self.disk.write_private(&path, bytes).map_err(|error| ReplicaError::Io(path, error))
    }

    pub fn verify_snapshot(&self, manifest: &Manifest) -> Result<(), ReplicaError> {
        let path = self.snapshot_path(&manifest.root);
        let tree = tree_of(&path).map_err(|error| ReplicaError::Io(path.clone(), error))?;
        let whole = tree.is_some_and(|tree| tree.pages() == manifest.page_count && tree.root() == manifest.root);
        if whole { Ok(()) } else { Err(ReplicaError::Damaged(path)) }
    }

    /// A snapshot on its way in; it gets its name only when its pages have the manifest's root.
    pub fn incoming(&self, manifest: &Manifest) -> Result<Incoming, ReplicaError> {
        let path = self.snapshot_path(&manifest.root);
        let temporary = path.with_extension("tmp");
        let file = File::create(&temporary).map_err(|error| ReplicaError::Io(temporary.clone(), error))?;
        Ok(Incoming {
            file: io::BufWriter::with_capacity(1 << 20, file),
            temporary,
            path,
            tree: PageTree::default(),
            rest: Vec::with_capacity(limits::PAGE_BYTES),
            manifest: manifest.clone(),
            disk: self.disk.clone(),
        })
    }

    /// Makes a release, whose parts are here, the one to start from.
    pub fn commit(&self, id: ReleaseId, signed: &SignedManifest) -> Result<(), ReplicaError> {
        let path = self.manifest_path(id);
        let bytes = serde_json::to_vec(signed).expect("BUG: a signed manifest is plain data");
        self.disk.write(&path, &bytes).map_err(|error| ReplicaError::Io(path, error))?;
        let current = self.folder.join("CURRENT");
        self.disk.write(&current, format!("{id}\n").as_bytes()).map_err(|error| ReplicaError::Io(current, error))
    }

    /// Removes releases beyond those kept, and what neither they nor a request under way needs.
    pub fn retire(&self, in_use: &dyn Fn(&Path) -> bool) {
        let candidates = self.candidates();
        for old in candidates.iter().skip(limits::RELEASES_KEPT_NODE) {
            let _ = fs::remove_file(self.manifest_path(*old));
        }
        let mut needed = BTreeSet::new();
        for id in candidates.iter().take(limits::RELEASES_KEPT_NODE) {
            // Not knowing what a release needs is no reason to take it away.
            let Some(manifest) = self.manifest_unverified(*id) else { return };
            needed.insert(self.snapshot_path(&manifest.root));
            needed.insert(self.archive_path(&manifest.app_digest));
            needed.extend(manifest.secrets.map(|digest| self.secrets_path(&digest)));
        }
        for folder in ["snapshots", "archives", "secrets"] {
            for entry in fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten() {
                if !needed.contains(&entry.path()) && !in_use(&entry.path()) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    fn manifest_unverified(&self, id: ReleaseId) -> Option<Manifest> {
        let signed: SignedManifest = serde_json::from_slice(&fs::read(self.manifest_path(id)).ok()?).ok()?;
        serde_json::from_str(&signed.manifest).ok()
    }

    /// What a crash in the middle of a pull left.
    fn sweep(&self) {
        for folder in FOLDERS {
            for entry in fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "tmp") {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    fn manifest_path(&self, id: ReleaseId) -> PathBuf {
        self.folder.join("releases").join(format!("{id}.json"))
    }

    fn secrets_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("secrets").join(format!("{digest}.json"))
    }

    fn archive_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("archives").join(format!("{digest}.app"))
    }
}

/// The page tree of a file; none when it does not end with a whole page.
fn tree_of(path: &Path) -> io::Result<Option<PageTree>> {
    let mut file = io::BufReader::with_capacity(1 << 20, File::open(path)?);
    let pages = file.get_ref().metadata()?.len();
    if !pages.is_multiple_of(limits::PAGE_BYTES as u64) {
        return Ok(None);
    }
    let mut tree = PageTree::default();
    let mut page = [0; limits::PAGE_BYTES];
    for _ in 0..pages / limits::PAGE_BYTES as u64 {
        file.read_exact(&mut page)?;
        tree.add(&page);
    }
    Ok(Some(tree))
}

/// A snapshot being written, hashed as it comes.
pub struct Incoming {
    file: io::BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    tree: PageTree,
    rest: Vec<u8>,
    manifest: Manifest,
    disk: Disk,
}

impl Incoming {
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), ReplicaError> {
        self.file.write_all(bytes).map_err(|error| ReplicaError::Io(self.temporary.clone(), error))?;
        while !bytes.is_empty() {
            let taken = bytes.len().min(limits::PAGE_BYTES - self.rest.len());
            self.rest.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if self.rest.len() == limits::PAGE_BYTES {
                self.tree.add(&self.rest);
                self.rest.clear();
            }
        }
        // Whoever sends more than the manifest says is not sending this snapshot.
        if self.tree.pages() > self.manifest.page_count {
            return Err(ReplicaError::Damaged(self.path.clone()));
        }
        Ok(())
    }

    /// Gives the snapshot its name, if it is the one the manifest signs.
    pub fn finish(mut self) -> Result<(), ReplicaError> {
        let fault = |error| ReplicaError::Io(self.temporary.clone(), error);
        let whole = self.rest.is_empty() && self.tree.pages() == self.manifest.page_count;
        if !whole || std::mem::take(&mut self.tree).root() != self.manifest.root {
            let _ = fs::remove_file(&self.temporary);
            return Err(ReplicaError::Damaged(self.path.clone()));
        }
        self.file.flush().map_err(fault)?;
        self.file.get_ref().sync_all().map_err(fault)?;
        self.disk.rename(&self.temporary, &self.path).map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_protocol::{
        key::SecretKey,
        release::{DatabaseId, FORMAT},
        voucher::AppVoucher,
    };

    struct Fixture {
        folder: tempfile::TempDir,
        key: SecretKey,
    }

    impl Fixture {
        fn new() -> Fixture {
            Fixture { folder: tempfile::tempdir().unwrap(), key: SecretKey::from_seed([3; 32]) }
        }

        fn app(&self) -> AppReplica {
            Replica::open(self.folder.path()).unwrap().app("a").unwrap()
        }

        fn install(&self, seq: u64) -> Manifest {
            let app = self.app();
            let pages = vec![seq as u8; 3 * limits::PAGE_BYTES];
            let mut tree = PageTree::default();
            pages.chunks(limits::PAGE_BYTES).for_each(|page| tree.add(page));
            let manifest = Manifest {
                format: FORMAT,
                app: "a".into(),
                database: DatabaseId("d".into()),
                release: ReleaseId { epoch: 1, seq },
                parent: None,
                created_at_ms: 0,
                applied_commit: seq,
                page_count: 3,
                root: tree.root(),
                rolled_back_to: None,
                deltas: vec![],
                base: None,
                app_digest: Digest::of(b"archive"),
                app_archive_bytes: 7,
                app_vouched: AppVoucher::sign("a", &Digest::of(b"archive"), &self.key),
                variables: Default::default(),
                secrets: None,
                fingerprint: Digest::of(b""),
            };
            app.put_archive(&manifest.app_digest, b"archive").unwrap();
            let mut incoming = app.incoming(&manifest).unwrap();
            pages.chunks(1_000).for_each(|piece| incoming.write(piece).unwrap());
            incoming.finish().unwrap();
            app.commit(manifest.release, &SignedManifest::sign(&manifest, &self.key)).unwrap();
            app.retire(&|_| false);
            manifest
        }
    }

    #[test]
    fn the_newest_two_releases_are_kept_and_verify() {
        let fixture = Fixture::new();
        let manifests: Vec<_> = (1..=3).map(|seq| fixture.install(seq)).collect();
        let app = fixture.app();
        assert_eq!(app.candidates(), [manifests[2].release, manifests[1].release]);
        for manifest in &manifests[1..] {
            assert_eq!(
                &app.verified(manifest.release, &[TrustedKey::with_both(fixture.key.public())]).unwrap(),
                manifest
            );
        }
        assert!(!app.snapshot_path(&manifests[0].root).exists());
    }

    #[test]
    fn damage_and_strangers_are_told() {
        let fixture = Fixture::new();
        let manifest = fixture.install(1);
        let app = fixture.app();
        let trusted = [TrustedKey::with_both(fixture.key.public())];
        assert!(matches!(app.verified(manifest.release, &[]), Err(ReplicaError::Untrusted(..))));

        let path = app.snapshot_path(&manifest.root);
        let whole = fs::read(&path).unwrap();
        for damage in [
            whole[..whole.len() - 1].to_vec(),
            whole[..limits::PAGE_BYTES].to_vec(),
            [&whole[..], &[0; limits::PAGE_BYTES]].concat(),
            whole.iter().enumerate().map(|(at, byte)| if at == 5_000 { byte ^ 1 } else { *byte }).collect(),
        ] {
            fs::write(&path, damage).unwrap();
            assert!(matches!(app.verified(manifest.release, &trusted), Err(ReplicaError::Damaged(_))));
        }
        fs::write(&path, whole).unwrap();
        assert!(app.verified(manifest.release, &trusted).is_ok());
    }

    #[test]
    fn a_snapshot_that_is_not_the_signed_one_gets_no_name() {
        let fixture = Fixture::new();
        let manifest = fixture.install(1);
        let app = fixture.app();
        fs::remove_file(app.snapshot_path(&manifest.root)).unwrap();
        for bytes in [vec![9; 3 * limits::PAGE_BYTES], vec![1; 2 * limits::PAGE_BYTES], vec![1; 100]] {
            let mut incoming = app.incoming(&manifest).unwrap();
            incoming.write(&bytes).unwrap();
            assert!(incoming.finish().is_err());
        }
        assert!(app.incoming(&manifest).unwrap().write(&vec![1; 4 * limits::PAGE_BYTES]).is_err());
        assert!(!app.snapshot_path(&manifest.root).exists());
    }
}
