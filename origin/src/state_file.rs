//! What an app is at that its releases do not say, each in a small JSON file of its folder.

use std::{fs, io, path::Path};

use nearside_host::disk::Disk;
use serde::{Deserialize, Serialize};

/// Nothing where there is no such file.
pub(crate) fn load<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str) -> io::Result<Option<T>> {
    let path = folder.join(name);
    let told = |error: &dyn std::fmt::Display| io::Error::other(format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| told(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(&error)),
    }
}

pub(crate) fn store(value: &impl Serialize, folder: &Path, name: &str, disk: &Disk) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(value).expect("BUG: a few numbers are plain data");
    disk.write(&folder.join(name), &bytes)
}
