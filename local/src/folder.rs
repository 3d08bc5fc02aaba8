//! `APP/.nearside`: what is kept beside an app and belongs to nobody's repository.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

pub const NAME: &str = ".nearside";
/// Compiled components are kept up to this much; each edit makes another one.
const COMPILED_BYTES: u64 = 256 << 20;

#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub struct FolderError {
    path: PathBuf,
    error: io::Error,
}

/// Makes the folder, with a note to git that none of it is to be committed.
pub fn of(app: &Path) -> Result<PathBuf, FolderError> {
    let folder = app.join(NAME);
    make(&folder)?;
    let ignore = folder.join(".gitignore");
    if !ignore.exists() {
        fs::write(&ignore, "*\n").map_err(|error| FolderError { path: ignore, error })?;
    }
    Ok(folder)
}

/// The folder of compiled components, with the oldest of them gone if there are too many.
pub fn compiled(app: &Path) -> Result<PathBuf, FolderError> {
    let folder = of(app)?.join("compiled");
    make(&folder)?;
    tidy(&folder, COMPILED_BYTES);
    Ok(folder)
}

pub fn make(folder: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(folder).map_err(|error| FolderError { path: folder.to_owned(), error })
}

/// Removes a folder with all there is in it; one that is not there is fine.
pub fn remove(folder: &Path) -> Result<(), FolderError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError { path: folder.to_owned(), error }),
        _ => Ok(()),
    }
}

/// What is missing is compiled again, so a file that cannot be removed, or is missed by another process, is no fault.
fn tidy(folder: &Path, most_bytes: u64) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
    let mut bytes = 0;
    for (_, length, path) in files {
        bytes += length;
        if bytes > most_bytes {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_code_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        for (age_s, name) in [(30, "old"), (20, "middle"), (10, "new")] {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age_s)).unwrap();
        }
        tidy(folder.path(), 250);
        let left = |name: &str| folder.path().join(name).exists();
        assert!(!left("old") && left("middle") && left("new"));
    }

    #[test]
    fn nothing_of_it_is_committed() {
        let app = tempfile::tempdir().unwrap();
        let folder = of(app.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.join(".gitignore")).unwrap(), "*\n");
        assert!(compiled(app.path()).unwrap().is_dir());
        remove(&folder).unwrap();
        remove(&folder).unwrap();
        assert!(!folder.exists());
    }
}
