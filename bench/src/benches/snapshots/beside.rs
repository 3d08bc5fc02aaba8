//! Other ways to bring a file up to date: what they send, how long they take until it is there, and that it is.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::limits::TOOL_TIMEOUT;
use crate::page_files::{differing, free};
use crate::process::Process;
use crate::report::Described;

pub(super) const COPY: &str = "copy";
pub(super) const ZSTD: &str = "zstd --patch-from";
pub(super) const RSYNC: &str = "sqlite3_rsync";

/// What a way took to bring one change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Brought {
    pub(super) wire_bytes: u64,
    pub(super) took: Duration,
}

/// The programs there are on this machine.
#[derive(Debug)]
pub(super) struct Beside {
    scratch: PathBuf,
    zstd: Option<PathBuf>,
    rsync: Option<PathBuf>,
}

impl Beside {
    pub(super) fn find(scratch: &Path) -> Beside {
        let rsync = env::var_os("SQLITE3_RSYNC").map(PathBuf::from).or_else(|| in_path("sqlite3_rsync"));
        Beside { scratch: scratch.to_owned(), zstd: in_path("zstd"), rsync }
    }

    /// All of them, with why some are not there.
    pub(super) fn described(&self) -> Vec<Described> {
        let describe = |name: &str, about: &str, missing: Option<&str>| Described {
            name: name.to_owned(),
            about: about.to_owned(),
            missing: missing.map(str::to_owned),
        };
        let no_zstd = self.zstd.is_none().then_some("there is no `zstd` on this machine");
        let no_rsync = self.rsync.is_none();
        let no_rsync = no_rsync.then_some("there is no `sqlite3_rsync` on this machine, and SQLITE3_RSYNC names none");
        vec![
            describe(COPY, "the whole file, copied on the same disk and synced", None),
            describe(ZSTD, "a patch from the file before, made and applied, at zstd's usual level", no_zstd),
            describe(
                RSYNC,
                "from the file after to the one before, both ends on this machine; by its protocol 1 where 2 leaves another file",
                no_rsync,
            ),
        ]
    }

    /// Brings `before` to `after` in each way there is, and makes sure that it got there.
    pub(super) async fn bring(&self, before: &Path, after: &Path) -> Result<Vec<(&'static str, Brought)>> {
        let mut all = vec![(COPY, self.copy(after).context(COPY)?)];
        if let Some(zstd) = &self.zstd {
            all.push((ZSTD, self.patch(zstd, before, after).await.context(ZSTD)?));
        }
        if let Some(rsync) = &self.rsync {
            all.push((RSYNC, self.rsync(rsync, before, after).await.context(RSYNC)?));
        }
        for (name, Brought { wire_bytes, took }) in &all {
            eprintln!("      {name:<18} {wire_bytes:>12} bytes  {:>8.1} ms", took.as_secs_f64() * 1e3);
        }
        Ok(all)
    }

    fn copy(&self, after: &Path) -> Result<Brought> {
        let copy = self.scratch.join("copy.db");
        let began = Instant::now();
        let wire_bytes = fs::copy(after, &copy).context("copying the file")?;
        sync(&copy)?;
        let took = began.elapsed();
        fs::remove_file(&copy)?;
        Ok(Brought { wire_bytes, took })
    }

    async fn patch(&self, zstd: &Path, before: &Path, after: &Path) -> Result<Brought> {
        let (patch, made) = (self.scratch.join("patch.zst"), self.scratch.join("patched.db"));
        let mut from = std::ffi::OsString::from("--patch-from=");
        from.push(before);
        // The window must hold the whole file before. 31 is the largest there is: 2 GiB.
        let run = |input: &Path, output: &Path, decode: bool| {
            let mut command = Command::new(zstd);
            command.args(["--quiet", "--force", "--long=31"]).arg(&from).args(decode.then_some("--decompress"));
            command.arg(input).arg("-o").arg(output);
            command
        };
        let began = Instant::now();
        Process::spawn("zstd", run(after, &patch, false), &self.scratch)?.finish_within(TOOL_TIMEOUT).await?;
        let wire_bytes = fs::metadata(&patch)?.len();
        Process::spawn("unzstd", run(&patch, &made, true), &self.scratch)?.finish_within(TOOL_TIMEOUT).await?;
        sync(&made)?;
        let took = began.elapsed();
        ensure!(differing(after, &made)?.is_empty(), "what the patch made is another file");
        fs::remove_file(&patch)?;
        fs::remove_file(&made)?;
        Ok(Brought { wire_bytes, took })
    }

    /// By its newest protocol; by the first one where the newest leaves something else than the origin's file, which
    /// it has been seen to do with the first page of those that are added.
    async fn rsync(&self, rsync: &Path, before: &Path, after: &Path) -> Result<Brought> {
        for protocol in [&[][..], &["--protocol", "1"]] {
            let (brought, wrong) = self.rsync_by(rsync, before, after, protocol).await?;
            if wrong.is_empty() {
                return Ok(brought);
            }
            eprintln!("      {RSYNC}: pages {wrong:?} are not the origin's");
        }
        bail!("what it made is another file")
    }

    /// With the pages that are not the origin's.
    async fn rsync_by(
        &self,
        rsync: &Path,
        before: &Path,
        after: &Path,
        options: &[&str],
    ) -> Result<(Brought, Vec<u64>)> {
        let replica = self.scratch.join("replica.db");
        fs::copy(before, &replica).context("copying the file for sqlite3_rsync")?;
        sync(&replica)?;
        let mut command = Command::new(rsync);
        command.arg(after).arg(&replica).arg("-v").args(options);
        let began = Instant::now();
        let printed = Process::spawn("sqlite3_rsync", command, &self.scratch)?.finish_within(TOOL_TIMEOUT).await?;
        let took = began.elapsed();
        let Some(wire_bytes) = sent_and_received(&printed) else {
            bail!("sqlite3_rsync does not say what it sent: {printed}");
        };
        // It counts a change of its own in the first page, and leaves out what means nothing.
        let free = free(after)?;
        let matters = |page: &u64| *page != 0 && !free.contains(page);
        let wrong = differing(after, &replica)?.into_iter().filter(matters).collect();
        fs::remove_file(&replica)?;
        Ok((Brought { wire_bytes, took }, wrong))
    }
}

/// Out of the page cache before something else is measured.
fn sync(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    file.sync_all().with_context(|| format!("syncing {}", path.display()))
}

fn in_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// `sent 1,234 bytes, received 56 bytes, ...`: what went over the wire in both directions.
fn sent_and_received(printed: &str) -> Option<u64> {
    let line = printed.lines().find(|line| line.trim_start().starts_with("sent "))?;
    let mut words = line.split_whitespace();
    let mut after = |wanted: &str| -> Option<u64> {
        words.find(|word| *word == wanted)?;
        words.next()?.replace(',', "").parse().ok()
    };
    Some(after("sent")? + after("received")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite3_rsync_sent_is_read() {
        let printed = "sent 4,226,064 bytes, received 9,107 bytes, 3,500.45 bytes/sec\ntotal size 1,000 speedup 2\n";
        assert_eq!(sent_and_received(printed), Some(4_235_171));
        assert_eq!(sent_and_received("nothing"), None);
    }

    #[tokio::test]
    async fn each_way_gets_there() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before.db"), folder.path().join("after.db"));
        let connection = rusqlite::Connection::open(&before).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(500000)), (1)").unwrap();
        drop(connection);
        fs::copy(&before, &after).unwrap();
        rusqlite::Connection::open(&after).unwrap().execute_batch("UPDATE t SET x = 2 WHERE x = 1").unwrap();
        let beside = Beside::find(folder.path());
        let brought = beside.bring(&before, &after).await.unwrap();
        let present = beside.described().iter().filter(|described| described.missing.is_none()).count();
        assert_eq!(brought.len(), present);
        assert_eq!(brought[0].1.wire_bytes, fs::metadata(&after).unwrap().len());
        for (name, brought) in &brought[1..] {
            assert!(brought.wire_bytes < 100_000, "{name}: {brought:?}");
        }
    }
}
