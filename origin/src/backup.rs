//! A backup of an origin's data folder, made while the origin works, or while none does.
//!
//! ```text
//! manifest.json     what is here: each app's epoch and last commit, every file with its length and digest
//! manifest.blake3   the digest of that
//! apps/<app>/…      the store as it was at one moment, the app's archive, its database if that is a pushed file, vouchers,
//!                   blobs; secrets.json only if it was asked for
//! tokens.json       who may ask for what: digests of tokens, which open nothing
//! signing.key, token   only if it was asked for
//! ```
//!
//! Releases are not in it: they are made of the store, and the object store has those that were. It is written under
//! another name, looked through, synced, and only then called what it is to be called.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Component, Path, PathBuf},
};

use nearside_host::disk::Disk;
use nearside_protocol::{
    app,
    digest::Digest,
    limits,
    release::{DatabaseId, ReleaseId},
    unix_time::now_ms,
    watermark::BackedUp,
};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::{
    bucket::{Bucket, BucketError, Name},
    compare::quoted,
    hold::RunningVersion,
    store::{self, StoreError},
    tokens,
};

/// Grows when a backup is laid out in another way.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const MANIFEST: &str = "manifest.json";
pub(crate) const MANIFEST_DIGEST: &str = "manifest.blake3";
pub(crate) const APPS: &str = "apps";
pub(crate) const ARCHIVE: &str = "archive";
/// For the origin's user alone.
pub(crate) const PRIVATE: [&str; 3] = ["signing.key", "token", "secrets.json"];
const KEYS: [&str; 2] = ["signing.key", "token"];
const APP_SECRETS: &str = "secrets.json";
const PLAIN: [&str; 2] = ["running.json", "pushed.db"];
const VOUCHERS: &str = "vouchers";
const BLOBS: &str = "blobs";

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("{path}: {error}", path = path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{path} is there already: a backup never overwrites one", path = path.display())]
    There { path: PathBuf },
    #[error("{path} is not an origin's data folder: it has no `apps`", path = path.display())]
    NotAnOrigin { path: PathBuf },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("app `{app}`: {error}")]
    Sqlite { app: String, error: rusqlite::Error },
    #[error("app `{app}`: the copy is not what was copied: {why}")]
    NotTheSame { app: String, why: String },
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error("app `{app}`: the object store has no archive {digest} of the version that runs")]
    NoArchive { app: String, digest: Digest },
}

/// What is left in or out.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// The key that signs releases, the token, the apps' secrets.
    pub keys: bool,
    pub blobs: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub format: u32,
    /// Of the program that made it.
    pub version: String,
    /// When the first store was copied: Unix time, milliseconds.
    pub made_at_ms: u64,
    pub keys: bool,
    pub blobs: bool,
    pub apps: BTreeMap<String, AppManifest>,
    /// By path, below the backup's folder.
    pub files: BTreeMap<String, FileManifest>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppManifest {
    pub database: DatabaseId,
    pub epoch: u64,
    /// The last commit in it.
    pub commit: u64,
    pub layout: u64,
    /// The newest release there was, as far as the object store could tell.
    pub release: Option<ReleaseId>,
    pub app_digest: Option<Digest>,
    /// Rows of the store's reserved tables.
    pub rows: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileManifest {
    pub bytes: u64,
    pub digest: Digest,
}

/// A backup that was made.
pub struct Made {
    pub manifest: Manifest,
    /// What whoever restores it will miss, or should know.
    pub warnings: Vec<String>,
}

/// Makes a backup of a data folder, and tells each store about it. `bucket` is where the releases are put. Blocks.
pub fn back_up(data: &Path, bucket: &Bucket, dest: &Path, chosen: Chosen) -> Result<Made, BackupError> {
    if !data.join(APPS).is_dir() {
        return Err(BackupError::NotAnOrigin { path: data.to_owned() });
    }
    assert_free(dest)?;
    let draft = Draft::set(dest)?;
    let mut manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at_ms: now_ms(),
        keys: chosen.keys,
        blobs: chosen.blobs,
        apps: BTreeMap::new(),
        files: BTreeMap::new(),
    };
    let mut warnings = Vec::new();
    let mut copier = Copier { draft: &draft.0, files: &mut manifest.files };
    for name in apps_in(&data.join(APPS))? {
        let app = App { name: &name, folder: &data.join(APPS).join(&name), bucket: &bucket.of(&name) };
        if let Some(copied) = app.back_up(&mut copier, chosen, &mut warnings)? {
            manifest.apps.insert(name, copied);
        }
    }
    copier.file_if_there(&data.join(tokens::FILE), tokens::FILE)?;
    match chosen.keys {
        true => KEYS.iter().try_for_each(|name| copier.file_if_there(&data.join(name), name))?,
        false => warnings.push(
            "keys and secrets are not in it (--with-keys): without signing.key, nodes do not trust a restored origin's \
             releases; without an app's secrets.json, what its made secrets signed, cookies say, is void"
                .into(),
        ),
    }
    if !chosen.blobs {
        warnings.push("blobs are not in it: rows may name some that a restored origin does not have".into());
    }
    seal(&draft.0, &manifest)?;
    let (made, dest_io) = (draft.0.clone(), |error| BackupError::Io { path: dest.to_owned(), error });
    assert_free(dest)?;
    Disk::real().rename(&made, dest).map_err(dest_io)?;
    draft.keep();
    for (name, app) in &manifest.apps {
        let backup = BackedUp { epoch: app.epoch, commit: app.commit, at_ms: manifest.made_at_ms };
        // The backup is good without that: nodes only keep for longer what they need not.
        if let Err(error) = store::note_backup(&data.join(APPS).join(name).join(store::FILE_NAME), &backup) {
            warnings.push(format!("app `{name}`: its store could not be told of the backup: {error}"));
        }
    }
    Ok(Made { manifest, warnings })
}

struct App<'a> {
    name: &'a str,
    folder: &'a Path,
    bucket: &'a Bucket,
}

impl App<'_> {
    /// None for an app without a store: its first push has not come to an end.
    fn back_up(
        &self,
        copier: &mut Copier<'_>,
        chosen: Chosen,
        warnings: &mut Vec<String>,
    ) -> Result<Option<AppManifest>, BackupError> {
        let live = self.folder.join(store::FILE_NAME);
        if !live.exists() {
            return Ok(None);
        }
        let below = |name: &str| format!("{APPS}/{}/{name}", self.name);
        let copy = copier.place(&below(store::FILE_NAME))?;
        let mut copied = self.store(&live, &copy)?;
        copier.note(&below(store::FILE_NAME))?;
        for name in PLAIN {
            copier.file_if_there(&self.folder.join(name), &below(name))?;
        }
        if chosen.keys {
            copier.file_if_there(&self.folder.join(APP_SECRETS), &below(APP_SECRETS))?;
        }
        copier.folder_if_there(&self.folder.join(VOUCHERS), &below(VOUCHERS))?;
        // After the store: whatever a row in it names was there before the row.
        if chosen.blobs {
            copier.folder_if_there(&self.folder.join(BLOBS), &below(BLOBS))?;
        }
        let running = RunningVersion::load(self.folder)
            .map_err(|error| BackupError::Io { path: self.folder.to_owned(), error })?;
        if let Some(running) = running {
            let digest = running.app_digest;
            let archive = self.bucket.wait(self.bucket.get(Name::Archive(digest), limits::APP_ARCHIVE_BYTES as u64))?;
            let archive = archive.filter(|archive| Digest::of(archive) == digest);
            let archive = archive.ok_or_else(|| BackupError::NoArchive { app: self.name.to_owned(), digest })?;
            copier.bytes(&below(ARCHIVE), &archive)?;
            copied.app_digest = Some(digest);
        }
        match self.bucket.wait(self.bucket.newest(None)) {
            Ok(newest) => copied.release = newest,
            Err(error) => warnings.push(format!("app `{}`: its newest release is not known: {error}", self.name)),
        }
        Ok(Some(copied))
    }

    /// Copies the store as it is at one moment, and looks through the copy.
    fn store(&self, live: &Path, to: &Path) -> Result<AppManifest, BackupError> {
        let fault = |error| BackupError::Sqlite { app: self.name.to_owned(), error };
        let source = Connection::open_with_flags(live, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        source.execute_batch("PRAGMA query_only = ON; BEGIN").map_err(fault)?;
        let (meta, rows) = (store::meta(&source)?, reserved_rows(&source).map_err(fault)?);
        store::copy_of(&source, to)?;
        drop(source);

        let copy = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
        let differs = |why: String| BackupError::NotTheSame { app: self.name.to_owned(), why };
        let sound: String = copy.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(fault)?;
        if sound != "ok" {
            return Err(differs(format!("its integrity check says: {sound}")));
        }
        let dangling: u64 =
            copy.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).map_err(fault)?;
        if dangling > 0 {
            return Err(differs(format!("{dangling} rows point to rows that are not there")));
        }
        let found = store::meta(&copy)?;
        if found != meta {
            return Err(differs(format!("it stands at {found:?}, not {meta:?}")));
        }
        let rows_found = reserved_rows(&copy).map_err(fault)?;
        if rows_found != rows {
            return Err(differs(format!("its reserved tables have {rows_found:?} rows, not {rows:?}")));
        }
        Ok(AppManifest {
            database: meta.database,
            epoch: meta.epoch,
            commit: meta.commit,
            layout: meta.layout,
            release: None,
            app_digest: None,
            rows,
        })
    }
}

pub(crate) fn reserved_rows(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND substr(name, 1, ?1) = ?2 ORDER BY name";
    let prefix = app::RESERVED_PREFIX;
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> =
        statement.query_map((prefix.len(), prefix), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let count = |name: String| {
        let rows = connection.query_row(&format!("SELECT count(*) FROM {}", quoted(&name)), [], |row| row.get(0))?;
        Ok((name, rows))
    };
    names.into_iter().map(count).collect()
}

/// Writes files below a folder, synced, and notes what is in them.
struct Copier<'a> {
    draft: &'a Path,
    files: &'a mut BTreeMap<String, FileManifest>,
}

impl Copier<'_> {
    fn place(&self, name: &str) -> Result<PathBuf, BackupError> {
        let path = self.draft.join(name);
        let folder = path.parent().unwrap_or(self.draft);
        fs::create_dir_all(folder).map_err(io_at(folder))?;
        Ok(path)
    }

    /// A file that stands there already.
    fn note(&mut self, name: &str) -> Result<(), BackupError> {
        let path = self.draft.join(name);
        let file = File::open(&path).map_err(io_at(&path))?;
        file.sync_all().map_err(io_at(&path))?;
        self.files.insert(name.to_owned(), digest_of(file).map_err(io_at(&path))?);
        Ok(())
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        let path = self.place(name)?;
        fs::write(&path, bytes).map_err(io_at(&path))?;
        self.note(name)
    }

    fn file_if_there(&mut self, from: &Path, name: &str) -> Result<(), BackupError> {
        let source = match File::open(from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BackupError::Io { path: from.to_owned(), error }),
        };
        let path = self.place(name)?;
        copy_into(source, &path).map_err(io_at(&path))?;
        self.note(name)
    }

    /// With what is below it. Files that are being written have another ending, and are left out.
    fn folder_if_there(&mut self, from: &Path, name: &str) -> Result<(), BackupError> {
        let entries = match fs::read_dir(from) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(BackupError::Io { path: from.to_owned(), error }),
        };
        for entry in entries {
            let path = entry.map_err(io_at(from))?.path();
            let Some(last) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let below = format!("{name}/{last}");
            match path.is_dir() {
                true => self.folder_if_there(&path, &below)?,
                false if last.ends_with(".tmp") => {}
                false => self.file_if_there(&path, &below)?,
            }
        }
        Ok(())
    }
}

/// For the user alone where the name says so.
pub(crate) fn copy_into(mut source: File, to: &Path) -> io::Result<()> {
    let is_private = to.file_name().and_then(|name| name.to_str()).is_some_and(|name| PRIVATE.contains(&name));
    let mode = if is_private { 0o600 } else { 0o666 };
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
    io::copy(&mut source, &mut file)?;
    file.sync_all()
}

pub(crate) fn digest_of(mut file: File) -> io::Result<FileManifest> {
    let (mut hasher, mut bytes, mut piece) = (blake3::Hasher::new(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(FileManifest { bytes, digest: Digest::from_bytes(*hasher.finalize().as_bytes()) }),
            read => {
                hasher.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// The manifest last, then every folder's entries.
fn seal(draft: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let text = serde_json::to_vec_pretty(manifest).expect("BUG: a manifest is plain data");
    for (name, bytes) in [(MANIFEST, &text), (MANIFEST_DIGEST, &Digest::of(&text).to_string().into_bytes())] {
        let path = draft.join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(io_at(&path))?;
    }
    sync_folders(draft).map_err(io_at(draft))
}

pub(crate) fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    File::open(folder)?.sync_all()
}

fn apps_in(apps: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(apps).map_err(io_at(apps))? {
        let entry = entry.map_err(io_at(apps))?;
        if let Ok(name) = entry.file_name().into_string()
            && app::is_name(&name)
            && entry.path().is_dir()
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn assert_free(dest: &Path) -> Result<(), BackupError> {
    if fs::symlink_metadata(dest).is_ok() { Err(BackupError::There { path: dest.to_owned() }) } else { Ok(()) }
}

/// Whether a name from a manifest stays below its folder.
pub(crate) fn stays_below(name: &str) -> bool {
    !name.is_empty() && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}

pub(crate) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let path = path.to_owned();
    move |error| BackupError::Io { path, error }
}

/// A folder beside the one it is to become; gone if it does not.
pub(crate) struct Draft(pub(crate) PathBuf);

impl Draft {
    pub(crate) fn set(beside: &Path) -> Result<Draft, BackupError> {
        let mut name = beside.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}.partial", std::process::id()));
        let folder = beside.with_file_name(name);
        if let Some(parent) = beside.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Disk::real().folder(parent).map_err(io_at(parent))?;
        }
        fs::create_dir(&folder).map_err(io_at(&folder))?;
        Ok(Draft(folder))
    }

    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
