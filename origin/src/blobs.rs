//! One app's blobs: files that visitors sent, each stored once and named by its hash.
//!
//! ```text
//! blobs/<first two digits>/<hash>   a blob
//! blobs/…/*.tmp                     something a crash left unfinished; removed at the start
//! ```
//!
//! They do not expire: a row anywhere may name one, and only the app knows. What bounds them is the app's quota.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Mutex,
};

use nearside_host::disk::Disk;
use nearside_protocol::{digest::Digest, limits};

const FOLDER: &str = "blobs";
const TEMPORARY: &str = "tmp";

#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("its hash is {found}, not {named}: send the bytes that the address names")]
    OtherHash { named: Digest, found: Digest },
    #[error("the blob {0} is damaged: the same bytes put again mend it")]
    Damaged(Digest),
    #[error("a blob of {0} bytes; at most {most}", most = limits::BLOB_BYTES)]
    TooLarge(usize),
    #[error(
        "this app's blobs take {used_bytes} bytes of the {most_bytes} they may: {content_bytes} more do not fit. Raise \
         BLOB_APP_BYTES, or remove files below its `blobs` folder that no row names any more, and start again"
    )]
    Quota { used_bytes: u64, most_bytes: u64, content_bytes: usize },
}

pub struct Blobs {
    folder: PathBuf,
    disk: Disk,
    most_bytes: u64,
    /// Held while one is stored, so that no two writers take the same room, or the same file.
    used_bytes: Mutex<u64>,
}

impl Blobs {
    /// Counts what is there and removes what a crash left unfinished. Blocks.
    pub fn open(app_folder: &Path, disk: Disk, most_bytes: u64) -> Result<Blobs, BlobError> {
        let folder = app_folder.join(FOLDER);
        disk.folder(&folder).map_err(fault(&folder))?;
        let mut used_bytes = 0;
        for part in entries(&folder)? {
            for file in entries(&part)? {
                if file.extension().is_some_and(|extension| extension == TEMPORARY) {
                    fs::remove_file(&file).map_err(fault(&file))?;
                } else {
                    used_bytes += counted(fs::metadata(&file).map_err(fault(&file))?.len());
                }
            }
        }
        Ok(Blobs { folder, disk, most_bytes, used_bytes: Mutex::new(used_bytes) })
    }

    pub fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.folder.join(&name[..2]).join(name)
    }

    pub fn is_empty(&self) -> bool {
        *self.lock() == 0
    }

    /// Stores a blob under its hash; durable when this returns. The same again changes nothing, but mends a damaged
    /// file. Blocks.
    pub fn put(&self, named: &Digest, content: &[u8]) -> Result<(), BlobError> {
        let found = Digest::of(content);
        if found != *named {
            return Err(BlobError::OtherHash { named: *named, found });
        }
        if content.len() > limits::BLOB_BYTES {
            return Err(BlobError::TooLarge(content.len()));
        }
        let path = self.path(named);
        let mut used_bytes = self.lock();
        let takes_bytes = match fs::read(&path) {
            Ok(there) if there == content => return Ok(()),
            Ok(damaged) => counted(content.len() as u64).saturating_sub(counted(damaged.len() as u64)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => counted(content.len() as u64),
            Err(error) => return Err(BlobError::Io { path, error }),
        };
        if *used_bytes + takes_bytes > self.most_bytes {
            let (used_bytes, most_bytes) = (*used_bytes, self.most_bytes);
            return Err(BlobError::Quota { used_bytes, most_bytes, content_bytes: content.len() });
        }
        let part = path.parent().expect("BUG: a blob lies in a folder");
        self.disk.folder(part).map_err(fault(part))?;
        self.disk.write(&path, content).map_err(fault(&path))?;
        *used_bytes += takes_bytes;
        Ok(())
    }

    /// The bytes of this hash; none when nobody stored them. Blocks.
    pub fn get(&self, named: &Digest) -> Result<Option<Vec<u8>>, BlobError> {
        let path = self.path(named);
        let mut content = Vec::new();
        let read = fs::File::open(&path).and_then(|file| file.take(limits::BLOB_BYTES as u64).read_to_end(&mut content));
        match read {
            Ok(_) if Digest::of(&content) == *named => Ok(Some(content)),
            Ok(_) => Err(BlobError::Damaged(*named)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BlobError::Io { path, error }),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, u64> {
        self.used_bytes.lock().expect("BUG: nothing panics while storing a blob")
    }
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> BlobError {
    let path = path.to_owned();
    move |error| BlobError::Io { path, error }
}

fn counted(bytes: u64) -> u64 {
    bytes.next_multiple_of(limits::BLOB_LEAST_BYTES).max(limits::BLOB_LEAST_BYTES)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let entries = fs::read_dir(folder).map_err(fault(folder))?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(fault(folder))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_stored_once_under_its_own_hash_and_within_the_quota() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Blobs::open(folder.path(), Disk::real(), 2 * limits::BLOB_LEAST_BYTES).unwrap();
        let blobs = open();
        assert!(blobs.is_empty());
        let put = |blobs: &Blobs, text: &str| blobs.put(&Digest::of(text.as_bytes()), text.as_bytes());
        put(&blobs, "one").unwrap();
        put(&blobs, "one").unwrap();
        put(&blobs, "two").unwrap();
        let wrong = blobs.put(&Digest::of(b"three"), b"four").unwrap_err();
        assert!(matches!(wrong, BlobError::OtherHash { .. }), "{wrong}");
        let full = put(&blobs, "three").unwrap_err();
        assert!(matches!(full, BlobError::Quota { used_bytes: 8_192, .. }), "{full}");
        put(&blobs, "one").unwrap();
        assert_eq!(blobs.get(&Digest::of(b"one")).unwrap().unwrap(), b"one");
        assert!(blobs.get(&Digest::of(b"three")).unwrap().is_none());

        let path = blobs.path(&Digest::of(b"one"));
        fs::write(&path, b"onx").unwrap();
        assert!(matches!(blobs.get(&Digest::of(b"one")), Err(BlobError::Damaged(_))));
        fs::write(path.with_extension(TEMPORARY), b"half").unwrap();
        let blobs = open();
        assert!(!path.with_extension(TEMPORARY).exists());
        assert!(matches!(put(&blobs, "three"), Err(BlobError::Quota { .. })));
        put(&blobs, "one").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one", "a damaged one is mended");
        let large = vec![0; limits::BLOB_BYTES + 1];
        assert!(matches!(blobs.put(&Digest::of(&large), &large), Err(BlobError::TooLarge(_))));
    }

    #[test]
    fn many_who_store_the_same_store_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path(), Disk::real(), limits::BLOB_LEAST_BYTES).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| blobs.put(&Digest::of(b"same"), b"same").unwrap());
            }
        });
        assert_eq!(fs::read(blobs.path(&Digest::of(b"same"))).unwrap(), b"same");
        assert_eq!(*blobs.lock(), limits::BLOB_LEAST_BYTES);
    }
}
