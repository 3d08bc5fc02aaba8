//! A second read database beside the one that is for everyone: of a version that is tried out and makes it another way. It
//! follows the same change log, in a folder of its own, for as long as that version is tried out.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::task::AbortHandle;

use super::{SiteError, blocking};
use crate::{
    app_version::AppVersion,
    projector::{Capturer, Projector},
    publisher::Publisher,
    site::running::forward,
    store,
    trim::Trim,
    writer::Writer,
};

const FOLDER: &str = "tried";

type Mirror = BTreeMap<String, Vec<String>>;

pub(super) struct Aside {
    projector: Projector,
    forwarding: Option<AbortHandle>,
}

impl Aside {
    /// Makes it, or opens the one there is. The change log notes what it needs already.
    pub(super) async fn start(folder: &Path, version: Arc<AppVersion>, trim: Arc<Trim>) -> Result<Aside, SiteError> {
        let (own, store) = (folder.join(FOLDER), folder.join(store::FILE_NAME));
        let projector = blocking(move || {
            std::fs::create_dir_all(&own).map_err(|error| SiteError::Io { path: own.clone(), error })?;
            let on_durable = Box::new(move |commit| trim.aside(commit));
            Ok::<_, SiteError>(Projector::start(&own, &store, version, on_durable)?)
        });
        Ok(Aside { projector: projector.await?, forwarding: None })
    }

    pub(super) fn capturer(&self) -> Capturer {
        self.projector.capturer()
    }

    /// It follows every commit, and the publisher follows it.
    pub(super) fn follow(&mut self, writer: &Writer, publisher: &Publisher) {
        self.forwarding = Some(forward(writer, &self.projector, publisher));
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if let Some(forwarding) = &self.forwarding {
            forwarding.abort();
        }
    }
}

/// Removes what the last one left. Blocks.
pub(super) fn remove(folder: &Path) -> Result<(), SiteError> {
    let own: PathBuf = folder.join(FOLDER);
    match std::fs::remove_dir_all(&own) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(SiteError::Io { path: own, error }),
        _ => Ok(()),
    }
}

/// All that either of them mirrors.
pub(super) fn both(one: &Mirror, other: &Mirror) -> Mirror {
    let mut both = one.clone();
    for (table, columns) in other {
        let there = both.entry(table.clone()).or_default();
        columns.iter().for_each(|column| {
            if !there.contains(column) {
                there.push(column.clone());
            }
        });
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_mirrors_are_every_column_of_either_once() {
        let mirror = |entries: &[(&str, &[&str])]| -> Mirror {
            let columns = |columns: &[&str]| columns.iter().map(|&column| column.to_owned()).collect();
            entries.iter().map(|(table, names)| ((*table).to_owned(), columns(names))).collect()
        };
        let one = mirror(&[("item", &["id", "name"]), ("old", &["id"])]);
        let other = mirror(&[("item", &["id", "body", "name"]), ("new", &["id", "n"])]);
        let expected = mirror(&[("item", &["id", "name", "body"]), ("new", &["id", "n"]), ("old", &["id"])]);
        assert_eq!(both(&one, &other), expected);
        assert_eq!(both(&one, &one), one);
    }
}
