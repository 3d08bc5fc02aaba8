//! A disk below SQLite, for tests: it notes every step, from which each state can be made that a loss of power could have
//! left; and it fails when it is told to.
//!
//! Killing a process does not show whether its writes are durable: the operating system still has them. Here nothing of a
//! file outlives a crash for sure but what it was when it was last synced; of what was written since, any part may be
//! there, torn at sectors.
//!
//! [`Watched::folder`] puts a VFS before SQLite's own, as the default: what opens databases by their path meets it without
//! knowing. That a database file has a name in its folder is taken to be durable: SQLite does not sync the folder of a new
//! database, but does so with its first journal, which is in the same one.

mod loss;
mod step;
mod vfs;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

pub use crate::{
    loss::Loss,
    step::{Image, Step},
};

/// What happens to the databases of one folder.
pub struct Watched(Arc<Watch>);

struct Watch {
    folder: PathBuf,
    steps: Mutex<Vec<Step>>,
    /// Counts down; the sync that finds 0 fails, and with it all that follow.
    syncs_left: AtomicI64,
    /// Of what may be written beyond the ends of files.
    room_bytes: AtomicI64,
}

const NO_LIMIT: i64 = i64::MAX / 2;

impl Watched {
    /// Watches databases below the folder from now on, wherever in this process they are opened.
    pub fn folder(folder: &Path) -> Watched {
        let watch = Arc::new(Watch {
            folder: folder.canonicalize().expect("the folder is there"),
            steps: Mutex::default(),
            syncs_left: AtomicI64::new(NO_LIMIT),
            room_bytes: AtomicI64::new(NO_LIMIT),
        });
        vfs::watch(watch.clone());
        Watched(watch)
    }

    /// So many steps have been taken.
    pub fn taken(&self) -> usize {
        self.0.steps().len()
    }

    /// What the disk holds if the power is lost after so many steps.
    pub fn image(&self, steps: usize, loss: Loss) -> Image {
        Image::after(&self.0.steps()[..steps], loss)
    }

    /// Whether the step that follows so many is a sync: what a crash before it and one after it leave are worth a look.
    pub fn is_sync(&self, steps: usize) -> bool {
        matches!(self.0.steps().get(steps), Some(Step::Sync { .. }))
    }

    /// So many syncs succeed, then all fail until the next call.
    pub fn fail_syncs_after(&self, count: Option<u32>) {
        self.0.syncs_left.store(count.map_or(NO_LIMIT, i64::from), Ordering::SeqCst);
    }

    /// Files may grow by so much in all, then the disk is full until the next call.
    pub fn full_after(&self, bytes: Option<u32>) {
        self.0.room_bytes.store(bytes.map_or(NO_LIMIT, i64::from), Ordering::SeqCst);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        vfs::unwatch(&self.0);
    }
}

impl Watch {
    fn steps(&self) -> MutexGuard<'_, Vec<Step>> {
        self.steps.lock().expect("BUG: nothing panics while holding the steps")
    }

    fn note(&self, step: Step) {
        self.steps().push(step);
    }

    fn may_sync(&self) -> bool {
        self.syncs_left.fetch_sub(1, Ordering::SeqCst) > 0
    }

    fn may_grow(&self, bytes: i64) -> bool {
        bytes <= 0 || self.room_bytes.fetch_sub(bytes, Ordering::SeqCst) >= bytes
    }
}

impl Image {
    /// Lays the files into a folder, by their place in the one that was watched.
    pub fn lay(&self, watched: &Watched, folder: &Path) -> io::Result<()> {
        for (path, bytes) in self.files() {
            let place = path.strip_prefix(&watched.0.folder).expect("BUG: only what is below the folder is noted");
            fs::write(folder.join(place), bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
