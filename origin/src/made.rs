//! Objects made for those who asked: from one kept release to another, or whole. They are kept for the next who asks, as
//! far as there is room; a start forgets them.

use std::{
    collections::VecDeque,
    fs::File,
    path::{Path, PathBuf},
    sync::Mutex,
};

use nearside_host::pages::{PageStore, PagesError};
use nearside_protocol::{digest::Digest, limits, page_object::Written};

use crate::{
    bucket::{Bucket, BucketError, Name},
    encode::{self, Haste},
    objects::{ObjectError, scratch},
};

#[derive(Debug, thiserror::Error)]
pub enum NotMade {
    #[error(transparent)]
    Pages(#[from] PagesError),
    #[error(transparent)]
    Bucket(#[from] BucketError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("the origin is stopping")]
    Stopping,
}

pub struct Made {
    pub bucket: Bucket,
    folder: PathBuf,
    pages: PageStore,
    /// Old to new, with their bytes.
    there: Mutex<VecDeque<(Name, u64)>>,
    /// One at a time: making one takes cores and memory.
    making: tokio::sync::Mutex<()>,
}

impl Made {
    pub fn open(folder: &Path, pages: PageStore) -> Result<Made, BucketError> {
        let _ = std::fs::remove_dir_all(folder);
        Ok(Made {
            bucket: Bucket::folder(folder)?,
            folder: folder.to_owned(),
            pages,
            there: Mutex::default(),
            making: Default::default(),
        })
    }

    /// Whether the object is in the bucket when this returns: it is not when its releases are not kept.
    pub async fn make(&self, name: Name) -> Result<bool, NotMade> {
        let _one = self.making.lock().await;
        if self.has(name) {
            return Ok(true);
        }
        let pages = self.pages.clone();
        let folder = self.folder.clone();
        let made = tokio::task::spawn_blocking(move || encode(&pages, name, &folder)).await;
        let Some(Written { out, bytes, .. }) = made.map_err(|_| NotMade::Stopping)?? else { return Ok(false) };
        self.bucket.put_file(name, out).await?;
        for old in self.note(name, bytes) {
            self.bucket.delete(old).await?;
        }
        Ok(true)
    }

    fn has(&self, name: Name) -> bool {
        let there = self.there.lock().expect("BUG: nothing panics while holding the names");
        there.iter().any(|(other, _)| *other == name)
    }

    /// Notes a new one; gives those that are too much.
    fn note(&self, name: Name, bytes: u64) -> Vec<Name> {
        let mut there = self.there.lock().expect("BUG: nothing panics while holding the names");
        there.push_back((name, bytes));
        let mut old = Vec::new();
        while there.len() > 1 && there.iter().map(|(_, bytes)| bytes).sum::<u64>() > limits::MADE_OBJECTS_BYTES {
            old.extend(there.pop_front().map(|(name, _)| name));
        }
        old
    }
}

/// An object that is in no bucket yet.
fn encode(pages: &PageStore, name: Name, folder: &Path) -> Result<Option<Written<File>>, NotMade> {
    let table = |root: &Digest| pages.find(root).map(|kept| kept.table);
    match name {
        Name::Delta { from, to } => match (table(&from), table(&to)) {
            (Some(from), Some(to)) => Ok(Some(encode::delta(&from, &to, scratch(folder)?)?)),
            _ => Ok(None),
        },
        Name::Base(root) => match table(&root) {
            Some(of) => Ok(Some(encode::base(&of, scratch(folder)?, Haste::Awaited)?)),
            None => Ok(None),
        },
        Name::Release(_) | Name::Head | Name::Archive(_) | Name::CreateOnce => Ok(None),
    }
}
