//! A review's picture: checked, made small and stored, by the very code that the app's task runs.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use packages_pictures::{Limits, Refusal, thumbnail};

use super::super::package::Thumbnail;

/// Where pictures lie, named by their content.
pub(super) struct Pictures(PathBuf);

#[derive(Debug)]
pub(super) struct Kept {
    /// Of what was sent.
    pub(super) hash: String,
    pub(super) thumbnail: Thumbnail,
}

impl Pictures {
    pub(super) fn beside(db: &Path) -> Result<Self> {
        let folder = db.with_extension("pictures");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self(folder))
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.0.clone()
    }
}

/// Both files are durable when this returns. The inner error is for who sent it.
pub(super) fn keep(folder: &Path, bytes: &[u8]) -> Result<Result<Kept, Refusal>> {
    let small = match thumbnail(bytes, &Limits::default()) {
        Ok(small) => small,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let hash = store(folder, bytes, "")?;
    let extension = small.kind.extension();
    let name = store(folder, &small.bytes, extension)?;
    let thumbnail = Thumbnail { url: format!("/picture/{name}.{extension}"), width: small.width, height: small.height };
    Ok(Ok(Kept { hash, thumbnail }))
}

/// Written elsewhere and renamed, so that no half of a file is ever found under its name.
fn store(folder: &Path, bytes: &[u8], extension: &str) -> Result<String> {
    let hash = blake3::hash(bytes).to_hex().to_string();
    let path = folder.join(&hash).with_extension(extension);
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(&path)?;
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("storing {}", path.display()))?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_picture_is_refused_and_not_stored() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = Pictures::beside(&folder.path().join("site.db")).unwrap();
        assert_eq!(keep(&pictures.folder(), b"GIF89a...").unwrap().unwrap_err(), Refusal::OtherFormat("a GIF"));
        assert_eq!(fs::read_dir(pictures.folder()).unwrap().count(), 0);
        let name = store(&pictures.folder(), b"bytes", "jpg").unwrap();
        assert_eq!(fs::read(pictures.folder().join(format!("{name}.jpg"))).unwrap(), b"bytes");
    }
}
