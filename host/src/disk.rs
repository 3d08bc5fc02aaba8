//! The seam through which durable writes go.
//!
//! A disk can be watched: each step that changes it is told to a [`Watcher`], from which tests make every state that a loss
//! of power could have left.

pub mod losing;

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Writes files so that they are whole after a crash, or not there.
#[derive(Clone, Default)]
pub struct Disk {
    watcher: Option<Arc<dyn Watcher>>,
    written_bytes: Arc<AtomicU64>,
}

/// One step that changes the disk. Nothing of it is sure to outlive a loss of power before a `SyncFile` of the file, or a
/// `SyncFolder` of the folder.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Create(PathBuf),
    Write { path: PathBuf, at: u64, bytes: Vec<u8> },
    SetLength(PathBuf, u64),
    SyncFile(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeFolder(PathBuf),
    SyncFolder(PathBuf),
}

pub trait Watcher: Send + Sync {
    /// Called after the step was taken.
    fn saw(&self, step: Step);
}

impl Disk {
    pub fn real() -> Disk {
        Disk::default()
    }

    pub fn watched(watcher: Arc<dyn Watcher>) -> Disk {
        Disk { watcher: Some(watcher), ..Disk::default() }
    }

    /// All bytes written through this seam since it was made.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed)
    }

    /// The file has these bytes, durably, or what it had before.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_as(path, bytes, 0o666)
    }

    /// The same, for this process's user alone to read.
    pub fn write_private(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.write_as(path, bytes, 0o600)
    }

    /// `mode` is what the process's umask is taken from.
    fn write_as(&self, path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        // What a crash left there may have another mode.
        let _ = self.remove(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        self.saw(|| Step::Create(temporary.clone()));
        file.write_all(bytes)?;
        self.wrote(&temporary, 0, bytes);
        file.sync_all()?;
        self.saw(|| Step::SyncFile(temporary.clone()));
        drop(file);
        self.rename(&temporary, path)
    }

    /// Gives a file, already synced, its name; durable when this returns.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.saw(|| Step::Rename(from.to_owned(), to.to_owned()));
        self.sync_folder_of(to)
    }

    /// Takes a file away. Durable some time later: whoever needs more syncs the folder.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)?;
        self.saw(|| Step::Remove(path.to_owned()));
        Ok(())
    }

    /// Makes a folder and its parents, durably.
    pub fn folder(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.folder(parent)?;
        }
        fs::create_dir(path).or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })?;
        self.saw(|| Step::MakeFolder(path.to_owned()));
        self.sync_folder_of(path)
    }

    /// Opens a file for writing in place, and makes it, durably, when it is not there.
    pub fn open(&self, path: &Path) -> io::Result<DiskFile> {
        let is_new = !path.exists();
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        if is_new {
            self.saw(|| Step::Create(path.to_owned()));
            self.sync_folder_of(path)?;
        }
        Ok(DiskFile { file, path: path.to_owned(), disk: self.clone() })
    }

    fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
        self.saw(|| Step::SyncFolder(folder.to_owned()));
        Ok(())
    }

    fn wrote(&self, path: &Path, at: u64, bytes: &[u8]) {
        self.written_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.saw(|| Step::Write { path: path.to_owned(), at, bytes: bytes.to_vec() });
    }

    fn saw(&self, step: impl FnOnce() -> Step) {
        if let Some(watcher) = &self.watcher {
            watcher.saw(step());
        }
    }
}

/// A file that is written in place, piece by piece.
pub struct DiskFile {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl DiskFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    pub fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, at)?;
        self.disk.wrote(&self.path, at, bytes);
        Ok(())
    }

    pub fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.disk.saw(|| Step::SetLength(self.path.clone(), bytes));
        Ok(())
    }

    /// What was written before this is durable when it returns.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        self.disk.saw(|| Step::SyncFile(self.path.clone()));
        Ok(())
    }
}
