//! One node on one data folder: its outbox and its pages have one writer each.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nearside_protocol::limits;

/// Held as long as the process works on the folder; the kernel lets go of it however that ends.
pub struct DataLock {
    _file: File,
}

const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl DataLock {
    /// Waits for a process that is leaving. Blocks.
    pub fn take(data: &Path) -> anyhow::Result<DataLock> {
        std::fs::create_dir_all(data).with_context(|| format!("{} cannot be made", data.display()))?;
        let path = data.join("lock");
        let file = File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        let by = Instant::now() + limits::DATA_LOCK_WAIT;
        let mut has_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(DataLock { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < by => {
                    if !has_told {
                        tracing::info!(data = %data.display(), "waiting for the node that works on this folder to leave");
                        has_told = true;
                    }
                    std::thread::sleep(LOOK_AGAIN);
                }
                Err(TryLockError::WouldBlock) => {
                    bail!("another node works on {}: each needs a folder of its own", data.display());
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_waits_until_the_other_has_left() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataLock::take(folder.path()).unwrap();
        let path = folder.path().to_owned();
        let second = std::thread::spawn(move || DataLock::take(&path).map(|_| Instant::now()));
        std::thread::sleep(Duration::from_millis(100));
        let left_at = Instant::now();
        drop(first);
        assert!(second.join().unwrap().unwrap() >= left_at);
    }
}
