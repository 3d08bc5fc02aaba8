//! A folder for copies of an app's files, gone when the work on them is over.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

pub(crate) struct Stage(PathBuf);

impl Stage {
    /// Makes the folder; what a crash left of the one before is removed.
    pub(crate) fn set(folder: PathBuf) -> Result<Stage, (PathBuf, io::Error)> {
        let there = || -> io::Result<()> {
            if folder.exists() {
                fs::remove_dir_all(&folder)?;
            }
            fs::create_dir(&folder)
        };
        match there() {
            Ok(()) => Ok(Stage(folder)),
            Err(error) => Err((folder, error)),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), cause = %error, "copies are left behind");
        }
    }
}
