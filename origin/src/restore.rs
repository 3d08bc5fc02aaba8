//! A backup put back: into an empty folder, as another epoch.
//!
//! What was committed after the backup is lost, and its numbers are given out again. So the restored stores claim an epoch
//! above every one that was ever seen: receipts of the lost time are then told from those of the new one, and nodes take
//! the new releases for newer than all they have.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use nearside_host::disk::Disk;
use nearside_protocol::{digest::Digest, limits, watermark::Watermark};

use crate::{
    backup::{self, BackupError, Draft, FORMAT, MANIFEST, MANIFEST_DIGEST, Manifest},
    bucket::{Bucket, BucketError, Name},
    store::{self, StoreError},
};

const OBJECTS: &str = "objects";

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("{path} is there and not empty: a backup is restored into an empty folder", path = path.display())]
    NotEmpty { path: PathBuf },
    #[error("{from} is not a backup: {why}", from = from.display())]
    NotABackup { from: PathBuf, why: String },
    #[error("the backup is of format {0}; this program reads {FORMAT}")]
    Format(u32),
    #[error("the backup is damaged: {file}: {why}")]
    Damaged { file: String, why: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
}

/// Where releases are put from now on, and what epochs are known to have been.
#[derive(Default)]
pub struct Known {
    /// None: a folder in the data.
    pub bucket: Option<Bucket>,
    /// The highest epoch anyone has seen, as far as is known.
    pub epoch: u64,
}

/// One app as it was restored.
pub struct Restored {
    pub app: String,
    /// Epoch and commit of the backup stand last in `ended`.
    pub mark: Watermark,
}

pub struct Report {
    pub manifest: Manifest,
    pub apps: Vec<Restored>,
    pub warnings: Vec<String>,
}

/// Reads a backup's manifest and holds every file against it. Blocks.
pub fn verify(from: &Path) -> Result<Manifest, RestoreError> {
    let not = |why: String| RestoreError::NotABackup { from: from.to_owned(), why };
    let read = |name: &str| fs::read(from.join(name)).map_err(|error| not(format!("{name}: {error}")));
    let (text, digest) = (read(MANIFEST)?, read(MANIFEST_DIGEST)?);
    let damaged = |file: &str, why: String| RestoreError::Damaged { file: file.to_owned(), why };
    if Digest::of(&text).to_string().as_bytes() != digest.trim_ascii() {
        return Err(damaged(MANIFEST, format!("its digest is not the one in {MANIFEST_DIGEST}")));
    }
    let format = serde_json::from_slice::<serde_json::Value>(&text).ok().and_then(|json| json["format"].as_u64());
    match format {
        Some(format) if format == u64::from(FORMAT) => {}
        Some(format) => return Err(RestoreError::Format(format as u32)),
        None => return Err(not(format!("{MANIFEST} names no format"))),
    }
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| not(format!("{MANIFEST}: {error}")))?;
    for (name, expected) in &manifest.files {
        if !backup::stays_below(name) {
            return Err(damaged(name, "the name leads out of the backup".into()));
        }
        let found = File::open(from.join(name))
            .and_then(backup::digest_of)
            .map_err(|error| damaged(name, error.to_string()))?;
        if found != *expected {
            return Err(damaged(
                name,
                format!("{} bytes expected, {} found, or with another digest", expected.bytes, found.bytes),
            ));
        }
    }
    Ok(manifest)
}

/// Puts a backup into a folder that is empty, or not there. Blocks.
pub fn restore(from: &Path, into: &Path, known: Known) -> Result<Report, RestoreError> {
    let manifest = verify(from)?;
    assert_empty(into)?;
    let draft = Draft::set(into)?;
    let folder = draft.0.clone();
    for name in manifest.files.keys().filter(|name| !name.ends_with(&format!("/{}", backup::ARCHIVE))) {
        let to = folder.join(name);
        let parent = to.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(backup::io_at(parent))?;
        File::open(from.join(name)).and_then(|file| backup::copy_into(file, &to)).map_err(backup::io_at(&to))?;
    }
    let bucket = match &known.bucket {
        Some(bucket) => bucket.clone(),
        None => Bucket::folder(&folder.join(OBJECTS))?,
    };
    let mut warnings = Vec::new();
    let mut apps = Vec::new();
    for (name, app) in &manifest.apps {
        let bucket = bucket.of(name);
        if let Some(digest) = app.app_digest {
            put_archive(&bucket, &from.join(backup::APPS).join(name).join(backup::ARCHIVE), digest)?;
        }
        let newest = match bucket.wait(bucket.newest(None)) {
            Ok(newest) => newest,
            Err(error) => {
                warnings
                    .push(format!("app `{name}`: the object store could not be asked for its newest release: {error}"));
                None
            }
        };
        let seen = [app.epoch, known.epoch].into_iter().chain(app.release.or(newest).map(|release| release.epoch));
        let seen = seen.chain(newest.map(|release| release.epoch)).max().unwrap_or(app.epoch);
        let connection = store::open(&folder.join(backup::APPS).join(name).join(store::FILE_NAME))?;
        let mark = store::begin_epoch(&connection, seen + 1, manifest.made_at_ms)?;
        // The last one to close a store leaves nothing beside it.
        connection.close().map_err(|(_, error)| StoreError::Sqlite(error))?;
        apps.push(Restored { app: name.clone(), mark });
    }
    backup::sync_folders(&folder).map_err(backup::io_at(&folder))?;
    assert_empty(into)?;
    Disk::real().rename(&folder, into).map_err(backup::io_at(into))?;
    draft.keep();
    if !manifest.keys {
        warnings.push(
            "the backup has no keys: put the old signing.key into the folder before the origin starts, or let each node \
             trust the new one (`nearside key add`); a new token is made"
                .into(),
        );
    }
    if !manifest.blobs {
        warnings.push("the backup has no blobs".into());
    }
    Ok(Report { manifest, apps, warnings })
}

/// So that the version that ran can be started, whatever became of the object store.
fn put_archive(bucket: &Bucket, file: &Path, digest: Digest) -> Result<(), RestoreError> {
    let bytes = fs::read(file).map_err(backup::io_at(file))?;
    if bytes.len() > limits::APP_ARCHIVE_BYTES || Digest::of(&bytes) != digest {
        let why = "it is not the archive of the version that ran".to_owned();
        return Err(RestoreError::Damaged { file: file.display().to_string(), why });
    }
    if bucket.wait(bucket.length(Name::Archive(digest)))?.is_none() {
        bucket.wait(bucket.put(Name::Archive(digest), bytes))?;
    }
    Ok(())
}

fn assert_empty(into: &Path) -> Result<(), RestoreError> {
    let is_empty = match fs::read_dir(into) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if is_empty { Ok(()) } else { Err(RestoreError::NotEmpty { path: into.to_owned() }) }
}
