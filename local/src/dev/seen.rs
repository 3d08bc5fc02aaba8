//! What files held when they were last looked at. Saving a file unchanged, or a build that writes the same again, is no
//! change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// A larger file is known by its length and time.
const READ_BYTES: u64 = 16 << 20;
/// More files than this are not all looked at beforehand; the first change of one that was not counts as a change.
const FILES_MOST: usize = 20_000;

#[derive(Default)]
pub struct Seen(BTreeMap<PathBuf, blake3::Hash>);

impl Seen {
    /// Looks at everything below a folder; gives the folders it has been to.
    pub fn walk(&mut self, folder: &Path, left_alone: &dyn Fn(&Path) -> bool) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut ahead = vec![folder.to_owned()];
        while let Some(folder) = ahead.pop() {
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                // A link is not followed: it may lead round in a circle.
                let Ok(kind) = entry.file_type() else { continue };
                if left_alone(&path) {
                    continue;
                }
                if kind.is_dir() {
                    ahead.push(path);
                } else if self.0.len() < FILES_MOST {
                    self.look(&path);
                }
            }
            folders.insert(folder);
        }
        folders
    }

    /// Whether the file is another than when it was last looked at.
    pub fn look(&mut self, path: &Path) -> bool {
        match digest(path) {
            Some(digest) => self.0.insert(path.to_owned(), digest) != Some(digest),
            None => self.0.remove(path).is_some(),
        }
    }
}

fn digest(path: &Path) -> Option<blake3::Hash> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let mut hasher = blake3::Hasher::new();
    if metadata.len() > READ_BYTES {
        hasher.update(format!("{} {:?}", metadata.len(), metadata.modified().ok()).as_bytes());
    } else {
        let mut bytes = Vec::with_capacity(metadata.len() as usize);
        fs::File::open(path).ok()?.take(READ_BYTES).read_to_end(&mut bytes).ok()?;
        hasher.update(&bytes);
    }
    Some(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_content_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("src/a.rs");
        fs::create_dir_all(folder.path().join("target/deep")).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(&file, "one").unwrap();
        let mut seen = Seen::default();
        let folders = seen.walk(folder.path(), &|path| path.ends_with("target"));
        assert_eq!(folders, BTreeSet::from([folder.path().to_owned(), folder.path().join("src")]));
        fs::write(&file, "one").unwrap();
        assert!(!seen.look(&file));
        fs::write(&file, "two").unwrap();
        assert!(seen.look(&file) && !seen.look(&file));
        fs::remove_file(&file).unwrap();
        assert!(seen.look(&file) && !seen.look(&file));
        assert!(!seen.look(&folder.path().join("never-there")));
    }
}
