//! A node's own disk: the releases it can serve without asking anyone.
//!
//! ```text
//! DATA/apps/<app>/pages/                the pages and manifests of the releases kept (`pages.rs`)
//! DATA/apps/<app>/archives/<digest>.app app archives, by digest
//! DATA/apps/<app>/secrets/<digest>.json the app's secrets, by digest; for this user alone
//! DATA/trusted.keys                     whose signatures count here (`trusted.rs`)
//! DATA/compiled/                        machine code made from components
//! DATA/blobs/                           what visitors sent, as far as it was asked for here (`blobs.rs`)
//! ```
//!
//! A release becomes the current one in this order: archive and secrets, each synced and renamed; its pages; its record
//! among the pages. The newest record is the current release. A crash anywhere leaves the one before.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nearside_protocol::{
    digest::Digest,
    limits,
    release::{Manifest, ReleaseId, SignedManifest},
    secrets::Secrets,
};

use crate::{
    disk::Disk,
    pages::{Draft, Keep, Kept, PageStore, PagesError},
    repair::Health,
    trusted::Trusted,
};

#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    #[error("{0} is damaged: its hash is not the one its signed manifest names")]
    Damaged(PathBuf),
    #[error(transparent)]
    Pages(#[from] PagesError),
}

const FOLDERS: [&str; 2] = ["archives", "secrets"];

/// How nodes kept their releases before there were pages.
const FOLDERS_BEFORE: [&str; 2] = ["releases", "snapshots"];
const FILE_BEFORE: &str = "CURRENT";

const KEEP: Keep = Keep { releases: limits::RELEASES_KEPT_NODE, strides: &[], bytes: limits::RELEASES_KEPT_NODE_BYTES };

/// Cheap to clone.
#[derive(Clone)]
pub struct Replica(Arc<Inner>);

struct Inner {
    data: PathBuf,
    disk: Disk,
    trusted: Trusted,
    /// Each app's part is opened once: its pages are mapped and locked.
    apps: Mutex<BTreeMap<String, AppReplica>>,
    health: Arc<Health>,
}

impl Replica {
    pub fn open(data: &Path) -> Result<Replica, ReplicaError> {
        Replica::open_on(data, Disk::real())
    }

    pub fn open_on(data: &Path, disk: Disk) -> Result<Replica, ReplicaError> {
        for folder in ["apps", "compiled"] {
            let folder = data.join(folder);
            disk.folder(&folder).map_err(|error| ReplicaError::Io(folder, error))?;
        }
        let trusted = Trusted::new(data, disk.clone());
        Ok(Replica(Arc::new(Inner {
            data: data.to_owned(),
            disk,
            trusted,
            apps: Mutex::default(),
            health: Arc::default(),
        })))
    }

    pub fn compiled(&self) -> PathBuf {
        self.0.data.join("compiled")
    }

    pub fn blobs(&self) -> PathBuf {
        self.0.data.join("blobs")
    }

    pub fn trusted(&self) -> &Trusted {
        &self.0.trusted
    }

    /// The apps of which there is anything here.
    pub fn apps(&self) -> Result<Vec<String>, ReplicaError> {
        let folder = self.0.data.join("apps");
        let names = fs::read_dir(&folder).and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<io::Result<Vec<_>>>()
        });
        names.map_err(|error| ReplicaError::Io(folder, error))
    }

    /// An app's part, which is made if there is none. Blocks.
    pub fn app(&self, name: &str) -> Result<AppReplica, ReplicaError> {
        let mut apps = self.0.apps.lock().expect("BUG: nothing panics while holding the apps");
        if let Some(app) = apps.get(name) {
            return Ok(app.clone());
        }
        let (folder, disk) = (self.0.data.join("apps").join(name), self.0.disk.clone());
        for folder in FOLDERS.map(|name| folder.join(name)) {
            disk.folder(&folder).map_err(|error| ReplicaError::Io(folder, error))?;
        }
        let pages = PageStore::open(&folder.join("pages"), disk.clone())?;
        let (health, app_name) = (self.0.health.clone(), name.to_owned());
        pages.on_damage(Box::new(move |root, number| health.damaged(&app_name, root, number)));
        let app = AppReplica { folder, disk, pages, writing: Arc::default() };
        app.sweep();
        apps.insert(name.to_owned(), app.clone());
        Ok(app)
    }

    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Bytes of pages written since the process started.
    pub fn pages_written_bytes(&self) -> u64 {
        self.opened().values().map(|app| app.pages.written_bytes()).sum()
    }

    /// The parts that have been opened, by app.
    pub fn opened(&self) -> BTreeMap<String, AppReplica> {
        self.0.apps.lock().expect("BUG: nothing panics while holding the apps").clone()
    }
}

/// One app's part of the disk. Cheap to clone.
#[derive(Clone)]
pub struct AppReplica {
    folder: PathBuf,
    disk: Disk,
    pages: PageStore,
    writing: Arc<tokio::sync::Mutex<()>>,
}

impl AppReplica {
    pub fn pages(&self) -> &PageStore {
        &self.pages
    }

    /// Held by whoever changes the pages: one at a time.
    pub async fn writing(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.writing.clone().lock_owned().await
    }

    /// An archive's bytes, checked.
    pub fn archive(&self, digest: &Digest) -> Result<Vec<u8>, ReplicaError> {
        let path = self.archive_path(digest);
        let bytes = fs::read(&path).map_err(|error| ReplicaError::Io(path.clone(), error))?;
        if Digest::of(&bytes) == *digest { Ok(bytes) } else { Err(ReplicaError::Damaged(path)) }
    }

    /// Whether there is a file for it; what is in it is not looked at.
    pub fn has_archive(&self, digest: &Digest) -> bool {
        self.archive_path(digest).is_file()
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

    /// Makes a draft, whose other parts are here, the release to start from.
    pub fn commit(&self, draft: Draft, release: ReleaseId, signed: SignedManifest) -> Result<Kept, PagesError> {
        let kept = self.pages.commit(draft, release, signed, KEEP)?;
        self.remove_what_was_before();
        Ok(kept)
    }

    /// Removes archives and secrets that no kept release names, and gives back pages that nobody reads any more.
    pub fn retire(&self) {
        self.pages.tidy();
        let mut needed = BTreeSet::new();
        for kept in self.pages.kept() {
            // Not knowing what a release needs is no reason to take it away.
            let Ok(manifest) = serde_json::from_str::<Manifest>(&kept.signed.manifest) else { return };
            needed.insert(self.archive_path(&manifest.app_digest));
            needed.extend(manifest.secrets.map(|digest| self.secrets_path(&digest)));
        }
        for folder in FOLDERS {
            for entry in fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten() {
                if !needed.contains(&entry.path()) {
                    let _ = self.disk.remove(&entry.path());
                }
            }
        }
    }

    fn remove_what_was_before(&self) {
        let folders = FOLDERS_BEFORE.map(|name| self.folder.join(name));
        let mut any = fs::remove_file(self.folder.join(FILE_BEFORE)).is_ok();
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            any |= fs::remove_dir_all(folder).is_ok();
        }
        if any {
            let folder = self.folder.display();
            tracing::info!(%folder, "releases of an earlier version were removed: this one keeps pages");
        }
    }

    /// What a crash in the middle of a pull left.
    fn sweep(&self) {
        for folder in FOLDERS {
            for entry in fs::read_dir(self.folder.join(folder)).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|extension| extension == "tmp") {
                    let _ = self.disk.remove(&entry.path());
                }
            }
        }
    }

    fn secrets_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("secrets").join(format!("{digest}.json"))
    }

    fn archive_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("archives").join(format!("{digest}.app"))
    }
}

#[cfg(test)]
mod tests;
