//! One app's objects as the origin keeps them: in its bucket, and, what is for nobody else, in the app's own folder.
//!
//! | path | what |
//! |---|---|
//! | `secrets/<digest>.json` | the app's secrets, which a manifest names by their digest; for this user alone |
//! | `*.tmp` | something a crash left unfinished; removed at the start |

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    digest::Digest,
    limits,
    release::{ReleaseId, SignedManifest},
    secrets::Secrets,
};

use crate::bucket::{Bucket, BucketError, Created, Name};

const SECRETS: &str = "secrets";
const TEMPORARY: &str = "tmp";

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(
        "release {0} is in the object store already, and is another one: a release never changes, and no two origins may \
        publish to one place"
    )]
    Taken(ReleaseId),
    #[error("the object store's {0} is not what its name says; restore it from a backup, or push the app again")]
    Damaged(String),
    #[error("the object store has no {0}; restore it from a backup, or push the app again")]
    Missing(String),
    #[error("the manifest of release {0} is over {max} bytes: its variables are too long", max = limits::MANIFEST_BYTES)]
    ManifestTooLarge(ReleaseId),
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> ObjectError {
    let path = path.to_owned();
    move |error| ObjectError::Io { path, error }
}

/// Blocks, but for what `bucket` does: not for threads that answer sockets.
#[derive(Clone)]
pub struct Objects {
    pub bucket: Bucket,
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
    pub fn open(folder: &Path, disk: Disk, bucket: Bucket) -> Result<Objects, ObjectError> {
        let path = folder.join(SECRETS);
        disk.folder(&path).map_err(fault(&path))?;
        for file in files_in(&path)? {
            if file.extension().is_some_and(|extension| extension == TEMPORARY) {
                fs::remove_file(&file).map_err(fault(&file))?;
            }
        }
        Ok(Objects { bucket, folder: folder.to_owned(), disk, pinned: Arc::default() })
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file without a name, on the same disk: gone with whoever holds it.
    pub fn scratch(&self) -> Result<File, ObjectError> {
        scratch(&self.folder)
    }

    pub fn pin(&self, digest: Digest) -> Pin {
        *self.pinned.lock().expect("BUG: nothing panics while holding the pins").entry(digest).or_default() += 1;
        Pin { digest, pinned: self.pinned.clone() }
    }

    /// Stores a packed app; it stays at least as long as the pin.
    pub fn put_archive(&self, packed: &[u8]) -> Result<(Digest, Pin), ObjectError> {
        let digest = Digest::of(packed);
        let pin = self.pin(digest);
        self.bucket.wait(self.bucket.put(Name::Archive(digest), packed.to_vec()))?;
        Ok((digest, pin))
    }

    pub fn read_archive(&self, digest: &Digest) -> Result<Vec<u8>, ObjectError> {
        let name = Name::Archive(*digest);
        let packed = self.bucket.wait(self.bucket.get(name, limits::APP_ARCHIVE_BYTES as u64))?;
        let packed = packed.ok_or_else(|| ObjectError::Missing(name.to_string()))?;
        if Digest::of(&packed) == *digest { Ok(packed.to_vec()) } else { Err(ObjectError::Damaged(name.to_string())) }
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

    /// A manifest as it will be put; an error when it is too long.
    pub fn manifest_bytes(release: ReleaseId, signed: &SignedManifest) -> Result<Vec<u8>, ObjectError> {
        let text = serde_json::to_vec(signed).expect("BUG: a signed manifest is plain data");
        if text.len() <= limits::MANIFEST_BYTES { Ok(text) } else { Err(ObjectError::ManifestTooLarge(release)) }
    }

    /// The commit point for everyone else: when this returns, the release is. Fine when this very manifest is there.
    pub fn create_release(&self, release: ReleaseId, signed: &SignedManifest) -> Result<(), ObjectError> {
        let text = Objects::manifest_bytes(release, signed)?;
        let name = Name::Release(release);
        if self.bucket.wait(self.bucket.create(name, text.clone()))? == Created::New {
            return Ok(());
        }
        let there = self.bucket.wait(self.bucket.get(name, limits::MANIFEST_BYTES as u64))?;
        if there.is_some_and(|there| there == text) { Ok(()) } else { Err(ObjectError::Taken(release)) }
    }

    /// Deletes what was only for releases that are kept no longer. Manifests go last and the oldest first, so that whoever
    /// was cut off finds what is left by them.
    pub fn forget(&self, names: &BTreeSet<Name>) -> Result<(), ObjectError> {
        let is_pinned = |name: &Name| match name {
            Name::Archive(digest) => {
                self.pinned.lock().expect("BUG: nothing panics while holding the pins").contains_key(digest)
            }
            _ => false,
        };
        let (releases, others): (Vec<Name>, Vec<Name>) =
            names.iter().filter(|name| !is_pinned(name)).partition(|name| matches!(name, Name::Release(_)));
        for name in others.into_iter().chain(releases) {
            self.bucket.wait(self.bucket.delete(name))?;
        }
        Ok(())
    }

    /// Deletes all secrets but these and those that are pinned.
    pub fn keep_secrets(&self, kept: &BTreeSet<Digest>) -> Result<(), ObjectError> {
        let pinned = self.pinned.lock().expect("BUG: nothing panics while holding the pins");
        for file in files_in(&self.folder.join(SECRETS))? {
            let digest = file.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<Digest>().ok());
            if digest.is_some_and(|digest| !kept.contains(&digest) && !pinned.contains_key(&digest)) {
                fs::remove_file(&file).map_err(fault(&file))?;
            }
        }
        Ok(())
    }
}

pub fn scratch(folder: &Path) -> Result<File, ObjectError> {
    let path = folder.join(format!("scratch-{:?}.{TEMPORARY}", std::thread::current().id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).map_err(fault(&path))?;
    fs::remove_file(&path).map_err(fault(&path))?;
    Ok(file)
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ObjectError> {
    let entries = fs::read_dir(folder).map_err(fault(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(fault(folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_protocol::key::SecretKey;

    fn objects(folder: &Path) -> Objects {
        Objects::open(folder, Disk::real(), Bucket::folder(&folder.join("objects")).unwrap().of("shop")).unwrap()
    }

    #[test]
    fn a_release_is_created_once_and_the_same_again_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(folder.path());
        let signed = |text: &str| {
            let key = SecretKey::from_seed([1; 32]);
            SignedManifest { key: key.public().id(), signature: key.sign(text.as_bytes()), manifest: text.into() }
        };
        let first = ReleaseId { epoch: 1, seq: 1 };
        objects.create_release(first, &signed("one")).unwrap();
        objects.create_release(first, &signed("one")).unwrap();
        assert!(matches!(objects.create_release(first, &signed("two")), Err(ObjectError::Taken(_))));
        let long = "x".repeat(limits::MANIFEST_BYTES);
        assert!(matches!(objects.create_release(first, &signed(&long)), Err(ObjectError::ManifestTooLarge(_))));
    }

    #[test]
    fn what_is_pinned_stays() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(folder.path());
        let (digest, pin) = objects.put_archive(b"on its way").unwrap();
        objects.forget(&[Name::Archive(digest)].into()).unwrap();
        assert_eq!(objects.read_archive(&digest).unwrap(), b"on its way");
        drop(pin);
        objects.forget(&[Name::Archive(digest)].into()).unwrap();
        assert!(matches!(objects.read_archive(&digest), Err(ObjectError::Missing(_))));
    }

    #[test]
    fn a_damaged_archive_is_not_given_out() {
        let folder = tempfile::tempdir().unwrap();
        let objects = objects(folder.path());
        let (digest, _pin) = objects.put_archive(b"app").unwrap();
        fs::write(folder.path().join(format!("objects/shop/archives/{digest}")), b"apq").unwrap();
        assert!(matches!(objects.read_archive(&digest), Err(ObjectError::Damaged(_))));
    }
}
