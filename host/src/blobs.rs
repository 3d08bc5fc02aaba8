//! Blobs at a node: a bounded part of its disk, filled from the origin as visitors ask.
//!
//! ```text
//! DATA/blobs/<app>/<hash>   what was pulled, named by its hash
//! ```
//!
//! The one that went unused the longest gives way. A blob is verified when it is pulled, and once more when it is first
//! read after a start. Nobody else is asked for a blob: an app sees its own alone, though two may have the same bytes.
//!
//! At the origin blobs do not expire: it cannot know which of them a row still names. What bounds them there is the
//! app's quota, [`nearside_protocol::limits::BLOB_APP_BYTES`].

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Instant,
};

use bytes::Bytes;
use nearside_protocol::{digest::Digest, limits};
use tokio::{
    io::AsyncSeekExt,
    sync::{Semaphore, watch},
};

use crate::{
    disk::Disk, file_pieces::FilePieces, in_vain::InVain, least_recent::LeastRecent, media_type::Inert,
    refusal::Refusal, upstream::Upstream,
};

/// What every address of a blob begins with.
pub const BLOB: &str = "/_blob/";

#[derive(Debug, thiserror::Error)]
#[error("the blobs at {path}: {error}", path = path.display())]
pub struct BlobsError {
    path: PathBuf,
    error: io::Error,
}

/// A blob of an app.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BlobName {
    pub app: String,
    pub digest: Digest,
}

/// `<64 hexadecimal digits>.<extension>`, in one spelling, of an extension that is shown.
pub fn parse(name: &str) -> Option<(Digest, Inert)> {
    let (hash, extension) = name.split_once('.')?;
    let digest: Digest = hash.parse().ok().filter(|digest: &Digest| digest.to_string() == hash)?;
    Some((digest, crate::media_type::of_blob(extension)?))
}

pub struct Blobs {
    folder: PathBuf,
    disk: Disk,
    kept: Mutex<Kept>,
    flights: Mutex<HashMap<BlobName, watch::Receiver<Option<Landing>>>>,
    pulls: Semaphore,
    /// Those that the origin has not.
    missing: InVain<BlobName>,
}

struct Kept {
    names: LeastRecent<BlobName>,
    /// Found at the start, and not read since.
    unverified: HashSet<BlobName>,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Landing {
    Here,
    NoSuch,
    Away,
}

/// A blob's file.
pub struct OpenBlob {
    file: tokio::fs::File,
    pub bytes: u64,
}

impl OpenBlob {
    /// The bytes of a part, as they are read.
    pub async fn part(mut self, part: std::ops::Range<u64>) -> io::Result<FilePieces> {
        if part.start > 0 {
            self.file.seek(io::SeekFrom::Start(part.start)).await?;
        }
        Ok(FilePieces::of(self.file, part.end - part.start))
    }
}

impl Blobs {
    /// Takes up what is there, the oldest first. Blocks.
    pub fn open(folder: &Path, most_bytes: u64) -> Result<Arc<Blobs>, BlobsError> {
        let disk = Disk::real();
        let fault = |error| BlobsError { path: folder.to_owned(), error };
        disk.folder(folder).map_err(fault)?;
        let found = found_in(folder).map_err(fault)?;
        let mut kept = Kept { names: LeastRecent::new(most_bytes), unverified: HashSet::new() };
        let mut gone = Vec::new();
        for (name, bytes) in found {
            kept.unverified.insert(name.clone());
            gone.extend(kept.names.insert(name, counted(bytes)));
        }
        let blobs = Blobs {
            folder: folder.to_owned(),
            disk,
            kept: Mutex::new(kept),
            flights: Mutex::default(),
            pulls: Semaphore::new(limits::BLOB_PULLS_AT_ONCE),
            missing: InVain::new(limits::BLOB_MISSING_FOR, limits::BLOBS_MISSING),
        };
        blobs.discard(&gone);
        Ok(Arc::new(blobs))
    }

    /// The blob, from this node's disk or, once for all who ask meanwhile, from the origin.
    pub async fn get(self: &Arc<Blobs>, name: &BlobName, upstream: Arc<dyn Upstream>) -> Result<OpenBlob, Refusal> {
        if let Some(blob) = self.kept(name).await {
            return Ok(blob);
        }
        if self.missing.was(name, Instant::now()) {
            return Err(Refusal::NotFound);
        }
        let mut landed = self.pull(name, upstream)?;
        let landing = tokio::time::timeout(limits::BLOB_PULL_WAIT, landed.wait_for(Option::is_some)).await;
        match landing.ok().and_then(Result::ok).and_then(|landing| *landing) {
            Some(Landing::Here) => self.kept(name).await.ok_or(Refusal::BlobAway),
            Some(Landing::NoSuch) => Err(Refusal::NotFound),
            Some(Landing::Away) | None => Err(Refusal::BlobAway),
        }
    }

    /// It has just been put.
    pub(crate) fn is_put(&self, app: &str, digest: Digest) {
        self.missing.forget(&BlobName { app: app.to_owned(), digest });
    }

    /// A release may name any that was missing.
    pub(crate) fn a_release_came(&self) {
        self.missing.forget_all(Instant::now());
    }

    pub fn bytes(&self) -> u64 {
        self.lock().names.bytes()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().expect("BUG: nothing panics while holding the names")
    }

    fn path(&self, name: &BlobName) -> PathBuf {
        self.folder.join(&name.app).join(name.digest.to_string())
    }

    /// What is on the disk here. What turns out to be damaged, or gone, is forgotten.
    async fn kept(self: &Arc<Blobs>, name: &BlobName) -> Option<OpenBlob> {
        let is_verified = {
            let mut kept = self.lock();
            if !kept.names.touch(name) {
                return None;
            }
            !kept.unverified.contains(name)
        };
        let (path, digest) = (self.path(name), name.digest);
        let opened = tokio::task::spawn_blocking(move || open(&path, (!is_verified).then_some(digest))).await;
        match opened {
            Ok(Ok((file, bytes))) => {
                if !is_verified {
                    self.lock().unverified.remove(name);
                }
                Some(OpenBlob { file: tokio::fs::File::from_std(file), bytes })
            }
            Ok(Err(error)) => {
                tracing::warn!(app = %name.app, blob = %name.digest, cause = %error, "a blob is pulled again");
                let mut kept = self.lock();
                kept.names.remove(name);
                kept.unverified.remove(name);
                None
            }
            Err(_lost) => None,
        }
    }

    /// Joins the pull under way, or begins one; it goes on when whoever asked leaves.
    fn pull(
        self: &Arc<Blobs>,
        name: &BlobName,
        upstream: Arc<dyn Upstream>,
    ) -> Result<watch::Receiver<Option<Landing>>, Refusal> {
        let mut flights = self.flights.lock().expect("BUG: nothing panics while holding the pulls");
        if let Some(landed) = flights.get(name) {
            return Ok(landed.clone());
        }
        if flights.len() >= limits::BLOB_PULLS_WAITING {
            return Err(Refusal::Busy);
        }
        let (lands, landed) = watch::channel(None);
        flights.insert(name.clone(), landed.clone());
        let flight = Flight { blobs: self.clone(), name: name.clone() };
        tokio::spawn(async move {
            let landing = flight.fly(&*upstream).await;
            lands.send_replace(Some(landing));
        });
        Ok(landed)
    }

    /// Puts a verified blob on the disk. Blocks.
    fn store(&self, name: BlobName, content: &[u8]) -> io::Result<()> {
        let path = self.path(&name);
        self.disk.folder(path.parent().expect("BUG: a blob lies in its app's folder"))?;
        self.disk.write(&path, content)?;
        let gone = {
            let mut kept = self.lock();
            kept.unverified.remove(&name);
            let gone = kept.names.insert(name, counted(content.len() as u64));
            gone.iter().for_each(|name| {
                kept.unverified.remove(name);
            });
            gone
        };
        self.discard(&gone);
        Ok(())
    }

    /// One that is pulled anew in this very moment may be lost again; then it is pulled once more.
    fn discard(&self, names: &[BlobName]) {
        for name in names {
            if let Err(error) = fs::remove_file(self.path(name)) {
                tracing::warn!(app = %name.app, blob = %name.digest, cause = %error, "a blob is left behind");
            }
        }
    }
}

/// A pull on its way; it leaves the list of them however it ends.
struct Flight {
    blobs: Arc<Blobs>,
    name: BlobName,
}

impl Flight {
    async fn fly(&self, upstream: &dyn Upstream) -> Landing {
        let (name, asked_at) = (&self.name, Instant::now());
        let pulled = async {
            let _place = self.blobs.pulls.acquire().await;
            upstream.blob(&name.app, &name.digest).await
        };
        let away = |cause: &dyn std::fmt::Display| {
            tracing::warn!(app = %name.app, blob = %name.digest, %cause, "a blob cannot be had");
            Landing::Away
        };
        let content: Bytes = match tokio::time::timeout(limits::BLOB_PULL_WAIT, pulled).await {
            Err(_) => return away(&format_args!("it did not come within {} s", limits::BLOB_PULL_WAIT.as_secs())),
            Ok(Err(unreachable)) => return away(&unreachable),
            Ok(Ok(None)) => {
                self.blobs.missing.note(name.clone(), asked_at, Instant::now());
                return Landing::NoSuch;
            }
            Ok(Ok(Some(content))) => content,
        };
        let (blobs, name) = (self.blobs.clone(), name.clone());
        let stored = tokio::task::spawn_blocking(move || {
            if Digest::of(&content) != name.digest {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "what the origin sent has another hash"));
            }
            blobs.store(name, &content)
        });
        match stored.await {
            Ok(Ok(())) => Landing::Here,
            Ok(Err(error)) => away(&error),
            Err(_lost) => Landing::Away,
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.blobs.flights.lock().expect("BUG: nothing panics while holding the pulls").remove(&self.name);
    }
}

/// A file and its length; with a digest to be, only if it has that. Blocks.
fn open(path: &Path, expected: Option<Digest>) -> io::Result<(fs::File, u64)> {
    let file = fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    if let Some(expected) = expected
        && (bytes > limits::BLOB_BYTES as u64 || Digest::of(&fs::read(path)?) != expected)
    {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged: its hash is not its name"));
    }
    Ok((file, bytes))
}

/// A file takes a block of the disk at least.
fn counted(bytes: u64) -> u64 {
    bytes.next_multiple_of(limits::BLOB_LEAST_BYTES).max(limits::BLOB_LEAST_BYTES)
}

/// All blobs below a folder, by the time they came. What a crash left unfinished is removed.
fn found_in(folder: &Path) -> io::Result<Vec<(BlobName, u64)>> {
    let mut found = Vec::new();
    for app in fs::read_dir(folder)? {
        let app = app?;
        if !app.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(app.path())? {
            let file = file?;
            let name = file.file_name().into_string().unwrap_or_default();
            match name.parse::<Digest>() {
                Ok(digest) => {
                    let metadata = file.metadata()?;
                    let app = app.file_name().to_string_lossy().into_owned();
                    found.push((metadata.modified()?, BlobName { app, digest }, metadata.len()));
                }
                Err(_) if name.ends_with(".tmp") => fs::remove_file(file.path())?,
                Err(_) => {}
            }
        }
    }
    found.sort_by_key(|(came, ..)| *came);
    Ok(found.into_iter().map(|(_, name, bytes)| (name, bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_has_one_address() {
        let hash = Digest::of(b"x").to_string();
        assert!(parse(&format!("{hash}.png")).is_some());
        for other in [hash.clone(), format!("{hash}.svg"), format!("{}.png", hash.to_uppercase()), format!("{hash}.")] {
            assert!(parse(&other).is_none(), "{other}");
        }
        assert!(parse(&format!("+{}.png", &hash[1..])).is_none() && parse("").is_none() && parse(".png").is_none());
    }

    #[test]
    fn a_start_takes_up_what_is_there_and_the_oldest_gives_way() {
        let folder = tempfile::tempdir().unwrap();
        let name = |text: &str| BlobName { app: "a".into(), digest: Digest::of(text.as_bytes()) };
        let most_bytes = 2 * limits::BLOB_LEAST_BYTES;
        let blobs = Blobs::open(folder.path(), most_bytes).unwrap();
        for text in ["one", "two", "three"] {
            blobs.store(name(text), text.as_bytes()).unwrap();
        }
        let there = |text: &str| folder.path().join("a").join(name(text).digest.to_string()).exists();
        assert!(!there("one") && there("two") && there("three"));
        fs::write(folder.path().join("a/half.tmp"), b"half").unwrap();

        let blobs = Blobs::open(folder.path(), most_bytes).unwrap();
        assert_eq!(blobs.bytes(), most_bytes);
        assert!(!folder.path().join("a/half.tmp").exists());
        fs::write(folder.path().join("a").join(name("two").digest.to_string()), b"twx").unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        assert!(runtime.block_on(blobs.kept(&name("three"))).is_some());
        assert!(runtime.block_on(blobs.kept(&name("two"))).is_none(), "it is damaged");
        assert_eq!(blobs.bytes(), limits::BLOB_LEAST_BYTES);
        Blobs::open(folder.path(), 0).unwrap();
        assert!(!there("three"));
    }
}
