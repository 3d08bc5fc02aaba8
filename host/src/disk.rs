//! The one seam through which durable writes go.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// Writes files so that they are whole after a crash, or not there.
#[derive(Clone, Debug)]
pub struct Disk(());

impl Disk {
    pub fn real() -> Disk {
        Disk(())
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
        let _ = fs::remove_file(&temporary);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        self.rename(&temporary, path)
    }

    /// Gives a file, already synced, its name; durable when this returns.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.sync_folder_of(to)
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
        self.sync_folder_of(path)
    }

    fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
            _ => File::open(".")?.sync_all(),
        }
    }
}
