//! Hears of changed files, and says what they ask for.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::{sync::mpsc, time::Instant};

use super::{
    change::{Change, Files},
    seen::Seen,
};

/// An editor saves in several steps, and a checkout changes many files: what comes in quick succession is one change.
const QUIET: Duration = Duration::from_millis(50);
/// But a change is not put off for longer than this.
const LATEST: Duration = Duration::from_millis(1_000);
/// Events waiting to be looked at. When there are more, everything counts as changed.
const EVENTS: usize = 4_096;

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("changes of files cannot be watched: {0}")]
    Start(notify::Error),
    #[error("{folder} cannot be watched: {error}", folder = folder.display())]
    Folder { folder: PathBuf, error: notify::Error },
}

pub struct Watch {
    watcher: RecommendedWatcher,
    events: mpsc::Receiver<notify::Result<Event>>,
    /// Some events were too many.
    lost: Arc<AtomicBool>,
    /// What has changed and was not told yet.
    pending: Option<Changed>,
    files: Files,
    seen: Seen,
    /// Each folder is watched by itself, so that those of tools, with their thousands of files, are not.
    folders: BTreeSet<PathBuf>,
}

/// What has changed, and a file of it to name.
#[derive(Clone, Debug, PartialEq)]
pub struct Changed {
    pub change: Change,
    pub file: PathBuf,
    pub files: usize,
}

impl Watch {
    pub fn start(files: Files) -> Result<Watch, WatchError> {
        let (tell, events) = mpsc::channel(EVENTS);
        let lost = Arc::new(AtomicBool::new(false));
        let loses = lost.clone();
        let hear = move |event: notify::Result<Event>| {
            let rescan = event.as_ref().is_ok_and(Event::need_rescan);
            if tell.try_send(event).is_err() || rescan {
                loses.store(true, Ordering::Relaxed);
            }
        };
        let watcher = notify::recommended_watcher(hear).map_err(WatchError::Start)?;
        let (pending, seen, folders) = (None, Seen::default(), BTreeSet::new());
        let mut watch = Watch { watcher, events, lost, pending, files, seen, folders };
        for folder in watch.files.folders() {
            watch.add(&folder)?;
        }
        Ok(watch)
    }

    /// Goes by another manifest from now on.
    pub fn follow(&mut self, files: Files) -> Result<(), WatchError> {
        if self.files == files {
            return Ok(());
        }
        self.files = files;
        for folder in self.files.folders() {
            self.add(&folder)?;
        }
        Ok(())
    }

    fn add(&mut self, folder: &Path) -> Result<(), WatchError> {
        let files = self.files.clone();
        let found = self.seen.walk(folder, &|path| files.is_left_alone(path));
        for folder in found {
            if !self.folders.insert(folder.clone()) {
                continue;
            }
            match self.watcher.watch(&folder, RecursiveMode::NonRecursive) {
                // Gone again already.
                Err(error) if matches!(error.kind, notify::ErrorKind::PathNotFound) => {}
                Err(error) => return Err(WatchError::Folder { folder, error }),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// The next change that asks for something. May be given up and called again without losing any.
    pub async fn changed(&mut self) -> Result<Changed, WatchError> {
        loop {
            if self.pending.is_none() {
                match self.events.recv().await {
                    Some(event) => self.take(event)?,
                    None => std::future::pending().await,
                }
            }
            let latest = Instant::now() + LATEST;
            loop {
                let quiet = (Instant::now() + QUIET).min(latest);
                match tokio::time::timeout_at(quiet, self.events.recv()).await {
                    Ok(Some(event)) => self.take(event)?,
                    Ok(None) | Err(_) => break,
                }
            }
            if self.lost.swap(false, Ordering::Relaxed) {
                self.pending = Some(Changed { change: Change::Build, file: self.files.app().to_owned(), files: 1 });
            }
            if let Some(changed) = self.pending.take() {
                return Ok(changed);
            }
        }
    }

    fn take(&mut self, event: notify::Result<Event>) -> Result<(), WatchError> {
        let event = match event {
            Ok(event) if event.kind.is_access() => return Ok(()),
            Ok(event) => event,
            Err(error) => {
                tracing::debug!(cause = %error, "a change was not told");
                return Ok(());
            }
        };
        for path in event.paths {
            if path.is_dir() && !self.files.is_left_alone(&path) && !self.folders.contains(&path) {
                self.folder_appeared(&path)?;
            } else if event.kind.is_remove() && self.folders.remove(&path) {
                // What was in it is told file by file.
                let _ = self.watcher.unwatch(&path);
            } else {
                self.look(path);
            }
        }
        Ok(())
    }

    /// What was put into a folder before it was watched has not been told.
    fn folder_appeared(&mut self, folder: &Path) -> Result<(), WatchError> {
        let before = self.folders.len();
        self.add(folder)?;
        for folder in self.folders.iter().filter(|one| one.starts_with(folder)).cloned().collect::<Vec<_>>() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.path().is_file() {
                    self.note(entry.path());
                }
            }
        }
        tracing::debug!(folder = %folder.display(), more = self.folders.len() - before, "watched");
        Ok(())
    }

    fn look(&mut self, path: PathBuf) {
        if self.files.change(&path).is_some() && self.seen.look(&path) {
            self.note(path);
        }
    }

    fn note(&mut self, path: PathBuf) {
        let Some(change) = self.files.change(&path) else { return };
        match &mut self.pending {
            Some(changed) => {
                changed.change = changed.change.max(change);
                changed.files += 1;
                // An editor's own file that is gone again says less.
                if !changed.file.exists() {
                    changed.file = path;
                }
            }
            empty => *empty = Some(Changed { change, file: path, files: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nearside_protocol::app::App;
    use std::fs;

    async fn next(watch: &mut Watch) -> Option<Changed> {
        tokio::time::timeout(Duration::from_millis(700), watch.changed()).await.ok().map(Result::unwrap)
    }

    #[tokio::test]
    async fn changes_are_told_once_and_only_where_it_matters() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let write = |file: &str, text: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let manifest = "name = \"a\"\nhosts = [\"a\"]\n";
        write("nearside.toml", manifest);
        write("src/lib.rs", "one");
        let app = App::parse(manifest).unwrap();
        let mut watch = Watch::start(Files::of(&root, Some(&app), None)).unwrap();

        write("src/lib.rs", "two");
        write("queries.sql", "");
        let changed = next(&mut watch).await.unwrap();
        assert_eq!((changed.change, changed.file, changed.files), (Change::Build, root.join("src/lib.rs"), 2));
        write("src/lib.rs", "two");
        write("target/debug/x", "x");
        assert_eq!(next(&mut watch).await, None, "the same content, and a tool's folder");

        write("queries.sql", "-- name: q\nSELECT 1");
        assert_eq!(next(&mut watch).await.unwrap().change, Change::Push);
        // As editors save: beside it, then over it.
        write("src/lib.rs.tmp", "three");
        fs::rename(root.join("src/lib.rs.tmp"), root.join("src/lib.rs")).unwrap();
        assert_eq!(next(&mut watch).await.unwrap().file, root.join("src/lib.rs"));

        write("migrations/deep/1.sql", "one");
        assert_eq!(next(&mut watch).await.unwrap().change, Change::Push);
        write("migrations/deep/1.sql", "two");
        assert_eq!(next(&mut watch).await.unwrap().change, Change::Push, "in a folder that is new");
        fs::remove_file(root.join("migrations/deep/1.sql")).unwrap();
        assert_eq!(next(&mut watch).await.unwrap().change, Change::Push);
    }
}
